"""Putting back what lies in the trash.

One rule: all of an entry comes back or nothing does, and what is in the archive is never replaced by it.
"""

import logging
from collections.abc import Iterator, Sequence

from staticwado import layout
from staticwado.archive import Archive, decompress
from staticwado.catalog.database import Unusable
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import Conflict, NotFound, StaticWadoError
from staticwado.ingest import trash
from staticwado.ingest.catalogue import default_catalog
from staticwado.ingest.skeleton import parse_skeleton
from staticwado.ingest.trash import Manifest, Uids

log = logging.getLogger("staticwado.ingest")


def restore(archive: Archive, identity: str) -> tuple[Manifest, int]:
    """Put the entry `identity` back; returns it, and how many instances came back. Derived files are owed.

    An instance that the archive has again, from the very same file, stays as it is. A restore that was broken
    off is finished by another one. Raises NotFound if there is no such entry, Conflict, and then nothing has
    changed, if the archive holds one of its instances with other content, or in another place;
    StoreUnavailable.
    """
    manifest = _entry(archive, identity)
    with archive.lock(manifest.study):
        _entry(archive, identity)  # still
        found = list(_instances(archive, manifest))
        missing = [uids for uids in found if not _is_back(archive, manifest, uids)]
        _check_elsewhere(archive, missing)
        archive.mark_pending(manifest.study)
        archive.store.sync()
        _values(archive, manifest)
        archive.store.sync()  # values first: what is visible refers to them
        for uids in missing:
            folder = layout.folder_of(*uids)
            archive.store.remove_tree(folder)  # garbage: it holds no instance
            archive.store.move(manifest.content(folder), folder)
        archive.store.sync()
        trash.forget_deleted(archive, found)
        trash.discard(archive, manifest.id)
    return manifest, len(found)


def _entry(archive: Archive, identity: str) -> Manifest:
    found = trash.read(archive, identity) if "/" not in identity else None
    if found is None:
        raise NotFound(f"the trash holds no entry {identity}; mkdicomweb trash lists them")
    return found


def _instances(archive: Archive, manifest: Manifest) -> Iterator[Uids]:
    """The instances that the entry holds."""
    study, store = manifest.study, archive.store
    below = manifest.content(f"{layout.folder_of(study)}/series")
    for series in filter(is_uid, store.names(below)):
        for instance in filter(is_uid, store.names(f"{below}/{series}/instances")):
            if store.stat(manifest.content(_key(View.METADATA, study, series, instance))) is not None:
                yield study, series, instance


def _key(view: View, study: str, series: str, instance: str) -> str:
    return layout.stored_as(Resource(view, study, series, instance)).key


def _is_back(archive: Archive, manifest: Manifest, uids: Uids) -> bool:
    """Whether the archive has the instance again. Raises Conflict if it is another one."""
    if not archive.exists(*uids):
        return False
    key = _key(View.SKELETON, *uids)
    kept = manifest.content(key)
    hashes = {parse_skeleton(decompress(archive.store.read(one), one)).sha256 for one in (key, kept)}
    if len(hashes) > 1:
        raise Conflict(f"the archive holds SOP Instance UID {uids[2]} again, with other content")
    return True


def _check_elsewhere(archive: Archive, instances: Sequence[Uids]) -> None:
    """Raises Conflict if one of the instances is in another series or study by now, as far as the archive's
    catalog can tell.
    """
    catalog = default_catalog(archive)
    if catalog is None:
        return
    try:
        found = catalog.find(uids[2] for uids in instances)
    except (StaticWadoError, Unusable) as error:
        log.warning("the catalog could not be asked where instances are: %s", error)
        return
    finally:
        catalog.close()
    for uids in instances:
        place = found.get(uids[2], uids)
        if place != uids and archive.exists(*place):
            text = f"the archive holds SOP Instance UID {place[2]} in series {place[1]} of study {place[0]}"
            raise Conflict(text)


def _values(archive: Archive, manifest: Manifest) -> None:
    """Put values back; they have the names of their content, so what is there already is equal."""
    store = archive.store
    folder = f"{layout.folder_of(manifest.study)}/bulkdata"
    for first in store.names(manifest.content(folder)):
        for name in store.names(manifest.content(f"{folder}/{first}")):
            key = f"{folder}/{first}/{name}"
            if store.stat(key) is None:
                store.move(manifest.content(key), key)
