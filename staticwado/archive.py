"""An archive: a store whose keys are those of `layout`. Typed reads and writes, compression, locks.

One rule: whoever reads gets whole files or NotFound; damage is StoreUnavailable, never an empty answer.
"""

import filecmp
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from isal import isal_zlib
from isal.igzip_lib import IsalError

from staticwado import layout
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.multipart import TAIL, split_one
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import ConfigurationError, NotFound, StoreUnavailable
from staticwado.layout import StoredAs
from staticwado.store.journal import Mark, format_note, parse_journal
from staticwado.store.local import LocalStore, Staging, Stat

COMPRESSION_LEVEL = 2
"""isal's level: 1.5 microseconds an instance of a series, twenty times faster than zlib 6."""
MARKER_BYTES = orjson.dumps({"layout": layout.VERSION}, option=orjson.OPT_APPEND_NEWLINE)
NOTHING: Mapping[tuple[str, str], Stat] = {}
_BUCKETS = 256
_INDEX_NOTES = "studies.pending"
_HEAD = 512
_CHUNK = 1 << 20
_DAMAGED: tuple[type[Exception], ...] = (IsalError, zlib.error, EOFError)  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Located:
    """A stored file that exists."""

    stored: StoredAs
    stat: Stat
    path: str
    """Where it lies in the file system."""


@dataclass(frozen=True, slots=True)
class FrameLocation:
    """Where the bytes of one frame lie: a stretch of a stored file."""

    located: Located
    part_type: str
    """Content-Type of the part: media type and `transfer-syntax` parameter."""
    offset: int
    length: int


def compress(data: bytes) -> bytes:
    """gzip without name and time, so that equal data are equal files."""
    return b"".join(compress_all([data]))


def compress_all(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """gzip of `pieces` together, in memory of one chunk; the same bytes however they are cut."""
    packer = isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, 31)
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= _CHUNK:  # the codec's output depends on how it is fed
            yield bytes(packer.compress(memoryview(waiting)[:_CHUNK].tobytes()))
            del waiting[:_CHUNK]
    yield bytes(packer.compress(bytes(waiting)) + packer.flush())


def decompress(data: bytes, name: str) -> bytes:
    """The bytes of the one gzip member that `data` is.

    Raises StoreUnavailable, which names the file, if they are damaged, cut short or followed by others.
    """
    unpacker = isal_zlib.decompressobj(31)
    try:
        unpacked = bytes(unpacker.decompress(data))
    except _DAMAGED as error:
        raise StoreUnavailable(f"{name} is damaged: {error}") from error
    if not unpacker.eof:
        raise StoreUnavailable(f"{name} is damaged: it is cut short")
    if unpacker.unused_data:
        raise StoreUnavailable(f"{name} is damaged: {len(unpacker.unused_data)} bytes follow its end")
    return unpacked


