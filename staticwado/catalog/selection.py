"""Selects studies by conditions: how many there are, which ones are on a page.

One rule: how it is done changes how long it takes, never what is found. Irregular studies are not looked at
but by `irregular`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from staticwado.catalog.conditions import Condition, Parameters, Source
from staticwado.catalog.names import spelt
from staticwado.catalog.schema import HAS_TRIGRAMS
from staticwado.catalog.writing import ALL, IRREGULAR, SETS, TOTAL

FEW = 2_000
"""Candidates that are sorted without another thought."""
_COUNTED = "SELECT sum(n) FROM tally WHERE kind = ? AND value = ? AND date = ''"
_ORDER = "ORDER BY s.date DESC, s.time DESC, s.uid"
_WALK = "SELECT s.id, s.date, s.time, s.uid, s.clock FROM study s INDEXED BY study_order WHERE s.regular = 1"
_EVERY = "SELECT s.id, s.date, s.time, s.uid, s.clock FROM study s INDEXED BY study_order WHERE 1"


class Place(NamedTuple):
    """A study: its number in the catalog, and its place in the order."""

    number: int
    date: str
    time: str
    uid: str


@dataclass(frozen=True, slots=True)
class Select:
    """A statement and its parameters."""

    text: str
    parameters: Parameters


class Studies:
    """The regular studies that fulfil conditions, in one state of the catalog."""

    def __init__(self, database: sqlite3.Connection, conditions: Sequence[Condition]) -> None:
        self._database = database
        self._moments = [one for one in conditions if one.is_moment]
        self._others = [one for one in conditions if not one.is_moment]
        self.is_exact = all(one.is_exact for one in conditions)
        self._driver = self._choose()

    def _choose(self) -> Condition | None:
        """The condition whose studies are fewest."""
        sized = [(self._size(one.source), one) for one in self._others if one.source is not None]
        return min(sized, key=lambda pair: pair[0])[1] if sized else None

    def _size(self, source: Source) -> int:
        """How many studies a source has, or that there are many."""
        if sum(one.source is not None for one in self._others) == 1:
            return 0
        if source.tallies:
            return self._tallied(source.tallies)
        found = self._sql(source)
        inner = f"SELECT 1 FROM ({found.text}) LIMIT {FEW}"  # noqa: S608
        return int(self._one(Select(f"SELECT count(*) FROM ({inner})", found.parameters)))  # noqa: S608

    def _one(self, select: Select) -> int:
        return int(self._database.execute(select.text, select.parameters).fetchone()[0] or 0)

    def _sql(self, source: Source) -> Select:
        """What a source has within the moments asked for."""
        suffix = "".join(f" AND {one.where}" for one in self._moments)
        more = tuple(value for one in self._moments for value in one.parameters)
        text = " UNION ALL ".join(sql + suffix for sql, _ in source.branches)
        return Select(text, tuple(value for _, given in source.branches for value in (*given, *more)))

    def _walk(self) -> Select:
        """All that fulfils the conditions, without a source."""
        conditions = (*self._moments, *self._others)
        text = _WALK + "".join(f" AND {one.where}" for one in conditions)
        return Select(text, tuple(value for one in conditions for value in one.parameters))

    def select(self) -> Select:
        """All that fulfils the conditions, by the driver if there is one; the columns are those of `s`."""
        if self._driver is None or self._driver.source is None:
            return self._walk()
        found = self._sql(self._driver.source)
        rest = [one for one in self._others if one is not self._driver]
        if not rest:
            return found
        # CROSS JOIN keeps SQLite from turning the two around.
        text = (
            f"SELECT s.id, s.date, s.time, s.uid, s.clock FROM ({found.text}) d"  # noqa: S608
            " CROSS JOIN study s ON s.id = d.id WHERE " + " AND ".join(one.where for one in rest)
        )
        return Select(text, (*found.parameters, *(value for one in rest for value in one.parameters)))

    # -- How many --------------------------------------------------------------------------------------------

    def count(self) -> int:
        """How many studies fulfil the conditions."""
        source = self._driver.source if self._driver is not None else None
        if len(self._others) <= 1 and self._are_days():
            if not self._others:
                return self._tallied([(ALL, "")])
            if source is not None and source.tallies:
                return self._tallied(source.tallies)
        if source is not None and source.count is not None and len(self._others) == 1 and not self._moments:
            return self._one(Select(*source.count))
        found = self.select()
        return self._one(Select(f"SELECT count(*) FROM ({found.text})", found.parameters))  # noqa: S608

    def _are_days(self) -> bool:
        """Whether the moments are whole days, for which there are tallies."""
        return not any("s.clock" in one.where for one in self._moments)

    def _tallied(self, tallies: Sequence[tuple[str, str]]) -> int:
        days = [one for one in self._moments if "s.clock" not in one.where]
        where = "".join(f" AND {one.where}" for one in days)
        text = f"SELECT sum(n) FROM tally s WHERE s.kind = ? AND s.value = ?{where}"  # noqa: S608
        more = tuple(given for one in days for given in one.parameters)
        if not days:
            return sum(self._one(Select(_COUNTED, (TOTAL + kind, value))) for kind, value in tallies)
        return sum(self._one(Select(text, (*tally, *more))) for tally in tallies)

    # -- Which -----------------------------------------------------------------------------------------------

    def page(self, count: int, start: int, stop: int | None) -> list[Place]:
        """Those of the `count` studies from number `start` to before `stop`, in order."""
        source = self._driver.source if self._driver is not None else None
        is_ordered = source is not None and source.is_ordered and len(self._others) == 1
        if not is_ordered and stop is not None and count > FEW and count * count > self._total() * stop:
            found, is_ordered = self._walk(), True
        else:
            found = self.select()
        text, limit = f"SELECT s.id, s.date, s.time, s.uid FROM ({found.text}) s {_ORDER}", ""  # noqa: S608
        if is_ordered or source is None:
            text = f"{found.text} {_ORDER}"
        if start or stop is not None:
            limit = f" LIMIT {-1 if stop is None else stop - start} OFFSET {start}"
        rows = self._database.execute(text + limit, found.parameters)
        return [Place(*row[:4]) for row in rows]

    def all(self) -> Iterator[Place]:
        """All of them, in order."""
        found = self.select()
        text = f"SELECT s.id, s.date, s.time, s.uid FROM ({found.text}) s {_ORDER}"  # noqa: S608
        if self._driver is None:
            text = f"{found.text} {_ORDER}"
        for row in self._database.cursor().execute(text, found.parameters):
            yield Place(*row[:4])

    def _total(self) -> int:
        return self._one(Select(_COUNTED, (TOTAL + ALL, "")))


def every_select() -> Select:
    """All studies, regular or not."""
    return Select(_EVERY, ())


def every_study(database: sqlite3.Connection, start: int, stop: int | None) -> list[Place]:
    """The studies, regular or not, from number `start` to before `stop`."""
    limit = -1 if stop is None else stop - start
    rows = database.execute(f"{_EVERY} {_ORDER} LIMIT {limit} OFFSET {start}")
    return [Place(*row[:4]) for row in rows]


def count_every(database: sqlite3.Connection) -> int:
    """How many studies there are, regular or not."""
    kinds = (TOTAL + ALL, TOTAL + IRREGULAR)
    row = database.execute("SELECT sum(n) FROM tally WHERE kind IN (?, ?)", kinds).fetchone()
    return int(row[0] or 0)


def irregular(database: sqlite3.Connection, conditions: Sequence[Condition] = ()) -> list[Place]:
    """The studies of which nothing can be said by columns, in order; narrowed by what is no column."""
    known = [one for one in conditions if one.holds_for_irregular]
    text = "SELECT s.id, s.date, s.time, s.uid FROM study s INDEXED BY study_irregular WHERE s.regular = 0"
    text += "".join(f" AND {one.where}" for one in known)
    rows = database.execute(f"{text} {_ORDER}", tuple(value for one in known for value in one.parameters))
    return [Place(*row) for row in rows]


def entries_of(database: sqlite3.Connection, places: Iterable[Place]) -> Iterator[bytes]:
    """The entries of studies as JSON."""
    for number, *_ in places:
        row = database.execute("SELECT entry FROM study_entry WHERE id = ?", (number,)).fetchone()
        yield row[0]


def words_like(database: sqlite3.Connection, word: str) -> list[str]:
    """Words of names that begin with `word`, or may differ from it by one typo."""
    start, after, _, edits = spelt("", word)
    found = database.execute(
        "SELECT text FROM lexicon WHERE text >= ? AND text < ? UNION SELECT word FROM misspelling"
        " WHERE text IN (SELECT value FROM json_each(?))",
        (start[1:], after[1:] or "\U0010ffff", edits),
    )
    return [text for (text,) in found]


def has_trigrams(database: sqlite3.Connection) -> bool:
    """Whether this SQLite has a trigram index."""
    return database.execute(HAS_TRIGRAMS).fetchone() is not None


def sets_known(database: sqlite3.Connection, kind: str) -> list[str]:
    """All sets of members of a kind that studies have."""
    return members_known(database, SETS + kind)


def members_known(database: sqlite3.Connection, kind: str) -> list[str]:
    """All values that members of a kind have."""
    rows = database.execute("SELECT value FROM tally WHERE kind = ?", (TOTAL + kind,))
    return [value for (value,) in rows]


def order_of(place: Place) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    """A key that sorts studies: latest first, then by UID."""
    return _backwards(place.date), _backwards(place.time), place.uid


def _backwards(text: str) -> tuple[int, ...]:
    return (*(-ord(letter) for letter in text), 1)


def study_of(database: sqlite3.Connection, uid: str) -> bytes | None:
    """The entry of a study as JSON."""
    row = database.execute(
        "SELECT e.entry FROM study s JOIN study_entry e USING (id) WHERE s.uid = ?", (uid,)
    ).fetchone()
    return None if row is None else row[0]


def series_of(
    database: sqlite3.Connection,
    study: str,
    series: Iterable[str] | None = None,
    instances: Iterable[str] | None = None,
) -> list[tuple[str, bytes]]:
    """The series of a study and their entries as JSON, in order; those that are named, or have one of the
    instances that are named.
    """
    text = "SELECT e.uid, e.entry FROM series e WHERE e.study = (SELECT id FROM study WHERE uid = ?)"
    parameters = [study]
    if series is not None:
        text += " AND e.uid IN (SELECT value FROM json_each(?))"
        parameters.append(orjson.dumps(list(series)).decode())
    if instances is not None:
        text += (
            " AND e.id IN (SELECT i.series FROM instance i WHERE i.uid IN (SELECT value FROM json_each(?)))"
        )
        parameters.append(orjson.dumps(list(instances)).decode())
    return list(database.execute(text + " ORDER BY e.number, e.uid", parameters))
