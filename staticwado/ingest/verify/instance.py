"""One instance: is it where it says it is, is all there that it refers to, does its file come back?

One rule: what a fault already explains is not reported again by its consequences.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View, is_bulkdata_id
from staticwado.errors import StaticWadoError, StoreUnavailable
from staticwado.ingest.entries import first_value
from staticwado.ingest.expected import expected_frames
from staticwado.ingest.rebuild import read_part10
from staticwado.ingest.skeleton import Skeleton, parse_skeleton
from staticwado.ingest.verify.files import check_model, one_dataset, read_gzip, sha256_of
from staticwado.ingest.verify.findings import Findings, Kind, take_in_again
from staticwado.ingest.verify.frames import FrameCheck, check_numbers, list_frames
from staticwado.ingest.verify.proof import Proof

Uids = tuple[str, str, str]
_URI = re.compile(rb'"BulkDataURI":"((?:[^"\\]|\\.)*)"')
_UPWARDS = layout.bulkdata_uri("")
_AVAILABLE_TRANSFER_SYNTAX = "00083002"
_IDENTITY = ("0020000D", "0020000E", "00080018")
_PIXELS = ("7FE00010", "7FE00008", "7FE00009")


@dataclass(slots=True)
class Looked:
    """What looking at instances brought to light."""

    findings: Findings = field(default_factory=Findings)
    values: set[str] = field(default_factory=set)
    """Addresses of the bulkdata that they refer to."""
    damaged: set[Uids] = field(default_factory=set)

    def add(self, other: "Looked") -> None:
        self.findings.add(other.findings)
        self.values |= other.values
        self.damaged |= other.damaged


class InstanceCheck:
    """Looks at one instance after the other."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._frames = FrameCheck(archive)
        self._proof = Proof(archive)
        self._sizes: dict[str, int | None] = {}

    def close(self) -> None:
        self._proof.close()

    def check(self, uids: Uids) -> Looked:
        """Look at an instance; a second time before something is said, as a writer may be at work."""
        looked = self._check(uids)
        return looked if not looked.damaged else self._check(uids)

    def _check(self, uids: Uids) -> Looked:
        looked = Looked()
        folder = layout.folder_of(*uids)
        try:
            self._look(uids, folder, looked)
        except StoreUnavailable as error:
            text = f"it could not be read: {error}"
            looked.findings.fault(folder, Kind.UNREADABLE, text, "let it be read, then verify again")
        if looked.findings.faults:
            looked.damaged.add(uids)
        return looked

    def _look(self, uids: Uids, folder: str, looked: Looked) -> None:
        found, repair = looked.findings, take_in_again(folder)
        if not self._archive.exists(*uids):
            detail = "there are no metadata, so what is in this folder is no instance"
            mend = "mkdicomweb create SOURCE, or remove it by hand"
            found.fault(folder, Kind.INCOMPLETE, detail, mend)
            return
        found.counts.instances = 1
        key = layout.stored_as(Resource(View.METADATA, *uids)).key
        text = read_gzip(self._archive, key, found, repair)
        dataset = None if text is None else _parse(text, key, uids, found, repair)
        skeleton = self._read_skeleton(uids, found, repair)
        if dataset is None or text is None:
            return
        self._check_uris(text, dataset, key, looked, repair)
        if skeleton is None:
            return
        self._check_values(skeleton, key, looked, repair)
        self._check_frames(uids, folder, dataset, skeleton, looked)
        if not found.faults:
            self._check_part10(uids, skeleton, found, repair)
        if not found.faults:
            self._proof.check(uids, text, skeleton, found)

    def _read_skeleton(self, uids: Uids, found: Findings, repair: str) -> Skeleton | None:
        key = layout.stored_as(Resource(View.SKELETON, *uids)).key
        data = read_gzip(self._archive, key, found, repair)
        if data is None:
            return None
        try:
            return parse_skeleton(data)
        except StoreUnavailable as error:
            found.fault(key, Kind.DAMAGED, str(error), repair)
            return None

    # -- references ------------------------------------------------------------------------------------------

    def _check_uris(
        self, text: bytes, dataset: dict[str, Any], key: str, looked: Looked, repair: str
    ) -> None:
        """Every BulkDataURI leads to something that is there."""
        pixels = sum(_uri_of(dataset, tag) == layout.PIXELDATA_URI for tag in _PIXELS)
        for uri, count in Counter(_uris(text)).items():
            if uri == layout.PIXELDATA_URI:
                if count > pixels:
                    detail = "an element that is not Pixel Data refers to the frames"
                    looked.findings.fault(key, Kind.DAMAGED, detail, repair)
                continue
            address = uri.removeprefix(_UPWARDS)
            if address == uri or not is_bulkdata_id(address):
                detail = f"BulkDataURI {uri[:100]!r} leads nowhere in this archive"
                looked.findings.fault(key, Kind.MISSING, detail, repair)
            else:
                self._check_value(address, key, looked, repair)

    def _check_values(self, skeleton: Skeleton, key: str, looked: Looked, repair: str) -> None:
        """Every value that the skeleton refers to is there."""
        for part in skeleton.parts:
            if isinstance(part, list) and part[:1] == ["bulkdata"] and is_bulkdata_id(str(part[1])):
                self._check_value(part[1], key, looked, repair)

    def _check_value(self, address: str, key: str, looked: Looked, repair: str) -> None:
        if address in looked.values:
            return
        looked.values.add(address)
        study = layout.resource_of(key)
        resource = Resource(View.BULKDATA, study.study if study else None, bulkdata=address)
        if self._archive.locate(resource) is None:
            detail = f"the bulkdata {address}, to which it refers, is not there"
            looked.findings.fault(key, Kind.MISSING, detail, repair)

    # -- frames ----------------------------------------------------------------------------------------------

    def _check_frames(
        self, uids: Uids, folder: str, dataset: dict[str, Any], skeleton: Skeleton, looked: Looked
    ) -> None:
        found, repair = looked.findings, take_in_again(folder)
        syntax = str(first_value(dataset, _AVAILABLE_TRANSFER_SYNTAX))
        files = list_frames(self._archive, folder, syntax)
        found.add(check_numbers(folder, files, expected_frames(dataset, skeleton, syntax), repair))
        found.add(self._frames.check(files, syntax, skeleton.kept, repair))

    # -- Part 10 ---------------------------------------------------------------------------------------------

    def _check_part10(self, uids: Uids, skeleton: Skeleton, found: Findings, repair: str) -> None:
        """The file comes back with the hash and the size that it had."""
        size = 0
        folder = layout.folder_of(*uids)
        try:
            for chunk in read_part10(self._archive, *uids):
                size += len(chunk)
        except StaticWadoError as error:
            where, why = self._narrow(uids, skeleton)
            found.fault(where or folder, Kind.PART10, f"{error}{why}", repair)
            return
        if size != skeleton.size:
            detail = f"the file comes back with {size} bytes, and had {skeleton.size}"
            found.fault(folder, Kind.PART10, detail, repair)

    def _narrow(self, uids: Uids, skeleton: Skeleton) -> tuple[str, str]:
        """Which file is to blame for a hash that is another: its key, and words."""
        for part in skeleton.parts:
            if not (isinstance(part, list) and part[0] == "bulkdata"):
                continue
            located = self._archive.locate(Resource(View.BULKDATA, uids[0], bulkdata=part[1]))
            if located is None or sha256_of(located.path)[0] != "".join(part[1].split(".")[0].split("/")):
                return "", f"; the bulkdata {part[1]} is damaged"
        keys = list_frames(self._archive, layout.folder_of(*uids), "").keys
        if len(keys) == 1:
            return next(iter(keys.values())), "; its only frame is damaged"
        if keys:
            return "", f"; one of its {len(keys)} frames is damaged"
        return "", ""


