"""The archive: whole files, or an error that says which file is missing or damaged."""

import gzip
from pathlib import Path

import pytest

from staticwado.archive import Archive, compress, decompress
from staticwado.dicomweb import multipart
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import ConfigurationError, NotFound, StoreUnavailable

INDEX = Resource(View.INDEX, "1.2")
INSTANCE = Resource(View.METADATA, "1.2", "1.3", "1.4")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(str(tmp_path / "archive"), create=True)
    made.create_marker()
    return made


def test_a_folder_without_marker_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not an archive"):
        Archive(str(tmp_path))
    assert not Archive(str(tmp_path / "new"), create=True).locate(INDEX)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b'{"layout":2}', b'"1"', b"\xff", b'{"layout":"1"}'])
def test_a_marker_that_is_another_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "staticwado.json").write_bytes(text)
    with pytest.raises((ConfigurationError, StoreUnavailable)):
        Archive(str(tmp_path), create=True)


def test_equal_data_are_equal_files(archive: Archive) -> None:
    assert compress(b"x" * 1000) == compress(b"x" * 1000)
    assert gzip.decompress(compress(b"x" * 1000)) == b"x" * 1000
    assert archive.write(INDEX, b"[{}]")
    before = archive.store.stat("studies/1.2/index.json.gz")
    assert not archive.write(INDEX, b"[{}]")
    assert archive.store.stat("studies/1.2/index.json.gz") == before
    assert archive.read_json(INDEX) == [{}]


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", b"no gzip", compress(b"[1]")[:-3], compress(b"[1")])
def test_a_damaged_file_is_unavailable_and_named(archive: Archive, tmp_path: Path, damage: bytes) -> None:
    archive.write(INDEX, b"[{}]")
    (tmp_path / "archive" / "studies" / "1.2" / "index.json.gz").write_bytes(damage)
    with pytest.raises(StoreUnavailable, match=r"1\.2"):
        archive.read_json(INDEX)


def test_what_is_not_there_is_not_found_and_named(archive: Archive) -> None:
    with pytest.raises(NotFound, match=r"metadata of study 1\.2, series 1\.3, instance 1\.4"):
        archive.read(INSTANCE)
    with pytest.raises(NotFound, match="frame 1"):
        archive.frame(INSTANCE, 1)


def test_an_instance_exists_when_its_metadata_does(archive: Archive) -> None:
    folder = Path(archive.root, "studies/1.2/series/1.3/instances/1.4")
    folder.mkdir(parents=True)
    (folder.parent / "not-a-uid").mkdir()
    assert list(archive.instance_folders("1.2", "1.3")) == ["1.4"]
    assert list(archive.instances("1.2", "1.3")) == []
    archive.write(INSTANCE, b"[{}]")
    assert list(archive.instances("1.2", "1.3")) == ["1.4"]
    assert archive.exists("1.2", "1.3", "1.4")
    assert list(archive.studies()) == ["1.2"]
    assert list(archive.series("1.2")) == ["1.3"]
    assert list(archive.series("9")) == []


@pytest.mark.parametrize("suffix", ["", "jls"])
def test_a_frame_is_a_stretch_of_its_file(archive: Archive, suffix: str) -> None:
    folder = Path(archive.root, "studies/1.2/series/1.3/instances/1.4/frames")
    folder.mkdir(parents=True)
    part_type = "image/jls;transfer-syntax=1.2"
    path = folder / (f"7.{suffix}.mht" if suffix else "7.mht")
    path.write_bytes(multipart.head(part_type) + b"pixels" + multipart.TAIL)
    found = archive.frame(INSTANCE, 7)
    assert found.part_type == part_type
    assert path.read_bytes()[found.offset : found.offset + found.length] == b"pixels"
    path.write_bytes(b"damaged")
    with pytest.raises(StoreUnavailable, match="damaged"):
        archive.frame(INSTANCE, 7)


def test_a_batch_is_visible_when_published_and_drops_what_it_is_told_to(archive: Archive) -> None:
    with archive.batch() as writer:
        writer.add(INDEX, b"[1]")
        kept = writer.staged
        writer.add(INSTANCE, b"[2]")
        writer.drop(kept)
        writer.add(Resource(View.SERIES, "1.2"), b"[3]")
        assert archive.locate(INDEX) is None
        writer.publish()
    assert archive.read(INDEX) == b"[1]"
    assert archive.locate(INSTANCE) is None
    assert archive.read(Resource(View.SERIES, "1.2")) == b"[3]"
    with archive.batch() as writer:
        writer.add(INDEX, b"[1]")
        assert writer.staged == 0
        writer.add(INDEX, b"[2]")
    assert archive.read(INDEX) == b"[1]"


def test_a_pending_mark_is_cleared_only_as_it_was_read(archive: Archive) -> None:
    assert not archive.is_pending("1.2")
    archive.mark_pending("1.2")
    first = archive.pending_mark("1.2")
    archive.mark_pending("1.2")
    assert not archive.clear_pending("1.2", first)
    assert archive.pending() == ["1.2"]
    assert archive.clear_pending("1.2", archive.pending_mark("1.2"))
    assert archive.pending() == []
    assert archive.clear_pending("1.2", first), "nothing is owed"


def test_a_mark_is_not_cleared_while_an_instance_that_it_names_was_not_seen(archive: Archive) -> None:
    archive.mark_pending("1.2", [("1.3", "1.4"), ("1.3", "1.5")])
    mark = archive.pending_mark("1.2")
    archive.write(INSTANCE, b"[{}]")
    assert not archive.clear_pending("1.2", mark)
    stat = archive.instance_stat("1.2", "1.3", "1.4")
    assert stat is not None
    archive.store.remove("studies/1.2/series/1.3/instances/1.4/metadata.gz")
    archive.write(INSTANCE, b"[{},{}]")
    assert not archive.clear_pending("1.2", mark, {("1.3", "1.4"): stat}), "another took its place"
    now = archive.instance_stat("1.2", "1.3", "1.4")
    assert now is not None
    assert archive.clear_pending("1.2", mark, {("1.3", "1.4"): now}), "1.5 never came"


def test_decompressing_names_the_file() -> None:
    assert decompress(compress(b""), "x") == b""
    with pytest.raises(StoreUnavailable, match=r"^x is damaged"):
        decompress(b"\x1f\x8b\x08", "x")


@pytest.mark.parametrize("behind", [b"\0", b"x", compress(b"more")])
def test_bytes_behind_a_gzip_member_are_damage(behind: bytes) -> None:
    with pytest.raises(StoreUnavailable, match="follow its end"):
        decompress(compress(b"[{}]") + behind, "x")


def test_an_archive_can_be_opened_to_look_at_what_is_wrong_with_it(tmp_path: Path) -> None:
    archive = Archive.unchecked(str(tmp_path))
    with pytest.raises(ConfigurationError, match="is not an archive"):
        archive.check_marker()
    (tmp_path / "staticwado.json").write_bytes(b"{")
    with pytest.raises(StoreUnavailable, match="damaged"):
        archive.check_marker()
    assert list(archive.studies()) == []


def test_a_lock_that_no_writer_ever_made_is_not_made_by_a_reader(archive: Archive) -> None:
    with archive.shared_lock_if_known("1.2") as held:
        assert not held
    assert archive.store.names(".staticwado/locks") == []
    with archive.lock("1.2"):
        pass
    with archive.shared_lock_if_known("1.2") as held, archive.lock("1.2", shared=True):
        assert held
