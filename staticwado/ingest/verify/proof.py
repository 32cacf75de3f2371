"""What was made of a proven file: its metadata and its thumbnail must be those that were written.

One rule: only an instance whose file came back with its hash is looked at here, so that no codec meets bytes
that were damaged in the archive.
"""

import hashlib
from typing import Any

import orjson

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicom.jsonmodel import join_array
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StaticWadoError
from staticwado.ingest.convert import Converted
from staticwado.ingest.rebuild import Rebuilt
from staticwado.ingest.recompress import describe
from staticwado.ingest.skeleton import Skeleton, transcoded_of
from staticwado.ingest.verify.findings import Findings, Kind, Matter, take_in_again
from staticwado.ingest.write import BatchWriter

Uids = tuple[str, str, str]
_MANY = 8


class Proof:
    """Converts the files of instances once more, and writes nothing."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._writer = BatchWriter(archive, thumbnails=False, dry_run=True)

    def close(self) -> None:
        self._writer.close()

    def check(self, uids: Uids, text: bytes, skeleton: Skeleton, found: Findings) -> None:
        """Compare what is kept of an instance with what this version makes of its file."""
        folder = layout.folder_of(*uids)
        try:
            converted = self._writer.converter.convert(Rebuilt(self._archive, *uids))
            self._check_thumbnail(uids, converted.frames is not None, skeleton, found)
            self._check_metadata(folder, text, converted, skeleton, found)
        except StaticWadoError as error:
            detail = f"its file comes back, but this version does not read it: {error}"
            found.note(folder, Matter.UNCHECKED, detail)
        finally:
            self._writer.reset()

    def _check_metadata(
        self, folder: str, text: bytes, converted: Converted, skeleton: Skeleton, found: Findings
    ) -> None:
        transcoded = transcoded_of(skeleton.form)
        if transcoded is not None:
            describe(converted.dataset, transcoded)
        again = join_array([converted.dataset.to_json()])
        if again == text:
            return
        key, detail = f"{folder}/metadata.gz", _difference(text, again)
        if skeleton.written.get("metadata") == hashlib.sha256(text).hexdigest():
            found.note(key, Matter.VERSION, f"this version would write it otherwise: {detail}")
        else:
            detail = f"they are not those of the instance's file: {detail}"
            found.fault(key, Kind.METADATA, detail, take_in_again(folder))

    def _check_thumbnail(self, uids: Uids, frames: bool, skeleton: Skeleton, found: Findings) -> None:
        resource = Resource(View.THUMBNAIL, *uids)
        key = layout.stored_as(resource).key
        written = skeleton.written.get("thumbnail")
        try:
            kept = self._archive.read(resource)
        except NotFound:
            if written is not None or (frames and not skeleton.written):
                found.note(key, Matter.NO_THUMBNAIL, "an instance with frames has no thumbnail")
            return
        found.counts.bytes += len(kept)
        if written is None and not skeleton.written:
            found.note(key, Matter.UNCHECKED, "an earlier version wrote it, and did not record its hash")
        elif hashlib.sha256(kept).hexdigest() != written:
            detail = "it is not what was written with the instance"
            found.fault(key, Kind.DAMAGED, detail, take_in_again(layout.folder_of(*uids)))


def _difference(text: bytes, again: bytes) -> str:
    """In which elements two arrays of one data set differ."""
    one, other = _members(text), _members(again)
    tags = sorted(tag for tag in one.keys() | other.keys() if one.get(tag) != other.get(tag))
    if not tags:
        return "they are written in another way"
    more = f" and {len(tags) - _MANY} more" if len(tags) > _MANY else ""
    return ", ".join(f"({tag[:4]},{tag[4:]})" for tag in tags[:_MANY]) + more


def _members(text: bytes) -> dict[str, Any]:
    found = parse_dataset(text[1:-1])
    return {tag: orjson.dumps(element) for tag, element in found.items()}
