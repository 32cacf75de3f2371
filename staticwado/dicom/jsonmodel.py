"""The DICOM JSON Model (PS3.18 annex F), written from the bytes of a data set.

One rule: the text of an element depends on its bytes, the encoding and the character set alone. So where a header
repeats the one before it, byte for byte, its text is taken from there; in a series that is nearly all of it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from staticwado.dicom import tags
from staticwado.dicom.charset import CharacterDecoder, make_decoder
from staticwado.dicom.elements import UNDEFINED, Context, Event, Kind, Walk, Window, fragments
from staticwado.dicom.sources import Span
from staticwado.dicom.tags import format_tag
from staticwado.dicom.transfer_syntax import TransferSyntax
from staticwado.dicom.values import Unreadable, render_value
from staticwado.dicom.vr import BINARY, BULKDATA_ALLOWED, NUMBER_SIZE, WORD_SIZE
from staticwado.errors import BrokenDicom

INLINE_BINARY = 1024
"""Longer binary values become bulkdata (bytes)."""
INLINE_NUMBERS = 16384
INLINE_TEXT = 1 << 20
_ALWAYS_BULKDATA = frozenset({tags.WAVEFORM_DATA, tags.ENCAPSULATED_DOCUMENT})
"""Values that viewers fetch by their URI, however short."""
_RAW_WANTED = frozenset({tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS})


@dataclass(frozen=True, slots=True)
class Bulk:
    """A value that is kept apart from the metadata."""

    tag: int
    vr: str
    spans: tuple[Span, ...]
    """Where its bytes lie in the source; several for the fragments of a nested encapsulated value."""
    word: int
    """Bytes a word if the words have to be swapped to little endian, else 1."""


BulkUri = Callable[[Bulk], str]
"""Takes a value's place in the source, keeps the bytes, and returns the BulkDataURI."""


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

    def value(self, tag: int) -> Any:
        """The first value of `tag`: str, int, float or an object; None if it is absent or empty."""
        member = self.members.get(tag)
        if not member:
            return None
        values = orjson.loads(member[11:]).get("Value")
        return values[0] if values else None

    def text(self, tag: int) -> str | None:
        """The first value of `tag` as text; None if it is absent, empty or no plain value."""
        value = self.value(tag)
        return None if value is None or isinstance(value, dict) else str(value)

    def add(self, tag: int, body: str) -> None:
        """Set the member of `tag` to the object text `body`."""
        self.members[tag] = f'"{tag:08X}":{body}'

    def to_json(self) -> bytes:
        """The object text: members in ascending order of tags (J-01), UTF-8."""
        members = self.members
        last = -1
        for tag in members:
            if tag < last:
                members = dict(sorted(members.items()))
                break
            last = tag
        return ("{" + ",".join([text for text in members.values() if text]) + "}").encode()


@dataclass(frozen=True, slots=True)
class _Template:
    """A header whose text is known: byte positions of its top-level elements and their members."""

    data: bytes
    base: int
    syntax: TransferSyntax
    tags: list[int]
    starts: list[int]
    """Where each element starts in `data`; one more entry: where the last one ends."""
    members: list[str]
    volatile: list[int]
    """Elements (by index) whose text must be made again: bulkdata and those with a note."""
    context: Context
    decoder: CharacterDecoder


class Encoder:
    """Makes the JSON of data sets, one after the other; remembers the last header."""

    def __init__(self, bulk_uri: BulkUri) -> None:
        self._bulk_uri = bulk_uri
        self._template: _Template | None = None

    def encode(self, window: Window, start: int, end: int, syntax: TransferSyntax) -> EncodedDataset:
        """The data set between `start` and `end` of the window's source.

        Stops behind the header of encapsulated Pixel Data; `resume` reads what follows them.
        Raises BrokenDicom where the bytes cannot be a data set.
        """
        template = self._template
        if template is not None and template.syntax == syntax and template.base == window.base:
            dataset = _Reading(self._bulk_uri, window, end, syntax, template).by_template(start)
            if dataset is not None:
                return dataset
        reading = _Reading(self._bulk_uri, window, end, syntax, None)
        base = window.base
        dataset = reading.whole(start)
        self._template = reading.make_template() if window.base == base else None
        return dataset

    def resume(
        self, dataset: EncodedDataset, window: Window, start: int, end: int, syntax: TransferSyntax
    ) -> None:
        """Add to `dataset` the elements behind its encapsulated Pixel Data."""
        reading = _Reading(self._bulk_uri, window, end, syntax, None)
        reading.dataset = dataset
        text = dataset.text(tags.SPECIFIC_CHARACTER_SET)
        reading.decoder = make_decoder(text)
        walk = reading.walk(start)
        reading.finish(iter(walk), walk)


