"""Index files, parsed, with a memory that is bounded and never stale."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable, TooMuch
from staticwado.store.local import Stat

Entry = dict[str, Any]
"""One index entry: a DICOM JSON object. Entries are shared: readers copy before they change."""
_BYTES_PER_STORED_BYTE = 60
"""What a compressed byte of an index file costs once it is parsed; 15 times gzip, 4 times Python objects."""

LARGEST_METADATA = 8 << 20
"""Compressed bytes of the metadata of one series that a search may read."""


def first_value(entry: Entry, tag: str) -> Any:
    """The first value of an attribute, or None."""
    values = entry.get(tag, {}).get("Value")
    return values[0] if values else None


@dataclass(frozen=True, slots=True)
class _Remembered:
    stat: Stat
    entries: list[Entry]
    cost: int


class IndexReader:
    """Reads index files of an archive; files that have not changed are parsed once."""

    def __init__(self, archive: Archive, memory: int = 64 << 20) -> None:
        self._archive = archive
        self._memory = memory
        self._used = 0
        self._files: OrderedDict[str, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def entries(self, resource: Resource) -> list[Entry]:
        """The entries of an index file; none if there is no such file.

        Raises StoreUnavailable, and TooMuch for metadata that are too big to be read in a search.
        """
        located = self._archive.locate(resource)
        if located is None:
            return []
        key = located.stored.key
        if resource.view is View.METADATA and located.stat.size > LARGEST_METADATA:
            raise TooMuch(f"{key} is too big to be searched: {located.stat.size} bytes")
        with self._lock:
            known = self._files.get(key)
            if known is not None and known.stat == located.stat:
                self._files.move_to_end(key)
                return known.entries
        try:
            entries = self._archive.read_json(resource)
        except NotFound:
            return []
        if not isinstance(entries, list):
            raise StoreUnavailable(f"{key} is damaged: it holds no list")
        self._remember(key, _Remembered(located.stat, entries, located.stat.size * _BYTES_PER_STORED_BYTE))
        return entries

    def _remember(self, key: str, file: _Remembered) -> None:
        if file.cost > self._memory:
            return
        with self._lock:
            known = self._files.pop(key, None)
            self._used += file.cost - (known.cost if known is not None else 0)
            self._files[key] = file
            while self._used > self._memory:
                _, dropped = self._files.popitem(last=False)
                self._used -= dropped.cost
