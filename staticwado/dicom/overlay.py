"""Overlay planes (PS3.3 C.9.2): bitmaps of groups 6000 to 60FE, also those in the unused bits of the pixels.

One rule: a plane is cut to the image; what hangs over its edge is not shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.jsonvalues import Bulkdata, Dataset, binary, first_integer, numbers, text
from staticwado.dicom.pixels import ImagePixel
from staticwado.errors import BrokenDicom

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_ROWS, _COLUMNS, _FRAMES, _FRAME_ORIGIN = "0010", "0011", "0015", "0051"
_TYPE, _ORIGIN, _BITS_ALLOCATED, _BIT_POSITION = "0040", "0050", "0100", "0102"
_ACTIVATION_LAYER, _DATA = "1001", "3000"


@dataclass(frozen=True, slots=True)
class Overlay:
    """The description of one plane; `group` is its four hexadecimal digits."""

    group: str
    rows: int
    columns: int
    top: int
    """Rows of the image above the plane; negative where it begins outside."""
    left: int
    frames: int | None
    """How many the plane has; None for one that belongs to every frame of the image."""
    first_frame: int
    """The frame of the image (from 1) that its first one belongs to."""
    outlined: bool
    """A region of interest, of which the border is shown: filled it would hide what it is about."""
    bit: int | None
    """Where the plane is in the unused bits of a pixel's cell; None where it has data of its own."""
    source: Dataset


def groups_of(dataset: Dataset) -> Iterator[str]:
    """The groups of `dataset` that describe a plane, in ascending order."""
    for number in range(0x6000, 0x6100, 2):
        if f"{number:04X}{_ROWS}" in dataset:
            yield f"{number:04X}"


def overlay(dataset: Dataset, group: str, image: ImagePixel) -> Overlay | None:
    """The plane of `group`; None where it has no bits: neither data nor an unused bit of `image`."""
    has_data = f"{group}{_DATA}" in dataset
    bit = None
    if not has_data:
        bit = first_integer(dataset, f"{group}{_BIT_POSITION}")
        used = range(image.high_bit - image.bits_stored + 1, image.high_bit + 1)
        allocated = first_integer(dataset, f"{group}{_BITS_ALLOCATED}")
        if bit is None or bit in used or not 0 <= bit < image.bits_allocated or allocated in (None, 1):
            return None
    rows = first_integer(dataset, f"{group}{_ROWS}") or 0
    columns = first_integer(dataset, f"{group}{_COLUMNS}") or 0
    if rows <= 0 or columns <= 0:
        return None
    origin = numbers(dataset, f"{group}{_ORIGIN}")
    top, left = (int(origin[0]) - 1, int(origin[1]) - 1) if len(origin) >= 2 else (0, 0)
    return Overlay(
        group,
        rows,
        columns,
        top,
        left,
        first_integer(dataset, f"{group}{_FRAMES}"),
        first_integer(dataset, f"{group}{_FRAME_ORIGIN}") or 1,
        text(dataset, f"{group}{_TYPE}") == "R",
        bit,
        dataset,
    )


def activation_layer(dataset: Dataset, group: str) -> str:
    """The graphic layer in which a presentation state shows the plane; empty: not at all (C.11.7)."""
    return text(dataset, f"{group}{_ACTIVATION_LAYER}")


def overlay_mask(
    plane: Overlay, image: ImagePixel, frame_number: int, cells: "Array | None", bulkdata: Bulkdata
) -> "Array | None":
    """Which pixels of the image the plane marks: (rows, columns) of the image, bool; None where none.

    `frame_number` is 1-based and that of the image; `cells` are the decoded cells with their unused bits.

    Raises BrokenDicom when Overlay Data is too short; what `bulkdata` raises passes through.
    """
    import numpy as np

    if plane.bit is not None:
        if cells is None or cells.ndim != 2:
            return None
        return _shape((cells >> plane.bit & 1).astype(bool), plane)
    number = 0
    if plane.frames is not None and (plane.frames > 1 or plane.first_frame > 1):
        number = frame_number - plane.first_frame
        if not 0 <= number < plane.frames:
            return None
    data = binary(plane.source, f"{plane.group}{_DATA}", bulkdata) or b""
    size = plane.rows * plane.columns
    if len(data) * 8 < (number + 1) * size:
        raise BrokenDicom(
            f"Overlay Data ({plane.group},3000) has {len(data)} bytes, too few for frame {number + 1} of "
            f"{plane.rows} rows and {plane.columns} columns"
        )
    top, bottom = max(plane.top, 0), min(plane.top + plane.rows, image.rows)
    left, right = max(plane.left, 0), min(plane.left + plane.columns, image.columns)
    if top >= bottom or left >= right:
        return None
    first = number * size + (top - plane.top) * plane.columns
    last = number * size + (bottom - plane.top) * plane.columns
    packed = np.frombuffer(data, np.uint8)[first // 8 : -(-last // 8)]
    bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + last - first]
    lines = bits.reshape(bottom - top, plane.columns)
    mask = np.zeros((image.rows, image.columns), bool)
    mask[top:bottom, left:right] = lines[:, left - plane.left : right - plane.left]
    return _shape(mask, plane)


def _shape(mask: "Array", plane: Overlay) -> "Array":
    return outline(mask) if plane.outlined else mask


def outline(mask: "Array") -> "Array":
    """The pixels of `mask` that have a neighbour, above, below, left or right, outside it."""
    import numpy as np

    inside = mask.copy()
    inside[1:] &= mask[:-1]
    inside[:-1] &= mask[1:]
    inside[:, 1:] &= mask[:, :-1]
    inside[:, :-1] &= mask[:, 1:]
    # What lies along the edge of the image has nothing beyond it.
    inside[[0, -1]] = False
    inside[:, [0, -1]] = False
    return np.asarray(mask & ~inside)
