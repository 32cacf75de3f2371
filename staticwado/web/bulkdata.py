"""Bulkdata, Pixel Data, and what can be rendered without rendering: documents and video (PS3.18 10.4.1.1)."""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from staticwado.archive import Archive, FrameLocation
from staticwado.dicom.bit_frames import join_bit_frames
from staticwado.dicom.transfer_syntax import OCTET_STREAM
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import TAIL, envelope_type, head, tail
from staticwado.dicomweb.resource import Resource, View, format_path, is_bulkdata_id
from staticwado.errors import NotFound, StoreUnavailable, Unsupported
from staticwado.web.answer import MARKUP, SANDBOX, Answer, Body, Pieces, Span, Stream, etag_of, seconds_of
from staticwado.web.request import Wanted
from staticwado.web.responses import read_span
from staticwado.web.wado import (
    etag_of_all,
    frame_of,
    frame_offers,
    loaded,
    missing,
    part_type,
    single_frame,
    span_of,
)

_SANDBOXED = {"Content-Security-Policy": SANDBOX}
_DOCUMENT, _DOCUMENT_TYPE = "00420011", "00420012"
_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED = "00280010", "00280011", "00280002", "00280100"


def bulkdata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """A value kept outside the metadata: a single part, or a multipart for whoever asks for one.

    Raises NotFound, NotAcceptable.
    """
    located = archive.locate(resource)
    if located is None or resource.bulkdata is None:
        raise missing(archive, resource)
    media_type = located.stored.media_type
    offers = [Offer(media_type), Offer(media_type, multipart=True)]
    if media_type != OCTET_STREAM:
        offers += [Offer(OCTET_STREAM), Offer(OCTET_STREAM, multipart=True)]
    offer = choose(wanted.ranges, offers)
    location = f"{wanted.root}/{format_path(resource)}"
    body: Body = loaded(span_of(located))
    content_type = offer.media_type
    if offer.multipart:
        # The address is the hash of the bytes, so they cannot hold it: a boundary that needs no search.
        boundary = f"staticwado-{hashlib.sha256(resource.bulkdata.encode()).hexdigest()[:48]}"
        pieces = (body,) if isinstance(body, bytes) else (span_of(located),)
        body = (head(offer.media_type, location, boundary), *pieces, tail(boundary))
        content_type = envelope_type(offer.media_type, boundary)
    return Answer(
        content_type,
        body,
        etag=etag_of(located.stat, "multipart" if offer.multipart else ""),
        modified=seconds_of(located.stat),
        immutable=True,
        vary="Accept",
        headers={"Content-Location": location} | (_SANDBOXED if media_type in MARKUP else {}),
        view="bulkdata",
        depends=(located.path, located.stat),
    )


def _all_frames(archive: Archive, resource: Resource) -> list[FrameLocation]:
    """All frames that are kept of an instance. Raises NotFound if there is none."""
    found = [frame_of(archive, resource, 1)]
    for number in count(2):
        try:
            found.append(archive.frame(resource, number))
        except NotFound:
            return found
    return found


def pixeldata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """Pixel Data of an instance, composed from its frames.

    Native: the value, little endian. Encapsulated: a multipart, one part a frame.

    Raises NotFound, NotAcceptable, and Unsupported for a whole study or series.
    """
    if resource.instance is None:
        raise Unsupported("pixeldata can be retrieved for one instance at a time")
    found = _all_frames(archive, resource)
    media_type, transfer_syntax = part_type(found[0])
    location = f"{wanted.root}/{format_path(resource)}"
    native = media_type == OCTET_STREAM
    offers = frame_offers(media_type, transfer_syntax, single=native or len(found) == 1)
    offer = choose(wanted.ranges, offers[::-1] if native else offers)
    body: Pieces | Stream
    if native:
        body = _value(archive, resource, found)
        if offer.multipart:
            body = _wrapped(body, head(found[0].part_type, location))
    else:
        body = _parts(found, location, offer.multipart)
    content_type = f"{media_type}; transfer-syntax={transfer_syntax}"
    return Answer(
        envelope_type(media_type) if offer.multipart else content_type,
        body,
        etag=etag_of_all(found, "multipart" if offer.multipart else "value"),
        immutable=True,
        vary="Accept",
        headers={"Content-Location": location},
        view="pixeldata",
    )


def _payload(frame: FrameLocation) -> Span:
    return Span(frame.located.path, frame.offset, frame.length, frame.located.stat)


