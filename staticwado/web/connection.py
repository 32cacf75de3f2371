"""One client's connection: what becomes of bad HTTP, silence, crowds, and clients that close their half.

One rule: whatever arrives, the client gets an answer that HTTP knows or a closed connection, and both soon.
"""

import asyncio
import logging
import socket
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from multidict import CIMultiDict

from staticwado.web.accesslog import REQUEST_ID
from staticwado.web.answer import error_answer
from staticwado.web.bodywatch import BodyWatch
from staticwado.web.options import ServerOptions
from staticwado.web.origins import Origins
from staticwado.web.replay import IS_POSSIBLE, ends_with_head, is_whole
from staticwado.web.responses import headers_of

log = logging.getLogger("staticwado.web")

MOST_HEADERS = 128
_LINGER = 5.0
"""Seconds for which the rest of a body that nobody wants is read, so that the client sees the answer."""
_AFTER_END = 0.5
"""Seconds without a request after which a connection is closed whose client has closed its half."""
_SETTLED = 1.0
"""Seconds that a connection must have been idle before another one may have its place."""
_TICK = 0.05
"""Seconds between looks at whether all is answered."""


class Handler(Protocol):
    """What answers requests."""

    async def handle(self, request: web.BaseRequest, data: bytes | None = None) -> web.StreamResponse:
        """Answer a request, whatever happens; `data` are its bytes if they are known to be all of them."""

    @property
    def can_replay(self) -> bool:
        """Whether any request is answered without being read."""

    def replay(self, data: bytes, connection: web.RequestHandler) -> bool:
        """Answer a request whose bytes have come before; False if it must be read."""

    def refused(self, request: web.BaseRequest, status: int, size: int) -> str:
        """Note what was no HTTP; returns its id."""

    def close(self) -> None:
        """End what was begun; blocks."""


class Connection(web.RequestHandler):
    """aiohttp's, with errors in our form, and answers for clients that have closed their half."""

    def __init__(self, server: "Server", common: CIMultiDict[str], **limits: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **limits)
        self._common = common
        self._server = server
        self._answers = 0
        """Answers begun and ended: odd while one is made."""
        self._ended = False
        self.idle_since: float | None = asyncio.get_running_loop().time()
        """When it became idle; None while an answer is made."""
        self._aligned = server.can_replay
        """Whether it is certain that the next byte begins a request."""
        self._data: bytes | None = None
        """The bytes of the request that was handed to the parser, while they may be all of it."""

    def data_received(self, data: bytes) -> None:
        """Answer at once what is known; everything else is for the parser."""
        aligned, self._data = self._aligned, None
        if aligned and self._is_waiting():
            if self._server.replay(data, self):
                self._answers += 2
                self.idle_since = now = self._loop.time()
                self._next_keepalive_close_time = now + self.keepalive_timeout
                return
            # Until the parser has told, nobody knows where the next request begins.
            self._aligned = False
            super().data_received(data)
            if is_whole(data) and len(self._messages) == 1:
                self._data = data
            return
        self._aligned = False
        super().data_received(data)

    def _is_waiting(self) -> bool:
        """Whether every request that came is answered, and its answer taken by the system."""
        waiter, transport = self._waiter, self.transport
        if waiter is None or waiter.done() or transport is None:
            return False
        return not (self._ended or transport.is_closing() or transport.get_write_buffer_size())

    def data_of(self, request: web.BaseRequest) -> bytes | None:
        """All bytes of a request that has just been read, if they are known and the next one follows them."""
        data, self._data = self._data, None
        if data is None or not ends_with_head(request):
            return None
        self._aligned = True
        return data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse the connection if there are too many and none is idle."""
        super().connection_made(transport)
        if not self._server.admit(self):
            self._say(503, "Service Unavailable", "too many connections; try again", b"Retry-After: 1\r\n")

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        super().connection_lost(exc)
        self._server.forget(self)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep the connection for the answers that are still owed (RFC 9112 9.6)."""
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return None
        self._ended = True
        if self._current_request is not None:
            self.end_body(self._current_request)
        self._close_if_idle()
        return True

    def end_body(self, request: web.BaseRequest) -> None:
        """Wait no longer for the rest of a body whose client has closed its half."""
        if self._ended and not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("the client has closed its half"))

    def _close_if_idle(self, seen: int | None = None) -> None:
        """Close once no answer is made and none was begun since `seen`."""
        if self.transport is None:
            return
        if self._answers == seen and seen % 2 == 0:
            self.transport.close()
        else:
            asyncio.get_running_loop().call_later(_AFTER_END, self._close_if_idle, self._answers)

    def count_answer(self) -> None:
        """To be called when an answer is begun, and when it is made."""
        self._answers += 1
        self.idle_since = None if self._answers % 2 else self._loop.time()

    def refuse_version(self, request: web.BaseRequest) -> web.StreamResponse:
        """505, written here: a response would call itself what the request does (RFC 9110 15.6.6)."""
        self._say(505, "HTTP Version Not Supported", "this server speaks HTTP/1.1")
        return web.Response(status=505)

    def _say(self, status: int, phrase: str, message: str, headers: bytes = b"") -> None:
        """Answer without a request, and close."""
        body = b'{"error":"%b"}' % message.encode()
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 %d %b\r\nConnection: close\r\n%bX-Content-Type-Options: nosniff\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, phrase.encode(), headers, len(body), body)
            )
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, after which the connection ends."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        status, message = _reason(exc, self.max_line_size)
        answer = error_answer(status, message)
        body = answer.body if isinstance(answer.body, bytes) else b""
        response = web.Response(status=status, headers=headers_of(answer, self._common), body=body)
        response.headers[REQUEST_ID] = self._server.refused(request, status, len(body))
        response.force_close()
        return response


