"""What is done to an archive in a workload: instances are made, stored and deleted, and promises kept.

One rule: what is begun is said before it is done, and what was told is said as soon as it was told.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import Gone
from staticwado.ingest.catalogue import open_catalog
from staticwado.ingest.delete import delete
from staticwado.ingest.intake import Intake, IntakeOptions
from staticwado.ingest.outcome import Outcome, Reason, Report
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.source import FileSource
from staticwado.ingest.trash import Manifest
from tests import factories
from tests.durability.promises import GONE, Promises


@dataclass(frozen=True, slots=True)
class Item:
    """An instance as a workload stores it."""

    uids: tuple[str, str, str]
    data: bytes

    @property
    def place(self) -> str:
        return "/".join(self.uids)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def item(
    seed: int,
    *,
    study: int = 0,
    series: int = 0,
    comment: str = "one",
    image: bool = True,
    instance: str | None = None,
    side: int = 8,
) -> Item:
    """A small instance: a frame, a comment, and a value kept as bulkdata, which every fifth shares.

    `side`: rows and columns of the frame.
    """
    shape: dict[str, Any] = {"rows": side, "columns": side, "frames": factories.pixels(side, side, seed=seed)}
    uid = instance or factories.uid("instance", study, series, seed)
    data = factories.instance(
        SOPInstanceUID=uid,
        seed=seed,
        study=study,
        series=series,
        PatientComments=comment,
        EncapsulatedDocument=f"document {seed % 5}".encode(),
        **(shape if image else {}),
    )
    uids = (
        factories.uid("study", study),
        factories.uid("series", study, series),
        uid,
    )
    return Item(uids, data)


def resource_at(place: Sequence[str]) -> Resource:
    """The study, series or instance that the UIDs `place` name."""
    study, series, instance = (*place, None, None)[:3]
    return Resource(View.METADATA, study, series, instance)


REFUSE = IntakeOptions()


@dataclass(slots=True)
class Site:
    """An archive, a folder for its sources, and what was promised of it."""

    root: Path
    sources: Path
    promises: Promises
    with_catalog: bool = False
    """Whether uploads ask the catalog where instances are."""

    @property
    def archive(self) -> Archive:
        return Archive(str(self.root), create=True)

    def create(self, items: Sequence[Item], transcode: Transcode = "none") -> Report:
        """`mkdicomweb create` of files with these contents."""
        self.sources.mkdir(exist_ok=True)
        paths = []
        for one in items:
            path = self.sources / f"{one.sha256[:16]}.dcm"
            path.write_bytes(one.data)
            paths.append(str(path))
            self.promises.begin(one.place, one.sha256)
        options = CreateOptions(jobs=1, thumbnails=False, transcode=transcode)
        report = create(self.archive, paths, options)
        if not report.faults:
            by_name = {Path(one.source).name: one for one in report.outcomes}
            for one in items:
                outcome = by_name[f"{one.sha256[:16]}.dcm"]
                if outcome.ok:
                    self.promises.keep(one.place, one.sha256)
                elif outcome.reason is Reason.DUPLICATE_SOP_INSTANCE:
                    self.promises.refuse(one.place, one.sha256)
        return report

    def take(self, items: Sequence[Item], options: IntakeOptions = REFUSE, calls: int = 1) -> list[Outcome]:
        """What a server does with an upload, in `calls` parts at once."""
        self.sources.mkdir(exist_ok=True)
        archive = self.archive
        catalog = open_catalog(archive.store.path(layout.CATALOG)) if self.with_catalog else None
        intake = Intake(archive, options, catalog)
        try:
            parts = [items[start::calls] for start in range(calls)]
            with ThreadPoolExecutor(calls) as pool:
                return [
                    one for done in pool.map(lambda part: self._take(intake, part), parts) for one in done
                ]
        finally:
            intake.close()
            if catalog is not None:
                catalog.close()

    def _take(self, intake: Intake, items: Sequence[Item]) -> list[Outcome]:
        sources = []
        for one in items:
            path = self.sources / f"{one.sha256[:16]}.dcm"
            path.write_bytes(one.data)
            found = path.stat()
            sources.append(
                FileSource(str(path), found.st_size, (found.st_size, found.st_mtime_ns, found.st_ino))
            )
            self.promises.begin(one.place, one.sha256)
        outcomes = intake.take(sources)
        for one, outcome in zip(items, outcomes, strict=True):
            if outcome.ok and outcome.warning is None:
                self.promises.keep(one.place, one.sha256)
            elif outcome.ok or outcome.reason is Reason.DUPLICATE_SOP_INSTANCE:
                self.promises.refuse(one.place, one.sha256)
        return outcomes

    def delete(self, items: Sequence[Item], level: int = 3) -> list[Manifest]:
        """Delete instances one by one, or the series or study (`level` 2, 1) in which they all are."""
        places = {one.uids[:level] for one in items}
        for one in items:
            self.promises.begin(one.place, GONE)
        done = []
        for place in sorted(places):
            with contextlib.suppress(Gone):  # that was done before a fault; it is said, too
                done.append(delete(self.archive, resource_at(place)))
            for one in items:
                if one.uids[:level] == place:
                    self.promises.keep(one.place, GONE)
        return done


def together(*stories: Callable[[], object]) -> None:
    """Run stories at once; raises the first error that one of them raised."""
    with ThreadPoolExecutor(len(stories)) as pool:
        for done in [pool.submit(story) for story in stories]:
            done.result()
