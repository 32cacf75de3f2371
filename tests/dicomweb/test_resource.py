"""URL paths of the Studies service and the resources that they name."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb.resource import (
    MAX_FRAMES_ASKED,
    Resource,
    View,
    format_path,
    is_bulkdata_id,
    parse_frames,
    parse_path,
)
from staticwado.errors import BadRequest, NotFound, StaticWadoError

S, R, I = "1.2", "1.3", "1.4"  # noqa: E741
ADDRESS = f"ab/{'0' * 62}.bin"
_WHOLE = f"studies/{S}/series/{R}/instances/{I}"

PATHS = {
    "studies": Resource(View.STUDIES),
    "series": Resource(View.SERIES),
    "instances": Resource(View.INSTANCES),
    f"studies/{S}": Resource(View.PART10, S),
    f"studies/{S}/series": Resource(View.SERIES, S),
    f"studies/{S}/instances": Resource(View.INSTANCES, S),
    f"studies/{S}/metadata": Resource(View.METADATA, S),
    f"studies/{S}/rendered": Resource(View.RENDERED, S),
    f"studies/{S}/thumbnail": Resource(View.THUMBNAIL, S),
    f"studies/{S}/pixeldata": Resource(View.PIXELDATA, S),
    f"studies/{S}/deduplicated": Resource(View.DEDUPLICATED, S),
    f"studies/{S}/bulkdata/{ADDRESS}": Resource(View.BULKDATA, S, bulkdata=ADDRESS),
    f"studies/{S}/series/{R}": Resource(View.PART10, S, R),
    f"studies/{S}/series/{R}/instances": Resource(View.INSTANCES, S, R),
    f"studies/{S}/series/{R}/metadata": Resource(View.METADATA, S, R),
    _WHOLE: Resource(View.PART10, S, R, I),
    f"{_WHOLE}/metadata": Resource(View.METADATA, S, R, I),
    f"{_WHOLE}/pixeldata": Resource(View.PIXELDATA, S, R, I),
    f"{_WHOLE}/rendered": Resource(View.RENDERED, S, R, I),
    f"{_WHOLE}/thumbnail": Resource(View.THUMBNAIL, S, R, I),
    f"{_WHOLE}/frames/1": Resource(View.FRAMES, S, R, I, (1,)),
    f"{_WHOLE}/frames/1,3,12": Resource(View.FRAMES, S, R, I, (1, 3, 12)),
    f"{_WHOLE}/frames/2/rendered": Resource(View.RENDERED, S, R, I, (2,)),
    f"{_WHOLE}/frames/2/thumbnail": Resource(View.THUMBNAIL, S, R, I, (2,)),
}


@pytest.mark.parametrize(("path", "resource"), PATHS.items())
def test_each_path_names_its_resource_and_back(path: str, resource: Resource) -> None:
    assert parse_path(path) == resource
    assert parse_path(path + "/") == resource
    assert format_path(resource) == path


@pytest.mark.parametrize("view", [View.INDEX, View.SKELETON, View.MARKER])
def test_what_is_private_has_no_url(view: View) -> None:
    with pytest.raises(ValueError, match="no URL"):
        format_path(Resource(view, S, R, I))


@pytest.mark.parametrize(
    "path",
    [
        f"{_WHOLE}/frames/0",
        f"{_WHOLE}/frames/-1",
        f"{_WHOLE}/frames/a",
        f"{_WHOLE}/frames/1,,2",
        f"{_WHOLE}/frames/2,1",
        f"{_WHOLE}/frames/1,1",
        f"{_WHOLE}/frames/",
        f"{_WHOLE}/frames/1 ",
        f"{_WHOLE}/frames/1\n",
        f"{_WHOLE}/frames/\u0661",
        f"{_WHOLE}/frames/²",
        f"{_WHOLE}/frames/" + "9" * 11,
        "studies/abc",
        "studies/1..2",
        "studies/..",
        "studies/1.2\n",
        "studies/1.2\0/series",
        "studies/%2e%2e",
        "studies/" + "1" * 65,
        f"studies/{S}/series/../metadata",
        f"studies/{S}/series/{R}/instances/..",
    ],
)
def test_malformed_uids_and_frame_lists_are_bad_requests(path: str) -> None:
    with pytest.raises(BadRequest):
        parse_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "studies//",
        "/studies",
        "patients",
        f"series/{R}",
        f"studies/{S}/nonsense",
        f"studies/{S}/index",
        f"studies/{S}/skeleton",
        f"studies/{S}/bulkdata/../../x",
        f"studies/{S}/bulkdata/{ADDRESS}/x",
        f"studies/{S}/series/{R}/bulkdata/{ADDRESS}",
        f"studies/{S}/series/{R}/instances/{I}/frames/1/metadata",
        f"studies/{S}/instances/{I}",
    ],
)
def test_paths_outside_the_grammar_are_not_found(path: str) -> None:
    with pytest.raises((NotFound, BadRequest)):
        parse_path(path)


@given(st.text(max_size=80), st.sampled_from(sorted(PATHS)), st.integers(0, 60))
def test_any_path_is_a_resource_that_leads_back_or_an_error_of_ours(text: str, path: str, at: int) -> None:
    for tried in (text, path[:at] + text + path[at:], f"studies/{text}"):
        with suppress(StaticWadoError):
            assert format_path(parse_path(tried)) == tried.removesuffix("/")


@given(st.lists(st.integers(1, 9_999_999_999), min_size=1, max_size=20, unique=True))
def test_frame_lists_are_read_as_written(numbers: list[int]) -> None:
    assert parse_frames(",".join(map(str, sorted(numbers)))) == tuple(sorted(numbers))


def test_a_frame_list_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequest, match="too long"):
        parse_frames("1," * 11 * MAX_FRAMES_ASKED)


@pytest.mark.parametrize("text", [ADDRESS, f"ff/{'a' * 62}.pdf"])
def test_content_addresses(text: str) -> None:
    assert is_bulkdata_id(text)
    assert not is_bulkdata_id(text.upper())
    assert not is_bulkdata_id(text + "\n")
    assert not is_bulkdata_id("x" + text)
