"""Putting the watched system in the place of the real one, in every module of the store, for a while."""

import contextlib
import ctypes
import errno
import fcntl
import importlib
import io
import os
import pkgutil
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import staticwado.store
from staticwado.store import local
from tests.durability.calls import Calls, Os, Shutil

_EXCHANGE = 2
_AT_HERE = -100


class _Library:
    """The C library, as far as the store calls it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._real: Any = ctypes.CDLL(None, use_errno=True)
        self.errno = 0

    def _ask(self, name: str, path: str) -> bool:
        try:
            self._calls.before(name, path)
        except OSError as error:
            self.errno = error.errno or errno.EIO
            return False
        return True

    def syncfs(self, descriptor: int) -> int:
        if not self._ask("syncfs", self._calls.root):
            return -1
        with self._calls.lock:
            self._calls.synced(None)
        return 0

    def renameat2(self, old_at: int, old: bytes, new_at: int, new: bytes, flags: int) -> int:
        if not self._ask("rename", os.fsdecode(new)):
            return -1
        with self._calls.lock:
            done = int(self._real.renameat2(old_at, old, new_at, new, flags))
            self.errno = ctypes.get_errno()
            if done == 0:
                noted = self._calls.swapped if flags & _EXCHANGE else self._calls.moved
                noted(os.fsdecode(old), os.fsdecode(new))
        return done


class _Ctypes:
    """`ctypes` for the store."""

    def __init__(self, calls: Calls) -> None:
        self._library = _Library(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(ctypes, name)

    def CDLL(self, name: None, use_errno: bool = False) -> _Library:
        return self._library

    def get_errno(self) -> int:
        return self._library.errno


def _file_class(calls: Calls, system: Os) -> type[io.FileIO]:
    class File(io.FileIO):
        """A file whose calls are watched."""

        def __init__(self, path: Any, mode: str = "r", **named: Any) -> None:
            super().__init__(path, mode, opener=lambda one, flags: system.open(one, flags, 0o666))

        def write(self, data: Any, /) -> int:
            return system.write(self.fileno(), data)

        def truncate(self, size: int | None = None, /) -> int:
            system.ftruncate(self.fileno(), self.tell() if size is None else size)
            return self.tell() if size is None else size

        def close(self) -> None:
            if not self.closed:
                with calls.lock:
                    calls.closed(self.fileno())
                    super().close()

    return File


def _opener(file: type[io.FileIO]) -> Any:
    def watched_open(path: Any, mode: str = "r", buffering: int = -1, **named: Any) -> Any:
        raw = file(path, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        if "r" in mode:
            buffered: Any = io.BufferedReader(raw)
        else:
            buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, **named)

    return watched_open


def _flock(calls: Calls) -> Any:
    def flock(descriptor: int, operation: int) -> None:
        calls.before("flock", calls.paths.get(descriptor, ""))
        fcntl.flock(descriptor, operation)

    return flock


def modules() -> list[ModuleType]:
    """Every module of the store."""
    return [
        importlib.import_module(f"staticwado.store.{one.name}")
        for one in pkgutil.iter_modules(staticwado.store.__path__)
    ]


@contextlib.contextmanager
def watched(calls: Calls) -> Iterator[Calls]:
    """Let the store call `calls` instead of the system until the block ends."""
    system = Os(calls)
    file = _file_class(calls, system)
    library = _Ctypes(calls)
    locks = SimpleNamespace(**{**vars(fcntl), "flock": _flock(calls)})
    instead = {"os": system, "shutil": Shutil(system), "ctypes": library, "fcntl": locks, "FileIO": file}
    with contextlib.ExitStack() as stack:
        for module in modules():
            for name, one in instead.items():
                if hasattr(module, name):
                    _exchange(stack, module, name, one)
            _exchange(stack, module, "open", _opener(file))
        whole = getattr(local, "_WholeWrites", None)
        if whole is not None:  # its `super().write` is the watched one
            _exchange(stack, local, "_WholeWrites", type("_Watched", (whole, file), {}))
        yield calls


def _exchange(stack: contextlib.ExitStack, module: ModuleType, name: str, new: Any) -> None:
    absent = object()
    old = vars(module).get(name, absent)
    setattr(module, name, new)
    stack.callback(lambda: delattr(module, name) if old is absent else setattr(module, name, old))
