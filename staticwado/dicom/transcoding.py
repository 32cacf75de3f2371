"""One frame from the transfer syntax in which it is kept into another (PS3.18 8.7.3).

One rule: what is called lossless was decoded again and gave the same samples; `Made.image` says what the
bytes are, which need not be what the data set says of those that are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from staticwado.dicom.codecs import Decoded, decode_frame
from staticwado.dicom.encoders import CODECS, encode_frame, served_image
from staticwado.dicom.pixels import ImagePixel, SampleKind
from staticwado.dicom.transfer_syntax import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_LS_LOSSLESS,
    OCTET_STREAM,
    RLE_LOSSLESS,
    TRANSFER_SYNTAXES,
)
from staticwado.errors import StaticWadoError, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
LOSSLESS_TARGETS = (
    JPEG_LS_LOSSLESS,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    RLE_LOSSLESS,
)
_QUALITY = 90
"""Of frames that are made lossy because that was asked for."""
_RLE_HEADER = 64
_MOST_SEGMENTS = 15


@dataclass(frozen=True, slots=True)
class Made:
    """One frame in another transfer syntax, and what its data set must say of it."""

    data: bytes
    image: ImagePixel


def targets(syntax_uid: str, image: ImagePixel) -> tuple[str, ...]:
    """The transfer syntaxes into which frames of `syntax_uid` can be brought, as far as the attributes say.

    Native first. What is lossy already is not made lossless, which it cannot be; it can be decoded.
    """
    syntax = TRANSFER_SYNTAXES.get(syntax_uid)
    if syntax is None or syntax.video:
        return ()
    native = (EXPLICIT_VR_LITTLE_ENDIAN,)
    coded = image.kind is SampleKind.INTEGER and image.samples_per_pixel in (1, 3) and not syntax.lossy
    if not coded or image.bits_allocated not in (8, 16):
        return native
    baseline = (JPEG_BASELINE,) if image.bits_allocated == 8 and _is_plain(image) else ()
    return tuple(uid for uid in (*native, *LOSSLESS_TARGETS, *baseline) if uid != syntax_uid)


def _is_plain(image: ImagePixel) -> bool:
    """Whether a lossy codec may touch the samples: those of an index or a sign mean something else then."""
    colours = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "MONOCHROME1", "MONOCHROME2")
    return image.photometric_interpretation in colours and not image.pixel_representation


def transcode(data: bytes, syntax_uid: str, image: ImagePixel, target: str) -> Made:
    """One frame in the transfer syntax `target`.

    `data` is a frame in `syntax_uid` as `decode_frame` takes it, `image` what the data set says of it. Native
    frames keep the Planar Configuration of `image`; every pixel gets its own chrominance.

    Raises Unsupported where `target` cannot hold it or is none of `targets`, BrokenDicom for damaged data.
    """
    import numpy as np

    decoded = decode_frame(data, syntax_uid, image)
    if target == EXPLICIT_VR_LITTLE_ENDIAN:
        return _native(decoded, image)
    if target not in targets(syntax_uid, image):
        raise Unsupported(f"{_name(syntax_uid)} is not brought into {_name(target)}")
    _check_cells(decoded, image)
    source = replace(decoded.image, planar_configuration=0)
    array = np.ascontiguousarray(decoded.array)
    try:
        if target in CODECS:
            return _kept(array, source, target)
        return _ENCODERS[target](array, source)
    except StaticWadoError:
        raise
    # What the encoders raise is not documented, and their errors have nothing in common.
    except Exception as error:
        raise Unsupported(f"the frame cannot be coded in {_name(target)}: {error}") from error


def _name(syntax_uid: str) -> str:
    syntax = TRANSFER_SYNTAXES.get(syntax_uid)
    return syntax.name if syntax is not None else syntax_uid


def _check_cells(decoded: Decoded, image: ImagePixel) -> None:
    if decoded.array.dtype.itemsize != image.sample_bytes:
        raise Unsupported(
            f"the codestream has samples of {decoded.array.dtype.itemsize * 8} bits where Bits Allocated "
            f"(0028,0100) is {image.bits_allocated}"
        )


def _native(decoded: Decoded, image: ImagePixel) -> Made:
    """The samples as a native frame: little endian, whole cells of Bits Allocated (PS3.5 8.1)."""
    import numpy as np

    array, described = decoded.array, decoded.image
    if image.bits_allocated not in (1, 8, 16, 32, 64):
        raise Unsupported(f"Bits Allocated (0028,0100) is {image.bits_allocated}")
    _check_cells(decoded, image)
    planar = image.planar_configuration if image.samples_per_pixel > 1 else 0
    if planar:
        array = array.transpose(2, 0, 1)
    described = replace(described, planar_configuration=planar)
    if image.bits_allocated == 1:
        return Made(np.packbits(array.reshape(-1).view(np.uint8), bitorder="little").tobytes(), described)
    return Made(array.tobytes(), described)


def _kept(array: "Array", image: ImagePixel, target: str) -> Made:
    """By the encoders that ingest uses, which check what they make."""
    codec = CODECS[target]
    encoded = encode_frame(array.tobytes(), image, codec)
    # What fulfils 1.2.840.10008.1.2.4.202 fulfils 1.2.840.10008.1.2.4.201, too.
    if encoded.syntax_uid != target and target == HTJ2K_LOSSLESS_RPCL:
        raise Unsupported(f"the codestream does not fulfil {_name(target)}")
    return Made(encoded.data, served_image(image, codec))


def _checked(data: bytes, array: "Array", image: ImagePixel, target: str) -> bytes:
    """`data`, if it decodes to `array` again."""
    if decode_frame(data, target, image).array.tobytes() != array.tobytes():
        raise Unsupported(f"{_name(target)} does not give back the same samples")
    return data


def _jpeg_lossless(array: "Array", image: ImagePixel) -> Made:
    """All of Bits Allocated, as unsigned words: JPEG knows no sign."""
    import imagecodecs

    colours = "RGB" if image.samples_per_pixel == 3 else None
    data = imagecodecs.jpeg8_encode(
        array.view(f"<u{array.dtype.itemsize}"),
        lossless=True,
        predictor=1,
        bitspersample=image.bits_allocated,
        colorspace=colours,
        outcolorspace=colours,
    )
    return Made(_checked(bytes(data), array, image, JPEG_LOSSLESS), image)


def _jpeg_2000(array: "Array", image: ImagePixel) -> Made:
    """RGB goes through the reversible component transform."""
    import imagecodecs

    transformed = image.photometric_interpretation == "RGB" and image.samples_per_pixel == 3
    data = imagecodecs.jpeg2k_encode(
        array,
        level=0,
        codecformat="j2k",
        reversible=True,
        mct=transformed,
        bitspersample=image.bits_stored,
        numthreads=1,
    )
    served = replace(image, photometric_interpretation="YBR_RCT") if transformed else image
    return Made(_checked(bytes(data), array, image, JPEG_2000_LOSSLESS), served)


def _rle(array: "Array", image: ImagePixel) -> Made:
    """One segment a byte of a sample, the most significant first (PS3.5 annex G)."""
    import imagecodecs
    import numpy as np

    size = array.dtype.itemsize
    planes = array.reshape(image.rows, image.columns, image.samples_per_pixel)
    if image.samples_per_pixel * size > _MOST_SEGMENTS:
        raise Unsupported(f"RLE Lossless has room for {_MOST_SEGMENTS} segments")
    segments: list[bytes] = []
    for sample in range(image.samples_per_pixel):
        cells = np.ascontiguousarray(planes[:, :, sample]).view(np.uint8)
        for place in range(size - 1, -1, -1):
            rows = np.ascontiguousarray(cells.reshape(image.rows, image.columns, size)[:, :, place])
            # Row by row: no run crosses the end of one (PS3.5 G.3.1).
            segment = b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in rows)
            segments.append(segment + b"\0" * (len(segment) % 2))
    header = [len(segments)]
    position = _RLE_HEADER
    for segment in segments:
        header.append(position)
        position += len(segment)
    head = b"".join(number.to_bytes(4, "little") for number in header).ljust(_RLE_HEADER, b"\0")
    return Made(_checked(head + b"".join(segments), array, image, RLE_LOSSLESS), image)


def _jpeg_baseline(array: "Array", image: ImagePixel) -> Made:
    """Lossy, for whoever names it."""
    import imagecodecs

    if image.samples_per_pixel == 1:
        return Made(bytes(imagecodecs.jpeg8_encode(array, level=_QUALITY)), image)
    space = "RGB" if image.photometric_interpretation == "RGB" else "YCBCR"
    data = imagecodecs.jpeg8_encode(
        array, level=_QUALITY, colorspace=space, outcolorspace="YCBCR", subsampling="422"
    )
    return Made(bytes(data), replace(image, photometric_interpretation="YBR_FULL_422"))


_ENCODERS: dict[str, Callable[["Array", ImagePixel], Made]] = {
    JPEG_LOSSLESS: _jpeg_lossless,
    JPEG_2000_LOSSLESS: _jpeg_2000,
    RLE_LOSSLESS: _rle,
    JPEG_BASELINE: _jpeg_baseline,
}


def media_type_of(syntax_uid: str) -> str:
    """The media type of a frame in a transfer syntax (PS3.18 table 8.7.3-5)."""
    syntax = TRANSFER_SYNTAXES.get(syntax_uid)
    return syntax.media_type if syntax is not None else OCTET_STREAM
