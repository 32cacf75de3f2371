"""The programs themselves, as processes of their own with all that they start, and SIGKILL for them.

One rule: what is killed is a session that was started here; it is gone, to the last process, when `kill`
returns.
"""

import contextlib
import ctypes
import importlib
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SERVER, KEEPER = "staticwado.cli.dicomwebserver", "staticwado.cli.mkdicomweb"
_PR_SET_PDEATHSIG = 1
_LONGEST = 60.0
"""Seconds that anything may take that is waited for."""


@dataclass(slots=True)
class Program:
    """A program that was started, and what it prints."""

    pid: int
    said: Path
    code: int | None = None
    """Its exit code, when it is known to have ended; negative: the signal that killed it."""

    @classmethod
    def start(cls, module: str, arguments: Sequence[str], said: Path, *, forked: bool = True) -> "Program":
        """Run the `main` of `module` as a command, in a session of its own.

        `forked`: from this process, which must have no other thread; that saves the loading of the modules.
        """
        said.write_bytes(b"")
        if not forked:
            command = [sys.executable, "-m", module, *arguments]
            output = (os.POSIX_SPAWN_OPEN, 1, str(said), os.O_WRONLY | os.O_APPEND, 0)
            actions = [output, (os.POSIX_SPAWN_DUP2, 1, 2)]
            return cls(
                os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True), said
            )
        main = importlib.import_module(module).main
        child = os.fork()
        if child:
            return cls(child, said)
        code = 1
        try:
            os.setsid()
            _begin(said, [module, *arguments])
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, longest: float = _LONGEST) -> int:
        """Wait until it has ended. Raises TimeoutError."""
        return until(self.poll, longest, f"the end of {self.said.name}")

    def kill(self) -> bool:
        """SIGKILL for it and all that it has started; whether the program itself was still alive."""
        alive = self.poll() is None
        if alive:
            os.kill(self.pid, signal.SIGKILL)  # it may have no session of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        until(lambda: next(self.processes(), None) is None or None, _LONGEST, "the end of its processes")
        return alive

    def processes(self) -> Iterator[tuple[int, str]]:
        """What lives of its session: process id and command line."""
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid and fields[0] not in "ZX":
                    yield int(name), Path(f"/proc/{name}/cmdline").read_text().replace("\0", " ")

    def workers(self) -> list[int]:
        """Its children that serve, and nothing that they have started."""
        return [
            int(child)
            for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            if "tracker" not in Path(f"/proc/{child}/cmdline").read_text()
        ]

    def settlers(self) -> list[int]:
        """The processes that settle behind it."""
        return [pid for pid, line in self.processes() if "spawn_main" in line]

    def port(self) -> int:
        """Where a server says that it serves. Raises TimeoutError, ChildProcessError if it has ended."""

        def found() -> int | None:
            text = self.said.read_text(errors="replace")
            if " at http" in text:
                return int(text.partition(" at http")[2].split("\n")[0].rpartition(":")[2].strip("/"))
            if self.poll() is not None:
                raise ChildProcessError(f"the server ended with {self.code}: {text[-1000:]}")
            return None

        return until(found, _LONGEST, "the server")


def _begin(said: Path, arguments: list[str]) -> None:
    """Make this new process look as one that a shell has started."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    descriptor = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(one, "w"), write_through=True) for one in (1, 2))
    logging.root.handlers.clear()
    logging.disable(logging.NOTSET)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    sys.argv = arguments
    sys.modules["__main__"] = sys.modules[arguments[0]]  # what processes that it starts load


def until(look: Callable[[], T | None], longest: float, what: str) -> T:
    """What `look` gives once it gives something. Raises TimeoutError after `longest` seconds."""
    end = time.monotonic() + longest
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what} was waited for in vain")
        time.sleep(0.005)
