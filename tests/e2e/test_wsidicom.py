"""wsidicom, written by others, over DICOMweb: a slide of two levels, read tile by tile and whole."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from tests.e2e.conftest import Served, dicomwebserver

wsidicom = pytest.importorskip("wsidicom", reason="wsidicom reads slides: pip install wsidicom")
pillow = pytest.importorskip("PIL.Image", reason="Pillow makes the tiles")
pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]

TILE = 64
SIDES = (4, 1)
"""Tiles a side of each level."""
STUDY, SERIES = "2.25.7001", "2.25.7002"
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def code(value: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "DCM", meaning
    return made


def tile(seed: int) -> bytes:
    """A JPEG of smooth colours, another for each seed."""
    y, x = np.mgrid[:TILE, :TILE]
    picture = np.stack([(x * 2 + seed * 20) % 256, (y * 3) % 256, (x + y + seed) % 256], -1).astype("u1")
    written = io.BytesIO()
    pillow.fromarray(picture).save(written, "JPEG", quality=90, subsampling=1)
    return written.getvalue()


def level(number: int, side: int) -> Dataset:
    """A level of the pyramid, tiled full (PS3.3 C.8.12.14)."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.SOPClassUID, made.SOPInstanceUID = SLIDE, f"2.25.71{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = STUDY, SERIES, "2.25.7003"
    made.Modality, made.PatientID, made.PatientName, made.StudyDate = "SM", "WSI", "Slide^A", "20260101"
    made.SeriesNumber, made.InstanceNumber = 1, number + 1
    made.ImageType = [
        "DERIVED" if number else "ORIGINAL",
        "PRIMARY",
        "VOLUME",
        "RESAMPLED" if number else "NONE",
    ]
    made.NumberOfFrames, made.Rows, made.Columns = side * side, TILE, TILE
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "YBR_FULL_422", 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    made.TotalPixelMatrixColumns = made.TotalPixelMatrixRows = side * TILE
    made.TotalPixelMatrixFocalPlanes, made.NumberOfOpticalPaths = 1, 1
    made.DimensionOrganizationType, made.ImageOrientationSlide = "TILED_FULL", [0, -1, 0, -1, 0, 0]
    made.ImagedVolumeWidth = made.ImagedVolumeHeight = SIDES[0] * TILE * 0.00025
    made.ImagedVolumeDepth, made.SpecimenLabelInImage, made.BurnedInAnnotation = 0.001, "NO", "NO"
    path = Dataset()
    path.OpticalPathIdentifier, path.IlluminationTypeCodeSequence = "1", [code("111744", "Brightfield")]
    made.OpticalPathSequence = [path]
    measures, shared, origin = Dataset(), Dataset(), Dataset()
    measures.SliceThickness, measures.PixelSpacing = "0.001", [f"{0.00025 * SIDES[0] / side:.8f}"] * 2
    shared.PixelMeasuresSequence = [measures]
    made.SharedFunctionalGroupsSequence = [shared]
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = "20", "40"
    made.TotalPixelMatrixOriginSequence = [origin]
    made.PixelData = encapsulate([tile(number * 100 + seed) for seed in range(side * side)])
    made["PixelData"].VR = "OB"
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("slide")
    for number, side in enumerate(SIDES):
        level(number, side).save_as(place / f"{number}.dcm", enforce_file_format=True)
    return place


@pytest.fixture(scope="module")
def slides(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """The slide as it is read over DICOMweb, and as it is read from the files."""
    archive = tmp_path_factory.mktemp("archive") / "archive"
    report = create(Archive(str(archive), create=True), [str(folder)], CreateOptions(jobs=1))
    assert [one.ok for one in report.outcomes] == [True] * len(SIDES)
    with (
        dicomwebserver("--dir", archive) as running,
        wsidicom.WsiDicom.open(folder) as local,
        opened(running) as remote,
    ):
        yield remote, local


def opened(running: Served) -> Any:
    client = wsidicom.WsiDicomWebClient.create_client(f"{running.url}/dicomweb")
    return wsidicom.WsiDicom.open_web(client, STUDY, SERIES)


def test_the_levels_of_a_slide_are_found(slides: tuple[Any, Any]) -> None:
    remote, local = slides
    assert [one.size for one in remote.levels] == [one.size for one in local.levels]
    assert remote.levels[0].default_instance.image_data.transfer_syntax == JPEGBaseline8Bit


def test_every_level_read_over_http_is_that_of_the_files(slides: tuple[Any, Any]) -> None:
    for one in slides[1].levels:
        whole = [slide.read_region((0, 0), one.level, one.size.to_tuple()) for slide in slides]
        assert whole[0].size == one.size.to_tuple()
        assert whole[0].tobytes() == whole[1].tobytes()
    pictures = [slide.read_thumbnail((TILE, TILE)) for slide in slides]
    assert pictures[0].tobytes() == pictures[1].tobytes()


def test_tiles_are_the_codestreams_of_the_source(slides: tuple[Any, Any], folder: Path) -> None:
    remote, _ = slides
    source = pydicom.dcmread(folder / "0.dcm")
    frames = list(pydicom.encaps.generate_frames(source.PixelData, number_of_frames=SIDES[0] ** 2))
    for number in (0, SIDES[0] + 1, SIDES[0] ** 2 - 1):
        place = number % SIDES[0], number // SIDES[0]
        assert remote.read_encoded_tile(remote.levels[0].level, place).rstrip(b"\0") == frames[number].rstrip(
            b"\0"
        )
