"""The capabilities of a server as WADL (PS3.18 8.9 and annex H) and as OpenAPI, from the same routes.

One rule: a document describes the routes that it is given and nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

from staticwado.dicomweb.routes import DICOM_JSON, JSON, Media, Parameter, Route, Service
from staticwado.errors import NotFound

WADL_NAMESPACE = "http://wadl.dev.java.net/2009/02"
_TEMPLATE = re.compile(r"\{(\w+)\}")
_TITLE = "DICOMweb Studies service"
_PATH_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "study": ("Study Instance UID", "^[0-9]+([.][0-9]+)*$"),
    "series": ("Series Instance UID", "^[0-9]+([.][0-9]+)*$"),
    "instance": ("SOP Instance UID", "^[0-9]+([.][0-9]+)*$"),
    "frames": ("frame numbers from 1, ascending, separated by commas", "^[1-9][0-9]*(,[1-9][0-9]*)*$"),
    "prefix": ("the first two digits of a content address", "^[0-9a-f]{2}$"),
    "address": ("the rest of it and a suffix", "^[0-9a-f]{62}[.][a-z0-9]{1,8}$"),
}
_MEANINGS = {
    200: "all of it",
    202: "some were stored and some were not, or with warnings",
    204: "it is gone",
    206: "a part: what is acceptable, or the range asked for",
    304: "not modified",
    400: "the request makes no sense",
    404: "it is not here",
    405: "this is not possible here",
    406: "nothing on offer is acceptable",
    409: "nothing was stored: in conflict with what is here",
    410: "it was deleted",
    413: "too much at once",
    415: "a body of this type is not taken",
    503: "not now",
}
_WITH_BODY = frozenset({200, 202, 206})


# -- WADL ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """A resource element: a segment of the path."""

    children: "dict[str, _Node]" = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)


def wadl(base_url: str, table: Iterable[Route], target: str = "") -> bytes:
    """The WADL document of the routes below the resource `target` (such as `studies/{study}`; empty: all).

    As annex H has it: one `application`, one `resources` with the base URL, the resources as a tree of path
    segments, and without Retrieve Capabilities itself. Raises NotFound if no route is at or below `target`.
    """
    root = _Node()
    prefix = target.strip("/")
    for route in table:
        if route.service is not Service.CAPABILITIES and f"{route.path}/".startswith(
            f"{prefix}/" if prefix else ""
        ):
            node = root
            for segment in filter(None, route.path.split("/")):
                node = node.children.setdefault(segment, _Node())
            node.routes.append(route)
    if not root.children and not root.routes:
        raise NotFound(f"there are no capabilities of {target[:200]!r}")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<application xmlns={quoteattr(WADL_NAMESPACE)} xmlns:xs={quoteattr('http://www.w3.org/2001/XMLSchema')}>",
        f"  <doc title={quoteattr(_TITLE)}/>",
        f"  <resources base={quoteattr(base_url.rstrip('/') + '/')}>",
        *_resources(root),
        "  </resources>",
        "</application>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _resources(root: _Node) -> Iterator[str]:
    if root.routes:
        yield '    <resource path="">'
        yield from _methods(root, "      ")
        yield "    </resource>"
    for segment, node in root.children.items():
        yield from _resource(segment, node, "    ")


def _resource(segment: str, node: _Node, indent: str) -> Iterator[str]:
    """A segment with all below it; paths have few segments, so this may call itself."""
    yield f"{indent}<resource path={quoteattr(segment)}>"
    for name in _TEMPLATE.findall(segment):
        meaning, _ = _PATH_PARAMETERS[name]
        yield f'{indent}  <param name={quoteattr(name)} style="template" type="xs:string" required="true">'
        yield f"{indent}    <doc title={quoteattr(meaning)}/>"
        yield f"{indent}  </param>"
    yield from _methods(node, indent + "  ")
    for below, child in node.children.items():
        yield from _resource(below, child, indent + "  ")
    yield f"{indent}</resource>"


def _methods(node: _Node, indent: str) -> Iterator[str]:
    for route in node.routes:
        yield f"{indent}<method name={quoteattr(route.method)} id={quoteattr(route.identifier)}>"
        yield f"{indent}  <doc title={quoteattr(route.name)}/>"
        yield from _request(route, indent + "  ")
        for body, statuses in _by_body(route.statuses):
            joined = " ".join(map(str, statuses))
            if body and route.answers:
                yield f"{indent}  <response status={quoteattr(joined)}>"
                yield from _representations(route.answers, indent + "    ")
                yield f"{indent}  </response>"
            else:
                yield f"{indent}  <response status={quoteattr(joined)}/>"
        yield f"{indent}</method>"


def _by_body(statuses: Sequence[int]) -> Iterator[tuple[bool, list[int]]]:
    for body in (True, False):
        found = [status for status in statuses if (status in _WITH_BODY) is body]
        if found:
            yield body, found


def _request(route: Route, indent: str) -> Iterator[str]:
    yield f"{indent}<request>"
    for parameter in route.parameters:
        extra = "".join(
            f' {name}="true"'
            for name, on in (("required", parameter.required), ("repeating", parameter.repeats))
            if on
        )
        yield f'{indent}  <param name={quoteattr(parameter.name)} style="query" type="xs:string"{extra}>'
        yield f"{indent}    <doc title={quoteattr(parameter.meaning)}/>"
        for option in parameter.options:
            yield f"{indent}    <option value={quoteattr(option)}/>"
        yield f"{indent}  </param>"
    yield from _representations(route.takes, indent + "  ")
    yield f"{indent}</request>"


def _representations(media: Iterable[Media], indent: str) -> Iterator[str]:
    for one in media:
        yield f"{indent}<representation mediaType={quoteattr(str(one))}/>"


# -- OpenAPI ------------------------------------------------------------------------------------------------


def openapi(base_url: str, table: Iterable[Route], version: str = "") -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes, as JSON values; `version` is that of the program."""
    paths: dict[str, Any] = {}
    for route in table:
        place = paths.setdefault(f"/{route.path}", {})
        place[route.method.lower()] = _operation(route)
    for path, place in paths.items():
        names = _TEMPLATE.findall(path)
        if names:
            place["parameters"] = [_path_parameter(name) for name in names]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": _TITLE,
            "version": version or "0",
            "description": "DICOM PS3.18. Searches take every attribute that can be matched as a parameter.",
        },
        "servers": [{"url": base_url.rstrip("/")}],
        "tags": [{"name": name} for name in dict.fromkeys(route.service.value for route in table)],
        "paths": paths,
    }


