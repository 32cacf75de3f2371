"""The units of work of `verify`, and the processes that do them.

One rule: a task can be pickled and done again; a process that dies costs the one instance or source that
killed it.
"""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from staticwado import layout
from staticwado.archive import Archive
from staticwado.ingest.pool import process_pool
from staticwado.ingest.source import AnySource
from staticwado.ingest.verify.against import compare
from staticwado.ingest.verify.findings import Compared, Kind, Match, take_in_again
from staticwado.ingest.verify.instance import InstanceCheck, Looked, Uids
from staticwado.ingest.verify.summaries import LookedAtStudy, check_study

_AHEAD = 3
"""Tasks that wait for each process."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Some instances of one series."""

    root: str
    uids: tuple[Uids, ...]

    @property
    def study(self) -> str:
        return self.uids[0][0]


@dataclass(frozen=True, slots=True)
class Study:
    """The derived files and the bulkdata of a study."""

    root: str
    study: str


@dataclass(frozen=True, slots=True)
class Against:
    """Some sources."""

    root: str
    sources: tuple[AnySource, ...]
    study: str = ""


@dataclass(frozen=True, slots=True)
class Died:
    """The process that did a task did not live to say anything."""

    detail: str = "the process that looked at it died"


Task = Instances | Study | Against
Result = Looked | LookedAtStudy | list[Compared] | Died


def do(task: Task) -> Result:
    """Do one task, in whatever process."""
    archive = Archive.unchecked(task.root)
    if isinstance(task, Study):
        return check_study(archive, task.study)
    if isinstance(task, Against):
        return list(compare(archive, task.sources))
    looked = Looked()
    with closing(InstanceCheck(archive)) as check:
        for uids in task.uids:
            looked.add(check.check(uids))
    return looked


def work(tasks: Iterator[Task], jobs: int) -> Iterator[tuple[Task, Result]]:
    """Do all tasks, in `jobs` processes if that is more than one; results come as they are done.

    A task whose process died comes back in parts, one instance or source each, so that the rest is known.
    """
    if jobs == 1:
        yield from ((task, do(task)) for task in tasks)
        return
    while True:
        lost: list[Task] = []
        with process_pool(jobs) as pool:
            yield from _in_pool(pool, tasks, jobs, lost)
        if not lost:
            return
        for task in lost:
            yield task, _apart(task)


def _in_pool(
    pool: ProcessPoolExecutor, tasks: Iterator[Task], jobs: int, lost: list[Task]
) -> Iterator[tuple[Task, Result]]:
    """Keep the pool fed; what was under way when it broke is added to `lost`, and what waits stays."""
    under_way: dict[Future[Result], Task] = {}
    while True:
        for task in islice(tasks, 0 if lost else jobs * _AHEAD - len(under_way)):
            try:
                under_way[pool.submit(do, task)] = task
            except BrokenProcessPool:
                lost.append(task)
                break
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            task = under_way.pop(future)
            try:
                result = future.result()
            except BrokenProcessPool:
                lost.append(task)
                continue
            yield task, result


def _apart(task: Task) -> Result:
    """Do a task in parts, each in a process of its own, so that only what kills it is lost."""
    if isinstance(task, Study):
        return _alone(task)
    if isinstance(task, Against):
        rows: list[Compared] = []
        for source in task.sources:
            result = _alone(Against(task.root, (source,)))
            rows += result if isinstance(result, list) else [_unknown(source)]
        return rows
    looked = Looked()
    for uids in task.uids:
        result = _alone(Instances(task.root, (uids,)))
        if isinstance(result, Looked):
            looked.add(result)
            continue
        folder = layout.folder_of(*uids)
        looked.findings.fault(folder, Kind.UNREADABLE, Died().detail, take_in_again(folder))
        looked.damaged.add(uids)
    return looked


def _alone(task: Task) -> Result:
    with process_pool(1) as pool:
        try:
            return pool.submit(do, task).result()
        except BrokenProcessPool:
            return Died()


def _unknown(source: AnySource) -> Compared:
    return Compared(source.name, Match.UNREADABLE, Died().detail, size=source.size)
