"""Rendered resources (PS3.18 10.4.1.1.3): images as pictures, reports and documents as text, video as it is.

One rule: what was asked for and is not in the answer is said.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from staticwado.archive import Archive
from staticwado.dicom.document import Category
from staticwado.dicomweb.media import MediaRange, Offer, choose
from staticwado.dicomweb.multipart import envelope_type, head, join
from staticwado.dicomweb.rendering import Rendering, parse_rendered
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.errors import BadRequest, NotAcceptable, NotFound
from staticwado.ingest.ordering import ordered_instances
from staticwado.web.answer import Answer, Later, Stream
from staticwado.web.pictures import GIF
from staticwado.web.rendered_part import chunks, etag_of_keys, keys_of, one, picture_answer, warnings
from staticwado.web.request import Wanted
from staticwado.web.subjects import MOST_PICTURES, Subject, frames_of, instance_of
from staticwado.web.wado import missing

_SHOWN = 20
_DICOM_TYPES = frozenset({"application/dicom", "application/dicom+json", "application/dicom+xml"})


@dataclass(frozen=True, slots=True)
class _Part:
    """An instance in a multipart: one part, or one a frame."""

    subject: Subject
    media_type: str
    rendering: Rendering


def rendered(archive: Archive, resource: Resource, wanted: Wanted) -> Later:
    """A study, a series, an instance or frames, ready for a browser: later, by `make_rendered`."""
    return Later(lambda: make_rendered(archive, resource, wanted))


def make_rendered(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """A study, a series, an instance or frames, ready for a browser.

    One frame, one document and one video come in a single part; a multi-frame image too, as an animated GIF.
    All that is several comes in a multipart, one part a picture. At most `MOST_PICTURES` make one answer.

    Raises NotFound, NotAcceptable, which says why nothing can be rendered, BadRequest for impossible
    parameters, StoreUnavailable.
    """
    check_not_mixed(wanted.ranges)
    if resource.instance is None:
        return _all(archive, resource, wanted)
    _check_count(len(resource.frames))
    subject = frames_of(archive, resource) if resource.frames else instance_of(archive, resource)
    offers = [Offer(name) for name in subject.single]
    offers += [Offer(name, multipart=True) for name in subject.several]
    offer = choose(wanted.ranges, offers)
    if offer.multipart:
        _check_count(len(subject.pictures))
        absent = ", ".join(map(str, subject.absent[:_SHOWN]))
        left_out = f"there is no frame {absent}" if absent else ""
        return _multipart(archive, [_part(subject, wanted)], wanted, left_out)
    return one(archive, subject, offer.media_type, _rendering(subject, offer.media_type, wanted), wanted)


def check_not_mixed(ranges: Iterable[MediaRange]) -> None:
    """Raises BadRequest if a client accepts DICOM and rendered media types at once (PS3.18 8.7.5)."""
    names = {wanted.part_type or wanted.media_type for wanted in ranges if wanted.quality}
    dicom = names & _DICOM_TYPES
    rendering = {name for name in names - dicom if name.startswith(("image/", "text/", "video/"))}
    if dicom and rendering:
        raise BadRequest(
            f"Accept mixes DICOM media types ({min(dicom)}) and rendered ones ({min(rendering)})"
        )


def _check_count(pictures: int) -> None:
    if pictures > MOST_PICTURES:
        raise NotAcceptable(
            f"one answer holds at most {MOST_PICTURES} pictures; ask for instances, or for frames"
        )


def _rendering(subject: Subject, media_type: str, wanted: Wanted) -> Rendering:
    if subject.category in (Category.TEXT, Category.VIDEO):
        return Rendering()
    return parse_rendered(wanted.parameters, media_type, presentation=subject.state is not None)


def _all(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """All instances of a study or a series that can be rendered and are acceptable; 206 if some are not."""
    parts: list[_Part] = []
    refused: list[str] = []
    pictures = 0
    for instance in instances_of(archive, resource):
        try:
            part = _part(instance_of(archive, instance), wanted, whole=False)
        except (NotAcceptable, NotFound) as error:
            refused.append(f"instance {instance.instance}: {error}")
            continue
        pictures += max(len(part.subject.pictures), 1)
        _check_count(pictures)
        parts.append(part)
    if not parts:
        raise (
            NotAcceptable(refused[0]) if refused else missing(archive, replace(resource, view=View.METADATA))
        )
    left_out = f"{len(refused)} instances cannot be rendered so; {refused[0]}" if refused else ""
    return _multipart(archive, parts, wanted, left_out)


def instances_of(archive: Archive, resource: Resource) -> Iterator[Resource]:
    """The instances of a study or a series, in the order of their numbers."""
    if resource.study is None:
        return
    for series in [resource.series] if resource.series else archive.series(resource.study):
        for uid in ordered_instances(archive, resource.study, series):
            yield Resource(View.RENDERED, resource.study, series, uid)


def _part(subject: Subject, wanted: Wanted, *, whole: bool = True) -> _Part:
    """How `subject` is to be in a multipart.

    `whole` says that it is all that was asked for. Raises NotAcceptable, BadRequest.
    """
    offer = choose(wanted.ranges, [Offer(name, multipart=True) for name in subject.several])
    if subject.state is not None and not whole and any(name == "window" for name, _ in wanted.parameters):
        raise NotAcceptable("a presentation state has a window of its own")
    return _Part(subject, offer.media_type, _rendering(subject, offer.media_type, wanted))


def _multipart(archive: Archive, parts: Sequence[_Part], wanted: Wanted, left_out: str = "") -> Answer:
    etag = etag_of_keys(
        chain([wanted.root], *(keys_of(part.subject, part.media_type, part.rendering) for part in parts))
    )
    # Made of what the pictures are made of: none of them can hold it but by a chance that is none.
    boundary = f"staticwado-{hashlib.sha256(etag.encode()).hexdigest()[:48]}"
    return Answer(
        envelope_type(parts[0].media_type, boundary),
        Stream(lambda: join(_bodies(archive, parts, wanted, boundary), boundary)),
        status=206 if left_out else 200,
        etag=etag,
        vary="Accept",
        headers=warnings(parts[0].rendering, wanted, left_out),
        view="rendered",
    )


def _bodies(
    archive: Archive, parts: Sequence[_Part], wanted: Wanted, boundary: str
) -> Iterator[tuple[bytes, Iterable[bytes]]]:
    for part in parts:
        for answer, location in _answers(archive, part, wanted):
            start = head(answer.content_type, f"{wanted.root}/{location}", boundary)
            pieces = chunks(answer.body)
            # Together, so that nothing has been sent yet if the first picture cannot be made.
            yield start + next(pieces, b""), pieces


def _answers(archive: Archive, part: _Part, wanted: Wanted) -> Iterator[tuple[Answer, str]]:
    """What is in each part of one instance, and its path."""
    subject = part.subject
    whole = replace(subject.place.resource, view=View.RENDERED)
    if not subject.pictures or (part.media_type == GIF and subject.animated):
        base = f"{wanted.root}/studies/"
        yield one(archive, subject, part.media_type, part.rendering, wanted, base), format_path(whole)
        return
    for shown in subject.pictures:
        answer = picture_answer(archive, shown, part.media_type, part.rendering, subject.state, wanted)
        frame = replace(shown.place.resource, view=View.RENDERED, frames=(shown.number,))
        yield answer, format_path(whole if subject.state is not None else frame)
