"""Conditions on studies as SQL: what can be said of columns, and which index finds it.

One rule: values are parameters, never part of the text. A condition that is not exact lets more pass than it
should, never less.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from staticwado.catalog.columns import SEPARATOR
from staticwado.catalog.schema import WORD_COLUMNS as WORD_COLUMNS
from staticwado.catalog.writing import SETS

FOUND = "SELECT s.id, s.date, s.time, s.uid, s.clock"
_LONGEST_PATTERN = 2000
_MOST_STARS = 8
LONGEST_PHRASE = 64
TRIGRAM = 3
Parameters = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the studies that a condition speaks of are found without looking at the others."""

    branches: tuple[tuple[str, Parameters], ...]
    """Selections of id, date, time, uid and clock of `s`, which end within their WHERE; none has a study of
    another.
    """
    tallies: tuple[tuple[str, str], ...] = ()
    """Kinds and values under which they are counted, none of them twice."""
    count: tuple[str, Parameters] | None = None
    """A quicker statement that counts them."""
    is_ordered: bool = False
    """They come in the order of studies."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked of a study, the row `s`."""

    where: str
    parameters: Parameters = ()
    is_exact: bool = True
    source: Source | None = None
    is_moment: bool = False
    """It speaks of nothing but date and clock, which every source has."""
    holds_for_irregular: bool = False
    """It speaks of no column, and so of irregular studies too."""


NEVER = Condition("0", source=Source(((f"{FOUND} FROM study s WHERE 0", ()),)))
ANYTHING = Condition("1", is_exact=False)


