"""Inputs: a name, and a way to open it.

One rule: nothing is opened before it is needed, and the members of a packed archive are unpacked in one pass.
"""

import contextlib
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Protocol

from staticwado.dicom.part10 import looks_like_dicom
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.errors import BrokenDicom, NotDicom, StoreUnavailable

MEMBER_IN_MEMORY = 8 << 20
_COPY = 1 << 20
_HEAD = 512
_OPENING = (
    os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)

ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    KeyError,
    OSError,
    MemoryError,
)
"""What the libraries raise for archives that are damaged, encrypted or packed in a way that they do not
know, or that ask for a dictionary larger than the memory.
"""

_LONGEST_REASON = 200
"""Characters of what a library says; it may repeat names from the archive, which may be 65,535 bytes long."""

Stamp = tuple[int, int, int]
"""Size, modification time in nanoseconds, inode."""


def reason_in_words(error: Exception) -> str:
    """What a library said, cut short; the name of the error where it said nothing."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."


class FileBytes:
    """The bytes of an open file, or of a stretch of it from `base` on."""

    __slots__ = ("_base", "_descriptor", "size")

    def __init__(self, descriptor: int, size: int, base: int = 0) -> None:
        self._descriptor = descriptor
        self._base = base
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, max(0, min(length, self.size - offset)), self._base + offset)
        except OSError as error:
            raise StoreUnavailable(f"the source could not be read: {error.strerror}") from error

    def read_into(self, offset: int, view: memoryview) -> int:
        try:
            part = view[: max(0, min(len(view), self.size - offset))]
            return os.preadv(self._descriptor, [part], self._base + offset)
        except OSError as error:
            raise StoreUnavailable(f"the source could not be read: {error.strerror}") from error


class Packing(Enum):
    """How a member lies in its archive."""

    ZIP = "zip"
    TAR = "tar"
    PACKED_TAR = "packed tar"


class OpenArchives:
    """The packed archive that was used last, kept open for its next member."""

    def __init__(self, spool_folder: str | None = None) -> None:
        self.spool_folder = spool_folder
        """Where large members are unpacked to; None: where the system keeps temporary files."""
        self._path = ""
        self._archive: zipfile.ZipFile | tarfile.TarFile | None = None

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._path, self._archive = "", None

    def open_zip(self, path: str, index: int) -> IO[bytes]:
        """The contents of the member that stands at `index` in the archive's directory."""
        archive = self._archive
        if path != self._path or not isinstance(archive, zipfile.ZipFile):
            self.close()
            archive = self._archive = zipfile.ZipFile(path)
            self._path = path
        return archive.open(archive.infolist()[index])

    def open_tar(self, path: str, offset: int) -> IO[bytes]:
        """The unpacked bytes of a tar archive from `offset` on; going forward unpacks nothing twice."""
        archive = self._archive
        if path != self._path or not isinstance(archive, tarfile.TarFile):
            self.close()
            archive = self._archive = tarfile.open(path, "r:*")  # noqa: SIM115  (`close` does)
            self._path = path
        stream = archive.fileobj
        if stream is None:
            raise tarfile.ReadError("the archive cannot be read")
        stream.seek(offset)
        return stream  # type: ignore[return-value]


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

    def open(self, archives: OpenArchives) -> contextlib.AbstractContextManager[ByteSource]:
        """Its bytes. Raises NotDicom, BrokenDicom or StoreUnavailable, on leaving also if they have
        changed.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk."""

    name: str
    size: int
    stamp: Stamp
    named: bool = False

    @contextlib.contextmanager
    def open(self, archives: OpenArchives) -> Iterator[ByteSource]:
        try:
            descriptor = os.open(self.name, _OPENING)
        except OSError as error:
            raise StoreUnavailable(f"the file could not be opened: {error.strerror}") from error
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise StoreUnavailable("it is no file any more")
            yield FileBytes(descriptor, before.st_size)
            after = os.fstat(descriptor)
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise StoreUnavailable("the file changed while it was read")
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A file that is in memory, as a client sent it."""

    name: str
    data: bytes
    named: bool = True

    @property
    def size(self) -> int:
        return len(self.data)

    @contextlib.contextmanager
    def open(self, archives: OpenArchives) -> Iterator[ByteSource]:
        yield MemorySource(self.data)


@dataclass(frozen=True, slots=True)
class MemberSource:
    """A member of a zip or tar archive; read in place, or unpacked to memory, or to a file where it is
    large.
    """

    name: str
    size: int
    archive: str
    packing: Packing
    position: int
    """Its index in the directory of a zip archive; where its bytes begin in an unpacked tar archive."""
    named: bool = False

    @contextlib.contextmanager
    def open(self, archives: OpenArchives) -> Iterator[ByteSource]:
        with contextlib.ExitStack() as stack:
            try:
                source = self._open(archives, stack)
            except ARCHIVE_ERRORS as error:
                archives.close()
                raise BrokenDicom(f"it could not be unpacked: {reason_in_words(error)}") from error
            yield source

    def _open(self, archives: OpenArchives, stack: contextlib.ExitStack) -> ByteSource:
        if self.packing is Packing.TAR:
            file = Path(self.archive).open("rb", buffering=0)  # noqa: SIM115  (`stack` does)
            stack.enter_context(file)
            there = max(0, os.fstat(file.fileno()).st_size - self.position)
            return FileBytes(file.fileno(), min(self.size, there), self.position)
        if self.packing is Packing.ZIP:
            stream = stack.enter_context(archives.open_zip(self.archive, self.position))
        else:
            stream = archives.open_tar(self.archive, self.position)
        if self.size <= MEMBER_IN_MEMORY:
            return MemorySource(stream.read(self.size))
        head = stream.read(_HEAD)
        if not looks_like_dicom(head, self.size):
            raise NotDicom("it is no DICOM file: it has neither a DICM prefix nor a recognisable data set")
        return self._unpack(head, stream, archives.spool_folder, stack)

    def _unpack(
        self, head: bytes, stream: IO[bytes], folder: str | None, stack: contextlib.ExitStack
    ) -> ByteSource:
        spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (`stack` does)
        stack.enter_context(spool)
        spool.write(head)
        left = self.size - len(head)
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
    named: bool = False
    size: int = 0

    @contextlib.contextmanager
    def open(self, archives: OpenArchives) -> Iterator[ByteSource]:
        raise StoreUnavailable(self.detail)
        yield  # type: ignore[unreachable]  # makes this a generator, as a context manager needs


@dataclass(frozen=True, slots=True)
class NoFile:
    """What was met in a folder or in an archive and holds no bytes of its own: a pipe, a device, a looping
    link.
    """

    name: str
    detail: str
    named: bool = False
    size: int = 0

    @contextlib.contextmanager
    def open(self, archives: OpenArchives) -> Iterator[ByteSource]:
        raise NotDicom(self.detail)
        yield  # type: ignore[unreachable]  # as above


AnySource = FileSource | BytesSource | MemberSource | Unreadable | NoFile
