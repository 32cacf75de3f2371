"""Conditions and ranges, by the table: RFC 9110 13 and 14, with the cases that other servers get wrong.

The oracles know what was meant before it was written as a header, so they parse nothing.
"""

from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from time import asctime, gmtime, strftime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.web.conditional import (
    MOST_RANGES,
    Decision,
    Representation,
    decide,
    parse_ranges,
    read_date,
)

ETAG, MODIFIED = '"a-1"', 1_600_000_000
IT = Representation(ETAG, MODIFIED, 6)
FIXED = replace(IT, immutable=True)
WHOLE = Decision(200)
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
        ({"If-None-Match": f"w/{ETAG}"}, 200),
        ({"If-None-Match": f'"b", W/"c" ,{ETAG}'}, 304),
        ({"If-None-Match": f',, "b",,\t{ETAG} , '}, 304),
        ({"If-None-Match": '"a,1", "a-1"'}, 304),
        ({"If-None-Match": f'"b" {ETAG}'}, 200),
        ({"If-None-Match": f"{ETAG}, nonsense"}, 200),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": " * "}, 304),
        ({"If-None-Match": f"*, {ETAG}"}, 200),
        ({"If-None-Match": "a-1"}, 200),
        ({"If-None-Match": '"a-1'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-None-Match": '"\u00e9\udce9", "a-1"'}, 304),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": AFTER}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "Sunday, 13-Sep-20 12:26:40 GMT"}, 304),
        ({"If-Modified-Since": "Sun Sep 13 12:26:40 2020"}, 304),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "1, 99 Foo 99999999"}, 200),
        ({"If-Modified-Since": "Sun, 13 Sep 2020 12:26:40 +0200"}, 200),
        ({"If-Modified-Since": f"{AFTER}, {AFTER}"}, 200),
        ({"If-Modified-Since": "Sun, 31 Feb 2021 12:26:40 GMT"}, 200),
        ({"If-None-Match": '"b"', "If-Modified-Since": AFTER}, 200),
        ({"If-None-Match": ETAG, "If-Modified-Since": BEFORE}, 304),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": '"b"'}, 412),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        ({"If-Match": ETAG, "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": '"b"', "If-None-Match": ETAG}, 412),
        ({"If-None-Match": ETAG, "Range": "bytes=0-0"}, 304),
    ],
)
def test_preconditions(headers: dict[str, str], status: int) -> None:
    assert decide("GET", headers, IT).status == status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-5", [(0, 6)]),
        ("bytes=0-99", [(0, 6)]),
        ("bytes=2-", [(2, 6)]),
        ("bytes=5-5", [(5, 6)]),
        ("bytes=-1", [(5, 6)]),
        ("bytes=-6", [(0, 6)]),
        ("bytes=-100", [(0, 6)]),
        ("Bytes=1-2", [(1, 3)]),
        ("bytes= 1-2 ", [(1, 3)]),
        ("bytes=,, 1-2 ,", [(1, 3)]),
        ("bytes=1-2,9-", [(1, 3)]),
        ("bytes=-0", []),
        ("bytes=6-", []),
        ("bytes=6-7, 9-10, -0", []),
        ("bytes=99999999999999999999-", []),
        ("bytes=0-99999999999999999999", [(0, 6)]),
        ("bytes=3-1", None),
        ("bytes=0-0,3-1", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes", None),
        ("bytes=a-b", None),
        ("bytes=1-2-3", None),
        ("bytes=--1", None),
        ("bytes=+1-2", None),
        ("bytes=1 - 2", None),
        ("bytes =1-2", None),
        ("items=0-1", None),
        ("bytes=\u0663-\u0665", None),
        ("bytes=" + "1" * 5000 + "-", None),
    ],
)
def test_ranges_are_read(text: str, expected: list[tuple[int, int]] | None) -> None:
    assert parse_ranges(text, 6) == (None if expected is None else tuple(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-9,500-509", [(0, 10), (500, 510)]),
        ("500-509,0-9", [(500, 510), (0, 10)]),
        ("0-99,50-149", [(0, 150)]),
        ("0-9,10-19", [(0, 20)]),
        ("0-9,100-109", [(0, 110)]),
        ("900-,0-9,-1", [(900, 1000), (0, 10)]),
        ("0-0,500-500,250-499", [(0, 1), (250, 501)]),
        ("0-0,999-999,0-", [(0, 1000)]),
        ("-1,-1,-1", [(999, 1000)]),
    ],
)
def test_ranges_that_overlap_or_nearly_touch_are_one(text: str, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(f"bytes={text}", 1000) == tuple(expected)


def test_too_many_ranges_are_ignored() -> None:
    most = ",".join(f"{number * 1000}-{number * 1000}" for number in range(MOST_RANGES))
    assert len(parse_ranges(f"bytes={most}", 10**6) or ()) == MOST_RANGES
    assert parse_ranges(f"bytes={most},999999-", 10**6) is None
    assert parse_ranges("bytes=" + "," * 1_000_000 + "0-0", 10) is None


@pytest.mark.parametrize(
    ("headers", "it", "expected"),
    [
        ({"Range": "bytes=1-2"}, IT, Decision(206, ((1, 3),))),
        ({"Range": "bytes=9-"}, IT, Decision(416)),
        ({"Range": "bytes=2-1"}, IT, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": ETAG}, IT, Decision(206, ((1, 3),))),
        ({"Range": "bytes=1-2", "If-Range": '"b"'}, IT, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": f"W/{ETAG}"}, IT, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": f"{ETAG}, {ETAG}"}, IT, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": "*"}, IT, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": SAME}, FIXED, Decision(206, ((1, 3),))),
        ({"Range": "bytes=1-2", "If-Range": SAME}, IT, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": AFTER}, FIXED, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": BEFORE}, FIXED, WHOLE),
        ({"Range": "bytes=1-2", "If-Range": "nonsense"}, FIXED, WHOLE),
        ({"Range": "bytes=9-", "If-Range": '"b"'}, IT, WHOLE),
        ({"If-Range": ETAG}, IT, WHOLE),
    ],
)
def test_a_range_is_used_only_when_it_fits(
    headers: dict[str, str], it: Representation, expected: Decision
) -> None:
    assert decide("GET", headers, it) == expected


