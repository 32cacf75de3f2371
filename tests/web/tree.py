"""A tiny archive written key by key: what the server is tested on, independent of the converter."""

import hashlib
import json
from pathlib import Path
from typing import Any

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.multipart import TAIL, content_type, head
from staticwado.dicomweb.resource import Resource, View

STUDY, OTHER_STUDY = "1.2.3", "1.2.4"
SERIES, JLS_SERIES, BITS_SERIES, DOCUMENT_SERIES = "1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"
NATIVE, JLS, BITS, DOCUMENT, VIDEO = "1.2.3.1.1", "1.2.3.2.1", "1.2.3.3.1", "1.2.3.4.1", "1.2.3.4.2"
NATIVE_FRAMES = [bytes([number]) * 15 for number in (1, 2, 3)]
"""Three frames of 5 by 3 pixels: the value has an odd length."""
JLS_FRAMES = [b"\xff\xd8one\xff\xd9", b"\xff\xd8second\xff\xd9"]
BIG_FRAME = bytes(range(256)) * 2048
"""512 KiB: sent with sendfile."""
BIT_FRAMES = [bytes([0b11111111, 0b1]), bytes([0b01010101, 0b1])]
"""Two frames of 3 by 3 one-bit pixels."""
BIT_VALUE = bytes([0b11111111, 0b10101011, 0b10, 0])
PDF = b"%PDF-1.4 tiny"
MOVIE = b"\0\0\0\x18ftypmp42" + bytes(range(200))
VALUE = bytes(range(100))
ELE, JPEGLS, MPEG4 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.102"
STUDIES = (STUDY, OTHER_STUDY)


def address(value: bytes, suffix: str = "bin") -> str:
    return layout.bulkdata_id(hashlib.sha256(value).hexdigest(), suffix)


def _attribute(vr: str, *values: object) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def study_entry(study: str, patient: str) -> dict[str, Any]:
    return {
        "00080020": _attribute("DA", "20200101"),
        "00081190": _attribute("UR", f"studies/{study}"),
        "00100010": _attribute("PN", {"Alphabetic": f"<b>{patient}</b>"}),
        "00100020": _attribute("LO", patient),
        "0020000D": _attribute("UI", study),
    }


def _series_entry(study: str, series: str) -> dict[str, Any]:
    return {
        "00080060": _attribute("CS", "CT"),
        "00081190": _attribute("UR", f"series/{series}"),
        "0020000D": _attribute("UI", study),
        "0020000E": _attribute("UI", series),
    }


def _instance_entry(instance: str) -> dict[str, Any]:
    return {"00080018": _attribute("UI", instance), "00081190": _attribute("UR", f"instances/{instance}")}


