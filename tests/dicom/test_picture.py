import io
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from staticwado.dicom.gif import gif, indexed
from staticwado.dicom.picture import PICTURE_TYPES, encode_picture
from staticwado.dicom.profile import ColourProfile, made_profile
from staticwado.errors import Unsupported

Array = NDArray[Any]
GREY = (np.add.outer(np.arange(60), np.arange(80)) * 255 // 138).astype(np.uint8)
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
MANY = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
SRGB = made_profile(ColourProfile.SRGB)


@pytest.mark.parametrize("shown", [GREY, RGB], ids=["grey", "rgb"])
def test_png_and_jp2_are_exact(shown: Array) -> None:
    assert (imagecodecs.png_decode(encode_picture([shown], "image/png")) == shown).all()
    assert (imagecodecs.jpeg2k_decode(encode_picture([shown], "image/jp2", 100)) == shown).all()


@pytest.mark.parametrize("shown", [GREY, RGB], ids=["grey", "rgb"])
@pytest.mark.parametrize("quality", [1, 50, 90, 95, 100])
def test_v01_jpeg_is_baseline_and_close(shown: Array, quality: int) -> None:
    data = encode_picture([shown], "image/jpeg", quality)
    assert data.startswith(b"\xff\xd8")
    assert b"\xff\xc0" in data, "not a baseline JPEG"
    found = imagecodecs.jpeg8_decode(data)
    assert found.shape == shown.shape
    if quality >= 90:
        assert np.abs(found.astype(int) - shown).max() <= 12


def test_v04_better_quality_is_more_bytes() -> None:
    sizes = [len(encode_picture([MANY], "image/jpeg", quality)) for quality in (1, 40, 90, 100)]
    assert sizes == sorted(set(sizes))


def test_pictures_are_the_same_bytes_every_time() -> None:
    for media_type in PICTURE_TYPES:
        first, second = (encode_picture([RGB], media_type, 80) for _ in range(2))
        assert first == second


@pytest.mark.parametrize("shown", [GREY[:1, :1], GREY[:1], GREY[:, :1], RGB[:1, :1], RGB[:2, :3]])
def test_pictures_may_be_as_small_as_a_pixel(shown: Array) -> None:
    for media_type in PICTURE_TYPES:
        assert encode_picture([shown], media_type, 100)
    assert (imagecodecs.png_decode(encode_picture([shown], "image/png")) == shown).all()


def gif_frames(data: bytes) -> Array:
    result: Array = imagecodecs.gif_decode(data)
    return result if result.ndim == 4 else result[None]


@pytest.mark.parametrize("media_type", PICTURE_TYPES)
@pytest.mark.parametrize("samples", [(), (3,)], ids=["grey", "rgb"])
def test_noise_that_gets_larger_is_written_whole(media_type: str, samples: tuple[int, ...]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (300, 400, *samples), np.uint8)
    data = encode_picture([noise], media_type, 100)
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image.convert("RGB" if samples else "L"))
    assert found.shape == noise.shape
    if media_type in ("image/png", "image/jp2") or (not samples and media_type == "image/gif"):
        assert (found == noise).all()


def test_grey_and_few_colours_are_exact_in_a_gif() -> None:
    few = RGB // 64 * 64
    for shown in (GREY, few):
        found = gif_frames(encode_picture([shown], "image/gif"))[0]
        assert (found == (shown if shown.ndim == 3 else shown[..., None])).all()


def test_many_colours_are_reduced_to_near_ones() -> None:
    smooth = np.zeros((64, 64, 3), np.uint8)
    smooth[..., 0] = np.arange(64) * 4
    smooth[..., 1] = np.arange(64)[:, None] * 4
    found = gif_frames(encode_picture([smooth], "image/gif"))[0]
    assert np.abs(found.astype(int) - smooth).mean() < 6
    assert np.abs(found.astype(int) - smooth).max() < 40


