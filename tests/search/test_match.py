"""The matcher, rule by rule."""

from typing import Any

import pytest

from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.search.match import matches


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def step(scheduled: str, requested: str) -> dict[str, Any]:
    return {"00400009": element("SH", scheduled), "00401001": element("SH", requested)}


ENTRY = {
    "00080020": element("DA", "20200102"),
    "00080030": element("TM", "0900"),
    "00080050": element("SH", "A.1(b"),
    "00080061": element("CS", "CT", "PT"),
    "00080090": element("PN"),
    "0008103E": element("LO", None, "Second"),
    "00100010": element("PN", {"Alphabetic": "Müller^Anna"}),
    "00100020": element("LO", "P 1 "),
    "00101010": element("AS", "042Y"),
    "00104000": element("LT", "a\\b"),
    "0020000D": element("UI", "1.2.3"),
    "00200011": element("IS", 7),
    "00101030": element("DS", 70.5),
    "00189074": element("DT", "20200102090000+0100"),
    "00400275": element("SQ", step("S1", "R1"), step("S2", "R2"), {}),
    "00280010": element("US", 512),
    "00280009": element("AT", "00181063"),
    "00290010": element("LO", "Other"),
    "00290011": element("LO", "Acme "),
    "00291102": element("LO", "private"),
    "00291002": element("LO", "theirs"),
}


def matched(*pairs: tuple[str, str], entry: dict[str, Any] | None = None) -> bool:
    query = parse_query(Resource(View.INSTANCES), pairs)
    assert query.warnings == ()
    return matches(query, ENTRY if entry is None else entry)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("PatientID", "P 1", True),
        ("PatientID", "P 1  ", True),
        ("PatientID", "p 1", False),
        ("PatientID", "P", False),
        ("PatientID", "P*", True),
        ("PatientID", "*1", True),
        ("PatientID", "P?1", True),
        ("AccessionNumber", "A.1(b", True),
        ("AccessionNumber", "A?1(*", True),
        ("AccessionNumber", "Ax1(b", False),
        ("AccessionNumber", "[A].*", False),
        ("AccessionNumber", "' OR 1=1 --", False),
        ("AccessionNumber", "A" * 10_000, False),
        ("AccessionNumber", "*A" * 5_000, False),
        ("ModalitiesInStudy", "MR,CT", True),
        ("ModalitiesInStudy", "MR,P*", True),
        ("ModalitiesInStudy", "MR,SR", False),
        ("ModalitiesInStudy", "MR,", False),
        ("PatientAge", "041Y,042Y", True),
        ("PatientID", "P 1,P 2", False),
        ("PatientAge", "042Y", True),
        ("PatientAge", "04?Y", False),
        ("PatientComments", "a\\b", True),
        ("SeriesNumber", "7", True),
        ("SeriesNumber", "007", True),
        ("SeriesNumber", "8", False),
        ("PatientWeight", "70.50", True),
        ("PatientWeight", "7.05e1", True),
        ("Rows", "512", True),
        ("StudyInstanceUID", "1.2.3", True),
        ("StudyInstanceUID", "1.2.4,1.2.3", True),
        ("StudyInstanceUID", "1.2", False),
        ("SeriesDescription", "Second", True),
        ("ModalitiesInStudy", "PT", True),
        ("ModalitiesInStudy", "C?", True),
        ("ModalitiesInStudy", "MR", False),
        ("ModalitiesInStudy", "CT\\PT", False),
        ("FrameIncrementPointer", "00181063", True),
        ("PatientName", "muller*", True),
    ],
)
def test_single_values_and_wildcards(key: str, value: str, expected: bool) -> None:
    assert matched((key, value)) is expected


@pytest.mark.parametrize(
    "key", ["ReferringPhysicianName", "StudyDescription", "Modality", "PatientBirthDate"]
)
def test_without_a_value_only_universal_keys_match(key: str) -> None:
    for value in ("", "*"):
        assert matched((key, value))
    assert not matched((key, "1999" if key.endswith("Date") else "?*"))
    assert matched((key, '""'), ("emptyvaluematching", "true"))


def test_two_quotes_match_no_value_alone() -> None:
    assert not matched(("PatientID", '""'), ("emptyvaluematching", "true"))
    assert matched(("StudyDescription", '""'), entry={"00081030": element("LO", '""')})


