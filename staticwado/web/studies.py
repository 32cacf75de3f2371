"""The Studies service (PS3.18 chapter 10): from a path below it to an answer.

One rule: who may do what is decided here, before anything is looked for; the functions behind do as told.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import hdrs, web

from staticwado.archive import Archive
from staticwado.dicomweb.media import accepts_gzip
from staticwado.dicomweb.query import Query
from staticwado.dicomweb.resource import Resource, View, parse_path
from staticwado.errors import BadRequest, NotFound
from staticwado.ingest.catalogue import open_catalog
from staticwado.ingest.intake import Intake, IntakeOptions
from staticwado.ingest.live import Live
from staticwado.search.engine import Engine, Limits
from staticwado.search.index import IndexReader
from staticwado.web import (
    capabilities,
    delete,
    frames,
    levels,
    metadata,
    part10,
    qido,
    rendered,
    stow,
    thumbnails,
    wado_uri,
)
from staticwado.web.answer import Answer, Later, error_answer
from staticwado.web.auth.access import Access
from staticwado.web.auth.identity import NOBODY, Identity, Right
from staticwado.web.options import ServerOptions
from staticwado.web.origins import METHODS, is_preflight, options_answer
from staticwado.web.request import Wanted, acceptable, check_charset, listed, origin_of
from staticwado.web.results import Results
from staticwado.web.room import Rooms
from staticwado.web.taking import Taking
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
    subject: str | None = None
    """Who asks."""
    identity: Identity = NOBODY
    """Who asks, and what they may do."""
    stored: int | None = None
    """How many instances a store request brought in, or found to be in."""
    failed: int | None = None
    """How many it did not."""


class Studies:
    """Answers what is below the path of the DICOMweb service."""

    def __init__(self, archive: Archive, options: ServerOptions, index: IndexReader) -> None:
        self._archive = archive
        self._options = options
        self.access = Access(self.finds, lambda study: next(archive.series(study), None) is not None)
        self._catalog = open_catalog(str(options.catalog_file))
        self._live = Live(archive, self._catalog)
        limits = Limits(options.max_results, options.search_timeout)
        self._engine = Engine(archive, index, self._catalog, self._live, limits)
        self._intake = Intake(archive, IntakeOptions(options.on_conflict), self._catalog)
        self._taking = Taking(self._intake)
        self._rooms = Rooms.of(options.max_dataset)
        self._workers = Workers(options.decoders, options.decode_timeout)
        self._makers = ThreadPoolExecutor(_MAKERS, "making")
        self._storing = ThreadPoolExecutor(min(options.max_stores, _MAKERS), "storing")
        folder = str(options.results_folder)
        self._results = Results(folder, options.result_cache_size, options.workers)
        self._prefix = options.server_prefix
        self._public = options.public_url.rstrip("/") if options.public_url is not None else None

    def close(self) -> None:
        """End the worker processes."""
        self._workers.close()
        self._makers.shutdown(wait=False, cancel_futures=True)
        self._storing.shutdown()
        self._intake.close()
        if self._catalog is not None:
            self._catalog.close()

    @property
    def engine(self) -> Engine:
        """What answers searches."""
        return self._engine

    def finds(self, query: Query) -> bool:
        """Whether a search finds anything; blocks."""
        return bool(self._engine.search(query).found)

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
            self._live,
        )

    async def wado_uri(self, request: web.BaseRequest, note: Note) -> Answer:
        """Answer a request of WADO-URI (PS3.18 chapter 9)."""
        note.view = View.RENDERED.value
        wanted = self._wanted(request)
        try:
            return await self._made(wado_uri.wado_uri(self._archive, wanted))
        except NotFound as error:
            raise delete.explain_missing(self._archive, delete.named_by(wanted.parameters), error) from error

    def capabilities(self, request: web.BaseRequest) -> Answer:
        """Describe the whole service (PS3.18 8.9)."""
        return capabilities.capabilities("", self._wanted(request), capabilities.table(self._options))

    async def answer(self, request: web.BaseRequest, path: str, note: Note) -> Answer:
        """Answer a request for `path`, which is relative to the service."""
        if "%2f" in request.rel_url.raw_path.lower():
            raise NotFound("a slash that is written %2F is no part of any name here")
        if request.method == "OPTIONS":
            if is_preflight(request.headers):
                return options_answer(request.headers, self._methods_at(path))
            table, methods = capabilities.table(self._options), self._methods_at(path)
            return capabilities.capabilities(path, self._wanted(request), table, methods)
        if path == capabilities.OPENAPI_PATH and request.method in ("GET", "HEAD"):
            return capabilities.openapi_document(self._wanted(request), capabilities.table(self._options))
        resource = parse_path(path)
        note.view = "search" if resource.view in _SEARCHES else resource.view.value
        note.study = resource.study
        if request.method not in ("GET", "HEAD"):
            return await self._change(request, resource, note)
        try:
            return await self._retrieve(request, resource, note)
        except NotFound as error:
            raise await asyncio.to_thread(delete.explain_missing, self._archive, resource, error) from error

    async def _retrieve(self, request: web.BaseRequest, resource: Resource, note: Note) -> Answer:
        """Answer a request that only reads."""
        wanted = self._wanted(request)
        if resource.view in _SEARCHES:
            pairs, scope = list(request.rel_url.query.items()), note.identity.scope(Right.READ)
            return await asyncio.to_thread(
                qido.search,
                self._archive,
                self._engine,
                resource,
                pairs,
                wanted,
                scope,
                lambda: request.transport is None,
            )
        retrieve = _RETRIEVE[resource.view]
        if resource.view in _BLOCKING or len(resource.frames) > _MANY_FRAMES:
            return await self._made(await asyncio.to_thread(retrieve, self._archive, resource, wanted))
        return await self._made(retrieve(self._archive, resource, wanted))

    async def _change(self, request: web.BaseRequest, resource: Resource, note: Note) -> Answer:
        """Answer a request that is to change the archive, or none that is known."""
        methods = self.methods(resource)
        if request.method == "POST" and "POST" in methods:
            note.view = "store"
            allows = self.access.storing(note.identity)
            wanted = self._wanted(request)
            stored = await stow.store(
                request, resource, self._taking, self._options, wanted, allows, self._storing, self._rooms
            )
            note.stored, note.failed = stored.stored, stored.failed
            return stored.answer
        if request.method == "DELETE" and "DELETE" in methods:
            note.view = "delete"
            retention = timedelta(days=self._options.trash_retention)
            return await asyncio.to_thread(
                delete.delete, self._archive, resource, note.subject or "", retention, self._catalog
            )
        return error_answer(405, f"{request.method} is not possible here", Allow=methods)

    def _methods_at(self, path: str) -> str:
        """The methods at a path, which may be the service's own or no resource's."""
        try:
            return self.methods(parse_path(path))
        except (BadRequest, NotFound):
            return METHODS

    def methods(self, resource: Resource) -> str:
        """The methods that `resource` takes, as Allow lists them."""
        storable = self._options.store and stow.is_storable(resource)
        deletable = self._options.delete and delete.is_deletable(resource)
        return METHODS + (", POST" if storable else "") + (", DELETE" if deletable else "")

    async def _made(self, found: Answer | Later) -> Answer:
        """The answer itself; one that takes time is waited for in threads that nothing else needs."""
        if not isinstance(found, Later):
            return found
        return await asyncio.get_running_loop().run_in_executor(self._makers, found.make)
