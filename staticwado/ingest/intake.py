"""Taking in for servers: many threads at once, each acknowledged when what it brought is durable and visible.

One rule: what `take` calls ok survives a power cut, and the next reader sees it; it costs the same for the
first instance of a study as for the last.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from staticwado import layout
from staticwado.archive import Archive
from staticwado.errors import StaticWadoError
from staticwado.ingest.batch import BATCH_FILES, BatchRun, Terms, as_ours, failure
from staticwado.ingest.claims import SharedClaims
from staticwado.ingest.copying import Buffer
from staticwado.ingest.outcome import Outcome, Reason
from staticwado.ingest.publish import Claims
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.source import AnySource
from staticwado.ingest.write import Allows, BatchWriter
from staticwado.store.commit import GroupSync
from staticwado.store.local import LentStaging, Staging

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("staticwado.ingest")

_WORKERS = 2
"""Threads that take in what was submitted: one converts while another waits for the disk."""
_LONE = 2
"""Threads for what must be taken in alone."""
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


@dataclass(frozen=True, slots=True)
class _Order:
    """Sources of one caller that others may be taken in with."""

    sources: Sequence[AnySource]
    terms: Terms
    done: Callable[[list[Outcome]], None]

    def tell(self, outcomes: list[Outcome]) -> None:
        """Say what became of it, whatever that does."""
        try:
            self.done(outcomes)
        except Exception:
            log.exception("nobody could be told of what was taken in")


def _is_contested(outcome: Outcome) -> bool:
    return outcome.reason is Reason.DUPLICATE_SOP_INSTANCE


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
        self._orders: deque[_Order] = deque()
        self._workers = ThreadPoolExecutor(_WORKERS + _LONE, "intake")
        self._working = 0
        self._closed = False

    def close(self) -> None:
        """Take in what was submitted, and give back what is kept open; nothing else may be taking in any
        more.
        """
        self._workers.shutdown()
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

    def submit(
        self, sources: Sequence[AnySource], terms: Terms, done: Callable[[list[Outcome]], None]
    ) -> None:
        """Take in `sources` soon, in another thread and together with what others submit meanwhile; then
        `done` is called there, with what `take` would return.

        For what is small: who is taken in together waits for each other.
        """
        with self._lock:
            self._orders.append(_Order(sources, terms, done))
            if self._working < _WORKERS:
                self._working += 1
                self._workers.submit(self._work)

    def _work(self) -> None:
        """Take in what was submitted until there is no more."""
        while orders := self._next_orders():
            for order, outcomes in zip(orders, self._take_together(orders), strict=True):
                if not any(map(_is_contested, outcomes)):
                    order.tell(outcomes)
                    continue
                try:  # by itself, and nobody waits for it
                    self._workers.submit(self._alone, order, outcomes)
                except RuntimeError:  # this is being closed
                    self._alone(order, outcomes)

    def _next_orders(self) -> list[_Order]:
        orders: list[_Order] = []
        many = 0
        with self._lock:
            while self._orders and many < BATCH_FILES:
                orders.append(self._orders.popleft())
                many += len(orders[-1].sources)
            self._working -= not orders
        return orders

    def _take_together(self, orders: Sequence[_Order]) -> list[list[Outcome]]:
        sources = [source for order in orders for source in order.sources]
        terms = {id(source): order.terms for order in orders for source in order.sources}
        found = iter(self._take(sources, terms, patient=False))
        return [[next(found) for _ in order.sources] for order in orders]

    def _alone(self, order: _Order, outcomes: list[Outcome]) -> None:
        """Take in by itself what was in conflict: perhaps with another order, that has failed since, or with
        a claim that has to be waited for.
        """
        pairs = zip(order.sources, outcomes, strict=True)
        contested = [source for source, outcome in pairs if _is_contested(outcome)]
        again = iter(self.take(contested, order.terms.study, order.terms.allows))
        order.tell([next(again) if _is_contested(outcome) else outcome for outcome in outcomes])

    def take(
        self, sources: Sequence[AnySource], study: str | None = None, allows: Allows | None = None
    ) -> list[Outcome]:
        """Take in `sources`; what is ok when this returns is durable and visible.

        Blocks; many threads may call it at once. Outcomes come in the order of `sources`. With `study`,
        instances of another study fail with DATA_SET_DOES_NOT_MATCH; those that `allows` refuses with
        NOT_AUTHORIZED. Raises nothing: where the archive cannot
        be written, every source that is not in has failed with OUT_OF_RESOURCES.
        """
        return self._take(sources, dict.fromkeys(map(id, sources), Terms(study, allows)))

    def _take(
        self, sources: Sequence[AnySource], terms: Mapping[int, Terms], *, patient: bool = True
    ) -> list[Outcome]:
        done: dict[int, Outcome] = {}
        try:
            with self._writer() as writer:
                begun = self._commit.begin()
                run = BatchRun(writer, sync=lambda: self._commit.wait(begun), terms=terms, patient=patient)
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
