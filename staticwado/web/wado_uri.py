"""WADO-URI (PS3.18 9): one instance by query parameters, as a file or rendered, in a single part.

One rule: a parameter that cannot be followed is refused; none of chapter 9 is passed over in silence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from staticwado.archive import Archive
from staticwado.dicom.document import Category
from staticwado.dicom.jsonvalues import text
from staticwado.dicom.picture import PICTURE_TYPES
from staticwado.dicom.presentation import PRESENTATION_CLASSES
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.media import ANY, MULTIPART, MediaRange, Offer, choose, parse_accept
from staticwado.dicomweb.rendering import parse_wado_uri_rendering
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BadRequest, NotAcceptable, Unsupported
from staticwado.web.answer import Answer, Later
from staticwado.web.part10 import part10
from staticwado.web.pictures import GIF, Place, dataset_of
from staticwado.web.rendered import check_not_mixed
from staticwado.web.rendered_part import one
from staticwado.web.request import Wanted
from staticwado.web.subjects import Subject, frames_of, instance_of, place_of, state_of

PATH = "wado"
DICOM = "application/dicom"
_SOP_CLASS = "00080016"
_ONCE = (
    "requestType studyUID seriesUID objectUID contentType charset anonymize transferSyntax frameNumber "
    "imageAnnotation annotation imageQuality rows columns region windowCenter windowWidth "
    "presentationSeriesUID presentationUID"
).split()
_OF_PICTURES = (
    "frameNumber imageAnnotation annotation rows columns region windowCenter windowWidth "
    "presentationSeriesUID presentationUID"
).split()
"""Not for application/dicom; imageQuality is passed over there, as clients send it along with any type."""


def wado_uri(archive: Archive, wanted: Wanted) -> Later:
    """The answer to a WADO-URI request: later, by `make_wado_uri`."""
    return Later(lambda: make_wado_uri(archive, wanted))


def make_wado_uri(archive: Archive, wanted: Wanted) -> Answer:
    """The answer to a WADO-URI request, whose parameters are in `wanted`.

    Without `contentType` an image is a JPEG, a report or a document text, and anything else its file
    (9.4.1.1.1). A multi-frame image without `frameNumber` is shown by its first frame, as GIF by all of them.

    Raises BadRequest, which names the parameter, NotFound, NotAcceptable, Unsupported for `anonymize`,
    StoreUnavailable.
    """
    found = _parameters(wanted.parameters)
    resource = _resource(found)
    ranges = _ranges(found, wanted.ranges)
    _check_anonymize(found)
    if _is_dicom(ranges):
        return _file(archive, resource, found, wanted)
    if "transferSyntax" in found:
        raise BadRequest("transferSyntax is for contentType=application/dicom alone (PS3.18 9.4.2.4)")
    try:
        subject = _subject(archive, resource, found)
    except NotAcceptable:
        if "contentType" in found or any(name in found for name in _OF_PICTURES):
            raise
        return _file(archive, resource, found, wanted)
    media_type = choose(ranges, [Offer(name) for name in subject.single]).media_type
    rendering = parse_wado_uri_rendering(
        wanted.parameters, media_type, presentation=subject.state is not None
    )
    return one(archive, subject, media_type, rendering, wanted, f"{wanted.root}/studies/")


def _parameters(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters of chapter 9, each at most once; others are passed over (PS3.18 8.3)."""
    found: dict[str, str] = {}
    for name, value in given:
        if name in _ONCE:
            if name in found:
                raise BadRequest(f"{name} may be given once")
            found[name] = value
    if found.get("requestType") != "WADO":
        raise BadRequest(f"requestType must be WADO; not {found.get('requestType', '')[:80]!r}")
    return found


def _uid(found: Mapping[str, str], name: str) -> str:
    value = found.get(name, "")
    if not is_uid(value):
        raise BadRequest(f"{name} must be a UID; not {value[:80]!r}" if value else f"{name} is missing")
    return value


def _resource(found: Mapping[str, str]) -> Resource:
    study, series, instance = (_uid(found, name) for name in ("studyUID", "seriesUID", "objectUID"))
    return Resource(View.RENDERED, study, series, instance)


