"""Finding the inputs below paths: files, folders, zip and tar archives, DICOMDIR.

One rule: whatever is met becomes an input, so that it gets an outcome; nothing but directories is read.
"""

import contextlib
import errno
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator

from staticwado.dicom.dicomdir import is_dicomdir, referenced_files
from staticwado.dicom.part10 import MEDIA_STORAGE_DIRECTORY, parse
from staticwado.dicom.sources import ByteSource
from staticwado.errors import BrokenDicom, StaticWadoError
from staticwado.ingest.source import (
    ARCHIVE_ERRORS,
    AnySource,
    FileSource,
    MemberSource,
    NoFile,
    OpenArchives,
    Packing,
    Unreadable,
    reason_in_words,
)

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_PACKED = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_LARGEST_RATIO = 1040
"""Deflate makes at most 1032 bytes of one."""
Seen = set[tuple[int, int]]


def find_sources(paths: Iterable[str], leave_out: Iterable[str]) -> Iterator[AnySource]:
    """Every input below `paths`, files of a folder in the order of their names.

    The folders `leave_out` (the archive itself) are not entered, nor a folder twice, so that links cannot
    loop.
    """
    seen: Seen = set()
    for path in leave_out:
        with contextlib.suppress(OSError):
            found = os.stat(path)
            seen.add((found.st_dev, found.st_ino))
    for path in paths:
        yield from _expand(path, seen)


def _expand(path: str, seen: Seen) -> Iterator[AnySource]:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        yield Unreadable(path, f"the file could not be read: {reason_in_words(error)}", named=True)
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _walk(path, found, seen)
    elif not stat.S_ISREG(found.st_mode):
        yield Unreadable(path, "it is neither a file nor a folder", named=True)
    else:
        yield from _expand_file(path, found, named=True)


def _walk(path: str, found: os.stat_result, seen: Seen) -> Iterator[AnySource]:
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
                yield _not_there(entry.path, error)
                continue
            if stat.S_ISDIR(found.st_mode):
                below.append((entry.path, found))
            elif stat.S_ISREG(found.st_mode):
                yield from _expand_file(entry.path, found, named=False)
            else:
                yield NoFile(entry.path, "it is neither a file nor a folder")
        stack.extend(reversed(below))


def _not_there(path: str, error: OSError) -> AnySource:
    if error.errno == errno.ELOOP:
        return NoFile(path, "it is a link that leads back to itself")
    return Unreadable(path, f"the file could not be read: {error.strerror}")


def _expand_file(path: str, found: os.stat_result, *, named: bool) -> Iterator[AnySource]:
    lower = path.lower()
    file = FileSource(path, found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino), named)
    if lower.endswith(_ZIP):
        yield from _members_of_zip(path, file)
    elif lower.endswith(_TAR):
        yield from _members_of_tar(path, file)
    elif named and _is_directory(file):
        yield from _files_of_dicomdir(path, file)
    else:
        yield file


def _looks_packed(path: str) -> bool:
    """Whether a file that cannot be read as an archive is one nevertheless, by its first bytes."""
    try:
        with open(path, "rb") as file:
            head = file.read(265)
    except OSError:
        return True
    return head.startswith(_PACKED) or head[257:262] == b"ustar"


# -- zip and tar ---------------------------------------------------------------------------------------------


def _members_of_zip(path: str, file: FileSource) -> Iterator[AnySource]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(enumerate(archive.infolist()), key=lambda one: one[1].filename)
    except ARCHIVE_ERRORS as error:
        yield _unpackable(path, file, f"the zip archive could not be read: {reason_in_words(error)}")
        return
    for index, info in members:
        name = f"{path}!/{info.filename}"
        if info.filename.endswith("/"):
            continue
        if info.file_size > _limit(info):
            yield Unreadable(name, f"it says that it has {info.file_size} bytes, which cannot be")
        else:
            yield MemberSource(name, info.file_size, path, Packing.ZIP, index)


def _limit(info: zipfile.ZipInfo) -> int:
    """How many bytes a member of a zip archive can have, by its packed size."""
    if info.compress_type == zipfile.ZIP_STORED:
        return info.compress_size
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return info.compress_size * _LARGEST_RATIO
    return info.file_size


def _members_of_tar(path: str, file: FileSource) -> Iterator[AnySource]:
    found = False
    targets: dict[str, MemberSource] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            plain = _is_plain(path)
            for info in archive:
                found = True
                source = _member_of_tar(path, info, Packing.TAR if plain else Packing.PACKED_TAR, targets)
                if source is not None:
                    yield source
    except ARCHIVE_ERRORS as error:
        detail = f"the tar archive could not be read to its end: {reason_in_words(error)}"
        yield Unreadable(path, detail, file.named) if found else _unpackable(path, file, detail)


def _member_of_tar(
    path: str, info: tarfile.TarInfo, packing: Packing, targets: dict[str, MemberSource]
) -> AnySource | None:
    name = f"{path}!/{info.name}"
    if info.isdir():
        return None
    if info.issparse():
        return Unreadable(name, "it is a sparse file; those are not read from tar archives")
    if info.isreg():
        targets[info.name] = MemberSource(name, info.size, path, packing, info.offset_data)
        return targets[info.name]
    target = targets.get(info.linkname) if info.islnk() else None
    if target is not None:
        return MemberSource(name, target.size, path, packing, target.position)
    return NoFile(name, "it is a link or a device, not a file")


def _is_plain(path: str) -> bool:
    with open(path, "rb") as file:
        return not file.read(6).startswith(_PACKED)


def _unpackable(path: str, file: FileSource, detail: str) -> AnySource:
    """What calls itself an archive and is none may be a DICOM file, or nothing to us."""
    return Unreadable(path, detail, file.named) if _looks_packed(path) else file


# -- DICOMDIR ------------------------------------------------------------------------------------------------


def _is_directory(file: FileSource) -> bool:
    """Whether a file is a DICOMDIR, by its name or, where it was renamed, by its file meta information."""
    if is_dicomdir(os.path.basename(file.name)):
        return True
    try:
        with file.open(OpenArchives()) as source:
            return parse(source, _no_inflate).sop_class == MEDIA_STORAGE_DIRECTORY
    except StaticWadoError:
        return False


def _no_inflate(source: ByteSource, offset: int) -> ByteSource:
    raise BrokenDicom("a DICOMDIR is never deflated")


def _files_of_dicomdir(path: str, file: FileSource) -> Iterator[AnySource]:
    """The files that a DICOMDIR refers to (PS3.10 section 8, PS3.3 annex F), beside it."""
    try:
        with file.open(OpenArchives()) as source:
            references = referenced_files(source)
    except StaticWadoError as error:
        yield Unreadable(path, f"the DICOMDIR could not be read: {error}", named=True)
        return
    if not references:
        yield NoFile(path, "the DICOMDIR refers to no file")
    folder = os.path.dirname(path)
    for parts in references:
        target = _find_ignoring_case(folder, parts)
        try:
            found = None if target is None else os.stat(target)
        except OSError:
            found = None
        if target is None or found is None:
            name = f"{path}!/{'/'.join(parts)}"
            yield Unreadable(name, "the DICOMDIR refers to a file that is not there", named=True)
            continue
        yield FileSource(target, found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino), named=True)


def _find_ignoring_case(folder: str, parts: tuple[str, ...]) -> str | None:
    """The file below `folder` with these path components; media mounted elsewhere change their case."""
    path = folder or "."
    for part in parts:
        if part in ("", ".", "..") or "/" in part or os.sep in part or "\0" in part:
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
