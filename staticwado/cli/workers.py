"""Several processes that do the same work, each with a number of its own.

One rule: a process that dies is started again; one that dies at once ends them all, as it would die again.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from staticwado.errors import ConfigurationError

log = logging.getLogger("staticwado.cli")

QUICK_DEATH = 5.0
"""Seconds that a process must live to be started again."""
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def supervise(count: int, work: Callable[[int], None]) -> bool:
    """Run `work(0)` to `work(count - 1)`, a process each, until SIGTERM or SIGINT has ended them all.

    Returns whether all of them ended in order. Raises ConfigurationError if one dies at once.
    """
    children: dict[int, tuple[int, float]] = {}
    stopping = False
    # Nobody writes to this pipe: it ends when this process does, whatever ended it.
    alive, held = os.pipe()

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def start(row: int) -> None:
        # Signals are held back while a child is made, so that none of them misses one.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        children[_forked(row, work, alive, held)] = (row, time.monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)

    for number in _STOPPING:
        signal.signal(number, stop)
    for row in range(count):
        if not stopping:
            start(row)
    failed = None
    in_order = True
    while children:
        child, status = os.wait()
        row, born = children.pop(child, (-1, 0.0))
        if stopping or row < 0:
            in_order = in_order and status == 0
            continue
        log.error("worker %d ended with status %d", row, os.waitstatus_to_exitcode(status))
        if time.monotonic() - born < QUICK_DEATH:
            failed = row
            stop()
        else:
            start(row)
    os.close(alive)
    os.close(held)
    if failed is not None:
        raise ConfigurationError(f"worker {failed} could not serve; the messages above say why")
    return in_order


def _end_with(alive: int) -> None:
    """Stop this process as SIGTERM would once the other end of the pipe `alive` has gone."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _forked(row: int, work: Callable[[int], None], alive: int, held: int) -> int:
    """The process id of a new process that does `work(row)` and nothing else, and never outlives this one."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.close(held)
        threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
        for number in _STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        work(row)
        code = 0
    except Exception:
        log.exception("worker %d failed", row)
    finally:
        logging.shutdown()
        os._exit(code)
