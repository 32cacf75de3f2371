"""Selects series of all studies by conditions on both: how many there are, which ones are on a page.

One rule: as for studies: how it is done changes how long it takes, never what is found.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from staticwado.catalog.conditions import Condition, is_storable
from staticwado.catalog.selection import FEW, Select, Studies, every_select, irregular

_ODD = "SELECT 1 FROM series INDEXED BY series_modality WHERE modality IS NULL LIMIT 1"
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
    return Condition("e.modality = ?", (modality,))


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
        self._where = "".join(f" AND {one.where}" for one in series)
        self._parameters = tuple(value for one in series for value in one.parameters)

    def is_exact(self) -> bool:
        """Whether SQL alone can tell what fulfils the conditions."""
        if not all(one.is_exact for one in self._studies):
            return False
        if "modality" in self._where and self._database.execute(_ODD).fetchone() is not None:
            return False
        return not (self._studies and irregular(self._database, self._studies))

    def _select(self) -> Select:
        if not self._studies:
            return every_select()
        return Studies(self._database, self._studies).select()

    def count(self) -> int:
        """How many series fulfil the conditions."""
        found = self._select()
        if self._studies:
            text = f"SELECT count(*) FROM ({found.text}) s CROSS JOIN series e ON e.study = s.id WHERE 1"  # noqa: S608
        else:
            text, found = "SELECT count(*) FROM series e WHERE 1", Select("", ())
        row = self._database.execute(text + self._where, (*found.parameters, *self._parameters)).fetchone()
        return int(row[0])

    def page(self, count: int, start: int, stop: int) -> list[SeriesFound]:
        """Those of the `count` series from number `start` to before `stop`, in order."""
        found, where = self._select(), self._where
        parameters = (*found.parameters, *self._parameters)
        if self._studies:
            source = f"({found.text}) s CROSS JOIN series e ON e.study = s.id"
        elif count <= FEW:
            source = "series e CROSS JOIN study s ON s.id = e.study"
        else:
            source = "study s INDEXED BY study_order CROSS JOIN series e ON e.study = s.id"
            where = where.replace("e.modality =", "+e.modality =")  # by study, not by modality
        text = f"SELECT s.id, s.uid, e.id, e.uid FROM {source}"  # noqa: S608
        text += f" WHERE 1{where} {_ORDER} LIMIT {stop - start} OFFSET {start}"
        rows = self._database.execute(text, parameters).fetchall()
        return [self._found(*row) for row in rows]

    def _found(self, study: int, study_uid: str, series: int, uid: str) -> SeriesFound:
        (above,) = self._database.execute("SELECT entry FROM study_entry WHERE id = ?", (study,)).fetchone()
        (entry,) = self._database.execute("SELECT entry FROM series WHERE id = ?", (series,)).fetchone()
        return SeriesFound(study_uid, uid, above, entry)
