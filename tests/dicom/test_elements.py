"""The walk over data elements: its events, in every encoding and with every fault of delimiters."""

import struct

import pytest

from staticwado.dicom.elements import MAX_DEPTH, UNDEFINED, Context, Kind, Walk, Window, fragments
from staticwado.dicom.sources import MemorySource, Span
from staticwado.errors import BrokenDicom, Unsupported
from tests.factories import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    ITEM_END,
    PIXEL_DATA,
    SEQUENCE_END,
    Element,
    Encoding,
    Fragments,
    element,
    encapsulate,
    encode,
    nested,
    sequence,
)

FORMS = [IMPLICIT, EXPLICIT, BIG_ENDIAN]
LEAF, SEQUENCE, BEGIN, END, CLOSE = Kind.LEAF, Kind.SEQUENCE, Kind.ITEM, Kind.END_ITEM, Kind.END_SEQUENCE


def walk(data: bytes, syntax: str = EXPLICIT, size: int = 1 << 16) -> Walk:
    form = Encoding.of(syntax)
    window = Window(MemorySource(data), 0, size)
    return Walk(window, 0, len(data), explicit_vr=form.explicit, little_endian=form.order == "<")


def kinds(data: bytes, syntax: str = EXPLICIT, size: int = 1 << 16) -> list[tuple[Kind, int]]:
    return [(event[0], event[1]) for event in walk(data, syntax, size)]


def mark(tag: int, length: int = 0) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


@pytest.mark.parametrize("size", [16, 17, 40, 1 << 16])
@pytest.mark.parametrize("syntax", FORMS)
def test_events_tell_where_each_element_and_its_value_lie(syntax: str, size: int) -> None:
    made = [
        element("SOPInstanceUID", "1.2.3.4"),
        sequence("ReferencedImageSequence", [element("ReferencedSOPInstanceUID", "1.2")], []),
        element("TextValue", "text"),
        element("Rows", 512),
    ]
    data = encode(sorted(made, key=lambda one: one.tag), Encoding.of(syntax))
    events = list(walk(data, syntax, size))
    assert [event[:3] for event in events] == [
        (LEAF, 0x00080018, "UI"),
        (SEQUENCE, 0x00081140, "SQ"),
        (BEGIN, 0x00081140, "SQ"),
        (LEAF, 0x00081155, "UI"),
        (END, 0x00081140, "SQ"),
        (BEGIN, 0x00081140, "SQ"),
        (END, 0x00081140, "SQ"),
        (CLOSE, 0x00081140, "SQ"),
        (LEAF, 0x00280010, "US"),
        (LEAF, 0x0040A160, "UT"),
    ]
    for kind, _, vr, start, offset, length in events:
        if kind is LEAF:
            long = syntax != IMPLICIT and vr == "UT"
            assert offset - start == (12 if long else 8)
            assert 0 < length <= len(data) - offset


@pytest.mark.parametrize("syntax", FORMS)
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("undefined_items", [False, True])
def test_defined_and_undefined_lengths_mean_the_same(
    syntax: str, undefined: bool, undefined_items: bool
) -> None:
    inner = sequence("ContentSequence", [element("PatientID", "1")], undefined=undefined_items)
    made = [
        sequence("ContentSequence", [inner], [], undefined=undefined, undefined_items=undefined_items),
        element(0x00880130, "x", vr="SH"),
    ]
    tag = 0x0040A730
    assert kinds(encode(made, Encoding.of(syntax)), syntax) == [
        (SEQUENCE, tag),
        (BEGIN, tag),
        (SEQUENCE, tag),
        (BEGIN, tag),
        (LEAF, 0x00100020),
        (END, tag),
        (CLOSE, tag),
        (END, tag),
        (BEGIN, tag),
        (END, tag),
        (CLOSE, tag),
        (LEAF, 0x00880130),
    ]


def _sequence(body: bytes, length: int | None = None) -> bytes:
    return b"\x40\x00\x30\xa7SQ\0\0" + struct.pack("<I", len(body) if length is None else length) + body


_ID = encode([element("PatientID", "1")], Encoding())
_AFTER = encode([element(0x00880130, "x", vr="SH")], Encoding())


@pytest.mark.parametrize(
    "body",
    [
        # a sequence of defined length with a delimiter in its length
        _sequence(mark(ITEM, len(_ID)) + _ID + mark(SEQUENCE_END)),
        # an item of defined length with a delimiter in its length
        _sequence(mark(ITEM, len(_ID) + 8) + _ID + mark(ITEM_END)),
        # an item of undefined length that only the sequence's delimiter ends
        _sequence(mark(ITEM, UNDEFINED) + _ID + mark(SEQUENCE_END), UNDEFINED),
    ],
)
def test_delimiters_too_many_or_too_few_are_passed_over_with_a_note(body: bytes) -> None:
    tag = 0x0040A730
    found = walk(body + _AFTER)
    assert [(event[0], event[1]) for event in found] == [
        (SEQUENCE, tag),
        (BEGIN, tag),
        (LEAF, 0x00100020),
        (END, tag),
        (CLOSE, tag),
        (LEAF, 0x00880130),
    ]
    assert len(found.notes) == 1


