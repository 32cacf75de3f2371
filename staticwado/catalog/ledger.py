"""Which source files are in the archive: a derived database that can be thrown away."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from urllib.parse import quote

from staticwado.errors import StoreUnavailable

Stamp = tuple[int, int, int]
"""Size, modification time in nanoseconds, inode."""
Uids = tuple[str, str, str]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS source (
    path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, inode INTEGER,
    study TEXT, series TEXT, instance TEXT
) WITHOUT ROWID
"""

_FIND = "SELECT size, mtime, inode, study, series, instance FROM source WHERE path = ?"
_INSTANCES = "SELECT DISTINCT study, series, instance FROM source"


def _key(path: str) -> str | bytes:
    """`path` as the database can hold it: names that are no UTF-8 are kept as bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


class Ledger:
    """Which source files are in the archive, so that a second run need not read them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _opened(self) -> sqlite3.Connection | None:
        """The database, for reading; None if there is none."""
        if self._database is None and os.path.exists(self._path):
            uri = f"file:{quote(os.fsencode(self._path))}?mode=ro"
            self._database = sqlite3.connect(uri, uri=True, timeout=60)
        return self._database

    def find(self, path: str) -> tuple[Stamp, Uids] | None:
        """The stamp of a source file when it was taken in, and what it held. A damaged ledger knows
        nothing.
        """
        try:
            database = self._opened()
            row = None if database is None else database.execute(_FIND, (_key(path),)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return None if row is None else (row[0:3], row[3:6])

    def instances(self) -> Iterator[Uids]:
        """The instances of all source files, nothing if there is no ledger. Raises StoreUnavailable."""
        try:
            database = self._opened()
            if database is not None:
                yield from database.execute(_INSTANCES)
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"the ledger of source files could not be read: {error}") from error

    def record(self, rows: Iterable[tuple[str, Stamp, Uids]]) -> None:
        """Note source files whose instances are durably in the archive. Raises StoreUnavailable."""
        rows = list(rows)
        if not rows:
            return
        try:
            try:
                self._record(rows)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                os.unlink(self._path)  # damaged: it holds nothing that is not in the archive
                self._record(rows)
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreUnavailable(f"the ledger of source files could not be written: {error}") from error

    def _record(self, rows: list[tuple[str, Stamp, Uids]]) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=60)) as database, database:
            database.execute(_SCHEMA)
            database.executemany(
                "INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((_key(path), *stamp, *uids) for path, stamp, uids in rows),
            )
