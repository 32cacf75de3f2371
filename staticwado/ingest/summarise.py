"""Making the derived files of studies from their instances: metadata, indexes, the compact form, thumbnails.

One rule: what is written here follows from the instances alone, byte for byte (DESIGN law 7).
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicom.jsonmodel import join_array
from staticwado.dicomweb import compact
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.ingest.entries import (
    instance_entry,
    instance_order,
    series_entry,
    series_order,
    study_entry,
)
from staticwado.store.journal import Mark
from staticwado.store.local import Stat

Dataset = dict[str, Any]
Seen = dict[tuple[str, str], Stat]
COMPACT_VERSION = 1
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What metadata that are JSON but not DICOM JSON raise: somebody else wrote them."""


@dataclass(slots=True)
class _Series:
    """A series as its instances tell it; instances in order."""

    uid: str
    instances: list[tuple[str, bytes, Dataset]] = field(default_factory=list)
    """(UID, object text, parsed)."""
    varying: set[str] = field(default_factory=set)
    """Tags whose elements are not the same in all instances."""
    thumbnail: bytes | None = None

    @property
    def datasets(self) -> list[Dataset]:
        return [dataset for _, _, dataset in self.instances]


@dataclass(slots=True)
class Summarised:
    """What came of making summaries."""

    notes: list[str] = field(default_factory=list)
    """Instances of a study that disagree."""
    faults: list[str] = field(default_factory=list)
    """Studies whose summaries could not be made, and why; they stay owed."""
    marks: dict[str, Mark] = field(default_factory=dict)
    """The studies that were summarised, and how far the journal of each went."""
    seen: dict[str, dict[tuple[str, str], Stat]] = field(default_factory=dict)
    """Of each of them what was read: series and instance UID -> its metadata."""
    untold: set[str] = field(default_factory=set)
    """Those of which the catalog could not be told; they stay owed."""

    def add(self, other: "Summarised") -> None:
        self.notes += other.notes
        self.faults += other.faults
        self.marks |= other.marks
        self.seen |= other.seen
        self.untold |= other.untold


def summarise(archive: Archive, studies: Iterable[str]) -> Summarised:
    """Make the derived files of `studies` anew.

    All of them become visible after one sync. Studies without instances lose their index files. A study whose
    instances are damaged keeps the files that it has. Writers are not kept waiting meanwhile: what they add
    stays in the journal. Raises StoreUnavailable if nothing can be written.
    """
    done = Summarised()
    with ExitStack() as stack:
        writer = stack.enter_context(archive.batch())
        wanted = sorted(set(studies))
        for name in sorted({archive.bucket_lock("summary", study) for study in wanted}):
            stack.enter_context(archive.lock(name))
        for study in wanted:
            with archive.lock(study, shared=True):  # who takes instances away has it alone until it is done
                mark = archive.pending_mark(study)
            before = writer.staged
            seen: Seen = {}
            try:
                for resource, data in derive(archive, study, done.notes, seen):
                    if data is None:
                        archive.remove(resource)
                    else:
                        writer.add(resource, data)
            except StaticWadoError as error:
                writer.drop(before)
                done.faults.append(f"study {study} was not indexed: {error}")
            except MALFORMED as error:
                writer.drop(before)
                text = f"the metadata of an instance are malformed ({type(error).__name__}: {error})"
                done.faults.append(f"study {study} was not indexed: {text}")
            else:
                done.marks[study], done.seen[study] = mark, seen
        writer.publish()
    return done


def derive(
    archive: Archive, study: str, notes: list[str], seen: Seen | None = None
) -> Iterator[tuple[Resource, bytes | None]]:
    """Every derived file of a study: its resource and its bytes, None where it must not exist.

    Nothing is written; `notes` is told where instances disagree, `seen` what was read. Raises
    StoreUnavailable if the metadata of an instance are damaged.
    """
    found = []
    for uid in archive.series(study):
        one = _read_series(archive, study, uid, {} if seen is None else seen)
        if one.instances:
            found.append(one)
        else:
            yield from ((resource, None) for resource in _series_files(study, uid))
    if not found:
        yield from ((resource, None) for resource in _study_files(study))
        return
    by_entry = []
    for one in found:
        entry = series_entry(one.datasets, study, one.uid, notes, one.varying)
        by_entry.append((series_order(entry), entry, one))
        yield from _derive_series(archive, study, one)
    by_entry.sort(key=lambda item: item[0])
    ordered = [one for _, _, one in by_entry]
    entry = study_entry([(one.uid, one.datasets, one.varying) for one in found], study, notes)
    yield Resource(View.INDEX, study), _dump([entry])
    yield Resource(View.SERIES, study), _dump([entry for _, entry, _ in by_entry])
    yield Resource(View.METADATA, study), _join(study, ordered, to_study=True)
    yield (
        Resource(View.DEDUPLICATED, study),
        orjson.dumps(compact_form([(one.datasets, one.varying) for one in ordered])),
    )
    largest = max(ordered, key=lambda one: len(one.instances))
    thumbnails = (one.thumbnail for one in (largest, *ordered) if one.thumbnail is not None)
    yield Resource(View.THUMBNAIL, study), next(thumbnails, None)


