"""The databases are derived: whatever becomes of them, no upload is lost or acknowledged wrongly."""

import json
import os
import random
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from staticwado import layout
from staticwado.catalog import schema
from staticwado.catalog.database import Catalog
from staticwado.catalog.ledger import Ledger
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable
from staticwado.ingest.restore import restore
from staticwado.ingest.settle import settle
from tests.durability import databases
from tests.durability.acting import Site, item
from tests.durability.databases import Failing, failing
from tests.durability.judging import judge
from tests.durability.killing import Base, heard, in_child
from tests.durability.workloads import Workload


def _story(site: Site) -> None:
    site.with_catalog = True
    site.take([item(1), item(2)])


def _empty(path: Path) -> None:
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _stirred(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:4000] = bytes(3900)
    path.write_bytes(data)


def _foreign_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))


def _other_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table other (one)")
        database.commit()


def _version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("name", [layout.CATALOG, layout.LEDGER])
@pytest.mark.parametrize(
    "damage",
    [_version, _empty, _garbage, _half, _stirred, _foreign_log, _other_tables],
    ids=lambda one: str(one.__name__),
)
def test_a_damaged_database_stops_no_upload(damage: Callable[[Path], None], name: str, place: Path) -> None:
    base = Base.make(Workload("stored", _story, lambda site: None), place)
    site = base.copy(place / "run")
    site.create([item(3)])
    path = site.root / name
    assert path.is_file()
    damage(path)
    site.with_catalog = True
    assert [one.ok for one in site.take([item(4), item(5, study=1)])] == [True, True]
    site.create([item(6)])
    site.delete([item(1)])
    assert judge(site.root, site.promises.owed) == []
    assert all(len(contents) == 1 for contents in site.promises.owed.values())


@pytest.mark.parametrize("name", [layout.CATALOG, layout.LEDGER])
def test_a_lost_database_is_no_loss(name: str, place: Path) -> None:
    base = Base.make(Workload("stored", _story, lambda site: None), place)
    site = base.copy(place / "run")
    site.create([item(3)])
    (site.root / name).unlink()
    assert judge(site.root, site.promises.owed) == []


STATEMENTS = 12
"""How many are broken in each run; `scripts/crash databases` breaks them all."""


def test_a_statement_that_fails_stops_no_upload_and_hides_nothing(place: Path) -> None:
    base = Base.make(databases.STORY, place)
    count = databases.statements(base, place / "run")
    chance = random.Random(5)
    for number in chance.sample(range(1, count + 1), STATEMENTS):
        error, lasting = chance.randrange(len(databases.ERRORS)), chance.random() < 0.5
        assert databases.break_at(base, place / "run", number, error, lasting=lasting).wrong == []


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_catalog_that_others_keep_locked_stops_no_upload(
    how: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.02)
    site = Base.make(databases.STORY, place).copy(place / "run")
    with closing(sqlite3.connect(site.root / layout.CATALOG, isolation_level=None)) as other:
        if how == "BEGIN EXCLUSIVE":
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute(how)
        databases.STORY.run(site)
        other.execute("COMMIT")
    databases.search(site)
    assert judge(site.root, site.promises.owed) == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_disk_without_room_for_the_catalog_stops_no_upload(place: Path) -> None:
    """No file may grow beyond 32 KiB, which only the databases do."""
    site = Base.make(databases.STORY, place).copy(place / "run")

    def work(writing: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 10, resource.RLIM_INFINITY))
        with closing(sqlite3.connect(site.root / layout.CATALOG)) as other, pytest.raises(sqlite3.Error):
            other.execute("CREATE TABLE big AS SELECT zeroblob(1000000)")
        databases.STORY.run(site)
        os.write(writing, json.dumps({one: sorted(may) for one, may in site.promises.owed.items()}).encode())

    child, reading = in_child(work)
    owed = heard(reading, {})
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    databases.search(site)
    assert judge(site.root, owed) == []


@pytest.mark.parametrize("error", range(len(databases.ERRORS)), ids=[one[0] for one in databases.ERRORS])
def test_what_the_catalog_could_not_be_told_is_found_when_it_can_be_asked_again(
    error: int, place: Path
) -> None:
    site = Base.make(databases.STORY, place).copy(place / "run")
    with failing(Failing(1, error, lasting=True)):
        site.create([item(7), item(8, study=2)])
        settle(site.archive)
    databases.search(site)
    entries = site.archive.read_json(Resource(View.STUDIES))
    assert {one["0020000D"]["Value"][0] for one in entries} == set(site.archive.studies())


def test_a_catalog_that_is_damaged_in_part_is_not_asked(place: Path) -> None:
    """Reading it goes well; writing finds a page that is damaged."""
    site = Base.make(databases.STORY, place).copy(place / "run")
    site.delete([item(1)])
    with failing(Failing(0)) as counter, closing(Catalog(site.archive.store.path(layout.CATALOG))) as one:
        one.is_complete()
    with failing(Failing(counter.count + 2, 5, lasting=True)) as fault:
        settle(site.archive)
    assert fault.broke
    databases.search(site)


def test_a_ledger_that_cannot_be_mended_is_told(tmp_path: Path) -> None:
    one = Ledger(str(tmp_path / "ledger.sqlite"))
    one.record([("/a", (1, 2, 3), ("1", "2", "3"))])
    with failing(Failing(1, 5, lasting=True)), pytest.raises(StoreUnavailable, match="the ledger"):
        one.record([("/b", (1, 2, 3), ("1", "2", "4"))])


@pytest.mark.parametrize("damage", [_garbage, _half, _stirred, _other_tables, _version])
def test_a_damaged_catalog_stops_no_restoring(damage: Callable[[Path], None], place: Path) -> None:
    site = Base.make(databases.STORY, place).copy(place / "run")
    [entry] = site.delete([item(1)])
    damage(site.root / layout.CATALOG)
    assert restore(site.archive, entry.id)[1] == 1
    site.promises.keep(item(1).place, item(1).sha256)
    assert judge(site.root, site.promises.owed) == []
