import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset as PydicomDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from staticwado.dicom.geometry import Viewport
from staticwado.dicom.presentation import parse_presentation, presented
from staticwado.dicom.rendering import RenderOptions, render_frame
from staticwado.dicom.voi import Window
from staticwado.errors import BadRequest, BrokenDicom, Unsupported
from tests.dicom import images
from tests.dicom.images import Dataset, element, inline, no_bulkdata
from tests.dicom.presentations import IMAGE, area, image_of, reference, state_of
from tests.truth.frames import expected_frames
from tests.truth.model import model_of
from tests.truth.part10 import read_path

Array = NDArray[Any]
RAMP = np.arange(64).reshape(8, 8) * 4


def shown(
    state: Dataset, image: Dataset | None = None, array: Array = RAMP, number: int = 1, **options: Any
) -> Array:
    image = image_of(*array.shape[:2]) if image is None else image
    presentation = parse_presentation(state, no_bulkdata)
    kind = "<u2" if image["00280100"]["Value"] == [16] else "u1"
    frame = array.astype(kind).tobytes()
    wanted = RenderOptions(**options)
    return render_frame(image, frame, images.NATIVE, number, no_bulkdata, wanted, presentation)


def test_a_presentation_state_that_says_nothing_shows_all_that_the_bits_can_hold() -> None:
    image = image_of(8, 8) | {
        "00281050": element("DS", 1),
        "00281051": element("DS", 1),
        "00281053": element("DS", 2),
    }
    assert shown(state_of(), image).tolist() == RAMP.tolist()


def test_its_window_and_its_modality_transformation_are_the_ones_that_count() -> None:
    window = {"00281050": element("DS", 100), "00281051": element("DS", 101)}
    state = state_of({"00283110": element("SQ", window), "00281052": element("DS", 20)})
    found = shown(state, array=np.array([[0, 30, 80, 130, 255]]))
    assert found.tolist() == [[0, 1, 129, 255, 255]]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_which_end_is_white_is_said_by_the_presentation_lut_alone(photometric: str) -> None:
    image = image_of(8, 8, photometric=photometric)
    assert shown(state_of(), image).tolist() == RAMP.tolist()
    inverse = state_of({"20500020": element("CS", "INVERSE")})
    assert shown(inverse, image).tolist() == (255 - RAMP).tolist()


def test_a_presentation_lut_is_spread_over_the_values_of_interest() -> None:
    table = {"00283002": element("US", 3, 0, 16), "00283006": element("US", 65535, 0, 13107)}
    state = state_of({"20500010": element("SQ", table)})
    assert shown(state, array=np.array([[0, 128, 255]])).tolist() == [[255, 0, 51]]


def test_the_displayed_area_is_what_is_shown() -> None:
    assert shown(state_of(area(3, 2, 5, 8))).tolist() == RAMP[1:8, 2:5].tolist()


def test_a_displayed_area_that_sticks_out_of_the_image_is_black_there() -> None:
    found = shown(state_of(area(-1, 7, 2, 10)), array=RAMP + 1)
    assert found.shape == (4, 4)
    assert found[:2, 2:].tolist() == (RAMP + 1)[6:, :2].tolist()
    assert not found[2:].any()
    assert not found[:, :2].any()


def test_a_displayed_area_beside_the_image_is_black() -> None:
    assert not shown(state_of(area(100, 100, 103, 103)), array=RAMP + 1).any()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["N", "Y"])
