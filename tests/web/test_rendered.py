"""Rendered studies, series, instances and frames over HTTP."""

import email
import http.client
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from staticwado.web.options import ServerOptions
from tests.dicom.reports import Page
from tests.web.conftest import Client, Reply, Running, StartServer
from tests.web.showcase import (
    BROKEN,
    COLOUR,
    COLOURS,
    COLUMNS,
    CT,
    CT_PIXELS,
    IMAGES,
    LOOP,
    LOOP_FRAMES,
    LOOP_LEVELS,
    LOOP_STATE,
    LOST_STATE,
    MIXED,
    MODEL,
    MOVIE_FILE,
    OTHER_STATE,
    PAGE,
    PAPER,
    PLAN,
    REPORT,
    ROWS,
    STATE,
    STATES,
    STUDY,
    TEXTS,
    make_showcase,
    path,
)
from tests.web.tree import MOVIE, PDF

Picture = NDArray[np.uint8]
JPEGS = 'multipart/related; type="image/jpeg"'
SMALL_CT = np.clip((CT_PIXELS + 300) / 599 * 255, 0, 255)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = make_showcase(tmp_path_factory.mktemp("rendered") / "archive").root
    running = Running(ServerOptions(dir=root, port=0))
    yield running.start()
    running.stop()


def seen(data: bytes) -> Picture:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def picture(reply: Reply, media_type: str = "image/jpeg") -> Picture:
    assert (reply.status, reply.headers["content-type"]) == (200, media_type), reply.body[:300]
    return seen(reply.body)


def parts(reply: Reply) -> list[tuple[str, str, bytes]]:
    """Media type, location and body of each part, as another parser reads them."""
    head = f"Content-Type: {reply.headers['content-type']}\r\n\r\n".encode()
    return [
        (part["Content-Type"], part["Content-Location"], bytes(part.get_payload(decode=True)))
        for part in email.message_from_bytes(head + reply.body).walk()
        if not part.is_multipart()
    ]


def frames_in(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


def far(found: Picture, wanted: NDArray[np.generic]) -> int:
    """By how many levels two pictures differ at most."""
    assert found.shape == wanted.shape
    return int(np.abs(found.astype(int) - np.asarray(wanted, float).round()).max())


# -- one picture ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", ["rendered", "frames/1/rendered"])
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/jpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/gif", "image/gif"),
        ("image/jpeg;q=0.5, image/png", "image/png"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "image/jpeg"),
    ],
)
def test_a_frame_is_a_picture_of_the_type_that_is_liked_best(
    client: Client, leaf: str, accept: str, media_type: str
) -> None:
    found = picture(client.get(f"{path(CT)}/{leaf}", Accept=accept), media_type)
    assert far(found, SMALL_CT) <= (4 if media_type == "image/jpeg" else 1)


def test_jpeg_2000_is_read_by_others(client: Client) -> None:
    reply = client.get(f"{path(CT)}/rendered?quality=100", Accept="image/jp2")
    assert reply.headers["content-type"] == "image/jp2"
    assert far(imagecodecs.jpeg2k_decode(reply.body), SMALL_CT) <= 1


def test_colour_comes_out_as_it_went_in(client: Client) -> None:
    found = picture(client.get(f"{path(COLOUR)}/rendered", Accept="image/png"), "image/png")
    assert far(found, COLOURS) <= 3


def test_a_rendered_type_has_no_transfer_syntax(client: Client) -> None:
    accept = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    assert client.get(f"{path(CT)}/rendered", Accept=accept).status == 406


def test_accept_may_be_a_parameter(client: Client) -> None:
    reply = client.get(f"{path(CT)}/rendered?accept=image%2Fpng", Accept="image/jpeg")
    assert reply.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom", 406),
        ("application/dicom+json", 406),
        ("text/html", 406),
        ("video/mp4", 406),
        ("image/jpeg, application/dicom", 400),
        ('multipart/related; type="application/dicom", image/png', 400),
        ("image/jpeg, application/dicom;q=0", 200),
    ],
)
def test_what_is_not_rendered_is_not_acceptable_and_a_mix_is_wrong(
    client: Client, accept: str, status: int
) -> None:
    reply = client.get(f"{path(CT)}/rendered", Accept=accept)
    assert reply.status == status
    assert status != 406 or "image/png" in reply.error