def test_stray_delimiters_at_the_top_are_passed_over_with_a_note() -> None:
    found = walk(_ID + mark(ITEM_END) + mark(SEQUENCE_END) + _AFTER)
    assert [event[1] for event in found] == [0x00100020, 0x00880130]
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    "data",
    [
        mark(ITEM),
        mark(0xFFFE0001),
        _sequence(_ID),
        _sequence(mark(ITEM, 100) + _ID),
        _sequence(mark(ITEM, len(_ID)) + _ID[:-2]),
        _sequence(mark(ITEM, len(_ID) - 1) + _ID),
        _sequence(mark(ITEM, UNDEFINED) + _ID, UNDEFINED),
        _sequence(mark(ITEM, UNDEFINED) + _ID + mark(ITEM_END), UNDEFINED),
        _sequence(mark(ITEM, UNDEFINED) + mark(ITEM), UNDEFINED),
        b"\x10\x00\x20\x00LO\xff\xff12",
        b"\x10\x00\x20\x00UT\0\0\xff\xff\xff\xff12",
        b"\x10\x00\x20\x00UT\0\0\xff\xff\xff",
        b"\x10\x00\x20\x00UT\0\0\xfe\xff\xff\xff12",
        b"\x10\x00\x20",
    ],
)
def test_what_cannot_be_a_data_set_is_broken(data: bytes) -> None:
    for size in (16, 1 << 16):
        with pytest.raises(BrokenDicom, match=r"offset \d+|cut short"):
            list(walk(data, size=size))


@pytest.mark.parametrize("syntax", FORMS)
@pytest.mark.parametrize("zeros", [1, 7, 8, 11, 12, 13, 100, 70_000])
def test_zeros_behind_the_data_set_are_padding(syntax: str, zeros: int) -> None:
    data = encode([element("PatientID", "1")], Encoding.of(syntax))
    found = walk(data + b"\0" * zeros, syntax)
    assert [event[1] for event in found] == [0x00100020]
    assert len(found.notes) == 1
    assert found.position == len(data)


def test_bytes_behind_the_data_set_are_broken() -> None:
    with pytest.raises(BrokenDicom):
        list(walk(_ID + b"abc"))


def test_the_walk_ends_at_encapsulated_pixel_data() -> None:
    data = encode([element("Rows", 1), Element(PIXEL_DATA, "OB", encapsulate([b"abcd"])[0])], Encoding())
    assert [(event[0], event[1], event[4]) for event in walk(data + b"anything")] == [
        (LEAF, 0x00280010, 8),
        (Kind.ENCAPSULATED, PIXEL_DATA, 22),
    ]


def test_implicit_context_can_be_carried_from_one_walk_to_the_next() -> None:
    context = Context()
    data = encode([element("PixelRepresentation", 1)], Encoding(explicit=False))
    list(Walk(Window(MemorySource(data)), 0, len(data), explicit_vr=False, context=context))
    data = encode([element("SmallestImagePixelValue", 1)], Encoding(explicit=False))
    events = list(Walk(Window(MemorySource(data)), 0, len(data), explicit_vr=False, context=context))
    assert [event[2] for event in events] == ["SS"]


def test_fragments_are_spans_offset_table_first() -> None:
    value = encode([Element(PIXEL_DATA, "OB", Fragments(b"\0\0\0\0", (b"ab", b"cdef", b"")))], Encoding())[
        12:
    ]
    found = list(fragments(Window(MemorySource(value)), 0, len(value)))
    assert [value[span.offset : span.end] for span in found] == [b"\0\0\0\0", b"ab", b"cdef", b""]
    assert found[1] == Span(20, 2)
    for length in range(len(value)):
        with pytest.raises(BrokenDicom):
            list(fragments(Window(MemorySource(value[:length])), 0, length))


def test_a_window_serves_any_place_and_does_not_read_past_the_end_again() -> None:
    class Counting(MemorySource):
        __slots__ = ("reads",)
        reads: int

    data = bytes(range(256)) * 4
    source = Counting(data)
    window = Window(source, 0, 100)
    for offset in (0, 50, 99, 300, 10, 1020, 1024):
        for length in (0, 1, 4, 60):
            assert window.bytes(offset, length) == data[offset : offset + length]
    whole = Window(source, 0, 2000)
    held = whole.data
    index = whole.require(1020, 12)
    assert whole.data is held
    assert held[index:] == data[1020:]


@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_are_followed_down_to_a_depth_and_refused_beyond_it(undefined: bool) -> None:
    deepest = MAX_DEPTH // 2 if undefined else 3_000
    levels = sum(event[0] is SEQUENCE for event in walk(nested(deepest, undefined=undefined)))
    assert levels == deepest
    with pytest.raises(Unsupported, match=r"\(0040,A730\) at offset .* nested deeper than"):
        list(walk(nested(MAX_DEPTH // 2 + 1)))


@pytest.mark.parametrize("one", [element(0x00080008), sequence(0x00081140, [])])
def test_so_many_elements_and_items_are_read_and_no_more(
    monkeypatch: pytest.MonkeyPatch, one: Element
) -> None:
    unit = encode([one], Encoding.of(EXPLICIT))
    of_one = sum(1 for _ in walk(unit))
    monkeypatch.setattr("staticwado.dicom.elements.MAX_ELEMENTS", 100 * of_one + 1)
    assert sum(1 for _ in walk(unit * 100)) == 100 * of_one
    with pytest.raises(Unsupported, match="more than"):
        list(walk(unit * 101))
