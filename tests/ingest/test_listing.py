"""What is found below paths: everything, once, and nothing else."""

import io
import os
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from staticwado.ingest.listing import find_sources
from staticwado.ingest.source import FileSource, MemberSource, NoFile, Unreadable
from tests import factories


def listed(*paths: Path | str, leave_out: Path | None = None) -> list[tuple[str, str]]:
    """(kind, name) of every input."""
    found = find_sources([str(path) for path in paths], [] if leave_out is None else [str(leave_out)])
    return [(type(source).__name__, source.name.rpartition("/")[2]) for source in found]


def test_folders_are_walked_in_the_order_of_names_files_first(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a/deep/er/x", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [name for _, name in listed(tmp_path)] == ["c", "x", "a", "z"]


def test_names_may_hold_anything(tmp_path: Path) -> None:
    names = [b"with space", b"line\nend", b"\xff\xfe", "Müller".encode(), b"-flag", b"%41", b"'\"$(x)"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(b"x")
    found = [os.path.basename(os.fsencode(source.name)) for source in find_sources([str(tmp_path)], [])]
    assert sorted(found) == sorted(names)


def test_the_archive_inside_the_input_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "archive" / "studies").mkdir(parents=True)
    (tmp_path / "archive" / "studies" / "x").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "archive", target_is_directory=True)
    (tmp_path / "y").write_bytes(b"x")
    assert listed(tmp_path, leave_out=tmp_path / "archive") == [("FileSource", "y")]


def test_a_folder_named_twice_is_walked_once_and_links_do_not_loop(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"x")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert listed(tmp_path, tmp_path / "a", tmp_path) == [("FileSource", "x")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_is_neither_file_nor_folder_is_an_input_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "self").symlink_to("self")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(tmp_path / "socket"))
        assert listed(tmp_path) == [("NoFile", "pipe"), ("NoFile", "self"), ("NoFile", "socket")]
    assert listed(tmp_path / "pipe", "/dev/null") == [("Unreadable", "pipe"), ("Unreadable", "null")]