def test_images_are_turned_clockwise_and_then_flipped(rotation: int, flip: str) -> None:
    state = state_of(
        {"00700042": element("US", rotation), "00700041": element("CS", flip)} | area(8, 1, 1, 5)
    )
    turned = np.rot90(RAMP[:5], -rotation // 90)
    assert shown(state).tolist() == (turned[:, ::-1] if flip == "Y" else turned).tolist()


def test_the_shape_of_pixels_turns_with_the_image() -> None:
    elements = area(1, 1, 8, 8, aspect=(2, 1))
    assert shown(state_of(elements), viewport=Viewport(16, 16)).shape == (16, 8)
    elements["00700042"] = element("US", 90)
    assert shown(state_of(elements), viewport=Viewport(16, 16)).shape == (8, 16)


def shutter(*shapes: str, **more: Dataset) -> Dataset:
    return {"00181600": element("CS", *shapes), "00181622": element("US", 257 * 9)} | {
        tag.removeprefix("x"): value for tag, value in more.items()
    }


def test_a_rectangular_shutter_leaves_its_edges_open() -> None:
    elements = shutter(
        "RECTANGULAR",
        x00181602=element("IS", 3),
        x00181604=element("IS", 6),
        x00181606=element("IS", 2),
        x00181608=element("IS", 4),
    )
    found = shown(state_of(elements), array=np.full((8, 8), 200))
    wanted = np.full((8, 8), 9)
    wanted[1:4, 2:6] = 200
    assert found.tolist() == wanted.tolist()


def test_a_circular_shutter_is_a_circle_about_the_middle_of_a_pixel() -> None:
    elements = shutter("CIRCULAR", x00181610=element("IS", 4, 4), x00181612=element("IS", 2))
    found = shown(state_of(elements), array=np.full((7, 7), 200))
    assert (found == 200).sum() == 13
    assert found[3, 1] == found[3, 5] == found[1, 3] == found[5, 3] == 200


def test_a_polygonal_shutter_and_another_cover_together() -> None:
    elements = shutter(
        "POLYGONAL",
        "CIRCULAR",
        x00181620=element("IS", 1, 1, 1, 9, 9, 9),
        x00181610=element("IS", 1, 9),
        x00181612=element("IS", 4),
    )
    found = shown(state_of(elements), array=np.full((9, 9), 200))
    assert found[1, 7] == 200
    assert found[8, 0] == 9
    assert found[1, 3] == 9


def test_a_bitmap_shutter_covers_where_its_overlay_is_set() -> None:
    elements = shutter("BITMAP", x00181623=element("US", 0x6002)) | {
        "60020010": element("US", 2),
        "60020011": element("US", 4),
        "60020050": element("SS", 1, 1),
        "60020100": element("US", 1),
        "60020102": element("US", 0),
        "60023000": inline(b"\x81\0"),
    }
    found = shown(state_of(elements), array=np.full((2, 4), 200))
    assert found.tolist() == [[9, 200, 200, 200], [200, 200, 200, 9]]


LAYERS = element(
    "SQ",
    {"00700002": element("CS", "LOW"), "00700062": element("IS", 1), "00700066": element("US", 257 * 100)},
    {"00700002": element("CS", "HIGH"), "00700062": element("IS", 2), "00700066": element("US", 257 * 200)},
)


def graphic(kind: str, *points: float, units: str = "PIXEL", filled: str = "N") -> Dataset:
    return {
        "00700005": element("CS", units),
        "00700020": element("US", 2),
        "00700021": element("US", len(points) // 2),
        "00700022": element("FL", *points),
        "00700023": element("CS", kind),
        "00700024": element("CS", filled),
    }


def annotated(layer: str, *shapes: Dataset, **more: Any) -> Dataset:
    return {"00700002": element("CS", layer), "00700009": element("SQ", *shapes)} | more


def drawn(*annotations: Dataset, size: int = 40, elements: Dataset | None = None, **options: Any) -> Array:
    state = state_of({"00700060": LAYERS, "00700001": element("SQ", *annotations)} | (elements or {}))
    return shown(state, array=np.zeros((size, size), int), **options)


def test_shapes_of_higher_layers_lie_on_lower_ones() -> None:
    line = graphic("POLYLINE", 5, 5, 30, 5)
    found = drawn(annotated("HIGH", line), annotated("LOW", line))
    assert set(np.unique(found)) == {0, 200}
    assert (found[5, 5:30] == 200).all()


def test_filled_shapes_cover_their_inside() -> None:
    corners = (10, 10, 30, 10, 30, 20, 10, 20, 10, 10)
    found = drawn(annotated("LOW", graphic("POLYLINE", *corners, filled="Y")))
    assert (found[10:20, 10:30] == 100).all()
    assert (found > 0).sum() <= 21 * 11
    hollow = drawn(annotated("LOW", graphic("POLYLINE", *corners)))
    assert not hollow[12:18, 12:28].any()


def test_circles_ellipses_and_points_lie_where_they_belong() -> None:
    circle = drawn(annotated("LOW", graphic("CIRCLE", 20, 20, 30, 20)))
    assert circle[20, 29] + circle[20, 30] > 0
    assert circle[10, 20] > 0
    assert not circle[14:26, 14:26].any()
    ellipse = drawn(annotated("LOW", graphic("ELLIPSE", 5, 20, 35, 20, 20, 15, 20, 25)))
    rows, columns = np.nonzero(ellipse)
    assert (rows.min(), rows.max()) == (15, 25)
    assert (columns.min(), columns.max()) == (5, 35)
    point = drawn(annotated("LOW", graphic("POINT", 8.5, 9.5)))
    assert point[9, 8] == 100


def test_an_interpolated_line_goes_through_its_points() -> None:
    found = drawn(annotated("LOW", graphic("INTERPOLATED", 2, 20, 15, 5, 25, 35, 38, 20)))
    for column, row in ((2, 20), (15, 5), (25, 35), (38, 20)):
        assert found[row - 1 : row + 2, column - 1 : column + 2].any()


def test_pixel_units_turn_with_the_image_and_display_units_do_not() -> None:
    turned = {"00700042": element("US", 90)}
    pixel = drawn(annotated("LOW", graphic("POLYLINE", 0.5, 0.5, 0.5, 30)), elements=turned)
    assert pixel[0, 15]
    assert not pixel[15, 0]
    display = drawn(
        annotated("LOW", graphic("POLYLINE", 0.01, 0.01, 0.01, 0.7, units="DISPLAY")), elements=turned
    )
    assert display[15, 0]
    assert not display[0, 15]


def test_shapes_are_scaled_with_the_image() -> None:
    found = drawn(annotated("LOW", graphic("POLYLINE", 10, 10, 20, 10)), viewport=Viewport(80, 80))
    assert (found[20, 20:40] == 100).all()
    assert not found[20, 45:].any()


def test_text_begins_at_its_box() -> None:
    words = {
        "00700003": element("CS", "PIXEL"),
        "00700006": element("ST", "I\r\nI"),
        "00700010": element("FL", 10, 10),
        "00700011": element("FL", 40, 35),
    }
    found = drawn({"00700002": element("CS", "LOW"), "00700008": element("SQ", words)})
    rows, columns = np.nonzero(found)
    assert columns.min() >= 10
    assert rows.min() >= 10
    assert 20 < rows.max() < 35


def test_an_anchor_that_is_shown_is_joined_to_the_box() -> None:
    words = {
        "00700003": element("CS", "PIXEL"),
        "00700004": element("CS", "PIXEL"),
        "00700006": element("ST", " "),
        "00700010": element("FL", 20, 20),
        "00700011": element("FL", 40, 35),
        "00700014": element("FL", 5, 25),
        "00700015": element("CS", "Y"),
    }
    found = drawn({"00700002": element("CS", "LOW"), "00700008": element("SQ", words)})
    assert (found[25, 5:20] == 100).all()


def test_overlays_of_the_image_are_shown_only_in_the_layer_that_activates_them() -> None:
    image = image_of(8, 8) | {
        "60000010": element("US", 1),
        "60000011": element("US", 8),
        "60000050": element("SS", 3, 1),
        "60000100": element("US", 1),
        "60000102": element("US", 0),
        "60003000": inline(b"\xff\0"),
    }
    dark = np.zeros((8, 8), int)
    assert not shown(state_of({"00700060": LAYERS}), image, dark).any()
    active = state_of({"00700060": LAYERS, "60001001": element("CS", "HIGH")})
    assert (shown(active, image, dark)[2] == 200).all()


def test_annotations_and_areas_count_for_the_images_that_they_name() -> None:
    other = annotated("LOW", graphic("POLYLINE", 5, 5, 30, 5)) | {"00081140": element("SQ", reference("9.9"))}
    mine = annotated("LOW", graphic("POLYLINE", 5, 9, 30, 9)) | {"00081140": element("SQ", reference())}
    found = drawn(other, mine)
    assert not found[5].any()
    assert found[9].any()


def test_it_is_applied_to_the_images_that_it_names_alone() -> None:
    state = state_of(None, reference("9.9"))
    with pytest.raises(BadRequest, match=f"not about frame 1 of instance {IMAGE}"):
        shown(state)
    frames = state_of(None, reference(IMAGE, 2, 3))
    with pytest.raises(BadRequest, match="frame 1"):
        shown(frames)
    assert shown(frames, number=3).tolist() == RAMP.tolist()


def test_an_image_named_whole_and_by_frames_is_meant_whole() -> None:
    state = parse_presentation(state_of(None, reference(IMAGE, 2), reference()), no_bulkdata)
    assert presented(state, image_of(1, 1), 7).state is state


def test_v06_no_window_beside_a_presentation_state() -> None:
    with pytest.raises(BadRequest, match="window"):
        shown(state_of(), window=Window(1, 2))


@pytest.mark.parametrize(
    ("elements", "error", "message"),
    [
        ({"00080016": element("UI", "1.2.840.10008.5.1.4.1.1.11.4")}, Unsupported, "11.4"),
        ({"00700042": element("US", 45)}, Unsupported, "Image Rotation"),
        ({"00286100": element("SQ", {})}, Unsupported, "Mask"),
        ({"00081115": element("SQ")}, BrokenDicom, "names no image"),
    ],
)
def test_what_cannot_be_applied_says_so(elements: Dataset, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_presentation(state_of(elements), no_bulkdata)


def test_colour_presentation_states_draw_in_colour() -> None:
    # 53, 80 and 67 in CIELab: the red of sRGB.
    red = {
        "00700002": element("CS", "LOW"),
        "00700062": element("IS", 1),
        "00700401": element("US", 35600, 53600, 50800),
    }
    state = state_of(
        {
            "00080016": element("UI", "1.2.840.10008.5.1.4.1.1.11.2"),
            "00700060": element("SQ", red),
            "00700001": element("SQ", annotated("LOW", graphic("POLYLINE", 0, 3.5, 8, 3.5))),
        }
    )
    image = image_of(8, 8, photometric="RGB", samples=3)
    found = shown(state, image, np.zeros((8, 8, 3), int))
    assert np.abs(found[3, 4].astype(int) - (255, 0, 0)).max() <= 12
    assert not found[5].any()


def test_pseudo_colour_presentation_states_colour_grey_images() -> None:
    elements = {"00080016": element("UI", "1.2.840.10008.5.1.4.1.1.11.3")}
    for index, entries in enumerate((b"\0\xff", b"\xff\0", b"\x07\x07"), 1):
        elements[f"0028110{index}"] = element("US", 2, 0, 8)
        elements[f"0028120{index}"] = inline(entries)
    found = shown(state_of(elements), array=np.array([[0, 255]]))
    assert found.tolist() == [[[0, 255, 7], [255, 0, 7]]]


ODD = st.floats(width=32) | st.integers(-(2**31), 2**31 - 1) | st.sampled_from(["", None, "x"])
WILD = st.dictionaries(
    st.sampled_from(["00700022", "00700010", "00700011", "00700014"]), st.lists(ODD, max_size=8), max_size=4
)


@settings(deadline=None)
@given(
    wild=WILD,
    kind=st.sampled_from(["POINT", "POLYLINE", "INTERPOLATED", "CIRCLE", "ELLIPSE", "?"]),
    units=st.sampled_from(["PIXEL", "DISPLAY", "MATRIX", "?"]),
    corners=st.lists(ODD, max_size=4),
    edges=st.lists(ODD, min_size=8, max_size=8),
    words=st.text(max_size=20),
)
def test_no_presentation_state_fails_in_another_way(
    wild: dict[str, list[Any]], kind: str, units: str, corners: list[Any], edges: list[Any], words: str
) -> None:
    values = {tag: element("FL", *numbers) for tag, numbers in wild.items()}
    shape = {**values, "00700023": element("CS", kind), "00700005": element("CS", units)}
    text = {**values, "00700006": element("ST", words), "00700003": element("CS", units)}
    text |= {"00700004": element("CS", units), "00700015": element("CS", "Y"), "00700024": element("CS", "Y")}
    tags = ("00181602", "00181604", "00181606", "00181608", "00181610", "00181612", "00181620", "00181622")
    elements = shutter("RECTANGULAR", "CIRCULAR", "POLYGONAL")
    elements |= {tag: element("IS", edge, edge, *edges) for tag, edge in zip(tags, edges, strict=True)}
    elements["0070005A"] = element(
        "SQ", {"00700052": element("SL", *corners[:2]), "00700053": element("SL", *corners[2:])}
    )
    elements["00700001"] = element("SQ", {"00700009": element("SQ", shape), "00700008": element("SQ", text)})
    found = shown(state_of(elements), viewport=Viewport(20, 20))
    assert max(found.shape[:2]) <= 20


# -- against DCMTK ---------------------------------------------------------------------------------

CT = "files/cornerstone3D/CTImage.dcm"
INVERSE_CR = "files/pydicom/test_files/dicomdirtests/77654033/CR1/6154"


def of(**values: Any) -> PydicomDataset:
    made = PydicomDataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def written(image: PydicomDataset, path: Path, **values: Any) -> None:
    """A presentation state with all that DCMTK insists on."""
    state = of(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
        SOPInstanceUID="1.2.3.4",
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesInstanceUID="1.2.3.5",
        Modality="PR",
        SeriesNumber=1,
        InstanceNumber=1,
        ContentLabel="TEST",
        PresentationCreationDate="20200101",
        PresentationCreationTime="120000",
        PresentationLUTShape="IDENTITY",
        **dict.fromkeys(
            ("PatientName", "PatientID", "StudyID", "ContentDescription", "ContentCreatorName"), "TEST"
        ),
        **dict.fromkeys(("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"), ""),
        **dict.fromkeys(("ReferringPhysicianName", "Manufacturer"), ""),
    )
    named = of(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    state.ReferencedSeriesSequence = [
        of(SeriesInstanceUID=image.SeriesInstanceUID, ReferencedImageSequence=[named])
    ]
    state.DisplayedAreaSelectionSequence = [
        of(
            DisplayedAreaTopLeftHandCorner=[1, 1],
            DisplayedAreaBottomRightHandCorner=[image.Columns, image.Rows],
            PresentationSizeMode="SCALE TO FIT",
            PresentationPixelAspectRatio=[1, 1],
        )
    ]
    for keyword, value in values.items():
        if value is None:
            delattr(state, keyword)
        else:
            setattr(state, keyword, value)
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = UID(images.NATIVE)
    state.save_as(path, enforce_file_format=True)


MODALITY = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}
WINDOW = {"SoftcopyVOILUTSequence": [of(WindowCenter=40, WindowWidth=400)]}
CURVE = np.round(65535 * (np.arange(4096) / 4095) ** 2).astype("<u2").tobytes()
FALLING = np.arange(4096)[::-1].astype("<u2").tobytes()
ROOT = np.round(4095 * np.sqrt(np.arange(1024) / 1023)).astype("<u2").tobytes()
STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": (CT, {}),
    "modality": (CT, MODALITY),
    "window": (CT, MODALITY | WINDOW),
    "inverse": (CT, MODALITY | WINDOW | {"PresentationLUTShape": "INVERSE"}),
    **{
        f"turned by {turn}, flipped {flip}": (
            CT,
            MODALITY | WINDOW | {"ImageRotation": turn, "ImageHorizontalFlip": flip},
        )
        for turn in (0, 90, 180, 270)
        for flip in "NY"
    },
    "presentation LUT": (
        CT,
        MODALITY
        | WINDOW
        | {
            "PresentationLUTShape": None,
            "PresentationLUTSequence": [of(LUTDescriptor=[4096, 0, 16], LUTData=CURVE)],
        },
    ),
    "modality LUT": (
        CT,
        {
            "ModalityLUTSequence": [of(LUTDescriptor=[4096, 0, 12], ModalityLUTType="US", LUTData=FALLING)],
            "SoftcopyVOILUTSequence": [of(WindowCenter=2000, WindowWidth=3000)],
        },
    ),
    "VOI LUT below zero": (
        CT,
        MODALITY
        | {
            "SoftcopyVOILUTSequence": [of(VOILUTSequence=[of(LUTDescriptor=[1024, 65036, 12], LUTData=ROOT)])]
        },
    ),
    "MONOCHROME1": (INVERSE_CR, {}),
    "MONOCHROME1 with a window": (
        INVERSE_CR,
        {"SoftcopyVOILUTSequence": [of(WindowCenter=2000, WindowWidth=3000)]},
    ),
    "MONOCHROME1, inverse": (INVERSE_CR, {"PresentationLUTShape": "INVERSE"}),
}


@pytest.mark.parametrize("name", STATES)
def test_presentation_states_look_as_dcmtk_shows_them(name: str, testdata: Path, tmp_path: Path) -> None:
    program = shutil.which("dcmp2pgm")
    if program is None:
        pytest.skip("dcmp2pgm of DCMTK is not installed")
    place, values = STATES[name]
    source, state, output = testdata / place, tmp_path / "state.dcm", tmp_path / "image.pgm"
    if not source.is_file():
        pytest.skip(f"{place} is not in this corpus")
    written(pydicom.dcmread(source), state, **values)
    command = [program, "--pstate", str(state), str(source), str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    rows, columns = (int(word) for word in output.read_bytes()[:40].split()[2:0:-1])
    wanted = np.frombuffer(output.read_bytes()[-rows * columns :], np.uint8).reshape(rows, columns)
    dataset, presentation = read_path(source), model_of(read_path(state))
    frames = expected_frames(dataset)
    assert frames is not None
    found = render_frame(
        model_of(dataset),
        frames.frames[0].data,
        frames.syntax,
        1,
        no_bulkdata,
        presentation=parse_presentation(presentation, no_bulkdata),
    )
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 1
