"""DICOM JSON in memory: text both ways at any depth, numbers with their digits, attributes in order."""

import json
from decimal import Decimal

import pytest

from staticwado.dicom.jsondataset import Number, elements_of, format_json, number_text, parse_json
from staticwado.errors import BadRequest, BrokenDicom

DEEP = 30_000
_NO_JSON = [
    *" , |[|]|[1,]|[1 2]|[1]x|[}|[NaN]|[Infinity]|[01]|[1.]|[tru]|[-]".split("|"),
    *'{"a":1,}|{"a"}|{1:2}|{"a":1,"a":2}|{"a":1]|{"a":,}|["\\x"]|["a]|["\x01"]'.split("|"),
]


@pytest.mark.parametrize(
    "text", ["1.50", "-0", "1e5", "0.12345678901234567", "12345678901234567890", "-0.0", "7"]
)
def test_a_number_keeps_its_spelling(text: str) -> None:
    assert format_json(parse_json(f"[{text}]".encode())) == f"[{text}]".encode()


def test_a_number_is_equal_to_its_value() -> None:
    assert parse_json(b"[1.50, 2]") == [Decimal("1.5"), 2]
    assert number_text(Decimal("1E+5")) == "1e+5"
    assert number_text(0.1) == "0.1"
    assert Number("2.0") == 2


def test_text_that_is_nested_deeper_than_the_library_reads_comes_back() -> None:
    text = (
        b'{"00081140":{"vr":"SQ","Value":[' * DEEP + b'{"00100020":{"vr":"LO","Value":["\\u00e9",null,1.50]}}'
    )
    text += b"]}}" * DEEP
    found = parse_json(text)
    assert format_json(found) == text.replace(b"\\u00e9", "é".encode())


@pytest.mark.parametrize("deep", [0, DEEP])
@pytest.mark.parametrize("text", _NO_JSON)
def test_what_is_no_json_is_refused_at_any_depth(text: str, deep: int) -> None:
    with pytest.raises(BadRequest, match="no JSON"):
        parse_json(("[" * deep + text + "]" * deep).encode())


def test_the_slow_way_reads_what_the_library_reads() -> None:
    inner = (
        ' { "a" : [ 1 , -2.5e3 , "x\\n\\u0041\\"" , true , false , null , [ ] , { } ] , "b" : {"c":[[]]} } '
    )
    found = parse_json(("[" * DEEP + inner + "]" * DEEP).encode())
    for _ in range(DEEP):
        found = found[0]
    assert found == json.loads(inner)


def test_bytes_that_are_no_utf_8_and_numbers_without_end_are_refused() -> None:
    for text in (b'["\xff"]', b"[" + b"9" * 5000 + b"]", b"[1e999999999999999999999]"):
        with pytest.raises(BadRequest):
            parse_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), "\ud800"])
def test_what_json_cannot_hold_is_not_written(value: object) -> None:
    with pytest.raises(ValueError, match=r"NaN|surrogates"):
        format_json([value])


def test_attributes_come_in_the_order_of_their_tags() -> None:
    dataset = {"00100020": {"vr": "LO"}, "0009abcd": {"vr": "UN"}, "00080005": {"vr": "CS", "Value": ["A"]}}
    assert [one.tag for one in elements_of(dataset)] == [0x00080005, 0x0009ABCD, 0x00100020]


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ({"PatientID": {"vr": "LO"}}, "PatientID"),
        ({"0010002": {"vr": "LO"}}, "0010002"),
        ({"00100020": "x"}, r"\(0010,0020\) is no object"),
        ({"00100020": {}}, r"\(0010,0020\) has no value representation"),
        ({"00100020": {"vr": "XX"}}, "XX"),
        ({"00100020": {"vr": ["LO"]}}, "LO"),
        ({"00100020": {"vr": "LO", "Value": "x"}}, r"Value of \(0010,0020\) is no array"),
        ({"00100020": {"vr": "LO", "Value": ["x"], "InlineBinary": "QQ=="}}, "more than one of"),
        ({"00100020": {"vr": "LO", "BulkDataURI": 5}}, r"BulkDataURI of \(0010,0020\) is no text"),
        ({"00081140": {"vr": "SQ", "BulkDataURI": "x"}}, r"\(0008,1140\) is a sequence"),
        ({"0010abcd": {"vr": "LO"}, "0010ABCD": {"vr": "LO"}}, r"\(0010,ABCD\) stands twice"),
    ],
)
def test_what_is_no_attribute_object_is_an_error_that_names_the_tag(
    dataset: dict[str, object], says: str
) -> None:
    with pytest.raises(BrokenDicom, match=says):
        elements_of(dataset)


def test_what_only_costs_memory_is_refused_early() -> None:
    with pytest.raises(BadRequest, match="deeper than 200000"):
        parse_json(b"[" * 3_000_000)
    assert parse_json(b"[" * 150_000 + b"]" * 150_000) is not None


def test_a_name_that_stands_twice_among_many_is_found_at_once() -> None:
    """Looking for each name among all others would take a quarter of an hour."""
    text = b"{" + b",".join(b'"%d":1' % number for number in range(200_000)) + b',"199999":2}'
    with pytest.raises(BadRequest, match="'199999' stands twice"):
        parse_json(text)