def _path_parameter(name: str) -> dict[str, Any]:
    meaning, pattern = _PATH_PARAMETERS[name]
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "description": meaning, "schema": schema}


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.identifier,
        "summary": route.name,
        "tags": [route.service.value],
        "parameters": [_query_parameter(parameter) for parameter in route.parameters],
        "responses": {str(status): _response(route, status) for status in route.statuses},
    }
    if route.reference:
        made["description"] = f"PS3.18 {route.reference}"
    if route.takes:
        made["requestBody"] = {"required": True, "content": _content(route.takes)}
    return made


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.options:
        schema["enum"] = list(parameter.options)
    if parameter.pattern:
        schema["pattern"] = parameter.pattern
    made: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.meaning,
        "schema": {"type": "array", "items": schema} if parameter.repeats else schema,
    }
    return made | ({"style": "form", "explode": False} if parameter.repeats else {})


def _response(route: Route, status: int) -> dict[str, Any]:
    made: dict[str, Any] = {"description": _MEANINGS[status]}
    if status in _WITH_BODY and route.answers:
        made["content"] = _content(route.answers)
    elif status >= 400:
        error = {"type": "object", "properties": {"error": {"type": "string"}}}
        made["content"] = {JSON: {"schema": error}}
    return made


def _content(media: Iterable[Media]) -> dict[str, Any]:
    return {str(one): {"schema": _schema(one)} for one in media}


def _schema(media: Media) -> dict[str, Any]:
    if media.multipart or media.media_type not in (DICOM_JSON, JSON):
        return {}
    return {"type": ["array", "object"], "description": "DICOM JSON (PS3.18 annex F)"}
