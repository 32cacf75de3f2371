"""A batch of sources: the unit of work, done in this process or in another one.

One rule: a batch can be pickled, knows nothing of other batches, and can be done again; each of its sources
gets an outcome, whatever happens to the others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from types import MappingProxyType

from staticwado.archive import Archive
from staticwado.errors import NotDicom, StaticWadoError, StoreUnavailable
from staticwado.ingest.catalogue import default_catalog
from staticwado.ingest.outcome import Outcome, Reason, Status, reason_of
from staticwado.ingest.publish import Published, Staged, Uids
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.source import AnySource, FileSource, MemberSource, OpenArchives, Packing
from staticwado.ingest.write import Allows, BatchWriter, Present

BATCH_FILES = 125
BATCH_BYTES = 128 << 20
CODED_FILES = 25
CODED_BYTES = 32 << 20
"""The same where frames are transcoded, which costs so much more that all processes must get their share."""
_KEPT = "the archive holds the instance with other content, which was kept; what came was not stored"
_REPLACED = "the archive held the instance with other content, which lies in the trash now"


@dataclass(frozen=True, slots=True)
class Batch:
    """A unit of work."""

    root: str
    sources: tuple[AnySource, ...]
    thumbnails: bool
    strict: bool
    dry_run: bool
    transcode: Transcode = "none"

    def split(self) -> Iterator["Batch"]:
        """A batch for each source."""
        for source in self.sources:
            yield replace(self, sources=(source,))


def divide(
    sources: Iterable[AnySource], files: int = BATCH_FILES, size_limit: int = BATCH_BYTES
) -> Iterator[tuple[AnySource, ...]]:
    """The sources in groups of a batch: at most `files`, of at most `size_limit` bytes together.

    Members of one packed tar stay together, as it is unpacked from its start.
    """
    chosen: list[AnySource] = []
    size = 0
    for source in sources:
        full = len(chosen) >= files or size + source.size > size_limit
        if chosen and full and not _belong_together(chosen[-1], source):
            yield tuple(chosen)
            chosen, size = [], 0
        chosen.append(source)
        size += source.size
    if chosen:
        yield tuple(chosen)


def _belong_together(one: AnySource, other: AnySource) -> bool:
    return (
        isinstance(one, MemberSource)
        and isinstance(other, MemberSource)
        and one.packing is Packing.PACKED_TAR
        and one.archive == other.archive
    )


def convert_alone(batch: Batch) -> list[Outcome]:
    """`convert_batch` for another process."""
    return list(convert_batch(batch))


def convert_batch(batch: Batch) -> Iterator[Outcome]:
    """Convert, write and publish the sources of a batch; outcomes as they come, in no order."""
    left = {id(source): source for source in batch.sources}
    try:
        with ExitStack() as stack:
            archive = Archive(batch.root, create=True)
            catalog = None if batch.dry_run else default_catalog(archive)
            if catalog is not None:
                stack.callback(catalog.close)
            writer = BatchWriter(
                archive,
                thumbnails=batch.thumbnails,
                dry_run=batch.dry_run,
                transcode=batch.transcode,
                catalog=catalog,
            )
            stack.callback(writer.close)
            for source, outcome in BatchRun(writer, strict=batch.strict).outcomes(batch.sources):
                left.pop(id(source), None)
                yield outcome
    except Exception as error:  # the archive itself cannot be written, or a fault of this program
        known = as_ours(error)
        yield from (failure(source, known) for source in left.values())


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a source is taken in."""

    study: str | None = None
    """Instances of another study fail, ..."""
    allows: Allows | None = None
    """... as do those that this refuses."""


_ANY = Terms()


