"""Bulkdata, Pixel Data, documents and video over HTTP."""

import pytest

from staticwado.layout import BULKDATA_TYPES
from staticwado.web.answer import MARKUP
from tests.web.conftest import Client
from tests.web.test_wado import parts
from tests.web.tree import (
    BIG_FRAME,
    BIT_VALUE,
    BITS,
    BITS_SERIES,
    DOCUMENT,
    DOCUMENT_SERIES,
    ELE,
    JLS,
    JLS_FRAMES,
    JLS_SERIES,
    JPEGLS,
    MOVIE,
    NATIVE,
    NATIVE_FRAMES,
    OTHER_STUDY,
    PDF,
    SERIES,
    STUDY,
    VALUE,
    VIDEO,
    address,
)

BIN = f"studies/{STUDY}/bulkdata/{address(VALUE)}"
PAPER = f"studies/{STUDY}/bulkdata/{address(PDF, 'pdf')}"
OCTETS = 'multipart/related; type="application/octet-stream"'
NATIVE_DATA = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}/pixeldata"
JLS_DATA = f"studies/{STUDY}/series/{JLS_SERIES}/instances/{JLS}/pixeldata"
BITS_DATA = f"studies/{STUDY}/series/{BITS_SERIES}/instances/{BITS}/pixeldata"
DOCUMENTS = f"studies/{STUDY}/series/{DOCUMENT_SERIES}/instances"


@pytest.mark.parametrize("accept", ["*/*", "application/octet-stream", "*/*;q=0.1, text/html"])
def test_a_value_comes_alone(server: Client, accept: str) -> None:
    reply = server.get(BIN, Accept=accept)
    assert (reply.status, reply.headers["content-type"], reply.body) == (
        200,
        "application/octet-stream",
        VALUE,
    )
    assert reply.headers["content-location"] == f"http://127.0.0.1:{server.port}/dicomweb/{BIN}"
    assert "immutable" in reply.headers["cache-control"]


@pytest.mark.parametrize("accept", [OCTETS, "multipart/related", 'multipart/related; type="*/*"'])
def test_a_value_comes_in_a_multipart_to_those_who_ask(server: Client, accept: str) -> None:
    reply = server.get(BIN, Accept=accept)
    [(part, body)] = parts(reply)
    assert body == VALUE
    assert part["Content-Location"] == f"http://127.0.0.1:{server.port}/dicomweb/{BIN}"
    assert int(reply.headers["content-length"]) == len(reply.body)


def test_a_document_bears_its_type(server: Client) -> None:
    assert server.get(PAPER).headers["content-type"] == "application/pdf"
    assert (
        server.get(PAPER, Accept="application/octet-stream").headers["content-type"]
        == "application/octet-stream"
    )
    [(part, body)] = parts(server.get(PAPER, Accept="multipart/related; type=application/pdf"))
    assert (part["Content-Type"], body) == ("application/pdf", PDF)
    assert server.get(PAPER, Accept="image/png").status == 406


def test_markup_runs_no_scripts(server: Client) -> None:
    reply = server.get(f"studies/{STUDY}/bulkdata/{address(b'<a/>', 'xml')}")
    assert reply.headers["content-type"] == "text/xml"
    assert "sandbox" in reply.headers["content-security-policy"]
    octets = server.get(
        f"studies/{STUDY}/bulkdata/{address(b'<a/>', 'xml')}", Accept="application/octet-stream"
    )
    assert "sandbox" in octets.headers["content-security-policy"]
    assert "content-security-policy" not in server.get(PAPER).headers


def test_nothing_but_the_known_kinds_of_markup_is_ever_served() -> None:
    """Whatever a file says of itself, its type is one of a closed list; what a browser runs is sandboxed."""
    run = {kind for kind in BULKDATA_TYPES.values() if "ml" in kind or "svg" in kind or "script" in kind}
    assert run == {"text/xml"}
    assert run <= MARKUP


def test_ranges_of_a_value(server: Client) -> None:
    reply = server.get(BIN, Range="bytes=10-19")
    assert (reply.status, reply.body) == (206, VALUE[10:20])


def test_native_pixel_data_are_the_value_of_even_length(server: Client) -> None:
    value = b"".join(NATIVE_FRAMES) + b"\0"
    reply = server.get(NATIVE_DATA)
    assert reply.headers["content-type"] == f"application/octet-stream; transfer-syntax={ELE}"
    assert reply.body == value
    assert server.get(NATIVE_DATA, Range="bytes=14-15").body == value[14:16]
    [(part, body)] = parts(server.get(NATIVE_DATA, Accept=OCTETS))
    assert body == value
    assert part["Content-Location"].endswith(NATIVE_DATA)


def test_big_pixel_data_come_whole(server: Client) -> None:
    path = NATIVE_DATA.replace(NATIVE, NATIVE + "1")
    assert server.get(path).body == BIG_FRAME
    assert parts(server.get(path, Accept=OCTETS))[0][1] == BIG_FRAME


def test_one_bit_frames_are_joined_to_the_bit(server: Client) -> None:
    reply = server.get(BITS_DATA)
    assert reply.body == BIT_VALUE
    assert int(reply.headers["content-length"]) == len(BIT_VALUE)
    assert parts(server.get(BITS_DATA, Accept=OCTETS))[0][1] == BIT_VALUE


@pytest.mark.parametrize("accept", ["*/*", OCTETS, "multipart/related; type=image/jls"])
def test_encapsulated_pixel_data_come_one_part_a_frame(server: Client, accept: str) -> None:
    found = parts(server.get(JLS_DATA, Accept=accept))
    assert [body for _, body in found] == JLS_FRAMES
    assert {part["Content-Type"] for part, _ in found} == {f"image/jls;transfer-syntax={JPEGLS}"}
    assert found[1][0]["Content-Location"].endswith(f"instances/{JLS}/frames/2")


def test_several_encapsulated_frames_do_not_fit_one_part(server: Client) -> None:
    assert server.get(JLS_DATA, Accept="image/jls").status == 406


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        (f"{DOCUMENTS}/{DOCUMENT}/pixeldata", 404, "frame 1"),
        (f"{DOCUMENTS}/9.9/pixeldata", 404, "no instance 9.9"),
        (f"studies/{OTHER_STUDY}/pixeldata", 404, "no pixeldata"),
    ],
)
def test_an_error_says_what_is_missing(server: Client, path: str, status: int, word: str) -> None:
    reply = server.get(path)
    assert reply.status == status
    assert word in reply.error


def test_a_rendered_document_is_the_document(server: Client) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    reply = server.get(f"{DOCUMENTS}/{DOCUMENT}/rendered", Accept=browser)
    assert (reply.headers["content-type"], reply.body) == ("application/pdf", PDF)
    assert reply.headers["cross-origin-embedder-policy"] == "require-corp"
    assert server.get(f"{DOCUMENTS}/{DOCUMENT}/rendered", Accept="image/jpeg").status == 406


def test_a_rendered_video_is_the_stream_with_ranges(server: Client) -> None:
    path = f"{DOCUMENTS}/{VIDEO}/rendered"
    reply = server.get(path)
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "video/mp4", MOVIE)
    part = server.get(path, Range="bytes=0-")
    assert (part.status, part.body) == (206, MOVIE)
    assert server.get(path, Range="bytes=8-11").body == MOVIE[8:12]
