"""Bodies that come too slowly.

One rule: a client is given up only for what it did not send, never for what the server did not take.
"""

import asyncio

from aiohttp import web

from staticwado.errors import TooSlow

_SLOWEST = 1024
"""Bytes a second of a body below which its client is not waited for."""
_LOOKS = 4
"""How often a body is looked at before it is given up; between looks the server itself may have paused it."""


class BodyWatch:
    """Gives up a body that comes more slowly than `_SLOWEST` for `seconds`."""

    def __init__(self, request: web.BaseRequest, seconds: float) -> None:
        self._request = request
        self._seconds = seconds
        self._slow = 0
        self._seen = request.content.total_bytes
        self._schedule()

    def _schedule(self) -> None:
        wait = self._seconds / _LOOKS
        self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        content, transport = self._request.content, self._request.transport
        if transport is None or content.is_eof() or content.exception() is not None:
            return
        came, self._seen = content.total_bytes - self._seen, content.total_bytes
        # While the server itself has paused the client, nothing can come.
        enough = came >= _SLOWEST * self._seconds / _LOOKS or not transport.is_reading()
        self._slow = 0 if enough else self._slow + 1
        if self._slow == _LOOKS:
            content.set_exception(
                TooSlow(f"the body came slower than {_SLOWEST} bytes a second for {self._seconds:g} seconds")
            )
        else:
            self._schedule()

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()
