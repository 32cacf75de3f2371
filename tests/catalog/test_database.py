"""The catalog as a file: what it keeps, who may use it at once, and what becomes of a damaged one."""

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from staticwado.catalog.database import Catalog
from staticwado.catalog.rows import FreshInstance, SeriesRow, StudyRow
from staticwado.catalog.schema import Unusable


def study(uid: str, patient: str = "P", *series: SeriesRow, **more: Any) -> StudyRow:
    entry = {
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00080020": {"vr": "DA", "Value": [more.get("date", "20200101")]},
        "00080061": {"vr": "CS", "Value": ["CT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": more.get("name", "Doe^John")}]},
        "00100020": {"vr": "LO", "Value": [patient]},
    }
    return StudyRow(uid, entry, series, more.get("stamp"))


def series(uid: str, *instances: str) -> SeriesRow:
    return SeriesRow(uid, {"0020000E": {"vr": "UI", "Value": [uid]}}, instances)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(str(tmp_path / "private" / "index.sqlite"))
    made.clear()
    made.complete()
    yield made
    made.close()


def rows_of_all_tables(path: str) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(path) as database:
        names = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith(("trigram", "sqlite_"))
        ]
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names
        }


def test_what_is_put_in_comes_out(catalog: Catalog) -> None:
    row = study("1.2", "P", series("1.2.1", "1.2.1.1", "1.2.1.2"), stamp=(1, 2, 3))
    catalog.replace([row])
    assert catalog.study("1.2", instances=True) == row
    assert catalog.study("9.9") is None
    assert list(catalog.stamps()) == [("1.2", (1, 2, 3))]
    assert catalog.find(["1.2.1.2", "7"]) == {"1.2.1.2": ("1.2", "1.2.1", "1.2.1.2")}


def test_entries_come_in_the_order_of_the_index(catalog: Catalog) -> None:
    catalog.replace([study("1.2", date="20190101"), study("1.10"), study("1.3"), study("1.4", date="")])
    assert [uid for uid, _ in catalog.entries()] == ["1.10", "1.3", "1.2", "1.4"]


def test_removing_leaves_nothing_of_a_study(catalog: Catalog) -> None:
    catalog.replace([study("1.1", "Q", name="Roe^Jane")])
    before = rows_of_all_tables(catalog.path)
    catalog.replace([study("1.2", "P", series("1.2.1", "1.2.1.1"), name="Roe^Mary")])
    entry = {"00080018": {"vr": "UI", "Value": ["8"]}}
    catalog.freshen(study("1.2", "P", series("1.2.1")), [FreshInstance("1.2.1", "8", entry)], ("g", 1))
    catalog.claim([("1.2", "1.2.1", "9")])
    catalog.remove(["1.2"])
    assert rows_of_all_tables(catalog.path) == before


def test_replacing_is_the_same_as_making_anew(catalog: Catalog, tmp_path: Path) -> None:
    catalog.replace([study("1.2", "P", series("1.2.1", "1"), series("1.2.2", "2"), name="Roe^Jane")])
    last = study("1.2", "Q", series("1.2.2", "2", "3"), name="Roe^Mary", date="20210101")
    catalog.replace([last])
    other = Catalog(str(tmp_path / "other.sqlite"))
    other.replace([last])
    kept, made = (_without_numbers(rows_of_all_tables(one.path)) for one in (catalog, other))
    assert kept == made
    assert catalog.study("1.2", instances=True) == other.study("1.2", instances=True)
    other.close()


