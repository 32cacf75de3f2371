"""The server: from a request to its answer, over one archive.

One rule: errors become answers in one place, `Service.handle`; there is no middleware on the way.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import CIMultiDict

from staticwado.archive import Archive
from staticwado.dicomweb.media import accepts_gzip
from staticwado.dicomweb.resource import Resource, View, parse_path
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.search.engine import Engine
from staticwado.search.index import IndexReader
from staticwado.web import bulkdata, part10, qido, wado
from staticwado.web.answer import Answer, error_answer, json_answer
from staticwado.web.cache import AnswerCache, Kept
from staticwado.web.metrics import Metrics
from staticwado.web.options import ServerOptions
from staticwado.web.request import Wanted, acceptable, origin_of
from staticwado.web.responses import headers_of, send, status_of
from staticwado.web.viewer import Viewer

log = logging.getLogger("staticwado.web")

METHODS = "GET, HEAD, OPTIONS"
EXPOSED = "Content-Type, Content-Length, Content-Location, Content-Range, Accept-Ranges, ETag, Warning, Link"
_LONGEST_KEY = 4096
_ROOTS = frozenset({"studies", "series", "instances"})
_SEARCHES = frozenset({View.STUDIES, View.SERIES, View.INSTANCES})
_BLOCKING = frozenset({View.PART10, View.PIXELDATA, View.RENDERED, *_SEARCHES})
_MANY_FRAMES = 4
_CLIENT_GONE = 499
"""How a request counts whose client went away, as nginx has it."""
_RETRIEVE: Mapping[View, Callable[[Archive, Resource, Wanted], Answer]] = {
    View.METADATA: wado.metadata,
    View.DEDUPLICATED: wado.metadata,
    View.FRAMES: wado.frames,
    View.THUMBNAIL: wado.thumbnail,
    View.PART10: part10.part10,
    View.BULKDATA: bulkdata.bulkdata,
    View.PIXELDATA: bulkdata.pixeldata,
    View.RENDERED: bulkdata.rendered,
}


@dataclass(slots=True)
class _Note:
    """What is known of a request by the time that it fails."""

    view: str = "other"


class Service:
    """Answers requests; one a process."""

    def __init__(self, archive: Archive, options: ServerOptions, metrics: Metrics) -> None:
        self._archive = archive
        self._options = options
        self._metrics = metrics
        self._index = IndexReader(archive)
        self._engine = Engine(archive, self._index)
        self._viewer = Viewer(options, self._index)
        self._cache = AnswerCache(options.cache_size)
        self._server_prefix = options.server_prefix
        self._client_prefix = options.client_prefix
        self._public = options.public_url.rstrip("/") if options.public_url is not None else None
        self._any_origin = "*" in options.allowed_origins
        self._common = self._common_headers()

    def _common_headers(self) -> CIMultiDict[str]:
        """Headers of every answer: cross-origin isolation for the viewer, CORS, and no guessing of types."""
        headers = CIMultiDict(
            {
                "Server": "staticwado",
                "X-Content-Type-Options": "nosniff",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Embedder-Policy": "require-corp",
                "Cross-Origin-Resource-Policy": "cross-origin" if self._any_origin else "same-site",
                "Referrer-Policy": "same-origin",
            }
        )
        if self._any_origin:
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Expose-Headers"] = EXPOSED
        else:
            headers["Vary"] = "Origin"
        return headers

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        status, size = 500, 0
        note = _Note()
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

    async def _respond(self, request: web.BaseRequest, note: _Note) -> tuple[web.StreamResponse, int]:
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
        """`headers` for a page of the request's origin, where not every origin may read."""
        if self._any_origin:
            return headers
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self._options.allowed_origins:
            return headers
        headers = headers.copy()
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED
        return headers

    async def _kept(self, request: web.BaseRequest, note: _Note) -> Kept:
        """The answer and its headers: from memory if they still hold."""
        headers = request.headers
        key = None
        if request.method in ("GET", "HEAD"):
            ranged = hdrs.RANGE in headers
            origin = self._public or origin_of(request.scheme, request.host, self._listening(request))
            accept, encoding = headers.get(hdrs.ACCEPT), headers.get(hdrs.ACCEPT_ENCODING)
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

    def _listening(self, request: web.BaseRequest) -> str:
        name = request.transport.get_extra_info("sockname") if request.transport is not None else None
        if isinstance(name, tuple):
            return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
        return "localhost"

    async def _answer(self, request: web.BaseRequest, note: _Note) -> Answer:
        path = request.path
        dicomweb = self._below(self._server_prefix, path)
        client = self._below(self._client_prefix, path)
        if dicomweb is not None and self._is_dicomweb(dicomweb, client):
            return await self._dicomweb(request, dicomweb, note)
        if request.method == "OPTIONS":
            return self._options_answer(request)
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, f"{request.method} is not possible here", Allow=METHODS)
        if path == "/healthz":
            return await asyncio.to_thread(self._health)
        if path == "/metrics":
            return Answer("text/plain; version=0.0.4; charset=utf-8", self._metrics.text().encode(), vary="")
        if client is not None:
            ranged = hdrs.RANGE in request.headers
            gzip = not ranged and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING))
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

    def _options_answer(self, request: web.BaseRequest) -> Answer:
        """A CORS preflight, or what methods there are."""
        headers = {"Allow": METHODS}
        if "Access-Control-Request-Method" in request.headers:
            headers["Access-Control-Allow-Methods"] = METHODS
            headers["Access-Control-Max-Age"] = "86400"
            asked = request.headers.get("Access-Control-Request-Headers")
            if asked is not None and len(asked) <= _LONGEST_KEY:
                headers["Access-Control-Allow-Headers"] = asked
        return Answer("text/plain", b"", 204, vary="Access-Control-Request-Headers", headers=headers)

    async def _dicomweb(self, request: web.BaseRequest, path: str, note: _Note) -> Answer:
        if request.method == "OPTIONS":
            return self._options_answer(request)
        resource = parse_path(path)
        note.view = "search" if resource.view in _SEARCHES else resource.view.value
        if request.method not in ("GET", "HEAD"):
            later = "; storing comes with a later release" if request.method == "POST" else ""
            return error_answer(405, f"{request.method} is not possible here{later}", Allow=METHODS)
        parameters = request.rel_url.query
        origin = self._public or origin_of(request.scheme, request.host, self._listening(request))
        ranged = hdrs.RANGE in request.headers
        wanted = Wanted(
            acceptable(request.headers.get(hdrs.ACCEPT), parameters),
            not ranged and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING)),
            origin + self._server_prefix,
        )
        if resource.view in _SEARCHES:
            pairs = list(parameters.items())
            return await asyncio.to_thread(qido.search, self._archive, self._engine, resource, pairs, wanted)
        retrieve = _RETRIEVE[resource.view]
        if resource.view in _BLOCKING or len(resource.frames) > _MANY_FRAMES:
            return await asyncio.to_thread(retrieve, self._archive, resource, wanted)
        return retrieve(self._archive, resource, wanted)

    def _health(self) -> Answer:
        """Whether the archive can be read."""
        self._archive.read(Resource(View.MARKER))
        return json_answer({"status": "ok"})
