import pytest

from staticwado.dicom.jsonvalues import (
    binary,
    first_integer,
    first_number,
    item,
    number,
    numbers,
    text,
    values,
)
from tests.dicom.images import Dataset, element, inline, no_bulkdata

TAG = "00281050"


@pytest.mark.parametrize("broken", [None, 5, "text", [], {"vr": "DS"}, {"vr": "DS", "Value": None}])
def test_an_element_that_is_none_has_no_values(broken: object) -> None:
    dataset: Dataset = {TAG: broken}
    assert list(values(dataset, TAG)) == []
    assert first_number(dataset, TAG) is None
    assert first_integer(dataset, TAG) is None
    assert numbers(dataset, TAG) == []
    assert text(dataset, TAG) == ""
    assert item(dataset, TAG) == {}
    assert binary(dataset, TAG, no_bulkdata) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (40, 40.0),
        (" 40.5 ", 40.5),
        ("-1e3", -1000.0),
        ("abc", None),
        (None, None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_numbers_come_as_numbers_or_as_text(value: object, expected: float | None) -> None:
    assert number(value) == expected
    assert first_number({TAG: element("DS", value)}, TAG) == expected


def test_an_integer_too_large_for_floating_point_is_no_number() -> None:
    assert number(10**400) is None


def test_an_integer_has_no_fraction() -> None:
    assert first_integer({TAG: element("IS", "12")}, TAG) == 12
    assert first_integer({TAG: element("IS", 12.0)}, TAG) == 12
    assert first_integer({TAG: element("IS", 12.5)}, TAG) is None


def test_one_bad_number_among_others_spoils_them_all() -> None:
    assert numbers({TAG: element("DS", 1, "2")}, TAG) == [1.0, 2.0]
    assert numbers({TAG: element("DS", 1, "x")}, TAG) == []


def test_items_are_counted_from_one_and_a_strange_one_is_empty() -> None:
    dataset = {TAG: element("SQ", {"a": 1}, None, {"b": 2})}
    assert item(dataset, TAG) == {"a": 1}
    assert item(dataset, TAG, 2) == {}
    assert item(dataset, TAG, 3) == {"b": 2}
    assert item(dataset, TAG, 4) == item(dataset, TAG, 0) == item(dataset, TAG, -1) == {}


def test_binary_values_are_inline_or_behind_their_uri() -> None:
    assert binary({TAG: inline(b"\1\2\3")}, TAG, no_bulkdata) == b"\1\2\3"
    assert binary({TAG: {"vr": "OW", "BulkDataURI": "x/y"}}, TAG, lambda uri: uri.encode()) == b"x/y"
    assert binary({TAG: {"vr": "OW", "InlineBinary": "é"}}, TAG, no_bulkdata) is None
