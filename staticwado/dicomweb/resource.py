"""Resources of the Studies service (PS3.18 10.1) and the URL paths that name them.

One rule: a path becomes a Resource only if every UID in it is a UID and every number a number.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from staticwado.dicom.keywords import is_tag_or_keyword
from staticwado.dicom.uid import is_uid
from staticwado.errors import BadRequest, NotFound


class View(Enum):
    """Which representation of a study, series or instance is meant."""

    STUDIES = "studies"
    """The list of all studies (search)."""
    SERIES = "series"
    """The list of series: of a study, or of all studies (search)."""
    INSTANCES = "instances"
    """The list of instances: of a series, of a study, or of all studies (search)."""
    MONTHS = "months"
    """The list of all studies by month of Study Date, the month being the rendition; without one, which
    months there are (docs/static-hosts.md).
    """
    INDEX = "index"
    """The precomputed study index file: the one-element answer to ?StudyInstanceUID=…"""
    PART10 = "part10"
    """The instances themselves, as Part 10 files (PS3.18 10.4.1.1.1)."""
    METADATA = "metadata"
    FRAMES = "frames"
    PIXELDATA = "pixeldata"
    BULKDATA = "bulkdata"
    THUMBNAIL = "thumbnail"
    RENDERED = "rendered"
    DEDUPLICATED = "deduplicated"
    """The compact form of a study's metadata (docs/layout.md)."""
    SKELETON = "skeleton"
    """What an instance's file holds beside frames and bulkdata, and its hash (private; never served)."""
    MARKER = "marker"
    """The file that makes a folder an archive."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A thing that can be asked for; `rendition` names one of its stored forms, None leaves it open."""

    view: View
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    frames: tuple[int, ...] = ()
    """Frame numbers from 1, as in the path (PS3.18 10.4.1.1.6)."""
    bulkdata: str | None = None
    """What follows `bulkdata/` in the URI: the content address and its suffix, or `<instance>/<tag>`; None
    for all values of a study, series or instance."""
    rendition: str | None = None

    def with_rendition(self, rendition: str) -> "Resource":
        return replace(self, rendition=rendition)


_BULKDATA = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}\.[a-z0-9]{1,8}")
_LEAVES = {
    "bulkdata": View.BULKDATA,
    "metadata": View.METADATA,
    "thumbnail": View.THUMBNAIL,
    "rendered": View.RENDERED,
    "pixeldata": View.PIXELDATA,
}
MAX_FRAMES_ASKED = 100_000


def is_bulkdata_id(text: str) -> bool:
    """Whether `text` is a content address as `layout` writes it: 2/62 hex digits of SHA-256 and a suffix."""
    return _BULKDATA.fullmatch(text) is not None


def parse_frames(text: str) -> tuple[int, ...]:
    """Frame numbers of a frame list (PS3.18 10.1.1): comma-separated, from 1, ascending.

    Raises BadRequest for anything else.
    """
    if len(text) > 11 * MAX_FRAMES_ASKED:
        raise BadRequest("the frame list is too long")
    numbers = []
    for item in text.split(","):
        if not (item.isascii() and item.isdigit()) or len(item) > 10 or int(item) < 1:
            raise BadRequest(f"frame numbers count from 1 and are separated by commas; not {text[:80]!r}")
        numbers.append(int(item))
    if any(after <= before for before, after in pairwise(numbers)):
        raise BadRequest(f"a frame list is ascending, without repeats; not {text[:80]!r}")
    return tuple(numbers)


def _uid(text: str, name: str) -> str:
    if not is_uid(text):
        raise BadRequest(f"{name} in the path is not a UID: {text[:80]!r}")
    return text


def parse_path(path: str) -> Resource:
    """The resource that `path` (decoded, no prefix or leading slash, such as `studies/1.2/series`) names.

    Raises BadRequest for a malformed UID or number, NotFound for a path outside the grammar of PS3.18 10.1.
    """
    parts = path.split("/")
    if parts and parts[-1] == "":
        parts.pop()  # one trailing slash names the same resource
    match parts:
        case ["studies"]:
            return Resource(View.STUDIES)
        case ["series"]:
            return Resource(View.SERIES)
        case ["instances"]:
            return Resource(View.INSTANCES)
        case ["studies", study, *rest]:
            return _in_study(_uid(study, "the study"), rest, path)
    raise NotFound(f"no DICOMweb resource has the path {path[:200]!r}")


def _in_study(study: str, rest: list[str], path: str) -> Resource:
    match rest:
        case []:
            return Resource(View.PART10, study)
        case ["series"]:
            return Resource(View.SERIES, study)
        case ["instances"]:
            return Resource(View.INSTANCES, study)
        case ["deduplicated"]:
            return Resource(View.DEDUPLICATED, study)
        case [leaf] if leaf in _LEAVES:
            return Resource(_LEAVES[leaf], study)
        case ["bulkdata", *address]:
            return Resource(View.BULKDATA, study, bulkdata=_bulkdata(address))
        case ["series", series, *below]:
            return _in_series(study, _uid(series, "the series"), below, path)
    raise NotFound(f"no DICOMweb resource has the path {path[:200]!r}")


def _bulkdata(address: list[str]) -> str:
    """A content address, or an instance and a tag or keyword (an extension)."""
    text = "/".join(address)
    if is_bulkdata_id(text):
        return text
    match address:
        case [instance, name] if is_tag_or_keyword(name) and is_uid(instance):
            return text
    raise NotFound(f"no bulkdata has the address {text[:100]!r}")


def _in_series(study: str, series: str, rest: list[str], path: str) -> Resource:
    match rest:
        case []:
            return Resource(View.PART10, study, series)
        case ["instances"]:
            return Resource(View.INSTANCES, study, series)
        case [leaf] if leaf in _LEAVES:
            return Resource(_LEAVES[leaf], study, series)
        case ["instances", instance, *below]:
            return _in_instance(study, series, _uid(instance, "the instance"), below, path)
    raise NotFound(f"no DICOMweb resource has the path {path[:200]!r}")


def _in_instance(study: str, series: str, instance: str, rest: list[str], path: str) -> Resource:
    match rest:
        case []:
            return Resource(View.PART10, study, series, instance)
        case [leaf] if leaf in _LEAVES:
            return Resource(_LEAVES[leaf], study, series, instance)
        case ["frames"]:
            raise BadRequest("a frame list is missing after frames/")
        case ["frames", numbers]:
            return Resource(View.FRAMES, study, series, instance, parse_frames(numbers))
        case ["frames", numbers, "thumbnail" | "rendered" as leaf]:
            return Resource(_LEAVES[leaf], study, series, instance, parse_frames(numbers))
    raise NotFound(f"no DICOMweb resource has the path {path[:200]!r}")


def format_path(resource: Resource) -> str:
    """The path of `resource`, without prefix or leading slash; `parse_path` gives it back.

    Raises ValueError for views that have no URL of their own.
    """
    if resource.view in (View.INDEX, View.SKELETON, View.MARKER):
        raise ValueError(f"{resource.view} has no URL")
    path = "" if resource.study is None else f"studies/{resource.study}"
    if resource.series is not None:
        path += f"/series/{resource.series}"
    if resource.instance is not None:
        path += f"/instances/{resource.instance}"
    if resource.frames:
        path += "/frames/" + ",".join(map(str, resource.frames))
    if resource.view in (View.PART10, View.FRAMES):
        return path
    if resource.view is View.BULKDATA and resource.bulkdata is not None:
        return f"{path}/bulkdata/{resource.bulkdata}"
    return f"{path}/{resource.view.value}".lstrip("/")
