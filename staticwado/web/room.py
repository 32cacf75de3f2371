"""Memory that requests share: who needs much of it waits until others have done.

One rule: first come, first served; nobody who needs little overtakes somebody who needs much for ever.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from staticwado.errors import Busy, TooMuch

_TIMES, _LEAST = 8, 16 << 20
_PICTURES = 1 << 30


class Room:
    """So many bytes, for all threads of a process."""

    def __init__(self, size: int, longest: float = 60.0) -> None:
        """`longest`: the seconds after which somebody who waits is told to come again."""
        self.size = size
        self._longest = longest
        self._used = 0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def taken(self, size: int, what: str) -> Iterator[None]:
        """Have `size` bytes while the context lasts. Raises TooMuch if that is more than there are, Busy."""
        if size > self.size:
            raise TooMuch(f"{what} needs more memory than one may have (maxDataset)")
        self._enter(size)
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()

    def _enter(self, size: int) -> None:
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                fits = self._changed.wait_for(
                    lambda: self._waiting[0] is turn and self._used + size <= self.size, self._longest
                )
                if not fits:
                    raise Busy("too much is being stored at the same time; nothing of this was")
                self._used += size
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Rooms:
    """What data sets in DICOM JSON or XML may take, and the pictures among their bulkdata.

    Whoever has of the first may ask for the second, never the other way: nobody waits in a circle.
    """

    datasets: Room
    pictures: Room

    @classmethod
    def of(cls, limit: int) -> "Rooms":
        """For metadata of so many bytes in each request."""
        return cls(Room(max(_TIMES * limit, _LEAST)), Room(_PICTURES))
