"""Settling behind a server, in a process of its own: what is owed is made when it has been quiet for a while.

One rule: it may be killed at any moment, and nothing that a reader sees depends on it; one works at a time.
"""

import logging
import os
import time
from dataclasses import dataclass, field

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StaticWadoError
from staticwado.ingest.catalogue import rebuild, synchronise
from staticwado.ingest.settle import STUDIES_A_TIME, settle, settle_index
from staticwado.store.local import Stat

log = logging.getLogger("staticwado.ingest")

LOCK = "settler"
INDEX_QUIET = 5.0
"""How many times longer than for a study it must be quiet before the index of all studies is made."""
INDEX_SHARE = 20.0
"""The same in times of what the last making of it took."""
CATALOG_SECONDS = 30.0
"""Seconds between two looks at whether the catalog still fits, and after which one is told again that could
not be.
"""


@dataclass(slots=True)
class Settler:
    """Looks after one archive. `look` is called again and again; `finish` once, when the server ends."""

    archive: Archive
    catalog: Catalog | None
    after: float
    """Seconds without a new instance after which a study is settled."""
    _faulty: dict[str, Stat] = field(default_factory=dict)
    """Studies that could not be settled, and their journals then: the same again would not help."""
    _untold: dict[str, float] = field(default_factory=dict)
    """Studies that stayed owed, as the catalog could not be told of them, and when to try again."""
    _index_cost: float = 0.0
    _catalog_due: float = 0.0
    _index_stat: Stat | None = None

    def look(self) -> bool:
        """Do a piece of what is due; whether there is more to do at once."""
        try:
            return self._look_at_catalog() or self._settle_quiet() or self._settle_index()
        except (StaticWadoError, OSError) as error:
            log.warning("what is owed could not be made now: %s", error)
            return False

    def finish(self) -> None:
        """Make all that is owed, quiet or not."""
        try:
            settle(self.archive, catalog=self.catalog)
        except (StaticWadoError, OSError) as error:
            log.warning("what is owed stays owed: %s", error)

    def _settle_quiet(self) -> bool:
        now = time.time_ns()
        self._untold = {study: then for study, then in self._untold.items() if then > time.monotonic()}
        due: dict[str, Stat] = {}
        for study in self.archive.pending():
            stat = self.archive.pending_stat(study)
            if stat is None or self._faulty.get(study) == stat or study in self._untold:
                continue
            if not 0 <= now - stat.mtime_ns < self.after * 1e9:  # a clock that was set back counts as quiet
                due[study] = stat
            if len(due) == STUDIES_A_TIME:
                break
        if not due:
            return False
        done = settle(self.archive, due, self.catalog, index=False)
        for fault in done.faults:
            log.error("%s", fault)
        self._faulty.update((study, due[study]) for study in due.keys() - done.marks.keys())
        again = time.monotonic() + CATALOG_SECONDS
        self._untold.update(dict.fromkeys(done.untold, again))
        return len(due) == STUDIES_A_TIME

    def _settle_index(self) -> bool:
        stat = self.archive.store.stat(layout.PENDING_INDEX)
        if stat is None and self.archive.locate(Resource(View.STUDIES)) is not None:
            return False
        quiet = max(INDEX_QUIET * self.after, INDEX_SHARE * self._index_cost) * 1e9
        if stat is not None and 0 <= time.time_ns() - stat.mtime_ns < quiet:
            return False
        begun = time.monotonic()
        settle_index(self.archive, None if self._untold else self.catalog)
        self._index_cost = time.monotonic() - begun
        return False

    def _look_at_catalog(self) -> bool:
        """Make the catalog anew, or read what others have changed, if that is due."""
        if self.catalog is None or time.monotonic() < self._catalog_due:
            return False
        self._catalog_due = time.monotonic() + CATALOG_SECONDS
        if not self.catalog.is_complete():
            rebuild(self.archive, self.catalog)
            return True
        located = self.archive.locate(Resource(View.STUDIES))
        stat = located.stat if located is not None else None
        if stat == self._index_stat and self._index_stat is not None:
            return False
        self._index_stat = stat
        changed = synchronise(self.archive, self.catalog)
        if changed:
            log.info("%d studies that others have changed were read into the catalog", changed)
        return True


def is_writable(archive: Archive) -> bool:
    """Whether anything can be owed, or made, by this process."""
    folder = archive.store.path(layout.PRIVATE)
    return os.access(folder if os.path.isdir(folder) else archive.root, os.W_OK)
