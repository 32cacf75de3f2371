"""Retrieve over HTTP: metadata, frames, thumbnails, and what is not there."""

import gzip
import random
from email.message import Message
from email.parser import BytesParser

import pytest

from staticwado.dicomweb.resource import Resource, View
from staticwado.web.options import ServerOptions
from tests.web.conftest import Client, Reply, StartServer
from tests.web.tree import (
    BIG_FRAME,
    BITS,
    BITS_SERIES,
    ELE,
    JLS,
    JLS_FRAMES,
    JLS_SERIES,
    JPEGLS,
    NATIVE,
    NATIVE_FRAMES,
    SERIES,
    STUDY,
    Tree,
    make_tree,
)

IMAGE = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"
BIG = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}1"
COMPRESSED = f"studies/{STUDY}/series/{JLS_SERIES}/instances/{JLS}"


def parts(reply: Reply) -> list[tuple[Message, bytes]]:
    """The parts of a multipart, read by Python's own parser."""
    text = b"Content-Type: " + reply.headers["content-type"].encode() + b"\r\n\r\n" + reply.body
    message = BytesParser().parsebytes(text)
    assert message.is_multipart()
    found = []
    for part in message.get_payload():
        assert isinstance(part, Message)
        # The parser decodes line ends; the bytes themselves are cut out of the body.
        found.append((part, b""))
    boundary = str(message.get_param("boundary")).encode()
    bodies = reply.body.split(b"--" + boundary)[1:-1]
    return [
        (part, body.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"))
        for (part, _), body in zip(found, bodies, strict=True)
    ]


@pytest.mark.parametrize("level", [f"studies/{STUDY}", f"studies/{STUDY}/series/{SERIES}", IMAGE])
def test_metadata_come_as_a_list_at_every_level(server: Client, level: str) -> None:
    reply = server.get(f"{level}/metadata")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/dicom+json"
    assert reply.json[0]["00080018"]["Value"] == [NATIVE]


def test_gzip_goes_only_to_those_who_take_it(server: Client) -> None:
    plain = server.get(f"{IMAGE}/metadata")
    packed = server.get(f"{IMAGE}/metadata", Accept_Encoding="gzip")
    refused = server.get(f"{IMAGE}/metadata", Accept_Encoding="gzip;q=0, br")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body == refused.body
    assert packed.headers["etag"] != plain.headers["etag"] == refused.headers["etag"]
    assert "Accept-Encoding" in plain.headers["vary"]


def test_metadata_under_another_name_are_labelled_with_it(server: Client) -> None:
    reply = server.get(f"{IMAGE}/metadata", Accept="application/json")
    assert reply.headers["content-type"] == "application/json"


def test_the_deduplicated_form_of_a_study(server: Client) -> None:
    reply = server.get(f"studies/{STUDY}/deduplicated")
    assert reply.json == {"version": 1}
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "accept", [None, "*/*", "multipart/related; type=application/octet-stream; transfer-syntax=*"]
)
def test_a_frame_comes_as_the_stored_multipart(server: Client, tree: Tree, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    reply = server.get(f"{IMAGE}/frames/2", **headers)
    assert reply.headers["content-type"].startswith(
        'multipart/related; type="application/octet-stream"; boundary='
    )
    [(part, body)] = parts(reply)
    assert part["Content-Type"] == f"application/octet-stream;transfer-syntax={ELE}"
    assert body == NATIVE_FRAMES[1]
    assert "immutable" in reply.headers["cache-control"]


def test_a_compressed_frame_that_cannot_be_decoded_bears_its_true_type(server: Client) -> None:
    for accept in (
        "*/*",
        'multipart/related; type="application/octet-stream"',
        "multipart/related; type=image/jls",
    ):
        [(part, body)] = parts(server.get(f"{COMPRESSED}/frames/1", Accept=accept))
        assert part["Content-Type"] == f"image/jls;transfer-syntax={JPEGLS}"
        assert body == JLS_FRAMES[0]


@pytest.mark.parametrize(
    ("path", "accept", "content_type", "body"),
    [
        (
            IMAGE,
            "application/octet-stream",
            f"application/octet-stream; transfer-syntax={ELE}",
            NATIVE_FRAMES[2],
        ),
        (COMPRESSED, "image/jls", f"image/jls; transfer-syntax={JPEGLS}", None),
        (
            COMPRESSED,
            "application/octet-stream; transfer-syntax=*",
            f"image/jls; transfer-syntax={JPEGLS}",
            None,
        ),
    ],
)
def test_a_frame_comes_alone_to_those_who_want_it_so(
    server: Client, path: str, accept: str, content_type: str, body: bytes | None
) -> None:
    number = 2 if body is None else 3
    reply = server.get(f"{path}/frames/{number}", Accept=accept)
    assert reply.headers["content-type"] == content_type
    assert reply.body == (body or JLS_FRAMES[1])


def test_a_frame_that_would_have_to_be_transcoded_is_not_acceptable(server: Client) -> None:
    reply = server.get(f"{COMPRESSED}/frames/1", Accept=f"application/octet-stream; transfer-syntax={ELE}")
    assert reply.status == 406
    assert JPEGLS in reply.error


def test_frames_come_in_the_order_of_the_list(server: Client) -> None:
    reply = server.get(f"{IMAGE}/frames/1,3")
    assert [body for _, body in parts(reply)] == [NATIVE_FRAMES[0], NATIVE_FRAMES[2]]
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert server.get(f"{IMAGE}/frames/1,3", Accept="application/octet-stream").status == 406


def test_a_big_frame_comes_whole_and_in_ranges(server: Client) -> None:
    whole = server.get(f"{BIG}/frames/1", Accept="application/octet-stream")
    assert whole.status == 200
    assert whole.body == BIG_FRAME
    first = server.get(f"{BIG}/frames/1", Accept="application/octet-stream", Range="bytes=0-63999")
    rest = server.get(f"{BIG}/frames/1", Accept="application/octet-stream", Range="bytes=64000-")
    assert (first.status, rest.status) == (206, 206)
    assert first.headers["content-range"] == f"bytes 0-63999/{len(BIG_FRAME)}"
    assert first.body + rest.body == BIG_FRAME
    stored = server.get(f"{BIG}/frames/1")
    piece = server.get(f"{BIG}/frames/1", Range="bytes=100-299999")
    assert piece.body == stored.body[100:300000]


@pytest.mark.parametrize(
    "path", [f"{BIG}/frames/1", f"{IMAGE}/frames/1", f"{IMAGE}/metadata", f"{IMAGE}/frames/1,2"]
)
def test_ranges_of_anything_stored(server: Client, path: str) -> None:
    whole = server.get(path)
    for text, expected in (
        ("bytes=0-0", whole.body[:1]),
        ("bytes=-1", whole.body[-1:]),
        ("bytes=5-", whole.body[5:]),
        (f"bytes=-{len(whole.body) * 2}", whole.body),
    ):
        part = server.get(path, Range=text, Accept_Encoding="gzip")
        assert part.status == 206
        assert part.body == expected
        assert part.headers["etag"] == whole.headers["etag"]
        assert int(part.headers["content-length"]) == len(expected)
    outside = server.get(path, Range=f"bytes={len(whole.body)}-")
    assert outside.status == 416
    assert outside.headers["content-range"] == f"bytes */{len(whole.body)}"
    assert server.get(path, Range="bytes=2-1").status == 200


@pytest.mark.parametrize("path", [f"{IMAGE}/metadata", f"{IMAGE}/frames/1", f"{BIG}/frames/1", "studies"])
def test_what_a_client_has_is_not_sent_again(server: Client, path: str) -> None:
    whole = server.get(path)
    again = server.get(path, If_None_Match=f'"x", W/{whole.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == whole.headers["etag"]
    assert again.headers["access-control-allow-origin"] == "*"
    if "last-modified" in whole.headers:
        assert server.get(path, If_Modified_Since=whole.headers["last-modified"]).status == 304


@pytest.mark.parametrize(
    "path",
    [
        f"{IMAGE}/metadata",
        f"{IMAGE}/frames/1",
        f"{IMAGE}/frames/1,2",
        f"{BIG}/frames/1",
        f"{IMAGE}/thumbnail",
        f"{IMAGE}/pixeldata",
        f"{IMAGE}/frames/9",
        "studies?limit=1",
        "studies/x",
    ],
)
def test_head_says_what_get_says(server: Client, path: str) -> None:
    get = server.get(path, X_Request_Id="same")
    head = server.ask(f"/dicomweb/{path}", "HEAD", X_Request_Id="same")
    assert head.status == get.status
    assert head.body == b""
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"studies/{STUDY}", b"\xff\xd8study\xff\xd9"),
        (f"studies/{STUDY}/series/{SERIES}", b"\xff\xd8series\xff\xd9"),
        (IMAGE, b"\xff\xd8instance\xff\xd9"),
        (f"{IMAGE}/frames/2", b"\xff\xd8instance\xff\xd9"),
    ],
)
def test_thumbnails_at_every_level(server: Client, path: str, body: bytes) -> None:
    reply = server.get(f"{path}/thumbnail?viewport=256%2C256", Accept="image/jpeg")
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "image/jpeg", body)


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("studies/9.9/metadata", 404, "no study 9.9"),
        (f"studies/{STUDY}/series/9.9/metadata", 404, "no series 9.9"),
        (f"studies/{STUDY}/series/{SERIES}/instances/9.9/metadata", 404, "no instance 9.9"),
        (f"studies/{STUDY}/series/{JLS_SERIES}/instances/{NATIVE}/metadata", 404, "no instance"),
        (f"{IMAGE}/frames/4", 404, "frame 4"),
        (f"{IMAGE}/frames/4,5", 404, "frame 4"),
        (f"studies/{STUDY}/series/{SERIES}/instances/9.9/frames/1", 404, "no instance 9.9"),
        (f"{IMAGE}/frames/0", 400, "from 1"),
        (f"{IMAGE}/frames/a", 400, "'a'"),
        (f"{IMAGE}/frames/2,1", 400, "ascending"),
        (f"{IMAGE}/frames/", 400, "frame list"),
        (f"{COMPRESSED}/thumbnail", 404, "thumbnail"),
        ("studies/abc/metadata", 400, "abc"),
        ("studies/1..2/metadata", 400, "1..2"),
        ("studies/%2e%2e/metadata", 400, "UID"),
        (f"studies/{STUDY}/../../../staticwado.json", 404, "no DICOMweb resource"),
        ("studies/" + "1" * 65 + "/metadata", 400, "UID"),
        ("studies/1%00/metadata", 400, "UID"),
        ("nonsense", 404, "nonsense"),
        ("", 404, "path"),
        (f"studies/{STUDY}/bulkdata/00/{'0' * 62}.bin", 404, "bulkdata"),
        (f"studies/{STUDY}/bulkdata/../../staticwado.json", 404, "bulkdata"),
        (f"studies/{STUDY}/skeleton", 404, "skeleton"),
        (IMAGE, 503, "skeleton"),
        (f"studies/{STUDY}", 503, "skeleton"),
        ("studies/9.9", 404, "no study 9.9"),
    ],
)
def test_an_error_says_what_was_wrong(server: Client, path: str, status: int, word: str) -> None:
    reply = server.get(path)
    assert reply.status == status
    assert word in reply.error
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["cache-control"] == "no-store"


