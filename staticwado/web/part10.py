"""Retrieve instances whole (PS3.18 10.4.1.1.1): one multipart of Part 10 files, one file alone, or a zip.

One rule: each part says truly in which transfer syntax its bytes are, and a body that fails is cut off, so
that it cannot be taken for a whole one.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from staticwado.archive import Archive
from staticwado.dicom.implementation import IMPLEMENTATION_VERSION_NAME
from staticwado.dicom.sources import gathered
from staticwado.dicom.transfer_syntax import OCTET_STREAM
from staticwado.dicomweb.media import Offer, choose, choose_syntax
from staticwado.dicomweb.multipart import content_type, envelope_type, head, join
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.dicomweb.routes import DICOM, ZIP
from staticwado.errors import NotAcceptable, StoreUnavailable
from staticwado.ingest.export import Kept, SentFile, kept_instances, zip_stream
from staticwado.web import levels
from staticwado.web.answer import Answer, Later, Stream, etag_of, seconds_of
from staticwado.web.making import InstanceFrames
from staticwado.web.metadata import OFFERS, metadata
from staticwado.web.request import Wanted
from staticwado.web.wado import missing

_SEVERAL, _ONE, _PACKED = Offer(DICOM, multipart=True), Offer(DICOM), Offer(ZIP)
_BULKDATA = Offer(OCTET_STREAM, multipart=True)
_CHUNK = 256 << 10
"""Bytes that are sent at once, at least: each chunk costs a change of threads."""
_ANY_UID = "any"
_SHOWN = 10


def part10(archive: Archive, resource: Resource, wanted: Wanted) -> Answer | Later:
    """The instances of a study or a series, or one instance.

    Without `transfer-syntax` all goes out as Explicit VR Little Endian, decoded if need be; what is lossy or
    cannot be decoded stays as it is, under its true name (PS3.18 8.7.3). `transfer-syntax=*` gives the files
    as they came, but for implicit VR and big endian, which must not be sent. Who names a transfer syntax
    gets that or nothing: 206 if it is had for some instances only, 406 if for none.

    `application/zip` holds the original files; `multipart/related; type="application/octet-stream"` is the
    bulkdata of the instances (PS3.18 10.4.4 note 2), and DICOM JSON or XML their metadata.

    Raises NotFound, NotAcceptable or StoreUnavailable.
    """
    found = list(kept_instances(archive, resource))
    if not found:
        raise missing(archive, replace(resource, view=View.METADATA))
    offers = [_SEVERAL, *([_ONE] if resource.instance else []), _PACKED, *OFFERS, _BULKDATA]
    ranges = tuple(replace(one, transfer_syntax=None) for one in wanted.ranges)
    refused = ""
    while offers:
        try:
            offer = choose(ranges, offers)
        except NotAcceptable as error:
            raise NotAcceptable(refused or str(error)) from None
        if offer is _PACKED:
            return _zip(archive, resource, found)
        if offer is _BULKDATA:
            return levels.bulkdata(archive, replace(resource, view=View.BULKDATA), wanted)
        if offer in OFFERS:
            return metadata(archive, replace(resource, view=View.METADATA), wanted)
        fitting = list(_fitting(archive, found, wanted, offer))
        if fitting:
            return (_single if offer is _ONE else _multipart)(archive, found, fitting, offer, wanted)
        refused = refused or _on_offer(archive, found, wanted)
        offers.remove(offer)
    raise NotAcceptable(refused)


def _fitting(archive: Archive, found: list[Kept], wanted: Wanted, offer: Offer) -> Iterable[Kept]:
    """The instances that can be had in a transfer syntax that the client accepts."""
    anything = choose_syntax(wanted.ranges, offer, _ANY_UID, _ANY_UID) is not None
    if anything and all(one.quality for one in wanted.ranges):
        return found
    return (kept for kept in found if _syntax(_file(archive, kept, wanted), wanted, offer) is not None)


def _file(archive: Archive, kept: Kept, wanted: Wanted) -> SentFile:
    instance = Resource(View.PART10, kept.study, kept.series, kept.instance)
    return SentFile(archive, kept, InstanceFrames(archive, instance, wanted))


def _syntax(file: SentFile, wanted: Wanted, offer: Offer) -> str | None:
    """The transfer syntax in which to send a file; its first frame is made, to know that it can be."""
    named = {one.transfer_syntax for one in wanted.ranges} - {None, "*", file.stored}
    while True:
        others = file.syntaxes if named else ()
        syntax = choose_syntax(wanted.ranges, offer, file.stored, file.plain, others)
        if syntax is None or file.prepare(syntax):
            return syntax


def _on_offer(archive: Archive, found: list[Kept], wanted: Wanted) -> str:
    syntaxes = sorted({syntax for kept in found for syntax in _file(archive, kept, wanted).syntaxes})
    listed = ", ".join(str(replace(_SEVERAL, transfer_syntax=syntax)) for syntax in syntaxes[:_SHOWN])
    more = f" and {len(syntaxes) - _SHOWN} more" if len(syntaxes) > _SHOWN else ""
    return f"nothing on offer fits Accept; on offer: {listed}{more}, {ZIP}"


def _etag(form: str, found: Iterable[Kept]) -> str:
    """The entity tag of a body made of the instances: their files never change once they are written."""
    digest = hashlib.blake2b(form.encode(), digest_size=16)
    for kept in found:
        digest.update(f"{kept.file_name} {etag_of(kept.stat)}".encode())
    return f'"{digest.hexdigest()}"'


def _named(resource: Resource, suffix: str) -> dict[str, str]:
    """The name under which a browser keeps the body: a UID, hence digits and dots."""
    uid = resource.instance or resource.series or resource.study
    return {"Content-Disposition": f'attachment; filename="{uid}.{suffix}"'}


def _zip(archive: Archive, resource: Resource, found: list[Kept]) -> Answer:
    return Answer(
        ZIP,
        Stream(lambda: gathered(zip_stream(archive, found), _CHUNK)),
        etag=_etag(ZIP, found),
        vary="Accept",
        headers=_named(resource, "zip"),
        view="part10",
    )


def _single(archive: Archive, _: list[Kept], fitting: list[Kept], offer: Offer, wanted: Wanted) -> Answer:
    """One instance as a body of its own."""
    [kept] = fitting
    file = _file(archive, kept, wanted)
    syntax = _syntax(file, wanted, offer)
    if syntax is None:
        raise StoreUnavailable("the instance was replaced while it was being answered; ask again")
    resource = Resource(View.PART10, kept.study, kept.series, kept.instance)
    return Answer(
        f"{DICOM}; transfer-syntax={syntax}",
        Stream(partial(file.chunks, syntax), file.length(syntax)),
        etag=_etag(f"{DICOM} {syntax} {IMPLEMENTATION_VERSION_NAME}", fitting),
        modified=seconds_of(kept.stat),
        vary="Accept",
        headers={"Content-Location": f"{wanted.root}/{format_path(resource)}", **_named(resource, "dcm")},
        view="part10",
    )


def _multipart(
    archive: Archive, found: list[Kept], fitting: list[Kept], offer: Offer, wanted: Wanted
) -> Answer:
    """One part an instance, in the order of their UIDs."""
    etag = _etag(f"{wanted.root} {wanted.ranges} {IMPLEMENTATION_VERSION_NAME}", fitting)
    # Made of when and where the files were written, which was after their content was settled: no instance
    # can hold it on purpose, and 48 hex digits are too many to be met by chance. It needs no search, and the
    # same instances give the same body.
    boundary = f"staticwado-{hashlib.sha256(etag.encode()).hexdigest()[:48]}"
    left_out = len(found) - len(fitting)
    warning = f'299 staticwado "{left_out} of {len(found)} instances are not kept in that transfer syntax"'
    return Answer(
        envelope_type(DICOM, boundary),
        Stream(lambda: _body(archive, fitting, offer, wanted, boundary)),
        status=206 if left_out else 200,
        etag=etag,
        vary="Accept",
        headers={"Warning": warning} if left_out else {},
        view="part10",
    )


def _body(
    archive: Archive, fitting: list[Kept], offer: Offer, wanted: Wanted, boundary: str
) -> Iterator[bytes]:
    return gathered(join(_parts(archive, fitting, offer, wanted, boundary), boundary), _CHUNK)


def _parts(
    archive: Archive, fitting: list[Kept], offer: Offer, wanted: Wanted, boundary: str
) -> Iterator[tuple[bytes, Iterable[bytes]]]:
    for kept in fitting:
        file = _file(archive, kept, wanted)
        syntax = _syntax(file, wanted, offer)
        if syntax is None:
            raise StoreUnavailable(f"{kept.file_name} was replaced while it was being answered")
        place = format_path(Resource(View.PART10, kept.study, kept.series, kept.instance))
        yield head(content_type(DICOM, syntax), f"{wanted.root}/{place}", boundary), file.chunks(syntax)
