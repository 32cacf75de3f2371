"""The trash: what was deleted or replaced, kept for a while, and the marks that say that it is gone.

One rule: whatever leaves the archive lies whole in an entry of the trash before anybody is told, and an entry
that was begun by a process that died is finished or undone before anything else.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson

from staticwado import layout
from staticwado.archive import Archive, decompress
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError, StoreUnavailable
from staticwado.ingest.references import unreferenced
from staticwado.ingest.skeleton import parse_skeleton
from staticwado.store.local import Staging

VERSION = 1
_BEGUN = "begun.json"
_DONE = "manifest.json"
_REMOVED = ".removed"

Uids = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an entry of the trash holds, and why."""

    id: str
    reason: Literal["deleted", "replaced"]
    time: str
    """When it came here: ISO 8601, UTC."""
    by: str
    """Who wanted it; empty if that is not known."""
    folder: str
    """The key of the folder that was moved."""
    study: str
    series: str | None = None
    instance: str | None = None
    instances: int = 1
    bulkdata: tuple[str, ...] = ()
    """Addresses of values that nothing else of the study refers to."""
    sha256: str | None = None
    """Of the file of an instance that was replaced."""

    @property
    def place(self) -> str:
        """The key of the entry."""
        return f"{layout.TRASH}/{self.id}"

    def content(self, key: str) -> str:
        """Where the entry holds what was under `key`."""
        return f"{self.place}/content/{key}"


def new_id(now: datetime | None = None) -> str:
    """The name of a new entry: the time, and what tells it from others."""
    time = now or datetime.now(UTC)
    return f"{time:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def new_time() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


# -- entries -------------------------------------------------------------------------------------------------


def begin(archive: Archive, manifest: Manifest) -> None:
    """Make the entry, empty, before anything is moved into it. Raises StoreUnavailable."""
    body = {"version": VERSION, **asdict(manifest)}
    data = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2)
    archive.store.write(f"{manifest.place}/{_BEGUN}", data, layout.STAGING)


def complete(archive: Archive, manifest: Manifest) -> None:
    """Say that the entry holds all that it is to hold."""
    archive.store.move(f"{manifest.place}/{_BEGUN}", f"{manifest.place}/{_DONE}")


def discard(archive: Archive, identity: str) -> None:
    """Remove an entry and what is in it; one that is half removed is no entry any more."""
    removed = f"{layout.TRASH}/{identity}{_REMOVED}"
    archive.store.move(f"{layout.TRASH}/{identity}", removed)
    archive.store.remove_tree(removed)


def entries(archive: Archive) -> Iterator[Manifest]:
    """The entries of the trash, oldest first. Raises StoreUnavailable for one that is damaged."""
    for name in archive.store.names(layout.TRASH):
        manifest = read(archive, name)
        if manifest is not None:
            yield manifest


def read(archive: Archive, identity: str, *, begun: bool = False) -> Manifest | None:
    """An entry by its ID; None if there is none, or if it is only `begun` and that was not asked for."""
    name = f"{layout.TRASH}/{identity}/{_BEGUN if begun else _DONE}"
    if identity.endswith(_REMOVED):
        return None
    try:
        found: dict[str, Any] = orjson.loads(archive.store.read(name))
        if found.pop("version") != VERSION:
            raise ValueError("it has another version")
        return Manifest(**{**found, "bulkdata": tuple(found["bulkdata"])})
    except NotFound:
        return None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreUnavailable(f"{name} is damaged: {error}") from error


def empty(archive: Archive, older_than: timedelta, now: datetime | None = None) -> list[Manifest]:
    """Remove entries that have been here for longer than `older_than`; returns them."""
    for name in archive.store.names(layout.TRASH):
        if name.endswith(_REMOVED):
            archive.store.remove_tree(f"{layout.TRASH}/{name}")
    limit = (now or datetime.now(UTC)) - older_than
    gone = [one for one in entries(archive) if datetime.fromisoformat(one.time) <= limit]
    for one in gone:
        discard(archive, one.id)
    return gone


def tidy(archive: Archive, retention: timedelta | None = None) -> list[str]:
    """Finish or undo what dead processes began, and remove what was kept for long enough.

    For whoever starts to work on an archive; returns what was done, in words. Raises StoreUnavailable.
    """
    notes = []
    for name in archive.store.names(layout.TRASH):
        manifest = read(archive, name, begun=True)
        if manifest is not None:
            with archive.lock(manifest.study):  # whoever works on it holds that
                if read(archive, name, begun=True) is not None:
                    notes.append(_finish(archive, manifest))
    if retention is not None:
        notes += [f"{one.id} was removed from the trash" for one in empty(archive, retention)]
    return notes