class Tree:
    """Writes resources as the converter does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.archive = Archive(str(root), create=True)
        self.archive.create_marker()

    def json(self, resource: Resource, value: object) -> None:
        self.archive.write(resource, json.dumps(value, separators=(",", ":")).encode())

    def frame(self, resource: Resource, number: int, suffix: str, part_type: str, data: bytes) -> None:
        frame = Resource(
            View.FRAMES, resource.study, resource.series, resource.instance, (number,), rendition=suffix
        )
        self.archive.write(frame, head(part_type) + data + TAIL)

    def instance(
        self, study: str, series: str, instance: str, dataset: dict[str, Any] | None = None
    ) -> Resource:
        resource = Resource(View.METADATA, study, series, instance)
        self.json(resource, [{"00080018": _attribute("UI", instance), **(dataset or {})}])
        return resource

    def series(self, study: str, series: str, *instances: str) -> None:
        self.json(Resource(View.INSTANCES, study, series), [_instance_entry(uid) for uid in instances])
        self.json(Resource(View.METADATA, study, series), [_instance_entry(uid) for uid in instances])
        self.archive.write(Resource(View.THUMBNAIL, study, series), b"\xff\xd8series\xff\xd9")

    def study(self, study: str, patient: str, *series: str) -> dict[str, Any]:
        entry = study_entry(study, patient)
        self.json(Resource(View.INDEX, study), [entry])
        self.json(Resource(View.METADATA, study), [{"00080018": _attribute("UI", NATIVE)}])
        self.json(Resource(View.SERIES, study), [_series_entry(study, uid) for uid in series])
        self.json(Resource(View.DEDUPLICATED, study), {"version": 1})
        self.archive.write(Resource(View.THUMBNAIL, study), b"\xff\xd8study\xff\xd9")
        return entry

    def bulkdata(self, study: str, value: bytes, suffix: str = "bin") -> None:
        self.archive.write(Resource(View.BULKDATA, study, bulkdata=address(value, suffix)), value)


def _image(rows: int, columns: int, bits: int, frames: int) -> dict[str, Any]:
    return {
        "00280002": _attribute("US", 1),
        "00280008": _attribute("IS", frames),
        "00280010": _attribute("US", rows),
        "00280011": _attribute("US", columns),
        "00280100": _attribute("US", bits),
        "7FE00010": {"vr": "OW", "BulkDataURI": layout.PIXELDATA_URI},
    }


def make_tree(root: Path) -> Tree:
    """One study of four series, and a second one of one: native, JPEG-LS, 1-bit, a document and a video."""
    tree = Tree(root)
    native = tree.instance(STUDY, SERIES, NATIVE, _image(3, 5, 8, 3))
    for number, frame in enumerate(NATIVE_FRAMES, 1):
        tree.frame(native, number, "", content_type("application/octet-stream", ELE), frame)
    tree.archive.write(Resource(View.THUMBNAIL, STUDY, SERIES, NATIVE), b"\xff\xd8instance\xff\xd9")
    big = tree.instance(STUDY, SERIES, NATIVE + "1", _image(512, 512, 16, 1))
    tree.frame(big, 1, "", content_type("application/octet-stream", ELE), BIG_FRAME)
    tree.series(STUDY, SERIES, NATIVE, NATIVE + "1")
    jls = tree.instance(STUDY, JLS_SERIES, JLS, _image(3, 5, 8, 2))
    for number, frame in enumerate(JLS_FRAMES, 1):
        tree.frame(jls, number, "jls", content_type("image/jls", JPEGLS), frame)
    tree.series(STUDY, JLS_SERIES, JLS)
    bits = tree.instance(STUDY, BITS_SERIES, BITS, _image(3, 3, 1, 2))
    for number, frame in enumerate(BIT_FRAMES, 1):
        tree.frame(bits, number, "", content_type("application/octet-stream", ELE), frame)
    tree.series(STUDY, BITS_SERIES, BITS)
    uri = layout.bulkdata_uri(address(PDF, "pdf"))
    document = {"00420011": {"vr": "OB", "BulkDataURI": uri}, "00420012": _attribute("LO", "application/pdf")}
    tree.instance(STUDY, DOCUMENT_SERIES, DOCUMENT, document)
    video = tree.instance(STUDY, DOCUMENT_SERIES, VIDEO)
    tree.frame(video, 1, "mp4", content_type("video/mp4", MPEG4), MOVIE)
    tree.series(STUDY, DOCUMENT_SERIES, DOCUMENT, VIDEO)
    tree.bulkdata(STUDY, PDF, "pdf")
    tree.bulkdata(STUDY, VALUE)
    tree.bulkdata(STUDY, b"<a/>", "xml")
    first = tree.study(STUDY, "P1", SERIES, JLS_SERIES, BITS_SERIES, DOCUMENT_SERIES)
    tree.instance(OTHER_STUDY, "1.2.4.1", "1.2.4.1.1")
    tree.series(OTHER_STUDY, "1.2.4.1", "1.2.4.1.1")
    second = tree.study(OTHER_STUDY, "P2", "1.2.4.1")
    tree.json(Resource(View.STUDIES), [first, second])
    return tree
