"""The derived files of one study, and its bulkdata values.

One rule: a derived file is right if it says what `summarise` would make of the instances now; while a writer
owes it, nothing is said against it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from staticwado import layout
from staticwado.archive import Archive, compress, decompress
from staticwado.dicom.jsonmodel import join_array
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.ingest.entries import Dataset, first_value
from staticwado.ingest.summarise import MALFORMED, derive, expand_compact
from staticwado.ingest.verify.difference import explain
from staticwado.ingest.verify.files import note_other_bytes, sha256_of
from staticwado.ingest.verify.findings import INDEX, NOTHING, REMOVE, Findings, Kind, Matter


@dataclass(slots=True)
class LookedAtStudy:
    """What looking at a study's own files brought to light."""

    findings: Findings = field(default_factory=Findings)
    values: set[str] = field(default_factory=set)
    """Addresses of the bulkdata files that lie in it."""
    bad_values: set[str] = field(default_factory=set)
    """Those whose bytes are not those of their address."""
    entry: bytes | None = None
    """SHA-256 of the entry that the index of all studies must hold; None if it must hold none."""
    owed: bool = False
    """A writer has not made the derived files yet."""
    known: bool = True
    """Whether the instances could be read, so that `entry` is known."""


def check_study(archive: Archive, study: str) -> LookedAtStudy:
    """Look at a study's bulkdata and derived files; never writes."""
    looked = LookedAtStudy()
    # before the instances: what a writer adds from now on is in no look at them
    _check_bulkdata(archive, study, looked)
    try:
        first = _look(archive, study)
        if first.findings.faults:  # a writer may have been at work: again, while none can finish
            with archive.shared_lock_if_known(study):
                first = _look(archive, study)
                first.owed = archive.is_pending(study)
    except StoreUnavailable as error:
        folder = layout.folder_of(study)
        text = f"it could not be read: {error}"
        looked.findings.fault(folder, Kind.UNREADABLE, text, "let it be read, then verify again")
        looked.known = False
        return looked
    looked.entry, looked.known = first.entry, first.known
    looked.owed = first.owed or archive.is_pending(study)
    if looked.owed:
        first.findings.faults.clear()
        detail = f"a writer has not made its derived files yet; the next run does, and {INDEX}"
        looked.findings.note(layout.folder_of(study), Matter.OWED, detail)
    looked.findings.add(first.findings)
    return looked


def _look(archive: Archive, study: str) -> LookedAtStudy:
    """Compare every derived file with what the instances say."""
    looked = LookedAtStudy()
    found = looked.findings
    metadata = b""
    try:
        for resource, data in derive(archive, study, []):
            _compare(archive, resource, data, found)
            if resource == Resource(View.METADATA, study):
                metadata = data or b""
            if resource.view is View.DEDUPLICATED and data is not None:
                _check_expansion(study, data, metadata, found)
            if resource.view is View.INDEX and data is not None:
                looked.entry = hashlib.sha256(data[1:-1]).digest()
                found.counts.studies = 1
            found.counts.series += resource.view is View.INSTANCES and data is not None
    except (StaticWadoError, *MALFORMED) as error:
        found.faults.clear()
        looked.known = False
        detail = f"its derived files could not be compared, as an instance is damaged: {error}"
        found.note(layout.folder_of(study), Matter.UNCHECKED, detail)
        for resource in _resources(archive, study):
            _check_alone(archive, resource, found)
    return looked


def _compare(archive: Archive, resource: Resource, data: bytes | None, found: Findings) -> None:
    stored = layout.stored_as(resource)
    try:
        kept = archive.store.read(stored.key)
    except NotFound:
        if data is not None:
            found.fault(stored.key, Kind.MISSING, "it is not there", INDEX)
        return
    found.counts.bytes += len(kept)
    if data is None:
        found.fault(stored.key, Kind.STALE, "the instances from which it was made are not there", INDEX)
        return
    if kept == (compress(data) if stored.encoding else data):
        return
    try:
        content = decompress(kept, "the gzip file") if stored.encoding else kept
    except StoreUnavailable as error:
        found.fault(stored.key, Kind.DAMAGED, str(error), INDEX)
        return
    if content == data:
        note_other_bytes(stored.key, found)
    else:
        found.fault(stored.key, Kind.STALE, explain(resource, content, data), INDEX)


def _check_expansion(study: str, form: bytes, metadata: bytes, found: Findings) -> None:
    """The compact form expands to the study's metadata, to the text of every number."""
    resource = Resource(View.DEDUPLICATED, study)
    key = layout.stored_as(resource).key
    try:
        again = join_array(
            layout.rebase(orjson.dumps(row), _instance_of(row, study), to_study=True)
            for row in expand_compact(orjson.loads(form))
        )
        same = again == orjson.dumps(orjson.loads(metadata))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        found.note(key, Matter.UNCHECKED, f"it is nested too deep to be expanded: {error}")
        return
    if not same:
        detail = "what this version writes here does not expand to the metadata: a fault of the program"
        found.fault(key, Kind.STALE, detail, NOTHING)


def _instance_of(row: Dataset, study: str) -> Resource:
    series, instance = (str(first_value(row, tag)) for tag in ("0020000E", "00080018"))
    return Resource(View.METADATA, study, series, instance)


def _check_alone(archive: Archive, resource: Resource, found: Findings) -> None:
    """A derived file that has nothing to be compared with is at least a whole gzip file of JSON."""
    stored = layout.stored_as(resource)
    try:
        kept = archive.store.read(stored.key)
        found.counts.bytes += len(kept)
        if stored.encoding:
            orjson.loads(decompress(kept, "the gzip file"))
    except NotFound:
        return
    except (StoreUnavailable, orjson.JSONDecodeError) as error:
        found.fault(stored.key, Kind.DAMAGED, str(error), INDEX)


def _resources(archive: Archive, study: str) -> Iterator[Resource]:
    for view in (View.INDEX, View.SERIES, View.METADATA, View.DEDUPLICATED):
        yield Resource(view, study)
    for series in archive.series(study):
        yield Resource(View.INSTANCES, study, series)
        yield Resource(View.METADATA, study, series)


# -- bulkdata ------------------------------------------------------------------------------------------------


def _check_bulkdata(archive: Archive, study: str, looked: LookedAtStudy) -> None:
    """The bytes of every value have the hash that is its name."""
    found = looked.findings
    for key, address in _values(archive, study):
        try:
            sha256, size = sha256_of(archive.store.path(key))
        except FileNotFoundError:
            continue
        except OSError as error:
            text = f"it could not be read: {error.strerror}"
            found.fault(key, Kind.UNREADABLE, text, "let it be read, then verify again")
            continue
        looked.values.add(address)
        found.counts.bulkdata += 1
        found.counts.bytes += size
        if not address.startswith(f"{sha256[:2]}/{sha256[2:]}."):
            looked.bad_values.add(address)
            detail = f"its bytes have another hash, {sha256}"
            repair = f"{REMOVE}, and so the folders of the instances that refer to it (they are named, too)"
            found.fault(key, Kind.DAMAGED, detail, f"{repair}; then mkdicomweb create SOURCE")


def _values(archive: Archive, study: str) -> Iterator[tuple[str, str]]:
    """Key and address of every bulkdata file of a study."""
    folder = f"{layout.folder_of(study)}/bulkdata"
    for first in archive.store.names(folder):
        for entry in archive.store.entries(f"{folder}/{first}"):
            key = f"{folder}/{first}/{entry.name}"
            resource = layout.resource_of(key)
            if entry.is_file and resource is not None and resource.bulkdata is not None:
                yield key, resource.bulkdata
