import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel, stored_values
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported
from tests.dicom import images
from tests.dicom.images import image_dataset, rle_frame

Array = NDArray[Any]

ROWS, COLUMNS = 35, 50
RAMP = (np.arange(ROWS)[:, None] * 3 + np.arange(COLUMNS)[None, :]).astype(np.uint8)
DEEP = RAMP.astype(np.uint16) * 19
COLOUR = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 60)], axis=-1)


def grey_image(allocated: int = 8, **more: Any) -> ImagePixel:
    return image_pixel(image_dataset(ROWS, COLUMNS, allocated=allocated, **more))


def colour_image(photometric: str = "RGB", **more: Any) -> ImagePixel:
    return image_pixel(image_dataset(ROWS, COLUMNS, photometric, samples=3, allocated=8, **more))


LOSSLESS: dict[str, Callable[[Array], bytes]] = {
    images.NATIVE: lambda array: array.tobytes(),
    images.DEFLATED_FRAMES: lambda array: zlib.compress(array.tobytes(), wbits=-15),
    images.JPEG_LOSSLESS: lambda array: images.jpeg_lossless(array, bitspersample=12),
    images.JPEG_LS: images.jpeg_ls,
    images.JPEG_2000: images.jpeg_2000,
    images.JPEG_XL: lambda array: images.jpeg_xl(array, bitspersample=12),
    images.HTJ2K: images.htj2k,
    images.RLE: lambda array: rle_frame(
        (array >> 8).astype(np.uint8).tobytes(), array.astype(np.uint8).tobytes()
    ),
}


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0\0"])
def test_what_went_in_comes_out(syntax: str, padding: bytes) -> None:
    decoded = decode_frame(LOSSLESS[syntax](DEEP) + padding, syntax, grey_image(16, stored=12))
    assert np.array_equal(decoded.array, DEEP)
    assert decoded.array.dtype == np.uint16
    assert decoded.photometric_interpretation == "MONOCHROME2"


COLOUR_CODERS: dict[str, Callable[[Array], bytes]] = {
    images.JPEG_LOSSLESS: lambda array: images.jpeg_lossless(array, colorspace="RGB", outcolorspace="RGB"),
    images.JPEG_LS: images.jpeg_ls,
    images.JPEG_2000: lambda array: images.jpeg_2000(array, mct=True),
    images.HTJ2K: images.htj2k,
    images.JPEG_XL: images.jpeg_xl,
    images.RLE: lambda array: rle_frame(*(array[..., index].tobytes() for index in range(3))),
}


@pytest.mark.parametrize("syntax", COLOUR_CODERS)
def test_colour_comes_out_pixel_by_pixel_whatever_planar_configuration_says(syntax: str) -> None:
    decoded = decode_frame(COLOUR_CODERS[syntax](COLOUR), syntax, colour_image(planar=1))
    assert np.array_equal(decoded.array, COLOUR)
    assert decoded.photometric_interpretation == "RGB"
    assert decoded.image.planar_configuration == 0


@pytest.mark.parametrize("photometric", ["YBR_RCT", "YBR_ICT", "RGB"])
def test_jpeg_2000_undoes_its_own_component_transformation(photometric: str) -> None:
    decoded = decode_frame(images.jpeg_2000(COLOUR, mct=True), images.JPEG_2000, colour_image(photometric))
    assert decoded.photometric_interpretation == "RGB"


def test_jpeg_2000_without_a_component_transformation_is_what_the_data_set_says() -> None:
    decoded = decode_frame(images.jpeg_2000(COLOUR, mct=False), images.JPEG_2000, colour_image("YBR_FULL"))
    assert decoded.photometric_interpretation == "YBR_FULL"
    assert np.array_equal(decoded.array, COLOUR)


def test_jpeg_2000_in_boxes_is_decoded() -> None:
    data = images.jpeg_2000(DEEP, "jp2")
    assert np.array_equal(decode_frame(data, images.JPEG_2000, grey_image(16)).array, DEEP)


def test_signed_samples_keep_their_sign() -> None:
    signed = DEEP.astype(np.int16) - 2000
    for syntax, coder in ((images.JPEG_2000, images.jpeg_2000), (images.HTJ2K, images.htj2k)):
        decoded = decode_frame(coder(signed), syntax, grey_image(16, signed=True))
        assert np.array_equal(decoded.array, signed)


