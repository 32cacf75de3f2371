"""Taking in for servers: many threads at once, each acknowledged when what it brought is durable and visible.

One rule: what `take` calls ok survives a power cut, and the next reader sees it; it costs the same for the
first instance of a study as for the last.
"""

import threading
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from staticwado import layout
from staticwado.archive import Archive
from staticwado.errors import StaticWadoError
from staticwado.ingest.batch import BatchRun, as_ours, failure
from staticwado.ingest.claims import SharedClaims
from staticwado.ingest.copying import Buffer
from staticwado.ingest.outcome import Outcome
from staticwado.ingest.publish import Claims
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.source import AnySource
from staticwado.ingest.write import Allows, BatchWriter
from staticwado.store.commit import GroupSync
from staticwado.store.local import LentStaging, Staging

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_BUFFER = 64 << 10
_IDLE = 16
"""Writers, with what they have learned of headers, and folders that are kept for the next call."""


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """What a server's taking in can be told."""

    on_conflict: Literal["refuse", "keep", "replace"] = "refuse"
    """What becomes of an instance that the archive has with other content."""
    transcode: Transcode = "none"
    """Into what natively stored frames are transcoded, losslessly."""


class Intake:
    """Takes sources into one archive, for all threads of a process."""

    def __init__(
        self, archive: Archive, options: IntakeOptions | None = None, catalog: Claims | None = None
    ) -> None:
        self._archive = archive
        self._options = options or IntakeOptions()
        self._claims = None if catalog is None else SharedClaims(catalog)
        self._commit = GroupSync(archive.store.file_system())
        self._lock = threading.Lock()
        self._idle: list[BatchWriter] = []
        self._folders: list[LentStaging] = []
        self._closed = False

    def close(self) -> None:
        """Give back what is kept open; nothing may be taking in any more."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            folders, self._folders = self._folders, []
        for writer in idle:
            writer.close()
        for folder in folders:
            folder.end()
        self._commit.close()

    def staging(self) -> Staging:
        """A new private folder for bodies, on the file system of the archive.

        Whoever asks closes it; what a dead process leaves is cleared by `Archive.clear_staging`.
        """
        with self._lock:
            if self._folders:
                return self._folders.pop()
        return LentStaging(self._archive.store, layout.STAGING, self._given_back)

    def _given_back(self, folder: LentStaging) -> bool:
        with self._lock:
            if self._closed or len(self._folders) >= _IDLE:
                return False
            self._folders.append(folder)
        return True

    def take(
        self, sources: Sequence[AnySource], study: str | None = None, allows: Allows | None = None
    ) -> list[Outcome]:
        """Take in `sources`; what is ok when this returns is durable and visible.

        Blocks; many threads may call it at once. Outcomes come in the order of `sources`. With `study`,
        instances of another study fail with DATA_SET_DOES_NOT_MATCH; those that `allows` refuses with
        NOT_AUTHORIZED. Raises nothing: where the archive cannot
        be written, every source that is not in has failed with OUT_OF_RESOURCES.
        """
        done: dict[int, Outcome] = {}
        try:
            with self._writer() as writer:
                begun = self._commit.begin()
                run = BatchRun(writer, study=study, allows=allows, sync=lambda: self._commit.wait(begun))
                for source, outcome in run.outcomes(sources):
                    done[id(source)] = outcome
                if any(outcome.ok for outcome in done.values()):
                    self._commit.wait(begun)
        except Exception as error:  # the archive cannot be written, or a fault of this program
            ours = as_ours(error)
            return [self._undone(source, done.get(id(source)), ours) for source in sources]
        return [done[id(source)] for source in sources]

    @staticmethod
    def _undone(source: AnySource, outcome: Outcome | None, error: StaticWadoError) -> Outcome:
        """What is to be said of a source after the call has failed: no success, as it may not be durable."""
        if outcome is not None and not outcome.ok:
            return outcome
        if outcome is None or None in (outcome.study, outcome.series, outcome.instance):
            return failure(source, error)
        uids = (outcome.study or "", outcome.series or "", outcome.instance or "")
        return failure(source, error, uids, outcome.sop_class)

    @contextmanager
    def _writer(self) -> "Iterator[BatchWriter]":
        """A writer for one call: one that is idle, or a new one; one that has failed is not used again."""
        with self._lock:
            writer = self._idle.pop() if self._idle else None
        if writer is None:
            writer = BatchWriter(
                self._archive,
                thumbnails=False,  # a codec may end the process
                transcode=self._options.transcode,
                on_conflict=self._options.on_conflict,
                catalog=self._claims,
                buffer=Buffer(_FIRST_BUFFER),
            )
        try:
            yield writer
            writer.reset()
        except BaseException:
            writer.close()
            raise
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append(writer)
                return
        writer.close()
