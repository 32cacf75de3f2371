"""The terms of studies: each different text and name once, with how many studies have it.

One rule: what is derived from a term (trigrams, words of names) comes with its first study and goes with its
last one.

A term's number has its kind in front, so that the terms of a kind are next to each other in every index.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

from staticwado.catalog.columns import COLUMNS, NAMES, SEPARATOR, Term
from staticwado.catalog.schema import HAS_TRIGRAMS
from staticwado.dicomweb.names import hiragana, words_of

KINDS = {column: kind for kind, column in enumerate((*COLUMNS, "series_modality"), 1)}
"""The kinds of terms."""
SUBSTRINGS = ("patient", "accession", "study_id", "description", *NAMES.values())
"""The kinds of which substrings are found by trigrams."""
JOINED = "+"
"""Behind the name of a name: all words of a group written together."""
LONGEST_WORD = 64
"""Letters of a word up to which typing errors are looked for."""
_SHIFT = 40
_NAMES = {KINDS[name]: name for name in NAMES.values()}
_INDEXED = frozenset(KINDS[name] for name in SUBSTRINGS)
_GROUPS = "value = ? AND ideographic = ? AND phonetic = ?"
_FIND = f"SELECT id FROM term WHERE kind = ? AND {_GROUPS}"  # noqa: S608 (names of columns)
_FORGET_TRIGRAMS = "INSERT INTO trigram (trigram, rowid, text) VALUES ('delete', ?, ?)"


def numbers_of(kind: int) -> tuple[int, int]:
    """The first and the last number of terms of a kind."""
    return kind << _SHIFT, (kind + 1 << _SHIFT) - 1


def misspellings(word: str) -> Iterator[str]:
    """`word`, and what is left of it without one of its letters: two words that differ by one typo have
    one of these in common.
    """
    if len(word) <= LONGEST_WORD:
        yield from {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def words_of_name(name: str, groups: Iterable[str]) -> set[tuple[str, str]]:
    """The words of a name's groups, with the name of the name; all words of a group together are one too."""
    found = set()
    for group in groups:
        words = words_of(group)
        found |= {(name, word) for word in words}
        if words:
            found.add((name + JOINED, "".join(words)))
    return found


class TermWriter:
    """Counts terms within a transaction; what has changed is written by `flush`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._has_trigrams = database.execute(HAS_TRIGRAMS).fetchone() is not None
        self._known: dict[tuple[int, Term], int] = {}
        self._next: dict[int, int] = {}
        self._new: dict[int, tuple[int, Term]] = {}
        self._changes: Counter[int] = Counter()

    def add(self, column: str, term: Term | None, count: int = 1) -> int:
        """The number of a term that `count` more studies have; 0 for none."""
        if term is None:
            return 0
        key = KINDS[column], term
        number = self._known.get(key)
        if number is None:
            row = self._database.execute(_FIND, (key[0], *term)).fetchone()
            number = self._known[key] = row[0] if row is not None else self._make(key)
        self._changes[number] += count
        return number

    def drop(self, number: int, count: int = 1) -> None:
        """`count` studies no longer have the term."""
        if number:
            self._changes[number] -= count

    def _make(self, key: tuple[int, Term]) -> int:
        kind = key[0]
        if kind not in self._next:
            first, last = numbers_of(kind)
            row = self._database.execute("SELECT max(id) FROM term WHERE id BETWEEN ? AND ?", (first, last))
            self._next[kind] = (row.fetchone()[0] or first) + 1
        number = self._next[kind]
        self._next[kind] += 1
        self._new[number] = key
        return number

    def flush(self) -> None:
        """Write what has changed."""
        new = {number: key for number, key in self._new.items() if self._changes[number] > 0}
        rows = ((number, kind, *term, self._changes[number]) for number, (kind, term) in new.items())
        self._database.executemany("INSERT INTO term VALUES (?, ?, ?, ?, ?, ?)", rows)
        changed = [(n, number) for number, n in self._changes.items() if n and number not in self._new]
        self._database.executemany("UPDATE term SET n = n + ? WHERE id = ?", changed)
        self._derive(new)
        self._forget([number for n, number in changed if n < 0])
        self._known, self._next, self._new = {}, {}, {}
        self._changes.clear()

    def _derive(self, new: dict[int, tuple[int, Term]]) -> None:
        # FTS5 writes all that it has collected when a number is smaller than the one before.
        numbers = sorted(number for number, (kind, _) in new.items() if kind in _INDEXED)
        if self._has_trigrams:
            texts = ((number, _trigram_text(new[number][1])) for number in numbers)
            self._database.executemany("INSERT INTO trigram (rowid, text) VALUES (?, ?)", texts)
        words: set[str] = set()
        rows = []
        for number in numbers:
            kind, term = new[number]
            if kind in _NAMES:
                found = words_of_name(_NAMES[kind], term)
                rows += [(f"{name}:{word}", number) for name, word in found]
                words |= {word for _, word in found}
        self._database.executemany("INSERT INTO word VALUES (?, ?)", rows)
        for word in words:
            if self._database.execute("INSERT OR IGNORE INTO lexicon VALUES (?)", (word,)).rowcount:
                pairs = ((text, word) for text in misspellings(word))
                self._database.executemany("INSERT OR IGNORE INTO misspelling VALUES (?, ?)", pairs)

    def _forget(self, numbers: Iterable[int]) -> None:
        """The terms among `numbers` that nobody has go."""
        for number in sorted(numbers):
            row = self._database.execute(
                "SELECT kind, value, ideographic, phonetic FROM term WHERE id = ? AND n <= 0", (number,)
            ).fetchone()
            if row is None:
                continue
            kind, *term = row
            self._database.execute("DELETE FROM term WHERE id = ?", (number,))
            if kind in _INDEXED and self._has_trigrams:
                self._database.execute(_FORGET_TRIGRAMS, (number, _trigram_text(term)))
            for name, word in words_of_name(_NAMES[kind], term) if kind in _NAMES else ():
                self._forget_word(f"{name}:{word}", word, number)

    def _forget_word(self, text: str, word: str, number: int) -> None:
        self._database.execute("DELETE FROM word WHERE text = ? AND term = ?", (text, number))
        for kind in (each + end for each in NAMES.values() for end in ("", JOINED)):
            found = self._database.execute("SELECT 1 FROM word WHERE text = ?", (f"{kind}:{word}",))
            if found.fetchone() is not None:
                return
        self._database.execute("DELETE FROM lexicon WHERE text = ?", (word,))
        pairs = ((misspelt, word) for misspelt in misspellings(word))
        self._database.executemany("DELETE FROM misspelling WHERE text = ? AND word = ?", pairs)


def _trigram_text(term: Iterable[str]) -> str:
    return SEPARATOR.join(hiragana(text) for text in term).rstrip(SEPARATOR)
