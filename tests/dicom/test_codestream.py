from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.codestream import (
    Codestream,
    ColourTransform,
    HighThroughput,
    high_throughput,
    jpeg2000_codestream,
    jpeg_codestream,
    jpegxl_codestream,
)
from staticwado.errors import BrokenDicom
from tests.dicom import images

GREY = np.arange(35 * 50, dtype=np.uint8).reshape(35, 50)
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def frame_header(
    identifiers: bytes = b"\1\2\3", factors: bytes = b"\x11\x11\x11", marker: int = 0xC0
) -> bytes:
    components = b"".join(bytes((name, factor, 0)) for name, factor in zip(identifiers, factors, strict=True))
    return segment(marker, b"\x08\x00\x23\x00\x32" + bytes((len(identifiers),)) + components)


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00" + bytes((transform,)))


JFIF = segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")


def test_a_jpeg_frame_header_gives_size_components_and_precision() -> None:
    found = jpeg_codestream(images.jpeg(GREY))
    assert (found.rows, found.columns, found.components, found.precision) == (35, 50, 1, 8)
    assert not found.lossless


def test_a_jpeg_ls_frame_header_is_read_alike() -> None:
    found = jpeg_codestream(images.jpeg_ls(GREY.astype(np.uint16) * 16))
    assert (found.rows, found.columns, found.components) == (35, 50, 1)


def test_the_lossless_processes_are_told_apart() -> None:
    assert jpeg_codestream(images.jpeg_lossless(GREY)).lossless


@pytest.mark.parametrize(
    ("head", "transform"),
    [
        (frame_header(), ColourTransform.UNKNOWN),
        (frame_header(b"RGB"), ColourTransform.NONE),
        (frame_header(factors=b"\x21\x11\x11"), ColourTransform.YCC),
        (JFIF + frame_header(), ColourTransform.YCC),
        (adobe(0) + frame_header(), ColourTransform.NONE),
        (adobe(1) + frame_header(), ColourTransform.YCC),
        (JFIF + adobe(0) + frame_header(), ColourTransform.NONE),
        (adobe(0) + JFIF + frame_header(), ColourTransform.NONE),
        (segment(0xEE, b"Adobe") + frame_header(), ColourTransform.UNKNOWN),
    ],
)
def test_markers_say_what_the_components_are(head: bytes, transform: ColourTransform) -> None:
    assert jpeg_codestream(b"\xff\xd8" + head) == Codestream(35, 50, 3, 8, transform)


def test_fill_bytes_and_markers_without_content_are_passed_over() -> None:
    data = b"\xff\xd8" + b"\xff\xff\xff" + JFIF[1:] + b"\xff\x01" + frame_header()
    assert jpeg_codestream(data).rows == 35


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9\xff\xd9",
        b"\xff\xd8" + frame_header()[:8],
        b"\xff\xd8" + segment(0xE1, b"x" * 50),
        b"\xff\xd8" + segment(0xDA, b"x" * 50) + frame_header(),
        b"\xff\xd8\xff\xe0\x00\x00" + b"\x00" * 20,
        b"\0\0\0\0\0\0",
    ],
)
def test_a_jpeg_without_a_frame_header_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenDicom, match="JPEG"):
        jpeg_codestream(data)


@pytest.mark.parametrize("codecformat", ["j2k", "jp2"])
@pytest.mark.parametrize("mct", [False, True])
def test_jpeg_2000_is_read_bare_and_in_boxes(codecformat: str, *, mct: bool) -> None:
    data = images.jpeg_2000(RGB, codecformat, mct=mct)
    found = jpeg2000_codestream(data)
    assert (found.rows, found.columns, found.components, found.precision) == (35, 50, 3, 8)
    assert found.transform is (ColourTransform.YCC if mct else ColourTransform.NONE)
    assert data[found.start : found.start + 4] == b"\xff\x4f\xff\x51"
    assert (found.start > 0) == (codecformat == "jp2")
    assert not found.signed


def test_jpeg_2000_says_whether_samples_have_a_sign() -> None:
    data = images.jpeg_2000(GREY.astype(np.int16))
    assert jpeg2000_codestream(data).signed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x4f\xff\x51\x00\x29",
        b"\xff\xd8\xff\xc0",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0free" + b"\0" * 40,
        b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08jp2c",
    ],
)
def test_jpeg_2000_without_a_codestream_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenDicom, match="JPEG 2000"):
        jpeg2000_codestream(data)


@pytest.mark.parametrize(
    "shape", [(35, 50), (64, 64), (64, 128), (8, 8), (300, 400), (1, 1000), (1200, 1000), (512, 512)]
)
@pytest.mark.parametrize("usecontainer", [False, True])
def test_jpeg_xl_sizes_are_read_in_all_their_forms(shape: tuple[int, int], *, usecontainer: bool) -> None:
    data = images.jpeg_xl(np.zeros(shape, np.uint8), effort=1, usecontainer=usecontainer)
    found = jpegxl_codestream(data)
    assert (found.rows, found.columns) == shape


@pytest.mark.parametrize("data", [b"", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\xd8\xff\xc0"])
def test_jpeg_xl_without_a_codestream_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenDicom, match="JPEG XL"):
        jpegxl_codestream(data)


BEGINNINGS = [b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL "]


@pytest.mark.parametrize("read", [jpeg_codestream, jpeg2000_codestream, jpegxl_codestream])
@given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=100))
def test_no_bytes_fail_in_another_way(
    read: Callable[[bytes], Codestream], beginning: bytes, rest: bytes
) -> None:
    with suppress(BrokenDicom):
        assert isinstance(read(beginning + rest), Codestream)


def coding_style(progression: int, levels: int) -> bytes:
    return segment(0x52, bytes((0, progression, 0, 1, 0, levels, 4, 4, 0x40, 1)))


def main_header(*segments: bytes) -> bytes:
    return b"\xff\x4f" + segment(0x51, bytes(38)) + b"".join(segments) + b"\xff\x90\x00\x0a"


def test_the_order_of_an_htj2k_codestream_is_read() -> None:
    lengths = segment(0x55, bytes(8))
    assert high_throughput(main_header(coding_style(2, 3), lengths)) == HighThroughput("RPCL", 3, True)
    assert high_throughput(main_header(coding_style(4, 0))) == HighThroughput("CPRL", 0, False)
    # what follows the first tile-part is no main header
    assert not high_throughput(main_header(coding_style(2, 3)) + lengths).has_lengths


def test_the_smallest_resolution_is_rounded_up() -> None:
    assert HighThroughput("RPCL", 3, True).smallest(512, 513) == (64, 65)
    assert HighThroughput("RPCL", 0, True).smallest(7, 1) == (7, 1)


def test_an_htj2k_codestream_without_coding_style_is_broken() -> None:
    for data in (
        b"",
        b"\xff\x4f",
        main_header(),
        main_header(coding_style(5, 3)),
        main_header(coding_style(2, 33)),
    ):
        with pytest.raises(BrokenDicom):
            high_throughput(data)


@given(st.binary(max_size=80))
def test_any_bytes_have_an_order_or_are_broken(data: bytes) -> None:
    with suppress(BrokenDicom):
        assert high_throughput(b"\xff\x4f\xff\x52" + data).decompositions <= 32
