import numpy as np
import pytest

from staticwado.dicom.colour import rgb
from staticwado.dicom.pixels import image_pixel
from staticwado.errors import Unsupported
from tests.dicom.images import image_dataset


def one(photometric: str, *samples: float, bits: int = 8, kind: str = "") -> list[int]:
    image = image_pixel(image_dataset(1, 1, photometric, samples=len(samples), allocated=bits))
    array = np.array([[samples]], kind or image.dtype)
    return list(rgb(array, image)[0, 0].tolist())


def test_8_bit_rgb_stays_as_it_is() -> None:
    image = image_pixel(image_dataset(1, 1, "RGB", samples=3, allocated=8))
    array = np.array([[[1, 2, 3]]], np.uint8)
    assert rgb(array, image) is array


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        ((0, 128, 128), (0, 0, 0)),
        ((255, 128, 128), (255, 255, 255)),
        ((76, 85, 255), (254, 0, 0)),
        ((150, 44, 21), (0, 255, 1)),
        ((29, 255, 107), (0, 0, 254)),
    ],
)
def test_luminance_and_chrominance_become_rgb(samples: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    found = one("YBR_FULL", *samples)
    assert np.abs(np.array(found) - wanted).max() <= 1


def test_the_partial_range_is_widened() -> None:
    assert one("YBR_PARTIAL_422", 16, 128, 128) == [0, 0, 0]
    assert one("YBR_PARTIAL_422", 235, 128, 128) == [255, 255, 255]


@pytest.mark.parametrize(("bits", "largest"), [(16, 65535), (32, 2**32 - 1)])
def test_wide_samples_are_scaled_down(bits: int, largest: int) -> None:
    assert one("RGB", 0, largest // 5, largest, bits=bits) == [0, 51, 255]
    assert one("YBR_FULL", largest, (largest + 1) // 2, (largest + 1) // 2, bits=bits) == [255, 255, 255]


def test_means_are_rounded() -> None:
    assert one("RGB", 0.4, 0.6, 254.6, kind="f4") == [0, 1, 255]


@pytest.mark.parametrize("photometric", ["ARGB", "CMYK", "HSV", "RGB"])
def test_colour_spaces_with_another_number_of_samples_are_named(photometric: str) -> None:
    with pytest.raises(Unsupported, match=photometric):
        one(photometric, *((1, 2, 3) if photometric in ("ARGB", "CMYK") else (1, 2, 3, 4)))


def test_retired_colour_spaces_become_rgb() -> None:
    assert one("ARGB", 9, 10, 20, 30) == [10, 20, 30]
    assert one("CMYK", 0, 255, 100, 100) == [155, 0, 55]
    assert one("HSV", 0, 0, 77) == [77, 77, 77]
    assert one("HSV", 85, 255, 100) == [0, 100, 0]


def test_a_transformed_component_space_has_been_undone_by_the_decoder() -> None:
    assert one("YBR_RCT", 1, 2, 3) == [1, 2, 3]
