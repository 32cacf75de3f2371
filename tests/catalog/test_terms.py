"""Numbers of studies, terms and packed entries: what the catalog's quick answers stand on."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.catalog import conditions
from staticwado.catalog.columns import first_of_second, last_of_second, second_of, study_columns
from staticwado.catalog.database import Catalog
from staticwado.catalog.names import is_name
from staticwado.catalog.packing import mentions, pack, unpack
from staticwado.catalog.rows import FreshInstance, StudyRow
from staticwado.catalog.schema import Unusable
from staticwado.catalog.selection import FEW, Studies, order_of
from tests.catalog.test_database import rows_of_all_tables, series, study


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(str(tmp_path / "index.sqlite"))
    made.complete()
    yield made
    made.close()


def timed(uid: str, date: str, time: str) -> StudyRow:
    row = study(uid, date=date)
    row.entry["00080030"] = {"vr": "TM", "Value": [time]} if time else {"vr": "TM"}
    return row


@given(st.binary(max_size=3000), st.text(max_size=64), st.text(max_size=64))
def test_what_is_packed_comes_back(text: bytes, study: str, series: str) -> None:
    assert unpack(pack(text, study, series), study, series) == text


def test_a_packed_entry_is_small_and_can_be_searched() -> None:
    text = orjson.dumps(study("1.2.840.113619.2.1.1.322987881.621.736170080.681").entry)
    packed = pack(text, "1.2.840.113619.2.1.1.322987881.621.736170080.681")
    assert len(packed) < len(text) / 3
    uid = "1.2.840.113619.2.1.1.322987881.621.736170080.681"
    assert mentions(packed, uid, b'"00100010"')
    assert not mentions(packed, uid, b'"00101010"')


@pytest.mark.parametrize("place", [0, 7, -1, None])
def test_a_damaged_entry_is_a_damaged_catalog(catalog: Catalog, place: int | None) -> None:
    catalog.replace([study("1.2")])
    with sqlite3.connect(catalog.path) as plain:
        packed = bytearray(plain.execute("SELECT entry FROM study_entry").fetchone()[0])
        if place is None:
            packed = packed[: len(packed) // 2]
        else:
            packed[place] ^= 0x15
        plain.execute("UPDATE study_entry SET entry = ?", (bytes(packed),))
    with pytest.raises(Unusable):
        catalog.study("1.2")
    with pytest.raises(Unusable):
        list(catalog.entries())


MOMENTS = [
    ("", ""),
    ("19991231", "235959.999999"),
    ("20200101", ""),
    ("20200101", "00"),
    ("20200101", "0000"),
    ("20200101", "000000.5"),
    ("20200101", "10"),
    ("20200101", "1000"),
    ("20200101", "100000.25"),
    ("20200101", "235960"),
    ("20200102", ""),
    ("99991231", "23"),
]


def test_numbers_of_studies_have_the_order_of_the_index(catalog: Catalog) -> None:
    rows = [timed(f"1.{place}", *moment) for place, moment in enumerate([*MOMENTS, *reversed(MOMENTS)])]
    catalog.replace(rows)
    with catalog.reading() as database:
        places = Studies(database, [conditions.is_one_of([row.uid for row in rows])]).page(24, 0, 24)
    assert places == sorted(places, key=order_of)
    seconds = [second_of(place.number) for place in places]
    assert seconds == sorted(seconds, reverse=True)
    assert min(place.number for place in places) > 0


def test_pages_of_studies_of_one_second_have_each_study_once(catalog: Catalog) -> None:
    catalog.replace([timed(f"1.{number % 7}.{number}", "20200101", "10") for number in range(50)])
    with catalog.reading() as database:
        studies = Studies(database, [conditions.equals("patient", "P")])
        pages = [place.uid for start in range(0, 50, 8) for place in studies.page(50, start, start + 8)]
    assert pages == sorted(pages)
    assert len(set(pages)) == 50


def test_a_page_has_the_first_of_a_second_that_goes_on_far_behind_it(catalog: Catalog) -> None:
    uids = [f"1.{number % 7}.{number}" for number in range(150)]
    catalog.replace([timed(uid, "20200101", "10") for uid in uids])
    catalog.replace([timed("1.9", "20200102", "10")])
    with catalog.reading() as database:
        studies = Studies(database, [conditions.equals("patient", "P")])
        pages = [place.uid for start in range(0, 151, 8) for place in studies.page(151, start, start + 8)]
    assert pages == ["1.9", *sorted(uids)]


def test_more_terms_than_are_put_into_a_list_find_the_same(catalog: Catalog) -> None:
    rows = [study(f"1.{number}", f"P{number}", name=f"N{number % 3}") for number in range(FEW + 10)]
    catalog.replace(rows)
    some = [conditions.is_like("patient", "*9*", trigrams=True), is_name("name", "n1", trigrams=True)]
    with catalog.reading() as database:
        broad = Studies(database, [conditions.is_like("patient", "P*", trigrams=True)])
        both = Studies(database, [conditions.is_like("patient", "P*", trigrams=True), *some])
        counts = broad.count(), both.count()
        found = {place.uid for place in both.page(counts[1], 0, FEW)}
    expected = {f"1.{number}" for number in range(FEW + 10) if number % 3 == 1 and "9" in str(number)}
    assert counts == (FEW + 10, len(expected))
    assert found == expected


def test_numbers_of_neighbouring_seconds_do_not_overlap() -> None:
    first = first_of_second(737_425, 1_000_000)
    assert last_of_second(first) + 1 == first_of_second(737_425, 2_000_000)
    assert first_of_second(3_652_059, 86_399_999_999) < 1 << 63


@pytest.mark.parametrize("time", ["10:00", "10:00:00", "x", "24", "9"])
def test_a_time_without_an_order_is_irregular(time: str) -> None:
    assert not study_columns("1.2", timed("1.2", "20200101", time).entry).is_regular


def test_a_study_whose_day_changes_keeps_what_is_below_it(catalog: Catalog) -> None:
    row = study("1.2", "P", series("1.2.1", "1"), series("1.2.2", "2"))
    catalog.replace([row])
    entry = {"00080018": {"vr": "UI", "Value": ["8"]}}
    moved = study("1.2", "P", series("1.2.2"), date="20210505")
    catalog.freshen(moved, [FreshInstance("1.2.2", "8", entry)], ("g", 1))
    later = study("1.2", "P", series("1.2.2"), date="20220505")
    catalog.freshen(later, [], ("g", 2))
    found = catalog.study("1.2", instances=True)
    assert found is not None
    assert [(one.uid, one.instances) for one in found.series] == [("1.2.1", ("1",)), ("1.2.2", ("2", "8"))]
    assert catalog.fresh("1.2") == [FreshInstance("1.2.2", "8", entry)]
    assert catalog.find(["1"]) == {"1": ("1.2", "1.2.1", "1")}


def test_a_study_becomes_irregular_and_regular_again(catalog: Catalog) -> None:
    catalog.replace([study("1.2"), study("1.3")])
    before = rows_of_all_tables(catalog.path)
    odd = study("1.2", date="2020")
    catalog.replace([odd])
    with catalog.reading() as database:
        assert Studies(database, [conditions.equals("patient", "P")]).count() == 1
    catalog.replace([study("1.2")])
    after = rows_of_all_tables(catalog.path)
    for name in ("term", "profile", "tally", "word", "lexicon", "misspelling"):
        assert after[name] == before[name], name


def test_a_study_given_twice_at_once_is_counted_once(catalog: Catalog) -> None:
    catalog.replace([study("1.2", "A"), study("1.2", "B", series("1.2.1", "1")), study("1.2", "C")])
    with catalog.reading() as database:
        counts = [Studies(database, [conditions.equals("patient", one)]).count() for one in "ABC"]
        assert Studies(database, [is_name("name", "doe^john", trigrams=True)]).count() == 1
    assert counts == [0, 0, 1]
    with sqlite3.connect(catalog.path) as plain:
        assert plain.execute("SELECT value, n FROM term WHERE kind = 1").fetchall() == [("C", 1)]
