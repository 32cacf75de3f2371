"""A store in a folder of a local or mounted file system.

One rule: a key appears with all its bytes or not at all. What is new is written under the staging folder and
renamed into place; nothing is deleted before it is replaced.
"""

import contextlib
import ctypes
import errno
import functools
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from staticwado.errors import NotFound, StoreUnavailable

if sys.platform != "win32":
    import fcntl

_LOCK = ".lock"
_TURN = ".turn"
"""Follows the name of a lock file for which somebody waits to have it alone."""
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_SINGLE_WRITE = 1 << 30
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of a stored file without reading it."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder holds under one name; links are followed."""

    name: str
    is_folder: bool
    is_file: bool
    size: int
    """Bytes of a file; 0 for anything else."""


@contextlib.contextmanager
def _explained(action: str, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{name} could not be {action}: {error.strerror or error}") from error


class LocalStore:
    """Bytes by key, below one folder."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(root)

    def path(self, key: str) -> str:
        """The file system path of `key`; keys come from `layout` alone, never from outside."""
        return f"{self.root}/{key}"

    def stat(self, key: str) -> Stat | None:
        """Size, modification time and inode of `key`; None if it does not exist."""
        try:
            found = os.stat(self.path(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnavailable(f"{key} could not be looked at: {error.strerror}") from error
        return Stat(found.st_size, found.st_mtime_ns, found.st_ino)

    def read(self, key: str) -> bytes:
        """All bytes of `key`. Raises NotFound or StoreUnavailable."""
        try:
            with _explained("read", key), open(self.path(key), "rb", buffering=0) as file:
                return file.read()
        except StoreUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise NotFound(f"{key} is not in the archive") from error
            raise

    def names(self, key: str) -> list[str]:
        """Names directly below the folder `key`, sorted; empty if there is no such folder."""
        try:
            return sorted(os.listdir(self.path(key)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StoreUnavailable(f"{key} could not be listed: {error.strerror}") from error

    def entries(self, key: str) -> list[Entry]:
        """What lies directly in the folder `key` (empty: the root), sorted by name; nothing if there is none.

        Raises StoreUnavailable.
        """
        try:
            with os.scandir(self.path(key)) as found:
                return sorted((_entry(one) for one in found), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StoreUnavailable(f"{key or self.root} could not be listed: {error.strerror}") from error

    def write(self, key: str, data: bytes, staging: str) -> None:
        """Put `data` under `key` at once, by a rename from the folder `staging` (a key).

        The file's data are synced first, so that a power cut leaves the old bytes or the new ones.
        """
        place = self.staging(staging)
        try:
            with _explained("written", key):
                with place.create("data") as file:
                    file.write(data)
                    os.fsync(file.fileno())
                self._rename(place.path("data"), self.path(key))
        finally:
            place.close()

    @staticmethod
    def _rename(source: str, target: str) -> None:
        try:
            os.replace(source, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(source, target)

    @staticmethod
    def _rename_folder(source: str, target: str) -> None:
        try:
            os.rename(source, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(source, target)

    def append(self, key: str, data: bytes) -> None:
        """Add `data` at the end of the file `key` by one write, so that those of several writers never mix.

        Raises StoreUnavailable; a part of `data` may be there then.
        """
        with _explained("written", key):
            descriptor = _open_new(self.path(key), os.O_WRONLY | os.O_CREAT | os.O_APPEND | _CLOEXEC)
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)

    def make_folder(self, key: str) -> None:
        """Make the folder `key`, and those above it."""
        with _explained("written", key):
            os.makedirs(self.path(key), exist_ok=True)

    def move(self, key: str, new: str) -> bool:
        """Give the file or folder `key` the name `new`, in one step; False if there is nothing under `key`.

        A file replaces a file; a folder takes an empty place only, else StoreUnavailable.
        """
        source, target = self.path(key), self.path(new)
        with _explained("moved", key):
            try:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.rename(source, target)
            except (FileNotFoundError, NotADirectoryError):
                if os.path.lexists(source):
                    raise
                return False
        return True

    def exchange(self, key: str, other: str) -> bool:
        """Let the folders `key` and `other` change places in one step; False if the system cannot."""
        with _explained("moved", key):
            return _exchange(self.path(key), self.path(other))

    def remove_folder(self, key: str) -> None:
        """Remove the folder `key` if it is empty; it is no error if it is not, or gone."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path(key))

    def remove_tree(self, key: str) -> None:
        """Remove the folder `key` and all that is in it, as far as that is possible."""
        with _explained("removed", key):
            _remove_tree(self.path(key))

    def remove(self, key: str) -> None:
        """Remove the file `key`; it is no error if it is gone."""
        try:
            os.unlink(self.path(key))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreUnavailable(f"{key} could not be removed: {error.strerror}") from error

    def free_bytes(self) -> int:
        """How many bytes can still be written, by what the file system says."""
        folder = Path(self.root)
        with _explained("looked at", self.root):
            while not folder.exists():
                folder = folder.parent
            return shutil.disk_usage(folder).free

    def sync(self) -> None:
        """Return when everything written to this file system so far is on stable storage."""
        file_system = self.file_system()
        try:
            file_system.sync()
        finally:
            file_system.close()

    def file_system(self) -> "FileSystem":
        """The file system on which this store lies, held open."""
        return FileSystem(self.root)

    @contextlib.contextmanager
    def lock(self, key: str, *, shared: bool = False) -> Iterator[None]:
        """Hold the lock file `key`, across processes, until the block ends; alone, or with others who share
        it.

        Who comes after somebody who waits to have it alone waits, too: not to be done by who shares it
        already.
        """
        with _explained("locked", key):
            descriptor = _open_new(self.path(key), os.O_RDWR | os.O_CREAT | _CLOEXEC)
        try:
            with _explained("locked", key):
                if shared:
                    _share(descriptor, self.path(key))
                else:
                    _lock_alone(descriptor, self.path(key))
            yield
        finally:
            os.close(descriptor)  # closing gives the lock back

    @contextlib.contextmanager
    def try_lock(self, key: str) -> Iterator[bool]:
        """Hold the lock file `key` alone until the block ends, if nobody has it; says whether it is held."""
        with _explained("locked", key):
            path = self.path(key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
        try:
            yield _try_lock(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def shared_lock_if_there(self, key: str) -> Iterator[bool]:
        """Share the lock file `key` until the block ends, if it exists and may be read; says whether it is.

        Nothing is written, so that it works in a folder that can only be read.
        """
        try:
            descriptor = os.open(self.path(key), os.O_RDONLY | _CLOEXEC)
        except OSError:
            yield False
            return
        try:
            with _explained("locked", key):
                _share(descriptor, self.path(key))
            yield True
        finally:
            os.close(descriptor)

    def staging(self, folder: str) -> "Staging":
        """A new private folder below the folder `folder` (a key), on the same file system as all keys."""
        return Staging(self, f"{folder}/{uuid.uuid4().hex}")

    def clear_staging(self, folder: str) -> None:
        """Remove what dead processes left below the folder `folder` (a key) of `staging`."""
        for name in sorted({name.removesuffix(_LOCK) for name in self.names(folder)}):
            path = self.path(f"{folder}/{name}")
            with contextlib.suppress(OSError):
                descriptor = os.open(f"{path}{_LOCK}", os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    if _try_lock(descriptor):
                        _remove_tree(path)
                        os.unlink(f"{path}{_LOCK}")
                finally:
                    os.close(descriptor)


class FileSystem:
    """A file system that is held open, so that `sync` tells what failed to be written since then.

    The kernel writes when it likes, and says once what it could not write, to those who were there.
    """

    def __init__(self, root: str) -> None:
        with _explained("opened", root):
            self._descriptor = os.open(root, os.O_RDONLY | _CLOEXEC)

    def sync(self) -> None:
        """Return when everything written to this file system so far is on stable storage."""
        with _explained("synced", "the archive"):
            _sync_file_system(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _entry(found: os.DirEntry[str]) -> Entry:
    try:
        if found.is_dir():
            return Entry(found.name, is_folder=True, is_file=False, size=0)
        is_file = found.is_file()
        return Entry(
            found.name, is_folder=False, is_file=is_file, size=found.stat().st_size if is_file else 0
        )
    except OSError:  # gone meanwhile, or a link that leads nowhere
        return Entry(found.name, is_folder=False, is_file=False, size=0)


class _WholeWrites(FileIO):
    """An unbuffered file whose `write` writes all it is given."""

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        with _explained("written", os.path.basename(str(self.name))):
            while view:
                view = view[super().write(view[:_SINGLE_WRITE]) :]
        return size


class Staging:
    """Files being written that no reader can see yet; `publish_*` makes them visible by one rename each."""

    def __init__(self, store: LocalStore, key: str) -> None:
        self._store = store
        self._path = store.path(key)
        with _explained("written", key):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._lock = _own(f"{self._path}{_LOCK}")
            try:
                os.mkdir(self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._path}{_LOCK}")
                os.close(self._lock)
                raise

    def path(self, name: str) -> str:
        return f"{self._path}/{name}"

    def sync(self) -> None:
        """Return when everything written to this file system so far is on stable storage.

        Raises StoreUnavailable, also for what failed to be written at any time since this folder was made.
        """
        with _explained("synced", "the archive"):
            _sync_file_system(self._lock)

    def make_folder(self, name: str) -> None:
        with _explained("written", name):
            os.mkdir(f"{self._path}/{name}")

    def write(self, name: str, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write the file `name` from `buffers`, in one system call where they fit."""
        with _explained("written", name):
            descriptor = os.open(f"{self._path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                _write_all(descriptor, buffers)
            finally:
                os.close(descriptor)

    def create(self, name: str) -> FileIO:
        """Open the new file `name` for writing, unbuffered."""
        with _explained("written", name):
            return _WholeWrites(f"{self._path}/{name}", "wb")

    def rename(self, name: str, new: str) -> None:
        """Give the file `name` another name here, replacing what has it."""
        with _explained("written", new):
            os.replace(f"{self._path}/{name}", f"{self._path}/{new}")

    def publish_copy(self, name: str, key: str) -> None:
        """Give `key` the bytes of the file `name`, which stays; nothing happens if `key` exists.

        The keys of this method are content addresses, so what exists is equal.
        """
        source, target = f"{self._path}/{name}", self._store.path(key)
        if os.path.exists(target):
            return
        with _explained("written", key):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                os.link(source, target)
            except FileExistsError:
                return
            except OSError:  # a file system without hard links
                temporary = f"{source}-copy"
                shutil.copyfile(source, temporary)
                os.replace(temporary, target)

    def publish_folder(self, name: str, key: str) -> bool:
        """Give the folder `name` its place `key`; False, and nothing changed, if that place is taken."""
        source, target = f"{self._path}/{name}", self._store.path(key)
        with _explained("written", key):
            try:
                self._store._rename_folder(source, target)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
        return True

    def take_away(self, key: str, name: str) -> None:
        """Move the folder `key` here, as `name`; it is no error if it is gone."""
        with _explained("moved", key), contextlib.suppress(FileNotFoundError):
            os.rename(self._store.path(key), f"{self._path}/{name}")

    def publish_file(self, name: str, key: str) -> None:
        """Give the file `name` its place `key`, replacing what is there."""
        with _explained("written", key):
            self._store._rename(f"{self._path}/{name}", self._store.path(key))

    def discard(self, name: str) -> None:
        """Remove the file or folder `name`, if it is still here."""
        path = f"{self._path}/{name}"
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def close(self) -> None:
        """Remove the staging folder and whatever is left in it."""
        if self._lock < 0:
            return
        _remove_tree(self._path)
        with contextlib.suppress(OSError):
            os.unlink(f"{self._path}{_LOCK}")
        os.close(self._lock)
        self._lock = -1


class LentStaging(Staging):
    """A staging folder that is given back when it is closed, to be lent again."""

    def __init__(self, store: LocalStore, folder: str, give_back: "Callable[[LentStaging], bool]") -> None:
        super().__init__(store, f"{folder}/{uuid.uuid4().hex}")
        self._give_back = give_back

    def close(self) -> None:
        """Remove what is left in it and give it back; remove it, too, where nobody wants it."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            with os.scandir(self._path) as found:
                names = [one.name for one in found]
            for name in names:
                _remove_tree(f"{self._path}/{name}")
            if self._give_back(self):
                return
        super().close()

    def end(self) -> None:
        """Remove it."""
        super().close()


class NoStaging(Staging):
    """What a dry run writes to: nothing is kept, and nothing can be published."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def path(self, name: str) -> str:
        return os.devnull

    def make_folder(self, name: str) -> None:
        return

    def write(self, name: str, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        return

    def create(self, name: str) -> FileIO:
        return FileIO(os.devnull, "wb")

    def rename(self, name: str, new: str) -> None:
        return

    def discard(self, name: str) -> None:
        return

    def close(self) -> None:
        return


def _open_new(path: str, flags: int) -> int:
    """Open a file that is made if need be, in a folder that is made if need be."""
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _own(path: str) -> int:
    """The descriptor of the new lock file `path`, locked.

    It is held while the folder beside it exists: that is how others know that its owner lives, wherever it
    runs.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
        try:
            _lock(descriptor)
            if _is_at(descriptor, path):
                return descriptor  # nobody took it for abandoned before it was locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _write_all(descriptor: int, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
    total = sum(len(buffer) for buffer in buffers)
    written = os.writev(descriptor, buffers) if total else 0
    if written == total:
        return
    for buffer in buffers:  # a short write: go on from where it ended
        view = memoryview(buffer)
        if written >= len(view):
            written -= len(view)
            continue
        view = view[written:]
        written = 0
        while view:
            view = view[os.write(descriptor, view[:_SINGLE_WRITE]) :]


def _lock(descriptor: int, *, shared: bool = False) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def _is_at(descriptor: int, path: str) -> bool:
    """Whether the open file is the one that is at `path`."""
    try:
        return os.stat(path).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _share(descriptor: int, path: str) -> None:
    """Share the lock file `path`, behind whoever waits to have it alone."""
    with contextlib.suppress(FileNotFoundError):
        turn = os.open(f"{path}{_TURN}", os.O_RDONLY | _CLOEXEC)
        try:
            _lock(turn, shared=True)
        finally:
            os.close(turn)
    _lock(descriptor, shared=True)


def _lock_alone(descriptor: int, path: str) -> None:
    """Have the lock file `path` alone. While this waits, nobody else comes to share it: those who do may
    overlap for ever.
    """
    if _try_lock(descriptor):
        return
    turn = _own(f"{path}{_TURN}")
    try:
        _lock(descriptor)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(f"{path}{_TURN}")
        os.close(turn)


def _try_lock(descriptor: int) -> bool:
    """Take the lock if nobody has it; where the system has no such locks, nobody knows."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@functools.lru_cache(maxsize=1)
def _library(foreign: Any) -> Any:
    """The C library, through the module `ctypes`: to open it costs as much as a sync."""
    return foreign.CDLL(None, use_errno=True)


def _sync_file_system(descriptor: int) -> None:
    """Sync the one file system that holds an open file (Linux), or all of them."""
    function = getattr(_library(ctypes), "syncfs", None)
    if function is None:
        os.sync()
    elif function(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _exchange(source: str, target: str) -> bool:
    """renameat2 with RENAME_EXCHANGE (Linux); False where the system or the file system has no such thing."""
    function = getattr(_library(ctypes), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number))
