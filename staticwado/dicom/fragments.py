"""The items of an encapsulated Pixel Data value: where its fragments lie (PS3.5 A.4)."""

import struct
from array import array
from dataclasses import dataclass, field

from staticwado.dicom.sources import ByteSource
from staticwado.errors import BrokenDicom, Unsupported

MAX_FRAGMENTS = 1 << 22
"""More fragments than this in one instance are refused: their table alone would fill the memory."""

_ITEM = 0xE000_FFFE
_ITEM_DELIMITER = 0xE00D_FFFE
_SEQUENCE_DELIMITER = 0xE0DD_FFFE
_UNDEFINED = 0xFFFF_FFFF
_FIRST = 64
_WINDOW = 64 * 1024
_SMALL = 4 * 1024
"""Below this length, reading on to the next item header costs less than another read."""

_header = struct.Struct("<II").unpack_from


@dataclass(slots=True)
class Fragments:
    """The fragments of a value in order, empty ones left out: where each payload is and how long."""

    offset: int
    """Where the value begins: the tag of its first item."""
    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    table: bytes = b""
    """The value of the Basic Offset Table item."""
    base: int = 0
    """Where the first item after the Basic Offset Table begins; offset tables count from here."""
    end: int = 0
    """The offset after the sequence delimitation item."""
    notes: list[str] = field(default_factory=list)


def read_fragments(source: ByteSource, offset: int, signatures: tuple[bytes, ...] = ()) -> Fragments:
    """Walk the items from `offset`, where the Basic Offset Table item begins, to the sequence delimiter.

    A first item that begins with one of `signatures` is a fragment: the table is missing.

    Raises BrokenDicom if an item runs past the end of the source, Unsupported beyond MAX_FRAGMENTS.
    """
    found = Fragments(offset)
    headers = _Headers(source)
    position = _read_table(source, headers, found, signatures)
    empty = odd = 0
    while True:
        tag, length = headers.read(position)
        if tag != _ITEM:
            if tag == _ITEM_DELIMITER and length == 0:
                position += 8
                continue
            break
        start = position + 8
        if length > source.size - start:
            raise BrokenDicom(_overrun(len(found.starts) + 1, position, length, source.size - start))
        if length:
            found.starts.append(start)
            found.lengths.append(length)
            odd += length & 1
        else:
            empty += 1
        if len(found.starts) + empty > MAX_FRAGMENTS:
            raise Unsupported(f"Pixel Data (7FE0,0010) has more than {MAX_FRAGMENTS} fragments")
        position = start + length
    found.end = _end(found, source, position, tag, length)
    if empty:
        found.notes.append(f"Pixel Data (7FE0,0010) has {empty} empty fragments")
    if odd:
        found.notes.append(f"Pixel Data (7FE0,0010) has {odd} fragments of odd length")
    return found


class _Headers:
    """Reads tags and lengths of items: one by one where items are large, by growing windows where small."""

    __slots__ = ("after", "source", "start", "width", "window")

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.window = b""
        self.start = 0
        self.after = 0
        self.width = _FIRST

    def read(self, position: int) -> tuple[int, int]:
        """Tag and length of the item at `position`; (0, bytes left) where the source ends inside them."""
        at = position - self.start
        if at + 8 > len(self.window):
            small = position - self.after < _SMALL
            self.width = min(self.width * 2, _WINDOW) if small else _FIRST
            self.window = self.source.read(position, self.width)
            self.start, at = position, 0
            if len(self.window) < 8:
                return 0, len(self.window)
        self.after = position
        tag, length = _header(self.window, at)
        return tag, length


def _read_table(
    source: ByteSource, headers: _Headers, found: Fragments, signatures: tuple[bytes, ...]
) -> int:
    """Read the Basic Offset Table item; returns where the items after it begin."""
    tag, length = headers.read(found.offset)
    start = found.offset + 8
    if tag == _SEQUENCE_DELIMITER:
        found.base = found.offset
        return found.offset
    if tag != _ITEM:
        raise BrokenDicom(f"Pixel Data (7FE0,0010) has no item at offset {found.offset}")
    if length > source.size - start:
        raise BrokenDicom(_overrun(0, found.offset, length, source.size - start))
    if length and signatures and source.read(start, 12).startswith(signatures):
        found.notes.append("the Basic Offset Table item is missing")
        found.base = found.offset
        return found.offset
    if length <= 4 * MAX_FRAGMENTS:
        found.table = source.read(start, length)
    else:
        found.notes.append(f"the Basic Offset Table is {length} bytes long and was not read")
    found.base = start + length
    return found.base


def _overrun(number: int, position: int, length: int, left: int) -> str:
    name = f"fragment {number}" if number else "the Basic Offset Table"
    if length == _UNDEFINED:
        return f"Pixel Data (7FE0,0010): {name} at offset {position} has undefined length"
    return (
        f"Pixel Data (7FE0,0010) is cut short: {name} at offset {position} is {length} bytes long, "
        f"{left} bytes are left"
    )


def _end(found: Fragments, source: ByteSource, position: int, tag: int, length: int) -> int:
    if tag == _SEQUENCE_DELIMITER:
        if length:
            found.notes.append(f"the sequence delimitation item of Pixel Data has length {length}")
        return position + 8
    found.notes.append("Pixel Data (7FE0,0010) has no sequence delimitation item")
    return position
