"""The one door in: sources become instances of an archive, and a report.

One rule: every input gets an outcome, and what is reported as in is on stable storage, and in the indexes.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.ledger import Ledger, Stamp, Uids
from staticwado.errors import StaticWadoError, StoreUnavailable
from staticwado.ingest.batch import (
    BATCH_BYTES,
    BATCH_FILES,
    CODED_BYTES,
    CODED_FILES,
    Batch,
    convert_batch,
    divide,
    failure,
)
from staticwado.ingest.catalogue import begin_catalog
from staticwado.ingest.housekeeping import clear_up
from staticwado.ingest.listing import find_sources
from staticwado.ingest.outcome import Outcome, Reason, Report, Status
from staticwado.ingest.pool import convert_all, convert_elsewhere
from staticwado.ingest.quarantine import quarantine
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.settle import settle
from staticwado.ingest.source import AnySource, FileSource

MOST_JOBS = 8
SPARE_BYTES = 64 << 20
"""Free space beyond the size of the input that must be there before work begins."""


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What `mkdicomweb create` can be told."""

    jobs: int = 0
    """Processes; 0: as many as pay."""
    thumbnails: bool = True
    """Make thumbnails."""
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
    transcode: Transcode = "none"
    """Into what natively stored frames are transcoded, losslessly."""
    trash_retention: float = 30.0
    """Days for which what was deleted is kept in the trash; 0: not at all."""
    dask: str | None = None
    """Address of a Dask scheduler; this release knows none."""

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise ValueError(f"jobs is {self.jobs}; it is a number of processes, or 0 for as many as pay")
        if not 0 <= self.trash_retention <= 36_500:
            raise ValueError(f"trash-retention is {self.trash_retention}; it is from 0 to 36500 days")
        for name, usual in (("frames", "copy"), ("dask", None)):
            if getattr(self, name) != usual:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} comes with a later release; now it is {usual}"
                )


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


@dataclass(slots=True)
class _Run:
    """A run, and what it has learned so far."""

    archive: Archive
    options: CreateOptions
    on_progress: OnProgress
    report: Report = field(default_factory=Report)
    sources: list[AnySource] = field(default_factory=list)
    known: int = 0
    needed: int = 0
    """Bytes of sources that the archive is not known to have."""
    total: int = 0
    bytes: int = 0
    failed: int = 0
    begun: bool = False
    """The archive was written to."""

    def tell(self, stage: str = "converting") -> None:
        files, total = len(self.report.outcomes), len(self.sources) + self.known
        self.on_progress(Progress(files, total, self.bytes, self.total, self.failed, stage))

    def take(self, outcome: Outcome) -> None:
        self.report.outcomes.append(outcome)
        self.bytes += outcome.size
        self.failed += outcome.status is Status.FAILED
        self.tell()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """What an interrupt may end; it does not end what follows."""
        try:
            yield
        except KeyboardInterrupt:
            self.report.interrupted = True


def create(
    archive: Archive,
    paths: Sequence[str],
    options: CreateOptions,
    on_progress: OnProgress = lambda progress: None,
    executor: Executor | None = None,
) -> Report:
    """Take in everything below `paths`; the report tells what became of each input.

    An interrupt ends the work, and the report tells how far it came; another one ends the making of indexes,
    which are then owed. If the archive cannot be written or has too little space, every input has failed.
    `executor`, where given, does the work; it must run functions of this package in other processes.
    """
    run = _Run(archive, options, on_progress)
    with run.interruptible():
        _sort_out(run, paths)
        if _prepare(run):
            run.tell()
            _work(run, executor)
    if run.begun:
        with run.interruptible():
            run.tell("indexing")
            _settle(run)
            run.tell("done")
    if options.quarantine is not None and not options.dry_run:
        with run.interruptible():
            failed = {one.source for one in run.report.outcomes if one.status is Status.FAILED}
            wanted = (source for source in run.sources if source.name in failed)
            run.report.notes += quarantine(wanted, options.quarantine)
    return run.report


# -- before the work -----------------------------------------------------------------------------------------


