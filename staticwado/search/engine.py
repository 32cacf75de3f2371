"""Answers searches of studies, series and instances.

One rule: the only query answerer; every edge makes a `Query` and calls `Engine.search`. The matcher judges
every match that is returned, wherever it was found.
"""

import logging
from collections.abc import Callable
from time import monotonic

from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.catalog.lookup import is_complete
from staticwado.catalog.schema import Unusable
from staticwado.dicomweb.query import Query
from staticwado.errors import StoreUnavailable, TookTooLong
from staticwado.search.cut import CatalogSearch
from staticwado.search.index import IndexReader
from staticwado.search.scan import Effort, Found, Limits, Page, Search, too_long
from staticwado.search.sources import IndexFiles, Live

__all__ = ["Engine", "Found", "Limits", "Page"]

log = logging.getLogger("staticwado.search")


class Engine:
    """Searches one archive: by its catalog where there is one that can be used, else by its index files."""

    def __init__(
        self,
        archive: Archive,
        index: IndexReader | None = None,
        catalog: Catalog | None = None,
        live: Live | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._index = index or IndexReader(archive)
        self._catalog = catalog
        self._live = live
        self._limits = limits or Limits()
        self.is_damaged = False
        """The last search found the catalog damaged."""

    @property
    def has_catalog(self) -> bool:
        """Whether answers may hold what no index file does."""
        return self._catalog is not None

    def search(self, query: Query, is_unwanted: Callable[[], bool] | None = None) -> Page:
        """The page that `query` asks for, in the order of the index files.

        Holds one page and one index file of each level. `is_unwanted` says that nobody waits any more. Raises
        StoreUnavailable, TookTooLong, and TooMuch for a search that would read too many files.
        """
        effort = Effort(query, monotonic() + self._limits.seconds, is_unwanted)
        if self._catalog is not None:
            try:
                found = self._by_catalog(self._catalog, effort)
                self.is_damaged = False
            except Unusable as error:
                log.error("the catalog cannot be used, index files are read in its place: %s", error)
                self.is_damaged, found = True, None
            except StoreUnavailable as error:
                log.error("%s; index files are read in its place", error)
                found = None
            except TookTooLong as error:
                raise too_long() from error
            if found is not None:
                return found
        if self._live is not None:
            self._settle(self._live, query.study)
        return Search(IndexFiles(self._index), effort, self._limits).page()

    @staticmethod
    def _settle(live: Live, study: str | None) -> None:
        try:
            live.settle(study)
        except Unusable as error:
            log.error("the catalog cannot be used: %s", error)

    def _by_catalog(self, catalog: Catalog, effort: Effort) -> Page | None:
        """The page as the catalog has it; None while it is being made."""
        if self._live is not None:
            self._live.catch_up(effort.query.study)
        with catalog.reading(effort.deadline, effort.is_unwanted) as database:
            if not is_complete(database):
                return None
            return CatalogSearch(database, self._index, self._live, effort, self._limits).page()
