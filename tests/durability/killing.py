"""Real processes that are killed: at a call of the store that is named by its number, or at a random moment.

One rule: what a process said before it died is all that is known of it; it is said through a pipe.
"""

import json
import os
import random
import shutil
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.durability.acting import Site
from tests.durability.calls import Calls
from tests.durability.judging import judge
from tests.durability.promises import Owed, Promises
from tests.durability.watching import watched
from tests.durability.workloads import Workload


@dataclass(slots=True)
class Base:
    """An archive as it is before a story, to be copied for each kill."""

    workload: Workload
    folder: Path
    owed: Owed

    @classmethod
    def make(cls, workload: Workload, place: Path) -> "Base":
        site = Site(place / "base" / "archive", place / "base" / "sources", Promises())
        site.root.mkdir(parents=True)
        workload.begin(site)
        return cls(workload, place / "base", site.promises.owed)

    def copy(self, place: Path) -> Site:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder, place)
        promises = Promises()
        promises.owed = self.owed
        return Site(place / "archive", place / "sources", promises)


class Countdown:
    """Kills this process at call `number`; `torn`: lets that call write one byte, and kills at the next."""

    def __init__(self, number: int | None, *, torn: bool = False) -> None:
        self.number = number
        self.torn = torn
        self.count = 0
        self.names: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str, path: str) -> int | None:
        with self._lock:
            self.count += 1
            self.names.append(name)
            if self.number is None or self.count < self.number:
                return None
            if self.torn and self.count == self.number and name == "write":
                return 1
            os.kill(os.getpid(), signal.SIGKILL)
        return None


def count_calls(base: Base, place: Path) -> int:
    """How many calls the story of a workload makes."""
    site, counter = base.copy(place), Countdown(None)
    with watched(Calls(str(site.root), counter)):
        base.workload.run(site)
    return counter.count


def in_child(work: Callable[[int], None]) -> tuple[int, int]:
    """Run `work` in a process of its own: (its id, the end of the pipe to which `work` writes)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        os.close(reading)
        work(writing)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def _tell(writing: int, owed: Owed) -> None:
    os.write(writing, json.dumps({uid: sorted(one) for uid, one in owed.items()}).encode() + b"\n")


def heard(reading: int, before: Owed) -> Owed:
    """What a process said last."""
    with os.fdopen(reading, "rb") as pipe:
        lines = [line for line in pipe.read().split(b"\n") if line]
    if not lines:
        return before
    return {uid: frozenset(one) for uid, one in json.loads(lines[-1]).items()}


@dataclass(slots=True)
class Kills:
    """What came of killing."""

    kills: int = 0
    ended: int = 0
    """Processes that were done before they were to be killed."""
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Kills") -> None:
        self.kills += other.kills
        self.ended += other.ended
        self.wrong += other.wrong


def kill_at(base: Base, place: Path, number: int, *, torn: bool = False) -> Kills:
    """Run a story until its call `number`, kill it there, start again and judge."""
    site = base.copy(place)

    def work(writing: int) -> None:
        promises = Promises(lambda owed: _tell(writing, owed))
        promises.owed = base.owed
        with watched(Calls(str(site.root), Countdown(number, torn=torn))):
            base.workload.run(Site(site.root, site.sources, promises))

    child, reading = in_child(work)
    owed = heard(reading, base.owed)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    result = Kills(int(killed), int(not killed))
    # A write that took one byte only may be told as an error, before there is a next call.
    if not killed and not torn and os.waitstatus_to_exitcode(status) != 0:
        result.wrong.append(f"{base.workload.name}: it ended with an error before call {number}")
    where = f"{base.workload.name}, killed at call {number}{' (torn)' if torn else ''}: "
    result.wrong += [where + one for one in judge(site.root, owed)]
    return result


def kill_writers(
    base: Base, place: Path, writers: Sequence[Workload], longest: float, chance: random.Random
) -> Kills:
    """Run several writers on one archive at once, kill all within `longest` seconds, start again and judge.

    Each promises for instances of its own; all of them must hold.
    """
    site = base.copy(place)
    children = []
    for number, workload in enumerate(writers):

        def work(writing: int, workload: Workload = workload, number: int = number) -> None:
            promises = Promises(lambda owed: _tell(writing, owed))
            workload.run(Site(site.root, site.sources.with_name(f"sources-{number}"), promises))

        children.append(in_child(work))
    result = Kills()
    timers = []
    for child, _ in children:
        timer = threading.Timer(chance.random() * longest, _kill, [child])
        timer.start()
        timers.append(timer)
    owed = dict(base.owed)
    for _, reading in children:
        owed |= heard(reading, {})
    for timer in timers:
        timer.join()
    for child, _ in children:
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        result.kills += killed
        result.ended += not killed
    names = ", ".join(one.name for one in writers)
    result.wrong += [f"{names}, killed at random: {one}" for one in judge(site.root, owed)]
    return result


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)  # it is ours until it was waited for
