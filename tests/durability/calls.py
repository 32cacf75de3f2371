"""The system as the store calls it: every call is told before it is made, and recorded when it has been made.

One rule: what the store asked for is what is done; only who watches is new. Its modules get these objects
in place of `os`, `shutil`, `ctypes`, `fcntl` and `open`, so that no product code knows of tests.
"""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tests.durability.disk import Cut, Data, Disk, Enter, Leave, Mark, Move, Op, Swap, Sync

Before = Callable[[str, str], int | None]
"""Told the name of a call and its path before it is made; may raise, or say how many bytes a write takes."""

_PURE = frozenset("fspath fsencode fsdecode getpid cpu_count urandom close getenv strerror".split())
"""Not calls that can fail for a disk's sake, or (close) whose failure nobody can mend."""


class Calls:
    """What the store calls, for everything below the folder `root`."""

    def __init__(self, root: str, before: Before = lambda name, path: None, disk: Disk | None = None) -> None:
        self.root = os.path.abspath(root)
        self.before = before
        self.disk = disk
        self.lock = threading.RLock()
        self.paths: dict[int, str] = {}
        self.nodes: dict[int, int | None] = {}
        self.appending: set[int] = set()

    # -- the record ------------------------------------------------------------------------------------------

    def note(self, op: Op) -> None:
        if self.disk is not None:
            self.disk.do(op, _place())

    def mark(self, said: Any) -> None:
        """Put what the workload says into the record."""
        if self.disk is not None:
            with self.lock:
                self.disk.do(Mark(said), "said")

    def inside(self, path: Any) -> str | None:
        """`path` relative to the root; None if it lies elsewhere, or nothing is recorded."""
        if self.disk is None or not isinstance(path, str | os.PathLike):
            return None
        full = os.path.abspath(os.fspath(path))
        if full == self.root:
            return ""
        return full.removeprefix(f"{self.root}/") if full.startswith(f"{self.root}/") else None

    def found(self, path: Any) -> int | None:
        key = self.inside(path)
        return None if key is None or self.disk is None else self.disk.find(key)

    def entered(self, path: Any, *, folder: bool) -> None:
        key = self.inside(path)
        if key and self.disk is not None:
            where, name = self.disk.place(key)
            self.note(Enter(where, name, self.disk.new(folder=folder)))

    def left(self, path: Any) -> None:
        key, node = self.inside(path), self.found(path)
        if key and node is not None and self.disk is not None:
            self.note(Leave(*self.disk.place(key), node))

    def moved(self, old: Any, new: Any) -> None:
        node, key, was = self.found(old), self.inside(new), self.inside(old)
        if self.disk is None or (key is None and was is None):
            return
        if node is None or key is None or was is None:
            raise AssertionError(f"a rename into or out of the archive: {old} -> {new}")
        self.note(Move(*self.disk.place(was), *self.disk.place(key), node))

    def swapped(self, old: Any, new: Any) -> None:
        one, other = self.found(old), self.found(new)
        if self.disk is not None and one is not None and other is not None:
            was, key = self.inside(old) or "", self.inside(new) or ""
            self.note(Swap(*self.disk.place(was), *self.disk.place(key), one, other))

    def linked(self, old: Any, new: Any) -> None:
        node, key = self.found(old), self.inside(new)
        if node is not None and key and self.disk is not None:
            self.note(Enter(*self.disk.place(key), node))

    def opened(self, path: Any, flags: int, descriptor: int, existed: bool) -> None:
        self.paths[descriptor] = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if self.disk is None:
            return
        if not existed and flags & os.O_CREAT:
            self.entered(path, folder=False)
        node = self.nodes[descriptor] = self.found(path)
        self.appending.discard(descriptor)
        if flags & os.O_APPEND:
            self.appending.add(descriptor)
        if existed and flags & os.O_TRUNC and node is not None and self.disk.contents.get(node):
            self.note(Cut(node, 0))

    def closed(self, descriptor: int) -> None:
        self.paths.pop(descriptor, None)
        self.nodes.pop(descriptor, None)

    def written(self, descriptor: int, offset: int, data: bytes) -> None:
        node = self.nodes.get(descriptor)
        if node is None or self.disk is None or not data:
            return
        at = len(self.disk.contents[node]) if descriptor in self.appending else offset
        self.note(Data(node, at, data))

    def synced(self, descriptor: int | None) -> None:
        if descriptor is None:
            self.note(Sync(None))
        elif self.nodes.get(descriptor) is not None:
            self.note(Sync(self.nodes[descriptor]))


def _place() -> str:
    """The functions of the package under way, the outermost first."""
    frame: Any = sys._getframe(2)
    names: list[str] = []
    while frame is not None and len(names) < 4:
        if "/staticwado/" in frame.f_code.co_filename:
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return ">".join(reversed(names))