def _sort_out(run: _Run, paths: Sequence[str]) -> None:
    """Find the sources: what has to be read, and what is known to be unchanged."""
    archive, options = run.archive, run.options
    leave_out = [archive.root, *([str(options.quarantine)] if options.quarantine else [])]
    with closing(Ledger(archive.store.path(layout.LEDGER))) as ledger:
        for source in find_sources(paths, leave_out):
            uids = _recorded(archive, ledger, source)
            if uids is not None and not options.force:
                row = Outcome(source.name, Status.UNCHANGED, Reason.SUCCESS, "", *uids, source.size)
                run.report.outcomes.append(row)
                run.known += 1
                continue
            run.sources.append(source)
            run.total += source.size
            run.needed += 0 if uids else source.size


def _recorded(archive: Archive, ledger: Ledger, source: AnySource) -> Uids | None:
    if not isinstance(source, FileSource):
        return None
    found = ledger.find(os.path.abspath(source.name))
    if found is None or found[0] != source.stamp or not archive.exists(*found[1]):
        return None
    return found[1]


def _prepare(run: _Run) -> bool:
    """Make the archive ready to be written to; whether it is. If not, every source has failed."""
    if run.options.dry_run:
        return True
    try:
        _check_space(run)
        run.archive.create_marker()
        begin_catalog(run.archive)
        run.report.notes += clear_up(run.archive, timedelta(days=run.options.trash_retention))
    except StoreUnavailable as error:
        run.report.faults.append(str(error))
        for source in run.sources:
            run.take(failure(source, error))
        return False
    run.begun = True
    return True


def _check_space(run: _Run) -> None:
    free = run.archive.store.free_bytes()
    if run.needed and run.needed + SPARE_BYTES > free:
        raise StoreUnavailable(
            f"{run.archive.root} has {free:,} bytes free; the input has {run.needed:,}, and {SPARE_BYTES:,} "
            "are to stay free: nothing was written"
        )


# -- the work ------------------------------------------------------------------------------------------------


def jobs_that_pay(batches: int, options: CreateOptions) -> int:
    """How many processes to use: copying alone gains little, decoding for thumbnails gains all of a core."""
    if options.jobs:
        return options.jobs
    paying = batches // 2 if options.transcode == "none" else batches
    return max(1, min(os.cpu_count() or 1, MOST_JOBS, paying))


def _work(run: _Run, executor: Executor | None) -> None:
    """Convert all batches; in this process only if it was told to, as a codec may end the process it runs
    in.
    """
    options = run.options
    plain = options.transcode == "none"
    limits = (BATCH_FILES, BATCH_BYTES) if plain else (CODED_FILES, CODED_BYTES)
    batches = [
        Batch(
            run.archive.root, sources, options.thumbnails, options.strict, options.dry_run, options.transcode
        )
        for sources in divide(run.sources, *limits)
    ]
    if not batches:
        return
    if executor is None and options.jobs == 1:
        done: Iterator[Iterable[Outcome]] = map(convert_batch, batches)
    elif executor is None:
        done = convert_all(batches, jobs_that_pay(len(batches), options), strict=options.strict)
    else:
        done = convert_elsewhere(batches, executor, strict=options.strict)
    for outcomes in done:
        for outcome in outcomes:
            run.take(outcome)
        if options.strict and run.failed and options.jobs == 1:
            return


# -- after the work ------------------------------------------------------------------------------------------


def _settle(run: _Run) -> None:
    """Summaries of what changed or was left owed, then the record of which sources are in."""
    archive, report = run.archive, run.report
    new = {one.study for one in report.outcomes if one.status is Status.NEW and one.study}
    try:
        done = settle(archive, {*new, *archive.pending()})
    except StaticWadoError as error:
        report.faults.append(f"the indexes could not be brought up to date: {error}")
        return
    report.notes += done.notes
    report.faults += done.faults
    rows: list[tuple[str, Stamp, Uids]] = [
        (os.path.abspath(one.source), one.stamp, (one.study, one.series, one.instance))
        for one in report.outcomes
        if one.ok and one.stamp is not None and one.study and one.series and one.instance
    ]
    try:
        Ledger(archive.store.path(layout.LEDGER)).record(rows)
    except StoreUnavailable as error:
        report.notes.append(f"the next run will read all of this again: {error}")