def _study_files(study: str) -> Iterator[Resource]:
    for view in (View.INDEX, View.SERIES, View.METADATA, View.DEDUPLICATED, View.THUMBNAIL):
        yield Resource(view, study)


def _series_files(study: str, series: str) -> Iterator[Resource]:
    for view in (View.INSTANCES, View.METADATA, View.THUMBNAIL):
        yield Resource(view, study, series)


def _read_series(archive: Archive, study: str, uid: str, seen: Seen) -> _Series:
    series = _Series(uid)
    before: Dataset = {}
    for instance in archive.instance_folders(study, uid):
        resource = Resource(View.METADATA, study, uid, instance)
        stat = archive.instance_stat(study, uid, instance)
        if stat is None:
            continue  # a folder without metadata is no instance (law 4)
        try:
            text = archive.read(resource)[1:-1]
        except NotFound:
            continue
        try:
            dataset = parse_dataset(text)
        except orjson.JSONDecodeError as error:
            raise StoreUnavailable(f"the metadata of instance {instance} are damaged: {error}") from error
        if series.instances:
            series.varying |= _share(dataset, before)
        before = dataset
        seen[uid, instance] = stat
        series.instances.append((instance, text, before))
    series.instances.sort(key=lambda item: instance_order(item[2]))
    return series


_REAL = frozenset({"DS", "FD", "FL", "SQ"})
"""VRs whose values may be equal and yet be written differently: 1 and 1.0."""


def _is_same(one: Dataset, other: Dataset) -> bool:
    """Whether equal elements are the same text, too."""
    return one["vr"] not in _REAL or repr(one) == repr(other)


def _share(dataset: Dataset, before: Dataset) -> set[str]:
    """Put the elements of `before` into `dataset` where they are equal; returns the tags that differ.

    So most of a series is held once, and what all its instances share is known without another look.
    """
    differing = set()
    for tag, element in dataset.items():
        other = before.get(tag)
        if other is not None and other == element and _is_same(other, element):
            dataset[tag] = other
        else:
            differing.add(tag)
    if len(before) != len(dataset) or differing:
        differing.update(before.keys() - dataset.keys())
    return differing


def _derive_series(archive: Archive, study: str, one: _Series) -> Iterator[tuple[Resource, bytes | None]]:
    entries = [instance_entry(dataset, study, one.uid, uid) for uid, _, dataset in one.instances]
    yield Resource(View.INSTANCES, study, one.uid), _dump(entries)
    yield Resource(View.METADATA, study, one.uid), _join(study, [one], to_study=False)
    one.thumbnail = _thumbnail(archive, study, one)
    yield Resource(View.THUMBNAIL, study, one.uid), one.thumbnail


def _join(study: str, many: list[_Series], *, to_study: bool) -> bytes:
    return join_array(
        layout.rebase(text, Resource(View.METADATA, study, one.uid, uid), to_study=to_study)
        for one in many
        for uid, text, _ in one.instances
    )


def _dump(entries: list[Dataset]) -> bytes:
    return orjson.dumps(entries)


def compact_form(series: Sequence[tuple[list[Dataset], Set[str] | None]]) -> dict[str, Any]:
    """The compact form of a study: one packed table a series, and what all tables share once.

    Each series comes as its metadata and, where they are known, the tags that are not the same in all of it.
    """
    packed = [compact.pack(rows, varying=varying) for rows, varying in series]
    tables = [table.get("shared", {}) for table in packed]
    common = {
        tag: element
        for tag, element in tables[0].items()
        if compact.all_same([element, *(table.get(tag) for table in tables)])
    }
    for table in tables:
        for tag in common:
            del table[tag]
    return {"version": COMPACT_VERSION, "shared": common, "series": packed}


def expand_compact(form: dict[str, Any]) -> list[Dataset]:
    """The metadata of all instances of a study, series by series, that `compact_form` was given."""
    rows = []
    for table in form["series"]:
        rows += compact.expand({**table, "shared": {**form["shared"], **table.get("shared", {})}})
    return rows


def _thumbnail(archive: Archive, study: str, one: _Series) -> bytes | None:
    """The thumbnail of the instance nearest to the middle of a series that has one."""
    count = len(one.instances)
    for index in sorted(range(count), key=lambda index: (abs(2 * index - count + 1), index)):
        resource = Resource(View.THUMBNAIL, study, one.uid, one.instances[index][0])
        if archive.locate(resource) is not None:
            return archive.read(resource)
    return None
