"""Frames from one transfer syntax into another: every pair that is on offer, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.pixels import ImagePixel, SampleKind
from staticwado.dicom.transcoding import (
    JPEG_BASELINE,
    LOSSLESS_TARGETS,
    media_type_of,
    targets,
    transcode,
)
from staticwado.errors import BrokenDicom, Unsupported

NATIVE = "1.2.840.10008.1.2.1"
RLE, MPEG = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102"
ROWS, COLUMNS = 13, 130
IMAGES = {
    "grey8": ImagePixel(ROWS, COLUMNS, bits_allocated=8, bits_stored=8, high_bit=7),
    "grey16": ImagePixel(ROWS, COLUMNS),
    "grey12": ImagePixel(ROWS, COLUMNS, bits_stored=12, high_bit=11),
    "signed16": ImagePixel(ROWS, COLUMNS, pixel_representation=1),
    "signed12": ImagePixel(ROWS, COLUMNS, bits_stored=12, high_bit=11, pixel_representation=1),
    "rgb8": ImagePixel(ROWS, COLUMNS, 3, "RGB", 0, 8, 8, 7),
    "planes8": ImagePixel(ROWS, COLUMNS, 3, "RGB", 1, 8, 8, 7),
    "ybr8": ImagePixel(ROWS, COLUMNS, 3, "YBR_FULL", 0, 8, 8, 7),
    "rgb16": ImagePixel(ROWS, COLUMNS, 3, "RGB", 0, 16, 16, 15),
    "palette8": ImagePixel(ROWS, COLUMNS, 1, "PALETTE COLOR", 0, 8, 8, 7),
}


def native(image: ImagePixel) -> bytes:
    """Half noise, half flat, so that runs and literals occur."""
    shape = (image.rows, image.columns, image.samples_per_pixel)
    random = np.random.default_rng(7).integers(image.smallest, image.largest, shape, endpoint=True)
    random[:, : image.columns // 2] = image.largest // 3
    array = random.astype(image.dtype)
    return (array.transpose(2, 0, 1) if image.planar_configuration else array).tobytes()


@pytest.mark.parametrize("target", LOSSLESS_TARGETS)
@pytest.mark.parametrize("name", IMAGES)
def test_every_lossless_target_gives_back_the_same_bytes(name: str, target: str) -> None:
    image = IMAGES[name]
    data = native(image)
    made = transcode(data, NATIVE, image, target)
    back = transcode(made.data, target, image, NATIVE)
    assert back.data == data
    assert back.image == image
    assert made.image.planar_configuration == 0
    if image.samples_per_pixel == 1:
        assert made.image == image


@pytest.mark.parametrize("target", LOSSLESS_TARGETS)
@pytest.mark.parametrize("stored", LOSSLESS_TARGETS)
def test_compressed_frames_go_into_other_codecs(stored: str, target: str) -> None:
    image = IMAGES["rgb8"]
    first = transcode(native(image), NATIVE, image, stored)
    if target == stored:
        assert target not in targets(stored, first.image)
        return
    second = transcode(first.data, stored, first.image, target)
    assert decode_frame(second.data, target, second.image).array.tobytes() == native(image)


def test_what_a_component_transform_makes_is_called_so_and_comes_back_as_rgb() -> None:
    image = IMAGES["rgb8"]
    for target in ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"):
        made = transcode(native(image), NATIVE, image, target)
        assert made.image.photometric_interpretation == "YBR_RCT"
        back = transcode(made.data, target, made.image, NATIVE)
        assert back.image.photometric_interpretation == "RGB"
        assert back.data == native(image)


def test_rle_is_read_by_pydicom_row_by_row() -> None:
    from pydicom.pixels.decoders.rle import _rle_decode_frame

    image = IMAGES["rgb16"]
    made = transcode(native(image), NATIVE, image, RLE)
    planes = _rle_decode_frame(made.data, ROWS, COLUMNS, 3, 16)
    array = np.frombuffer(planes, "<u2").reshape(3, ROWS, COLUMNS).transpose(1, 2, 0)
    assert array.tobytes() == native(image)


def test_baseline_jpeg_comes_close_and_is_for_eight_bits() -> None:
    image = IMAGES["rgb8"]
    array = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    array[:] = (200, 100, 50)
    made = transcode(array.tobytes(), NATIVE, image, JPEG_BASELINE)
    assert made.image.photometric_interpretation == "YBR_FULL_422"
    back = decode_frame(made.data, JPEG_BASELINE, made.image, to_rgb=True).array
    assert np.abs(back.astype(int) - array).max() <= 3
    for name in ("grey16", "palette8", "signed12"):
        assert JPEG_BASELINE not in targets(NATIVE, IMAGES[name])


def test_one_bit_frames_are_packed_again() -> None:
    image = replace(IMAGES["grey8"], bits_allocated=1, bits_stored=1, high_bit=0)
    bits = np.random.default_rng(3).integers(0, 2, ROWS * COLUMNS, dtype=np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    assert transcode(data, NATIVE, image, NATIVE).data == data
    assert targets(RLE, image) == (NATIVE,)


def test_what_is_lossy_is_decoded_and_never_made_lossless() -> None:
    image = IMAGES["grey8"]
    lossy = transcode(native(image), NATIVE, image, JPEG_BASELINE)
    assert targets(JPEG_BASELINE, image) == (NATIVE,)
    assert len(transcode(lossy.data, JPEG_BASELINE, image, NATIVE).data) == image.frame_length
    with pytest.raises(Unsupported, match="not brought into JPEG-LS"):
        transcode(lossy.data, JPEG_BASELINE, image, "1.2.840.10008.1.2.4.80")


def test_video_floats_and_unknown_syntaxes_go_into_no_codec() -> None:
    assert targets(MPEG, IMAGES["grey8"]) == ()
    assert targets("1.2.3", IMAGES["grey8"]) == ()
    assert targets(RLE, replace(IMAGES["grey16"], kind=SampleKind.FLOAT32)) == (NATIVE,)


def test_a_codestream_with_wider_samples_than_the_data_set_says_stays_as_it_is() -> None:
    wide = transcode(native(IMAGES["grey16"]), NATIVE, IMAGES["grey16"], "1.2.840.10008.1.2.4.90")
    with pytest.raises(Unsupported, match="samples of 16 bits"):
        transcode(wide.data, "1.2.840.10008.1.2.4.90", IMAGES["grey8"], NATIVE)


def test_damaged_data_are_broken() -> None:
    image = IMAGES["grey16"]
    data = transcode(native(image), NATIVE, image, "1.2.840.10008.1.2.4.80").data
    with pytest.raises(BrokenDicom):
        transcode(data[: len(data) // 2], "1.2.840.10008.1.2.4.80", image, NATIVE)


def test_bits_in_use_above_bits_stored_keep_a_frame_out_of_codecs_that_would_lose_them() -> None:
    image = IMAGES["grey12"]
    data = np.full((ROWS, COLUMNS), 0xF123, "<u2").tobytes()
    for target in LOSSLESS_TARGETS:
        try:
            made = transcode(data, NATIVE, image, target)
        except Unsupported:
            continue
        assert transcode(made.data, target, image, NATIVE).data == data


@pytest.mark.parametrize(
    ("syntax", "media_type"),
    [(NATIVE, "application/octet-stream"), (RLE, "image/dicom-rle"), ("1.2.3", "application/octet-stream")],
)
def test_a_transfer_syntax_has_a_media_type(syntax: str, media_type: str) -> None:
    assert media_type_of(syntax) == media_type
