"""Instances over HTTP: forms, transfer syntaxes, and bodies that fail (PS3.18 10.4.1.1.1, CONFORMANCE R)."""

import contextlib
import hashlib
import http.client
import io
import re
import zipfile
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from pathlib import Path

import pydicom
import pytest

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.web.options import ServerOptions
from tests import factories
from tests.factories import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG_BASELINE, JPEG_LOSSLESS
from tests.ingest.test_rebuild import damage
from tests.truth import part10 as truth
from tests.web.conftest import Client, Reply, Running, StartServer

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, JPEG_LOSSLESS, JPEG_BASELINE)
"""One instance of each, in a series of its own."""
NATIVE = frozenset({EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED})
STUDY = factories.uid("study", 0)
DICOM = 'multipart/related; type="application/dicom"'


def _file(syntax: str) -> bytes:
    frames = factories.pixels(30, 20, 3) if syntax in NATIVE else [factories.codestream(901)]
    return factories.instance(syntax=syntax, series=syntax, frames=frames, rows=30, columns=20)


FILES = {syntax: _file(syntax) for syntax in SYNTAXES}


def path(syntax: str) -> str:
    series = factories.uid("series", 0, syntax)
    return f"studies/{STUDY}/series/{series}/instances/{factories.uid('instance', 0, syntax, 0)}"


def make_archive(place: Path, files: dict[str, bytes] | None = None) -> Path:
    for number, data in enumerate((files or FILES).values()):
        (place / f"{number}.dcm").write_bytes(data)
    options = CreateOptions(jobs=1, thumbnails=False)
    report = create(Archive(str(place / "archive"), create=True), [str(place)], options)
    assert all(one.ok for one in report.outcomes)
    return place / "archive"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = make_archive(tmp_path_factory.mktemp("part10"))
    running = Running(ServerOptions(dir=root, port=0))
    yield running.start()
    running.stop()


def parts(reply: Reply) -> list[tuple[dict[str, str], bytes]]:
    """Headers and body of each part; the multipart is read by its grammar (RFC 2046 5.1.1)."""
    found = re.fullmatch(
        r'multipart/related; type="([^"]+)"; boundary=(\S{1,70})', reply.headers["content-type"]
    )
    assert found is not None
    delimiter = b"--" + found[2].encode()
    body = b"\r\n" + reply.body
    pieces = body.split(b"\r\n" + delimiter)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    made = []
    for piece in pieces[1:-1]:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
        assert headers.get_content_type() == found[1]
        made.append(({name.lower(): value for name, value in headers.items()}, data))
    return made


def syntaxes(reply: Reply) -> dict[str, str]:
    """Transfer syntax by Content-Location; what each part says and what its file says are the same (R-02)."""
    found = {}
    for headers, data in parts(reply):
        syntax = headers["content-type"].partition("transfer-syntax=")[2]
        assert truth.read_meta(data)[0][0x00020010].rstrip(b"\0").decode() == syntax
        found[headers["content-location"]] = syntax
    return found


def test_any_transfer_syntax_gives_the_files_as_they_came(client: Client) -> None:
    reply = client.get(f"studies/{STUDY}", Accept=f"{DICOM}; transfer-syntax=*")
    assert reply.status == 200
    bodies = {headers["content-location"]: data for headers, data in parts(reply)}
    assert len(bodies) == len(FILES)
    for syntax, data in FILES.items():
        body = bodies[f"http://127.0.0.1:{client.port}/dicomweb/{path(syntax)}"]
        if syntax in (IMPLICIT, BIG_ENDIAN):
            assert pydicom.dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == EXPLICIT
            assert (
                truth.read(body).nodes[truth.PIXEL_DATA].raw
                == truth.read(FILES[EXPLICIT]).nodes[truth.PIXEL_DATA].raw
            )
        else:
            assert body == data


