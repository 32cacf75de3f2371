"""The intake, as the event loop sees it: what is small is handed over and waited for without a thread.

One rule: the loop is woken once for all who were taken in together.
"""

import asyncio
import threading
from collections.abc import Sequence

from staticwado.ingest.batch import Terms
from staticwado.ingest.intake import Intake
from staticwado.ingest.outcome import Outcome
from staticwado.ingest.source import AnySource

_Future = asyncio.Future[list[Outcome]]


class Taking:
    """Hands sources to an intake, for one event loop."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self._lock = threading.Lock()
        self._done: list[tuple[_Future, list[Outcome]]] = []

    async def take(self, sources: Sequence[AnySource], terms: Terms) -> list[Outcome]:
        """What `Intake.take` gives, of sources that are small and in memory."""
        loop = asyncio.get_running_loop()
        future: _Future = loop.create_future()

        def tell(outcomes: list[Outcome]) -> None:
            with self._lock:
                self._done.append((future, outcomes))
                is_first = len(self._done) == 1
            if is_first:
                loop.call_soon_threadsafe(self._deliver)

        self.intake.submit(sources, terms, tell)
        return await future

    def _deliver(self) -> None:
        with self._lock:
            done, self._done = self._done, []
        for future, outcomes in done:
            if not future.done():  # its client may have gone
                future.set_result(outcomes)