def test_the_codestream_knows_better_whether_samples_have_a_sign() -> None:
    signed = DEEP.astype(np.int16) - 2000
    decoded = decode_frame(images.jpeg_2000(signed), images.JPEG_2000, grey_image(16))
    assert decoded.image.pixel_representation == 1
    assert np.array_equal(stored_values(decoded.array, decoded.image), signed)


def test_unsigned_samples_of_a_signed_image_get_their_sign_from_the_stored_bits() -> None:
    signed = DEEP.astype(np.int16) - 2000
    data = images.jpeg_ls((signed & 0xFFF).astype(np.uint16))
    decoded = decode_frame(data, images.JPEG_LS, grey_image(16, stored=12, signed=True))
    assert np.array_equal(stored_values(decoded.array, decoded.image), signed)


def test_eight_bit_samples_fill_sixteen_bit_cells() -> None:
    decoded = decode_frame(images.jpeg_ls(RAMP), images.JPEG_LS, grey_image(16, stored=8))
    assert decoded.array.dtype == np.uint16
    assert np.array_equal(decoded.array, RAMP)


def test_lossy_jpeg_comes_as_its_components_or_as_rgb() -> None:
    data = images.jpeg(COLOUR, 98, subsampling="444")
    image = colour_image("YBR_FULL_422")
    as_stored = decode_frame(data, images.JPEG, image)
    assert as_stored.photometric_interpretation == "YBR_FULL"
    as_rgb = decode_frame(data, images.JPEG, image, to_rgb=True)
    assert as_rgb.photometric_interpretation == "RGB"
    assert np.abs(as_rgb.array.astype(int) - COLOUR).max() <= 6
    assert np.abs(as_stored.array.astype(int) - COLOUR).max() > 50


def test_a_jpeg_of_rgb_components_is_not_transformed() -> None:
    data = images.jpeg(COLOUR, 98, colorspace="RGB", outcolorspace="RGB")
    decoded = decode_frame(data, images.JPEG, colour_image("RGB"), to_rgb=True)
    assert decoded.photometric_interpretation == "RGB"
    assert np.abs(decoded.array.astype(int) - COLOUR).max() <= 6


def test_a_jpeg_of_ycc_components_is_transformed_though_the_data_set_says_rgb() -> None:
    data = images.jpeg(COLOUR, 98, subsampling="444")
    assert b"JFIF" in data[:30]
    decoded = decode_frame(data, images.JPEG, colour_image("RGB"), to_rgb=True)
    assert np.abs(decoded.array.astype(int) - COLOUR).max() <= 6
    assert decode_frame(data, images.JPEG, colour_image("RGB")).photometric_interpretation == "YBR_FULL"


def test_native_halved_chrominance_is_full_once_decoded() -> None:
    image = image_pixel(image_dataset(1, 2, "YBR_FULL_422", samples=3, allocated=8))
    decoded = decode_frame(b"\1\2\3\4", images.NATIVE, image)
    assert decoded.photometric_interpretation == "YBR_FULL"
    assert decoded.array.tolist() == [[[1, 3, 4], [2, 3, 4]]]


def test_floating_point_pixels_are_native_only() -> None:
    dataset = image_dataset(1, 2, allocated=32)
    dataset["7FE00008"] = dataset.pop("7FE00010")
    image = image_pixel(dataset)
    numbers = np.array([[0.5, -1.5]], "<f4")
    assert np.array_equal(decode_frame(numbers.tobytes(), images.NATIVE, image).array, numbers)
    with pytest.raises(Unsupported, match="Float Pixel Data"):
        decode_frame(b"\xff\xd8", images.JPEG, image)


@pytest.mark.parametrize("syntax", [uid for uid, syntax in TRANSFER_SYNTAXES.items() if syntax.video])
def test_video_is_not_decoded(syntax: str) -> None:
    with pytest.raises(Unsupported, match="video"):
        decode_frame(b"\0\0\1", syntax, grey_image())


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "", "1.2.840.10008.1.2.4.94"])
def test_unknown_transfer_syntaxes_are_named(syntax: str) -> None:
    with pytest.raises(Unsupported, match=f"transfer syntax {syntax}"):
        decode_frame(b"\0", syntax, grey_image())


