"""Frames in lossless codecs: what goes in comes back bit for bit; what could not is refused with a reason."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicom.codestream import high_throughput, jpeg2000_codestream, jpeg_codestream
from staticwado.dicom.encoders import (
    Codec,
    check_encodable,
    decompositions,
    encode_frame,
    htj2k_syntax,
    native_frame,
    served_image,
)
from staticwado.dicom.pixels import ImagePixel, SampleKind, to_array
from staticwado.errors import BrokenDicom, Unsupported
from tests import factories

RPCL = "1.2.840.10008.1.2.4.202"
OTHER_HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG_LS = "1.2.840.10008.1.2.4.80"
BOTH = pytest.mark.parametrize("codec", Codec)


def image_of(
    rows: int = 9,
    columns: int = 7,
    stored: int = 12,
    *,
    allocated: int | None = None,
    signed: bool = False,
    photometric: str = "MONOCHROME2",
    planar: int = 0,
) -> ImagePixel:
    return ImagePixel(
        rows,
        columns,
        3 if photometric[:3] in ("RGB", "YBR") else 1,
        photometric,
        planar,
        allocated or (8 if stored <= 8 else 16),
        stored,
        stored - 1,
        int(signed),
    )


def noise(image: ImagePixel, seed: int = 0) -> bytes:
    """A frame that uses every stored bit, and has the smallest and the largest value."""
    values = np.random.default_rng(seed).integers(image.smallest, image.largest + 1, image.frame_samples)
    values[0], values[-1] = image.smallest, image.largest
    return values.astype(image.dtype).tobytes()


def smooth(image: ImagePixel) -> bytes:
    """A frame like a picture."""
    place = np.arange(image.frame_samples) / 300
    values = image.smallest + (np.sin(place) * 0.5 + 0.5) * (image.largest - image.smallest)
    return values.astype(image.dtype).tobytes()


@BOTH
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("allocated", "stored"), [(8, bits) for bits in range(1, 9)])
def test_bytes_of_any_precision_come_back(codec: Codec, allocated: int, stored: int, signed: bool) -> None:
    image = image_of(stored=stored, allocated=allocated, signed=signed)
    encoded = encode_frame(noise(image), image, codec)
    assert native_frame(encoded.data, encoded.syntax_uid, image) == noise(image)


@BOTH
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", range(1, 17))
def test_words_of_any_precision_come_back(codec: Codec, stored: int, signed: bool) -> None:
    image = image_of(stored=stored, allocated=16, signed=signed)
    encoded = encode_frame(noise(image), image, codec)
    assert native_frame(encoded.data, encoded.syntax_uid, image) == noise(image)


@BOTH
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize(("stored", "signed"), [(8, False), (12, False), (16, False), (16, True)])
def test_colour_comes_back_in_its_planar_configuration(
    codec: Codec, photometric: str, planar: int, stored: int, signed: bool
) -> None:
    image = image_of(stored=stored, signed=signed, photometric=photometric, planar=planar)
    encoded = encode_frame(noise(image), image, codec)
    assert native_frame(encoded.data, encoded.syntax_uid, image) == noise(image)


@BOTH
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (1, 1),
        (1, 2),
        (2, 1),
        (1, 65),
        (65, 1),
        (64, 64),
        (65, 63),
        (127, 3),
        (1, 2049),
        (2049, 1),
        (2051, 33),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "PALETTE COLOR", "RGB"])
def test_every_size_comes_back(codec: Codec, rows: int, columns: int, photometric: str) -> None:
    image = image_of(rows, columns, 8, photometric=photometric, planar=1 if photometric == "RGB" else 0)
    encoded = encode_frame(noise(image), image, codec)
    assert native_frame(encoded.data, encoded.syntax_uid, image) == noise(image)
    assert encoded.syntax_uid == (RPCL if codec is Codec.HTJ2K else JPEG_LS)


@st.composite
def frames(draw: st.DrawFn) -> tuple[ImagePixel, bytes]:
    """An image module, and a frame in which any bit of each cell may be set, as often as not a legal one."""
    allocated = draw(st.sampled_from([8, 16]))
    image = image_of(
        draw(st.integers(1, 70)),
        draw(st.integers(1, 70)),
        draw(st.integers(1, allocated)),
        allocated=allocated,
        signed=draw(st.booleans()),
        photometric=draw(st.sampled_from(["MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"])),
        planar=draw(st.sampled_from([0, 1])),
    )
    seed = draw(st.integers(0, 2**32))
    if draw(st.booleans()):
        return image, noise(image, seed)
    made = np.random.default_rng(seed).integers(0, 256, image.frame_length)
    return image, made.astype("u1").tobytes()


@settings(max_examples=150, deadline=None)
@given(frames(), st.sampled_from(Codec))
def test_any_frame_comes_back_or_is_refused(made: tuple[ImagePixel, bytes], codec: Codec) -> None:
    image, native = made
    stored = np.frombuffer(native, image.dtype)
    legal = stored.min() >= image.smallest and stored.max() <= image.largest
    try:
        encoded = encode_frame(native, image, codec)
    except Unsupported:
        assert not legal
        return
    assert native_frame(encoded.data, encoded.syntax_uid, image) == native


@pytest.mark.parametrize(("stored", "signed"), [(8, False), (10, False), (12, True), (16, False), (7, True)])
def test_an_htj2k_codestream_has_the_precision_and_the_sign_of_the_source(stored: int, signed: bool) -> None:
    image = image_of(stored=stored, signed=signed)
    found = jpeg2000_codestream(encode_frame(noise(image), image, Codec.HTJ2K).data)
    assert (found.precision, found.signed) == (stored, signed)


def test_another_decoder_reads_the_same_of_htj2k() -> None:
    for stored, signed in ((12, False), (12, True), (16, False), (8, False)):
        image = image_of(130, 90, stored, signed=signed)
        native = noise(image)
        decoded = imagecodecs.htj2k_decode(encode_frame(native, image, Codec.HTJ2K).data)
        np.testing.assert_array_equal(decoded, to_array(native, image))


def test_another_decoder_undoes_the_colour_transform_of_htj2k() -> None:
    image = image_of(130, 90, 8, photometric="RGB")
    native = noise(image)
    decoded = imagecodecs.htj2k_decode(encode_frame(native, image, Codec.HTJ2K).data, planar=False)
    np.testing.assert_array_equal(decoded, to_array(native, image))


@pytest.mark.skipif(shutil.which("dcmdjpls") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize(
    ("stored", "photometric", "planar"),
    [(8, "MONOCHROME2", 0), (12, "MONOCHROME2", 0), (8, "RGB", 0), (8, "RGB", 1)],
)
def test_dcmtk_reads_the_same_of_jpeg_ls(tmp_path: Path, stored: int, photometric: str, planar: int) -> None:
    image = image_of(33, 20, stored, photometric=photometric, planar=planar)
    native = noise(image)
    data = factories.instance(
        syntax=factories.JPEG_LS,
        frames=[encode_frame(native, image, Codec.JPEG_LS).data],
        rows=33,
        columns=20,
        bits=image.bits_allocated,
        samples=image.samples_per_pixel,
        photometric=photometric,
        BitsStored=stored,
        HighBit=stored - 1,
    )
    (tmp_path / "in.dcm").write_bytes(data)
    subprocess.run(["dcmdjpls", "+px", tmp_path / "in.dcm", tmp_path / "out.dcm"], check=True, timeout=60)
    pixels = pydicom.dcmread(tmp_path / "out.dcm").PixelData
    whole = replace(image, planar_configuration=0)
    found = to_array(pixels, whole)
    np.testing.assert_array_equal(found, to_array(native, image))


def test_signed_jpeg_ls_holds_the_words_as_they_are() -> None:
    image = image_of(stored=12, signed=True)
    native = noise(image)
    decoded = imagecodecs.jpegls_decode(encode_frame(native, image, Codec.JPEG_LS).data)
    assert decoded.dtype == np.uint16
    assert decoded.tobytes() == native


@BOTH
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("unused", [0x0000, 0x1000, 0xF000])
def test_words_that_hold_more_than_bits_stored_are_coded_whole(
    codec: Codec, signed: bool, unused: int
) -> None:
    """A sign that is not extended, an overlay in a bit above, padding beyond the range."""
    image = image_of(stored=12, signed=signed)
    native = (np.frombuffer(noise(image), "<u2") & 0x0FFF | unused).astype("<u2").tobytes()
    encoded = encode_frame(native, image, codec)
    assert native_frame(encoded.data, encoded.syntax_uid, image) == native
    if codec is Codec.HTJ2K:
        whole = signed or bool(unused)
        assert jpeg2000_codestream(encoded.data).precision == (16 if whole else 12)


@BOTH
def test_bits_that_do_not_begin_at_the_lowest_are_kept(codec: Codec) -> None:
    image = replace(image_of(stored=12), high_bit=15)
    native = (np.frombuffer(noise(image), "<u2") << 4).astype("<u2").tobytes()
    encoded = encode_frame(native, image, codec)
    assert native_frame(encoded.data, encoded.syntax_uid, image) == native


def test_a_jpeg_ls_codestream_begins_with_its_frame_header() -> None:
    for photometric in ("MONOCHROME2", "RGB"):
        image = image_of(stored=8, photometric=photometric)
        data = encode_frame(noise(image), image, Codec.JPEG_LS).data
        assert data.startswith(b"\xff\xd8\xff\xf7")
        assert data.endswith(b"\xff\xd9")
        assert jpeg_codestream(data).precision == 8


def test_colour_in_jpeg_ls_is_interleaved_by_sample() -> None:
    data = encode_frame(
        noise(image_of(stored=8, photometric="RGB")), image_of(stored=8, photometric="RGB"), Codec.JPEG_LS
    )
    scan = data.data.index(b"\xff\xda")
    components = data.data[scan + 4]
    assert components == 3
    near, interleave = data.data[scan + 5 + 2 * components : scan + 7 + 2 * components]
    assert (near, interleave) == (0, 2)


def test_the_metadata_say_what_is_served() -> None:
    rgb = image_of(stored=8, photometric="RGB", planar=1)
    ybr = replace(rgb, photometric_interpretation="YBR_FULL")
    grey = image_of()
    assert served_image(rgb, Codec.HTJ2K) == replace(
        rgb, photometric_interpretation="YBR_RCT", planar_configuration=0
    )
    assert served_image(rgb, Codec.JPEG_LS) == replace(rgb, planar_configuration=0)
    assert served_image(ybr, Codec.HTJ2K) == replace(ybr, planar_configuration=0)
    for codec in Codec:
        assert served_image(grey, codec) == grey
        assert served_image(replace(grey, planar_configuration=1), codec).planar_configuration == 1


def test_a_colour_transform_is_there_where_the_metadata_say_so() -> None:
    for photometric in ("RGB", "YBR_FULL"):
        image = image_of(stored=8, photometric=photometric)
        transformed = jpeg2000_codestream(encode_frame(smooth(image), image, Codec.HTJ2K).data).transform
        said = served_image(image, Codec.HTJ2K).photometric_interpretation
        assert (transformed.name == "YCC") == (said == "YBR_RCT")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (replace(image_of(), bits_allocated=1, bits_stored=1, high_bit=0), "Bits Allocated .* 1;"),
        (replace(image_of(), bits_allocated=12), "Bits Allocated .* 12;"),
        (replace(image_of(), bits_allocated=32, bits_stored=32, high_bit=31), "Bits Allocated .* 32;"),
        (replace(image_of(), bits_allocated=64, bits_stored=64, high_bit=63), "Bits Allocated .* 64;"),
        (replace(image_of(), kind=SampleKind.FLOAT32), "Float Pixel Data"),
        (replace(image_of(), kind=SampleKind.FLOAT64), "Double Float Pixel Data"),
        (image_of(stored=8, photometric="YBR_FULL_422"), "halved"),
        (image_of(stored=8, photometric="YBR_PARTIAL_422"), "halved"),
        (image_of(stored=8, photometric="YBR_ICT"), "YBR_ICT"),
        (replace(image_of(stored=8), samples_per_pixel=4), "Samples per Pixel"),
        (image_of(16384, 16384), "to decode"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused_with_the_attribute(image: ImagePixel, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        check_encodable(image)
    with pytest.raises(Unsupported, match=reason):
        encode_frame(b"", image, Codec.HTJ2K)


@BOTH
def test_a_frame_of_another_length_is_refused(codec: Codec) -> None:
    image = image_of()
    for native in (b"", noise(image)[:-1], noise(image) + b"\0"):
        with pytest.raises(Unsupported, match="bytes"):
            encode_frame(native, image, codec)


@BOTH
def test_a_codestream_of_another_image_gives_nothing_back(codec: Codec) -> None:
    image = image_of()
    encoded = encode_frame(noise(image), image, codec)
    for other in (replace(image, rows=8), replace(image, samples_per_pixel=3)):
        with pytest.raises(BrokenDicom):
            native_frame(encoded.data, encoded.syntax_uid, other)


def test_an_htj2k_codestream_of_the_other_sign_gives_nothing_back() -> None:
    image = image_of(signed=True)
    encoded = encode_frame(noise(image), image, Codec.HTJ2K)
    with pytest.raises(BrokenDicom, match="int16"):
        native_frame(encoded.data, encoded.syntax_uid, replace(image, pixel_representation=0))


def test_decompositions_leave_at_most_64_pixels() -> None:
    assert [decompositions(side, 1) for side in (1, 64, 65, 128, 129, 512, 513, 65535)] == [
        0,
        0,
        1,
        1,
        2,
        3,
        4,
        10,
    ]
    assert decompositions(3, 4096) == 6


def test_the_syntax_is_read_from_the_codestream() -> None:
    image = image_of(300, 200, 8)
    native = np.frombuffer(smooth(image), "u1").reshape(300, 200)
    options: dict[str, Any] = {"reversible": True, "tlm": True, "resolutions": 3}

    def coded(**changed: Any) -> bytes:
        return bytes(imagecodecs.htj2k_encode(native, **{**options, **changed}))

    right = coded()
    assert htj2k_syntax(right, image) == RPCL
    assert htj2k_syntax(coded(tlm=False), image) == OTHER_HTJ2K
    assert htj2k_syntax(coded(resolutions=2), image) == OTHER_HTJ2K
    style = right.index(b"\xff\x52")
    other_order = right[: style + 5] + b"\x00" + right[style + 6 :]
    assert high_throughput(other_order).progression == "LRCP"
    assert htj2k_syntax(other_order, image) == OTHER_HTJ2K


@BOTH
def test_the_same_frame_gives_the_same_codestream(codec: Codec) -> None:
    image = image_of(70, 70)
    assert encode_frame(smooth(image), image, codec) == encode_frame(smooth(image), image, codec)