def test_head_has_no_ranges() -> None:
    assert decide("HEAD", {"Range": "bytes=1-2"}, IT) == WHOLE
    assert decide("HEAD", {"Range": "bytes=9-"}, IT) == WHOLE


def test_a_body_of_unknown_length_has_no_ranges() -> None:
    assert decide("GET", {"Range": "bytes=0-0"}, replace(IT, length=None)) == WHOLE


def test_an_empty_body_has_no_ranges() -> None:
    assert parse_ranges("bytes=0-", 0) == ()
    assert parse_ranges("bytes=-5", 0) is None  # satisfiable by RFC 9110 14.1.2, and not expressible


def test_without_a_validator_only_any_matches() -> None:
    it = Representation(length=6)
    assert decide("GET", {"If-None-Match": ETAG}, it).status == 200
    assert decide("GET", {"If-None-Match": "*"}, it).status == 304
    assert decide("GET", {"If-Match": ETAG}, it).status == 412
    assert decide("GET", {"If-Match": "*"}, it).status == 200
    assert decide("GET", {"If-Modified-Since": AFTER}, it).status == 200
    assert decide("GET", {"If-Unmodified-Since": BEFORE}, it).status == 200
    assert decide("GET", {"Range": "bytes=0-1", "If-Range": ETAG}, it).status == 200


def test_writing_where_it_must_not_exist_is_refused() -> None:
    assert decide("PUT", {"If-None-Match": "*"}, IT).status == 412
    assert decide("PUT", {"If-Modified-Since": AFTER}, IT).status == 200


def test_conditions_mean_nothing_to_methods_that_select_nothing() -> None:
    assert decide("OPTIONS", {"If-None-Match": "*", "If-Match": '"b"'}, IT) == WHOLE


def test_years_of_two_digits_lie_at_most_fifty_years_ahead() -> None:
    now = 1_600_000_000  # 2020
    for year, expected in (("20", 2020), ("70", 2070), ("71", 1971), ("99", 1999), ("00", 2000)):
        found = read_date(f"Sunday, 13-Sep-{year} 12:26:40 GMT", now)
        assert found is not None
        assert gmtime(found).tm_year == expected


@given(st.integers(0, 250_000_000_000))
def test_every_date_is_read_in_each_form(seconds: int) -> None:
    moment = gmtime(seconds)
    assert read_date(formatdate(seconds, usegmt=True)) == seconds
    assert read_date(asctime(moment)) == seconds
    assert read_date(strftime("%A, %d-%b-%y %H:%M:%S GMT", moment), seconds) == seconds


