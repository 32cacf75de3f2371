"""Disks of one's own: small, that can be filled and made read-only; and limits for processes that run.

One rule: what was mounted here is unmounted here, whatever happens in between.
"""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.durability.programs import Program


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system in memory."""

    root: Path

    @contextlib.contextmanager
    def filled(self) -> Iterator[None]:
        """Leave no byte free until the block ends."""
        ballast = self.root / "ballast"
        with open(ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 12))
        try:
            yield
        finally:
            ballast.unlink()

    def remount(self, options: str) -> None:
        """Change its options, such as its size."""
        _mount("-o", f"remount,{options}", str(self.root))

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written through its paths until the block ends.

        A mount over it, as one with files that are open to be written cannot be made read-only.
        """
        _mount("--bind", str(self.root), str(self.root))
        try:
            _mount("-o", "remount,bind,ro", str(self.root))
            yield
        finally:
            subprocess.run(["umount", "-l", str(self.root)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@contextlib.contextmanager
def small_disk(root: Path, options: str) -> Iterator[Disk]:
    """A file system mounted on the new folder `root`. Raises PermissionError where that is not allowed."""
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PermissionError("there is no mount") from error
    if done.returncode:
        raise PermissionError(done.stderr.strip())
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=False)


def reason_against_mounts(place: Path) -> str:
    """Why nothing can be mounted; nothing if it can."""
    try:
        with small_disk(place / "tried", "size=1m"):
            return ""
    except PermissionError as error:
        return f"nothing can be mounted here: {error}"


@contextlib.contextmanager
def limited(program: Program, kind: int, limit: int | None) -> Iterator[None]:
    """Set a limit (RLIMIT_…) of all processes of a program, which runs, until the block ends.

    `limit`: None for no more open files than it has.
    """
    before = {pid: resource.prlimit(pid, kind) for pid, _ in program.processes()}
    try:
        for pid, (_, hard) in before.items():
            count = _lowest_free(pid) if limit is None else limit
            resource.prlimit(pid, kind, (count, hard))
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, kind, limits)


def _lowest_free(pid: int) -> int:
    """The number that the next file of a process would get."""
    there = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    return next(number for number in range(len(there) + 1) if number not in there)