class Archive:
    """Typed access to one archive folder."""

    def __init__(self, root: str, *, create: bool = False) -> None:
        self.store = LocalStore(root)
        if not (create and self.store.stat(layout.MARKER) is None):
            self.check_marker()

    @classmethod
    def unchecked(cls, root: str) -> "Archive":
        """The archive in `root`, whatever its marker says: for whoever looks at it to find faults."""
        archive = cls.__new__(cls)
        archive.store = LocalStore(root)
        return archive

    @property
    def root(self) -> str:
        return self.store.root

    def check_marker(self) -> None:
        """Raises ConfigurationError if there is no marker or one of another layout, StoreUnavailable if it is
        damaged.
        """
        try:
            marker = orjson.loads(self.store.read(layout.MARKER))
        except NotFound:
            raise ConfigurationError(f"{self.root} is not an archive: it holds no {layout.MARKER}") from None
        except orjson.JSONDecodeError as error:
            raise StoreUnavailable(f"{self.root}/{layout.MARKER} is damaged: {error}") from error
        version = marker.get("layout") if isinstance(marker, dict) else None
        if version != layout.VERSION:
            raise ConfigurationError(
                f"{self.root} has layout {version!r}; this program reads layout {layout.VERSION}"
            )

    # -- reading ---------------------------------------------------------------------------------------------

    def locate(self, resource: Resource) -> Located | None:
        """The stored form of `resource` that exists, or None."""
        for stored in layout.candidates(resource):
            stat = self.store.stat(stored.key)
            if stat is not None:
                return Located(stored, stat, self.store.path(stored.key))
        return None

    def read(self, resource: Resource) -> bytes:
        """The bytes of `resource`, decompressed. Raises NotFound or StoreUnavailable."""
        for stored in layout.candidates(resource):
            try:
                data = self.store.read(stored.key)
            except NotFound:
                continue
            return decompress(data, stored.key) if stored.encoding else data
        raise NotFound(f"the archive holds no {resource.view.value} of {describe(resource)}")

    def read_json(self, resource: Resource) -> Any:
        """The parsed JSON of `resource`. Raises NotFound or StoreUnavailable."""
        try:
            return orjson.loads(self.read(resource))
        except orjson.JSONDecodeError as error:
            raise StoreUnavailable(f"{resource.view.value} of {describe(resource)}: {error}") from error

    def frame(self, instance: Resource, number: int) -> FrameLocation:
        """Where frame `number` (from 1) of an instance lies. Raises NotFound or StoreUnavailable."""
        resource = Resource(
            View.FRAMES,
            instance.study,
            instance.series,
            instance.instance,
            (number,),
            rendition=instance.rendition,
        )
        located = self.locate(resource)
        if located is None:
            raise NotFound(f"the archive holds no frame {number} of {describe(instance)}")
        try:
            with open(located.path, "rb", buffering=0) as file:
                part_type, offset, _ = split_one(file.read(_HEAD))
        except OSError as error:
            raise StoreUnavailable(f"{located.stored.key} could not be read: {error.strerror}") from error
        except ValueError as error:
            raise StoreUnavailable(f"{located.stored.key} is damaged: {error}") from error
        return FrameLocation(located, part_type, offset, located.stat.size - offset - len(TAIL))

    def exists(self, study: str, series: str, instance: str) -> bool:
        """Whether an instance exists: whether its metadata does."""
        return self.instance_stat(study, series, instance) is not None

    def instance_stat(self, study: str, series: str, instance: str) -> Stat | None:
        """What tells an instance from one that takes its place: of its metadata; None if there is none."""
        return self.store.stat(layout.stored_as(Resource(View.METADATA, study, series, instance)).key)

    def studies(self) -> Iterator[str]:
        """The UIDs of all study folders, sorted."""
        yield from (name for name in self.store.names(layout.STUDIES) if is_uid(name))

    def series(self, study: str) -> Iterator[str]:
        """The UIDs of the series folders of a study, sorted."""
        for name in self.store.names(f"{layout.folder_of(study)}/series"):
            if is_uid(name):
                yield name

    def instance_folders(self, study: str, series: str) -> Iterator[str]:
        """The UIDs of the instance folders of a series, sorted, whether or not there is an instance in
        them.
        """
        for name in self.store.names(f"{layout.folder_of(study, series)}/instances"):
            if is_uid(name):
                yield name

    def instances(self, study: str, series: str) -> Iterator[str]:
        """The UIDs of the instances of a series that exist (DESIGN law 4), sorted."""
        for name in self.instance_folders(study, series):
            if self.exists(study, series, name):
                yield name

    # -- writing: for ingest alone ---------------------------------------------------------------------------

    def create_marker(self) -> None:
        """Make the folder an archive, if it is none yet."""
        if self.store.stat(layout.MARKER) is None:
            self.store.write(layout.MARKER, MARKER_BYTES, layout.STAGING)

    def write(self, resource: Resource, data: bytes) -> bool:
        """Replace `resource` by `data` if that changes it; returns whether it did."""
        stored = layout.stored_as(resource)
        body = compress(data) if stored.encoding else data
        stat = self.store.stat(stored.key)
        if stat is not None and stat.size == len(body) and self.store.read(stored.key) == body:
            return False
        self.store.write(stored.key, body, layout.STAGING)
        return True

    @contextmanager
    def batch(self) -> Iterator["WriteBatch"]:
        """Several writes that become visible together, after one sync."""
        staging = self.staging()
        try:
            yield WriteBatch(self, staging)
        finally:
            staging.close()

    def remove(self, resource: Resource) -> None:
        """Remove the stored form of `resource`, if there is one."""
        self.store.remove(layout.stored_as(resource).key)

    def write_stream(self, resource: Resource, pieces: Iterable[bytes]) -> bool:
        """Replace `resource`, which is kept compressed, by `pieces` together if that changes it; whether it
        did. Nothing changes if `pieces` fail.
        """
        key = layout.stored_as(resource).key
        staging = self.staging()
        try:
            with staging.create("stream") as file:
                for packed in compress_all(pieces):
                    file.write(packed)
            target = self.store.path(key)
            if os.path.exists(target) and filecmp.cmp(staging.path("stream"), target, shallow=False):
                return False
            self.store.sync()
            staging.publish_file("stream", key)
        finally:
            staging.close()
        return True

    def staging(self) -> Staging:
        """A private folder for files that are to be published."""
        return self.store.staging(layout.STAGING)

    def clear_staging(self) -> None:
        """Remove what dead processes were writing."""
        self.store.clear_staging(layout.STAGING)

    def lock(self, name: str, *, shared: bool = False) -> AbstractContextManager[None]:
        """The lock of a study, or of the whole-archive index (`studies`), across processes.

        Who puts instances into a study shares it; who summarises the study has it alone.
        """
        return self.store.lock(f"{layout.LOCKS}/{name}", shared=shared)

    def bucket_lock(self, kind: str, study: str) -> str:
        """The name of a lock that a study shares with a few others: so there are few lock files."""
        return f"{kind}.{zlib.crc32(study.encode()) % _BUCKETS:02x}"

    def try_lock(self, name: str) -> AbstractContextManager[bool]:
        """A lock that is not waited for; says whether it is held."""
        return self.store.try_lock(f"{layout.LOCKS}/{name}")

    def shared_lock_if_known(self, name: str) -> AbstractContextManager[bool]:
        """The same, shared, for readers that must not write: nothing is locked where no writer ever was."""
        return self.store.shared_lock_if_there(f"{layout.LOCKS}/{name}")

    def mark_pending(self, study: str, instances: Iterable[tuple[str, str]] = ()) -> None:
        """Note that the summaries of a study are owed, before the study is written to; under its lock, shared
        or alone, which is held until the writing is done.

        `instances`: series and instance UIDs of what is about to become visible; without any, the whole study
        must be looked at. Adds to the study's journal by one write, and makes nothing durable.
        """
        self.store.append(f"{layout.PENDING}/{study}", format_note(instances))

    def is_pending(self, study: str) -> bool:
        """Whether summaries of a study are owed: one look at the file system."""
        return self.store.stat(f"{layout.PENDING}/{study}") is not None

    def pending_stat(self, study: str) -> Stat | None:
        """What tells one state of a study's journal from another; None if nothing is owed."""
        return self.store.stat(f"{layout.PENDING}/{study}")

    def pending_path(self, study: str) -> str:
        """Where the journal of a study lies while summaries are owed."""
        return self.store.path(f"{layout.PENDING}/{study}")

    def pending_lines(self, study: str, offset: int = 0) -> bytes:
        """The whole lines of a study's journal from `offset` on; empty if there are none."""
        key = f"{layout.PENDING}/{study}"
        try:
            with open(self.store.path(key), "rb", buffering=0) as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreUnavailable(f"{key} could not be read: {error.strerror}") from error
        return data[: data.rfind(b"\n") + 1]

    def pending_mark(self, study: str) -> Mark:
        """How far the journal of a study goes; an empty mark if there is none."""
        return Mark.of(self.pending_lines(study))

    def clear_pending(self, study: str, mark: Mark, seen: Mapping[tuple[str, str], Stat] = NOTHING) -> bool:
        """Remove the journal of a study, if it still is as `mark` says and holds nothing that was overlooked;
        whether nothing is owed now.

        `seen`: the instances (series, instance) that the summaries hold, and the metadata that were read for
        each. A writer may have added its lines before `mark` was read and renamed its instances after the
        summariser looked: what it names and what is there must be what was seen.
        """
        with self.lock(study):
            if not self.is_pending(study):
                return True
            if not self.is_summarised(study, mark, seen):
                return False
            self.store.remove(f"{layout.PENDING}/{study}")
            return True

    def is_summarised(self, study: str, mark: Mark, seen: Mapping[tuple[str, str], Stat] = NOTHING) -> bool:
        """Whether the journal of a study still is as `mark` says, and names nothing that is there and was not
        seen: for `clear_pending`.
        """
        lines = self.pending_lines(study)
        return Mark.of(lines) == mark and all(
            seen.get(one) == self.instance_stat(study, *one) for one in parse_journal(lines).instances
        )

    def mark_index(self, studies: Iterable[str]) -> None:
        """Note that the whole-archive index is owed, because of `studies`, before their own marks go."""
        with self.lock(_INDEX_NOTES, shared=True):
            # The first line end closes what a writer that died, or a power cut, left unfinished.
            lines = "".join(["\n", *(f"{one}\n" for one in studies)])
            self.store.append(layout.PENDING_INDEX, lines.encode("ascii"))

    def pending_index(self) -> tuple[list[str], int] | None:
        """The studies because of which the whole-archive index is owed, and what tells this state from the
        next one; None if it is not owed.
        """
        try:
            lines = self.store.read(layout.PENDING_INDEX)
        except NotFound:
            return None
        named = dict.fromkeys(lines.decode("latin-1").split("\n"))
        return [one for one in named if is_uid(one)], len(lines)

    def clear_index(self, size: int) -> None:
        """Note that the whole-archive index is as it should be, unless more was noted than `size` says."""
        with self.lock(_INDEX_NOTES):
            stat = self.store.stat(layout.PENDING_INDEX)
            if stat is not None and stat.size == size:
                self.store.remove(layout.PENDING_INDEX)

    def pending(self) -> list[str]:
        """Studies whose summaries are owed, sorted."""
        return [name for name in self.store.names(layout.PENDING) if is_uid(name)]