@pytest.mark.parametrize("second", ["60", "61", "99"])
def test_a_leap_second_is_the_next_minute(second: str) -> None:
    expected = {"60": 1_483_228_800}.get(second)
    assert read_date(f"Sat, 31 Dec 2016 23:59:{second} GMT") == expected


# -- oracles -------------------------------------------------------------------------------------------------

TAGS = st.lists(st.tuples(st.booleans(), st.sampled_from(["a-1", "b", "c,d", ""])), max_size=4)
LISTS = st.none() | st.just("*") | TAGS
TIMES = st.none() | st.integers(MODIFIED - 1, MODIFIED + 1)


def written(tags: list[tuple[bool, str]] | str) -> str:
    if isinstance(tags, str):
        return tags
    return ", ".join(f'{"W/" if weak else ""}"{tag}"' for weak, tag in tags)


@given(st.sampled_from(["GET", "HEAD", "PUT"]), LISTS, TIMES, LISTS, TIMES, st.booleans(), st.booleans())
def test_preconditions_agree_with_the_steps_of_rfc_9110_13_2_2(
    method: str,
    match: list[tuple[bool, str]] | str | None,
    unmodified: int | None,
    none_match: list[tuple[bool, str]] | str | None,
    since: int | None,
    tagged: bool,
    dated: bool,
) -> None:
    current, date = "a-1" if tagged else None, MODIFIED if dated else None
    reading = method in ("GET", "HEAD")
    matched = match is None or match == "*" or (False, current) in match
    changed = match is None and unmodified is not None and date is not None and date > unmodified
    known = none_match is not None and (
        none_match == "*"
        or (current is not None and not {(True, current), (False, current)}.isdisjoint(none_match))
    )
    old = none_match is None and since is not None and date is not None and reading and date <= since
    if not matched or changed:
        expected = 412
    elif known:
        expected = 304 if reading else 412
    else:
        expected = 304 if old else 200
    headers = {}
    for name, tags in (("If-Match", match), ("If-None-Match", none_match)):
        if tags is not None:
            headers[name] = written(tags)
    for name, moment in (("If-Unmodified-Since", unmodified), ("If-Modified-Since", since)):
        if moment is not None:
            headers[name] = formatdate(moment, usegmt=True)
    it = Representation(None if current is None else f'"{current}"', date, 6)
    assert decide(method, headers, it).status == expected


SPECS = st.lists(
    st.tuples(st.integers(0, 1200), st.none() | st.integers(0, 1200)) | st.integers(0, 1200),
    min_size=1,
    max_size=MOST_RANGES,
)


@given(SPECS, st.integers(1, 1000))
def test_ranges_hold_what_was_asked_for_and_hardly_more(
    specs: list[tuple[int, int | None] | int], length: int
) -> None:
    texts, wanted, firsts, malformed = [], set(), [], False
    for spec in specs:
        if isinstance(spec, int):
            texts.append(f"-{spec}")
            asked = list(range(max(0, length - spec), length))
        else:
            first, last = spec
            malformed = malformed or (last is not None and last < first)
            texts.append(f"{first}-{'' if last is None else last}")
            asked = [byte for byte in range(length) if byte >= first and (last is None or byte <= last)]
        wanted.update(asked)
        firsts += asked[:1]
    stretches = parse_ranges(f"bytes={','.join(texts)}", length)
    if malformed:
        assert stretches is None
        return
    assert stretches is not None
    given_bytes = [byte for start, stop in stretches for byte in range(start, stop)]
    assert len(given_bytes) == len(set(given_bytes))  # nothing twice
    assert wanted <= set(given_bytes)
    for start, stop in stretches:
        inside = sorted(wanted & set(range(start, stop)))
        assert (inside[0], inside[-1]) == (start, stop - 1)
        assert all(after - before <= 129 for before, after in pairwise(inside))
    order = [
        next(i for i, (start, stop) in enumerate(stretches) if start <= first < stop) for first in firsts
    ]
    assert list(dict.fromkeys(order)) == list(range(len(stretches)))


@given(st.text(max_size=60), st.integers(0, 1000))
def test_any_text_gives_stretches_within_the_body(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        for start, stop in parse_ranges(header, length) or ():
            assert 0 <= start < stop <= length


@given(
    st.dictionaries(
        st.sampled_from(["If-None-Match", "If-Match", "If-Range", "If-Modified-Since"]), st.text()
    )
)
def test_any_header_gives_a_decision(headers: dict[str, str]) -> None:
    assert decide("GET", {**headers, "Range": "bytes=0-1"}, IT).status in (200, 206, 304, 412)
