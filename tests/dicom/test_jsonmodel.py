"""The DICOM JSON Model: the rules J-01 to J-17 of PS3.18 annex F, and the values that real files have."""

import base64
import json
import struct
from collections.abc import Iterable
from typing import Any

import pytest

from staticwado.dicom import jsonmember, tags
from staticwado.dicom.elements import MAX_NOTES, Window
from staticwado.dicom.jsonmember import INLINE_LONGEST
from staticwado.dicom.jsonmodel import Bulk, EncodedDataset, Encoder, join_array
from staticwado.dicom.sources import MemorySource, Span
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, Unsupported
from tests.factories import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    NATIVE,
    PIXEL_DATA,
    Element,
    Encoding,
    Items,
    element,
    encapsulate,
    encode,
    nested,
    private,
    sequence,
)

PLAIN = [syntax for syntax in NATIVE if syntax not in ("1.2.840.10008.1.2.1.99",)]
NAN = struct.pack("<d", float("nan"))
INFINITY = struct.pack("<d", float("inf"))
_STRAY = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)


def read(
    elements: Iterable[Element] | bytes, syntax: str = EXPLICIT, *, charset: str = "utf-8", size: int = 8192
) -> EncodedDataset:
    """The data set of `elements`, read by an encoder of its own."""
    return _read(Encoder(lambda bulk: f"bulk/{bulk.tag:08X}"), elements, syntax, charset, size)


def _read(
    encoder: Encoder,
    elements: Iterable[Element] | bytes,
    syntax: str = EXPLICIT,
    charset: str = "utf-8",
    size: int = 8192,
) -> EncodedDataset:
    data = elements if isinstance(elements, bytes) else encode(elements, Encoding.of(syntax), charset)
    return encoder.encode(Window(MemorySource(data), 0, size), 0, len(data), TRANSFER_SYNTAXES[syntax])


def parse(elements: Iterable[Element] | bytes, syntax: str = EXPLICIT, **how: Any) -> dict[str, Any]:
    """The JSON of `elements`, read by a strict parser."""
    found: dict[str, Any] = json.loads(read(elements, syntax, **how).to_json(), parse_constant=_refuse)
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def one(vr: str, value: Any, syntax: str = EXPLICIT, tag: int = 0x00091001) -> dict[str, Any]:
    """The JSON object of a single element."""
    found: dict[str, Any] = parse([Element(tag, vr, value)], syntax)[f"{tag:08X}"]
    return found


def public(keyword: str, value: Any, syntax: str = EXPLICIT) -> dict[str, Any]:
    made = element(keyword, value)
    found: dict[str, Any] = parse([made], syntax)[f"{made.tag:08X}"]
    return found


# -- J-01 to J-05 --------------------------------------------------------------------------------------------


def test_j01_keys_are_upper_case_and_ascending_and_the_text_is_utf_8_without_bom() -> None:
    made = [
        element("PatientName", "Doe"),
        element("StudyDescription", "Größe"),
        Element(0x0009ABCD, "LO", "x"),
        element("SpecificCharacterSet", "ISO_IR 192"),
        element("SOPInstanceUID", "1.2"),
    ]
    inner = sequence("ReferencedImageSequence", [element("ReferencedSOPInstanceUID", "1"), *made[1:3]])
    text = read([*made, inner]).to_json()
    assert not text.startswith(b"\xef\xbb\xbf")
    found = json.loads(text.decode("utf-8"))
    assert list(found) == ["00080005", "00080018", "00081030", "00081140", "0009ABCD", "00100010"]
    assert list(found["00081140"]["Value"][0]) == ["00081030", "00081155", "0009ABCD"]


@pytest.mark.parametrize("syntax", PLAIN)
def test_j02_group_lengths_and_file_meta_information_are_left_out_at_every_level(syntax: str) -> None:
    length = Element(0x00080000, "UL", 100)
    meta = Element(0x00020010, "UI", "1.2.3")
    made = [length, meta, sequence("ReferencedImageSequence", [length, meta]), Element(0x00100000, "UL", 1)]
    dataset = read(made, syntax)
    assert json.loads(dataset.to_json()) == {"00081140": {"vr": "SQ", "Value": [{}]}}
    assert any("(0002,0010)" in note for note in dataset.notes)


