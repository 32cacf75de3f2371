"""Transcoding at ingest: the frames, the metadata, the file that comes back, and what stays as it was."""

import gzip
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from staticwado.archive import Archive
from staticwado.dicom import encoders
from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.encoders import Codec, Encoded, encode_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel, to_array
from staticwado.dicomweb.multipart import BOUNDARY, split_one
from staticwado.ingest import frame_files, recompress
from staticwado.ingest.outcome import Outcome
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.ingest.rebuild import read_part10
from staticwado.ingest.recompress import automatic_codec
from staticwado.ingest.skeleton import Skeleton, parse_skeleton, transcoded_of
from staticwado.store.local import LocalStore
from tests import factories
from tests.ingest.conftest import Convert, content, outcomes

RPCL = "1.2.840.10008.1.2.4.202"
JPEG_LS = "1.2.840.10008.1.2.4.80"
SUFFIX = {RPCL: "jphc", JPEG_LS: "jls", factories.EXPLICIT: ""}
SYNTAX = {"htj2k": RPCL, "jls": JPEG_LS}
NATIVE = (*factories.NATIVE, factories.ENCAPSULATED_UNCOMPRESSED, factories.DEFLATED_FRAMES)
EACH = pytest.mark.parametrize("transcode", ["htj2k", "jls"])


def picture(image: ImagePixel, number: int = 0) -> bytes:
    """A native frame that a codec makes smaller, as `image` describes it."""
    line = np.arange(image.rows * image.columns, dtype="f8").reshape(image.rows, image.columns) / 200
    planes = [np.sin(line + number + plane) * 0.4 + 0.5 for plane in range(image.samples_per_pixel)]
    stacked = np.stack(planes, axis=0 if image.planar_configuration else -1)
    values = image.smallest + stacked * (image.largest - image.smallest)
    return values.astype(image.dtype).tobytes()


def picture_file(
    image: ImagePixel, *, syntax: str = factories.EXPLICIT, frames: int = 1, seed: object = 0, **more: Any
) -> bytes:
    """A Part 10 file of such frames."""
    made = [picture(image, number) for number in range(frames)]
    keywords: dict[str, Any] = {
        "BitsStored": image.bits_stored,
        "HighBit": image.high_bit,
        "PixelRepresentation": image.pixel_representation,
        "PlanarConfiguration": image.planar_configuration if image.samples_per_pixel > 1 else None,
    }
    return factories.instance(
        syntax=syntax,
        seed=seed,
        frames=made,
        rows=image.rows,
        columns=image.columns,
        bits=image.bits_allocated,
        samples=image.samples_per_pixel,
        photometric=image.photometric_interpretation,
        **{**keywords, **more},
    )


