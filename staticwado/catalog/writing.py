"""Rows into the tables of the catalog, and out of them again.

One rule: whatever is derived from a study (members, tallies, words, trigrams) changes with its row, in the
same transaction.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from staticwado.catalog.columns import (
    COLUMNS,
    GROUPS,
    NAMES,
    SEPARATOR,
    StudyColumns,
    series_columns,
    study_columns,
)
from staticwado.catalog.rows import Entry, FreshInstance, SeriesRow, Stamp, StudyRow
from staticwado.catalog.schema import HAS_TRIGRAMS, WORD_COLUMNS
from staticwado.dicomweb.names import hiragana, words_of

ALL, IRREGULAR = "", "irregular"
"""The kinds under which regular and irregular studies are counted."""
SEX = "sex"
SETS = "all:"
"""Before a kind: how many studies have exactly these members."""
TOTAL = "total:"
"""Before a kind: how many there are on all days."""
JOINED = "+"
"""Behind the name of a name: all words of a group written together."""
LONGEST_WORD = 64
"""Letters of a word up to which typing errors are looked for."""
_NAMES = (
    "uid",
    "date",
    "time",
    "clock",
    "regular",
    *COLUMNS,
    "modality",
    "sop_class",
    "size",
    "mtime",
    "inode",
)
_SET = ", ".join(f"{name} = ?" for name in _NAMES)
# S608: what is put into these texts are names of columns, never values
_INSERT = f"INSERT INTO study ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608
_UPDATE = f"UPDATE study SET {_SET} WHERE id = ?"  # noqa: S608
_KNOWN = f"SELECT id, {', '.join(_NAMES[:-3])} FROM study WHERE uid = ?"  # noqa: S608
_COUNT = (
    "INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT (kind, value, date) DO UPDATE SET n = n + excluded.n"
)
_UNCOUNT = "DELETE FROM tally WHERE kind = ? AND value = ? AND date = ? AND n <= 0"
_WORDS, _MARKS = ", ".join(WORD_COLUMNS), ", ".join("?" * len(WORD_COLUMNS))
_TRIGRAMS = f"INSERT INTO trigram (rowid, {_WORDS}) VALUES (?, {_MARKS})"  # noqa: S608
_FORGET_TRIGRAMS = f"INSERT INTO trigram (trigram, rowid, {_WORDS}) VALUES ('delete', ?, {_MARKS})"  # noqa: S608


def misspellings(word: str) -> Iterator[str]:
    """`word`, and what is left of it without one of its letters: two words that differ by one typo have
    one of these in common.
    """
    if len(word) <= LONGEST_WORD:
        yield from {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def joined(values: Iterable[str]) -> str:
    """Members in one text, each with a separator before and behind it."""
    text = SEPARATOR.join(values)
    return f"{SEPARATOR}{text}{SEPARATOR}" if text else ""


def words_of_names(texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Which name has which words in its groups; all words of a group together are one too."""
    found = set()
    for name in NAMES.values():
        for group in GROUPS:
            words = words_of(texts.get(name + group, ""))
            found |= {(name, word) for word in words}
            if words:
                found.add((name + JOINED, "".join(words)))
    return found


