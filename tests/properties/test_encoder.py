"""What the Encoder makes of a data set does not depend on the data sets that it read before."""

import struct
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staticwado.dicom.elements import Window
from staticwado.dicom.jsonmodel import Encoder
from staticwado.dicom.sources import MemorySource
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import StaticWadoError
from tests.factories import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    Element,
    Encoding,
    Items,
    encapsulate,
    encode_element,
)

NAN = struct.pack("<d", float("nan"))
_ITEM = (Element(0x00080005, "CS", "ISO_IR 144"), Element(0x00081030, "LO", b"\xc8\xd2"))

# Variants of each tag, so that neighbours in a sequence of data sets are alike and yet different.
VARIANTS: dict[int, list[Element]] = {
    0x00070010: [Element(0x00070010, "LO", b"\xe9t\xe9"), Element(0x00070010, "LO", b"ACME")],
    0x00080000: [Element(0x00080000, "UL", 10), Element(0x00080000, "UL", 12)],
    0x00080005: [
        Element(0x00080005, "CS", "ISO_IR 100"),
        Element(0x00080005, "CS", "ISO_IR 192"),
        Element(0x00080005, "CS", "ISO_IR 144"),
        Element(0x00080005, "CS", ""),
        Element(0x00080005, "CS", "NONSENSE"),
    ],
    0x00080016: [Element(0x00080016, "UI", "1.2.3"), Element(0x00080016, "UI", "1.2.34")],
    0x00080018: [Element(0x00080018, "UI", f"1.2.{n}") for n in (1, 2, 33, 4444)],
    0x00081030: [Element(0x00081030, "LO", value) for value in (b"\xe9t\xe9", "été".encode(), b"plain", b"")],
    0x00081140: [
        Element(0x00081140, "SQ", Items((_ITEM,))),
        Element(0x00081140, "SQ", Items((_ITEM, ()), undefined=True, undefined_items=True)),
        Element(0x00081140, "SQ", Items(((Element(0x00281201, "OW", b"\1\2" * 700),),))),
        Element(0x00081140, "SQ", Items(((Element(0x00280106, "US", 0xFFFE),),))),
        Element(0x00081140, "SQ", Items(((Element(0x00081030, "LO", b"\xe9"),),))),
        Element(0x00081140, "UN", Items(((Element(0x00081030, "LO", b"\xe9"),),), undefined=True)),
    ],
    0x00090010: [
        Element(0x00090010, "LO", "SIEMENS CT VA0  COAD"),
        Element(0x00090010, "LO", "GEMS_IDEN_01"),
    ],
    0x00091002: [Element(0x00091002, "SH", b"ab"), Element(0x00091002, "SH", b"\xe9b")],
    0x00091010: [Element(0x00091010, "UN", b"12"), Element(0x00091010, "UN", b"1234")],
    0x00091027: [Element(0x00091027, "SL", 7), Element(0x00091027, "SL", 9)],
    0x00100010: [Element(0x00100010, "PN", value) for value in (b"D\xf6e^J", "Döe^J".encode(), b"A=B\\C")],
    0x00189810: [Element(0x00189810, "US", 0xFFFE), Element(0x00189810, "UN", b"\xfe\xff")],
    0x00189999: [Element(0x00189999, "FD", NAN), Element(0x00189999, "FD", 1.5)],
    0x00200013: [Element(0x00200013, "IS", value) for value in ("1", "2", "10", "1.5", "abc", "")],
    0x00200032: [
        Element(0x00200032, "DS", value) for value in ("1\\2\\3", "1\\2\\4", "+0000.0\\.5\\5.", "x\\1")
    ],
    0x00280009: [Element(0x00280009, "AT", 0x00181063), Element(0x00280009, "AT", b"\1\2\3\4\5\6")],
    0x00280071: [Element(0x00280071, "US", 0xFFFE), Element(0x00280071, "UN", b"\xfe\xff")],
    0x00280103: [
        Element(0x00280103, "US", 0),
        Element(0x00280103, "US", 1),
        Element(0x00280103, "UN", b"\1\0"),
    ],
    0x00280106: [Element(0x00280106, "US", 0xFFFE), Element(0x00280106, "UN", b"\xfe\xff")],
    0x00290010: [Element(0x00290010, "LO", "SIEMENS CSA HEADER"), Element(0x00290010, "LO", "OTHER")],
    0x00291008: [Element(0x00291008, "UN", b"IMAGE NUM 4 "), Element(0x00291008, "CS", "IMAGE NUM 4")],
    0x00420011: [Element(0x00420011, "OB", b"%PDF"), Element(0x00420011, "OB", b"%PDF-1")],
    0x00420012: [Element(0x00420012, "XX", b"ab"), Element(0x00420012, "LO", b"ab")],
    0x00420013: [Element(0x00420013, "\0\1", b"ab"), Element(0x00420013, "OB", b"x" * 1500)],
    0x54001010: [Element(0x54001010, "OW", b"abcd"), Element(0x54001010, "OW", b"abce")],
    0x7FE00001: [Element(0x7FE00001, "OV", b"\0" * 8), Element(0x7FE00001, "OV", b"\1" * 8)],
    0x7FE00010: [
        Element(0x7FE00010, "OW", b"\1\2\3\4"),
        Element(0x7FE00010, "OB", encapsulate([b"\xff\xd8\xff\xd9"])[0]),
        Element(0x7FE00010, "SQ", Items((_ITEM,))),
        Element(0x7FE00010, "OW", b""),
    ],
    0x7FE10010: [Element(0x7FE10010, "LO", "LATE"), Element(0x7FE10010, "LO", "LATER")],
    0xFFFCFFFC: [Element(0xFFFCFFFC, "OB", b"\0" * 6), Element(0xFFFCFFFC, "OB", b"\0" * 8)],
}
_TAGS = sorted(VARIANTS)
_STRAY = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_TAILS = [
    b"",
    b"",
    b"",
    b"\0" * 6,
    b"\0" * 40,
    b"\0" * 200,
    b"garbage",
    _STRAY,
    struct.pack("<HH4s", 2, 16, b"UI\0\0"),
]