def is_storable(text: str) -> bool:
    """Whether a column can hold `text`: texts with NUL or lone surrogates are in irregular rows alone."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _equal(column: str, value: str) -> Source:
    sql = f"{FOUND} FROM study s INDEXED BY study_{column} WHERE s.{column} = ? AND s.{column} <> ''"
    return Source(((sql, (value,)),), (("sex", value),) if column == "sex" else (), is_ordered=True)


def equals(column: str, value: str) -> Condition:
    """The column is `value`."""
    if not value or not is_storable(value):
        return NEVER
    return Condition(f"s.{column} = ?", (value,), source=_equal(column, value))


def is_empty(columns: Sequence[str]) -> Condition:
    """The columns are without a value."""
    return Condition("(" + " AND ".join(f"s.{column} = ''" for column in columns) + ")")


# -- Patterns ------------------------------------------------------------------------------------------------


def glob_of(pattern: str) -> str | None:
    """A pattern for GLOB; None if it would take long."""
    if len(pattern) > _LONGEST_PATTERN or pattern.count("*") > _MOST_STARS:
        return None
    return pattern.replace("[", "[[]")


def literals_of(pattern: str) -> list[str]:
    """The texts between the wildcards."""
    return [text for text in pattern.replace("?", "*").split("*") if text]


def prefix_of(pattern: str) -> str:
    return pattern[: min((pattern.find(letter) for letter in "*?" if letter in pattern), default=None)]


def after(prefix: str) -> str | None:
    """The first text that is behind all that begin with `prefix`."""
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place]) + 1
        if code <= 0x10FFFF:
            return prefix[:place] + chr(0xE000 if code == 0xD800 else code)
    return None


def like(column: str, pattern: str) -> Condition:
    """Where the column is as `pattern` says; without a source."""
    glob = glob_of(pattern)
    if glob is None:
        least = sum(map(len, literals_of(pattern)))
        return Condition(f"length(s.{column}) >= ?", (least,), is_exact=False)
    return Condition(f"(s.{column} <> '' AND s.{column} GLOB ?)", (glob,))


def starting(column: str, prefix: str) -> tuple[str, Parameters]:
    sql = f"{FOUND} FROM study s INDEXED BY study_{column} WHERE s.{column} <> '' AND s.{column} >= ?"
    end = after(prefix)
    return (sql, (prefix,)) if end is None else (f"{sql} AND s.{column} < ?", (prefix, end))


def phrase_of(column: str, literals: Iterable[str]) -> str | None:
    """The search for texts that hold all of `literals`, as far as trigrams can; None if they cannot."""
    found = [text[:LONGEST_PHRASE] for text in literals if len(text) >= TRIGRAM]
    terms = ('"' + text.replace('"', '""') + '"' for text in sorted(found, key=len)[-4:])
    joined = " AND ".join(terms)
    return f"{{{column}}} : ({joined})" if joined else None


def by_trigrams(phrase: str, condition: Condition, *, is_all: bool) -> Source:
    sql = f"{FOUND} FROM trigram t CROSS JOIN study s ON s.id = t.rowid WHERE t.trigram MATCH ?"
    if not is_all:
        sql += f" AND {condition.where}"
    parameters = (phrase,) if is_all else (phrase, *condition.parameters)
    count = ("SELECT count(*) FROM trigram WHERE trigram MATCH ?", (phrase,)) if is_all else None
    return Source(((sql, parameters),), count=count)


def is_like(column: str, pattern: str, *, trigrams: bool) -> Condition:
    """The column, which has to have a value, is as `pattern` with `*` and `?` says.

    `trigrams`: whether the trigram index is there and holds the column.
    """
    if not is_storable(pattern):
        return NEVER
    condition = like(column, pattern)
    prefix = prefix_of(pattern)
    if prefix:
        sql, parameters = starting(column, prefix)
        if pattern != prefix + "*":
            sql, parameters = f"{sql} AND {condition.where}", (*parameters, *condition.parameters)
        return replace(condition, source=Source(((sql, parameters),)))
    literals = literals_of(pattern)
    phrase = phrase_of(column, literals) if trigrams else None
    if phrase is None:
        return condition
    is_all = pattern == f"*{literals[0]}*" and len(literals[0]) <= LONGEST_PHRASE
    return replace(condition, source=by_trigrams(phrase, condition, is_all=is_all))


# -- Members, UIDs, moments ----------------------------------------------------------------------------------


def has_member(kind: str, value: str) -> Condition:
    """One of the values of an attribute is `value`."""
    if not value or not is_storable(value) or SEPARATOR in value:
        return NEVER
    sql = (
        "SELECT s.study AS id, s.date, s.time, s.uid, s.clock FROM member s WHERE s.kind = ? AND s.value = ?"
    )
    return Condition(
        f"instr(s.{kind}, ?) > 0",
        (f"{SEPARATOR}{value}{SEPARATOR}",),
        source=Source(((sql, (kind, value)),), ((kind, value),), is_ordered=True),
    )


def has_some_member(kind: str, values: Sequence[str], sets: Iterable[str]) -> Condition:
    """One of the values of an attribute is one of `values`; `sets` are all sets of members that there are."""
    wanted = [value for value in values if value and is_storable(value) and SEPARATOR not in value]
    if len(wanted) < 2:
        return has_member(kind, wanted[0]) if wanted else NEVER
    members = "SELECT study FROM member WHERE kind = ? AND value IN (SELECT value FROM json_each(?))"
    sql = f"{FOUND} FROM study s WHERE s.id IN ({members})"
    tallies = tuple(
        (SETS + kind, found) for found in sets if not set(wanted).isdisjoint(found.split(SEPARATOR))
    )
    source = Source(((sql, (kind, orjson.dumps(wanted).decode())),), tallies)
    where = f"EXISTS (SELECT 1 FROM json_each(?) j WHERE instr(s.{kind}, j.value) > 0)"  # noqa: S608
    given = orjson.dumps([f"{SEPARATOR}{value}{SEPARATOR}" for value in wanted]).decode()
    return Condition(where, (given,), source=source)


def is_one_of(uids: Iterable[str]) -> Condition:
    """The Study Instance UID is one of `uids`."""
    given = (orjson.dumps(sorted(uid for uid in uids if is_storable(uid))).decode(),)
    where = "s.uid IN (SELECT value FROM json_each(?)) AND s.regular = 1"
    return Condition(f"({where})", given, source=Source(((f"{FOUND} FROM study s WHERE {where}", given),)))


def is_date(column: str, first: str | None, last: str | None) -> Condition:
    """A date, which has to be there, lies within two, both included."""
    where = f"s.{column} >= ?"
    given: Parameters = (first or "0",)
    if last is not None:
        where, given = f"{where} AND s.{column} <= ?", (*given, last)
    condition = Condition(f"({where})", given, is_moment=column == "date")
    if column == "date":
        return condition
    sql = f"{FOUND} FROM study s INDEXED BY study_{column} WHERE s.{column} <> '' AND {where}"
    return replace(condition, source=Source(((sql, given),)))


def is_clock(first: int | None, last: int | None) -> Condition:
    """The time, which has to be there, lies within two numbers of microseconds, both included."""
    where = "s.clock >= ?"
    given: Parameters = (max(first or 0, 0),)
    if last is not None:
        where, given = f"{where} AND s.clock <= ?", (*given, last)
    return Condition(f"({where})", given, is_moment=True)


def is_moment(first: tuple[str, int] | None, last: tuple[str, int] | None) -> Condition:
    """Date and time, both there, lie within two, both included."""
    where = "s.date <> '' AND s.clock >= 0"
    parameters: Parameters = ()
    if first is not None:
        where += " AND s.date >= ? AND (s.date > ? OR s.clock >= ?)"
        parameters = (*parameters, first[0], *first)
    if last is not None:
        where += " AND s.date <= ? AND (s.date < ? OR s.clock <= ?)"
        parameters = (*parameters, last[0], *last)
    return Condition(f"({where})", parameters, is_moment=True)


def mentions(text: str) -> Condition:
    """Narrows to the studies in whose entry `text` is found."""
    where = "EXISTS (SELECT 1 FROM study_entry x WHERE x.id = s.id AND instr(x.entry, ?) > 0)"
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
    source = Source(((f"{FOUND} FROM study s WHERE {where} AND s.regular = 1", given),))
    return Condition(where, given, source=source, holds_for_irregular=True)


# -- Together ------------------------------------------------------------------------------------------------


def any_of(conditions: Sequence[Condition]) -> Condition:
    """One of `conditions` holds."""
    return _together(conditions, " OR ", "0")


def all_of(conditions: Sequence[Condition]) -> Condition:
    """All of `conditions` hold; found where the first that has a source finds it."""
    source = next((one.source for one in conditions if one.source is not None), None)
    if len(conditions) == 1:
        return conditions[0]
    if source is not None:
        source = replace(source, tallies=(), count=None, is_ordered=False)
    return replace(_together(conditions, " AND ", "1"), source=source)


def _together(conditions: Sequence[Condition], word: str, none: str) -> Condition:
    where = word.join(one.where for one in conditions)
    parameters = tuple(value for one in conditions for value in one.parameters)
    is_exact = all(one.is_exact for one in conditions)
    return Condition(f"({where or none})", parameters, is_exact)