# -- parameters ----------------------------------------------------------------------------------------------


def test_quality_counts_for_jpeg_and_not_for_png(client: Client) -> None:
    sizes = [len(client.get(f"{path(CT)}/rendered?quality={quality}").body) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))
    pictures = {
        client.get(f"{path(CT)}/rendered?quality={quality}", Accept="image/png").body for quality in (1, 100)
    }
    assert len(pictures) == 1


@pytest.mark.parametrize(
    ("viewport", "size"),
    [
        ("15,100", (15, 10)),
        ("300,20", (30, 20)),
        ("60,60", (60, 40)),
        ("10,10,,,10,10", (10, 10)),
        ("10,10,20,10,,", (10, 10)),
    ],
)
def test_a_viewport_is_filled_and_the_aspect_kept(
    client: Client, viewport: str, size: tuple[int, int]
) -> None:
    found = picture(client.get(f"{path(CT)}/rendered?viewport={viewport}"))
    assert found.shape == size[::-1]


def test_a_viewport_crops_and_flips(client: Client) -> None:
    whole = picture(client.get(f"{path(CT)}/rendered", Accept="image/png"), "image/png")
    reply = client.get(f"{path(CT)}/rendered?viewport=10,10,5,3,-10,10", Accept="image/png")
    assert (picture(reply, "image/png") == whole[3:13, 5:15][:, ::-1]).all()


@pytest.mark.parametrize("function", ["linear", "linear-exact", "sigmoid"])
def test_a_window_takes_the_place_of_that_of_the_image(client: Client, function: str) -> None:
    reply = client.get(f"{path(CT)}/rendered?window=100,50,{function}", Accept="image/png")
    below, width = CT_PIXELS.astype(float), 50
    if function == "sigmoid":
        wanted = 255 / (1 + np.exp(-4 * (below - 100) / width))
    elif function == "linear":
        wanted = ((below - 99.5) / (width - 1) + 0.5) * 255
    else:
        wanted = ((below - 100) / width + 0.5) * 255
    assert far(picture(reply, "image/png"), wanted.clip(0, 255)) <= 1


@pytest.mark.parametrize(
    "query",
    [
        "quality=0",
        "quality=101",
        "quality=high",
        "quality=",
        "viewport=10",
        "viewport=0,10",
        "viewport=10,10,1",
        "viewport=10,10,100,100,10,10",
        "viewport=99999,99999",
        "window=1,2",
        "window=1,0,linear",
        "window=1,2,square",
        "annotation=",
        "annotation=a%20b",
        "iccprofile=maybe",
        "quality=5&quality=6",
    ],
)
def test_an_impossible_parameter_is_a_bad_request(client: Client, query: str) -> None:
    reply = client.get(f"{path(CT)}/rendered?{query}")
    assert reply.status == 400
    assert query.partition("=")[0] in reply.error


def test_parameters_that_nobody_knows_change_nothing(client: Client) -> None:
    plain = client.get(f"{path(CT)}/rendered")
    assert client.get(f"{path(CT)}/rendered?nonsense=1&Quality=7").body == plain.body


def test_annotations_are_burnt_in_and_unknown_ones_are_said(client: Client) -> None:
    def asked(more: str) -> Reply:
        return client.get(f"{path(CT)}/rendered?viewport=300,200{more}", Accept="image/png")

    plain, written = asked(""), asked("&annotation=patient")
    assert (picture(written, "image/png") != picture(plain, "image/png")).any()
    assert "warning" not in written.headers
    reply = asked("&annotation=patient,weather")
    assert reply.body == written.body
    wanted = "The following annotation values are not supported: weather"
    assert reply.headers["warning"] == f"299 http://127.0.0.1:{client.port}/dicomweb: {wanted}"


def test_a_profile_is_embedded_where_the_type_has_room(client: Client) -> None:
    for media_type in ("image/jpeg", "image/png"):
        reply = client.get(f"{path(COLOUR)}/rendered?iccprofile=srgb", Accept=media_type)
        with Image.open(io.BytesIO(reply.body)) as image:
            assert len(image.info["icc_profile"]) > 128
    reply = client.get(f"{path(COLOUR)}/rendered?iccprofile=srgb", Accept="image/gif")
    assert (reply.status, "iccprofile" in reply.error) == (400, True)


