from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.annotation import Annotation
from staticwado.dicom.geometry import Region, Viewport
from staticwado.dicom.profile import ColourProfile
from staticwado.dicom.rendering import NO_OPTIONS
from staticwado.dicom.voi import VoiFunction, Window
from staticwado.dicomweb.rendering import (
    Rendering,
    parse_rendered,
    parse_thumbnail,
    parse_wado_uri_rendering,
)
from staticwado.errors import BadRequest


def rendered(media_type: str = "image/jpeg", **parameters: str) -> Rendering:
    return parse_rendered(list(parameters.items()), media_type)


def test_nothing_asked_for_is_nothing_done() -> None:
    assert rendered() == Rendering(NO_OPTIONS)
    assert rendered(foo="bar", Quality="x") == Rendering(NO_OPTIONS)


@pytest.mark.parametrize("text", ["1", "50", "100"])
def test_v04_quality(text: str) -> None:
    assert rendered(quality=text).quality == int(text)


@pytest.mark.parametrize("text", ["", "0", "101", "-1", "1.5", "high", "1e2", " 5", "٣", "9" * 5000])
def test_v04_any_other_quality_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="quality"):
        rendered(quality=text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("512,256", Viewport(512, 256)),
        ("512,512,,,512,512", Viewport(512, 512, Region(0, 0, 512, 512))),
        ("1,2,3.5,4,,", Viewport(1, 2, Region(3.5, 4))),
        ("1,2,,,,", Viewport(1, 2)),
        ("8,8,0,0,-4,-6", Viewport(8, 8, Region(0, 0, 4, 6, mirrored=True, upside_down=True))),
        ("8,8,,,,-6.5", Viewport(8, 8, Region(0, 0, None, 6.5, upside_down=True))),
    ],
)
def test_v05_viewports(text: str, wanted: Viewport) -> None:
    assert rendered(viewport=text).options.viewport == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "512",
        "512,",
        ",512",
        "0,512",
        "512,-1",
        "1.5,2",
        "512,512,",
        "512,512,0",
        "512,512,0,0,10",
        "512,512,0,0,10,10,10",
        "512,512,a,0,10,10",
        "512,512,-1,0,10,10",
        "512,512,0,0,0,10",
        "512,512,0,0,10,nan",
        "512,512,0,0,inf,10",
        "512,512,0,0,10,1e999",
        "1000000000000,1",
    ],
)
def test_v05_malformed_viewports_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="viewport"):
        rendered(viewport=text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("40,400,linear", Window(40, 400)),
        ("-40.5,.5,linear-exact", Window(-40.5, 0.5, VoiFunction.LINEAR_EXACT)),
        ("1e3,1,sigmoid", Window(1000, 1, VoiFunction.SIGMOID)),
        ("0,1,linear", Window(0, 1)),
    ],
)
def test_v06_windows(text: str, wanted: Window) -> None:
    assert rendered(window=text).options.window == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "40,400",
        "40,400,",
        "40,,linear",
        ",400,linear",
        "40,400,LINEAR",
        "40,400,cubic",
        "a,400,linear",
        "40,0,linear",
        "40,-5,sigmoid",
        "40,0.5,linear",
        "40,0,linear-exact",
        "40,400,linear,1",
        "nan,400,linear",
        "40,inf,linear",
    ],
)
def test_v06_windows_without_all_three_that_make_sense_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="window"):
        rendered(window=text)


def test_v06_a_presentation_state_takes_no_window() -> None:
    with pytest.raises(BadRequest, match="window"):
        parse_rendered([("window", "40,400,linear")], "image/jpeg", presentation=True)
    assert parse_rendered([("quality", "5")], "image/jpeg", presentation=True).quality == 5


def test_v07_annotations() -> None:
    found = rendered(annotation="patient,technique")
    assert found.options.annotations == {Annotation.PATIENT, Annotation.TECHNIQUE}
    assert found.warning is None


def test_v07_unknown_annotations_are_ignored_with_a_warning() -> None:
    found = rendered(annotation="logo,patient,logo,Technique")
    assert found.options.annotations == {Annotation.PATIENT}
    assert found.warning == "The following annotation values are not supported: logo, Technique"


@pytest.mark.parametrize("text", ["", ",", "patient,", ",patient", "pat ient", "1", "ü", "a\r\nb", '"x"'])
def test_v07_what_is_no_keyword_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="annotation"):
        rendered(annotation=text)


