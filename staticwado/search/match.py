"""Whether an entry is what a search asks for (PS3.4 C.2.2.2, PS3.18 8.3.4).

One rule: pure; a catalog may narrow what is looked at, and this has the last word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from staticwado.dicom.vr import SINGLE_TEXT
from staticwado.dicomweb.criteria import (
    TIMES,
    Attribute,
    DateTime,
    Empty,
    Every,
    Filter,
    Item,
    Number,
    OneOf,
    Some,
    Tag,
    Test,
    Text,
    Within,
    parse_number,
)
from staticwado.dicomweb.fields import place_of
from staticwado.dicomweb.moments import DAY, MINUTE, parse_moment, parse_zone
from staticwado.dicomweb.query import STUDY_INSTANCE_UID, TIMEZONE_OFFSET, Query
from staticwado.dicomweb.scope import Scope
from staticwado.search.names import matches_name
from staticwado.search.wildcards import matches_wildcard

Entry = Mapping[str, Any]


def matches(query: Query, entry: Entry) -> bool:
    """Whether `entry`, with the attributes of its level and of those above, is what `query` asks for."""
    return all(matches_filters(filters, query, entry) for filters in query.filters.values())


def in_scope(scope: Scope | None, study: Entry) -> bool:
    """Whether whoever has `scope` may see the study whose entry is `study`."""
    if scope is None or scope.studies.intersection(map(str, values_of(study, Tag(STUDY_INSTANCE_UID)))):
        return True
    matcher = _Matcher(False, None, _zone_of(study))
    return any(all(matcher.matches(each, study) for each in group) for group in scope.groups)


def matches_filters(filters: Sequence[Filter], query: Query, entry: Entry) -> bool:
    """Whether `entry` fulfils all of `filters`. An attribute without a value fulfils but Empty."""
    if not filters:
        return True
    matcher = _Matcher(query.fuzzy, query.zone, _zone_of(entry))
    return all(matcher.matches(each, entry) for each in filters)


def _zone_of(entry: Entry) -> int | None:
    values = values_of(entry, Tag(TIMEZONE_OFFSET))
    return parse_zone(str(values[0]).strip(" ")) if values else None


def values_of(entry: Entry, tag: Tag) -> list[Any]:
    """The values of an attribute that are not empty."""
    return [value for value in _all_values(entry, tag) if not _is_empty(value)]


def _items_of(entry: Entry, tag: Tag) -> list[Entry]:
    """The items of a sequence, empty ones too."""
    return [item for item in _all_values(entry, tag) if isinstance(item, dict)]


def _all_values(entry: Entry, tag: Tag) -> list[Any]:
    name = place_of(entry, tag)
    element = entry.get(name) if name is not None else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip(" ")
    if isinstance(value, dict):
        return not any(value.values())
    return value is None


class _Matcher:
    """Matches with the options of one search, in one data set."""

    def __init__(self, fuzzy: bool, wanted_zone: int | None, zone: int | None) -> None:
        self._fuzzy = fuzzy
        self._wanted_zone = wanted_zone
        self._zone = zone
        known = wanted_zone is not None and zone is not None
        self._shift = ((wanted_zone or 0) - (zone or 0)) * MINUTE if known else 0
        """What is added to the entry's dates and times to have them in the zone of the search."""

    def matches(self, wanted: Filter, entry: Entry) -> bool:
        if isinstance(wanted, Attribute):
            return self._attribute(wanted, entry)
        if isinstance(wanted, DateTime):
            return any(wanted.period.holds(one) for one in self._moments(entry, wanted.date, wanted.time))
        return self._item(wanted, entry)

    def _item(self, wanted: Item, entry: Entry) -> bool:
        """A sequence without items is one whose attributes have no values."""
        items = _items_of(entry, wanted.tag) or [{}]
        return any(all(self.matches(each, item) for each in wanted.filters) for item in items)

    def _attribute(self, wanted: Attribute, entry: Entry) -> bool:
        if isinstance(wanted.test, Within):
            return self._within(wanted, wanted.test, entry)
        values = values_of(entry, wanted.tag)
        if isinstance(wanted.test, Empty):
            return not values
        if isinstance(wanted.test, Every):
            return all(
                any(self._is(wanted.vr, each, value) for value in values) for each in wanted.test.values
            )
        return any(self._is(wanted.vr, wanted.test, value) for value in values)

    def _is(self, vr: str, test: Test, value: Any) -> bool:
        """Whether one value passes a test of one value."""
        match test:
            case OneOf():
                return isinstance(value, str) and value.strip(" \0") in test.uids
            case Number():
                return parse_number(str(value)) == test.value
            case Some():
                return any(self._is(vr, each, value) for each in test.values)
            case Text() if vr == "PN":
                return matches_name(test.value, value, self._fuzzy)
            case Text():
                return _is_text(vr, test, value)
        raise AssertionError(f"{test} is no test of one value")

    # -- Dates and times -------------------------------------------------------------------------------------

    def _within(self, wanted: Attribute, test: Within, entry: Entry) -> bool:
        if wanted.vr == "DT":
            return any(self._date_time(test, value) for value in values_of(entry, wanted.tag))
        values = values_of(entry, wanted.tag)
        moments = [found.first for value in values if (found := parse_moment(wanted.vr, _plain(value)))]
        if self._shift and wanted.vr == "TM":
            moments = [(one + self._shift) % DAY for one in moments if one is not None]
        elif self._shift and wanted.tag.tag in TIMES:
            shifted = self._moments(entry, wanted.tag, Tag(TIMES[wanted.tag.tag], wanted.tag.creator))
            moments = list(shifted) or moments
        return any(one is not None and test.period.holds(one) for one in moments)

    def _moments(self, entry: Entry, day: Tag, time: Tag) -> list[int]:
        """Date and time, value by value, in the zone of the search."""
        days, times = values_of(entry, day), values_of(entry, time)
        found = []
        for one, other in zip(days, times, strict=False):
            date_of, time_of = parse_moment("DA", _plain(one)), parse_moment("TM", _plain(other))
            if date_of and time_of and date_of.first is not None and time_of.first is not None:
                found.append(date_of.first + time_of.first + self._shift)
        return found

    def _date_time(self, test: Within, value: Any) -> bool:
        """Both have a zone of their own, or that of the search and of the entry; else it is one zone."""
        found = parse_moment("DT", _plain(value))
        if found is None or found.first is None:
            return False
        zone = found.zone if found.zone is not None else self._zone
        wanted = test.period.zone if test.period.zone is not None else self._wanted_zone
        shift = (wanted - zone) * MINUTE if wanted is not None and zone is not None else 0
        return test.period.holds(found.first + shift)


def _plain(value: Any) -> str:
    return str(value).strip(" ")


def _is_text(vr: str, test: Text, value: Any) -> bool:
    if isinstance(value, dict):
        return False
    text = str(value)
    text = text.rstrip(" ") if vr in SINGLE_TEXT or vr == "UC" else text.strip(" ")
    if vr == "AT":
        return text.upper() == test.value.upper()
    return matches_wildcard(test.value, text) if test.wildcards else test.value == text
