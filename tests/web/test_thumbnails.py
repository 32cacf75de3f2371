"""Thumbnails over HTTP: stored ones, and those that are drawn."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from staticwado.dicomweb.resource import Resource, View
from staticwado.web.options import ServerOptions
from tests.web.conftest import Client, Running, StartServer
from tests.web.showcase import (
    BROKEN,
    CT,
    IMAGES,
    KEPT,
    LOOP,
    LOOP_FRAMES,
    MOVIE_FILE,
    OTHERS,
    PLAN,
    REPORT,
    STATE,
    STUDY,
    TEXTS,
    make_showcase,
    path,
)
from tests.web.tree import Tree

SERIES = f"studies/{STUDY}/series/{IMAGES}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_showcase(tmp_path_factory.mktemp("thumbnails") / "archive")


@pytest.fixture(scope="module")
def client(tree: Tree) -> Iterator[Client]:
    running = Running(ServerOptions(dir=tree.root, port=0))
    yield running.start()
    running.stop()


def seen(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("query", ["", "?viewport=256,256", "?viewport=256%2C256", "?accept=image/jpeg"])
@pytest.mark.parametrize(
    ("place", "body"),
    [
        (f"studies/{STUDY}", b"\xff\xd8study\xff\xd9"),
        (SERIES, b"\xff\xd8series\xff\xd9"),
        (path(CT), KEPT),
        (f"{path(CT)}/frames/1", KEPT),
        (f"{path(LOOP)}/frames/2", KEPT),
    ],
)
def test_what_is_stored_is_answered_where_it_fits(
    client: Client, place: str, body: bytes, query: str
) -> None:
    reply = client.get(f"{place}/thumbnail{query}")
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "image/jpeg", body)


@pytest.mark.parametrize("place", [f"studies/{STUDY}", SERIES, path(LOOP), f"{path(LOOP)}/frames/2"])
def test_every_level_is_drawn_in_other_sizes_from_the_same_frame(client: Client, place: str) -> None:
    reply = client.get(f"{place}/thumbnail?viewport=6,6", Accept="image/png")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    found = seen(reply.body)
    frame = seen(client.get(f"{path(LOOP)}/frames/2/rendered", Accept="image/png").body)
    assert (found.shape, int(found[0, 0])) == ((4, 6), int(frame[0, 0]))


def test_each_frame_has_its_own(client: Client) -> None:
    levels = []
    for number in range(1, len(LOOP_FRAMES) + 1):
        reply = client.get(f"{path(LOOP)}/frames/{number}/thumbnail", Accept="image/png")
        levels.append(int(seen(reply.body)[0, 0]))
    assert levels == [10, 100, 200]


def test_of_several_frames_the_first_is_shown(client: Client) -> None:
    reply = client.get(f"{path(LOOP)}/frames/1,3/thumbnail", Accept="image/png")
    assert seen(reply.body)[0, 0] == 10


@pytest.mark.parametrize(
    ("viewport", "shape"), [("9,9", (6, 9)), ("500,500", (20, 30)), ("1,1", (1, 1)), ("15,100", (10, 15))]
)
def test_a_thumbnail_fits_the_viewport_and_is_no_larger_than_its_image(
    client: Client, viewport: str, shape: tuple[int, int]
) -> None:
    reply = client.get(f"{path(CT)}/thumbnail?viewport={viewport}")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    assert seen(reply.body).shape == shape


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
def test_a_thumbnail_is_a_single_picture(client: Client, media_type: str) -> None:
    reply = client.get(f"{path(LOOP)}/thumbnail?viewport=10,10", Accept=media_type)
    assert reply.headers["content-type"] == media_type
    with Image.open(io.BytesIO(reply.body)) as image:
        assert getattr(image, "n_frames", 1) == 1


def test_nothing_of_the_patient_is_written_on_it(client: Client) -> None:
    place = f"{path(CT)}/thumbnail?viewport=25,25"
    assert client.get(f"{place}&annotation=patient").body == client.get(place).body


@pytest.mark.parametrize(
    "viewport", ["10", "10,10,0,0,5,5", "10,10,,,,", "0,5", "a,b", "", "-5,5", "99999999999,1"]
)
def test_any_other_viewport_is_a_bad_request(client: Client, viewport: str) -> None:
    reply = client.get(f"{path(CT)}/thumbnail?viewport={viewport}")
    assert (reply.status, "viewport" in reply.error) == (400, True)


@pytest.mark.parametrize(
    ("place", "word"),
    [
        (path(REPORT), "no image"),
        (path(PLAN), "no image"),
        (path(STATE), "no image"),
        (path(MOVIE_FILE), "video"),
        (path(BROKEN), "cannot be rendered"),
        (f"{path(CT)}/frames/2", "frame 2"),
        (path("1.2.9.1.77"), "no instance 1.2.9.1.77"),
        ("studies/9.9", "no study 9.9"),
        (f"studies/{STUDY}/series/9.9", "no series 9.9"),
    ],
)
@pytest.mark.parametrize("query", ["", "?viewport=50,50"])
def test_where_there_is_no_image_the_reason_is_said(
    client: Client, place: str, word: str, query: str
) -> None:
    reply = client.get(f"{place}/thumbnail{query}")
    assert (reply.status, word in reply.error) == (404, True), reply.body


def test_a_series_without_images_has_none(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/series/{TEXTS}/thumbnail?viewport=9,9")
    assert (reply.status, "no image" in reply.error) == (404, True)


def test_a_series_is_shown_by_another_instance_where_the_first_has_no_image(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/series/{OTHERS}/thumbnail?viewport=9,9")
    # A video, a plan and a document have no picture, and the only image is broken.
    assert (reply.status, "no thumbnail" in reply.error) == (404, True)


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html", 406), ("multipart/related", 406), ("image/png, application/dicom", 400)],
)
def test_what_no_thumbnail_is(client: Client, accept: str, status: int) -> None:
    assert client.get(f"{path(CT)}/thumbnail", Accept=accept).status == status


def test_a_series_is_shown_by_what_it_holds_now(tmp_path: Path, start_server: StartServer) -> None:
    tree = make_showcase(tmp_path / "archive")
    server = start_server(tree.root)
    before = server.get(f"{SERIES}/thumbnail?viewport=6,6", Accept="image/png").body
    tree.archive.remove(Resource(View.METADATA, STUDY, IMAGES, LOOP))
    after = server.get(f"{SERIES}/thumbnail?viewport=6,6", Accept="image/png").body
    assert after == server.get(f"{path(CT)}/thumbnail?viewport=6,6", Accept="image/png").body
    assert before != after
