"""Metadata (PS3.18 10.4.1.1.2): DICOM JSON as it is stored, and the Native DICOM Model made from it.

One rule: what is kept is the JSON; XML is made an instance at a time, in the order that the JSON has.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from staticwado.archive import Archive, Located, compress_all, decompress
from staticwado.dicom.jsondataset import parse_json
from staticwado.dicom.sources import gathered
from staticwado.dicom.xmlmodel import to_xml
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import envelope_type, head, join
from staticwado.dicomweb.resource import Resource
from staticwado.dicomweb.routes import DICOM_XML
from staticwado.errors import BadRequest, BrokenDicom, StoreUnavailable, Unsupported
from staticwado.ingest.live import EMPTY, Live
from staticwado.web.answer import DICOM_JSON, JSON, Answer, Body, Later, Stream, etag_of, seconds_of
from staticwado.web.request import Wanted
from staticwado.web.responses import SMALL, open_span, read_span
from staticwado.web.wado import loaded, missing, span_of

_CHUNK = 256 << 10
XML_FORM = "xml1"
"""In the entity tag of XML; another number when `to_xml` writes something else."""
_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([\[\]{}])', re.DOTALL)
"""The next bracket outside strings; no match while a string is unfinished."""
_GATHERED = 64 << 10
OFFERS = (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True))
"""How data sets without their bulk values can be had, the default first."""


def metadata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer | Later:
    """Metadata at any level; while the file of a study or series is owed, composed from their instances.

    Raises NotFound, NotAcceptable, StoreUnavailable, Unsupported.
    """
    offer = choose(wanted.ranges, OFFERS)
    live = _owing(resource, wanted)
    if live is None:
        return _kept(archive, resource, offer, wanted)

    def make() -> Answer:
        chunks = live.metadata(resource)
        if chunks is None:
            return _kept(archive, resource, offer, wanted)
        first = next(chunks)
        if first == EMPTY:
            raise missing(archive, resource)
        return _composed(chain([first], chunks), offer, wanted)

    return Later(make)


def _owing(resource: Resource, wanted: Wanted) -> Live | None:
    """What knows better than the file, if that may lack something."""
    live, study = wanted.live, resource.study
    if live is None or study is None or resource.instance is not None or not live.is_owed(study):
        return None
    return live


def _kept(archive: Archive, resource: Resource, offer: Offer, wanted: Wanted) -> Answer:
    located = _located(archive, resource)
    if offer.multipart:
        return _as_xml(located)
    answer = _stored(located, offer.media_type, wanted.gzip, "metadata")
    return answer if resource.instance is not None else _while_settled(archive, resource, answer)


def _while_settled(archive: Archive, resource: Resource, answer: Answer) -> Answer:
    """`answer`, which holds for as long as nothing of its study is owed."""
    return replace(answer, absent=archive.pending_path(resource.study or ""))


def deduplicated(archive: Archive, resource: Resource, wanted: Wanted) -> Answer | Later:
    """The compact form of a study's metadata (docs/layout.md). Raises NotFound, NotAcceptable."""
    offer = choose(wanted.ranges, (Offer(JSON), Offer(DICOM_JSON)))

    def make() -> Answer:
        answer = _stored(_located(archive, resource), offer.media_type, wanted.gzip, "deduplicated")
        return _while_settled(archive, resource, answer)

    live = _owing(resource, wanted)
    if live is None:
        return make()

    def make_settled() -> Answer:
        live.settle(resource.study)
        return make()

    return Later(make_settled)


def _composed(chunks: Iterator[bytes], offer: Offer, wanted: Wanted) -> Answer:
    """Metadata that no file holds yet: no entity tag and no length, as they are read while they are sent."""
    if offer.multipart:
        boundary = f"staticwado-{secrets.token_hex(24)}"
        parts = _parts(chunks, "the metadata", boundary)
        body = Stream(lambda: gathered(join(parts, boundary), _GATHERED))
        return Answer(envelope_type(DICOM_XML, boundary), body, vary="Accept", view="metadata")
    pieces = compress_all(chunks) if wanted.gzip else chunks
    body = Stream(lambda: gathered(pieces, _GATHERED))
    encoding = "gzip" if wanted.gzip else None
    return Answer(offer.media_type, body, encoding=encoding, view="metadata")


