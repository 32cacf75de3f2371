"""The index of all studies: one file, and in large archives the same by month of Study Date.

One rule: it follows from the entries of the studies alone, in their order, byte for byte (DESIGN law 7).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import orjson

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError
from staticwado.ingest.entries import Dataset, first_value, sort_studies

SHARDS_FROM = 1_000
"""Studies from which on the index is kept by month, too; below, the one file is quick to take."""
MANIFEST_VERSION = 1
_STUDY, _DATE = "0020000D", "00080020"
_DAY = re.compile("([0-9]{4})(0[1-9]|1[0-2])[0-9]{2}")
_CHUNK = 1 << 20
Texts = Callable[[], Iterator[bytes]]
"""Gives the entries of all studies as JSON, in the order of the index, each time that it is called."""


def refresh_index(archive: Archive, changed: Iterable[str], catalog: Catalog | None = None) -> None:
    """Bring the index of all studies up to date: from the catalog, in memory of one entry, if there is one;
    else the entries of `changed` studies are read anew. Raises StoreUnavailable.
    """
    with archive.lock("studies"):
        if catalog is not None:
            write_index(archive, lambda: (text for _, text in catalog.entries()))
            return
        entries = [orjson.dumps(entry) for entry in _merged(archive, changed)]
        write_index(archive, lambda: iter(entries))


def _merged(archive: Archive, changed: Iterable[str]) -> list[Dataset]:
    """The entries of all studies, in order: those that the index has, unless they are `changed`."""
    known = _known_entries(archive)
    for study in changed:
        known.pop(study, None)
    found = (known.get(study) or _entry(archive, study) for study in archive.studies())
    return sort_studies(entry for entry in found if entry is not None)


def _known_entries(archive: Archive) -> dict[str, Dataset]:
    """The entries of the whole-archive index by study; none if it is missing or damaged: it is derived."""
    try:
        entries = archive.read_json(Resource(View.STUDIES))
        return {str(first_value(entry, _STUDY)): entry for entry in entries}
    except (StaticWadoError, TypeError, AttributeError):
        return {}


def _entry(archive: Archive, study: str) -> Dataset | None:
    try:
        entries = archive.read_json(Resource(View.INDEX, study))
    except NotFound:
        return None
    return entries[0] if entries else None


def write_index(archive: Archive, texts: Texts, *, shards_from: int | None = None) -> None:
    """Write the index of all studies, and its shards if it is long enough for them."""
    counted = _Counted(texts())
    archive.write_stream(Resource(View.STUDIES), array_of(counted))
    months = []
    if counted.count >= (SHARDS_FROM if shards_from is None else shards_from):
        months = [_write_month(archive, name, group) for name, group in by_month(texts)]
    if months:
        archive.write_stream(Resource(View.MONTHS), [manifest_of(months)])
    else:
        archive.remove(Resource(View.MONTHS))
    _remove_others(archive, {month["name"] for month in months})


class _Counted:
    """Gives what it is given, and counts it."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._texts = texts
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for text in self._texts:
            self.count += 1
            yield text


def array_of(texts: Iterable[bytes]) -> Iterator[bytes]:
    """A JSON array of `texts`, in pieces."""
    separator = b"["
    for text in texts:
        yield separator + text
        separator = b","
    yield b"]" if separator == b"," else b"[]"


# -- by month ------------------------------------------------------------------------------------------------


def month_of(text: bytes) -> str:
    """The month of an entry's Study Date as `YYYY-MM`; `undated` for what is no date (PS3.5 6.2, DA)."""
    day = _DAY.fullmatch(str(first_value(orjson.loads(text), _DATE)))
    return f"{day[1]}-{day[2]}" if day else layout.UNDATED


def by_month(texts: Texts) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The entries of each month, latest first, then of those without a date; in the order of the index."""
    dated = (text for text in texts() if month_of(text) != layout.UNDATED)
    yield from groupby(dated, month_of)  # in the order of the index the days of a month are together
    undated = (text for text in texts() if month_of(text) == layout.UNDATED)
    yield from groupby(undated, month_of)


def describe_month(name: str, studies: int, size: int, sha256: str) -> dict[str, Any]:
    """What the manifest says of a month: of its file as it is stored, compressed."""
    return {"name": name, "studies": studies, "bytes": size, "sha256": sha256}


def manifest_of(months: Sequence[dict[str, Any]]) -> bytes:
    """The manifest of the index by month."""
    total = sum(month["studies"] for month in months)
    return orjson.dumps({"version": MANIFEST_VERSION, "total": total, "months": months})


def _write_month(archive: Archive, name: str, texts: Iterable[bytes]) -> dict[str, Any]:
    counted = _Counted(texts)
    resource = Resource(View.MONTHS, rendition=name)
    archive.write_stream(resource, array_of(counted))
    size, digest = 0, hashlib.sha256()
    with open(archive.store.path(layout.stored_as(resource).key), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return describe_month(name, counted.count, size, digest.hexdigest())


def _remove_others(archive: Archive, kept: set[str]) -> None:
    for name in archive.store.names(layout.MONTHS):
        resource = layout.resource_of(f"{layout.MONTHS}/{name}")
        if resource is not None and resource.rendition is not None and resource.rendition not in kept:
            archive.remove(resource)
