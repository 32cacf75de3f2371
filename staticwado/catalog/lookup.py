"""Single rows of one state of the catalog."""

import sqlite3

import orjson

from staticwado.catalog.rows import FreshInstance, Stamp

Journal = tuple[str, int]
"""The generation of a journal, and how many of its bytes are merged."""
_PLACES = (
    "SELECT s.uid, e.uid FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study"
    " WHERE i.uid = ? ORDER BY 1, 2"
)


def fresh_of(database: sqlite3.Connection, study: str, series: str | None = None) -> list[FreshInstance]:
    """The fresh instances of a study or series, in one state of the catalog."""
    found = database.execute(
        "SELECT series, uid, entry FROM fresh WHERE study = (SELECT id FROM study WHERE uid = ?)"
        " AND (? IS NULL OR series = ?) ORDER BY series, uid",
        (study, series, series),
    )
    return [FreshInstance(one, uid, orjson.loads(entry)) for one, uid, entry in found.fetchall()]


def is_complete(database: sqlite3.Connection) -> bool:
    """Whether this state of the catalog may be asked."""
    return state_of(database, "complete") is not None


def state_of(database: sqlite3.Connection, key: str) -> str | int | None:
    row = database.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return row[0] if row is not None else None


def merged_of(database: sqlite3.Connection, study: str) -> Journal | None:
    row = database.execute("SELECT generation, merged FROM study WHERE uid = ?", (study,)).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def stamp_of(database: sqlite3.Connection, study: str) -> Stamp | None:
    row = database.execute("SELECT size, mtime, inode FROM study WHERE uid = ?", (study,)).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2])


def places_of(database: sqlite3.Connection, uid: str) -> list[tuple[str, str]]:
    """The series in which an instance is, or is about to be."""
    places = database.execute(_PLACES, (uid,)).fetchall()
    return places or database.execute("SELECT study, series FROM claim WHERE uid = ?", (uid,)).fetchall()


def instances_of(database: sqlite3.Connection, series: int) -> tuple[str, ...]:
    found = database.execute("SELECT uid FROM instance WHERE series = ? ORDER BY uid", (series,))
    return tuple(uid for (uid,) in found)
