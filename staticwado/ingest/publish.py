"""Publishing: staged instances become visible, each by one rename, after their data are on stable storage.

One rule: journal and data are durable before the first rename, and no instance is ever in two places
(DESIGN laws 4 and 5; docs/decisions/0010-durability.md).
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, Protocol

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import Conflict, StaticWadoError
from staticwado.ingest import trash
from staticwado.ingest.skeleton import parse_skeleton
from staticwado.store.local import Staging

log = logging.getLogger("staticwado.ingest")

Uids = tuple[str, str, str]
OnConflict = Literal["refuse", "keep", "replace"]

CLAIM_PATIENCE = 2.0
"""Seconds for which a writer that has claimed an instance may take to make it visible."""
_CLAIM_POLL = 0.02


class Claims(Protocol):
    """What a catalog does for writers."""

    def claim(self, instances: Iterable[Uids]) -> dict[str, Uids]:
        """Note where instances are about to be; SOP Instance UID -> place of those that are elsewhere."""
        ...

    def release(self, instances: Iterable[Uids]) -> None:
        """Forget that instances are, or were about to be, at these places."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """An instance that is written but not yet visible."""

    folder: str
    uids: Uids
    sha256: str
    notes: tuple[str, ...]
    bulkdata: tuple[tuple[str, str], ...]
    """(SHA-256, address) of each value and each long stretch that was kept."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a staged instance."""

    staged: Staged
    error: StaticWadoError | None = None
    new: bool = False
    """It was not there before."""
    kept: bool = False
    """Other content was there, and was kept."""
    replaced: bool = False
    """Other content was there, and lies in the trash now."""


def present_hash(archive: Archive, uids: Uids) -> str | None:
    """The hash of the file from which the archive has an instance; None if it has it not."""
    if not archive.exists(*uids):
        return None
    return parse_skeleton(archive.read(Resource(View.SKELETON, *uids))).sha256


class Publisher:
    """Gives staged instances their places."""

    def __init__(
        self, archive: Archive, staging: Staging, on_conflict: OnConflict, catalog: Claims | None
    ) -> None:
        self._archive = archive
        self._staging = staging
        self._on_conflict = on_conflict
        self._catalog = catalog
        self._garbage = 0

    def publish(
        self, staged: Sequence[Staged], sync: Callable[[], None], *, patient: bool = True
    ) -> list[Published]:
        """Make `staged` visible.

        The studies are marked before anything of them is visible, and shared until all of it is. Who is not
        `patient` takes what another writer has claimed for a conflict, without waiting for it. Raises
        StoreUnavailable if nothing could be made durable; then nothing is visible.
        """
        if not staged:
            return []
        with ExitStack() as stack:
            for study in sorted({one.uids[0] for one in staged}):
                stack.enter_context(self._archive.lock(study, shared=True))
                self._archive.mark_pending(study, [one.uids[1:] for one in staged if one.uids[0] == study])
            sync()
            contested = self._claim([one.uids for one in staged])
            done = self._place([one for one in staged if one.uids not in contested], sync)
            # What is ours comes first: two writers that wait for each other's claims both get on.
            patience = CLAIM_PATIENCE if patient else 0.0
            for one in staged:
                if one.uids in contested:
                    done.append(self._contend(one, contested[one.uids], sync, patience))
            trash.forget_deleted(self._archive, [one.staged.uids for one in done if one.new or one.replaced])
        return done

    # -- one place an instance -------------------------------------------------------------------------------

    def _claim(self, instances: Sequence[Uids], stale: Uids | None = None) -> dict[Uids, Uids]:
        """Note where instances are about to be; those that somebody else has, or claims, elsewhere.

        `stale`: a place of which the catalog speaks, and where nothing is.
        """
        if self._catalog is None:
            return {}
        try:
            if stale is not None:
                self._catalog.release([stale])
            taken = self._catalog.claim(instances)
        except Exception as error:  # derived: a damaged catalog must not stop a store
            log.warning("the catalog could not be asked where instances are: %s", error)
            return {}
        return {uids: taken[uids[2]] for uids in instances if taken.get(uids[2], uids) != uids}

    def _contend(self, one: Staged, place: Uids, sync: Callable[[], None], patience: float) -> Published:
        """Publish what was claimed elsewhere, unless it is there, or comes there soon."""
        end = time.monotonic() + patience
        while patience and not self._archive.exists(*place):
            if time.monotonic() > end:  # who claimed it has died or failed
                left = self._claim([one.uids], stale=place)
                if one.uids not in left:
                    return self._place([one], sync)[0]
                place, end = left[one.uids], time.monotonic() + patience
            time.sleep(_CLAIM_POLL)
        text = f"the archive holds SOP Instance UID {place[2]} in series {place[1]} of study {place[0]}"
        return Published(one, Conflict(text))

    # -- one instance ----------------------------------------------------------------------------------------

    def _place(self, many: Sequence[Staged], sync: Callable[[], None]) -> list[Published]:
        """Values first, then the instances that refer to them."""
        failed: dict[Uids, StaticWadoError] = {}
        for one in many:
            try:
                self._keep_values(one)
            except StaticWadoError as error:
                failed[one.uids] = error
        if any(one.bulkdata for one in many):
            try:
                sync()  # their names; also those that another writer has just made
            except StaticWadoError as error:
                return [Published(one, error) for one in many]
        return [
            Published(one, failed[one.uids]) if one.uids in failed else self._attempt(one) for one in many
        ]

    def _keep_values(self, one: Staged) -> None:
        for sha256, address in one.bulkdata:
            key = layout.stored_as(Resource(View.BULKDATA, one.uids[0], bulkdata=address)).key
            self._staging.publish_copy(f"value-{sha256}", key)

    def _attempt(self, one: Staged) -> Published:
        try:
            return self._publish(one)
        except StaticWadoError as error:
            return Published(one, error)

    def _publish(self, one: Staged) -> Published:
        study = one.uids[0]
        folder = layout.folder_of(*one.uids)
        while not self._staging.publish_folder(one.folder, folder):
            with self._archive.lock(f"{study}.repair"):
                present = present_hash(self._archive, one.uids)
                if present is None:  # what a crash, or somebody's hand, left there is no instance
                    self._garbage += 1
                    self._staging.take_away(folder, f"garbage-{self._garbage}")
                elif present == one.sha256:  # another process was faster
                    return Published(one)
                elif self._on_conflict == "keep":
                    return Published(one, kept=True)
                elif self._on_conflict == "replace":
                    trash.replace(self._archive, self._staging, one.folder, one.uids, present)
                    return Published(one, replaced=True)
                else:
                    text = f"the archive holds SOP Instance UID {one.uids[2]} with other content"
                    raise Conflict(text)
        return Published(one, new=True)
