"""Bulkdata and Pixel Data of many instances at once, and bulkdata by instance and tag (PS3.18 10.4.1.1.5).

One rule: one instance at a time is looked at, and one value at a time is read, however many there are.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import orjson

from staticwado.archive import Archive
from staticwado.dicom.keywords import tag_named
from staticwado.dicom.transfer_syntax import OCTET_STREAM
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import envelope_type
from staticwado.dicomweb.resource import Resource, View, format_path, is_bulkdata_id
from staticwado.errors import NotAcceptable, NotFound, StoreUnavailable
from staticwado.ingest.export import Kept, kept_instances
from staticwado.ingest.kept import read_file
from staticwado.web.answer import DICOM_JSON, JSON, Answer, Later, Stream, etag_of
from staticwado.web.bulkdata import inline_value, stored_value
from staticwado.web.pixeldata import Part, check_acceptable, instance_pixeldata, joined, pixel_data
from staticwado.web.request import Wanted
from staticwado.web.wado import all_frames, dataset_of, missing, part_type

_PIXELDATA = "pixeldata"
_PIXELS = frozenset({"7FE00010", "7FE00008", "7FE00009"})
_VALUES, _LIST = Offer(OCTET_STREAM, multipart=True), (Offer(JSON), Offer(DICOM_JSON))
Item = tuple[str, Mapping[str, Any]]
"""The tags that lead to an element, joined by dots, and the element in DICOM JSON."""


def bulkdata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer | Later:
    """Bulkdata: a value at its address or by instance and tag, or all values of a study, series or instance.

    All values: a multipart with their Content-Locations, or, as JSON, a list of what there is (an extension).
    Raises BadRequest, NotFound, NotAcceptable or StoreUnavailable.
    """
    if resource.bulkdata is None:
        return Later(lambda: _all_values(archive, resource, wanted))
    if is_bulkdata_id(resource.bulkdata):
        return stored_value(archive, resource, wanted)
    return Later(lambda: _by_tag(archive, resource, wanted))


def _all_values(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    found = _instances(archive, resource)
    if choose(wanted.ranges, (_VALUES, *_LIST)) in _LIST:
        return Answer(JSON, Stream(lambda: _listing(archive, found, wanted)), vary="Accept", view="bulkdata")
    fitting, left_out = _acceptable(archive, found, wanted)
    if left_out and not fitting:
        raise left_out[0]
    return _multipart(fitting, left_out, lambda kept: _all_parts(archive, kept, wanted), "bulkdata")


def pixeldata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """Pixel Data of an instance, or of all instances of a study or a series that have any.

    206 where that of some cannot be had in a form that the client accepts, 406 where none can.
    Raises NotFound, NotAcceptable or StoreUnavailable.
    """
    if resource.instance is not None:
        return instance_pixeldata(archive, resource, wanted)
    found = _instances(archive, resource)
    fitting, left_out = _acceptable(archive, found, wanted)
    return _multipart(fitting, left_out, lambda kept: _pixel_parts(archive, kept, wanted), "pixeldata")


def _instances(archive: Archive, resource: Resource) -> list[Kept]:
    found = list(kept_instances(archive, resource))
    if not found:
        raise missing(archive, Resource(View.METADATA, resource.study, resource.series, resource.instance))
    return found


def _acceptable(
    archive: Archive, found: list[Kept], wanted: Wanted
) -> tuple[list[Kept], list[NotAcceptable]]:
    """The instances whose Pixel Data, if any, the client accepts, and why it does not accept the others'."""
    fitting: list[Kept] = []
    left_out: list[NotAcceptable] = []
    for kept in found:
        try:
            check_acceptable(archive, _resource(kept, View.PIXELDATA), wanted)
            fitting.append(kept)
        except NotFound:
            fitting.append(kept)
        except NotAcceptable as error:
            left_out.append(error)
    return fitting, left_out


def _multipart(
    found: list[Kept],
    left_out: list[NotAcceptable],
    parts_of: Callable[[Kept], Iterator[Part]],
    view: str,
) -> Answer:
    """All parts of all instances. Raises NotFound where there is none: a multipart has one at least."""
    stream = (part for kept in found for part in parts_of(kept))
    first = next(stream, None)
    if first is None:
        raise left_out[0] if left_out else NotFound(f"there is no {view} in what was asked for")
    # Made of when and where the files were written: no value can hold it on purpose.
    digest = hashlib.sha256(view.encode())
    for kept in found:
        digest.update(f"{kept.file_name} {etag_of(kept.stat)}".encode())
    boundary = f"staticwado-{digest.hexdigest()[:48]}"
    media_type = first.content_type.partition(";")[0]
    warning = f'299 staticwado "{view} of {len(left_out)} instances is not to be had in that form"'
    return Answer(
        envelope_type(media_type, boundary),
        Stream(lambda: joined(chain((first,), stream), boundary)),
        status=206 if left_out else 200,
        vary="Accept",
        headers={"Warning": warning} if left_out else {},
        view=view,
    )


