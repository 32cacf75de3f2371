"""Display shutters (PS3.3 C.7.6.11, C.7.6.15): what lies outside the shapes is covered.

One rule: several shapes cover together; a pixel is seen where all of them leave it open.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.drawing import Ink, area_mask
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, first_integer, numbers, values
from staticwado.dicom.overlay import overlay, overlay_mask
from staticwado.dicom.pixels import ImagePixel

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_SHAPE = "00181600"
_LEFT, _RIGHT, _UPPER, _LOWER = "00181602", "00181604", "00181606", "00181608"
_CENTER, _RADIUS, _VERTICES = "00181610", "00181612", "00181620"
_VALUE, _OVERLAY_GROUP, _COLOUR = "00181622", "00181623", "00181624"


@dataclass(frozen=True, slots=True)
class Shutter:
    """The shapes; coordinates are those of the image, from 1."""

    edges: tuple[int, int, int, int] | None
    """The first and the last column that is seen, and the first and the last row."""
    circle: tuple[float, float, float] | None
    """Row and column of the centre, radius."""
    vertices: tuple[tuple[float, float], ...]
    """Row and column of each corner."""
    group: str | None
    """Four digits of the overlay that covers where it is 1."""
    ink: Ink


def lab_ink(dataset: Dataset, tag: str) -> Ink | None:
    """A CIELab value of 16-bit integers (PS3.3 C.10.7.1.1) as sRGB; None without one."""
    found = numbers(dataset, tag)
    if len(found) < 3:
        return None
    lightness = found[0] / 65535 * 100
    a, b = (value / 65535 * 255 - 128 for value in found[1:3])
    middle = (lightness + 16) / 116
    x, y, z = (_unlab(value) for value in (middle + a / 500, middle, middle - b / 200))
    # D50 of PCS to D65 of sRGB (Bradford), and the primaries of sRGB, in one.
    x, z = x * 0.9642, z * 0.8249
    linear = (
        3.1338561 * x - 1.6168667 * y - 0.4906146 * z,
        -0.9787684 * x + 1.9161415 * y + 0.0334540 * z,
        0.0719453 * x - 0.2289914 * y + 1.4052427 * z,
    )
    red, green, blue = (_srgb(value) for value in linear)
    return red, green, blue


def _unlab(value: float) -> float:
    return value**3 if value > 6 / 29 else 3 * (6 / 29) ** 2 * (value - 4 / 29)


def _srgb(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    shown = linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(shown * 255)


def grey_ink(dataset: Dataset, tag: str) -> int | None:
    """A P-Value of 0 to 65535 as 8-bit grey; None without one."""
    found = first_integer(dataset, tag)
    return None if found is None else round(min(max(found, 0), 0xFFFF) / 257)


def shutter_of(dataset: Dataset, *, colour: bool) -> Shutter | None:
    """The shutter of a presentation state or an image; None without a shape that can be used.

    `colour` says whether what is covered may have a colour.
    """
    shapes = {shape for shape in values(dataset, _SHAPE) if isinstance(shape, str)}
    edges = circle = group = None
    vertices: tuple[tuple[float, float], ...] = ()
    if "RECTANGULAR" in shapes:
        found = [first_integer(dataset, tag) for tag in (_LEFT, _RIGHT, _UPPER, _LOWER)]
        left, right, upper, lower = found
        if left is not None and right is not None and upper is not None and lower is not None:
            edges = left, right, upper, lower
    if "CIRCULAR" in shapes:
        center, radius = numbers(dataset, _CENTER), numbers(dataset, _RADIUS)
        if len(center) >= 2 and radius:
            circle = center[0], center[1], radius[0]
    if "POLYGONAL" in shapes:
        listed = numbers(dataset, _VERTICES)
        vertices = tuple(zip(listed[::2], listed[1::2], strict=False))
    if "BITMAP" in shapes:
        number = first_integer(dataset, _OVERLAY_GROUP)
        group = None if number is None else f"{number:04X}"
    if edges is None and circle is None and len(vertices) < 3 and group is None:
        return None
    ink = (lab_ink(dataset, _COLOUR) if colour else None) or grey_ink(dataset, _VALUE) or 0
    return Shutter(edges, circle, vertices, group, ink)


def covered(
    shutter: Shutter, image: ImagePixel, source: Dataset, bulkdata: Bulkdata, frame_number: int
) -> "Array":
    """Which pixels of the image are covered, (rows, columns) bool; `source` holds the overlay of a bitmap.

    Raises BrokenDicom for an overlay that is too short; what `bulkdata` raises passes through.
    """
    import numpy as np

    hidden = np.zeros((image.rows, image.columns), bool)
    if shutter.edges is not None:
        left, right, upper, lower = shutter.edges
        seen = np.zeros_like(hidden)
        # The edges themselves are seen: what is said to be open is never covered.
        seen[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
        hidden |= ~seen
    if shutter.circle is not None:
        row, column, radius = shutter.circle
        down = (np.arange(1, image.rows + 1, dtype=np.float64) - row) ** 2
        across = (np.arange(1, image.columns + 1, dtype=np.float64) - column) ** 2
        hidden |= (down[:, None].astype(np.float32) + across[None, :].astype(np.float32)) > radius**2
    if len(shutter.vertices) >= 3:
        corners = np.array([(column - 0.5, row - 0.5) for row, column in shutter.vertices])
        hidden |= ~area_mask(corners, hidden.shape)
    if shutter.group is not None:
        plane = overlay(source, shutter.group, image)
        mask = overlay_mask(plane, image, frame_number, None, bulkdata) if plane else None
        if mask is not None:
            hidden |= mask
    return hidden
