"""Answers searches of studies, series and instances from the index files.

One rule: the only query answerer; every edge makes a `Query` and calls `Engine.search`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from staticwado.archive import Archive
from staticwado.dicomweb.query import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Level,
    Query,
)
from staticwado.dicomweb.resource import Resource, View
from staticwado.search.index import Entry, IndexReader

RETRIEVE_URL = "00081190"
MAXIMUM_RESULTS = 10_000
"""The longest answer to a search across studies or series; the list of studies has no limit of its own."""


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


def first_value(entry: Mapping[str, Any], tag: str) -> Any:
    """The first value of an attribute, or None."""
    values = entry.get(tag, {}).get("Value")
    return values[0] if values else None


def matches_wildcard(pattern: str, text: str) -> bool:
    """Whether `text` is as `pattern` says: `*` any run, `?` any one letter (PS3.4 C.2.2.2.4).

    Steps are at most the product of the lengths: a regular expression could be made to run for years.
    """
    place = star = 0
    position = resume = 0
    starred = False
    while position < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume, starred = place, position, True
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[position]):
            place += 1
            position += 1
        elif starred:
            resume += 1
            place, position = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")


def _patient_matches(pattern: str | None) -> Callable[[Entry], bool]:
    if pattern is None:
        return lambda _: True
    wanted = pattern.strip()
    return lambda entry: matches_wildcard(wanted, str(first_value(entry, PATIENT_ID) or "").strip())


class Engine:
    """Searches one archive."""

    def __init__(self, archive: Archive, index: IndexReader | None = None) -> None:
        self._index = index or IndexReader(archive)

    def search(self, query: Query) -> Page:
        """The page that `query` asks for, in the order of the index files. Raises StoreUnavailable."""
        limit = query.limit
        if query.level is not Level.STUDY and query.series is None:
            limit = MAXIMUM_RESULTS if limit is None else min(limit, MAXIMUM_RESULTS)
        stop = None if limit is None else query.offset + limit
        page: list[Found] = []
        matches = 0
        for found in self._matches(query):
            if matches >= query.offset and (stop is None or matches < stop):
                page.append(found)
            matches += 1
        return Page(page, max(0, matches - query.offset - len(page)))

    def _matches(self, query: Query) -> Iterator[Found]:
        if query.level is Level.STUDY:
            yield from self._studies(query)
        elif query.level is Level.SERIES:
            yield from self._series(query)
        else:
            yield from self._instances(query)

    def _studies(self, query: Query) -> Iterator[Found]:
        patient_matches = _patient_matches(query.patient_id)
        for study, entry in self._study_entries(query):
            if patient_matches(entry):
                yield Found(study, None, None, entry)

    def _study_entries(self, query: Query) -> Iterator[tuple[str, Entry]]:
        wanted = (query.uids or {}).get(STUDY_INSTANCE_UID)
        if wanted is None or len(wanted) > 1:
            entries = self._index.entries(Resource(View.STUDIES))
        else:
            entries = [
                entry for study in wanted for entry in self._index.entries(Resource(View.INDEX, study))
            ]
        for entry in entries:
            study = first_value(entry, STUDY_INSTANCE_UID)
            if isinstance(study, str) and (wanted is None or study in wanted):
                yield study, entry

    def _series(self, query: Query) -> Iterator[Found]:
        if query.study is not None:
            yield from self._series_of(query.study, {}, query)
            return
        for found in self._studies(query):
            yield from self._series_of(found.study, found.entry, query)

    def _series_of(self, study: str, above: Entry, query: Query) -> Iterator[Found]:
        wanted = (query.uids or {}).get(SERIES_INSTANCE_UID)
        for entry in self._index.entries(Resource(View.SERIES, study)):
            series = first_value(entry, SERIES_INSTANCE_UID)
            if isinstance(series, str) and (wanted is None or series in wanted):
                yield Found(study, series, None, {**above, **entry} if above else entry)

    def _instances(self, query: Query) -> Iterator[Found]:
        if query.study is not None and query.series is not None:
            yield from self._instances_of(query.study, query.series, {}, query)
            return
        for found in self._series(query):
            if found.series is not None:
                yield from self._instances_of(found.study, found.series, found.entry, query)

    def _instances_of(self, study: str, series: str, above: Entry, query: Query) -> Iterator[Found]:
        wanted = (query.uids or {}).get(SOP_INSTANCE_UID)
        for entry in self._index.entries(Resource(View.INSTANCES, study, series)):
            instance = first_value(entry, SOP_INSTANCE_UID)
            if isinstance(instance, str) and (wanted is None or instance in wanted):
                yield Found(study, series, instance, {**above, **entry} if above else entry)