def wanted(**changes: str) -> dict[str, str]:
    return {
        syntax: {IMPLICIT: EXPLICIT, BIG_ENDIAN: EXPLICIT, **changes}.get(syntax, syntax) for syntax in FILES
    }


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (f"{DICOM}; transfer-syntax=*", wanted()),
        (f'{DICOM}; transfer-syntax="*"', wanted()),
        ("multipart/related;type=application/dicom;transfer-syntax=*", wanted()),
        (DICOM, wanted(**{DEFLATED: EXPLICIT})),
        ("*/*", wanted(**{DEFLATED: EXPLICIT})),
        ("multipart/*", wanted(**{DEFLATED: EXPLICIT})),
        (f"image/heic, {DICOM};q=0.1", wanted(**{DEFLATED: EXPLICIT})),
        (f"{DICOM}; transfer-syntax={DEFLATED}, {DICOM};q=0.5", wanted()),
        (f"{DICOM}; transfer-syntax=*;q=0.5, {DICOM}", wanted(**{DEFLATED: EXPLICIT})),
        (f"application/zip;q=0.5, {DICOM}", wanted(**{DEFLATED: EXPLICIT})),
    ],
)
def test_each_instance_is_sent_in_the_syntax_that_was_asked_for(
    client: Client, accept: str, sent: dict[str, str]
) -> None:
    """R-02, R-03, R-04; M-04: chosen for each part."""
    reply = client.get(f"studies/{STUDY}", Accept=accept)
    assert reply.status == 200
    root = f"http://127.0.0.1:{client.port}/dicomweb"
    assert syntaxes(reply) == {f"{root}/{path(syntax)}": uid for syntax, uid in sent.items()}


def test_no_accept_header_means_anything(client: Client) -> None:
    assert len(parts(client.get(f"studies/{STUDY}"))) == len(FILES)
    assert len(parts(client.get(f"studies/{STUDY}?accept={DICOM.replace(' ', '')}"))) == len(FILES)


@pytest.mark.parametrize(
    ("syntax", "count"), [(EXPLICIT, 4), (DEFLATED, 1), (JPEG_LOSSLESS, 4), (JPEG_BASELINE, 1)]
)
def test_who_names_a_transfer_syntax_gets_what_there_is_of_it(
    client: Client, syntax: str, count: int
) -> None:
    """R-04, R-11."""
    reply = client.get(f"studies/{STUDY}", Accept=f"{DICOM}; transfer-syntax={syntax}")
    assert reply.status == 206
    assert set(syntaxes(reply).values()) == {syntax}
    assert len(parts(reply)) == count
    assert reply.headers["warning"].startswith(f'299 staticwado "{len(FILES) - count} of {len(FILES)} ')
    assert "content-range" not in reply.headers
    reply = client.get(path(syntax), Accept=f"{DICOM}; transfer-syntax={syntax}")
    assert reply.status == 200
    assert set(syntaxes(reply).values()) == {syntax}
    assert "warning" not in reply.headers


@pytest.mark.parametrize(
    ("syntax", "accept"),
    [
        (JPEG_LOSSLESS, f"{DICOM}; transfer-syntax={EXPLICIT}"),
        (JPEG_LOSSLESS, f"{DICOM}; transfer-syntax={JPEG_BASELINE}"),
        (EXPLICIT, f"{DICOM}; transfer-syntax={JPEG_BASELINE}"),
        (IMPLICIT, f"{DICOM}; transfer-syntax={IMPLICIT}"),
        (BIG_ENDIAN, f"{DICOM}; transfer-syntax={BIG_ENDIAN}"),
        (EXPLICIT, f"{DICOM}; transfer-syntax={EXPLICIT};q=0, {DICOM}"),
        (EXPLICIT, "image/jpeg"),
        (EXPLICIT, 'multipart/related; type="image/jpeg"'),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(client: Client, syntax: str, accept: str) -> None:
    reply = client.get(path(syntax), Accept=accept)
    assert reply.status == 406
    assert "application/zip" in reply.error
    assert 'multipart/related; type="application/dicom"' in reply.error


def test_a_zip_is_taken_where_the_transfer_syntax_is_not_to_be_had(client: Client) -> None:
    accept = f"{DICOM}; transfer-syntax={JPEG_BASELINE}, application/zip;q=0.1"
    assert client.get(path(EXPLICIT), Accept=accept).headers["content-type"] == "application/zip"
    assert client.get(path(JPEG_BASELINE), Accept=accept).headers["content-type"].startswith("multipart/")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, JPEG_LOSSLESS])