# -- several pictures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["*/*", "image/gif", "image/*"])
def test_a_multi_frame_image_is_an_animation(client: Client, accept: str) -> None:
    reply = client.get(f"{path(LOOP)}/rendered", Accept=accept)
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    with Image.open(io.BytesIO(reply.body)) as image:
        assert frames_in(image) == 3
        for number, frame in enumerate(LOOP_FRAMES):
            image.seek(number)
            assert image.info["duration"] == 250
            assert (np.asarray(image.convert("L")) == frame).all()


def test_an_animation_takes_the_parameters_too(client: Client) -> None:
    reply = client.get(f"{path(LOOP)}/rendered?viewport=6,6")
    with Image.open(io.BytesIO(reply.body)) as image:
        assert (frames_in(image), image.size) == (3, (6, 4))


@pytest.mark.parametrize("accept", ["image/jpeg", "image/png", "image/jp2"])
@pytest.mark.parametrize("leaf", ["rendered", "frames/1,3/rendered"])
def test_several_pictures_do_not_fit_a_single_part(client: Client, accept: str, leaf: str) -> None:
    reply = client.get(f"{path(LOOP)}/{leaf}", Accept=accept)
    assert (reply.status, "multipart/related" in reply.error) == (406, True)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
def test_frames_come_one_a_part_in_their_order(client: Client, media_type: str) -> None:
    accept = f'multipart/related; type="{media_type}"'
    reply = client.get(f"{path(LOOP)}/frames/1,3/rendered", Accept=accept)
    assert reply.headers["content-type"].startswith(f'multipart/related; type="{media_type}"; boundary=')
    found = parts(reply)
    assert [kind for kind, _, _ in found] == [media_type] * 2
    assert [place.rpartition("/instances/")[2] for _, place, _ in found] == [
        f"{LOOP}/frames/{number}/rendered" for number in (1, 3)
    ]
    assert [int(np.median(seen(data))) for _, _, data in found] == [LOOP_LEVELS[0], LOOP_LEVELS[2]]


def test_of_a_list_the_frames_that_are_there_come(client: Client) -> None:
    reply = client.get(f"{path(LOOP)}/frames/2,4,7/rendered")
    assert (reply.status, "there is no frame 4, 7" in reply.headers["warning"]) == (206, True)
    assert [place.rpartition("/frames/")[2] for _, place, _ in parts(reply)] == ["2/rendered"]
    assert client.get(f"{path(LOOP)}/frames/2,4/rendered", Accept="image/jpeg").status == 406


def test_the_default_of_several_frames_is_a_multipart_of_jpegs(client: Client) -> None:
    reply = client.get(f"{path(LOOP)}/frames/1,2/rendered")
    assert reply.headers["content-type"].startswith(JPEGS)
    assert len(parts(reply)) == 2