GREY = ImagePixel(40, 50, 1, "MONOCHROME2", 0, 16, 12, 11)
RGB = ImagePixel(40, 50, 3, "RGB", 0, 8, 8, 7)
KINDS = {
    "8 bits": replace(GREY, bits_allocated=8, bits_stored=8, high_bit=7),
    "7 bits": replace(GREY, bits_allocated=8, bits_stored=7, high_bit=6),
    "12 bits": GREY,
    "12 bits signed": replace(GREY, pixel_representation=1),
    "16 bits": replace(GREY, bits_stored=16, high_bit=15),
    "16 bits signed": replace(GREY, bits_stored=16, high_bit=15, pixel_representation=1),
    "inverse": replace(GREY, photometric_interpretation="MONOCHROME1"),
    "palette": replace(GREY, photometric_interpretation="PALETTE COLOR"),
    "RGB": RGB,
    "RGB by plane": replace(RGB, planar_configuration=1),
    "RGB of 16 bits": replace(RGB, bits_allocated=16, bits_stored=16, high_bit=15),
    "YBR by plane": replace(RGB, photometric_interpretation="YBR_FULL", planar_configuration=1),
    "odd size": replace(GREY, rows=41, columns=51, bits_allocated=8, bits_stored=8, high_bit=7),
    "one row": replace(GREY, rows=1, columns=2101),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One instance of an archive, as it lies there."""

    outcome: Outcome
    metadata: dict[str, Any]
    skeleton: Skeleton
    frames: dict[str, tuple[str, bytes]]
    """Name of the file -> type and payload of its part."""
    back: bytes

    @property
    def payloads(self) -> list[bytes]:
        numbered = sorted((int(name.partition(".")[0]), name) for name in self.frames)
        return [self.frames[name][1] for _, name in numbered]

    def first(self, tag: str) -> Any:
        return self.metadata[tag]["Value"][0]


def taken(root: Path, outcome: Outcome) -> Taken:
    assert outcome.ok, outcome.detail
    uids = (outcome.study or "", outcome.series or "", outcome.instance or "")
    folder = root / "studies" / uids[0] / "series" / uids[1] / "instances" / uids[2]
    frames = {}
    for path in (folder / "frames").iterdir():
        data = path.read_bytes()
        part_type, offset, length = split_one(data)
        frames[path.name] = (part_type, data[offset : offset + length])
    (metadata,) = orjson.loads(gzip.decompress((folder / "metadata.gz").read_bytes()))
    skeleton = parse_skeleton(gzip.decompress((folder / "skeleton.gz").read_bytes()))
    back = b"".join(read_part10(Archive(str(root)), *uids))
    return Taken(outcome, metadata, skeleton, frames, back)


def take_in(root: Path, data: bytes, transcode: Any, **options: Any) -> Taken:
    """A file in an archive of its own."""
    path = root.with_suffix(".dcm")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    chosen = CreateOptions(**{"jobs": 1, "thumbnails": False, "transcode": transcode, **options})
    (outcome,) = create(Archive(str(root), create=True), [str(path)], chosen).outcomes
    return taken(root, outcome)


# -- what is transcoded --------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_transcoded_file_comes_back_and_its_frames_say_what_they_are(
    root: Path, transcode: str, syntax: str, kind: str
) -> None:
    image = KINDS[kind]
    data = picture_file(image, syntax=syntax, frames=2)
    found = take_in(root, data, transcode)
    assert found.back == data
    assert found.outcome.warnings == ()
    uid = SYNTAX[transcode]
    assert sorted(found.frames) == [f"1.{SUFFIX[uid]}.mht", f"2.{SUFFIX[uid]}.mht"]
    assert {part_type for part_type, _ in found.frames.values()} == {
        f"image/{SUFFIX[uid]};transfer-syntax={uid}"
    }
    assert found.first("00083002") == uid
    served = image_pixel(found.metadata)
    for number, payload in enumerate(found.payloads):
        # read as a viewer does: by the metadata and the part's type
        decoded = decode_frame(payload, uid, served)
        np.testing.assert_array_equal(decoded.array, to_array(picture(image, number), image))
        assert decoded.photometric_interpretation == image.photometric_interpretation


@EACH
def test_only_what_transcoding_changes_is_another_in_the_metadata(root: Path, transcode: str) -> None:
    data = picture_file(KINDS["RGB by plane"])
    plain = take_in(root / "plain", data, "none").metadata
    found = take_in(root / "coded", data, transcode).metadata
    changed = {tag for tag in {*plain, *found} if plain.get(tag) != found.get(tag)}
    if transcode == "htj2k":
        assert changed == {"00083002", "00280004", "00280006"}
        assert found["00280004"] == {"vr": "CS", "Value": ["YBR_RCT"]}
    else:
        assert changed == {"00083002", "00280006"}
    assert found["00280006"] == {"vr": "US", "Value": [0]}


def test_the_skeleton_says_what_the_source_was(root: Path) -> None:
    image = KINDS["RGB by plane"]
    skeleton = take_in(root, picture_file(image), "htj2k").skeleton
    assert skeleton.form == {
        "transcoded": {
            "syntax": RPCL,
            "rows": 40,
            "columns": 50,
            "samples": 3,
            "photometric": "RGB",
            "planar": 1,
            "allocated": 8,
            "stored": 8,
            "high": 7,
            "representation": 0,
        }
    }
    transcoded = transcoded_of(skeleton.form)
    assert transcoded is not None
    assert (transcoded.syntax, transcoded.image) == (RPCL, image)
    assert skeleton.parts[1] == ["frames", 1, 1]


def test_big_endian_words_are_decoded_before_they_are_swapped(root: Path) -> None:
    data = picture_file(GREY, syntax=factories.BIG_ENDIAN, frames=3)
    found = take_in(root, data, "htj2k")
    assert found.back == data
    assert set(found.skeleton.form) == {"swap", "bits", "length", "transcoded"}


@EACH
def test_a_thumbnail_is_that_of_the_untranscoded_frame(root: Path, transcode: str) -> None:
    data = picture_file(KINDS["RGB by plane"])
    for name, wanted in (("plain", "none"), ("coded", transcode)):
        take_in(root / name, data, wanted, thumbnails=True)
    plain, coded = (
        [path.read_bytes() for path in sorted((root / name).rglob("*.jpg"))] for name in ("plain", "coded")
    )
    assert plain == coded
    assert len(plain) == 3


def test_the_same_input_gives_the_same_bytes_with_any_number_of_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(6):
        (folder / f"{seed}.dcm").write_bytes(picture_file(GREY, seed=seed, frames=1 + seed % 2))
    monkeypatch.setattr("staticwado.ingest.pipeline.CODED_FILES", 2)
    trees = []
    for jobs in (1, 2):
        root = tmp_path / str(jobs)
        report = create(
            Archive(str(root), create=True), [str(folder)], CreateOptions(jobs=jobs, transcode="auto")
        )
        assert outcomes(report) == ["new"] * 6
        trees.append(content(root))
    assert trees[0] == trees[1]


def test_an_instance_that_is_in_keeps_its_form(tmp_path: Path, root: Path, convert: Convert) -> None:
    (tmp_path / "x.dcm").write_bytes(picture_file(GREY))
    assert outcomes(convert(tmp_path / "x.dcm")) == ["new"]
    before = content(root)
    assert outcomes(convert(tmp_path / "x.dcm", transcode="htj2k", force=True)) == ["unchanged"]
    assert content(root) == before


def test_a_dry_run_says_what_would_stay(tmp_path: Path, root: Path, convert: Convert) -> None:
    (tmp_path / "x.dcm").write_bytes(factories.instance(frames=factories.pixels(4, 4, bits=32), bits=32))
    (outcome,) = convert(tmp_path / "x.dcm", transcode="jls", dry_run=True).outcomes
    assert outcome.warnings == (
        "frames were not transcoded: Bits Allocated (0028,0100) is 32; 8 and 16 can be coded",
    )
    assert content(root) == {}


# -- what stays ----------------------------------------------------------------------------------------------


def stays(found: Taken, data: bytes, syntax: str, reason: str) -> None:
    assert found.back == data
    assert found.first("00083002") == syntax
    assert all(part.endswith(f"transfer-syntax={syntax}") for part, _ in found.frames.values())
    assert "transcoded" not in found.skeleton.form
    (warning,) = found.outcome.warnings
    assert warning.startswith("frames were not transcoded: ")
    assert reason in warning


@EACH
@pytest.mark.parametrize("syntax", NATIVE)
def test_one_frame_that_cannot_be_coded_keeps_all_of_them(
    root: Path, transcode: str, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No frame is known that a codec gets wrong, so one is made to: the last pixel comes out as another."""
    image = replace(GREY, pixel_representation=0)
    frames = [picture(image), picture(image, 1)]
    usual = encoders.native_frame

    def wrong(data: bytes, syntax_uid: str, image: ImagePixel) -> bytes:
        native = usual(data, syntax_uid, image)
        return native if native == frames[0] else native[:-1] + bytes([native[-1] ^ 1])

    monkeypatch.setattr(encoders, "native_frame", wrong)
    data = factories.instance(syntax=syntax, frames=frames, rows=40, columns=50, BitsStored=12, HighBit=11)
    found = take_in(root, data, transcode)
    stays(found, data, factories.EXPLICIT, "frame 2: ")
    assert found.payloads == frames


@EACH
def test_frames_that_would_grow_stay(root: Path, transcode: str) -> None:
    frames = factories.pixels(4, 4, 3, bits=8)
    data = factories.instance(frames=frames, rows=4, columns=4, bits=8)
    stays(take_in(root, data, transcode), data, factories.EXPLICIT, "have 48 as they are")


@pytest.mark.parametrize("bits", [1, 12, 32, 64])
@EACH
def test_samples_of_other_sizes_stay(root: Path, transcode: str, bits: int) -> None:
    frames = factories.pixels(8, 8, 1, bits=bits)
    data = factories.instance(frames=frames, rows=8, columns=8, bits=bits)
    stays(take_in(root, data, transcode), data, factories.EXPLICIT, f"(0028,0100) is {bits}")


@EACH
def test_compressed_frames_stay(root: Path, transcode: str) -> None:
    data = factories.instance(syntax=factories.RLE, frames=[factories.codestream(200)])
    stays(take_in(root, data, transcode), data, factories.RLE, "RLE Lossless already")


@EACH
def test_a_frame_larger_than_memory_allows_stays(
    root: Path, transcode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recompress, "LARGEST_FRAME", 3999)
    data = picture_file(GREY)
    stays(take_in(root, data, transcode), data, factories.EXPLICIT, "4000 bytes, more than 3999")


def test_a_codestream_with_the_boundary_in_it_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_boundary(native: bytes, image: ImagePixel, codec: Codec) -> Encoded:
        found = encode_frame(native, image, codec)
        return replace(found, data=found.data + BOUNDARY.encode())

    monkeypatch.setattr(frame_files, "encode_frame", with_boundary)
    data = picture_file(GREY)
    stays(take_in(root, data, "htj2k"), data, factories.EXPLICIT, "separates")


def test_an_instance_without_pixels_earns_no_warning(root: Path) -> None:
    data = factories.instance()
    path = root.parent / "x.dcm"
    path.write_bytes(data)
    options = CreateOptions(jobs=1, transcode="htj2k")
    (outcome,) = create(Archive(str(root), create=True), [str(path)], options).outcomes
    assert outcome.ok
    assert outcome.warnings == ()


# -- the rule of auto ----------------------------------------------------------------------------------------

LARGE = ImagePixel(512, 512, 1, "MONOCHROME2", 0, 16, 12, 11)


@pytest.mark.parametrize(
    ("image", "modality", "codec"),
    [
        (LARGE, "CT", Codec.HTJ2K),
        (replace(LARGE, pixel_representation=1), "MR", Codec.HTJ2K),
        (replace(LARGE, bits_allocated=8, bits_stored=8, high_bit=7), "US", Codec.HTJ2K),
        (replace(RGB, rows=512, columns=512), "SM", Codec.HTJ2K),
        (replace(LARGE, photometric_interpretation="PALETTE COLOR"), "US", Codec.JPEG_LS),
        (replace(LARGE, rows=128, columns=63), "NM", None),
        (replace(LARGE, rows=128, columns=64), "NM", Codec.HTJ2K),
        (LARGE, "SEG", None),
        (LARGE, "RTDOSE", None),
        (replace(LARGE, bits_allocated=32, bits_stored=32, high_bit=31), "CT", None),
        (replace(LARGE, bits_allocated=1, bits_stored=1, high_bit=0), "OT", None),
        (replace(RGB, rows=512, columns=512, photometric_interpretation="YBR_FULL_422"), "US", None),
    ],
)
def test_auto_chooses_by_kind_size_and_modality(
    image: ImagePixel, modality: str, codec: Codec | None
) -> None:
    assert automatic_codec(image, modality) is codec


@pytest.mark.parametrize(
    ("data", "syntax"),
    [
        (picture_file(replace(LARGE, rows=100, columns=100)), RPCL),
        (
            picture_file(replace(LARGE, rows=100, columns=100, photometric_interpretation="PALETTE COLOR")),
            JPEG_LS,
        ),
        (picture_file(GREY), factories.EXPLICIT),
        (picture_file(replace(LARGE, rows=100, columns=100), Modality="SEG"), factories.EXPLICIT),
        (factories.instance(syntax=factories.RLE, frames=[factories.codestream(200)]), factories.RLE),
    ],
)
def test_what_the_rule_of_auto_leaves_earns_no_warning(root: Path, data: bytes, syntax: str) -> None:
    found = take_in(root, data, "auto")
    assert found.first("00083002") == syntax
    assert found.outcome.warnings == ()
    assert found.back == data


# -- frames that are not the bytes of the file ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "transcode"),
    [
        (factories.DEFLATED, "none"),
        (factories.DEFLATED, "htj2k"),
        (factories.DEFLATED_FRAMES, "none"),
        (factories.DEFLATED_FRAMES, "jls"),
        (factories.BIG_ENDIAN, "none"),
        (factories.EXPLICIT, "jls"),
        (factories.ENCAPSULATED_UNCOMPRESSED, "htj2k"),
    ],
)
def test_frames_in_another_form_than_the_file_has_are_hashed_as_they_are_kept(
    root: Path, transcode: str, syntax: str
) -> None:
    found = take_in(root, picture_file(GREY, syntax=syntax, frames=3), transcode)
    digest = hashlib.sha256(b"".join(found.payloads)).hexdigest()
    assert found.skeleton.kept == {"count": 3, "sha256": digest}


