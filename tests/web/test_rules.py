"""Rules of PS3.18 that need converted data and several resources at once; each test bears their IDs."""

import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.web.options import ServerOptions
from tests import factories
from tests.factories import BIG_ENDIAN, EXPLICIT
from tests.web.conftest import Client, Running
from tests.web.test_wado import parts

OCTETS = 'multipart/related; type="application/octet-stream"'
MPEG4 = "1.2.840.10008.1.2.4.102"
FLOATS = struct.pack("<12f", *(number / 3 for number in range(12)))
DOUBLES = struct.pack("<12d", *(number / 3 for number in range(12)))
FRAME = factories.pixels(30, 20, 1)[0]
MOVIE = b"\0\0\0\x18ftypmp42" + bytes(range(200))


def _floating(keyword: str, vr: str, data: bytes, bits: int, **more: Any) -> bytes:
    extra = [
        factories.element("Rows", 3),
        factories.element("Columns", 4),
        factories.element("SamplesPerPixel", 1),
        factories.element("PhotometricInterpretation", "MONOCHROME2"),
        factories.element("BitsAllocated", bits),
        factories.element(keyword, data, vr),
    ]
    return factories.instance(extra=extra, **more)


FILES = {
    "native": factories.instance(seed="native", series="native", frames=[FRAME], rows=30, columns=20),
    "values": factories.instance(
        syntax=EXPLICIT, seed="values", series="values", extra=factories.big_values()
    ),
    "swapped": factories.instance(
        syntax=BIG_ENDIAN, seed="swapped", series="swapped", extra=factories.big_values()
    ),
    "float": _floating("FloatPixelData", "OF", FLOATS, 32, seed="float", series="float"),
    "double": _floating("DoubleFloatPixelData", "OD", DOUBLES, 64, seed="double", series="double"),
    "video": factories.instance(syntax=MPEG4, seed="video", series="video", frames=[MOVIE]),
}


def path(name: str) -> str:
    study, series = factories.uid("study", 0), factories.uid("series", 0, name)
    return f"studies/{study}/series/{series}/instances/{factories.uid('instance', 0, name, name)}"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    place = tmp_path_factory.mktemp("rules")
    for name, data in FILES.items():
        (place / f"{name}.dcm").write_bytes(data)
    archive = Archive(str(place / "archive"), create=True)
    report = create(archive, [str(place)], CreateOptions(jobs=1, thumbnails=False))
    assert [one.ok for one in report.outcomes] == [True] * len(FILES)
    running = Running(ServerOptions(dir=place / "archive", port=0))
    yield running.start()
    running.stop()


def uris(dataset: Any) -> Iterator[str]:
    """Every BulkDataURI of a data set, of its items too."""
    if isinstance(dataset, dict):
        if "BulkDataURI" in dataset:
            yield dataset["BulkDataURI"]
        for member in dataset.values():
            yield from uris(member)
    elif isinstance(dataset, list):
        for member in dataset:
            yield from uris(member)


@pytest.mark.conformance("B-01", "B-02", "B-06")
@pytest.mark.parametrize("name", ["values", "swapped", "native", "float"])
def test_every_uri_leads_to_a_part_that_names_it_and_never_changes(client: Client, name: str) -> None:
    place = f"http://127.0.0.1:{client.port}/dicomweb/{path(name)}/metadata"
    found = {urljoin(place, uri) for uri in uris(client.get(f"{path(name)}/metadata").json)}
    assert found
    for uri in found:
        below = uri.partition("/dicomweb/")[2]
        reply = client.get(below, Accept=OCTETS)
        [(part, body)] = parts(reply)
        assert urljoin(uri, part["Content-Location"] or reply.headers["content-location"]) == uri
        assert "immutable" in reply.headers["cache-control"]
        [(_, again)] = parts(client.get(below, Accept=OCTETS))
        assert again == body != b""


@pytest.mark.conformance("B-01")
def test_values_of_a_big_endian_file_are_little_endian(client: Client) -> None:
    bodies = []
    for name in ("values", "swapped"):
        place = f"http://127.0.0.1:{client.port}/dicomweb/{path(name)}/metadata"
        found = uris(client.get(f"{path(name)}/metadata").json)
        bodies.append(
            sorted(
                client.get(
                    urljoin(place, uri).partition("/dicomweb/")[2], Accept="application/octet-stream"
                ).body
                for uri in found
            )
        )
    assert bodies[0] == bodies[1]


@pytest.mark.conformance("R-08", "B-04")
@pytest.mark.parametrize("name", ["values", "native", "float"])
def test_octets_of_an_instance_are_its_bulkdata(client: Client, name: str) -> None:
    asked = [parts(client.get(place, Accept=OCTETS)) for place in (path(name), f"{path(name)}/bulkdata")]
    bodies = [[body for _, body in found] for found in asked]
    assert bodies[0] == bodies[1]
    expected = set(uris(client.get(f"{path(name)}/metadata").json))
    assert len(bodies[0]) == len(expected)


@pytest.mark.conformance("F-08")
def test_what_has_no_pixels_has_no_frames(client: Client) -> None:
    for leaf in ("frames/1", "frames/1,2"):
        reply = client.get(f"{path('values')}/{leaf}")
        assert reply.status == 404
        assert reply.error


@pytest.mark.conformance("F-11")
@pytest.mark.parametrize(("name", "expected"), [("float", FLOATS), ("double", DOUBLES)])
def test_floating_point_pixels_are_frames(client: Client, name: str, expected: bytes) -> None:
    [(part, body)] = parts(client.get(f"{path(name)}/frames/1"))
    assert body == expected
    assert part["Content-Type"].startswith("application/octet-stream")
    assert client.get(f"{path(name)}/frames/1", Accept="application/octet-stream").body == expected


@pytest.mark.conformance("F-13")
def test_a_video_is_had_as_what_it_is(client: Client) -> None:
    rendered = client.get(f"{path('video')}/rendered", Accept="video/mp4")
    assert (rendered.status, rendered.body) == (200, MOVIE)
    beyond = client.get(f"{path('video')}/frames/2")
    assert beyond.status == 404
    assert beyond.error
    decoded = client.get(
        f"{path('video')}/frames/1", Accept=f"application/octet-stream; transfer-syntax={EXPLICIT}"
    )
    assert decoded.status == 406
    assert decoded.error


@pytest.mark.conformance("F-04")
@pytest.mark.parametrize("media_type", ["image/jp2", "image/jphc"])
def test_parts_of_the_jpeg_2000_family_are_bare_codestreams(client: Client, media_type: str) -> None:
    accept = f'multipart/related; type="{media_type}"'
    [(part, body)] = parts(client.get(f"{path('native')}/frames/1", Accept=accept))
    assert part["Content-Type"].startswith(media_type)
    assert body.startswith(b"\xff\x4f\xff\x51")


@pytest.mark.conformance("F-12")
def test_pixel_data_of_a_study_come_with_their_places(client: Client) -> None:
    study = path("native").partition("/series/")[0]
    found = parts(client.get(f"{study}/pixeldata"))
    places = [part["Content-Location"] for part, _ in found]
    assert all(places)
    assert any(body == FRAME for _, body in found)
