"""The viewer's files and its configuration, with a viewer that is three files."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from staticwado.web.auth.identity import Right
from staticwado.web.auth.options import AuthOptions, OidcOptions, RuleOptions, UserOptions
from staticwado.web.options import ServerOptions
from staticwado.web.viewer import find_viewer
from staticwado.web.viewer_config import viewer_config
from tests.web.conftest import Client, StartServer
from tests.web.stowing import PIXELS, dataset
from tests.web.tree import Tree

PAGE = '<html><head><script>window.PUBLIC_URL="/"</script><script src="/app.js"></script></head></html>'
HASHED = "app.bundle.0123456789abcdef.js"


@pytest.fixture
def viewer(tmp_path: Path) -> Path:
    """A small viewer."""
    folder = tmp_path / "viewer"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "app.js").write_text('__webpack_require__.p = "/"; plain')
    (folder / "app.js.gz").write_bytes(gzip.compress(b'__webpack_require__.p = "/"; plain'))
    (folder / "style.css").write_text("a{src:url(/font.woff2)}")
    (folder / "manifest.json").write_text('{"src": "/icon.png"}')
    (folder / HASHED).write_text("hashed")
    (folder / "codec.wasm").write_bytes(b"\0asm")
    (folder / "app-config.js").write_text("the demo cloud of others")
    (folder / "assets" / ".secret").write_text("secret")
    (tmp_path / "outside.js").write_text("outside")
    return folder


@pytest.fixture
def site(tree: Tree, viewer: Path, start_server: StartServer) -> Client:
    """A server with the small viewer."""
    return start_server(tree.root, viewer=viewer)


@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/", "text/html; charset=utf-8", PAGE.encode()),
        ("/index.html", "text/html; charset=utf-8", PAGE.encode()),
        ("/viewer", "text/html; charset=utf-8", PAGE.encode()),
        ("/viewer/", "text/html; charset=utf-8", PAGE.encode()),
        ("/viewer?StudyInstanceUIDs=1.2.3", "text/html; charset=utf-8", PAGE.encode()),
        ("/segmentation/dicomweb", "text/html; charset=utf-8", PAGE.encode()),
        ("/app.js", "text/javascript; charset=utf-8", b'__webpack_require__.p = "/"; plain'),
        ("/codec.wasm", "application/wasm", b"\0asm"),
    ],
)
def test_a_path_is_a_file_or_a_page_of_the_viewer(
    site: Client, path: str, media_type: str, body: bytes
) -> None:
    reply = site.ask(path)
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, media_type, body)


@pytest.mark.parametrize(
    "path",
    [
        "/missing.js",
        "/assets/missing.png",
        "/../outside.js",
        "/%2e%2e/outside.js",
        "/..%2foutside.js",
        "/assets/..%5c..%5coutside.js",
        "/assets/.secret",
        "/x%00.js",
        "//etc/passwd.txt",
        "/" + "a" * 5000 + ".js",
    ],
)
def test_a_file_that_is_missing_or_outside_is_not_found(site: Client, path: str) -> None:
    reply = site.ask(path)
    assert reply.status == 404
    assert b"outside" not in reply.body.replace(b"outside.js", b"")


def test_a_compressed_file_goes_to_those_who_take_it(site: Client) -> None:
    packed = site.ask("/app.js", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == site.ask("/app.js").body
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
    assert site.ask("/app.js", Accept_Encoding="gzip", Range="bytes=0-3").body == b"__we"


def test_only_names_with_a_hash_are_kept_for_ever(site: Client) -> None:
    assert "immutable" in site.ask(f"/{HASHED}").headers["cache-control"]
    assert site.ask("/app.js").headers["cache-control"] == "no-cache"
    assert site.ask("/").headers["cache-control"] == "no-cache"


def test_the_configuration_is_the_servers_own(site: Client) -> None:
    reply = site.ask("/app-config.js")
    assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
    text = reply.body.decode()
    assert text.startswith("window.config = {")
    config = json.loads(text.removeprefix("window.config = ").removesuffix(";\n"))
    source = config["dataSources"][0]["configuration"]
    assert source["qidoRoot"] == source["wadoRoot"] == "/dicomweb"
    assert source["staticWado"] is False
    assert source["supportsFuzzyMatching"] is True
    assert source["omitQuotationForMultipartRequest"] is True
    assert 101 < source["queryLimit"] <= 10_000
    assert "http" not in text


def test_the_viewer_moves_below_the_client_path(tree: Tree, viewer: Path, start_server: StartServer) -> None:
    site = start_server(
        tree.root, viewer=viewer, client_path="/ohif", public_url="https://h.example/x/", server_path="/pacs"
    )
    page = site.ask("/ohif/viewer").body.decode()
    assert 'src="/x/ohif/app.js"' in page
    assert 'PUBLIC_URL="/x/ohif/"' in page
    assert (
        site.ask("/ohif/app.js", Accept_Encoding="gzip").body == b'__webpack_require__.p = "/x/ohif/"; plain'
    )
    assert site.ask("/ohif/style.css").body == b"a{src:url(/x/ohif/font.woff2)}"
    assert site.ask("/ohif/manifest.json").body == b'{"src": "/x/ohif/icon.png"}'
    config = site.ask("/ohif/app-config.js").body.decode()
    assert '"qidoRoot":"/x/pacs"' in config
    assert '"routerBasename":"/x/ohif"' in config
    assert site.ask("/pacs/studies").status == 200


def test_a_viewer_is_found_where_npm_packs_it(tmp_path: Path) -> None:
    assert find_viewer(None) is None
    assert find_viewer(tmp_path) is None
    (tmp_path / "package" / "dist").mkdir(parents=True)
    (tmp_path / "package" / "dist" / "index.html").touch()
    assert find_viewer(tmp_path) == tmp_path / "package" / "dist"


def test_without_a_viewer_a_page_lists_the_studies(server: Client) -> None:
    reply = server.ask("/")
    page = reply.body.decode()
    assert "2 studies" in page
    assert "&lt;b&gt;P1&lt;/b&gt;" in page
    assert "<b>P1" not in page
    assert 'href="/dicomweb/studies/1.2.3/series"' in page
    assert "npm pack" in page
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert server.ask("/app.js").status == 404


def test_no_value_of_a_study_is_markup_in_the_list(tree: Tree, start_server: StartServer) -> None:
    server = start_server(tree.root)
    evil = '"><script>alert(1)</script><img>'
    made = dataset("markup", **{"7FE00010": {"vr": "OB", "InlineBinary": base64.b64encode(PIXELS).decode()}})
    for tag, vr in (("00100020", "LO"), ("00081030", "LO")):
        made[tag] = {"vr": vr, "Value": [evil]}
    made["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": evil}]}
    body = json.dumps([made]).encode()
    assert server.ask("/dicomweb/studies", "POST", body, Content_Type="application/dicom+json").status == 200
    reply = server.ask("/")
    page = reply.body.decode()
    assert page.count("&lt;script&gt;") == 3
    assert "<script" not in page
    assert "<img" not in page
    assert "default-src 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("right", [Right.READ, Right.STORE])
def test_the_viewer_offers_uploads_where_somebody_may_store(tmp_path: Path, right: Right) -> None:
    users = (UserOptions("alice", "not looked at", (Right.READ,)), UserOptions("bob", "nor this", (right,)))
    oidc = OidcOptions(issuer="https://issuer.example", client_id="viewer")
    rules = (RuleOptions("groups", (Right.READ, right), studies="all"),)
    for auth in (AuthOptions(users=users), AuthOptions(oidc=oidc, rules=rules)):
        options = ServerOptions(dir=tmp_path, auth=auth)
        source = viewer_config(options)["dataSources"][0]["configuration"]
        assert source["dicomUploadEnabled"] is (right is Right.STORE)
        # What elements of the page fetch has a password along, and never a token.
        assert source["singlepart"] == ("bulkdata" if auth.oidc else "bulkdata,video,pdf")


def test_a_static_host_is_neither_asked_for_rendered_documents_nor_to_filter(tmp_path: Path) -> None:
    options = ServerOptions(dir=tmp_path)
    for static_host in (True, False):
        source = viewer_config(options, static_host=static_host)["dataSources"][0]["configuration"]
        assert ("pdf" in source["singlepart"]) is not static_host
        assert source["staticWado"] is static_host
        # OHIF 3.13, filtering by itself, finds no name with both of them.
        assert not (source["staticWado"] and source["supportsFuzzyMatching"] and source["supportsWildcard"])
        assert (source["queryLimit"] >= 1_000_000) is static_host