def _parse(text: bytes, key: str, uids: Uids, found: Findings, repair: str) -> dict[str, Any] | None:
    """The data set of an instance, if it is DICOM JSON and belongs where it lies."""
    try:
        dataset = one_dataset(text)
    except ValueError as error:
        found.fault(key, Kind.DAMAGED, str(error), repair)
        return None
    wrong = check_model(dataset)
    if wrong is not None:
        found.fault(key, Kind.DAMAGED, f"it is no DICOM JSON: {wrong}", repair)
        return None
    inside = tuple(str(first_value(dataset, tag)) for tag in _IDENTITY)
    if inside != uids:
        named = ("study", "series", "instance")
        wrong = ", ".join(
            f"{name} {have[:70]}"
            for name, have, want in zip(named, inside, uids, strict=True)
            if have != want
        )
        found.fault(key, Kind.MISPLACED, f"the metadata are those of {wrong}", repair)
    return dataset


def _uri_of(dataset: dict[str, Any], tag: str) -> Any:
    element = dataset.get(tag)
    return element.get("BulkDataURI") if isinstance(element, dict) else None


def _uris(text: bytes) -> Iterator[str]:
    """Every BulkDataURI, also in sequences of any depth; quotes inside strings are escaped, so none of them
    is taken for one.
    """
    if b"BulkDataURI" in text:
        for match in _URI.finditer(text):
            yield str(orjson.loads(b'"' + match[1] + b'"'))
