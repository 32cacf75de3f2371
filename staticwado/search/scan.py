"""Matching what a source gives, level by level: from candidates to a page.

One rule: a search that reads too much or takes too long is stopped, with an error that says how to narrow it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.query import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Query
from staticwado.errors import TookTooLong, TooMuch
from staticwado.search.index import Entry, first_value
from staticwado.search.match import in_scope, matches_filters
from staticwado.search.sources import Source

MAXIMUM_RESULTS = 10_000
"""The longest answer, unless the server is told otherwise."""
MAXIMUM_SECONDS = 10.0
MAXIMUM_FILES = 100_000
"""The most index files that one search may read."""
MAXIMUM_METADATA = 500
"""The most series whose metadata one search may read, for attributes that index files do not hold."""
_LOOK = 64
"""Matches between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one search may take."""

    results: int = MAXIMUM_RESULTS
    seconds: float = MAXIMUM_SECONDS


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
class Effort:
    """What one search has taken so far."""

    query: Query
    deadline: float
    is_unwanted: Callable[[], bool] | None
    files: int = 0
    metadata: int = 0
    looked: int = 0

    def look(self) -> None:
        """Raises TookTooLong where a search runs longer than it may."""
        self.looked += 1
        if self.looked % _LOOK == 0:
            over = monotonic() > self.deadline or (self.is_unwanted is not None and self.is_unwanted())
            if over:
                raise too_long()

    def spend(self, *, files: bool = True, metadata: bool = False) -> None:
        """Raises TooMuch where a search reads more than it may."""
        self.files += files
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


def too_long() -> TookTooLong:
    """The error of a search that was stopped."""
    return TookTooLong(
        "this search took longer than it may and was stopped; narrow it with a PatientID, an "
        "AccessionNumber, a range of StudyDate, or a name that begins with more letters"
    )


def _uid(value: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [value]}


class Search:
    """One search in one source."""

    def __init__(self, source: Source, effort: Effort, limits: Limits) -> None:
        self.source = source
        self.effort = effort
        self.query = effort.query
        limit = effort.query.limit
        self.limit = limits.results if limit is None else min(limit, limits.results)

    def page(self) -> Page:
        """The page of matches."""
        start, stop = self.query.offset, self.query.offset + self.limit
        found: list[Found] = []
        matches = 0
        for one in self._matches():
            if start <= matches < stop:
                found.append(one)
            matches += 1
        return self.finished(found, matches)

    def finished(self, found: list[Found], matches: int) -> Page:
        if self.query.is_deep and not self.query.matches_deep:
            found = self._deepened(found)
        return Page(found, max(0, matches - self.query.offset - len(found)))

    def _deepened(self, page: list[Found]) -> list[Found]:
        """The matches with all attributes of their instances; the metadata of a series are read once."""
        deepened: list[Found] = []
        place, metadata = None, {}
        for found in page:
            if found.series is not None and (found.study, found.series) != place:
                place = found.study, found.series
                self.effort.spend(metadata=True)
                metadata = self._metadata(*place)
            entry = {**metadata.get(str(found.instance), {}), **found.entry}
            deepened.append(Found(found.study, found.series, found.instance, entry))
        return deepened

    def _matches(self) -> Iterator[Found]:
        if self.query.level is Level.STUDY:
            return self._studies()
        return self._series() if self.query.level is Level.SERIES else self._instances()

    # -- Studies ---------------------------------------------------------------------------------------------

    def _studies(self) -> Iterator[Found]:
        for study, entry in self.source.studies(self.query):
            self.effort.look()
            if self.is_match(entry):
                yield Found(study, None, None, entry)

    def is_match(self, entry: Entry) -> bool:
        """Whether a study is what the search asks for."""
        query = self.query
        return in_scope(query.scope, entry) and matches_filters(
            query.filters.get(Level.STUDY, ()), query, entry
        )

    def _passed_study(self, study: str) -> Entry:
        """What is known of the study that the path names."""
        entry = self.source.study(study) if self.query.needs(Level.STUDY) else {}
        return {**entry, STUDY_INSTANCE_UID: _uid(study)}

    def _may_see(self, study: str) -> bool:
        """Whether the study that the path names may be seen."""
        return self.query.scope is None or in_scope(
            self.query.scope, {**self.source.study(study), STUDY_INSTANCE_UID: _uid(study)}
        )

    # -- Series ----------------------------------------------------------------------------------------------

    def _series(self) -> Iterator[Found]:
        study = self.query.study
        if study is None:
            for found in self._studies():
                yield from self._series_of(found.study, found.entry)
        elif self._may_see(study):
            yield from self._series_of(study, self._passed_study(study))

    def _series_of(self, study: str, above: Entry) -> Iterator[Found]:
        self.effort.spend(files=not self.source.in_memory)
        filters = self.query.filters.get(Level.SERIES, ())
        for series, entry in self.source.series(self.query, study):
            self.effort.look()
            merged = {**above, **entry}
            if matches_filters(filters, self.query, merged):
                yield Found(study, series, None, merged)

    def _passed_series(self, study: str, series: str) -> Entry:
        """What is known of the series that the path names."""
        above = self._passed_study(study)
        mine: Entry = {}
        if self.query.needs(Level.SERIES):
            mine = dict(self.source.series(self.query, study)).get(series, {})
        return {**above, **mine, SERIES_INSTANCE_UID: _uid(series)}

    # -- Instances -------------------------------------------------------------------------------------------

    def _instances(self) -> Iterator[Found]:
        study, series = self.query.study, self.query.series
        if study is None or series is None:
            for found in self._series():
                if found.series is not None:
                    yield from self._instances_of(found.study, found.series, found.entry)
        elif self._may_see(study):
            yield from self._instances_of(study, series, self._passed_series(study, series))

    def _instances_of(self, study: str, series: str, above: Entry) -> Iterator[Found]:
        self.effort.spend(metadata=self.query.matches_deep)
        filters = self.query.filters.get(Level.INSTANCE, ())
        deeper = self._metadata(study, series) if self.query.matches_deep else {}
        for entry in self.source.instances(study, series):
            self.effort.look()
            instance = first_value(entry, SOP_INSTANCE_UID)
            if isinstance(instance, str):
                merged = {**deeper.get(instance, {}), **above, **entry}
                if matches_filters(filters, self.query, merged):
                    yield Found(study, series, instance, merged)

    def _metadata(self, study: str, series: str) -> dict[str, Entry]:
        """The metadata of a series by instance."""
        entries = self.source.metadata(study, series)
        return {str(first_value(entry, SOP_INSTANCE_UID)): entry for entry in entries}
