"""One part of a rendered resource: a picture, an animation, a text, a document, a video.

One rule: no more than one picture is in memory, and a PDF or a video never is.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from staticwado.archive import Archive
from staticwado.dicom.document import PDF, Category, document
from staticwado.dicom.gif import joined
from staticwado.dicom.implementation import IMPLEMENTATION_VERSION_NAME
from staticwado.dicom.jsonvalues import Dataset, first_integer
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from staticwado.dicomweb.rendering import Rendering
from staticwado.dicomweb.resource import Resource, View, is_bulkdata_id
from staticwado.errors import NotFound
from staticwado.web.answer import Answer, Body, Span, Stream
from staticwado.web.pictures import (
    GIF,
    PictureTask,
    Place,
    TextTask,
    bulkdata_of,
    dataset_of,
    made,
    made_bytes,
)
from staticwado.web.request import Wanted
from staticwado.web.responses import open_span
from staticwado.web.subjects import Shown, Subject
from staticwado.web.wado import frame_of, loaded, part_type, single_frame, span_of

_TEXT_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Content-Security-Policy of text: no scripts, no other files; the style sheet of a page of ours is in it."""
_DOCUMENT, _DOCUMENT_LENGTH = "00420011", "00420015"
_CHUNK = 256 << 10
TO_STUDIES = "../../../../../"
"""From `studies/{study}/series/{series}/instances/{instance}/rendered` to the studies."""
_LONGEST_WARNING = 500
_UNPRINTABLE = re.compile(r"[^ -~]")


def one(
    archive: Archive,
    subject: Subject,
    media_type: str,
    rendering: Rendering,
    wanted: Wanted,
    base: str = TO_STUDIES,
) -> Answer:
    """`subject` in a single part of one of its media types; `base` begins the links of a text.

    Raises NotFound, NotAcceptable, BadRequest, StoreUnavailable.
    """
    if subject.category is Category.TEXT:
        return _text(archive, subject.place, media_type, base, wanted)
    if subject.category is Category.VIDEO:
        frame = frame_of(archive, subject.place.resource, 1)
        return single_frame(frame, content_type=media_type, view="rendered")
    if media_type == GIF and subject.animated:
        return _animation(archive, subject, rendering, wanted)
    return picture_answer(archive, subject.pictures[0], media_type, rendering, subject.state, wanted)


def picture_answer(
    archive: Archive,
    shown: Shown,
    media_type: str,
    rendering: Rendering,
    state: Place | None,
    wanted: Wanted,
    view: str = "rendered",
) -> Answer:
    """One frame as a picture. Raises NotFound, NotAcceptable, BadRequest, StoreUnavailable."""
    task = task_of(archive, shown, media_type, rendering, state)
    return Answer(
        media_type,
        _body(made(wanted, task)),
        etag=etag_of_keys([task.key]),
        vary="Accept",
        headers=warnings(rendering, wanted),
        view=view,
        # Frames never change while their instance is there.
        depends=(shown.place.metadata.path, shown.place.metadata.stat) if state is None else None,
    )


def task_of(
    archive: Archive, shown: Shown, media_type: str, rendering: Rendering, state: Place | None = None
) -> PictureTask:
    """What a worker has to draw. Raises NotFound or StoreUnavailable."""
    frame = frame_of(archive, shown.place.resource, shown.number)
    span = Span(frame.located.path, frame.offset, frame.length, frame.located.stat)
    syntax = part_type(frame)[1] or EXPLICIT_VR_LITTLE_ENDIAN
    return PictureTask(shown.place, shown.number, span, syntax, media_type, rendering, state)


def _body(found: bytes | Span) -> Body:
    return found if isinstance(found, bytes) else loaded(found)


def etag_of_keys(keys: Iterable[object]) -> str:
    digest = hashlib.blake2b(IMPLEMENTATION_VERSION_NAME.encode(), digest_size=16)
    for key in keys:
        digest.update(f"{key}\n".encode())
    return f'"{digest.hexdigest()}"'


