"""Patterns with `*` and `?` as SQL: GLOB, ranges of texts, and trigrams that narrow.

One rule: values are parameters, never part of the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from staticwado.catalog.terms import KINDS, numbers_of

_LONGEST_PATTERN = 2000
_MOST_STARS = 8
_MOST_TRIGRAMS = 12
TRIGRAM = 3
Parameters = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and its parameters."""

    text: str
    parameters: Parameters = ()


def is_storable(text: str) -> bool:
    """Whether a column can hold `text`: texts with NUL or lone surrogates are in irregular rows alone."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


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


def like(column: str, pattern: str) -> tuple[Sql, bool]:
    """Where the column, one of `d` or `p`, is as `pattern` says; and whether that is exact."""
    glob = glob_of(pattern)
    if glob is None:
        least = sum(map(len, literals_of(pattern)))
        return Sql(f"length({column}) >= ?", (least,)), False
    return Sql(f"({column} <> '' AND {column} GLOB ?)", (glob,)), True


def starting(column: str, prefix: str) -> Sql:
    """That the column begins with `prefix`."""
    end = after(prefix)
    if end is None:
        return Sql(f"{column} >= ?", (prefix,))
    return Sql(f"{column} >= ? AND {column} < ?", (prefix, end))


def with_trigrams(column: str, literals: Iterable[str]) -> Sql | None:
    """That the term `d` of the column has all trigrams of `literals`; None if they have none."""
    found = [text[place : place + TRIGRAM] for text in literals for place in range(len(text) - TRIGRAM + 1)]
    if not found:
        return None
    step = -(-len(found) // _MOST_TRIGRAMS)
    phrase = " AND ".join('"' + text.replace('"', '""') + '"' for text in dict.fromkeys(found[::step]))
    chosen = "SELECT rowid FROM trigram WHERE trigram MATCH ? AND rowid BETWEEN ? AND ?"
    return Sql(f"d.id IN ({chosen})", (phrase, *numbers_of(KINDS[column])))
