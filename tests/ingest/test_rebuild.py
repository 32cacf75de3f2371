"""Skeleton, frames and bulkdata are the file, byte for byte: for generated files of every kind, and all real
ones.
"""

import hashlib
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staticwado.archive import Archive
from staticwado.dicomweb.multipart import BOUNDARY
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.ingest.rebuild import read_part10
from staticwado.ingest.skeleton import parse_skeleton
from staticwado.store.local import LocalStore
from tests import factories
from tests.ingest.conftest import Convert


def rebuilt(root: Path, data: bytes) -> tuple[bytes, list[object]]:
    """The file as it comes back from an archive of its own, and the parts of its skeleton."""
    path = root.parent / "input.dcm"
    path.write_bytes(data)
    archive = Archive(str(root), create=True)
    report = create(archive, [str(path)], CreateOptions(jobs=1, thumbnails=False))
    (one,) = report.outcomes
    assert one.ok, one.detail
    assert one.study is not None
    assert one.series is not None
    assert one.instance is not None
    uids = (one.study, one.series, one.instance)
    skeleton = parse_skeleton(archive.read(Resource(View.SKELETON, *uids)))
    return b"".join(read_part10(archive, *uids)), skeleton.parts


SYNTAXES = factories.NATIVE


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("bits", [1, 8, 12, 16, 32])
def test_native_frames_come_back(root: Path, syntax: str, bits: int) -> None:
    frames = factories.pixels(5, 3, 3, bits=bits)
    value = factories.join_bits(frames, 15 * bits) if bits in (1, 12) else b"".join(frames)
    extra = [factories.Element(factories.PIXEL_DATA, "OW", value + b"\x5a" * (len(value) % 2))]
    data = factories.instance(syntax=syntax, frames=frames, rows=5, columns=3, bits=bits, extra=extra)
    assert rebuilt(root, data)[0] == data


@pytest.mark.parametrize("syntax", [factories.EXPLICIT, factories.BIG_ENDIAN])
def test_bits_and_bytes_behind_the_frames_come_back(root: Path, syntax: str) -> None:
    value = b"\xff" * 10  # 3 frames of 15 bits end inside the sixth byte
    extra = [factories.Element(factories.PIXEL_DATA, "OW", value)]
    frames = factories.pixels(5, 3, 3, bits=1)
    data = factories.instance(syntax=syntax, frames=frames, rows=5, columns=3, bits=1, extra=extra)
    assert rebuilt(root, data)[0] == data


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_big_values_come_back_and_are_kept_once(root: Path, syntax: str) -> None:
    data = factories.with_big_values(syntax=syntax)
    back, parts = rebuilt(root, data)
    assert back == data
    if syntax == factories.EXPLICIT:
        assert sum(isinstance(part, list) and part[0] == "bulkdata" for part in parts) >= 8


@pytest.mark.parametrize(
    ("offsets", "fragments", "size"),
    list(itertools.product(["basic", "empty", "extended", "wrong"], [1, 3], [900, 901])),
)
def test_encapsulated_frames_come_back(root: Path, offsets: str, fragments: int, size: int) -> None:
    frames = [factories.codestream(size, number) for number in range(3)]
    data = factories.instance(
        syntax=factories.JPEG_LOSSLESS, frames=frames, offsets=offsets, fragments=fragments
    )
    assert rebuilt(root, data)[0] == data


@pytest.mark.parametrize("syntax", [factories.ENCAPSULATED_UNCOMPRESSED, factories.DEFLATED_FRAMES])
def test_encapsulated_native_frames_come_back(root: Path, syntax: str) -> None:
    frames = factories.pixels(5, 3, 3, bits=8)
    data = factories.instance(syntax=syntax, frames=frames, rows=5, columns=3, bits=8)
    assert rebuilt(root, data)[0] == data


