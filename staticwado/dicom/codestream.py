"""What the headers of compressed frames say, read without decoding them.

A decoder allocates what the codestream asks for, whatever Rows and Columns say, so the codestream is asked
first.
JPEG: ITU-T T.81 annex B; JPEG-LS: T.87 annex C; JPEG 2000: T.800 annexes A and I; JPEG XL: ISO/IEC 18181-1.
"""

from dataclasses import dataclass
from enum import Enum

from staticwado.errors import BrokenDicom


class ColourTransform(Enum):
    """What the codestream itself says about the transform of its three components."""

    UNKNOWN = "unknown"
    NONE = "none"
    YCC = "luminance and chrominance"


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size and kind of a compressed frame; `components` and `precision` are 0 where they are not read."""

    rows: int
    columns: int
    components: int = 0
    precision: int = 0
    transform: ColourTransform = ColourTransform.UNKNOWN
    start: int = 0
    """Where the codestream begins, past the boxes of a file format."""
    lossless: bool = False
    """For JPEG: one of the lossless processes, which know no colour transform."""
    signed: bool = False
    """For JPEG 2000: the samples have a sign, whatever Pixel Representation says."""


_START_OF_FRAME = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_START_OF_SCAN, _END_OF_IMAGE, _APP0, _APP14 = 0xDA, 0xD9, 0xE0, 0xEE


def jpeg_codestream(data: bytes) -> Codestream:
    """The frame header of a JPEG or JPEG-LS codestream. Raises BrokenDicom when there is none."""
    if data[:2] != b"\xff\xd8":
        raise BrokenDicom("JPEG frame does not begin with the SOI marker")
    transform = ColourTransform.UNKNOWN
    place, size = 2, len(data)
    while place + 4 <= size:
        if data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in _STANDALONE:
            place += 2
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        length = int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if marker in _START_OF_FRAME:
            return _jpeg_frame(marker, segment, transform)
        transform = _jpeg_transform(marker, segment, transform)
        place += 2 + max(length, 2)
    raise BrokenDicom("JPEG frame has no frame header (SOF)")


def _jpeg_transform(marker: int, segment: bytes, so_far: ColourTransform) -> ColourTransform:
    """Adobe's marker says it; JFIF allows one only; Adobe's wins, in whatever order they come."""
    if marker == _APP14 and segment[:5] == b"Adobe" and len(segment) >= 12:
        return ColourTransform.NONE if segment[11] == 0 else ColourTransform.YCC
    if marker == _APP0 and segment[:5] == b"JFIF\0" and so_far is ColourTransform.UNKNOWN:
        return ColourTransform.YCC
    return so_far


def _jpeg_frame(marker: int, segment: bytes, transform: ColourTransform) -> Codestream:
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise BrokenDicom("JPEG frame header (SOF) is cut short")
    components = segment[5]
    if transform is ColourTransform.UNKNOWN and components == 3:
        if segment[6:15:3] == b"RGB":
            transform = ColourTransform.NONE
        elif segment[7] != segment[10]:
            # Only chrominance is ever subsampled.
            transform = ColourTransform.YCC
    rows, columns = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
    return Codestream(rows, columns, components, segment[0], transform, lossless=marker in _LOSSLESS)


def jpeg2000_codestream(data: bytes) -> Codestream:
    """The SIZ and COD segments of a JPEG 2000 codestream, also inside JP2 boxes, which PS3.5 A.4.4 forbids.

    Raises BrokenDicom when there is no codestream.
    """
    start = _jp2_codestream(data) if data[4:8] == b"jP  " else 0
    if data[start : start + 4] != b"\xff\x4f\xff\x51":
        raise BrokenDicom("JPEG 2000 frame does not begin with the SOC and SIZ markers")
    size = data[start + 6 : start + 43]
    if len(size) < 37:
        raise BrokenDicom("JPEG 2000 frame ends inside its SIZ segment")
    right, bottom, left, top = (int.from_bytes(size[place : place + 4]) for place in (2, 6, 10, 14))
    components = int.from_bytes(size[34:36])
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(size[36] & 0x7F) + 1,
        transform=_jpeg2000_transform(data, start + 2),
        start=start,
        signed=bool(size[36] & 0x80),
    )


def _jp2_codestream(data: bytes) -> int:
    place = 0
    while place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[place + 8 : place + 16]), 16
        if name == b"jp2c":
            return place + head
        if length < head:
            break
        place += length
    raise BrokenDicom("JPEG 2000 frame in JP2 boxes holds no codestream")


def _jpeg2000_transform(data: bytes, place: int) -> ColourTransform:
    """From the multiple component transformation of COD: whether decoding gives back what went in."""
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (0x90, 0x93):
        if data[place + 1] == 0x52:
            return ColourTransform.YCC if data[place + 8 : place + 9] == b"\1" else ColourTransform.NONE
        place += 2 + max(int.from_bytes(data[place + 2 : place + 4]), 2)
    return ColourTransform.UNKNOWN


@dataclass(frozen=True, slots=True)
class HighThroughput:
    """What PS3.5 asks of an HTJ2K codestream with RPCL options, as the codestream itself has it."""

    progression: str
    """LRCP, RLCP, RPCL, PCRL or CPRL (T.800 A.6.1)."""
    decompositions: int
    has_lengths: bool
    """There is a TLM segment, which tells how long each tile-part is."""

    def smallest(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the smallest resolution of an image of `rows` and `columns` pixels."""
        step = 1 << self.decompositions
        return -(-rows // step), -(-columns // step)


_PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_COD, _TLM = 0x52, 0x55


def high_throughput(data: bytes) -> HighThroughput:
    """What the main header of a bare HTJ2K codestream says of its order. Raises BrokenDicom."""
    progression, decompositions, has_lengths = "", 0, False
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (0x90, 0x93):
        marker = data[place + 1]
        if marker == _COD and place + 10 <= len(data) and data[place + 5] < len(_PROGRESSIONS):
            progression, decompositions = _PROGRESSIONS[data[place + 5]], data[place + 9]
        has_lengths = has_lengths or marker == _TLM
        place += 2 + max(int.from_bytes(data[place + 2 : place + 4]), 2)
    if not progression or decompositions > 32:
        raise BrokenDicom("HTJ2K frame has no coding style (COD) that makes sense")
    return HighThroughput(progression, decompositions, has_lengths)


_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_JXL_SIZE_BITS = (9, 13, 18, 30)


def jpegxl_codestream(data: bytes) -> Codestream:
    """The size header of a JPEG XL codestream, bare or in boxes. Raises BrokenDicom when there is none."""
    start = _jpegxl_start(data) if data[4:8] == b"JXL " else 0
    if data[start : start + 2] != b"\xff\x0a" or len(data) < start + 4:
        raise BrokenDicom("JPEG XL frame does not begin with its signature")
    bits = int.from_bytes(data[start + 2 : start + 18], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def extent() -> int:
        return (take(5) + 1) * 8 if small else take(_JXL_SIZE_BITS[take(2)]) + 1

    rows = extent()
    ratio = take(3)
    if ratio:
        numerator, denominator = _JXL_RATIOS[ratio - 1]
        return Codestream(rows, rows * numerator // denominator, start=start)
    return Codestream(rows, extent(), start=start)


def _jpegxl_start(data: bytes) -> int:
    place = 0
    while place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[place + 8 : place + 16]), 16
        if name == b"jxlc":
            return place + head
        if name == b"jxlp":
            return place + head + 4
        if length < head:
            break
        place += length
    raise BrokenDicom("JPEG XL frame in boxes holds no codestream")
