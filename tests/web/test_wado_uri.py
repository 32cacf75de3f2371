"""WADO-URI over HTTP: every parameter of PS3.18 chapter 9."""

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from staticwado.web.options import ServerOptions
from tests import factories
from tests.dicom.reports import Page
from tests.web.conftest import Client, Reply, Running, StartServer
from tests.web.showcase import (
    COLUMNS,
    CT,
    IMAGES,
    LOOP,
    LOOP_STATE,
    LOST_STATE,
    MODEL,
    MOVIE_FILE,
    PAPER,
    REPORT,
    ROWS,
    STATE,
    STATES,
    STUDY,
    make_showcase,
    path,
)
from tests.web.test_part10 import make_archive
from tests.web.tree import ELE, MOVIE, PDF

IMPLICIT, HTJ2K = "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.201"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = make_showcase(tmp_path_factory.mktemp("uri") / "archive").root
    running = Running(ServerOptions(dir=root, port=0))
    yield running.start()
    running.stop()


def query(instance: str, **more: object) -> str:
    given = {
        "requestType": "WADO",
        "studyUID": STUDY,
        "seriesUID": instance.rpartition(".")[0],
        "objectUID": instance,
    }
    return urlencode({name: value for name, value in (given | more).items() if value is not None})


def ask(client: Client, instance: str, accept: object = "*/*", **more: object) -> Reply:
    return client.ask(f"/dicomweb?{query(instance, **more)}", Accept=str(accept))


