"""Deleting a study, a series or an instance: into the trash, by one rename.

One rule: everything that could be needed to finish or to undo it is durable before that rename.
"""

from staticwado import layout
from staticwado.archive import Archive, describe
from staticwado.dicomweb.resource import Resource
from staticwado.errors import Gone, NotFound, StaticWadoError
from staticwado.ingest import trash
from staticwado.ingest.references import referenced
from staticwado.ingest.trash import Manifest

Place = tuple[str, ...]
"""Study; study and series; or study, series and instance."""


def delete(archive: Archive, resource: Resource, by: str = "") -> Manifest:
    """Move what `resource` names into the trash; returns the entry. Derived files are owed afterwards.

    With the last instance its series goes, with the last series the study. Values that nothing else of the
    study refers to go along. When this returns, it is durable. Raises NotFound; Gone if it was deleted
    before; StoreUnavailable.
    """
    if resource.study is None:
        raise NotFound("only a study, a series or an instance can be deleted")
    wanted: Place = tuple(uid for uid in (resource.study, resource.series, resource.instance) if uid)
    with archive.lock(resource.study):
        if not trash.holds(archive, *wanted):
            gone = trash.was_deleted(archive, resource)
            text = f"the archive holds no {describe(resource)}"
            raise Gone(f"{describe(resource)} has been deleted") if gone else NotFound(text)
        place, removed = _widen(archive, wanted)
        used = referenced(archive, place[0], removed) if len(place) > 1 else set()
        manifest = Manifest(
            trash.new_id(),
            "deleted",
            trash.new_time(),
            by,
            layout.folder_of(*place),
            place[0],
            place[1] if len(place) > 1 else None,
            place[2] if len(place) > 2 else None,
            instances=len(removed),
            bulkdata=tuple(sorted(used)),
        )
        _move(archive, manifest, [wanted[:end] for end in range(len(place), len(wanted) + 1)])
    return manifest


def _widen(archive: Archive, place: Place) -> tuple[Place, list[tuple[str, str]]]:
    """What goes with `place`: itself, or what would be empty without it; and the instances in that."""
    study = place[0]
    many = archive.series(study) if len(place) == 1 else iter(place[1:2])
    found = [(series, one) for series in many for one in archive.instances(study, series)]
    if len(place) == 3:
        if any(one != place[2] for _, one in found):
            return place, [(place[1], place[2])]
        place = place[:2]
    if len(place) == 2:
        others = (one for one in archive.series(study) if one != place[1])
        if not any(trash.holds(archive, study, one) for one in others):
            place = place[:1]
    return place, found


def _move(archive: Archive, manifest: Manifest, gone: list[Place]) -> None:
    """Do it; the caller holds the lock of the study."""
    store = archive.store
    try:
        archive.mark_pending(manifest.study)
        trash.begin(archive, manifest)
        for uids in gone:
            trash.mark_deleted(archive, manifest, *uids)
        store.make_folder(manifest.content(manifest.folder).rpartition("/")[0])
        store.sync()
        store.move(manifest.folder, manifest.content(manifest.folder))
    except StaticWadoError:
        trash.discard(archive, manifest.id)  # nothing has happened yet
        raise
    store.sync()  # or values could be gone, and the instances that refer to them be back
    trash.move_bulkdata(archive, manifest)
    trash.complete(archive, manifest)
    store.sync()
