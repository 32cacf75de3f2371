"""What a client asked for, read once from the request: formats, encodings, and the URL it sees."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from multidict import CIMultiDictProxy

from staticwado.dicomweb.media import MediaRange, check_mixture, parse_accept
from staticwado.errors import BadRequest
from staticwado.ingest.live import Live
from staticwado.web.results import Results
from staticwado.web.workers import Workers

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a client wants a resource."""

    ranges: tuple[MediaRange, ...]
    """Acceptable media types."""
    gzip: bool
    """Whether a body may be sent with Content-Encoding gzip."""
    root: str
    """The absolute URL of the DICOMweb service, without a slash at its end."""
    workers: Workers
    """What decodes, encodes and draws."""
    results: Results
    """Where what they made is kept."""
    parameters: tuple[tuple[str, str], ...] = ()
    """The query parameters, decoded, as they stand."""
    live: Live | None = None
    """What tells of instances that no summary holds yet."""


def acceptable(header: str | None, parameters: Mapping[str, str]) -> tuple[MediaRange, ...]:
    """The acceptable media types: the query parameter `accept`, else the header (PS3.18 8.7.8.1).

    Raises BadRequest.
    """
    ranges = parse_accept(parameters.get("accept") or header)
    check_mixture(ranges)
    return ranges


def listed(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """The value of a header that is a list; several lines of it are one list (RFC 9110 5.3)."""
    lines = headers.getall(name, None)
    if lines is None:
        return None
    return lines[0] if len(lines) == 1 else ", ".join(lines)


def check_charset(parameters: Mapping[str, str]) -> None:
    """Raises BadRequest if the parameter `charset` names what is no character set (PS3.18 8.3.3.2).

    Texts are sent in UTF-8 whatever it names: that is always there, and says what it is.
    """
    for entry in filter(None, parameters.get("charset", "").split(",")):
        name = entry.partition(";")[0].strip()
        try:
            "".encode("utf-8" if name == "*" else name)
        except (LookupError, ValueError) as error:
            raise BadRequest(f"charset names no character set that is known: {name[:80]!r}") from error


def is_host(text: str | None) -> bool:
    """Whether a Host header names a host, and perhaps a port."""
    return text is not None and _HOST.fullmatch(text) is not None


def origin_of(scheme: str, host: str | None, fallback: Callable[[], str]) -> str:
    """The origin that a client sees, from the Host header; from `fallback` if that is no host and port."""
    return f"{scheme}://{host if is_host(host) else fallback()}"
