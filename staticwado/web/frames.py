"""Retrieve frames (PS3.18 10.4.1.1.6): as they are stored, or brought into what the client accepts.

`*/*` and `application/octet-stream` ask for uncompressed little endian frames. Who names no transfer syntax
gets what is lossy as it is stored, under its true name; who names one gets that or nothing.
One rule: what a part is called is what its bytes are.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from staticwado.archive import Archive, FrameLocation
from staticwado.dicom.transcoding import JPEG_BASELINE, LOSSLESS_TARGETS, media_type_of
from staticwado.dicom.transfer_syntax import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS_RPCL,
    OCTET_STREAM,
    TRANSFER_SYNTAXES,
)
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.multipart import TAIL, content_type, envelope_type, head, join
from staticwado.dicomweb.resource import Resource
from staticwado.errors import BrokenDicom, NotAcceptable, NotFound, StoreUnavailable, Unsupported
from staticwado.web.answer import Answer, Later, Pieces, Span, Stream, etag_of, seconds_of
from staticwado.web.making import FrameMaker
from staticwado.web.request import Wanted
from staticwado.web.responses import SMALL, read_span
from staticwado.web.wado import frame_of, loaded, part_type, single_frame, span_of

_NATIVE = EXPLICIT_VR_LITTLE_ENDIAN
_DEFAULTS = frozenset({_NATIVE, *LOSSLESS_TARGETS} - {HTJ2K_LOSSLESS_RPCL})
"""Transfer syntaxes that are the default of their media type (PS3.18 table 8.7.3-5)."""
_SHOWN = 60
MakeOffers = Callable[[tuple[str, ...]], Sequence[Offer]]
"""What is on offer if frames can be brought into the transfer syntaxes given."""


def frames(archive: Archive, resource: Resource, wanted: Wanted) -> Answer | Later:
    """Frames of an instance. 206 with those that are there if some are not.

    Raises BadRequest, NotFound, NotAcceptable or StoreUnavailable.
    """
    found, absent = _located(archive, resource)
    media_type, syntax = part_type(found[0])
    syntax = syntax or (EXPLICIT_VR_LITTLE_ENDIAN if media_type == OCTET_STREAM else "")
    maker = FrameMaker(archive, resource, wanted, syntax)
    single = len(found) == 1
    offer = as_stored(maker, lambda made: _offers(maker, media_type, made, single))
    if offer is not None:
        return _partial(_stored(found, offer), absent)
    return Later(lambda: _partial(_negotiated(maker, found, media_type), absent))


def _located(archive: Archive, resource: Resource) -> tuple[list[FrameLocation], list[int]]:
    """The frames that are there, and the numbers of those that are not. Raises NotFound if none is."""
    found: list[FrameLocation] = []
    absent: list[int] = []
    failure: NotFound | None = None
    for number in resource.frames:
        try:
            found.append(frame_of(archive, resource, number))
        except NotFound as error:
            failure = failure or error
            absent.append(number)
    if failure is not None and not found:
        raise failure
    return found, absent


def _partial(answer: Answer, absent: list[int]) -> Answer:
    if not absent:
        return answer
    text = ", ".join(map(str, absent))
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} and more"
    warning = f'299 staticwado "there is no frame {text}"'
    return replace(answer, status=206, headers={**answer.headers, "Warning": warning}, depends=None)


@lru_cache(maxsize=256)
def frame_offers(syntax: str, media_type: str, made: tuple[str, ...], *, single: bool) -> tuple[Offer, ...]:
    """How frames that are stored in `syntax` can be had, the best first.

    `made` are the transfer syntaxes into which they can be brought. `single`: also as a body of its own.
    """
    known = TRANSFER_SYNTAXES.get(syntax)
    lossy = known is None or known.lossy
    coded = [uid for uid in made if uid not in (syntax, _NATIVE)]
    native = _NATIVE in made and syntax != _NATIVE
    stored = Offer(
        media_type,
        True,
        syntax or None,
        () if media_type == OCTET_STREAM else (OCTET_STREAM,),
        unnamed=syntax in _DEFAULTS or media_type not in map(media_type_of, _DEFAULTS.intersection(coded)),
        also_unnamed=lossy or not native,
    )
    offers = [stored]
    if native:
        plain = Offer(OCTET_STREAM, True, _NATIVE, unnamed=not lossy, starred=False)
        offers = [stored, plain] if lossy else [plain, stored]
    offers += [Offer(media_type_of(uid), True, uid, unnamed=uid in _DEFAULTS, starred=False) for uid in coded]
    if not single:
        return tuple(offers)
    return tuple(each for offer in offers for each in (offer, replace(offer, multipart=False)))


def as_stored(maker: FrameMaker, offers: MakeOffers) -> Offer | None:
    """What the client likes best, if that is how the frames are stored, whatever could be made of them."""
    try:
        offer = choose(maker.wanted.ranges, offers(_conceivable(maker.stored)))
    except NotAcceptable:
        return None  # what is on offer is known once the metadata are read
    return offer if (offer.transfer_syntax or "") == maker.stored else None


def _conceivable(syntax: str) -> tuple[str, ...]:
    """The transfer syntaxes into which frames of `syntax` could be brought, whatever the image is."""
    known = TRANSFER_SYNTAXES.get(syntax)
    if known is None or known.video:
        return ()
    return (_NATIVE,) if known.lossy else (_NATIVE, *LOSSLESS_TARGETS, JPEG_BASELINE)


def _negotiated(maker: FrameMaker, found: list[FrameLocation], media_type: str) -> Answer:
    """Frames in the form that the client likes best among those that can be made. Raises as `settle`."""
    offer, first = settle(maker, found[0], lambda made: _offers(maker, media_type, made, len(found) == 1))
    return _stored(found, offer) if first is None else _made(maker, found, offer, first)


def _offers(maker: FrameMaker, media_type: str, made: tuple[str, ...], single: bool) -> Sequence[Offer]:
    return frame_offers(maker.stored, media_type, made, single=single)


def settle(maker: FrameMaker, frame: FrameLocation, offers: MakeOffers) -> tuple[Offer, Span | bytes | None]:
    """The form that the client likes best, and `frame` in it unless that is how it is stored.

    `offers` gives what is on offer if frames can be brought into the transfer syntaxes given to it.

    Raises NotAcceptable, which says what is on offer and why the rest is not, NotFound or StoreUnavailable.
    """
    stored = as_stored(maker, offers)
    if stored is not None:
        return stored, None
    made = list(maker.targets())
    reasons: list[str] = []
    while True:
        try:
            offer = choose(maker.wanted.ranges, offers(tuple(made)))
        except NotAcceptable as error:
            raise NotAcceptable("; ".join([str(error), *reasons])) from None
        target = offer.transfer_syntax
        if target is None or target == maker.stored:
            return offer, None
        try:
            return offer, maker.make(frame, target)
        except (Unsupported, BrokenDicom) as error:
            made.remove(target)
            reasons.append(f"{target} cannot be had: {error}")


def _made(maker: FrameMaker, found: list[FrameLocation], offer: Offer, first: Span | bytes) -> Answer:
    """Frames in another transfer syntax than the stored one; `first` is the first of them."""
    target = offer.transfer_syntax or ""
    body: Pieces | bytes | Stream
    label = content_type(offer.media_type, target)
    alone = f"{offer.media_type}; transfer-syntax={target}"
    if len(found) > 1:
        body = Stream(lambda: join(_parts(maker, found, target, head(label))))
    elif not offer.multipart:
        body = loaded(first) if isinstance(first, Span) else first
    elif isinstance(first, Span) and first.length > SMALL:
        body = (head(label), first, TAIL)
    else:
        body = head(label) + (read_span(first) if isinstance(first, Span) else first) + TAIL
    in_memory = isinstance(body, bytes)
    located = found[0].located
    return Answer(
        envelope_type(offer.media_type) if offer.multipart else alone,
        body,
        etag=maker.etag(found, target, "multipart" if offer.multipart else "part"),
        modified=seconds_of(located.stat) if len(found) == 1 else None,
        # An encoder may change; what a lossless codestream decodes to does not.
        immutable=target == _NATIVE,
        vary="Accept",
        view="frames",
        # What lies in a file beside the archive may be dropped.
        depends=(located.path, located.stat) if in_memory else None,
    )


def _parts(
    maker: FrameMaker, found: list[FrameLocation], target: str, start: bytes
) -> Iterator[tuple[bytes, Iterable[bytes]]]:
    """The parts of a multipart, one frame at a time. Raises StoreUnavailable for one that cannot be made."""
    for frame in found:
        try:
            data = maker.data(frame, target)
        except (Unsupported, BrokenDicom) as error:
            raise StoreUnavailable(f"{frame.located.stored.key} cannot be made {target}: {error}") from error
        yield start + data, ()


def _stored(found: list[FrameLocation], offer: Offer) -> Answer:
    """Frames as they are."""
    if not offer.multipart:
        return single_frame(found[0])
    if len(found) > 1:
        return _frame_list(found)
    located = found[0].located
    return Answer(
        envelope_type(part_type(found[0])[0]),
        loaded(span_of(located)),
        etag=etag_of(located.stat),
        modified=seconds_of(located.stat),
        immutable=True,
        vary="Accept",
        view="frames",
        depends=(located.path, located.stat),
    )


def etag_of_all(found: list[FrameLocation], form: str) -> str:
    """The entity tag of a body that is composed of several frames."""
    digest = hashlib.blake2b(form.encode(), digest_size=16)
    for frame in found:
        digest.update(etag_of(frame.located.stat).encode())
    return f'"{digest.hexdigest()}"'


def _frame_list(found: list[FrameLocation]) -> Answer:
    """Several frames in one multipart, in the order given: the stored files without their ends."""
    pieces: list[bytes | Span] = []
    for frame in found:
        stat = frame.located.stat
        pieces += (b"\r\n" if pieces else b"", Span(frame.located.path, 0, stat.size - len(TAIL), stat))
    pieces.append(TAIL)
    return Answer(
        envelope_type(part_type(found[0])[0]),
        tuple(pieces),
        etag=etag_of_all(found, "list"),
        immutable=True,
        vary="Accept",
        view="frames",
    )
