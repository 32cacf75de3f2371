"""Graphic layers and annotations of presentation states (PS3.3 C.10.5, C.10.7).

One rule: lower layers first; what has no layer in the list lies on top.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.drawing import (
    CURVE_STEPS,
    Ink,
    area_mask,
    around,
    curve_points,
    ellipse_points,
    line_points,
    painted,
    painted_at,
    tamed,
    text_mask,
)
from staticwado.dicom.font import CELL_HEIGHT
from staticwado.dicom.geometry import Geometry
from staticwado.dicom.jsonvalues import Dataset, first_integer, numbers, text, values
from staticwado.dicom.shutter import grey_ink, lab_ink
from staticwado.errors import Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_ANNOTATIONS, _LAYERS = "00700001", "00700060"
_LAYER, _ORDER, _GREY, _COLOUR = "00700002", "00700062", "00700066", "00700401"
_TEXTS, _SHAPES = "00700008", "00700009"
_BOX_UNITS, _ANCHOR_UNITS, _SHAPE_UNITS = "00700003", "00700004", "00700005"
_UNFORMATTED, _BOX_START, _BOX_END, _JUSTIFIED = "00700006", "00700010", "00700011", "00700012"
_ANCHOR, _ANCHOR_SHOWN = "00700014", "00700015"
_POINTS, _KIND, _FILLED = "00700022", "00700023", "00700024"
_LARGE = 512
"""Pixels of the shorter side past which letters and lines grow."""
MOST_OBJECTS, MOST_POINTS = 2000, 200_000
"""Shapes and texts, and points of shapes and letters of texts, that a presentation state may draw."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A graphic layer: its place from bottom to top, and its ink."""

    name: str
    order: int
    ink: Ink


def layers_of(dataset: Dataset, *, colour: bool) -> dict[str, Layer]:
    """The layers by name; `colour` says whether a recommended colour counts, or only a grey."""
    found: dict[str, Layer] = {}
    for entry in values(dataset, _LAYERS):
        if isinstance(entry, dict):
            name = text(entry, _LAYER)
            grey = grey_ink(entry, _GREY)
            ink = (lab_ink(entry, _COLOUR) if colour else None) or (255 if grey is None else grey)
            found.setdefault(name, Layer(name, first_integer(entry, _ORDER) or 0, ink))
    return found


def annotations_of(dataset: Dataset) -> Iterator[tuple[str, Dataset]]:
    """The name of its layer, and each item of Graphic Annotation Sequence."""
    for entry in values(dataset, _ANNOTATIONS):
        if isinstance(entry, dict):
            yield text(entry, _LAYER), entry


def check_amount(annotations: Iterable[Dataset]) -> None:
    """Raises Unsupported for more graphics than can be meant for people: each costs time to draw."""
    objects = points = 0
    for annotation in annotations:
        for shape in values(annotation, _SHAPES):
            objects += 1
            points += _points_of(shape) if isinstance(shape, dict) else 0
        for words in values(annotation, _TEXTS):
            objects += 1
            points += len(text(words, _UNFORMATTED)) if isinstance(words, dict) else 0
    if objects > MOST_OBJECTS or points > MOST_POINTS:
        raise Unsupported(
            f"Graphic Annotation Sequence (0070,0001) has {objects} objects with {points} points and "
            f"letters; {MOST_OBJECTS} and {MOST_POINTS} are the limit"
        )


def _points_of(shape: Dataset) -> int:
    count = len(values(shape, _POINTS)) // 2
    return count * CURVE_STEPS if text(shape, _KIND) == "INTERPOLATED" else count


def drawn(picture: "Array", annotation: Dataset, geometry: Geometry, ink: Ink) -> "Array":
    """`picture` with the shapes and the texts of one annotation.

    Units PIXEL follow the image through `geometry`, DISPLAY those of the displayed area. MATRIX counts as
    PIXEL: an image that is one frame is its own matrix. A shape of an unknown kind is drawn as a line.
    """
    for shape in values(annotation, _SHAPES):
        if isinstance(shape, dict):
            picture = _shape_drawn(picture, shape, geometry, ink)
    for words in values(annotation, _TEXTS):
        if isinstance(words, dict):
            picture = _text_drawn(picture, words, geometry, ink)
    return picture


def _size(picture: "Array") -> int:
    return int(min(picture.shape[:2])) // _LARGE + 1


