import numpy as np
import pytest

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel
from staticwado.errors import BrokenDicom, Unsupported
from tests.dicom import images
from tests.dicom.images import image_dataset, rle_frame

ROWS, COLUMNS = 35, 50
RAMP = (np.arange(ROWS)[:, None] * 3 + np.arange(COLUMNS)[None, :]).astype(np.uint8)
COLOUR = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 60)], axis=-1)


def grey_image(allocated: int = 8) -> ImagePixel:
    return image_pixel(image_dataset(ROWS, COLUMNS, allocated=allocated))


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


def test_rle_needs_as_many_segments_as_bytes_in_a_pixel() -> None:
    with pytest.raises(BrokenDicom, match="1 segments where the data set needs 2"):
        decode_frame(rle_frame(RAMP.tobytes()), images.RLE, grey_image(16))


def test_run_lengths_that_go_on_past_the_frame_are_refused() -> None:
    runs = b"\x81\0" * 10_000
    data = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + runs
    with pytest.raises(BrokenDicom):
        decode_frame(data, images.RLE, grey_image())


def test_a_little_more_than_a_segment_needs_is_left_out() -> None:
    data = rle_frame(RAMP.tobytes() + bytes(3))
    assert np.array_equal(decode_frame(data, images.RLE, grey_image()).array, RAMP)


@pytest.mark.parametrize("allocated", [2, 12, 24])
def test_bits_allocated_that_are_no_bytes_are_named(allocated: int) -> None:
    with pytest.raises(Unsupported, match=f"Bits Allocated .* {allocated}"):
        decode_frame(rle_frame(RAMP.tobytes()), images.RLE, grey_image(allocated))


@pytest.mark.parametrize("place", [0, 63, 10_000, 0xFFFFFFFF])
def test_a_segment_out_of_place_is_broken(place: int) -> None:
    data = rle_frame(RAMP.tobytes())
    with pytest.raises(BrokenDicom, match="segment 1"):
        decode_frame(data[:4] + place.to_bytes(4, "little") + data[8:], images.RLE, grey_image())
