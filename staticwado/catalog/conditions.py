"""Conditions on studies as SQL: what can be said of columns, and which index finds it.

One rule: values are parameters, never part of the text. A condition that is not exact lets more pass than it
should, never less.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import orjson

from staticwado.catalog.columns import COLUMNS, PROFILE, SEPARATOR, first_of_second
from staticwado.catalog.patterns import (
    Parameters,
    Sql,
    is_storable,
    like,
    literals_of,
    prefix_of,
    starting,
    with_trigrams,
)
from staticwado.catalog.terms import KINDS, SUBSTRINGS

NUMBERS = (first_of_second(1), (1 << 63) - 1)
"""The first and the last number of regular studies that have a date."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the regular studies that a condition speaks of are found without looking at the others."""

    ids: Sql
    """Selects the numbers of studies `s`; ends within its WHERE. None comes twice."""
    count: Sql | int | None = None
    """A quicker statement that counts them, or how many they are."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms that a column may have, the rows `d`: `found` selects them, from FROM on."""

    column: str
    found: Sql


@dataclass(frozen=True, slots=True)
class Days:
    """Days as the text of a date, and the numbers that their studies may have; both ends included."""

    first: str
    last: str
    numbers: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked of a study, the row `s`."""

    where: str
    parameters: Parameters = ()
    is_exact: bool = True
    source: Source | None = None
    days: Days | None = None
    """It asks this, and nothing else."""
    profile: Sql | None = None
    """It asks this of the profile, the row `p`, and nothing else."""
    terms: Terms | None = None
    """It asks this, and nothing else."""
    holds_for_irregular: bool = False
    """It speaks of no column, and so of irregular studies too."""


NEVER = Condition("0", source=Source(Sql("SELECT s.id FROM study s WHERE 0"), 0))
ANYTHING = Condition("1", is_exact=False)


# -- Terms and profiles --------------------------------------------------------------------------------------


def has_term(column: str, terms: Sql, *, is_exact: bool = True) -> Condition:
    """The term of a column is one of those, the rows `d`, that `terms`, from FROM on, selects."""
    numbers = Sql(f"SELECT d.id {terms.text}", terms.parameters)
    count = Sql(f"SELECT total(d.n) {terms.text}", terms.parameters)
    return replace(_numbered(column, numbers, count), is_exact=is_exact, terms=Terms(column, terms))


def has_number(column: str, numbers: Sequence[int], count: int) -> Condition:
    """The term of a column has one of `numbers`, as that of `count` studies has."""
    given = orjson.dumps(list(numbers)).decode()
    return _numbered(column, Sql("SELECT value FROM json_each(?)", (given,)), count)


def _numbered(column: str, numbers: Sql, count: Sql | int) -> Condition:
    where = f"s.{column} IN ({numbers.text})"
    ids = f"SELECT s.id FROM study s INDEXED BY study_{column} WHERE {where}"  # noqa: S608
    return Condition(where, numbers.parameters, source=Source(Sql(ids, numbers.parameters), count))


def of_kind(column: str, where: str, parameters: Parameters = ()) -> Sql:
    """Terms of a column that fulfil a condition."""
    return Sql(f"FROM term d WHERE d.kind = {KINDS[column]} AND {where}", parameters)


def chosen(where: str, parameters: Parameters) -> Sql:
    """Terms of which `where`, which begins with a choice of `d.id`, chooses those of one column."""
    return Sql(f"FROM term d NOT INDEXED WHERE {where}", parameters)


def has_profile(where: str, parameters: Parameters = (), *, is_exact: bool = True) -> Condition:
    """The profile of the study, the row `p`, fulfils a condition."""
    text = f"s.profile IN (SELECT p.id FROM profile p WHERE {where})"  # noqa: S608
    return Condition(text, parameters, is_exact, profile=Sql(where, parameters))


def equals(column: str, value: str) -> Condition:
    """The column is `value`."""
    if not value or not is_storable(value):
        return NEVER
    if column in PROFILE:
        return has_profile(f"p.{column} = ?", (value,))
    return has_term(column, of_kind(column, "d.value = ?", (value,)))


def is_empty(column: str) -> Condition:
    """The column is without a value."""
    if column in PROFILE:
        return has_profile(f"p.{column} = ''")
    if column not in COLUMNS:
        numbers = first_of_second(0), NUMBERS[0] - 1
        return Condition("(s.id BETWEEN ? AND ? AND s.id > 0)", numbers, days=Days("", "", numbers))
    where = f"s.{column} = 0"
    ids = f"SELECT s.id FROM study s INDEXED BY study_{column} WHERE {where} AND s.id > 0"  # noqa: S608
    return Condition(f"({where} AND s.id > 0)", source=Source(Sql(ids)))


def is_term(column: str, numbers: Sequence[int]) -> Condition:
    """The term of the column is one of `numbers`."""
    given = orjson.dumps(list(numbers)).decode()
    return has_term(column, Sql("FROM json_each(?) j CROSS JOIN term d ON d.id = j.value WHERE 1", (given,)))


# -- Patterns ------------------------------------------------------------------------------------------------


def is_like(column: str, pattern: str, *, trigrams: bool) -> Condition:
    """The column, which has to have a value, is as `pattern` with `*` and `?` says.

    `trigrams`: whether there is an index of them.
    """
    if not is_storable(pattern):
        return NEVER
    if column in PROFILE:
        found, is_exact = like(f"p.{column}", pattern)
        return has_profile(found.text, found.parameters, is_exact=is_exact)
    found, is_exact = like("d.value", pattern)
    prefix = prefix_of(pattern)
    narrowed = None
    if prefix:
        narrowed = starting("d.value", prefix)
    elif trigrams and column in SUBSTRINGS:
        narrowed = with_trigrams(column, literals_of(pattern))
    terms = of_kind(column, found.text, found.parameters)
    if narrowed is not None:
        where, parameters = f"{narrowed.text} AND {found.text}", (*narrowed.parameters, *found.parameters)
        terms = of_kind(column, where, parameters) if prefix else chosen(where, parameters)
    return has_term(column, terms, is_exact=is_exact)


# -- Members, UIDs, moments ----------------------------------------------------------------------------------


def has_members(column: str, values: Sequence[str], word: str = " OR ") -> Condition:
    """One of the values of an attribute is one of `values`; with ` AND `, they all are."""
    is_any = word == " OR "
    wanted = [value for value in values if value and is_storable(value) and SEPARATOR not in value]
    if not wanted or (not is_any and len(wanted) < len(values)):
        return NEVER
    if len(wanted) == 1 or not is_any:
        where = word.join(f"instr(p.{column}, ?) > 0" for _ in wanted)
        return has_profile(f"({where})", tuple(f"{SEPARATOR}{value}{SEPARATOR}" for value in wanted))
    given = orjson.dumps([f"{SEPARATOR}{value}{SEPARATOR}" for value in wanted]).decode()
    where = f"EXISTS (SELECT 1 FROM json_each(?) j WHERE instr(p.{column}, j.value) > 0)"  # noqa: S608
    return has_profile(where, (given,))


def _found(where: str, parameters: Parameters) -> Source:
    return Source(Sql(f"SELECT s.id FROM study s WHERE {where} AND s.id > 0", parameters))  # noqa: S608


def is_one_of(uids: Iterable[str]) -> Condition:
    """The Study Instance UID is one of `uids`."""
    given = (orjson.dumps(sorted(uid for uid in uids if is_storable(uid))).decode(),)
    where = "s.uid IN (SELECT value FROM json_each(?))"
    return Condition(f"({where} AND s.id > 0)", given, source=_found(where, given))


def is_date(column: str, first: str | None, last: str | None) -> Condition:
    """A date, which has to be there, lies within two, both included."""
    if column in COLUMNS:
        where = "d.value >= ?"
        given: Parameters = (first or "0",)
        if last is not None:
            where, given = f"{where} AND d.value <= ?", (*given, last)
        return has_term(column, of_kind(column, where, given))
    low = NUMBERS[0] if first is None else first_of_second(_ordinal(first))
    high = NUMBERS[1] if last is None else first_of_second(_ordinal(last) + 1) - 1
    days = Days(first or "0", last or "99999999", (low, high))
    return Condition("(s.id BETWEEN ? AND ?)", days.numbers, days=days)


def _ordinal(day: str) -> int:
    return date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal()


def is_clock(first: int | None, last: int | None) -> Condition:
    """The time, which has to be there, lies within two numbers of microseconds, both included."""
    where = "s.clock >= ?"
    given: Parameters = (max(first or 0, 0),)
    if last is not None:
        where, given = f"{where} AND s.clock <= ?", (*given, last)
    return Condition(f"({where} AND s.id > 0)", given)


def is_moment(first: tuple[str, int] | None, last: tuple[str, int] | None) -> Condition:
    """Date and time, both there, lie within two, both included."""
    where = "s.id BETWEEN ? AND ? AND s.clock >= 0"
    low, high = NUMBERS
    more: Parameters = ()
    if first is not None:
        low = first_of_second(_ordinal(first[0]), first[1])
        where += " AND s.date >= ? AND (s.date > ? OR s.clock >= ?)"
        more = (*more, first[0], *first)
    if last is not None:
        high = first_of_second(_ordinal(last[0]), last[1] + 1_000_000) - 1
        where += " AND s.date <= ? AND (s.date < ? OR s.clock <= ?)"
        more = (*more, last[0], *last)
    parameters = (low, high, *more)
    ids = Sql(f"SELECT s.id FROM study s NOT INDEXED WHERE {where}", parameters)  # noqa: S608
    return Condition(f"({where})", parameters, source=Source(ids))


def mentions(text: str) -> Condition:
    """Narrows to the studies in whose entry `text` is found."""
    where = "EXISTS (SELECT 1 FROM study_entry x WHERE x.id = s.id AND mentions(x.entry, s.uid, ?))"
    return Condition(where, (text.encode("ascii"),), is_exact=False, holds_for_irregular=True)


_WITH_SERIES = "SELECT study FROM series WHERE uid IN (SELECT value FROM json_each(?))"
_WITH_INSTANCE = (
    "SELECT e.study FROM instance i JOIN series e ON e.id = i.series"
    " WHERE i.uid IN (SELECT value FROM json_each(?))"
)


def has_series(uids: Iterable[str]) -> Condition:
    """The study has one of these series."""
    return _below(_WITH_SERIES, uids)


def has_instance(uids: Iterable[str]) -> Condition:
    """The study has one of these instances."""
    return _below(_WITH_INSTANCE, uids)


def _below(selection: str, uids: Iterable[str]) -> Condition:
    given = (orjson.dumps(sorted(uid for uid in uids if is_storable(uid))).decode(),)
    where = f"s.id IN ({selection})"
    return Condition(where, given, source=_found(where, given), holds_for_irregular=True)


# -- Together ------------------------------------------------------------------------------------------------


def any_of(conditions: Sequence[Condition]) -> Condition:
    """One of `conditions` holds."""
    return _together(conditions, " OR ", "0")


def all_of(conditions: Sequence[Condition]) -> Condition:
    """All of `conditions` hold; found where the first that has a source finds it."""
    if len(conditions) == 1:
        return conditions[0]
    source = next((one.source for one in conditions if one.source is not None), None)
    if source is not None:
        more = [one for one in conditions if one.source is not source]
        ids = Sql(
            "".join((source.ids.text, *(f" AND {one.where}" for one in more))),
            (*source.ids.parameters, *(value for one in more for value in one.parameters)),
        )
        source = Source(ids)
    return replace(_together(conditions, " AND ", "1"), source=source)


def _together(conditions: Sequence[Condition], word: str, none: str) -> Condition:
    where = word.join(one.where for one in conditions)
    parameters = tuple(value for one in conditions for value in one.parameters)
    is_exact = all(one.is_exact for one in conditions)
    return Condition(f"({where or none})", parameters, is_exact)
