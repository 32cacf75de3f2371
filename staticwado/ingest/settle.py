"""Bringing derived data up to date: what is owed after instances came or went, or all of it.

One rule: what is owed stays marked until it is durably there, so that whoever comes next finds it.
"""

from collections.abc import Iterable

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.summarise import Summarised, refresh_index, summarise

STUDIES_A_TIME = 32


def settle(archive: Archive, studies: Iterable[str] | None = None) -> Summarised:
    """Make what summaries are owed: of `studies`, or of all that are pending. Raises StoreUnavailable."""
    owed = archive.pending() if studies is None else sorted(set(studies))
    done = Summarised()
    for start in range(0, len(owed), STUDIES_A_TIME):
        done.add(summarise(archive, owed[start : start + STUDIES_A_TIME]))
    if owed or archive.locate(Resource(View.STUDIES)) is None:
        refresh_index(archive, owed)
    archive.store.sync()
    for study, mark in done.marks.items():
        archive.clear_pending(study, mark)
    return done


def index(archive: Archive) -> Summarised:
    """Make every derived file again from the instances alone. Raises StoreUnavailable."""
    archive.clear_staging()
    studies = list(archive.studies())
    for study in studies:
        archive.mark_pending(study)
    return settle(archive, {*studies, *archive.pending()})