def test_j02_a_sequence_with_the_number_of_a_group_length_is_left_out_whole() -> None:
    made = [sequence(0x00090000, [element("PatientID", "inner")]), element("PatientID", "outer")]
    assert parse(made) == {"00100020": {"vr": "LO", "Value": ["outer"]}}


_EVERY_VR: list[tuple[str, Any, Any]] = [
    ("AE", "STORE", ["STORE"]),
    ("AS", "042Y", ["042Y"]),
    ("AT", 0x00209056, ["00209056"]),
    ("CS", "A\\B", ["A", "B"]),
    ("DA", "20240229", ["20240229"]),
    ("DS", "1.5\\-2", [1.5, -2]),
    ("DT", "20240229101500+0100", ["20240229101500+0100"]),
    ("FD", [0.1, -2.0], [0.1, -2.0]),
    ("FL", [0.5, -2.0], [0.5, -2.0]),
    ("IS", "12\\-3", [12, -3]),
    ("LO", " a \\b", [" a", "b"]),
    ("LT", " a\\b\r\n ", [" a\\b\r\n"]),
    ("PN", "Doe^J", [{"Alphabetic": "Doe^J"}]),
    ("SH", "a\\b", ["a", "b"]),
    ("SL", [-1, 2], [-1, 2]),
    ("SS", [-1, 2], [-1, 2]),
    ("ST", "a\\b ", ["a\\b"]),
    ("SV", [-5, 5], [-5, 5]),
    ("TM", "101500.25", ["101500.25"]),
    ("UC", "a\\b", ["a", "b"]),
    ("UI", "1.2\\3.4", ["1.2", "3.4"]),
    ("UL", [1, 4294967295], [1, 4294967295]),
    ("UR", "http://a/b\\c ", ["http://a/b\\c"]),
    ("US", [1, 65535], [1, 65535]),
    ("UT", "a\\b ", ["a\\b"]),
    ("UV", [1, 5], [1, 5]),
]


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize(("vr", "value", "wanted"), _EVERY_VR, ids=[row[0] for row in _EVERY_VR])
def test_j03_every_vr_is_an_object_with_vr_and_value(vr: str, value: Any, wanted: Any, syntax: str) -> None:
    assert one(vr, value, syntax) == {"vr": vr, "Value": wanted}


@pytest.mark.parametrize("vr", sorted({row[0] for row in _EVERY_VR} | set("OB OD OF OL OV OW UN SQ".split())))
def test_j04_an_empty_attribute_has_its_vr_only(vr: str) -> None:
    assert one(vr, b"") == {"vr": vr}


