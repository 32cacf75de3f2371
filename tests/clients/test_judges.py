"""The judges of what clients get: each kind of fault is found, and what is right is not called a fault."""

from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests import factories
from tests.clients.metadata import metadata_faults
from tests.clients.values import Subject, Unjudged, decoded_faults, faults_of

FRAMES = factories.pixels(6, 5, 2)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    path = tmp_path / "a.dcm"
    path.write_bytes(factories.instance(frames=FRAMES))
    return Subject(path, {})


@pytest.fixture
def given(subject: Subject) -> pydicom.Dataset:
    return pydicom.dcmread(subject.path)


def test_the_source_itself_has_no_fault(subject: Subject, given: pydicom.Dataset) -> None:
    assert faults_of(given, subject) == []


def test_an_element_that_is_another_is_missing_or_is_new_is_found(
    subject: Subject, given: pydicom.Dataset
) -> None:
    given.PatientID = "another"
    del given.StudyDate
    given.PatientComments = "new"
    found = " ".join(faults_of(given, subject))
    assert "(00100020) is" in found
    assert "(00080020) is missing" in found
    assert "(00104000) is new" in found
    assert "is new" not in " ".join(faults_of(given, subject, strict=False))


def test_a_pixel_that_is_another_is_found(subject: Subject, given: pydicom.Dataset) -> None:
    given.PixelData = bytes([given.PixelData[0] ^ 1]) + given.PixelData[1:]
    assert faults_of(given, subject) == ["frame 1 is another"]


def test_a_frame_that_is_missing_is_found(subject: Subject, given: pydicom.Dataset) -> None:
    given.NumberOfFrames = 1
    assert "1 frames, not 2" in faults_of(given, subject)


def test_a_photometric_interpretation_that_is_another_is_found(
    subject: Subject, given: pydicom.Dataset
) -> None:
    given.PhotometricInterpretation = "MONOCHROME1"
    assert "(00280004) was changed" in faults_of(given, subject)


def test_without_a_witness_nothing_is_called_right(subject: Subject) -> None:
    with pytest.raises(Unjudged):
        decoded_faults(FRAMES, subject)


@pytest.mark.parametrize(
    ("element", "fault"),
    [
        ({"vr": "LO", "Value": ["another"]}, "is ['another']"),
        ({"vr": "SH", "Value": ["1"]}, "is SH"),
        (None, "is missing"),
    ],
)
def test_metadata_that_say_something_else_are_found(subject: Subject, element: Any, fault: str) -> None:
    right = pydicom.dcmread(subject.path, stop_before_pixels=True).to_json_dict()
    assert metadata_faults(right, subject) == []
    changed = {**right, "00100020": element}
    if element is None:
        del changed["00100020"]
    (found,) = metadata_faults(changed, subject)
    assert found.startswith("00100020")
    assert fault in found
