"""The databases are derived: whatever becomes of them, no upload is lost or acknowledged wrongly."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from staticwado import layout
from tests.durability.acting import Site, item
from tests.durability.judging import judge
from tests.durability.killing import Base
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


@pytest.mark.parametrize("name", [layout.CATALOG, layout.LEDGER])
@pytest.mark.parametrize(
    "damage",
    [_empty, _garbage, _half, _stirred, _foreign_log, _other_tables],
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
