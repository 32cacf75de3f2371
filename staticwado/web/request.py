"""What a client asked for, read once from the request: formats, encodings, and the URL it sees."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from staticwado.dicomweb.media import MediaRange, parse_accept

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


def acceptable(header: str | None, parameters: Mapping[str, str]) -> tuple[MediaRange, ...]:
    """The acceptable media types: the query parameter `accept`, else the header (PS3.18 8.7.8.1)."""
    return parse_accept(parameters.get("accept") or header)


def origin_of(scheme: str, host: str, fallback: str) -> str:
    """The origin that a client sees, from the Host header; `fallback` (host and port) if that is none."""
    return f"{scheme}://{host if _HOST.fullmatch(host) else fallback}"
