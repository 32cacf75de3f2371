from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from staticwado.dicom.annotation import Annotation
from staticwado.dicom.geometry import Region, Viewport
from staticwado.dicom.profile import ColourProfile
from staticwado.dicom.rendering import RenderOptions, frame_durations, render_frame
from staticwado.dicom.voi import VoiFunction, Window
from staticwado.errors import BadRequest, BrokenDicom, Unsupported
from tests.dicom import images
from tests.dicom.images import Dataset, element, image_dataset, inline, no_bulkdata

Array = NDArray[Any]
CENTER, WIDTH = "00281050", "00281051"
AS_IT_IS = {
    CENTER: element("DS", 127.5),
    WIDTH: element("DS", 255),
    "00281056": element("CS", "LINEAR_EXACT"),
}


def rendered(dataset: Dataset, array: Array, **options: Any) -> Array:
    """The frame `array`, stored natively."""
    kind = "<u2" if dataset["00280100"]["Value"] == [16] else "u1"
    more = {key: options.pop(key) for key in ("limit", "presentation", "frame_number") if key in options}
    number = more.pop("frame_number", 1)
    frame = array.astype(kind).tobytes()
    return render_frame(dataset, frame, images.NATIVE, number, no_bulkdata, RenderOptions(**options), **more)


def grey_image(rows: int, columns: int, **more: Any) -> Dataset:
    return image_dataset(rows, columns, allocated=8, **more) | AS_IT_IS


RAMP = np.arange(64).reshape(8, 8) * 4


def test_nothing_asked_for_gives_the_image_in_its_own_size() -> None:
    assert rendered(grey_image(8, 8), RAMP).tolist() == RAMP.tolist()


def test_the_shape_of_pixels_counts_only_where_the_picture_is_scaled() -> None:
    dataset = grey_image(8, 8) | {"00280030": element("DS", 2, 1)}
    assert rendered(dataset, RAMP).shape == (8, 8)
    assert rendered(dataset, RAMP, viewport=Viewport(100, 100)).shape == (100, 50)


@pytest.mark.parametrize(
    ("viewport", "shape"),
    [((16, 16), (16, 16)), ((40, 16), (16, 16)), ((4, 100), (4, 4)), ((1, 1), (1, 1)), ((3, 100), (3, 3))],
)
def test_v05_the_picture_fits_its_viewport_and_keeps_its_proportions(
    viewport: tuple[int, int], shape: tuple[int, int]
) -> None:
    assert rendered(grey_image(8, 8), RAMP, viewport=Viewport(*viewport)).shape == shape


def test_v05_a_region_is_cropped_before_it_is_scaled() -> None:
    region = Region(2, 4, 4, 2)
    found = rendered(grey_image(8, 8), RAMP, viewport=Viewport(4, 4, region))
    assert found.tolist() == RAMP[4:6, 2:6].tolist()


def test_v05_a_region_without_size_goes_to_the_far_edges() -> None:
    found = rendered(grey_image(8, 8), RAMP, viewport=Viewport(6, 3, Region(2, 5)))
    assert found.tolist() == RAMP[5:, 2:].tolist()


def test_v05_negative_sizes_flip() -> None:
    mirrored = Viewport(8, 8, Region(mirrored=True))
    upside_down = Viewport(8, 8, Region(upside_down=True))
    assert rendered(grey_image(8, 8), RAMP, viewport=mirrored).tolist() == RAMP[:, ::-1].tolist()
    assert rendered(grey_image(8, 8), RAMP, viewport=upside_down).tolist() == RAMP[::-1].tolist()


@pytest.mark.parametrize("region", [Region(8, 0), Region(0, 0, 9, 1), Region(0, 7, 1, 2), Region(3, 9, 1, 1)])
def test_v05_a_region_outside_of_the_image_is_refused(region: Region) -> None:
    with pytest.raises(BadRequest, match="viewport asks for"):
        rendered(grey_image(8, 8), RAMP, viewport=Viewport(8, 8, region))


def test_v05_a_viewport_that_needs_more_than_the_limit_is_refused_before_anything_is_decoded() -> None:
    with pytest.raises(BadRequest, match="viewport: a picture of 90000 by 90000"):
        render_frame(
            grey_image(8, 8),
            b"",
            images.NATIVE,
            1,
            no_bulkdata,
            RenderOptions(viewport=Viewport(90000, 90000)),
        )


def test_a_region_in_parts_of_the_image_is_that_of_wado_uri() -> None:
    region = Region(0.25, 0.5, 0.5, 0.25, relative=True)
    found = rendered(grey_image(8, 8), RAMP, viewport=Viewport(None, None, region))
    assert found.tolist() == RAMP[4:6, 2:6].tolist()


def test_wado_uri_may_ask_for_one_side_only() -> None:
    assert rendered(grey_image(8, 8), RAMP, viewport=Viewport(None, 4)).shape == (4, 4)


