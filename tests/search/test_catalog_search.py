"""Searches by the catalog, by the matcher over index files and by brute force: the same, always."""

import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.catalog.rows import FreshInstance, StudyRow
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.dicomweb.scope import Scope
from staticwado.errors import BadRequest, TookTooLong
from staticwado.search.engine import Engine, Limits, Page
from tests.catalog.test_database import damage
from tests.search import oracle
from tests.search.archives import (
    INSTANCE_VRS,
    SERIES_VRS,
    STUDY_VRS,
    Keys,
    in_order,
    instances_of,
    keys_of,
    make_study,
)

EXAMPLES = int(os.environ.get("MATCHER_EXAMPLES", "200"))
STUDIES = int(os.environ.get("MATCHER_STUDIES", "2000"))
SMALL = 60
PATIENT = Limits(seconds=600.0)
"""No answer depends on how busy the machine is."""


class World:
    """The same studies three times: as index files, as a catalog and as plain lists."""

    def __init__(self, folder: Path, count: int, seed: int, *, below: bool) -> None:
        self.chance = random.Random(seed)
        self.archive = Archive(str(folder / "archive"), create=True)
        self.archive.create_marker()
        self.catalog = Catalog(str(folder / "index.sqlite"))
        self.rows = {row.uid: row for row in (make_study(self.chance, number) for number in range(count))}
        self.catalog.replace(self.rows.values())
        self.catalog.complete()
        self.below = below
        self.write(self.rows)
        self.by_files = Engine(self.archive, limits=PATIENT)
        self.by_catalog = Engine(self.archive, catalog=self.catalog, limits=PATIENT)

    def write(self, uids: Any) -> None:
        """The index files: of all studies, and of those below `uids`."""
        self.ordered = in_order(list(self.rows.values()))
        self._write(Resource(View.STUDIES), [row.entry for row in self.ordered])
        for uid in uids:
            row = self.rows[uid]
            self._write(Resource(View.INDEX, uid), [row.entry])
            if not self.below:
                continue
            self._write(Resource(View.SERIES, uid), [series.entry for series in row.series])
            for series in row.series:
                self._write(Resource(View.INSTANCES, uid, series.uid), instances_of(row, series))

    def _write(self, resource: Resource, entries: list[Any]) -> None:
        self.archive.write(resource, orjson.dumps(entries))

    def search(self, resource: Resource, pairs: list[tuple[str, str]]) -> tuple[Page, Page]:
        query = parse_query(resource, pairs)
        return self.by_catalog.search(query), self.by_files.search(query)

    def expected(self, level: Level, keys: Keys) -> list[str]:
        """The UIDs of what matches, by brute force."""
        found = []
        for row in self.ordered:
            if level is Level.STUDY:
                found += [row.uid] if oracle.is_match(row.entry, keys) else []
                continue
            for series in row.series:
                merged = {**row.entry, **series.entry}
                if level is Level.SERIES:
                    found += [series.uid] if oracle.is_match(merged, keys) else []
                    continue
                for entry in instances_of(row, series):
                    if oracle.is_match({**merged, **entry}, keys):
                        found.append(entry["00080018"]["Value"][0])
        return found


def uids(page: Page) -> list[str]:
    return [str(one.instance or one.series or one.study) for one in page.found]


def compare(world: World, resource: Resource, level: Level, vrs: dict[str, str]) -> None:
    """One search, made up by chance, three ways."""
    chance = world.chance
    empty, fuzzy = chance.random() < 0.3, chance.random() < 0.15
    keys = keys_of(chance, vrs, empty=empty)
    offset, limit = chance.choice([0, 0, 0, 3, 500]), chance.choice([None, 1, 5, 100])
    pairs = [(tag, key) for tag, (_, key) in keys.items()]
    pairs += [("emptyvaluematching", "true")] if empty else []
    pairs += [("fuzzymatching", "true")] if fuzzy else []
    pairs += [("offset", str(offset))] if offset else []
    pairs += [("limit", str(limit))] if limit is not None else []
    try:
        ours, plain = world.search(resource, pairs)
    except BadRequest as error:
        raise AssertionError(pairs) from error
    assert uids(ours) == uids(plain), pairs
    assert (ours, pairs) == (plain, pairs)
    if not fuzzy:
        expected = world.expected(level, keys)
        stop = None if limit is None else offset + limit
        assert uids(ours) == expected[offset:stop], pairs
        assert ours.remaining == max(0, len(expected) - offset - len(ours.found)), pairs


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("large"), STUDIES, 5, below=False)
    yield world
    world.catalog.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, SMALL, 7, below=True)
    yield world
    world.catalog.close()


