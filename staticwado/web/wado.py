"""Retrieve (PS3.18 10.4): metadata, frames and thumbnails, as they are stored.

One rule: blocking functions from a resource to an answer; sockets, conditions and ranges come later.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import replace

from staticwado.archive import Archive, FrameLocation, Located, decompress, describe
from staticwado.dicom.transfer_syntax import OCTET_STREAM
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import TAIL, envelope_type
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.web.answer import DICOM_JSON, JSON, Answer, Body, Span, Stream, etag_of, seconds_of
from staticwado.web.request import Wanted
from staticwado.web.responses import SMALL, read_span

_CHUNK = 256 << 10


def span_of(located: Located) -> Span:
    """All of a stored file."""
    return Span(located.path, 0, located.stat.size, located.stat)


def loaded(span: Span) -> Body:
    """The body that a span makes: its bytes if they are few. Raises StoreUnavailable."""
    return read_span(span) if span.length <= SMALL else (span,)


def missing(archive: Archive, resource: Resource) -> NotFound:
    """An error that names the highest level of `resource` that the archive does not hold."""
    study, series, instance = resource.study, resource.series, resource.instance
    if study is not None and archive.locate(Resource(View.INDEX, study)) is None:
        return NotFound(f"the archive holds no study {study}")
    if series is not None and archive.locate(Resource(View.METADATA, study, series)) is None:
        return NotFound(f"the archive holds no series {series} in study {study}")
    if study and series and instance and not archive.exists(study, series, instance):
        return NotFound(f"the archive holds no instance {instance} in series {series} of study {study}")
    return NotFound(f"the archive holds no {resource.view.value} of {describe(resource)}")


def _inflated(located: Located) -> Iterator[bytes]:
    """The decompressed bytes of a stored file, in chunks."""
    machine = zlib.decompressobj(31)
    try:
        with open(located.path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                while chunk:
                    yield machine.decompress(chunk, _CHUNK * 4)
                    chunk = machine.unconsumed_tail
        yield machine.flush()
    except (OSError, zlib.error) as error:
        raise StoreUnavailable(f"{located.stored.key} could not be read: {error}") from error


def metadata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """Metadata at any level, or a study's deduplicated form. Raises NotFound, NotAcceptable."""
    media_type = JSON if resource.view is View.DEDUPLICATED else DICOM_JSON
    other = DICOM_JSON if media_type == JSON else JSON
    offer = choose(wanted.ranges, (Offer(media_type), Offer(other)))
    located = archive.locate(resource)
    if located is None:
        raise missing(archive, resource)
    return _compressed(located, offer.media_type, wanted.gzip, resource.view.value)


def _compressed(located: Located, media_type: str, gzip: bool, view: str) -> Answer:
    body: Body
    if gzip:
        body, form = loaded(span_of(located)), "gzip"
    elif located.stat.size <= SMALL:
        body, form = decompress(read_span(span_of(located)), located.stored.key), ""
    else:
        body, form = Stream(lambda: _inflated(located)), ""
    return Answer(
        media_type,
        body,
        etag=etag_of(located.stat, form),
        modified=seconds_of(located.stat),
        encoding="gzip" if gzip else None,
        view=view,
        depends=(located.path, located.stat),
    )


