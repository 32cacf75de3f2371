import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from staticwado.dicom.profile import ColourProfile, made_profile, output_profile, profiled, source_profile
from tests.dicom.images import Dataset, element, inline, no_bulkdata

Array = NDArray[Any]
COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255], [128, 128, 128], [30, 90, 200]]], np.uint8)
ADOBE = made_profile(ColourProfile.ADOBE_RGB)


def test_no_profile_changes_nothing() -> None:
    assert profiled(COLOURS, {}, no_bulkdata, ColourProfile.NO) is COLOURS
    assert output_profile({}, no_bulkdata, ColourProfile.NO) is None


@pytest.mark.parametrize("wanted", [ColourProfile.YES, ColourProfile.SRGB])
def test_colours_without_a_profile_count_as_srgb(wanted: ColourProfile) -> None:
    assert profiled(COLOURS, {}, no_bulkdata, wanted).tolist() == COLOURS.tolist()
    assert output_profile({}, no_bulkdata, wanted) == made_profile(ColourProfile.SRGB)


@pytest.mark.parametrize(
    ("wanted", "first", "second"),
    [
        (ColourProfile.ADOBE_RGB, [219, 0, 0], [144, 255, 60]),
        (ColourProfile.ROMM_RGB, [179, 70, 27], [138, 237, 78]),
    ],
)
def test_colours_are_converted(wanted: ColourProfile, first: list[int], second: list[int]) -> None:
    found = profiled(COLOURS, {}, no_bulkdata, wanted).astype(int)
    assert np.abs(found[0, 0] - first).max() <= 1
    assert np.abs(found[0, 1] - second).max() <= 1
    assert found[0, 2].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "dataset",
    [
        {"00282000": inline(ADOBE)},
        {"00480105": element("SQ", {"00282000": inline(ADOBE + b"\0")})},
    ],
)
def test_the_profile_of_the_data_set_is_embedded_or_converted_from(dataset: Dataset) -> None:
    assert output_profile(dataset, no_bulkdata, ColourProfile.YES) == ADOBE
    assert profiled(COLOURS, dataset, no_bulkdata, ColourProfile.YES).tolist() == COLOURS.tolist()
    there = profiled(COLOURS, {}, no_bulkdata, ColourProfile.ADOBE_RGB)
    back = profiled(there, dataset, no_bulkdata, ColourProfile.SRGB)
    assert np.abs(back.astype(int) - COLOURS).max() <= 2


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 500, ADOBE[:200], ADOBE[:16] + b"GRAY" + ADOBE[20:], ADOBE[:36] + b"xxxx" + ADOBE[40:]],
)
def test_a_profile_that_is_none_is_not_used(data: bytes) -> None:
    assert source_profile({"00282000": inline(data)}, no_bulkdata) is None


def test_grey_becomes_rgb() -> None:
    grey = np.array([[0, 100, 255]], np.uint8)
    found = profiled(grey, {"00282000": inline(ADOBE)}, no_bulkdata, ColourProfile.YES)
    assert found.tolist() == [[[0] * 3, [100] * 3, [255] * 3]]


@pytest.mark.parametrize("wanted", [ColourProfile.SRGB, ColourProfile.ADOBE_RGB, ColourProfile.ROMM_RGB])
def test_profiles_are_the_same_bytes_whenever_they_are_made(wanted: ColourProfile) -> None:
    assert made_profile(wanted) == made_profile(wanted)
    assert made_profile(wanted)[24:36].hex() == "07d000010001000000000000"


def test_another_library_reads_the_profiles() -> None:
    cms = pytest.importorskip("PIL.ImageCms", reason="Pillow reads profiles")
    for wanted in (ColourProfile.SRGB, ColourProfile.ADOBE_RGB, ColourProfile.ROMM_RGB):
        opened = cms.ImageCmsProfile(io.BytesIO(made_profile(wanted)))
        assert opened.profile.xcolor_space.strip() == "RGB"
