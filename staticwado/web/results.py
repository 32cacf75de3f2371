"""Results that took work to make: decoded frames and drawn images, kept as files within a bound.

They are no part of the archive: all of them may be deleted at any time, and are made again.
One rule: an answer never fails because a result cannot be kept.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import threading
import time

from staticwado import __version__
from staticwado.store.local import Stat
from staticwado.web.answer import Span

_BOOT = "/proc/sys/kernel/random/boot_id"
_UNFINISHED = ".part"
_ABANDONED = 3600.0
"""Seconds after which a file that was never finished is taken for the trace of a dead process."""
_LARGEST, _KEPT, _SHARE = 1 / 8, 3 / 4, 1 / 8
"""Parts of the bound: the largest result; what a sweep leaves; what all processes may add between sweeps."""


class Results:
    """Results by key in one folder, which several server processes share.

    A file appears under its name whole, by a rename. What was not on disk yet when the machine stopped may
    hold anything, so that each start of the machine has a folder of its own.
    """

    def __init__(self, folder: str, size: int, processes: int = 1) -> None:
        """At most `size` bytes; 0 keeps nothing. `processes` is how many share the folder."""
        self._top = folder
        boot = _boot()
        self._folder = os.path.join(folder, boot or "synced")
        self._synced = not boot
        self._size = size
        self._share = int(size * _SHARE) // processes
        self._added = self._share  # what earlier processes left is looked at when the first result is kept
        self._lock = threading.Lock()

    def get(self, key: str) -> Span | None:
        """The result that was kept under `key`, or None."""
        if not self._size:
            return None
        path = self._path(key)
        try:
            found = os.stat(path)
            # Reading does not everywhere renew it; the other time stays: it belongs to the entity tag.
            os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))
        except FileNotFoundError:
            return None
        except OSError:
            # It can be read perhaps, but not be renewed: then it is merely dropped earlier.
            if not os.access(path, os.R_OK):
                return None
        return Span(path, 0, found.st_size, Stat(found.st_size, found.st_mtime_ns, found.st_ino))

    def put(self, key: str, data: bytes) -> Span | bytes:
        """Keep a result; gives its file, or `data` where it is too large or cannot be kept."""
        if len(data) > self._size * _LARGEST:
            return data
        path = self._path(key)
        place = f"{path}.{secrets.token_hex(8)}{_UNFINISHED}"
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            stat = self._write(place, data)
            os.replace(place, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(place)
            return data
        self._count(len(data))
        return Span(path, 0, stat.size, stat)

    def _path(self, key: str) -> str:
        # Another version may make other bytes.
        name = hashlib.sha256(f"{__version__} {key}".encode()).hexdigest()
        return os.path.join(self._folder, name[:2], name[2:])

    def _write(self, place: str, data: bytes) -> Stat:
        with open(place, "xb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            if self._synced:
                os.fsync(file.fileno())
            found = os.fstat(file.fileno())
        return Stat(found.st_size, found.st_mtime_ns, found.st_ino)

    def _count(self, size: int) -> None:
        """Sweep once this process has added its share."""
        with self._lock:
            self._added += size
            if self._added < self._share:
                return
            self._added = 0
        self._sweep()

    def _sweep(self) -> None:
        """Delete what was not used for longest, until there is room for the shares of all processes."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._top):
                if os.path.join(self._top, name) != self._folder:
                    shutil.rmtree(os.path.join(self._top, name), ignore_errors=True)
        found = self._files()
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._size * _KEPT:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size

    def _files(self) -> list[tuple[int, int, str]]:
        """When each file was last used, its bytes, and its path; what nobody will finish is deleted."""
        found: list[tuple[int, int, str]] = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    stat = os.stat(path)
                    if name.endswith(_UNFINISHED) and time.time() - stat.st_mtime > _ABANDONED:
                        os.unlink(path)
                    else:
                        found.append((stat.st_atime_ns, stat.st_size, path))
        return found


def _boot() -> str:
    """What tells this start of the machine from others; empty where the system does not say."""
    try:
        with open(_BOOT, encoding="ascii") as file:
            name = file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return name if name.replace("-", "").isalnum() else ""
