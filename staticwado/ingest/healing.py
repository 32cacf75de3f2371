"""Archives that were made apart and copied over each other: what belongs to no instance makes room.

One rule: what an instance's own metadata and skeleton speak of stands; what they do not is moved aside, never
deleted, and what they lack is named.
"""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError
from staticwado.ingest.entries import first_value
from staticwado.ingest.expected import expected_frames
from staticwado.ingest.skeleton import Skeleton, parse_skeleton
from staticwado.ingest.summarise import MALFORMED

_SYNTAX = "00083002"
_SHOWN = 5


@dataclass(slots=True)
class Healed:
    """What came of healing."""

    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What cannot be healed from what is there."""


def heal(archive: Archive, study: str) -> Healed:
    """Move aside what no instance of a study speaks of: frames in another form than the one that the
    metadata name, frames beyond the last, thumbnails of other pixels; name frames that are missing.

    Nobody else may write to the study meanwhile. Raises StoreUnavailable.
    """
    healed = Healed()
    aside = _Aside(archive)
    for series in archive.series(study):
        for instance in archive.instances(study, series):
            _heal_instance(archive, (study, series, instance), aside, healed)
    if aside.moved:
        names = ", ".join(aside.moved[:_SHOWN])
        more = f" and {len(aside.moved) - _SHOWN} more" if len(aside.moved) > _SHOWN else ""
        healed.notes.append(
            f"study {study}: {names}{more} belong to no instance and lie in {aside.place} now"
        )
    return healed


class _Aside:
    """Where files go that belong to no instance."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.place = f"{layout.ASIDE}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
        self.moved: list[str] = []

    def take(self, key: str) -> None:
        if self._archive.store.move(key, f"{self.place}/{key}"):
            self.moved.append(key)


def _heal_instance(archive: Archive, uids: tuple[str, str, str], aside: _Aside, healed: Healed) -> None:
    try:
        dataset = archive.read_json(Resource(View.METADATA, *uids))[0]
        skeleton = parse_skeleton(archive.read(Resource(View.SKELETON, *uids)))
        syntax = TRANSFER_SYNTAXES.get(str(first_value(dataset, _SYNTAX)))
        count = expected_frames(dataset, skeleton, syntax.uid if syntax is not None else "")
    except (NotFound, StaticWadoError, *MALFORMED) as error:
        healed.faults.append(f"instance {uids[2]} is damaged: {error}")
        return
    suffix = syntax.suffix if syntax is not None else ""
    wanted = {layout.frame_name(number, suffix) for number in range(1, count + 1)}
    there = dict(_frames(archive, uids))
    if wanted - there.keys():
        healed.faults.append(
            f"instance {uids[2]} lacks {len(wanted - there.keys())} of its {count} frames: take it in again"
        )
        return
    for name in sorted(there.keys() - wanted):
        aside.take(there[name])
    key = layout.stored_as(Resource(View.THUMBNAIL, *uids)).key
    if not _is_own_thumbnail(archive, key, skeleton):
        aside.take(key)


def _frames(archive: Archive, uids: tuple[str, str, str]) -> Iterator[tuple[str, str]]:
    """Name and key of each frame file of an instance."""
    folder = f"{layout.folder_of(*uids)}/frames"
    for name in archive.store.names(folder):
        if layout.resource_of(f"{folder}/{name}") is not None:
            yield name, f"{folder}/{name}"


def _is_own_thumbnail(archive: Archive, key: str, skeleton: Skeleton) -> bool:
    """Whether the thumbnail, if there is one, is what was written with the instance."""
    try:
        image = archive.store.read(key)
    except NotFound:
        return True
    return hashlib.sha256(image).hexdigest() == skeleton.written.get("thumbnail")
