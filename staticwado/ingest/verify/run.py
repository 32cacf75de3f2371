"""`mkdicomweb verify`: reads all of an archive, changes nothing, and says what is wrong.

One rule: nothing is said of a file at which a writer may be working before it was looked at again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StaticWadoError
from staticwado.ingest.batch import divide
from staticwado.ingest.listing import find_sources
from staticwado.ingest.pipeline import MOST_JOBS, Progress
from staticwado.ingest.verify.findings import (
    NOTHING,
    Compared,
    Findings,
    Kind,
    Match,
    Matter,
    Verified,
    take_in_again,
)
from staticwado.ingest.verify.instance import Looked, Uids
from staticwado.ingest.verify.keys import walk
from staticwado.ingest.verify.summaries import LookedAtStudy
from staticwado.ingest.verify.tasks import Against, Died, Instances, Result, Study, Task, work
from staticwado.ingest.verify.whole import check_index, check_ledger, check_marker

INSTANCES_A_TASK = 100
BYTES_A_PROCESS = 32 << 20
"""A process more is worth its start for so many bytes more."""

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What `mkdicomweb verify` can be told."""

    jobs: int = 0
    """Processes; 0: as many as pay."""
    against: tuple[str, ...] | None = None
    """Sources to compare the archive with; None: none."""

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise ValueError(f"jobs is {self.jobs}; it is a number of processes, or 0 for as many as pay")


def verify(root: str, options: VerifyOptions, on_progress: OnProgress = lambda _: None) -> Verified:
    """Look at the whole archive in `root`, and compare it with sources.

    Raises ConfigurationError if it is no archive, or one of another layout.
    """
    archive = Archive.unchecked(root)
    run = _Run(archive, options, on_progress)
    check_marker(archive, run.findings)
    run.look_at_names()
    run.look_at_studies()
    run.findings.add(check_index(archive, run.entries, run.owed, run.unknown))
    check_ledger(archive, run.findings)
    compared = None if options.against is None else tuple(run.compare(options.against))
    run.findings.faults.sort(key=lambda fault: (fault.key, fault.detail))
    run.findings.notes.sort(key=lambda note: (note.key, note.detail))
    return Verified(run.findings, compared)


@dataclass(slots=True)
class _StudyInWork:
    """What is known of a study whose tasks are not all done."""

    tasks: int = 0
    values: set[str] = field(default_factory=set)
    """Addresses of bulkdata that its instances refer to."""
    looked: LookedAtStudy = field(default_factory=LookedAtStudy)


