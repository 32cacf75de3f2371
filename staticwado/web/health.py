"""Whether the server can do its work, in words that anybody may read.

One rule: looking changes nothing, and says nothing of paths, names or numbers.
"""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StaticWadoError
from staticwado.layout import PENDING, PRIVATE
from staticwado.web.answer import Answer, json_answer

UNREADABLE = "the archive cannot be read"
UNWRITABLE = "the archive cannot be written"
FULL = "the disk is nearly full"
DRAINING = "the server is about to end"
SLOW = "the archive does not answer"

_LONGEST_LOOK = 5.0
"""Seconds that a look at the archive may take."""


@dataclass(slots=True)
class Health:
    """Looks at what serving and storing need."""

    archive: Archive
    storing: bool
    """Whether the server takes anything in."""
    min_free: int
    """Free bytes below which it takes nothing in."""
    draining: bool = False
    """Whether it was told to stop."""

    async def answer(self, query: str) -> Answer:
        """`?live`: the process answers. Nothing: the archive can be read. `?ready`: work can be taken on."""
        if query == "live":
            return health_answer(())
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                found = await asyncio.to_thread(self.troubles, ready=query == "ready")
        except TimeoutError:
            found = [SLOW]
        return health_answer(found)

    def troubles(self, *, ready: bool) -> list[str]:
        """What is wrong with reading and, for `ready`, with taking on work; blocks."""
        found = [] if self._is_readable() else [UNREADABLE]
        if ready and self.draining:
            found.append(DRAINING)
        if ready and self.storing:
            if not self._is_writable():
                found.append(UNWRITABLE)
            if self.is_full():
                found.append(FULL)
        return found

    def is_full(self) -> bool:
        """Whether there is too little room to store anything."""
        try:
            return self.free() < self.min_free
        except OSError:
            return False

    def free(self) -> float:
        """Free bytes on the disk of the archive. Raises OSError."""
        found = os.statvfs(self.archive.root)
        return float(found.f_bavail * found.f_frsize)

    def owed(self) -> float:
        """How many studies have summaries that are owed. Raises OSError."""
        try:
            with os.scandir(self.archive.store.path(PENDING)) as entries:
                return float(sum(1 for _ in entries))
        except FileNotFoundError:
            return 0.0

    def _is_readable(self) -> bool:
        try:
            self.archive.read(Resource(View.MARKER))
        except StaticWadoError:
            return False
        return True

    def _is_writable(self) -> bool:
        root = self.archive.store.path(PRIVATE)
        try:
            read_only = os.statvfs(self.archive.root).f_flag & os.ST_RDONLY
        except OSError:
            return False
        place = root if os.path.isdir(root) else str(self.archive.root)
        return not read_only and os.access(place, os.W_OK | os.X_OK)


def health_answer(troubles: Iterable[str]) -> Answer:
    """200 if there is no trouble, else 503 and what it is."""
    found = list(troubles)
    if not found:
        return json_answer({"status": "ok"}, Cache_Control="no-store")
    return json_answer({"status": "failing", "troubles": found}, 503, Cache_Control="no-store")
