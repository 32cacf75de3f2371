"""Decoding one frame of any transfer syntax into an array.

imagecodecs decodes JPEG of every process, JPEG-LS, JPEG 2000, JPEG XL and run lengths; pylibjpeg-openjpeg
decodes HTJ2K. Each codestream is first asked for its size, and nothing is decoded that differs from the data
set or passes the limit.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from staticwado.dicom.codestream import (
    Codestream,
    ColourTransform,
    jpeg2000_codestream,
    jpeg_codestream,
    jpegxl_codestream,
)
from staticwado.dicom.pixels import ImagePixel, SampleKind, samples, shaped
from staticwado.dicom.transfer_syntax import OCTET_STREAM, TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

DECODED_LIMIT = 512 * 1024 * 1024
"""Bytes that one decoded frame may need, unless the caller says otherwise."""

_WORKING_BYTES = dict.fromkeys(("image/jp2", "image/jpx", "image/jphc", "image/jxl"), 4)
"""Bytes of a sample inside decoders that work wider than the result."""
_DEFLATE_RATIO = 1032
_PACKBITS_RATIO = 64
"""Two bytes make at most 128."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded frame: whole cells of Bits Allocated (see `pixels.stored_values`), samples side by side.

    `image` describes `array`, and need not say what the data set says: components that a decoder has
    transformed back are RGB, chrominance is never subsampled any more, samples are pixel by pixel, and a
    JPEG 2000 codestream knows best whether its samples have a sign.
    """

    array: "Array"
    image: ImagePixel

    @property
    def photometric_interpretation(self) -> str:
        """What the samples of `array` are now."""
        return self.image.photometric_interpretation


def decode_frame(
    data: bytes, transfer_syntax: str, image: ImagePixel, *, limit: int = DECODED_LIMIT, to_rgb: bool = False
) -> Decoded:
    """Decode one frame; `data` is native little endian, or one whole codestream in `transfer_syntax`.

    With `to_rgb` the JPEG decoder also turns YCbCr into RGB, which is cheapest done there.

    Raises Unsupported for video, unknown transfer syntaxes and frames that need more than `limit` bytes,
    BrokenDicom for data that cannot be decoded or contradict the data set.
    """
    syntax = TRANSFER_SYNTAXES.get(transfer_syntax)
    if syntax is None:
        raise Unsupported(f"transfer syntax {transfer_syntax} is unknown")
    if syntax.video:
        raise Unsupported(f"{syntax.name} is video")
    if not data:
        raise BrokenDicom("the frame is empty")
    cell = max(image.sample_bytes, _WORKING_BYTES.get(syntax.media_type, 1))
    if image.frame_samples * cell > limit:
        raise Unsupported(
            f"a frame of Rows {image.rows}, Columns {image.columns} and Samples per Pixel "
            f"{image.samples_per_pixel} needs more than {limit} bytes to decode"
        )
    try:
        if syntax.media_type == OCTET_STREAM:
            native = _inflated(data, image) if syntax.frames_deflated else data
            return _decoded(samples(native, image), image, _full(image.photometric_interpretation))
        if image.kind is not SampleKind.INTEGER:
            raise Unsupported(f"{image.kind.value} in {syntax.name}")
        return _DECODERS[syntax.media_type](data, image, to_rgb)
    except StaticWadoError:
        raise
    except MemoryError as error:
        raise Unsupported(f"{syntax.name} frame needs more memory than there is") from error
    # The decoders have no common error, and what they raise for broken data is not documented.
    except Exception as error:
        raise BrokenDicom(f"{syntax.name} frame cannot be decoded: {error}") from error


def _decoded(array: "Array", image: ImagePixel, photometric: str, *, signed: bool = False) -> Decoded:
    """`array` with the description that fits it, in the shape and the cell type which that says."""
    if image.planar_configuration or photometric != image.photometric_interpretation or signed:
        image = replace(
            image,
            photometric_interpretation=photometric,
            planar_configuration=0,
            pixel_representation=1 if signed else image.pixel_representation,
        )
    return Decoded(_fitted(array, image), image)


def _full(photometric: str) -> str:
    """The Photometric Interpretation once every pixel has its own chrominance."""
    return "YBR_FULL" if photometric == "YBR_FULL_422" else photometric


def _fitted(array: "Array", image: ImagePixel) -> "Array":
    """`array` in the shape and the cell type of the data set."""
    import numpy as np

    shape: tuple[int, ...] = (image.rows, image.columns)
    if image.samples_per_pixel > 1:
        shape = (*shape, image.samples_per_pixel)
    if array.shape != shape:
        raise BrokenDicom(f"the frame decodes to {array.shape} where the data set says {shape}")
    wanted = np.dtype(image.dtype)
    if image.kind is not SampleKind.INTEGER:
        return array
    if array.dtype.kind not in "iu":
        raise BrokenDicom(f"the frame decodes to {array.dtype} where the data set says {wanted}")
    if array.dtype.itemsize > wanted.itemsize:
        wanted = np.dtype(f"<{wanted.kind}{array.dtype.itemsize}")
    return array.astype(wanted, copy=False)


def _check(found: Codestream, image: ImagePixel) -> None:
    if (found.rows, found.columns) != (image.rows, image.columns):
        raise BrokenDicom(
            f"the codestream has {found.rows} rows and {found.columns} columns, the data set says "
            f"Rows {image.rows} and Columns {image.columns}"
        )
    if found.components and found.components != image.samples_per_pixel:
        raise BrokenDicom(
            f"the codestream has {found.components} components, the data set says Samples per Pixel "
            f"{image.samples_per_pixel}"
        )


def _inflated(data: bytes, image: ImagePixel) -> bytes:
    length = image.frame_length
    if len(data) * _DEFLATE_RATIO < length:
        raise BrokenDicom(f"{len(data)} deflated bytes cannot hold a frame of {length} bytes")
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length)


def _jpeg(data: bytes, image: ImagePixel, to_rgb: bool) -> Decoded:
    import imagecodecs

    found = jpeg_codestream(data)
    _check(found, image)
    if found.components != 3:
        return _decoded(imagecodecs.jpeg8_decode(data), image, image.photometric_interpretation)
    if found.lossless:
        array = imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
        return _decoded(array, image, _full(image.photometric_interpretation))
    if found.transform is ColourTransform.UNKNOWN:
        ycc = image.photometric_interpretation != "RGB"
    else:
        ycc = found.transform is ColourTransform.YCC
    space = "YCBCR" if ycc else "RGB"
    array = imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace="RGB" if to_rgb else space)
    return _decoded(array, image, "RGB" if to_rgb or not ycc else "YBR_FULL")


def _jpegls(data: bytes, image: ImagePixel, to_rgb: bool) -> Decoded:
    import imagecodecs

    _check(jpeg_codestream(data), image)
    # Without an EOI marker CharLS searches for seconds where a codestream ends too early.
    array = imagecodecs.jpegls_decode(data + b"\xff\xd9")
    return _decoded(array, image, _full(image.photometric_interpretation))


def _jpeg2000(data: bytes, image: ImagePixel, to_rgb: bool) -> Decoded:
    import imagecodecs

    found = jpeg2000_codestream(data)
    _check(found, image)
    array = imagecodecs.jpeg2k_decode(data[found.start :], numthreads=1)
    return _decoded(array, image, _after_jpeg2000(found, image), signed=found.signed)


def _htj2k(data: bytes, image: ImagePixel, to_rgb: bool) -> Decoded:
    from openjpeg.utils import decode

    found = jpeg2000_codestream(data)
    _check(found, image)
    # OpenJPH is two to three times as fast, but a damaged codestream ends the whole process.
    return _decoded(decode(data[found.start :]), image, _after_jpeg2000(found, image), signed=found.signed)


def _after_jpeg2000(found: Codestream, image: ImagePixel) -> str:
    """The decoder undoes the component transformation that the codestream records (PS3.5 8.2.4)."""
    photometric = _full(image.photometric_interpretation)
    if image.samples_per_pixel == 3 and (
        found.transform is ColourTransform.YCC or photometric in ("YBR_RCT", "YBR_ICT")
    ):
        return "RGB"
    return photometric


def _jpegxl(data: bytes, image: ImagePixel, to_rgb: bool) -> Decoded:
    import imagecodecs

    _check(jpegxl_codestream(data), image)
    # XYB and YCbCr are internal to JPEG XL: what it hands out is RGB.
    array = imagecodecs.jpegxl_decode(data, numthreads=1)
    return _decoded(array, image, "RGB" if image.samples_per_pixel == 3 else image.photometric_interpretation)


def _rle(data: bytes, image: ImagePixel, to_rgb: bool) -> Decoded:
    """PS3.5 annex G: one run-length coded segment for each byte of a pixel, the most significant first."""
    import numpy as np

    if image.bits_allocated not in (1, 8, 16, 32, 64):
        raise Unsupported(f"RLE Lossless with Bits Allocated (0028,0100) {image.bits_allocated}")
    if image.bits_allocated == 1:
        # 1-bit pixels are coded eight to a byte (PS3.5 G.2).
        packed = _rle_segments(data, 1, (image.frame_samples + 7) // 8)[0]
        return _decoded(samples(packed, image), image, image.photometric_interpretation)
    size, count = image.sample_bytes, image.rows * image.columns
    planes = np.empty((image.samples_per_pixel, count, size), dtype=np.uint8)
    for index, segment in enumerate(_rle_segments(data, image.samples_per_pixel * size, count)):
        planes[index // size, :, size - 1 - index % size] = np.frombuffer(segment, np.uint8, count)
    flat = planes.reshape(-1).view(image.dtype)
    return _decoded(shaped(flat, image, planar=True), image, _full(image.photometric_interpretation))


def _rle_segments(data: bytes, number: int, length: int) -> list[bytes | bytearray]:
    """The `number` decoded segments, each of at least `length` bytes."""
    import imagecodecs

    offsets = [int.from_bytes(data[place : place + 4], "little") for place in range(0, 64, 4)]
    if len(data) < 64 or offsets[0] != number:
        raise BrokenDicom(f"RLE Lossless frame has {offsets[0]} segments where the data set needs {number}")
    ends = [*offsets[2 : number + 1], len(data)]
    segments: list[bytes | bytearray] = []
    for index, (start, end) in enumerate(zip(offsets[1 : number + 1], ends, strict=True), 1):
        if not 64 <= start <= end <= len(data) or (end - start) * _PACKBITS_RATIO < length:
            raise BrokenDicom(
                f"RLE Lossless segment {index}, bytes {start} to {end}, cannot hold {length} bytes"
            )
        segment = imagecodecs.packbits_decode(data[start:end])
        if len(segment) < length:
            raise BrokenDicom(f"RLE Lossless segment {index} has {len(segment)} bytes, not {length}")
        segments.append(segment)
    return segments


_DECODERS: dict[str, Callable[[bytes, ImagePixel, bool], Decoded]] = {
    "image/jpeg": _jpeg,
    "image/jls": _jpegls,
    "image/jp2": _jpeg2000,
    "image/jpx": _jpeg2000,
    "image/jphc": _htj2k,
    "image/jxl": _jpegxl,
    "image/dicom-rle": _rle,
}