@pytest.mark.parametrize(
    "syntax", [factories.EXPLICIT, factories.RLE, factories.ENCAPSULATED_UNCOMPRESSED, factories.IMPLICIT]
)
def test_frames_that_are_bytes_of_the_file_are_hashed_with_it_alone(root: Path, syntax: str) -> None:
    frames = [picture(GREY)] if syntax != factories.RLE else [factories.codestream(200)]
    data = factories.instance(syntax=syntax, frames=frames, rows=40, columns=50)
    assert take_in(root, data, "none").skeleton.kept == {}


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("transcode", ["none", "htj2k", "jls"])
@pytest.mark.parametrize("kind", ["8 bits", "odd size", "12 bits"])
def test_encapsulated_uncompressed_frames_are_kept_once(
    root: Path, transcode: str, kind: str, fragments: int
) -> None:
    image = KINDS[kind]
    data = picture_file(image, syntax=factories.ENCAPSULATED_UNCOMPRESSED, frames=2, fragments=fragments)
    found = take_in(root, data, transcode)
    assert found.back == data
    assert len(found.skeleton.raw) < 2000
    if transcode == "none":
        assert found.payloads == [picture(image, number) for number in range(2)]


def test_what_follows_the_pixels_of_an_encapsulated_frame_comes_back(root: Path) -> None:
    frames = [picture(GREY) + b"\x5a" * 6, picture(GREY, 1) + b"\xa5" * 3]
    data = factories.instance(
        syntax=factories.ENCAPSULATED_UNCOMPRESSED, frames=frames, rows=40, columns=50, fragments=3
    )
    found = take_in(root, data, "none")
    assert found.back == data
    assert found.payloads == [picture(GREY), picture(GREY, 1)]