@pytest.mark.parametrize("first", [GREY, RGB], ids=["grey", "rgb"])
def test_a_gif_of_several_frames_has_them_all_and_their_durations(first: Array) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads the durations")
    shown = [first, 255 - first, first[::-1]]
    with image.open(io.BytesIO(encode_picture(shown, "image/gif", durations=[40, 100, 7]))) as opened:
        assert opened.n_frames == 3
        durations = []
        for index, wanted in enumerate(shown):
            opened.seek(index)
            durations.append(opened.info["duration"])
            found = np.asarray(opened.convert("RGB")).astype(int)
            wanted = wanted if wanted.ndim == 3 else wanted[..., None]
            assert (found == wanted).all()
        assert durations == [40, 100, 20], "less than two hundredths is played slowly"
        assert opened.info["loop"] == 0


def test_a_gif_takes_its_frames_one_at_a_time() -> None:
    alive = 0

    def frames() -> Any:
        nonlocal alive
        for _ in range(3):
            alive += 1
            yield GREY

    pieces = gif(frames())
    next(pieces)
    next(pieces)
    assert alive == 1


@given(st.integers(1, 30), st.integers(1, 30), st.integers(2, 400), st.integers(0, 5))
def test_indexes_and_their_table_are_near_the_colours(rows: int, columns: int, few: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    shown = random.integers(0, 256, (few, 3), np.uint8)[random.integers(0, few, (rows, columns))]
    indexes, table = indexed(shown)
    assert table.shape == (256, 3)
    exact = len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(table[indexes].astype(int) - shown).max() <= (0 if exact else 128)


def test_v08_jpeg_carries_a_profile_of_any_size() -> None:
    large = SRGB + bytes(150_000)
    for profile in (SRGB, large):
        data = encode_picture([RGB], "image/jpeg", 90, profile=profile)
        assert imagecodecs.jpeg8_decode(data).shape == RGB.shape
        parts = [(piece[0], piece[1]) for piece in data.split(b"ICC_PROFILE\0")[1:]]
        assert [number for number, _ in parts] == list(range(1, parts[0][1] + 1))


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_v08_other_programs_find_the_profile(media_type: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads profiles")
    with image.open(io.BytesIO(encode_picture([RGB], media_type, profile=SRGB))) as opened:
        opened.load()
        assert opened.info["icc_profile"] == SRGB


def test_the_chunk_of_the_profile_stands_before_the_pixels() -> None:
    data = encode_picture([RGB], "image/png", profile=SRGB)
    assert data.index(b"iCCP") < data.index(b"IDAT")
    place = data.index(b"iCCP")
    length = int.from_bytes(data[place - 4 : place], "big")
    content = data[place : place + 4 + length]
    assert zlib.crc32(content).to_bytes(4, "big") == data[place + 4 + length : place + 8 + length]


@pytest.mark.parametrize(
    ("arrays", "media_type", "profile", "message"),
    [
        ([GREY, GREY], "image/jpeg", None, "one frame"),
        ([], "image/png", None, "no frame"),
        ([], "image/gif", None, "no frame"),
        ([GREY], "image/webp", None, "cannot be written"),
        ([GREY], "image/gif", SRGB, "no room"),
        ([GREY], "image/jp2", SRGB, "without an ICC profile"),
        ([GREY, GREY[:5]], "image/gif", None, "frame 2"),
        ([np.zeros((1, 70000), np.uint8)], "image/gif", None, "does not fit"),
        ([np.zeros((1, 70000), np.uint8)], "image/jpeg", None, "does not fit"),
        ([RGB], "image/jpeg", bytes(20_000_000), "does not fit"),
    ],
)
def test_what_cannot_be_written_says_why(
    arrays: list[Array], media_type: str, profile: bytes | None, message: str
) -> None:
    with pytest.raises(Unsupported, match=message):
        encode_picture(arrays, media_type, profile=profile)
