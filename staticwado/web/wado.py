"""What all that is retrieved has in common (PS3.18 10.4): where things lie, and what is missing.

One rule: blocking functions from a resource to an answer; sockets, conditions and ranges come later.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from staticwado import layout
from staticwado.archive import Archive, FrameLocation, Located, describe
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.web.answer import Answer, Body, Span, etag_of, seconds_of
from staticwado.web.responses import SMALL, read_span


def span_of(located: Located) -> Span:
    """All of a stored file."""
    return Span(located.path, 0, located.stat.size, located.stat)


def loaded(span: Span) -> Body:
    """The body that a span makes: its bytes if they are few. Raises StoreUnavailable."""
    return read_span(span) if span.length <= SMALL else (span,)


def missing(archive: Archive, resource: Resource) -> NotFound:
    """An error that names the highest level of `resource` that the archive does not hold."""
    study, series, instance = resource.study, resource.series, resource.instance
    if study is not None and not any(_has_instances(archive, study, one) for one in archive.series(study)):
        return NotFound(f"the archive holds no study {study}")
    if study is not None and series is not None and not _has_instances(archive, study, series):
        return NotFound(f"the archive holds no series {series} in study {study}")
    if study and series and instance and not archive.exists(study, series, instance):
        return NotFound(f"the archive holds no instance {instance} in series {series} of study {study}")
    return NotFound(f"the archive holds no {resource.view.value} of {describe(resource)}")


def _has_instances(archive: Archive, study: str, series: str) -> bool:
    return next(archive.instances(study, series), None) is not None


def dataset_of(archive: Archive, resource: Resource) -> Mapping[str, Any]:
    """The metadata of an instance. Raises NotFound or StoreUnavailable."""
    datasets = archive.read_json(Resource(View.METADATA, resource.study, resource.series, resource.instance))
    if not isinstance(datasets, list) or not datasets or not isinstance(datasets[0], dict):
        raise StoreUnavailable(f"the metadata of instance {resource.instance} are damaged")
    return datasets[0]


def all_frames(archive: Archive, resource: Resource) -> Iterator[FrameLocation]:
    """The frames of an instance, in order, as far as they are kept. Raises StoreUnavailable."""
    instance = replace(resource, view=View.FRAMES, frames=())
    for number in count(1):
        try:
            frame = archive.frame(instance, number)
        except NotFound:
            return
        stored = layout.resource_of(frame.located.stored.key)
        if number == 1 and stored is not None:  # the others have the same form: look there first
            instance = instance.with_rendition(stored.rendition or "")
        yield frame


def part_type(frame: FrameLocation) -> tuple[str, str | None]:
    """The media type of a stored frame, and its transfer syntax."""
    media_type, _, rest = frame.part_type.partition(";")
    name, _, uid = rest.strip().partition("=")
    return media_type.strip(), uid.strip() or None if name.strip().lower() == "transfer-syntax" else None


def payload(frame: FrameLocation) -> Span:
    """The bytes of a frame."""
    return Span(frame.located.path, frame.offset, frame.length, frame.located.stat)


def frame_of(archive: Archive, resource: Resource, number: int) -> FrameLocation:
    """Where a frame lies. Raises NotFound, which says what is missing, or StoreUnavailable."""
    try:
        return archive.frame(replace(resource, view=View.FRAMES, frames=()), number)
    except NotFound as error:
        instance = missing(archive, replace(resource, view=View.FRAMES, frames=()))
        raise (error if "frames" in str(instance) else instance) from None


def single_frame(frame: FrameLocation, *, content_type: str | None = None, view: str = "frames") -> Answer:
    """One frame as a body of its own: a stretch of the stored file."""
    located = frame.located
    media_type, transfer_syntax = part_type(frame)
    labelled = f"{media_type}; transfer-syntax={transfer_syntax}" if transfer_syntax else media_type
    return Answer(
        content_type or labelled,
        loaded(payload(frame)),
        etag=etag_of(located.stat, "part"),
        modified=seconds_of(located.stat),
        immutable=True,
        vary="Accept",
        view=view,
        depends=(located.path, located.stat),
    )
