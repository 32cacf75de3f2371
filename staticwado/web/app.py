"""The server: from a request to its answer, over one archive.

One rule: errors become answers in one place, `Service.handle`; there is no middleware on the way.
"""

import asyncio
import logging

from aiohttp import hdrs, web
from multidict import CIMultiDict

from staticwado.archive import Archive
from staticwado.dicomweb.media import accepts_gzip
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.search.index import IndexReader
from staticwado.web import capabilities, wado_uri
from staticwado.web.answer import Answer, error_answer, json_answer
from staticwado.web.cache import AnswerCache, Kept
from staticwado.web.metrics import Metrics
from staticwado.web.options import ServerOptions
from staticwado.web.origins import METHODS, Origins, is_preflight, options_answer
from staticwado.web.request import listed
from staticwado.web.responses import headers_of, send, status_of
from staticwado.web.studies import Note, Studies
from staticwado.web.viewer import Viewer

log = logging.getLogger("staticwado.web")

_LONGEST_KEY = 4096
_ROOTS = frozenset({"studies", "series", "instances", capabilities.OPENAPI_PATH})
_CLIENT_GONE = 499
"""How a request counts whose client went away, as nginx has it."""


class Service:
    """Answers requests; one a process."""

    def __init__(self, archive: Archive, options: ServerOptions, metrics: Metrics) -> None:
        self._archive = archive
        self._options = options
        self._metrics = metrics
        self._index = IndexReader(archive)
        self._studies = Studies(archive, options, self._index)
        self._viewer = Viewer(options, self._index)
        self._cache = AnswerCache(options.cache_size)
        self._server_prefix = options.server_prefix
        self._client_prefix = options.client_prefix
        self._origins = Origins(options.allowed_origins)
        self._common = self._origins.common_headers()

    def close(self) -> None:
        """End the worker processes."""
        self._studies.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        status, size = 500, 0
        note = Note()
        try:
            response, size = await self._respond(request, note)
            status = response.status
            return response
        except ConnectionError:
            status = _CLIENT_GONE
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=_CLIENT_GONE)
        except asyncio.CancelledError:
            status = _CLIENT_GONE
            raise
        except StaticWadoError as error:
            status = status_of(error)
            if status == 503:
                log.error("%s %s: %s", request.method, request.path, error)
            return await self._fail(request, status, str(error))
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return await self._fail(request, 500, "the server made a mistake; its log says more")
        finally:
            self._metrics.count(note.view, status, size)

    async def _respond(self, request: web.BaseRequest, note: Note) -> tuple[web.StreamResponse, int]:
        try:
            kept = await self._kept(request, note)
            return await send(request, kept.answer, self._for_origin(request, kept.headers))
        except StoreUnavailable:
            # A file may have been replaced between looking and opening: look once more.
            kept = await self._kept(request, note)
            return await send(request, kept.answer, self._for_origin(request, kept.headers))

    async def _fail(self, request: web.BaseRequest, status: int, message: str) -> web.StreamResponse:
        answer = error_answer(status, message)
        headers = self._for_origin(request, headers_of(answer, self._common))
        response, _ = await send(request, answer, headers)
        return response

    def _for_origin(self, request: web.BaseRequest, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        return self._origins.headers_for(request.headers.get(hdrs.ORIGIN), headers)

    async def _kept(self, request: web.BaseRequest, note: Note) -> Kept:
        """The answer and its headers: from memory if they still hold."""
        headers = request.headers
        key = None
        if request.method in ("GET", "HEAD"):
            ranged = hdrs.RANGE in headers
            origin = self._studies.origin(request)
            accept, encoding = listed(headers, hdrs.ACCEPT), listed(headers, hdrs.ACCEPT_ENCODING)
            raw = request.raw_path
            if len(raw) + len(accept or "") + len(encoding or "") <= _LONGEST_KEY:
                key = (raw, accept, encoding, ranged, origin)
                kept = self._cache.get(key)
                if kept is not None:
                    note.view = kept.answer.view
                    return kept
        answer = await self._answer(request, note)
        note.view = answer.view
        kept = Kept(answer, headers_of(answer, self._common))
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
            return await self._studies.answer(request, dicomweb, note)
        if request.method == "OPTIONS":
            if path in (self._server_prefix, self._server_prefix + "/") and not is_preflight(request.headers):
                return self._studies.capabilities(request)
            return options_answer(request.headers)
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, f"{request.method} is not possible here", Allow=METHODS)
        if path == "/healthz":
            return await asyncio.to_thread(self._health)
        if path == "/metrics":
            return Answer("text/plain; version=0.0.4; charset=utf-8", self._metrics.text().encode(), vary="")
        if client is not None:
            ranged = hdrs.RANGE in request.headers
            gzip = not ranged and accepts_gzip(listed(request.headers, hdrs.ACCEPT_ENCODING))
            return await asyncio.to_thread(self._viewer.answer, client, gzip)
        if path == "/" or path == self._client_prefix:
            place = self._options.public_prefix + self._client_prefix + "/"
            return json_answer({"viewer": place}, 302, "viewer", Location=place)
        raise NotFound(f"there is nothing at {path[:200]}")

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

    def _health(self) -> Answer:
        """Whether the archive can be read."""
        self._archive.read(Resource(View.MARKER))
        return json_answer({"status": "ok"})
