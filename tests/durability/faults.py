"""Calls of the store that fail, one at a time or from one on, and what must hold nevertheless.

One rule: the cause goes away again, and then everything works; whoever was told success still has it.
"""

import errno
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from staticwado.errors import StaticWadoError
from tests.durability.acting import Site
from tests.durability.calls import Calls
from tests.durability.judging import judge
from tests.durability.killing import Base
from tests.durability.promises import GONE
from tests.durability.watching import watched

ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES, errno.EROFS, errno.EINTR)
SHORT = 0
"""Instead of an error: a write takes one byte only."""
_CHANGING = frozenset("create write mkdir rename link unlink rmdir truncate fsync syncfs".split())


class Breaker:
    """Makes call `number` fail with `error`; `lasting`: all others that can, too, from there on."""

    def __init__(self, number: int, error: int, *, lasting: bool = False) -> None:
        self.number = number
        self.error = error
        self.lasting = lasting
        self.count = 0
        self.broke = ""
        self._lock = threading.Lock()

    def __call__(self, name: str, path: str) -> int | None:
        with self._lock:
            self.count += 1
            later = self.lasting and self.count > self.number and name in self._failing()
            if self.count != self.number and not later:
                return None
            self.broke = self.broke or f"{name} of {os.path.basename(path)}"
        if self.error == SHORT:
            return 1 if name == "write" else None
        raise OSError(self.error, os.strerror(self.error), path)

    def _failing(self) -> frozenset[str]:
        return _CHANGING | {"open", "listdir", "scandir"} if self.error == errno.EMFILE else _CHANGING


@dataclass(slots=True)
class Broken:
    """What came of breaking calls."""

    runs: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Broken") -> None:
        self.runs += other.runs
        self.wrong += other.wrong


def break_at(base: Base, place: Path, number: int, error: int, *, lasting: bool = False) -> Broken:
    """Run a story with a failing call, judge, mend, run it again and judge again."""
    site = base.copy(place)
    breaker = Breaker(number, error, lasting=lasting)
    said = "short write" if error == SHORT else errno.errorcode[error]
    result = Broken(1)
    before = _descriptors()
    try:
        with watched(Calls(str(site.root), breaker)):
            base.workload.run(site)
    except StaticWadoError:
        pass  # told, and not acknowledged
    except Exception as raised:
        result.wrong.append(f"raised {type(raised).__name__}: {raised}")
    if _descriptors() > before:
        gc.collect()
        if _descriptors() > before:
            result.wrong.append(f"{_descriptors() - before} descriptors leaked")
    result.wrong += judge(site.root, site.promises.owed)
    result.wrong += [f"mended: {one}" for one in _again(base, site)]
    where = f"{base.workload.name}, call {number} ({breaker.broke}) {said}{' and on' if lasting else ''}: "
    result.wrong = [where + one for one in result.wrong]
    return result


def _again(base: Base, site: Site) -> Iterator[str]:
    """What is wrong when the story is told again without a fault."""
    try:
        base.workload.run(site)
    except Exception as raised:
        yield f"raised {type(raised).__name__}: {raised}"
    yield from judge(site.root, site.promises.owed)
    for place, contents in site.promises.owed.items():
        if len(contents) > 1 and GONE in contents:
            yield f"{place} was not taken in"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def failing_sync(number: int) -> Iterator[Breaker]:
    """A breaker of the sync that comes as `number`, with EIO."""
    syncs = 0

    class _Sync(Breaker):
        def __call__(self, name: str, path: str) -> int | None:
            nonlocal syncs
            if name in ("fsync", "syncfs"):
                syncs += 1
                if syncs == number:
                    self.broke = f"{name} {number}"
                    raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return None

    yield _Sync(0, errno.EIO)
