from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.jpeg2000 import mended, structure
from staticwado.dicom.pixels import image_pixel
from staticwado.errors import BrokenDicom, Unsupported
from tests.dicom import images
from tests.dicom.images import image_dataset

ROWS, COLUMNS = 35, 50
DEEP = (np.arange(ROWS)[:, None] * 57 + np.arange(COLUMNS)[None, :] * 19).astype(np.uint16)
IMAGE = image_pixel(image_dataset(ROWS, COLUMNS))


def in_tile_parts(data: bytes, of: int) -> bytes:
    """A codestream of one tile whose only tile-part says that the tile has `of` of them."""
    place = data.index(b"\xff\x90")
    return data[: place + 11] + bytes((of,)) + data[place + 12 :]


CODERS_2000 = {images.JPEG_2000: images.jpeg_2000, images.HTJ2K: images.htj2k}


@pytest.mark.parametrize("syntax", CODERS_2000)
def test_a_comment_between_the_last_tile_part_and_the_end_is_left_out(syntax: str) -> None:
    data = in_tile_parts(CODERS_2000[syntax](DEEP), 1).removesuffix(b"\xff\xd9")
    padded = data + b"\xff\x64\x00\x0b\x00\x01PADDING\xff\xd9"
    assert np.array_equal(decode_frame(padded, syntax, IMAGE).array, DEEP)


@pytest.mark.parametrize("syntax", CODERS_2000)
def test_a_codestream_without_all_its_tile_parts_is_broken(syntax: str) -> None:
    data = in_tile_parts(CODERS_2000[syntax](DEEP), 2)
    with pytest.raises(BrokenDicom, match="1 of the 2 tile-parts of tile 0"):
        decode_frame(data, syntax, IMAGE)


def with_precincts(data: bytes, size: int) -> bytes:
    """A codestream whose COD segment cuts every resolution into precincts of 2**size on each side."""
    place = data.index(b"\xff\x52")
    length, levels = int.from_bytes(data[place + 2 : place + 4]), data[place + 9]
    head = (length + levels + 1).to_bytes(2) + bytes((data[place + 4] | 1,))
    precincts = bytes((size * 17,)) * (levels + 1)
    end = place + 2 + length
    return data[: place + 2] + head + data[place + 5 : end] + precincts + data[end:]


@pytest.mark.parametrize("syntax", CODERS_2000)
def test_a_codestream_cut_into_tiny_precincts_is_refused_before_it_is_decoded(syntax: str) -> None:
    """OpenJPEG takes 550 MB for a million pixels in precincts of two by two."""
    flat = np.zeros((1024, 1024), np.uint16)
    data = with_precincts(CODERS_2000[syntax](flat), 1)
    with pytest.raises(Unsupported, match="cut so small"):
        decode_frame(data, syntax, image_pixel(image_dataset(1024, 1024)))


@pytest.mark.parametrize("syntax", CODERS_2000)
def test_a_codestream_of_tiles_without_size_or_of_missing_tiles_is_broken(syntax: str) -> None:
    data = CODERS_2000[syntax](DEEP)
    with pytest.raises(BrokenDicom, match="tiles without size"):
        decode_frame(data[:24] + bytes(8) + data[32:], syntax, IMAGE)
    with pytest.raises(BrokenDicom, match="1 of its 1750 tiles"):
        decode_frame(data[:24] + (1).to_bytes(4) * 2 + data[32:], syntax, IMAGE)


def test_a_codestream_of_endless_coding_styles_is_broken() -> None:
    """Each of them is weighed, so that many different ones would take long."""
    data = images.jpeg_2000(DEEP)
    place = data.index(b"\xff\x52")
    end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
    style = data[place:end]
    styles = b"".join(
        style[:9] + bytes((levels, width, height)) + style[12:]
        for levels in range(9)
        for width in range(9)
        for height in range(9)
    )
    with pytest.raises(BrokenDicom, match="more than 256 coding styles"):
        decode_frame(data[:place] + styles + data[place:], images.JPEG_2000, IMAGE)


TILED = DEEP[:32, :48]
TILED_IMAGE = image_pixel(image_dataset(32, 48))


def in_tiles(array: NDArray[np.uint16], side: int = 16) -> bytes:
    """A codestream in square tiles, put together from those of each: every subband begins anew there."""
    tiles = [
        images.jpeg_2000(np.ascontiguousarray(array[top : top + side, left : left + side]), resolutions=3)
        for top in range(0, array.shape[0], side)
        for left in range(0, array.shape[1], side)
    ]
    start = tiles[0].index(b"\xff\x90")
    extent = array.shape[1].to_bytes(4) + array.shape[0].to_bytes(4)
    parts = [
        tile[start : start + 4] + number.to_bytes(2) + tile[start + 6 : -2]
        for number, tile in enumerate(tiles)
    ]
    head: bytes = tiles[0][:8] + extent + tiles[0][16:start]
    return head + b"".join(parts) + b"\xff\xd9"


def test_a_codestream_of_many_tiles_is_decoded() -> None:
    data = in_tiles(TILED)
    found = structure(data)
    assert (found.tiles, len(found.tile_parts)) == (6, 6)
    assert np.array_equal(decode_frame(data, images.JPEG_2000, TILED_IMAGE).array, TILED)


def test_a_codestream_without_one_of_its_tiles_is_broken() -> None:
    data = in_tiles(TILED)
    last = data.rindex(b"\xff\x90\x00\x0a")
    with pytest.raises(BrokenDicom, match="5 of its 6 tiles"):
        decode_frame(data[:last] + b"\xff\xd9", images.JPEG_2000, TILED_IMAGE)


CODED = [coder(array) for coder in CODERS_2000.values() for array in (DEEP, DEEP.astype(np.int16))]


@given(
    data=st.sampled_from(CODED),
    changes=st.lists(st.tuples(st.integers(2, 250), st.integers(0, 255)), max_size=8),
    cut=st.integers(43, 4000),
)
def test_reading_the_structure_never_does_worse_than_fail(
    data: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    changed = bytearray(data)
    for place, value in changes:
        changed[place] = value
    with suppress(BrokenDicom):
        found = structure(bytes(changed[:cut]))
        assert found.tile_parts
        assert found.bookkeeping > 0
        assert mended(bytes(changed[:cut]), found).startswith(b"\xff\x4f")


@pytest.mark.parametrize("data", CODED)
def test_a_whole_codestream_is_left_as_it_is(data: bytes) -> None:
    assert mended(data, structure(data)) == data