def test_a_series_has_all_its_pictures(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/series/{IMAGES}/rendered", Accept=JPEGS)
    assert reply.status == 200
    assert [place.partition("/instances/")[2] for _, place, _ in parts(reply)] == [
        f"{CT}/frames/1/rendered",
        *(f"{LOOP}/frames/{number}/rendered" for number in (1, 2, 3)),
        f"{COLOUR}/frames/1/rendered",
    ]


def test_an_animation_in_a_multipart_is_one_part(client: Client) -> None:
    accept = 'multipart/related; type="image/gif"'
    found = parts(client.get(f"studies/{STUDY}/series/{IMAGES}/rendered", Accept=accept))
    assert [place.partition("/instances/")[2] for _, place, _ in found] == [
        f"{CT}/frames/1/rendered",
        f"{LOOP}/rendered",
        f"{COLOUR}/frames/1/rendered",
    ]
    with Image.open(io.BytesIO(found[1][2])) as image:
        assert frames_in(image) == 3


def test_a_series_of_texts_has_each_in_its_default_type(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/series/{TEXTS}/rendered")
    assert [kind for kind, _, _ in parts(reply)] == [
        "text/html; charset=utf-8",
        "application/pdf",
        "text/html; charset=utf-8",
    ]
    assert parts(reply)[1][2] == PDF


def test_what_is_left_out_is_said(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/series/{TEXTS}/rendered", Accept="multipart/related; type=text/xml")
    assert reply.status == 206
    assert [place.rpartition("/instances/")[2] for _, place, _ in parts(reply)] == [
        f"{REPORT}/rendered",
        f"{PAGE}/rendered",
    ]
    assert "1 instances cannot be rendered so" in reply.headers["warning"]


def test_a_study_is_rendered_by_whatever_fits(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/rendered", Accept="multipart/related; type=text/html")
    assert reply.status == 206
    assert {kind for kind, _, _ in parts(reply)} == {"text/html; charset=utf-8"}


@pytest.mark.parametrize("level", [f"studies/{STUDY}", f"studies/{STUDY}/series/{IMAGES}"])
def test_a_study_or_series_does_not_fit_a_single_part(client: Client, level: str) -> None:
    reply = client.get(f"{level}/rendered", Accept="image/jpeg")
    assert (reply.status, 'multipart/related; type="image/jpeg"' in reply.error) == (406, True)


def test_a_picture_that_fails_on_the_way_cuts_the_answer_off(client: Client) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        client.get(f"studies/{STUDY}/rendered", Accept=JPEGS)


def test_more_pictures_than_one_answer_holds_are_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staticwado.web.rendered.MOST_PICTURES", 2)
    for leaf in (f"{path(LOOP)}/frames/1,2,3/rendered", f"studies/{STUDY}/series/{IMAGES}/rendered"):
        reply = client.get(leaf, Accept=JPEGS)
        assert (reply.status, "at most 2 pictures" in reply.error) == (406, True)
    monkeypatch.setattr("staticwado.web.subjects.MOST_ANIMATED", 2)
    monkeypatch.setattr("staticwado.web.rendered.MOST_PICTURES", 3)
    assert client.get(f"{path(LOOP)}/rendered", Accept="image/gif").status == 406
    assert len(parts(client.get(f"{path(LOOP)}/rendered"))) == 3


# -- presentation states -------------------------------------------------------------------------------------


def test_a_presentation_state_is_its_image_as_it_says(client: Client) -> None:
    found = picture(client.get(f"{path(STATE)}/rendered", Accept="image/png"), "image/png")
    # INVERSE over all values that 16 bits can have, and the displayed area alone.
    wanted = 255 - (CT_PIXELS[:5, :10].astype(float) + 32768) / 65535 * 255
    assert far(found, wanted) <= 1


def test_a_presentation_state_of_several_frames_is_a_multipart(client: Client) -> None:
    reply = client.get(f"{path(LOOP_STATE)}/rendered", Accept='multipart/related; type="image/png"')
    levels = [int(seen(data)[0, 0]) for _, _, data in parts(reply)]
    assert levels == [255 - 10, 255 - 200]
    assert client.get(f"{path(LOOP_STATE)}/rendered", Accept="image/png").status == 406


def test_a_presentation_state_takes_no_window(client: Client) -> None:
    reply = client.get(f"{path(STATE)}/rendered?window=1,2,linear")
    assert (reply.status, "window" in reply.error) == (400, True)


def test_a_presentation_state_is_left_out_where_a_window_is_asked_for(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/series/{STATES}/rendered?window=1,2,linear")
    assert (reply.status, "window of its own" in reply.error) == (406, True)


# -- texts and video -----------------------------------------------------------------------------------------


def test_a_report_is_a_page_without_scripts(client: Client) -> None:
    reply = client.get(f"{path(REPORT)}/rendered")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert ("sandbox" in policy, "default-src 'none'" in policy, "script" in policy) == (True, True, False)
    page = Page(reply.body.decode())
    assert any("Nothing <b>seen</b>" in word for word in page.words)
    assert "b" not in page.tags


def test_a_report_links_to_its_images(client: Client) -> None:
    here = f"{path(REPORT)}/rendered"
    page = Page(client.get(here).body.decode())
    [link] = [link for link in page.links if not link.startswith("#")]
    target = urljoin(f"http://x/dicomweb/{here}", link)
    assert target == f"http://x/dicomweb/{path(CT)}/rendered"
    assert client.get(target.partition("/dicomweb/")[2]).status == 200


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/xml", "text/xml"),
        ("text/*", "text/html; charset=utf-8"),
    ],
)
@pytest.mark.parametrize("instance", [REPORT, PAGE])
def test_a_text_has_other_forms(client: Client, instance: str, accept: str, content_type: str) -> None:
    reply = client.get(f"{path(instance)}/rendered", Accept=accept)
    assert (reply.status, reply.headers["content-type"]) == (200, content_type)
    assert (b"seen" if instance == REPORT else b"good") in reply.body
    assert "sandbox" in reply.headers["content-security-policy"]


def test_a_pdf_comes_without_its_padding_and_in_ranges(client: Client) -> None:
    reply = client.get(f"{path(PAPER)}/rendered")
    assert (reply.headers["content-type"], reply.body) == ("application/pdf", PDF)
    assert client.get(f"{path(PAPER)}/rendered", Range="bytes=1-3").body == PDF[1:4]


def test_a_video_comes_as_it_is_kept(client: Client) -> None:
    reply = client.get(f"{path(MOVIE_FILE)}/rendered", Range="bytes=0-")
    assert (reply.status, reply.headers["content-type"], reply.body) == (206, "video/mp4", MOVIE)
    reply = client.get(f"{path(MOVIE_FILE)}/frames/1/rendered")
    assert (reply.status, "video/mp4" in reply.error) == (406, True)


# -- what cannot be rendered ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "status", "word"),
    [
        (path(PLAN), 406, "RT Plan"),
        (path(MODEL), 406, "model/stl"),
        (path(BROKEN), 406, "cannot be rendered"),
        (path(LOST_STATE), 404, "none of which"),
        (path(OTHER_STATE), 406, "45"),
        (f"{path(CT)}/frames/2", 404, "frame 2"),
        (f"{path(LOOP)}/frames/4,5", 404, "frame 5"),
        (f"{path(CT)}/frames/0", 400, "from 1"),
        (path("1.2.9.1.77"), 404, "no instance 1.2.9.1.77"),
        ("studies/9.9", 404, "no study 9.9"),
        (f"studies/{STUDY}/series/9.9", 404, "no series 9.9"),
        (f"studies/{STUDY}/series/{MIXED}", 406, "neither image nor text"),
    ],
)
def test_what_cannot_be_rendered_is_said_with_the_reason(
    client: Client, place: str, status: int, word: str
) -> None:
    reply = client.get(f"{place}/rendered")
    assert (reply.status, word in reply.error) == (status, True), reply.body


# -- conditions, HEAD, cache ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaf", [f"{path(CT)}/rendered?quality=33", f"{path(LOOP)}/rendered", f"{path(REPORT)}/rendered"]
)
def test_a_rendered_resource_is_asked_for_again_by_its_tag(client: Client, leaf: str) -> None:
    first = client.get(leaf)
    assert client.get(leaf, If_None_Match=first.headers["etag"]).status == 304
    head = client.ask(f"/dicomweb/{leaf}", "HEAD")
    assert (head.status, head.headers["etag"]) == (200, first.headers["etag"])
    assert head.headers.get("content-length") == first.headers.get("content-length")
    assert "Accept" in first.headers["vary"]


def test_each_form_has_a_tag_of_its_own(client: Client) -> None:
    tags = {
        client.get(f"{path(CT)}/rendered{query}", Accept=accept).headers["etag"]
        for query in ("", "?quality=50", "?viewport=5,5", "?annotation=patient")
        for accept in ("image/jpeg", "image/png", JPEGS)
    }
    assert len(tags) == 12


def test_pictures_are_the_same_with_and_without_a_cache(tmp_path: Path, start_server: StartServer) -> None:
    root = make_showcase(tmp_path / "archive").root
    bodies = set()
    for size in (0, 1 << 20):
        server = start_server(root, result_cache_size=size, cache_size=0)
        bodies |= {server.get(f"{path(CT)}/rendered?annotation=technique,patient").body for _ in range(3)}
    assert len(bodies) == 1


def test_a_picture_that_takes_too_long_is_refused_and_the_next_one_is_drawn(
    tmp_path: Path, start_server: StartServer
) -> None:
    root = make_showcase(tmp_path / "archive").root
    server = start_server(root, decode_timeout=0.001)
    reply = server.get(f"{path(CT)}/rendered")
    assert (reply.status, "limit" in reply.error or "free" in reply.error) in ((406, True), (503, True))
    assert start_server(root).get(f"{path(CT)}/rendered").status == 200


def test_rows_and_columns_are_those_of_the_image(client: Client) -> None:
    assert picture(client.get(f"{path(CT)}/rendered")).shape == (ROWS, COLUMNS)