class WriteBatch:
    """Resources to be written: staged as they come, visible when published."""

    def __init__(self, archive: Archive, staging: Staging) -> None:
        self._archive = archive
        self._staging = staging
        self._staged: list[tuple[str, str]] = []

    def add(self, resource: Resource, data: bytes) -> None:
        """Stage `data` for `resource`, unless that is what it holds already."""
        stored = layout.stored_as(resource)
        body = compress(data) if stored.encoding else data
        store = self._archive.store
        stat = store.stat(stored.key)
        if stat is not None and stat.size == len(body) and store.read(stored.key) == body:
            return
        name = str(len(self._staged))
        self._staging.write(name, [body])
        self._staged.append((name, stored.key))

    @property
    def staged(self) -> int:
        """How many resources are staged."""
        return len(self._staged)

    def drop(self, after: int) -> None:
        """Forget what was staged after the first `after` resources."""
        for name, _ in self._staged[after:]:
            self._staging.discard(name)
        del self._staged[after:]

    def publish(self) -> None:
        """Sync what was staged and rename each file into its place."""
        if self._staged:
            self._archive.store.sync()
        for name, key in self._staged:
            self._staging.publish_file(name, key)
        self._staged = []


def describe(resource: Resource) -> str:
    """`resource` in words for a message."""
    words = []
    for name in ("study", "series", "instance"):
        uid = getattr(resource, name)
        if uid is not None:
            words.append(f"{name} {uid}")
    return ", ".join(words) or "the archive"