STILL = [uid for uid, syntax in TRANSFER_SYNTAXES.items() if not syntax.video]


@pytest.mark.parametrize("syntax", STILL)
def test_an_empty_frame_is_broken(syntax: str) -> None:
    with pytest.raises(BrokenDicom, match="empty"):
        decode_frame(b"", syntax, grey_image())


@pytest.mark.parametrize("syntax", STILL)
def test_a_frame_that_would_be_too_large_is_refused_before_it_is_decoded(syntax: str) -> None:
    image = image_pixel(image_dataset(65535, 65535))
    with pytest.raises(Unsupported, match="Rows 65535"):
        decode_frame(b"few bytes", syntax, image)


@pytest.mark.parametrize("syntax", [images.RLE, images.DEFLATED_FRAMES])
def test_few_bytes_are_not_taken_for_a_large_frame(syntax: str) -> None:
    image = image_pixel(image_dataset(8192, 8192))
    with pytest.raises(BrokenDicom, match="cannot hold"):
        decode_frame(
            (1).to_bytes(4, "little") * 30, syntax, image_pixel(image_dataset(8192, 8192, allocated=8))
        )
    with pytest.raises(BrokenDicom):
        decode_frame(b"\2" + b"\0" * 100, syntax, image)


@pytest.mark.parametrize("syntax", [uid for uid in LOSSLESS if uid not in (images.NATIVE, images.RLE)])
def test_a_codestream_of_another_size_is_broken(syntax: str) -> None:
    image = image_pixel(image_dataset(ROWS + 1, COLUMNS, stored=12))
    with pytest.raises(BrokenDicom):
        decode_frame(LOSSLESS[syntax](DEEP), syntax, image)


def test_a_codestream_with_another_number_of_components_is_broken() -> None:
    data = images.jpeg(COLOUR)
    with pytest.raises(BrokenDicom, match="3 components"):
        decode_frame(data, images.JPEG, grey_image())


def test_a_deflated_frame_never_grows_past_its_size() -> None:
    image = grey_image()
    bomb = zlib.compress(bytes(50_000_000), wbits=-15)
    assert decode_frame(bomb, images.DEFLATED_FRAMES, image).array.shape == (ROWS, COLUMNS)