def _located(archive: Archive, resource: Resource) -> Located:
    located = archive.locate(resource)
    if located is None:
        raise missing(archive, resource)
    return located


def _stored(located: Located, media_type: str, gzip: bool, view: str) -> Answer:
    """A stored gzip file, inflated for who takes none."""
    body: Body
    if gzip:
        body, form = loaded(span_of(located)), "gzip"
    elif located.stat.size <= SMALL:
        body, form = decompress(read_span(span_of(located)), located.stored.key), ""
    else:
        body, form = Stream(lambda: inflate(located)), ""
    return Answer(
        media_type,
        body,
        etag=etag_of(located.stat, form),
        modified=seconds_of(located.stat),
        encoding="gzip" if gzip else None,
        view=view,
        depends=(located.path, located.stat),
    )


def inflate(located: Located) -> Iterator[bytes]:
    """The decompressed bytes of a stored gzip file, in chunks. Raises StoreUnavailable."""
    machine = zlib.decompressobj(31)
    try:
        with open_span(span_of(located)) as file:
            while chunk := file.read(_CHUNK):
                while chunk:
                    yield machine.decompress(chunk, _CHUNK)
                    chunk = machine.unconsumed_tail
        yield machine.flush()
    except (OSError, zlib.error) as error:
        raise StoreUnavailable(f"{located.stored.key} could not be read: {error}") from error
    if not machine.eof:
        raise StoreUnavailable(f"{located.stored.key} is cut short")


def split_objects(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The objects of a JSON array of objects, as text; `chunks` may be cut anywhere.

    Holds one object and one chunk. Raises StoreUnavailable if the text ends inside the array.
    """
    text, depth, start, position, begun = b"", 0, 0, 0, False
    for chunk in chunks:
        # What cannot be the start of anything is dropped; an object that has begun is kept whole.
        keep = start if depth > 1 else position
        text, position, start = text[keep:] + chunk, position - keep, start - keep
        while found := _BRACKET.match(text, position):
            position = found.end()
            if found[1] in b"[{":
                depth, begun = depth + 1, True
                if depth == 2:
                    start = position - 1
            else:
                depth -= 1
                if depth == 1:
                    yield text[start:position]
    if depth or not begun:
        raise StoreUnavailable("a stored list of data sets is cut short")


# -- XML -----------------------------------------------------------------------------------------------------


def _as_xml(located: Located) -> Answer:
    """One part an instance (PS3.18 8.7.3.2, 10.4.4); relative URIs are the JSON's, with the same base.

    For that reason no part has a Content-Location.
    """
    etag = etag_of(located.stat, XML_FORM)
    # Not to be foreseen by who writes texts into a data set, and the same whenever the tag is.
    boundary = f"staticwado-{hashlib.blake2b(etag.encode(), digest_size=24).hexdigest()}"
    return Answer(
        envelope_type(DICOM_XML, boundary),
        Stream(
            lambda: gathered(
                join(_parts(inflate(located), located.stored.key, boundary), boundary), _GATHERED
            )
        ),
        etag=etag,
        modified=seconds_of(located.stat),
        vary="Accept",
        view="metadata",
    )


def _parts(chunks: Iterable[bytes], name: str, boundary: str) -> Iterator[tuple[bytes, Iterable[bytes]]]:
    number = 0
    for number, text in enumerate(split_objects(chunks), 1):
        try:
            dataset = parse_json(text)
        except BadRequest as error:
            raise StoreUnavailable(f"{name}, instance {number}: {error}") from error
        yield xml_part(dataset, f"instance {number}", boundary), ()
    if not number:
        raise StoreUnavailable(f"{name} holds no instance")


def xml_part(dataset: Mapping[str, Any], name: str, boundary: str) -> bytes:
    """Head and body of a part of a multipart. Raises Unsupported where `name` cannot be written as XML."""
    try:
        document = to_xml(dataset)
    except BrokenDicom as error:
        raise Unsupported(f"{name} cannot be written as XML: {error}") from error
    return head(DICOM_XML, boundary=boundary) + document
