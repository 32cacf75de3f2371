"""Skeleton, frames and bulkdata are the file, byte for byte: for generated files of every kind, and all real
ones.
"""

import gzip
import hashlib
import itertools
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staticwado.archive import Archive
from staticwado.dicom.encoders import Codec, encode_frame
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicomweb import multipart
from staticwado.dicomweb.multipart import BOUNDARY
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.ingest.rebuild import CheckedSource, Rebuilt, read_part10
from staticwado.ingest.skeleton import Transcoded, parse_skeleton
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


def made(archive_root: Path, data: bytes) -> Rebuilt:
    """The rebuilt file of an instance in an archive of its own."""
    rebuilt(archive_root, data)
    archive = Archive(str(archive_root))
    (study,) = archive.studies()
    (series,) = archive.series(study)
    (instance,) = archive.instances(study, series)
    return Rebuilt(archive, study, series, instance)


def files() -> dict[str, bytes]:
    """A file of each way in which frames and values are kept."""
    kinds = {
        f"{syntax}-{bits}": factories.instance(
            syntax=syntax,
            frames=factories.pixels(5, 3, 3, bits=bits),
            rows=5,
            columns=3,
            bits=bits,
            pixel={"vr": "OW"},
        )
        for syntax in factories.NATIVE
        for bits in (1, 8, 16, 32)
    }
    streams = [factories.codestream(900, number) for number in range(3)]
    kinds["fragments"] = factories.instance(syntax=factories.JPEG_LOSSLESS, frames=streams, fragments=3)
    kinds["values"] = factories.with_big_values(size=9_000)
    kinds["nothing"] = factories.instance()
    return kinds


FILES = files()


@pytest.mark.parametrize("name", FILES)
def test_a_rebuilt_file_can_be_read_at_any_place(root: Path, name: str) -> None:
    data = FILES[name]
    source = made(root, data)
    assert (source.size, source.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    places = random.Random(name)
    for _ in range(400):
        offset = places.randrange(len(data) + 20)
        length = places.choice([0, 1, 2, 7, 40, 3000, len(data)])
        assert source.read(offset, length) == data[offset : offset + length]
        buffer = bytearray(b"x" * length)
        count = source.read_into(offset, memoryview(buffer))
        assert bytes(buffer) == data[offset : offset + length] + b"x" * (length - count)


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_in_any_order_is_hashed_in_order(root: Path, name: str) -> None:
    data, places = FILES[name], random.Random(name)
    file = made(root, data)
    for _ in range(20):
        source = CheckedSource(file)
        for _ in range(places.randrange(6)):
            offset, length = places.randrange(len(data) + 20), places.choice([0, 9, 3000])
            assert source.read(offset, length) == data[offset : offset + length]
        source.finish()


def test_a_frame_that_was_damaged_is_found_also_where_it_was_not_read(root: Path) -> None:
    source = CheckedSource(made(root, FILES[f"{factories.IMPLICIT}-16"]))
    damage(next(root.rglob("2.mht")))
    assert source.read(0, 200) == FILES[f"{factories.IMPLICIT}-16"][:200]
    with pytest.raises(StoreUnavailable, match="hash"):
        source.finish()


def test_the_last_bytes_are_held_back_until_the_hash_is_known(root: Path) -> None:
    source = made(root, factories.instance(frames=factories.pixels(600, 600, 4), rows=600, columns=600))
    assert len(list(source.checked())) >= 4
    damage(next(root.rglob("1.mht")))
    got: list[bytes] = []
    with pytest.raises(StoreUnavailable, match="hash"):
        got.extend(source.checked())
    assert got
    assert sum(map(len, got)) < source.size


def damage(frame: Path) -> None:
    """Flip a bit of the payload of a frame file."""
    data = bytearray(frame.read_bytes())
    data[data.index(b"\r\n\r\n") + 6] ^= 1
    frame.write_bytes(data)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("syntax", factories.NATIVE)
@pytest.mark.parametrize("bits", [8, 16])
def test_transcoded_frames_come_back(root: Path, syntax: str, bits: int, codec: Codec) -> None:
    """Frames are replaced by hand here, so that the reading is judged apart from the writing."""
    frames = factories.pixels(5, 3, 3, bits=bits)
    data = factories.instance(syntax=syntax, frames=frames, rows=5, columns=3, bits=bits, pixel={"vr": "OW"})
    rebuilt(root, data)
    (path,) = root.rglob("skeleton.gz")
    skeleton = parse_skeleton(gzip.decompress(path.read_bytes()))
    if syntax == factories.DEFLATED:
        assert not any(isinstance(part, list) and part[0].startswith("frame") for part in skeleton.parts)
        return
    image = ImagePixel(5, 3, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1)
    for number, frame in enumerate(frames, 1):
        coded = encode_frame(frame, image, codec)
        (path.parent / "frames" / f"{number}.mht").unlink()
        suffix = TRANSFER_SYNTAXES[coded.syntax_uid].suffix
        part = multipart.content_type("image/any", coded.syntax_uid)
        (path.parent / "frames" / f"{number}.{suffix}.mht").write_bytes(
            multipart.head(part) + coded.data + multipart.TAIL
        )
    skeleton.form = {**skeleton.form, "transcoded": Transcoded(coded.syntax_uid, image).to_form()}
    path.write_bytes(gzip.compress(skeleton.to_bytes()))
    archive = Archive(str(root))
    (study,) = archive.studies()
    uids = (study, path.parents[2].name, path.parent.name)
    assert b"".join(read_part10(archive, *uids)) == data
    source = Rebuilt(archive, *uids)
    for offset in range(0, len(data), 37):
        assert source.read(offset, 50) == data[offset : offset + 50]
    (path.parent / "frames" / f"2.{suffix}.mht").write_bytes(multipart.head(part) + b"none" + multipart.TAIL)
    with pytest.raises(StoreUnavailable, match="frame 2"):
        list(read_part10(archive, *uids))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parts": [10, ["what"]]}, "unknown part"),
        ({"parts": [-1]}, "unknown part"),
        ({"parts": [["frames", 1, 2]], "form": {"swap": 3, "bits": 8, "length": 9}}, "words of 3"),
        ({"parts": [["frames", 1, 2]], "form": {"swap": 2}}, "damaged"),
        ({"parts": [["frame", 1, -5, 5]]}, "unknown part"),
        ({"parts": [5]}, "what is kept of it"),
        ({"size": 17}, "what is kept of it"),
    ],
)
def test_a_skeleton_that_makes_no_sense_is_said_to_be_damaged(
    root: Path, change: dict[str, object], words: str
) -> None:
    rebuilt(root, factories.instance(frames=factories.pixels(4, 4)))
    (path,) = root.rglob("skeleton.gz")
    skeleton = parse_skeleton(gzip.decompress(path.read_bytes()))
    for name, value in change.items():
        setattr(skeleton, name, value)
    path.write_bytes(gzip.compress(skeleton.to_bytes()))
    archive = Archive(str(root))
    (study,) = archive.studies()
    with pytest.raises(StoreUnavailable, match=words):
        list(read_part10(archive, study, path.parents[2].name, path.parent.name))


def test_a_damaged_frame_is_found_out(root: Path, tmp_path: Path, convert: Convert) -> None:
    (tmp_path / "x").write_bytes(factories.instance(frames=factories.pixels(4, 4), rows=4, columns=4))
    (one,) = convert(tmp_path / "x").outcomes
    (frame,) = root.rglob("1.mht")
    damage(frame)
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