def test_a_damaged_file_is_unavailable_and_not_missing(
    tmp_path_factory: pytest.TempPathFactory, start_server: StartServer
) -> None:
    tree = make_tree(tmp_path_factory.mktemp("damaged"))
    (tree.root / IMAGE / "metadata.gz").write_bytes(b"no gzip")
    frame = tree.root / COMPRESSED / "frames" / "1.jls.mht"
    frame.write_bytes(b"no multipart")
    server = start_server(tree.root)
    for path in (f"{IMAGE}/metadata", f"{COMPRESSED}/frames/1"):
        reply = server.get(path)
        assert reply.status == 503
        assert "damaged" in reply.error


def test_metadata_too_big_for_memory_are_inflated_as_they_go(
    tmp_path_factory: pytest.TempPathFactory, start_server: StartServer
) -> None:
    tree = make_tree(tmp_path_factory.mktemp("big"))
    numbers = random.Random(1)
    value = [{"00080018": {"vr": "UI", "Value": [f"1.{numbers.getrandbits(60)}"]}} for _ in range(40_000)]
    tree.json(Resource(View.METADATA, STUDY), value)
    server = start_server(tree.root)
    reply = server.get(f"studies/{STUDY}/metadata")
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.json == value
    assert server.get(f"studies/{STUDY}/metadata", Range="bytes=0-0").status == 200
    packed = server.get(f"studies/{STUDY}/metadata", Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == reply.body


def test_a_file_that_changes_is_answered_anew(
    tmp_path_factory: pytest.TempPathFactory, start_server: StartServer
) -> None:
    tree = make_tree(tmp_path_factory.mktemp("changing"))
    server = start_server(tree.root)
    before = server.get(f"{IMAGE}/metadata")
    assert server.get(f"{IMAGE}/metadata").body == before.body
    tree.json(Resource(View.METADATA, STUDY, SERIES, NATIVE), [{"00080018": {"vr": "UI"}}])
    after = server.get(f"{IMAGE}/metadata", If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert after.json == [{"00080018": {"vr": "UI"}}]
    tree.archive.remove(Resource(View.METADATA, STUDY, SERIES, NATIVE))
    assert server.get(f"{IMAGE}/metadata").status == 404


def test_one_bit_frames_begin_on_a_byte(server: Client) -> None:
    path = f"studies/{STUDY}/series/{BITS_SERIES}/instances/{BITS}/frames/2"
    reply = server.get(path, Accept="application/octet-stream")
    assert reply.body == bytes([0b01010101, 0b1])


def test_options_have_defaults_that_make_sense(tmp_path_factory: pytest.TempPathFactory) -> None:
    options = ServerOptions(dir=tmp_path_factory.mktemp("x"))
    assert (options.host, options.port, options.server_path) == ("127.0.0.1", 5000, "/dicomweb")


def test_a_path_with_an_encoded_slash_leads_nowhere(server: Client) -> None:
    """R-10."""
    for path in ("studies/..%2f..%2fetc/metadata", "studies/1.2%2Fseries"):
        reply = server.get(path)
        assert reply.status in (400, 404)
        assert reply.error
