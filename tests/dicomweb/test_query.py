"""Query parameters as a search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb.criteria import Attribute, DateTime, Empty, Every, Item, OneOf, Some, Tag, Text
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.query import Query, parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BadRequest

STUDIES, SERIES, INSTANCES = Resource(View.STUDIES), Resource(View.SERIES), Resource(View.INSTANCES)


def only(query: Query) -> object:
    [(_, [found])] = query.filters.items()
    return found


@pytest.mark.parametrize("name", ["PatientID", "00100020"])
def test_a_key_is_a_keyword_or_a_tag(name: str) -> None:
    found = only(parse_query(STUDIES, [(name, "P*")]))
    assert found == Attribute(Tag("00100020"), "LO", Text("P*", True))


@pytest.mark.parametrize(
    "name",
    [
        "RequestAttributesSequence.ScheduledProcedureStepID",
        "00400275.00400009",
        "00400275.ScheduledProcedureStepID",
        "RequestAttributesSequence.00400009",
    ],
)
def test_a_path_leads_into_a_sequence(name: str) -> None:
    found = only(parse_query(SERIES, [(name, "X")]))
    assert found == Item(Tag("00400275"), (Attribute(Tag("00400009"), "SH", Text("X", True)),))


def test_keys_on_one_sequence_are_on_one_item() -> None:
    pairs = [("00400275.00400009", "X"), ("00400275.00401001", "Y")]
    found = only(parse_query(SERIES, pairs))
    assert isinstance(found, Item)
    assert len(found.filters) == 2


@pytest.mark.parametrize("value", ["", "*", "***"])
def test_a_universal_key_asks_nothing_and_is_returned(value: str) -> None:
    query = parse_query(STUDIES, [("StudyDate", value), ("PatientComments", value)])
    assert query.filters == {}
    entry = query.selection().of({})
    assert entry["00104000"] == {"vr": "LT"}


def test_a_range_of_dates_and_one_of_times_are_one_interval() -> None:
    pairs = [("StudyTime", "10-18"), ("StudyDate", "20200101-20200103")]
    assert isinstance(only(parse_query(STUDIES, pairs)), DateTime)
    for pairs in (
        [("StudyTime", "10"), ("StudyDate", "2020-2021")],
        [("StudyTime", "10-"), ("StudyDate", "2020")],
    ):
        assert len(parse_query(STUDIES, pairs).filters[Level.STUDY]) == 2


@pytest.mark.parametrize(
    ("resource", "name", "kept"),
    [
        (STUDIES, "Modality", False),
        (STUDIES, "SOPInstanceUID", False),
        (SERIES, "Modality", True),
        (SERIES, "PatientID", True),
        (SERIES, "SOPClassUID", False),
        (Resource(View.SERIES, "1.2"), "PatientID", False),
        (Resource(View.INSTANCES, "1.2"), "Modality", True),
        (Resource(View.INSTANCES, "1.2", "1.2.3"), "Modality", False),
        (INSTANCES, "PatientID", True),
        (INSTANCES, "ContrastBolusAgent", True),
        (STUDIES, "ContrastBolusAgent", False),
        (INSTANCES, "PixelData", False),
        (STUDIES, "RetrieveURL", False),
        (STUDIES, "PatientNmae", False),
        (STUDIES, "00091001", False),
        (STUDIES, "PatientName.PatientID", False),
    ],
)
def test_a_key_of_another_level_or_unknown_is_ignored_with_a_warning(
    resource: Resource, name: str, kept: bool
) -> None:
    query = parse_query(resource, [(name, "1.2")])
    assert (query.filters != {}) == kept
    assert [name in warning for warning in query.warnings] == ([] if kept else [True])


def test_what_does_not_look_like_an_attribute_is_ignored_in_silence() -> None:
    query = parse_query(
        STUDIES,
        [
            ("foo", "1"),
            ("foo", "2"),
            ("0020000G", "5"),
            ("PatientSex.x", ""),
            ("patientid", "3"),
            ("A" * 5000, "4"),
            ("a.b", ""),
        ],
    )
    assert query == Query(Level.STUDY)


def test_a_warning_holds_nothing_that_breaks_a_header() -> None:
    query = parse_query(STUDIES, [("includefield", 'é"\r\nSet-Cookie: x,' + "y" * 1000)])
    assert query.warnings
    assert all(text.isascii() and text.isprintable() and '"' not in text for text in query.warnings)
    many = parse_query(STUDIES, [("includefield", ",".join(f"Wrong{number}" for number in range(100)))])
    assert len(many.warnings) == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "-1"), ("offset", "1e3"), ("limit", ""), ("fuzzymatching", "maybe"),
        ("fuzzymatching", ""), ("emptyvaluematching", "1"), ("multiplevaluematching", "yes"),
        ("StudyDate", "-"), ("StudyDate", "2020-13"), ("StudyDate", "2020*"), ("StudyTime", "25"),
        ("StudyInstanceUID", "1.2*"), ("StudyInstanceUID", "1,,2"),
        ("NumberOfStudyRelatedSeries", "1*"), ("NumberOfStudyRelatedSeries", "NaN"), ("StudyDate", '""'),
        ("NumberOfStudyRelatedSeries", "1" * 100), ("NumberOfStudyRelatedSeries", "1e99999"),
        ("TimezoneOffsetFromUTC", "Z"), ("00080201", "+9900"), ("ReferencedStudySequence", "x"),
    ],
)  # fmt: skip
def test_an_impossible_value_names_its_parameter(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        parse_query(STUDIES, [(name, value)])


@pytest.mark.parametrize("other", ["PatientID", "00100020"])
def test_a_key_is_given_once(other: str) -> None:
    with pytest.raises(BadRequest, match=other):
        parse_query(STUDIES, [("PatientID", "1"), (other, "1")])
    with pytest.raises(BadRequest, match="limit"):
        parse_query(STUDIES, [("limit", "1"), ("limit", "1")])


def test_switches_are_read_in_either_case() -> None:
    assert parse_query(STUDIES, [("fuzzymatching", "TRUE")]).fuzzy
    assert not parse_query(STUDIES, [("fuzzymatching", "false")]).fuzzy


def test_two_quotes_ask_for_no_value_only_where_that_is_switched_on() -> None:
    pairs = [("PatientID", '""')]
    assert only(parse_query(STUDIES, pairs)) == Attribute(Tag("00100020"), "LO", Text('""', True))
    found = only(parse_query(STUDIES, [*pairs, ("emptyvaluematching", "true")]))
    assert found == Attribute(Tag("00100020"), "LO", Empty())


def test_several_values_are_all_wanted_only_where_that_is_switched_on() -> None:
    both = (Text("CT", True), Text("PT", True))
    for value, test in (("CT\\PT", Text("CT\\PT", True)), ("CT,PT", Some(both))):
        pairs = [("ModalitiesInStudy", value)]
        assert only(parse_query(STUDIES, pairs)) == Attribute(Tag("00080061"), "CS", test)
        found = only(parse_query(STUDIES, [*pairs, ("multiplevaluematching", "true")]))
        assert found == Attribute(Tag("00080061"), "CS", Every((Text("CT", False), Text("PT", False))))
    for value in ("CT\\", "C*\\PT"):
        with pytest.raises(BadRequest, match="ModalitiesInStudy"):
            parse_query(STUDIES, [("ModalitiesInStudy", value), ("multiplevaluematching", "true")])


def test_a_private_key_has_the_creator_that_stands_beside_it() -> None:
    query = parse_query(INSTANCES, [("00230010", "Acme"), ("00231002", "x"), ("includefield", "00231003")])
    found = only(query)
    assert isinstance(found, Attribute)
    assert found.tag == Tag("00230002", "Acme")
    assert query.include == ((Tag("00230003", "Acme"),),)
    assert query.is_deep
    assert parse_query(INSTANCES, [("00230010", ""), ("00231002", "x")]).filters == {}


@pytest.mark.parametrize(
    "value",
    [
        "PatientComments,00321060",
        "PatientComments,00400275.00400009,,00321060",
        "00104000,RequestedProcedureDescription",
    ],
)
def test_fields_are_a_list(value: str) -> None:
    include = parse_query(STUDIES, [("includefield", value), ("includefield", "00104000")]).include
    tags = [path[0].tag for path in include]
    assert tags[0] == "00104000"
    assert "00321060" not in tags or tags.count("00321060") == 1
    assert len(tags) == len(set(include))


def test_a_uid_of_the_path_can_be_a_key_too() -> None:
    query = parse_query(Resource(View.INSTANCES, "1.2", "1.3"), [("StudyInstanceUID", "1.4")])
    assert query.filters[Level.INSTANCE] == (Attribute(Tag("0020000D"), "UI", OneOf(frozenset({"1.4"}))),)


NAMES = st.sampled_from(
    "PatientName 00100010 StudyDate StudyTime limit offset includefield fuzzymatching 00400275.00400009 "
    "00230010 00231001 TimezoneOffsetFromUTC SeriesNumber 00280030 multiplevaluematching".split()
)


@given(
    st.sampled_from([STUDIES, SERIES, INSTANCES]),
    st.lists(
        st.tuples(
            NAMES | st.text(max_size=12), st.text(max_size=12) | st.sampled_from(["true", "1", "+0100"])
        )
    ),
)
def test_any_parameters_are_a_search_or_a_bad_request(
    resource: Resource, pairs: list[tuple[str, str]]
) -> None:
    try:
        query = parse_query(resource, pairs)
    except BadRequest:
        return
    assert query.offset >= 0
    assert "0020000D" in query.selection().of({})
