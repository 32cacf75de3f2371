"""The walk over the data elements of a data set (PS3.5 section 7), in every byte order and VR form.

One rule: the walk reads headers. A value is a stretch of the source until somebody asks for its bytes, and
nesting is a list, never a call, so that neither the size of a value nor the depth of a sequence costs memory
or stack.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from staticwado.dicom import tags
from staticwado.dicom.sources import ByteSource, Span
from staticwado.dicom.tags import choose_vr, dictionary_vr, format_tag
from staticwado.dicom.vr import KNOWN, LONG_LENGTH, SHORT_LENGTH
from staticwado.errors import BrokenDicom, Unsupported

UNDEFINED = 0xFFFFFFFF
WINDOW = 1 << 16
MAX_DEPTH = 1 << 17
"""Open sequences and items; each costs memory until it is closed. Real data have some tens."""
MAX_ELEMENTS = 4_000_000
"""Elements, items and their ends in one data set; what is made of each takes up to 300 bytes. Real data
have up to some hundred thousand.
"""
MAX_NOTES = 100
"""What is wrong with a data set is told so many times, then summed up."""


class Kind(IntEnum):
    """What an event of the walk stands for."""

    LEAF = 0
    """An element with a value of known length."""
    SEQUENCE = 1
    ITEM = 2
    END_ITEM = 3
    END_SEQUENCE = 4
    ENCAPSULATED = 5
    """An element of undefined length that holds fragments (PS3.5 A.4). A walk ends at one at the top."""


Event = tuple[Kind, int, str, int, int, int]
"""(kind, tag, VR, offset of the element, offset of the value, length of the value or UNDEFINED)."""


def add_note(notes: list[str], note: str) -> None:
    """Add to what is odd about a data set; a file made of oddities must not fill the memory with notes."""
    if len(notes) < MAX_NOTES:
        notes.append(note)
    elif len(notes) == MAX_NOTES:
        notes.append("there is more to say than is written here")


class Window:
    """A piece of a source held in memory; moves on by itself."""

    __slots__ = ("base", "data", "source")

    def __init__(self, source: ByteSource, offset: int = 0, length: int = WINDOW) -> None:
        self.source = source
        self.base = offset
        self.data = source.read(offset, length)

    def require(self, offset: int, length: int) -> int:
        """Make `length` bytes at `offset` present if there are as many; returns where they are in `data`."""
        index = offset - self.base
        if index < 0 or index + length > len(self.data):
            if 0 <= index <= len(self.data) and self.base + len(self.data) == self.source.size:
                return index  # there is no more
            self.base = offset
            self.data = self.source.read(offset, max(length, WINDOW))
            return 0
        return index

    def bytes(self, offset: int, length: int) -> bytes:
        """The bytes at `offset`. Large values do not become part of the window."""
        index = offset - self.base
        if index >= 0 and index + length <= len(self.data):
            return self.data[index : index + length]
        if length >= WINDOW:
            return self.source.read(offset, length)
        index = self.require(offset, length)
        return self.data[index : index + length]


@dataclass(slots=True)
class Context:
    """What implicit VR takes from elements met earlier in the data set."""

    pixel_representation: int = 0
    creators: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Level:
    """One open sequence or item, or the data set itself."""

    kind: Kind
    tag: int
    start: int
    end: int | None
    """Where it ends; None if a delimiter ends it."""
    implicit: bool
    pixel_representation: int = 0
    creators: dict[int, str] = field(default_factory=dict)


class Walk:
    """The elements of one data set in one encoding; iterate over it for its events."""

    def __init__(
        self,
        window: Window,
        start: int,
        end: int,
        *,
        explicit_vr: bool = True,
        little_endian: bool = True,
        context: Context | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self._window = window
        self._position = start
        self._end = end
        self._order = "<" if little_endian else ">"
        self._header, self._tag_length, self._u32 = _UNPACK[self._order]
        self.context = context if context is not None else Context()
        top = self.context
        self._levels = [
            _Level(Kind.ITEM, 0, start, end, not explicit_vr, top.pixel_representation, top.creators)
        ]
        self.notes: list[str] = [] if notes is None else notes
        self._not_zero = -1

    @property
    def position(self) -> int:
        """The offset up to which the walk has come."""
        return self._position

    def __iter__(self) -> Iterator[Event]:
        levels = self._levels
        count = 0
        while True:
            level = levels[-1]
            position = self._position
            count += 1
            if count > MAX_ELEMENTS:
                raise Unsupported(f"the data set has more than {MAX_ELEMENTS} elements, items and their ends")
            if level.end is not None and position >= level.end:
                if len(levels) == 1:
                    return
                yield self._close(level, position)
                continue
            event = (
                self._next_item(level, position)
                if level.kind is Kind.SEQUENCE
                else self._next_element(level, position)
            )
            if event is None:
                return
            if event is _PASSED_OVER:
                continue
            yield event
            if event[0] is Kind.ENCAPSULATED and len(levels) == 1:
                return

    def _open(self, level: _Level) -> None:
        if len(self._levels) > MAX_DEPTH:
            raise Unsupported(
                f"sequence {format_tag(level.tag)} at offset {level.start} is nested deeper than {MAX_DEPTH} "
                "sequences and items"
            )
        self._levels.append(level)

    def _close(self, level: _Level, position: int) -> Event:
        if level.end is not None and position > level.end:
            raise BrokenDicom(
                f"{format_tag(level.tag)} at offset {level.start} ends inside one of its elements"
            )
        self._levels.pop()
        kind = Kind.END_ITEM if level.kind is Kind.ITEM else Kind.END_SEQUENCE
        return (kind, level.tag, "SQ", level.start, position, 0)

    def _note(self, note: str) -> None:
        add_note(self.notes, note)

    def _limit(self, level: _Level) -> int:
        return self._end if level.end is None else level.end

    def _next_item(self, level: _Level, position: int) -> Event | None:
        index = self._window.require(position, 8)
        if position + 8 > self._limit(level) or index + 8 > len(self._window.data):
            raise BrokenDicom(f"sequence {format_tag(level.tag)} is cut short at offset {position}")
        group, element, length = self._tag_length(self._window.data, index)
        tag = group << 16 | element
        self._position = position + 8
        if tag == tags.SEQUENCE_DELIMITATION:
            if level.end is not None:
                self._note(f"{format_tag(level.tag)} has both a length and a delimiter")
                self._position = level.end
            return self._close(level, self._position)
        if tag != tags.ITEM:
            raise BrokenDicom(
                f"{format_tag(tag)} at offset {position} stands where an item of a sequence should"
            )
        end = None if length == UNDEFINED else self._position + length
        if end is not None and end > self._limit(level):
            raise BrokenDicom(
                f"an item of {format_tag(level.tag)} at offset {position} is longer than the sequence"
            )
        self._open(_Level(Kind.ITEM, level.tag, position, end, level.implicit, level.pixel_representation))
        return (Kind.ITEM, level.tag, "SQ", position, self._position, length)

    def _next_element(self, level: _Level, position: int) -> Event | None:
        limit = self._limit(level)
        index = self._window.require(position, 12)
        data = self._window.data
        if position + 8 > limit or index + 8 > len(data):
            return self._end_of_bytes(level, position, limit)
        group, element, code, length = self._header(data, index)
        tag = group << 16 | element
        if group == 0xFFFE:
            return self._delimiter(level, tag, position)
        if tag == 0 and len(self._levels) == 1 and self._only_zeros(position, limit):
            self._note(f"{limit - position} zero bytes follow the data set")
            return None
        offset = position + 8
        if level.implicit:
            length = self._u32(data, index + 4)[0]
            vr = self._implicit_vr(level, tag, length, offset)
        elif code in _LONG_CODES:
            vr = _LONG_CODES[code]
            if index + 12 > len(data) or offset + 4 > limit:
                raise BrokenDicom(f"{format_tag(tag)} at offset {position} is cut short")
            length = self._u32(data, index + 8)[0]
            offset += 4
        elif code in _SHORT_CODES:
            vr = _SHORT_CODES[code]
        else:
            vr, offset, length = self._odd_vr(tag, code, index, position)
        implicit = level.implicit
        if vr == "UN" and not group & 1:
            implicit = True
            vr = self._known_vr(level, tag, length, offset)
        if tag == tags.PIXEL_REPRESENTATION and length == 2:
            self._see_pixel_representation(level, offset)
        return self._enter(level, tag, vr, position, offset, length, limit, implicit)

    def _known_vr(self, level: _Level, tag: int, length: int, offset: int) -> str:
        """The dictionary's VR for a standard element that a writer without it left as UN (PS3.5 6.2.2)."""
        if self._order == ">" or length == UNDEFINED:
            return "UN"
        vr = self._implicit_vr(level, tag, length, offset)
        if vr == "SQ" and length and self._window.bytes(offset, 4) != _ITEM_TAG:
            self._note(
                f"{format_tag(tag)} is a sequence by its tag, but no item begins its value; kept as bytes"
            )
            return "UN"
        return vr if vr in KNOWN else "UN"

    def _see_pixel_representation(self, level: _Level, offset: int) -> None:
        level.pixel_representation = int(any(self._window.bytes(offset, 2)))
        if len(self._levels) == 1:
            self.context.pixel_representation = level.pixel_representation

    def _end_of_bytes(self, level: _Level, position: int, limit: int) -> Event | None:
        if len(self._levels) > 1:
            raise BrokenDicom(f"an item of {format_tag(level.tag)} is cut short at offset {position}")
        if position < limit:
            rest = self._window.bytes(position, limit - position)
            if any(rest) or len(rest) != limit - position:
                raise BrokenDicom(f"the file ends inside an element at offset {position}")
            self._note(f"{limit - position} bytes follow the data set")
        return None

    def _only_zeros(self, position: int, limit: int) -> bool:
        """Whether nothing but zero bytes follows: media are padded to whole blocks so."""
        if self._not_zero >= position:
            return False
        while position < limit:
            piece = self._window.source.read(position, min(WINDOW, limit - position))
            if not piece:
                return False
            if piece.count(0) != len(piece):
                self._not_zero = position + len(piece) - len(piece.lstrip(b"\0"))
                return False
            position += len(piece)
        return True

    def _delimiter(self, level: _Level, tag: int, position: int) -> Event | None:
        if tag == tags.ITEM_DELIMITATION and len(self._levels) > 1:
            self._position = position + 8
            if level.end is not None:
                self._note(f"an item of {format_tag(level.tag)} has both a length and a delimiter")
                self._position = level.end
            return self._close(level, self._position)
        if tag == tags.SEQUENCE_DELIMITATION and len(self._levels) > 1 and level.end is None:
            # an item without its own delimiter: the sequence's one ends both; it is met again above
            self._note(f"an item of {format_tag(level.tag)} lacks its delimiter")
            return self._close(level, position)
        if tag in (tags.ITEM_DELIMITATION, tags.SEQUENCE_DELIMITATION) and len(self._levels) == 1:
            self._note(f"a stray {format_tag(tag)} at offset {position} was passed over")
            self._position = position + 8
            return _PASSED_OVER
        raise BrokenDicom(f"{format_tag(tag)} at offset {position} stands where an element should")

    def _implicit_vr(self, level: _Level, tag: int, length: int, offset: int) -> str:
        creator = None
        if tags.is_private(tag):
            if tags.is_private_creator(tag) and length <= 256:
                level.creators[tag] = self._window.bytes(offset, length).rstrip(b" \0").decode("latin-1")
            creator = level.creators.get(tag & 0xFFFF0000 | (tag >> 8 & 0xFF))
        vr = choose_vr(dictionary_vr(tag, creator), tag, level.pixel_representation)
        if length == UNDEFINED and vr not in ("SQ", "OB", "OW"):
            return "SQ"
        return vr

    def _odd_vr(self, tag: int, code: bytes, index: int, position: int) -> tuple[str, int, int]:
        """An element whose VR is none of PS3.5: written as implicit VR, or with a VR of a later edition."""
        data = self._window.data
        length: int = self._u32(data, index + 4)[0]
        looks_like_vr = code.isalpha() and code.isupper()
        if not looks_like_vr:
            self._note(f"{format_tag(tag)} at offset {position} has no VR and was read as implicit")
            vr = choose_vr(dictionary_vr(tag), tag, self._levels[-1].pixel_representation)
            return (vr if vr in KNOWN else "UN"), position + 8, length
        self._note(f"{format_tag(tag)} has the unknown VR {code.decode()} and was read as UN")
        if data[index + 6 : index + 8] == b"\0\0" and index + 12 <= len(data):
            return "UN", position + 12, self._u32(data, index + 8)[0]
        return "UN", position + 8, self._header(data, index)[3]

    def _enter(
        self,
        level: _Level,
        tag: int,
        vr: str,
        position: int,
        offset: int,
        length: int,
        limit: int,
        implicit: bool,
    ) -> Event:
        if length == UNDEFINED:
            return self._enter_undefined(level, tag, vr, position, offset)
        if offset + length > limit:
            raise BrokenDicom(
                f"{format_tag(tag)} at offset {position} says that it has {length} bytes, "
                f"but only {max(0, limit - offset)} follow"
            )
        if vr == "SQ":
            end = offset + length
            self._open(_Level(Kind.SEQUENCE, tag, position, end, implicit, level.pixel_representation))
            self._position = offset
            return (Kind.SEQUENCE, tag, vr, position, offset, length)
        self._position = offset + length
        return (Kind.LEAF, tag, vr, position, offset, length)

    def _enter_undefined(self, level: _Level, tag: int, vr: str, position: int, offset: int) -> Event:
        self._position = offset
        if vr in ("OB", "OW") or tag == tags.PIXEL_DATA:
            if len(self._levels) > 1:
                self._position = _skip_fragments(self._window, offset, self._end, self._order)
            return (Kind.ENCAPSULATED, tag, vr, position, offset, self._position - offset)
        if vr not in ("SQ", "UN"):
            raise BrokenDicom(f"{format_tag(tag)} at offset {position} is a {vr} of undefined length")
        # UN of undefined length is a sequence in implicit VR little endian (PS3.5 6.2.2 note 2)
        implicit = level.implicit or vr == "UN"
        if vr == "UN" and self._order == ">":
            raise BrokenDicom(f"{format_tag(tag)} at offset {position} is an unknown sequence in big endian")
        self._open(_Level(Kind.SEQUENCE, tag, position, None, implicit, level.pixel_representation))
        return (Kind.SEQUENCE, tag, "SQ", position, offset, UNDEFINED)


