"""What one header takes over from the one before: each trap of it by name (the property test has them
all)."""

import struct

import pytest

from staticwado.dicom.headertemplate import common_prefix
from tests.factories import (
    EXPLICIT,
    IMPLICIT,
    PIXEL_DATA,
    Element,
    Encoding,
    element,
    encapsulate,
    encode,
    private,
    sequence,
)
from tests.properties.test_encoder import agree

TEXT = element("StudyDescription", b"\xe9t\xe9")
LATIN = element("SpecificCharacterSet", "ISO_IR 100")
STRAY = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)


def explicit(*elements: Element, tail: bytes = b"") -> tuple[str, bytes]:
    return EXPLICIT, encode(elements, Encoding()) + tail


def implicit(*elements: Element, tail: bytes = b"") -> tuple[str, bytes]:
    return IMPLICIT, encode(elements, Encoding(explicit=False)) + tail


def test_a_character_set_that_is_gone_is_not_remembered() -> None:
    agree([explicit(LATIN, TEXT), explicit(TEXT), explicit(LATIN, TEXT)])
    agree([explicit(LATIN, element("Modality", "CT"), TEXT), explicit(element("Modality", "CT"), TEXT)])


def test_a_character_set_that_changes_is_seen() -> None:
    other = element("SpecificCharacterSet", "ISO_IR 101")
    agree([explicit(LATIN, TEXT), explicit(other, TEXT), explicit(other, TEXT), explicit(LATIN, TEXT)])


def test_text_before_the_character_set_is_not_read_by_it() -> None:
    early = [Element(0x00070010, "LO", b"\xe9"), Element(0x00070010, "LO", b"\xe8")]
    agree([explicit(early[0], LATIN, TEXT), explicit(early[1], LATIN, TEXT), explicit(early[0], LATIN, TEXT)])


@pytest.mark.parametrize("between", [[], [element("Modality", "CT")]])
def test_a_private_creator_that_is_gone_is_not_remembered(between: list[Element]) -> None:
    block = private(0x0019, 0x10, "GEMS_ACQU_01", (0x02, "SL", 7))
    agree([implicit(*between, *block), implicit(*between, block[1]), implicit(*between, *block)])


def test_a_private_creator_met_behind_the_template_is_not_remembered() -> None:
    block = private(0x0019, 0x10, "GEMS_ACQU_01", (0x02, "SL", 7))
    same = element("Modality", "CT")
    agree([implicit(same), implicit(same, *block), implicit(same, block[1])])


def test_a_pixel_representation_holds_from_where_it_stands() -> None:
    early, late = Element(0x00280071, "UN", b"\xfe\xff"), Element(0x00280106, "UN", b"\xfe\xff")
    other = Element(0x00280071, "UN", b"\xfd\xff")
    one = element("PixelRepresentation", 1)
    zero = element("PixelRepresentation", 0)
    for form in (explicit, implicit):
        agree([form(early, one, late), form(other, one, late), form(other, late), form(early, zero, late)])


def test_notes_about_a_header_are_made_again() -> None:
    odd = Element(0x00091001, "ZZ", b"abcd")
    rest = element("PatientID", "1")
    agree([explicit(odd, rest), explicit(odd, rest), explicit(odd, rest)])
    agree([explicit(rest, tail=STRAY), explicit(rest, tail=STRAY)])
    before, after = explicit(rest)[1], explicit(element("PatientWeight", "1"))[1]
    agree([(EXPLICIT, before + STRAY + after)] * 3)


def test_what_follows_the_pixel_data_is_said_each_time() -> None:
    head, pixels = element("Rows", 1), Element(PIXEL_DATA, "OW", b"1234")
    agree([explicit(head, pixels, tail=b"\0" * 40)] * 3)
    agree(
        [explicit(head, pixels, tail=b"garbage"), explicit(pixels, tail=b"garbage"), explicit(head, pixels)]
    )


def test_the_end_of_the_data_set_is_respected_inside_an_equal_header() -> None:
    data = explicit(element("PatientID", "1"), element("PatientWeight", "1"))
    agree([data, data], cut=3)
    agree([data, (EXPLICIT, data[1][:-3])])


def test_offset_tables_are_found_each_time() -> None:
    wrapped, tables = encapsulate([b"ab", b"cd"], offsets="extended")
    made = explicit(element("Rows", 1), *tables, Element(PIXEL_DATA, "OB", wrapped))
    agree([made, explicit(element("Rows", 2), *tables, Element(PIXEL_DATA, "OB", wrapped)), made])


def test_bulkdata_are_kept_for_each_data_set_and_at_its_own_place() -> None:
    big = Element(0x00091001, "OB", b"x" * 2000)
    inside = sequence("ContentSequence", [big])
    long, short = element("Modality", "CT"), element("Modality", "CTCT")
    agree([explicit(long, big, inside), explicit(short, big, inside), explicit(long, big, inside)])


@pytest.mark.parametrize("size", range(16, 160, 3))
def test_headers_may_be_longer_than_the_window(size: int) -> None:
    one = [
        element("Modality", "CT"),
        TEXT,
        sequence("ReferencedImageSequence", [TEXT, TEXT]),
        element("PatientID", "1"),
    ]
    two = [*one[:3], element("PatientID", "22"), element("Rows", 1)]
    agree([explicit(*one), explicit(*two), explicit(*one[1:]), explicit(*two)], size)


def test_a_header_of_thousands_of_elements_is_read_as_any_other() -> None:
    many = [Element(0x00091000 + n, "SH", str(n)) for n in range(3000)]
    agree([explicit(*many), explicit(*many[1:]), explicit(*many)], 1 << 16)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200, 1000])
def test_the_common_prefix_ends_at_the_first_byte_that_differs(length: int) -> None:
    old = bytes(index % 251 for index in range(length + 7))
    for place in {0, 1, length // 2, length - 1, length} - {-1}:
        new = b"head" + old[:place] + b"\xff" + old[place + 1 :]
        assert common_prefix(old, 0, new, 4, length) == min(place, length)