def thumbnail(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """A thumbnail (PS3.18 10.4.1.1.4). Raises NotFound, NotAcceptable."""
    choose(wanted.ranges, (Offer("image/jpeg"),))
    if resource.frames not in ((), (1,)):
        raise NotFound(f"thumbnails are kept for frame 1 alone, not for {_numbers(resource)}")
    located = archive.locate(replace(resource, frames=()))
    if located is None:
        error = missing(archive, resource)
        hint = "; none was made, or it has no image that can be shown" if "thumbnail" in str(error) else ""
        raise NotFound(f"{error}{hint}")
    return Answer(
        located.stored.media_type,
        loaded(span_of(located)),
        etag=etag_of(located.stat),
        modified=seconds_of(located.stat),
        view="thumbnail",
        depends=(located.path, located.stat),
    )


def _numbers(resource: Resource) -> str:
    text = ",".join(map(str, resource.frames))
    return f"frames {text[:60]}" if "," in text else f"frame {text}"


def frame_offers(media_type: str, transfer_syntax: str | None, *, single: bool) -> tuple[Offer, ...]:
    """How a stored frame can be had: as it is, in a multipart or (one frame) alone.

    `application/octet-stream` gets it too, under its true name, unless the client names another transfer
    syntax (CONFORMANCE F-05).
    """
    also = () if media_type == OCTET_STREAM else (OCTET_STREAM,)
    several = Offer(media_type, True, transfer_syntax, also)
    return (several, Offer(media_type, False, transfer_syntax, also)) if single else (several,)


def part_type(frame: FrameLocation) -> tuple[str, str | None]:
    """The media type of a stored frame, and its transfer syntax."""
    media_type, _, rest = frame.part_type.partition(";")
    name, _, uid = rest.strip().partition("=")
    return media_type.strip(), uid.strip() or None if name.strip().lower() == "transfer-syntax" else None


def frame_of(archive: Archive, resource: Resource, number: int) -> FrameLocation:
    """Where a frame lies. Raises NotFound, which says what is missing, or StoreUnavailable."""
    try:
        return archive.frame(replace(resource, view=View.FRAMES, frames=()), number)
    except NotFound as error:
        instance = missing(archive, replace(resource, view=View.FRAMES, frames=()))
        raise (error if "frames" in str(instance) else instance) from None


def frames(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """Frames of an instance (PS3.18 10.4.1.1.6). Raises NotFound, NotAcceptable."""
    found = [frame_of(archive, resource, number) for number in resource.frames]
    media_type, transfer_syntax = part_type(found[0])
    offer = choose(wanted.ranges, frame_offers(media_type, transfer_syntax, single=len(found) == 1))
    if not offer.multipart:
        return single_frame(found[0])
    if len(found) > 1:
        return frame_list(found)
    located = found[0].located
    return Answer(
        envelope_type(media_type),
        loaded(span_of(located)),
        etag=etag_of(located.stat),
        modified=seconds_of(located.stat),
        immutable=True,
        vary="Accept",
        view="frames",
        depends=(located.path, located.stat),
    )


def single_frame(frame: FrameLocation, *, content_type: str | None = None, view: str = "frames") -> Answer:
    """One frame as a body of its own: a stretch of the stored file."""
    located = frame.located
    media_type, transfer_syntax = part_type(frame)
    labelled = f"{media_type}; transfer-syntax={transfer_syntax}" if transfer_syntax else media_type
    return Answer(
        content_type or labelled,
        loaded(Span(located.path, frame.offset, frame.length, located.stat)),
        etag=etag_of(located.stat, "part"),
        modified=seconds_of(located.stat),
        immutable=True,
        vary="Accept",
        view=view,
        depends=(located.path, located.stat),
    )


def etag_of_all(found: list[FrameLocation], form: str) -> str:
    """The entity tag of a body that is composed of several frames."""
    digest = hashlib.blake2b(form.encode(), digest_size=16)
    for frame in found:
        digest.update(etag_of(frame.located.stat).encode())
    return f'"{digest.hexdigest()}"'


def frame_list(found: list[FrameLocation]) -> Answer:
    """Several frames in one multipart, in the order given: the stored files without their ends."""
    pieces: list[bytes | Span] = []
    for frame in found:
        stat = frame.located.stat
        pieces += (b"\r\n" if pieces else b"", Span(frame.located.path, 0, stat.size - len(TAIL), stat))
    pieces.append(TAIL)
    return Answer(
        envelope_type(part_type(found[0])[0]),
        tuple(pieces),
        etag=etag_of_all(found, "list"),
        immutable=True,
        vary="Accept",
        view="frames",
    )