class BatchRun:
    """Sources on their way through a writer."""

    def __init__(
        self,
        writer: BatchWriter,
        *,
        strict: bool = False,
        sync: Callable[[], None] | None = None,
        terms: Mapping[int, Terms] = MappingProxyType({}),
        patient: bool = True,
    ) -> None:
        """`sync` and `patient`: as `BatchWriter.publish` has them. `terms`: by the `id` of a source."""
        self._writer = writer
        self._strict = strict
        self._terms = terms
        self._sync = sync
        self._patient = patient
        self._archives = OpenArchives(writer.spool_folder)
        self._waiting: dict[Uids, list[tuple[AnySource, str | None]]] = {}
        self._files = self._bytes = 0

    def outcomes(self, sources: Iterable[AnySource]) -> Iterator[tuple[AnySource, Outcome]]:
        """Take in `sources`; raises StoreUnavailable if they could not be made durable."""
        with closing(self._archives):
            for source in sources:
                outcome = self._convert(source)
                if outcome is not None:
                    yield source, outcome
                    if outcome.status is Status.FAILED and self._strict:
                        break
                self._files += 1
                self._bytes += source.size
                if self._files >= BATCH_FILES or self._bytes >= BATCH_BYTES:
                    yield from self._publish()
            yield from self._publish()

    def _publish(self) -> Iterator[tuple[AnySource, Outcome]]:
        for done in self._writer.publish(self._sync, patient=self._patient):
            # whoever had the same file later in the batch found it there
            for number, (source, sop_class) in enumerate(self._waiting.pop(done.staged.uids)):
                yield source, _published(source, done, sop_class, first=number == 0)
        self._files = self._bytes = 0

    def _convert(self, source: AnySource) -> Outcome | None:
        """The outcome of a source; None if it was staged, and waits to be published."""
        converter = self._writer.converter
        converter.forget()
        try:
            staged = self._stage(source)
        except NotDicom as error:
            if source.named:
                return failure(source, error)
            return Outcome(source.name, Status.SKIPPED, Reason.SUCCESS, str(error), size=source.size)
        except Exception as error:  # whatever it is, it costs the one input, and is said
            return failure(source, as_ours(error), converter.seen, converter.sop_class)
        if isinstance(staged, Present):
            warning = _KEPT if staged.kept else None
            return _taken_in(source, Status.UNCHANGED, staged, converter.sop_class, warning)
        self._waiting.setdefault(staged.uids, []).append((source, converter.sop_class))
        return None

    def _stage(self, source: AnySource) -> Staged | Present:
        with ExitStack() as stack:
            file = stack.enter_context(source.open(self._archives))
            terms = self._terms.get(id(source), _ANY)
            staged = self._writer.stage(file, terms.study, terms.allows)
            try:
                stack.close()
            except StaticWadoError:  # it was read whole, but changed meanwhile
                if isinstance(staged, Staged) and staged.uids not in self._waiting:
                    self._writer.forget(staged)
                raise
        return staged


def as_ours(error: Exception) -> StaticWadoError:
    """`error` as one of ours: what the system refused, or a fault of this program."""
    if isinstance(error, StaticWadoError):
        return error
    if isinstance(error, OSError | MemoryError):
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return StoreUnavailable(f"{type(error).__name__}: {text}")
    return StaticWadoError(f"unexpected {type(error).__name__}: {error}")


def _published(source: AnySource, done: Published, sop_class: str | None, *, first: bool) -> Outcome:
    if done.error is not None:
        return failure(source, done.error, done.staged.uids, sop_class)
    status = Status.NEW if first and (done.new or done.replaced) else Status.UNCHANGED
    warning = _KEPT if done.kept else _REPLACED if done.replaced and first else None
    return _taken_in(source, status, done.staged, sop_class, warning)


def _taken_in(
    source: AnySource,
    status: Status,
    found: Staged | Present,
    sop_class: str | None,
    warning: str | None,
) -> Outcome:
    return Outcome(
        source.name,
        status,
        Reason.SUCCESS,
        "",
        *found.uids,
        source.size,
        found.notes if warning is None else (*found.notes, warning),
        source.stamp if isinstance(source, FileSource) else None,
        sop_class,
        Reason.ELEMENTS_DISCARDED if warning is _KEPT else None,
    )


def failure(
    source: AnySource, error: StaticWadoError, uids: Uids | None = None, sop_class: str | None = None
) -> Outcome:
    """The outcome of a source that `error` kept out."""
    study, series, instance = uids or (None, None, None)
    reason = reason_of(error)
    return Outcome(
        source.name,
        Status.FAILED,
        reason,
        str(error),
        study,
        series,
        instance,
        source.size,
        sop_class=sop_class,
    )
