"""Answers searches of studies, series and instances from the index files.

One rule: the only query answerer; every edge makes a `Query` and calls `Engine.search`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from staticwado.archive import Archive
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.query import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Query
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import TooMuch
from staticwado.search.index import Entry, IndexReader
from staticwado.search.match import in_scope, matches_filters

MAXIMUM_RESULTS = 10_000
"""The longest answer to a search across studies or series; the list of studies has no limit of its own."""
MAXIMUM_FILES = 100_000
"""The most index files that one search may read."""
MAXIMUM_METADATA = 500
"""The most series whose metadata one search may read, for attributes that index files do not hold."""


@dataclass(frozen=True, slots=True)
class Found:
    """One match: its UIDs, and the attributes of its level and of those above that the path leaves open."""

    study: str
    series: str | None
    instance: str | None
    entry: Entry


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches, and how many more there are after it."""

    found: list[Found]
    remaining: int


@dataclass(slots=True)
class _Effort:
    """What one search has read so far."""

    query: Query
    files: int = 0
    metadata: int = 0

    def spend(self, *, metadata: bool = False) -> None:
        """Raises TooMuch where a search reads more than it may."""
        self.files += 1
        self.metadata += metadata
        if self.files > MAXIMUM_FILES:
            raise TooMuch(
                f"this search would read more than {MAXIMUM_FILES} lists of series and instances; "
                "narrow it with keys of the study"
            )
        if self.metadata > MAXIMUM_METADATA:
            raise TooMuch(
                f"this search would read the metadata of more than {MAXIMUM_METADATA} series, as it asks for "
                "attributes that no index holds; narrow it with other keys"
            )


def first_value(entry: Mapping[str, Any], tag: str) -> Any:
    """The first value of an attribute, or None."""
    values = entry.get(tag, {}).get("Value")
    return values[0] if values else None


def _uid(value: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [value]}


class Engine:
    """Searches one archive."""

    def __init__(self, archive: Archive, index: IndexReader | None = None) -> None:
        self._index = index or IndexReader(archive)

    def search(self, query: Query) -> Page:
        """The page that `query` asks for, in the order of the index files.

        Holds one page and one index file of each level. Raises StoreUnavailable, and TooMuch for a search
        that would read too many files.
        """
        limit = query.limit
        if query.level is not Level.STUDY and query.series is None:
            limit = MAXIMUM_RESULTS if limit is None else min(limit, MAXIMUM_RESULTS)
        stop = None if limit is None else query.offset + limit
        page: list[Found] = []
        matches = 0
        effort = _Effort(query)
        for found in self._matches(effort):
            if matches >= query.offset and (stop is None or matches < stop):
                page.append(found)
            matches += 1
        if query.is_deep and not query.matches_deep:
            page = self._deepened(page, effort)
        return Page(page, max(0, matches - query.offset - len(page)))

    def _deepened(self, page: list[Found], effort: _Effort) -> list[Found]:
        """The matches with all attributes of their instances; the metadata of a series are read once."""
        deepened: list[Found] = []
        place, metadata = None, {}
        for found in page:
            if found.series is not None and (found.study, found.series) != place:
                place = found.study, found.series
                effort.spend(metadata=True)
                metadata = self._metadata(*place)
            entry = {**metadata.get(str(found.instance), {}), **found.entry}
            deepened.append(Found(found.study, found.series, found.instance, entry))
        return deepened

    def _matches(self, effort: _Effort) -> Iterator[Found]:
        if effort.query.level is Level.STUDY:
            yield from self._studies(effort)
        elif effort.query.level is Level.SERIES:
            yield from self._series(effort)
        else:
            yield from self._instances(effort)

    # -- Studies ---------------------------------------------------------------------------------------------

    def _studies(self, effort: _Effort) -> Iterator[Found]:
        query = effort.query
        filters = query.filters.get(Level.STUDY, ())
        for entry in self._study_entries(query):
            study = first_value(entry, STUDY_INSTANCE_UID)
            if (
                isinstance(study, str)
                and in_scope(query.scope, entry)
                and matches_filters(filters, query, entry)
            ):
                yield Found(study, None, None, entry)

    def _study_entries(self, query: Query) -> Iterator[Entry]:
        wanted = query.uids(STUDY_INSTANCE_UID)
        if wanted is None or len(wanted) > 1:
            yield from self._index.entries(Resource(View.STUDIES))
        else:
            for study in wanted:
                yield from self._index.entries(Resource(View.INDEX, study))

    def _passed_study(self, query: Query, study: str) -> Entry:
        """What is known of the study that the path names."""
        entries = self._index.entries(Resource(View.INDEX, study)) if query.needs(Level.STUDY) else []
        return {**(entries[0] if entries else {}), STUDY_INSTANCE_UID: _uid(study)}

    # -- Series ----------------------------------------------------------------------------------------------

    def _series(self, effort: _Effort) -> Iterator[Found]:
        query = effort.query
        if query.study is not None:
            yield from self._series_of(query.study, self._passed_study(query, query.study), effort)
            return
        for found in self._studies(effort):
            yield from self._series_of(found.study, found.entry, effort)

    def _series_of(self, study: str, above: Entry, effort: _Effort) -> Iterator[Found]:
        effort.spend()
        query = effort.query
        filters = query.filters.get(Level.SERIES, ())
        for entry in self._index.entries(Resource(View.SERIES, study)):
            series = first_value(entry, SERIES_INSTANCE_UID)
            if isinstance(series, str):
                merged = {**above, **entry}
                if matches_filters(filters, query, merged):
                    yield Found(study, series, None, merged)

    def _passed_series(self, query: Query, study: str, series: str) -> Entry:
        """What is known of the series that the path names."""
        above = self._passed_study(query, study)
        entries = self._index.entries(Resource(View.SERIES, study)) if query.needs(Level.SERIES) else []
        mine = [entry for entry in entries if first_value(entry, SERIES_INSTANCE_UID) == series]
        return {**above, **(mine[0] if mine else {}), SERIES_INSTANCE_UID: _uid(series)}

    # -- Instances -------------------------------------------------------------------------------------------

    def _instances(self, effort: _Effort) -> Iterator[Found]:
        query = effort.query
        if query.study is not None and query.series is not None:
            above = self._passed_series(query, query.study, query.series)
            yield from self._instances_of(query.study, query.series, above, effort)
            return
        for found in self._series(effort):
            if found.series is not None:
                yield from self._instances_of(found.study, found.series, found.entry, effort)

    def _instances_of(self, study: str, series: str, above: Entry, effort: _Effort) -> Iterator[Found]:
        effort.spend(metadata=effort.query.matches_deep)
        query = effort.query
        filters = query.filters.get(Level.INSTANCE, ())
        deeper = self._metadata(study, series) if query.matches_deep else {}
        for entry in self._index.entries(Resource(View.INSTANCES, study, series)):
            instance = first_value(entry, SOP_INSTANCE_UID)
            if isinstance(instance, str):
                merged = {**deeper.get(instance, {}), **above, **entry}
                if matches_filters(filters, query, merged):
                    yield Found(study, series, instance, merged)

    def _metadata(self, study: str, series: str) -> dict[str, Entry]:
        """The metadata of a series by instance."""
        entries = self._index.entries(Resource(View.METADATA, study, series))
        return {str(first_value(entry, SOP_INSTANCE_UID)): entry for entry in entries}
