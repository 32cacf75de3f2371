"""Decoding one frame of any transfer syntax into an array.

imagecodecs decodes JPEG of every process, JPEG-LS, JPEG 2000, JPEG XL and run lengths; pylibjpeg-openjpeg
decodes HTJ2K (docs/decisions/0006-decoders.md says why).
One rule: each codestream is first asked for its size, and nothing is decoded that differs from the data set,
passes the limit or is known to be cut.
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
from staticwado.dicom.jpeg2000 import mended, structure
from staticwado.dicom.jpegls import decode_jpegls
from staticwado.dicom.pixels import ImagePixel, SampleKind, samples
from staticwado.dicom.rle import decode_rle
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
_SCANS = 100
"""Each scan of a progressive JPEG goes over the whole image; encoders write about ten."""
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
"""Neither can occur inside a scan, where 0xFF is followed by zero or a restart marker (T.81 B.1.1.5)."""
_NOISE = bytes(range(1, 128)) * 4


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


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a decoder is asked: see `decode_frame`."""

    data: bytes
    image: ImagePixel
    to_rgb: bool
    limit: int


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
        return _DECODERS[syntax.media_type](_Frame(data, image, to_rgb, limit))
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


def _shape(image: ImagePixel) -> tuple[int, ...]:
    return (image.rows, image.columns, image.samples_per_pixel)[: 3 if image.samples_per_pixel > 1 else 2]


def _fitted(array: "Array", image: ImagePixel) -> "Array":
    """`array` in the shape and the cell type of the data set."""
    import numpy as np

    shape = _shape(image)
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


def _room(image: ImagePixel, precision: int, *, signed: bool = False) -> "Array":
    """Where a decoder is to put the samples: it refuses a codestream that needs more before it allocates."""
    import numpy as np

    size = next((size for size in (1, 2, 4) if precision <= size * 8), 8)
    return np.empty(_shape(image), f"{'i' if signed else 'u'}{size}")


def _jpeg(frame: _Frame) -> Decoded:
    import imagecodecs

    data, image = frame.data, frame.image
    found = jpeg_codestream(data)
    _check(found, image)
    if data.count(_START_OF_SCAN) > _SCANS:
        raise Unsupported(f"JPEG frame of {data.count(_START_OF_SCAN)} scans")
    space = colours = None
    ycc = False
    if found.components == 3:
        ycc = found.transform is ColourTransform.YCC
        if found.transform is ColourTransform.UNKNOWN:
            ycc = image.photometric_interpretation != "RGB"
        ycc = ycc and not found.lossless
        space = "YCBCR" if ycc else "RGB"
        colours = "RGB" if frame.to_rgb else space

    def decode(codestream: bytes) -> "Array":
        room = _room(image, found.precision)
        return imagecodecs.jpeg8_decode(codestream, colorspace=space, outcolorspace=colours, out=room)

    array = decode(data)
    if data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
        _refuse_cut(data, array, decode)
    photometric = _full(image.photometric_interpretation)
    if found.components == 3 and not found.lossless:
        photometric = "RGB" if frame.to_rgb or not ycc else "YBR_FULL"
    return _decoded(array, image, photometric)


def _refuse_cut(data: bytes, array: "Array", decode: "Callable[[bytes], Array]") -> None:
    """Raise BrokenDicom for a scan that ends too early: libjpeg fills what is missing, and says nothing."""
    import numpy as np

    # A scan that is whole decodes to the same whatever follows it.
    if data.count(_START_OF_SCAN) > 1 or not np.array_equal(array, decode(data + _NOISE + _END_OF_IMAGE)):
        raise BrokenDicom("the JPEG frame is cut: it ends before its last scan does")


def _jpegls(frame: _Frame) -> Decoded:
    found = jpeg_codestream(frame.data)
    _check(found, frame.image)
    array = decode_jpegls(frame.data, _room(frame.image, found.precision))
    return _decoded(array, frame.image, _full(frame.image.photometric_interpretation))


def _jpeg2000(frame: _Frame) -> Decoded:
    import imagecodecs

    found, data = _bounded_jpeg2000(frame)
    room = _room(frame.image, found.precision, signed=found.signed)
    array = imagecodecs.jpeg2k_decode(data, numthreads=1, out=room)
    return _decoded(array, frame.image, _after_jpeg2000(found, frame.image), signed=found.signed)


def _htj2k(frame: _Frame) -> Decoded:
    from openjpeg.utils import decode

    found, data = _bounded_jpeg2000(frame)
    # OpenJPH is two to three times as fast, but a damaged codestream ends or stops the whole process.
    return _decoded(decode(data), frame.image, _after_jpeg2000(found, frame.image), signed=found.signed)


def _bounded_jpeg2000(frame: _Frame) -> tuple[Codestream, bytes]:
    """The codestream, mended, and what it says of itself, once its size and structure are found bearable."""
    found = jpeg2000_codestream(frame.data)
    _check(found, frame.image)
    data = frame.data[found.start :]
    built = structure(data)
    needed = built.bookkeeping + frame.image.frame_samples * _WORKING_BYTES["image/jp2"]
    if needed > frame.limit:
        raise Unsupported(f"the JPEG 2000 frame is cut so small that decoding it takes {needed} bytes")
    return found, mended(data, built)


def _after_jpeg2000(found: Codestream, image: ImagePixel) -> str:
    """The decoder undoes the component transformation that the codestream records (PS3.5 8.2.4)."""
    photometric = _full(image.photometric_interpretation)
    if image.samples_per_pixel == 3 and (
        found.transform is ColourTransform.YCC or photometric in ("YBR_RCT", "YBR_ICT")
    ):
        return "RGB"
    return photometric


def _jpegxl(frame: _Frame) -> Decoded:
    import imagecodecs

    data, image = frame.data, frame.image
    _check(jpegxl_codestream(data), image)
    try:
        array = imagecodecs.jpegxl_decode(data, numthreads=1, out=_room(image, image.sample_bytes * 8))
    except ValueError:
        # Eight bits may be kept in cells of sixteen.
        array = imagecodecs.jpegxl_decode(data, numthreads=1, out=_room(image, 8))
    # XYB and YCbCr are internal to JPEG XL: what it hands out is RGB.
    return _decoded(array, image, "RGB" if image.samples_per_pixel == 3 else image.photometric_interpretation)


def _rle(frame: _Frame) -> Decoded:
    array = decode_rle(frame.data, frame.image)
    return _decoded(array, frame.image, _full(frame.image.photometric_interpretation))


_DECODERS: dict[str, Callable[[_Frame], Decoded]] = {
    "image/jpeg": _jpeg,
    "image/jls": _jpegls,
    "image/jp2": _jpeg2000,
    "image/jpx": _jpeg2000,
    "image/jphc": _htj2k,
    "image/jxl": _jpegxl,
    "image/dicom-rle": _rle,
}
