"""Frames kept in a lossless codec: one native frame to a codestream, and back to the very same bytes.

One rule: a codestream leaves here only after it was decoded again and gave the bytes that went in.
HTJ2K is written by OpenJPH and read back by OpenJPEG, which is a second opinion; JPEG-LS is CharLS both ways.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from staticwado.dicom.codecs import DECODED_LIMIT, decode_frame
from staticwado.dicom.codestream import high_throughput
from staticwado.dicom.pixels import SUBSAMPLED, ImagePixel, SampleKind, samples
from staticwado.dicom.transfer_syntax import HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, JPEG_LS_LOSSLESS
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

SMALLEST_RESOLUTION = 64
"""Pixels that no side of the smallest resolution may pass in a codestream of 1.2.840.10008.1.2.4.202."""
_SSIZ = 42
"""Where the Ssiz of the first component is, behind SOC and the fixed part of SIZ (T.800 A.5.1)."""
_SSIZ_STEP = 3
_SPIFF = 46
"""Bytes from SOI to SOF55 where CharLS writes a SPIFF header."""
_JPEG_LS_HEADERS = 1024
_APP8, _SOF55 = b"\xff\xe8", b"\xff\xf7"


class Codec(Enum):
    """The codecs into which native frames can be transcoded; the value is what the options call it."""

    HTJ2K = "htj2k"
    JPEG_LS = "jls"


CODECS = {
    JPEG_LS_LOSSLESS: Codec.JPEG_LS,
    HTJ2K_LOSSLESS: Codec.HTJ2K,
    HTJ2K_LOSSLESS_RPCL: Codec.HTJ2K,
}
"""The codec that writes each transfer syntax of `Encoded`."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One frame as a codestream, and the transfer syntax that it fulfils."""

    data: bytes
    syntax_uid: str


def native_frame(data: bytes, syntax_uid: str, image: ImagePixel) -> bytes:
    """The native bytes of a frame that `encode_frame` made: little endian, as `image` describes the source.

    Planar Configuration, Bits Allocated and the sign in the unused bits are those of the source.
    Raises BrokenDicom for data that cannot be decoded or do not fit `image`, Unsupported for a frame that
    needs too much memory.
    """
    import numpy as np

    decoded = decode_frame(data, syntax_uid, replace(image, planar_configuration=0)).array
    # JPEG 2000 of 8 bits or less comes as bytes with a sign only if the codestream says so: cells of another
    # type than the source's are another image.
    if decoded.dtype != np.dtype(image.dtype):
        raise BrokenDicom(f"the frame decodes to {decoded.dtype} where the source has {image.dtype}")
    if image.samples_per_pixel > 1 and image.planar_configuration == 1:
        decoded = decoded.transpose(2, 0, 1)
    return decoded.tobytes()


def served_image(image: ImagePixel, codec: Codec) -> ImagePixel:
    """What the metadata must say of frames that `codec` keeps, where `image` is the source's module.

    Samples lie pixel by pixel. RGB in HTJ2K went through the reversible component transform, which is
    YBR_RCT (PS3.3 C.7.6.3.1.2); JPEG-LS transforms nothing.
    """
    if image.samples_per_pixel == 1:
        return image
    photometric = image.photometric_interpretation
    if codec is Codec.HTJ2K and _is_transformed(image):
        photometric = "YBR_RCT"
    return replace(image, planar_configuration=0, photometric_interpretation=photometric)


def encode_frame(native: bytes, image: ImagePixel, codec: Codec) -> Encoded:
    """One native little endian frame as a codestream that gives back exactly these bytes.

    Raises Unsupported, with a reason in words, where that is not so or cannot be.
    """
    check_encodable(image)
    if len(native) != image.frame_length:
        raise Unsupported(f"a frame has {len(native)} bytes, not {image.frame_length}")
    array = samples(native, image)
    try:
        encoded = _htj2k(array, image) if codec is Codec.HTJ2K else _jpeg_ls(array, image)
    except StaticWadoError:
        raise
    # What the encoders raise is not documented, and their errors have nothing in common.
    except Exception as error:
        raise Unsupported(f"the frame cannot be coded: {error}") from error
    try:
        back = native_frame(encoded.data, encoded.syntax_uid, image)
    except BrokenDicom as error:
        raise Unsupported(f"the codestream does not decode again: {error}") from error
    if back != native:
        raise Unsupported("the codestream does not give back the same bytes")
    return encoded


