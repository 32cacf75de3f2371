"""Ranges over HTTP: several of them in one answer, and what a refusal says."""

from email.parser import BytesParser

import pytest

from tests.web.conftest import Client, Reply
from tests.web.tree import BIG_FRAME, NATIVE, SERIES, STUDY

IMAGE = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"
BIG = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}1"
OCTETS = "application/octet-stream"


def ranges(reply: Reply) -> list[tuple[str, str, bytes]]:
    """(Content-Type, Content-Range, bytes) of each part; the bytes are counted, not searched."""
    media_type, _, boundary = reply.headers["content-type"].partition("; boundary=")
    assert media_type == "multipart/byteranges"
    found, rest = [], b"\r\n" + reply.body
    while not rest.startswith(f"\r\n--{boundary}--\r\n".encode()):
        head, _, rest = rest.removeprefix(f"\r\n--{boundary}\r\n".encode()).partition(b"\r\n\r\n")
        part = BytesParser().parsebytes(head)
        first, last = part["Content-Range"].removeprefix("bytes ").partition("/")[0].split("-")
        size = int(last) + 1 - int(first)
        found.append((part["Content-Type"], part["Content-Range"], rest[:size]))
        rest = rest[size:]
    assert len(rest) == len(boundary) + 8
    return found


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        ("0-9,1000-1009", [(0, 10), (1000, 1010)]),
        ("-5,0-0", [(len(BIG_FRAME) - 5, len(BIG_FRAME)), (0, 1)]),
        ("1-300000,400000-", [(1, 300_001), (400_000, len(BIG_FRAME))]),
        ("0-0, 9000-9001, 99999999-", [(0, 1), (9000, 9002)]),
    ],
)
def test_several_ranges_come_in_parts(server: Client, text: str, stretches: list[tuple[int, int]]) -> None:
    whole = server.get(f"{BIG}/frames/1", Accept=OCTETS)
    reply = server.get(f"{BIG}/frames/1", Accept=OCTETS, Range=f"bytes={text}")
    assert reply.status == 206
    assert "content-range" not in reply.headers
    assert int(reply.headers["content-length"]) == len(reply.body)
    for name in ("etag", "last-modified", "vary", "cache-control"):
        assert reply.headers[name] == whole.headers[name]
    assert ranges(reply) == [
        (
            whole.headers["content-type"],
            f"bytes {start}-{stop - 1}/{len(BIG_FRAME)}",
            BIG_FRAME[start:stop],
        )
        for start, stop in stretches
    ]


@pytest.mark.parametrize("path", [f"{IMAGE}/metadata", f"{IMAGE}/frames/1", f"{IMAGE}/frames/1,2,3"])
def test_several_ranges_of_whatever_is_kept(server: Client, path: str) -> None:
    whole = server.get(path).body
    reply = server.get(path, Range="bytes=0-0,-1", Accept_Encoding="gzip")
    assert [data for _, _, data in ranges(reply)] == [whole[:1], whole[-1:]]


def test_ranges_that_are_one_come_without_parts(server: Client) -> None:
    reply = server.get(f"{BIG}/frames/1", Accept=OCTETS, Range="bytes=0-9,10-19,5-6,99999999-")
    assert (reply.status, reply.body) == (206, BIG_FRAME[:20])
    assert reply.headers["content-range"] == f"bytes 0-19/{len(BIG_FRAME)}"


def test_many_small_ranges_give_the_whole(server: Client) -> None:
    text = "bytes=" + ",".join(f"{number * 1000}-{number * 1000}" for number in range(100))
    reply = server.get(f"{BIG}/frames/1", Accept=OCTETS, Range=text)
    assert (reply.status, reply.body) == (200, BIG_FRAME)


def test_a_refusal_says_why(server: Client) -> None:
    path = f"{BIG}/frames/1"
    outside = server.get(path, Accept=OCTETS, Range="bytes=999999999-")
    assert outside.status == 416
    assert outside.headers["content-range"] == f"bytes */{len(BIG_FRAME)}"
    assert str(len(BIG_FRAME)) in outside.error
    changed = server.get(path, Accept=OCTETS, If_Match='"x"')
    assert changed.status == 412
    assert "condition" in changed.error
    for reply in (outside, changed):
        assert reply.headers["cache-control"] == "no-store"
        assert "etag" not in reply.headers
        assert reply.headers["access-control-allow-origin"] == "*"


def test_head_answers_conditions_as_get_does_and_ignores_ranges(server: Client) -> None:
    path = f"/dicomweb/{BIG}/frames/1"
    whole = server.ask(path)
    for headers in ({"If_Match": '"x"'}, {"If_None_Match": "*"}, {"If_Match": whole.headers["etag"]}):
        get, head = (server.ask(path, method, None, **headers) for method in ("GET", "HEAD"))
        assert (head.status, head.body) == (get.status, b"")
        own = {"date": "", "x-request-id": ""}
        assert {**head.headers, **own} == {**get.headers, **own}
    ranged = server.ask(path, "HEAD", Range="bytes=0-0")
    assert (ranged.status, ranged.headers["content-length"]) == (200, whole.headers["content-length"])


@pytest.mark.parametrize("name", ["if-none-match", "IF-NONE-MATCH", "If-none-Match"])
def test_names_of_headers_are_read_in_any_case(server: Client, name: str) -> None:
    path = f"/dicomweb/{IMAGE}/frames/1"
    etag = server.ask(path).headers["etag"]
    assert server.ask(path, **{name: etag}).status == 304  # type: ignore[arg-type]