@pytest.mark.parametrize("wanted", list(ColourProfile))
def test_v08_profiles(wanted: ColourProfile) -> None:
    for media_type in ("image/jpeg", "image/png"):
        assert rendered(media_type, iccprofile=wanted.value).options.profile is wanted


@pytest.mark.parametrize("text", ["", "YES", "true", "srgb,yes"])
def test_v08_unknown_profiles_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="iccprofile"):
        rendered(iccprofile=text)


def test_v08_a_media_type_without_room_for_a_profile_takes_no_alone() -> None:
    assert rendered("image/gif", iccprofile="no").options.profile is ColourProfile.NO
    for text in ("yes", "srgb", "adobergb", "rommrgb"):
        with pytest.raises(BadRequest, match="image/gif"):
            rendered("image/gif", iccprofile=text)


def test_a_parameter_may_be_given_once() -> None:
    with pytest.raises(BadRequest, match="quality may be given once"):
        parse_rendered([("quality", "5"), ("quality", "5")], "image/jpeg")
    parse_rendered([("foo", "5"), ("foo", "5")], "image/jpeg")


def test_v11_thumbnails_have_a_size_alone() -> None:
    assert parse_thumbnail([]) is None
    assert parse_thumbnail([("viewport", "64,32"), ("window", "nonsense")]) == Viewport(64, 32)
    for text in ("64", "64,32,0,0,1,1", "64,32,,,,", "0,5", ""):
        with pytest.raises(BadRequest, match="viewport"):
            parse_thumbnail([("viewport", text)])


def wado_uri(*, presentation: bool = False, **parameters: Any) -> Rendering:
    return parse_wado_uri_rendering(list(parameters.items()), "image/jpeg", presentation=presentation)


def test_wado_uri_has_names_of_its_own() -> None:
    found = wado_uri(
        rows="64",
        columns="32",
        region="0.25,0.0,0.75,1",
        windowCenter="40",
        windowWidth="400",
        imageQuality="7",
        imageAnnotation="patient",
        requestType="WADO",
    )
    assert found.quality == 7
    assert found.options.window == Window(40, 400)
    assert found.options.viewport == Viewport(32, 64, Region(0.25, 0.0, 0.5, 1, relative=True))
    assert found.options.annotations == {Annotation.PATIENT}


def test_wado_uri_takes_rows_or_columns_alone() -> None:
    assert wado_uri(rows="64").options.viewport == Viewport(None, 64)
    assert wado_uri(annotation="technique").options.viewport is None


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"windowCenter": "40"}, "windowWidth"),
        ({"windowWidth": "40"}, "windowCenter"),
        ({"windowCenter": "40", "windowWidth": "0"}, "windowWidth"),
        ({"windowCenter": "x", "windowWidth": "1"}, "windowCenter"),
        ({"rows": "0"}, "rows"),
        ({"columns": "1.5"}, "columns"),
        ({"imageQuality": "101"}, "imageQuality"),
        ({"imageAnnotation": ""}, "imageAnnotation"),
        ({"region": "0,0,1"}, "region"),
        ({"region": "0,0,1,1.1"}, "region"),
        ({"region": "0.5,0,0.5,1"}, "region"),
        ({"region": "0,0,,1"}, "region"),
    ],
)
def test_wado_uri_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any], name: str) -> None:
    with pytest.raises(BadRequest, match=name):
        wado_uri(**parameters)


@pytest.mark.parametrize(
    "parameters",
    [{"region": "0,0,1,1"}, {"rows": "5"}, {"columns": "5"}, {"windowCenter": "1", "windowWidth": "1"}],
)
def test_wado_uri_presentation_states_rule_out_what_they_decide(parameters: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="presentationUID"):
        wado_uri(presentation=True, **parameters)


PIECES = st.lists(
    st.sampled_from(["", "0", "1", "-1", "512", "0.5", "1e5", "nan", "inf", "linear", "patient", "yes", "é"]),
    max_size=7,
).map(",".join)


@given(
    st.dictionaries(st.sampled_from(["viewport", "window", "quality", "annotation", "iccprofile"]), PIECES)
)
def test_any_text_is_read_or_refused_by_name(parameters: dict[str, str]) -> None:
    with suppress(BadRequest):
        found = parse_rendered(list(parameters.items()), "image/png")
        assert 1 <= found.quality <= 100
        viewport = found.options.viewport
        assert viewport is None or (viewport.width and viewport.height)
