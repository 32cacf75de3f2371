"""The one table of places: what an archive's tree looks like, version 1 (docs/layout.md).

One rule: every key, and every header that belongs to what is stored there, is decided here. For every key of
an archive, `stored_as(resource_of(key)).key == key`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from staticwado.dicom.transfer_syntax import FRAME_SUFFIXES
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.multipart import envelope_type
from staticwado.dicomweb.resource import Resource, View, is_bulkdata_id

VERSION = 1
MARKER = "staticwado.json"
STUDIES = "studies"
MONTHS = f"{STUDIES}/months"
UNDATED = "undated"
"""The month of studies that have no date, or none that is one."""
PRIVATE = ".staticwado"
STAGING = f"{PRIVATE}/staging"
PENDING = f"{PRIVATE}/pending"
PENDING_INDEX = f"{PENDING}/studies"
LOCKS = f"{PRIVATE}/locks"
LEDGER = f"{PRIVATE}/sources.sqlite"
CATALOG = f"{PRIVATE}/index.sqlite"
SPOOL = f"{PRIVATE}/spool"
TRASH = f"{PRIVATE}/trash"
DELETED = f"{PRIVATE}/deleted"
CACHE = f"{PRIVATE}/cache"
ASIDE = f"{PRIVATE}/aside"

DICOM_JSON = "application/dicom+json"
JSON = "application/json"
JPEG = "image/jpeg"

BULKDATA_TYPES: dict[str, str] = {
    "bin": "application/octet-stream",
    "pdf": "application/pdf",
    "xml": "text/xml",
    "stl": "model/stl",
    "obj": "model/obj",
    "mtl": "model/mtl",
    "jpg": "image/jpeg",
    "png": "image/png",
    "txt": "text/plain",
}
"""Suffix of a bulkdata file -> media type; what is not here is kept as `bin`."""


@dataclass(frozen=True, slots=True)
class StoredAs:
    """Where a resource is kept, and how a host must label the bytes."""

    key: str
    """Path below the archive's root, with forward slashes."""
    media_type: str
    encoding: str | None
    """Content-Encoding of the stored bytes: `gzip` or None."""
    immutable: bool
    """The bytes under this key never change while the instance exists."""


def bulkdata_suffix(media_type: str | None) -> str:
    """The suffix under which a value of `media_type` is kept; `bin` where the type is unknown."""
    wanted = (media_type or "").partition(";")[0].strip().lower()
    for suffix, known in BULKDATA_TYPES.items():
        if known == wanted:
            return suffix
    return "bin"


def bulkdata_id(sha256: str, suffix: str) -> str:
    """The content address of a value: what follows `bulkdata/` in its key and in its URI."""
    return f"{sha256[:2]}/{sha256[2:]}.{suffix}"


def folder_of(study: str, series: str | None = None, instance: str | None = None) -> str:
    """The key of the folder of a study, series or instance."""
    key = f"{STUDIES}/{study}"
    if series is not None:
        key += f"/series/{series}"
    if instance is not None:
        key += f"/instances/{instance}"
    return key


def _folder(resource: Resource) -> str:
    if resource.study is None:
        return STUDIES
    return folder_of(resource.study, resource.series, resource.instance)


def _json(key: str) -> StoredAs:
    return StoredAs(key, DICOM_JSON, "gzip", immutable=False)


def frame_name(number: int, suffix: str) -> str:
    """The name of the file of frame `number` (from 1) below `frames/`."""
    return f"{number}.{suffix}.mht" if suffix else f"{number}.mht"


