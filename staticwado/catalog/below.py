"""Selects series of all studies by conditions on both: how many there are, which ones are on a page.

One rule: as for studies: how it is done changes how long it takes, never what is found.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from staticwado.catalog.conditions import Condition
from staticwado.catalog.packing import unpack
from staticwado.catalog.patterns import Sql, is_storable
from staticwado.catalog.selection import FEW, Studies, irregular
from staticwado.catalog.terms import KINDS

_ODD = "SELECT 1 FROM series INDEXED BY series_modality WHERE modality IS NULL LIMIT 1"
_WITH_MODALITY = f"SELECT total(n) FROM term WHERE kind = {KINDS['series_modality']} AND value = ?"  # noqa: S608
_ORDER = "ORDER BY s.date DESC, s.time DESC, s.uid, e.number, e.uid"


class SeriesFound(NamedTuple):
    """A series, its study, and the entries of both as JSON."""

    study: str
    series: str
    study_entry: bytes
    entry: bytes


def has_modality(modality: str) -> Condition:
    """The modality of the series `e` is this one."""
    if not modality or not is_storable(modality):
        return Condition("0")
    number = f"SELECT d.id FROM term d WHERE d.kind = {KINDS['series_modality']} AND d.value = ?"  # noqa: S608
    return Condition(f"e.modality = ({number})", (modality,))


def is_series(uids: Sequence[str]) -> Condition:
    """The series `e` is one of `uids`."""
    given = orjson.dumps([uid for uid in uids if is_storable(uid)]).decode()
    return Condition("e.uid IN (SELECT value FROM json_each(?))", (given,))


class SeriesOfStudies:
    """The series that fulfil exact conditions, of studies that do."""

    def __init__(
        self, database: sqlite3.Connection, studies: Sequence[Condition], series: Sequence[Condition]
    ) -> None:
        self._database = database
        self._studies = studies
        self._series = series
        self._where = "".join(f" AND {one.where}" for one in series)
        self._parameters = tuple(value for one in series for value in one.parameters)

    def is_exact(self) -> bool:
        """Whether SQL alone can tell what fulfils the conditions."""
        if not all(one.is_exact for one in self._studies):
            return False
        if "modality" in self._where and self._database.execute(_ODD).fetchone() is not None:
            return False
        return not (self._studies and irregular(self._database, self._studies))

    def count(self) -> int:
        """How many series fulfil the conditions."""
        if not self._studies and len(self._series) == 1 and self._series[0].where.startswith("e.modality"):
            return self._one(Sql(_WITH_MODALITY, self._series[0].parameters))
        if self._studies:
            found = Studies(self._database, self._studies).select()
            text = f"SELECT count(*) FROM ({found.text}) f CROSS JOIN series e ON e.study = f.id WHERE 1"  # noqa: S608
        else:
            text, found = "SELECT count(*) FROM series e WHERE 1", Sql("")
        return self._one(Sql(text + self._where, (*found.parameters, *self._parameters)))

    def _one(self, statement: Sql) -> int:
        return int(self._database.execute(statement.text, statement.parameters).fetchone()[0] or 0)

    def page(self, count: int, start: int, stop: int) -> list[SeriesFound]:
        """Those of the `count` series from number `start` to before `stop`, in order."""
        where, found = self._where, Sql("")
        if self._studies:
            found = Studies(self._database, self._studies).select()
            source = (
                f"({found.text}) f CROSS JOIN study s ON s.id = f.id CROSS JOIN series e ON e.study = s.id"
            )
        elif count <= FEW:
            source = "series e CROSS JOIN study s ON s.id = e.study"
        else:
            source = (
                "study s INDEXED BY study_order CROSS JOIN series e INDEXED BY series_study ON e.study = s.id"
            )
        text = f"SELECT s.uid, e.id, e.uid FROM {source}"  # noqa: S608
        text += f" WHERE 1{where} {_ORDER} LIMIT {stop - start} OFFSET {start}"
        rows = self._database.execute(text, (*found.parameters, *self._parameters)).fetchall()
        return [self._found(*row) for row in rows]

    def _found(self, study: str, number: int, series: str) -> SeriesFound:
        above, entry = self._database.execute(
            "SELECT x.entry, e.entry FROM series e JOIN study_entry x ON x.id = e.study WHERE e.id = ?",
            (number,),
        ).fetchone()
        return SeriesFound(study, series, unpack(above, study), unpack(entry, study, series))
