"""Graphics of presentation states: where they are drawn, and how much may be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.drawing import thickened
from staticwado.dicom.geometry import fitted
from staticwado.dicom.graphics import MOST_OBJECTS, MOST_POINTS, check_amount, drawn
from staticwado.dicom.presentation import parse_presentation, presented
from staticwado.errors import Unsupported
from tests.dicom.images import Dataset, element, no_bulkdata
from tests.dicom.presentations import image_of, reference, state_of

Array = NDArray[Any]
KINDS = ("POINT", "POLYLINE", "INTERPOLATED", "CIRCLE", "ELLIPSE")


def shape(kind: str, *points: float, filled: str = "N") -> Dataset:
    return {
        "00700005": element("CS", "PIXEL"),
        "00700022": element("FL", *points),
        "00700023": element("CS", kind),
        "00700024": element("CS", filled),
    }


def letters(words: str) -> Dataset:
    return {
        "00700006": element("ST", words),
        "00700014": element("FL", 5, 5),
        "00700004": element("CS", "PIXEL"),
    }


def picture_of(made: Dataset, size: int, shift: int = 0) -> Array:
    """What is drawn on black; `shift` moves all points down and to the right."""
    points = [value + shift for value in made["00700022"]["Value"]]
    moved = made | {"00700022": element("FL", *points)}
    black = np.zeros((size, size), np.uint8)
    return drawn(black, {"00700009": element("SQ", moved)}, fitted(size, size, None, 1.0), 255)


@given(
    kind=st.sampled_from(KINDS),
    points=st.lists(st.integers(-60, 90), min_size=8, max_size=8),
    filled=st.sampled_from("YN"),
)
def test_what_leaves_the_picture_is_drawn_as_if_the_picture_went_on(
    kind: str, points: list[int], filled: str
) -> None:
    made = shape(kind, *points, *points[:2], filled=filled)
    wide = picture_of(made, 250, shift=100) > 0
    small = picture_of(made, 30) > 0
    # A line that is cut is made of other steps: a pixel may be beside where it was.
    assert not (small & ~thickened(wide, 3)[100:130, 100:130]).any()
    assert not (wide[101:129, 101:129] & ~thickened(small, 3)[1:29, 1:29]).any()


def test_what_lies_outside_changes_nothing() -> None:
    for kind in KINDS:
        made = shape(kind, *(500.0 + number for number in range(8)), filled="Y")
        assert not picture_of(made, 30).any()


@pytest.mark.parametrize(
    "annotation",
    [
        {"00700009": element("SQ", *[shape("POINT", 1, 1)] * (MOST_OBJECTS + 1))},
        {"00700008": element("SQ", *[letters("a")] * (MOST_OBJECTS + 1))},
        {"00700009": element("SQ", shape("POLYLINE", *[1.0, 2.0] * (MOST_POINTS + 1)))},
        {"00700009": element("SQ", shape("INTERPOLATED", *[1.0, 2.0] * (MOST_POINTS // 16 + 1)))},
        {"00700008": element("SQ", letters("a" * (MOST_POINTS + 1)))},
    ],
    ids=["shapes", "texts", "points", "curves", "letters"],
)
def test_more_graphics_than_are_meant_for_people_are_refused(annotation: Dataset) -> None:
    with pytest.raises(Unsupported, match=r"0070,0001.*limit"):
        check_amount([annotation])
    state = parse_presentation(state_of({"00700001": element("SQ", annotation)}), no_bulkdata)
    with pytest.raises(Unsupported, match="limit"):
        presented(state, image_of(8, 8), 1)


def test_graphics_of_other_images_do_not_count() -> None:
    many = {"00700009": element("SQ", *[shape("POINT", 1, 1)] * (MOST_OBJECTS + 1))}
    of_another = many | {"00081140": element("SQ", reference("1.2.3.99"))}
    state = parse_presentation(state_of({"00700001": element("SQ", of_another)}), no_bulkdata)
    assert presented(state, image_of(8, 8), 1).annotations == ()


def test_as_many_as_are_allowed_are_drawn() -> None:
    annotation = {"00700009": element("SQ", *[shape("POINT", 4, 4)] * MOST_OBJECTS)}
    check_amount([annotation])
    picture = drawn(np.zeros((8, 8), np.uint8), annotation, fitted(8, 8, None, 1.0), 255)
    assert picture[4, 4] == 255
