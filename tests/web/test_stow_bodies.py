"""Storing over HTTP: bodies of all kinds, whole, cut, packed and too large."""

import gzip
import http.client
import socket
import struct
import time
from pathlib import Path

import pytest

from tests import factories
from tests.web.conftest import Client, StartServer
from tests.web.stowing import (
    DICOM,
    STORED,
    is_empty,
    leftovers,
    multipart,
    place,
    post,
)


@pytest.mark.parametrize(
    ("content_type", "lead"),
    [
        ("multipart/related; type=application/dicom; boundary=EOF", b""),
        ('multipart/related; boundary="EOF"; type="application/dicom"', b""),
        ("Multipart/Related; Type=Application/DICOM; Boundary=EOF", b"\r\n"),
        ("multipart/related; boundary=EOF", b"a preamble\r\n"),
        ('multipart/related; type="application/dicom"; boundary=EOF; start="<1>"', b""),
    ],
)
def test_the_content_type_may_be_written_in_many_ways(client: Client, content_type: str, lead: bytes) -> None:
    data = factories.instance(seed=content_type)
    reply = post(client, lead + multipart(data) + b"an epilogue", Content_Type=content_type)
    assert (reply.status, len(reply.json[STORED]["Value"])) == (200, 1)


def test_a_part_needs_no_content_type(client: Client) -> None:
    data = factories.instance(seed=4)
    assert post(client, multipart(("X-Nothing: of interest", data))).status == 200
    assert client.get(f"{place(data)}/metadata").status == 200


def test_one_file_needs_no_multipart(client: Client) -> None:
    data = factories.instance(seed=5)
    assert post(client, data, Content_Type=DICOM).status == 200
    assert client.get(place(data), Accept="application/dicom; transfer-syntax=*").body == data


def test_a_body_may_come_in_chunks_and_packed(client: Client) -> None:
    data = factories.instance(seed=6, frames=factories.pixels(64, 64, 2), rows=64, columns=64)
    packed = gzip.compress(multipart(data)[:300]) + gzip.compress(multipart(data)[300:])
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    headers = {
        "Content-Type": "multipart/related; type=application/dicom; boundary=EOF",
        "Content-Encoding": "gzip",
    }
    pieces = (packed[start : start + 7] for start in range(0, len(packed), 7))
    connection.request("POST", "/dicomweb/studies", pieces, headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert client.get(place(data), Accept="application/dicom; transfer-syntax=*").body == data


@pytest.mark.parametrize(
    "content_type",
    [
        "application/pdf",
        "text/plain",
        "multipart/form-data; boundary=EOF",
        'multipart/related; type="image/png"; boundary=EOF',
        "application/octet-stream",
        "application/dicom+xml",
        "/",
        "",
    ],
)
def test_other_types_are_refused_with_what_is_taken(client: Client, root: Path, content_type: str) -> None:
    reply = post(client, multipart(factories.instance(seed=16)), Content_Type=content_type)
    assert reply.status == 415
    assert 'multipart/related; type="application/dicom"' in reply.error
    assert is_empty(root)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"--EOF--\r\n", None),
        (b"no boundary", None),
        (b"--EOF\r\n\r\n", None),
        (multipart(b"x"), "multipart/related; type=application/dicom"),
        (multipart(b"x"), 'multipart/related; type=application/dicom; boundary=""'),
        (b"", DICOM),
        (multipart(("Content-Transfer-Encoding: base64", b"eA==")), None),
    ],
)
def test_a_body_that_is_no_multipart_is_refused(
    client: Client, root: Path, body: bytes, content_type: str | None
) -> None:
    sent = {} if content_type is None else {"Content_Type": content_type}
    reply = post(client, body, **sent)
    assert (reply.status, bool(reply.error)) == (400, True)
    assert is_empty(root)
    assert leftovers(root) == []


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_nothing_is_stored_of_a_multipart_without_its_end(client: Client, root: Path, encoding: str) -> None:
    one, two = factories.series_of(2)
    body = multipart(one, two)[: -len(two) // 2]
    sent = {"Content_Encoding": encoding} if encoding else {}
    reply = post(client, gzip.compress(body) if encoding else body, **sent)
    assert (reply.status, "part 2" in reply.error) == (400, True)
    assert is_empty(root)
    assert leftovers(root) == []


def test_nothing_is_stored_of_a_body_that_is_cut(client: Client, root: Path) -> None:
    body = multipart(*factories.series_of(2))
    for head in (f"Content-Length: {len(body) + 1000}", "Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", client.port), timeout=30) as made:
            request = (
                "POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: multipart/related; type=application/dicom; boundary=EOF\r\n{head}\r\n\r\n"
            )
            sent = b"%x\r\n" % len(body) + body + b"\r\n" if "chunked" in head else body
            made.sendall(request.encode() + sent)
            made.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := made.recv(4096):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"nothing of it was stored" in answer
    assert is_empty(root)
    assert leftovers(root) == []


