"""Claims of many threads, made together: one transaction of the catalog for all that wait for one.

One rule: each caller gets the answer to its own claim, as if it had been alone.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from staticwado.ingest.publish import Claims, Uids


@dataclass(slots=True)
class _Round:
    """Claims that are made together."""

    instances: list[Uids] = field(default_factory=list)
    found: dict[str, Uids] | None = None
    error: Exception | None = None

    @property
    def over(self) -> bool:
        return self.found is not None or self.error is not None


class SharedClaims:
    """A catalog's claims, for all threads of a process."""

    def __init__(self, catalog: Claims) -> None:
        self._catalog = catalog
        self._changed = threading.Condition()
        self._next = _Round()
        self._busy = False

    def claim(self, instances: Iterable[Uids]) -> dict[str, Uids]:
        """As `Claims.claim`; raises what the catalog raises, to all that shared the transaction."""
        with self._changed:
            mine = self._next
            mine.instances += instances
            while not mine.over:
                if self._busy:
                    self._changed.wait()
                else:
                    self._make(mine)
        if mine.error is not None:
            raise mine.error
        return mine.found or {}

    def release(self, instances: Iterable[Uids]) -> None:
        """As `Claims.release`."""
        self._catalog.release(instances)

    def _make(self, round_: _Round) -> None:
        """Make the claims of a round, with the lock given back meanwhile."""
        self._busy, self._next = True, _Round()
        self._changed.release()
        try:
            found = self._catalog.claim(round_.instances)
        except Exception as error:
            round_.error = error
        else:
            round_.found = found
        finally:
            self._changed.acquire()
            self._busy = False
            if not round_.over:
                round_.error = RuntimeError("it was interrupted")
            self._changed.notify_all()