@dataclass(slots=True)
class _Run:
    """A run, and what it has learned so far."""

    archive: Archive
    options: VerifyOptions
    on_progress: OnProgress
    findings: Findings = field(default_factory=Findings)
    entries: dict[str, bytes | None] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    """Studies of which an instance could not be read."""
    damaged: set[Uids] = field(default_factory=set)
    in_work: dict[str, _StudyInWork] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    instances: int = 0

    def tell(self, done: int, stage: str = "verifying") -> None:
        counts, faults = self.findings.counts, len(self.findings.faults)
        size = max(self.bytes, counts.bytes)
        self.on_progress(Progress(done, self.instances, counts.bytes, size, faults, stage))

    def look_at_names(self) -> None:
        walked = walk(self.archive)
        self.findings.add(walked.findings)
        self.bytes, self.instances = walked.bytes, walked.instances

    # -- studies and instances -------------------------------------------------------------------------------

    def look_at_studies(self) -> None:
        for task, result in work(self._tasks(), self._jobs(self.bytes)):
            self._take(task, result)
            self.tell(self.findings.counts.instances)

    def _jobs(self, size: int) -> int:
        most = self.options.jobs or min(os.cpu_count() or 1, MOST_JOBS, 1 + size // BYTES_A_PROCESS)
        return max(1, most)

    def _tasks(self) -> Iterator[Task]:
        for study in self.archive.studies():
            state = self.in_work[study] = _StudyInWork(tasks=1)
            for task in self._tasks_of_instances(study):
                state.tasks += 1
                yield task
            yield Study(self.archive.root, study)

    def _tasks_of_instances(self, study: str) -> Iterator[Task]:
        for series in self.archive.series(study):
            folders = self.archive.instance_folders(study, series)
            while some := tuple(islice(folders, INSTANCES_A_TASK)):
                yield Instances(self.archive.root, tuple((study, series, one) for one in some))

    def _take(self, task: Task, result: Result) -> None:
        study = task.study
        state = self.in_work[study]
        if isinstance(result, Looked):
            self.findings.add(result.findings)
            self.damaged |= result.damaged
            state.values |= result.values
        elif isinstance(result, LookedAtStudy):
            self.findings.add(result.findings)
            state.looked = result
        elif isinstance(result, Died):
            self._take_death(study, result)
        state.tasks -= 1
        if not state.tasks:
            self._finish(study, self.in_work.pop(study))

    def _take_death(self, study: str, died: Died) -> None:
        self.unknown.add(study)
        repair = f"{NOTHING}: the program is at fault, and its derived files were not compared"
        self.findings.fault(layout.folder_of(study), Kind.UNREADABLE, died.detail, repair)

    def _finish(self, study: str, state: _StudyInWork) -> None:
        """All of a study was looked at: what does not fit together?"""
        looked = state.looked
        self.entries[study] = looked.entry
        if looked.owed:
            self.owed.add(study)
        if not looked.known:
            self.unknown.add(study)
        for address in sorted(looked.bad_values & state.values):
            self._name_users(study, address)
        if looked.owed or self._has_damaged(study):
            return  # who uses a value is not known of all
        for address in sorted(self._unused(study, looked.values - state.values)):
            key = layout.stored_as(Resource(View.BULKDATA, study, bulkdata=address)).key
            detail = "no instance refers to it; a writer that did not come to its end may have left it"
            self.findings.note(key, Matter.UNUSED, f"{detail}; nothing to do, or remove it by hand")

    def _unused(self, study: str, values: set[str]) -> set[str]:
        """Those of `values` to which no instance refers, also of those that came in meanwhile."""
        if not values:
            return values
        left = set(values)
        for uids in self._instances(study):
            left -= {address for address in left if self._uses(uids, address)}
        return left

    def _instances(self, study: str) -> Iterator[Uids]:
        for series in self.archive.series(study):
            for instance in self.archive.instances(study, series):
                yield study, series, instance

    def _has_damaged(self, study: str) -> bool:
        return any(uids[0] == study for uids in self.damaged)

    def _name_users(self, study: str, address: str) -> None:
        """The instances that refer to a damaged value are damaged, too."""
        for uids in self._instances(study):
            if uids not in self.damaged and self._uses(uids, address):
                folder = layout.folder_of(*uids)
                detail = f"the bulkdata {address}, to which it refers, is damaged"
                self.findings.fault(folder, Kind.DAMAGED, detail, take_in_again(folder))
                self.damaged.add(uids)

    def _uses(self, uids: Uids, address: str) -> bool:
        try:
            views = (View.METADATA, View.SKELETON)
            return any(address.encode() in self.archive.read(Resource(view, *uids)) for view in views)
        except StaticWadoError:
            return False

    # -- sources ---------------------------------------------------------------------------------------------

    def compare(self, paths: Sequence[str]) -> Iterator[Compared]:
        """Compare the sources below `paths` with the archive; a note counts the instances that none gave."""
        sources = divide(find_sources(paths, [self.archive.root]))
        tasks = (Against(self.archive.root, some) for some in sources)
        given: set[int] = set()
        done = 0
        for _, result in work(tasks, self._jobs(self.bytes)):
            for one in result if isinstance(result, list) else ():
                if one.uids is not None and one.match in (Match.EQUAL, Match.DIFFERS):
                    given.add(hash(one.uids))
                done += 1
                yield self._proven(one)
            self.tell(done, "comparing")
        left = self.findings.counts.instances - len(given)
        if left > 0:
            detail = f"{left} instances of the archive were given by no source"
            self.findings.note(layout.STUDIES, Matter.NOT_GIVEN, detail)

    def _proven(self, one: Compared) -> Compared:
        if one.match is Match.EQUAL and one.uids in self.damaged:
            detail = "the archive took in this file, but its instance is damaged now"
            return Compared(one.source, Match.DIFFERS, detail, one.uids, one.size)
        return one