def stored_as(resource: Resource) -> StoredAs:
    """Where exactly `resource` is kept; its rendition must be given where there are several.

    Raises ValueError for resources that are never stored, such as Part 10 and Pixel Data.
    """
    folder = _folder(resource)
    match resource.view:
        case View.MARKER:
            return StoredAs(MARKER, JSON, None, immutable=False)
        case View.STUDIES:
            return _json(f"{STUDIES}/index.json.gz")
        case View.MONTHS if resource.rendition is None:
            return StoredAs(f"{MONTHS}/index.json.gz", JSON, "gzip", immutable=False)
        case View.MONTHS if is_month(resource.rendition):
            return _json(f"{MONTHS}/{resource.rendition}.json.gz")
        case View.INDEX if resource.study is not None and resource.series is None:
            return _json(f"{folder}/index.json.gz")
        case View.SERIES if resource.study is not None and resource.series is None:
            return _json(f"{folder}/series/index.json.gz")
        case View.INSTANCES if resource.series is not None and resource.instance is None:
            return _json(f"{folder}/instances/index.json.gz")
        case View.METADATA if resource.study is not None:
            return _json(f"{folder}/metadata.gz")
        case View.SKELETON if resource.instance is not None:
            return StoredAs(f"{folder}/skeleton.gz", "application/octet-stream", "gzip", immutable=True)
        case View.THUMBNAIL if resource.study is not None and not resource.frames:
            return StoredAs(f"{folder}/thumbnail.jpg", JPEG, None, immutable=False)
        case View.DEDUPLICATED if resource.study is not None and resource.series is None:
            return StoredAs(f"{folder}/deduplicated/index.json.gz", JSON, "gzip", immutable=False)
        case View.FRAMES if _is_one_frame(resource) and resource.rendition in FRAME_SUFFIXES:
            name = frame_name(resource.frames[0], resource.rendition)
            media_type = envelope_type(FRAME_SUFFIXES[resource.rendition])
            return StoredAs(f"{folder}/frames/{name}", media_type, None, immutable=True)
        case View.BULKDATA if resource.bulkdata is not None and _is_bulkdata_of_study(resource):
            media_type = BULKDATA_TYPES[_suffix(resource.bulkdata)]
            return StoredAs(f"{folder}/bulkdata/{resource.bulkdata}", media_type, None, immutable=True)
    raise ValueError(f"{resource} is not stored as a file")


def _suffix(address: str) -> str:
    return address.rpartition(".")[2]


def _is_one_frame(resource: Resource) -> bool:
    return resource.instance is not None and len(resource.frames) == 1


def _is_bulkdata_of_study(resource: Resource) -> bool:
    known = resource.bulkdata is not None and _suffix(resource.bulkdata) in BULKDATA_TYPES
    return known and resource.study is not None and resource.series is None


def candidates(resource: Resource) -> Iterator[StoredAs]:
    """The places where `resource` may be kept, likeliest first; none for what is never stored."""
    if resource.view is View.FRAMES and resource.rendition is None and _is_one_frame(resource):
        for suffix in FRAME_SUFFIXES:
            yield stored_as(resource.with_rendition(suffix))
        return
    try:
        yield stored_as(resource)
    except ValueError:
        return


_FRAME = re.compile(r"([1-9][0-9]{0,9})(?:\.([a-z0-9]+))?\.mht")


def resource_of(key: str) -> Resource | None:
    """The resource that is kept under `key`, or None if no resource is ever kept there."""
    if key == MARKER:
        return Resource(View.MARKER)
    match key.split("/"):
        case ["studies", "index.json.gz"]:
            return Resource(View.STUDIES)
        case ["studies", "months", name] if name.endswith(".json.gz"):
            return _of_months(name.removesuffix(".json.gz"))
        case ["studies", study, *rest] if is_uid(study):
            return _in_study(Resource(View.INDEX, study), rest)
    return None


_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")


def is_month(name: str | None) -> bool:
    """Whether the index of all studies may have a file for the month `name`."""
    return name is not None and (name == UNDATED or _MONTH.fullmatch(name) is not None)


def _of_months(name: str) -> Resource | None:
    if name == "index":
        return Resource(View.MONTHS)
    return Resource(View.MONTHS, rendition=name) if is_month(name) else None


