"""From an answer to bytes on a socket: statuses, headers, conditions, ranges, and the sending itself.

One rule: the one table of statuses; nothing else in `web` knows which status an error has.
"""

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import IO

from aiohttp import web
from multidict import CIMultiDict, istr

from staticwado.errors import (
    BadRequest,
    BrokenDicom,
    Busy,
    ConfigurationError,
    Conflict,
    Forbidden,
    Gone,
    InvalidUid,
    IssuerUnavailable,
    Mismatch,
    MissingBulkdata,
    NotAcceptable,
    NotDicom,
    NotFound,
    StaticWadoError,
    StoreUnavailable,
    TookTooLong,
    TooMuch,
    TooSlow,
    Unauthenticated,
    Unsupported,
    UnsupportedMedia,
)
from staticwado.store.local import Stat
from staticwado.web import conditional
from staticwado.web.accesslog import REQUEST_ID, request_id
from staticwado.web.answer import Answer, Pieces, Span, Stream, cut, error_answer, piece_length
from staticwado.web.byteranges import byteranges
from staticwado.web.conditional import Decision, Representation, decide
from staticwado.web.request import listed

log = logging.getLogger("staticwado.web")

SMALL = 256 << 10
"""Bytes up to which a file is read inline: a thread hop or sendfile would cost more than the read."""
_CHUNK = 1 << 20
_DECIDING = tuple(map(istr, conditional.HEADERS))
_UNCONDITIONAL = Decision(200)

