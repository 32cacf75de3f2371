"""Conditions and ranges, by the table: RFC 9110 13 and 14, with the cases that other servers get wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.web.conditional import Decision, decide, parse_range

ETAG, MODIFIED = '"a-1"', 1_600_000_000
SAME, BEFORE, AFTER = (
    "Sun, 13 Sep 2020 12:26:40 GMT",
    "Sun, 13 Sep 2020 12:26:39 GMT",
    "Sun, 13 Sep 2020 12:26:41 GMT",
)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": '"b"'}, 200),
        ({"If-None-Match": f"W/{ETAG}"}, 304),
        ({"If-None-Match": f'"b", W/"c" ,{ETAG}'}, 304),
        ({"If-None-Match": '"a,1", "a-1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": " * "}, 304),
        ({"If-None-Match": "a-1"}, 200),
        ({"If-None-Match": '"a-1'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": AFTER}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "Sunday, 13-Sep-20 12:26:40 GMT"}, 304),
        ({"If-Modified-Since": "Sun Sep 13 12:26:40 2020"}, 304),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "1, 99 Foo 99999999"}, 200),
        ({"If-None-Match": '"b"', "If-Modified-Since": AFTER}, 200),
        ({"If-None-Match": ETAG, "If-Modified-Since": BEFORE}, 304),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": '"b"'}, 412),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": '"b"', "If-None-Match": ETAG}, 412),
        ({"If-None-Match": ETAG, "Range": "bytes=0-0"}, 304),
    ],
)
def test_preconditions(headers: dict[str, str], status: int) -> None:
    assert decide("GET", headers, ETAG, MODIFIED, 6).status == status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-5", (0, 6)),
        ("bytes=0-99", (0, 6)),
        ("bytes=2-", (2, 6)),
        ("bytes=5-5", (5, 6)),
        ("bytes=-1", (5, 6)),
        ("bytes=-6", (0, 6)),
        ("bytes=-100", (0, 6)),
        ("Bytes=1-2", (1, 3)),
        (" bytes=1 - 2 ", (1, 3)),
        ("bytes=-0", (6, 6)),
        ("bytes=6-", (6, 6)),
        ("bytes=6-7", (6, 6)),
        ("bytes=99999999999999999999-", (6, 6)),
        ("bytes=0-99999999999999999999", (0, 6)),
        ("bytes=3-1", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("bytes=a-b", None),
        ("bytes=1-2-3", None),
        ("bytes=--1", None),
        ("bytes=+1-2", None),
        ("bytes=0-0,2-3", None),
        ("items=0-1", None),
        ("bytes=\u0663-\u0665", None),
        ("bytes=" + "1" * 5000 + "-", None),
    ],
)
def test_a_range_is_read(text: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(text, 6) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Range": "bytes=1-2"}, Decision(206, 1, 3)),
        ({"Range": "bytes=9-"}, Decision(416, 6, 6)),
        ({"Range": "bytes=2-1"}, Decision(200, 0, 6)),
        ({"Range": "bytes=1-2", "If-Range": ETAG}, Decision(206, 1, 3)),
        ({"Range": "bytes=1-2", "If-Range": '"b"'}, Decision(200, 0, 6)),
        ({"Range": "bytes=1-2", "If-Range": f"W/{ETAG}"}, Decision(200, 0, 6)),
        ({"Range": "bytes=1-2", "If-Range": SAME}, Decision(206, 1, 3)),
        ({"Range": "bytes=1-2", "If-Range": AFTER}, Decision(200, 0, 6)),
        ({"Range": "bytes=1-2", "If-Range": "nonsense"}, Decision(200, 0, 6)),
        ({"Range": "bytes=9-", "If-Range": '"b"'}, Decision(200, 0, 6)),
        ({"If-Range": ETAG}, Decision(200, 0, 6)),
    ],
)
def test_a_range_is_used_only_when_it_fits(headers: dict[str, str], expected: Decision) -> None:
    assert decide("GET", headers, ETAG, MODIFIED, 6) == expected


def test_head_has_no_ranges() -> None:
    assert decide("HEAD", {"Range": "bytes=1-2"}, ETAG, MODIFIED, 6) == Decision(200, 0, 6)


def test_a_body_of_unknown_length_has_no_ranges() -> None:
    assert decide("GET", {"Range": "bytes=0-0"}, ETAG, MODIFIED, None).status == 200


def test_an_empty_body_satisfies_no_range() -> None:
    assert parse_range("bytes=0-", 0) == (0, 0)
    assert parse_range("bytes=-5", 0) == (0, 0)


def test_without_a_validator_only_any_matches() -> None:
    assert decide("GET", {"If-None-Match": ETAG}, None, None, 6).status == 200
    assert decide("GET", {"If-Match": ETAG}, None, None, 6).status == 412
    assert decide("GET", {"If-Modified-Since": AFTER}, None, None, 6).status == 200


def test_writing_where_it_must_not_exist_is_refused() -> None:
    assert decide("PUT", {"If-None-Match": "*"}, ETAG, MODIFIED, 6).status == 412


@given(st.text(max_size=60), st.integers(0, 1000))
def test_any_text_gives_a_stretch_within_the_body(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        stretch = parse_range(header, length)
        if stretch is not None:
            start, stop = stretch
            assert 0 <= start <= stop <= length


@given(
    st.dictionaries(
        st.sampled_from(["If-None-Match", "If-Match", "If-Range", "If-Modified-Since"]), st.text()
    )
)
def test_any_header_gives_a_decision(headers: dict[str, str]) -> None:
    assert decide("GET", {**headers, "Range": "bytes=0-1"}, ETAG, MODIFIED, 6).status in (200, 206, 304, 412)