@pytest.mark.parametrize("vr", "AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
@pytest.mark.parametrize("padding", [b"  ", b"\0\0", b" \0"])
def test_j04_nothing_but_padding_is_an_empty_attribute(vr: str, padding: bytes) -> None:
    assert one(vr, padding) == {"vr": vr}


def test_j05_empty_values_among_others_are_null_and_empty_items_stay() -> None:
    assert one("CS", "A\\\\B ") == {"vr": "CS", "Value": ["A", None, "B"]}
    assert one("DS", "1\\\\2") == {"vr": "DS", "Value": [1, None, 2]}
    assert one("IS", "\\2\\ ") == {"vr": "IS", "Value": [None, 2, None]}
    assert one("PN", "A\\\\=\\B") == {
        "vr": "PN",
        "Value": [{"Alphabetic": "A"}, None, None, {"Alphabetic": "B"}],
    }
    assert one("LO", "\\") == {"vr": "LO", "Value": [None, None]}
    assert parse([sequence("ContentSequence", [], [element("PatientID", "1")], [])])["0040A730"] == {
        "vr": "SQ",
        "Value": [{}, {"00100020": {"vr": "LO", "Value": ["1"]}}, {}],
    }
    for undefined in (False, True):
        assert parse([sequence("ContentSequence", undefined=undefined)])["0040A730"] == {"vr": "SQ"}


# -- J-06 to J-09: names and numbers -------------------------------------------------------------------------


def test_j06_a_person_name_has_its_non_empty_groups_only() -> None:
    assert one("PN", "Yamada^T= =ya^ta ")["Value"] == [{"Alphabetic": "Yamada^T", "Phonetic": "ya^ta"}]
    assert one("PN", "=ideo")["Value"] == [{"Ideographic": "ideo"}]
    assert one("PN", "A^B\\C^D=x")["Value"] == [
        {"Alphabetic": "A^B"},
        {"Alphabetic": "C^D", "Ideographic": "x"},
    ]
    assert "=" not in read([element("PatientName", "a=b=c=d")]).to_json().decode()
    assert one("PN", "Doe^^^")["Value"] == [{"Alphabetic": "Doe^^^"}]


_DECIMALS = {
    "0": 0,
    "+0000.000": 0.0,
    "1.250000E+00": 1.25,
    ".5": 0.5,
    "-.5": -0.5,
    "5.": 5,
    " 12 ": 12,
    "1e5": 100000.0,
    "-0": 0,
    "007.50": 7.5,
    "1E-10": 1e-10,
    "0.99999999999999": 0.99999999999999,
}


@pytest.mark.parametrize(("text", "number"), _DECIMALS.items())
def test_j07_a_ds_that_a_json_number_can_be_is_one(text: str, number: float) -> None:
    found = public("PatientWeight", text)["Value"][0]
    assert isinstance(found, int | float)
    assert found == number


_NO_NUMBERS = [
    "abc",
    "1,5",
    "1e400",
    "-1e999",
    "1e-400",
    "NaN",
    "INF",
    ".",
    "+",
    "e0",
    ".e0",
    "E+00",
    "1e",
    "--1",
]


@pytest.mark.parametrize("text", [*_NO_NUMBERS, "0x10", "1 2", "1_000", "٣", "0.1000000000000000055511"])
def test_j07_a_ds_that_no_json_number_is_equal_to_stays_text(text: str) -> None:
    dataset = read([element("SpecificCharacterSet", "ISO_IR 192"), element("PatientWeight", text)])
    value = json.loads(dataset.to_json())["00101030"]["Value"]
    assert all(isinstance(found, str) for found in value)
    assert value == [text] or not text.isascii()
    assert any("(0010,1030)" in note for note in dataset.notes)


def test_j07_the_digits_of_a_ds_are_kept() -> None:
    text = read([element("PixelSpacing", "0.3125000\\1.250000E+00")]).to_json()
    assert b"[0.3125000,1.250000E+00]" in text


@pytest.mark.parametrize(("text", "wanted"), [("+007", 7), ("-12", -12), (" 12 ", 12), ("-0", 0)])
def test_j07_an_is_is_an_integer(text: str, wanted: int) -> None:
    assert public("InstanceNumber", text) == {"vr": "IS", "Value": [wanted]}


@pytest.mark.parametrize("text", ["1.5", "abc", "1e3", "5.", "9999999999999999999", "+", "1 2"])
def test_j07_an_is_that_is_no_integer_stays_text_with_a_note(text: str) -> None:
    dataset = read([element("InstanceNumber", text)])
    assert json.loads(dataset.to_json()) == {"00200013": {"vr": "IS", "Value": [text]}}
    assert len(dataset.notes) == 1


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
def test_j07_long_integers_past_the_safe_range_are_text(syntax: str) -> None:
    edge = 1 << 53
    assert one("UV", [1, edge - 1, edge, 2**64 - 1], syntax)["Value"] == [
        1,
        edge - 1,
        str(edge),
        str(2**64 - 1),
    ]
    assert one("SV", [-1, 1 - edge, -edge, -(2**63)], syntax)["Value"] == [
        -1,
        1 - edge,
        str(-edge),
        str(-(2**63)),
    ]


@pytest.mark.parametrize("syntax", PLAIN)
def test_j08_attribute_tags_are_eight_upper_case_digits_each(syntax: str) -> None:
    made = [element("FrameIncrementPointer", [0x00181063, 0xFFFEABCD])]
    assert parse(made, syntax) == {"00280009": {"vr": "AT", "Value": ["00181063", "FFFEABCD"]}}


def test_j08_a_broken_attribute_tag_keeps_its_bytes() -> None:
    dataset = read([element("FrameIncrementPointer", b"\1\2\3\4\5\6")])
    found = json.loads(dataset.to_json())["00280009"]
    assert found == {"vr": "UN", "InlineBinary": base64.b64encode(b"\1\2\3\4\5\6").decode()}
    assert dataset.notes


@pytest.mark.parametrize("vr", ["FD", "FL"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_j09_nan_and_infinity_become_bulkdata(vr: str, number: float) -> None:
    found = one(vr, [1.0, number])
    assert found == {"vr": vr, "BulkDataURI": "bulk/00091001"}


@pytest.mark.parametrize(
    ("vr", "value"), [("US", b"\1"), ("FD", b"1234567"), ("SL", b"12"), ("UV", b"1" * 12)]
)
def test_a_number_of_the_wrong_size_keeps_its_bytes(vr: str, value: bytes) -> None:
    made = encode([Element(0x00091001, vr, value, pad=b"")], Encoding())
    kept: list[Bulk] = []
    encoder = Encoder(lambda bulk: kept.append(bulk) or "x")  # type: ignore[func-returns-value]
    dataset = _read(encoder, made)
    assert [bulk.spans for bulk in kept] == [(Span(len(made) - len(value), len(value)),)]
    assert len(dataset.notes) == 1


# -- J-10 to J-12: bytes and character sets ------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("vr", "OB OD OF OL OV OW UN".split())
def test_j10_inline_binary_is_one_little_endian_value(vr: str, syntax: str) -> None:
    value = bytes(range(16))
    assert one(vr, value, syntax) == {"vr": vr, "InlineBinary": base64.b64encode(value).decode()}


@pytest.mark.parametrize(("vr", "word"), [("OW", 2), ("OF", 4), ("OD", 8), ("OB", 1), ("UN", 1), ("UL", 4)])
def test_j10_bulkdata_of_big_endian_says_how_wide_its_words_are(vr: str, word: int) -> None:
    kept: list[Bulk] = []
    encoder = Encoder(lambda bulk: kept.append(bulk) or "x")  # type: ignore[func-returns-value]
    _read(encoder, [Element(0x00091001, vr, b"12345678" * 4000)], BIG_ENDIAN)
    assert [bulk.word for bulk in kept] == [word]
    _read(encoder, [Element(0x00091001, vr, b"12345678" * 4000)], EXPLICIT)
    assert kept[1].word == 1


_CHARSETS = [
    ("", b"plain", "plain"),
    ("ISO_IR 100", b"Gr\xf6\xdfe", "Größe"),
    ("ISO_IR 144", b"\xbf\xe0", "Пр"),
    ("ISO_IR 192", "山田".encode(), "山田"),
    ("GB18030", "王小东".encode("gb18030"), "王小东"),
    ("GBK", "王小东".encode("gbk"), "王小东"),
    ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
    ("\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8", "김"),
]


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize(("charset", "value", "text"), _CHARSETS)
def test_j11_text_is_utf_8_and_the_character_set_keeps_its_value(
    charset: str, value: bytes, text: str, syntax: str
) -> None:
    made = [element("SpecificCharacterSet", charset), element("StudyDescription", value)]
    found = parse(made, syntax)
    assert found["00081030"]["Value"] == [text]
    terms = [term or None for term in charset.split("\\")]
    assert found["00080005"] == ({"vr": "CS", "Value": terms} if charset else {"vr": "CS"})


def test_j11_an_item_may_have_a_character_set_of_its_own() -> None:
    text = element("StudyDescription", b"\xe4\xd0")
    own = element("SpecificCharacterSet", "ISO_IR 144")
    made = [
        element("SpecificCharacterSet", "ISO_IR 100"),
        sequence("ReferencedImageSequence", [own, text, sequence("ContentSequence", [text])], [text]),
        Element(0x0010_4000, "LT", b"\xe4"),
    ]
    found = parse(made)
    first, second = found["00081140"]["Value"]
    assert first["00081030"]["Value"] == ["ф\u0430"] or first["00081030"]["Value"] == [
        b"\xe4\xd0".decode("iso8859_5")
    ]
    assert first["0040A730"]["Value"][0]["00081030"] == first["00081030"]
    assert second["00081030"]["Value"] == ["äÐ"]
    assert found["00104000"]["Value"] == ["ä"]


def test_j11_behind_encapsulated_pixels_the_whole_character_set_still_holds() -> None:
    head = [
        element("SpecificCharacterSet", "\\ISO 2022 IR 87"),
        Element(PIXEL_DATA, "OB", encapsulate([b"ab"])[0]),
    ]
    late = Element(0x7FE10010, "LO", b"\x1b$B;3ED\x1b(B")
    data = encode([*head, late], Encoding())
    encoder = Encoder(lambda bulk: "x")
    source, syntax = MemorySource(data), TRANSFER_SYNTAXES["1.2.840.10008.1.2.4.50"]
    dataset = encoder.encode(Window(source), 0, len(data), syntax)
    behind = len(data) - len(encode([late], Encoding()))
    encoder.resume(dataset, Window(source, behind), behind, len(data), syntax)
    assert json.loads(dataset.to_json())["7FE10010"]["Value"] == ["山田"]


def test_j11_control_characters_and_quotes_are_escaped() -> None:
    raw = bytes(range(1, 32)).replace(b"\x1b", b"") + b'"\\\x7f<'
    assert one("UT", raw)["Value"] == [raw.decode()]


def test_j12_un_is_never_converted() -> None:
    value = "Größe ".encode("latin-1")
    made = [element("SpecificCharacterSet", "ISO_IR 100"), Element(0x00091001, "UN", value)]
    assert parse(made)["00091001"] == {"vr": "UN", "InlineBinary": base64.b64encode(value).decode()}


# -- J-13 to J-17 --------------------------------------------------------------------------------------------


def test_j13_the_uri_of_a_value_is_what_its_keeper_says() -> None:
    made = [Element(0x00091001, "OB", b"x" * 2000), Element(0x00420011, "OB", b"%PDF")]
    encoder = Encoder(lambda bulk: f"../../bulkdata/{bulk.spans[0].length}")
    found = json.loads(_read(encoder, made).to_json())
    assert found["00091001"] == {"vr": "OB", "BulkDataURI": "../../bulkdata/2000"}
    assert found["00420011"] == {"vr": "OB", "BulkDataURI": "../../bulkdata/4"}


@pytest.mark.parametrize("vr", ["AE", "AS", "CS", "LO", "SH", "UC", "UI"])
def test_j14_a_backslash_separates_values_and_trailing_padding_goes(vr: str) -> None:
    assert one(vr, "1.2 \\3\0")["Value"] == ["1.2", "3"]


@pytest.mark.parametrize("vr", ["LT", "ST", "UT", "UR"])
def test_j14_in_single_texts_a_backslash_is_a_character(vr: str) -> None:
    assert one(vr, " a\\b\\ ")["Value"] == [" a\\b\\"]


def test_j14_a_backslash_byte_inside_a_character_separates_nothing() -> None:
    text = "乗"  # its second byte in GBK is 5C
    assert text.encode("gbk")[1] == 0x5C
    made = [element("SpecificCharacterSet", "GBK"), element("StudyDescription", (text + "\\b").encode("gbk"))]
    assert parse(made)["00081030"]["Value"] == [text, "b"]


def test_j15_private_elements_keep_their_number_creator_and_vr() -> None:
    made = private(0x0009, 0x42, "ACME", (0x01, "SH", "a"), (0x02, "UN", b"\1\2"), (0xFF, "FD", 1.5))
    assert parse(made) == {
        "00090042": {"vr": "LO", "Value": ["ACME"]},
        "00094201": {"vr": "SH", "Value": ["a"]},
        "00094202": {"vr": "UN", "InlineBinary": "AQI="},
        "000942FF": {"vr": "FD", "Value": [1.5]},
    }


def test_j15_in_implicit_vr_the_creator_gives_the_vr_and_unknown_ones_are_un() -> None:
    known = private(0x0019, 0x10, "GEMS_ACQU_01", (0x02, "SL", 7))
    assert parse(known, IMPLICIT)["00191002"] == {"vr": "SL", "Value": [7]}
    unknown = private(0x0019, 0x10, "NOBODY", (0x02, "SL", 7))
    assert parse(unknown, IMPLICIT)["00191002"] == {"vr": "UN", "InlineBinary": "BwAAAA=="}
    inner = sequence("ContentSequence", [Element(0x00191002, "SL", 7)])
    assert parse([*known, inner], IMPLICIT)["0040A730"]["Value"][0]["00191002"]["vr"] == "UN"


def test_j16_several_data_sets_are_one_array() -> None:
    assert join_array([b"{}", b'{"a":1}']) == b'[{},{"a":1}]'
    assert join_array([]) == b"[]"


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("undefined_items", [False, True])
def test_j17_items_keep_their_order_and_nested_ones_follow_the_same_rules(
    syntax: str, undefined: bool, undefined_items: bool
) -> None:
    inner = [element("PatientID", "b"), element("SOPInstanceUID", "1.2"), element("PatientWeight", "1\\\\2")]
    made = sequence(
        "ContentSequence",
        inner,
        [],
        [
            sequence(
                "ReferencedImageSequence", inner, undefined=not undefined, undefined_items=undefined_items
            )
        ],
        undefined=undefined,
        undefined_items=undefined_items,
    )
    plain = {
        "00080018": {"vr": "UI", "Value": ["1.2"]},
        "00100020": {"vr": "LO", "Value": ["b"]},
        "00101030": {"vr": "DS", "Value": [1, None, 2]},
    }
    assert parse([made], syntax)["0040A730"]["Value"] == [
        plain,
        {},
        {"00081140": {"vr": "SQ", "Value": [plain]}},
    ]


# -- what implicit VR and UN leave open ----------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize(("representation", "vr", "number"), [(0, "US", 0xFFFE), (1, "SS", -2)])
def test_pixel_representation_decides_between_us_and_ss(
    syntax: str, representation: int, vr: str, number: int
) -> None:
    made = [
        element("PixelRepresentation", representation),
        Element(0x00280106, "UN", b"\xfe\xff"),
        sequence("ContentSequence", [Element(0x00280106, "UN", b"\xfe\xff")]),
    ]
    found = parse(made, syntax)
    assert found["00280106"] == {"vr": vr, "Value": [number]}
    assert found["0040A730"]["Value"][0]["00280106"] == found["00280106"]


def test_un_of_a_known_tag_is_read_by_the_dictionary() -> None:
    made = [
        Element(0x00080060, "UN", b"CT"),
        Element(0x00081140, "UN", Items(((element("ReferencedSOPInstanceUID", "1.2"),),), undefined=True)),
        Element(0x00100010, "UN", b"Doe^Jane"),
        Element(0x00280010, "UN", b"\0\2"),
        Element(0x00091001, "UN", b"CT"),
    ]
    found = parse(made)
    assert found["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert found["00081140"] == {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    assert found["00280010"] == {"vr": "US", "Value": [512]}
    assert found["00091001"]["vr"] == "UN"


def test_a_sequence_of_defined_length_inside_un_is_read_in_implicit_vr() -> None:
    inner = encode(
        [sequence("ReferencedImageSequence", [element("ReferencedSOPInstanceUID", "1.2")])], Encoding(False)
    )
    found = parse([Element(0x00081140, "UN", inner[8:])])
    assert found["00081140"] == {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}


def test_un_that_should_be_a_sequence_and_is_none_keeps_its_bytes() -> None:
    dataset = read([Element(0x00081140, "UN", b"no items"), element("PatientID", "1")])
    found = json.loads(dataset.to_json())
    assert found["00081140"] == {"vr": "UN", "InlineBinary": base64.b64encode(b"no items").decode()}
    assert found["00100020"]["Value"] == ["1"]
    assert dataset.notes


def test_unknown_vrs_are_read_as_un_and_missing_ones_as_implicit() -> None:
    odd = struct.pack("<HH2sHI", 0x0009, 0x1001, b"ZZ", 0, 2) + b"ab"
    short = struct.pack("<HH2sH", 0x0009, 0x1002, b"ZY", 2) + b"cd"
    implicit = struct.pack("<HHI", 0x0010, 0x0020, 2) + b"ID"
    dataset = read(odd + short + implicit + encode([element("PatientWeight", "1")], Encoding()))
    found = json.loads(dataset.to_json())
    assert found["00091001"] == {"vr": "UN", "InlineBinary": "YWI="}
    assert found["00091002"] == {"vr": "UN", "InlineBinary": "Y2Q="}
    assert found["00100020"] == {"vr": "LO", "Value": ["ID"]}
    assert found["00101030"]["Value"] == [1]
    assert len(dataset.notes) == 3


# -- pixels, and what is wrong with data sets ----------------------------------------------------------------


def test_pixel_data_are_a_place_and_no_member() -> None:
    data = encode(
        [element("Rows", 1), Element(PIXEL_DATA, "OW", b"1234"), Element(0xFFFCFFFC, "OB", b"\0\0")],
        Encoding(),
    )
    dataset = read(data)
    assert dataset.pixels is not None
    assert (dataset.pixels.tag, dataset.pixels.vr, dataset.pixels.span) == (PIXEL_DATA, "OW", Span(22, 4))
    assert not dataset.pixels.encapsulated
    assert list(json.loads(dataset.to_json())) == ["00280010", "FFFCFFFC"]
    assert dataset.end == len(data)


@pytest.mark.parametrize("undefined", [False, True])
def test_encapsulated_pixels_of_an_icon_become_one_value(undefined: bool) -> None:
    kept: list[Bulk] = []
    encoder = Encoder(lambda bulk: kept.append(bulk) or "icon")  # type: ignore[func-returns-value]
    wrapped, _ = encapsulate([b"abcdef"], fragments=2)
    icon = sequence(
        "IconImageSequence", [element("Rows", 1), Element(PIXEL_DATA, "OB", wrapped)], undefined=undefined
    )
    data = encode([icon, element(0x00880130, "after", vr="SH")], Encoding())
    data = encode([element(0x00880130, "before", vr="SH"), icon], Encoding())
    dataset = _read(encoder, data, "1.2.840.10008.1.2.4.50")
    assert dataset.pixels is None
    item = json.loads(dataset.to_json())["00880200"]["Value"][0]
    assert item["7FE00010"] == {"vr": "OB", "BulkDataURI": "icon"}
    assert b"".join(data[span.offset : span.end] for bulk in kept for span in bulk.spans) == b"abcdef"


def test_an_empty_encapsulated_icon_is_an_empty_attribute() -> None:
    wrapped, _ = encapsulate([], offsets="empty")
    found = parse([sequence("IconImageSequence", [Element(PIXEL_DATA, "OB", wrapped)])])
    assert found["00880200"]["Value"][0]["7FE00010"] == {"vr": "OB"}


def test_fragments_outside_pixel_data_are_refused() -> None:
    with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
        read([Element(0x00091001, "OB", encapsulate([b"ab"])[0])])


def test_a_second_pixel_value_is_noted() -> None:
    dataset = read([Element(tags.FLOAT_PIXEL_DATA, "OF", b"1234"), Element(PIXEL_DATA, "OW", b"1234")])
    assert dataset.pixels is not None
    assert dataset.pixels.tag == tags.FLOAT_PIXEL_DATA
    assert any("(7FE0,0010)" in note for note in dataset.notes)


def test_a_sequence_behind_pixel_data_that_has_their_tag_spills_nothing() -> None:
    made = [
        Element(tags.FLOAT_PIXEL_DATA, "OF", b"1234"),
        sequence(PIXEL_DATA, [element("PatientID", "inner")]),
    ]
    assert "00100020" not in parse(made)


def test_duplicates_are_noted_and_the_first_is_kept() -> None:
    twice = [element("PatientID", "1"), element("PatientID", "2")]
    dataset = read([*twice, sequence("ContentSequence", twice)])
    found = json.loads(dataset.to_json())
    assert found["00100020"]["Value"] == ["1"]
    assert found["0040A730"]["Value"][0]["00100020"]["Value"] == ["1"]
    assert len(dataset.notes) == 2


def test_an_item_longer_than_what_holds_it_is_refused() -> None:
    data = encode([sequence("ContentSequence", [element("PatientID", "1")])], Encoding())
    for cut in range(1, len(data)):
        with pytest.raises(BrokenDicom):
            read(data[:-cut])


@pytest.mark.parametrize("depth", [1, 16, 17, 18, 400, 3_000])
@pytest.mark.parametrize("undefined", [False, True])
def test_nesting_of_any_depth_is_read_without_recursion(depth: int, undefined: bool) -> None:
    data = nested(depth, undefined=undefined, inner=[element("PatientID", "deep"), element("Modality", "CT")])
    text = read(data).to_json()
    start, end = b'{"0040A730":{"vr":"SQ","Value":[', b"]}}"
    deepest = b'{"00080060":{"vr":"CS","Value":["CT"]},"00100020":{"vr":"LO","Value":["deep"]}}'
    assert text == start * depth + deepest + end * depth


def test_the_work_of_nesting_does_not_grow_with_its_square() -> None:
    depth = 60_000
    text = read(nested(depth)).to_json()
    assert text.count(b'"SQ"') == depth


def test_values_of_deep_sequences_are_no_plain_values() -> None:
    data = nested(2_000).replace(b"\x40\x00\x30\xa7", b"\x20\x00\x0d\x00")
    dataset = read(data)
    assert dataset.value(tags.STUDY_INSTANCE_UID) is None
    assert dataset.text(tags.STUDY_INSTANCE_UID) is None
    assert dataset.texts(tags.STUDY_INSTANCE_UID) == []


class _Huge:
    """A source of one element with a huge value, of which nothing is kept."""

    def __init__(self, head: bytes, size: int) -> None:
        self.head = head
        self.size = size
        self.given = 0

    def read(self, offset: int, length: int) -> bytes:
        made = self.head[offset : offset + length]
        made += b"1" * (min(length, self.size - offset) - len(made))
        self.given += len(made)
        return made

    def read_into(self, offset: int, view: memoryview) -> int:
        raise NotImplementedError


@pytest.mark.parametrize("tag", [0x00080060, 0x00101030, 0x00080018, 0x00100010, 0x00280009, 0x00080005])
def test_no_value_is_read_into_memory_however_long_it_says_it_is(tag: int) -> None:
    length = INLINE_LONGEST * 8
    source = _Huge(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length), length + 8)
    encoder = Encoder(lambda bulk: "big")
    dataset = encoder.encode(Window(source), 0, source.size, TRANSFER_SYNTAXES[IMPLICIT])
    assert json.loads(dataset.to_json()) == {f"{tag:08X}": {"vr": "UN", "BulkDataURI": "big"}}
    assert dataset.notes
    assert source.given < INLINE_LONGEST


def test_notes_of_a_data_set_made_of_oddities_are_bounded() -> None:
    dataset = read(_STRAY * (MAX_NOTES * 3))
    assert len(dataset.notes) == MAX_NOTES + 1


def test_zeros_before_garbage_are_looked_through_once() -> None:
    data = b"\0" * 200_000 + b"garbage!"
    source = _Counting(data)
    with pytest.raises(BrokenDicom):
        Encoder(lambda bulk: "x").encode(Window(source), 0, len(data), TRANSFER_SYNTAXES[IMPLICIT])
    assert source.given < 10 * len(data)


class _Counting(MemorySource):
    """A source that counts the bytes it gave."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.given = 0

    def read(self, offset: int, length: int) -> bytes:
        part = super().read(offset, length)
        self.given += len(part)
        return part


class _Short(MemorySource):
    """A file that was cut after its size was taken."""

    __slots__ = ()

    @property
    def size(self) -> int:
        return len(self.data) + 10


def test_a_source_that_ends_before_its_size_is_broken() -> None:
    data = encode([element("PatientID", "12345678")], Encoding())
    for cut in range(1, len(data) + 1):
        source = _Short(data[:-cut])
        with pytest.raises(BrokenDicom):
            Encoder(lambda bulk: "x").encode(Window(source), 0, len(data), TRANSFER_SYNTAXES[EXPLICIT])


def test_group_lengths_and_file_meta_information_in_items_are_left_out_whatever_their_vr() -> None:
    icon = Element(0x00080000, "OB", encapsulate([b"ab"])[0])
    inner = [element("Rows", 1), sequence(0x00020010, [element("Columns", 2)]), icon]
    found = parse([sequence("ContentSequence", inner)])
    assert found["0040A730"]["Value"] == [{"00280010": {"vr": "US", "Value": [1]}}]


@pytest.mark.parametrize(
    "elements",
    [
        [Element(0x00091000 + number, "US", b"") for number in range(1000)],
        [sequence("ContentSequence", *[[] for _ in range(1200)])],
        [sequence("ContentSequence", *[[element("Rows", 1)] for _ in range(500)])],
        [element("TextValue", "x" * 60_000)],
        [sequence("ContentSequence", [Element(0x00091001, "OB", bytes(1026))] * 600)],
    ],
    ids=["elements", "empty items", "items", "text", "bulkdata"],
)
def test_metadata_that_would_fill_the_memory_are_refused(
    elements: list[Element], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(elements).members
    monkeypatch.setattr(jsonmember, "LARGEST_METADATA", 50_000)
    with pytest.raises(Unsupported, match="need more than 50000 bytes"):
        read(elements)


def test_an_extended_offset_table_that_is_longer_than_any_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jsonmember, "MAX_FRAGMENTS", 3)
    short, long = element("ExtendedOffsetTable", bytes(24)), element("ExtendedOffsetTable", bytes(32))
    assert tags.EXTENDED_OFFSET_TABLE in read([short]).raw
    found = read([long])
    assert found.raw == {}
    assert found.notes == ["(7FE0,0001) has 32 bytes, too many for an offset table: not used"]