# -- one instance --------------------------------------------------------------------------------------------


def _resource(kept: Kept, view: View) -> Resource:
    return Resource(view, kept.study, kept.series, kept.instance)


def _items(dataset: Mapping[str, Any], path: str = "") -> Iterator[Item]:
    """The elements whose values are kept outside the metadata, those in sequences too, each value once."""
    for tag, element in dataset.items():
        if "BulkDataURI" in element:
            yield path + tag, element
        elif element.get("vr") == "SQ":
            for item in element.get("Value", ()):
                if isinstance(item, dict):
                    yield from _items(item, f"{path}{tag}.")


def _address(element: Mapping[str, Any]) -> str | None:
    """The content address of a value; None for Pixel Data."""
    address = str(element["BulkDataURI"]).rpartition("bulkdata/")[2]
    return address if is_bulkdata_id(address) else None


def _all_parts(archive: Archive, kept: Kept, wanted: Wanted) -> Iterator[Part]:
    """Every bulk value of an instance once, in the order of the tags."""
    seen: set[str] = set()
    for path, element in _items(dataset_of(archive, _resource(kept, View.METADATA))):
        address = _address(element)
        if address is None:
            if path in _PIXELS:
                yield from _pixel_parts(archive, kept, wanted)
        elif address not in seen:
            seen.add(address)
            value = Resource(View.BULKDATA, kept.study, bulkdata=address)
            located = archive.locate(value)
            if located is None:
                raise StoreUnavailable(f"the archive lost the bulkdata {address}")
            chunks = read_file(located.path, 0, located.stat.size)
            yield Part(OCTET_STREAM, f"{wanted.root}/{format_path(value)}", chunks)


def _pixel_parts(archive: Archive, kept: Kept, wanted: Wanted) -> Iterator[Part]:
    """Pixel Data of an instance; nothing if it has none. Raises NotAcceptable."""
    try:
        pixels = pixel_data(archive, _resource(kept, View.PIXELDATA), wanted, single=False)
    except NotFound:
        return
    yield from pixels.parts(wanted.root)


# -- the list, and one value of it ---------------------------------------------------------------------------


def _listing(archive: Archive, found: list[Kept], wanted: Wanted) -> Iterator[bytes]:
    """A JSON array with an object for each bulk value."""
    separator = b"["
    for kept in found:
        for path, element in _items(dataset_of(archive, _resource(kept, View.METADATA))):
            entry = _entry(archive, kept, path, element, wanted)
            yield separator + orjson.dumps(entry)
            separator = b","
    yield b"]" if separator == b"," else b"[]"


def _entry(
    archive: Archive, kept: Kept, path: str, element: Mapping[str, Any], wanted: Wanted
) -> dict[str, Any]:
    address = _address(element)
    length: int | None = None
    media_type = OCTET_STREAM
    if address is None:
        resource = _resource(kept, View.PIXELDATA)
        frames = list(all_frames(archive, resource))
        length = sum(frame.length for frame in frames)
        media_type = part_type(frames[0])[0] if frames else OCTET_STREAM
    else:
        resource = Resource(View.BULKDATA, kept.study, bulkdata=address)
        located = archive.locate(resource)
        if located is not None:
            length, media_type = located.stat.size, located.stored.media_type
    return {
        "series": kept.series,
        "instance": kept.instance,
        "tag": path,
        "vr": element.get("vr"),
        "length": length,
        "mediaType": media_type,
        "uri": f"{wanted.root}/{format_path(resource)}",
    }


def _by_tag(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """One value by `<instance>/<tag or keyword>`."""
    instance, _, name = (resource.bulkdata or "").partition("/")
    study = resource.study or ""
    series = next((one for one in archive.series(study) if archive.exists(study, one, instance)), None)
    if series is None:
        raise NotFound(f"the archive holds no instance {instance} in study {study}")
    tag = tag_named(name)
    place = Resource(View.PIXELDATA, study, series, instance)
    element = dataset_of(archive, place).get(tag or "")
    if element is None:
        raise NotFound(f"instance {instance} has no {name}")
    if "BulkDataURI" in element:
        address = _address(element)
        if address is None:
            return instance_pixeldata(archive, place, wanted)
        return stored_value(archive, Resource(View.BULKDATA, study, bulkdata=address), wanted)
    if "InlineBinary" in element:
        return inline_value(element["InlineBinary"], f"{name} of instance {instance}", wanted)
    raise NotFound(f"{name} of instance {instance} is in its metadata, and is no bulkdata")
