"""Answers to requests that have come before, byte for byte, written at once.

One rule: nothing here reads HTTP. A request is known only if its bytes are all those of one that was read and
answered the long way, and its answer holds only while the cache says so.
"""

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from time import perf_counter_ns

from aiohttp import hdrs, web

from staticwado.web.accesslog import REQUEST_ID, AccessLog, Entry, RequestIds, line_again, line_of
from staticwado.web.cache import MOST_REQUESTS, AnswerCache, Kept, Prepared
from staticwado.web.metrics import Metrics
from staticwado.web.request import is_host

LONGEST = 4096
"""Bytes of the longest request that is kept."""
_ID = REQUEST_ID.encode()
_MOST_ONCE = 16_384
_STATUSES = frozenset({200, 304})
_METHODS = (b"GET ", b"HEAD ", b"OPTIONS ")
_END = b"\r\n\r\n"
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.UPGRADE, hdrs.EXPECT, hdrs.TRAILER)
"""Headers after which the next request may begin elsewhere, or in another protocol."""
_PRIVATE = frozenset({"_waiter", "_messages", "_next_keepalive_close_time"})
"""What `Connection` must know of aiohttp's handler, which promises none of it."""
IS_POSSIBLE = frozenset(getattr(web.RequestHandler, "__slots__", ())) >= _PRIVATE
"""Whether this aiohttp is one that we know; with another, every request goes the long way."""


def is_whole(data: bytes) -> bool:
    """Whether bytes look like one request without a body; its parser has the last word."""
    return len(data) <= LONGEST and data.startswith(_METHODS) and data.find(_END) == len(data) - len(_END)


def ends_with_head(request: web.BaseRequest) -> bool:
    """Whether the next request on the connection begins right after the head of this one."""
    headers = request.headers
    if request.body_exists or not request.keep_alive:
        return False
    for name in _FRAMING:
        if name in headers:
            return False
    return headers.get(hdrs.CONNECTION, "keep-alive").lower() == "keep-alive"


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class Replays:
    """Gives answers again; one a process, and only where anybody may read everything."""

    def __init__(self, cache: AnswerCache, metrics: Metrics, ids: RequestIds, log: AccessLog | None) -> None:
        self._cache = cache
        self._metrics = metrics
        self._ids = ids
        self._log = log
        self._once: set[int] = set()
        """Hashes of requests that came once: most never come again, byte for byte."""

    def answer(self, data: bytes, connection: web.RequestHandler) -> bool:
        """Answer a request that has come before; False, with nothing sent, if the answer is not there."""
        begun = perf_counter_ns()
        found = self._cache.recall(data)
        transport = connection.transport
        if found is None or transport is None:
            return False
        name = self._ids.make()
        date = _date(int(time.time()))
        transport.write(
            b"%bDate: %b\r\n%b: %b\r\n\r\n%b" % (found.head, date, _ID, name.encode(), found.body)
        )
        elapsed = perf_counter_ns() - begun
        self._metrics.count(found.view, found.status, len(found.body), elapsed)
        if self._log is not None and found.line is not None:
            peer = connection.peername
            client = str(peer[0] if isinstance(peer, tuple) else peer)
            self._log.write_line(line_again(found.line, name, client, elapsed))
        return True

    def _came_before(self, data: bytes) -> bool:
        mark = hash(data)
        if mark in self._once:
            return True
        if len(self._once) >= _MOST_ONCE:
            self._once.clear()
        self._once.add(mark)
        return False

    def learn(
        self,
        data: bytes,
        request: web.BaseRequest,
        kept: Kept,
        response: web.StreamResponse,
        entry: Callable[[], Entry],
    ) -> None:
        """Keep `response`, made of `kept`, for these bytes if they came before and it needs nothing else."""
        body = kept.answer.body if response.status == 200 else b""
        headers = request.headers
        if kept.key is None or len(kept.requests) >= MOST_REQUESTS or response.status not in _STATUSES:
            return
        if not isinstance(body, bytes) or response.chunked or not self._came_before(data):
            return
        # The path and the version are those of these bytes, and the answer names nothing but its Host.
        if not data.startswith(b"GET %b HTTP/1.1\r\n" % request.raw_path.encode("utf-8", "surrogateescape")):
            return
        if REQUEST_ID in headers or not is_host(headers.get(hdrs.HOST)):
            return
        head = _head_of(response)
        if head is not None:
            line = line_of(entry()) if self._log is not None else None
            self._cache.prepare(data, Prepared(kept, head, body, response.status, kept.answer.view, line))


def _head_of(response: web.StreamResponse) -> bytes | None:
    """The head without what is new in every answer; None for one that must not be sent."""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    for name, text in response.headers.items():
        if not (name + text).isascii() or _CONTROLS.search(name + text):
            return None
        if name.lower() not in ("date", REQUEST_ID.lower(), "connection"):
            lines.append(f"{name}: {text}")
    return "\r\n".join((*lines, "")).encode()
