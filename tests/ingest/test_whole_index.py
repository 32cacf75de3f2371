"""The index of all studies, and its shards by month."""

import hashlib
import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.catalog.rows import StudyRow
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.entries import sort_studies
from staticwado.ingest.whole_index import refresh_index, write_index
from tests.ingest.conftest import content, snapshot

DATES = ("20240131", "20240201", "20240229", "19991231", "2024.01.05", "", "202401XX", "20241301", None)


@pytest.fixture
def archive(root: Path) -> Archive:
    made = Archive(str(root), create=True)
    made.create_marker()
    return made


def entries(count: int = 30) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        date = DATES[number % len(DATES)]
        found.append(
            {
                "00080020": {"vr": "DA", **({} if date is None else {"Value": [date]})},
                "00080030": {"vr": "TM", "Value": [f"{number % 24:02d}0000"]},
                "0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]},
            }
        )
    return found


def write(archive: Archive, given: list[dict[str, Any]], shards_from: int = 1) -> None:
    texts = [orjson.dumps(entry) for entry in sort_studies(given)]
    write_index(archive, lambda: iter(texts), shards_from=shards_from)


def test_the_months_hold_the_index_in_its_order_and_the_manifest_tells_their_bytes(archive: Archive) -> None:
    write(archive, entries())
    manifest = archive.read_json(Resource(View.MONTHS))
    names = [month["name"] for month in manifest["months"]]
    assert names == ["2024-02", "2024-01", "1999-12", "undated"]
    assert manifest["total"] == 30
    held = []
    for month in manifest["months"]:
        resource = Resource(View.MONTHS, rendition=month["name"])
        stored = archive.store.read(layout.stored_as(resource).key)
        assert (len(stored), hashlib.sha256(stored).hexdigest()) == (month["bytes"], month["sha256"])
        rows = archive.read_json(resource)
        assert len(rows) == month["studies"]
        assert sort_studies(rows) == rows
        held += rows
    whole = archive.read_json(Resource(View.STUDIES))
    assert sort_studies(held) == whole == sort_studies(entries())


def test_only_months_that_changed_are_written_and_others_go(archive: Archive) -> None:
    write(archive, entries())
    before = snapshot(Path(archive.root))
    given = [entry for entry in entries() if entry["00080020"].get("Value") != ["19991231"]]
    given[0]["00100020"] = {"vr": "LO", "Value": ["other"]}
    write(archive, given)
    after = snapshot(Path(archive.root))
    assert set(before) - set(after) == {"studies/months/1999-12.json.gz"}
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {
        "studies/index.json.gz",
        "studies/months/index.json.gz",
        "studies/months/2024-01.json.gz",
    }
    write(archive, given[:2], shards_from=3)
    assert "studies/months/index.json.gz" not in snapshot(Path(archive.root))
    assert not archive.store.names(layout.MONTHS)


def test_the_bytes_are_the_same_whatever_the_order_and_from_a_catalog(
    archive: Archive, tmp_path: Path
) -> None:
    given = entries(1200)
    write(archive, given, shards_from=1000)
    random.Random(1).shuffle(given)
    other = Archive(str(tmp_path / "other"), create=True)
    other.create_marker()
    catalog = Catalog(str(tmp_path / "index.sqlite"))
    catalog.replace(StudyRow(entry["0020000D"]["Value"][0], entry, (), None) for entry in given)
    refresh_index(other, [], catalog)
    assert content(Path(other.root)) == content(Path(archive.root))


@pytest.mark.parametrize("name", ["2024-01", "1999-12", "undated"])
def test_months_are_keys_of_the_layout(name: str) -> None:
    resource = Resource(View.MONTHS, rendition=name)
    assert layout.resource_of(layout.stored_as(resource).key) == resource
    assert layout.resource_of("studies/months/index.json.gz") == Resource(View.MONTHS)


@pytest.mark.parametrize("name", ["2024-13", "2024-1", "all", "", "2024-01\n"])
def test_what_is_no_month_is_no_key(name: str) -> None:
    assert layout.resource_of(f"studies/months/{name}.json.gz") is None
    with pytest.raises(ValueError, match="not stored"):
        layout.stored_as(Resource(View.MONTHS, rendition=name))