def _placed(found: list[float], units: str, geometry: Geometry) -> "Array":
    """Pairs of coordinates as (n, 2) in the picture."""
    import numpy as np

    points = np.array(found[: len(found) // 2 * 2], np.float64).reshape(-1, 2)
    if units != "DISPLAY":
        x, y = geometry.place(points[:, 0], points[:, 1])
        return tamed(np.stack([x, y], axis=1))
    turned = geometry.turns % 2
    width = geometry.area.height if turned else geometry.area.width
    height = geometry.area.width if turned else geometry.area.height
    region = geometry.region
    x = (points[:, 0] * width - region.left) * (geometry.width / region.width)
    y = (points[:, 1] * height - region.top) * (geometry.height / region.height)
    x = geometry.width - x if geometry.flipped else x
    y = geometry.height - y if geometry.upside_down else y
    return tamed(np.stack([x, y], axis=1))


def _shape_drawn(picture: "Array", shape: Dataset, geometry: Geometry, ink: Ink) -> "Array":
    import numpy as np

    points = _placed(numbers(shape, _POINTS), text(shape, _SHAPE_UNITS), geometry)
    kind = text(shape, _KIND)
    if not len(points):
        return picture
    thickness = _size(picture)
    if kind == "POINT":
        return _line_drawn(picture, points[:1], 2 * thickness + 1, ink)
    if kind == "CIRCLE" and len(points) >= 2:
        points = _circle(numbers(shape, _POINTS), text(shape, _SHAPE_UNITS), geometry)
    elif kind == "ELLIPSE" and len(points) >= 4:
        middle = (points[0] + points[1]) / 2
        points = ellipse_points(middle, points[1] - middle, (points[3] - points[2]) / 2)
    elif kind == "INTERPOLATED":
        points = curve_points(points)
    closed = bool(np.allclose(points[0], points[-1]))
    filled = text(shape, _FILLED) == "Y" and closed and len(points) > 2
    return _line_drawn(picture, points, thickness, ink, filled=filled)


def _line_drawn(
    picture: "Array", points: "Array", thickness: int, ink: Ink, *, filled: bool = False
) -> "Array":
    """`picture` with a line; only the part of it around the line is touched."""
    box = around(points, picture.shape[:2], thickness)
    if box is None:
        return picture
    top, left, bottom, right = box
    size, points = (bottom - top, right - left), tamed(points) - (left, top)
    mask = line_points(points, size, thickness)
    if filled:
        mask |= area_mask(points, size)
    return painted_at(picture, mask, ink, top, left)


def _circle(found: list[float], units: str, geometry: Geometry) -> "Array":
    """A circle where its units are square, hence an ellipse in a picture whose pixels were evened out."""
    x, y = found[2] - found[0], found[3] - found[1]
    radius = (x * x + y * y) ** 0.5
    ends = [*found[:2], found[0] + radius, found[1], found[0], found[1] + radius]
    middle, right, below = _placed(ends, units, geometry)
    return ellipse_points(middle, right - middle, below - middle)


def _text_drawn(picture: "Array", words: Dataset, geometry: Geometry, ink: Ink) -> "Array":
    lines = text(words, _UNFORMATTED).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    size, scale = picture.shape[:2], _size(picture)
    anchor = _placed(numbers(words, _ANCHOR)[:2], text(words, _ANCHOR_UNITS), geometry)
    box = _placed(
        numbers(words, _BOX_START)[:2] + numbers(words, _BOX_END)[:2], text(words, _BOX_UNITS), geometry
    )
    justified = "LEFT"
    if len(box) == 2:
        (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
        justified = text(words, _JUSTIFIED) or "LEFT"
        start = {"CENTER": (left + right) / 2, "RIGHT": right}.get(justified, left)
        scale = max(min(int((bottom - top) // (CELL_HEIGHT * len(lines))), 2 * scale), 1)
    elif len(anchor):
        start, top = float(anchor[0, 0]) + 3 * scale, float(anchor[0, 1]) - CELL_HEIGHT * scale / 2
        left, bottom = start, top
    else:
        return picture
    mask = text_mask(lines, size, float(start), float(top), scale, justified)
    if len(anchor) and text(words, _ANCHOR_SHOWN) == "Y" and len(box) == 2:
        mask |= _leader(anchor[0], box, size)
    return painted(picture, mask, ink)


def _leader(anchor: "Array", box: "Array", size: tuple[int, int]) -> "Array":
    """The line from the anchor to the nearest point of the box."""
    import numpy as np

    nearest = np.clip(anchor, box.min(axis=0), box.max(axis=0))
    return line_points(np.stack([anchor, nearest]), size)
