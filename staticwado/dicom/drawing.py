"""Lines, areas and letters as masks, and putting them into a picture.

One rule: what lies outside the picture costs nothing; coordinates of any size and kind are cut before
they are drawn.
"""

from typing import TYPE_CHECKING, Any

from staticwado.dicom.font import CELL_HEIGHT, CELL_WIDTH, line_mask

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

Ink = int | tuple[int, int, int]
"""8-bit grey, or RGB."""
CURVE_STEPS = 16
"""Straight pieces between two points of a curve."""
_FAR = 1e7
"""Points further out than this are pulled in: no picture is as large."""


def painted(picture: "Array", mask: "Array", ink: Ink) -> "Array":
    """`picture` with `ink` where `mask` says; grey becomes RGB where the ink has a colour."""
    return painted_at(picture, mask, ink, 0, 0)


def painted_at(picture: "Array", mask: "Array", ink: Ink, top: int, left: int) -> "Array":
    """The same for a mask of a part of the picture, which begins in row `top` and column `left`."""
    import numpy as np

    if not isinstance(ink, int) and len(set(ink)) == 1:
        ink = ink[0]
    if picture.ndim == 2 and not isinstance(ink, int):
        picture = np.repeat(picture[..., None], 3, axis=2)
    elif not picture.flags.writeable:
        picture = picture.copy()
    rows, columns = mask.shape
    picture[top : top + rows, left : left + columns][mask] = ink
    return picture


def around(points: "Array", shape: tuple[int, int], margin: int) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of the part of a picture with all `points` that are in it; None for none.

    `margin` is in pixels.
    """
    import numpy as np

    first = np.floor(tamed(points).min(axis=0)).astype(int) - margin
    last = np.ceil(tamed(points).max(axis=0)).astype(int) + margin + 1
    left, top = (max(int(value), 0) for value in first)
    right, bottom = min(int(last[0]), shape[1]), min(int(last[1]), shape[0])
    return (top, left, bottom, right) if top < bottom and left < right else None


def line_points(points: "Array", shape: tuple[int, int], thickness: int = 1) -> "Array":
    """The mask of the open line through `points`, (n, 2) of x and y; `shape` is that of the picture."""
    import numpy as np

    mask = np.zeros(shape, bool)
    points = tamed(points)
    if len(points) == 1:
        points = points.repeat(2, axis=0)
    for (x1, y1), (x2, y2) in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
        ends = _clipped(x1, y1, x2, y2, shape)
        if ends is None:
            continue
        steps = int(max(abs(ends[2] - ends[0]), abs(ends[3] - ends[1]))) + 2
        columns = np.linspace(ends[0], ends[2], steps).astype(np.intp)
        rows = np.linspace(ends[1], ends[3], steps).astype(np.intp)
        mask[rows.clip(0, shape[0] - 1), columns.clip(0, shape[1] - 1)] = True
    return thickened(mask, thickness)


def thickened(mask: "Array", thickness: int) -> "Array":
    """`mask` with each dot grown to `thickness` dots."""
    for number in range(1, thickness):
        wider = mask.copy()
        if number % 2:
            wider[1:] |= mask[:-1]
            wider[:, 1:] |= wider[:, :-1].copy()
        else:
            wider[:-1] |= mask[1:]
            wider[:, :-1] |= wider[:, 1:].copy()
        mask = wider
    return mask


def _clipped(
    x1: float, y1: float, x2: float, y2: float, shape: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """The part of a line that is in the picture (Liang and Barsky)."""
    begin, end = 0.0, 1.0
    for start, span, length in ((x1, x2 - x1, shape[1]), (y1, y2 - y1, shape[0])):
        if span == 0:
            if not 0 <= start < length:
                return None
            continue
        near, far = sorted(((0 - start) / span, (length - start) / span))
        begin, end = max(begin, near), min(end, far)
    if begin > end:
        return None
    return (
        x1 + begin * (x2 - x1),
        y1 + begin * (y2 - y1),
        x1 + end * (x2 - x1),
        y1 + end * (y2 - y1),
    )


def tamed(points: "Array") -> "Array":
    """`points` as finite floats within reach."""
    import numpy as np

    return np.clip(np.nan_to_num(np.asarray(points, np.float64).reshape(-1, 2)), -_FAR, _FAR)


def area_mask(points: "Array", shape: tuple[int, int]) -> "Array":
    """The mask of the inside of the closed polygon through `points`, by centres of pixels, even-odd."""
    import numpy as np

    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.uint8)
    corners = tamed(points)
    for (x1, y1), (x2, y2) in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
        if y1 == y2:
            continue
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        first, last = int(np.ceil(max(y1 - 0.5, 0))), int(np.ceil(min(y2 - 0.5, rows)))
        if first >= last:
            continue
        lines = np.arange(first, last)
        x = x1 + (lines + 0.5 - y1) * ((x2 - x1) / (y2 - y1))
        crossings[lines, np.clip(np.ceil(x - 0.5), 0, columns).astype(np.intp)] ^= 1
    return np.asarray(np.bitwise_xor.accumulate(crossings, axis=1)[:, :columns].astype(bool))


def ellipse_points(center: "Array", first: "Array", second: "Array") -> "Array":
    """The closed outline about `center` with the half axes `first` and `second`, each (x, y)."""
    import numpy as np

    reach = float(np.abs(np.stack([first, second])).max())
    steps = int(min(max(reach * 4, 24), 2048))
    angles = np.linspace(0, 2 * np.pi, steps + 1)[:, None]
    return np.asarray(center + np.cos(angles) * first + np.sin(angles) * second)


def curve_points(points: "Array") -> "Array":
    """A smooth line through all `points` (Catmull and Rom's spline)."""
    import numpy as np

    points = tamed(points)
    if len(points) < 3:
        return points
    closed = bool((points[0] == points[-1]).all())
    before = points[-2:-1] if closed else points[:1]
    after = points[1:2] if closed else points[-1:]
    p = np.concatenate([before, points, after])
    t = np.linspace(0, 1, CURVE_STEPS, endpoint=False)[None, :, None]
    a, b, c, d = (p[index : len(p) - 3 + index, None] for index in range(4))
    pieces = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([pieces.reshape(-1, 2), points[-1:]])


def text_mask(
    lines: list[str], shape: tuple[int, int], left: float, top: float, scale: int, justified: str = "LEFT"
) -> "Array":
    """The mask of `lines` of text; `left` is the middle for CENTER and the right end for RIGHT."""
    import numpy as np

    mask = np.zeros(shape, bool)
    left, top = (min(max(value, -_FAR), _FAR) for value in (left, top))
    room = shape[1] // (CELL_WIDTH * scale) + 2
    for number, line in enumerate(lines):
        y = round(top) + number * CELL_HEIGHT * scale
        if y >= shape[0]:
            break
        # What is far longer than the picture cannot be seen, wherever it begins.
        wide = len(line) * CELL_WIDTH * scale
        x = round(left - (0 if justified == "LEFT" else wide / 2 if justified == "CENTER" else wide))
        skipped = max(-x // (CELL_WIDTH * scale), 0)
        stamp(mask, line_mask(line[skipped : skipped + room], scale), x + skipped * CELL_WIDTH * scale, y)
    return mask


def stamp(mask: "Array", part: "Array", x: int, y: int) -> None:
    """Set in `mask` what is set in `part`, whose top left corner goes to column `x`, row `y`."""
    rows, columns = part.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + rows, mask.shape[0]), min(x + columns, mask.shape[1])
    if top < bottom and left < right:
        mask[top:bottom, left:right] |= part[top - y : bottom - y, left - x : right - x]
