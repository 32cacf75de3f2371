import json
import re
from itertools import chain
from xml.etree import ElementTree

import pytest

from staticwado.dicomweb.capabilities import WADL_NAMESPACE, openapi, wadl
from staticwado.dicomweb.resource import parse_path
from staticwado.dicomweb.routes import ROUTES, Media, Route, Service, routes
from staticwado.errors import NotFound

BASE = "https://pacs.example/dicomweb"
N = f"{{{WADL_NAMESPACE}}}"
EXAMPLES = {
    "study": "1.2",
    "series": "1.2.3",
    "instance": "1.2.3.4",
    "frames": "1,3",
    "prefix": "ab",
    "address": "0" * 62 + ".bin",
}

ANNEX_H = """
studies: Search for Studies, Store Instances
studies/{study}: Retrieve Study, Store Study Instances
studies/{study}/metadata: Retrieve Study Metadata
studies/{study}/rendered: Retrieve Rendered Study
studies/{study}/thumbnail: Retrieve Study Thumbnail
studies/{study}/bulkdata: Retrieve Study Bulkdata
studies/{study}/pixeldata: Retrieve Study Pixel Data
studies/{study}/series: Search for Study Series
studies/{study}/series/{series}: Retrieve Series
studies/{study}/series/{series}/metadata: Retrieve Series Metadata
studies/{study}/series/{series}/rendered: Retrieve Rendered Series
studies/{study}/series/{series}/thumbnail: Retrieve Series Thumbnail
studies/{study}/series/{series}/bulkdata: Retrieve Series Bulkdata
studies/{study}/series/{series}/pixeldata: Retrieve Series Pixel Data
studies/{study}/series/{series}/instances: Search for Study Series Instances
studies/{study}/series/{series}/instances/{instance}: Retrieve Instance
studies/{study}/series/{series}/instances/{instance}/metadata: Retrieve Instance Metadata
studies/{study}/series/{series}/instances/{instance}/rendered: Retrieve Rendered Instance
studies/{study}/series/{series}/instances/{instance}/thumbnail: Retrieve Instance Thumbnail
studies/{study}/series/{series}/instances/{instance}/bulkdata: Retrieve Instance Bulkdata
studies/{study}/series/{series}/instances/{instance}/pixeldata: Retrieve Instance Pixel Data
studies/{study}/series/{series}/instances/{instance}/frames/{frames}: Retrieve Frames
studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered: Retrieve Rendered Frames
studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail: Retrieve Frames Thumbnail
studies/{study}/bulkdata/{prefix}/{address}: Retrieve Bulkdata
studies/{study}/instances: Search for Study Instances
series: Search for Series
instances: Search for Instances
"""
"""The Studies service in table H-1, with the path of a bulkdata reference as it is here."""

STANDARD = routes(*(service for service in Service if service not in (Service.DELETE, Service.URI)))


def tree(document: bytes) -> dict[str, list[str]]:
    """The transactions of each resource by its path, from a WADL document."""
    found: dict[str, list[str]] = {}

    def read(element: ElementTree.Element, above: str) -> None:
        path = f"{above}/{element.attrib['path']}".strip("/")
        methods = [method.find(f"{N}doc") for method in element.findall(f"{N}method")]
        if methods:
            found[path] = [doc.attrib["title"] for doc in methods if doc is not None]
        for child in element.findall(f"{N}resource"):
            read(child, path)

    resources = ElementTree.fromstring(document).findall(f"{N}resources")
    assert len(resources) == 1
    assert resources[0].attrib["base"] == f"{BASE}/"
    for child in resources[0]:
        read(child, "")
    return found


def test_the_wadl_document_has_the_tree_of_annex_h() -> None:
    lines = (line.split(": ") for line in ANNEX_H.strip().splitlines())
    assert tree(wadl(BASE, STANDARD)) == {path: names.split(", ") for path, names in lines}


CONTENT = {
    "application": ("doc", "grammars", "resources"),
    "resources": ("doc", "resource"),
    "resource": ("doc", "param", "method", "resource"),
    "method": ("doc", "request", "response"),
    "request": ("doc", "param", "representation"),
    "response": ("doc", "param", "representation"),
    "param": ("doc", "option"),
    "representation": ("doc",),
    "option": (),
    "doc": (),
}
"""What each element may hold, in this order, by the schema of WADL."""


def test_the_wadl_document_is_as_its_schema_has_it() -> None:
    root = ElementTree.fromstring(wadl(BASE, ROUTES))
    assert root.tag == f"{N}application"
    identifiers = [method.attrib["id"] for method in root.iter(f"{N}method")]
    assert len(identifiers) == len(set(identifiers)) == len(ROUTES) - 1
    for element in root.iter():
        children = [child.tag.removeprefix(N) for child in element]
        allowed = CONTENT[element.tag.removeprefix(N)]
        assert set(children) <= set(allowed)
        places = [allowed.index(child) for child in children]
        assert places == sorted(places)
    for resource in root.iter(f"{N}resource"):
        named = [param.attrib["name"] for param in resource.findall(f"{N}param")]
        assert named == re.findall(r"\{(\w+)\}", resource.attrib["path"])


def test_a_description_leaves_itself_out() -> None:
    assert b"OPTIONS" not in wadl(BASE, ROUTES)
    assert "options" in openapi(BASE, ROUTES)["paths"]["/"]