def check_encodable(image: ImagePixel) -> None:
    """Whether frames of `image` can be kept exactly, as far as the attributes say. Raises Unsupported."""
    photometric = image.photometric_interpretation
    if image.kind is not SampleKind.INTEGER:
        raise Unsupported(f"{image.kind.value} has floating point samples")
    if image.bits_allocated not in (8, 16):
        raise Unsupported(f"Bits Allocated (0028,0100) is {image.bits_allocated}; 8 and 16 can be coded")
    if image.samples_per_pixel not in (1, 3):
        raise Unsupported(f"Samples per Pixel (0028,0002) is {image.samples_per_pixel}")
    if photometric in SUBSAMPLED:
        raise Unsupported(f"the chrominance of {photometric} is halved")
    if image.samples_per_pixel == 3 and photometric not in ("RGB", "YBR_FULL"):
        raise Unsupported(f"Photometric Interpretation (0028,0004) is {photometric} with three samples")
    # The decoder works on 32-bit samples.
    if image.frame_samples * 4 > DECODED_LIMIT:
        raise Unsupported(f"a frame needs more than {DECODED_LIMIT} bytes to decode")


def _is_transformed(image: ImagePixel) -> bool:
    return image.samples_per_pixel == 3 and image.photometric_interpretation == "RGB"


def _htj2k(array: "Array", image: ImagePixel) -> Encoded:
    import imagecodecs

    image = _coded_image(array, image)
    coded = imagecodecs.htj2k_encode(
        _levelled(array, image),
        resolutions=decompositions(image.rows, image.columns),
        reversible=True,
        tlm=True,
        rgb=_is_transformed(image),
        planar=False,
    )
    data = _with_precision(coded, image)
    return Encoded(data, htj2k_syntax(data, image))


def _coded_image(array: "Array", image: ImagePixel) -> ImagePixel:
    """`image` with the bits that are coded: those of Bits Stored, or the whole words where these hold more.

    Overlays in unused bits, a sign that does not reach up to the top, padding beyond the range: whoever reads
    the words finds in them what the file has, and makes of it what it makes of native frames.
    """
    within = array.min() >= image.smallest and array.max() <= image.largest
    if within and image.high_bit == image.bits_stored - 1:
        return image
    return replace(image, bits_stored=image.bits_allocated, high_bit=image.bits_allocated - 1)


def htj2k_syntax(data: bytes, image: ImagePixel) -> str:
    """The transfer syntax of a lossless HTJ2K codestream, read from the codestream itself.

    1.2.840.10008.1.2.4.202 asks for the progression RPCL, a TLM segment and a smallest resolution of at most
    64 pixels a side (PS3.5 10.18); what lacks any of them is 1.2.840.10008.1.2.4.201.
    """
    found = high_throughput(data)
    progressive = found.progression == "RPCL" and found.has_lengths
    small = max(found.smallest(image.rows, image.columns)) <= SMALLEST_RESOLUTION
    return HTJ2K_LOSSLESS_RPCL if progressive and small else HTJ2K_LOSSLESS


def _levelled(array: "Array", image: ImagePixel) -> "Array":
    """The samples as the codec is to see them.

    The encoder codes whole bytes or words. A JPEG 2000 encoder takes half the range from unsigned samples
    (T.800 G.1.2); doing that here for the bits stored, and giving it the rest as signed, makes the codestream
    one of that precision once its Ssiz says so.
    """
    import numpy as np

    if image.pixel_representation or image.bits_stored == image.bits_allocated:
        return array
    signed = np.dtype(f"<i{array.dtype.itemsize}")
    levelled: Array = array.astype(signed) - signed.type(1 << (image.bits_stored - 1))
    return levelled


def _with_precision(data: bytes | bytearray, image: ImagePixel) -> bytes:
    """The codestream with Bits Stored and the sign of the source in the Ssiz of each component."""
    sizes = bytearray(data)
    for component in range(image.samples_per_pixel):
        sign = 0x80 if image.pixel_representation else 0
        sizes[_SSIZ + _SSIZ_STEP * component] = sign | (image.bits_stored - 1)
    return bytes(sizes)


def decompositions(rows: int, columns: int) -> int:
    """How many wavelet decompositions leave no side of the smallest resolution above 64 pixels."""
    levels = 0
    while -(-max(rows, columns) >> levels) > SMALLEST_RESOLUTION:
        levels += 1
    return levels


def _jpeg_ls(array: "Array", image: ImagePixel) -> Encoded:
    """All of Bits Allocated, as unsigned words: JPEG-LS knows no sign, and a viewer that reads the words as
    signed finds it where it was.

    The library codes whole bytes and words only. A precision above Bits Stored is legal.
    """
    import imagecodecs

    # A copy, because CharLS looks at strides, which of a single pixel can be any.
    unsigned = array.view(f"<u{array.dtype.itemsize}").copy(order="C")
    # Noise becomes longer; one such frame need not keep the others of an instance out.
    data = bytes(imagecodecs.jpegls_encode(unsigned, out=2 * unsigned.nbytes + _JPEG_LS_HEADERS))
    # SPIFF is no part of JPEG-LS, and its colour space, as the library writes it, is wrong for grey images.
    if data[2:4] == _APP8 and data[_SPIFF : _SPIFF + 2] == _SOF55:
        data = data[:2] + data[_SPIFF:]
    return Encoded(data, JPEG_LS_LOSSLESS)
