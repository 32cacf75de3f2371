"""What readers see of instances that no summary holds yet: read your writes, at a cost that does not grow.

One rule: a reader never waits for a writer, and nothing that was acknowledged is missing from an answer; what
is not owed costs one look at the file system (docs/decisions/0009).
"""

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import orjson

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.catalog.rows import FreshInstance, SeriesRow, StudyRow
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.ingest.catalogue import MADE, merge_lock, row_of
from staticwado.ingest.entries import (
    Dataset,
    instance_entry,
    merge_series,
    merge_study,
    series_entry,
    study_entry,
)
from staticwado.ingest.ordering import ordered_instances, ordered_series
from staticwado.ingest.settle import settle
from staticwado.ingest.summarise import MALFORMED
from staticwado.store.journal import Mark, parse_journal
from staticwado.store.local import Stat

log = logging.getLogger("staticwado.ingest")

EMPTY = b"[]"
"""Metadata of nothing."""
_STUDIES_IN_MEMORY = 256
_MOST_DONE = 1000
Place = tuple[str, str]
"""Series and SOP Instance UID."""


@dataclass(slots=True)
class _Merged:
    """What of a study's journal is in the catalog, as this process knows it."""

    generation: str
    position: tuple[str, int] | None
    """What the catalog says if nobody else merged since."""
    row: StudyRow | None
    known: set[Place]
    """Instances that the rows count."""
    end: int = 0
    """Bytes of the journal that were looked at."""
    waiting: list[tuple[int, Place]] = field(default_factory=list)
    """Lines whose instance was not there yet, and where they begin."""