@pytest.mark.timeout(300 + EXAMPLES)
def test_random_searches_for_studies_have_one_answer(large: World) -> None:
    large.chance.seed(int(os.environ.get("MATCHER_SEED", "11")))
    for _ in range(EXAMPLES):
        compare(large, Resource(View.STUDIES), Level.STUDY, STUDY_VRS)


def test_random_searches_below_studies_have_one_answer(small: World) -> None:
    for _ in range(EXAMPLES // 5):
        compare(small, Resource(View.SERIES), Level.SERIES, STUDY_VRS | SERIES_VRS)
        compare(small, Resource(View.INSTANCES), Level.INSTANCE, SERIES_VRS | INSTANCE_VRS)


def test_searches_stay_right_while_studies_change(small: World) -> None:
    for number in range(40):
        uid = small.chance.choice(sorted(small.rows))
        if small.chance.random() < 0.3:
            del small.rows[uid]
            small.catalog.remove([uid])
            small.write(())
        else:
            new = make_study(small.chance, number * 2)
            small.rows[new.uid] = new
            small.catalog.replace([new])
            small.write([new.uid])
        for _ in range(5):
            compare(small, Resource(View.STUDIES), Level.STUDY, STUDY_VRS)
        compare(small, Resource(View.SERIES), Level.SERIES, STUDY_VRS | SERIES_VRS)
    everything = parse_query(Resource(View.STUDIES), [])
    assert uids(small.by_catalog.search(everything)) == [row.uid for row in small.ordered]


def test_a_fresh_instance_is_found_at_every_level(small: World) -> None:
    row = next(row for row in small.ordered if row.series)
    series = row.series[0]
    entry = {**instances_of(row, series)[0], "00080018": {"vr": "UI", "Value": ["7.7"]}}
    entry["00200013"] = {"vr": "IS", "Value": [0]}
    merged = StudyRow(row.uid, {**row.entry, "00100020": {"vr": "LO", "Value": ["FRESH"]}}, (series,), None)
    small.catalog.freshen(merged, [FreshInstance(series.uid, "7.7", entry)], ("g", 10))
    for resource in (
        Resource(View.INSTANCES),
        Resource(View.INSTANCES, row.uid),
        Resource(View.INSTANCES, row.uid, series.uid),
    ):
        found = small.by_catalog.search(parse_query(resource, [("SOPInstanceUID", "7.7")]))
        assert uids(found) == ["7.7"]
    listed = small.by_catalog.search(parse_query(Resource(View.INSTANCES, row.uid, series.uid), []))
    assert uids(listed) == ["7.7", *series.instances]
    found = small.by_catalog.search(parse_query(Resource(View.STUDIES), [("PatientID", "FRESH")]))
    assert uids(found) == [row.uid]


@pytest.mark.parametrize(
    "key",
    ["a*[", "[a-z]*", "*%*", "x_y", '"', "*\"*", "*OR*", "*NEAR(*", "a" * 10_000, "*a" * 3000, "*\0*", "\0",
     "\ud800*", "*^*", "^", "'; DROP TABLE study; --", "\\", "*\\*", "   ", "* *", "\U0001d49c*",
     "\U0010ffff*"],
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["PatientName", "PatientID", "StudyDescription", "ModalitiesInStudy", "PatientSex"]
)
@pytest.mark.parametrize("fuzzy", ["true", "false"])
def test_an_odd_key_is_just_a_value(large: World, name: str, key: str, fuzzy: str) -> None:
    ours, plain = large.search(
        Resource(View.STUDIES), [(name, key), ("fuzzymatching", fuzzy), ("limit", "5")]
    )
    assert ours == plain


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ModalitiesInStudy", ",".join(f"M{number}" for number in range(400)) + ",CT"),
        ("PatientSex", "F," * 400 + "F"),
        ("PatientName", "a" + "^*" * 400),
        ("PatientName", "a " * 400),
        ("PatientID", "?" * 8000),
        ("StudyInstanceUID", ",".join(f"1.9.{number}" for number in range(1500))),
    ],
)
@pytest.mark.parametrize("switch", ["fuzzymatching", "multiplevaluematching", "emptyvaluematching"])
def test_a_long_key_is_no_damage(large: World, name: str, key: str, switch: str) -> None:
    ours, plain = large.search(Resource(View.STUDIES), [(name, key), (switch, "true"), ("limit", "5")])
    assert ours == plain
    assert not large.by_catalog.is_damaged