def test_making_smaller_is_the_mean_of_the_area_and_larger_a_mix_of_neighbours() -> None:
    smaller = rendered(grey_image(8, 8), RAMP, viewport=Viewport(2, 2))
    assert smaller.tolist() == RAMP.reshape(2, 4, 2, 4).mean(axis=(1, 3)).round().astype(int).tolist()
    two = np.array([[0, 200]])
    larger = rendered(grey_image(1, 2), two, viewport=Viewport(8, 4))
    assert larger[0].tolist() == [0, 0, 25, 75, 125, 175, 200, 200]


@pytest.mark.parametrize(
    ("function", "wanted"),
    [(VoiFunction.LINEAR, 129), (VoiFunction.LINEAR_EXACT, 128), (VoiFunction.SIGMOID, 128)],
)
def test_v06_the_window_of_the_client_replaces_that_of_the_data_set(
    function: VoiFunction, wanted: int
) -> None:
    found = rendered(grey_image(1, 3), np.array([[0, 50, 255]]), window=Window(50, 100, function))
    assert found[0, 1] == wanted


def test_v09_values_are_scaled_before_they_are_windowed() -> None:
    threshold = Window(100.5, 1)
    found = rendered(grey_image(1, 2), np.array([[0, 190]]), viewport=Viewport(1, 1), window=threshold)
    assert found.tolist() == [[0]]


def test_the_contrast_of_a_part_is_that_of_the_whole() -> None:
    dataset = image_dataset(4, 64, stored=12)
    values = np.tile(np.arange(64) * 60, (4, 1))
    whole = rendered(dataset, values)
    part = rendered(dataset, values, viewport=Viewport(8, 4, Region(20, 0, 8, 4)))
    assert part.tolist() == whole[:, 20:28].tolist()


def test_values_of_which_a_mean_means_nothing_are_scaled_after_their_table() -> None:
    dataset = grey_image(4, 4)
    table = {"00283002": element("US", 2, 0, 8), "00283006": element("US", 0, 200)}
    dataset["00283000"] = element("SQ", table)
    found = rendered(dataset, np.array([[0, 5], [0, 5]] * 2).repeat(2, axis=1), viewport=Viewport(1, 1))
    assert found.tolist() == [[100]]


def test_padding_does_not_decide_the_contrast() -> None:
    dataset = image_dataset(1, 4, signed=True) | {"00280120": element("SS", -2000)}
    frame = np.array([[-2000, 0, 50, 100]], "<i2").tobytes()
    found = render_frame(dataset, frame, images.NATIVE, 1, no_bulkdata)
    assert found.tolist() == [[0, 0, 128, 255]]


def test_v10_inverse_images_are_white_where_they_are_low() -> None:
    found = rendered(grey_image(8, 8, photometric="MONOCHROME1"), RAMP)
    assert found.tolist() == (255 - RAMP).tolist()


def test_masks_are_black_and_white_and_grey_where_they_are_made_smaller() -> None:
    dataset = image_dataset(2, 4, allocated=1)
    found = render_frame(dataset, b"\x53", images.NATIVE, 1, no_bulkdata)
    assert found.tolist() == [[255, 255, 0, 0], [255, 0, 255, 0]]
    options = RenderOptions(viewport=Viewport(2, 1))
    assert render_frame(dataset, b"\x53", images.NATIVE, 1, no_bulkdata, options).tolist() == [[191, 64]]


def test_high_values_take_the_colours_of_a_supplemental_palette() -> None:
    dataset = grey_image(1, 4) | {"00089205": element("CS", "COLOR")}
    for index, entries in enumerate((b"\xff\0\0\0", b"\0\xff\0\0", b"\0\0\xff\0"), 1):
        dataset[f"0028110{index}"] = element("US", 4, 200, 8)
        dataset[f"0028120{index}"] = inline(entries)
    found = rendered(dataset, np.array([[0, 199, 200, 201]]))
    assert found.tolist() == [[[0, 0, 0], [199, 199, 199], [255, 0, 0], [0, 255, 0]]]


@pytest.mark.parametrize(
    ("photometric", "sample", "wanted"),
    [
        ("ARGB", (9, 10, 20, 30), [10, 20, 30]),
        ("CMYK", (255, 0, 100, 55), [0, 200, 100]),
        ("HSV", (0, 255, 200), [200, 0, 0]),
        ("HSV", (85, 255, 200), [0, 200, 0]),
        ("HSV", (170, 255, 200), [0, 0, 200]),
        ("HSV", (99, 0, 200), [200, 200, 200]),
    ],
)
def test_retired_colour_spaces_are_shown(
    photometric: str, sample: tuple[int, ...], wanted: list[int]
) -> None:
    dataset = image_dataset(1, 1, photometric, samples=len(sample), allocated=8)
    assert rendered(dataset, np.array([[sample]])).tolist() == [[wanted]]


def test_hues_are_scaled_as_colours() -> None:
    dataset = image_dataset(1, 2, "HSV", samples=3, allocated=8)
    found = rendered(dataset, np.array([[[0, 255, 200], [170, 255, 200]]]), viewport=Viewport(1, 1))
    assert found.tolist() == [[[100, 0, 100]]]


