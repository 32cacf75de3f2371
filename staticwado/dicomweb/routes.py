"""The table of routes: methods, paths, media types and parameters of the Studies service (PS3.18 8 to 10).

One rule: what is written of the service (WADL, OpenAPI) is made from this table; `web` says what is on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

DICOM, DICOM_JSON, DICOM_XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
JSON, OCTET_STREAM, ZIP = "application/json", "application/octet-stream", "application/zip"
WADL, OPENAPI = "application/vnd.sun.wadl+xml", "application/vnd.oai.openapi+json"


class Service(Enum):
    """What a route is a part of; each can be on or off."""

    RETRIEVE = "retrieve"
    RENDERED = "rendered"
    THUMBNAIL = "thumbnail"
    SEARCH = "search"
    STORE = "store"
    DELETE = "delete"
    """No part of PS3.18."""
    URI = "uri"
    """WADO-URI (PS3.18 9)."""
    CAPABILITIES = "capabilities"


@dataclass(frozen=True, slots=True)
class Media:
    """A media type of a body."""

    media_type: str
    """Of the body; of the parts if it is a multipart."""
    multipart: bool = False
    transfer_syntax: bool = False
    """Whether the client may name a transfer syntax."""

    def __str__(self) -> str:
        return f'multipart/related; type="{self.media_type}"' if self.multipart else self.media_type


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    meaning: str
    pattern: str = ""
    """A regular expression of what it may be (ECMA 262); empty for any text."""
    required: bool = False
    repeats: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One transaction (PS3.18 tables 10.3-1, 10.4.1-1, 10.5.1-1, 10.6.1-1)."""

    service: Service
    method: str
    path: str
    """A URI template below the base, such as `studies/{study}`; empty for the base itself."""
    name: str
    """The transaction in words: `Retrieve Study Metadata`."""
    answers: tuple[Media, ...] = ()
    """What the body may be, the default first."""
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = (200,)
    takes: tuple[Media, ...] = ()
    """What the body of the request may be."""
    reference: str = ""

    @property
    def identifier(self) -> str:
        """The name without spaces, the first letter small: `retrieveStudyMetadata`."""
        first, *rest = self.name.replace("-", " ").split()
        return first.lower() + "".join(word[0].upper() + word[1:] for word in rest)


ACCEPT = Parameter("accept", "media types; wins over the Accept header (PS3.18 8.3.3.1)")
CHARSET = Parameter("charset", "character sets; UTF-8 is always there (PS3.18 8.3.3.2)")
_RENDERING = (
    Parameter("annotation", "what is burnt in", options=("patient", "technique"), repeats=True),
    Parameter("quality", "of a lossy image, from 1 to 100", "^([1-9][0-9]?|100)$"),
    Parameter("viewport", "width, height and region: vw,vh,sx,sy,sw,sh", "^[0-9]+,[0-9]+(,[^,]*){0,4}$"),
    Parameter("window", "center,width,function", "^[^,]+,[^,]+,(linear|linear-exact|sigmoid)$"),
    Parameter("iccprofile", "the colour space", options=("no", "yes", "srgb", "adobergb", "rommrgb")),
)
_SMALL = (Parameter("viewport", "width and height: vw,vh", "^[0-9]+,[0-9]+$"),)
_SWITCH = ("true", "false")
_QUERY = (
    Parameter("limit", "the most results", "^[0-9]+$"),
    Parameter("offset", "results to leave out", "^[0-9]+$"),
    Parameter("includefield", "attributes to return, or all", repeats=True),
    Parameter("fuzzymatching", "match names with typos and in any order", options=_SWITCH),
    Parameter("emptyvaluematching", 'match absent values with ""', options=_SWITCH),
    Parameter("multiplevaluematching", "match all of several values", options=_SWITCH),
)
_UID = "^[0-9]+([.][0-9]+)*$"
_WADO = (
    Parameter("requestType", "WADO", required=True, options=("WADO",)),
    Parameter("studyUID", "the study", _UID, required=True),
    Parameter("seriesUID", "the series", _UID, required=True),
    Parameter("objectUID", "the instance", _UID, required=True),
    Parameter("contentType", "media types of the answer"),
    CHARSET,
    Parameter("anonymize", "remove what identifies the patient", options=("yes",)),
    Parameter("transferSyntax", "of application/dicom", _UID),
    Parameter("imageAnnotation", "what is burnt in", options=("patient", "technique"), repeats=True),
    Parameter("annotation", "the older name of imageAnnotation", repeats=True),
    Parameter("frameNumber", "one frame, from 1", "^[1-9][0-9]*$"),
    Parameter("imageQuality", "of a lossy image, from 1 to 100", "^([1-9][0-9]?|100)$"),
    Parameter("rows", "the most rows", "^[1-9][0-9]*$"),
    Parameter("columns", "the most columns", "^[1-9][0-9]*$"),
    Parameter("region", "xmin,ymin,xmax,ymax, from 0.0 to 1.0", "^[0-9.]+(,[0-9.]+){3}$"),
    Parameter("windowCenter", "with windowWidth"),
    Parameter("windowWidth", "with windowCenter"),
    Parameter("presentationSeriesUID", "the series of presentationUID", _UID),
    Parameter("presentationUID", "the presentation state to show it by", _UID),
)