class Writer:
    """Writes within a transaction that its user has begun."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._has_claims = database.execute("SELECT 1 FROM claim LIMIT 1").fetchone() is not None
        self._has_trigrams = database.execute(HAS_TRIGRAMS).fetchone() is not None

    def put_study(self, uid: str, entry: Entry, stamp: Stamp | None) -> int:
        """The row of a study, in place of what there was; returns its number."""
        columns = study_columns(uid, entry)
        texts, members = columns.texts, columns.members
        row = (
            *(uid, columns.date, columns.time, columns.clock, columns.is_regular),
            *(texts.get(name, "") for name in COLUMNS),
            *(joined(members.get(kind, ())) for kind in ("modality", "sop_class")),
            *(stamp or (None, None, None)),
        )
        known = self._database.execute(_KNOWN, (uid,)).fetchone()
        if known is None:
            number = self._database.execute(_INSERT, row).lastrowid or 0
            self._derive(number, uid, columns)
        else:
            number = int(known[0])
            is_same = known[1:] == row[: len(known) - 1]
            if not is_same:
                self._forget(known)
            self._database.execute(_UPDATE, (*row, number))
            if not is_same:
                self._derive(number, uid, columns)
        body = orjson.dumps(entry)
        self._database.execute("INSERT OR REPLACE INTO study_entry VALUES (?, ?)", (number, body))
        return number

    def remove_study(self, uid: str) -> None:
        """Nothing is left of a study."""
        known = self._database.execute(_KNOWN, (uid,)).fetchone()
        if known is None:
            return
        self._forget(known)
        number = known[0]
        for (series,) in self._database.execute(
            "SELECT id FROM series WHERE study = ?", (number,)
        ).fetchall():
            self._remove_series(series)
        self._database.execute("DELETE FROM fresh WHERE study = ?", (number,))
        self._database.execute("DELETE FROM study_entry WHERE id = ?", (number,))
        self._database.execute("DELETE FROM study WHERE id = ?", (number,))
        self._database.execute("DELETE FROM claim WHERE study = ?", (uid,))

    def put_all_series(self, study: int, given: Iterable[SeriesRow]) -> None:
        """The series of a study and their instances, in place of what there was."""
        known = dict(self._database.execute("SELECT uid, id FROM series WHERE study = ?", (study,)))
        places: list[tuple[str, int]] = []
        for row in given:
            is_known = known.pop(row.uid, None) is not None
            number = self.put_series(study, row)
            wanted = set(row.instances)
            if is_known:
                found = self._database.execute("SELECT uid FROM instance WHERE series = ?", (number,))
                there = {uid for (uid,) in found}
                gone = ((uid, number) for uid in there - wanted)
                self._database.executemany("DELETE FROM instance WHERE uid = ? AND series = ?", gone)
                wanted -= there
            places += ((uid, number) for uid in wanted)
        self._put_places(places)
        for number in known.values():
            self._remove_series(number)

    def put_series(self, study: int, row: SeriesRow) -> int:
        """The row of one series; returns its number."""
        number, modality = series_columns(row.uid, row.entry)
        found = self._database.execute(
            "INSERT INTO series (study, uid, number, modality, entry) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (study, uid) DO UPDATE SET number = excluded.number, modality = excluded.modality,"
            " entry = excluded.entry RETURNING id",
            (study, row.uid, number, modality, orjson.dumps(row.entry)),
        ).fetchone()
        return int(found[0])

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
                "SELECT id FROM series WHERE study = ? AND uid = ?", (study, one.series)
            ).fetchone()
            if found is not None:
                self.put_instances(found[0], (one.uid,))

    def put_row(self, row: StudyRow) -> None:
        """A study as its index files have it: nothing of it is fresh any more."""
        number = self.put_study(row.uid, row.entry, row.stamp)
        self.put_all_series(number, row.series)
        self._database.execute("DELETE FROM fresh WHERE study = ?", (number,))
        self._database.execute("UPDATE study SET generation = NULL, merged = NULL WHERE id = ?", (number,))

    # -- What is derived -------------------------------------------------------------------------------------

    def _derive(self, number: int, uid: str, columns: StudyColumns) -> None:
        date, time, texts = columns.date, columns.time, columns.texts
        kind = ALL if columns.is_regular else IRREGULAR
        self._count(kind, date, texts.get(SEX, ""), columns.members, 1)
        rows = (
            (kind, value, date, time, uid, number, columns.clock)
            for kind, all_ in columns.members.items()
            for value in all_
        )
        self._database.executemany("INSERT INTO member VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        words = words_of_names(texts)
        self._database.executemany(
            "INSERT INTO word VALUES (?, ?)", ((f"{kind}:{word}", number) for kind, word in words)
        )
        for word in {word for _, word in words}:
            if self._database.execute("INSERT OR IGNORE INTO lexicon VALUES (?)", (word,)).rowcount:
                pairs = ((text, word) for text in misspellings(word))
                self._database.executemany("INSERT OR IGNORE INTO misspelling VALUES (?, ?)", pairs)
        self._index_trigrams(number, texts)

    def _forget(self, known: tuple[Any, ...]) -> None:
        """What is derived from a study goes."""
        number, uid, date, time, _, is_regular, *found = known
        texts = dict(zip(COLUMNS, found, strict=False))
        members = {
            kind: tuple(text[1:-1].split(SEPARATOR)) if text else ()
            for kind, text in zip(("modality", "sop_class"), found[-2:], strict=True)
        }
        self._count(ALL if is_regular else IRREGULAR, date, texts[SEX], members, -1)
        rows = ((kind, value, date, time, uid) for kind, all_ in members.items() for value in all_)
        self._database.executemany(
            "DELETE FROM member WHERE kind = ? AND value = ? AND date = ? AND time = ? AND uid = ?", rows
        )
        for kind, word in words_of_names(texts):
            self._forget_word(f"{kind}:{word}", word, number)
        self._index_trigrams(number, texts, forget=True)

    def _forget_word(self, text: str, word: str, number: int) -> None:
        self._database.execute("DELETE FROM word WHERE text = ? AND study = ?", (text, number))
        for kind in (each + end for each in NAMES.values() for end in ("", JOINED)):
            found = self._database.execute(
                "SELECT 1 FROM word WHERE text = ?", (f"{kind}:{word}",)
            ).fetchone()
            if found is not None:
                return
        self._database.execute("DELETE FROM lexicon WHERE text = ?", (word,))
        pairs = ((misspelt, word) for misspelt in misspellings(word))
        self._database.executemany("DELETE FROM misspelling WHERE text = ? AND word = ?", pairs)

    def _count(self, kind: str, date: str, sex: str, members: Mapping[str, tuple[str, ...]], n: int) -> None:
        counted = [(kind, "", date, n), *([(SEX, sex, date, n)] if sex else [])]
        counted += [(kind, value, date, n) for kind, values in members.items() for value in values]
        counted += [(SETS + kind, joined(values), date, n) for kind, values in members.items()]
        counted += [(TOTAL + kind, value, "", n) for kind, value, _, n in counted]
        self._database.executemany(_COUNT, counted)
        if n < 0:
            keys = (key[:3] for key in counted)
            self._database.executemany(_UNCOUNT, keys)

    def _index_trigrams(self, number: int, texts: Mapping[str, str], *, forget: bool = False) -> None:
        if not self._has_trigrams:
            return
        found = [
            SEPARATOR.join(hiragana(texts.get(column + group, "")) for group in GROUPS).rstrip(SEPARATOR)
            if column in NAMES.values()
            else texts.get(column, "")
            for column in WORD_COLUMNS
        ]
        if not any(found):
            return
        statement = _FORGET_TRIGRAMS if forget else _TRIGRAMS
        self._database.execute(statement, (number, *found))

    def _remove_series(self, series: int) -> None:
        self._database.execute("DELETE FROM instance WHERE series = ?", (series,))
        self._database.execute("DELETE FROM series WHERE id = ?", (series,))
