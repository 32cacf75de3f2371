"""The server: from a request to its answer, over one archive.

One rule: errors become answers in one place, `Service.handle`; there is no middleware on the way.
"""

import asyncio
import logging
from dataclasses import replace
from functools import partial
from time import perf_counter_ns

from aiohttp import hdrs, web
from multidict import CIMultiDict

from staticwado.archive import Archive
from staticwado.dicomweb.media import accepts_gzip
from staticwado.errors import Busy, NotFound, StaticWadoError, StoreUnavailable
from staticwado.search.index import IndexReader
from staticwado.web import capabilities, wado_uri
from staticwado.web.accesslog import REQUEST_ID, AccessLog, Entry, RequestIds, named, request_id
from staticwado.web.answer import Answer, error_answer, json_answer, told
from staticwado.web.auth.guard import Guard, Target, for_person
from staticwado.web.auth.identity import ANYONE, Right
from staticwado.web.cache import AnswerCache, Kept
from staticwado.web.gate import Gate
from staticwado.web.health import Health
from staticwado.web.metrics import Metrics
from staticwado.web.options import ServerOptions
from staticwado.web.origins import METHODS, Origins, is_preflight, options_answer
from staticwado.web.replay import Replays
from staticwado.web.request import listed
from staticwado.web.responses import headers_of, send, status_of
from staticwado.web.studies import Note, Studies
from staticwado.web.viewer import Viewer

log = logging.getLogger("staticwado.web")

_LONGEST_KEY = 4096
_ROOTS = frozenset({"studies", "series", "instances", capabilities.OPENAPI_PATH})
_CLIENT_GONE = 499
"""How a request counts whose client went away, as nginx has it."""
_AGAIN = "5"
"""Seconds after which a client may ask again that was refused because of too much work."""