_INSTANCES = (Media(DICOM, True, True), Media(OCTET_STREAM, True), Media(ZIP))
_INSTANCE = (Media(DICOM, True, True), Media(DICOM, False, True), Media(OCTET_STREAM, True), Media(ZIP))
_METADATA = (Media(DICOM_JSON), Media(JSON), Media(DICOM_XML, True))
_COMPRESSED = tuple(
    Media(media_type, True, True)
    for media_type in "image/jpeg image/dicom-rle image/jls image/jp2 image/jpx image/jphc image/jxl".split()
)
_VIDEOS = tuple(Media(media_type, True, True) for media_type in ("video/mpeg", "video/mp4", "video/H265"))
_BULK = (Media(OCTET_STREAM, True, True), Media(OCTET_STREAM, False, True))
_PIXELS = (*_BULK, *_COMPRESSED, *_VIDEOS)
_BULKDATA = (*_BULK, Media("application/pdf"), Media("text/xml"))
_RENDERED_TYPES = ("image/jpeg", "image/gif", "image/png", "video/mp4", "video/mpeg")
_TEXT_TYPES = ("text/html", "text/plain", "text/xml", "application/pdf")
_RENDERED_ONE = tuple(Media(media_type) for media_type in (*_RENDERED_TYPES, *_TEXT_TYPES))
_RENDERED_MANY = tuple(Media(media_type, True) for media_type in (*_RENDERED_TYPES, *_TEXT_TYPES))
_RENDERED_FRAMES = tuple(
    Media(media_type, several) for several in (False, True) for media_type in _RENDERED_TYPES[:3]
)
_FOUND = (Media(DICOM_JSON), Media(JSON), Media(DICOM_XML, True))
_STORED = (Media(DICOM, True), Media(DICOM_JSON, True), Media(DICOM_XML, True), Media(DICOM))
_GOT = (200, 206, 304, 400, 404, 406, 410, 413)
_ASKED = (200, 400, 406, 413)
_KEPT = (200, 202, 400, 409, 413, 415, 503)

STUDY, SERIES = "studies/{study}", "studies/{study}/series/{series}"
INSTANCE = "studies/{study}/series/{series}/instances/{instance}"
FRAMES = f"{INSTANCE}/frames/{{frames}}"
_LEVELS = (("Study", STUDY), ("Series", SERIES), ("Instance", INSTANCE))


def _get(
    service: Service, path: str, name: str, answers: tuple[Media, ...], *more: Parameter, reference: str
) -> Route:
    return Route(service, "GET", path, name, answers, (ACCEPT, CHARSET, *more), _GOT, reference=reference)


