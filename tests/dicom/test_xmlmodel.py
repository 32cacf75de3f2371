"""The Native DICOM Model (PS3.19 annex A): what is written, and that other XML readers understand it."""

import base64
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from staticwado.dicom.jsondataset import format_json, parse_json
from staticwado.dicom.xmlmodel import NAMESPACE, to_xml
from staticwado.dicom.xmlreader import parse_xml
from staticwado.errors import BrokenDicom

N = f"{{{NAMESPACE}}}"
DEEP = 20_000


def written(dataset: dict[str, Any]) -> ElementTree.Element:
    """The root of the document, read by the standard library."""
    return ElementTree.fromstring(to_xml(dataset))


def only(vr: str, *values: Any, tag: str = "00091001") -> ElementTree.Element:
    """The one attribute of a data set, whose values are given."""
    (found,) = written({tag: {"vr": vr, "Value": list(values)}})
    return found


def test_a_document_has_the_namespace_and_keeps_its_spaces() -> None:
    root = written({})
    assert root.tag == f"{N}NativeDicomModel"
    assert root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
    assert to_xml({}).startswith(b'<?xml version="1.0" encoding="UTF-8"?>')


def test_a_standard_attribute_has_its_keyword() -> None:
    (found,) = written({"00100020": {"vr": "LO", "Value": [" a<b>&\"\r\n\t'"]}})
    assert found.attrib == {"tag": "00100020", "vr": "LO", "keyword": "PatientID"}
    assert [(one.tag, one.attrib, one.text) for one in found] == [
        (f"{N}Value", {"number": "1"}, " a<b>&\"\r\n\t'")
    ]


def test_an_attribute_of_a_repeating_group_has_its_keyword_and_an_unknown_one_has_none() -> None:
    first, second = written({"60023000": {"vr": "OW"}, "00081234": {"vr": "LO"}})
    assert first.get("keyword") is None
    assert second.get("keyword") == "OverlayData"


def test_an_empty_attribute_has_no_children() -> None:
    assert len(only("LO")) == 0
    assert len(written({"00100020": {"vr": "LO"}})[0]) == 0


def test_empty_values_are_told_by_position() -> None:
    assert [one.get("number") for one in only("LO", None, "b", None, "d")] == ["2", "4"]


def test_an_empty_last_value_stands_there() -> None:
    found = only("LO", "a", None)
    assert [(one.get("number"), one.text) for one in found] == [("1", "a"), ("2", None)]


def test_thousands_of_empty_values_leave_no_gap_that_a_reader_refuses() -> None:
    dataset = {"00091001": {"vr": "LO", "Value": [None] * 4321 + ["x"] + [None] * 3000}}
    assert parse_xml(to_xml(dataset)) == dataset
    assert len(only("LO", *dataset["00091001"]["Value"])) < 10


def test_numbers_are_text() -> None:
    assert [one.text for one in only("FD", *parse_json(b"[1.50,-0.0,1e300]"))] == ["1.50", "-0.0", "1e300"]
    assert [one.text for one in only("DS", 1, 2.5, "+x")] == ["1", "2.5", "+x"]
    assert only("AT", "00181063")[0].text == "00181063"


def test_a_name_has_groups_and_components() -> None:
    found = only("PN", {"Alphabetic": "A^B^C^D^E", "Phonetic": "x^^z"}, {"Ideographic": "漢"})
    first, second = found
    assert [(group.tag, [(one.tag, one.text) for one in group]) for group in first] == [
        (
            f"{N}Alphabetic",
            [
                (f"{N}FamilyName", "A"),
                (f"{N}GivenName", "B"),
                (f"{N}MiddleName", "C"),
                (f"{N}NamePrefix", "D"),
                (f"{N}NameSuffix", "E"),
            ],
        ),
        (f"{N}Phonetic", [(f"{N}FamilyName", "x"), (f"{N}MiddleName", "z")]),
    ]
    assert second.get("number") == "2"
    assert second[0].tag == f"{N}Ideographic"


@pytest.mark.parametrize("name", ["Doe^^^", "^", "^^^^", "A^B^C^D^E^F^^", "A ^ B", " A"])
def test_a_name_keeps_delimiters_and_spaces(name: str) -> None:
    dataset = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}, None, {"Phonetic": name}]}}
    assert parse_xml(to_xml(dataset)) == dataset


def test_items_are_numbered_and_may_be_empty() -> None:
    found = only("SQ", {"00100020": {"vr": "LO", "Value": ["a"]}}, {}, None, tag="00081140")
    assert [(one.tag, one.get("number"), len(one)) for one in found] == [
        (f"{N}Item", "1", 1),
        (f"{N}Item", "2", 0),
        (f"{N}Item", "3", 0),
    ]


