"""Where a search looks: index files, or the catalog with the index files of instances behind it.

One rule: a source gives what may match, in the order of the index files; it never decides what does.
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import Protocol

import orjson

from staticwado.catalog.conditions import Condition
from staticwado.catalog.contents import entries_of, series_of, study_of
from staticwado.catalog.database import Reading
from staticwado.catalog.lookup import fresh_of
from staticwado.catalog.selection import Place, Studies, irregular, order_of
from staticwado.dicomweb.query import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Query
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import TooMuch
from staticwado.search.index import LARGEST_METADATA, Entry, IndexReader, first_value

_EXPANSION = 15
"""What a compressed byte of metadata is when it is no longer compressed, at least."""


class Live(Protocol):
    """What a search needs of whoever knows what is stored and not yet in index files."""

    def catch_up(self, study: str | None = None) -> None:
        """See to it that the catalog holds everything acknowledged so far."""

    def is_owed(self, study: str) -> bool:
        """Whether a study has instances that its index files lack."""

    def metadata(self, resource: Resource) -> Iterator[bytes] | None:
        """The metadata of a series while they are owed; None where their file is current."""

    def settle(self, study: str | None = None) -> None:
        """See to it that the index files hold everything acknowledged so far."""


class Source(Protocol):
    """What may match, level by level."""

    in_memory: bool
    """Lists of series cost no reading of files."""

    def studies(self, query: Query) -> Iterator[tuple[str, Entry]]:
        """Studies that may match, in order."""

    def study(self, study: str) -> Entry:
        """The entry of a study, empty if there is none."""

    def series(self, query: Query, study: str) -> list[tuple[str, Entry]]:
        """Series of a study that may match, in order."""

    def instances(self, study: str, series: str) -> Sequence[Entry]:
        """The entries of the instances of a series, in order."""

    def metadata(self, study: str, series: str) -> list[Entry]:
        """The metadata of a series. Raises TooMuch."""


def _with_uid(entries: Sequence[Entry], tag: str) -> Iterator[tuple[str, Entry]]:
    for entry in entries:
        uid = first_value(entry, tag)
        if isinstance(uid, str):
            yield uid, entry


class IndexFiles:
    """The index files alone."""

    in_memory = False

    def __init__(self, index: IndexReader) -> None:
        self._index = index

    def studies(self, query: Query) -> Iterator[tuple[str, Entry]]:
        wanted = query.uids(STUDY_INSTANCE_UID)
        if wanted is None or len(wanted) > 1:
            yield from _with_uid(self._index.entries(Resource(View.STUDIES)), STUDY_INSTANCE_UID)
        else:
            for study in wanted:
                entries = self._index.entries(Resource(View.INDEX, study))
                yield from _with_uid(entries, STUDY_INSTANCE_UID)

    def study(self, study: str) -> Entry:
        entries = self._index.entries(Resource(View.INDEX, study))
        return entries[0] if entries else {}

    def series(self, query: Query, study: str) -> list[tuple[str, Entry]]:
        return list(_with_uid(self._index.entries(Resource(View.SERIES, study)), SERIES_INSTANCE_UID))

    def instances(self, study: str, series: str) -> Sequence[Entry]:
        return self._index.entries(Resource(View.INSTANCES, study, series))

    def metadata(self, study: str, series: str) -> list[Entry]:
        return self._index.entries(Resource(View.METADATA, study, series))


class CatalogRows:
    """One state of the catalog, and the index files of instances together with those that they lack."""

    in_memory = True

    def __init__(
        self, database: Reading, index: IndexReader, live: Live | None, conditions: Sequence[Condition]
    ) -> None:
        self._database = database
        self._index = index
        self._live = live
        self._conditions = conditions

    def studies(self, query: Query) -> Iterator[tuple[str, Entry]]:
        places = heapq.merge(
            Studies(self._database, self._conditions).all(),
            irregular(self._database, self._conditions),
            key=order_of,
        )
        for place in places:
            yield place.uid, self.entry(place)

    def entry(self, place: Place) -> Entry:
        """The entry of a study."""
        entry: Entry = orjson.loads(next(entries_of(self._database, (place,))))
        return entry

    def study(self, study: str) -> Entry:
        found = study_of(self._database, study)
        return {} if found is None else orjson.loads(found)

    def series(self, query: Query, study: str) -> list[tuple[str, Entry]]:
        rows = series_of(self._database, study, query.uids(SERIES_INSTANCE_UID), query.uids(SOP_INSTANCE_UID))
        return [(uid, orjson.loads(entry)) for uid, entry in rows]

    def instances(self, study: str, series: str) -> Sequence[Entry]:
        fresh = fresh_of(self._database, study, series)
        known = self._index.entries(Resource(View.INSTANCES, study, series))
        if not fresh:
            return known
        there = {first_value(entry, SOP_INSTANCE_UID) for entry in known}
        more = [one.entry for one in fresh if one.uid not in there]
        return sorted([*known, *more], key=_instance_order)

    def metadata(self, study: str, series: str) -> list[Entry]:
        resource = Resource(View.METADATA, study, series)
        chunks = self._live.metadata(resource) if self._live is not None else None
        if chunks is None:
            return self._index.entries(resource)
        text = bytearray()
        for chunk in chunks:
            text += chunk
            if len(text) > LARGEST_METADATA * _EXPANSION:
                raise TooMuch(f"the metadata of series {series} are too big to be searched")
        found: list[Entry] = orjson.loads(text)
        return found


def _instance_order(entry: Entry) -> tuple[float, str]:
    """Instances by number, then UID, as index files have them."""
    try:
        number = float(first_value(entry, "00200013"))
    except (TypeError, ValueError):
        number = float("inf")
    return number, str(first_value(entry, SOP_INSTANCE_UID))