Recipe = list[Element | bytes]


@st.composite
def _recipes(draw: st.DrawFn) -> Recipe:
    chosen = draw(st.lists(st.sampled_from(_TAGS), max_size=18, unique=True))
    return [draw(st.sampled_from(VARIANTS[tag])) for tag in sorted(chosen)]


@st.composite
def _changed(draw: st.DrawFn, before: Recipe) -> Recipe:
    recipe = list(before)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(recipe)))
        kind = draw(st.sampled_from("change change change delete insert insert swap repeat stray".split()))
        here = recipe[place] if place < len(recipe) else None
        if kind == "change" and isinstance(here, Element):
            recipe[place] = draw(st.sampled_from(VARIANTS[here.tag]))
        elif kind == "delete" and here is not None:
            del recipe[place]
        elif kind == "insert":
            recipe.append(draw(st.sampled_from(VARIANTS[draw(st.sampled_from(_TAGS))])))
            recipe.sort(key=lambda one: one.tag if isinstance(one, Element) else 0)
        elif kind == "swap" and place + 1 < len(recipe):
            recipe[place], recipe[place + 1] = recipe[place + 1], recipe[place]
        elif kind == "repeat" and here is not None:
            recipe.insert(place, here)
        elif kind == "stray":
            recipe.insert(place, _STRAY)
    return recipe


@st.composite
def _series(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """Data sets, each made from an earlier one by small changes, as bytes with their transfer syntax."""
    syntaxes = draw(st.sampled_from([(EXPLICIT,), (IMPLICIT,), (BIG_ENDIAN,), (EXPLICIT, IMPLICIT)]))
    recipes = [draw(_recipes())]
    for _ in range(draw(st.integers(1, 5))):
        recipes.append(draw(_changed(draw(st.sampled_from(recipes[-2:])))))
    made = []
    for recipe in recipes:
        syntax = draw(st.sampled_from(syntaxes))
        data = b"".join(one if isinstance(one, bytes) else _encoded(one, syntax) for one in recipe)
        data += draw(st.sampled_from(_TAILS))
        if draw(st.integers(0, 9)) == 0 and data:
            at = draw(st.integers(0, len(data) - 1))
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        if draw(st.integers(0, 9)) == 0:
            data = data[: draw(st.integers(0, len(data)))]
        made.append((syntax, data))
    return made


def _encoded(one: Element, syntax: str) -> bytes:
    return encode_element(one, Encoding.of(syntax))


def _outcome(
    encoder_and_bulk: tuple[Encoder, list[object]], syntax: str, data: bytes, size: int, cut: int
) -> object:
    encoder, bulk = encoder_and_bulk
    bulk.clear()
    source = MemorySource(data)
    try:
        window = Window(source, 0, size)
        dataset = encoder.encode(window, 0, len(data) - cut, TRANSFER_SYNTAXES[syntax])
    except StaticWadoError as error:
        return type(error), str(error)
    return (
        dataset.to_json(),
        dataset.members,
        dataset.notes,
        dataset.pixels,
        dataset.raw,
        dataset.end,
        list(dict.fromkeys(bulk)),
    )


def _encoder() -> tuple[Encoder, list[object]]:
    kept: list[object] = []

    def keep(bulk: object) -> str:
        kept.append(bulk)
        return f"bulk/{hash(bulk):x}"

    return Encoder(keep), kept


def agree(series: Sequence[tuple[str, bytes]], size: int = 8192, cut: int = 0) -> None:
    used = _encoder()
    for syntax, data in series:
        assert _outcome(used, syntax, data, size, min(cut, len(data))) == _outcome(
            _encoder(), syntax, data, size, min(cut, len(data))
        )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_series(), st.one_of(st.integers(16, 200), st.just(8192)), st.sampled_from([0, 0, 0, 3, 20]))
def test_an_encoder_that_has_read_other_headers_gives_what_a_fresh_one_gives(
    series: list[tuple[str, bytes]], size: int, cut: int
) -> None:
    agree(series, size, cut)