_UNPACK = {
    order: tuple(struct.Struct(order + form).unpack_from for form in ("HH2sH", "HHI", "I")) for order in "<>"
}
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_PASSED_OVER: Event = (Kind.LEAF, 0, "", 0, 0, 0)
_LONG_CODES = {code.encode(): code for code in LONG_LENGTH}
_SHORT_CODES = {code.encode(): code for code in SHORT_LENGTH}


def _skip_fragments(window: Window, offset: int, end: int, order: str) -> int:
    """Where the fragments that start at `offset` end, behind the sequence delimiter."""
    for span in fragments(window, offset, end, order):
        offset = span.end
    return offset + 8


def fragments(window: Window, offset: int, end: int, order: str = "<") -> Iterator[Span]:
    """The value of each item of encapsulated data, the offset table's first (PS3.5 A.4).

    Raises BrokenDicom where an item is cut short or something else stands in its place.
    """
    unpack = struct.Struct(order + "HHI").unpack_from
    while True:
        index = window.require(offset, 8)
        if offset + 8 > end or index + 8 > len(window.data):
            raise BrokenDicom(f"fragments are cut short at offset {offset}")
        group, element, length = unpack(window.data, index)
        tag = group << 16 | element
        if tag == tags.SEQUENCE_DELIMITATION:
            return
        if tag != tags.ITEM or offset + 8 + length > end:
            raise BrokenDicom(f"a fragment at offset {offset} is malformed or cut short")
        yield Span(offset + 8, length)
        offset += 8 + length
