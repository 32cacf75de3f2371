"""Entries, terms and members of one state of the catalog."""

import sqlite3
from collections.abc import Iterable, Iterator

import orjson

from staticwado.catalog.columns import Term, members_of
from staticwado.catalog.names import spelt
from staticwado.catalog.packing import unpack
from staticwado.catalog.patterns import Sql
from staticwado.catalog.schema import HAS_TRIGRAMS
from staticwado.catalog.selection import Place


def entries_of(database: sqlite3.Connection, places: Iterable[Place]) -> Iterator[bytes]:
    """The entries of studies as JSON."""
    for place in places:
        row = database.execute("SELECT entry FROM study_entry WHERE id = ?", (place.number,)).fetchone()
        yield unpack(row[0], place.uid)


def study_of(database: sqlite3.Connection, uid: str) -> bytes | None:
    """The entry of a study as JSON."""
    row = database.execute(
        "SELECT e.entry FROM study s JOIN study_entry e USING (id) WHERE s.uid = ?", (uid,)
    ).fetchone()
    return None if row is None else unpack(row[0], uid)


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
    rows = database.execute(text + " ORDER BY e.number, e.uid", parameters)
    return [(uid, unpack(entry, study, uid)) for uid, entry in rows]


def words_like(database: sqlite3.Connection, word: str) -> list[str]:
    """Words of names that begin with `word`, or may differ from it by one typo."""
    start, after, _, edits = spelt("", word)
    found = database.execute(
        "SELECT text FROM lexicon WHERE text >= ? AND text < ? UNION SELECT word FROM misspelling"
        " WHERE text IN (SELECT value FROM json_each(?))",
        (start[1:], after[1:] or "\U0010ffff", edits),
    )
    return [text for (text,) in found]


def terms_of(database: sqlite3.Connection, terms: Sql, most: int) -> list[tuple[int, Term]]:
    """The first `most` of terms, their numbers and texts."""
    text = f"SELECT d.id, d.value, d.ideographic, d.phonetic {terms.text} LIMIT {most}"
    return [
        (number, (one, two, three)) for number, one, two, three in database.execute(text, terms.parameters)
    ]


def has_trigrams(database: sqlite3.Connection) -> bool:
    """Whether this SQLite has a trigram index."""
    return database.execute(HAS_TRIGRAMS).fetchone() is not None


def members_known(database: sqlite3.Connection, column: str) -> list[str]:
    """All values that members of a column have."""
    rows = database.execute(f"SELECT DISTINCT {column} FROM profile")  # noqa: S608 (the name of a column)
    return list(dict.fromkeys(value for (joined,) in rows for value in members_of(joined)))
