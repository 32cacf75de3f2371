"""Part 10 files from data sets in DICOM JSON or XML and the bulkdata that came with them (PS3.18 10.5.1.4).

One rule: a BulkDataURI means a part of the same request, or nothing; no address is ever fetched. One data set
is in memory at a time, and no more of them in all requests together than there is room for.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urljoin

from staticwado.dicom.datasetwriter import Encapsulated, Stream, write_part10
from staticwado.dicom.imagepixel import PICTURES, decode_picture, image_elements, syntax_of
from staticwado.dicom.jsonarray import Span, find_datasets
from staticwado.dicom.jsondataset import parse_json
from staticwado.dicom.jsonvalues import text, values
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from staticwado.dicom.uid import is_uid
from staticwado.dicom.xmlreader import parse_xml, weigh_xml
from staticwado.dicomweb.store_request import Form
from staticwado.dicomweb.store_response import MISSING_BULKDATA, StoreResult
from staticwado.errors import (
    BadRequest,
    BrokenDicom,
    MissingBulkdata,
    StaticWadoError,
    StoreUnavailable,
    TooMuch,
)
from staticwado.ingest.outcome import reason_of
from staticwado.store.local import Staging
from staticwado.web.room import Rooms
from staticwado.web.spool import Part
from staticwado.web.workers import Workers

_PIXEL_DATA, _AVAILABLE_SYNTAX, _META_SYNTAX = "7FE00010", "00083002", "00020010"
_STUDY, _SERIES, _CLASS, _INSTANCE = "0020000D", "0020000E", "00080016", "00080018"
_FRAMES = "00280008"
_CHUNK = 1 << 20
"""Bytes at a time; a header of a compressed frame lies in the first of them."""
_PICTURE = 4
"""Bytes of memory for each of a picture on its way to the process that decodes it."""

log = logging.getLogger("staticwado.web")


def _resolved(base: str, uri: str) -> str:
    """`uri` from `base` (RFC 3986 5); what is no URI at all stands for itself."""
    try:
        return urljoin(base, uri)
    except ValueError:
        return uri


class Assembler:
    """Makes a file of each data set of a request, in the staging folder that has the bulkdata."""

    def __init__(
        self, form: Form, staging: Staging, parts: list[Part], base: str, workers: Workers, rooms: Rooms
    ) -> None:
        """`base` is the URL from which relative addresses are resolved. Raises BadRequest."""
        self._form = form
        self._staging = staging
        self._base = base
        self._workers = workers
        self._rooms = rooms
        self._metadata = [part for part in parts if part.is_metadata]
        if not self._metadata:
            raise BadRequest(f"no part of the request is of the type {form.value}")
        if form is Form.JSON and len(self._metadata) > 1:
            raise BadRequest("data sets in DICOM JSON come in one part; there are several")
        self._bulkdata: dict[str, list[Part]] = {}
        for part in parts:
            if not part.is_metadata and part.location:
                self._bulkdata.setdefault(_resolved(base, part.location), []).append(part)

    def instances(self, most: int) -> Iterator[str | StoreResult]:
        """The name of the file of each data set in turn, or why there is none.

        Raises BadRequest for what holds no data sets, TooMuch for one that is too large or for more than
        `most`, StoreUnavailable, and Busy.
        """
        for number, (weight, read) in enumerate(self._datasets(), 1):
            if number > most:
                raise TooMuch(f"the request has more than {most} data sets (maxParts)")
            with self._rooms.datasets.taken(weight, f"data set {number}"):
                made = self._made(f"instance-{number}", read())
            yield made

    def _datasets(self) -> Iterator[tuple[int, Callable[[], Any]]]:
        """How much memory each data set takes, and what reads it."""
        if self._form is Form.XML:
            for part in self._metadata:
                yield weigh_xml(self._chunks(part)), partial(self._xml, part)
            return
        [part] = self._metadata
        for span in find_datasets(self._chunks(part)):
            yield span.weight, partial(self._json, part, span)

    def _xml(self, part: Part) -> Any:
        return parse_xml(self._chunks(part))

    def _json(self, part: Part, span: Span) -> Any:
        with open(self._staging.path(part.name), "rb", buffering=0) as file:
            file.seek(span.start)
            return parse_json(file.read(span.end - span.start))

    def _made(self, name: str, dataset: Mapping[str, Any]) -> str | StoreResult:
        try:
            self._write(name, dataset)
        except StoreUnavailable:
            raise
        except StaticWadoError as error:
            self._staging.discard(name)
            return _failed(dataset, error)
        return name

    def _write(self, name: str, dataset: Mapping[str, Any]) -> None:
        made = {tag: element for tag, element in dataset.items() if not tag.startswith("0002")}
        made.pop(_AVAILABLE_SYNTAX, None)
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
        frames: bytes | Stream | Encapsulated | None = None
        uri = _pixel_uri(dataset)
        if uri is not None:
            syntax, frames, made = self._with_frames(self._found(uri), dataset, made)

        def bulkdata(asked: str) -> bytes | Stream | Encapsulated:
            return frames if frames is not None and asked == uri else self._one(asked)

        with self._staging.create(name) as file:
            for piece in write_part10(made, bulkdata, syntax):
                file.write(piece)

    def _found(self, uri: str) -> list[Part]:
        """The parts that a BulkDataURI means. Raises MissingBulkdata."""
        parts = self._bulkdata.get(_resolved(self._base, uri))
        if parts is None:
            raise MissingBulkdata(f"no part of the request has the Content-Location {uri[:200]!r}")
        return parts

    def _one(self, uri: str) -> Stream:
        parts = self._found(uri)
        if len(parts) > 1:
            raise BrokenDicom(f"{len(parts)} parts have the Content-Location {uri[:200]!r}")
        return self._stream(parts[0])

    def _stream(self, part: Part) -> Stream:
        return Stream(part.size, self._chunks(part))

    def _chunks(self, part: Part) -> Iterator[bytes]:
        with open(self._staging.path(part.name), "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def _with_frames(
        self, parts: list[Part], dataset: Mapping[str, Any], made: dict[str, Any]
    ) -> tuple[str, bytes | Stream | Encapsulated, dict[str, Any]]:
        """The transfer syntax, the value of Pixel Data, and the data set with what the picture says."""
        media_type = parts[0].media.media_type
        if media_type in PICTURES:
            if len(parts) > 1:
                raise BrokenDicom(f"Pixel Data come as {len(parts)} pictures of the type {media_type}")
            with self._rooms.pictures.taken(parts[0].size * _PICTURE, "a picture"):
                data = b"".join(self._chunks(parts[0]))
                native = self._workers.call(decode_picture, media_type, data)
            return EXPLICIT_VR_LITTLE_ENDIAN, native.data, {**made, **native.elements}
        head = next(self._chunks(parts[0]), b"")
        named = (
            parts[0].media.transfer_syntax or text(dataset, _AVAILABLE_SYNTAX) or text(dataset, _META_SYNTAX)
        )
        syntax = syntax_of(media_type, head, named or None)
        if not TRANSFER_SYNTAXES[syntax].encapsulated:
            return syntax, Stream(sum(part.size for part in parts), self._joined(parts)), made
        if "00280010" not in made:
            made = {**image_elements(media_type, head), **made}
        if len(parts) > 1 and _FRAMES not in made:
            made[_FRAMES] = {"vr": "IS", "Value": [len(parts)]}
        return syntax, Encapsulated(self._stream(part) for part in parts), made

    def _joined(self, parts: list[Part]) -> Iterator[bytes]:
        for part in parts:
            yield from self._chunks(part)


def _pixel_uri(dataset: Mapping[str, Any]) -> str | None:
    element = dataset.get(_PIXEL_DATA)
    uri = element.get("BulkDataURI") if isinstance(element, Mapping) else None
    return uri if isinstance(uri, str) else None


def _failed(dataset: Mapping[str, Any], error: StaticWadoError) -> StoreResult:
    """What to answer of a data set of which no file could be made."""
    study, series, instance, sop_class = (_uid(dataset, tag) for tag in (_STUDY, _SERIES, _INSTANCE, _CLASS))
    log.info("a data set was not stored: %s", error)
    reason = MISSING_BULKDATA if isinstance(error, MissingBulkdata) else int(reason_of(error))
    return StoreResult(study, series, instance, sop_class, reason)


def _uid(dataset: Mapping[str, Any], tag: str) -> str | None:
    found = values(dataset, tag)
    return found[0] if len(found) == 1 and isinstance(found[0], str) and is_uid(found[0]) else None
