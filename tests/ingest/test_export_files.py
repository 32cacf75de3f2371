"""Files written back into folders and zips: whole and right, or not at all."""

import os
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest

from staticwado.archive import Archive
from staticwado.errors import StoreUnavailable
from staticwado.ingest import export_files
from staticwado.ingest.export_files import Outcome, Status, write_folder, write_zip
from tests.ingest.test_export import everything
from tests.ingest.test_rebuild import damage


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def said(outcomes: list[Outcome]) -> dict[str, str]:
    return {one.name: one.status.value for one in outcomes}


def test_every_file_is_written_into_a_folder(
    archive: Archive, files: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    outcomes = list(write_folder(archive, everything(archive), out))
    assert said(outcomes) == dict.fromkeys(files, "written")
    assert content(out) == files
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}
    again = list(write_folder(archive, everything(archive), out))
    assert said(again) == dict.fromkeys(files, "unchanged")
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}


def test_files_are_given_the_permissions_of_other_files(archive: Archive, tmp_path: Path) -> None:
    list(write_folder(archive, everything(archive), tmp_path / "out"))
    (tmp_path / "other").touch()
    assert {path.stat().st_mode for path in tmp_path.glob("out/*/*/*")} == {
        (tmp_path / "other").stat().st_mode
    }


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_files_are_named_in_batches(
    archive: Archive, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(export_files, "_BATCH", batch)
    steps = write_folder(archive, everything(archive), tmp_path / "out")
    next(steps)
    assert len(content(tmp_path / "out")) == batch
    assert len(list(steps)) == 5
    assert content(tmp_path / "out") == files


def test_who_stops_half_way_leaves_whole_files_only(
    archive: Archive, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "_BATCH", 4)
    steps = write_folder(archive, everything(archive), tmp_path / "out")
    next(steps)
    assert isinstance(steps, Generator)
    steps.close()
    left = content(tmp_path / "out")
    assert len(left) == 4
    assert left.items() <= files.items()


def test_another_file_is_not_overwritten(archive: Archive, files: dict[str, bytes], tmp_path: Path) -> None:
    first, second = everything(archive)[:2]
    for kept in (first, second):
        (tmp_path / kept.file_name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / first.file_name).write_bytes(b"mine")
    (tmp_path / second.file_name).mkdir()
    outcomes = list(write_folder(archive, everything(archive), tmp_path))
    failed = {one.name: one.detail for one in outcomes if one.status is Status.FAILED}
    assert set(failed) == {first.file_name, second.file_name}
    assert all("other content" in detail for detail in failed.values())
    assert (tmp_path / first.file_name).read_bytes() == b"mine"
    assert (tmp_path / second.file_name).is_dir()
    assert len([one for one in outcomes if one.status is Status.WRITTEN]) == 4


def test_a_damaged_instance_fails_and_the_others_are_written(
    archive: Archive, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    bad, lost = everything(archive)[1:3]
    damage(next(root.rglob(f"{bad.instance}/frames/1.mht")))
    next(root.rglob(f"{lost.instance}/frames/1.mht")).unlink()
    outcomes = list(write_folder(archive, everything(archive), tmp_path / "out"))
    failed = {one.name: one.detail for one in outcomes if one.status is Status.FAILED}
    assert "hash" in failed[bad.file_name]
    assert "frame 1" in failed[lost.file_name]
    assert set(failed) == {bad.file_name, lost.file_name}
    assert content(tmp_path / "out") == {name: data for name, data in files.items() if name not in failed}


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = everything(archive)[0]
    monkeypatch.setattr(export_files, "_BATCH", 1)
    link = os.link

    def too_late(source: Path, target: Path) -> None:
        target.write_bytes(b"somebody was faster")
        link(source, target)

    monkeypatch.setattr(os, "link", too_late)
    [outcome] = list(write_folder(archive, [one], tmp_path))
    assert outcome.status is Status.FAILED
    assert (tmp_path / one.file_name).read_bytes() == b"somebody was faster"
    assert len(content(tmp_path / one.study)) == 1


def test_a_file_system_without_hard_links_will_do(
    archive: Archive, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert len(list(write_folder(archive, everything(archive), tmp_path / "out"))) == 6
    assert content(tmp_path / "out") == files


def test_a_folder_that_cannot_be_made_is_an_error(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="file"):
        list(write_folder(archive, everything(archive), tmp_path / "file" / "out"))
    with pytest.raises(StoreUnavailable, match="file"):
        list(write_zip(archive, everything(archive), tmp_path / "file" / "out.zip"))


def test_a_zip_is_written_whole(archive: Archive, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.zip"
    assert said(list(write_zip(archive, everything(archive), path))) == dict.fromkeys(files, "written")
    with zipfile.ZipFile(path) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == files
    assert said(list(write_zip(archive, everything(archive), path))) == dict.fromkeys(files, "unchanged")
    assert list(path.parent.iterdir()) == [path]


def test_another_zip_is_not_overwritten(archive: Archive, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "out.zip"
    path.write_bytes(b"mine")
    outcomes = list(write_zip(archive, everything(archive), path))
    assert said(outcomes) == dict.fromkeys(files, "failed")
    assert all("other content" in one.detail for one in outcomes)
    assert path.read_bytes() == b"mine"
    assert {one.name for one in tmp_path.iterdir()} == {"in", "archive", "out.zip"}


def test_a_zip_leaves_out_what_cannot_be_given_back_and_says_so(
    archive: Archive, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    bad, lost = everything(archive)[1:3]
    damage(next(root.rglob(f"{bad.instance}/frames/1.mht")))
    next(root.rglob(f"{lost.instance}/skeleton.gz")).unlink()
    outcomes = list(write_zip(archive, everything(archive), tmp_path / "out.zip"))
    failed = {one.name: one.detail for one in outcomes if one.status is Status.FAILED}
    assert set(failed) == {bad.file_name, lost.file_name}
    assert "hash" in failed[bad.file_name]
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert packed.testzip() is None
        assert set(packed.namelist()) == set(files) - set(failed)


def test_a_zip_of_nothing_that_is_whole_is_not_written(archive: Archive, root: Path, tmp_path: Path) -> None:
    for skeleton in root.rglob("skeleton.gz"):
        skeleton.unlink()
    outcomes = list(write_zip(archive, everything(archive), tmp_path / "out.zip"))
    assert {one.status for one in outcomes} == {Status.FAILED}
    assert {one.name for one in tmp_path.iterdir()} == {"in", "archive"}