@pytest.mark.parametrize(
    ("value", "expected"),
    [("CT\\PT", True), ("PT,CT", True), ("CT\\MR", False), ("CT\\CT", True), ("CT", True)],
)
def test_several_values_have_all_to_be_there(value: str, expected: bool) -> None:
    assert matched(("ModalitiesInStudy", value), ("multiplevaluematching", "true")) is expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("StudyDate", "20200102", True),
        ("StudyDate", "202001", True),
        ("StudyDate", "2020", True),
        ("StudyDate", "20200101-20200102", True),
        ("StudyDate", "20200102-", True),
        ("StudyDate", "-20200102", True),
        ("StudyDate", "2019-2020", True),
        ("StudyDate", "-20200101", False),
        ("StudyDate", "20200103-20200101", False),
        ("StudyTime", "09", True),
        ("StudyTime", "0900", True),
        ("StudyTime", "090000.000000", True),
        ("StudyTime", "0901", False),
        ("StudyTime", "08-09", True),
        ("StudyTime", "-0859", False),
        ("StudyTime", "22-10", False),
        ("FrameAcquisitionDateTime", "2020010209", True),
        ("FrameAcquisitionDateTime", "2020010208+0000", True),
        ("FrameAcquisitionDateTime", "2020010209+0000", False),
        ("FrameAcquisitionDateTime", "20200102080000+0000-", True),
    ],
)
def test_dates_and_times(key: str, value: str, expected: bool) -> None:
    assert matched((key, value)) is expected


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20200101-20200103", "100000-180000", True),
        ("20200102-20200103", "100000-180000", False),
        ("20200101-20200102", "100000-0859", False),
        ("20200101-20200102", "2200-0900", True),
        ("20200101-", "10-", True),
        ("-20200102", "-09", True),
        ("-20200102", "10-", True),
        ("-20200102", "-08", False),
        ("20200102", "10-18", False),
        ("20200101-20200103", "10", False),
    ],
)
def test_a_range_of_dates_and_times_is_one_interval(date: str, time: str, expected: bool) -> None:
    assert matched(("StudyDate", date), ("StudyTime", time)) is expected
    assert not matched(("StudyDate", date), ("StudyTime", time), entry={"00080020": ENTRY["00080020"]})


@pytest.mark.parametrize(
    ("zone", "keys", "expected"),
    [
        ("+0000", {"StudyDate": "20200101"}, True),
        ("+0000", {"StudyDate": "20200102"}, False),
        ("+0000", {"StudyTime": "23"}, True),
        ("+0000", {"StudyDate": "20200101-20200101", "StudyTime": "2330-2331"}, True),
        ("+0100", {"StudyDate": "20200102", "StudyTime": "0030"}, True),
        ("-0100", {"StudyDate": "20200101", "StudyTime": "2230"}, True),
        (" 0000", {"StudyTime": "00"}, False),
    ],
)
def test_the_zone_of_the_search_moves_dates_and_times(
    zone: str, keys: dict[str, str], expected: bool
) -> None:
    entry = {
        "00080020": element("DA", "20200102"),
        "00080030": element("TM", "0030"),
        "00080201": element("SH", "+0100"),
    }
    assert matched(("TimezoneOffsetFromUTC", zone), *keys.items(), entry=entry) is expected
    del entry["00080201"]
    in_its_own = {"StudyDate": "20200102", "StudyTime": "0030"}
    assert matched(("TimezoneOffsetFromUTC", zone), *in_its_own.items(), entry=entry)


def test_a_date_without_a_time_is_not_moved() -> None:
    entry = {"00080020": element("DA", "20200102"), "00080201": element("SH", "+0100")}
    assert matched(("00080201", "-1200"), ("StudyDate", "20200102"), entry=entry)


@pytest.mark.parametrize(
    ("scheduled", "requested", "expected"),
    [("S2", "R2", True), ("S1", "R2", False), ("S*", "R1", True), ("S3", "", False), ("", "R2", True)],
)
def test_one_and_the_same_item_has_to_match(scheduled: str, requested: str, expected: bool) -> None:
    pairs = ("00400275.00400009", scheduled), ("RequestAttributesSequence.RequestedProcedureID", requested)
    assert matched(*pairs) is expected


def test_both_ends_of_an_interval_belong_to_it() -> None:
    for time in ("080000", "085959.999999"):
        entry = {"00080020": element("DA", "20200102"), "00080030": element("TM", time)}
        assert matched(("StudyDate", "20200102-20200102"), ("StudyTime", "08-08"), entry=entry)
        assert not matched(("StudyDate", "20200102-20200102"), ("StudyTime", "07-07"), entry=entry)


def test_an_empty_item_has_no_values() -> None:
    pairs = ("00400275.00400009", '""'), ("emptyvaluematching", "true")
    assert matched(*pairs)
    assert matched(*pairs, entry={})
    assert not matched(*pairs, entry={"00400275": element("SQ", step("S1", "R1"))})
    assert not matched(("RequestAttributesSequence", '""'), ("emptyvaluematching", "true"))


def test_a_private_attribute_is_found_in_the_block_of_its_creator() -> None:
    assert matched(("00290010", "Acme"), ("00291002", "private"))
    assert not matched(("00290010", "Acme"), ("00291002", "theirs"))
    assert matched(("00290010", "Other"), ("00291002", "th*"))
    assert not matched(("00290010", "Nobody"), ("00291002", "?*"))


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"vr": "LO"},
        {"Value": None},
        {"Value": "x"},
        {"Value": [None, {}, "", " "]},
        {"Value": [[1]]},
        None,
        5,
    ],
)
def test_damaged_elements_match_nothing(strange: Any) -> None:
    for key, value in (
        ("PatientID", "x"),
        ("StudyDate", "2020"),
        ("PatientName", "x*"),
        ("SeriesNumber", "5"),
    ):
        tag = parse_query(Resource(View.INSTANCES), [(key, value)]).keys[0][0][0].tag
        assert not matched((key, value), entry={tag: strange})
