"""Bringing derived data up to date: what is owed after instances came or went, or all of it.

One rule: what is owed stays noted until it is durably there, so that whoever comes next finds it; writers
wait for nothing but the moment in which a note is removed (docs/decisions/0009).
"""

import logging
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from functools import partial

from staticwado.archive import Archive
from staticwado.catalog.database import Catalog, Unusable
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable
from staticwado.ingest.catalogue import catalog_of, has_catalog, rebuild, take_over
from staticwado.ingest.healing import heal
from staticwado.ingest.summarise import Summarised, summarise
from staticwado.ingest.whole_index import refresh_index
from staticwado.store.journal import Mark, parse_journal
from staticwado.store.local import Stat

log = logging.getLogger("staticwado.ingest")

STUDIES_A_TIME = 32


def settle(
    archive: Archive,
    studies: Iterable[str] | None = None,
    catalog: Catalog | None = None,
    *,
    index: bool = True,
) -> Summarised:
    """Make what summaries are owed: of `studies`, or of all that are pending; then, if `index`, the index of
    all studies, which else stays owed.

    `catalog`: the one that is told; without it that of the archive, if there is one. Where that cannot be
    opened now, the journals stay, so that whoever can tells it. Raises StoreUnavailable.
    """
    owed = archive.pending() if studies is None else sorted(set(studies))
    with nullcontext(catalog) if catalog is not None else catalog_of(archive) as told:
        done = _settle_all(archive, owed, told, keep=told is None and has_catalog(archive))
        if index:
            settle_index(archive, None if done.untold else told)
    return done


def _settle_all(
    archive: Archive, studies: list[str], catalog: Catalog | None, *, keep: bool = False
) -> Summarised:
    done = Summarised()
    for start in range(0, len(studies), STUDIES_A_TIME):
        done.add(_settle_some(archive, studies[start : start + STUDIES_A_TIME], catalog, keep=keep))
    return done


def _settle_some(archive: Archive, studies: list[str], catalog: Catalog | None, *, keep: bool) -> Summarised:
    done = summarise(archive, studies)
    told = []
    for study, mark in done.marks.items():
        # The catalog first: a reader finds in it, or in the journal, whatever was acknowledged. It is left as
        # it is where the journal goes on: it may hold more than the summaries then.
        is_current = partial(_may_be_told, archive, study, mark, done.seen[study])
        if not keep and (catalog is None or take_over(archive, catalog, study, is_current)):
            told.append(study)
        elif keep or is_current():
            done.untold.add(study)
    if done.marks:
        # Then the index: whoever finds this note makes it from the catalog, and takes the note away.
        archive.mark_index(done.marks)
    archive.store.sync()
    for study in told:
        archive.clear_pending(study, done.marks[study], done.seen[study])
    done.seen.clear()
    return done


def _may_be_told(archive: Archive, study: str, mark: Mark, seen: Mapping[tuple[str, str], Stat]) -> bool:
    """Whether the catalog may be told what the summaries say now: it holds no more. Nobody merges into it
    while all of the study must be looked at; readers wait for the summaries then.
    """
    whole = parse_journal(archive.pending_lines(study)).whole
    return whole or archive.is_summarised(study, mark, seen)


def settle_index(archive: Archive, catalog: Catalog | None = None) -> None:
    """Bring the index of all studies up to date, if it is owed or missing. Raises StoreUnavailable."""
    owed = archive.pending_index()
    if owed is None and archive.locate(Resource(View.STUDIES)) is not None:
        return
    studies, size = owed or ([], 0)
    if not _index_from(catalog, archive):
        refresh_index(archive, studies)
    archive.store.sync()
    archive.clear_index(size)


def _index_from(catalog: Catalog | None, archive: Archive) -> bool:
    """Write the index of all studies from the catalog; False if there is none that can be used."""
    try:
        if catalog is None or not catalog.is_complete():
            return False
        refresh_index(archive, (), catalog)
    except (Unusable, StoreUnavailable) as error:
        log.warning("the index of all studies is not made from the catalog: %s", error)
        return False
    return True


def index(archive: Archive) -> Summarised:
    """Make every derived file again from the instances alone, and the catalog; move aside what
    belongs to no instance. Raises StoreUnavailable.
    """
    archive.clear_staging()
    studies = sorted({*archive.studies(), *archive.pending()})
    found = Summarised()
    for study in studies:
        with archive.lock(study):
            archive.mark_pending(study)
            healed = heal(archive, study)
        found.notes += healed.notes
        found.faults += healed.faults
    archive.mark_index(studies)
    done = _settle_all(archive, studies, None)
    done.add(found)
    with catalog_of(archive, make=True) as catalog:
        if catalog is not None:
            rebuild(archive, catalog)
        settle_index(archive, catalog)
    return done