def _retrievals() -> Iterator[Route]:
    """The Retrieve transactions (PS3.18 10.4)."""
    for words, path in _LEVELS:
        single = words == "Instance"
        whole, shown = (_INSTANCE, _RENDERED_ONE) if single else (_INSTANCES, _RENDERED_MANY)
        yield _get(Service.RETRIEVE, path, f"Retrieve {words}", whole, reference="10.4")
        yield _get(
            Service.RETRIEVE, f"{path}/metadata", f"Retrieve {words} Metadata", _METADATA, reference="10.4"
        )
        yield from _leaves(path, words, shown)
        yield _get(
            Service.RETRIEVE, f"{path}/bulkdata", f"Retrieve {words} Bulkdata", _BULKDATA, reference="10.4"
        )
        yield _get(
            Service.RETRIEVE, f"{path}/pixeldata", f"Retrieve {words} Pixel Data", _PIXELS, reference="10.4"
        )
    yield _get(Service.RETRIEVE, FRAMES, "Retrieve Frames", _PIXELS, reference="10.4")
    yield from _leaves(FRAMES, "Frames", _RENDERED_FRAMES)
    address = f"{STUDY}/bulkdata/{{prefix}}/{{address}}"
    yield _get(Service.RETRIEVE, address, "Retrieve Bulkdata", _BULKDATA, reference="10.4")


def _leaves(path: str, words: str, shown: tuple[Media, ...]) -> Iterator[Route]:
    yield _get(
        Service.RENDERED,
        f"{path}/rendered",
        f"Retrieve Rendered {words}",
        shown,
        *_RENDERING,
        reference="10.4",
    )
    small = (Media("image/jpeg"),)
    yield _get(
        Service.THUMBNAIL,
        f"{path}/thumbnail",
        f"Retrieve {words} Thumbnail",
        small,
        *_SMALL,
        reference="10.4",
    )


def _searches() -> Iterator[Route]:
    """The Search transactions (PS3.18 10.6)."""
    for path, name in (
        ("studies", "Search for Studies"),
        (f"{STUDY}/series", "Search for Study Series"),
        (f"{SERIES}/instances", "Search for Study Series Instances"),
        (f"{STUDY}/instances", "Search for Study Instances"),
        ("series", "Search for Series"),
        ("instances", "Search for Instances"),
    ):
        parameters = (ACCEPT, CHARSET, *_QUERY)
        yield Route(Service.SEARCH, "GET", path, name, _FOUND, parameters, _ASKED, reference="10.6")


def _changes() -> Iterator[Route]:
    """The Store transactions (PS3.18 10.5), and deleting, which the standard has not."""
    answers = (Media(DICOM_JSON), Media(DICOM_XML))
    for path, name in (("studies", "Store Instances"), (STUDY, "Store Study Instances")):
        yield Route(Service.STORE, "POST", path, name, answers, (ACCEPT,), _KEPT, _STORED, "10.5")
    for words, path in _LEVELS:
        yield Route(Service.DELETE, "DELETE", path, f"Delete {words}", statuses=(204, 404, 405, 409))


ROUTES: tuple[Route, ...] = (
    *_searches(),
    *_retrievals(),
    *_changes(),
    Route(
        Service.URI,
        "GET",
        "",
        "Retrieve by URI",
        (Media("image/jpeg"), Media(DICOM), *_RENDERED_ONE[1:]),
        _WADO,
        (200, 400, 404, 406, 410),
        reference="9",
    ),
    Route(
        Service.CAPABILITIES,
        "OPTIONS",
        "",
        "Retrieve Capabilities",
        (Media(WADL), Media(OPENAPI)),
        (ACCEPT,),
        (200, 406),
        reference="8.9",
    ),
)
"""All that there may be; a server leaves out what it has off."""


def routes(*services: Service) -> tuple[Route, ...]:
    """The routes of the services that are on, in the order of the table."""
    return tuple(route for route in ROUTES if route.service in services)
