"""Retrieve Pixel Data (PS3.18 10.4.1.1.7): native as the one value that it is, compressed frame by frame.

One rule: the form is settled an instance at a time, as PS3.18 8.7.8.1 has it for the parts of a multipart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from staticwado.archive import Archive, FrameLocation
from staticwado.dicom.bit_frames import join_bit_frames
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import BOUNDARY, content_type, envelope_type, head, join
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.errors import BrokenDicom, StoreUnavailable, Unsupported
from staticwado.web.answer import Answer, Pieces, Stream
from staticwado.web.frames import etag_of_all, frame_offers, settle
from staticwado.web.making import FrameMaker
from staticwado.web.request import Wanted
from staticwado.web.responses import read_span
from staticwado.web.wado import all_frames, frame_of, part_type, payload

_NATIVE = EXPLICIT_VR_LITTLE_ENDIAN


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart."""

    content_type: str
    location: str
    chunks: Iterator[bytes]


def joined(parts: Iterable[Part], boundary: str = BOUNDARY) -> Iterator[bytes]:
    """A multipart; the constant boundary is for frames, none of which holds it."""
    heads = ((head(part.content_type, part.location, boundary), part.chunks) for part in parts)
    return join(heads, boundary)


@dataclass(frozen=True, slots=True)
class PixelData:
    """All frames of an instance, in the form that the client likes best."""

    resource: Resource
    """The instance's `pixeldata`."""
    maker: FrameMaker
    found: tuple[FrameLocation, ...]
    offer: Offer

    @property
    def syntax(self) -> str:
        """The transfer syntax in which they go out."""
        return self.offer.transfer_syntax or self.maker.stored

    def parts(self, root: str) -> Iterator[Part]:
        """One part with the native value, or one for each compressed frame. Raises StoreUnavailable."""
        label = content_type(self.offer.media_type, self.syntax)
        location = f"{root}/{format_path(self.resource)}"
        if self.syntax == _NATIVE:
            yield Part(label, location, self.native_chunks())
            return
        folder = location.removesuffix("/pixeldata")
        for number, frame in enumerate(self.found, 1):
            yield Part(label, f"{folder}/frames/{number}", iter((self._data(frame),)))

    def native_chunks(self) -> Iterator[bytes]:
        """The native value: frames joined, where needed to the bit, and of even length (PS3.5 7.1.1)."""
        bits = self._odd_bits()
        data = map(self._data, self.found)
        length = 0
        for chunk in join_bit_frames(data, bits) if bits else data:
            length += len(chunk)
            yield chunk
        yield b"\0" * (length % 2)

    def native_body(self) -> Pieces | Stream:
        """The same as a body, of which ranges can be had where it lies in files as it is."""
        spans = tuple(payload(frame) for frame in self.found)
        if self.maker.stored != _NATIVE:
            return Stream(self.native_chunks)
        bits = self._odd_bits()
        length = (bits * len(spans) + 7) // 8 if bits else sum(span.length for span in spans)
        if bits:
            return Stream(self.native_chunks, length + length % 2)
        return (*spans, b"\0" * (length % 2))

    def _odd_bits(self) -> int:
        """Bits of a native frame that ends inside a byte; else 0."""
        try:
            image = self.maker.image()
        except Unsupported:
            return 0
        bits = image.frame_samples * image.bits_allocated
        if self.maker.stored == _NATIVE and (bits + 7) // 8 != self.found[0].length:
            return 0
        return bits if bits % 8 else 0

    def _data(self, frame: FrameLocation) -> bytes:
        if self.syntax == self.maker.stored:
            return read_span(payload(frame))
        try:
            return self.maker.data(frame, self.syntax)
        except (Unsupported, BrokenDicom) as error:
            key = frame.located.stored.key
            raise StoreUnavailable(f"{key} cannot be brought into {self.syntax}: {error}") from error


def pixel_data(archive: Archive, resource: Resource, wanted: Wanted, *, single: bool) -> PixelData:
    """Pixel Data of an instance in the form that fits best; `single`: also as a body of its own.

    Raises NotFound, NotAcceptable or StoreUnavailable.
    """
    resource = replace(resource, view=View.PIXELDATA, frames=(), bulkdata=None)
    found = tuple(all_frames(archive, resource)) or (frame_of(archive, resource, 1),)
    maker, media_type = _maker(archive, resource, wanted, found[0])
    alone = single, len(found) == 1
    offer, _ = settle(maker, found[0], lambda made: _offers(maker, media_type, made, *alone))
    return PixelData(resource, maker, found, offer)


def check_acceptable(archive: Archive, resource: Resource, wanted: Wanted) -> None:
    """Whether Pixel Data of an instance can be had in a multipart, as far as that shows without making it.

    Raises NotFound, NotAcceptable or StoreUnavailable.
    """
    first = frame_of(archive, replace(resource, frames=()), 1)
    maker, media_type = _maker(archive, resource, wanted, first)
    choose(wanted.ranges, _offers(maker, media_type, maker.targets(), False, False))


def _maker(
    archive: Archive, resource: Resource, wanted: Wanted, first: FrameLocation
) -> tuple[FrameMaker, str]:
    media_type, syntax = part_type(first)
    stored = syntax or (_NATIVE if media_type == OCTET_STREAM else "")
    return FrameMaker(archive, resource, wanted, stored), media_type


def _offers(
    maker: FrameMaker, media_type: str, made: tuple[str, ...], single: bool, one_frame: bool
) -> Sequence[Offer]:
    """What is on offer: a native value comes rather as a body of its own, where that is possible."""
    several = frame_offers(maker.stored, media_type, made, single=False)
    alone = [
        replace(offer, multipart=False)
        for offer in several
        if single and (offer.transfer_syntax == _NATIVE or one_frame)
    ]
    return [*alone, *several] if several[0].transfer_syntax == _NATIVE else [*several, *alone]


def instance_pixeldata(archive: Archive, resource: Resource, wanted: Wanted) -> Answer:
    """Pixel Data of one instance. Raises NotFound, NotAcceptable or StoreUnavailable."""
    pixels = pixel_data(archive, resource, wanted, single=True)
    offer, syntax = pixels.offer, pixels.syntax
    location = f"{wanted.root}/{format_path(pixels.resource)}"
    body: Pieces | Stream
    if offer.multipart:
        body = Stream(lambda: joined(pixels.parts(wanted.root)))
    elif syntax == _NATIVE:
        body = pixels.native_body()
    else:
        body = Stream(lambda: next(pixels.parts(wanted.root)).chunks)
    found = list(pixels.found)
    form = f"{syntax} {offer.multipart}"
    made = syntax != pixels.maker.stored
    alone = f"{offer.media_type}; transfer-syntax={syntax}"
    return Answer(
        envelope_type(offer.media_type) if offer.multipart else alone,
        body,
        etag=pixels.maker.etag(found, syntax, form) if made else etag_of_all(found, form),
        immutable=not made or syntax == _NATIVE,
        vary="Accept",
        headers={"Content-Location": location},
        view="pixeldata",
    )
