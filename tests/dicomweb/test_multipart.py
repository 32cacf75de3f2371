"""multipart/related bodies: what is written is what a reader of RFC 2387 finds."""

import email.parser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb import multipart


def _parts(body: bytes, envelope: str) -> list[tuple[dict[str, str], bytes]]:
    message = email.parser.BytesParser().parsebytes(f"Content-Type: {envelope}\r\n\r\n".encode() + body)
    found = []
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found.append((dict(part.items()), payload))
    return found


def test_a_body_has_a_boundary_that_rfc_2046_allows() -> None:
    assert len(multipart.BOUNDARY) <= 70
    assert multipart.BOUNDARY.isascii()


def test_a_body_of_parts_is_read_by_a_strict_parser() -> None:
    first = multipart.head(multipart.content_type("image/jls", "1.2.3"), "http://host/frames/1")
    second = multipart.head(multipart.content_type("application/octet-stream"))
    body = b"".join(multipart.join([(first, [b"one", b"two"]), (second, [b"three\n"])]))
    envelope = multipart.envelope_type("image/jls")
    assert envelope == f'multipart/related; type="image/jls"; boundary={multipart.BOUNDARY}'
    assert body.endswith(multipart.TAIL)
    assert _parts(body, envelope) == [
        (
            {"Content-Type": "image/jls;transfer-syntax=1.2.3", "Content-Location": "http://host/frames/1"},
            b"onetwo",
        ),
        ({"Content-Type": "application/octet-stream"}, b"three\n"),
    ]


def test_another_boundary_may_be_chosen() -> None:
    body = multipart.head("text/plain", boundary="b") + b"x" + multipart.tail("b")
    assert body == b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
    assert _parts(body, multipart.envelope_type("text/plain", "b")) == [
        ({"Content-Type": "text/plain"}, b"x")
    ]


@given(st.binary(max_size=200), st.sampled_from([None, "1.2.840.10008.1.2.1"]), st.booleans())
def test_a_stored_part_is_found_again(payload: bytes, syntax: str | None, located: bool) -> None:
    part_type = multipart.content_type("application/octet-stream", syntax)
    data = multipart.head(part_type, "http://host/x" if located else None) + payload + multipart.TAIL
    found, offset, length = multipart.split_one(data)
    assert found == part_type
    assert data[offset : offset + length] == payload


def test_the_head_alone_gives_the_offset() -> None:
    head = multipart.head("image/jpeg")
    assert multipart.split_one(head + b"x" * 10)[:2] == ("image/jpeg", len(head))


@given(st.binary(max_size=100))
def test_what_is_no_stored_part_is_refused(data: bytes) -> None:
    for tried in (data, multipart.head("image/jpeg")[:-1], b"x" + multipart.head("a/b") + data):
        with pytest.raises(ValueError, match="multipart"):
            multipart.split_one(tried)
