"""A campaign: numbered cases in forked workers under limits; what is not one of our errors is a finding.

One rule: a case is known by (target, seed, number) alone. Cases come in blocks that share a worker's state,
so a case is replayed by running its block up to it.
"""

import contextlib
import faulthandler
import gc
import json
import math
import mmap
import os
import re
import resource
import signal
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Protocol

BLOCK = 64
"""Cases that share the state of a worker: a converter that has seen their seed file."""
STUCK = 300.0
"""Seconds by the clock after which a worker that does not move is killed."""
_CLOCK = struct.Struct("<Qd")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one case may take."""

    seconds: float = 5.0
    """Of processor time."""
    memory: int = 256 << 20
    """Bytes of address space that the worker may have beyond what it has before the first case."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A case that did what it must not do."""

    target: str
    seed: int
    case: int
    kind: str
    """Type of the exception, `hang`, `crash` or `memory`."""
    place: str
    """Where in this package it was raised."""
    detail: str

    @property
    def group(self) -> str:
        return f"{self.kind} at {self.place}: {re.sub('[0-9]+', 'N', self.detail)[:110]}"


@dataclass(slots=True)
class Totals:
    """What a campaign came to."""

    cases: int = 0
    seconds: float = 0.0
    peak: int = 0
    """Resident bytes of the largest worker."""
    growth: int = 0
    """By how much the largest of them grew over what it had before its first case."""
    slowest: float = 0.0
    """Seconds of processor time of the slowest case."""
    slowest_case: int = -1
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Totals") -> None:
        self.cases += other.cases
        self.peak, self.growth = max(self.peak, other.peak), max(self.growth, other.growth)
        if other.slowest > self.slowest:
            self.slowest, self.slowest_case = other.slowest, other.slowest_case
        self.outcomes.update(other.outcomes)
        self.findings += other.findings


class Broken(AssertionError):
    """An input was taken in and is not what it was, or was refused and left something behind."""


class TooSlow(BaseException):
    """The processor time of a case is over; no `except Exception` may catch it."""


class Target(Protocol):
    """What is fuzzed."""

    name: str
    limits: Limits

    def begin(self, seed: int, block: int) -> None:
        """Make the state that the cases of a block share."""
        ...

    def case(self, seed: int, number: int) -> bytes:
        """The bytes of a case of the block that was begun."""
        ...

    def run(self, data: bytes) -> str:
        """What became of them, in a word; raises for a finding."""
        ...

    def end(self) -> None:
        """Throw the state of the block away."""
        ...


Tell = Callable[[Totals], None]


def run_campaign(
    target: Target, seed: int, cases: range, *, tell: Tell = lambda totals: None, keep: Path | None = None
) -> Totals:
    """Run `cases` in one forked worker after the other; each takes over where one ended.

    `keep` is a folder that takes the bytes of findings.
    """
    totals, begun = Totals(), time.monotonic()
    number = cases.start
    with contextlib.closing(mmap.mmap(-1, _CLOCK.size)) as clock:
        while number < cases.stop:
            reached = _one_worker(target, seed, range(number, cases.stop), clock, totals, tell, keep)
            totals.seconds = time.monotonic() - begun
            number = reached
    return totals


