"""The sample data that scripts/run shows when it is given no folder."""

from pathlib import Path

import pydicom
import pytest

from testdata import make_samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    make_samples.main(folder)
    return folder


def test_there_are_three_studies_of_three_patients(samples: Path) -> None:
    files = [pydicom.dcmread(path) for path in sorted(samples.rglob("*.dcm"))]
    assert len(files) == make_samples.SLICES + 2
    assert len({file.SOPInstanceUID for file in files}) == len(files)
    assert len({file.StudyInstanceUID for file in files}) == 3
    assert len({str(file.PatientName) for file in files}) == 3
    assert {file.Modality for file in files} == {"CT", "US", "XC"}


def test_the_pictures_are_of_the_kinds_that_are_promised(samples: Path) -> None:
    echo = pydicom.dcmread(samples / "us" / "echo.dcm")
    assert echo.pixel_array.shape == (
        make_samples.FRAMES,
        make_samples.FRAME_ROWS,
        make_samples.FRAME_COLUMNS,
    )
    photograph = pydicom.dcmread(samples / "photo" / "mole.dcm")
    assert photograph.PhotometricInterpretation == "RGB"
    assert photograph.pixel_array.shape == (make_samples.PHOTO_ROWS, make_samples.PHOTO_COLUMNS, 3)
    for pixels in (echo.pixel_array, photograph.pixel_array):
        assert pixels.std() > 20, "the picture is nearly blank"


def test_the_slices_are_a_volume(samples: Path) -> None:
    slices = [pydicom.dcmread(path) for path in sorted((samples / "ct").iterdir())]
    heights = [float(file.ImagePositionPatient[2]) for file in slices]
    assert heights == [make_samples.THICKNESS * number for number in range(make_samples.SLICES)]
    assert len({file.FrameOfReferenceUID for file in slices}) == 1
    middle = slices[len(slices) // 2]
    units = middle.pixel_array * float(middle.RescaleSlope) + float(middle.RescaleIntercept)
    assert units.min() < -900, "no air"
    assert units.max() > 300, "no bone"


def test_the_same_bytes_are_written_every_time(samples: Path, tmp_path: Path) -> None:
    make_samples.make_photograph(tmp_path)
    make_samples.make_ultrasound(tmp_path)
    for name in ("photo/mole.dcm", "us/echo.dcm"):
        assert (tmp_path / name).read_bytes() == (samples / name).read_bytes()
