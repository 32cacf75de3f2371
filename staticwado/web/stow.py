"""Storing (STOW-RS, PS3.18 10.5): from the body of a request to instances in the archive, and the answer.

One rule: an answer is made of the outcomes that ingest gave, after it gave them; nothing is stored of a body
that cannot be read to its end.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import orjson
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from staticwado.dicom.xmlmodel import to_xml
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.dicomweb.routes import DICOM_XML, JSON
from staticwado.dicomweb.store_request import Form, StoreRequest, read_content_type
from staticwado.dicomweb.store_response import StoreResult, store_response, store_status
from staticwado.errors import BadRequest, Busy, StoreUnavailable, TooMuch
from staticwado.ingest.batch import Terms
from staticwado.ingest.intake import Intake
from staticwado.ingest.outcome import Outcome, Reason
from staticwado.ingest.source import BytesSource, FileSource
from staticwado.ingest.write import Allows
from staticwado.store.local import Staging
from staticwado.web.answer import DICOM_JSON, Answer
from staticwado.web.assembling import Assembler
from staticwado.web.options import ServerOptions
from staticwado.web.request import Wanted, listed
from staticwado.web.room import Rooms
from staticwado.web.spool import Limits, Spool
from staticwado.web.taking import Taking

log = logging.getLogger("staticwado.web")

T = TypeVar("T")

OFFERS = (Offer(DICOM_JSON, also=(JSON,)), Offer(DICOM_XML, also=("application/xml", "text/xml")))
_HOP = 1 << 20
"""Bytes that are gathered before a thread takes them."""
_FEW = 100
"""Parts that are looked for without a thread."""
_RETRY = "30"
"""Seconds after which a client may try again where there was no room."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a request to store."""

    answer: Answer
    stored: int
    """How many instances are in."""
    failed: int


def is_storable(resource: Resource) -> bool:
    """Whether instances can be posted to `resource`: `/studies`, a study, or `/instances` (older tools)."""
    if resource.study is None:
        return resource.view in (View.STUDIES, View.INSTANCES)
    return resource.view is View.PART10 and resource.series is None


async def store(
    request: web.BaseRequest,
    resource: Resource,
    taking: Taking,
    options: ServerOptions,
    wanted: Wanted,
    allows: Allows | None = None,
    threads: Executor | None = None,
    rooms: Rooms | None = None,
) -> Stored:
    """Store what the request brings. What can be refused by its headers is refused before the body is read.

    `threads` wait for the disk, so that those of readers need not. `rooms` bound the memory of all requests.

    Raises UnsupportedMedia, BadRequest, TooMuch, NotAcceptable, Busy; then nothing was stored.
    """
    offer = choose(wanted.ranges, OFFERS)
    content_type = listed(request.headers, hdrs.CONTENT_TYPE)
    asked = read_content_type(content_type)
    limits = Limits(options.max_body, options.max_part, options.max_parts, options.max_dataset)
    if (request.content_length or 0) > limits.body:
        raise TooMuch(f"the body has more than {limits.body} bytes (maxBody)")
    encoding = listed(request.headers, hdrs.CONTENT_ENCODING)
    terms = Terms(resource.study, allows)
    storing = Storing(taking.intake, asked, limits, encoding, content_type, wanted, terms)
    storing.rooms = rooms or Rooms.of(options.max_dataset)
    storing.base = f"{wanted.root}/{format_path(resource)}"
    try:
        _expect(request)
        results = await _receive(request, storing, taking, threads)
    except StoreUnavailable as error:
        log.error("a body could not be received: %s", error)
        raise Busy("there is no room for the body now; nothing of it was stored") from error
    finally:
        if storing.is_open:
            await _in_thread(threads, storing.close)
    failed = sum(1 for one in results if one.failure)
    return Stored(
        _answer(results, wanted.root, resource.study, offer.media_type), len(results) - failed, failed
    )


