"""The service as a whole: methods, origins, prefixes, health and counters."""

import json
import re
import socket
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import ConfigurationError, NotFound, StoreUnavailable
from staticwado.web.answer import told
from tests.factories import instance
from tests.web.conftest import Client, StartServer
from tests.web.tree import NATIVE, SERIES, STUDY, Tree, make_tree, study_entry

IMAGE = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
@pytest.mark.parametrize("path", ["/dicomweb/studies", f"/dicomweb/{IMAGE}/metadata", "/", "/healthz"])
def test_other_methods_are_not_possible(
    tree: Tree, start_server: StartServer, method: str, path: str
) -> None:
    reply = start_server(tree.root, store=False).ask(path, method, body=b"abc")
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS"
    assert method in reply.error


def test_other_methods_on_nothing_are_not_found(server: Client) -> None:
    assert server.ask("/dicomweb/nonsense", "POST", body=b"").status == 404


@pytest.mark.parametrize("path", ["/dicomweb/studies", f"/dicomweb/{IMAGE}/frames/1", "/"])
def test_a_preflight_allows_what_was_asked(server: Client, path: str) -> None:
    reply = server.ask(
        path,
        "OPTIONS",
        Origin="https://viewer.example",
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="accept, authorization",
    )
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-headers"] == "accept, authorization"
    assert "GET" in reply.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/", "/viewer/app.js"])
