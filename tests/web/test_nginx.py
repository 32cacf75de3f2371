"""The generated nginx configuration: complete, fresh, and right when nginx runs it."""

import gzip
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.multipart import envelope_type
from staticwado.ingest.whole_index import write_index
from staticwado.web import nginx as generator
from staticwado.web.nginx import FILE, nginx_configuration, places
from tests.web.conftest import Client, Reply
from tests.web.tree import (
    BITS,
    BITS_SERIES,
    JLS,
    JLS_SERIES,
    NATIVE,
    OTHER_STUDY,
    PDF,
    SERIES,
    STUDY,
    VALUE,
    Tree,
    address,
)

ROOT = Path(__file__).resolve().parents[2]
IMAGE = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"


def test_the_file_is_fresh(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert generator.main(["--check"]) == 0
    monkeypatch.chdir(tmp_path)
    assert generator.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    assert (tmp_path / FILE).read_text() == (ROOT / FILE).read_text()


def test_every_kind_of_stored_file_has_a_place() -> None:
    suffixes = {place.stored.key.rpartition("/")[2] for place in places()}
    assert {"metadata.gz", "index.json.gz", "thumbnail.jpg", "104.mht", "104.jphc.mht"} <= suffixes
    kept = {place.stored.key.rpartition(".")[2] for place in places() if "/bulkdata/" in place.stored.key}
    assert kept == set(layout.BULKDATA_TYPES)


@pytest.fixture(scope="module")
def host(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """nginx over the tiny archive."""
    with nginx(tree.root, tmp_path_factory.mktemp("nginx")) as client:
        yield client


@contextmanager
def nginx(root: Path, place: Path) -> Iterator[Client]:
    """nginx over the archive in `root`; its own files lie in `place`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no nginx")
    viewer = place / "viewer"
    viewer.mkdir()
    (viewer / "index.html").write_text("<p>viewer</p>")
    (viewer / "app.0123456789abcdef.js").write_text("1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = nginx_configuration(str(root), str(viewer), f"127.0.0.1:{port}")
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place}/{kind}; " for kind in folders)
    text = text.replace("http {", "http { access_log off; " + temporary, 1)
    if os.geteuid() == 0:
        # Workers give up root, and then could not enter pytest's folders.
        text = f"user root;\n{text}"
    (place / "nginx.conf").write_text(text)
    settings = f"daemon off; pid {place}/pid; error_log {place}/error.log;"
    process = subprocess.Popen(
        [
            program,
            "-p",
            str(place),
            "-c",
            str(place / "nginx.conf"),
            "-e",
            str(place / "early.log"),
            "-g",
            settings,
        ]
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (place / "early.log").read_text()
        yield Client(port)
    finally:
        process.terminate()
        process.wait(30)


JSON = "application/dicom+json"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("studies", JSON),
        (f"studies?StudyInstanceUID={OTHER_STUDY}", JSON),
        ("studies?StudyInstanceUID=9.9", JSON),
        ("studies?limit=101&offset=0&includefield=00081030", JSON),
        (f"studies/{STUDY}/series?includefield=00080021", JSON),
        (f"studies/{STUDY}/metadata", JSON),
        (f"studies/{STUDY}/deduplicated", "application/json"),
        (f"studies/{STUDY}/series/{SERIES}/metadata", JSON),
        (f"studies/{STUDY}/series/{SERIES}/instances", JSON),
        (f"{IMAGE}/metadata", JSON),
        (f"studies/{STUDY}/thumbnail", "image/jpeg"),
        (f"studies/{STUDY}/series/{SERIES}/thumbnail?viewport=256,256", "image/jpeg"),
        (f"{IMAGE}/thumbnail", "image/jpeg"),
        (f"{IMAGE}/frames/2", envelope_type("application/octet-stream")),
        (
            f"studies/{STUDY}/series/{BITS_SERIES}/instances/{BITS}/frames/1",
            envelope_type("application/octet-stream"),
        ),
        (f"studies/{STUDY}/series/{JLS_SERIES}/instances/{JLS}/frames/2", envelope_type("image/jls")),
        (f"studies/{STUDY}/bulkdata/{address(VALUE)}", "application/octet-stream"),
        (f"studies/{STUDY}/bulkdata/{address(PDF, 'pdf')}", "application/pdf"),
        (f"studies/{STUDY}/bulkdata/{address(b'<a/>', 'xml')}", "text/xml"),
    ],
)
def test_nginx_answers_as_the_server_does(host: Client, server: Client, path: str, media_type: str) -> None:
    reply, other = host.get(path), server.get(path)
    assert (reply.status, reply.headers["content-type"]) == (200, media_type)
    assert other.headers["content-type"] == media_type
    if "?" not in path and not path.endswith(("studies", "series", "instances")):
        assert reply.body == other.body
    packed = host.get(path, Accept_Encoding="gzip")
    if packed.headers.get("content-encoding") == "gzip":
        assert gzip.decompress(packed.body) == reply.body
    shared = ("access-control-allow-origin", "cross-origin-resource-policy", "cross-origin-embedder-policy")
    for name in (*shared, "cross-origin-opener-policy", "x-content-type-options", "cache-control"):
        assert reply.headers[name] == other.headers[name], name
    assert reply.headers.get("content-security-policy") == other.headers.get("content-security-policy")


def test_a_study_that_is_not_there_is_an_empty_list(host: Client) -> None:
    assert host.get("studies?StudyInstanceUID=9.9").json == []
    [entry] = host.get(f"studies?StudyInstanceUID={OTHER_STUDY}").json
    assert entry["0020000D"]["Value"] == [OTHER_STUDY]


@pytest.mark.parametrize(
    "path",
    [
        "nonsense",
        f"studies/{STUDY}",
        "studies/abc/metadata",
        f"{IMAGE}/frames/9",
        f"{IMAGE}/frames/1,2",
        f"{IMAGE}/skeleton",
        f"{IMAGE}/rendered",
        "../staticwado.json",
        "studies/%2e%2e/%2e%2e/staticwado.json",
    ],
)
def test_what_a_static_host_has_not_is_not_found(host: Client, path: str) -> None:
    reply = host.get(path)
    assert reply.status == 404
    if path.startswith("studies") and "%" not in path:
        assert reply.headers["content-type"] == "application/json"
        assert "static host" in reply.json["error"]
    assert reply.headers["access-control-allow-origin"] == "*"


def test_ranges_and_conditions(host: Client) -> None:
    path = f"studies/{STUDY}/bulkdata/{address(VALUE)}"
    part = host.get(path, Range="bytes=10-19")
    assert (part.status, part.body) == (206, VALUE[10:20])
    again = host.get(path, If_None_Match=part.headers["etag"])
    assert again.status == 304


def test_a_preflight_is_answered(host: Client) -> None:
    reply = host.ask(
        "/dicomweb/studies", "OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET"
    )
    assert reply.status == 204
    assert reply.headers["access-control-allow-headers"] == "*"


@pytest.mark.parametrize("path", ["/", "/viewer?StudyInstanceUIDs=1.2", "/segmentation"])
def test_the_viewers_pages(host: Client, path: str) -> None:
    reply: Reply = host.ask(path)
    assert (reply.status, reply.body) == (200, b"<p>viewer</p>")
    assert reply.headers["content-type"].startswith("text/html")


def test_the_viewers_files(host: Client) -> None:
    reply = host.ask("/app.0123456789abcdef.js")
    assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in reply.headers["cache-control"]
    assert host.ask("/missing.js").status == 404
    assert host.ask("/app-config.js").body.startswith(b"window.config = {")


def test_the_months_of_a_large_archive_are_answered(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path / "archive"), create=True)
    archive.create_marker()
    texts = [
        orjson.dumps({"00080020": {"vr": "DA", "Value": [date]}, "0020000D": {"vr": "UI", "Value": [uid]}})
        for date, uid in (("20240229", "1.1"), ("20240131", "1.2"), ("", "1.3"))
    ]
    write_index(archive, lambda: iter(texts), shards_from=1)
    (tmp_path / "nginx").mkdir()
    with nginx(tmp_path / "archive", tmp_path / "nginx") as client:
        manifest = client.get("studies/months")
        assert manifest.headers["content-type"] == "application/json"
        assert [month["name"] for month in manifest.json["months"]] == ["2024-02", "2024-01", "undated"]
        for month, text in zip(manifest.json["months"], texts, strict=True):
            reply = client.get(f"studies/months/{month['name']}", Accept_Encoding="gzip")
            assert reply.headers["content-type"] == JSON
            assert (len(reply.body), reply.headers["content-encoding"]) == (month["bytes"], "gzip")
            assert gzip.decompress(reply.body) == b"[" + text + b"]"
        assert client.get("studies/months/2023-01").status == 404
        assert client.get("studies/months/all").status == 404