def test_one_instance_can_be_a_body_of_its_own(client: Client, syntax: str) -> None:
    """R-07."""
    reply = client.get(path(syntax), Accept="application/dicom; transfer-syntax=*")
    assert reply.status == 200
    uid = wanted()[syntax]
    assert reply.headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
    assert truth.read_meta(reply.body)[0][0x00020010].rstrip(b"\0").decode() == uid
    assert (reply.body == FILES[syntax]) == (syntax != IMPLICIT)
    assert reply.headers["content-location"].endswith(path(syntax))
    if syntax != IMPLICIT:
        assert reply.headers["content-length"] == str(len(FILES[syntax]))
    uid = factories.uid("instance", 0, syntax, 0)
    assert reply.headers["content-disposition"] == f'attachment; filename="{uid}.dcm"'


def test_a_study_and_a_series_are_never_a_single_part(client: Client) -> None:
    """R-07: also when there is only one instance."""
    for place in (f"studies/{STUDY}", path(EXPLICIT).rpartition("/instances/")[0]):
        assert client.get(place, Accept="application/dicom").status == 406


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_zip_holds_the_originals(client: Client, level: str) -> None:
    whole = path(IMPLICIT)
    place = {"study": f"studies/{STUDY}", "series": whole.rpartition("/instances/")[0], "instance": whole}[
        level
    ]
    reply = client.get(place, Accept="application/zip")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/zip"
    uid = place.rpartition("/")[2]
    assert reply.headers["content-disposition"] == f'attachment; filename="{uid}.zip"'
    with zipfile.ZipFile(io.BytesIO(reply.body)) as packed:
        assert packed.testzip() is None
        found = {packed.read(name) for name in packed.namelist()}
    assert found == (set(FILES.values()) if level == "study" else {FILES[IMPLICIT]})
    assert client.get(f"{place}?accept=application/zip").body == reply.body


@pytest.mark.parametrize("accept", [DICOM, "application/zip", f"{DICOM}; transfer-syntax=*"])
def test_bodies_have_an_entity_tag_that_stands_for_their_bytes(client: Client, accept: str) -> None:
    first, second = (client.get(f"studies/{STUDY}", Accept=accept) for _ in range(2))
    assert first.body == second.body
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["vary"] == "Accept"
    unchanged = client.get(f"studies/{STUDY}", Accept=accept, If_None_Match=first.headers["etag"])
    assert (unchanged.status, unchanged.body) == (304, b"")
    ranged = client.get(f"studies/{STUDY}", Accept=accept, Range="bytes=0-9")
    assert (ranged.status, ranged.body) == (200, first.body)


def test_other_forms_have_other_entity_tags(client: Client) -> None:
    accepts = [DICOM, f"{DICOM}; transfer-syntax=*", "application/zip", "application/dicom"]
    tags = {client.get(path(DEFLATED), Accept=accept).headers["etag"] for accept in accepts}
    assert len(tags) == len(accepts)
    hosts = {client.get(path(DEFLATED), Accept=DICOM, Host=host).headers["etag"] for host in ("a.b", "c.d")}
    assert len(hosts) == 2


