"""The catalog: a derived database of studies, series and instances, in one SQLite file.

One rule: it is never the truth. `is_complete` says whether it may be asked at all; Unusable, from any of its
methods, that it has to be made anew (`clear`, `replace` with everything, `complete`).
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import EllipsisType

import orjson

from staticwado.catalog import schema
from staticwado.catalog.lookup import (
    Journal,
    fresh_of,
    instances_of,
    merged_of,
    places_of,
    stamp_of,
    state_of,
)
from staticwado.catalog.packing import unpack
from staticwado.catalog.rows import FreshInstance, SeriesRow, Stamp, StudyRow, Uids
from staticwado.catalog.schema import Connections, failure
from staticwado.catalog.schema import Unusable as Unusable
from staticwado.catalog.writing import Writer
from staticwado.errors import StoreUnavailable, TookTooLong

_STUDY = (
    "SELECT s.id, e.entry, s.size, s.mtime, s.inode FROM study s JOIN study_entry e USING (id) WHERE uid = ?"
)
Reading = sqlite3.Connection
"""One state of the catalog, as `Catalog.reading` gives it."""
_BATCH = 1000
_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""


class Catalog:
    """One catalog; any number of threads and processes may use it at the same time.

    Methods raise Unusable where the file is damaged, and StoreUnavailable where it cannot be reached.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connections = Connections(path)

    def close(self) -> None:
        """Close the connections of this process."""
        self._connections.close()

    @contextmanager
    def reading(
        self, deadline: float | None = None, is_unwanted: Callable[[], bool] | None = None
    ) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the catalog.

        Raises TookTooLong when `deadline`, a time of `monotonic`, has passed, or `is_unwanted` says that
        nobody waits for the answer.
        """

        def is_over() -> bool:
            return (deadline is not None and monotonic() > deadline) or bool(is_unwanted and is_unwanted())

        with self._borrowed("BEGIN") as database:
            database.set_progress_handler(is_over, _STEPS)
            try:
                yield database
            finally:
                database.set_progress_handler(None, 0)
                _end(database, "ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._borrowed("BEGIN IMMEDIATE") as database:
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                _end(database, "ROLLBACK")
                raise

    @contextmanager
    def _borrowed(self, begin: str) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction; the errors of SQLite become those of the catalog."""
        try:
            with self._connections.borrow() as database:
                database.execute(begin)
                yield database
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                raise TookTooLong("the search took longer than it may") from error
            raise failure(error) from error

    # -- The whole -------------------------------------------------------------------------------------------

    def is_complete(self) -> bool:
        """Whether it holds everything that the archive held when it was made. A damaged one does not."""
        try:
            with self.reading() as database:
                return state_of(database, "complete") is not None
        except Unusable:
            return False

    def clear(self) -> None:
        """Forget everything; a damaged file, or one of another version, goes. It is incomplete after that."""
        try:
            with self._writing() as database:
                schema.empty(database)
        except Unusable:
            self._connections.close()
            for suffix in ("-wal", "-shm", ""):
                try:
                    os.unlink(self.path + suffix)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise StoreUnavailable(f"the damaged catalog could not be removed: {error}") from error
            with self._writing():
                pass

    def complete(self) -> None:
        """Say that everything is in it; makes the indexes that a big build does without."""
        with self._writing() as database:
            schema.create_indexes(database)
            database.execute("INSERT OR REPLACE INTO state VALUES ('complete', 1)")

    def note(self, key: str, value: str) -> None:
        """Keep a note, such as the stamp of what it was made from, until it is cleared."""
        with self._writing() as database:
            database.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", ("note:" + key, value))

    def noted(self, key: str) -> str | None:
        """What was noted under `key`."""
        with self.reading() as database:
            found = state_of(database, "note:" + key)
        return None if found is None else str(found)

    # -- Writing ---------------------------------------------------------------------------------------------

    def replace(self, studies: Iterable[StudyRow]) -> None:
        """These studies in place of what it had of them; none of their instances is fresh any more."""
        given = list(studies)
        if given:
            with self._writing() as database:
                writer = Writer(database)
                for row in given:
                    writer.put_row(row)
                writer.flush()

    def remove(self, studies: Iterable[str]) -> None:
        """Forget studies and all that is below them."""
        with self._writing() as database:
            writer = Writer(database)
            for uid in studies:
                writer.remove_study(uid)
            writer.flush()

    def freshen(
        self,
        study: StudyRow,
        fresh: Iterable[FreshInstance],
        journal: Journal,
        expected: Journal | EllipsisType | None = ...,
    ) -> bool:
        """Merge what index files do not hold yet: the rows of the study and of those of its series that
        `study` names, and `fresh` instances; other series stay. What is merged of the journal is noted.

        Where `expected` is given and somebody else has merged meanwhile, nothing is done: returns False. The
        stamp of a study that is there stays what it is if that of `study` is None.
        """
        with self._writing() as database:
            if expected is not ... and merged_of(database, study.uid) != expected:
                return False
            writer = Writer(database)
            stamp = study.stamp or stamp_of(database, study.uid)
            number = writer.put_study(study.uid, study.entry, stamp)
            for row in study.series:
                writer.put_instances(writer.put_series(number, study.uid, row), row.instances)
            writer.put_fresh(number, fresh)
            writer.flush()
            database.execute("UPDATE study SET generation = ?, merged = ? WHERE id = ?", (*journal, number))
        return True

    def claim(self, instances: Iterable[Uids]) -> dict[str, Uids]:
        """Note where instances (study, series, SOP Instance UID) are about to be.

        Returns those that are, or are about to be, elsewhere: SOP Instance UID -> that place. They are not
        noted. Two writers never both get the same UID.
        """
        elsewhere: dict[str, Uids] = {}
        with self._writing() as database:
            for study, series, uid in instances:
                places = places_of(database, uid)
                if not places:
                    database.execute("INSERT INTO claim VALUES (?, ?, ?)", (uid, study, series))
                elif (study, series) not in places:
                    elsewhere[uid] = (*places[0], uid)
        return elsewhere

    def release(self, instances: Iterable[Uids]) -> None:
        """Forget that instances are, or were about to be, where they are said to be: they are not there."""
        with self._writing() as database:
            for study, series, uid in instances:
                place = (uid, study, series)
                database.execute("DELETE FROM claim WHERE uid = ? AND study = ? AND series = ?", place)
                database.execute(
                    "DELETE FROM instance WHERE uid = ? AND series IN (SELECT e.id FROM series e"
                    " JOIN study s ON s.id = e.study WHERE s.uid = ? AND e.uid = ?)",
                    place,
                )

    # -- Reading ---------------------------------------------------------------------------------------------

    def merged(self, study: str) -> Journal | None:
        """How much of the study's journal is merged: what `freshen` was last told."""
        with self.reading() as database:
            return merged_of(database, study)

    def study(self, uid: str, *, instances: bool = False) -> StudyRow | None:
        """A study with its series; their instances only if asked for."""
        with self.reading() as database:
            row = database.execute(_STUDY, (uid,)).fetchone()
            if row is None:
                return None
            found = database.execute(
                "SELECT id, uid, entry FROM series WHERE study = ? ORDER BY uid", row[:1]
            )
            series = tuple(
                SeriesRow(
                    one,
                    orjson.loads(unpack(entry, uid, one)),
                    instances_of(database, number) if instances else (),
                )
                for number, one, entry in found.fetchall()
            )
            stamp = row[2:] if row[2] is not None else None
            return StudyRow(uid, orjson.loads(unpack(row[1], uid)), series, stamp)

    def fresh(self, study: str, series: str | None = None) -> list[FreshInstance]:
        """The instances of a study, or of one of its series, that no index file holds."""
        with self.reading() as database:
            return fresh_of(database, study, series)

    def stamps(self) -> Iterator[tuple[str, Stamp | None]]:
        """The studies, by UID, and the stamps of the index files that they were read from."""
        last = ""
        while True:
            with self.reading() as database:
                rows = database.execute(
                    "SELECT uid, size, mtime, inode FROM study WHERE uid > ? ORDER BY uid LIMIT ?",
                    (last, _BATCH),
                ).fetchall()
            for uid, *stamp in rows:
                yield uid, None if stamp[0] is None else (stamp[0], stamp[1], stamp[2])
            if len(rows) < _BATCH:
                return
            last = rows[-1][0]

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """The studies and their entries as JSON, in the order of the whole-archive index; one state of it."""
        with self.reading() as database:
            rows = database.cursor().execute(
                "SELECT s.uid, e.entry FROM study s JOIN study_entry e USING (id)"
                " ORDER BY s.date DESC, s.time DESC, s.uid"
            )
            for uid, entry in rows:
                yield uid, unpack(entry, uid)

    def find(self, instances: Iterable[str]) -> dict[str, Uids]:
        """SOP Instance UID -> where it is: study, series and itself; those that are nowhere are not there."""
        with self.reading() as database:
            found = ((uid, places_of(database, uid)) for uid in instances)
            return {uid: (*places[0], uid) for uid, places in found if places}


def _end(database: sqlite3.Connection, how: str) -> None:
    try:
        if database.in_transaction:
            database.execute(how)
    except sqlite3.Error:
        return
