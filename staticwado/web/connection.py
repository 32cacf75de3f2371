"""One client's connection: what becomes of bad HTTP, of silence, and of clients that close their half.

One rule: whatever arrives, the client gets an answer that HTTP knows or a closed connection, and both soon.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from multidict import CIMultiDict

from staticwado.web.answer import error_answer
from staticwado.web.options import ServerOptions
from staticwado.web.origins import Origins
from staticwado.web.responses import headers_of

log = logging.getLogger("staticwado.web")

MOST_HEADERS = 128
_LINGER = 5.0
"""Seconds for which the rest of a body that nobody wants is read, so that the client sees the answer."""
_AFTER_END = 0.5
"""Seconds without a request after which a connection is closed whose client has closed its half."""
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """aiohttp's, with errors in our form, and answers for clients that have closed their half."""

    def __init__(self, server: web.Server, common: CIMultiDict[str], **limits: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **limits)
        self._common = common
        self._answers = 0
        """Answers begun and ended: odd while one is made."""
        self._ended = False

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep the connection for the answers that are still owed (RFC 9112 9.6)."""
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return None
        self._ended = True
        self._close_if_idle()
        return True

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

    def refuse_version(self, request: web.BaseRequest) -> web.StreamResponse:
        """505, written here: a response would call itself what the request does (RFC 9110 15.6.6)."""
        body = b'{"error":"this server speaks HTTP/1.1"}'
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
        self.force_close()
        return web.Response(status=505)

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
        log.info("%s from %s: %s", status, request.remote, message)
        answer = error_answer(status, message)
        response = web.Response(
            status=status,
            headers=headers_of(answer, self._common),
            body=answer.body if isinstance(answer.body, bytes) else b"",
        )
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
    """The server of one process; `closed` is called at its end, in a thread."""

    def __init__(self, handler: _Handler, options: ServerOptions, closed: Callable[[], None]) -> None:
        super().__init__(self._answer)
        self._service = handler
        self._closed = closed
        self._common = Origins(options.allowed_origins).common_headers()
        self._limits = {
            "keepalive_timeout": options.keep_alive,
            "access_log": logging.getLogger("staticwado.access") if options.access_log else None,
            "lingering_time": _LINGER,
            "max_line_size": options.max_header,
            # One more, so that an error tells which of them was too long.
            "max_field_size": options.max_header + 1,
            "max_headers": MOST_HEADERS,
            # Of a body that nobody asked for, no byte is inflated.
            "auto_decompress": False,
        }

    def __call__(self) -> Connection:
        return Connection(self, self._common, **self._limits)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, Connection):
            raise TypeError("a connection of another server")
        if request.version.major != 1:
            return connection.refuse_version(request)
        connection.count_answer()
        try:
            return await self._service(request)
        finally:
            connection.count_answer()

    async def shutdown(self, timeout: float | None = None) -> None:
        await super().shutdown(timeout)
        await asyncio.to_thread(self._closed)


def limit_stalls(listening: socket.socket, seconds: float) -> None:
    """Have the system end connections whose client takes no byte for so long, where it can (RFC 5482).

    Accepted sockets take the setting from the listening one.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT") and listening.family in (socket.AF_INET, socket.AF_INET6):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
