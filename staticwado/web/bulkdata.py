"""One value that is kept outside the metadata, or in them in base64 (PS3.18 10.4.1.1.5)."""

import base64
import binascii
import hashlib

from staticwado.archive import Archive
from staticwado.dicom.transfer_syntax import OCTET_STREAM
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import envelope_type, head, tail
from staticwado.dicomweb.resource import Resource, format_path
from staticwado.errors import StoreUnavailable
from staticwado.web.answer import MARKUP, SANDBOX, Answer, Body, etag_of, seconds_of
from staticwado.web.request import Wanted
from staticwado.web.wado import loaded, missing, span_of

_SANDBOXED = {"Content-Security-Policy": SANDBOX}


def stored_value(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """A value kept outside the metadata: a single part, or a multipart for whoever asks for one.

    Raises NotFound, NotAcceptable.
    """
    located = archive.locate(resource)
    if located is None or resource.bulkdata is None:
        raise missing(archive, resource)
    media_type = located.stored.media_type
    offers = [Offer(media_type), Offer(media_type, multipart=True)]
    if media_type != OCTET_STREAM:
        offers += [Offer(OCTET_STREAM), Offer(OCTET_STREAM, multipart=True)]
    offer = choose(wanted.ranges, offers)
    location = f"{wanted.root}/{format_path(resource)}"
    body: Body = loaded(span_of(located))
    content_type = offer.media_type
    if offer.multipart:
        # The address is the hash of the bytes, so they cannot hold it: a boundary that needs no search.
        boundary = f"staticwado-{hashlib.sha256(resource.bulkdata.encode()).hexdigest()[:48]}"
        pieces = (body,) if isinstance(body, bytes) else (span_of(located),)
        body = (head(offer.media_type, location, boundary), *pieces, tail(boundary))
        content_type = envelope_type(offer.media_type, boundary)
    return Answer(
        content_type,
        body,
        etag=etag_of(located.stat, "multipart" if offer.multipart else ""),
        modified=seconds_of(located.stat),
        immutable=True,
        vary="Accept",
        headers={"Content-Location": location} | (_SANDBOXED if media_type in MARKUP else {}),
        view="bulkdata",
        depends=(located.path, located.stat),
    )


def inline_value(text: str, name: str, wanted: Wanted) -> Answer:
    """A value that the metadata hold in base64. Raises NotAcceptable, StoreUnavailable."""
    choose(wanted.ranges, (Offer(OCTET_STREAM),))
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise StoreUnavailable(f"{name} is damaged: {error}") from error
    return Answer(OCTET_STREAM, data, vary="Accept", view="bulkdata")
