"""Bulkdata and Pixel Data of studies, series and instances over HTTP (CONFORMANCE B-02 to B-05, F-12)."""

import hashlib
import re
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.web.options import ServerOptions
from tests import factories
from tests.factories import EXPLICIT, JPEG_BASELINE, JPEG_LS, element, sequence
from tests.web.codestreams import FILES, FRAMES, LOSSY, STUDY, path
from tests.web.conftest import Client, Reply, Running
from tests.web.test_wado import parts

OCTETS = 'multipart/related; type="application/octet-stream"'
PDF = b"%PDF-1.4 " + bytes(3000)
CURVE = bytes(range(256)) * 20
DOCUMENT, PLAIN = "document", "plain"
NATIVE = b"".join(FRAMES)


def _document() -> bytes:
    return factories.instance(
        series=DOCUMENT,
        extra=[
            element(0x00420011, PDF + b"\0", vr="OB"),
            element(0x00420012, "application/pdf", vr="LO"),
            sequence(0x54000100, [element(0x54001010, CURVE, vr="OW")]),
        ],
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    place = tmp_path_factory.mktemp("levels")
    files = [FILES[name] for name in (EXPLICIT, JPEG_LS, LOSSY)]
    for number, data in enumerate([*files, _document(), factories.instance(series=PLAIN)]):
        (place / f"{number}.dcm").write_bytes(data)
    report = create(
        Archive(str(place / "archive"), create=True), [str(place)], CreateOptions(jobs=1, thumbnails=False)
    )
    assert all(one.ok for one in report.outcomes)
    running = Running(ServerOptions(dir=Path(place / "archive"), port=0, decoders=1))
    yield running.start()
    running.stop()


def series_of(name: str) -> str:
    return path(name).partition("/instances")[0]


def located(client: Client, reply: Reply) -> list[tuple[str, Message, bytes]]:
    """The path below the service, the header and the body of each part; all its Content-Locations differ."""
    found = []
    for part, body in parts(reply):
        location = urlsplit(part["Content-Location"])
        assert location.netloc == f"127.0.0.1:{client.port}"
        found.append((location.path.removeprefix("/dicomweb/"), part, body))
    assert len({place for place, _, _ in found}) == len(found)
    return found


@pytest.mark.conformance("B-02", "B-04")
def test_bulkdata_of_a_series_are_its_values_with_their_places(client: Client) -> None:
    for level in (series_of(DOCUMENT), path(DOCUMENT)):
        reply = client.get(f"{level}/bulkdata", Accept=OCTETS)
        assert reply.status == 200
        found = located(client, reply)
        assert [body for _, _, body in found] == [PDF + b"\0", CURVE]
        for place, part, body in found:
            assert part["Content-Type"] == "application/octet-stream"
            assert client.get(place).body.rstrip(b"\0") == body.rstrip(b"\0")


@pytest.mark.conformance("B-04", "F-12")
@pytest.mark.parametrize("leaf", ["bulkdata", "pixeldata"])
@pytest.mark.parametrize("name", [EXPLICIT, JPEG_LS])
def test_pixel_data_are_one_native_value(client: Client, name: str, leaf: str) -> None:
    [(place, part, body)] = located(client, client.get(f"{series_of(name)}/{leaf}"))
    assert place == f"{path(name)}/pixeldata"
    assert part["Content-Type"] == f"application/octet-stream;transfer-syntax={EXPLICIT}"
    assert body == NATIVE
    alone = client.get(place, Accept="application/octet-stream")
    assert alone.body == NATIVE
    assert alone.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"


def test_stored_and_made_pixel_data_are_one_part_a_frame(client: Client) -> None:
    found = located(
        client, client.get(f"{series_of(JPEG_LS)}/pixeldata", Accept=f"{OCTETS}; transfer-syntax=*")
    )
    assert [place for place, _, _ in found] == [f"{path(JPEG_LS)}/frames/{number}" for number in (1, 2, 3)]
    for place, part, body in found:
        stored = client.get(place, Accept="image/jls")
        assert stored.headers["content-type"].replace("; ", ";") == part["Content-Type"]
        assert stored.body == body
    accept = 'multipart/related; type="image/jp2"'
    made = located(client, client.get(f"{path(EXPLICIT)}/pixeldata", Accept=accept))
    assert [part.get_content_type() for _, part, _ in made] == ["image/jp2"] * 3


def test_everything_of_a_study_comes_in_one_answer(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}/bulkdata")
    assert reply.status == 200
    found = {place: part["Content-Type"] for place, part, _ in located(client, reply)}
    assert len(found) == 2 + 1 + 1 + 3
    assert found[f"{path(LOSSY)}/frames/2"] == f"image/jpeg;transfer-syntax={JPEG_BASELINE}"


@pytest.mark.conformance("R-11")
def test_what_cannot_be_had_is_left_out_and_said(client: Client) -> None:
    accept = f'multipart/related; type="image/jls"; transfer-syntax={JPEG_LS}'
    reply = client.get(f"studies/{STUDY}/pixeldata", Accept=accept)
    assert reply.status == 206
    assert (
        reply.headers["warning"] == '299 staticwado "pixeldata of 1 instances is not to be had in that form"'
    )
    assert len(parts(reply)) == 6
    assert client.get(f"{series_of(LOSSY)}/pixeldata", Accept=accept).status == 406


@pytest.mark.parametrize("leaf", ["bulkdata", "pixeldata"])
def test_where_there_is_nothing_there_is_no_empty_multipart(client: Client, leaf: str) -> None:
    reply = client.get(f"{series_of(PLAIN)}/{leaf}")
    assert (reply.status, reply.error) == (404, f"there is no {leaf} in what was asked for")
    assert client.get(f"studies/9.9/{leaf}").status == 404
    assert client.get(f"{series_of(PLAIN)}/instances/9.9/{leaf}").status == 404


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_json_is_a_list_of_what_there_is(client: Client, level: str) -> None:
    place = {"study": f"studies/{STUDY}", "series": series_of(DOCUMENT), "instance": path(DOCUMENT)}[level]
    reply = client.get(f"{place}/bulkdata", Accept="application/json")
    assert reply.headers["content-type"] == "application/json"
    uid = path(DOCUMENT).rpartition("/")[2]
    found = [entry for entry in reply.json if entry["instance"] == uid]
    assert [(each["tag"], each["vr"], each["length"], each["mediaType"]) for each in found] == [
        ("00420011", "OB", len(PDF) + 1, "application/pdf"),
        ("54000100.54001010", "OW", len(CURVE), "application/octet-stream"),
    ]
    for each in found:
        value = client.ask(urlsplit(each["uri"]).path).body
        assert len(value) in (each["length"], each["length"] - 1)
    if level == "study":
        pixels = [entry for entry in reply.json if entry["uri"].endswith("/pixeldata")]
        assert {(each["tag"], each["mediaType"]) for each in pixels} == {
            ("7FE00010", "application/octet-stream"),
            ("7FE00010", "image/jls"),
            ("7FE00010", "image/jpeg"),
        }


@pytest.mark.conformance("B-05")
@pytest.mark.parametrize("name", ["00420011", "EncapsulatedDocument"])
def test_one_value_by_instance_and_tag(client: Client, name: str) -> None:
    uid = path(DOCUMENT).rpartition("/")[2]
    reply = client.get(f"studies/{STUDY}/bulkdata/{uid}/{name}")
    assert reply.headers["content-type"] == "application/pdf"
    assert reply.body.startswith(PDF)
    digest = hashlib.sha256(reply.body).hexdigest()
    assert re.search(rf"/bulkdata/{digest[:2]}/{digest[2:]}\.pdf$", reply.headers["content-location"])


def test_pixel_data_by_instance_and_tag(client: Client) -> None:
    uid = path(JPEG_LS).rpartition("/")[2]
    for name in ("7fe00010", "PixelData"):
        assert client.get(f"studies/{STUDY}/bulkdata/{uid}/{name}").body == NATIVE


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("9.9/PixelData", "no instance 9.9"),
        ("{uid}/PixelData", "has no PixelData"),
        ("{uid}/NoSuchKeyword", "has no NoSuchKeyword"),
        ("{uid}/Modality", "is in its metadata"),
        ("{uid}/no-keyword", "no bulkdata has the address"),
        ("{uid}/00420011/x", "no bulkdata has the address"),
    ],
)
def test_what_is_no_value_is_not_found(client: Client, address: str, word: str) -> None:
    uid = path(DOCUMENT).rpartition("/")[2]
    reply = client.get(f"studies/{STUDY}/bulkdata/{address.format(uid=uid)}")
    assert reply.status == 404
    assert word in reply.error
