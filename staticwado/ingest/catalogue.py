"""Keeping the catalog as the index files are.

One rule: a row is made from the index files of its study and from nothing else, so that every catalog can be
thrown away.
"""

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog, Unusable
from staticwado.catalog.rows import SeriesRow, StudyRow
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.ingest.entries import Dataset, first_value
from staticwado.store.local import Stat

log = logging.getLogger("staticwado.ingest")

_SERIES, _INSTANCE = "0020000E", "00080018"
MADE = "made"
"""The note in a catalog that tells one making of it from the next."""
STUDIES_A_TRANSACTION = 200
_TOLD_EVERY = 10_000


def default_catalog(archive: Archive) -> Catalog | None:
    """The catalog in the archive's private folder; None if there is none, or none that can be opened."""
    path = archive.store.path(layout.CATALOG)
    return open_catalog(path) if os.path.exists(path) else None


def has_catalog(archive: Archive) -> bool:
    """Whether the archive's private folder holds the file of a catalog, even one that cannot be opened."""
    return os.path.isfile(archive.store.path(layout.CATALOG))


def begin_catalog(archive: Archive) -> None:
    """Make the catalog of an archive that holds no study yet, so that writers know from the begin where
    instances are.
    """
    path = archive.store.path(layout.CATALOG)
    with archive.lock("catalog"):
        if os.path.exists(path) or archive.store.names(layout.STUDIES):
            return
        catalog = open_catalog(path)
        if catalog is not None:
            rebuild(archive, catalog)
            catalog.close()


@contextmanager
def catalog_of(archive: Archive, *, make: bool = False) -> Iterator[Catalog | None]:
    """The catalog in the archive's private folder, closed after the block; None if there is none, and it is
    not to be made, or cannot be.
    """
    catalog = open_catalog(archive.store.path(layout.CATALOG)) if make else default_catalog(archive)
    try:
        yield catalog
    finally:
        if catalog is not None:
            catalog.close()


def open_catalog(path: str) -> Catalog | None:
    """The catalog in `path`, which is made, empty, if there is none; None where that is not possible."""
    catalog = Catalog(path)
    try:
        catalog.is_complete()
    except StoreUnavailable as error:
        log.warning("searches read the index files, as there is no catalog: %s", error)
        catalog.close()
        return None
    return catalog


def row_of(archive: Archive, study: str) -> StudyRow | None:
    """The rows of a study as its index files tell them; None if it has none.

    Raises StoreUnavailable if they are damaged.
    """
    located = archive.locate(Resource(View.INDEX, study))
    if located is None:
        return None
    try:
        entries = _list(archive, Resource(View.INDEX, study))
        series = tuple(_series_rows(archive, study))
    except NotFound:
        return None  # they went meanwhile
    if not entries:
        return None
    return StudyRow(study, entries[0], series, stamp_of(located.stat))


def _series_rows(archive: Archive, study: str) -> Iterator[SeriesRow]:
    for entry in _list(archive, Resource(View.SERIES, study)):
        uid = first_value(entry, _SERIES)
        if isinstance(uid, str):
            listed = _list(archive, Resource(View.INSTANCES, study, uid))
            found = (first_value(one, _INSTANCE) for one in listed)
            yield SeriesRow(uid, entry, tuple(one for one in found if isinstance(one, str)))


def _list(archive: Archive, resource: Resource) -> list[Dataset]:
    entries = archive.read_json(resource)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StoreUnavailable(f"{layout.stored_as(resource).key} is damaged: it is no list of objects")
    return entries


def stamp_of(stat: Stat) -> tuple[int, int, int]:
    """A file's stamp as the catalog keeps it."""
    return stat.size, stat.mtime_ns, stat.inode


def take_over(archive: Archive, catalog: Catalog, study: str, is_current: Callable[[], bool]) -> bool:
    """Tell the catalog what the index files of a study say now, if `is_current` says that they say all, while
    nobody merges into it; False if they do not, or if the catalog cannot be reached.

    A damaged catalog costs nothing: it is emptied, and nobody asks it until it is made anew.
    """
    try:
        with archive.lock(merge_lock(archive, study)):
            if not is_current():
                return False
            row = row_of(archive, study)
            if row is None:
                catalog.remove([study])
            else:
                catalog.replace([row])
    except Unusable as error:
        log.error("the catalog is damaged, and has to be made anew: %s", error)
        return _give_up(catalog)
    except StoreUnavailable as error:
        log.warning("the catalog could not be told of study %s: %s", study, error)
        return False
    return True


def _give_up(catalog: Catalog) -> bool:
    """Empty a damaged catalog, as a part of it may still give answers; whether nobody asks it now."""
    try:
        catalog.clear()
    except (Unusable, StoreUnavailable) as error:
        log.warning("the damaged catalog could not be emptied: %s", error)
        return False
    return True


def merge_lock(archive: Archive, study: str) -> str:
    """The lock of who changes what the catalog says of a study; writers never wait for it."""
    return archive.bucket_lock("merge", study)


# -- all of it -----------------------------------------------------------------------------------------------


def rebuild(archive: Archive, catalog: Catalog) -> int:
    """Make the catalog anew from the index files; how many studies it holds. Nobody asks it until it is done.

    Raises StoreUnavailable.
    """
    catalog.clear()
    catalog.note(MADE, uuid.uuid4().hex)
    count = changed = _read_changed(archive, catalog)
    while changed:  # what was summarised meanwhile
        changed = _read_changed(archive, catalog)
    catalog.complete()
    log.info("the catalog was made anew: %d studies", count)
    return count


def synchronise(archive: Archive, catalog: Catalog) -> int:
    """Read the studies again whose index files are not those that the catalog knows; how many they were.

    Raises StoreUnavailable.
    """
    changed = 0
    for study in _changed(archive, catalog):

        def is_current(study: str = study) -> bool:
            return not archive.is_pending(study)

        if is_current():  # else it is read when it is settled
            changed += take_over(archive, catalog, study, is_current)
    return changed


def _changed(archive: Archive, catalog: Catalog) -> Iterator[str]:
    """Studies whose index file is not the one that the catalog knows, in order, then those that have none."""
    known = dict(catalog.stamps())
    for study in archive.studies():
        located = archive.locate(Resource(View.INDEX, study))
        if located is not None and known.pop(study, None) != stamp_of(located.stat):
            yield study
    yield from (study for study in known if archive.locate(Resource(View.INDEX, study)) is None)


def _read_changed(archive: Archive, catalog: Catalog) -> int:
    """The same for a catalog that nobody asks or merges into yet, many studies a transaction."""
    count = 0
    changed = _changed(archive, catalog)
    while studies := list(islice(changed, STUDIES_A_TRANSACTION)):
        rows = []
        for study in studies:
            try:
                row = row_of(archive, study)
            except StaticWadoError as error:
                log.warning("study %s cannot be found by searches: %s", study, error)
                continue
            if row is None:
                catalog.remove([study])
            else:
                rows.append(row)
        catalog.replace(rows)
        count += len(rows)
        if count % _TOLD_EVERY < STUDIES_A_TRANSACTION <= count:
            log.info("%d studies were read into the catalog", count)
    return count
