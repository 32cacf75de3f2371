from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.geometry import Box, Geometry, Region, Viewport, fitted

Array = NDArray[Any]


def whole(part: Array, rows: int, columns: int) -> Array:
    assert part.shape == (rows, columns), "at its own size nothing is scaled"
    return part


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    corner=st.tuples(st.integers(-3, 6), st.integers(-3, 6)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    turns=st.integers(0, 3),
    mirrored=st.booleans(),
    flipped=st.booleans(),
    upside_down=st.booleans(),
)
def test_points_lie_on_the_pixels_that_they_lay_on(
    rows: int,
    columns: int,
    corner: tuple[int, int],
    size: tuple[int, int],
    turns: int,
    mirrored: bool,
    flipped: bool,
    upside_down: bool,
) -> None:
    image = np.arange(1, rows * columns + 1, dtype=np.uint8).reshape(rows, columns)
    area = Box(corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
    viewport = Viewport(None, None, Region(mirrored=flipped, upside_down=upside_down))
    geometry = fitted(rows, columns, viewport, 1.0, area, turns, mirrored=mirrored)
    picture = geometry.composed(image, whole)
    seen = 0
    for row in range(rows):
        for column in range(columns):
            x, y = geometry.place(column + 0.5, row + 0.5)
            inside = area.left <= column < area.right and area.top <= row < area.bottom
            assert inside == (0 <= x < geometry.width and 0 <= y < geometry.height)
            if inside:
                assert picture[int(y), int(x)] == image[row, column]
                seen += 1
    assert np.count_nonzero(picture) == seen


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 999), st.integers(1, 999), st.floats(0.2, 5)
)
def test_a_picture_fills_its_viewport_along_one_side(
    rows: int, columns: int, width: int, height: int, aspect: float
) -> None:
    found: Geometry = fitted(rows, columns, Viewport(width, height), aspect)
    assert 1 <= found.width <= width
    assert 1 <= found.height <= height
    assert found.width == width or found.height == height
    assert abs(found.width - found.height * columns / (rows * aspect)) <= 1 + columns / (rows * aspect)
