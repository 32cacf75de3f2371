"""Rows into the tables of the catalog, and out of them again.

One rule: whatever is derived from a study (terms, profiles, tallies) changes with its row, in the same
transaction: who has written calls `flush` before it ends.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

import orjson

from staticwado.catalog.columns import (
    COLUMNS,
    StudyColumns,
    Term,
    last_of_second,
    series_columns,
    study_columns,
)
from staticwado.catalog.packing import pack
from staticwado.catalog.rows import Entry, FreshInstance, SeriesRow, Stamp, StudyRow
from staticwado.catalog.terms import TermWriter

_NAMES = ("uid", "date", "time", "clock", "profile", *COLUMNS, "size", "mtime", "inode")
_SET = ", ".join(f"{name} = ?" for name in _NAMES)
# S608: what is put into these texts are names of columns, never values
_INSERT = f"INSERT INTO study (id, {', '.join(_NAMES)}) VALUES (?, {', '.join('?' * len(_NAMES))})"  # noqa: S608
_UPDATE = f"UPDATE study SET id = ?, {_SET} WHERE id = ?"  # noqa: S608
_KNOWN = f"SELECT id, date, profile, {', '.join(COLUMNS)} FROM study WHERE uid = ?"  # noqa: S608
_COUNT = "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT (profile, date) DO UPDATE SET n = n + excluded.n"
_UNCOUNT = "DELETE FROM tally WHERE profile = ? AND date = ? AND n <= 0"
_PROFILE = "SELECT id FROM profile WHERE sex = ? AND modality = ? AND sop_class = ?"
EVERY = 0
"""The profile under which all regular studies are counted, day by day."""
NO_PROFILE = -1
"""That of irregular studies."""


class Writer:
    """Writes within a transaction that its user has begun."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._has_claims = database.execute("SELECT 1 FROM claim LIMIT 1").fetchone() is not None
        self._terms = TermWriter(database)
        self._tallies: Counter[tuple[int, str]] = Counter()
        self._profiles: dict[Term, int] = {}
        self._last: dict[int, int] = {}
        self._next_series: int | None = None

    def flush(self) -> None:
        """Write what has been counted."""
        self._terms.flush()
        counted = [(*key, n) for key, n in self._tallies.items() if n]
        self._database.executemany(_COUNT, counted)
        totals: Counter[int] = Counter()
        for profile, _, n in counted:
            totals[profile] += n
        changed = [(n, profile) for profile, n in totals.items() if n]
        self._database.executemany("UPDATE profile SET n = n + ? WHERE id = ?", changed)
        self._database.executemany(_UNCOUNT, (key[:2] for key in counted if key[2] < 0))
        self._database.execute("DELETE FROM profile WHERE n <= 0")
        self._profiles = {}
        self._tallies.clear()

    # -- Studies ---------------------------------------------------------------------------------------------

    def put_study(self, uid: str, entry: Entry, stamp: Stamp | None) -> int:
        """The row of a study, in place of what there was; returns its number."""
        columns = study_columns(uid, entry)
        known = self._database.execute(_KNOWN, (uid,)).fetchone()
        number = self._number(columns, None if known is None else known[0])
        profile = self._count(columns) if number > 0 else NO_PROFILE
        terms = [self._terms.add(name, columns.terms.get(name)) if number > 0 else 0 for name in COLUMNS]
        clock = columns.clock if number > 0 else -1
        row = (uid, columns.date, columns.time, clock, profile, *terms, *(stamp or (None, None, None)))
        if known is None:
            self._database.execute(_INSERT, (number, *row))
        else:
            self._uncount(known)
            self._database.execute(_UPDATE, (number, *row, known[0]))
            if number != known[0]:
                self._renumber(known[0], number)
        body = pack(orjson.dumps(entry), uid)
        self._database.execute("INSERT OR REPLACE INTO study_entry VALUES (?, ?)", (number, body))
        return number

    def _number(self, columns: StudyColumns, known: int | None) -> int:
        """A number whose place among others is that of the study's second; below zero for irregular ones."""
        first, last = 0, 0
        if columns.is_regular:
            first = columns.first_number
            last = last_of_second(first)
            if known is not None and first <= known <= last:
                return known
            if first not in self._last:
                found = self._database.execute(
                    "SELECT max(id) FROM study WHERE id BETWEEN ? AND ?", (first, last)
                ).fetchone()[0]
                self._last[first] = first if found is None else found
            self._last[first] += 1
            if self._last[first] < last:
                return self._last[first]
        elif known is not None and known < 0:
            return known
        if -1 not in self._last:
            found = self._database.execute("SELECT min(id) FROM study").fetchone()[0]
            self._last[-1] = min(found or 0, 0)
        self._last[-1] -= 1
        return self._last[-1]

    def _renumber(self, old: int, new: int) -> None:
        self._database.execute("UPDATE series SET study = ? WHERE study = ?", (new, old))
        self._database.execute("UPDATE fresh SET study = ? WHERE study = ?", (new, old))
        self._database.execute("DELETE FROM study_entry WHERE id = ?", (old,))

    def _count(self, columns: StudyColumns) -> int:
        profile = self._profiles.get(columns.profile)
        if profile is None:
            row = self._database.execute(_PROFILE, columns.profile).fetchone()
            if row is None:
                made = "INSERT INTO profile (sex, modality, sop_class, n) VALUES (?, ?, ?, 0) RETURNING id"
                row = self._database.execute(made, columns.profile).fetchone()
            profile = self._profiles[columns.profile] = int(row[0])
        self._tallies[profile, columns.date] += 1
        self._tallies[EVERY, columns.date] += 1
        return profile

    def _uncount(self, known: Sequence[int]) -> None:
        number, date, profile, *terms = known
        if number > 0:
            self._tallies[profile, str(date)] -= 1
            self._tallies[EVERY, str(date)] -= 1
            for term in terms:
                self._terms.drop(term)

    def remove_study(self, uid: str) -> None:
        """Nothing is left of a study."""
        known = self._database.execute(_KNOWN, (uid,)).fetchone()
        if known is None:
            return
        self._uncount(known)
        number = known[0]
        found = self._database.execute("SELECT id, modality FROM series WHERE study = ?", (number,))
        for series, modality in found.fetchall():
            self._remove_series(series, modality)
        self._database.execute("DELETE FROM fresh WHERE study = ?", (number,))
        self._database.execute("DELETE FROM study_entry WHERE id = ?", (number,))
        self._database.execute("DELETE FROM study WHERE id = ?", (number,))
        self._database.execute("DELETE FROM claim WHERE study = ?", (uid,))
        self._last = {}

    def put_row(self, row: StudyRow) -> None:
        """A study as its index files have it: nothing of it is fresh any more."""
        is_new = self._database.execute("SELECT 1 FROM study WHERE uid = ?", (row.uid,)).fetchone() is None
        number = self.put_study(row.uid, row.entry, row.stamp)
        if is_new:
            self._put_new_series(number, row)
            return
        self.put_all_series(number, row)
        self._database.execute("DELETE FROM fresh WHERE study = ?", (number,))
        self._database.execute("UPDATE study SET generation = NULL, merged = NULL WHERE id = ?", (number,))

    # -- Series and instances --------------------------------------------------------------------------------

    def _put_new_series(self, study: int, row: StudyRow) -> None:
        """The series of a study of which nothing is there."""
        if self._next_series is None:
            found = self._database.execute("SELECT max(id) FROM series").fetchone()[0]
            self._next_series = (found or 0) + 1
        first = self._next_series
        rows = {one.uid: one for one in row.series}
        self._next_series += len(rows)
        made = []
        for number, series in enumerate(rows.values(), first):
            place, modality = series_columns(series.uid, series.entry)
            body = pack(orjson.dumps(series.entry), row.uid, series.uid)
            made.append((number, study, series.uid, place, self._modality(modality), body))
        self._database.executemany("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?)", made)
        self._put_places(
            [(uid, number) for number, one in enumerate(rows.values(), first) for uid in one.instances]
        )

    def _modality(self, modality: str | None) -> int | None:
        """The number of the modality of a series more; None if it is irregular."""
        if modality is None:
            return None
        return self._terms.add("series_modality", (modality, "", "") if modality else None)

    def put_all_series(self, study: int, row: StudyRow) -> None:
        """The series of a study and their instances, in place of what there was."""
        found = self._database.execute("SELECT uid, id, modality FROM series WHERE study = ?", (study,))
        known = {uid: (number, modality) for uid, number, modality in found}
        places: list[tuple[str, int]] = []
        for series in row.series:
            before = known.pop(series.uid, None)
            number = self._put(study, row.uid, series, before)
            wanted = set(series.instances)
            if before is not None:
                rows = self._database.execute("SELECT uid FROM instance WHERE series = ?", (number,))
                there = {uid for (uid,) in rows}
                gone = ((uid, number) for uid in there - wanted)
                self._database.executemany("DELETE FROM instance WHERE uid = ? AND series = ?", gone)
                wanted -= there
            places += ((uid, number) for uid in wanted)
        self._put_places(places)
        for number, modality in known.values():
            self._remove_series(number, modality)

    def put_series(self, study: int, study_uid: str, row: SeriesRow) -> int:
        """The row of one series; returns its number."""
        before = self._database.execute(
            "SELECT id, modality FROM series WHERE uid = ? AND study = ?", (row.uid, study)
        ).fetchone()
        return self._put(study, study_uid, row, before)

    def _put(self, study: int, study_uid: str, row: SeriesRow, before: tuple[int, int | None] | None) -> int:
        place, modality = series_columns(row.uid, row.entry)
        term = self._modality(modality)
        body = pack(orjson.dumps(row.entry), study_uid, row.uid)
        if before is None:
            self._next_series = None
            made = "INSERT INTO series (study, uid, number, modality, entry) VALUES (?, ?, ?, ?, ?)"
            return self._database.execute(made, (study, row.uid, place, term, body)).lastrowid or 0
        self._terms.drop(before[1] or 0)
        self._database.execute(
            "UPDATE series SET number = ?, modality = ?, entry = ? WHERE id = ?",
            (place, term, body, before[0]),
        )
        return before[0]

    def put_instances(self, series: int, instances: Iterable[str]) -> None:
        """Where instances are."""
        self._put_places([(uid, series) for uid in instances])

    def _put_places(self, places: Sequence[tuple[str, int]]) -> None:
        """Where instances are; they are no longer about to be there."""
        self._database.executemany("INSERT OR IGNORE INTO instance VALUES (?, ?)", places)
        if self._has_claims:
            self._database.executemany("DELETE FROM claim WHERE uid = ?", ((uid,) for uid, _ in places))

    def put_fresh(self, study: int, fresh: Iterable[FreshInstance]) -> None:
        """Instances that no index file holds; their series have to be there."""
        for one in fresh:
            body = orjson.dumps(one.entry)
            self._database.execute(
                "INSERT OR REPLACE INTO fresh VALUES (?, ?, ?, ?)", (study, one.series, one.uid, body)
            )
            found = self._database.execute(
                "SELECT id FROM series WHERE uid = ? AND study = ?", (one.series, study)
            ).fetchone()
            if found is not None:
                self.put_instances(found[0], (one.uid,))

    def _remove_series(self, series: int, modality: int | None) -> None:
        self._terms.drop(modality or 0)
        self._database.execute("DELETE FROM instance WHERE series = ?", (series,))
        self._database.execute("DELETE FROM series WHERE id = ?", (series,))
