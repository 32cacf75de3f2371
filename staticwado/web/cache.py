"""Small answers kept in memory, with their headers; bounded in bytes, never stale."""

import os
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDict

from staticwado.web.answer import Answer

_OVERHEAD = 2048
"""What an entry costs beside its body."""
MOST_REQUESTS = 16
"""Requests by whose bytes one answer is found: those of different browsers."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer and its headers."""

    answer: Answer
    headers: CIMultiDict[str]
    key: Hashable = None
    """What it is kept under; None if it is not to be kept."""
    requests: list[bytes] = field(default_factory=list)
    """The requests to which it is prepared."""

    @property
    def cost(self) -> int:
        return _OVERHEAD + (len(self.answer.body) if isinstance(self.answer.body, bytes) else 0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is sent to a request whose bytes are known."""

    kept: Kept
    head: bytes
    """Status line and headers, but for those that are new in every answer."""
    body: bytes
    status: int
    view: str
    line: Mapping[str, Any] | None = None
    """What the access log tells of such a request."""

    def cost(self, request: bytes) -> int:
        """Bytes that it takes beside the answer itself."""
        return _OVERHEAD + len(request) + len(self.head)


class AnswerCache:
    """Answers by request; one is given back only while the file that it was made from is unchanged."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._prepared: dict[bytes, Prepared] = {}

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
        self._make_room()

    def prepare(self, request: bytes, prepared: Prepared) -> None:
        """Find `prepared` by the bytes of a request from now on, for as long as its answer is kept."""
        kept = prepared.kept
        is_kept = kept.key is not None and self._kept.get(kept.key) is kept
        if not is_kept or request in self._prepared or len(kept.requests) >= MOST_REQUESTS:
            return
        self._prepared[request] = prepared
        kept.requests.append(request)
        self._used += prepared.cost(request)
        self._make_room()

    def recall(self, request: bytes) -> Prepared | None:
        """What is prepared for a request with these bytes, if it still holds."""
        prepared = self._prepared.get(request)
        if prepared is None or self.get(prepared.kept.key) is not prepared.kept:
            return None
        return prepared

    def _make_room(self) -> None:
        while self._used > self._size:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is None:
            return
        self._used -= dropped.cost
        for request in dropped.requests:
            self._used -= self._prepared.pop(request).cost(request)
