"""SQLite that fails: every statement in turn, with every error, once and from there on.

One rule: the databases are derived, so nothing may be refused, lost or found wrongly because of them.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog import ledger, schema
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StaticWadoError
from staticwado.ingest.catalogue import open_catalog, synchronise
from staticwado.ingest.live import Live
from staticwado.ingest.settle import settle
from staticwado.search.engine import Engine
from tests.durability.acting import Site, item
from tests.durability.faults import Broken
from tests.durability.judging import judge, visible
from tests.durability.killing import Base
from tests.durability.workloads import Workload

ERRORS: tuple[tuple[str, type[sqlite3.Error], str], ...] = (
    ("SQLITE_BUSY", sqlite3.OperationalError, "database is locked"),
    ("SQLITE_FULL", sqlite3.OperationalError, "database or disk is full"),
    ("SQLITE_IOERR_WRITE", sqlite3.OperationalError, "disk I/O error"),
    ("SQLITE_READONLY", sqlite3.OperationalError, "attempt to write a readonly database"),
    ("SQLITE_CANTOPEN", sqlite3.OperationalError, "unable to open database file"),
    ("SQLITE_CORRUPT", sqlite3.DatabaseError, "database disk image is malformed"),
)


class Failing:
    """Makes statement `number` fail as `ERRORS[error]` says; `lasting`: all from there on."""

    def __init__(self, number: int, error: int = 0, *, lasting: bool = False) -> None:
        self.number = number
        self.lasting = lasting
        self.count = 0
        self.broke = ""
        self._error = ERRORS[error]
        self._lock = threading.Lock()

    def __call__(self, statement: str) -> None:
        with self._lock:
            self.count += 1
            if not (self.count == self.number or (self.lasting and 0 < self.number < self.count)):
                return
            self.broke = self.broke or statement[:60]
        name, kind, text = self._error
        error = kind(text)
        error.sqlite_errorname = name
        raise error

    def connect(self, *given: Any, **named: Any) -> sqlite3.Connection:
        """`sqlite3.connect`, with statements that are counted."""
        self("connect")
        check = self

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, *more: Any) -> Any:
                check(statement)
                return super().execute(statement, *more)

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *more: Any) -> Any:
                check(statement)
                return super().execute(statement, *more)

            def executemany(self, statement: str, *more: Any) -> Any:
                check(statement)
                return super().executemany(statement, *more)

            def cursor(self, *factory: Any) -> Any:
                return super().cursor(Cursor)

        return sqlite3.connect(*given, **named, factory=Connection)


@contextlib.contextmanager
def failing(fault: Failing) -> Iterator[Failing]:
    """Let the catalog and the ledger use a SQLite that fails, until the block ends."""
    stood: Any = SimpleNamespace(**{**vars(sqlite3), "connect": fault.connect})
    modules: list[Any] = [schema, ledger]
    for module in modules:
        module.sqlite3 = stood
    try:
        yield fault
    finally:
        for module in modules:
            module.sqlite3 = sqlite3


def _begin(site: Site) -> None:
    site.create([item(1), item(2), item(3, series=1)])
    site.with_catalog = True
    site.take([item(4)])


def _run(site: Site) -> None:
    """Everything that tells the databases something."""
    site.with_catalog = True
    taken = site.take([item(5), item(6, study=1)])
    assert [one.ok for one in taken] == [True, True], [one.detail for one in taken]
    search(site)
    site.delete([item(1)])
    report = site.create([item(7), item(8, study=2)])
    assert [one.ok for one in report.outcomes] == [True, True], [one.detail for one in report.outcomes]
    site.delete([item(3, series=1)])
    with contextlib.suppress(StaticWadoError):  # told; it stays owed
        settle(site.archive)
    search(site)


STORY = Workload("databases", _begin, _run)


def search(site: Site) -> None:
    """Search for all instances as a server does; raises AssertionError if one is missing or too many."""
    archive = site.archive
    catalog = open_catalog(archive.store.path(layout.CATALOG))
    try:
        engine = Engine(archive, catalog=catalog, live=Live(archive, catalog))
        page = engine.search(parse_query(Resource(View.INSTANCES), [("limit", "1000")]))
        found = {one.entry["00080018"]["Value"][0] for one in page.found}
        studies = engine.search(parse_query(Resource(View.STUDIES), []))
        counted = sum(int(one.entry["00201208"]["Value"][0]) for one in studies.found)
    finally:
        if catalog is not None:
            catalog.close()
    there = {uids[2] for uids in visible(archive)}
    assert found == there, f"a search finds {len(found - there)} too many, and {len(there - found)} too few"
    assert counted == len(there), f"a search for studies counts {counted} instances of {len(there)}"


def statements(base: Base, place: Path) -> int:
    """How many statements the story makes."""
    with failing(Failing(0)) as counter:
        base.workload.run(base.copy(place))
    return counter.count


def break_at(base: Base, place: Path, number: int, error: int, *, lasting: bool = False) -> Broken:
    """Run the story with a failing statement, judge, mend, search, run it again and judge again."""
    site = base.copy(place)
    result = Broken(1)
    fault = Failing(number, error, lasting=lasting)
    with failing(fault):
        result.wrong += _attempt(base.workload.run, site)
    result.wrong += [f"mended: {one}" for one in _attempt(search, site)]
    result.wrong += judge(site.root, site.promises.owed)
    result.wrong += [f"mended: {one}" for one in _attempt(_caught_up, site)]
    where = f"statement {number} ({fault.broke}) {ERRORS[error][0]}{' and on' if lasting else ''}: "
    result.wrong = [where + one for one in result.wrong]
    return result


def _caught_up(site: Site) -> None:
    """Search after what a settler does every half minute."""
    archive = Archive(str(site.root))
    catalog = open_catalog(archive.store.path(layout.CATALOG))
    assert catalog is not None
    with contextlib.closing(catalog):
        if catalog.is_complete():
            synchronise(archive, catalog)
    search(site)


def _attempt(act: Any, site: Site) -> list[str]:
    try:
        act(site)
    except Exception as error:
        return [f"raised {type(error).__name__}: {error}"]
    return []
