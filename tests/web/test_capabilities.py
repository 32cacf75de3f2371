"""Retrieve Capabilities (PS3.18 8.9, annex H) and the OpenAPI document, asked of a server."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from staticwado.dicomweb.routes import OPENAPI, WADL
from staticwado.errors import NotFound
from staticwado.web.capabilities import table, template_of
from staticwado.web.options import ServerOptions
from tests.web.archives import NATIVE as NATIVE_SYNTAXES
from tests.web.archives import convert
from tests.web.conftest import Client, Reply, StartServer
from tests.web.tree import NATIVE, SERIES, STUDY, Tree

ON = table(ServerOptions(dir=Path()))
NAME = "{http://wadl.dev.java.net/2009/02}"
STUDY_PATH = f"studies/{STUDY}"
SERIES_PATH = f"{STUDY_PATH}/series/{SERIES}"


def described(reply: Reply) -> set[tuple[str, str]]:
    """(method, path) of everything in a WADL document, read by another parser."""
    found: set[tuple[str, str]] = set()

    def walk(node: ElementTree.Element, path: str) -> None:
        found.update((method.attrib["name"], path) for method in node.findall(f"{NAME}method"))
        for below in node.findall(f"{NAME}resource"):
            walk(below, f"{path}/{below.attrib['path']}".strip("/"))

    root = ElementTree.fromstring(reply.body)
    assert root.tag == f"{NAME}application"
    [resources] = root.findall(f"{NAME}resources")
    walk(resources, "")
    return found


@pytest.mark.parametrize("path", ["/dicomweb/", "/dicomweb"])
def test_the_base_describes_the_whole_service(server: Client, path: str) -> None:
    reply = server.ask(path, "OPTIONS")
    assert (reply.status, reply.headers["content-type"]) == (200, WADL)
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS"
    assert reply.headers["access-control-allow-origin"] == "*"
    [resources] = ElementTree.fromstring(reply.body)[1:]
    assert resources.attrib["base"] == f"http://127.0.0.1:{server.port}/dicomweb/"
    assert described(reply) == {(route.method, route.path) for route in ON if route.method != "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "template"),
    [
        (STUDY_PATH, "studies/{study}"),
        (SERIES_PATH, "studies/{study}/series/{series}"),
        (f"{SERIES_PATH}/instances/{NATIVE}/frames/1,2", None),
        (f"{STUDY_PATH}/metadata", None),
        ("studies", "studies"),
    ],
)
def test_a_resource_describes_itself_and_what_is_below(
    server: Client, path: str, template: str | None
) -> None:
    found = described(server.ask(f"/dicomweb/{path}", "OPTIONS"))
    assert found
    assert template is None or all(each == template or each.startswith(f"{template}/") for _, each in found)
    assert len(found) < len(ON) - 1


@pytest.mark.parametrize("path", ["nonsense", "studies/x", "studies/1.2/nonsense", "studies/1/2/3"])
def test_what_is_not_there_has_no_capabilities(server: Client, path: str) -> None:
    reply = server.ask(f"/dicomweb/{path}", "OPTIONS")
    assert reply.status == 404
    assert reply.error
    with pytest.raises(NotFound):
        template_of(path, ON)


def test_a_preflight_is_no_question_about_capabilities(server: Client) -> None:
    for path in ("/dicomweb/", "/dicomweb", f"/dicomweb/{STUDY_PATH}", "/dicomweb/nonsense"):
        reply = server.ask(path, "OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET")
        assert (reply.status, reply.body) == (204, b"")
        more = ", POST" if path.endswith(STUDY_PATH) else ""
        assert reply.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS" + more


def test_openapi_is_a_valid_document_of_the_same_routes(server: Client) -> None:
    reply = server.get("openapi.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    OpenAPIV31SpecValidator(reply.json).validate()
    found = {
        (method.upper(), path.strip("/")) for path, place in reply.json["paths"].items() for method in place
    }
    assert {each for each in found if each[0] != "PARAMETERS"} == {(route.method, route.path) for route in ON}
    assert reply.json["servers"] == [{"url": f"http://127.0.0.1:{server.port}/dicomweb"}]
    head = server.ask("/dicomweb/openapi.json", "HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(reply.body)))


def test_openapi_comes_at_the_base_to_those_who_like_it_better(server: Client) -> None:
    for accept, media_type in ((OPENAPI, OPENAPI), ("application/json", OPENAPI), ("application/xml", WADL)):
        reply = server.ask("/dicomweb/", "OPTIONS", Accept=accept)
        assert (reply.status, reply.headers["content-type"]) == (200, media_type)
    assert server.ask("/dicomweb/", "OPTIONS", Accept="image/png").status == 406
    assert server.ask(f"/dicomweb/{STUDY_PATH}", "OPTIONS", Accept=OPENAPI).status == 406


def test_conditions_mean_nothing_to_options(server: Client) -> None:
    """RFC 9110 13.2.1."""
    reply = server.ask("/dicomweb/", "OPTIONS", If_None_Match="*", If_Match='"x"', Range="bytes=0-0")
    assert reply.status == 200
    assert reply.body.startswith(b"<?xml")


@pytest.mark.parametrize("client_path", ["/", "/ohif"])
def test_a_service_at_the_root_describes_itself(
    tree: Tree, start_server: StartServer, client_path: str
) -> None:
    server = start_server(tree.root, server_path="/", client_path=client_path)
    assert server.ask("/", "OPTIONS").headers["content-type"] == WADL
    assert server.ask("/openapi.json").json["openapi"].startswith("3.1")


def test_every_route_that_is_described_is_answered(tmp_path: Path, start_server: StartServer) -> None:
    """What is said to be there is there."""
    server = start_server(convert(tmp_path, NATIVE_SYNTAXES))
    [study] = [each["0020000D"]["Value"][0] for each in server.get("studies").json]
    instance = server.get("instances?includefield=all").json[0]
    series, uid = (instance[tag]["Value"][0] for tag in ("0020000E", "00080018"))
    values = {"study": study, "series": series, "instance": uid, "frames": "1"}
    found = {}
    for route in ON:
        if route.method == "GET" and "{prefix}" not in route.path and route.path:
            found[route.path] = server.get(route.path.format(**values)).status
    assert len(found) > 20
    assert found == dict.fromkeys(found, 200)
