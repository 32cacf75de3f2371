import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.codecs import Decoded, decode_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel, stored_values
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported
from tests.dicom import images
from tests.dicom.images import image_dataset
from tests.truth.corpus import read_corpus
from tests.truth.frames import expected_frames
from tests.truth.model import model_of
from tests.truth.part10 import Unreadable, read_path

Array = NDArray[Any]

ROWS, COLUMNS = 35, 50
RAMP = (np.arange(ROWS)[:, None] * 3 + np.arange(COLUMNS)[None, :]).astype(np.uint8)
DEEP = RAMP.astype(np.uint16) * 19
COLOUR = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 60)], axis=-1)


def grey_image(allocated: int = 8, **more: Any) -> ImagePixel:
    return image_pixel(image_dataset(ROWS, COLUMNS, allocated=allocated, **more))


def colour_image(photometric: str = "RGB", **more: Any) -> ImagePixel:
    return image_pixel(image_dataset(ROWS, COLUMNS, photometric, samples=3, allocated=8, **more))


def packbits(data: bytes) -> bytes:
    """Literal runs only, and one run of repeats at the end to have both."""
    head, last = data[:-1], data[-1:]
    runs = [head[place : place + 128] for place in range(0, len(head), 128)]
    return b"".join(bytes((len(run) - 1,)) + run for run in runs) + b"\x00" + last


def rle_frame(*planes: bytes) -> bytes:
    segments = [packbits(plane) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    header = b"".join(number.to_bytes(4, "little") for number in (len(segments), *offsets))
    return header.ljust(64, b"\0") + b"".join(segments)


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


def test_sixteen_and_thirty_two_bit_colour_in_rle() -> None:
    wide = COLOUR.astype(np.uint32) * 0x01020304
    image = image_pixel(image_dataset(ROWS, COLUMNS, "RGB", samples=3, allocated=32))
    planes = [
        (wide[..., c] >> shift).astype(np.uint8).tobytes() for c in range(3) for shift in (24, 16, 8, 0)
    ]
    assert np.array_equal(decode_frame(rle_frame(*planes), images.RLE, image).array, wide)


def test_one_bit_pixels_in_rle_are_eight_to_a_byte() -> None:
    mask = RAMP % 3 == 0
    data = rle_frame(np.packbits(mask, bitorder="little").tobytes())
    assert np.array_equal(decode_frame(data, images.RLE, grey_image(1)).array, mask)


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


def test_rle_needs_as_many_segments_as_bytes_in_a_pixel() -> None:
    with pytest.raises(BrokenDicom, match="1 segments where the data set needs 2"):
        decode_frame(rle_frame(RAMP.tobytes()), images.RLE, grey_image(16))


def test_a_jpeg_ls_codestream_that_ends_too_early_is_broken_at_once() -> None:
    # Without the marker that decode_frame adds, CharLS searches for seconds.
    noise = np.random.default_rng(1).integers(0, 4096, (400, 400)).astype(np.uint16)
    data = images.jpeg_ls(noise)
    with pytest.raises(BrokenDicom):
        decode_frame(data[: len(data) // 2], images.JPEG_LS, image_pixel(image_dataset(400, 400, stored=12)))


def test_a_jpeg_ls_codestream_without_its_last_marker_is_decoded() -> None:
    data = images.jpeg_ls(DEEP).removesuffix(b"\xff\xd9")
    assert np.array_equal(decode_frame(data, images.JPEG_LS, grey_image(16, stored=12)).array, DEEP)


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


# -- the corpus --------------------------------------------------------------------------------------

HALF_SWAPPED = ("rtdose_expb.dcm", "rtdose_expb_1frame.dcm")
"""32-bit pixels of big endian OW: GDCM and DCMTK swap the bytes of each 16-bit word and so put the halves of
each pixel the wrong way round; pydicom swaps whole cells, and its numbers are those of the little endian
twin."""

UNDECODABLE = ("JPEG2000-embedded-sequence-delimiter.dcm", "966.dcm")
"""A codestream whose SIZ was overwritten on purpose; one that was cut and padded. No decoder takes them."""


def agreed(row: dict[str, Any]) -> dict[int, set[str]]:
    """For each frame, the MD5s on which two decoders agree, or that of the only one that decoded it."""
    decoders = [found.get("frame_md5") or [] for found in (row.get("decode") or {}).values()]
    result: dict[int, set[str]] = {}
    for index in range(max(map(len, decoders), default=0)):
        sums = [found[index] for found in decoders if index < len(found)]
        result[index] = {one for one in sums if sums.count(one) > 1 or len(sums) == 1}
    return result


def forms(decoded: Decoded, frame: bytes, image: ImagePixel) -> Iterator[str]:
    """MD5s of all ways to write the same pixels: cells or values, by pixel or by plane, 4:2:2 as it came."""
    for array in (decoded.array, stored_values(decoded.array, decoded.image)):
        yield hashlib.md5(array.tobytes()).hexdigest()
        if array.ndim == 3:
            yield hashlib.md5(array.transpose(2, 0, 1).tobytes()).hexdigest()
    if image.photometric_interpretation == "YBR_FULL_422":
        yield hashlib.md5(frame[: image.frame_length]).hexdigest()


def checked(path: Path, row: dict[str, Any]) -> tuple[int, list[str]]:
    """How many frames of a file equal what two decoders agree on, and the names of those that don't."""
    dataset = read_path(path)
    wanted, expected = agreed(row), expected_frames(dataset)
    if expected is None:
        return 0, []
    image = image_pixel(model_of(dataset))
    equal, wrong = 0, []
    for index, frame in enumerate(expected.frames):
        decoded = decode_frame(frame.data, expected.syntax, image)
        if sums := wanted.get(index):
            if sums & set(forms(decoded, frame.data, image)):
                equal += 1
            else:
                wrong.append(f"{path.name} frame {index + 1}")
    return equal, wrong


@pytest.mark.parametrize("syntax", STILL)
def test_frames_of_real_files_are_what_two_decoders_agree_on(syntax: str, testdata: Path) -> None:
    corpus = read_corpus(testdata)
    total, faults = 0, []
    for path in (*corpus.valid, *corpus.variants):
        row = corpus.rows.get(path, {})
        if row.get("TransferSyntaxUID") != syntax or not row.get("decode") or path.name in HALF_SWAPPED:
            continue
        try:
            equal, wrong = checked(path, row)
        except (StaticWadoError, Unreadable) as error:
            if path.name not in UNDECODABLE:
                faults.append(f"{path.name}: {error}")
            continue
        total += equal
        faults += wrong
    assert not faults
    print(f"{TRANSFER_SYNTAXES[syntax].name}: {total} frames equal")