def test_a_client_that_goes_away_leaves_nothing(client: Client, root: Path) -> None:
    body = multipart(*factories.series_of(2)) + bytes(3 << 20)
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as made:
        request = (
            "POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
            "Content-Type: multipart/related; type=application/dicom; boundary=EOF\r\n\r\n"
        )
        made.sendall(request.encode() + body)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + 30
    while leftovers(root) and time.monotonic() < deadline:
        client.get("studies")
    assert leftovers(root) == []
    assert is_empty(root)


def test_a_packed_body_must_be_one(client: Client, root: Path) -> None:
    body = multipart(factories.instance(seed=17))
    packed = gzip.compress(body)
    assert post(client, body, Content_Encoding="gzip").status == 400
    assert post(client, packed[:-9], Content_Encoding="gzip").status == 400
    assert post(client, packed, Content_Encoding="br").status == 415
    assert is_empty(root)
    assert post(client, packed, Content_Encoding="x-gzip").status == 200


def test_a_client_that_waits_is_told_to_go_on(client: Client) -> None:
    body = multipart(factories.instance(seed=18))
    request = (
        "POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\n"
        f"Content-Type: {{}}; boundary=EOF\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as made:
        made.sendall(request.format("multipart/related; type=application/dicom").encode())
        assert made.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        made.sendall(body)
        assert made.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as made:
        made.sendall(request.format("application/pdf").encode())
        assert made.recv(4096).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    ("option", "limit", "packed"),
    [("max_body", 2000, False), ("max_body", 2000, True), ("max_part", 1000, False), ("max_parts", 1, False)],
)
def test_what_is_too_much_is_refused(
    root: Path, start_server: StartServer, option: str, limit: int, packed: bool
) -> None:
    client = start_server(root, **{option: limit})
    images = [
        factories.instance(seed=seed, frames=[bytes(3200)], rows=40, columns=40, bits=16) for seed in (1, 2)
    ]
    body, packing = multipart(*images), {"Content_Encoding": "gzip"}
    reply = post(client, gzip.compress(body), **packing) if packed else post(client, body)
    key = {"max_body": "maxBody", "max_part": "maxPart", "max_parts": "maxParts"}[option]
    assert (reply.status, key in reply.error) == (413, True)
    assert is_empty(root)
    assert leftovers(root) == []


def test_a_client_that_is_still_sending_sees_why_it_is_refused(root: Path, start_server: StartServer) -> None:
    client = start_server(root, max_part=1000)
    body = multipart(bytes(40 << 20))
    for headers, status in (({}, 413), ({"Content_Type": "text/plain"}, 415)):
        assert post(client, body, **headers).status == status


@pytest.mark.parametrize("side", [16, 1024], ids=["in memory", "spooled"])
def test_where_there_is_no_room_the_client_may_come_again(client: Client, root: Path, side: int) -> None:
    body = multipart(factories.instance(seed=21, frames=[bytes(2 * side * side)], rows=side, columns=side))
    staging = root / ".staticwado" / "staging"
    if staging.exists():
        staging.rmdir()
    staging.parent.mkdir(exist_ok=True)
    staging.write_text("in the way")
    reply = post(client, body)
    assert (reply.status, "retry-after" in reply.headers) == (503, True)
    assert str(root).encode() not in reply.body
    assert is_empty(root)
    staging.unlink()
    assert post(client, body).status == 200
