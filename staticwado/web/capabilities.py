"""What the service can do, told to those who ask: WADL and OpenAPI (PS3.18 8.9 and annex H).

One rule: what is described is what is on; the routes come from `dicomweb.routes` alone.
"""

import re
from collections.abc import Iterable, Sequence

import orjson

from staticwado import __version__
from staticwado.dicomweb.capabilities import openapi, wadl
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.routes import OPENAPI, WADL, Route, Service, routes
from staticwado.errors import NotFound
from staticwado.web.answer import JSON, Answer
from staticwado.web.options import ServerOptions
from staticwado.web.origins import METHODS
from staticwado.web.request import Wanted

OPENAPI_PATH = "openapi.json"
"""Below the DICOMweb service."""
ON = (
    Service.SEARCH,
    Service.RETRIEVE,
    Service.RENDERED,
    Service.THUMBNAIL,
    Service.URI,
    Service.CAPABILITIES,
)
"""What every server answers."""
_UID = re.compile(r"[0-9.]{1,64}")


def table(options: ServerOptions) -> tuple[Route, ...]:
    """The routes that a server with these options answers."""
    return routes(*ON, *((Service.STORE,) if options.store else ()))


def template_of(path: str, table: Iterable[Route]) -> str:
    """The URI template of what `path` (decoded, such as `studies/1.2`) names; empty for the base.

    Raises NotFound if no route is at or below it.
    """
    asked = [part for part in path.split("/") if part]
    for route in table:
        segments = route.path.split("/")[: len(asked)] if asked else []
        if len(segments) == len(asked) and all(map(_names, segments, asked)):
            return "/".join(segments)
    raise NotFound(f"there is nothing at {path[:200]!r}")


def _names(segment: str, part: str) -> bool:
    """Whether a segment of a template stands for a part of a path, which may itself be a template's."""
    if not segment.startswith("{") or segment == part:
        return segment == part
    return _UID.fullmatch(part) is not None or segment not in ("{study}", "{series}", "{instance}")


def capabilities(path: str, wanted: Wanted, table: Sequence[Route], methods: str = METHODS) -> Answer:
    """Retrieve Capabilities of the resource at `path` and all below it (PS3.18 8.9).

    WADL, or at the base OpenAPI for who likes that better. Raises NotFound, NotAcceptable.
    """
    target = template_of(path, table)
    offers: tuple[Offer, ...] = (Offer(WADL, also=("application/xml", "text/xml")),)
    if not target:
        offers += (Offer(OPENAPI, also=(JSON,)),)
    if choose(wanted.ranges, offers).media_type == WADL:
        return Answer(WADL, wadl(wanted.root, table, target), vary="Accept", headers={"Allow": methods})
    return Answer(OPENAPI, _openapi(wanted, table), vary="Accept", headers={"Allow": methods})


def openapi_document(wanted: Wanted, table: Sequence[Route]) -> Answer:
    """The OpenAPI document as a resource of its own. Raises NotAcceptable."""
    offer = choose(wanted.ranges, (Offer(JSON), Offer(OPENAPI)))
    return Answer(offer.media_type, _openapi(wanted, table), vary="Accept")


def _openapi(wanted: Wanted, table: Sequence[Route]) -> bytes:
    return orjson.dumps(openapi(wanted.root, table, __version__))