def test_what_cannot_be_reached_has_failed(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to("gone")
    assert listed(tmp_path, tmp_path / "missing") == [("Unreadable", "nowhere"), ("Unreadable", "missing")]


def test_a_folder_that_cannot_be_listed_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").write_bytes(b"x")
    usual = os.scandir

    def refuse(path: str) -> "os._ScandirIterator[str]":
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return usual(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert listed(tmp_path) == [("FileSource", "open"), ("Unreadable", "closed")]


def make_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(name, b"x")
    return path


def test_members_of_a_zip_are_inputs_whatever_their_names(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "X.ZIP", "b/c.dcm", "../../evil", "folder/", "/etc/passwd", "a")
    found = list(find_sources([str(path)], []))
    assert all(isinstance(source, MemberSource) for source in found)
    assert sorted(source.name.partition("!/")[2] for source in found) == sorted(
        ["b/c.dcm", "../../evil", "/etc/passwd", "a"]
    )


def test_what_only_calls_itself_an_archive_is_a_file(tmp_path: Path) -> None:
    for name in ("a.zip", "b.tar", "c.tar.gz"):
        (tmp_path / name).write_bytes(factories.instance())
    (tmp_path / "d.zip").write_bytes(b"")
    assert {kind for kind, _ in listed(tmp_path)} == {"FileSource"}


@pytest.mark.parametrize("name", ["cut.zip", "cut.tar.gz", "cut.tar.bz2", "cut.tar.xz"])
def test_an_archive_that_is_cut_short_has_failed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".zip"):
        make_zip(path, *map(str, range(50)))
    else:
        with tarfile.open(path, f"w:{name.rpartition('.')[2]}") as packed:  # type: ignore[call-overload]
            info = tarfile.TarInfo("a")
            info.size = 100_000
            packed.addfile(info, io.BytesIO(factories.noise(100_000)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert listed(path)[-1] == ("Unreadable", name)


def test_a_zip_whose_names_are_no_text_has_failed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", "näme")
    path.write_bytes(path.read_bytes().replace("ä".encode(), b"\xff\xff"))
    assert listed(path) == [("Unreadable", "x.zip")]


def test_a_member_that_claims_the_impossible_has_failed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", "a")
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\1\2")
    data[directory + 24 : directory + 28] = b"\xf0\xff\xff\x7f"
    path.write_bytes(data)
    assert listed(path) == [("Unreadable", "a")]


def test_a_zip_member_without_a_name_is_an_input(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", "a", "b")
    data = path.read_bytes()
    directory = data.index(b"PK\1\2")
    path.write_bytes(data[: directory + 46] + b"\0" + data[directory + 47 :])
    assert listed(path) == [("MemberSource", ""), ("MemberSource", "b")]


def test_links_in_a_tar_lead_to_their_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        info = tarfile.TarInfo("a")
        info.size = 3
        packed.addfile(info, io.BytesIO(b"abc"))
        for name, kind, target in (
            ("hard", tarfile.LNKTYPE, "a"),
            ("soft", tarfile.SYMTYPE, "a"),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            packed.addfile(info)
    kinds = {name: kind for kind, name in listed(tmp_path / "x.tar")}
    assert kinds == {"a": "MemberSource", "hard": "MemberSource", "soft": "NoFile", "pipe": "NoFile"}


def test_a_tar_that_ends_inside_a_member_fails_at_its_end(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        for name in "ab":
            info = tarfile.TarInfo(name)
            info.size = 50_000
            packed.addfile(info, io.BytesIO(bytes(50_000)))
    os.truncate(tmp_path / "x.tar", 60_000)
    assert listed(tmp_path / "x.tar")[0] == ("MemberSource", "a")
    assert listed(tmp_path / "x.tar")[-1] == ("Unreadable", "x.tar")


def dicomdir(*references: list[str], name: str = "1.2.840.10008.1.3.10") -> bytes:
    items = [[factories.element(0x00041500, parts, vr="CS")] for parts in references]
    return factories.instance(
        SOPClassUID=name, extra=[factories.sequence(0x00041220, *items)], without=["StudyInstanceUID"]
    )


def test_a_dicomdir_that_is_named_gives_its_files_ignoring_case(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ct1").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "DICOMDIR").write_bytes(
        dicomdir(["IMAGES", "CT1"], ["IMAGES", "GONE"], ["..", "secret"], ["IMAGES"])
    )
    assert listed(tmp_path / "DICOMDIR") == [
        ("FileSource", "ct1"),
        ("Unreadable", "GONE"),
        ("Unreadable", "secret"),
        ("Unreadable", "IMAGES"),
    ]
    assert all(source.named for source in find_sources([str(tmp_path / "DICOMDIR")], []))


def test_a_dicomdir_of_another_name_is_one_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "index.dcm").write_bytes(dicomdir(["A"]))
    assert listed(tmp_path / "index.dcm") == [("FileSource", "a")]


def test_a_dicomdir_in_a_folder_is_a_file_like_others(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(dicomdir(["A"]))
    assert listed(tmp_path) == [("FileSource", "DICOMDIR")]


def test_a_dicomdir_that_is_none_has_failed(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(dicomdir())
    assert listed(tmp_path / "DICOMDIR") == [("NoFile", "DICOMDIR")]
    (tmp_path / "DICOMDIR").write_bytes(b"nothing of the kind")
    assert listed(tmp_path / "DICOMDIR") == [("Unreadable", "DICOMDIR")]


def test_what_users_name_is_told_from_what_is_met(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    (met,) = find_sources([str(tmp_path)], [])
    (named,) = find_sources([str(tmp_path / "x")], [])
    assert isinstance(met, FileSource)
    assert (met.named, named.named) == (False, True)
    assert not Unreadable("x", "y").named
    assert not NoFile("x", "y").named