def test_options_outside_the_service_say_what_methods_there_are(server: Client, path: str) -> None:
    reply = server.ask(path, "OPTIONS")
    assert (reply.status, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert "access-control-allow-methods" not in reply.headers


@pytest.mark.parametrize("path", ["/dicomweb/studies", "/dicomweb/nonsense", "/", "/nonsense.js"])
def test_every_answer_is_isolated_and_open_to_all_origins(server: Client, path: str) -> None:
    headers = server.ask(path).headers
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in headers["access-control-expose-headers"]
    assert headers["server"] == "staticwado"


def test_only_allowed_origins_may_read(tree: Tree, start_server: StartServer) -> None:
    server = start_server(tree.root, allowed_origins=("https://a.example", "https://b.example"))
    for origin, allowed in (("https://b.example", True), ("https://evil.example", False)):
        reply = server.get("studies", Origin=origin)
        assert (reply.headers.get("access-control-allow-origin") == origin) is allowed
        assert "Origin" in reply.headers["vary"]
    assert "access-control-allow-origin" not in server.get("studies").headers
    assert server.get("studies/x", Origin="https://a.example").headers["access-control-allow-origin"]


@pytest.mark.parametrize(
    ("server_path", "client_path", "dicomweb", "page"),
    [
        ("/", "/", "/studies", "/"),
        ("/", "/ohif", "/studies", "/ohif/"),
        ("/pacs/wado", "/", "/pacs/wado/studies", "/"),
        ("/app/dicomweb", "/app", "/app/dicomweb/studies", "/app/"),
        ("/dicomweb/", "/ohif/", "/dicomweb/studies", "/ohif/"),
    ],
)
def test_service_and_viewer_are_where_they_are_told_to_be(
    tree: Tree, start_server: StartServer, server_path: str, client_path: str, dicomweb: str, page: str
) -> None:
    server = start_server(tree.root, server_path=server_path, client_path=client_path)
    studies = server.ask(dicomweb)
    assert studies.headers["content-type"] == "application/dicom+json"
    place = f"http://127.0.0.1:{server.port}{dicomweb}/{STUDY}"
    assert studies.json[0]["00081190"]["Value"] == [place]
    assert server.ask(page).headers["content-type"] == "text/html; charset=utf-8"
    assert server.ask("/healthz").status == 200


def test_the_root_leads_to_the_viewer(tree: Tree, start_server: StartServer) -> None:
    server = start_server(tree.root, client_path="/ohif")
    for path in ("/", "/ohif"):
        reply = server.ask(path)
        assert (reply.status, reply.headers["location"]) == (302, "/ohif/")


def test_a_public_url_stands_in_every_absolute_url(tree: Tree, start_server: StartServer) -> None:
    server = start_server(tree.root, public_url="https://hospital.example/imaging/")
    [entry] = server.get("studies?limit=1", Host="inside:5000").json
    assert entry["00081190"]["Value"] == [f"https://hospital.example/imaging/dicomweb/studies/{STUDY}"]
    assert (
        server.get(f"{IMAGE}/pixeldata")
        .headers["content-location"]
        .startswith("https://hospital.example/imaging/")
    )


@pytest.mark.parametrize("host", ['evil"><script>', "a b", "x/../y", "@", "a" * 10 + ":123456"])
def test_a_host_that_is_none_stands_in_no_url(server: Client, host: str) -> None:
    reply = server.get("studies?limit=1", Host=host)
    if reply.status == 200:
        assert reply.json[0]["00081190"]["Value"][0].startswith(f"http://127.0.0.1:{server.port}/")


def test_without_a_host_urls_name_the_socket(server: Client) -> None:
    """HTTP/1.0: what the machine calls itself says nothing of the port, and may have to ask the DNS."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=20)) as made:
        made.sendall(b"GET /dicomweb/studies?limit=1 HTTP/1.0\r\n\r\n")
        received = b""
        while data := made.recv(65536):
            received += data
    assert f'"http://127.0.0.1:{server.port}/dicomweb/studies/{STUDY}"'.encode() in received


def test_health_tells_whether_the_archive_can_be_read(tmp_path: Path, start_server: StartServer) -> None:
    tree = make_tree(tmp_path)
    server = start_server(tree.root)
    for query in ("", "?live", "?ready"):
        assert server.ask(f"/healthz{query}").json == {"status": "ok"}
    (tree.root / "staticwado.json").unlink()
    for query in ("", "?ready"):
        reply = server.ask(f"/healthz{query}")
        assert (reply.status, reply.json["troubles"]) == (503, ["the archive cannot be read"])
        assert str(tmp_path).encode() not in reply.body
    assert server.ask("/healthz?live").status == 200


def test_a_full_disk_makes_the_server_not_ready_to_store_and_still_good_to_read(
    tree: Tree, start_server: StartServer
) -> None:
    server = start_server(tree.root, min_free=1 << 62)
    assert server.ask("/healthz").status == 200
    reply = server.ask("/healthz?ready")
    assert (reply.status, reply.json["troubles"]) == (503, ["the disk is nearly full"])
    stored = server.get("studies").status, server.ask("/dicomweb/studies", "POST", body=b"x").status
    assert stored == (200, 503)


def test_requests_are_counted_by_view_and_status(tree: Tree, start_server: StartServer) -> None:
    server = start_server(tree.root)
    size = len(server.get(f"{IMAGE}/frames/1").body) + len(server.get(f"{IMAGE}/frames/1").body)
    server.get(f"{IMAGE}/frames/9")
    server.get("studies")
    text = server.ask("/metrics").body.decode()
    assert 'staticwado_requests_total{status="200",view="frames"} 2.0\n' in text
    assert 'staticwado_requests_total{status="404",view="frames"} 1.0\n' in text
    assert 'staticwado_requests_total{status="200",view="search"} 1.0\n' in text
    [told] = re.findall(r'staticwado_response_bytes_total{status="200",view="frames"} (\S+)\n', text)
    assert float(told) == size
    assert 'staticwado_request_seconds_count{outcome="refused",view="frames"} 1.0\n' in text
    assert "staticwado_requests_in_flight 1.0\n" in text
    assert "staticwado_owed_studies 0.0\n" in text
    assert "staticwado_free_bytes " in text
    openmetrics = server.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "path", ["/dicomweb/studies", f"/dicomweb/{IMAGE}/frames/1", "/", "/dicomweb/studies/x", "/nonsense.js"]
)
def test_a_request_has_an_id_that_its_answer_repeats(server: Client, path: str) -> None:
    reply = server.ask(path, X_Request_Id="mine.7_x-1")
    assert reply.headers["x-request-id"] == "mine.7_x-1"
    made = {
        server.ask(path, X_Request_Id=given).headers["x-request-id"] for given in ("a b", "<x>", "y" * 65)
    }
    assert len(made) == 3
    assert all(re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", each) for each in made)
    if reply.status >= 400:
        assert reply.json["request"] == "mine.7_x-1"


@pytest.mark.parametrize("status", [304, 206, 416])
def test_conditions_and_ranges_keep_the_id(server: Client, status: int) -> None:
    etag = server.get(f"{IMAGE}/metadata").headers["etag"]
    headers = {304: {"If_None_Match": etag}, 206: {"Range": "bytes=0-3"}, 416: {"Range": "bytes=99999999-"}}
    reply = server.get(f"{IMAGE}/metadata", X_Request_Id="abc", **headers[status])
    assert (reply.status, reply.headers["x-request-id"]) == (status, "abc")


def test_a_request_is_a_line_of_json_without_its_query(
    tree: Tree, start_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "access.log"
    server = start_server(tree.root, access_log_file=path)
    server.get("studies?PatientName=Doe%5EJane", X_Request_Id="first", Authorization="Bearer secret")
    server.get(f"{IMAGE}/frames/1", X_Request_Id="second")
    server.get("studies/Doe%5EJane/metadata", X_Request_Id="third")
    server.ask("/dicomweb/studies", "POST", body=b"x" * 1000, X_Request_Id="fourth")
    text = path.read_text()
    assert not re.search("Doe|Jane|secret", text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["request"] for line in lines] == ["first", "second", "third", "fourth"]
    assert [line["route"] for line in lines[::2]] == ["/studies", "none"]
    assert (lines[1]["study"], lines[1]["series"], lines[1]["instance"]) == (STUDY, SERIES, NATIVE)
    assert [line["status"] for line in lines[:3]] == [200, 200, 400]
    assert lines[1]["sent"] > 100
    assert (lines[3]["method"], lines[3]["received"]) == ("POST", 1000)
    assert {line["client"] for line in lines} == {"127.0.0.1"}


def test_what_becomes_of_stored_instances_is_counted_and_written_down(
    tmp_path: Path, start_server: StartServer
) -> None:
    path = tmp_path / "access.log"
    server = start_server(make_tree(tmp_path).root, access_log_file=path)
    parts = [b"--x\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % data for data in (instance(), b"none")]
    body = b"".join(parts) + b"--x--\r\n"
    declared = 'multipart/related; type="application/dicom"; boundary=x'
    reply = server.ask("/dicomweb/studies", "POST", body=body, Content_Type=declared)
    assert reply.status == 202
    line = json.loads(path.read_text())
    assert (line["route"], line["stored"], line["failed"]) == ("/studies", 1, 1)
    assert line["received"] == len(body)
    text = server.ask("/metrics").body.decode()
    assert 'staticwado_stored_instances_total{outcome="stored"} 1.0\n' in text
    assert 'staticwado_stored_instances_total{outcome="failed"} 1.0\n' in text
    assert f'staticwado_request_bytes_total{{view="store"}} {float(len(body))}\n' in text
    assert 'staticwado_requests_total{status="202",view="store"} 1.0\n' in text


def test_pages_are_framed_by_named_origins_only(tree: Tree, start_server: StartServer) -> None:
    policy = start_server(tree.root).ask("/").headers["content-security-policy"]
    assert policy.endswith("; frame-ancestors 'self'; base-uri 'self'")
    named = start_server(tree.root, allowed_origins=("https://a.example",)).ask("/")
    assert "frame-ancestors 'self' https://a.example;" in named.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/dicomweb/studies", "/dicomweb/x", "/", "/healthz", "/metrics", "/x.js"])
def test_no_answer_is_guessed_to_be_something_else(server: Client, path: str) -> None:
    for method in ("GET", "OPTIONS", "POST"):
        headers = server.ask(path, method, body=b"" if method == "POST" else None).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_a_stranger_reads_nothing_of_the_machine() -> None:
    error = StoreUnavailable("studies/1.2/metadata.gz: /srv/data/x y.gz: No space; '/etc/a' (see http://x/y)")
    text = told(error, 503)
    assert text == "studies/1.2/metadata.gz: a file: No space; 'a file' (see http://x/y)"
    assert "/srv" not in told(ConfigurationError("/srv/data is not an archive"), 500)
    assert told(NotFound("there is nothing at /x/y"), 404) == "there is nothing at /x/y"


def test_an_accept_parameter_wins_over_the_header(server: Client) -> None:
    reply = server.get(f"{IMAGE}/frames/1?accept=application/octet-stream", Accept="image/png")
    assert reply.headers["content-type"].startswith("application/octet-stream")
    assert server.get("studies?accept=application/dicom+json").status == 200


def test_several_lines_of_a_list_are_one_list(server: Client) -> None:
    """RFC 9110 5.3."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.putrequest("GET", f"/dicomweb/{IMAGE}/metadata", skip_accept_encoding=True)
        for line in ("image/png", "application/json"):
            connection.putheader("Accept", line)
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "query",
    [
        "PatientID=M%C3%BC%2B%26%3D%23%25",
        "Patient%49D=M%c3%bc%2b%26%3d%23%25",
        "0010002%30=%4D%C3%BC%2B%26%3D%23%25&limit=1%30",
    ],
)
def test_names_and_values_are_percent_decoded_as_utf_8(
    tmp_path: Path, start_server: StartServer, query: str
) -> None:
    tree = make_tree(tmp_path)
    names = ("M\u00fc+&=#%", "M\u00fc &=#%", "M\u00c3\u00bc+&=#%")
    tree.json(
        Resource(View.STUDIES), [study_entry(f"1.2.{number}", name) for number, name in enumerate(names)]
    )
    found = start_server(tree.root).get(f"studies?{query}").json
    assert [entry["0020000D"]["Value"] for entry in found] == [["1.2.0"]]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "iso-8859-1, utf-8;q=0.5", "*", ""])
