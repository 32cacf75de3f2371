"""RLE Lossless frames: one run-length coded segment for each byte of a pixel (PS3.5 annex G).

One rule: a segment is decoded only if it can hold what the data set says.
"""

from typing import TYPE_CHECKING, Any

from staticwado.dicom.pixels import Frame, ImagePixel, samples, shaped
from staticwado.errors import BrokenDicom, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_PACKBITS_RATIO = 64
"""Two bytes make at most 128."""
_SLACK = 256
"""Some encoders write a little more than a segment needs; more than that is refused."""


def decode_rle(data: bytes, image: ImagePixel) -> "Array":
    """The cells of one frame: (rows, columns), or (rows, columns, samples).

    Raises Unsupported for Bits Allocated that are not 1 or whole bytes, BrokenDicom for segments that are
    missing, too many, too short or out of place.
    """
    import numpy as np

    if image.bits_allocated not in (1, 8, 16, 32, 64):
        raise Unsupported(f"RLE Lossless with Bits Allocated (0028,0100) {image.bits_allocated}")
    if image.bits_allocated == 1:
        # 1-bit pixels are coded eight to a byte (PS3.5 G.2).
        return samples(_segments(data, 1, (image.frame_samples + 7) // 8)[0], image)
    size, count = image.sample_bytes, image.rows * image.columns
    planes = np.empty((image.samples_per_pixel, count, size), dtype=np.uint8)
    for index, segment in enumerate(_segments(data, image.samples_per_pixel * size, count)):
        # The most significant byte comes first.
        planes[index // size, :, size - 1 - index % size] = np.frombuffer(segment, np.uint8, count)
    return shaped(planes.reshape(-1).view(image.dtype), image, planar=True)


def _segments(data: bytes, number: int, length: int) -> list[Frame]:
    """The `number` decoded segments, each of at least `length` bytes."""
    import imagecodecs

    offsets = [int.from_bytes(data[place : place + 4], "little") for place in range(0, 64, 4)]
    if len(data) < 64 or offsets[0] != number:
        raise BrokenDicom(f"RLE Lossless frame has {offsets[0]} segments where the data set needs {number}")
    ends = [*offsets[2 : number + 1], len(data)]
    segments: list[Frame] = []
    for index, (start, end) in enumerate(zip(offsets[1 : number + 1], ends, strict=True), 1):
        if not 64 <= start <= end <= len(data) or (end - start) * _PACKBITS_RATIO < length:
            raise BrokenDicom(
                f"RLE Lossless segment {index}, bytes {start} to {end}, cannot hold {length} bytes"
            )
        segment = imagecodecs.packbits_decode(data[start:end], out=bytearray(length * 2 + _SLACK))
        if len(segment) < length:
            raise BrokenDicom(f"RLE Lossless segment {index} has {len(segment)} bytes, not {length}")
        segments.append(segment)
    return segments