def _parts(found: list[FrameLocation], location: str, multipart: bool) -> Pieces:
    """Encapsulated frames: one part each; without a multipart, the one frame."""
    if not multipart:
        return (_payload(found[0]),)
    folder = location.removesuffix("/pixeldata")
    pieces: list[bytes | Span] = []
    for number, frame in enumerate(found, 1):
        start = head(frame.part_type, f"{folder}/frames/{number}")
        pieces += ((b"\r\n" if pieces else b"") + start, _payload(frame))
    return (*pieces, TAIL)


def _value(archive: Archive, resource: Resource, found: list[FrameLocation]) -> Pieces | Stream:
    """The native value: frames joined, where needed to the bit, and of even length (PS3.5 7.1.1)."""
    spans = [_payload(frame) for frame in found]
    bits = _frame_bits(_dataset(archive, resource))
    if bits % 8 == 0 or (bits + 7) // 8 != spans[0].length:
        length = sum(span.length for span in spans)
        return (*spans, b"\0" * (length % 2))
    length = (bits * len(spans) + 7) // 8

    def chunks() -> Iterator[bytes]:
        yield from join_bit_frames(map(read_span, spans), bits)
        yield b"\0" * (length % 2)

    return Stream(chunks, length + length % 2)


def _frame_bits(dataset: Mapping[str, Any]) -> int:
    """Bits of a native frame; 0 if the attributes do not say."""
    bits = 1
    for tag in (_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED):
        values = dataset.get(tag, {}).get("Value")
        number = values[0] if values else 1 if tag == _SAMPLES else 0
        bits *= number if isinstance(number, int) and number > 0 else 0
    return bits


def _wrapped(body: Pieces | Stream, start: bytes) -> Pieces | Stream:
    """A native value as the one part of a multipart."""
    if not isinstance(body, Stream):
        return (start, *body, TAIL)
    stream = body

    def chunks() -> Iterator[bytes]:
        yield start
        yield from stream.chunks()
        yield TAIL

    length = None if stream.length is None else len(start) + stream.length + len(TAIL)
    return Stream(chunks, length)


def _dataset(archive: Archive, resource: Resource) -> Mapping[str, Any]:
    """The metadata of an instance. Raises NotFound or StoreUnavailable."""
    instance = Resource(View.METADATA, resource.study, resource.series, resource.instance)
    if archive.locate(instance) is None:
        raise missing(archive, instance)
    datasets = archive.read_json(instance)
    if not isinstance(datasets, list) or not datasets or not isinstance(datasets[0], dict):
        raise StoreUnavailable(f"the metadata of instance {resource.instance} are damaged")
    return datasets[0]


def rendered(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """A document or a video, ready for a browser (PS3.18 10.4.1.1.3, table 8.7.4-1).

    Raises NotFound, NotAcceptable, and Unsupported for images.
    """
    if resource.instance is None:
        raise Unsupported("rendering a study or a series comes with a later release")
    dataset = _dataset(archive, resource)
    if _DOCUMENT in dataset and not resource.frames:
        return _document(archive, resource, dataset, wanted)
    frame = None if resource.frames else _video(archive, resource)
    if frame is None:
        raise Unsupported(
            "rendering images comes with a later release; frames and thumbnails can be retrieved"
        )
    media_type, _ = part_type(frame)
    choose(wanted.ranges, (Offer(media_type),))
    return single_frame(frame, content_type=media_type, view="rendered")


def _video(archive: Archive, resource: Resource) -> FrameLocation | None:
    try:
        frame = archive.frame(Resource(View.FRAMES, resource.study, resource.series, resource.instance), 1)
    except NotFound:
        return None
    return frame if part_type(frame)[0].startswith("video/") else None


def _document(archive: Archive, resource: Resource, dataset: Mapping[str, Any], wanted: Wanted) -> Answer:
    """Encapsulated Document (0042,0011), in its own media type."""
    element = dataset[_DOCUMENT]
    uri = str(element.get("BulkDataURI", ""))
    address = uri.rpartition("bulkdata/")[2]
    if is_bulkdata_id(address):
        answer = bulkdata(archive, Resource(View.BULKDATA, resource.study, bulkdata=address), wanted)
        if not answer.content_type.startswith("multipart/"):
            return answer
        raise Unsupported("a rendered document is a single part")
    try:
        data = base64.b64decode(element.get("InlineBinary", ""), validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise StoreUnavailable(f"the document of instance {resource.instance} is damaged: {error}") from error
    if not data:
        raise NotFound(f"instance {resource.instance} holds an empty document")
    values = dataset.get(_DOCUMENT_TYPE, {}).get("Value") or [OCTET_STREAM]
    media_type = values[0] if values[0] == "application/pdf" else OCTET_STREAM
    choose(wanted.ranges, (Offer(media_type),))
    return Answer(
        media_type, data, headers=_SANDBOXED if media_type != "application/pdf" else {}, view="rendered"
    )