def test_utf_8_is_always_there(server: Client, charset: str) -> None:
    reply = server.get(f"studies?charset={quote(charset)}")
    assert reply.status == 200
    assert reply.body.decode("utf-8")


@pytest.mark.parametrize("charset", ["klingon", "utf-8,klingon", "base64", "%00"])
@pytest.mark.parametrize("path", ["studies", f"{IMAGE}/metadata", f"{IMAGE}/frames/1"])
def test_a_character_set_that_is_none_is_a_bad_request(server: Client, path: str, charset: str) -> None:
    reply = server.get(f"{path}?charset={charset}")
    assert reply.status == 400
    assert "charset" in reply.error


def test_nothing_is_written_by_reading(tmp_path: Path, start_server: StartServer) -> None:
    tree = make_tree(tmp_path)

    def written() -> dict[Path, int]:
        """All but results, which are kept there for the next time and are no part of the archive."""
        return {
            path: path.stat().st_mtime_ns
            for path in tree.root.rglob("*")
            if ".staticwado" not in path.relative_to(tree.root).parts
        }

    before = written()
    server = start_server(tree.root)
    for path in (
        "studies",
        f"{IMAGE}/metadata",
        f"{IMAGE}/pixeldata",
        f"studies/{STUDY}/thumbnail",
        "studies/9",
    ):
        server.get(path)
    assert written() == before


def test_a_study_without_a_modality_does_not_break_the_viewers_list(
    tmp_path: Path, start_server: StartServer
) -> None:
    """docs/decisions/0004: an empty list of values for OHIF, none at all for everybody else (J-04)."""
    tree = make_tree(tmp_path)
    entry = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00080061": {"vr": "CS", "Value": []}}
    tree.json(Resource(View.STUDIES), [entry])
    server = start_server(tree.root)
    asked_by_ohif = server.get("studies?limit=101&includefield=00081030,00080060,00080090,00100030")
    assert asked_by_ohif.json[0]["00080061"] == {"vr": "CS", "Value": []}
    assert server.get("studies").json[0]["00080061"] == {"vr": "CS"}
