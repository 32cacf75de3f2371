"""From an answer to bytes on a socket: statuses, headers, conditions, ranges, and the sending itself.

One rule: the one table of statuses; nothing else in `web` knows which status an error has.
"""

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from email.utils import formatdate
from typing import IO

from aiohttp import web
from multidict import CIMultiDict

from staticwado.errors import (
    BadRequest,
    BrokenDicom,
    ConfigurationError,
    Conflict,
    InvalidUid,
    NotAcceptable,
    NotDicom,
    NotFound,
    StaticWadoError,
    StoreUnavailable,
    Unsupported,
)
from staticwado.store.local import Stat
from staticwado.web import conditional
from staticwado.web.answer import Answer, Pieces, Span, Stream, cut
from staticwado.web.conditional import Decision, decide

log = logging.getLogger("staticwado.web")

SMALL = 256 << 10
"""Bytes up to which a file is read inline: a thread hop or sendfile would cost more than the read."""
_CHUNK = 1 << 20
_DECIDING = frozenset(conditional.HEADERS)

STATUSES: Mapping[type[StaticWadoError], int] = {
    NotDicom: 400,
    BrokenDicom: 400,
    InvalidUid: 400,
    BadRequest: 400,
    NotFound: 404,
    NotAcceptable: 406,
    Conflict: 409,
    Unsupported: 501,
    StoreUnavailable: 503,
    ConfigurationError: 500,
    StaticWadoError: 500,
}
"""What an error means in HTTP, by the most specific class."""


def status_of(error: StaticWadoError) -> int:
    """The HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def headers_of(answer: Answer, common: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers of a full answer, `common` ones included; made once for an answer that is kept."""
    headers = CIMultiDict(common)
    headers["Content-Type"] = answer.content_type
    vary = ", ".join(filter(None, (answer.vary, common.get("Vary", ""))))
    if vary:
        headers["Vary"] = vary
    if answer.encoding is not None:
        headers["Content-Encoding"] = answer.encoding
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    if answer.modified is not None:
        headers["Last-Modified"] = formatdate(answer.modified, usegmt=True)
    headers["Cache-Control"] = "max-age=31536000, immutable" if answer.immutable else "no-cache"
    length = answer.length
    if length is not None:
        headers["Content-Length"] = str(length)
        if answer.status == 200 and not isinstance(answer.body, Stream):
            headers["Accept-Ranges"] = "bytes"
    headers.update(answer.headers)
    return headers


async def send(
    request: web.BaseRequest, answer: Answer, prepared: CIMultiDict[str]
) -> tuple[web.StreamResponse, int]:
    """Answer the request; returns the response and the bytes of its body.

    `prepared` holds the headers of the full answer and is not changed.
    Raises StoreUnavailable, with nothing sent yet, if a file has changed since it was looked up.
    """
    length = answer.length
    decision = Decision(answer.status, 0, length or 0)
    if answer.status == 200 and not _DECIDING.isdisjoint(request.headers):
        rangeable = None if isinstance(answer.body, Stream) else length
        decision = decide(request.method, request.headers, answer.etag, answer.modified, rangeable)
        if decision.status == 200:
            decision = Decision(200, 0, length or 0)
    headers = prepared.copy()
    if decision.status != answer.status:
        _adapt(headers, decision, length)
    if decision.status in (204, 304) or request.method == "HEAD" or decision.status in (412, 416):
        response = web.StreamResponse(status=decision.status, headers=headers)
        await response.prepare(request)
        await response.write_eof()
        return response, 0
    sent = decision.stop - decision.start
    if isinstance(answer.body, bytes):
        body = answer.body if decision.status != 206 else answer.body[decision.start : decision.stop]
        return web.Response(status=decision.status, headers=headers, body=body), sent
    return await _send_body(request, decision, headers, answer.body), sent


