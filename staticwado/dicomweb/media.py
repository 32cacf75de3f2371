"""Content negotiation: what a client accepts, against what can be offered (PS3.18 8.7, RFC 9110 12.5).

One rule: an entry that cannot be understood is left out, and is never an error (RFC 9110 12.5.1).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from staticwado.errors import BadRequest, NotAcceptable

MULTIPART = "multipart/related"
ANY = "*/*"
_DICOM_TYPES = frozenset({"application/dicom", "application/dicom+json", "application/dicom+xml"})
_RENDERED_TYPES = frozenset(
    {"image/gif", "image/png", "text/html", "text/plain", "text/xml", "text/rtf", "application/pdf"}
)
_ALIASES = {
    "image/x-jls": "image/jls",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-dicom+rle": "image/dicom-rle",
    "image/jpg": "image/jpeg",
    "application/dicom json": "application/dicom+json",  # a `+` in a query string that was read as a space
    "application/dicom xml": "application/dicom+xml",
}


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an Accept header."""

    media_type: str
    """In lower case; may be `*/*` or end in `/*`."""
    part_type: str | None = None
    """The `type` parameter: the media type of the parts of a multipart."""
    transfer_syntax: str | None = None
    """A UID, or `*` for any."""
    quality: float = 1.0


@dataclass(frozen=True, slots=True)
class Offer:
    """One form in which a resource can be answered."""

    media_type: str
    """Of the body; of the parts if it is a multipart."""
    multipart: bool = False
    transfer_syntax: str | None = None
    also: tuple[str, ...] = ()
    """Other media types by which the same may be asked for."""
    unnamed: bool = True
    """Whether it is had without `transfer-syntax`, which asks for the default of a type (PS3.18 8.7.3)."""
    also_unnamed: bool = True
    """The same, where it is asked for by one of the types in `also`."""
    starred: bool = True
    """Whether it is had for `transfer-syntax=*`, which asks for what is stored (PS3.18 8.7.3.5.2)."""

    def __str__(self) -> str:
        syntax = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        return (
            f'{MULTIPART}; type="{self.media_type}"{syntax}' if self.multipart else self.media_type + syntax
        )


def _split(text: str, separator: str) -> Iterator[str]:
    """Pieces of `text` between separators outside double quotes, stripped; empty pieces are left out."""
    start, quoted, escaped = 0, False, False
    for position, letter in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == separator and not quoted:
            if piece := text[start:position].strip():
                yield piece
            start = position + 1
    if piece := text[start:].strip():
        yield piece


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value


def _parameters(text: str) -> dict[str, str]:
    """Parameters by lower-case name, without their quotes; of equal names the first."""
    found: dict[str, str] = {}
    for piece in _split(text, ";"):
        name, _, value = piece.partition("=")
        found.setdefault(name.strip().lower(), _unquote(value.strip()))
    return found


def _quality(text: str | None) -> float | None:
    """A q-value (RFC 9110 12.4.2), or None if it is none."""
    if text is None:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _is_media_type(text: str) -> bool:
    kind, _, subtype = text.partition("/")
    return (
        bool(kind and subtype) and "/" not in subtype and " " not in text and (kind != "*" or subtype == "*")
    )


def _named(text: str) -> str:
    name = text.strip().lower()
    return _ALIASES.get(name, name)


def parse_content_type(text: str) -> tuple[str, dict[str, str]]:
    """The media type in lower case, and the parameters by lower-case name (RFC 9110 8.3.1)."""
    name, _, rest = text.partition(";")
    return _named(name), _parameters(rest)


def parse_accept(text: str | None) -> tuple[MediaRange, ...]:
    """The entries of an Accept header that can be understood, as they stand; no header means anything.

    `type` may be quoted or not, and parameters may come in any order (PS3.18 8.7.3.5).
    """
    if text is None or not text.strip():
        return (MediaRange(ANY),)
    ranges = []
    for entry in _split(text, ","):
        name, _, rest = entry.partition(";")
        media_type, parameters = _named(name), _parameters(rest)
        quality = _quality(parameters.get("q"))
        if not _is_media_type(media_type) or quality is None:
            continue
        part_type = parameters.get("type")
        ranges.append(
            MediaRange(
                media_type,
                _named(part_type) if part_type else None,
                parameters.get("transfer-syntax") or None,
                quality,
            )
        )
    return tuple(ranges)


