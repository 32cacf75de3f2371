"""Selects studies by conditions: how many there are, which ones are on a page.

One rule: how it is done changes how long it takes, never what is found. Irregular studies are not looked at
but by `irregular`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import orjson

from staticwado.catalog.columns import second_of
from staticwado.catalog.conditions import Condition, Days, Source, has_number
from staticwado.catalog.patterns import Sql
from staticwado.catalog.writing import EVERY

FEW = 2_000
"""Studies that are sorted, and terms that are put into a list, without another thought."""
_STEP = 4
"""How much longer it takes to walk past a study than to find one by an index."""
_MORE = 50
"""Studies that are read behind a page, as its last second may have more of them."""
_ORDER = "ORDER BY s.date DESC, s.time DESC, s.uid"
_PLACE = "SELECT s.id, s.date, s.time, s.uid FROM study s"
_WALK = "FROM study s INDEXED BY study_order WHERE s.id > 0"
_AMONG = " IN (SELECT value FROM json_each(?))"


class Place(NamedTuple):
    """A study: its number in the catalog, and its place in the order."""

    number: int
    date: str
    time: str
    uid: str


class Studies:
    """The regular studies that fulfil conditions, in one state of the catalog."""

    def __init__(self, database: sqlite3.Connection, conditions: Sequence[Condition]) -> None:
        self._database = database
        self._days = _meet([one.days for one in conditions if one.days is not None])
        self._profiles = self._select_profiles([one.profile for one in conditions if one.profile is not None])
        others = [one for one in conditions if one.days is None and one.profile is None]
        self._others = [self._look_up(one) for one in others]
        self.is_exact = all(one.is_exact for one in conditions)
        self._driver = self._choose()

    def _select_profiles(self, wanted: Sequence[Sql]) -> str | None:
        """The numbers of the profiles asked for as JSON; None for all of them."""
        if not wanted:
            return None
        text = "SELECT p.id FROM profile p WHERE " + " AND ".join(one.text for one in wanted)  # noqa: S608
        rows = self._database.execute(text, tuple(value for one in wanted for value in one.parameters))
        return orjson.dumps([number for (number,) in rows]).decode()

    def _look_up(self, condition: Condition) -> Condition:
        """`condition` by the numbers of its terms, if these are few: to look for them once is enough."""
        if condition.terms is None:
            return condition
        found = condition.terms.found
        text = f"SELECT d.id, d.n {found.text} LIMIT {FEW + 1}"
        rows = self._database.execute(text, found.parameters).fetchall()
        if len(rows) > FEW:
            return condition
        numbers = has_number(condition.terms.column, [number for number, _ in rows], sum(n for _, n in rows))
        return replace(numbers, is_exact=condition.is_exact)

    def _choose(self) -> Condition | None:
        """The condition whose studies are fewest."""
        found = [(one.source, one) for one in self._others if one.source is not None]
        if len(found) < 2:
            return found[0][1] if found else None
        return min(found, key=lambda pair: self._size(pair[0]))[1]

    def _size(self, source: Source) -> int:
        """How many studies a source has, or that there are many."""
        if source.count is not None:
            return source.count if isinstance(source.count, int) else self._one(source.count)
        text = f"SELECT count(*) FROM ({source.ids.text} LIMIT {FEW})"  # noqa: S608
        return self._one(Sql(text, source.ids.parameters))

    def _one(self, statement: Sql) -> int:
        return int(self._database.execute(statement.text, statement.parameters).fetchone()[0] or 0)

    # -- Statements ------------------------------------------------------------------------------------------

    def _narrowed(self, found: Sql) -> Sql:
        """A selection of `s` within the days and profiles asked for."""
        text, parameters = found.text, found.parameters
        if self._days is not None:
            text, parameters = f"{text} AND s.id BETWEEN ? AND ?", (*parameters, *self._days.numbers)
        if self._profiles is not None:
            text, parameters = f"{text} AND s.profile{_AMONG}", (*parameters, self._profiles)
        return Sql(text, parameters)

    def _walk(self, columns: str) -> Sql:
        """All that fulfils the conditions, in order and one by one."""
        found = Sql(f"SELECT {columns} {_WALK}")
        if self._days is not None:
            days = (self._days.first, self._days.last)
            found = Sql(f"{found.text} AND s.date BETWEEN ? AND ?", days)
        found = self._narrowed(found)
        text = found.text + "".join(f" AND {one.where}" for one in self._others)
        return Sql(text, (*found.parameters, *(value for one in self._others for value in one.parameters)))

    def select(self) -> Sql:
        """The numbers of all that fulfil the conditions, in any order."""
        source = self._driver.source if self._driver is not None else None
        if source is None:
            if self._others:
                return self._walk("s.id")
            index = "INDEXED BY study_profile" if self._profiles is not None else "NOT INDEXED"
            return self._narrowed(Sql(f"SELECT s.id FROM study s {index} WHERE s.id > 0"))  # noqa: S608
        found = self._narrowed(source.ids)
        rest = [one for one in self._others if one is not self._driver]
        if not rest:
            return found
        # CROSS JOIN keeps SQLite from turning the two around.
        text = f"SELECT s.id FROM ({found.text}) f CROSS JOIN study s ON s.id = f.id WHERE "  # noqa: S608
        text += " AND ".join(one.where for one in rest)
        return Sql(text, (*found.parameters, *(value for one in rest for value in one.parameters)))

    # -- How many --------------------------------------------------------------------------------------------

    def count(self) -> int:
        """How many studies fulfil the conditions."""
        if not self._others:
            return self._tallied()
        source = self._driver.source if self._driver is not None else None
        is_alone = len(self._others) == 1 and self._days is None and self._profiles is None
        if is_alone and source is not None and source.count is not None:
            return self._size(source)
        found = self.select()
        return self._one(Sql(f"SELECT count(*) FROM ({found.text})", found.parameters))  # noqa: S608

    def _tallied(self) -> int:
        """How many there are of the days and profiles."""
        if self._days is None:
            if self._profiles is None:
                return self._one(Sql("SELECT total(n) FROM profile"))
            return self._one(Sql(f"SELECT total(n) FROM profile WHERE id{_AMONG}", (self._profiles,)))  # noqa: S608
        days = (self._days.first, self._days.last)
        if self._profiles is None:
            text = f"SELECT total(n) FROM tally WHERE profile = {EVERY} AND date BETWEEN ? AND ?"  # noqa: S608
            return self._one(Sql(text, days))
        text = f"SELECT total(n) FROM tally WHERE profile{_AMONG} AND date BETWEEN ? AND ?"  # noqa: S608
        return self._one(Sql(text, (self._profiles, *days)))

    # -- Which -----------------------------------------------------------------------------------------------

    def page(self, count: int, start: int, stop: int) -> list[Place]:
        """Those of the `count` studies from number `start` to before `stop`, in order."""
        stop = min(stop, count)
        if start >= stop:
            return []
        is_sourced = self._driver is not None or (self._profiles is not None and not self._others)
        if is_sourced and self._is_better_sorted(count, stop):
            return self._sorted(start, stop)
        found = self._walk("s.id, s.date, s.time, s.uid")
        rows = self._database.execute(
            f"{found.text} {_ORDER} LIMIT {stop - start} OFFSET {start}", found.parameters
        )
        return [Place(*row) for row in rows]

    def _is_better_sorted(self, count: int, stop: int) -> bool:
        """Whether to look at all that the driver finds takes less than to walk until the page is full."""
        source = self._driver.source if self._driver is not None else None
        size = source.count if source is not None and isinstance(source.count, int) else count
        return size <= FEW or size * count < _STEP * self._within() * stop

    def _within(self) -> int:
        """How many studies the days asked for have."""
        if self._days is None:
            return self._one(Sql("SELECT total(n) FROM profile"))
        text = f"SELECT total(n) FROM tally WHERE profile = {EVERY} AND date BETWEEN ? AND ?"  # noqa: S608
        return self._one(Sql(text, (self._days.first, self._days.last)))

    def _sorted(self, start: int, stop: int) -> list[Place]:
        """The page by the numbers of all: rows are read of its studies and of those of the same seconds."""
        numbers = self._latest(stop + _MORE)
        if len(numbers) == stop + _MORE and second_of(numbers[-1]) == second_of(numbers[stop - 1]):
            numbers = self._latest(-1)
        first, last = start, stop
        while first > 0 and second_of(numbers[first - 1]) == second_of(numbers[start]):
            first -= 1
        while last < len(numbers) and second_of(numbers[last]) == second_of(numbers[stop - 1]):
            last += 1
        places: list[Place] = []
        for _, group in groupby(self._places(numbers[first:last]), lambda place: second_of(place.number)):
            same = list(group)
            places += sorted(same, key=order_of) if len(same) > 1 else same
        return places[start - first : stop - first]

    def _latest(self, most: int) -> list[int]:
        """The numbers of so many that are first in order; of all of them for -1."""
        found = self.select()
        # The plus keeps SQLite from walking through all studies in that order.
        text = f"{found.text} ORDER BY +s.id DESC LIMIT ?"
        return [number for (number,) in self._database.execute(text, (*found.parameters, most))]

    def _places(self, numbers: Sequence[int]) -> Iterator[Place]:
        text = f"{_PLACE} WHERE s.id = ?"
        for number in numbers:
            yield Place(*self._database.execute(text, (number,)).fetchone())

    def all(self) -> Iterator[Place]:
        """All of them, in order."""
        if self._driver is None:
            found = self._walk("s.id, s.date, s.time, s.uid")
        else:
            chosen = self.select()
            found = Sql(f"{_PLACE} WHERE s.id IN ({chosen.text})", chosen.parameters)
        for row in self._database.cursor().execute(f"{found.text} {_ORDER}", found.parameters):
            yield Place(*row)


def _meet(days: Sequence[Days]) -> Days | None:
    """The days that are in all of `days`."""
    if not days:
        return None
    low, high = max(one.numbers[0] for one in days), min(one.numbers[1] for one in days)
    return Days(max(one.first for one in days), min(one.last for one in days), (low, high))


def every_study(database: sqlite3.Connection, start: int, stop: int) -> list[Place]:
    """The studies, regular or not, from number `start` to before `stop`."""
    text = f"SELECT s.id, s.date, s.time, s.uid FROM study s INDEXED BY study_order {_ORDER}"  # noqa: S608
    return [Place(*row) for row in database.execute(f"{text} LIMIT {stop - start} OFFSET {start}")]


def count_every(database: sqlite3.Connection) -> int:
    """How many studies there are, regular or not."""
    text = "SELECT (SELECT total(n) FROM profile) + (SELECT count(*) FROM study WHERE id < 0)"
    return int(database.execute(text).fetchone()[0])


def irregular(database: sqlite3.Connection, conditions: Sequence[Condition] = ()) -> list[Place]:
    """The studies of which nothing can be said by columns, in order; narrowed by what is no column."""
    known = [one for one in conditions if one.holds_for_irregular]
    text = f"{_PLACE} NOT INDEXED WHERE s.id < 0" + "".join(f" AND {one.where}" for one in known)
    rows = database.execute(f"{text} {_ORDER}", tuple(value for one in known for value in one.parameters))
    return [Place(*row) for row in rows]


def order_of(place: Place) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    """A key that sorts studies: latest first, then by UID."""
    return _backwards(place.date), _backwards(place.time), place.uid


def _backwards(text: str) -> tuple[int, ...]:
    return (*(-ord(letter) for letter in text), 1)