STATUSES: Mapping[type[StaticWadoError], int] = {
    NotDicom: 400,
    BrokenDicom: 400,
    InvalidUid: 400,
    BadRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    NotAcceptable: 406,
    TooSlow: 408,
    Conflict: 409,
    Mismatch: 409,
    MissingBulkdata: 400,
    Gone: 410,
    TooMuch: 413,
    UnsupportedMedia: 415,
    Unsupported: 501,
    StoreUnavailable: 503,
    IssuerUnavailable: 503,
    Busy: 503,
    TookTooLong: 503,
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
    if vary := ", ".join(filter(None, (answer.vary, common.get("Vary", "")))):
        headers["Vary"] = vary
    if answer.encoding is not None:
        headers["Content-Encoding"] = answer.encoding
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    if answer.modified is not None:
        headers["Last-Modified"] = formatdate(answer.modified, usegmt=True)
    headers["Cache-Control"] = "max-age=31536000, immutable" if answer.immutable else "no-cache"
    if (length := answer.length) is not None:
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
    decision = _decision(request, answer)
    if decision.status in (412, 416):
        answer, headers = _refused(answer, decision.status, prepared)
    elif decision.status != answer.status:
        answer, headers = _partial(answer, decision, prepared.copy())
    else:
        headers = prepared  # a response makes its own copy
    response: web.StreamResponse
    if answer.status in (204, 304) or request.method == "HEAD":
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.headers[REQUEST_ID] = request_id.get()
        await response.prepare(request)
        await response.write_eof()
        return response, 0
    if isinstance(answer.body, bytes):
        response = web.Response(status=answer.status, headers=headers, body=answer.body)
        response.headers[REQUEST_ID] = request_id.get()
        return response, len(answer.body)
    return await _send_body(request, answer.status, headers, answer.body)


def _decision(request: web.BaseRequest, answer: Answer) -> Decision:
    """What the request's conditions and ranges say; they hold for answers of 200 alone (RFC 9110 13.2.1)."""
    if answer.status != 200:
        return Decision(answer.status)
    given = request.headers
    found = [name for name in _DECIDING if name in given]
    if not found:
        return _UNCONDITIONAL
    headers = {str(name): text for name in found if (text := listed(given, name)) is not None}
    length = None if isinstance(answer.body, Stream) else answer.length
    return decide(
        request.method, headers, Representation(answer.etag, answer.modified, length, answer.immutable)
    )


def _partial(
    answer: Answer, decision: Decision, headers: CIMultiDict[str]
) -> tuple[Answer, CIMultiDict[str]]:
    """What `decision`, 304 or 206, leaves of an answer, and its headers, from the full ones."""
    if decision.status == 304:
        for name in ("Content-Type", "Content-Length", "Content-Encoding", "Accept-Ranges"):
            headers.popall(name, None)
        return replace(answer, status=304, body=b""), headers
    pieces = (answer.body,) if isinstance(answer.body, bytes) else answer.body
    length = answer.length
    if isinstance(pieces, Stream) or length is None:
        raise TypeError("a stream has no ranges")
    if len(decision.stretches) == 1:
        [(start, stop)] = decision.stretches
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{length}"
        body: Pieces = tuple(cut(pieces, start, stop))
    else:
        headers["Content-Type"], body = byteranges(pieces, decision.stretches, answer.content_type, length)
    part = replace(answer, status=206, body=body)
    headers["Content-Length"] = str(part.length)
    return part, headers


def _refused(answer: Answer, status: int, prepared: CIMultiDict[str]) -> tuple[Answer, CIMultiDict[str]]:
    """The answer to a condition that does not hold, or to ranges that lie outside, and its headers."""
    reasons = {412: "the condition does not hold", 416: "no range that was asked for lies in the body"}
    refusal = error_answer(status, f"{reasons[status]}; it has {answer.length} bytes", answer.view)
    headers = prepared.copy()
    for name in ("Content-Encoding", "Accept-Ranges", "ETag", "Last-Modified", "Content-Location"):
        headers.popall(name, None)
    headers["Content-Type"] = refusal.content_type
    headers["Content-Length"] = str(refusal.length)
    headers.update(refusal.headers)
    if status == 416:
        headers["Content-Range"] = f"bytes */{answer.length}"
    return refusal, headers


async def _send_body(
    request: web.BaseRequest, status: int, headers: CIMultiDict[str], body: Pieces | Stream
) -> tuple[web.StreamResponse, int]:
    response = web.StreamResponse(status=status, headers=headers)
    response.headers[REQUEST_ID] = request_id.get()
    sent = 0
    try:
        if isinstance(body, Stream):
            sent = await _send_stream(request, response, body)
        else:
            await _send_pieces(request, response, body)
            sent = sum(map(piece_length, body))
        await response.write_eof()
    except Exception as error:
        if not response.prepared:
            raise
        # Half an answer has gone out: only a cut connection tells the client so.
        if request.transport is not None:
            request.transport.abort()
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("%s %s was cut short: %s", request.method, request.path, error)
        raise ConnectionResetError(str(error)) from error
    return response, sent


async def _send_stream(request: web.BaseRequest, response: web.StreamResponse, body: Stream) -> int:
    """Send what is made while it is sent; returns the bytes that were."""
    sent = 0
    chunks: Iterator[bytes] = await asyncio.to_thread(body.chunks)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        await response.prepare(request)
        await response.write(chunk)
        sent += len(chunk)
    await response.prepare(request)
    return sent


def _open(span: Span) -> int:
    """The file of `span`, open (a tenth of what `open` costs). Raises StoreUnavailable if it is another."""
    try:
        descriptor = os.open(span.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreUnavailable(f"a stored file could not be opened: {error.strerror}") from error
    found = os.fstat(descriptor)
    if Stat(found.st_size, found.st_mtime_ns, found.st_ino) != span.stat:
        os.close(descriptor)
        raise StoreUnavailable("a stored file was replaced while it was being answered; ask again")
    return descriptor


def open_span(span: Span) -> IO[bytes]:
    """The file of `span`, open, at its first byte. Raises StoreUnavailable if it is another file by now."""
    file = os.fdopen(_open(span), "rb", buffering=0)
    file.seek(span.offset)
    return file


def read_span(span: Span) -> bytes:
    """The bytes of a span. Raises StoreUnavailable."""
    descriptor = _open(span)
    try:
        data = os.pread(descriptor, span.length, span.offset)
    except OSError as error:
        raise StoreUnavailable(f"a stored file could not be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(data) != span.length:
        raise StoreUnavailable("a stored file is shorter than it was")
    return data


async def _send_pieces(
    request: web.BaseRequest, response: web.StreamResponse, pieces: Iterable[bytes | Span]
) -> None:
    """Send pieces: small ones gathered, big files by sendfile; an error in the first can still be told."""
    waiting = bytearray()
    for piece in pieces:
        if isinstance(piece, Span) and piece.length > SMALL:
            descriptor = _open(piece)
            try:
                await response.prepare(request)
                if waiting:
                    await response.write(bytes(waiting))
                    waiting.clear()
                await _send_file(request, response, descriptor, piece)
            finally:
                os.close(descriptor)
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
    request: web.BaseRequest, response: web.StreamResponse, descriptor: int, span: Span
) -> None:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    sent = _push(transport, descriptor, span)
    if sent == span.length:
        return
    rest = span.offset + sent
    try:
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            sent += await asyncio.get_running_loop().sendfile(
                transport, file, rest, span.length - sent, fallback=False
            )
    except (asyncio.SendfileNotAvailableError, NotImplementedError, RuntimeError) as error:
        if isinstance(error.__cause__, ConnectionError | TimeoutError):
            raise ConnectionResetError("the client has gone") from error
        # TLS, or an event loop without sendfile.
        while sent < span.length:
            size = min(_CHUNK, span.length - sent)
            chunk = await asyncio.to_thread(os.pread, descriptor, size, span.offset + sent)
            if not chunk:
                break
            await response.write(chunk)
            sent += len(chunk)
    if sent != span.length or transport.is_closing():
        raise ConnectionResetError("the client has gone, or a stored file is shorter than it was")


def _push(transport: asyncio.Transport, descriptor: int, span: Span) -> int:
    """Send what the socket takes at once, often all: the loop is spared a round. Returns how many bytes."""
    plain = transport.get_extra_info("sslcontext") is None and not transport.is_closing()
    found = transport.get_extra_info("socket")
    if not plain or found is None or transport.get_write_buffer_size() or not hasattr(os, "sendfile"):
        return 0
    try:
        return os.sendfile(found.fileno(), descriptor, span.offset, span.length)
    except (BlockingIOError, InterruptedError):
        return 0