def _finish(archive: Archive, manifest: Manifest) -> str:
    """The rename of the folder is what decides: before it nothing has happened, after it all has."""
    store = archive.store
    archive.mark_pending(manifest.study)
    if manifest.reason == "replaced":
        finished = _finish_replacing(archive, manifest)
    else:
        finished = store.stat(manifest.content(manifest.folder)) is not None
        if finished:
            store.sync()  # the rename was seen, which does not make it durable
            move_bulkdata(archive, manifest)
    if not finished:
        discard(archive, manifest.id)
        return f"{manifest.folder} was to be {manifest.reason}, and was not"
    complete(archive, manifest)
    store.sync()
    return f"{manifest.folder} was {manifest.reason}; {manifest.id} in the trash was finished"


def move_bulkdata(archive: Archive, manifest: Manifest) -> None:
    """Take values along that nothing of the study refers to any more; under its lock."""
    for address in unreferenced(archive, manifest.study, manifest.bulkdata):
        key = layout.stored_as(Resource(View.BULKDATA, manifest.study, bulkdata=address)).key
        archive.store.move(key, manifest.content(key))


# -- replacing -----------------------------------------------------------------------------------------------


def replace(archive: Archive, staging: Staging, folder: str, uids: Uids, present: str) -> None:
    """Give the staged `folder` the place of an instance, which goes into the trash; `present`: its hash.

    The two change places in one step, so that there is no moment without an instance. Where the file system
    cannot do that, there is one, between two renames. The caller has marked and locked the study.
    """
    store = archive.store
    key = layout.folder_of(*uids)
    manifest = Manifest(new_id(), "replaced", new_time(), "", key, *uids, sha256=present)
    archive.mark_pending(uids[0])  # no instance came to be: readers must look at all of the study again
    begin(archive, manifest)
    content = manifest.content(key)
    if not staging.publish_folder(folder, content):
        raise StoreUnavailable(f"{content} exists")  # a new name: it cannot
    staging.sync()
    if not store.exchange(content, key):
        store.move(key, f"{manifest.place}/old")
        store.move(content, key)
        store.move(f"{manifest.place}/old", content)
    complete(archive, manifest)


def _finish_replacing(archive: Archive, manifest: Manifest) -> bool:
    """Whether the entry holds what was replaced, and not what was to replace it."""
    store, old = archive.store, f"{manifest.place}/old"
    if store.stat(old) is not None:  # between the two renames
        if store.stat(manifest.folder) is None:
            store.move(old, manifest.folder)
            return False
        store.move(old, manifest.content(manifest.folder))
    try:
        name = f"{manifest.content(manifest.folder)}/skeleton.gz"
        found = parse_skeleton(decompress(store.read(name), name)).sha256
    except StaticWadoError:
        return False
    return found == manifest.sha256


# -- marks of what is gone -----------------------------------------------------------------------------------


def _mark(*uids: str) -> str:
    return f"{layout.DELETED}/{'_'.join(uids)}"


def mark_deleted(archive: Archive, manifest: Manifest, *uids: str) -> None:
    """Note that a study, a series or an instance was deleted; before it is, as it counts only afterwards."""
    archive.store.write(_mark(*uids), manifest.id.encode(), layout.STAGING)


def forget_deleted(archive: Archive, instances: Iterable[Uids]) -> None:
    """Forget that these instances, their series and their studies were deleted: they are there again."""
    if archive.store.stat(layout.DELETED) is None:
        return
    for uids in instances:
        for end in (1, 2, 3):
            archive.store.remove(_mark(*uids[:end]))


def was_deleted(archive: Archive, resource: Resource) -> bool:
    """Whether what `resource` belongs to was deleted, and is not there again."""
    uids = [uid for uid in (resource.study, resource.series, resource.instance) if uid is not None]
    for end in range(1, len(uids) + 1):
        if archive.store.stat(_mark(*uids[:end])) is not None and not holds(archive, *uids[:end]):
            return True
    return False


def holds(archive: Archive, study: str, series: str | None = None, instance: str | None = None) -> bool:
    """Whether the archive has the instance, or any instance of the series or study."""
    if series is not None and instance is not None:
        return archive.exists(study, series, instance)
    many = archive.series(study) if series is None else iter((series,))
    return any(next(archive.instances(study, one), None) is not None for one in many)
