"""The Studies service (PS3.18 chapter 10): from a path below it to an answer.

One rule: who may do what is decided here, before anything is looked for; the functions behind do as told.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiohttp import hdrs, web

from staticwado.archive import Archive
from staticwado.dicomweb.media import accepts_gzip
from staticwado.dicomweb.resource import Resource, View, parse_path
from staticwado.errors import NotFound
from staticwado.search.engine import Engine
from staticwado.search.index import IndexReader
from staticwado.web import (
    capabilities,
    frames,
    levels,
    metadata,
    part10,
    qido,
    rendered,
    thumbnails,
    wado_uri,
)
from staticwado.web.answer import Answer, Later, error_answer
from staticwado.web.options import ServerOptions
from staticwado.web.origins import METHODS, is_preflight, options_answer
from staticwado.web.request import Wanted, acceptable, check_charset, listed, origin_of
from staticwado.web.results import Results
from staticwado.web.workers import Workers

_SEARCHES = frozenset({View.STUDIES, View.SERIES, View.INSTANCES})
_BLOCKING = frozenset({View.PART10, View.PIXELDATA, *_SEARCHES})
_MANY_FRAMES = 4
_MAKERS = 64
"""Answers that may be waited for at the same time while worker processes make them."""
_RETRIEVE: Mapping[View, Callable[[Archive, Resource, Wanted], Answer | Later]] = {
    View.METADATA: metadata.metadata,
    View.DEDUPLICATED: metadata.deduplicated,
    View.FRAMES: frames.frames,
    View.THUMBNAIL: thumbnails.thumbnail,
    View.PART10: part10.part10,
    View.BULKDATA: levels.bulkdata,
    View.PIXELDATA: levels.pixeldata,
    View.RENDERED: rendered.rendered,
}


@dataclass(slots=True)
class Note:
    """What is known of a request by the time that it fails."""

    view: str = "other"
    study: str | None = None


class Studies:
    """Answers what is below the path of the DICOMweb service."""

    def __init__(self, archive: Archive, options: ServerOptions, index: IndexReader) -> None:
        self._archive = archive
        self._engine = Engine(archive, index)
        self._workers = Workers(options.decoders, options.decode_timeout)
        self._makers = ThreadPoolExecutor(_MAKERS, "making")
        folder = str(options.results_folder)
        self._results = Results(folder, options.result_cache_size, options.workers)
        self._prefix = options.server_prefix
        self._public = options.public_url.rstrip("/") if options.public_url is not None else None

    def close(self) -> None:
        """End the worker processes."""
        self._workers.close()
        self._makers.shutdown(wait=False, cancel_futures=True)

    def origin(self, request: web.BaseRequest) -> str:
        """The origin that the client sees, as far as can be told."""
        if self._public is not None:
            return self._public
        # Not `request.host`: without the header that asks the DNS for this machine's name.
        host = request.headers.get(hdrs.HOST)
        return origin_of(request.scheme, host, lambda: self._listening(request))

    @staticmethod
    def _listening(request: web.BaseRequest) -> str:
        name = request.transport.get_extra_info("sockname") if request.transport is not None else None
        if isinstance(name, tuple):
            return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
        return "localhost"

    def _wanted(self, request: web.BaseRequest) -> Wanted:
        """What the client asked for. Raises BadRequest."""
        parameters, headers = request.rel_url.query, request.headers
        check_charset(parameters)
        return Wanted(
            acceptable(listed(headers, hdrs.ACCEPT), parameters),
            hdrs.RANGE not in headers and accepts_gzip(listed(headers, hdrs.ACCEPT_ENCODING)),
            self.origin(request) + self._prefix,
            self._workers,
            self._results,
            tuple(parameters.items()),
        )

    async def wado_uri(self, request: web.BaseRequest, note: Note) -> Answer:
        """Answer a request of WADO-URI (PS3.18 chapter 9)."""
        note.view = View.RENDERED.value
        return await self._made(wado_uri.wado_uri(self._archive, self._wanted(request)))

    def capabilities(self, request: web.BaseRequest) -> Answer:
        """Describe the whole service (PS3.18 8.9)."""
        return capabilities.capabilities("", self._wanted(request))

    async def answer(self, request: web.BaseRequest, path: str, note: Note) -> Answer:
        """Answer a request for `path`, which is relative to the service."""
        if "%2f" in request.rel_url.raw_path.lower():
            raise NotFound("a slash that is written %2F is no part of any name here")
        if request.method == "OPTIONS":
            if is_preflight(request.headers):
                return options_answer(request.headers)
            return capabilities.capabilities(path, self._wanted(request))
        if path == capabilities.OPENAPI_PATH and request.method in ("GET", "HEAD"):
            return capabilities.openapi_document(self._wanted(request))
        resource = parse_path(path)
        note.view = "search" if resource.view in _SEARCHES else resource.view.value
        note.study = resource.study
        if request.method not in ("GET", "HEAD"):
            later = "; storing comes with a later release" if request.method == "POST" else ""
            return error_answer(405, f"{request.method} is not possible here{later}", Allow=METHODS)
        wanted = self._wanted(request)
        if resource.view in _SEARCHES:
            pairs = list(request.rel_url.query.items())
            return await asyncio.to_thread(qido.search, self._archive, self._engine, resource, pairs, wanted)
        retrieve = _RETRIEVE[resource.view]
        if resource.view in _BLOCKING or len(resource.frames) > _MANY_FRAMES:
            return await self._made(await asyncio.to_thread(retrieve, self._archive, resource, wanted))
        return await self._made(retrieve(self._archive, resource, wanted))

    async def _made(self, found: Answer | Later) -> Answer:
        """The answer itself; one that takes time is waited for in threads that nothing else needs."""
        if not isinstance(found, Later):
            return found
        return await asyncio.get_running_loop().run_in_executor(self._makers, found.make)
