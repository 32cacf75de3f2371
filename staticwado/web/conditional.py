"""Conditional and range requests (RFC 9110 13 and 14): which part of a representation to send, if any.

One rule: pure decisions on header texts; what cannot be understood is ignored, as RFC 9110 14.2 asks.
"""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_RANGE = re.compile(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE)
_LONGEST_NUMBER = 30
HEADERS = frozenset(
    {"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"}
)
"""The request headers that `decide` looks at."""


class Headers(Protocol):
    """Request headers by name; the names here are as `HEADERS` spells them."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What to answer: 200, 206, 304, 412 or 416, and which bytes: from `start` to before `stop`."""

    status: int
    start: int
    stop: int


def _tags(text: str) -> list[tuple[bool, str]] | None:
    """(weak, opaque text) of each entity tag in a list; None if the list is malformed."""
    tags, position = [], 0
    while position < len(text):
        found = _TAG.match(text, position)
        if found is None:
            return None
        tags.append((found[1] is not None, found[2]))
        position = found.end()
    return tags


def _matches(text: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a header that lists entity tags names `etag`, a quoted strong tag (RFC 9110 8.8.3.2)."""
    if text.strip() == "*":
        return True
    if etag is None:
        return False
    return any(tag == etag[1:-1] and (weak or not is_weak) for is_weak, tag in _tags(text) or ())


def _seconds(text: str) -> int | None:
    """An HTTP date as seconds since 1970, or None if it is none."""
    try:
        return int(parsedate_to_datetime(text.strip()).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _precondition(headers: Headers, reading: bool, etag: str | None, modified: int | None) -> int:
    """200, 304 or 412: the order is that of RFC 9110 13.2.2."""
    if_match = headers.get("If-Match")
    if if_match is not None:
        if not _matches(if_match, etag, weak=False):
            return 412
    elif modified is not None and (since := headers.get("If-Unmodified-Since")) is not None:
        seconds = _seconds(since)
        if seconds is not None and modified > seconds:
            return 412
    if_none_match = headers.get("If-None-Match")
    if if_none_match is not None:
        if _matches(if_none_match, etag, weak=True):
            return 304 if reading else 412
    elif reading and modified is not None and (since := headers.get("If-Modified-Since")) is not None:
        seconds = _seconds(since)
        if seconds is not None and modified <= seconds:
            return 304
    return 200


def _range_applies(if_range: str | None, etag: str | None, modified: int | None) -> bool:
    """Whether If-Range lets a Range be used: only a strong match does (RFC 9110 13.1.5)."""
    if if_range is None:
        return True
    if_range = if_range.strip()
    if if_range.startswith(('"', "W/")):
        return etag is not None and if_range == etag
    return modified is not None and _seconds(if_range) == modified


def parse_range(text: str, length: int) -> tuple[int, int] | None:
    """(start, stop) of a single byte range of a body of `length` bytes; None if the header is to be ignored.

    An empty stretch (start == stop) means that the range cannot be satisfied. Several ranges are ignored, as
    RFC 9110 14.2 allows.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or max(len(found[1]), len(found[2])) > _LONGEST_NUMBER:
        return None
    first, last = found[1], found[2]
    if not first:
        return (max(0, length - int(last)), length) if last else None
    start = int(first)
    if last and int(last) < start:
        return None
    stop = min(int(last) + 1, length) if last else length
    return (start, stop) if start < length else (length, length)


def decide(
    method: str, headers: Headers, etag: str | None, modified: int | None, length: int | None
) -> Decision:
    """What to answer to GET or HEAD of a representation that would otherwise be 200.

    `etag` is strong and quoted, `modified` in seconds since 1970, `length` in bytes; without a length no
    range can be served.
    """
    whole = length or 0
    status = _precondition(headers, method in ("GET", "HEAD"), etag, modified)
    if status != 200:
        return Decision(status, 0, 0)
    wanted = headers.get("Range")
    if method != "GET" or wanted is None or length is None:
        return Decision(200, 0, whole)
    if not _range_applies(headers.get("If-Range"), etag, modified):
        return Decision(200, 0, whole)
    stretch = parse_range(wanted, length)
    if stretch is None:
        return Decision(200, 0, whole)
    start, stop = stretch
    return Decision(206 if start < stop else 416, start, stop)