class Os:
    """`os` for the store."""

    path = os.path

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name in _PURE or not callable(real) or isinstance(real, type):
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            self._calls.before(name, _name(arguments, self._calls))
            return real(*arguments, **named)

        return call

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
        calls = self._calls
        calls.before("create" if flags & os.O_CREAT else "open", str(path))
        with calls.lock:
            existed = os.path.lexists(path)
            descriptor = os.open(path, flags, mode)
            calls.opened(path, flags, descriptor, existed)
        return descriptor

    def close(self, descriptor: int) -> None:
        with self._calls.lock:
            self._calls.closed(descriptor)
            os.close(descriptor)

    def mkdir(self, path: Any, mode: int = 0o777) -> None:
        self._calls.before("mkdir", str(path))
        with self._calls.lock:
            os.mkdir(path, mode)
            self._calls.entered(path, folder=True)

    def makedirs(self, path: Any, mode: int = 0o777, exist_ok: bool = False) -> None:
        parent = os.path.dirname(os.fspath(path))
        if parent and not os.path.isdir(parent):
            self.makedirs(parent, exist_ok=True)
        try:
            self.mkdir(path, mode)
        except FileExistsError:
            if not exist_ok or not os.path.isdir(path):
                raise

    def rename(self, old: Any, new: Any) -> None:
        self._calls.before("rename", str(new))
        with self._calls.lock:
            os.rename(old, new)
            self._calls.moved(old, new)

    def replace(self, old: Any, new: Any) -> None:
        self._calls.before("rename", str(new))
        with self._calls.lock:
            os.replace(old, new)
            self._calls.moved(old, new)

    def link(self, old: Any, new: Any, **named: Any) -> None:
        self._calls.before("link", str(new))
        with self._calls.lock:
            os.link(old, new, **named)
            self._calls.linked(old, new)

    def unlink(self, path: Any) -> None:
        self._calls.before("unlink", str(path))
        with self._calls.lock:
            os.unlink(path)
            self._calls.left(path)

    remove = unlink

    def rmdir(self, path: Any) -> None:
        self._calls.before("rmdir", str(path))
        with self._calls.lock:
            os.rmdir(path)
            self._calls.left(path)

    def write(self, descriptor: int, data: Any) -> int:
        return self.writev(descriptor, [data])

    def writev(self, descriptor: int, buffers: Sequence[Any]) -> int:
        calls = self._calls
        most = calls.before("write", calls.paths.get(descriptor, ""))
        data = b"".join(bytes(one) for one in buffers)
        with calls.lock:
            offset = 0 if calls.disk is None else os.lseek(descriptor, 0, os.SEEK_CUR)
            done = os.write(descriptor, data if most is None else data[:most])
            calls.written(descriptor, offset, data[:done])
        return done

    def ftruncate(self, descriptor: int, size: int) -> None:
        calls = self._calls
        calls.before("truncate", calls.paths.get(descriptor, ""))
        with calls.lock:
            os.ftruncate(descriptor, size)
            node = calls.nodes.get(descriptor)
            if node is not None:
                calls.note(Cut(node, size))

    def truncate(self, path: Any, size: int) -> None:
        self._calls.before("truncate", str(path))
        with self._calls.lock:
            os.truncate(path, size)
            node = self._calls.found(path)
            if node is not None:
                self._calls.note(Cut(node, size))

    def fsync(self, descriptor: int) -> None:
        self._calls.before("fsync", self._calls.paths.get(descriptor, ""))
        with self._calls.lock:
            self._calls.synced(descriptor)

    fdatasync = fsync

    def sync(self) -> None:
        self._calls.before("syncfs", self._calls.root)
        with self._calls.lock:
            self._calls.synced(None)


def _name(arguments: tuple[Any, ...], calls: Calls) -> str:
    first = arguments[0] if arguments else ""
    return calls.paths.get(first, "") if isinstance(first, int) else str(first)


class Shutil:
    """`shutil` for the store: what it does to the file system goes through `Os`."""

    def __init__(self, system: Os) -> None:
        self._os = system

    def __getattr__(self, name: str) -> Any:
        if name in ("copy", "copy2", "copytree", "move", "chown"):
            raise AssertionError(f"shutil.{name} is not watched")
        return getattr(shutil, name)

    def disk_usage(self, path: Any) -> Any:
        self._os.statvfs(path)
        return shutil.disk_usage(path)

    def rmtree(self, path: Any, ignore_errors: bool = False) -> None:
        quiet = contextlib.suppress(OSError) if ignore_errors else contextlib.nullcontext()
        with quiet:
            for name in sorted(os.listdir(path)):
                one = f"{path}/{name}"
                if os.path.isdir(one) and not os.path.islink(one):
                    self.rmtree(one, ignore_errors)
                else:
                    with quiet:
                        self._os.unlink(one)
            self._os.rmdir(path)

    def copyfile(self, source: Any, target: Any) -> None:
        descriptor = self._os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with open(source, "rb") as file:
                self._os.write(descriptor, file.read())
        finally:
            self._os.close(descriptor)
