"""Conditional and range requests (RFC 9110 13 and 14): which parts of a representation to send, if any.

One rule: pure decisions on header texts; what cannot be understood is ignored, as RFC 9110 14.2 asks.
"""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

MOST_RANGES = 16
"""More ranges in one request are ignored, and the whole is sent (RFC 9110 14.2, 17.15)."""
_GAP = 128
"""Bytes between two ranges that cost less than another part's header would (RFC 9110 15.3.7.2)."""
_LONGEST_NUMBER = 30
_TAG = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"[ \t]*(?=,|\Z)')
_RANGE_SET = re.compile(r"bytes=(.+)", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_LONG_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES = tuple(
    re.compile(form)
    for form in (
        f"(?:{_DAYS}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        f"(?:{_LONG_DAYS}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        f"(?:{_DAYS}) {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
"""The three forms of an HTTP-date (RFC 9110 5.6.7); a sender may write the first alone."""
HEADERS = frozenset(
    {"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"}
)
"""The request headers that `decide` looks at."""


class Headers(Protocol):
    """Request headers by name; the names here are as `HEADERS` spells them. A list is in one text."""

    def get(self, name: str, /) -> str | None: ...


Stretch = tuple[int, int]
"""Bytes from the first number to before the second."""


@dataclass(frozen=True, slots=True)
class Representation:
    """What would be sent if there were no condition."""

    etag: str | None = None
    """Strong, with its quotes."""
    modified: int | None = None
    """Seconds since 1970."""
    length: int | None = None
    """Bytes; None if no range of it can be sent."""
    immutable: bool = False
    """Whether it has never been another: its date is a strong validator then (RFC 9110 8.8.2.2)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to answer: 200, 206, 304, 412 or 416; with 206 also which stretches of the body, none empty."""

    status: int
    stretches: tuple[Stretch, ...] = ()


_WHOLE = Decision(200)


def _tags(text: str) -> list[tuple[bool, str]] | None:
    """(weak, opaque text) of each entity tag in a list; None if the list is malformed."""
    tags, position = [], 0
    while text[position:].strip(" \t,"):
        found = _TAG.match(text, position)
        if found is None:
            return None
        tags.append((found[1] is not None, found[2]))
        position = found.end()
    return tags


def _matches(text: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a header that lists entity tags names `etag`, a quoted strong tag (RFC 9110 8.8.3.2)."""
    if text.strip(" \t") == "*":
        return True
    if etag is None:
        return False
    return any(tag == etag[1:-1] and (weak or not is_weak) for is_weak, tag in _tags(text) or ())


def read_date(text: str, now: float | None = None) -> int | None:
    """An HTTP-date as seconds since 1970, or None if it is none (RFC 9110 5.6.7).

    `now`, in the same seconds, is for years of two digits: none lies more than 50 years ahead.
    """
    found = next(filter(None, (form.fullmatch(text.strip(" \t")) for form in _DATES)), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        this = datetime.fromtimestamp(time.time() if now is None else now, UTC).year
        year += (this + 50 - year) // 100 * 100
    # A leap second is the first of the next minute, as in POSIX.
    second = int(found["second"])
    try:
        start = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(second, 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(start.timestamp()) + (second == 60) if second <= 60 else None


def _precondition(headers: Headers, reading: bool, it: Representation) -> int:
    """200, 304 or 412: the order is that of RFC 9110 13.2.2."""
    if_match = headers.get("If-Match")
    if if_match is not None:
        if not _matches(if_match, it.etag, weak=False):
            return 412
    elif it.modified is not None and (since := headers.get("If-Unmodified-Since")) is not None:
        seconds = read_date(since)
        if seconds is not None and it.modified > seconds:
            return 412
    if_none_match = headers.get("If-None-Match")
    if if_none_match is not None:
        if _matches(if_none_match, it.etag, weak=True):
            return 304 if reading else 412
    elif reading and it.modified is not None and (since := headers.get("If-Modified-Since")) is not None:
        seconds = read_date(since)
        if seconds is not None and it.modified <= seconds:
            return 304
    return 200


def _range_applies(if_range: str | None, it: Representation) -> bool:
    """Whether If-Range lets a Range be used: only a strong validator that matches does (RFC 9110 13.1.5).

    The date of what may have changed twice in a second is none (RFC 9110 8.8.2.2).
    """
    if if_range is None:
        return True
    if_range = if_range.strip(" \t")
    if if_range.startswith(('"', "W/")):
        return it.etag is not None and if_range == it.etag
    return it.immutable and it.modified is not None and read_date(if_range) == it.modified


def parse_ranges(text: str, length: int) -> tuple[Stretch, ...] | None:
    """The byte ranges of a body of `length` bytes, in the order asked for; None to ignore the header.

    None of them (an empty tuple) means that no range can be satisfied. Ranges that overlap or nearly touch
    are one, in the place of the first (RFC 9110 14.1.2, 15.3.7.2). Ignored is what is malformed, what has
    another unit, and more than `MOST_RANGES`.
    """
    found = _RANGE_SET.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    asked = [each for one in found[1].split(",", MOST_RANGES * 4) if (each := one.strip(" \t"))]
    if not 0 < len(asked) <= MOST_RANGES:
        return None
    stretches: list[Stretch] = []
    for one in asked:
        stretch = _parse_one(one, length)
        if stretch is None:
            return None
        if stretch[0] < stretch[1]:
            _join(stretches, stretch)
    return tuple(stretches)


def _parse_one(text: str, length: int) -> Stretch | None:
    """One range; empty if it cannot be satisfied, None if it is malformed."""
    found = _RANGE.fullmatch(text)
    if found is None or max(len(found[1]), len(found[2])) > _LONGEST_NUMBER:
        return None
    first, last = found[1], found[2]
    if not first:
        # The last bytes of nothing can be satisfied, but 206 has no words for it.
        return None if not last or (length == 0 and int(last)) else (max(0, length - int(last)), length)
    start = int(first)
    if last and int(last) < start:
        return None
    return (min(start, length), min(int(last) + 1, length) if last else length)


def _join(stretches: list[Stretch], new: Stretch) -> None:
    """Add a stretch; those that it overlaps or nearly touches become one with it."""
    start, stop = new
    place = len(stretches)
    for index in reversed(range(len(stretches))):
        first, last = stretches[index]
        if first <= stop + _GAP and start <= last + _GAP:
            start, stop, place = min(start, first), max(stop, last), index
            del stretches[index]
    stretches.insert(place, (start, stop))


def decide(method: str, headers: Headers, it: Representation) -> Decision:
    """What to answer to a request for `it`, which would otherwise be 200 (RFC 9110 13.2.2 and 14.2)."""
    if method in ("OPTIONS", "TRACE", "CONNECT"):
        return _WHOLE
    status = _precondition(headers, method in ("GET", "HEAD"), it)
    if status != 200:
        return Decision(status)
    wanted = headers.get("Range")
    if method != "GET" or wanted is None or it.length is None:
        return _WHOLE
    if not _range_applies(headers.get("If-Range"), it):
        return _WHOLE
    stretches = parse_ranges(wanted, it.length)
    if stretches is None:
        return _WHOLE
    return Decision(206, stretches) if stretches else Decision(416)
