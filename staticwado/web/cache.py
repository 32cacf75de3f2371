"""Small answers kept in memory, with their headers; bounded in bytes, never stale."""

import os
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from multidict import CIMultiDict

from staticwado.web.answer import Answer

_OVERHEAD = 2048
"""What an entry costs beside its body."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer and its headers."""

    answer: Answer
    headers: CIMultiDict[str]

    @property
    def cost(self) -> int:
        return _OVERHEAD + (len(self.answer.body) if isinstance(self.answer.body, bytes) else 0)


class AnswerCache:
    """Answers by request; one is given back only while the file that it was made from is unchanged."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()

    def get(self, key: Hashable) -> Kept | None:
        """The answer under `key`, if it still holds."""
        kept = self._kept.get(key)
        if kept is None or kept.answer.depends is None:
            return None
        path, stat = kept.answer.depends
        try:
            found = os.stat(path)
        except OSError:
            self._drop(key)
            return None
        absent = kept.answer.absent
        same = (
            found.st_mtime_ns == stat.mtime_ns and found.st_size == stat.size and found.st_ino == stat.inode
        )
        if not same or (absent is not None and os.path.exists(absent)):
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: Hashable, kept: Kept) -> None:
        """Keep an answer that depends on one file and takes no more than a sixteenth of the room."""
        if kept.answer.depends is None or kept.answer.status != 200 or kept.cost > self._size // 16:
            return
        self._drop(key)
        self._kept[key] = kept
        self._used += kept.cost
        while self._used > self._size:
            _, dropped = self._kept.popitem(last=False)
            self._used -= dropped.cost

    def _drop(self, key: Hashable) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._used -= dropped.cost