def _one_worker(
    target: Target, seed: int, cases: range, clock: mmap.mmap, totals: Totals, tell: Tell, keep: Path | None
) -> int:
    """Run cases in a forked worker until all are done or it dies; returns the case to go on with."""
    _CLOCK.pack_into(clock, 0, cases.start, time.monotonic())
    reading, writing = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(reading)
        code = 1
        try:
            _work(target, seed, cases, clock, writing, keep)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    killed = False
    done = cases.start
    with open(reading, "rb", buffering=0) as pipe:
        for line in _lines(pipe.fileno(), lambda: _kill_if_stuck(worker, clock)):
            part = json.loads(line)
            done = part.pop("done")
            part["outcomes"] = Counter(part["outcomes"])
            part["findings"] = [Finding(**one) for one in part["findings"]]
            totals.add(Totals(**part))
            tell(totals)
    _, status = os.waitpid(worker, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return cases.stop
    at, since = _CLOCK.unpack_from(clock, 0)
    killed = time.monotonic() - since > STUCK
    killed = killed or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
    how = "hang" if killed else "crash"
    why = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
    totals.cases += at - done + 1
    totals.findings.append(Finding(target.name, seed, at, how, "worker", why))
    target.begin(seed, at // BLOCK)
    _keep(keep, target, seed, at)
    target.end()
    return int(at) + 1


def _kill_if_stuck(worker: int, clock: mmap.mmap) -> None:
    _, since = _CLOCK.unpack_from(clock, 0)
    if time.monotonic() - since > STUCK:
        os.kill(worker, signal.SIGKILL)


def _lines(descriptor: int, idle: Callable[[], None]) -> Iterator[bytes]:
    import select

    held = b""
    while True:
        if not select.select([descriptor], [], [], 5.0)[0]:
            idle()
            continue
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *whole, held = (held + data).split(b"\n")
        yield from whole


# -- in the worker -------------------------------------------------------------------------------------------


def _work(target: Target, seed: int, cases: range, clock: mmap.mmap, writing: int, keep: Path | None) -> None:
    faulthandler.disable()
    target.begin(seed, cases.start // BLOCK)
    target.end()
    gc.freeze()  # what is there now stays, and need not be looked at again and again
    before = _status("VmSize")
    resident = _status("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (before + target.limits.memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _too_slow)
    for block in range(cases.start // BLOCK, -(-cases.stop // BLOCK)):
        part = Totals()
        numbers = range(max(cases.start, block * BLOCK), min(cases.stop, (block + 1) * BLOCK))
        target.begin(seed, block)
        for number in numbers:
            _CLOCK.pack_into(clock, 0, number, time.monotonic())
            _let_the_system_end_it(target.limits.seconds)
            finding = run_case(target, seed, number, part)
            part.cases += 1
            if finding is not None:
                part.findings.append(finding)
                _keep(keep, target, seed, number)
                _write(writing, _to_line(part, number + 1))  # the next case may end this process
                part = Totals()
        target.end()
        part.peak = _status("VmHWM")
        part.growth = max(0, part.peak - resident)
        _write(writing, _to_line(part, numbers.stop))


def _let_the_system_end_it(seconds: float) -> None:
    """No exception passes through a library that does not return: then the whole worker ends, later."""
    last = math.ceil(time.process_time() + 2 * seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (last, resource.RLIM_INFINITY))


def _to_line(part: Totals, done: int) -> bytes:
    row = {one.name: getattr(part, one.name) for one in fields(Totals)}
    row["findings"] = [asdict(finding) for finding in part.findings]
    return json.dumps({**row, "done": done}).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def run_case(target: Target, seed: int, number: int, totals: Totals) -> Finding | None:
    """Run one case of a block that was begun; what it did wrong, if anything."""
    data = target.case(seed, number)
    begun = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_PROF, target.limits.seconds)
        try:
            totals.outcomes[target.run(data)] += 1
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except TooSlow:
        return Finding(target.name, seed, number, "hang", "", f"more than {target.limits.seconds} seconds")
    except Exception as error:
        kind = "memory" if isinstance(error, MemoryError) else type(error).__name__
        return Finding(target.name, seed, number, kind, _place(error), str(error)[:300])
    finally:
        taken = time.process_time() - begun
        if taken > totals.slowest:
            totals.slowest, totals.slowest_case = taken, number
    return None


def _place(error: BaseException) -> str:
    """The innermost line of this project that `error` passed."""
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if "/staticwado/" in frame.filename]
    found = found or list(traceback.extract_tb(error.__traceback__))
    return f"{Path(found[-1].filename).name}:{found[-1].lineno} {found[-1].name}" if found else ""


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _status(name: str) -> int:
    """Bytes that the system says this process has; 0 where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def _keep(folder: Path | None, target: Target, seed: int, number: int) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{target.name}-{seed}-{number}").write_bytes(target.case(seed, number))
