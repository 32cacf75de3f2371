"""Every key of an archive: is it one that `layout` knows?

One rule: a folder that is none of the archive's is named once, and not entered.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.resource import View
from staticwado.errors import StoreUnavailable
from staticwado.ingest.verify.findings import NOTHING, REMOVE, Findings, Kind, Matter
from staticwado.store.local import Entry

_HASH = "0" * 62
_PROBES = ("index.json.gz", "metadata.gz", "1.mht", f"{_HASH}.bin", f"00/{_HASH}.bin")
"""Names of which each folder of the layout holds one at least."""
_PRIVATE = {
    layout.STAGING,
    layout.PENDING,
    layout.LOCKS,
    layout.SPOOL,
    layout.TRASH,
    layout.DELETED,
    layout.CACHE,
    layout.ASIDE,
    *(name + end for name in (layout.LEDGER, layout.CATALOG) for end in ("", "-journal", "-wal", "-shm")),
}


@dataclass(slots=True)
class Walked:
    """What lies in an archive, by its names alone."""

    findings: Findings = field(default_factory=Findings)
    files: int = 0
    bytes: int = 0
    instances: int = 0
    """Metadata of instances."""


def walk(archive: Archive) -> Walked:
    """Look at every name below the root; what looks wrong is looked at twice, as a writer may be at work."""
    walked = Walked()
    stack = [""]
    while stack:
        folder = stack.pop()
        try:
            entries = archive.store.entries(folder)
            if not entries and folder and _still_empty(archive, folder):
                walked.findings.note(folder, Matter.EMPTY, f"nothing is in it; {NOTHING}")
        except StoreUnavailable as error:
            repair = "let it be read, then verify again"
            walked.findings.fault(folder or "/", Kind.UNREADABLE, str(error), repair)
            continue
        for entry in entries:
            key = f"{folder}/{entry.name}" if folder else entry.name
            if key == layout.PRIVATE:
                _look_at_private(archive, walked.findings)
            elif entry.is_folder and is_folder_of_layout(key):
                stack.append(key)
            elif entry.is_file and (resource := layout.resource_of(key)) is not None:
                walked.files += 1
                walked.bytes += entry.size
                walked.instances += resource.view is View.METADATA and resource.instance is not None
            elif entry.name in archive.store.names(folder):
                walked.findings.fault(key, Kind.STRAY, _describe(key, entry), REMOVE)
    return walked


def is_folder_of_layout(key: str) -> bool:
    """Whether the layout has a folder `key`."""
    return key == layout.STUDIES or any(layout.resource_of(f"{key}/{name}") for name in _PROBES)


def _still_empty(archive: Archive, folder: str) -> bool:
    parent, _, name = folder.rpartition("/")
    there = any(entry.name == name and entry.is_folder for entry in archive.store.entries(parent))
    # the folder of an instance without metadata is a fault, which the look at instances tells
    return there and not archive.store.entries(folder) and not parent.endswith("/instances")


def _describe(key: str, entry: Entry) -> str:
    parent = key.rpartition("/")[0]
    if entry.is_folder and parent.rpartition("/")[2] in ("studies", "series", "instances"):
        return "a folder whose name is no UID"
    if entry.is_folder:
        return "a folder that belongs to no archive of this layout"
    return "a file that belongs to no archive of this layout" if entry.is_file else "it is no regular file"


def _look_at_private(archive: Archive, found: Findings) -> None:
    """Notes on what no writer of this version keeps below `.staticwado`."""
    for key in _strange(archive):
        found.note(key, Matter.PRIVATE, f"no writer of this version keeps that there; {NOTHING}")


def _strange(archive: Archive) -> Iterator[str]:
    for entry in archive.store.entries(layout.PRIVATE):
        key = f"{layout.PRIVATE}/{entry.name}"
        if key not in _PRIVATE:
            yield key
    for name in archive.store.names(layout.PENDING):
        if not is_uid(name) and f"{layout.PENDING}/{name}" != layout.PENDING_INDEX:
            yield f"{layout.PENDING}/{name}"
