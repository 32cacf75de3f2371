"""What pictures that come beside a data set say of themselves: a transfer syntax, and the Image Pixel module.

Pictures that DICOM can hold stay as they are (PS3.18 table 10.5.2-1); GIF and PNG become native pixels.
One rule: what the data set says is never overruled by a picture that stays as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.codecs import DECODED_LIMIT
from staticwado.dicom.codestream import Codestream, ColourTransform, jpeg2000_codestream, jpeg_codestream
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM, TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

PICTURES = frozenset({"image/png", "image/gif"})
"""Media types that no transfer syntax has."""
_PREFIX = "1.2.840.10008.1.2."
_DEFAULTS = {
    "image/dicom-rle": "5",
    "image/jpx": "4.92",
    "image/jphc": "4.201",
    "image/jxl": "4.110",
    "video/mpeg": "4.100",
    "video/mpeg2": "4.100",
    "video/mp4": "4.102",
    "video/h265": "4.107",
}
_JPEG_PROCESSES = {0xC0: "4.50", 0xC1: "4.51", 0xC2: "4.55", 0xC3: "4.57"}
_START_OF_SCAN, _JPEG_LS = 0xDA, 0xF7


@dataclass(frozen=True, slots=True)
class Native:
    """Pixels that a picture was decoded to, and the Image Pixel module of them as DICOM JSON."""

    elements: Mapping[str, Any]
    data: bytes


def syntax_of(media_type: str, head: bytes, named: str | None) -> str:
    """The transfer syntax of Pixel Data that came as `media_type` and begin with `head`.

    `named` is what the part or the data set says; where it is of another media type, or missing, the picture
    decides (PS3.18 table 8.7.3-5). Raises Unsupported, BrokenDicom.
    """
    if named is not None:
        found = TRANSFER_SYNTAXES.get(named)
        if found is None:
            raise Unsupported(f"the transfer syntax {named[:64]!r} of the Pixel Data is not known")
        if found.media_type.lower() == media_type or (media_type == OCTET_STREAM and found.encapsulated):
            return EXPLICIT_VR_LITTLE_ENDIAN if found.media_type == OCTET_STREAM else named
    if media_type == OCTET_STREAM:
        return EXPLICIT_VR_LITTLE_ENDIAN
    if media_type in _DEFAULTS:
        return _PREFIX + _DEFAULTS[media_type]
    if media_type in ("image/jpeg", "image/jls"):
        return _PREFIX + _jpeg_syntax(head)
    if media_type == "image/jp2":
        return _PREFIX + ("4.90" if _is_reversible(head) else "4.91")
    raise Unsupported(f"Pixel Data of the type {media_type[:60]!r} cannot be stored")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and segments of a JPEG or JPEG-LS codestream, up to the first scan (T.81 annex B)."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        length = int.from_bytes(data[place + 2 : place + 4])
        yield marker, data[place + 4 : place + 2 + length]
        if marker == _START_OF_SCAN:
            return
        place += 2 + max(length, 2)


def _jpeg_syntax(head: bytes) -> str:
    segments = dict(_segments(head))
    if _JPEG_LS in segments:
        scan = segments.get(_START_OF_SCAN, b"\0")
        return "4.81" if any(scan[1 + 2 * scan[0] : 2 + 2 * scan[0]]) else "4.80"
    for marker, syntax in _JPEG_PROCESSES.items():
        if marker not in segments:
            continue
        scan = segments.get(_START_OF_SCAN, b"\0")
        # The predictor of a lossless scan; selection value 1 has a transfer syntax of its own.
        first = scan[1 + 2 * scan[0] : 2 + 2 * scan[0]] == b"\1"
        return "4.70" if syntax == "4.57" and first else syntax
    raise BrokenDicom("the Pixel Data are no JPEG of a kind that DICOM has")


def _is_reversible(head: bytes) -> bool:
    """Whether a JPEG 2000 codestream uses the reversible wavelet (T.800 A.6.1)."""
    start = jpeg2000_codestream(head).start
    place = head.find(b"\xff\x52", start)
    return place >= 0 and head[place + 13 : place + 14] == b"\1"


def image_elements(media_type: str, head: bytes) -> dict[str, Any]:
    """The Image Pixel module that a compressed picture tells, as DICOM JSON; empty where it tells none."""
    if media_type in ("image/jpeg", "image/jls"):
        found = jpeg_codestream(head)
        ycc = "YBR_FULL_422" if _is_subsampled(head) else "YBR_FULL"
    elif media_type in ("image/jp2", "image/jpx", "image/jphc"):
        found = jpeg2000_codestream(head)
        ycc = "YBR_RCT" if _is_reversible(head) else "YBR_ICT"
    else:
        return {}
    colour = ycc if found.transform is ColourTransform.YCC and not found.lossless else "RGB"
    return _module(found, colour if found.components == 3 else "MONOCHROME2")


def _is_subsampled(head: bytes) -> bool:
    frame = next((segment for marker, segment in _segments(head) if marker in (0xC0, 0xC1, 0xC2)), b"")
    return len(frame) >= 15 and frame[7] != frame[10]


def _module(found: Codestream, photometric: str) -> dict[str, Any]:
    bits = found.precision or 8
    numbers = {
        "00280002": found.components or 1,
        "00280010": found.rows,
        "00280011": found.columns,
        "00280100": 8 if bits <= 8 else 16,
        "00280101": bits,
        "00280102": bits - 1,
        "00280103": int(found.signed),
    }
    if numbers["00280002"] > 1:
        numbers["00280006"] = 0
    elements: dict[str, Any] = {tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()}
    elements["00280004"] = {"vr": "CS", "Value": [photometric]}
    return elements


# -- GIF and PNG ---------------------------------------------------------------------------------------------


def decode_picture(media_type: str, data: bytes) -> Native:
    """The native pixels of a GIF or a PNG; to be called where a decoder may die.

    Raises BrokenDicom for what cannot be decoded, Unsupported for what is too large or not opaque.
    """
    import imagecodecs

    _check_size(media_type, data)
    try:
        array = imagecodecs.png_decode(data) if media_type == "image/png" else imagecodecs.gif_decode(data)
    except (ValueError, RuntimeError) as error:
        raise BrokenDicom(f"the picture cannot be decoded: {str(error)[:200]}") from error
    return _native(array, media_type)


def _check_size(media_type: str, data: bytes) -> None:
    if media_type == "image/png":
        columns, rows = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        size = rows * columns * 8
    else:
        columns, rows = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        # Every frame begins with this byte, which occurs elsewhere too: never fewer than there are.
        size = rows * columns * 4 * max(1, data.count(b"\x2c"))
    if not rows or not columns:
        raise BrokenDicom("the picture has no header that says its size")
    if size > DECODED_LIMIT:
        raise Unsupported(f"the picture may need {size} bytes, more than {DECODED_LIMIT}")


def _native(array: "Array", media_type: str) -> Native:
    frames = 1
    if media_type == "image/gif" and array.ndim == 4:
        frames = array.shape[0]
        array = array.reshape(-1, *array.shape[2:]) if frames > 1 else array[0]
    samples = array.shape[2] if array.ndim == 3 else 1
    if samples in (2, 4):
        if (array[..., -1] != (1 << 8 * array.itemsize) - 1).any():
            raise Unsupported("the picture is not opaque, and DICOM pixels are")
        samples -= 1
        array = array[..., :samples]
    bits = 8 * array.itemsize
    found = Codestream(array.shape[0] // frames, array.shape[1], samples, bits)
    elements = _module(found, "RGB" if samples == 3 else "MONOCHROME2")
    elements["00280008"] = {"vr": "IS", "Value": [frames]}
    return Native(elements, array.astype(f"<u{array.itemsize}").tobytes())