def test_colour_has_no_window() -> None:
    dataset = image_dataset(1, 1, "RGB", samples=3, allocated=8)
    assert rendered(dataset, np.array([[[1, 2, 3]]]), window=Window(0, 1)).tolist() == [[[1, 2, 3]]]


def test_annotation_comes_last() -> None:
    dataset = grey_image(64, 64) | {"00100020": element("LO", "X")}
    found = rendered(
        dataset,
        np.full((64, 64), 80),
        annotations=frozenset({Annotation.PATIENT}),
        window=Window(50, 100, VoiFunction.LINEAR_EXACT),
    )
    assert set(np.unique(found)) == {0, 204, 255}


def test_v08_grey_in_a_named_colour_space_becomes_rgb() -> None:
    found = rendered(grey_image(8, 8), RAMP, profile=ColourProfile.SRGB)
    assert found.shape == (8, 8, 3)
    assert found[..., 1].tolist() == RAMP.tolist()


def test_the_limit_holds_for_pictures_without_a_viewport_too() -> None:
    with pytest.raises(Unsupported, match="needs more than 60 bytes"):
        rendered(grey_image(8, 8), RAMP, limit=60)


def test_what_is_too_short_is_broken() -> None:
    with pytest.raises(BrokenDicom):
        rendered(grey_image(8, 8), RAMP[:2])


@pytest.mark.parametrize(
    ("elements", "numbers", "wanted"),
    [
        ({"00181063": element("DS", 33.4)}, (1, 2), [33, 33]),
        ({"00181065": element("DS", 0, 10, 50)}, (1, 2, 3), [10, 50, 50]),
        ({"00181065": element("DS", 0, 10)}, (1, 2, 3), []),
        ({"00082144": element("IS", 25)}, (2,), [40]),
        ({"00180040": element("IS", 10)}, (1,), [100]),
        ({"00181063": element("DS", 0), "00180040": element("IS", 0)}, (1,), []),
        ({}, (1, 2), []),
    ],
)
def test_frames_last_as_long_as_the_data_set_says(
    elements: Dataset, numbers: tuple[int, ...], wanted: list[int]
) -> None:
    assert list(frame_durations(elements, numbers)) == wanted


def overlaid(**more: Any) -> Dataset:
    """A 4 x 8 image with an overlay of 2 x 3, its second row and column."""
    return image_dataset(4, 8, **more) | {
        "60000010": element("US", 2),
        "60000011": element("US", 3),
        "60000040": element("CS", "G"),
        "60000050": element("SS", 2, 2),
        "60000100": element("US", 1),
        "60000102": element("US", 0),
        "60003000": inline(b"\x2b\0"),
    }


def test_overlays_are_shown_where_they_are_asked_for() -> None:
    dataset = overlaid(allocated=8)
    nothing = rendered(dataset, np.zeros((4, 8)))
    assert not nothing.any()
    found = rendered(dataset, np.zeros((4, 8)), overlays=True)
    assert (found > 0).astype(int).tolist() == [
        [0] * 8,
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 0, 0, 0, 0],
        [0] * 8,
    ]


def test_an_overlay_goes_through_crop_scale_and_flip_with_its_image() -> None:
    viewport = Viewport(8, 8, Region(1, 1, 2, 2, mirrored=True))
    found = rendered(overlaid(allocated=8), np.zeros((4, 8)), overlays=True, viewport=viewport)
    assert found[0, 7] == found[7, 7] == found[0, 0] == 255
    assert found[7, 0] == 0


def sizes() -> Iterator[tuple[int, int]]:
    yield from ((1, 1), (1, 9), (9, 1), (7, 5))


@given(
    size=st.sampled_from(list(sizes())),
    room=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    left=st.floats(0, 10),
    top=st.floats(0, 10),
    width=st.none() | st.floats(0.01, 10),
    height=st.none() | st.floats(0.01, 10),
    mirrored=st.booleans(),
    upside_down=st.booleans(),
)
def test_any_viewport_gives_a_picture_inside_it_or_a_clear_error(
    size: tuple[int, int],
    room: tuple[int, int],
    left: float,
    top: float,
    width: float | None,
    height: float | None,
    mirrored: bool,
    upside_down: bool,
) -> None:
    region = Region(left, top, width, height, mirrored, upside_down)
    rows, columns = size
    right = columns if width is None else left + width
    bottom = rows if height is None else top + height
    viewport = Viewport(*room, region)
    if left >= right or top >= bottom or right > columns + 1e-6 or bottom > rows + 1e-6:
        with pytest.raises(BadRequest, match="viewport"):
            rendered(grey_image(*size), np.ones(size), viewport=viewport)
        return
    found = rendered(grey_image(*size), np.ones(size), viewport=viewport)
    assert found.shape[0] <= room[1]
    assert found.shape[1] <= room[0]
    assert (found == 1).all()
