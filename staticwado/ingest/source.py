"""Where inputs come from: files, folders, zip and tar archives, DICOMDIR.

One rule: a source is a name and a way to open it; nothing is opened before it is needed, nothing is read twice.
"""

import contextlib
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from staticwado.dicom.dicomdir import is_dicomdir, referenced_files
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.errors import BrokenDicom, NotDicom, StoreUnavailable

MEMBER_IN_MEMORY = 8 << 20
_COPY = 1 << 20
_ARCHIVE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError, OSError)


class FileBytes:
    """The bytes of an open file."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise StoreUnavailable(f"the source could not be read: {error.strerror}") from error

    def read_into(self, offset: int, view: memoryview) -> int:
        try:
            return os.preadv(self._descriptor, [view], offset)
        except OSError as error:
            raise StoreUnavailable(f"the source could not be read: {error.strerror}") from error


class Source(Protocol):
    """One input."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def named(self) -> bool:
        """Whether the user named it, rather than a folder or an archive that holds it."""
        ...

    def open(self) -> contextlib.AbstractContextManager[ByteSource]: ...


Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk."""

    name: str
    size: int
    stamp: Stamp
    named: bool = False

    @contextlib.contextmanager
    def open(self) -> Iterator[ByteSource]:
        try:
            descriptor = os.open(self.name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise StoreUnavailable(f"the file could not be opened: {error.strerror}") from error
        try:
            yield FileBytes(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class MemberSource:
    """A member of a zip or tar archive; unpacked to memory, or to a temporary file where it is large."""

    name: str
    size: int
    archive: str
    member: str
    kind: str
    """`zip` or `tar`."""
    offset: int = -1
    """Where the member's bytes lie in an uncompressed tar; -1 if they cannot be read in place."""
    named: bool = False

    @contextlib.contextmanager
    def open(self) -> Iterator[ByteSource]:
        try:
            with contextlib.ExitStack() as stack:
                source = self._open(stack)
                yield source
        except _ARCHIVE_ERRORS as error:
            raise BrokenDicom(f"{self.archive} could not be unpacked: {error}") from error

    def _open(self, stack: contextlib.ExitStack) -> ByteSource:
        if self.kind == "zip":
            stream: IO[bytes] | None = stack.enter_context(
                stack.enter_context(zipfile.ZipFile(self.archive)).open(self.member)
            )
        elif self.offset >= 0:
            stream = stack.enter_context(open(self.archive, "rb"))
            stream.seek(self.offset)
        else:
            unpacked = stack.enter_context(tarfile.open(self.archive, "r:*"))
            stream = unpacked.extractfile(self.member)
        if stream is None:
            raise BrokenDicom(f"{self.member} is no file")
        if self.size <= MEMBER_IN_MEMORY:
            return MemorySource(stream.read(self.size))
        spool = stack.enter_context(tempfile.TemporaryFile())
        left = self.size
        while left and (piece := stream.read(min(_COPY, left))):
            spool.write(piece)
            left -= len(piece)
        spool.flush()
        return FileBytes(spool.fileno(), self.size - left)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An input that could not even be listed; opening it raises why."""

    name: str
    detail: str
    named: bool = True
    size: int = 0

    @contextlib.contextmanager
    def open(self) -> Iterator[ByteSource]:
        raise StoreUnavailable(self.detail)
        yield  # type: ignore[unreachable]  # makes this a generator, as a context manager needs


AnySource = FileSource | MemberSource | Unreadable


def find_sources(paths: list[str], leave_out: str) -> Iterator[AnySource]:
    """Every input below `paths`, files of a folder in the order of their names.

    The folder `leave_out` (the archive itself) is not entered, nor a folder twice, so that links cannot loop.
    """
    seen: set[tuple[int, int]] = set()
    with contextlib.suppress(OSError):
        found = os.stat(leave_out)
        seen.add((found.st_dev, found.st_ino))
    for path in paths:
        yield from _expand(path, seen)


def _expand(path: str, seen: set[tuple[int, int]]) -> Iterator[AnySource]:
    try:
        found = os.stat(path)
    except OSError as error:
        yield Unreadable(path, f"the file could not be read: {error.strerror}")
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _walk(path, found, seen)
    elif not stat.S_ISREG(found.st_mode):
        yield Unreadable(path, "it is neither a file nor a folder")
    else:
        yield from _expand_file(path, found, named=True)


def _walk(path: str, found: os.stat_result, seen: set[tuple[int, int]]) -> Iterator[AnySource]:
    stack = [(path, found)]
    while stack:
        folder, found = stack.pop()
        identity = (found.st_dev, found.st_ino)
        if identity in seen:
            continue
        seen.add(identity)
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Unreadable(folder, f"the folder could not be listed: {error.strerror}")
            continue
        below = []
        for entry in entries:
            try:
                found = entry.stat()
            except OSError as error:
                yield Unreadable(entry.path, f"the file could not be read: {error.strerror}", named=False)
                continue
            if stat.S_ISDIR(found.st_mode):
                below.append((entry.path, found))
            elif stat.S_ISREG(found.st_mode):
                yield from _expand_file(entry.path, found, named=False)
        stack.extend(reversed(below))


def _expand_file(path: str, found: os.stat_result, *, named: bool) -> Iterator[AnySource]:
    lower = path.lower()
    stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
    file = FileSource(path, found.st_size, stamp, named)
    if lower.endswith(".zip"):
        yield from _members_of_zip(path, file)
    elif lower.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        yield from _members_of_tar(path, file)
    elif named and is_dicomdir(os.path.basename(path)):
        yield from _files_of_dicomdir(path, file)
    else:
        yield file


def _members_of_zip(path: str, file: FileSource) -> Iterator[AnySource]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda one: one.filename):
                if not info.is_dir():
                    yield MemberSource(f"{path}!/{info.filename}", info.file_size, path, info.filename, "zip")
    except _ARCHIVE_ERRORS as error:
        yield Unreadable(path, f"the zip archive could not be read: {error}", file.named)


def _members_of_tar(path: str, file: FileSource) -> Iterator[AnySource]:
    try:
        with tarfile.open(path, "r:*") as archive:
            plain = archive.fileobj is not None and path.lower().endswith(".tar")
            for info in archive:
                if info.isfile():
                    offset = info.offset_data if plain and not info.issparse() else -1
                    yield MemberSource(f"{path}!/{info.name}", info.size, path, info.name, "tar", offset)
    except _ARCHIVE_ERRORS as error:
        yield Unreadable(path, f"the tar archive could not be read: {error}", file.named)


def _files_of_dicomdir(path: str, file: FileSource) -> Iterator[AnySource]:
    """The files that a DICOMDIR refers to (PS3.10 section 8, PS3.3 annex F), beside it."""
    try:
        with file.open() as source:
            references = referenced_files(source)
    except (NotDicom, BrokenDicom, StoreUnavailable) as error:
        yield Unreadable(path, f"the DICOMDIR could not be read: {error}")
        return
    folder = os.path.dirname(path)
    for parts in references:
        target = _find_ignoring_case(folder, parts)
        if target is None:
            yield Unreadable(f"{path}!/{'/'.join(parts)}", "the DICOMDIR refers to a file that is not there")
            continue
        found = os.stat(target)
        yield FileSource(target, found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino), named=True)


def _find_ignoring_case(folder: str, parts: tuple[str, ...]) -> str | None:
    """The file below `folder` with these path components; media mounted elsewhere change their case."""
    path = folder or "."
    for part in parts:
        if part in ("", ".", "..") or "/" in part or os.sep in part:
            return None
        direct = os.path.join(path, part)
        if os.path.exists(direct):
            path = direct
            continue
        try:
            names = [name for name in sorted(os.listdir(path)) if name.lower() == part.lower()]
        except OSError:
            return None
        if not names:
            return None
        path = os.path.join(path, names[0])
    return path if os.path.isfile(path) else None