class _Reading:
    """The reading of one data set."""

    def __init__(
        self,
        bulk_uri: BulkUri,
        window: Window,
        end: int,
        syntax: TransferSyntax,
        template: _Template | None,
    ) -> None:
        self.dataset = EncodedDataset()
        self.decoder = template.decoder if template is not None else make_decoder(None)
        self._bulk_uri = bulk_uri
        self._window = window
        self._end = end
        self._syntax = syntax
        self._order = "<" if syntax.little_endian else ">"
        self._template = template
        self._context = template.context if template is not None else Context()
        self._tags: list[int] = []
        self._starts: list[int] = []
        self._members: list[str] = []
        self._volatile: list[int] = []
        self._bulk_made = 0

    # -- one header after the other ------------------------------------------------------------------------------

    def whole(self, start: int) -> EncodedDataset:
        """Read every element from `start`."""
        walk = self.walk(start)
        stop = self._take_all(walk)
        self._starts.append(stop)
        self.dataset.notes.extend(walk.notes)
        return self.dataset

    def walk(self, start: int) -> Walk:
        return Walk(
            self._window,
            start,
            self._end,
            explicit_vr=self._syntax.explicit_vr,
            little_endian=self._syntax.little_endian,
            context=self._context,
        )

    def _take_all(self, walk: Walk) -> int:
        dataset = self.dataset
        events = iter(walk)
        for event in events:
            kind, tag, vr, start, offset, length = event
            if tag in tags.PIXEL_DATA_TAGS and kind is not Kind.SEQUENCE:
                size = UNDEFINED if kind is Kind.ENCAPSULATED else length
                dataset.pixels = PixelValue(tag, vr, start, Span(offset, size))
                dataset.end = offset if kind is Kind.ENCAPSULATED else offset + length
                if kind is not Kind.ENCAPSULATED:
                    self.finish(events, walk)
                return start
            before = len(dataset.notes) + len(walk.notes) + self._bulk_made
            member = self._member(event, events)
            self._tags.append(tag)
            self._starts.append(start)
            self._members.append(member)
            if len(dataset.notes) + len(walk.notes) + self._bulk_made != before:
                self._volatile.append(len(self._tags) - 1)
            self._keep(tag, member)
        dataset.end = walk.position
        return walk.position

    def finish(self, events: Iterator[Event], walk: Walk) -> None:
        """Read what follows the Pixel Data; garbage there costs nothing, as the data set is complete."""
        dataset = self.dataset
        try:
            for event in events:
                if event[1] not in tags.PIXEL_DATA_TAGS:
                    self._keep(event[1], self._member(event, events))
                dataset.end = walk.position
        except BrokenDicom as error:
            dataset.notes.append(f"what follows the Pixel Data was passed over: {error}")

    def _keep(self, tag: int, member: str) -> None:
        if tag in self.dataset.members:
            self.dataset.notes.append(f"{format_tag(tag)} stands twice in the data set; the first was kept")
            return
        self.dataset.members[tag] = member

    def make_template(self) -> _Template | None:
        """What the next header may be compared with; None if this one is out of order or left the window."""
        ascending = all(a < b for a, b in zip(self._tags, self._tags[1:], strict=False))
        if not ascending or not self._tags or self._window.base != 0:
            return None
        volatile = self._volatile
        if any(tag in _RAW_WANTED for tag in self._tags):
            return None
        return _Template(
            self._window.data,
            self._window.base,
            self._syntax,
            self._tags,
            self._starts,
            self._members,
            volatile,
            self._context,
            self.decoder,
        )

    # -- a header like the last one ------------------------------------------------------------------------------

    def by_template(self, start: int) -> EncodedDataset | None:
        """Read the data set by its differences from the template; None if it is of another kind."""
        template = self._template
        assert template is not None
        starts, count = template.starts, len(template.tags)
        members = self.dataset.members
        new, index, at = self._window.data, 0, start
        while index < count:
            same = common_prefix(template.data, starts[index], new, at, starts[count] - starts[index])
            until = bisect_right(starts, starts[index] + same) - 1
            until = min(until, self._next_volatile(index))
            if until > index:
                members.update(zip(template.tags[index:until], template.members[index:until], strict=True))
                at += starts[until] - starts[index]
                index = until
                if index == count:
                    break
            step = self._one(at)
            if step is None:
                break
            tag, at = step
            if tag in tags.PIXEL_DATA_TAGS or tag == tags.SPECIFIC_CHARACTER_SET:
                return None if tag == tags.SPECIFIC_CHARACTER_SET else self.dataset
            if self._window.base != template.base or tag == tags.PIXEL_REPRESENTATION:
                return None
            while index < count and template.tags[index] <= tag:
                index += 1
        walk = self.walk(at)
        self._take_all(walk)
        self.dataset.notes.extend(walk.notes)
        return self.dataset

    def _next_volatile(self, index: int) -> int:
        assert self._template is not None
        volatile = self._template.volatile
        place = bisect_right(volatile, index - 1)
        return volatile[place] if place < len(volatile) else len(self._template.tags)

    def _one(self, at: int) -> tuple[int, int] | None:
        """Read the element at `at`; returns its tag and where it ends, None at the end of the data set."""
        walk = self.walk(at)
        events = iter(walk)
        event = next(events, None)
        if event is None:
            self.dataset.end = walk.position
            return None
        tag = event[1]
        if tag in tags.PIXEL_DATA_TAGS:
            self._take_all(self.walk(at))
            return tag, self.dataset.end
        member = self._member(event, events)
        self._keep(tag, member)
        self.dataset.notes.extend(walk.notes)
        if tags.is_private_creator(tag) and not self._syntax.explicit_vr:
            return tags.SPECIFIC_CHARACTER_SET, walk.position  # other private VRs follow: read it all again
        return tag, walk.position

    # -- one element ----------------------------------------------------------------------------------------------

    def _member(self, event: Event, events: Iterator[Event]) -> str:
        """The JSON member of a top-level element, whose first event is `event`."""
        kind, tag, vr, start, offset, length = event
        if tag & 0xFFFF == 0:
            return ""  # group lengths describe an encoding, not the data set (J-02)
        if kind is Kind.LEAF:
            if tag == tags.SPECIFIC_CHARACTER_SET:
                self.decoder = make_decoder(self._window.bytes(offset, length).decode("latin-1"))
            elif tag in _RAW_WANTED:
                self.dataset.raw[tag] = Span(offset, length)
            return f'"{tag:08X}":{self._leaf(tag, vr, offset, length, self.decoder)}'
        if kind is Kind.ENCAPSULATED:
            raise BrokenDicom(f"{format_tag(tag)} at offset {start} holds fragments, which only Pixel Data may")
        return f'"{tag:08X}":{self._sequence(events)}'

    def _sequence(self, events: Iterator[Event]) -> str:
        """The object of a sequence whose first event was taken; reads to its end, at any depth."""
        # each open item: (members by tag, decoder); each open sequence: (tag, texts of its items)
        items: list[tuple[dict[int, str], CharacterDecoder]] = []
        sequences: list[tuple[int, list[str]]] = [(0, [])]
        for kind, tag, vr, _, offset, length in events:
            if kind is Kind.LEAF:
                self._nested_leaf(items[-1], items, tag, vr, offset, length)
            elif kind is Kind.ITEM:
                items.append(({}, items[-1][1] if items else self.decoder))
            elif kind is Kind.END_ITEM:
                sequences[-1][1].append(_object(items.pop()[0]))
            elif kind is Kind.SEQUENCE:
                sequences.append((tag, []))
            elif kind is Kind.END_SEQUENCE:
                tag, texts = sequences.pop()
                body = '{"vr":"SQ","Value":[' + ",".join(texts) + "]}" if texts else '{"vr":"SQ"}'
                if not sequences:
                    return body
                items[-1][0].setdefault(tag, f'"{tag:08X}":{body}')
            else:
                members = items[-1][0]
                members.setdefault(tag, f'"{tag:08X}":{self._nested_fragments(tag, vr, offset, length)}')
        raise BrokenDicom("a sequence is cut short")

    def _nested_leaf(
        self,
        item: tuple[dict[int, str], CharacterDecoder],
        items: list[tuple[dict[int, str], CharacterDecoder]],
        tag: int,
        vr: str,
        offset: int,
        length: int,
    ) -> None:
        members, decoder = item
        if tag & 0xFFFF == 0:
            return
        if tag == tags.SPECIFIC_CHARACTER_SET:
            decoder = make_decoder(self._window.bytes(offset, length).decode("latin-1"))
            items[-1] = (members, decoder)
        members.setdefault(tag, f'"{tag:08X}":{self._leaf(tag, vr, offset, length, decoder)}')

    def _leaf(self, tag: int, vr: str, offset: int, length: int, decoder: CharacterDecoder) -> str:
        """The object of an element with a value of known length."""
        if self._is_bulk(tag, vr, length):
            return self._bulk(tag, vr, (Span(offset, length),))
        data = self._window.bytes(offset, length)
        try:
            members, note = render_value(vr, data, decoder, self._order)
        except Unreadable as error:
            self.dataset.notes.append(f"{format_tag(tag)}: {error}")
            if vr in BULKDATA_ALLOWED:
                return self._bulk(tag, vr, (Span(offset, length),))
            members, note = render_value("UN", data, decoder, "<")
            vr = "UN"
        if note is not None:
            self.dataset.notes.append(f"{format_tag(tag)} {note}")
        return f'{{"vr":"{vr}"{members}}}'

    @staticmethod
    def _is_bulk(tag: int, vr: str, length: int) -> bool:
        if vr in BINARY:
            return length > INLINE_BINARY or (tag in _ALWAYS_BULKDATA and length > 0)
        if vr in NUMBER_SIZE:
            return length > INLINE_NUMBERS and vr != "AT"
        return length > INLINE_TEXT and vr in BULKDATA_ALLOWED

    def _bulk(self, tag: int, vr: str, spans: tuple[Span, ...]) -> str:
        self._bulk_made += 1
        size = 1 if self._order == "<" else WORD_SIZE.get(vr) or NUMBER_SIZE.get(vr, 1)
        uri = self._bulk_uri(Bulk(tag, vr, spans, size))
        return f'{{"vr":"{vr}","BulkDataURI":"{uri}"}}'

    def _nested_fragments(self, tag: int, vr: str, offset: int, length: int) -> str:
        """The object of an encapsulated value inside a sequence, such as an icon's pixels: its joined fragments."""
        spans = tuple(fragments(self._window, offset, offset + length, self._order))[1:]
        return self._bulk(tag, vr, spans) if spans else f'{{"vr":"{vr}"}}'


def _object(members: dict[int, str]) -> str:
    return "{" + ",".join([members[tag] for tag in sorted(members)]) + "}"


def common_prefix(old: bytes, old_at: int, new: bytes, new_at: int, length: int) -> int:
    """How many bytes from `old_at` and `new_at` on are equal, at most `length`."""
    length = min(length, len(old) - old_at, len(new) - new_at)
    if old[old_at : old_at + length] == new[new_at : new_at + length]:
        return length
    low, high = 0, length  # equal up to low, different before high
    step = 64
    while low + step < high:
        if old[old_at + low : old_at + low + step] != new[new_at + low : new_at + low + step]:
            high = low + step
            break
        low += step
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if old[old_at + low : old_at + middle] == new[new_at + low : new_at + middle]:
            low = middle
        else:
            high = middle
    return low


def join_array(objects: Iterable[bytes]) -> bytes:
    """A top-level array of data sets (PS3.18 F.2.1)."""
    return b"[" + b",".join(objects) + b"]"