async def _in_thread(threads: Executor | None, function: Callable[..., T], *args: object) -> T:
    """What `function` gives in a thread; when the client goes away, it is waited for all the same."""
    call = partial(copy_context().run, function, *args)
    task = asyncio.get_running_loop().run_in_executor(threads, call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # The files must not be taken away from a thread that writes them.
        with contextlib.suppress(Exception):
            await task
        raise


def _expect(request: web.BaseRequest) -> None:
    """Ask for the body if the client waits for that (RFC 9110 10.1.1)."""
    expected = request.headers.get(hdrs.EXPECT)
    if expected is not None and expected.lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _receive(
    request: web.BaseRequest, storing: "Storing", taking: Taking, threads: Executor | None
) -> list[StoreResult]:
    """Spool the body, then take it in; a small one of files is not spooled, nor taken in by itself."""
    waiting = bytearray()
    try:
        while chunk := await request.content.readany():
            waiting += chunk
            if len(waiting) >= _HOP:
                await _in_thread(threads, storing.feed, bytes(waiting))
                waiting.clear()
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise BadRequest("the body ends before its end: nothing of it was stored") from error
    body = bytes(waiting)
    if not storing.is_simple(body):
        return await _in_thread(threads, storing.take, body)
    sources = storing.sources(body)
    outcomes = await taking.take(sources, storing.terms)
    return [_result(source.name, one) for source, one in zip(sources, outcomes, strict=True)]


class Storing:
    """One request's storing; every method blocks."""

    def __init__(
        self,
        intake: Intake,
        asked: StoreRequest,
        limits: Limits,
        encoding: str | None,
        content_type: str | None,
        wanted: Wanted,
        terms: Terms,
    ) -> None:
        self.terms = terms
        self._intake = intake
        self._asked = asked
        self._limits = limits
        self._headers = encoding, content_type
        self._wanted = wanted
        self._staging: Staging | None = None
        self._spool: Spool | None = None
        self.rooms = Rooms.of(limits.dataset)
        self.base = ""
        """The URL of the request, from which relative URIs in it are resolved."""

    @property
    def is_open(self) -> bool:
        """Whether something is there that `close` removes."""
        return self._staging is not None

    def is_simple(self, body: bytes) -> bool:
        """Whether `body`, all of it, is a few files as they are."""
        boundary = self._asked.boundary
        return (
            not self.is_open
            and self._asked.form is Form.DICOM
            and self._headers[0] is None
            and (boundary is None or body.count(boundary.encode("utf-8")) <= _FEW)
        )

    def sources(self, body: bytes) -> list[BytesSource]:
        """The parts of a simple body, in memory. Raises BadRequest, TooMuch."""
        spool = Spool(self._asked, None, self._limits, *self._headers)
        if body:
            spool.feed(body)
        return [BytesSource(f"part {part.number}", b"".join(part.pieces)) for part in spool.finish()]

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises BadRequest, UnsupportedMedia, TooMuch, StoreUnavailable."""
        self._opened()[1].feed(data)

    def take(self, data: bytes) -> list[StoreResult]:
        """Take the last bytes, and all of it in; then nothing is open. Raises as `feed` does."""
        try:
            return self._taken(data)
        finally:
            self.close()

    def _taken(self, data: bytes) -> list[StoreResult]:
        staging, spool = self._opened()
        if data:
            spool.feed(data)
        parts = spool.finish()
        if self._asked.form is Form.DICOM:
            return self._take([(f"part {part.number}", _source(staging, part.name)) for part in parts])
        workers = self._wanted.workers
        assembler = Assembler(self._asked.form, staging, parts, self.base, workers, self.rooms)
        results: list[StoreResult] = []
        sources = []
        for number, made in enumerate(assembler.instances(self._limits.parts), 1):
            if isinstance(made, StoreResult):
                results.append(made)
            else:
                sources.append((f"data set {number}", _source(staging, made)))
        return results + self._take(sources)

    def _take(self, sources: Sequence[tuple[str, FileSource]]) -> list[StoreResult]:
        files = [source for _, source in sources]
        outcomes = self._intake.take(files, self.terms.study, self.terms.allows)
        return [_result(name, outcome) for (name, _), outcome in zip(sources, outcomes, strict=True)]

    def _opened(self) -> tuple[Staging, Spool]:
        """Where the parts are, and what puts them there; made when it is first needed."""
        if self._staging is None:
            self._staging = self._intake.staging()
        if self._spool is None:
            self._spool = Spool(self._asked, self._staging, self._limits, *self._headers)
        return self._staging, self._spool

    def close(self) -> None:
        """Remove what is left."""
        spool, staging = self._spool, self._staging
        self._spool = self._staging = None
        if spool is not None:
            spool.close()
        if staging is not None:
            staging.close()


def _source(staging: Staging, name: str) -> FileSource:
    path = staging.path(name)
    found = os.stat(path)
    return FileSource(path, found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino), named=True)


def _result(name: str, outcome: Outcome) -> StoreResult:
    """What to answer of one instance; the reason in words goes to the log alone."""
    failure = 0 if outcome.ok else int(outcome.reason or Reason.CANNOT_UNDERSTAND)
    if failure:
        log.info("%s was not stored (%04X): %s", name, failure, outcome.detail)
    return StoreResult(
        outcome.study,
        outcome.series,
        outcome.instance,
        outcome.sop_class,
        failure,
        int(outcome.warning or 0),
    )


def _answer(results: Sequence[StoreResult], root: str, study: str | None, media_type: str) -> Answer:
    """The answer to what became of the instances (PS3.18 10.5.3)."""
    module = store_response(results, root, study)
    status = store_status(results)
    headers = {"Cache-Control": "no-store"}
    url = module["00081190"].get("Value")
    if url and status < 400:
        headers["Location"] = url[0]
    if status == 503:
        headers["Retry-After"] = _RETRY
    body = to_xml(module) if media_type == DICOM_XML else orjson.dumps(module)
    return Answer(media_type, body, status, vary="Accept", headers=headers, view="store")