def test_a_jpeg_ls_codestream_that_ends_too_early_is_broken_at_once() -> None:
    # Without the marker that decode_frame adds, CharLS searches for seconds.
    noise = np.random.default_rng(1).integers(0, 4096, (400, 400)).astype(np.uint16)
    data = images.jpeg_ls(noise)
    with pytest.raises(BrokenDicom):
        decode_frame(data[: len(data) // 2], images.JPEG_LS, image_pixel(image_dataset(400, 400, stored=12)))


def test_a_jpeg_ls_codestream_without_its_last_marker_is_decoded() -> None:
    data = images.jpeg_ls(DEEP).removesuffix(b"\xff\xd9")
    assert np.array_equal(decode_frame(data, images.JPEG_LS, grey_image(16, stored=12)).array, DEEP)


NOISE = np.random.default_rng(3).integers(0, 4096, (64, 64)).astype(np.uint16)
NOISE_IMAGE = image_pixel(image_dataset(64, 64, stored=12))
NOISE_8 = image_pixel(image_dataset(64, 64, allocated=8))


@pytest.mark.parametrize("kept", [0.4, 0.7, 0.95])
@pytest.mark.parametrize("syntax", [uid for uid in LOSSLESS if uid != images.NATIVE])
def test_a_frame_that_ends_too_early_is_broken(syntax: str, kept: float) -> None:
    data = LOSSLESS[syntax](NOISE)
    with pytest.raises(BrokenDicom):
        decode_frame(data[: int(kept * len(data))], syntax, NOISE_IMAGE)


@pytest.mark.parametrize("kept", [0.4, 0.7, 0.95])
def test_a_lossy_jpeg_that_ends_too_early_is_broken(kept: float) -> None:
    data = images.jpeg((NOISE >> 4).astype(np.uint8))
    with pytest.raises(BrokenDicom, match="cut"):
        decode_frame(data[: int(kept * len(data))], images.JPEG, NOISE_8)


@pytest.mark.parametrize("coder", [images.jpeg, images.jpeg_lossless])
def test_a_jpeg_without_its_last_marker_is_decoded(coder: Callable[[Array], bytes]) -> None:
    data = coder(RAMP)
    whole = decode_frame(data, images.JPEG, grey_image()).array
    shorter = data.removesuffix(b"\xff\xd9")
    assert len(shorter) == len(data) - 2
    assert np.array_equal(decode_frame(shorter, images.JPEG, grey_image()).array, whole)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = images.jpeg(RAMP)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(Unsupported, match="201 scans"):
        decode_frame(data[:-2] + scan * 200 + b"\xff\xd9", images.JPEG, grey_image())


def test_a_jpeg_xl_of_more_channels_than_the_data_set_says_is_refused_before_it_is_decoded() -> None:
    channels = np.zeros((9, ROWS, COLUMNS), np.uint8)
    data = images.jpeg_xl(channels, photometric="gray", planar=True)
    with pytest.raises(BrokenDicom, match=r"out\.shape"):
        decode_frame(data, images.JPEG_XL, grey_image())


def test_a_jpeg_xl_of_eight_bits_fills_sixteen_bit_cells() -> None:
    decoded = decode_frame(images.jpeg_xl(RAMP), images.JPEG_XL, grey_image(16, stored=8))
    assert decoded.array.dtype == np.uint16
    assert np.array_equal(decoded.array, RAMP)


def test_a_jpeg_xl_of_several_frames_is_refused() -> None:
    data = images.jpeg_xl(np.stack([RAMP] * 4))
    with pytest.raises(BrokenDicom, match=r"out\.shape"):
        decode_frame(data, images.JPEG_XL, grey_image())


@pytest.mark.parametrize("syntax", [images.JPEG_LS, images.JPEG_LOSSLESS, images.JPEG_2000, images.HTJ2K])
def test_a_precision_that_contradicts_bits_stored_is_that_of_the_codestream(syntax: str) -> None:
    """Sixteen bits coded, ten stored, and the other way round: the samples are what was coded."""
    wide = (DEEP * 15).astype(np.uint16)
    coders: dict[str, Callable[[Array], bytes]] = {**LOSSLESS, images.JPEG_LOSSLESS: images.jpeg_lossless}
    decoded = decode_frame(coders[syntax](wide), syntax, grey_image(16, stored=10))
    assert np.array_equal(decoded.array, wide)
    decoded = decode_frame(coders[syntax](RAMP), syntax, grey_image(16, stored=16))
    assert np.array_equal(decoded.array, RAMP)


def test_samples_wider_than_bits_allocated_are_kept_whole() -> None:
    decoded = decode_frame(images.jpeg_ls(DEEP), images.JPEG_LS, grey_image(8))
    assert decoded.array.dtype == np.uint16
    assert np.array_equal(decoded.array, DEEP)


@pytest.mark.parametrize("precision", [0, 64, 200])
def test_a_jpeg_of_an_impossible_precision_is_broken(precision: int) -> None:
    data = bytearray(images.jpeg(RAMP))
    data[data.index(b"\xff\xc0") + 4] = precision
    with pytest.raises(BrokenDicom):
        decode_frame(bytes(data), images.JPEG, grey_image())


CODED = {syntax: coder(DEEP) for syntax, coder in LOSSLESS.items()}
CODED[images.JPEG_12_BIT] = images.jpeg(DEEP, 80, bitspersample=12)


@pytest.mark.parametrize("syntax", CODED)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
)
def test_damage_never_does_worse_than_fail(syntax: str, cut: float, changes: list[tuple[float, int]]) -> None:
    data = bytearray(CODED[syntax])
    for place, value in changes:
        data[int(place * place * len(data))] = value
    image = grey_image(16, stored=12)
    with suppress(StaticWadoError):
        decoded = decode_frame(bytes(data[: int(cut * len(data)) + 1]), syntax, image, limit=1 << 24)
        assert decoded.array.shape == (ROWS, COLUMNS)
