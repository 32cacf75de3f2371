import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.resample import fitted_size, resampled, shrunk, strided


@pytest.mark.parametrize(
    ("rows", "columns", "aspect", "size", "wanted"),
    [
        (512, 512, 1.0, 256, (256, 256)),
        (480, 640, 1.0, 256, (192, 256)),
        (3000, 2000, 1.0, 256, (256, 171)),
        (64, 48, 1.0, 256, (64, 48)),
        (100, 100, 2.0, 256, (100, 50)),
        (64, 256, 4.0, 256, (256, 256)),
        (1, 65535, 1.0, 256, (1, 256)),
        (1, 1, 1.0, 256, (1, 1)),
    ],
)
def test_images_fit_and_never_grow(
    rows: int, columns: int, aspect: float, size: int, wanted: tuple[int, int]
) -> None:
    assert fitted_size(rows, columns, aspect, size) == wanted


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
@pytest.mark.parametrize("samples", [1, 3, 4])
def test_boxes_are_averaged(kind: str, samples: int) -> None:
    random = np.random.default_rng(3)
    shape = (12, 20) if samples == 1 else (12, 20, samples)
    array = random.integers(0, 100, shape).astype(kind)
    wanted = array.reshape(6, 2, 5, 4, *shape[2:]).mean(axis=(1, 3))
    assert np.allclose(shrunk(array, 6, 5, array.dtype.itemsize * 8), wanted, rtol=1e-6)


@pytest.mark.parametrize(("kind", "value"), [("u2", 65535), ("i2", -32768), ("i2", 32767), ("u4", 2**32 - 1)])
def test_sums_of_large_values_do_not_overflow(kind: str, value: int) -> None:
    array = np.full((16, 16), value, kind)
    assert shrunk(array, 4, 4, array.dtype.itemsize * 8).tolist() == [[value] * 4] * 4


def test_planes_and_pixels_are_averaged_alike() -> None:
    array = np.random.default_rng(4).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    planar = np.ascontiguousarray(array.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.array_equal(shrunk(array, 11, 13, 8), shrunk(planar, 11, 13, 8))


def test_the_same_size_is_the_same_array() -> None:
    array = np.zeros((4, 5), np.uint8)
    assert shrunk(array, 4, 5, 8) is array


@pytest.mark.parametrize(("rows", "columns"), [(16, 24), (10, 11), (31, 17), (4, 3), (1, 1), (40, 9)])
def test_a_slope_stays_a_slope_at_any_size(rows: int, columns: int) -> None:
    array = np.arange(31 * 47, dtype=np.float64).reshape(31, 47)
    found = shrunk(array, rows, columns, 64)
    assert found.shape == (rows, columns)
    assert array.min() <= found.min()
    assert found.max() <= array.max()
    assert abs(found.mean() - array.mean()) < 0.05 * array.max()
    if rows > 1 and columns > 1:
        assert (np.diff(found, axis=0) >= 0).all()
        assert (np.diff(found, axis=1) >= 0).all()


def test_large_boxes_are_sampled_evenly() -> None:
    array = np.tile(np.arange(100, dtype=np.uint16), (100, 1))
    found = shrunk(array, 2, 2, 16)
    assert abs(found[0, 0] - 24.5) < 3
    assert abs(found[0, 1] - 74.5) < 3


@given(st.tuples(*[st.integers(1, 40)] * 4), st.booleans())
def test_every_size_can_be_reached(sizes: tuple[int, ...], colour: bool) -> None:
    rows, columns, height, width = sizes
    array = np.full((rows, columns, 3) if colour else (rows, columns), 200, np.uint8)
    found = shrunk(strided(array, height, width), height, width, 8)
    assert found.shape[:2] == (height, width)
    assert np.allclose(found, 200, atol=1e-3)


def test_strides_leave_twice_what_is_asked_for() -> None:
    array = np.zeros((1000, 500))
    assert strided(array, 100, 100).shape == (200, 250)
    assert strided(array, 600, 300) is array


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_exact_means_keep_the_mean_and_the_range(
    rows: int, columns: int, new_rows: int, new_columns: int, seed: int
) -> None:
    array = np.random.default_rng(seed).integers(-30000, 30000, (rows, columns)).astype(np.int16)
    found = resampled(array, new_rows, new_columns)
    assert found.shape == (new_rows, new_columns)
    assert found.min() >= array.min() - 0.1
    assert found.max() <= array.max() + 0.1
    if new_rows <= rows and new_columns <= columns:
        assert abs(found.mean(dtype=np.float64) - array.mean(dtype=np.float64)) < 0.1


def test_parts_of_pixels_count_by_their_part() -> None:
    found = resampled(np.array([[0, 30, 60]], np.uint8), 1, 2)
    assert np.allclose(found, [[10, 50]])


def test_samples_are_scaled_each_on_its_own() -> None:
    array = np.random.default_rng(1).integers(0, 256, (12, 9, 3)).astype(np.uint8)
    found = resampled(array, 5, 20)
    for sample in range(3):
        assert np.allclose(found[..., sample], resampled(array[..., sample], 5, 20))


def test_values_of_32_bits_keep_their_precision() -> None:
    array = np.full((4, 4), 4_000_000_001, np.uint32)
    assert (resampled(array, 2, 2) == 4_000_000_001).all()
