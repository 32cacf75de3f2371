"""What belongs to the archive as a whole: its marker, the index of all studies, the ledger of sources.

One rule: the index of all studies holds the entry of each study, in order, and nothing else.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from staticwado import layout
from staticwado.archive import MARKER_BYTES, Archive, compress, decompress
from staticwado.catalog.ledger import Ledger
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.ingest.entries import first_value, sort_studies
from staticwado.ingest.summarise import MALFORMED
from staticwado.ingest.verify.difference import difference
from staticwado.ingest.verify.files import note_other_bytes
from staticwado.ingest.verify.findings import INDEX, NOTHING, Findings, Kind, Matter
from staticwado.ingest.whole_index import SHARDS_FROM, array_of, by_month, describe_month, manifest_of

_STUDY = "0020000D"
Entries = Mapping[str, bytes | None]
"""Study -> SHA-256 of its entry; None where it has no instances, or where nobody knows."""


def check_marker(archive: Archive, found: Findings) -> None:
    """The marker is there, and says that this is an archive of this layout.

    Raises ConfigurationError where there is none, and no studies either, or where it names another layout.
    """
    try:
        archive.check_marker()
        if archive.store.read(layout.MARKER) != MARKER_BYTES:
            detail = f"it is written in another way than by this version; {NOTHING}"
            found.note(layout.MARKER, Matter.OTHER_BYTES, detail)
    except StoreUnavailable as error:
        found.fault(
            layout.MARKER, Kind.MARKER, str(error), "remove it by hand, then mkdicomweb create SOURCE"
        )
    except StaticWadoError:
        if archive.store.stat(layout.MARKER) is not None or not archive.store.names(layout.STUDIES):
            raise
        found.fault(layout.MARKER, Kind.MARKER, "it is not there", "mkdicomweb create SOURCE")


def check_index(archive: Archive, right: Entries, owed: set[str], unknown: set[str]) -> Findings:
    """Compare the index of all studies with the entries that the instances ask for.

    `owed` are studies that a writer is at, `unknown` those whose instances could not be read.
    """
    found = Findings()
    key = layout.stored_as(Resource(View.STUDIES)).key
    with archive.shared_lock_if_known("studies"):
        try:
            kept = archive.store.read(key)
            content = decompress(kept, "the gzip file")
            found.counts.bytes += len(kept)
            entries = orjson.loads(content)
            have = {str(first_value(entry, _STUDY)): entry for entry in entries}
        except NotFound:
            if not owed and not archive.pending() and archive.pending_index() is None:
                found.fault(key, Kind.MISSING, "it is not there", INDEX)
            return found
        except (StoreUnavailable, orjson.JSONDecodeError, *MALFORMED) as error:
            found.fault(key, Kind.DAMAGED, str(error), INDEX)
            return found
        want = _wanted(archive, right, have, unknown)
        changed, _ = archive.pending_index() or ([], 0)
        owed = owed | set(archive.pending()) | set(changed)
    if compress(content) != kept:
        note_other_bytes(key, found)
    wrong = [uid for uid in {*have, *want} if have.get(uid) != want.get(uid)]
    if wrong and owed.issuperset(wrong):
        found.note(key, Matter.OWED, "a writer has not brought it up to date yet")
    elif wrong or len(have) != len(entries) or orjson.dumps(sort_studies(want.values())) != content:
        ordered = {str(first_value(entry, _STUDY)): entry for entry in sort_studies(want.values())}
        detail = difference(have, ordered, len(entries), len(want), "studies")
        found.fault(key, Kind.STALE, detail, INDEX)
    elif not owed:
        _check_months(archive, [orjson.dumps(entry) for entry in entries], found)
    return found


def _check_months(archive: Archive, texts: list[bytes], found: Findings) -> None:
    """Compare the index by month, and its manifest, with the index of all studies."""
    right: dict[str, bytes] = {}
    months = []
    if len(texts) >= SHARDS_FROM:
        for name, group in by_month(lambda: iter(texts)):
            entries = list(group)
            body = b"".join(array_of(entries))
            kept = compress(body)
            right[layout.stored_as(Resource(View.MONTHS, rendition=name)).key] = body
            months.append(describe_month(name, len(entries), len(kept), hashlib.sha256(kept).hexdigest()))
    manifest = layout.stored_as(Resource(View.MONTHS)).key
    if months:
        right[manifest] = manifest_of(months)
    there = {f"{layout.MONTHS}/{name}" for name in archive.store.names(layout.MONTHS)}
    for key in sorted(right.keys() | {key for key in there if layout.resource_of(key) is not None}):
        if key not in there:
            found.fault(key, Kind.MISSING, "it is not there", INDEX)
            continue
        try:
            content = decompress(archive.store.read(key), "the gzip file")
        except StaticWadoError as error:
            found.fault(key, Kind.DAMAGED, str(error), INDEX)
            continue
        if content != right.get(key):
            found.fault(key, Kind.STALE, "it is not what the index of all studies says of it", INDEX)


def _wanted(
    archive: Archive, right: Entries, have: Mapping[str, Any], unknown: set[str]
) -> dict[str, dict[str, Any]]:
    """The entries that should be listed: those that are, where they are right, else those of the studies."""
    want = {}
    for study in {*archive.studies(), *right}:
        entry = have.get(study)
        if study in unknown and entry is not None:
            want[study] = entry
        elif entry is None or hashlib.sha256(orjson.dumps(entry)).digest() != right.get(study):
            entry = _entry_of(archive, study, right)
            if entry is not None:
                want[study] = entry
        else:
            want[study] = entry
    return want


def _entry_of(archive: Archive, study: str, right: Entries) -> dict[str, Any] | None:
    """A study's entry, from its own index file; a fault of that was said of that file already."""
    if right.get(study) is None and study in right:
        return None
    try:
        entry: dict[str, Any] = archive.read_json(Resource(View.INDEX, study))[0]
    except (StaticWadoError, *MALFORMED):
        return {_STUDY: {"vr": "UI", "Value": [study]}}
    return entry


def check_ledger(archive: Archive, found: Findings) -> None:
    """The ledger can be read, and the instances that it names are there; it is private: these are notes."""
    if archive.store.stat(layout.LEDGER) is None:
        return
    lost = 0
    try:
        for uids in Ledger(archive.store.path(layout.LEDGER)).instances():
            lost += not archive.exists(*uids)
    except StoreUnavailable as error:
        found.note(layout.LEDGER, Matter.PRIVATE, f"{error}; the next run reads all sources again")
    if lost:
        detail = f"it names {lost} source files whose instances are not there; they will be read again"
        found.note(layout.LEDGER, Matter.PRIVATE, detail)
