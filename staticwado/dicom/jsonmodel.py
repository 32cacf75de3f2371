"""The DICOM JSON Model (PS3.18 annex F), written from the bytes of a data set.

One rule: the text of an element depends on its bytes, the encoding and the character set alone. So where a
header repeats the one before it, byte for byte, its text is taken from there; in a series that is nearly all
of it.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from staticwado.dicom import tags
from staticwado.dicom.charset import make_decoder
from staticwado.dicom.elements import UNDEFINED, Context, Event, Kind, Walk, Window, add_note
from staticwado.dicom.headertemplate import HeaderTemplate, Turn, common_prefix
from staticwado.dicom.jsonmember import RAW_WANTED, BulkUri, MemberWriter
from staticwado.dicom.jsonmember import Bulk as Bulk
from staticwado.dicom.sources import Span
from staticwado.dicom.tags import format_tag
from staticwado.dicom.transfer_syntax import TransferSyntax
from staticwado.dicom.vr import SHORT_LENGTH
from staticwado.errors import BrokenDicom

_MANY = 8
"""Elements that may differ from the template, beside half of them, before another header takes its place."""
_EXPLICIT = {order: struct.Struct(order + "HH2sH").unpack_from for order in "<>"}
_LONG = {order: struct.Struct(order + "HH2sHI").unpack_from for order in "<>"}
_PIXEL_VRS = frozenset({b"OB", b"OW"})
_LONGEST_ELEMENT_HEADER = 12
_IMPLICIT = struct.Struct("<HHI").unpack_from
_SHORT_VRS = {code.encode(): code for code in SHORT_LENGTH}


@dataclass(frozen=True, slots=True)
class PixelValue:
    """Where the top-level Pixel Data, or its float kin, lie."""

    tag: int
    vr: str
    start: int
    """Offset of the element."""
    span: Span
    """The value; its length is UNDEFINED for encapsulated pixel data."""

    @property
    def encapsulated(self) -> bool:
        return self.span.length == UNDEFINED


@dataclass(slots=True)
class EncodedDataset:
    """A data set as DICOM JSON members by tag, without Pixel Data."""

    members: dict[int, str] = field(default_factory=dict)
    """Tag -> `"GGGGEEEE":{…}`; an empty text for what JSON leaves out (group lengths)."""
    notes: list[str] = field(default_factory=list)
    pixels: PixelValue | None = None
    raw: dict[int, Span] = field(default_factory=dict)
    end: int = 0
    """How far the data set was read."""

    @property
    def header_end(self) -> int:
        """How much of the source a reader of headers needs: up to the header of the Pixel Data, included."""
        return self.end if self.pixels is None else self.pixels.start + _LONGEST_ELEMENT_HEADER

    def value(self, tag: int) -> Any:
        """The first value of `tag`: str, int, float or an object; None if it is absent or empty."""
        values = self._values(tag)
        return values[0] if values else None

    def text(self, tag: int) -> str | None:
        """The first value of `tag` as text; None if it is absent, empty or no plain value."""
        value = self.value(tag)
        return None if value is None or isinstance(value, dict) else str(value)

    def texts(self, tag: int) -> list[str]:
        """The values of `tag` as text; none if it is absent, empty or a sequence."""
        return [
            "" if value is None else str(value) for value in self._values(tag) if not isinstance(value, dict)
        ]

    def _values(self, tag: int) -> list[Any]:
        member = self.members.get(tag)
        if not member:
            return []
        try:
            values: list[Any] = orjson.loads(member[11:]).get("Value", [])
        except orjson.JSONDecodeError:
            return []  # sequences deeper than the library reads; no plain value in any case
        return values

    def add(self, tag: int, body: str) -> None:
        """Set the member of `tag` to the object text `body`."""
        self.members[tag] = f'"{tag:08X}":{body}'

    def to_json(self) -> bytes:
        """The object text: members in ascending order of tags (J-01), UTF-8."""
        texts = map(self.members.__getitem__, sorted(self.members))
        return ("{" + ",".join(filter(None, texts)) + "}").encode()


class Encoder:
    """Makes the JSON of data sets, one after the other; remembers the last header."""

    def __init__(self, bulk_uri: BulkUri) -> None:
        self._bulk_uri = bulk_uri
        self._template: HeaderTemplate | None = None

    def encode(self, window: Window, start: int, end: int, syntax: TransferSyntax) -> EncodedDataset:
        """The data set between `start` and `end` of the window's source.

        Stops behind the header of encapsulated Pixel Data; `resume` reads what follows them.
        Raises BrokenDicom where the bytes cannot be a data set, Unsupported where they would fill the memory.
        """
        template = self._template
        reading = _Reading(self._bulk_uri, window, end, syntax)
        if template is not None and template.syntax == syntax and window.base == 0:
            reading.like(template, start)
            if template.worn:
                self._template = None
        else:
            self._template = reading.whole(start)
        return reading.dataset

    def resume(
        self, dataset: EncodedDataset, window: Window, start: int, end: int, syntax: TransferSyntax
    ) -> None:
        """Add to `dataset` the elements behind its encapsulated Pixel Data."""
        _Reading(self._bulk_uri, window, end, syntax, dataset).resume(start)


class _Reading:
    """The reading of one data set."""

    def __init__(
        self,
        bulk_uri: BulkUri,
        window: Window,
        end: int,
        syntax: TransferSyntax,
        dataset: EncodedDataset | None = None,
    ) -> None:
        self.dataset = EncodedDataset() if dataset is None else dataset
        self._window = window
        self._end = end
        self._syntax = syntax
        self._order = "<" if syntax.little_endian else ">"
        self._context = Context()
        self._writer = MemberWriter(bulk_uri, window, self._order, self.dataset.notes, self.dataset.raw)

    def _walk(self, start: int) -> Walk:
        return Walk(
            self._window,
            start,
            self._end,
            explicit_vr=self._syntax.explicit_vr,
            little_endian=self._syntax.little_endian,
            context=self._context,
            notes=self.dataset.notes,
        )

    # -- every element ---------------------------------------------------------------------------------------

    def whole(self, start: int) -> HeaderTemplate | None:
        """Read every element from `start`; returns what later headers may be compared with, if anything."""
        template = HeaderTemplate(self._syntax)
        end = self._rest(start, template)
        return template if template.finish(self._window, end, len(self.dataset.notes)) else None

    def resume(self, start: int) -> None:
        """Read the elements behind encapsulated Pixel Data."""
        self._writer.decoder = make_decoder(self.dataset.texts(tags.SPECIFIC_CHARACTER_SET))
        walk = self._walk(start)
        self._behind_pixels(iter(walk), walk)

    def _rest(self, start: int, template: HeaderTemplate | None = None) -> int:
        """Read every element from `start`; returns where the pixel data begin, or else the data set ends."""
        writer = self._writer
        walk = self._walk(start)
        events = iter(walk)
        said = self._said()
        for event in events:
            kind, tag, vr, at, _, _ = event
            if tag in tags.PIXEL_DATA_TAGS and kind is not Kind.SEQUENCE:
                self._take_pixels(event, events, walk)
                return at
            member = writer.member(event, events)
            self._keep(tag, member)
            if template is not None:
                before, said = said, self._said()
                plain = before == said and tag not in RAW_WANTED
                template.add(tag, at, walk.position, vr if kind is Kind.LEAF else "", member, plain=plain)
                if template.is_turn(tag):
                    template.turns.append(self._turn(len(template.tags) - 1, tag))
        self.dataset.end = walk.position
        return walk.position

    def _said(self) -> int:
        """Grows with every note and every value kept as bulkdata."""
        return len(self.dataset.notes) + self._writer.bulk_made

    def _turn(self, index: int, tag: int) -> Turn:
        context = self._context
        return Turn(index, tag, self._writer.decoder, context.pixel_representation, context.creators.get(tag))

    def _keep(self, tag: int, member: str) -> None:
        if tag in self.dataset.members:
            self._note(f"{format_tag(tag)} stands twice in the data set; the first was kept")
            return
        self.dataset.members[tag] = member

    def _note(self, note: str) -> None:
        add_note(self.dataset.notes, note)

    def _take_pixels(self, event: Event, events: Iterator[Event], walk: Walk) -> None:
        kind, tag, vr, start, offset, length = event
        encapsulated = kind is Kind.ENCAPSULATED
        self.dataset.pixels = PixelValue(tag, vr, start, Span(offset, UNDEFINED if encapsulated else length))
        self.dataset.end = offset if encapsulated else offset + length
        if not encapsulated:
            self._behind_pixels(events, walk)

    def _behind_pixels(self, events: Iterator[Event], walk: Walk) -> None:
        """Read what follows the Pixel Data; garbage there costs nothing, as the data set is complete."""
        try:
            for event in events:
                kind, tag = event[0], event[1]
                if tag in tags.PIXEL_DATA_TAGS and kind is not Kind.SEQUENCE:
                    self._note(f"{format_tag(tag)} stands beside other pixel data and was passed over")
                else:
                    self._keep(tag, self._writer.member(event, events))
                self.dataset.end = walk.position
        except BrokenDicom as error:
            self._note(f"what follows the Pixel Data was passed over: {error}")

    # -- a header like another -------------------------------------------------------------------------------

    def like(self, template: HeaderTemplate, start: int) -> None:
        """Read the data set from `start` by its differences from the template."""
        members, starts, known = self.dataset.members, template.starts, template.tags
        count, index, at, ones = len(known), 0, start, 0
        while index < count:
            until = self._equal_until(template, index, at)
            if until > index:
                members.update(template.run(index, until))
                self._pass_turns(template, index, until)
                at += starts[until] - starts[index]
                index = until
                continue
            read = self._short(template, index, at) or self._one(template, at)
            if read is None:
                return
            tag, at = read
            ones += 1
            while index < count and known[index] <= tag:
                if known[index] != tag and template.is_turn(known[index]):
                    count = 0  # what changed the meaning of all that follows is missing
                index += 1
        template.worn = template.worn or count == 0 or ones > _MANY + count // 2
        if not self._only_pixels(at):
            self._rest(at)

    def _only_pixels(self, at: int) -> bool:
        """Whether Pixel Data in explicit VR, and nothing else, are what is left from `at` on; takes them."""
        held = self._window.data
        if not self._syntax.explicit_vr or at + 12 > min(len(held), self._end):
            return False
        group, element, code, _, length = _LONG[self._order](held, at)
        if group << 16 | element != tags.PIXEL_DATA or code not in _PIXEL_VRS:
            return False
        if length == UNDEFINED:
            self.dataset.end = at + 12
        elif at + 12 + length == self._end:
            self.dataset.end = self._end
        else:
            return False
        self.dataset.pixels = PixelValue(tags.PIXEL_DATA, code.decode(), at, Span(at + 12, length))
        return True

    def _equal_until(self, template: HeaderTemplate, index: int, at: int) -> int:
        """Up to which element of the template, from `index` on, the bytes from `at` on are the same."""
        starts, new = template.starts, self._window.data
        stop = template.stops[bisect_left(template.stops, index)]
        known = stop == index
        if known:
            if not template.plain[index]:
                return index
            stop += 1
        begin = starts[index]
        length = starts[stop] - begin
        room = min(len(new), self._end) - at
        if length <= room and template.data[begin : begin + length] == new[at : at + length]:
            return stop
        if known:
            return index
        equal = common_prefix(template.data, begin, new, at, min(length, room))
        same = bisect_right(starts, begin + equal, index, stop) - 1
        template.learn(same)
        return same

    def _pass_turns(self, template: HeaderTemplate, index: int, until: int) -> None:
        for turn in template.turns:
            if index <= turn.index < until:
                self._writer.decoder = turn.decoder
                turn.apply(self._context)
            elif turn.index >= until:
                return

    def _one(self, template: HeaderTemplate, at: int) -> tuple[int, int] | None:
        """Read the element at `at`; returns its tag and where it ends, or None if the rest was read too."""
        held = self._window.data
        walk = self._walk(at)
        events = iter(walk)
        event = next(events, None)
        if event is None:
            self.dataset.end = walk.position
            return None
        tag = event[1]
        if tag in tags.PIXEL_DATA_TAGS and event[0] is not Kind.SEQUENCE:
            self._take_pixels(event, events, walk)
            return None
        self._keep(tag, self._writer.member(event, events))
        if template.is_turn(tag) or self._window.data is not held:
            template.worn = True
            self._rest(walk.position)
            return None
        return tag, walk.position

    def _short(self, template: HeaderTemplate, index: int, at: int) -> tuple[int, int] | None:
        """The same for an element whose VR and length are plain to see; None for any other."""
        held = self._window.data
        limit = min(len(held), self._end)
        if at + 8 > limit:
            return None
        if self._syntax.explicit_vr:
            group, element, code, length = _EXPLICIT[self._order](held, at)
            tag = group << 16 | element
            vr = _SHORT_VRS.get(code, "")
        else:
            group, element, length = _IMPLICIT(held, at)
            tag = group << 16 | element
            vr = template.vrs[index] if tag == template.tags[index] else ""
        end = at + 8 + length
        if not vr or not element or end > limit or not 0x0008 <= group < 0x7FE0 or template.is_turn(tag):
            return None
        self._keep(tag, f'"{tag:08X}":{self._writer.leaf(tag, vr, at + 8, length, self._writer.decoder)}')
        return tag, end


def join_array(objects: Iterable[bytes]) -> bytes:
    """A top-level array of data sets (PS3.18 F.2.1)."""
    return b"[" + b",".join(objects) + b"]"