class Service:
    """Answers requests; one a process."""

    def __init__(self, archive: Archive, options: ServerOptions, metrics: Metrics) -> None:
        self._archive = archive
        self._options = options
        self._metrics = metrics
        self._index = IndexReader(archive)
        self._studies = Studies(archive, options, self._index)
        self._guard = Guard(options, self._studies.access)
        self._viewer = Viewer(options, self._studies.engine)
        self._cache = AnswerCache(options.cache_size)
        self._server_prefix = options.server_prefix
        self._client_prefix = options.client_prefix
        self._studies_path = f"{options.server_prefix}/studies/"
        self._is_plain = not options.client_prefix.startswith(self._studies_path[:-1])
        """Whether all that begins so is DICOMweb, and nothing else."""
        self._origins = Origins(options.allowed_origins)
        self._common = self._origins.common_headers()
        self._ids = RequestIds()
        file = options.access_log_file
        self._log = AccessLog(file) if options.access_log or file is not None else None
        self.health = Health(archive, options.store, options.min_free)
        self._replays = None
        if not self._guard.knows_people:
            self._replays = Replays(self._cache, metrics, self._ids, self._log)
        self.can_replay = self._replays is not None
        self._gate = Gate(options.max_stores, self.health)
        metrics.add_gauge("staticwado_owed_studies", "Studies whose summaries are owed.", self.health.owed)
        metrics.add_gauge("staticwado_free_bytes", "Free bytes on the archive's disk.", self.health.free)

    def close(self) -> None:
        """End the worker processes."""
        self._studies.close()
        self._guard.close()
        if self._log is not None:
            self._log.close()

    def replay(self, data: bytes, connection: web.RequestHandler) -> bool:
        """Answer a request whose bytes have come before; False if it must be read."""
        return self._replays is not None and self._replays.answer(data, connection)

    async def handle(self, request: web.BaseRequest, data: bytes | None = None) -> web.StreamResponse:
        """Answer one request, whatever happens; `data` are its bytes if they are known to be all of them."""
        begun = perf_counter_ns()
        self._ids.begin(request.headers.get(REQUEST_ID))
        self._metrics.begin()
        note = Note()
        status, size = 500, 0
        try:
            response, size = await self._guarded(request, note, data)
            status = response.status
            return response
        except asyncio.CancelledError:
            status = _CLIENT_GONE
            raise
        finally:
            self._metrics.end()
            self._count(request, note, status, size, perf_counter_ns() - begun)

    async def _guarded(
        self, request: web.BaseRequest, note: Note, data: bytes | None
    ) -> tuple[web.StreamResponse, int]:
        """The response and the bytes of its body; errors become answers."""
        try:
            return await self._respond(request, note, data)
        except ConnectionError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=_CLIENT_GONE), 0
        except StaticWadoError as error:
            status = status_of(error)
            if status >= 500:
                log.error("%s %s: %s", request.method, self._named(request), error)
            headers = {"Retry_After": _AGAIN} if isinstance(error, Busy) else {}
            if status == 401:
                headers["WWW_Authenticate"] = self._guard.challenge(request)
            return await self._fail(request, error_answer(status, told(error, status), note.view, **headers))
        except Exception:
            log.exception("%s %s failed", request.method, self._named(request))
            message = "the server made a mistake; its log says more"
            return await self._fail(request, error_answer(500, message, note.view))

    def _named(self, request: web.BaseRequest) -> str:
        return named(self._below(self._server_prefix, request.path))

    def _count(self, request: web.BaseRequest, note: Note, status: int, size: int, elapsed: int) -> None:
        received = request.content.total_bytes if request.body_exists else 0
        self._metrics.count(note.view, status, size, elapsed, received)
        if note.stored is not None or note.failed is not None:
            self._metrics.count_stored(note.stored or 0, note.failed or 0)
        if self._log is not None:
            self._log.write(self._entry(request, note, status, size, elapsed))

    def _entry(self, request: web.BaseRequest, note: Note, status: int, size: int, elapsed: int) -> Entry:
        return Entry(
            identity=request_id.get(),
            client=request.remote,
            method=request.method,
            path=request.path,
            below=self._below(self._server_prefix, request.path),
            view=note.view,
            status=status,
            received=request.content.total_bytes if request.body_exists else 0,
            sent=size,
            nanoseconds=elapsed,
            subject=note.subject,
            stored=note.stored,
            failed=note.failed,
        )

    def refused(self, request: web.BaseRequest, status: int, size: int) -> str:
        """Note what was no HTTP; returns its id."""
        name = self._ids.begin(None)
        self._metrics.count("other", status, size)
        if self._log is not None:
            self._log.write(Entry(name, request.remote, "other", "", None, "other", status, 0, size, 0))
        return name

    async def _respond(
        self, request: web.BaseRequest, note: Note, data: bytes | None
    ) -> tuple[web.StreamResponse, int]:
        try:
            kept = await self._kept(request, note)
            response, size = await self._send(request, kept.answer, kept.headers)
        except StoreUnavailable as error:
            if request.method not in ("GET", "HEAD") or isinstance(error, Busy):
                raise
            # A file may have been replaced between looking and opening: look once more.
            kept = await self._kept(request, note)
            response, size = await self._send(request, kept.answer, kept.headers)
        if data is not None and self._replays is not None and isinstance(kept.answer.body, bytes):
            entry = partial(self._entry, request, note, response.status, size, 0)
            self._replays.learn(data, request, kept, response, entry)
        return response, size

    async def _fail(self, request: web.BaseRequest, answer: Answer) -> tuple[web.StreamResponse, int]:
        return await self._send(request, answer, headers_of(answer, self._common))

    async def _send(
        self, request: web.BaseRequest, answer: Answer, headers: CIMultiDict[str]
    ) -> tuple[web.StreamResponse, int]:
        own = self._origins.headers_for(request.headers.get(hdrs.ORIGIN), headers)
        return await send(request, answer, own)

    async def _kept(self, request: web.BaseRequest, note: Note) -> Kept:
        """The answer and its headers: from memory if they still hold."""
        headers = request.headers
        scope = None
        if self._guard.lets_pass(request):
            note.identity = ANYONE
        else:
            note.identity = await self._guard.admit(request, self._target(request))
            note.subject = note.identity.subject or None
            scope = note.identity.scope(Right.READ)
        key = None
        if request.method in ("GET", "HEAD"):
            ranged = hdrs.RANGE in headers
            origin = self._studies.origin(request)
            accept, encoding = listed(headers, hdrs.ACCEPT), listed(headers, hdrs.ACCEPT_ENCODING)
            raw = request.raw_path
            if len(raw) + len(accept or "") + len(encoding or "") <= _LONGEST_KEY:
                # What is kept for one is only for those who may see the same.
                key = (raw, accept, encoding, ranged, origin, scope)
                kept = self._cache.get(key)
                if kept is not None:
                    note.view = kept.answer.view
                    return kept
        answer = await self._answer(request, note)
        note.view = answer.view
        kept = Kept(answer, for_person(headers_of(answer, self._common), note.identity), key)
        if key is not None:
            self._cache.put(key, kept)
        return kept

    async def _answer(self, request: web.BaseRequest, note: Note) -> Answer:
        path = request.path
        if request.method in ("GET", "HEAD") and wado_uri.is_wado_uri(
            self._server_prefix, path, request.rel_url.query
        ):
            return await self._studies.wado_uri(request, note)
        dicomweb = self._below(self._server_prefix, path)
        client = self._below(self._client_prefix, path)
        if dicomweb is not None and self._is_dicomweb(dicomweb, client):
            if request.method != "POST":
                return await self._studies.answer(request, dicomweb, note)
            async with self._gate.passed():
                return await self._studies.answer(request, dicomweb, note)
        if request.method == "OPTIONS":
            if path in (self._server_prefix, self._server_prefix + "/") and not is_preflight(request.headers):
                return self._studies.capabilities(request)
            return options_answer(request.headers)
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, f"{request.method} is not possible here", Allow=METHODS)
        if path == "/healthz":
            return await self.health.answer(request.rel_url.query_string)
        if path == "/metrics":
            accept = listed(request.headers, hdrs.ACCEPT)
            text, content_type = await asyncio.to_thread(self._metrics.text, accept)
            return Answer(content_type, text, vary="Accept")
        if client is not None:
            ranged = hdrs.RANGE in request.headers
            gzip = not ranged and accepts_gzip(listed(request.headers, hdrs.ACCEPT_ENCODING))
            scope = note.identity.scope(Right.READ)
            return self._framed(await asyncio.to_thread(self._viewer.answer, client, gzip, scope))
        if path == "/" or path == self._client_prefix:
            place = self._options.public_prefix + self._client_prefix + "/"
            return json_answer({"viewer": place}, 302, "viewer", Location=place)
        raise NotFound(f"there is nothing at {path[:200]}")

    def _target(self, request: web.BaseRequest) -> Target:
        """Where a request goes, for those who guard it; the same distinctions as in `_answer`."""
        path = request.path
        if self._is_plain and path.startswith(self._studies_path):
            return Target(dicomweb=path[len(self._server_prefix) + 1 :])
        if path in ("/healthz", "/metrics"):
            return Target(is_open=path == "/healthz", is_metrics=path == "/metrics")
        by_uri = wado_uri.is_wado_uri(self._server_prefix, path, request.rel_url.query)
        if by_uri and request.method in ("GET", "HEAD"):
            return Target(is_wado_uri=True)
        dicomweb, client = self._below(self._server_prefix, path), self._below(self._client_prefix, path)
        if dicomweb is not None and self._is_dicomweb(dicomweb, client):
            return Target(dicomweb=dicomweb)
        return Target(is_open=client is None or self._viewer.is_open(client))

    @staticmethod
    def _below(prefix: str, path: str) -> str | None:
        """What follows `prefix` and a slash in `path`; None if `path` is not below it."""
        if path.startswith(prefix) and path[len(prefix) :].startswith("/"):
            return path[len(prefix) + 1 :]
        return None

    def _is_dicomweb(self, dicomweb: str, client: str | None) -> bool:
        """Whether a path below the server path is meant for DICOMweb; the viewer may share the prefix."""
        if client is None or len(self._server_prefix) > len(self._client_prefix):
            return self._server_prefix != "" or dicomweb.split("/")[0] in _ROOTS
        if len(self._server_prefix) < len(self._client_prefix):
            return False
        return dicomweb.split("/")[0] in _ROOTS

    def _framed(self, page: Answer) -> Answer:
        """A page of the viewer, which only pages of this server and of named origins may show in a frame."""
        if not page.content_type.startswith("text/html"):
            return page
        origins = " ".join(("'self'", *(each for each in self._options.allowed_origins if each != "*")))
        own = page.headers.get("Content-Security-Policy")
        policy = "; ".join(filter(None, (own, f"frame-ancestors {origins}; base-uri 'self'")))
        return replace(page, headers={**page.headers, "Content-Security-Policy": policy})