_STUDY_LEAVES = {
    "index.json.gz": View.INDEX,
    "metadata.gz": View.METADATA,
    "thumbnail.jpg": View.THUMBNAIL,
}


def _in_study(study: Resource, rest: list[str]) -> Resource | None:
    match rest:
        case [leaf] if leaf in _STUDY_LEAVES:
            return replace(study, view=_STUDY_LEAVES[leaf])
        case ["series", "index.json.gz"]:
            return replace(study, view=View.SERIES)
        case ["deduplicated", "index.json.gz"]:
            return replace(study, view=View.DEDUPLICATED)
        case ["bulkdata", *address] if is_bulkdata_id("/".join(address)):
            if _suffix(address[-1]) in BULKDATA_TYPES:
                return replace(study, view=View.BULKDATA, bulkdata="/".join(address))
        case ["series", series, *below] if is_uid(series):
            return _in_series(replace(study, series=series), below)
    return None


def _in_series(series: Resource, rest: list[str]) -> Resource | None:
    match rest:
        case ["metadata.gz"]:
            return replace(series, view=View.METADATA)
        case ["thumbnail.jpg"]:
            return replace(series, view=View.THUMBNAIL)
        case ["instances", "index.json.gz"]:
            return replace(series, view=View.INSTANCES)
        case ["instances", instance, *below] if is_uid(instance):
            return _in_instance(replace(series, instance=instance), below)
    return None


_INSTANCE_LEAVES = {
    "metadata.gz": View.METADATA,
    "skeleton.gz": View.SKELETON,
    "thumbnail.jpg": View.THUMBNAIL,
}


def _in_instance(instance: Resource, rest: list[str]) -> Resource | None:
    match rest:
        case [leaf] if leaf in _INSTANCE_LEAVES:
            return replace(instance, view=_INSTANCE_LEAVES[leaf])
        case ["frames", name] if (found := _FRAME.fullmatch(name)) is not None:
            suffix = found[2] or ""
            if suffix in FRAME_SUFFIXES:
                return replace(instance, view=View.FRAMES, frames=(int(found[1]),), rendition=suffix)
    return None


# Where the URIs in an instance's metadata point, relative to the URL of the metadata that holds them (RFC
# 3986). The encoder writes JSON without spaces and escapes quotes inside strings, so these byte strings occur
# only as keys.
_URI = b'"BulkDataURI":"'
_INSTANCE_BULKDATA = _URI + b"../../../../bulkdata/"
_INSTANCE_PIXELDATA = _URI + b'pixeldata"'
_SERIES_BULKDATA = _URI + b"../../bulkdata/"
_STUDY_BULKDATA = _URI + b"bulkdata/"


def bulkdata_uri(address: str) -> str:
    """The BulkDataURI of a value in the metadata of an instance."""
    return f"../../../../bulkdata/{address}"


PIXELDATA_URI = "pixeldata"
"""The BulkDataURI of Pixel Data in the metadata of an instance."""


def rebase(metadata: bytes, instance: Resource, *, to_study: bool) -> bytes:
    """`metadata` of one instance, its relative URIs rewritten for the metadata of its series or study."""
    if _URI not in metadata:
        return metadata
    if to_study:
        place = f"series/{instance.series}/instances/{instance.instance}/pixeldata"
        bulkdata = _STUDY_BULKDATA
    else:
        place = f"instances/{instance.instance}/pixeldata"
        bulkdata = _SERIES_BULKDATA
    metadata = metadata.replace(_INSTANCE_PIXELDATA, _URI + place.encode() + b'"')
    return metadata.replace(_INSTANCE_BULKDATA, bulkdata)


def retrieve_url(resource: Resource) -> str:
    """RetrieveURL (0008,1190) of an index entry, relative to the URL of the list that holds it."""
    if resource.instance is not None:
        return f"instances/{resource.instance}"
    if resource.series is not None:
        return f"series/{resource.series}"
    return f"studies/{resource.study}"