def _ranges(found: Mapping[str, str], accept: tuple[MediaRange, ...]) -> tuple[MediaRange, ...]:
    """The acceptable media types: those of `contentType` that Accept allows, too (9.4.1.1.1).

    Raises BadRequest for a `contentType` that makes no sense, NotAcceptable if Accept allows none of it.
    """
    # No multipart is ever had here, so an Accept that names nothing else says nothing: OHIF sends the one
    # that it has for frames along with every request.
    accept = tuple(one for one in accept if one.media_type != MULTIPART) or (MediaRange(ANY),)
    if "contentType" not in found:
        check_not_mixed(accept)
        return accept
    wanted = parse_accept(found["contentType"]) if found["contentType"].strip() else ()
    if not wanted:
        raise BadRequest(f"contentType names no media type: {found['contentType'][:80]!r}")
    if any(one.transfer_syntax for one in wanted):
        raise BadRequest("contentType has no transfer-syntax here; transferSyntax is a parameter of its own")
    check_not_mixed(wanted)
    allowed = tuple(one for one in wanted if _allows(accept, one.media_type))
    if not allowed:
        raise NotAcceptable(f"Accept does not allow what contentType names: {found['contentType'][:80]!r}")
    return allowed


def _allows(accept: tuple[MediaRange, ...], media_type: str) -> bool:
    try:
        choose(accept, [Offer(media_type)])
    except NotAcceptable:
        return media_type == ANY
    return True


def _check_anonymize(found: Mapping[str, str]) -> None:
    if "anonymize" not in found:
        return
    if found["anonymize"] != "yes":
        raise BadRequest(f"anonymize can only be yes (PS3.18 9.4.2.2); not {found['anonymize'][:80]!r}")
    raise Unsupported("anonymize is not possible: this server does not remove what identifies a patient")


def _is_dicom(ranges: Iterable[MediaRange]) -> bool:
    return any(one.media_type == DICOM and one.quality > 0 for one in ranges)


def _file(archive: Archive, resource: Resource, found: Mapping[str, str], wanted: Wanted) -> Answer:
    """The instance as one Part 10 file (9.4)."""
    for name in _OF_PICTURES:
        if name in found:
            raise BadRequest(f"{name} cannot be given with contentType=application/dicom (PS3.18 9.4)")
    syntax = found.get("transferSyntax")
    if syntax not in (None, "*"):
        syntax = _uid(found, "transferSyntax")
    ranges = (MediaRange(DICOM, transfer_syntax=syntax),)
    answer = part10(archive, replace(resource, view=View.PART10), replace(wanted, ranges=ranges))
    return answer.make() if isinstance(answer, Later) else answer


def _subject(archive: Archive, resource: Resource, found: Mapping[str, str]) -> Subject:
    """What is to be rendered, in a single part. Raises BadRequest, NotFound, NotAcceptable."""
    number = _frame_number(found)
    state = _state(archive, resource, found)
    if state is not None:
        if number is None:
            named = state_of(state).references.get(str(resource.instance), frozenset())
            number = min(named, default=1)
        subject = frames_of(archive, replace(resource, frames=(number,)))
        return replace(subject, state=state)
    if number is not None:
        return frames_of(archive, replace(resource, frames=(number,)))
    subject = instance_of(archive, resource)
    if subject.category is Category.MULTI_FRAME_IMAGE:
        pictures = tuple(name for name in PICTURE_TYPES if name != GIF or GIF in subject.single)
        return replace(subject, single=pictures)
    if not subject.single:
        raise NotAcceptable("it is several pictures, which do not fit into a single part")
    return subject


def _frame_number(found: Mapping[str, str]) -> int | None:
    value = found.get("frameNumber")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or int(value) < 1:
        raise BadRequest(f"frameNumber must be a whole number from 1; not {value[:80]!r}")
    return int(value)


def _state(archive: Archive, resource: Resource, found: Mapping[str, str]) -> Place | None:
    """The presentation state that the parameters name (9.4.1.2). Raises BadRequest or NotFound."""
    if ("presentationUID" in found) != ("presentationSeriesUID" in found):
        raise BadRequest("presentationUID and presentationSeriesUID must be given together (PS3.18 9.4.1.2)")
    if "presentationUID" not in found:
        return None
    series, instance = _uid(found, "presentationSeriesUID"), _uid(found, "presentationUID")
    place = place_of(archive, Resource(View.METADATA, resource.study, series, instance))
    if text(dataset_of(place), _SOP_CLASS) not in PRESENTATION_CLASSES:
        raise BadRequest(f"presentationUID: instance {instance} is no presentation state that can be applied")
    return place


def is_wado_uri(prefix: str, path: str, parameters: Mapping[str, str]) -> bool:
    """Whether a request is one by URI: `wado` below the service or beside it, or the service itself.

    `prefix` is the path of the service: `/aets/A/wado` is beside `/aets/A/rs`. Only below the service does
    `wado` need no `requestType` to be one.
    """
    if path == f"{prefix}/{PATH}" and prefix:
        return True
    beside = f"{prefix.rpartition('/')[0]}/{PATH}"
    return "requestType" in parameters and path in (
        prefix,
        f"{prefix}/",
        f"{prefix}/{PATH}",
        beside,
        f"/{PATH}",
    )