class Live:
    """Brings the catalog up to what is acknowledged, and composes metadata while their files are owed."""

    def __init__(self, archive: Archive, catalog: Catalog | None) -> None:
        self._archive = archive
        self._catalog = catalog
        self._lock = threading.Lock()
        self._done: dict[str, tuple[Stat, tuple[Place, ...]]] = {}
        """Journals that are in the catalog, but for instances that were not there."""
        self._most = _MOST_DONE
        self._merged: OrderedDict[str, _Merged] = OrderedDict()
        self._faulty: dict[str, Stat | None] = {}
        """Studies that could not be settled, and their journals then: the same again would not help."""
        self._made: str | None = None
        """Which making of the catalog this is about."""

    def is_owed(self, study: str) -> bool:
        """Whether the files of a study may lack something: one look at the file system."""
        return self._archive.is_pending(study)

    def settle(self, study: str | None = None) -> None:
        """Make the summaries that are owed, all of them or those of one study.

        What could not be made is not tried again until more comes. Raises StoreUnavailable.
        """
        before = {one: self._archive.pending_stat(one) for one in self._owed(study)}
        due = [one for one, stat in before.items() if stat is not None and self._faulty.get(one) != stat]
        if due or study is None:
            done = settle(self._archive, due, self._catalog, index=study is None)
            self._faulty.update((one, before[one]) for one in due if one not in done.marks)
            for fault in done.faults:
                log.error("%s", fault)

    def _owed(self, study: str | None) -> list[str]:
        return self._archive.pending() if study is None else [study]

    # -- the catalog -----------------------------------------------------------------------------------------

    def catch_up(self, study: str | None = None) -> None:
        """Have the catalog hold everything that was acknowledged so far, of one study or of all.

        Costs a look at each study that is owed, and reading the instances that came since the last call.
        Without a catalog, or with one that is incomplete, the summaries are made. Raises StoreUnavailable,
        and what the catalog raises.
        """
        if self._catalog is None or not self._catalog.is_complete():
            self.settle(study)
            return
        made = self._catalog.noted(MADE)
        if made != self._made:
            self._made = made
            self._done.clear()
        for one in self._owed(study):
            stat = self._archive.pending_stat(one)
            if stat is None:
                self._forget(one)
            elif not self._is_done(one, stat) and not self._merge(self._catalog, one, stat):
                self.settle(one)
        self._prune()

    def _is_done(self, study: str, stat: Stat) -> bool:
        """Whether everything that a journal names, and that is there, is in the catalog."""
        done = self._done.get(study)
        return (
            done is not None
            and done[0] == stat
            and not any(self._archive.exists(study, *place) for place in done[1])
        )

    def _prune(self) -> None:
        """Forget studies that were settled."""
        if len(self._done) > self._most:
            for study in [one for one in list(self._done) if not self.is_owed(one)]:
                self._forget(study)
            self._most = max(_MOST_DONE, 2 * len(self._done))

    def _forget(self, study: str) -> None:
        self._done.pop(study, None)
        with self._lock:
            self._merged.pop(study, None)

    def _merge(self, catalog: Catalog, study: str, stat: Stat) -> bool:
        """Merge what a journal names into the catalog; False if the whole study must be looked at."""
        with self._archive.lock(merge_lock(self._archive, study)):
            lines = self._archive.pending_lines(study)
            if not lines and (not stat.size or not self.is_owed(study)):
                return True  # a writer is about to add its first note, or it was settled
            generation = Mark.of(lines).generation
            if not generation:
                return False
            state = self._state(catalog, study, generation)
            journal = parse_journal(lines[state.end :])
            if journal.whole:
                return False
            asked = [
                *state.waiting,
                *((state.end + at, one) for at, one in zip(journal.starts, journal.instances, strict=True)),
            ]
            try:
                self._take(catalog, study, state, asked, len(lines))
            except BaseException:
                self._forget(study)
                raise
            self._done[study] = stat, tuple(place for _, place in state.waiting)
            return True

    def _state(self, catalog: Catalog, study: str, generation: str) -> _Merged:
        """What is merged of this journal; from the catalog and the index files if others merged meanwhile."""
        position = catalog.merged(study)
        with self._lock:
            state = self._merged.get(study)
            if state is not None and state.generation == generation and state.position == position:
                self._merged.move_to_end(study)
                return state
        if position is not None and position[0].startswith(f"{generation}:"):
            # What the rows count is what the catalog knows: the index files may hold more by now.
            row = catalog.study(study, instances=True)
            known = {*_places(row), *((one.series, one.uid) for one in catalog.fresh(study))}
            state = _Merged(generation, position, _without_instances(row), known, position[1])
        else:
            base = row_of(self._archive, study)
            if base is not None:
                base = _counted(base)
                catalog.replace([base])
            elif position is not None:
                catalog.remove([study])
            state = _Merged(generation, None, _without_instances(base), {*_places(base)})
        with self._lock:
            self._merged[study] = state
            while len(self._merged) > _STUDIES_IN_MEMORY:
                self._merged.popitem(last=False)
        return state

    def _take(
        self, catalog: Catalog, study: str, state: _Merged, asked: Iterable[tuple[int, Place]], end: int
    ) -> None:
        """Tell the catalog of the instances `asked` for that are there; the others wait.

        `end`: bytes of the journal that are looked at then.
        """
        state.waiting, state.end = [], end
        fresh: dict[Place, Dataset] = {}
        row = state.row
        for start, (series, instance) in asked:
            try:
                dataset = self._dataset(study, series, instance)
            except StoreUnavailable as error:  # the others must be found all the same; summaries say it, too
                log.error("a search cannot find an instance of study %s: %s", study, error)
                continue
            if dataset is None:
                state.waiting.append((start, (series, instance)))
                continue
            if (series, instance) not in state.known and (series, instance) not in fresh:
                row = _with(row, study, series, dataset)
            fresh[series, instance] = instance_entry(dataset, study, series, instance)
        if row is None or not fresh:
            return
        position = (
            f"{state.generation}:{uuid.uuid4().hex}",
            state.waiting[0][0] if state.waiting else state.end,
        )
        told = [FreshInstance(series, uid, entry) for (series, uid), entry in fresh.items()]
        touched = {series for series, _ in fresh}
        changed = replace(row, series=tuple(one for one in row.series if one.uid in touched))
        catalog.freshen(changed, told, position)
        state.row, state.position = row, position
        state.known.update(fresh)

    def _dataset(self, study: str, series: str, instance: str) -> Dataset | None:
        """The metadata of an instance; None if it is not there."""
        try:
            text = self._archive.read(Resource(View.METADATA, study, series, instance))
        except NotFound:
            return None
        try:
            return parse_dataset(text[1:-1])
        except (orjson.JSONDecodeError, *MALFORMED) as error:
            raise StoreUnavailable(f"the metadata of instance {instance} are damaged: {error}") from error

    # -- metadata --------------------------------------------------------------------------------------------

    def metadata(self, resource: Resource) -> Iterator[bytes] | None:
        """The metadata of a study or a series, composed from its instances, in chunks; None where the file
        that is kept is current.

        Holds the metadata of one instance. Raises StoreUnavailable, also while it is read.
        """
        study = resource.study
        if study is None or resource.instance is not None or not self.is_owed(study):
            return None
        stat = self._archive.pending_stat(study)
        journal = parse_journal(self._archive.pending_lines(study))
        if journal.whole or (stat is not None and stat.size and not journal.generation):
            self.settle(study)
            return None
        named = {one for one in journal.instances if resource.series in (None, one[0])}
        if not named:
            return None
        if resource.series is not None:
            wanted = [resource.series]
        else:
            wanted = ordered_series(self._archive, study, {series for series, _ in named})
        return self._composed(resource, wanted, named)

    def _composed(self, resource: Resource, wanted: list[str], named: set[Place]) -> Iterator[bytes]:
        study = resource.study or ""
        separator = b"["
        for series in wanted:
            fresh = {instance for one, instance in named if one == series}
            for instance in ordered_instances(self._archive, study, series, fresh):
                place = Resource(View.METADATA, study, series, instance)
                try:
                    text = self._archive.read(place)[1:-1]
                except NotFound:
                    continue  # it was taken away meanwhile
                yield separator + layout.rebase(text, place, to_study=resource.series is None)
                separator = b","
        yield b"]" if separator == b"," else EMPTY


