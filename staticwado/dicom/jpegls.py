"""JPEG-LS frames, decoded by CharLS in a process of its own that can be stopped.

CharLS 2.4 never comes back from some damaged codestreams (the parameter of its Golomb codes overflows), and
nothing stops a thread inside a library. So a worker decodes: a process that is started once, is given one
frame after the other through a pipe, and is ended by the system when a frame takes too much processor time.
One rule: nothing that a worker is given can hold up or harm the process that asks.
"""

import os
import resource
import signal
import struct
import sys
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from staticwado.errors import BrokenDicom, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

SECONDS, SECONDS_A_MEBIBYTE = 2.0, 0.2
"""Processor time that a frame may take, and more for each MiB of samples: many times what CharLS needs."""
_IDLE_WORKERS = 4
_REQUEST, _ANSWER = struct.Struct("<QdBBIII"), struct.Struct("<BQ")
_END_OF_IMAGE = b"\xff\xd9"
_CRASHES = frozenset(signal.Signals[f"SIG{name}"] for name in ("SEGV", "ABRT", "BUS", "FPE", "ILL"))


class _Worker:
    """A process that decodes until its input ends."""

    def __init__(self) -> None:
        wanted, self._requests = os.pipe()
        self._answers, given = os.pipe()
        moves = [
            (os.POSIX_SPAWN_DUP2, wanted, 0),
            (os.POSIX_SPAWN_DUP2, given, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            # In a process group of its own, an interrupt at the terminal is not its business.
            self._process = os.posix_spawn(
                sys.executable, [sys.executable, "-m", __name__], environment, file_actions=moves, setpgroup=0
            )
        finally:
            os.close(wanted)
            os.close(given)

    def ask(self, request: bytes, data: bytes, room: "Array") -> str | None:
        """Decode `data` into `room`; what is wrong with it, or None. Raises OSError when the worker ends."""
        for part in (memoryview(request), memoryview(data)):
            while part:
                part = part[os.write(self._requests, part) :]
        failed, length = _ANSWER.unpack(_fill(self._answers, bytearray(_ANSWER.size)))
        if failed:
            return str(_fill(self._answers, bytearray(length)), "utf-8", "replace")
        _fill(self._answers, room.data.cast("B"))
        return None

    def close(self) -> None:
        """Close the pipes, at which a worker that still runs ends."""
        os.close(self._requests)
        os.close(self._answers)

    def end(self) -> int:
        """The signal that ended the worker, 0 if none did."""
        self.close()
        return max(-os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1]), 0)


_idle: list[_Worker] = []
_lock = Lock()


def _forget() -> None:
    """In a forked process: the workers are those of the other one."""
    while _idle:
        _idle.pop().close()
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget)


def decode_jpegls(data: bytes, room: "Array", *, seconds: float = SECONDS) -> "Array":
    """The samples of a JPEG-LS codestream: `room`, filled, of shape (rows, columns[, samples]).

    Raises BrokenDicom for what CharLS refuses, for a codestream that does not fit `room`, and for one that
    takes more processor time than `seconds` and what its samples are given; Unsupported where no worker runs.
    """
    allowed = seconds + SECONDS_A_MEBIBYTE * room.nbytes / (1 << 20)
    request = _REQUEST.pack(len(data), allowed, room.itemsize, room.ndim, *(*room.shape, 0)[:3])
    # A worker may have been ended by others while it was idle: then a new one is asked.
    for _ in range(_IDLE_WORKERS + 1):
        with _lock:
            worker = _idle.pop() if _idle else None
        worker = worker or _Worker()
        try:
            wrong = worker.ask(request, data, room)
        except OSError:
            ended = worker.end()
            if ended == signal.SIGXCPU:
                raise BrokenDicom(f"the JPEG-LS frame was not decoded within {allowed:.0f} seconds") from None
            if ended in _CRASHES:
                raise BrokenDicom(f"the JPEG-LS frame ended its decoder with signal {ended}") from None
            continue
        except BaseException:
            worker.close()
            raise
        _keep(worker)
        if wrong is not None:
            raise BrokenDicom(f"JPEG-LS frame cannot be decoded: {wrong}")
        return room
    raise Unsupported("the process that decodes JPEG-LS frames does not stay alive")


def _keep(worker: _Worker) -> None:
    with _lock:
        if len(_idle) < _IDLE_WORKERS:
            _idle.append(worker)
            return
    worker.end()


def _fill(source: int, room: bytearray | memoryview) -> bytearray | memoryview:
    """`room`, filled from a pipe. Raises OSError where that ends before."""
    rest = memoryview(room)
    while rest:
        count = os.readv(source, [rest])
        if not count:
            raise OSError("the pipe ended")
        rest = rest[count:]
    return room


def _decoded(data: bytes, room: "Array") -> "Array":
    """As `decode_jpegls`, here and now."""
    import imagecodecs
    import numpy as np

    # Without an EOI marker CharLS searches for seconds where a codestream ends too early.
    data += _END_OF_IMAGE
    try:
        array = imagecodecs.jpegls_decode(data, out=room)
    except ValueError:
        # Components that are not interleaved come plane by plane.
        array = imagecodecs.jpegls_decode(data, out=room.reshape(-1, *room.shape[:2]))
    return np.ascontiguousarray(array)


def _serve() -> None:
    """Answer requests until there are none."""
    import numpy as np

    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    while len(head := requests.read(_REQUEST.size)) == _REQUEST.size:
        length, seconds, size, dimensions, *shape = _REQUEST.unpack(head)
        data = requests.read(length)
        until = int(time.process_time() + seconds) + 1
        resource.setrlimit(
            resource.RLIMIT_CPU, (until if most == resource.RLIM_INFINITY else min(until, most), most)
        )
        try:
            found = _decoded(data, np.empty(shape[:dimensions], f"u{size}")).data.cast("B")
            failed = 0
        except Exception as error:
            found, failed = memoryview(str(error).encode()), 1
        answers.write(_ANSWER.pack(failed, len(found)))
        answers.write(found)
        answers.flush()


if __name__ == "__main__":
    _serve()