def warnings(rendering: Rendering, wanted: Wanted, *others: str) -> dict[str, str]:
    """PS3.18 8.3.5.1.1 gives the form `299 <service>: <text>`."""
    texts = [text for text in (rendering.warning, *others) if text]
    found = ", ".join(f"299 {wanted.root}: {text}" for text in texts)
    return {"Warning": _UNPRINTABLE.sub("?", found)[:_LONGEST_WARNING]} if texts else {}


def keys_of(subject: Subject, media_type: str, rendering: Rendering) -> Iterator[str]:
    """What the bytes of `subject` depend on, without a look at each of its frames."""
    none = Span("", 0, 0, subject.place.metadata.stat)
    for shown in subject.pictures or (Shown(subject.place, 0),):
        yield PictureTask(shown.place, shown.number, none, "", media_type, rendering, subject.state).key


def _animation(archive: Archive, subject: Subject, rendering: Rendering, wanted: Wanted) -> Answer:
    """All frames as one GIF, made while it is sent."""
    return Answer(
        GIF,
        Stream(lambda: _gif(archive, subject, rendering, wanted)),
        etag=etag_of_keys(keys_of(subject, GIF, rendering)),
        vary="Accept",
        headers=warnings(rendering, wanted),
        view="rendered",
    )


def _gif(archive: Archive, subject: Subject, rendering: Rendering, wanted: Wanted) -> Iterator[bytes]:
    """The pieces of an animated GIF, the first of which has a whole frame."""

    def blocks() -> Iterator[bytes]:
        for shown in subject.pictures:
            task = task_of(archive, shown, GIF, rendering)
            yield made_bytes(wanted, replace(task, duration=shown.duration, block=True))

    pieces = joined(blocks())
    yield next(pieces) + next(pieces)
    yield from pieces


def chunks(found: Body | Span) -> Iterator[bytes]:
    """The bytes of a body, a piece at a time. Raises StoreUnavailable."""
    if isinstance(found, bytes):
        yield found
    elif isinstance(found, Stream):
        yield from found.chunks()
    elif isinstance(found, tuple):
        for piece in found:
            yield from chunks(piece)
    else:
        with open_span(found) as file:
            left = found.length
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk


def _text(archive: Archive, place: Place, media_type: str, base: str, wanted: Wanted) -> Answer:
    """A report or a document; a PDF as it is kept."""
    task = TextTask(place, media_type, base)
    if media_type == PDF:
        body: Body = _pdf(archive, place, dataset_of(place))
    else:
        body = _body(made(wanted, task))
    encoded = media_type if media_type in (PDF, "text/xml") else f"{media_type}; charset=utf-8"
    return Answer(
        encoded,
        body,
        etag=etag_of_keys([task.key]),
        vary="Accept",
        headers={} if media_type == PDF else {"Content-Security-Policy": _TEXT_SANDBOX},
        view="rendered",
        depends=(place.metadata.path, place.metadata.stat) if base == TO_STUDIES else None,
    )


def _pdf(archive: Archive, place: Place, dataset: Dataset) -> Body:
    """The document without the byte that pads it to an even length."""
    address = str(dataset[_DOCUMENT].get("BulkDataURI", "")).rpartition("bulkdata/")[2]
    if not is_bulkdata_id(address):
        return document(dataset, bulkdata_of(place))
    located = archive.locate(Resource(View.BULKDATA, place.resource.study, bulkdata=address))
    if located is None:
        raise NotFound(f"the document of {place.name} is missing")
    span = span_of(located)
    said = first_integer(dataset, _DOCUMENT_LENGTH)
    if said == span.length - 1 or (said is None and _ends_in_nul(span)):
        span = replace(span, length=span.length - 1)
    return loaded(span)


def _ends_in_nul(span: Span) -> bool:
    if not span.length:
        return False
    with open_span(span) as file:
        return os.pread(file.fileno(), 1, span.offset + span.length - 1) == b"\0"
