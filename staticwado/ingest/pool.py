"""Batches in several processes.

One rule: a process that dies costs the one input that killed it; an interrupt ends all of them at once, and
none outlives the process that started it.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from staticwado.ingest.batch import Batch, convert_alone
from staticwado.ingest.outcome import Outcome, Reason, Status

_PR_SET_PDEATHSIG = 1


def convert_all(batches: Sequence[Batch], jobs: int, *, strict: bool) -> Iterator[list[Outcome]]:
    """The outcomes of each batch as it is done, in `jobs` processes; nothing new begins after a failure if
    `strict`.
    """
    waiting = list(batches)
    while waiting:
        died: list[Batch] = []
        failed = False
        with process_pool(jobs) as pool:
            for outcomes in _collect(pool, waiting, died, strict=strict):
                failed = failed or _has_failed(outcomes)
                yield outcomes
        if strict and failed:
            return
        # Those that were being worked on come first: batches are handed out in order, one ahead of each
        # process.
        for batch in died[: jobs + 1]:
            outcomes = _one_by_one(batch)
            yield outcomes
            if strict and _has_failed(outcomes):
                return
        waiting = died[jobs + 1 :]


def convert_elsewhere(
    batches: Sequence[Batch], executor: Executor, *, strict: bool
) -> Iterator[list[Outcome]]:
    """The same with an executor that runs functions of this package in other processes."""
    yield from _collect(executor, batches, [], strict=strict)


def _has_failed(outcomes: list[Outcome]) -> bool:
    return any(outcome.status is Status.FAILED for outcome in outcomes)


def _collect(
    pool: Executor, batches: Sequence[Batch], died: list[Batch], *, strict: bool
) -> Iterator[list[Outcome]]:
    """Outcomes of batches as they are done; adds to `died`, in order, those whose process was lost."""
    futures: list[Future[list[Outcome]]] = [pool.submit(convert_alone, batch) for batch in batches]
    lost = set()
    for future in as_completed(futures):
        if future.cancelled():
            continue
        try:
            outcomes = future.result()
        except BrokenProcessPool:
            lost.add(future)
            continue
        yield outcomes
        if strict and _has_failed(outcomes):
            for other in futures:
                other.cancel()
    died += [batch for future, batch in zip(futures, batches, strict=True) if future in lost]


@contextlib.contextmanager
def process_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """`jobs` processes that end with this one, and at once if an exception ends the block."""
    pool = ProcessPoolExecutor(jobs, mp_context=_context(), initializer=_begin, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _context() -> "multiprocessing.context.BaseContext":
    """Forking is cheap, and safe where nothing has started a thread; elsewhere processes start afresh."""
    forks = sys.platform.startswith("linux") and threading.active_count() == 1
    return multiprocessing.get_context("fork" if forks else "spawn")


def _begin(parent: int) -> None:
    """Make a new process leave interrupts to its parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _one_by_one(batch: Batch) -> list[Outcome]:
    """A batch whose process died: each source in a process of its own, so that one bad input costs itself
    alone.
    """
    outcomes: list[Outcome] = []
    for one in batch.split():
        died: list[Batch] = []
        with process_pool(1) as pool:
            for found in _collect(pool, [one], died, strict=False):
                outcomes += found
        if died:
            source = one.sources[0]
            detail = "the process that read it died"
            outcomes.append(
                Outcome(source.name, Status.FAILED, Reason.PROCESSING_FAILURE, detail, size=source.size)
            )
        if batch.strict and _has_failed(outcomes):
            break
    return outcomes
