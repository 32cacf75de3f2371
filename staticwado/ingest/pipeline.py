"""The one door in: sources become instances of an archive, and a report.

One rule: the work is done in batches that know nothing of each other, in this process or in others; what a batch
reports as in is on stable storage.
"""

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog import Ledger, Stamp, Uids
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotDicom, StaticWadoError, StoreUnavailable
from staticwado.ingest.outcome import Outcome, Reason, Report, Status, reason_of
from staticwado.ingest.source import AnySource, FileSource, find_sources
from staticwado.ingest.summarise import refresh_index, summarise
from staticwado.ingest.write import BatchWriter, Staged

BATCH_FILES = 125
BATCH_BYTES = 128 << 20
STUDIES_A_TIME = 32
MOST_JOBS = 8
SPARE_BYTES = 64 << 20
"""Free space beyond the size of the input that must be there before work begins."""


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What `mkdicomweb create` can be told."""

    jobs: int = 0
    """Processes; 0: as many as pay."""
    thumbnails: bool = True
    strict: bool = False
    """Stop at the first failure."""
    dry_run: bool = False
    """Read and report, and write nothing."""
    force: bool = False
    """Read sources that are recorded as unchanged, too."""
    quarantine: Path | None = None
    """Folder that takes a copy of what failed."""
    frames: Literal["copy", "bundle", "reference"] = "copy"
    """How frames are kept; this release knows `copy`."""
    transcode: Literal["none", "htj2k", "jls", "auto"] = "none"
    """Into what frames are transcoded; this release knows `none`."""
    dask: str | None = None
    """Address of a Dask scheduler; this release knows none."""

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise ValueError(f"jobs is {self.jobs}; it is a number of processes, or 0 for as many as pay")
        for name, usual in (("frames", "copy"), ("transcode", "none"), ("dask", None)):
            if getattr(self, name) != usual:
                raise ValueError(f"{name} {getattr(self, name)!r} comes with a later release; now it is {usual}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    files: int
    total_files: int
    bytes: int
    total_bytes: int
    failed: int
    stage: str = "converting"


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    """A unit of work; it can be pickled and done again."""

    root: str
    sources: tuple[AnySource, ...]
    thumbnails: bool
    strict: bool
    dry_run: bool


@dataclass(slots=True)
class _Run:
    """What a run has learned so far."""

    report: Report = field(default_factory=Report)
    studies: set[str] = field(default_factory=set)
    files: int = 0
    bytes: int = 0
    failed: int = 0


def create(
    archive: Archive,
    paths: Sequence[str],
    options: CreateOptions,
    on_progress: OnProgress = lambda progress: None,
    executor: Executor | None = None,
) -> Report:
    """Take in everything below `paths`. An interrupt ends the work; the report then tells how far it came.

    `executor`, where given, does the work; it must run functions of this package in other processes.
    Raises StoreUnavailable if the archive cannot be written or has too little space.
    """
    run = _Run()
    sources, known = _sort_out(archive, paths, options, run)
    total = sum(source.size for source in sources)
    _check_space(archive, total, options)
    if not options.dry_run:
        archive.create_marker()
        clear_staging(archive)
    batches = list(_batches(archive.root, sources, options))

    def tell(stage: str = "converting") -> None:
        files = len(sources) + len(known)
        on_progress(Progress(run.files + len(known), files, run.bytes, total, run.failed, stage))

    tell()
    try:
        _work(batches, options, run, tell, executor)
    except KeyboardInterrupt:
        run.report.interrupted = True
    if not options.dry_run:
        tell("indexing")
        _settle(archive, run)
        tell("done")
    _quarantine(run.report, options)
    return run.report


def settle(archive: Archive, studies: Iterable[str] | None = None) -> list[str]:
    """Make what summaries are owed: of `studies`, or of all that are pending. Returns notes."""
    owed = archive.pending() if studies is None else sorted(set(studies))
    notes = []
    for start in range(0, len(owed), STUDIES_A_TIME):
        notes += summarise(archive, owed[start : start + STUDIES_A_TIME])
    if owed or archive.locate(Resource(View.STUDIES)) is None:
        refresh_index(archive, owed)
    archive.store.sync()
    for study in owed:
        archive.clear_pending(study)
    return notes


def index(archive: Archive) -> list[str]:
    """Make every derived file again from the instances alone. Returns notes."""
    studies = list(archive.studies())
    for study in studies:
        archive.mark_pending(study)
    return settle(archive, studies)


# -- before the work ------------------------------------------------------------------------------------------------


def _sort_out(
    archive: Archive, paths: Sequence[str], options: CreateOptions, run: _Run
) -> tuple[list[AnySource], list[Outcome]]:
    """What has to be read, and the outcomes of what is known to be unchanged."""
    ledger = {} if options.force else Ledger(archive.store.path(layout.LEDGER)).load()
    sources: list[AnySource] = []
    known: list[Outcome] = []
    for source in find_sources(list(paths), archive.root):
        uids = _recorded(archive, ledger, source)
        if uids is None:
            sources.append(source)
        else:
            known.append(Outcome(source.name, Status.UNCHANGED, Reason.SUCCESS, "", *uids, source.size))
    run.report.add(known)
    return sources, known


def _recorded(archive: Archive, ledger: dict[str, tuple[Stamp, Uids]], source: AnySource) -> Uids | None:
    if not ledger or not isinstance(source, FileSource):
        return None
    found = ledger.get(os.path.abspath(source.name))
    if found is None or found[0] != source.stamp or not archive.exists(*found[1]):
        return None
    return found[1]


def _check_space(archive: Archive, needed: int, options: CreateOptions) -> None:
    if options.dry_run:
        return
    free = archive.store.free_bytes()
    if needed + SPARE_BYTES > free:
        raise StoreUnavailable(
            f"{archive.root} has {free:,} bytes free, but the input has {needed:,}; nothing was written"
        )


def clear_staging(archive: Archive) -> None:
    """Remove staging folders of processes on this machine that are gone."""
    for name in archive.store.names(layout.STAGING):
        pid = name.partition("-")[0]
        if pid.isdigit() and not _is_running(int(pid)):
            shutil.rmtree(archive.store.path(f"{layout.STAGING}/{name}"), ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _batches(root: str, sources: list[AnySource], options: CreateOptions) -> Iterator[_Batch]:
    chosen: list[AnySource] = []
    size = 0
    for source in sources:
        if chosen and (len(chosen) >= BATCH_FILES or size + source.size > BATCH_BYTES):
            yield _Batch(root, tuple(chosen), options.thumbnails, options.strict, options.dry_run)
            chosen, size = [], 0
        chosen.append(source)
        size += source.size
    if chosen:
        yield _Batch(root, tuple(chosen), options.thumbnails, options.strict, options.dry_run)


# -- the work -------------------------------------------------------------------------------------------------------


def jobs_that_pay(batches: int, options: CreateOptions) -> int:
    """How many processes to use: copying alone gains little, decoding for thumbnails gains all of a core."""
    if options.jobs:
        return options.jobs
    return max(1, min(os.cpu_count() or 1, MOST_JOBS, batches // 2))


def _work(
    batches: list[_Batch],
    options: CreateOptions,
    run: _Run,
    tell: Callable[[], None],
    executor: Executor | None,
) -> None:
    jobs = jobs_that_pay(len(batches), options)
    if executor is None and jobs <= 1:
        for batch in batches:
            if _take(run, _convert_batch(batch, run), tell) and options.strict:
                return
        return
    with executor or ProcessPoolExecutor(jobs, mp_context=_context()) as pool:
        futures = [pool.submit(_convert_alone, batch) for batch in batches]
        try:
            _collect(futures, batches, options, run, tell)
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _collect(
    futures: list["Future[list[Outcome]]"],
    batches: list[_Batch],
    options: CreateOptions,
    run: _Run,
    tell: Callable[[], None],
) -> None:
    order = {future: batch for future, batch in zip(futures, batches, strict=True)}
    for future in as_completed(futures):
        try:
            outcomes = future.result()
        except BrokenProcessPool:
            outcomes = _one_by_one(order[future])
        if _take(run, outcomes, tell) and options.strict:
            for other in futures:
                other.cancel()
            return


def _context() -> "multiprocessing.context.BaseContext":
    """Forking is cheap, and safe where nothing has started a thread; elsewhere processes start afresh."""
    return multiprocessing.get_context("fork" if sys.platform.startswith("linux") else "spawn")


def _one_by_one(batch: _Batch) -> list[Outcome]:
    """A batch whose process died: each source in a process of its own, so that one bad input costs itself alone."""
    outcomes = []
    for source in batch.sources:
        one = _Batch(batch.root, (source,), batch.thumbnails, batch.strict, batch.dry_run)
        with ProcessPoolExecutor(1, mp_context=_context()) as pool:
            try:
                outcomes += pool.submit(_convert_alone, one).result()
            except BrokenProcessPool:
                detail = "the process that read it died"
                outcomes.append(
                    Outcome(source.name, Status.FAILED, Reason.PROCESSING_FAILURE, detail, size=source.size)
                )
    return outcomes


def _take(run: _Run, outcomes: Iterable[Outcome], tell: Callable[[], None]) -> bool:
    """Add outcomes to the run as they come; whether one of them has failed."""
    failed = False
    for outcome in outcomes:
        run.report.outcomes.append(outcome)
        run.files += 1
        run.bytes += outcome.size
        if outcome.status is Status.FAILED:
            run.failed += 1
            failed = True
        if outcome.status is Status.NEW and outcome.study:
            run.studies.add(outcome.study)
        tell()
    return failed


def _convert_alone(batch: _Batch) -> list[Outcome]:
    return list(_convert_batch(batch, None))


def _convert_batch(batch: _Batch, run: _Run | None) -> Iterator[Outcome]:
    """The unit of work: convert, write and publish a batch of sources."""
    archive = Archive(batch.root, create=True)
    writer = BatchWriter(archive, thumbnails=batch.thumbnails, dry_run=batch.dry_run)
    waiting: dict[int, tuple[AnySource, Staged]] = {}
    try:
        for source in batch.sources:
            outcome = _convert_one(writer, source, waiting)
            if outcome is None:
                continue
            yield outcome
            if outcome.status is Status.FAILED and batch.strict:
                break
        if batch.dry_run:
            for source, staged in waiting.values():
                yield _outcome(source, Status.NEW, staged.uids, staged.warnings)
            return
        for staged, error, new in writer.publish():
            source = waiting[id(staged)][0]
            if error is not None:
                yield _failure(source, error, staged.uids)
            else:
                status = Status.NEW if new else Status.UNCHANGED
                yield _outcome(source, status, staged.uids, staged.warnings)
    finally:
        writer.close()


def _convert_one(
    writer: BatchWriter, source: AnySource, waiting: dict[int, tuple[AnySource, Staged]]
) -> Outcome | None:
    """The outcome of a source that was not staged; None, and it waits to be published, if it was."""
    try:
        with source.open() as file:
            staged = writer.stage(file)
    except NotDicom as error:
        if source.named:
            return _failure(source, error)
        return Outcome(source.name, Status.SKIPPED, Reason.SUCCESS, str(error), size=source.size)
    except StaticWadoError as error:
        return _failure(source, error)
    except (OSError, MemoryError, RecursionError) as error:
        return _failure(source, StoreUnavailable(f"{type(error).__name__}: {error}"))
    if isinstance(staged, Staged):
        waiting[id(staged)] = (source, staged)
        return None
    return _outcome(source, Status.UNCHANGED, (staged.study, staged.series, staged.instance), staged.notes)


def _outcome(source: AnySource, status: Status, uids: Uids, warnings: tuple[str, ...]) -> Outcome:
    stamp = source.stamp if isinstance(source, FileSource) else None
    return Outcome(source.name, status, Reason.SUCCESS, "", *uids, source.size, warnings, stamp)


def _failure(source: AnySource, error: StaticWadoError, uids: Uids | None = None) -> Outcome:
    study, series, instance = uids or (None, None, None)
    return Outcome(
        source.name, Status.FAILED, reason_of(error), str(error), study, series, instance, source.size
    )


# -- after the work -------------------------------------------------------------------------------------------------


def _settle(archive: Archive, run: _Run) -> None:
    """Summaries of what changed or was left owed, then the record of which sources are in."""
    run.report.notes += settle(archive, {*run.studies, *archive.pending()})
    rows: list[tuple[str, Stamp, Uids]] = []
    for one in run.report.outcomes:
        if one.ok and one.stamp is not None and one.study and one.series and one.instance:
            rows.append((os.path.abspath(one.source), one.stamp, (one.study, one.series, one.instance)))
    Ledger(archive.store.path(layout.LEDGER)).record(rows)


def _quarantine(report: Report, options: CreateOptions) -> None:
    """Copy files that have failed, for somebody to look at; a file never replaces another."""
    if not options.quarantine or options.dry_run:
        return
    for outcome in report.outcomes:
        if outcome.status is not Status.FAILED or not os.path.isfile(outcome.source):
            continue
        os.makedirs(options.quarantine, exist_ok=True)
        name, number = os.path.basename(outcome.source), 1
        while os.path.exists(os.path.join(options.quarantine, name)):
            name = f"{os.path.basename(outcome.source)}.{number}"
            number += 1
        try:
            shutil.copyfile(outcome.source, os.path.join(options.quarantine, name))
        except OSError as error:
            report.notes.append(f"{outcome.source} could not be copied to quarantine: {error.strerror}")