# -- real files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transcode", ["htj2k", "jls", "auto"])
def test_every_real_file_comes_back_from_its_transcoded_frames(
    testdata: Path, tmp_path: Path, transcode: Any
) -> None:
    root = tmp_path / "archive"
    archive = Archive(str(root), create=True)
    files = testdata / "files" if (testdata / "files").is_dir() else testdata
    options = CreateOptions(jobs=2, thumbnails=False, transcode=transcode)
    wrong, transcoded = [], 0
    for one in create(archive, [str(files)], options).outcomes:
        if not one.ok:
            continue
        found = taken(root, one) if _has_frames(root, one) else None
        if found is None:
            continue
        if found.back != Path(one.source).read_bytes():
            wrong.append(one.source)
        said = found.first("00083002")
        types = {part_type.rpartition("transfer-syntax=")[2] for part_type, _ in found.frames.values()}
        if types != {said}:
            wrong.append(f"{one.source}: {types}, not {said}")
        form = transcoded_of(found.skeleton.form)
        transcoded += form is not None
        if form is not None and form.syntax != said:
            wrong.append(f"{one.source}: kept in {form.syntax}")
    assert not wrong
    assert transcoded


def _has_frames(root: Path, one: Outcome) -> bool:
    folder = f"studies/{one.study}/series/{one.series}/instances/{one.instance}/frames"
    return (root / folder).is_dir()


@EACH
def test_every_real_variant_comes_back_from_its_transcoded_frames(
    testdata: Path, tmp_path: Path, transcode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStore, "sync", lambda self: None)  # hundreds of archives
    paths = [
        Path(folder) / name for folder, _, names in os.walk(testdata / "same-uid-variants") for name in names
    ]
    if not paths:
        pytest.skip("there are no variants")
    options = CreateOptions(jobs=1, thumbnails=False, transcode=transcode)
    for number, path in enumerate(paths):
        archive = Archive(str(tmp_path / str(number)), create=True)
        for one in create(archive, [str(path)], options).outcomes:
            assert "unexpected" not in one.detail, one.source
            if one.ok and one.source == str(path):
                back = b"".join(read_part10(archive, one.study or "", one.series or "", one.instance or ""))
                assert back == path.read_bytes(), path
