"""What an archive owes: for each instance, what may be found of it.

One rule: what was begun may be there, what was acknowledged must be.
"""

import threading
from collections.abc import Callable
from typing import Any

GONE = ""
"""Instead of a SHA-256: the instance is not there."""
Owed = dict[str, frozenset[str]]
"""Study, series and instance UID, joined by slashes, to the SHA-256 of files that may be found there; GONE
among them where there may be none.
"""


class Promises:
    """What a workload has begun and was told; `told` hears each change before anything else happens."""

    def __init__(self, told: Callable[[Any], None] = lambda said: None) -> None:
        self._told = told
        self._lock = threading.Lock()
        self.owed: Owed = {}

    def begin(self, place: str, content: str) -> None:
        """`content` is about to be stored (GONE: removed)."""
        with self._lock:
            self._set(place, self.owed.get(place, frozenset([GONE])) | {content})

    def keep(self, place: str, content: str) -> None:
        """`content` was acknowledged."""
        with self._lock:
            self._set(place, frozenset([content]))

    def refuse(self, place: str, content: str) -> None:
        """`content` was refused for good: it must not be there."""
        with self._lock:
            left = self.owed[place] - {content}
            if left != {GONE}:
                self._set(place, left)
                return
            self.owed = {one: may for one, may in self.owed.items() if one != place}  # as if never begun
            self._told(self.owed)

    def forget(self, place: str) -> None:
        """Nothing was ever there."""
        with self._lock:
            self.owed = {one: may for one, may in self.owed.items() if one != place}
            self._told(self.owed)

    def _set(self, place: str, contents: frozenset[str]) -> None:
        self.owed = {**self.owed, place: contents}
        self._told(self.owed)