def test_a_target_is_described_with_all_that_is_below_it() -> None:
    found = tree(wadl(f"{BASE}/", STANDARD, "/studies/{study}/series/{series}"))
    assert found
    assert all(path.startswith("studies/{study}/series/{series}") for path in found)
    assert "studies/{study}/series/{series}/instances/{instance}/frames/{frames}" in found
    assert "studies/{study}/series" not in found
    for target in ("studies/{study}/ser", "nothing"):
        with pytest.raises(NotFound, match="no capabilities"):
            wadl(BASE, STANDARD, target)


def test_only_what_is_on_is_described() -> None:
    table = routes(Service.SEARCH)
    assert {route.method for route in table} == {"GET"}
    assert b"POST" not in wadl(BASE, table)
    assert set(tree(wadl(BASE, table))) == {f"{route.path}" for route in table}
    assert set(openapi(BASE, table)["paths"]) == {f"/{route.path}" for route in table}


def test_a_base_url_is_escaped() -> None:
    assert ElementTree.fromstring(wadl('http://x/"<&>', STANDARD))[1].attrib["base"] == 'http://x/"<&>/'


def test_media_types_and_parameters_are_told() -> None:
    root = ElementTree.fromstring(wadl(BASE, ROUTES))
    by_name = {method.attrib["id"]: method for method in root.iter(f"{N}method")}
    metadata = by_name["retrieveStudyMetadata"]
    assert [one.attrib["mediaType"] for one in metadata.iter(f"{N}representation")] == [
        "application/dicom+json",
        "application/json",
        'multipart/related; type="application/dicom+xml"',
    ]
    uri = by_name["retrieveByURI"]
    required = [param.attrib["name"] for param in uri.iter(f"{N}param") if "required" in param.attrib]
    assert required == ["requestType", "studyUID", "seriesUID", "objectUID"]
    rendered = [param.attrib["name"] for param in by_name["retrieveRenderedFrames"].iter(f"{N}param")]
    assert rendered == ["accept", "charset", "annotation", "quality", "viewport", "window", "iccprofile"]
    stored = by_name["storeInstances"]
    statuses = " ".join(one.attrib["status"] for one in stored.findall(f"{N}response"))
    assert statuses == "200 202 400 409 413 415 503"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_one_of_the_grammar_of_paths(route: Route) -> None:
    if route.path and not route.path.endswith("/bulkdata"):
        parse_path(route.path.format(**EXAMPLES))
    assert set(re.findall(r"\{(\w+)\}", route.path)) <= set(EXAMPLES)
    assert route.statuses[0] in (200, 204)
    names = [parameter.name for parameter in route.parameters]
    assert len(names) == len(set(names))


def test_a_media_type_is_written_as_accept_has_it() -> None:
    assert str(Media("application/dicom", True)) == 'multipart/related; type="application/dicom"'
    assert str(Media("application/zip")) == "application/zip"


# -- OpenAPI ---------------------------------------------------------------------------------------------


def test_the_openapi_document_is_whole_in_itself() -> None:
    document = openapi(BASE, ROUTES, "1.0")
    assert json.loads(json.dumps(document)) == document
    assert document["info"]["version"] == "1.0"
    operations = [
        (path, method, operation)
        for path, place in document["paths"].items()
        for method, operation in place.items()
        if method != "parameters"
    ]
    assert len(operations) == len(ROUTES)
    identifiers = [operation["operationId"] for _, _, operation in operations]
    assert len(set(identifiers)) == len(identifiers)
    tags = {tag["name"] for tag in document["tags"]}
    for path, _, operation in operations:
        named = [one["name"] for one in document["paths"][path].get("parameters", ())]
        assert named == re.findall(r"\{(\w+)\}", path)
        assert set(operation["tags"]) <= tags
        assert all(response["description"] for response in operation["responses"].values())


def test_patterns_take_what_the_standard_takes() -> None:
    patterns: dict[str, str] = {}
    for route in ROUTES:
        patterns |= {parameter.name: parameter.pattern for parameter in route.parameters if parameter.pattern}
        if route.name == "Retrieve Rendered Instance":
            viewport = {one.name: one.pattern for one in route.parameters}["viewport"]
    assert re.search(viewport, "512,512,,,512,512")
    assert re.search(viewport, "10,10,0,0,-5,5")
    assert not re.search(viewport, "512")
    for name, good, bad in (
        ("quality", ("1", "99", "100"), ("0", "101", "x")),
        ("window", ("40,400,linear", "1.5,2,linear-exact"), ("40,400", "1,2,cubic")),
        ("limit", ("0", "25"), ("-1", "abc")),
        ("region", ("0.0,0.1,0.5,1.0",), ("0,1",)),
        ("studyUID", ("1.2",), ("1..2",)),
    ):
        assert all(re.search(patterns[name], value) for value in good)
        assert not any(re.search(patterns[name], value) for value in bad)


def test_the_openapi_document_fits_the_schema_of_openapi() -> None:
    validator = pytest.importorskip(
        "openapi_spec_validator", reason="openapi-spec-validator is not installed"
    )
    for table in (ROUTES, STANDARD, routes(Service.SEARCH)):
        validator.validate(openapi(BASE, table))


def test_every_status_has_a_meaning() -> None:
    statuses = set(chain.from_iterable(route.statuses for route in ROUTES))
    document = openapi(BASE, ROUTES)
    described = {
        int(status)
        for place in document["paths"].values()
        for method, operation in place.items()
        if method != "parameters"
        for status in operation["responses"]
    }
    assert described == statuses
