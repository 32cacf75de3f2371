"""Sources: what is opened, unpacked, and found to have changed."""

import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from staticwado.errors import BrokenDicom, NotDicom, StoreUnavailable
from staticwado.ingest.listing import find_sources
from staticwado.ingest.source import AnySource, FileBytes, FileSource, OpenArchives
from tests import factories


@pytest.fixture
def archives() -> Iterator[OpenArchives]:
    opened = OpenArchives()
    yield opened
    opened.close()


def file_source(path: Path) -> FileSource:
    found = path.stat()
    return FileSource(str(path), found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino))


def read(source: AnySource, archives: OpenArchives) -> bytes:
    with source.open(archives) as file:
        return file.read(0, file.size)


def test_a_stretch_of_a_file_ends_where_it_says(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with (tmp_path / "x").open("rb") as file:
        part = FileBytes(file.fileno(), 4, base=3)
        assert part.read(0, 100) == b"3456"
        assert part.read(3, 100) == b"6"
        assert part.read(9, 1) == b""
        buffer = bytearray(8)
        assert part.read_into(1, memoryview(buffer)) == 3
        assert bytes(buffer[:3]) == b"456"


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path, archives: OpenArchives) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")
    with pytest.raises(StoreUnavailable, match="changed"), file_source(path).open(archives):
        path.write_bytes(b"behind!")


def test_a_file_that_is_gone_is_an_error(tmp_path: Path, archives: OpenArchives) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")
    source = file_source(path)
    path.unlink()
    with pytest.raises(StoreUnavailable, match="opened"):
        read(source, archives)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_file_that_became_a_pipe_does_not_hang(tmp_path: Path, archives: OpenArchives) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")
    source = file_source(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreUnavailable, match="no file"):
        read(source, archives)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_members_of_a_zip_are_read_whatever_their_size(
    tmp_path: Path, archives: OpenArchives, method: int
) -> None:
    large = factories.instance(raw=b"") + b"\0" * (9 << 20)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as packed:
        packed.writestr("small.dcm", b"small")
        packed.writestr("large.dcm", large)
    found = {source.name.rpartition("/")[2]: source for source in find_sources([str(tmp_path / "x.zip")], [])}
    assert read(found["small.dcm"], archives) == b"small"
    assert read(found["large.dcm"], archives) == large


@pytest.mark.parametrize("kind", ["", ":gz", ":bz2", ":xz"])
def test_members_of_a_tar_are_read_forwards_and_backwards(
    tmp_path: Path, archives: OpenArchives, kind: str
) -> None:
    path = tmp_path / f"x.tar{kind.replace(':', '.')}"
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 5000)
    with tarfile.open(path, f"w{kind}") as packed:  # type: ignore[call-overload]
        for name in "abc":
            packed.add(tmp_path / name, name)
    found = list(find_sources([str(path)], []))
    for source in [*found, *reversed(found)]:
        assert read(source, archives) == source.name[-1].encode() * 5000


def test_two_members_of_one_name_are_two_inputs(tmp_path: Path, archives: OpenArchives) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("same", b"one")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("same", b"two")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        for data in (b"one", b"two"):
            (tmp_path / "same").write_bytes(data)
            tar.add(tmp_path / "same", "same")
    for name in ("x.zip", "x.tar.gz"):
        found = find_sources([str(tmp_path / name)], [])
        assert sorted(read(source, archives) for source in found) == [b"one", b"two"]


def test_a_large_member_that_is_no_dicom_is_not_unpacked(
    tmp_path: Path, archives: OpenArchives, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", b"\0" * (20 << 20))
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    (source,) = find_sources([str(tmp_path / "bomb.zip")], [])
    with pytest.raises(NotDicom):
        read(source, archives)


def damaged_zip(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "x.zip"
    method = zipfile.ZIP_STORED if name == "crc" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", method) as packed:
        packed.writestr("a.dcm", factories.noise(5000, 1))
    data = bytearray(path.read_bytes())
    if name == "encrypted":
        directory = data.index(b"PK\1\2")
        for at in (6, directory + 8):
            data[at] |= 1
    elif name == "method":
        directory = data.index(b"PK\1\2")
        for at in (8, directory + 10):
            data[at : at + 2] = struct.pack("<H", 97)
    else:
        data[1000:1100] = bytes(100)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("fault", ["crc", "deflate", "encrypted", "method"])
def test_a_member_that_cannot_be_unpacked_says_so(tmp_path: Path, archives: OpenArchives, fault: str) -> None:
    (source,) = find_sources([str(damaged_zip(tmp_path, fault))], [])
    with pytest.raises(BrokenDicom, match="unpacked"):
        read(source, archives)


_WITH_LITTLE_MEMORY = """
import resource, sys
from staticwado.ingest.listing import find_sources
from staticwado.ingest.source import OpenArchives

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), resource.RLIM_INFINITY))
(source,) = find_sources([sys.argv[1]], [])
try:
    with source.open(OpenArchives()):
        pass
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no way to limit the memory here")
def test_a_member_that_asks_for_more_memory_than_there_is_cannot_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a", b"x" * 1000)
    data = bytearray(path.read_bytes())
    dictionary = 30 + len("a") + 5  # the local header, the name, LZMA version and properties
    data[dictionary : dictionary + 4] = struct.pack("<I", 0xF0000000)
    path.write_bytes(data)
    command = [sys.executable, "-c", _WITH_LITTLE_MEMORY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "BrokenDicom it could not be unpacked: it needs more memory than there is\n"


def test_a_long_name_does_not_fill_the_reason_why_a_member_cannot_be_unpacked(
    tmp_path: Path, archives: OpenArchives
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("n" * 60_000, b"x")
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    (source,) = find_sources([str(path)], [])
    with pytest.raises(BrokenDicom, match="unpacked") as caught:
        read(source, archives)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_packed_tar_that_changed_since_it_was_listed_says_so(
    tmp_path: Path, archives: OpenArchives, kind: str
) -> None:
    path = tmp_path / f"x.tar.{kind}"
    (tmp_path / "a").write_bytes(factories.noise(200_000, 2))
    with tarfile.open(path, f"w:{kind}") as packed:  # type: ignore[call-overload]
        packed.add(tmp_path / "a", "a")
    (source,) = find_sources([str(path)], [])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(BrokenDicom, match="unpacked"):
        read(source, archives)