def _places(row: StudyRow | None) -> Iterator[Place]:
    """The instances that a row lists."""
    for one in row.series if row is not None else ():
        for uid in one.instances:
            yield one.uid, uid


def _without_instances(row: StudyRow | None) -> StudyRow | None:
    """A row to go on from: the catalog has its instances already."""
    if row is None:
        return None
    return replace(row, series=tuple(replace(one, instances=()) for one in row.series))


def _counted(row: StudyRow) -> StudyRow:
    """A row whose counts are those of its lists: a summariser may be about to replace one file after
    another.
    """
    series = tuple(
        replace(one, entry=_number(one.entry, "00201209", len(one.instances))) for one in row.series
    )
    entry = _number(row.entry, "00201206", len(series))
    return replace(
        row, entry=_number(entry, "00201208", sum(len(one.instances) for one in series)), series=series
    )


def _number(entry: Dataset, tag: str, count: int) -> Dataset:
    return {**entry, tag: {"vr": "IS", "Value": [count]}}


def _with(row: StudyRow | None, study: str, series: str, dataset: Dataset) -> StudyRow:
    """The rows of a study with one more instance."""
    mine = next((one for one in row.series if one.uid == series), None) if row is not None else None
    if mine is None:
        mine = SeriesRow(series, series_entry([dataset], study, series, []), ())
    else:
        mine = replace(mine, entry=merge_series(mine.entry, dataset))
    if row is None:
        return StudyRow(study, study_entry([(series, [dataset], None)], study, []), (mine,), None)
    others = tuple(one for one in row.series if one.uid != series)
    entry = merge_study(row.entry, dataset, new_series=len(others) == len(row.series))
    return StudyRow(study, entry, (*others, mine), row.stamp)
