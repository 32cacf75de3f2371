"""How many store requests are worked on at once.

One rule: a request that finds no room is told so before anything of it is kept, and may come again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from staticwado.errors import Busy, StoreUnavailable
from staticwado.web.health import Health

LONGEST = 30.0
"""Seconds that a store request waits for its turn."""
_QUEUE = 4
"""How many times as many may wait as are worked on."""


class Gate:
    """Lets so many requests in at once; a few more wait."""

    def __init__(self, most: int, health: Health, longest: float = LONGEST) -> None:
        self._turns = asyncio.Semaphore(most)
        self._health = health
        self._longest = longest
        self._room = most * _QUEUE
        self._waiting = 0

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises Busy if none comes in time, StoreUnavailable if the disk is nearly full."""
        if self._health.is_full():
            raise StoreUnavailable("the disk is nearly full, so nothing is stored")
        if self._waiting >= self._room:
            raise Busy("too many store requests wait; try again later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._longest):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Busy(f"no turn to store came within {self._longest:g} seconds; try again later") from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()
