import numpy as np
import pytest

from staticwado.dicom.annotation import Annotation, annotated, annotation_lines
from staticwado.dicom.font import line_mask, plain
from tests.dicom.images import Dataset, element

PATIENT = frozenset({Annotation.PATIENT})
PERSON = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane^^Dr", "Ideographic": "山田"}]},
    "00100020": element("LO", "4711"),
    "00100030": element("DA", "19700102"),
    "00100040": element("CS", "F"),
    "00081030": element("LO", "not asked for"),
}


def test_v07_the_patient_is_name_id_birth_date_and_sex() -> None:
    found = annotation_lines(PERSON, 1, Annotation.PATIENT)
    assert found == ["Doe Jane Dr", "ID 4711", "Born 19700102", "Sex F"]


def test_v07_the_technique_depends_on_the_modality() -> None:
    common = {"00180060": element("DS", 120), "00180080": element("DS", 12.5), "00280008": element("IS", 3)}
    ct = annotation_lines(common | {"00080060": element("CS", "CT")}, 2, Annotation.TECHNIQUE)
    assert ct == ["CT", "kVp 120", "Frame 2"]
    mr = annotation_lines(common | {"00080060": element("CS", "MR")}, 2, Annotation.TECHNIQUE)
    assert mr == ["MR", "TR 12.5", "Frame 2"]


def test_functional_groups_are_looked_into() -> None:
    groups = element("SQ", {"00189321": element("SQ", {"00181210": element("SH", "B30f")})})
    dataset = {"00080060": element("CS", "CT"), "52009229": groups}
    assert "Kernel B30f" in annotation_lines(dataset, 1, Annotation.TECHNIQUE)


@pytest.mark.parametrize(
    "dataset",
    [
        {},
        {"00100010": {"vr": "PN"}},
        {"00100010": {"vr": "PN", "Value": [None, 5, [], {"Alphabetic": 7}]}},
        {"00100020": {"vr": "LO", "Value": [""]}},
    ],
)
def test_what_is_not_there_is_left_out(dataset: Dataset) -> None:
    lines = annotation_lines(dataset, 1, Annotation.PATIENT)
    assert all(line.strip() for line in lines)
    assert len(lines) <= 1


def test_letters_are_white_on_a_black_edge_at_the_top_for_the_patient() -> None:
    found = annotated(np.full((200, 200), 77, np.uint8), PERSON, 1, PATIENT)
    assert set(np.unique(found)) == {0, 77, 255}
    assert (found[60:] == 77).all()


def test_the_technique_is_at_the_bottom() -> None:
    dataset = {"00080060": element("CS", "CT")}
    found = annotated(np.full((200, 200, 3), 77, np.uint8), dataset, 1, frozenset({Annotation.TECHNIQUE}))
    assert (found[:170] == 77).all()
    assert (found[180:] == 255).any()


def test_letters_grow_with_the_picture() -> None:
    heights = []
    for size in (200, 2000):
        found = annotated(np.zeros((size, size), np.uint8), {"00100020": element("LO", "I")}, 1, PATIENT)
        rows = np.nonzero(found.any(axis=1))[0]
        heights.append(rows.max() - rows.min() + 1)
    assert heights[1] >= 5 * heights[0]


def test_long_lines_go_on_in_the_next() -> None:
    narrow = annotated(np.zeros((100, 20), np.uint8), {"00100020": element("LO", "MMMMMMMM")}, 1, PATIENT)
    assert (narrow[:, :18] == 255).any(axis=1).sum() > 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (5, 5, 3)])
def test_pictures_that_have_no_room_are_left_as_they_can_be(shape: tuple[int, ...]) -> None:
    found = annotated(np.zeros(shape, np.uint8), PERSON, 1, frozenset(Annotation))
    assert found.shape == shape


def test_a_picture_that_cannot_be_written_to_is_copied() -> None:
    picture = np.frombuffer(bytes(10000), np.uint8).reshape(100, 100)
    assert annotated(picture, PERSON, 1, PATIENT).any()
    assert not picture.any()


def test_accents_are_dropped_and_what_is_unknown_is_a_box() -> None:
    assert plain("Müller Straße Łódź Æ") == "Muller Strasse Lodz AE"
    assert plain("e\u0301") == "e"
    assert plain("山") == "山"
    boxes = line_mask("山é")
    assert (boxes == line_mask("☃e")).all()
    assert not (line_mask("山") == line_mask("a")).all()


def test_every_printable_letter_of_ascii_has_a_shape_of_its_own() -> None:
    letters = [chr(code) for code in range(32, 127)]
    shapes = {line_mask(letter).tobytes() for letter in letters}
    assert len(shapes) == len(letters)
    assert line_mask("\u2603").tobytes() not in shapes
