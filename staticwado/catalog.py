"""Derived databases beside the archive: rows in, rows out; everything here can be thrown away."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing

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


class Ledger:
    """Which source files are in the archive, so that a second run need not read them."""

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> dict[str, tuple[Stamp, Uids]]:
        """Every known source file: path -> its stamp and what it holds. A damaged ledger is an empty one."""
        if not os.path.exists(self._path):
            return {}
        try:
            with closing(sqlite3.connect(self._path, timeout=60)) as database:
                rows = database.execute("SELECT path, size, mtime, inode, study, series, instance FROM source")
                return {row[0]: (row[1:4], row[4:7]) for row in rows}
        except sqlite3.DatabaseError:
            return {}

    def record(self, rows: Iterable[tuple[str, Stamp, Uids]]) -> None:
        """Note source files whose instances are durably in the archive. Raises StoreUnavailable."""
        rows = list(rows)
        if not rows:
            return
        try:
            self._record(rows)
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the ledger of source files could not be written: {error}") from error
        except sqlite3.DatabaseError:
            os.unlink(self._path)  # damaged: it holds nothing that is not in the archive
            self._record(rows)

    def _record(self, rows: list[tuple[str, Stamp, Uids]]) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=60)) as database, database:
            database.execute(_SCHEMA)
            database.executemany(
                "INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((path, *stamp, *uids) for path, stamp, uids in rows),
            )
