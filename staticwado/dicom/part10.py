"""Part 10 files (PS3.10 section 7): preamble, file meta information, and in what encoding the data set is.

One rule: what is recognisable is read. Files without preamble, without file meta information or with a
transfer syntax that their bytes contradict exist in every archive; a note says so.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from staticwado.dicom.elements import Kind, Walk, Window
from staticwado.dicom.sources import ByteSource
from staticwado.dicom.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
)
from staticwado.dicom.vr import KNOWN, SHORT_LENGTH
from staticwado.errors import BrokenDicom, NotDicom, Unsupported

PREAMBLE = 128
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_TRANSFER_SYNTAX_UID = 0x00020010
_VRS = frozenset(code.encode() for code in KNOWN)
_SHORT_VRS = frozenset(code.encode() for code in SHORT_LENGTH)
_WANTED = frozenset({_MEDIA_STORAGE_SOP_CLASS_UID & 0xFFFF, _TRANSFER_SYNTAX_UID & 0xFFFF})
"""The elements of group 0002 that are looked at."""
_FIRST_GROUPS = (0x0008,)
_MAX_META = 1 << 20
_HEADER = struct.Struct("<HH2sH").unpack_from

Inflate = Callable[[ByteSource, int], ByteSource]
"""Inflates the raw deflate stream of a source from an offset on, somewhere outside memory."""


@dataclass(frozen=True, slots=True)
class Part10:
    """Where things are in one file."""

    file: ByteSource
    """The file as it is."""
    source: ByteSource
    """What the data set is read from: the file, or the inflated data set."""
    window: Window
    """The first bytes of `source`."""
    start: int
    """Offset of the data set in `source`."""
    data_start: int
    """Offset of the data set, as stored, in `file`."""
    syntax: TransferSyntax
    declared: str
    """Transfer Syntax UID as the file meta information has it; empty if it is missing."""
    sop_class: str
    """Media Storage SOP Class UID of the file meta information; empty if it is missing."""
    notes: tuple[str, ...]

    @property
    def deflated(self) -> bool:
        return self.source is not self.file

    def walk(self) -> Walk:
        """The elements of the data set."""
        return Walk(
            Window(self.source, self.start),
            self.start,
            self.source.size,
            explicit_vr=self.syntax.explicit_vr,
            little_endian=self.syntax.little_endian,
        )


def looks_like_dicom(head: bytes, size: int) -> bool:
    """Whether the first bytes (132 or more, if there are as many) of a file are those of a DICOM file."""
    if head[PREAMBLE : PREAMBLE + 4] == b"DICM":
        return True
    if head[:2] == b"\x02\x00" and head[4:6] in _VRS:
        return True
    return _guess(head, size) is not None


def _guess(head: bytes, size: int) -> str | None:
    """The transfer syntax that the first element of a data set shows, if it is one of group 0008."""
    if len(head) < 8:
        return None
    little = int.from_bytes(head[:2], "little")
    big = int.from_bytes(head[:2], "big")
    explicit = head[4:6] in _VRS
    if little in _FIRST_GROUPS:
        if explicit:
            return EXPLICIT_VR_LITTLE_ENDIAN
        length = int.from_bytes(head[4:8], "little")
        return IMPLICIT_VR_LITTLE_ENDIAN if length <= min(size - 8, 1 << 16) and not length & 1 else None
    if big in _FIRST_GROUPS and explicit:
        return EXPLICIT_VR_BIG_ENDIAN
    return None


def parse(file: ByteSource, inflate: Inflate, window_size: int = 16384) -> Part10:
    """Find the data set of a Part 10 file.

    Raises NotDicom, BrokenDicom (cut short in the file meta information, or a broken deflate stream) or
    Unsupported (a transfer syntax that is not known).
    """
    window = Window(file, 0, window_size)
    head = window.data
    if not head:
        raise NotDicom("the file is empty")
    notes: list[str] = []
    if head[PREAMBLE : PREAMBLE + 4] == b"DICM":
        position = PREAMBLE + 4
    elif head[:4] == b"DICM":
        position = 4
        notes.append("the file has no preamble")
    elif looks_like_dicom(head, file.size):
        position = 0
        notes.append("the file has no preamble")
    else:
        raise NotDicom("the file is no DICOM file: it has neither a DICM prefix nor a recognisable data set")
    meta, start = _file_meta(window, position, file.size)
    declared = meta.get(_TRANSFER_SYNTAX_UID, "")
    syntax = _choose_syntax(declared, window, start, file.size, notes)
    if window.base:
        window = Window(file, 0, window_size)
    source, data_start = file, start
    if syntax.deflated:
        source, start = inflate(file, start), 0
        window = Window(source, 0, window_size)
    sop_class = meta.get(_MEDIA_STORAGE_SOP_CLASS_UID, "")
    return Part10(file, source, window, start, data_start, syntax, declared, sop_class, tuple(notes))


def _file_meta(window: Window, position: int, size: int) -> tuple[dict[int, str], int]:
    """What is wanted of the file meta information (explicit VR little endian), and where it ends."""
    meta: dict[int, str] = {}
    begin = position
    index = window.require(position, 8)
    data = window.data
    while index + 8 <= len(data):
        group, element, code, length = _HEADER(data, index)
        if group != 2:
            break
        end = index + 8 + length
        if code in _SHORT_VRS and end > len(data):
            index = window.require(position, 8 + length)
            data = window.data
            end = index + 8 + length
        if code in _SHORT_VRS and end <= len(data):
            if code == b"UI" and element in _WANTED:
                meta.setdefault(0x00020000 | element, data[index + 8 : end].rstrip(b" \0").decode("latin-1"))
            position += 8 + length
        else:
            position = _skip_element(window, position, size, begin)
        index = window.require(position, 8)
        data = window.data
    return meta, position


def _skip_element(window: Window, position: int, size: int, begin: int) -> int:
    """Where an element of the file meta information that is long, cut short or odd ends."""
    walk = Walk(window, position, size)
    event = next(iter(walk), None)
    if event is None or event[0] is not Kind.LEAF or walk.position - begin > _MAX_META:
        raise BrokenDicom("the file meta information is malformed")
    return walk.position


def _choose_syntax(declared: str, window: Window, start: int, size: int, notes: list[str]) -> TransferSyntax:
    head = window.bytes(start, min(16, size - start))
    guess = _guess(head, size - start)
    if not declared:
        if guess is None:
            if start >= size:
                raise BrokenDicom("the file ends behind its file meta information")
            raise BrokenDicom("the file has no Transfer Syntax UID, and its data set shows none")
        notes.append(f"the file has no Transfer Syntax UID; read as {TRANSFER_SYNTAXES[guess].name}")
        return TRANSFER_SYNTAXES[guess]
    syntax = TRANSFER_SYNTAXES.get(declared)
    if syntax is None:
        raise Unsupported(f"Transfer Syntax UID (0002,0010) {declared[:70]!r} is not known")
    if guess is not None and not syntax.deflated:
        shown = TRANSFER_SYNTAXES[guess]
        if (shown.explicit_vr, shown.little_endian) != (syntax.explicit_vr, syntax.little_endian):
            notes.append(f"the file says {syntax.name}, but its data set is in {shown.name}")
            if not syntax.encapsulated:
                return shown
            return replace(syntax, explicit_vr=shown.explicit_vr, little_endian=shown.little_endian)
    return syntax
