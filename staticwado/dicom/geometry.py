"""Where the pixels of an image go: displayed area, quarter turns, flips, region, scale (PS3.18 8.3.5.1.3).

One rule: arrays and points go through the same transformation, so that what is drawn lies where it belongs.
Coordinates are (column, row) from the top left corner of the top left pixel, which is 0, 0.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy import ndarray

    Array = ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Region:
    """The part of the source that `viewport` or `region` asks for; a missing size goes to the far edge."""

    left: float = 0.0
    top: float = 0.0
    width: float | None = None
    height: float | None = None
    mirrored: bool = False
    """Left and right change places."""
    upside_down: bool = False
    relative: bool = False
    """In parts of the source's width and height, not in pixels (PS3.18 9.4.1.2.6)."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """The room that the picture must fit into, in pixels (None: any), and what to show of the source."""

    width: int | None = None
    height: int | None = None
    region: Region = Region()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle between pixels; the right and bottom are not in it."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def within(self, other: "Box") -> "Box | None":
        """What both have in common; None without any."""
        common = Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )
        return common if common.width > 0 and common.height > 0 else None


@dataclass(frozen=True, slots=True)
class Geometry:
    """From an image of `rows` by `columns` to a picture of `height` by `width`.

    First `area` of the image, which may stick out of it, turned by `turns` quarters clockwise and then
    `mirrored` (PS3.3 C.10.6); of that `region`; that scaled, and flipped as the viewport asks.
    """

    rows: int
    columns: int
    area: Box
    turns: int
    mirrored: bool
    region: Box
    width: int
    height: int
    flipped: bool = False
    upside_down: bool = False

    def place(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Where points of the image, numbers or arrays of them, lie in the picture."""
        x, y = x - self.area.left, y - self.area.top
        width, height = self.area.width, self.area.height
        if self.turns == 1:
            x, y = height - y, x
        elif self.turns == 2:
            x, y = width - x, height - y
        elif self.turns == 3:
            x, y = y, width - x
        if self.mirrored:
            x = (height if self.turns % 2 else width) - x
        x = (x - self.region.left) * (self.width / self.region.width)
        y = (y - self.region.top) * (self.height / self.region.height)
        return (self.width - x if self.flipped else x), (self.height - y if self.upside_down else y)

    @property
    def scale(self) -> float:
        """Pixels of the picture along its width for one pixel of the region."""
        return self.width / self.region.width

    def visible(self) -> Box | None:
        """The part of the image, in whole pixels, that the picture shows."""
        left, top, right, bottom = (
            self.region.left,
            self.region.top,
            self.region.right,
            self.region.bottom,
        )
        width, height = self.area.width, self.area.height
        if self.mirrored:
            across = height if self.turns % 2 else width
            left, right = across - right, across - left
        if self.turns == 1:
            left, top, right, bottom = top, height - right, bottom, height - left
        elif self.turns == 2:
            left, top, right, bottom = width - right, height - bottom, width - left, height - top
        elif self.turns == 3:
            left, top, right, bottom = width - bottom, left, width - top, right
        wanted = Box(
            left + self.area.left, top + self.area.top, right + self.area.left, bottom + self.area.top
        )
        return wanted.within(Box(0, 0, self.columns, self.rows))

    def inner(self) -> tuple[int, int, int, int] | None:
        """(top, left, bottom, right) of what the image covers of the picture; None for nothing."""
        seen = self.visible()
        if seen is None:
            return None
        x1, y1 = self.place(seen.left, seen.top)
        x2, y2 = self.place(seen.right, seen.bottom)
        top, bottom = _between(min(y1, y2), max(y1, y2), self.height)
        left, right = _between(min(x1, x2), max(x1, x2), self.width)
        return top, left, bottom, right

    def cut(self, array: "Array") -> "Array":
        """The visible part of `array`, of the image's size, turned and flipped but not scaled: a view."""
        import numpy as np

        seen = self.visible()
        if seen is None:
            return array[:0, :0]
        part = array[int(seen.top) : int(seen.bottom), int(seen.left) : int(seen.right)]
        part = np.rot90(part, -self.turns)
        if self.mirrored != self.flipped:
            part = part[:, ::-1]
        return part[::-1] if self.upside_down else part

    def composed(self, array: "Array", convert: "Callable[[Array, int, int], Array]") -> "Array":
        """The picture: what `convert(part, rows, columns)` makes of the visible part, on black.

        `convert` gives 8-bit (rows, columns) or (rows, columns, samples).
        """
        import numpy as np

        inner = self.inner()
        if inner is None:
            return np.zeros((self.height, self.width), np.uint8)
        top, left, bottom, right = inner
        shown = convert(self.cut(array), bottom - top, right - left)
        if shown.shape[:2] == (self.height, self.width):
            return shown
        picture = np.zeros((self.height, self.width, *shown.shape[2:]), shown.dtype)
        picture[top:bottom, left:right] = shown
        return picture


def _between(low: float, high: float, length: int) -> tuple[int, int]:
    """Whole pixels from `low` to `high`: at least one, and inside."""
    start = min(max(round(low), 0), length - 1)
    return start, min(max(round(high), start + 1), length)


def whole_area(rows: int, columns: int) -> Box:
    """All of an image."""
    return Box(0, 0, columns, rows)


def fitted(
    rows: int,
    columns: int,
    viewport: Viewport | None,
    aspect: float,
    area: Box | None = None,
    turns: int = 0,
    *,
    mirrored: bool = False,
) -> Geometry:
    """The geometry of a picture that fits `viewport`; without one it has the pixels of `area` as they are.

    `aspect` is the height of a pixel of the image over its width; it counts where the picture is scaled.

    Raises BadRequest, naming the parameter, for a region that is not in the source (PS3.18 8.3.5.1.3).
    """
    area = area or whole_area(rows, columns)
    across, down = (area.height, area.width) if turns % 2 else (area.width, area.height)
    if turns % 2:
        aspect = 1 / aspect
    wanted = viewport.region if viewport else Region()
    region = _region(wanted, across, down)
    width, height = int(region.width), int(region.height)
    if viewport and (viewport.width or viewport.height):
        width, height = _fit(region.width, region.height * aspect, viewport)
    return Geometry(
        rows,
        columns,
        area,
        turns,
        mirrored,
        region,
        width,
        height,
        wanted.mirrored,
        wanted.upside_down,
    )


def _fit(width: float, height: float, viewport: Viewport) -> tuple[int, int]:
    """The largest size of the proportions of `width` and `height` in the viewport."""
    scale = min(
        viewport.width / width if viewport.width else float("inf"),
        viewport.height / height if viewport.height else float("inf"),
    )
    found = round(width * scale), round(height * scale)
    room = viewport.width or found[0], viewport.height or found[1]
    return max(min(found[0], room[0]), 1), max(min(found[1], room[1]), 1)


def _region(wanted: Region, across: float, down: float) -> Box:
    """`wanted` in whole pixels of a source of `across` by `down`."""
    name = "region" if wanted.relative else "viewport"
    scale_x, scale_y = (across, down) if wanted.relative else (1.0, 1.0)
    left, top = wanted.left * scale_x, wanted.top * scale_y
    right = across if wanted.width is None else left + wanted.width * scale_x
    bottom = down if wanted.height is None else top + wanted.height * scale_y
    if not (0 <= left < right <= across + 1e-6 and 0 <= top < bottom <= down + 1e-6):
        raise BadRequest(
            f"{name} asks for columns {left:g} to {right:g} and rows {top:g} to {bottom:g} of an image of "
            f"{across:g} by {down:g}"
        )
    first_x, last_x = _between(left, right, int(across))
    first_y, last_y = _between(top, bottom, int(down))
    return Box(first_x, first_y, last_x, last_y)
