import math

import numpy as np
import pytest

from staticwado.dicom.pixels import image_pixel
from staticwado.dicom.voi import VoiFunction, Window, automatic, spread, window_of, windowed
from tests.dicom.images import Dataset, element, image_dataset

RAMP = np.arange(-200, 300, dtype=np.int16)


def linear(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, as it is written there, for output from 0 to 255."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0
    if x > center - 0.5 + (width - 1) / 2:
        return 255
    return ((x - (center - 0.5)) / (width - 1) + 0.5) * 255


def linear_exact(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= center - width / 2:
        return 0
    if x > center + width / 2:
        return 255
    return ((x - center) / width + 0.5) * 255


def sigmoid(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    return 255 / (1 + math.exp(-4 * (x - center) / width))


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (VoiFunction.LINEAR, linear),
        (VoiFunction.LINEAR_EXACT, linear_exact),
        (VoiFunction.SIGMOID, sigmoid),
    ],
)
@pytest.mark.parametrize(("center", "width"), [(40, 400), (0.5, 100), (-50, 3), (7, 2), (40.3, 80.7)])
def test_windows_are_the_standards_formulas(
    function: VoiFunction, formula: object, center: float, width: float
) -> None:
    assert callable(formula)
    found = windowed(RAMP, Window(center, width, function))
    wanted = np.array([formula(float(x), center, width) for x in RAMP])
    assert np.abs(found - wanted).max() <= 0.51
    assert found.dtype == np.uint8


def test_a_linear_window_of_one_is_a_threshold() -> None:
    found = windowed(np.array([8, 9, 10, 11]), Window(10, 1))
    assert found.tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("function", list(VoiFunction))
def test_the_modality_transformation_comes_first(function: VoiFunction) -> None:
    window = Window(1000, 700, function)
    direct = windowed(RAMP.astype(np.float64) * 3.5 + 900, window)
    assert np.abs(windowed(RAMP, window, 3.5, 900).astype(int) - direct).max() <= 1


def test_a_falling_modality_transformation_inverts() -> None:
    found = windowed(RAMP, Window(0, 100), -1.0, 0.0)
    assert (found[0], found[-1]) == (255, 0)


@pytest.mark.parametrize(
    ("elements", "wanted"),
    [
        ({"00281050": element("DS", 50, 60), "00281051": element("DS", 350, 400)}, Window(50, 350)),
        (
            {
                "00281050": element("DS", "50"),
                "00281051": element("DS", " 350 "),
                "00281056": element("CS", "SIGMOID"),
            },
            Window(50, 350, VoiFunction.SIGMOID),
        ),
        (
            {"00281050": element("DS", 1), "00281051": element("DS", 2), "00281056": element("CS", "CUBIC")},
            Window(1, 2),
        ),
        (
            {"00281050": element("DS", 0.5), "00281051": element("DS", 0.3)},
            Window(0.5, 0.3, VoiFunction.LINEAR_EXACT),
        ),
        ({"00281050": element("DS", 50), "00281051": element("DS", 0)}, None),
        ({"00281050": element("DS", 50), "00281051": element("DS", -1)}, None),
        ({"00281050": element("DS", "wide"), "00281051": element("DS", 10)}, None),
        ({"00281050": element("DS", 50)}, None),
        ({}, None),
    ],
)
def test_the_first_window_counts_if_it_makes_sense(elements: Dataset, wanted: Window | None) -> None:
    assert window_of(elements) == wanted


def test_floating_point_pixels_are_windowed_exactly() -> None:
    window = window_of({"00281050": element("DS", 0.5), "00281051": element("DS", 1)}, exact=True)
    assert window is not None
    assert windowed(np.array([0, 0.5, 1], np.float32), window).tolist() == [0, 128, 255]


def test_8_bits_spread_over_8_bits_stay_as_they_are() -> None:
    numbers = np.arange(256, dtype=np.uint8)
    assert np.array_equal(spread(numbers, 0, 255), numbers)
    assert np.array_equal(spread(numbers, 255, 0), numbers[::-1])


def test_nothing_to_spread_over_is_a_threshold() -> None:
    assert spread(np.array([4, 6]), 5, 5).tolist() == [0, 255]


def test_large_numbers_keep_their_differences() -> None:
    numbers = np.array([4_000_000_000, 4_000_000_001, 4_000_000_003], np.uint32)
    assert spread(numbers, 4_000_000_000, 4_000_000_003).tolist() == [0, 85, 255]


def test_8_bit_images_are_shown_as_they_are_unless_they_would_be_dark() -> None:
    image = image_pixel(image_dataset(1, 4, allocated=8))
    assert automatic(np.array([0, 70, 100]), {}, image) == (0, 255)
    assert automatic(np.array([0, 3, 9]), {}, image) == (0, 9)


def test_masks_and_fractions_are_shown_in_full() -> None:
    assert automatic(np.zeros(4), {}, image_pixel(image_dataset(2, 2, allocated=1))) == (0, 1)
    fractions = {"0062000E": element("US", 200)}
    assert automatic(np.array([0, 9]), fractions, image_pixel(image_dataset(2, 2, allocated=8))) == (0, 200)


def test_a_few_extreme_values_do_not_count() -> None:
    image = image_pixel(image_dataset(100, 100))
    numbers = np.tile(np.arange(100, 200, dtype=np.uint16), (100, 1))
    numbers[50, 50] = 65535
    low, high = automatic(numbers, {}, image)
    assert 100 <= low <= 101
    assert 198 <= high <= 199


def test_a_few_values_on_an_even_ground_do_count() -> None:
    image = image_pixel(image_dataset(100, 100))
    numbers = np.zeros((100, 100), np.uint16)
    numbers[50, 50] = 700
    assert automatic(numbers, {}, image) == (0, 700)


def test_padding_does_not_count() -> None:
    image = image_pixel(image_dataset(100, 100, signed=True))
    numbers = np.tile(np.arange(100, 200, dtype=np.int16), (100, 1))
    numbers[:50] = -2000
    assert automatic(numbers, {"00280120": element("SS", -2000)}, image)[0] >= 100
    padding = {"00280120": element("SS", -1900), "00280121": element("SS", -3000)}
    assert automatic(numbers, padding, image)[0] >= 100
    assert automatic(np.full(9, -2000), padding, image) == (-2000, -2000)


def test_floating_point_and_32_bits_go_from_the_least_to_the_greatest() -> None:
    dataset = image_dataset(1, 5, allocated=32)
    assert automatic(np.array([3, 9, 4_000_000_000], np.uint32), {}, image_pixel(dataset)) == (
        3,
        4_000_000_000,
    )
    dataset["7FE00008"] = dataset.pop("7FE00010")
    numbers = np.array([-0.5, np.nan, np.inf, 2.5, -np.inf], np.float32)
    assert automatic(numbers, {}, image_pixel(dataset)) == (-0.5, 2.5)
    assert automatic(np.array([np.nan]), {}, image_pixel(dataset)) == (0, 1)
