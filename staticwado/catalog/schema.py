"""The tables of the catalog, and how its file is opened.

One rule: a file of another version, or that is no catalog, is never read; whoever may write makes it anew.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from staticwado.catalog.columns import COLUMNS, PROFILE
from staticwado.catalog.packing import mentions
from staticwado.errors import StoreUnavailable

APPLICATION = 0x53574443
VERSION = 4
"""Goes up with every change of the tables or of what is kept in them."""
BUSY_SECONDS = 30
_MAPPED = 1 << 40
_CACHED_KIB = 16 << 10
_PAGE = 4096
_ORDER = "date DESC, time DESC, uid"
_TABLES = f"""
CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE study (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, date TEXT NOT NULL, time TEXT NOT NULL,
    clock INTEGER NOT NULL, profile INTEGER NOT NULL,
    {" ".join(f"{column} INTEGER NOT NULL," for column in COLUMNS)}
    size INTEGER, mtime INTEGER, inode INTEGER, generation TEXT, merged INTEGER
);
CREATE TABLE study_entry (id INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TABLE term (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, value TEXT NOT NULL, ideographic TEXT NOT NULL,
    phonetic TEXT NOT NULL, n INTEGER NOT NULL
);
CREATE UNIQUE INDEX term_value ON term (kind, value, ideographic, phonetic);
CREATE INDEX term_ideographic ON term (kind, ideographic) WHERE ideographic <> '';
CREATE INDEX term_phonetic ON term (kind, phonetic) WHERE phonetic <> '';
CREATE TABLE profile (
    id INTEGER PRIMARY KEY, {", ".join(f"{name} TEXT NOT NULL" for name in PROFILE)}, n INTEGER NOT NULL,
    UNIQUE ({", ".join(PROFILE)})
);
CREATE TABLE tally (
    profile INTEGER, date TEXT, n INTEGER NOT NULL, PRIMARY KEY (profile, date)
) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY, study INTEGER NOT NULL, uid TEXT NOT NULL, number REAL NOT NULL,
    modality INTEGER, entry BLOB NOT NULL, UNIQUE (uid, study)
);
CREATE INDEX series_study ON series (study);
CREATE TABLE instance (uid TEXT, series INTEGER, PRIMARY KEY (uid, series)) WITHOUT ROWID;
CREATE INDEX instance_series ON instance (series);
CREATE TABLE fresh (
    study INTEGER, series TEXT, uid TEXT, entry BLOB NOT NULL, PRIMARY KEY (study, series, uid)
) WITHOUT ROWID;
CREATE TABLE claim (uid TEXT PRIMARY KEY, study TEXT NOT NULL, series TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE word (text TEXT, term INTEGER, PRIMARY KEY (text, term)) WITHOUT ROWID;
CREATE TABLE lexicon (text TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE misspelling (text TEXT, word TEXT, PRIMARY KEY (text, word)) WITHOUT ROWID;
"""
_INDEXES = f"""
CREATE INDEX IF NOT EXISTS study_order ON study ({_ORDER}, profile);
CREATE INDEX IF NOT EXISTS study_profile ON study (profile);
CREATE INDEX IF NOT EXISTS series_modality ON series (modality);
""" + "".join(
    f"CREATE INDEX IF NOT EXISTS study_{column} ON study ({column}, profile);\n" for column in COLUMNS
)
_TRIGRAMS = (
    "CREATE VIRTUAL TABLE trigram USING fts5(text, content='', columnsize=0, detail=none,"
    " tokenize='trigram case_sensitive 1')"
)
HAS_TRIGRAMS = "SELECT 1 FROM sqlite_master WHERE name = 'trigram'"


class Unusable(Exception):
    """The file is missing, damaged, of another version or not yet complete: it has to be made anew."""


def open_database(path: str) -> sqlite3.Connection:
    """A connection to the catalog in `path`, which is made if there is none.

    Raises Unusable, and StoreUnavailable where the file system is at fault.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except (OSError, sqlite3.OperationalError) as error:
        raise StoreUnavailable(f"the catalog could not be opened: {error}") from error
    try:
        _prepare(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise failure(error) from error
    except Unusable:
        connection.close()
        raise
    return connection


def failure(error: sqlite3.Error) -> Exception:
    """What an error of SQLite means: the file is damaged, or it could not be reached."""
    if isinstance(error, sqlite3.OperationalError):
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(
            ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_READONLY")
        ):
            return StoreUnavailable(f"the catalog could not be used: {error}")
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_NOMEM", "SQLITE_INTERRUPT")):
            return StoreUnavailable(f"the catalog could not be used: {error}")
        if name == "SQLITE_ERROR" and not str(error).startswith("no such"):
            return StoreUnavailable(f"the catalog could not be asked: {error}")
    return Unusable(str(error))


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA page_size = {_PAGE}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_CACHED_KIB}")
    connection.execute(f"PRAGMA mmap_size = {_MAPPED}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.create_function("mentions", 3, mentions, deterministic=True)
    if _is_ours(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ours(connection):
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise Unusable("it is of another version")
            _create(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_ours(connection: sqlite3.Connection) -> bool:
    found = [
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    ]
    return found == [APPLICATION, VERSION]


def _create(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    _create_trigrams(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _create_trigrams(connection: sqlite3.Connection) -> None:
    try:
        connection.execute(_TRIGRAMS)
    except sqlite3.OperationalError:
        return  # SQLite without FTS5, or before 3.34: what would be narrowed by it is looked through


def empty(connection: sqlite3.Connection) -> None:
    """Drop all rows and the indexes that `create_indexes` makes, within a transaction of the caller."""
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'trigram_%'"
            " AND name NOT LIKE 'sqlite_%'"
        )
    ]
    for name in names:
        connection.execute(f"DROP TABLE {name}")
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    _create_trigrams(connection)


def create_indexes(connection: sqlite3.Connection) -> None:
    """Make the indexes of searches, as far as they are missing."""
    for statement in _INDEXES.split(";"):
        connection.execute(statement)


class Connections:
    """One connection a thread and process: SQLite's must not go through a fork."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._own = threading.local()
        self._all: list[tuple[int, sqlite3.Connection]] = []
        self._closed = 0
        self._lock = threading.Lock()

    def get(self) -> sqlite3.Connection:
        """This thread's connection, a new one where the file has been replaced. Raises as `open_database`."""
        own = getattr(self._own, "connection", None)
        if own is not None and own[0] == self._mark():
            return own[1]  # type: ignore[no-any-return]
        connection = open_database(self._path)
        with self._lock:
            self._own.connection = self._mark(), connection
            self._all.append((os.getpid(), connection))
        return connection

    @contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection; another one while that is in a transaction further up."""
        connection = self.get()
        if not connection.in_transaction:
            yield connection
            return
        other = open_database(self._path)
        try:
            yield other
        finally:
            other.close()

    def _mark(self) -> tuple[int, int, int]:
        try:
            inode = os.stat(self._path).st_ino
        except OSError:
            inode = -1
        return os.getpid(), self._closed, inode

    def close(self) -> None:
        """Close all connections of this process; whoever asks later gets a new one."""
        with self._lock:
            mine, self._all = [one for pid, one in self._all if pid == os.getpid()], []
            self._closed += 1
        for connection in mine:
            connection.close()
