"""Other frames for a Part 10 file: its Pixel Data, and what the data set must say of them (PS3.5 8, A.4).

One rule: a frame of another length than was said before is an error; nothing is cut or filled.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from staticwado.dicom import tags
from staticwado.dicom.bit_frames import join_bit_frames
from staticwado.dicom.elements import UNDEFINED
from staticwado.dicom.file_meta import element_header
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from staticwado.errors import BrokenDicom

LONGEST = 0xFFFFFFFE
"""Bytes of the longest value of defined length (PS3.5 7.1.1)."""
_PHOTOMETRIC, _PLANAR, _REPRESENTATION = 0x00280004, 0x00280006, 0x00280103
OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})
"""What speaks of the places of the old frames (PS3.3 C.7.6.3)."""

_item = struct.Struct("<HHI").pack


@dataclass(frozen=True, slots=True)
class NewPixels:
    """Frames that take the place of those of a file."""

    syntax: str
    """Their transfer syntax, hence that of the file."""
    image: ImagePixel
    """What they are."""
    count: int
    frames: Callable[[], Iterator[bytes]]
    """All of them, one at a time."""

    @property
    def native_length(self) -> int:
        """Bytes of the native value of all frames, padded (PS3.5 8.1.1)."""
        length = (self.frame_bits * self.count + 7) // 8
        return length + length % 2

    @property
    def frame_bits(self) -> int:
        """Bits of a native frame."""
        return self.image.frame_samples * self.image.bits_allocated


def image_elements(pixels: NewPixels) -> dict[int, bytes]:
    """The elements of the Image Pixel module that the frames decide, by tag."""
    image = pixels.image
    name = image.photometric_interpretation.encode("ascii", "replace")
    name += b" " * (len(name) % 2)
    found = {
        _PHOTOMETRIC: element_header(_PHOTOMETRIC, "CS", len(name)) + name,
        _REPRESENTATION: _number(_REPRESENTATION, image.pixel_representation),
    }
    if image.samples_per_pixel > 1:
        found[_PLANAR] = _number(_PLANAR, image.planar_configuration)
    return found


def _number(tag: int, value: int) -> bytes:
    return element_header(tag, "US", 2) + value.to_bytes(2, "little")


def pixel_data(pixels: NewPixels) -> Iterator[bytes]:
    """The element Pixel Data, in chunks: native, or one fragment a frame behind an empty offset table.

    Raises BrokenDicom for frames that are not as they were said to be.
    """
    if pixels.syntax == EXPLICIT_VR_LITTLE_ENDIAN:
        yield from _native(pixels)
        return
    yield element_header(tags.PIXEL_DATA, "OB", UNDEFINED)
    yield _item(0xFFFE, 0xE000, 0)
    count = 0
    for frame in pixels.frames():
        yield _item(0xFFFE, 0xE000, len(frame) + len(frame) % 2)
        yield frame + b"\0" * (len(frame) % 2)
        count += 1
    _check(count, pixels.count, "frames")
    yield _item(0xFFFE, 0xE0DD, 0)


def _native(pixels: NewPixels) -> Iterator[bytes]:
    vr = "OW" if pixels.image.bits_allocated > 8 else "OB"
    yield element_header(tags.PIXEL_DATA, vr, pixels.native_length)
    bits = pixels.frame_bits
    sent = 0
    frames = _checked(pixels, (bits + 7) // 8)
    for chunk in join_bit_frames(frames, bits) if bits % 8 else frames:
        sent += len(chunk)
        yield chunk
    if pixels.native_length - sent == 1:
        yield b"\0"
        sent += 1
    _check(sent, pixels.native_length, "bytes of frames")


def _checked(pixels: NewPixels, length: int) -> Iterator[bytes]:
    for frame in pixels.frames():
        _check(len(frame), length, "bytes in a frame")
        yield frame


def _check(found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise BrokenDicom(f"there are {found} {what}, not {wanted}")
