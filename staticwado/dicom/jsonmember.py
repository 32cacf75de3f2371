"""One data element as a member of a DICOM JSON object (PS3.18 annex F), sequences of any depth included.

One rule: the text depends on the element's bytes, the encoding and the character set, on nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from staticwado.dicom import tags
from staticwado.dicom.charset import CharacterDecoder, make_decoder
from staticwado.dicom.elements import Event, Kind, Window, add_note, fragments
from staticwado.dicom.fragments import MAX_FRAGMENTS
from staticwado.dicom.sources import Span
from staticwado.dicom.tags import format_tag
from staticwado.dicom.values import Unreadable, render_value
from staticwado.dicom.vr import BINARY, BULKDATA_ALLOWED, NUMBER_SIZE, WORD_SIZE
from staticwado.errors import BrokenDicom, Unsupported

INLINE_BINARY = 1024
"""Longer binary values become bulkdata (bytes)."""
INLINE_NUMBERS = 16384
INLINE_TEXT = 1 << 20
INLINE_LONGEST = 16 << 20
"""Longer values become bulkdata, as UN where their VR must not: no value may fill the memory."""
LARGEST_METADATA = 1 << 30
"""Characters of JSON, and what it costs to hold them, that one data set may come to.

A file made of millions of small elements must not fill the memory; an enhanced multi-frame object of 100,000
frames needs half of this.
"""
_COST = 64
"""What a member or an item takes in memory beside its characters, about."""
RAW_WANTED = frozenset({tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS})
"""Elements whose place in the source the frames need."""
_ALWAYS_BULKDATA = frozenset({tags.WAVEFORM_DATA, tags.ENCAPSULATED_DOCUMENT})
"""Values that viewers fetch by their URI, however short."""
_DEFAULT_REPERTOIRE = make_decoder(None)
_JOINED_DEPTH = 16
"""Down to here the text of a sequence is joined level by level; deeper that would cost depth times size."""


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

_Text = str | list["_Text"]
"""A piece of JSON, or pieces in their order, at any depth."""


@dataclass(slots=True)
class _Item:
    """An open item of a sequence."""

    members: dict[int, _Text]
    decoder: CharacterDecoder


class MemberWriter:
    """Writes the members of one data set; knows its character set as far as it was read."""

    __slots__ = ("_bulk_uri", "_order", "_room", "_window", "bulk_made", "decoder", "notes", "raw")

    def __init__(
        self, bulk_uri: BulkUri, window: Window, order: str, notes: list[str], raw: dict[int, Span]
    ) -> None:
        self.decoder = _DEFAULT_REPERTOIRE
        self.notes = notes
        self.raw = raw
        self.bulk_made = 0
        self._bulk_uri = bulk_uri
        self._window = window
        self._order = order
        self._room = LARGEST_METADATA

    def _spend(self, characters: int) -> None:
        self._room -= characters + _COST
        if self._room < 0:
            raise Unsupported(f"the metadata of the data set need more than {LARGEST_METADATA} bytes")

    def member(self, event: Event, events: Iterator[Event]) -> str:
        """`"GGGGEEEE":{…}` for the top-level element that begins with `event`; empty if left out of JSON."""
        kind, tag, vr, start, offset, length = event
        if kind is Kind.LEAF:
            if self._left_out(tag):
                return ""
            if tag == tags.SPECIFIC_CHARACTER_SET:
                self.decoder = self._read_decoder(offset, length)
            elif tag in RAW_WANTED:
                self._find_raw(tag, offset, length)
            return f'"{tag:08X}":{self.leaf(tag, vr, offset, length, self.decoder)}'
        if kind is Kind.ENCAPSULATED:
            raise BrokenDicom(
                f"{format_tag(tag)} at offset {start} holds fragments, which only Pixel Data may"
            )
        body = self._sequence(events)
        return "" if self._left_out(tag) else f'"{tag:08X}":{body}'

    def _find_raw(self, tag: int, offset: int, length: int) -> None:
        if length <= 8 * MAX_FRAGMENTS:
            self.raw[tag] = Span(offset, length)
        else:
            add_note(
                self.notes, f"{format_tag(tag)} has {length} bytes, too many for an offset table: not used"
            )

    def _left_out(self, tag: int) -> bool:
        """Group lengths and file meta information describe an encoding, not the data set (J-02)."""
        if tag & 0xFFFF == 0:
            return True
        if tag >> 16 == 0x0002:
            add_note(
                self.notes, f"{format_tag(tag)} belongs to the file meta information and was passed over"
            )
            return True
        return False

    def _read_decoder(self, offset: int, length: int) -> CharacterDecoder:
        if length > INLINE_BINARY:
            add_note(self.notes, "Specific Character Set (0008,0005) is too long to be one")
            return _DEFAULT_REPERTOIRE
        return make_decoder(self._window.bytes(offset, length))

    def _sequence(self, events: Iterator[Event]) -> str:
        """The object of a sequence whose first event was taken; reads to its end, at any depth."""
        items: list[_Item] = []
        sequences: list[tuple[int, list[_Text]]] = [(0, [])]
        for kind, tag, vr, _, offset, length in events:
            if kind is Kind.LEAF:
                self._nested_leaf(items[-1], tag, vr, offset, length)
            elif kind is Kind.ITEM:
                self._spend(0)
                items.append(_Item({}, items[-1].decoder if items else self.decoder))
            elif kind is Kind.END_ITEM:
                sequences[-1][1].append(_join_item(items.pop().members, len(sequences)))
            elif kind is Kind.SEQUENCE:
                self._spend(0)
                sequences.append((tag, []))
            elif kind is Kind.END_SEQUENCE:
                tag, texts = sequences.pop()
                if not sequences:
                    return flatten(_join_sequence(texts, 1))
                if not self._left_out(tag):
                    self._keep_nested(items[-1], tag, _join_sequence(texts, len(sequences)))
            elif not self._left_out(tag):
                self._keep_nested(items[-1], tag, self._nested_fragments(tag, vr, offset, length))
        raise BrokenDicom("a sequence is cut short")

    def _nested_leaf(self, item: _Item, tag: int, vr: str, offset: int, length: int) -> None:
        if tag == tags.SPECIFIC_CHARACTER_SET:
            item.decoder = self._read_decoder(offset, length)
        if not self._left_out(tag):
            self._keep_nested(item, tag, self.leaf(tag, vr, offset, length, item.decoder))

    def _keep_nested(self, item: _Item, tag: int, body: _Text) -> None:
        if tag in item.members:
            add_note(self.notes, f"{format_tag(tag)} stands twice in an item; the first was kept")
            return
        name = f'"{tag:08X}":'
        item.members[tag] = name + body if isinstance(body, str) else [name, body]

    def leaf(self, tag: int, vr: str, offset: int, length: int, decoder: CharacterDecoder) -> str:
        """The object of an element with a value of known length.

        Raises BrokenDicom when the source is shorter than it said, Unsupported beyond LARGEST_METADATA.
        """
        if (length > INLINE_BINARY or tag in _ALWAYS_BULKDATA) and _is_bulk(tag, vr, length):
            if vr not in BULKDATA_ALLOWED:
                add_note(
                    self.notes, f"{format_tag(tag)} has {length} bytes, too many for a {vr}; kept as bulkdata"
                )
                vr = "UN"
            return self._bulk(tag, vr, (Span(offset, length),))
        data = self._window.bytes(offset, length)
        if len(data) != length:
            raise BrokenDicom(f"the source ends inside the value of {format_tag(tag)} at offset {offset}")
        try:
            members, note = render_value(vr, data, decoder, self._order)
        except Unreadable as error:
            add_note(self.notes, f"{format_tag(tag)}: {error}")
            if vr in BULKDATA_ALLOWED:
                return self._bulk(tag, vr, (Span(offset, length),))
            members, note = render_value("UN", data, decoder, "<")
            vr = "UN"
        if note is not None:
            add_note(self.notes, f"{format_tag(tag)} {note}")
        self._spend(len(members))
        return f'{{"vr":"{vr}"{members}}}'

    def _bulk(self, tag: int, vr: str, spans: tuple[Span, ...]) -> str:
        self.bulk_made += 1
        self._spend(_COST)
        size = 1 if self._order == "<" else WORD_SIZE.get(vr) or NUMBER_SIZE.get(vr, 1)
        uri = self._bulk_uri(Bulk(tag, vr, spans, size))
        return f'{{"vr":"{vr}","BulkDataURI":"{uri}"}}'

    def _nested_fragments(self, tag: int, vr: str, offset: int, length: int) -> str:
        """The object of an encapsulated value inside a sequence, such as an icon: its joined fragments."""
        spans = tuple(fragments(self._window, offset, offset + length, self._order))[1:]
        return self._bulk(tag, vr, spans) if spans else f'{{"vr":"{vr}"}}'


def _is_bulk(tag: int, vr: str, length: int) -> bool:
    if tag in _ALWAYS_BULKDATA and vr in BINARY:
        return length > 0
    if vr in BINARY:
        return length > INLINE_BINARY
    if vr in NUMBER_SIZE and vr != "AT":
        return length > INLINE_NUMBERS
    return length > (INLINE_TEXT if vr in BULKDATA_ALLOWED else INLINE_LONGEST)


def _join_item(members: dict[int, _Text], depth: int) -> _Text:
    """The object of an item of a sequence that is `depth` deep, members in ascending order of tags (J-01)."""
    texts = [members[tag] for tag in sorted(members)]
    if depth <= _JOINED_DEPTH:
        return "{" + ",".join([text if isinstance(text, str) else flatten(text) for text in texts]) + "}"
    return _bracket("{", texts, "}")


def _join_sequence(items: list[_Text], depth: int) -> _Text:
    if not items:
        return '{"vr":"SQ"}'
    if depth <= _JOINED_DEPTH:
        texts = [item if isinstance(item, str) else flatten(item) for item in items]
        return '{"vr":"SQ","Value":[' + ",".join(texts) + "]}"
    return _bracket('{"vr":"SQ","Value":[', items, "]}")


def _bracket(start: str, texts: list[_Text], end: str) -> _Text:
    pieces: list[_Text] = [start]
    for text in texts:
        pieces += (text, ",")
    if texts:
        pieces.pop()
    pieces.append(end)
    return pieces


def flatten(text: _Text) -> str:
    """`text` as one string, without a call a level."""
    if isinstance(text, str):
        return text
    found: list[str] = []
    waiting = [iter(text)]
    while waiting:
        for piece in waiting[-1]:
            if isinstance(piece, str):
                found.append(piece)
            else:
                waiting.append(iter(piece))
                break
        else:
            waiting.pop()
    return "".join(found)
