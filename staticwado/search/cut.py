"""Pages of a search in one state of the catalog: counted and cut by SQL where it can tell.

One rule: the matcher has the last word; where SQL and it differ, the matcher judges every candidate.
"""

import logging
from itertools import islice

import orjson

from staticwado.catalog.below import SeriesOfStudies
from staticwado.catalog.contents import has_trigrams, members_known, terms_of, words_like
from staticwado.catalog.database import Reading
from staticwado.catalog.selection import Place, Studies, count_every, every_study, irregular, order_of
from staticwado.dicomweb.fields import Level
from staticwado.search.index import IndexReader
from staticwado.search.match import matches_filters
from staticwado.search.plan import Known, plan, plan_series
from staticwado.search.scan import Effort, Found, Limits, Page, Search
from staticwado.search.sources import CatalogRows, Live

log = logging.getLogger("staticwado.search")


class CatalogSearch(Search):
    """One search in one state of the catalog: pages of studies are counted and cut by SQL where it can."""

    def __init__(
        self, database: Reading, index: IndexReader, live: Live | None, effort: Effort, limits: Limits
    ) -> None:
        known = Known(
            has_trigrams(database),
            lambda kind: members_known(database, kind),
            lambda word: words_like(database, word),
            lambda terms, most: terms_of(database, terms, most),
        )
        self._database = database
        self._conditions = plan(effort.query, known)
        self._rows = CatalogRows(database, index, live, self._conditions)
        super().__init__(self._rows, effort, limits)

    def page(self) -> Page:
        if self.query.level is Level.STUDY:
            found = self._cut()
            if found is not None:
                return self.finished(*found)
        if self.query.level is Level.SERIES and self.query.study is None:
            found = self._cut_series()
            if found is not None:
                return self.finished(*found)
        return super().page()

    def _cut_series(self) -> tuple[list[Found], int] | None:
        """The page and the number of all series that match; None if SQL cannot tell."""
        series = plan_series(self.query)
        if series is None:
            return None
        rows = SeriesOfStudies(self._database, self._conditions, series)
        if not rows.is_exact():
            return None
        filters = self.query.filters.get(Level.SERIES, ())
        count = rows.count()
        found = []
        for row in rows.page(count, self.query.offset, self.query.offset + self.limit):
            self.effort.look()
            above = orjson.loads(row.study_entry)
            merged = {**above, **orjson.loads(row.entry)}
            if not (self.is_match(above) and matches_filters(filters, self.query, merged)):
                log.error("the catalog and the matcher do not agree on series %s", row.series)
                return None
            found.append(Found(row.study, row.series, None, merged))
        return found, count

    def _cut(self) -> tuple[list[Found], int] | None:
        """The page and the number of all matches; None if SQL cannot tell."""
        start, stop = self.query.offset, self.query.offset + self.limit
        if not self._conditions:
            places = every_study(self._database, start, stop)
            return self._confirmed(places, count_every(self._database))
        studies = Studies(self._database, self._conditions)
        if not studies.is_exact:
            return None
        odd = [one for one in irregular(self._database, self._conditions) if self._is_match_at(one)]
        count = studies.count()
        if not odd:
            return self._confirmed(studies.page(count, start, stop), count)
        places = sorted([*studies.page(count, 0, stop), *odd], key=order_of)
        return self._confirmed(list(islice(places, start, stop)), count + len(odd))

    def _is_match_at(self, place: Place) -> bool:
        self.effort.look()
        return self.is_match(self._rows.entry(place))

    def _confirmed(self, places: list[Place], count: int) -> tuple[list[Found], int] | None:
        """The page, if the matcher has the same opinion of it as SQL; else None: the matcher judges all."""
        found = []
        for place in places:
            self.effort.look()
            entry = self._rows.entry(place)
            if not self.is_match(entry):
                log.error("the catalog and the matcher do not agree on study %s", place.uid)
                return None
            found.append(Found(place.uid, None, None, entry))
        return found, count