def _adapt(headers: CIMultiDict[str], decision: Decision, length: int | None) -> None:
    """Change the headers of a full answer into those of a partial, empty or refused one."""
    match decision.status:
        case 206:
            headers["Content-Range"] = f"bytes {decision.start}-{decision.stop - 1}/{length}"
            headers["Content-Length"] = str(decision.stop - decision.start)
        case 416:
            headers["Content-Range"] = f"bytes */{length}"
            _empty(headers)
        case 412:
            _empty(headers)
        case 304:
            for name in ("Content-Type", "Content-Length", "Content-Encoding", "Accept-Ranges"):
                headers.popall(name, None)


def _empty(headers: CIMultiDict[str]) -> None:
    for name in ("Content-Type", "Content-Encoding", "Accept-Ranges", "ETag", "Last-Modified"):
        headers.popall(name, None)
    headers["Content-Length"] = "0"
    headers["Cache-Control"] = "no-store"


async def _send_body(
    request: web.BaseRequest, decision: Decision, headers: CIMultiDict[str], body: Pieces | Stream
) -> web.StreamResponse:
    response = web.StreamResponse(status=decision.status, headers=headers)
    try:
        if isinstance(body, Stream):
            await _send_stream(request, response, body)
        else:
            await _send_pieces(request, response, cut(body, decision.start, decision.stop))
        await response.write_eof()
    except Exception as error:
        if not response.prepared:
            raise
        # Half an answer has gone out: only a cut connection tells the client so.
        if request.transport is not None:
            request.transport.abort()
        if not isinstance(error, ConnectionError):
            log.error("%s %s was cut short: %s", request.method, request.path, error)
        raise ConnectionResetError(str(error)) from error
    return response


async def _send_stream(request: web.BaseRequest, response: web.StreamResponse, body: Stream) -> None:
    chunks: Iterator[bytes] = await asyncio.to_thread(body.chunks)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        await response.prepare(request)
        await response.write(chunk)
    await response.prepare(request)


def open_span(span: Span) -> IO[bytes]:
    """The file of `span`, open, at its first byte. Raises StoreUnavailable if it is another file by now."""
    try:
        file = open(span.path, "rb", buffering=0)  # noqa: SIM115  (the caller closes it)
    except OSError as error:
        raise StoreUnavailable(f"a stored file could not be opened: {error.strerror}") from error
    found = os.fstat(file.fileno())
    if Stat(found.st_size, found.st_mtime_ns, found.st_ino) != span.stat:
        file.close()
        raise StoreUnavailable("a stored file was replaced while it was being answered; ask again")
    file.seek(span.offset)
    return file


def read_span(span: Span) -> bytes:
    """The bytes of a span. Raises StoreUnavailable."""
    with open_span(span) as file:
        data = file.read(span.length)
    if len(data) != span.length:
        raise StoreUnavailable("a stored file is shorter than it was")
    return data


async def _send_pieces(
    request: web.BaseRequest, response: web.StreamResponse, pieces: Iterable[bytes | Span]
) -> None:
    """Send pieces: small ones gathered and read inline, big files by sendfile.

    The first piece is opened before the headers go out, so that an error can still be told.
    """
    waiting = bytearray()
    for piece in pieces:
        if isinstance(piece, Span) and piece.length > SMALL:
            with open_span(piece) as file:
                await response.prepare(request)
                if waiting:
                    await response.write(bytes(waiting))
                    waiting.clear()
                await _send_file(request, response, file, piece)
            continue
        waiting += read_span(piece) if isinstance(piece, Span) else piece
        if len(waiting) >= SMALL:
            await response.prepare(request)
            await response.write(bytes(waiting))
            waiting.clear()
    await response.prepare(request)
    if waiting:
        await response.write(bytes(waiting))


async def _send_file(
    request: web.BaseRequest, response: web.StreamResponse, file: IO[bytes], span: Span
) -> None:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    try:
        sent = await loop.sendfile(transport, file, span.offset, span.length, fallback=False)
    except (asyncio.SendfileNotAvailableError, NotImplementedError, RuntimeError):
        # TLS, or an event loop without sendfile.
        sent = 0
        file.seek(span.offset)
        while sent < span.length:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK, span.length - sent))
            if not chunk:
                break
            await response.write(chunk)
            sent += len(chunk)
    if sent != span.length:
        raise ConnectionResetError("a stored file is shorter than it was")