def _covers(pattern: str, offer: Offer, *, also: bool) -> int:
    """How closely `pattern` names the offer's media type: 0 not, 1 `*/*`, 2 `image/*`, 3 itself."""
    names = (offer.media_type, *offer.also) if also else (offer.media_type,)
    if pattern in names:
        return 3
    if pattern == ANY:
        return 1
    kind, _, subtype = pattern.partition("/")
    return 2 if subtype == "*" and any(name.startswith(f"{kind}/") for name in names) else 0


def _fit(wanted: MediaRange, offer: Offer) -> int:
    """How closely an entry names an offer: 0 not at all; the closest one decides (RFC 9110 12.5.1)."""
    named = wanted.transfer_syntax
    if named is None:
        possible = offer.unnamed
    else:
        possible = offer.starred if named == "*" else named == offer.transfer_syntax
    if not possible:
        return 0
    exact = 1 if named in (None, "*") else 2
    also = named is not None or offer.also_unnamed
    if not offer.multipart:
        closeness = _covers(wanted.media_type, offer, also=also)
        return closeness * 10 + exact if closeness else 0
    if wanted.media_type == ANY:
        return 10 + exact
    if wanted.media_type not in (MULTIPART, "multipart/*"):
        return 0
    closeness = _covers(wanted.part_type or ANY, offer, also=also)
    return closeness * 100 + exact if closeness else 0


def check_mixture(ranges: Sequence[MediaRange]) -> None:
    """Raises BadRequest for types of DICOM among types that only rendered resources have (PS3.18 8.7.5).

    JPEG, JPEG 2000 and video are of both kinds.
    """
    names = {one.part_type or one.media_type for one in ranges if one.quality}
    dicom, rendered = names & _DICOM_TYPES, names & _RENDERED_TYPES
    if dicom and rendered:
        raise BadRequest(
            f"acceptable media types mix those of DICOM ({', '.join(sorted(dicom))}) with rendered ones "
            f"({', '.join(sorted(rendered))})"
        )


def choose(ranges: Sequence[MediaRange], offers: Sequence[Offer]) -> Offer:
    """The offer that the client likes best; of equals, the first.

    Raises NotAcceptable, which lists the offers (PS3.18 8.7.8.1).
    """
    best, best_quality = None, 0.0
    for offer in offers:
        fits = [(fit, wanted.quality) for wanted in ranges if (fit := _fit(wanted, offer))]
        if not fits:
            continue
        closest = max(fit for fit, _ in fits)
        quality = max(quality for fit, quality in fits if fit == closest)
        if quality > best_quality:
            best, best_quality = offer, quality
    if best is None:
        raise NotAcceptable("nothing on offer fits Accept; on offer: " + ", ".join(map(str, offers)))
    return best


def choose_syntax(
    ranges: Sequence[MediaRange], offer: Offer, stored: str, plain: str, others: Sequence[str] = ()
) -> str | None:
    """The transfer syntax in which to send an instance as `offer`; None if none fits.

    `plain` is for entries without `transfer-syntax`, which ask for the default; `*` prefers `stored`; the
    `others` are for whoever names them (PS3.18 8.7.3.5.2).
    """
    best, best_rank = None, (0.0, False)
    for syntax in dict.fromkeys((plain, stored, *others)):
        kept = syntax in (plain, stored)
        candidate = replace(offer, transfer_syntax=syntax, unnamed=syntax == plain, starred=kept)
        fits = [
            (fit, wanted.quality, wanted.transfer_syntax != "*" or syntax == stored)
            for wanted in ranges
            if (fit := _fit(wanted, candidate))
        ]
        if not fits:
            continue
        _, quality, preferred = max(fits)
        if quality and (quality, preferred) > best_rank:
            best, best_rank = syntax, (quality, preferred)
    return best


def accepts_gzip(text: str | None) -> bool:
    """Whether an Accept-Encoding header allows gzip; no header means no: a bare client cannot read it."""
    if not text:
        return False
    allowed: dict[str, float] = {}
    for entry in _split(text, ","):
        name, _, rest = entry.partition(";")
        quality = _quality(_parameters(rest).get("q"))
        if quality is not None:
            allowed.setdefault(name.strip().lower(), quality)
    for name in ("gzip", "x-gzip", "*"):
        if name in allowed:
            return allowed[name] > 0
    return False