def _reason(error: HttpProcessingError, longest_line: int) -> tuple[int, str]:
    """The status of bad HTTP (RFC 9110 15.5, RFC 6585 5), and what to say."""
    if isinstance(error, LineTooLong):
        if error.args[1] == longest_line:
            return 414, f"the URL is longer than {longest_line} bytes"
        return 431, f"a header is longer than {longest_line} bytes"
    text = error.message.partition("\n")[0]
    if "many headers" in text.lower():
        return 431, f"there are more than {MOST_HEADERS} headers"
    return 400, f"this is no HTTP request: {text[:200]}"


class Server(web.Server):
    """The server of one process; its service is closed at its end, in a thread."""

    def __init__(self, service: Handler, options: ServerOptions) -> None:
        super().__init__(self._answer)
        self._service = service
        self._open: set[Connection] = set()
        self._ending = False
        self.can_replay = IS_POSSIBLE and service.can_replay
        self._most = options.max_connections
        self._body_timeout = options.body_timeout
        self._common = Origins(options.allowed_origins).common_headers()
        self._limits = {
            "keepalive_timeout": options.keep_alive,
            # The service writes its own.
            "access_log": None,
            "lingering_time": _LINGER,
            "max_line_size": options.max_header,
            # One more, so that an error tells which of them was too long.
            "max_field_size": options.max_header + 1,
            "max_headers": MOST_HEADERS,
            # Of a body that nobody asked for, no byte is inflated.
            "auto_decompress": False,
        }

    def admit(self, connection: Connection) -> bool:
        """Count a new connection in; False if there is no room, and none that is idle to make some."""
        self._open.add(connection)
        if len(self._open) <= self._most:
            return True
        settled = asyncio.get_running_loop().time() - _SETTLED
        idle = ((one.idle_since, one) for one in self._open if one.idle_since is not None)
        since, longest = min(idle, key=lambda pair: pair[0], default=(0.0, connection))
        if longest is connection or since > settled:
            return False
        self._open.discard(longest)
        longest.force_close()
        return True

    def replay(self, data: bytes, connection: Connection) -> bool:
        """Answer a request whose bytes have come before; False if it must be read."""
        return self._service.replay(data, connection)

    def forget(self, connection: Connection) -> None:
        """Count a connection out."""
        self._open.discard(connection)

    def refused(self, request: web.BaseRequest, status: int, size: int) -> str:
        """Note what was no HTTP; returns its id."""
        return self._service.refused(request, status, size)

    def __call__(self) -> Connection:
        return Connection(self, self._common, **self._limits)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, Connection):
            raise TypeError("a connection of another server")
        if request.version.major != 1:
            return connection.refuse_version(request)
        connection.count_answer()
        connection.end_body(request)
        watch = BodyWatch(request, self._body_timeout) if request.body_exists else None
        try:
            return await self._service.handle(request, connection.data_of(request))
        finally:
            connection.count_answer()
            if watch is not None:
                watch.stop()
            if self._ending:
                connection.close()

    def pre_shutdown(self) -> None:
        """Let go of those who are owed no answer; aiohttp would stop reading uploads that are under way."""
        self._ending = True
        for one in tuple(self._open):
            if one.idle_since is not None:
                one.close()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Wait for answers and uploads under way, but no longer than `timeout` seconds; then end all."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (timeout or 0)
        while loop.time() < end and any(one.idle_since is None for one in self._open):
            await asyncio.sleep(_TICK)
        await super().shutdown(max(end - loop.time(), _TICK))
        await asyncio.to_thread(self._service.close)


def limit_stalls(listening: socket.socket, seconds: float) -> None:
    """Have the system end connections whose client takes no byte for so long, where it can (RFC 5482).

    Accepted sockets take the setting from the listening one.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT") and listening.family in (socket.AF_INET, socket.AF_INET6):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