def test_bulkdata_has_its_uri_and_inline_binary_its_base64() -> None:
    root = written(
        {
            "00091001": {"vr": "OB", "BulkDataURI": '../a?b="c"&d'},
            "00091002": {"vr": "UN", "InlineBinary": "QUI="},
        }
    )
    assert root[0][0].tag == f"{N}BulkData"
    assert root[0][0].get("uri") == '../a?b="c"&d'
    assert (root[1][0].tag, root[1][0].text) == (f"{N}InlineBinary", "QUI=")


def test_group_lengths_and_file_meta_information_are_left_out() -> None:
    assert len(written({"00020010": {"vr": "UI"}, "00080000": {"vr": "UL"}, "00090000": {"vr": "UL"}})) == 0


# -- private attributes --------------------------------------------------------------------------------------


def _private(*creators: str | None, at: int = 0x10) -> dict[str, Any]:
    made: dict[str, Any] = {
        f"0009{at + index:04X}": {"vr": "LO", "Value": [name]} for index, name in enumerate(creators) if name
    }
    for index in range(len(creators)):
        made[f"0009{at + index:02X}42"] = {"vr": "LO", "Value": [f"in {index}"]}
    return made


def test_a_private_attribute_is_told_by_its_creator_and_not_by_its_block() -> None:
    root = written(_private("ACME", 'B"<', at=0x20))
    assert [(one.get("tag"), one.get("privateCreator")) for one in root] == [
        ("00090020", None),
        ("00090021", None),
        ("00090042", "ACME"),
        ("00090042", 'B"<'),
    ]


def test_a_private_attribute_without_creator_keeps_its_whole_tag() -> None:
    assert [one.get("tag") for one in written(_private(None))] == ["00091042"]


def test_a_creator_that_reserved_two_blocks_does_not_mix_them() -> None:
    dataset = _private("ACME", "ACME")
    assert [one.get("tag") for one in written(dataset)] == ["00090010", "00090011", "00091042", "00091142"]
    assert parse_xml(to_xml(dataset)) == dataset


def test_creators_of_an_item_are_its_own() -> None:
    item = _private("ACME", at=0x30)
    dataset = {"00081140": {"vr": "SQ", "Value": [item, _private(None, at=0x30)]}, **_private("ACME")}
    assert parse_xml(to_xml(dataset)) == dataset


# -- characters that XML cannot hold -------------------------------------------------------------------------


def test_a_text_with_control_characters_becomes_inline_binary() -> None:
    dataset = {"00100020": {"vr": "LO", "Value": ["a\x01é", None, "\x1b"]}}
    found = written(dataset)[0][0]
    assert found.tag == f"{N}InlineBinary"
    assert base64.b64decode(found.text or "") == "a\x01é\\\\\x1b".encode()
    assert parse_xml(to_xml(dataset)) == dataset


@pytest.mark.parametrize("vr", ["LT", "UT", "SH", "CS", "UI", "DS"])
@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_cannot_hold_are_not_lost(vr: str, character: str) -> None:
    dataset = {"00091001": {"vr": vr, "Value": [f"x{character}y"]}}
    assert parse_xml(to_xml(dataset)) == dataset


def test_a_name_and_a_creator_with_control_characters_are_not_lost() -> None:
    dataset = {
        **_private("AC\x02ME"),
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "a\x01^b", "Phonetic": "c"}]},
    }
    assert parse_xml(to_xml(dataset)) == dataset


# -- depth and faults ----------------------------------------------------------------------------------------


def test_a_sequence_of_any_depth_is_written_and_read() -> None:
    text = (
        b'{"00081140":{"vr":"SQ","Value":[' * DEEP + b'{"00100020":{"vr":"LO","Value":["a"]}}' + b"]}}" * DEEP
    )
    assert format_json(parse_xml(to_xml(parse_json(text)))) == text


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ({"00100020": {"vr": "LO", "Value": [{}]}}, r"\(0010,0020\)"),
        ({"00100020": {"vr": "LO", "Value": [True]}}, r"\(0010,0020\)"),
        ({"00100010": {"vr": "PN", "Value": ["Doe"]}}, r"\(0010,0010\)"),
        ({"00100010": {"vr": "PN", "Value": [{"Alphabetic": 5}]}}, r"\(0010,0010\)"),
        ({"00081140": {"vr": "SQ", "Value": ["x"]}}, r"item 1 of \(0008,1140\)"),
        ({"00091001": {"vr": "OB", "BulkDataURI": "a\x00"}}, r"\(0009,1001\)"),
        ({"00091001": {"vr": "LO", "Value": ["\x01", "a\\b"]}}, "backslash"),
        ({"00091001": {"vr": "LO", "Value": ["\ud800"]}}, "surrogate"),
    ],
)
def test_what_is_no_dicom_json_is_an_error_that_names_the_tag(dataset: dict[str, Any], says: str) -> None:
    with pytest.raises(BrokenDicom, match=says):
        to_xml(dataset)
