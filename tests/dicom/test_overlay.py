import numpy as np
import pytest

from staticwado.dicom.overlay import groups_of, outline, overlay, overlay_mask
from staticwado.dicom.pixels import image_pixel
from staticwado.errors import BrokenDicom
from tests.dicom.images import Dataset, element, image_dataset, inline, no_bulkdata

IMAGE = image_pixel(image_dataset(4, 6, allocated=16, stored=12))


def plane(group: str, bits: str, rows: int, columns: int, **more: Dataset) -> Dataset:
    """An overlay whose bits are given row by row, frame by frame."""
    data = np.packbits(np.array([bit == "1" for bit in bits], bool), bitorder="little").tobytes()
    return {
        f"{group}0010": element("US", rows),
        f"{group}0011": element("US", columns),
        f"{group}0050": element("SS", 1, 1),
        f"{group}0100": element("US", 1),
        f"{group}0102": element("US", 0),
        f"{group}3000": inline(data),
    } | {group + tag.removeprefix("x"): value for tag, value in more.items()}


def marked(dataset: Dataset, group: str = "6000", frame: int = 1) -> list[tuple[int, int]] | None:
    found = overlay(dataset, group, IMAGE)
    assert found is not None
    mask = overlay_mask(found, IMAGE, frame, None, no_bulkdata)
    return None if mask is None else [(int(row), int(column)) for row, column in np.argwhere(mask)]


def test_the_groups_are_found_in_order() -> None:
    dataset = plane("601E", "1", 1, 1) | plane("6000", "1", 1, 1)
    assert list(groups_of(dataset)) == ["6000", "601E"]


def test_bits_go_row_by_row_from_the_origin() -> None:
    dataset = plane("6000", "101001", 2, 3, x0050=element("SS", 2, 4))
    assert marked(dataset) == [(1, 3), (1, 5), (2, 5)]


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [((0, 0), [(0, 0)]), ((4, 6), [(3, 5)]), ((-1, -1), None), ((5, 1), None), ((1, 7), None)],
)
def test_what_hangs_over_the_edge_is_cut(
    origin: tuple[int, int], wanted: list[tuple[int, int]] | None
) -> None:
    assert marked(plane("6000", "1001", 2, 2, x0050=element("SS", *origin))) == wanted


def test_each_frame_of_a_plane_belongs_to_a_frame_of_the_image() -> None:
    dataset = plane("6000", "100" + "010" + "001", 1, 3, x0015=element("IS", 3), x0051=element("US", 2))
    assert marked(dataset, frame=1) is None
    assert [marked(dataset, frame=number) for number in (2, 3, 4)] == [[(0, 0)], [(0, 1)], [(0, 2)]]
    assert marked(dataset, frame=5) is None


def test_a_plane_of_one_frame_belongs_to_all() -> None:
    assert marked(plane("6000", "1", 1, 1), frame=7) == [(0, 0)]
    assert marked(plane("6000", "1", 1, 1, x0015=element("IS", 1)), frame=7) == [(0, 0)]


def test_planes_in_unused_bits_are_found_there() -> None:
    dataset = plane("6000", "", 4, 6, x0100=element("US", 16), x0102=element("US", 13))
    del dataset["60003000"]
    found = overlay(dataset, "6000", IMAGE)
    assert found is not None
    cells = np.zeros((4, 6), np.uint16)
    cells[1, 2] = 1 << 13 | 5
    cells[3, 3] = 1 << 12
    mask = overlay_mask(found, IMAGE, 1, cells, no_bulkdata)
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[1, 2]]


@pytest.mark.parametrize("bit", [0, 11, 16, -1])
def test_bits_of_the_pixels_themselves_are_no_plane(bit: int) -> None:
    dataset = plane("6000", "", 4, 6, x0100=element("US", 16), x0102=element("US", bit))
    del dataset["60003000"]
    assert overlay(dataset, "6000", IMAGE) is None


def test_a_plane_without_data_and_without_a_place_is_none() -> None:
    dataset = plane("6000", "", 4, 6)
    del dataset["60003000"]
    assert overlay(dataset, "6000", IMAGE) is None


def test_data_that_are_too_short_are_broken() -> None:
    with pytest.raises(BrokenDicom, match=r"\(6000,3000\)"):
        marked(plane("6000", "1", 3, 3))


def test_regions_of_interest_are_outlined() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:5] = True
    assert outline(mask).sum() == 12
    assert not outline(mask)[2:4, 2:4].any()
    assert outline(np.ones((3, 3), bool)).sum() == 8