@pytest.mark.parametrize("accept", [DICOM, "application/zip", "application/dicom; transfer-syntax=*"])
def test_head_says_what_get_says(client: Client, accept: str) -> None:
    got = client.get(path(EXPLICIT), Accept=accept)
    head = client.ask(f"/dicomweb/{path(EXPLICIT)}", method="HEAD", Accept=accept)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "etag", "vary", "content-length", "content-disposition", "last-modified"):
        assert head.headers.get(name) == got.headers.get(name)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("studies/9.9", "no study 9.9"),
        (f"studies/{STUDY}/series/9.9", "no series 9.9"),
        (path(EXPLICIT).rpartition("/")[0] + "/9.9", "no instance 9.9"),
        (
            path(EXPLICIT).rpartition("/")[0] + "/" + path(IMPLICIT).rpartition("/")[2],
            "no instance",
        ),
    ],
)
def test_what_is_not_there_is_said(client: Client, place: str, words: str) -> None:
    """R-09."""
    for accept in (DICOM, "application/zip"):
        reply = client.get(place, Accept=accept)
        assert reply.status == 404
        assert words in reply.error


def test_the_boundary_of_an_earlier_answer_can_be_in_a_file(
    tmp_path: Path, start_server: StartServer
) -> None:
    """Whoever reads an answer and stores its boundary gets another one: it is not in what is sent (M-02)."""
    root = make_archive(tmp_path, {"": factories.instance(frames=factories.pixels(4, 4))})
    server = start_server(root)
    found = server.get(f"studies/{STUDY}", Accept=DICOM)
    boundary = found.headers["content-type"].partition("boundary=")[2]
    made = factories.instance(seed=2, ImageType=f"\r\n--{boundary}\r\n", frames=factories.pixels(4, 4))
    (tmp_path / "2.dcm").write_bytes(made)
    report = create(Archive(str(root)), [str(tmp_path / "2.dcm")], CreateOptions(jobs=1, thumbnails=False))
    assert report.outcomes[0].ok
    sent = [data for _, data in parts(server.get(f"studies/{STUDY}", Accept=DICOM))]
    assert len(sent) == 2
    assert made in sent


@pytest.mark.parametrize("accept", [DICOM, "application/zip", "application/dicom; transfer-syntax=*"])
def test_a_file_that_turns_out_damaged_cuts_the_answer_short(
    tmp_path: Path, start_server: StartServer, accept: str
) -> None:
    data = factories.instance(frames=factories.pixels(512, 512, 4), rows=512, columns=512)
    root = make_archive(tmp_path, {"": data})
    damage(next(root.rglob("frames/4.mht")))
    server = start_server(root)
    series, instance = factories.uid("series", 0, 0), factories.uid("instance", 0, 0, 0)
    place = f"studies/{STUDY}/series/{series}/instances/{instance}"
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        server.get(place, Accept=accept)
    assert server.ask("/healthz").status == 200


@pytest.mark.parametrize("accept", [DICOM, "application/zip"])
def test_a_file_that_cannot_be_begun_is_told(tmp_path: Path, start_server: StartServer, accept: str) -> None:
    root = make_archive(tmp_path, {"": factories.instance(frames=factories.pixels(4, 4))})
    next(root.rglob("skeleton.gz")).unlink()
    reply = start_server(root).get(f"studies/{STUDY}", Accept=accept)
    assert reply.status == 503
    assert "skeleton" in reply.error


def test_who_goes_away_stops_the_work(tmp_path: Path, start_server: StartServer) -> None:
    frame = factories.noise(1 << 20)
    data = factories.instance(frames=[frame] * 64, rows=1024, columns=512)
    root = make_archive(tmp_path, {"": data})
    server = start_server(root)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/dicomweb/studies/{STUDY}", headers={"Accept": "application/zip"})
    response = connection.getresponse()
    assert len(response.read(1000)) == 1000
    with contextlib.suppress(OSError):
        response.close()
    connection.close()
    gone = 'requests_total{status="499",view="part10"} 1'
    assert any(gone in server.ask("/metrics").body.decode() for _ in range(2000))


def test_an_answer_is_the_same_from_another_process(tmp_path: Path, start_server: StartServer) -> None:
    """The boundary and the entity tag come from the files alone."""
    root = make_archive(tmp_path)
    bodies = {
        hashlib.sha256(start_server(root).get(f"studies/{STUDY}", Accept=accept, Host="h").body).hexdigest()
        for accept in (DICOM, DICOM)
    }
    assert len(bodies) == 1
