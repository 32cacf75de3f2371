"""Two requests in one: what a proxy may take for one, and a server for two (RFC 9112 11.2)."""

from collections.abc import Iterator

import pytest

from tests.hostile.campaign import Running, running
from tests.hostile.seeds import make_archive

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
SIZE = len(HIDDEN)
LAST = b"0\r\n\r\n"
HEAD = b"POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    archive = make_archive(tmp_path_factory.mktemp("smuggling"))
    with running(archive, archive.parent / "log") as made:
        yield made


def both(encoding: bytes) -> bytes:
    """A length that takes the hidden request in, and an encoding that, if it is believed, does not."""
    return HEAD + encoding + b"\r\nContent-Length: %d\r\n\r\n" % (len(LAST) + SIZE) + LAST + HIDDEN


def long(value: bytes) -> bytes:
    return HEAD + b"Content-Length: " + value + b"\r\n\r\n" + HIDDEN


def chunked(body: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + HIDDEN


@pytest.mark.parametrize(
    "data",
    [
        *map(
            both,
            (
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding : chunked",
                b"Transfer-Encoding:\r\n chunked",
                b"Transfer-Encoding:\tchunked",
                b"Transfer-Encoding: \x0bchunked",
                b"Transfer-Encoding: xchunked",
                b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
                b"X: a\rTransfer-Encoding: chunked",
                b"X: a\0",
            ),
        ),
        both(b"Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        *map(long, (b"0, %d" % SIZE, b"+%d" % SIZE, b"0 %d" % SIZE, b"0x%x" % SIZE, b"4_4", b"")),
        HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % SIZE + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + LAST + HIDDEN,
        *map(
            chunked,
            (
                b"0\n\n",
                b"2;\nxx\r\n" + LAST,
                b"0x0\r\n\r\n",
                b"-1\r\n\r\n",
                b"ffffffffffffffff0\r\n\r\n",
                b"0 \r\n\r\n",
                b"2\r\nxxyy" + LAST,
            ),
        ),
    ],
)
def test_what_has_two_lengths_or_an_odd_one_is_refused_and_nothing_behind_it_is_read(
    server: Running, data: bytes
) -> None:
    received = server.send(data)
    assert received.split()[1] == b"400"
    assert received.count(b"HTTP/1.") == 1
    assert b"hidden" not in received


@pytest.mark.parametrize(
    "encoding", [b"Content-Length: %d\r\n\r\n" % SIZE, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % SIZE]
)
def test_the_body_of_a_get_is_no_request(server: Running, encoding: bytes) -> None:
    end = b"\r\n" + LAST if b"chunked" in encoding else b""
    for _ in range(4):
        received = server.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + encoding + HIDDEN + end)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "header",
    [
        b"X-Forwarded-Host: evil.example",
        b"X-Forwarded-Proto: https",
        b"Forwarded: host=evil.example;proto=https",
        b"X-Original-URL: /metrics",
        b"X-Rewrite-URL: /metrics",
        b"X-HTTP-Method-Override: DELETE",
    ],
)
def test_headers_of_proxies_change_no_answer(server: Running, header: bytes) -> None:
    asked = b"GET /dicomweb/studies?limit=1 HTTP/1.1\r\nHost: localhost:99\r\n"
    plain, other = (server.send(asked + each + b"\r\n") for each in (b"", header + b"\r\n"))
    assert plain.startswith(b"HTTP/1.1 200 ")
    assert b"http://localhost:99/dicomweb/studies/" in plain
    assert other.partition(b"\r\n\r\n")[2] == plain.partition(b"\r\n\r\n")[2]