def test_a_file_without_preamble_and_one_with_trailing_bytes_come_back(root: Path, tmp_path: Path) -> None:
    for number, data in enumerate(
        [
            factories.instance(preamble=False, meta=False, syntax=factories.IMPLICIT),
            factories.instance(frames=factories.pixels(4, 4), raw=b"\0" * 1001),
            factories.instance(frames=factories.pixels(4, 4), raw=b"\0" * (5 << 20)),
            factories.instance(frames=factories.pixels(4, 4), raw=b"garbage"),
            factories.instance(extra=[factories.element("TextValue", "x" * (6 << 20))]),
        ]
    ):
        assert rebuilt(tmp_path / str(number), data)[0] == data


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    bits=st.sampled_from([1, 8, 16, 32, 64]),
    count=st.integers(1, 4),
    behind=st.binary(max_size=9),
    syntax=st.sampled_from(SYNTAXES),
)
def test_any_native_value_comes_back(
    tmp_path: Path, rows: int, columns: int, bits: int, count: int, behind: bytes, syntax: str
) -> None:
    frames = factories.pixels(rows, columns, count, bits=bits)
    value = factories.join_bits(frames, rows * columns) if bits == 1 else b"".join(frames)
    value += behind + b"\xa5" * (len(value + behind) % 2)
    extra = [factories.Element(factories.PIXEL_DATA, "OW", value)]
    data = factories.instance(
        syntax=syntax, frames=frames, rows=rows, columns=columns, bits=bits, extra=extra
    )
    root = tmp_path / hashlib.sha256(data).hexdigest()
    assert rebuilt(root, data)[0] == data


def test_a_damaged_frame_is_found_out(root: Path, tmp_path: Path, convert: Convert) -> None:
    (tmp_path / "x").write_bytes(factories.instance(frames=factories.pixels(4, 4), rows=4, columns=4))
    (one,) = convert(tmp_path / "x").outcomes
    (frame,) = root.rglob("1.mht")
    data = bytearray(frame.read_bytes())
    data[data.index(b"\r\n\r\n") + 6] ^= 1
    frame.write_bytes(data)
    uids = (one.study or "", one.series or "", one.instance or "")
    with pytest.raises(StoreUnavailable, match="hash"):
        list(read_part10(Archive(str(root)), *uids))
    frame.unlink()
    with pytest.raises(StoreUnavailable, match="frame 1"):
        list(read_part10(Archive(str(root)), *uids))
    with pytest.raises(NotFound):
        list(read_part10(Archive(str(root)), uids[0], uids[1], "1.2.3"))


def test_a_frame_with_the_boundary_in_it_fails_with_that_reason(tmp_path: Path, convert: Convert) -> None:
    boundary = BOUNDARY.encode()
    for number, fragments in enumerate((1, 30)):
        stream = b"\xff\xd8" + b"x" * 51 + boundary + b"y" * 50 + b"\xff\xd9"
        data = factories.instance(
            seed=number, syntax=factories.JPEG_LOSSLESS, frames=[stream], fragments=fragments
        )
        (tmp_path / f"{number}.dcm").write_bytes(data)
        (one,) = convert(tmp_path / f"{number}.dcm").outcomes
        assert not one.ok
        assert "separates" in one.detail


def test_every_real_file_comes_back(testdata: Path, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    archive = Archive(str(root), create=True)
    files = testdata / "files" if (testdata / "files").is_dir() else testdata
    report = create(archive, [str(files)], CreateOptions(jobs=1, thumbnails=False))
    wrong = []
    for one in report.outcomes:
        if one.ok:
            digest = hashlib.sha256()
            for chunk in read_part10(archive, one.study or "", one.series or "", one.instance or ""):
                digest.update(chunk)
            if digest.hexdigest() != hashlib.sha256(Path(one.source).read_bytes()).hexdigest():
                wrong.append(one.source)
    assert not wrong
    assert any(one.ok for one in report.outcomes)


def test_every_real_variant_and_broken_file_that_gets_in_comes_back(
    testdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStore, "sync", lambda self: None)  # hundreds of archives
    paths = [
        Path(folder) / name
        for kind in ("same-uid-variants", "malformed")
        for folder, _, names in os.walk(testdata / kind)
        for name in names
    ]
    if not paths:
        pytest.skip("there are no variants")
    for number, path in enumerate(paths):
        archive = Archive(str(tmp_path / str(number)), create=True)
        for one in create(archive, [str(path)], CreateOptions(jobs=1, thumbnails=False)).outcomes:
            assert "unexpected" not in one.detail, one.source
            if one.ok and one.source == str(path):
                back = b"".join(read_part10(archive, one.study or "", one.series or "", one.instance or ""))
                assert back == path.read_bytes(), path
