"""Worker processes: decoding, encoding and drawing, away from the process that answers.

The server makes one `Workers` and one `Results` and hands them to the retrieve functions as `Wanted.workers`
and `Wanted.results`. `call` blocks: a retrieve function that needs it is called in a thread, or gives back a
`Later` (web/answer.py).

One rule: whatever a call does to its process, the caller gets an answer in time, and the next call a process.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from staticwado.errors import Busy, StaticWadoError, StoreUnavailable, Unsupported

T = TypeVar("T")

TIME_LIMIT = 60.0
"""Seconds that one call may take, unless the options say otherwise."""
_WAITING = 256
"""Calls that may wait for a process; more are refused at once."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: BaseProcess
    pipe: "Connection[Any, Any]"


class Workers:
    """Up to `processes` processes, each started when it is first needed, that run one call at a time."""

    def __init__(self, processes: int, time_limit: float = TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._turns = threading.BoundedSemaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._waiting = 0
        self._closed = False

    def call(self, function: Callable[..., T], *args: object) -> T:
        """What `function`, which is at the top level of a module of this package, gives for `args`.

        Raises what the function raises; Unsupported if it takes too long or its process dies;
        Busy if no process is free in time; StoreUnavailable if none can be started.
        """
        # Before a process is taken: what cannot be sent must not cost one.
        message = pickle.dumps((function, args), pickle.HIGHEST_PROTOCOL)
        self._take_turn()
        try:
            worker = self._take()
            try:
                succeeded, value = self._converse(worker, message)
            except BaseException:
                self._end(worker)
                raise
            self._give_back(worker)
        finally:
            self._turns.release()
        if not succeeded:
            raise value
        result: T = value
        return result

    def close(self) -> None:
        """End every process; calls under way fail."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        for worker in workers:
            self._end(worker)

    def _take_turn(self) -> None:
        with self._lock:
            if self._waiting >= _WAITING:
                raise Busy("too many images wait to be decoded; ask again later")
            self._waiting += 1
        try:
            if not self._turns.acquire(timeout=self._time_limit):
                raise Busy(f"no process was free for {self._time_limit:g} seconds; ask again later")
        finally:
            with self._lock:
                self._waiting -= 1

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the server is about to end")
            worker = self._idle.pop() if self._idle else None
            if worker is None or not worker.process.is_alive():
                worker = _started()
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            if not self._closed:
                self._idle.append(worker)
                return
        self._end(worker)

    def _end(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.process.kill()
        worker.process.join()
        with contextlib.suppress(OSError):
            worker.pipe.close()

    def _converse(self, worker: _Worker, message: bytes) -> tuple[bool, Any]:
        """Send a call and wait for its result. Raises Unsupported."""
        end = time.monotonic() + self._time_limit
        try:
            worker.pipe.send_bytes(message)
            ready = wait([worker.pipe, worker.process.sentinel], self._time_limit)
            if worker.pipe in ready or worker.pipe.poll():
                outcome: tuple[bool, Any] = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301
                return outcome
        except (EOFError, OSError):
            pass
        if time.monotonic() < end:
            raise Unsupported("the process that worked on it died: the image is damaged, or memory is short")
        raise Unsupported(f"it takes longer than {self._time_limit:g} seconds, which is the limit")


def _started() -> _Worker:
    """A new process. Raises StoreUnavailable."""
    # Not by forking: the server has threads by the time that it needs a worker.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True, name="staticwado worker")
    try:
        process.start()
    except OSError as error:
        ours.close()
        raise StoreUnavailable(f"no process can be started: {error.strerror}") from error
    finally:
        theirs.close()
    return _Worker(process, ours)


def _work(pipe: "Connection[Any, Any]") -> None:
    """Answer calls until the server goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the server ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        pipe.send_bytes(pickle.dumps(_outcome(message), pickle.HIGHEST_PROTOCOL))


def _outcome(message: bytes) -> tuple[bool, Any]:
    """Whether a call succeeded, and its result or what it raised."""
    try:
        function, args = pickle.loads(message)  # noqa: S301  (from our own parent)
        return True, function(*args)
    except StaticWadoError as error:
        return False, error
    except MemoryError:
        return False, Unsupported("there is not enough memory for it")
    except Exception as error:
        # Not every foreign exception can be sent; its text can.
        return False, RuntimeError(f"{type(error).__name__} in a worker: {error}")


def _end_with_parent() -> None:
    """End this process when its server ends, even in the middle of a call."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)