def _without_numbers(tables: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """All tables, with the order of numbers in place of numbers, which tell when a row was made."""
    numbers = {name: sorted(row[0] for row in tables[name]) for name in ("term", "profile", "series")}
    order = {number: place for each in numbers.values() for place, number in enumerate(each)}
    made = {name: rows for name, rows in tables.items() if name != "state"}
    return {
        name: sorted((tuple(order.get(value, value) for value in row) for row in rows), key=repr)
        for name, rows in made.items()
    }


def test_fresh_instances_stay_until_the_study_is_replaced(catalog: Catalog) -> None:
    row = study("1.2", "P", series("1.2.1", "1"), series("1.2.2", "2"), stamp=(1, 2, 3))
    catalog.replace([row])
    entry = {"00080018": {"vr": "UI", "Value": ["8"]}}
    told = StudyRow("1.2", row.entry, (series("1.2.1"),), None)
    assert catalog.freshen(told, [FreshInstance("1.2.1", "8", entry)], ("g", 5), expected=None)
    assert not catalog.freshen(told, [], ("g", 9), expected=("g", 4))
    assert catalog.merged("1.2") == ("g", 5)
    assert catalog.fresh("1.2") == catalog.fresh("1.2", "1.2.1") == [FreshInstance("1.2.1", "8", entry)]
    assert catalog.fresh("1.2", "1.2.2") == []
    assert list(catalog.stamps()) == [("1.2", (1, 2, 3))]
    found = catalog.study("1.2", instances=True)
    assert found is not None
    assert [one.instances for one in found.series] == [("1", "8"), ("2",)]
    catalog.replace([row])
    assert (catalog.fresh("1.2"), catalog.merged("1.2")) == ([], None)


def test_a_thread_may_write_while_it_reads(catalog: Catalog) -> None:
    catalog.replace([study("1.2"), study("1.3")])
    seen = []
    for uid, _ in catalog.entries():
        seen.append(uid)
        catalog.replace([study(f"{uid}.1")])
        assert catalog.study(f"{uid}.1") is not None
    assert seen == ["1.2", "1.3"]
    assert len(list(catalog.entries())) == 4


def test_a_claim_is_given_once(catalog: Catalog) -> None:
    catalog.replace([study("1.2", "P", series("1.2.1", "1"))])
    wanted = [("1.3", "1.3.1", "1"), ("1.3", "1.3.1", "2"), ("1.2", "1.2.1", "1")]
    assert catalog.claim(wanted) == {"1": ("1.2", "1.2.1", "1")}
    assert catalog.claim([("1.4", "1.4.1", "2")]) == {"2": ("1.3", "1.3.1", "2")}
    catalog.release([("1.3", "1.3.1", "2"), ("1.2", "1.2.1", "1")])
    assert catalog.find(["1", "2"]) == {}
    assert catalog.claim([("1.4", "1.4.1", "2")]) == {}


def test_of_many_threads_that_claim_an_instance_one_gets_it(catalog: Catalog) -> None:
    barrier = threading.Barrier(8)
    got: list[int] = []

    def claim(number: int) -> None:
        barrier.wait()
        if not catalog.claim([(f"1.{number}", "2", "3")]):
            got.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def _write(path: str, first: int) -> None:
    catalog = Catalog(path)
    for number in range(first, first + 40):
        catalog.replace([study(f"1.{number}", f"P{number}", series(f"1.{number}.1", f"1.{number}.1.1"))])
    catalog.close()


def test_processes_write_while_others_read(catalog: Catalog) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(catalog.path, first)) for first in (100, 200)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        now = sum(1 for _ in catalog.entries())
        assert now >= seen
        seen = now
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert sum(1 for _ in catalog.entries()) == 80


def _read_after_fork(catalog: Catalog) -> None:
    os._exit(0 if catalog.study("1.2") is not None else 1)


def test_a_forked_process_opens_its_own_connection(catalog: Catalog) -> None:
    catalog.replace([study("1.2")])
    process = multiprocessing.get_context("fork").Process(target=_read_after_fork, args=(catalog,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert catalog.study("1.2") is not None


@pytest.mark.parametrize("name", ["a?b#c%20d", "späße", "q'uote\"", "with space"])
def test_odd_paths_are_paths(tmp_path: Path, name: str) -> None:
    catalog = Catalog(str(tmp_path / name / "index.sqlite"))
    catalog.replace([study("1.2")])
    catalog.close()
    assert (tmp_path / name / "index.sqlite").stat().st_size > 0


def damage(path: str, how: str) -> None:
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        if how == "truncated":
            file.truncate(size // 2)
        elif how == "garbage":
            file.write(b"garbage " * 4096)
        elif how == "pages":
            file.seek(4096)
            file.write(os.urandom(size - 4096))
    if how in ("old version", "other program"):
        with sqlite3.connect(path) as database:
            database.execute(
                "PRAGMA user_version = 0" if how == "old version" else "PRAGMA application_id = 7"
            )


DAMAGES = ["truncated", "garbage", "pages", "old version", "other program"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_catalog_is_told_and_can_be_made_anew(tmp_path: Path, how: str) -> None:
    path = str(tmp_path / "index.sqlite")
    catalog = Catalog(path)
    catalog.replace(study(f"1.{number}", f"P{number}") for number in range(300))
    catalog.complete()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    catalog.close()
    damage(path, how)
    with pytest.raises(Unusable):
        sum(1 for _ in catalog.entries())
    catalog.clear()
    assert not catalog.is_complete()
    catalog.replace([study("1.2")])
    catalog.complete()
    assert catalog.is_complete()
    assert [uid for uid, _ in catalog.entries()] == ["1.2"]
    catalog.close()


def test_clearing_forgets_everything(catalog: Catalog) -> None:
    catalog.replace([study("1.2", "P", series("1.2.1", "1"))])
    catalog.note("made", "now")
    assert catalog.noted("made") == "now"
    catalog.clear()
    assert not any(rows_of_all_tables(catalog.path).values())
    assert not catalog.is_complete()


def test_a_replaced_file_is_opened_anew(catalog: Catalog, tmp_path: Path) -> None:
    catalog.replace([study("1.2")])
    other = Catalog(str(tmp_path / "other.sqlite"))
    other.replace([study("1.3")])
    with sqlite3.connect(other.path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    for suffix in ("-wal", "-shm"):
        Path(catalog.path + suffix).unlink(missing_ok=True)
    os.replace(other.path, catalog.path)
    assert [uid for uid, _ in catalog.entries()] == ["1.3"]
