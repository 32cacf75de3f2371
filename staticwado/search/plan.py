"""From a search to conditions that the catalog can put to its tables.

One rule: the plan may narrow, never change what is found. What it does not know it leaves to the matcher.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from staticwado.catalog import below, conditions, names
from staticwado.catalog.columns import DATES, MEMBERS, MODALITY, NAMES, SEX, TEXTS, TIME, Term
from staticwado.catalog.conditions import ANYTHING, NEVER, Condition
from staticwado.catalog.patterns import TRIGRAM, Sql, is_storable
from staticwado.catalog.terms import LONGEST_WORD
from staticwado.dicomweb.criteria import (
    Attribute,
    DateTime,
    Empty,
    Every,
    Filter,
    Item,
    OneOf,
    Some,
    Tag,
    Text,
    Within,
)
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.moments import DAY, Period
from staticwado.dicomweb.names import GROUPS, fold, has_kana, words_of
from staticwado.dicomweb.query import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Query
from staticwado.search.names import is_nearly, matches_name, matches_word
from staticwado.search.wildcards import has_wildcard, matches_wildcard

STUDY_DATE = "00080020"
_FARTHEST = 2
"""Days by which zones can move a date: from 12 hours west to 14 east."""
_MOST_LIKE = 20_000
"""Words, or names, like another one of which each is looked at."""
_MOST_VALUES = 50
"""Values of one key that are put into one statement."""
_LAST_DAY = date.max.toordinal()


@dataclass(frozen=True, slots=True)
class Known:
    """What a plan has to know of the catalog."""

    trigrams: bool
    members: Callable[[str], Sequence[str]]
    """All values of the members of a kind."""
    words: Callable[[str], Sequence[str]]
    """Words of names that begin with one, or may differ from it by one typo."""
    terms: Callable[[Sql, int], Sequence[tuple[int, Term]]]
    """So many of different names, with their numbers and folded groups."""


def plan(query: Query, known: Known) -> list[Condition]:
    """What `query` asks of studies; of the levels below, what tells in which studies to look."""
    found = [
        _Planner(query.fuzzy, query.zone, known).condition(one) for one in query.filters.get(Level.STUDY, ())
    ]
    if query.scope is not None:
        groups = _Planner(False, None, known)
        allowed = [
            conditions.all_of([groups.condition(one) for one in group]) for group in query.scope.groups
        ]
        named = conditions.is_one_of(query.scope.studies)
        found.append(conditions.any_of([named, *allowed]) if allowed else named)
    series, instances = query.uids(SERIES_INSTANCE_UID), query.uids(SOP_INSTANCE_UID)
    if series is not None and query.level is not Level.STUDY:
        found.append(conditions.has_series(series))
    if instances is not None and query.level is Level.INSTANCE:
        found.append(conditions.has_instance(instances))
    return found


def plan_series(query: Query) -> list[Condition] | None:
    """What `query` asks of series; None where columns cannot tell."""
    found: list[Condition] = []
    for wanted in query.filters.get(Level.SERIES, ()):
        if not isinstance(wanted, Attribute) or wanted.tag.creator is not None:
            return None
        tag, test = wanted.tag.tag, wanted.test
        if tag == SERIES_INSTANCE_UID and isinstance(test, OneOf):
            found.append(below.is_series(sorted(test.uids)))
        elif tag == MODALITY and isinstance(test, Text) and not has_wildcard(test.value):
            found.append(below.has_modality(test.value))
        else:
            return None
    return found


class _Planner:
    """Plans with the options of one search."""

    def __init__(self, fuzzy: bool, zone: int | None, known: Known) -> None:
        self._fuzzy = fuzzy
        self._zone = zone
        self._known = known

    def condition(self, wanted: Filter) -> Condition:
        """What a filter asks, as far as columns can tell."""
        if isinstance(wanted, Item):
            return ANYTHING
        if isinstance(wanted, DateTime):
            return self._date_time(wanted)
        tag, test = wanted.tag.tag, wanted.test
        if wanted.tag.creator is not None:
            return ANYTHING
        if tag in NAMES and wanted.vr == "PN":
            return self._name(NAMES[tag], wanted)
        if (tag in TEXTS or tag == SEX) and isinstance(test, Text | Every | Some | Empty):
            return self._text(TEXTS.get(tag, "sex"), wanted)
        if tag in MEMBERS:
            return self._member(MEMBERS[tag], wanted)
        if tag in (*DATES, TIME) and isinstance(test, Within | Empty):
            return self._moment(wanted)
        if tag == STUDY_INSTANCE_UID and isinstance(test, OneOf):
            return conditions.is_one_of(test.uids)
        return ANYTHING if isinstance(test, Empty) else conditions.mentions(f'"{tag}"')

    # -- Texts -----------------------------------------------------------------------------------------------

    def _text(self, column: str, wanted: Attribute) -> Condition:
        if isinstance(wanted.test, Every | Some) and len(wanted.test.values) > _MOST_VALUES:
            return ANYTHING
        match wanted.test:
            case Empty():
                return conditions.is_empty(column)
            case Text():
                return self._one_text(column, wanted.test)
            case Every():
                # A regular study has one value at most.
                return conditions.all_of([self._one_text(column, each) for each in wanted.test.values])
            case Some():
                return conditions.any_of([self._one_text(column, each) for each in wanted.test.values])
        return ANYTHING

    def _one_text(self, column: str, test: Text) -> Condition:
        if test.wildcards and has_wildcard(test.value):
            return conditions.is_like(column, test.value, trigrams=self._known.trigrams)
        return conditions.equals(column, test.value)

    def _member(self, kind: str, wanted: Attribute) -> Condition:
        if isinstance(wanted.test, Every) and len(wanted.test.values) > _MOST_VALUES:
            return ANYTHING
        match wanted.test:
            case Empty():
                return conditions.is_empty(kind)
            case OneOf():
                return conditions.has_members(kind, sorted(wanted.test.uids))
            case Text():
                return conditions.has_members(kind, self._values(kind, wanted.test))
            case Some():
                values = [value for each in wanted.test.values for value in self._values(kind, each)]
                return conditions.has_members(kind, list(dict.fromkeys(values)))
            case Every():
                return conditions.has_members(kind, [one.value for one in wanted.test.values], " AND ")
        return ANYTHING

    def _values(self, kind: str, test: Text) -> list[str]:
        if not (test.wildcards and has_wildcard(test.value)):
            return [test.value]
        return [value for value in self._known.members(kind) if matches_wildcard(test.value, value)]

    # -- Names -----------------------------------------------------------------------------------------------

    def _name(self, name: str, wanted: Attribute) -> Condition:
        if isinstance(wanted.test, Empty):
            return conditions.is_empty(name)
        if not isinstance(wanted.test, Text):
            return ANYTHING
        key = wanted.test.value
        if self._fuzzy:
            return self._fuzzy_name(name, key)
        if "=" not in key:
            part = fold(key).strip("*")
            is_short = len(part) < TRIGRAM and fold(key) == f"*{part}*" and not has_wildcard(part)
            if is_short and words_of(part) == [part] and not has_kana(part):
                return names.has_part(name, part)
            return names.is_name(name, fold(key), trigrams=self._known.trigrams)
        groups = key.split("=")
        if any(groups[len(GROUPS) :]):
            return NEVER
        return names.is_name_in_groups(name, [fold(group) for group in groups])

    def _fuzzy_name(self, name: str, key: str) -> Condition:
        words = words_of(fold(key))
        if "=" in key or not words:
            return ANYTHING
        if len(words) == 1 and is_storable(words[0]):
            part = words[0].strip("*")
            if not has_wildcard(words[0]) and len(words[0]) < LONGEST_WORD - 1:
                return self._resembling(name, words[0])
            # With two wildcards no typo makes one of it, and a text without separators lies in one word.
            if words[0] == fold(key) == f"*{part}*" and not has_wildcard(part):
                return self._with_part(name, part)
        return self._judged(name, key, words)

    def _judged(self, name: str, key: str, words: Sequence[str]) -> Condition:
        """Each different name that may be like `key` is looked at."""
        candidates = names.resembling(name, words, trigrams=self._known.trigrams)
        if candidates is None:
            return ANYTHING
        found = self._known.terms(candidates, _MOST_LIKE + 1)
        if len(found) > _MOST_LIKE:
            return conditions.has_term(name, candidates, is_exact=False)
        like = [
            number
            for number, groups in found
            if matches_name(key, dict(zip(GROUPS, groups, strict=True)), True)
        ]
        return conditions.is_term(name, like)

    def _resembling(self, name: str, word: str) -> Condition:
        like = self._known.words(word)
        if len(like) > _MOST_LIKE:
            return self._judged(name, word, [word])
        words = [one for one in like if matches_word(word, one)]
        return names.has_word(name, words, [one for one in like if is_nearly(word, one)])

    def _with_part(self, name: str, part: str) -> Condition:
        if len(part) >= TRIGRAM:
            if has_kana(part):
                return self._judged(name, f"*{part}*", [f"*{part}*"])
            return names.is_name(name, f"*{part}*", trigrams=self._known.trigrams)
        return names.has_part(name, part)

    # -- Dates and times -------------------------------------------------------------------------------------

    def _moment(self, wanted: Attribute) -> Condition:
        tag, test = wanted.tag.tag, wanted.test
        if not isinstance(test, Within):
            return Condition("(s.clock < 0 AND s.id > 0)") if tag == TIME else conditions.is_empty(DATES[tag])
        if tag != TIME:
            return self._date(DATES[tag], test.period)
        if self._zone is not None:
            return ANYTHING
        return conditions.is_clock(test.period.first, test.period.last)

    def _date(self, column: str, period: Period) -> Condition:
        wide = 0 if self._zone is None else _FARTHEST
        first = None if period.first is None else -(-period.first // DAY) + 1 - wide
        last = None if period.last is None else period.last // DAY + 1 + wide
        if (first is not None and first > _LAST_DAY) or (last is not None and last < 1):
            return NEVER
        found = conditions.is_date(column, _day(first), _day(last))
        return replace(found, is_exact=not wide)

    def _date_time(self, wanted: DateTime) -> Condition:
        if (wanted.date, wanted.time) != (Tag(STUDY_DATE), Tag(TIME)):
            return ANYTHING
        first, last = wanted.period.first, wanted.period.last
        if self._zone is not None:
            start = None if first is None else first - first % DAY
            return self._date("date", Period(start, last))
        if last is not None and last < 0:
            return NEVER
        return conditions.is_moment(_moment(first), _moment(last))


def _day(ordinal: int | None) -> str | None:
    """A day as a DA; None where it is none or beyond all days."""
    if ordinal is None or not 1 <= ordinal <= _LAST_DAY:
        return None
    day = date.fromordinal(ordinal)
    return f"{day.year:04}{day.month:02}{day.day:02}"


def _moment(microseconds: int | None) -> tuple[str, int] | None:
    if microseconds is None:
        return None
    day = _day(microseconds // DAY + 1)
    return None if day is None else (day, microseconds % DAY)