def picture(reply: Reply, media_type: str = "image/jpeg") -> NDArray[np.uint8]:
    assert (reply.status, reply.headers["content-type"]) == (200, media_type), reply.body[:300]
    with Image.open(io.BytesIO(reply.body)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("place", ["/dicomweb", "/dicomweb/", "/dicomweb/wado", "/wado"])
def test_all_its_places_answer(client: Client, place: str) -> None:
    assert picture(client.ask(f"{place}?{query(CT)}")).shape == (ROWS, COLUMNS)


def test_its_places_work_where_the_service_is_at_the_root(tmp_path: Path, start_server: StartServer) -> None:
    root = make_showcase(tmp_path / "archive").root
    server = start_server(root, server_path="/", client_path="/ohif")
    for place in ("/", "/wado"):
        assert server.ask(f"{place}?{query(CT)}").headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("value", [None, "wado", "XDS", ""])
def test_the_request_type_is_wado(client: Client, value: str | None) -> None:
    reply = client.ask(f"/dicomweb/wado?{query(CT, requestType=value)}")
    assert (reply.status, "requestType" in reply.error) == (400, True)


@pytest.mark.parametrize("name", ["studyUID", "seriesUID", "objectUID"])
@pytest.mark.parametrize(("value", "status"), [(None, 400), ("", 400), ("a.b", 400), ("9.9", 404)])
def test_the_three_uids_are_needed(client: Client, name: str, value: str | None, status: int) -> None:
    reply = ask(client, CT, **{name: value})
    assert (reply.status, bool(reply.error)) == (status, True)
    assert status == 404 or name in reply.error


def test_names_are_read_with_their_case(client: Client) -> None:
    assert client.ask(f"/dicomweb?{query(CT).replace('studyUID', 'studyuid')}").status == 400


@pytest.mark.parametrize(
    ("instance", "content_type"),
    [
        (CT, "image/jpeg"),
        (LOOP, "image/jpeg"),
        (STATE, "image/jpeg"),
        (REPORT, "text/html; charset=utf-8"),
        (PAPER, "application/pdf"),
        (MOVIE_FILE, "video/mp4"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_without_a_content_type_the_category_decides(
    client: Client, instance: str, content_type: str, accept: str
) -> None:
    reply = ask(client, instance, accept)
    assert (reply.status, reply.headers["content-type"]) == (200, content_type)
    assert instance != PAPER or reply.body == PDF
    assert instance != MOVIE_FILE or reply.body == MOVIE


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("image/png", "image/png"),
        ("image/jp2, image/gif;q=0.2", "image/jp2"),
        ("image/gif,text/html", "image/gif"),
        ("image/*", "image/jpeg"),
    ],
)
def test_content_type_is_a_list(client: Client, content_type: str, found: str) -> None:
    assert ask(client, CT, contentType=content_type).headers["content-type"] == found


@pytest.mark.parametrize(
    ("instance", "more", "accept", "status"),
    [
        (CT, {"contentType": "text/html"}, "*/*", 406),
        (REPORT, {"contentType": "image/jpeg"}, "*/*", 406),
        (MODEL, {"contentType": "text/plain"}, "*/*", 406),
        (CT, {"contentType": "image/png"}, "image/jpeg", 406),
        (CT, {"contentType": "image/png"}, "image/*", 200),
        (CT, {"contentType": "image/png"}, "image/jpeg, image/png;q=0.1", 200),
        (CT, {"contentType": ""}, "*/*", 400),
        (CT, {"contentType": "png"}, "*/*", 400),
        (CT, {"contentType": "image/jpeg;transfer-syntax=1.2.840.10008.1.2.4.50"}, "*/*", 400),
        (CT, {"contentType": "image/jpeg,application/dicom"}, "*/*", 400),
        (CT, {"contentType": "multipart/related;type=image/jpeg"}, "*/*", 406),
    ],
)
def test_content_type_and_accept_have_to_agree(
    client: Client, instance: str, more: dict[str, str], accept: str, status: int
) -> None:
    assert ask(client, instance, accept, **more).status == status


def test_a_multi_frame_image_is_its_first_frame_or_an_animation(client: Client) -> None:
    first = ask(client, LOOP, contentType="image/png")
    assert picture(first, "image/png")[0, 0] == 10
    reply = ask(client, LOOP, contentType="image/gif")
    with Image.open(io.BytesIO(reply.body)) as image:
        assert getattr(image, "n_frames", 1) == 3


def test_a_frame_is_named_by_its_number(client: Client) -> None:
    reply = ask(client, LOOP, contentType="image/png", frameNumber=3)
    assert picture(reply, "image/png")[0, 0] == 200
    assert ask(client, LOOP, frameNumber=4).status == 404
    for wrong in ("0", "-1", "1,2", "x", "", "99999999999"):
        reply = ask(client, LOOP, frameNumber=wrong)
        assert (reply.status, "frameNumber" in reply.error) == (400, True)


@pytest.mark.parametrize(
    ("more", "shape"),
    [
        ({"rows": 10}, (10, 15)),
        ({"columns": 60}, (40, 60)),
        ({"rows": 10, "columns": 12}, (8, 12)),
        ({"region": "0.0,0.0,0.5,0.5"}, (10, 15)),
        ({"region": "0.5,0,1,1", "rows": 40}, (40, 30)),
    ],
)
def test_rows_columns_and_region_bound_the_picture(
    client: Client, more: dict[str, object], shape: tuple[int, int]
) -> None:
    assert picture(ask(client, CT, **more)).shape == shape


def test_a_window_is_that_of_the_rendered_resource(client: Client) -> None:
    reply = ask(client, CT, contentType="image/png", windowCenter="100", windowWidth="50")
    other = client.get(f"{path(CT)}/rendered?window=100,50,linear", Accept="image/png")
    assert reply.body == other.body


def test_quality_and_annotation_do_what_they_say(client: Client) -> None:
    assert len(ask(client, CT, imageQuality=5).body) < len(ask(client, CT, imageQuality=95).body)
    plain = ask(client, CT, rows=200).body
    for name in ("imageAnnotation", "annotation"):
        reply = ask(client, CT, rows=200, **{name: "patient,weather"})
        assert reply.body != plain
        assert reply.headers["warning"].endswith("not supported: weather")


@pytest.mark.parametrize(
    "more",
    [
        {"imageQuality": 0},
        {"imageQuality": "high"},
        {"rows": 0},
        {"columns": "x"},
        {"region": "0,0,1"},
        {"region": "0,0,2,1"},
        {"region": "0.5,0,0.5,1"},
        {"windowCenter": 5},
        {"windowWidth": 5},
        {"windowCenter": 5, "windowWidth": 0},
        {"imageAnnotation": ""},
        {"charset": "no-such-charset"},
        {"anonymize": "no"},
        {"presentationUID": STATE},
        {"presentationSeriesUID": STATES},
        {"presentationUID": "x", "presentationSeriesUID": STATES},
        {"presentationUID": CT, "presentationSeriesUID": IMAGES},
        {"presentationUID": LOOP_STATE, "presentationSeriesUID": STATES},
        {"transferSyntax": ELE},
    ],
)
def test_an_impossible_parameter_is_a_bad_request_that_names_it(
    client: Client, more: dict[str, object]
) -> None:
    reply = ask(client, CT, **more)
    assert reply.status == 400, reply.body
    assert any(name in reply.error for name in more) or "presentation" in reply.error


def test_a_parameter_is_given_once(client: Client) -> None:
    for name in ("rows", "studyUID", "contentType"):
        value = {"rows": "5", "studyUID": STUDY, "contentType": "image/png"}[name]
        reply = client.ask(f"/dicomweb?{query(CT, **{name: value})}&{name}={value}")
        assert (reply.status, name in reply.error) == (400, True)


def test_utf_8_is_always_there(client: Client) -> None:
    assert ask(client, REPORT, charset="UTF-8").headers["content-type"] == "text/html; charset=utf-8"


def test_anonymize_is_refused(client: Client) -> None:
    for content_type in (None, "application/dicom", "image/jpeg"):
        reply = ask(client, CT, anonymize="yes", contentType=content_type)
        assert (reply.status, "anonymize" in reply.error) == (501, True)


def test_a_presentation_state_is_applied(client: Client) -> None:
    named = {"presentationUID": STATE, "presentationSeriesUID": STATES, "contentType": "image/png"}
    assert ask(client, CT, **named).body == client.get(f"{path(STATE)}/rendered", Accept="image/png").body
    quality = ask(client, CT, **named, imageQuality=50)
    assert quality.status == 200
    for name, value in (
        ("rows", "5"),
        ("columns", "5"),
        ("region", "0,0,1,1"),
        ("windowCenter", "1"),
        ("windowWidth", "1"),
    ):
        reply = ask(client, CT, **named, **{name: value})
        assert (reply.status, name in reply.error) == (400, True)
    assert ask(client, CT, **(named | {"presentationUID": "1.2.9.2.88"})).status == 404


def test_a_presentation_state_shows_the_first_frame_that_it_is_about(client: Client) -> None:
    named = {"presentationUID": LOOP_STATE, "presentationSeriesUID": STATES, "contentType": "image/png"}
    assert picture(ask(client, LOOP, **named), "image/png")[0, 0] == 245
    assert picture(ask(client, LOOP, **named, frameNumber=3), "image/png")[0, 0] == 55
    assert ask(client, LOOP, **named, frameNumber=2).status == 400


def test_several_pictures_are_no_single_part(client: Client) -> None:
    reply = ask(client, LOOP_STATE, contentType="image/jpeg")
    assert (reply.status, "single part" in reply.error) == (406, True)
    assert ask(client, LOST_STATE).status == 404


def test_links_of_a_report_lead_from_every_place(client: Client) -> None:
    page = Page(ask(client, REPORT).body.decode())
    [link] = [link for link in page.links if not link.startswith("#")]
    assert link == f"http://127.0.0.1:{client.port}/dicomweb/{path(CT)}/rendered"


# -- files ---------------------------------------------------------------------------------------------------

FILE_STUDY = factories.uid("study", 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A native image, one in HTJ2K, and one that is no image."""
    made = {
        ELE: factories.instance(
            syntax=ELE, series="a", frames=factories.pixels(30, 20, 3), rows=30, columns=20
        ),
        "plan": factories.instance(syntax=ELE, series="b", SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5"),
    }
    running = Running(ServerOptions(dir=make_archive(tmp_path_factory.mktemp("files"), made), port=0))
    yield running.start()
    running.stop()


def file_query(series: str, **more: object) -> str:
    given = {
        "requestType": "WADO",
        "studyUID": FILE_STUDY,
        "seriesUID": factories.uid("series", 0, series),
        "objectUID": factories.uid("instance", 0, series, 0),
    }
    return f"/dicomweb?{urlencode(given | more)}"


@pytest.mark.parametrize("more", [{}, {"transferSyntax": ELE}, {"transferSyntax": "*"}, {"imageQuality": 70}])
def test_a_file_is_a_single_part(files: Client, more: dict[str, object]) -> None:
    reply = files.ask(file_query("a", contentType="application/dicom", **more))
    assert reply.status == 200
    assert reply.headers["content-type"] == f"application/dicom; transfer-syntax={ELE}"
    dataset = pydicom.dcmread(io.BytesIO(reply.body))
    assert (dataset.file_meta.TransferSyntaxUID, dataset.Rows) == (ELE, 30)


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/dicom", "multipart/related; type=application/octet-stream; transfer-syntax=*"],
)
def test_a_viewer_that_uses_wado_uri_gets_files(files: Client, accept: str) -> None:
    # As OHIF asks with imageRendering "wadouri", the last Accept included.
    asked = file_query("a") + "&contentType=application/dicom&transferSyntax=*"
    reply = files.ask(asked, Accept=accept)
    assert (reply.status, reply.body[128:132]) == (200, b"DICM")


def test_what_is_neither_image_nor_text_is_its_file(files: Client) -> None:
    reply = files.ask(file_query("b"))
    assert (reply.status, reply.body[128:132]) == (200, b"DICM")
    assert files.ask(file_query("b", contentType="image/jpeg")).status == 406
    assert files.ask(file_query("b", rows=5)).status == 406


@pytest.mark.parametrize(
    ("syntax", "status"), [("1.2.x", 400), ("", 400), ("1.2.840.99", 406), (IMPLICIT, 406)]
)
def test_a_transfer_syntax_is_a_uid_and_supported(files: Client, syntax: str, status: int) -> None:
    reply = files.ask(file_query("a", contentType="application/dicom", transferSyntax=syntax))
    assert (reply.status, bool(reply.error)) == (status, True)


@pytest.mark.parametrize(
    "name", ["frameNumber", "rows", "columns", "region", "windowCenter", "imageAnnotation", "presentationUID"]
)
def test_a_file_has_no_parameters_of_pictures(files: Client, name: str) -> None:
    reply = files.ask(file_query("a", contentType="application/dicom", **{name: "1"}))
    assert (reply.status, name in reply.error) == (400, True)


def test_what_is_missing_is_not_found(files: Client) -> None:
    asked = file_query("a", contentType="application/dicom", objectUID="9.9")
    assert files.ask(asked).status == 404