def test_answers_are_capped_and_say_what_is_left(large: World) -> None:
    engine = Engine(large.archive, catalog=large.catalog, limits=Limits(results=7))
    page = engine.search(parse_query(Resource(View.STUDIES), [("limit", "50")]))
    assert (len(page.found), page.remaining) == (7, STUDIES - 7)


@pytest.mark.parametrize("how", ["truncated", "garbage", "pages", "old version"])
def test_with_a_damaged_catalog_the_index_files_answer(small: World, how: str) -> None:
    query = parse_query(Resource(View.STUDIES), [("PatientSex", "F")])
    expected = small.by_files.search(query)
    with sqlite3.connect(small.catalog.path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    small.catalog.close()
    damage(small.catalog.path, how)
    assert small.by_catalog.search(query) == expected
    assert small.by_catalog.is_damaged


def test_with_an_incomplete_catalog_the_index_files_answer(small: World) -> None:
    query = parse_query(Resource(View.STUDIES), [])
    small.catalog.clear()
    assert small.by_catalog.search(query) == small.by_files.search(query)


def test_without_trigrams_the_answers_are_the_same(small: World) -> None:
    with sqlite3.connect(small.catalog.path) as database:
        database.execute("DROP TABLE trigram")
    small.catalog.close()
    for _ in range(50):
        compare(small, Resource(View.STUDIES), Level.STUDY, STUDY_VRS)


def test_a_scope_narrows_every_search(small: World) -> None:
    chance = small.chance
    for _ in range(60):
        named = frozenset(chance.sample(sorted(small.rows), 5))
        keys = keys_of(chance, STUDY_VRS, empty=False)
        groups = parse_query(Resource(View.STUDIES), [(tag, key) for tag, (_, key) in keys.items()])
        scope = Scope(named, (groups.filters[Level.STUDY],) if groups.filters else ())
        allowed = [
            row
            for row in small.ordered
            if row.uid in named or (groups.filters and oracle.is_match(row.entry, keys))
        ]
        for view in (View.STUDIES, View.SERIES):
            query = replace(parse_query(Resource(view), []), scope=scope)
            ours, plain = small.by_catalog.search(query), small.by_files.search(query)
            assert ours == plain
            if view is View.STUDIES:
                assert uids(ours) == [row.uid for row in allowed]
            else:
                assert uids(ours) == [series.uid for row in allowed for series in row.series]
        row = next(row for row in small.ordered if row.series)
        query = replace(parse_query(Resource(View.SERIES, row.uid), []), scope=scope)
        expected = [series.uid for series in row.series] if row in allowed else []
        assert uids(small.by_catalog.search(query)) == expected


def test_a_search_of_the_catalog_that_takes_too_long_is_stopped(large: World) -> None:
    engine = Engine(large.archive, catalog=large.catalog, limits=Limits(seconds=0.0))
    with pytest.raises(TookTooLong, match="narrow it"):
        engine.search(parse_query(Resource(View.STUDIES), [("NumberOfStudyRelatedSeries", "5")]))


def test_a_search_stops_when_its_client_has_gone(large: World) -> None:
    engine = Engine(large.archive, catalog=large.catalog)
    query = parse_query(Resource(View.STUDIES), [("NumberOfStudyRelatedSeries", "5")])
    with pytest.raises(TookTooLong):
        engine.search(query, lambda: True)
    assert engine.search(query, lambda: False).found
