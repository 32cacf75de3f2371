"""Deleting and putting back: what goes along, what stays, what is said of it, and a process that dies."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicom.sources import MemorySource
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import Conflict, Gone, NotFound, StoreUnavailable
from staticwado.ingest import trash
from staticwado.ingest.delete import delete
from staticwado.ingest.restore import restore
from staticwado.ingest.settle import settle
from staticwado.ingest.verify import VerifyOptions, verify
from staticwado.ingest.write import BatchWriter
from tests import factories
from tests.ingest.conftest import Convert, content, put

STUDY = factories.uid("study", 0)


def uids(series: int, number: int) -> tuple[str, str, str]:
    return STUDY, factories.uid("series", 0, series), factories.uid("instance", 0, series, number)


def named(*uids: str) -> Resource:
    return Resource(View.PART10, *uids)  # type: ignore[arg-type]


def remove(archive: Archive, *uids: str) -> trash.Manifest:
    entry = delete(archive, named(*uids), "a test")
    settle(archive, [entry.study])
    return entry


def put_back(archive: Archive, entry: trash.Manifest) -> int:
    _, count = restore(archive, entry.id)
    settle(archive, [entry.study])
    return count


def is_clean(archive: Archive) -> bool:
    return verify(archive.root, VerifyOptions(1)).whole


def count_of(archive: Archive) -> int:
    (entry,) = archive.read_json(Resource(View.INDEX, STUDY))
    return int(entry["00201208"]["Value"][0])


def test_an_instance_goes_and_all_counts_are_right(archive: Archive) -> None:
    remove(archive, *uids(1, 2))
    assert not archive.exists(*uids(1, 2))
    assert count_of(archive) == 5
    assert len(archive.read_json(Resource(View.METADATA, *uids(1, 2)[:2]))) == 2
    assert is_clean(archive)
    assert archive.pending() == []


def test_with_its_last_instance_a_series_goes_and_with_its_last_series_a_study(
    archive: Archive, root: Path
) -> None:
    for number in (1, 2):
        remove(archive, *uids(1, number))
    entry = remove(archive, *uids(1, 3))
    assert entry.series is not None
    assert entry.instance is None
    assert list(archive.series(STUDY)) == [uids(2, 1)[1]]
    for number in (1, 2, 3):
        entry = remove(archive, *uids(2, number))
    assert entry.series is None
    assert list(archive.studies()) == []
    assert archive.read_json(Resource(View.STUDIES)) == []
    assert not (root / "studies" / STUDY).exists()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_what_is_put_back_is_as_it_was_byte_for_byte(archive: Archive, root: Path, levels: int) -> None:
    before = content(root)
    entry = remove(archive, *uids(1, 2)[:levels])
    assert content(root) != before
    assert put_back(archive, entry) == entry.instances
    assert content(root) == before
    assert list(trash.entries(archive)) == []
    assert is_clean(archive)


def test_an_entry_says_what_when_and_who(archive: Archive) -> None:
    remove(archive, *uids(1, 2))
    (entry,) = trash.entries(archive)
    assert (entry.reason, entry.by, entry.study, entry.series, entry.instance) == (
        "deleted",
        "a test",
        *uids(1, 2),
    )
    assert abs(datetime.now(UTC) - datetime.fromisoformat(entry.time)) < timedelta(minutes=5)


# -- shared values -------------------------------------------------------------------------------------------


def values(root: Path) -> set[str]:
    return {path.name for path in (root / "studies" / STUDY / "bulkdata").rglob("*") if path.is_file()}


def with_values(archive: Archive) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """Two instances that share values, and of which each has one of its own."""
    writer = BatchWriter(archive, thumbnails=False)
    found = []
    for number in (1, 2):
        own = factories.Element(0x00282000, "OB", bytes([number]) * 70_000)
        data = factories.with_big_values(seed=number, extra=[own])
        staged = writer.stage(MemorySource(data))
        found.append(staged.uids)
    writer.publish()
    writer.close()
    settle(archive)
    return found[0], found[1]


@pytest.fixture
def fresh(root: Path) -> Archive:
    made = Archive(str(root), create=True)
    made.create_marker()
    return made


def test_values_of_its_own_go_along_and_shared_ones_stay(fresh: Archive, root: Path) -> None:
    one, other = with_values(fresh)
    before, all_files = values(root), content(root)
    entry = remove(fresh, *one)
    assert len(entry.bulkdata) > 1
    assert len(before) - len(values(root)) == 1
    assert is_clean(fresh)
    put_back(fresh, entry)
    assert content(root) == all_files
    remove(fresh, *other)
    remove(fresh, *one)
    assert not (root / "studies" / one[0]).exists()


def test_values_stay_where_it_cannot_be_told_who_needs_them(fresh: Archive, root: Path) -> None:
    one, other = with_values(fresh)
    path = Path(fresh.store.path(f"studies/{other[0]}/series/{other[1]}/instances/{other[2]}/skeleton.gz"))
    path.write_bytes(b"damaged")
    before = values(root)
    delete(fresh, named(*one))
    assert values(root) == before


# -- gone, and there again -----------------------------------------------------------------------------------


def test_what_was_deleted_is_gone_and_what_never_was_is_not_found(archive: Archive) -> None:
    remove(archive, *uids(1, 1))
    assert trash.was_deleted(archive, named(*uids(1, 1)))
    assert not trash.was_deleted(archive, named(*uids(1, 2)))
    assert not trash.was_deleted(archive, named(*uids(1, 1)[:2]))
    with pytest.raises(Gone):
        delete(archive, named(*uids(1, 1)))
    with pytest.raises(NotFound) as found:
        delete(archive, named(STUDY, "1.2.3"))
    assert not isinstance(found.value, Gone)


def test_all_below_a_study_is_gone_with_it(archive: Archive) -> None:
    remove(archive, STUDY)
    for end in (1, 2, 3):
        assert trash.was_deleted(archive, named(*uids(1, 1)[:end]))
    with pytest.raises(Gone):
        delete(archive, named(*uids(2, 2)))


def test_what_is_stored_again_is_there_again(
    tmp_path: Path, root: Path, files: dict[str, bytes], convert: Convert
) -> None:
    archive, before = Archive(str(root)), content(root)
    remove(archive, STUDY)
    report = convert(put(tmp_path / "in", files), force=True)
    assert report.summary().startswith("6 in (6 new")
    assert content(root) == before
    assert not trash.was_deleted(archive, named(*uids(1, 1)))
    remove(archive, *uids(1, 1))
    with pytest.raises(Gone):
        delete(archive, named(*uids(1, 1)))


def test_nothing_is_put_back_in_the_place_of_something_new(archive: Archive, root: Path) -> None:
    entry = remove(archive, *uids(1, 1)[:2])
    writer = BatchWriter(archive, thumbnails=False)
    writer.stage(MemorySource(factories.instance(series=1, seed=1, PatientComments="new")))
    writer.publish()
    writer.close()
    settle(archive)
    before = content(root)
    with pytest.raises(Conflict, match="again, with other content"):
        restore(archive, entry.id)
    assert content(root) == before
    remove(archive, *uids(1, 1))
    assert put_back(archive, entry) == 3
    assert is_clean(archive)


def test_nothing_is_put_back_that_is_in_another_series_by_now(archive: Archive, root: Path) -> None:
    entry = remove(archive, *uids(1, 1))
    catalog = Catalog(str(root / ".staticwado" / "index.sqlite"))
    moved = factories.instance(series=2, seed=9, SOPInstanceUID=uids(1, 1)[2])
    writer = BatchWriter(archive, thumbnails=False, catalog=catalog)
    writer.stage(MemorySource(moved))
    writer.publish()
    writer.close()
    settle(archive, catalog=catalog)
    catalog.close()
    with pytest.raises(Conflict, match="in series"):
        restore(archive, entry.id)
    assert not archive.exists(*uids(1, 1))
    remove(archive, STUDY, uids(2, 1)[1], uids(1, 1)[2])
    assert put_back(archive, entry) == 1


def test_an_entry_that_does_not_exist_is_not_found(archive: Archive) -> None:
    for name in ("nothing", "../staging", "..", "a/../b"):
        with pytest.raises(NotFound):
            restore(archive, name)


# -- the trash is emptied ------------------------------------------------------------------------------------


def test_the_trash_is_emptied_of_what_is_old(archive: Archive) -> None:
    entry = remove(archive, *uids(1, 1))
    assert trash.empty(archive, timedelta(days=1)) == []
    later = datetime.now(UTC) + timedelta(days=2)
    assert [one.id for one in trash.empty(archive, timedelta(days=1), later)] == [entry.id]
    assert archive.store.names(".staticwado/trash") == []
    with pytest.raises(NotFound):
        restore(archive, entry.id)
    assert trash.was_deleted(archive, named(*uids(1, 1)))


def test_an_entry_that_is_half_removed_is_no_entry(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = remove(archive, *uids(1, 1))
    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local.shutil.rmtree", lambda *_, **__: None)
        trash.discard(archive, entry.id)
    assert list(trash.entries(archive)) == []
    trash.empty(archive, timedelta(days=9))
    assert archive.store.names(".staticwado/trash") == []


# -- a process that dies, a disk that fails ------------------------------------------------------------------


class Died(BaseException):
    """The process ended here."""


def dies(_: Any, *__: Any) -> None:
    raise Died


@pytest.mark.parametrize("step", ["move_bulkdata", "complete"])
def test_a_deletion_that_was_broken_off_after_its_rename_is_finished(
    fresh: Archive, root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    one, _ = with_values(fresh)
    before, all_files = values(root), content(root)
    with monkeypatch.context() as patch:
        patch.setattr(trash, step, dies)
        with pytest.raises(Died):
            delete(fresh, named(*one))
    assert not fresh.exists(*one)
    (note,) = trash.tidy(fresh)
    assert "finished" in note
    settle(fresh)
    assert len(before) - len(values(root)) == 1
    assert is_clean(fresh)
    (entry,) = trash.entries(fresh)
    put_back(fresh, entry)
    assert content(root) == all_files


def test_a_deletion_that_was_broken_off_before_its_rename_has_not_happened(
    archive: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(root)
    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local.LocalStore.make_folder", dies)
        with pytest.raises(Died):
            delete(archive, named(*uids(1, 1)))
    assert archive.store.names(".staticwado/trash") != []
    (note,) = trash.tidy(archive)
    assert "was not" in note
    settle(archive)
    assert content(root) == before
    assert archive.store.names(".staticwado/trash") == []
    assert not trash.was_deleted(archive, named(*uids(1, 1)))


def test_a_disk_that_cannot_sync_deletes_nothing(
    archive: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(root)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local._sync_file_system", fail)
        with pytest.raises(StoreUnavailable):
            delete(archive, named(STUDY))
    assert content(root) == before
    assert archive.store.names(".staticwado/trash") == []
    remove(archive, STUDY)
    assert list(archive.studies()) == []


def test_what_is_stored_while_a_study_is_deleted_is_there_or_in_the_trash(fresh: Archive) -> None:
    """Writers and a deleter at once: nothing that was acknowledged is in neither place."""
    stored: list[tuple[str, str, str]] = []

    def work(first: int) -> None:
        for number in range(first, 121, 2):
            writer = BatchWriter(fresh, thumbnails=False)
            writer.stage(MemorySource(factories.instance(seed=number)))
            (done,) = writer.publish()
            writer.close()
            if done.new:
                stored.append(done.staged.uids)

    threads = [threading.Thread(target=work, args=(first,)) for first in (1, 2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        try:
            delete(fresh, named(STUDY))
        except NotFound:
            os.sched_yield()
    assert len(stored) == 120
    kept = set(fresh.instances(STUDY, stored[0][1]))
    thrown = set()
    for entry in trash.entries(fresh):
        thrown |= set(fresh.store.names(entry.content(f"studies/{STUDY}/series/{stored[0][1]}/instances")))
    assert kept | thrown == {one[2] for one in stored}
    assert not kept & thrown
