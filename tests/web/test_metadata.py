"""Metadata over HTTP: the JSON as it is stored, and the same as XML."""

import gzip
import random
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.jsondataset import parse_json
from staticwado.dicom.xmlreader import parse_xml
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable
from staticwado.web.metadata import split_objects
from staticwado.web.options import ServerOptions
from tests.factories import EXPLICIT, JPEG_BASELINE, JPEG_LOSSLESS
from tests.web.archives import SYNTAXES, convert
from tests.web.conftest import Client, Running, StartServer
from tests.web.test_wado import parts
from tests.web.tree import BITS, BITS_SERIES, DOCUMENT_SERIES, NATIVE, SERIES, STUDY, make_tree

IMAGE = f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"
XML = 'multipart/related; type="application/dicom+xml"'
LEVELS = (f"studies/{STUDY}", f"studies/{STUDY}/series/{DOCUMENT_SERIES}", IMAGE)
"""With one instance, with two, with one."""


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "accept", [XML, "multipart/related; type=application/dicom+xml", "multipart/related"]
)
def test_xml_has_a_part_for_each_instance_in_the_order_of_the_json(
    server: Client, level: str, accept: str
) -> None:
    reply = server.get(f"{level}/metadata", Accept=accept)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith(f"{XML}; boundary=")
    found = parts(reply)
    assert [part["Content-Type"] for part, _ in found] == ["application/dicom+xml"] * len(found)
    expected = parse_json(server.get(f"{level}/metadata").body)
    assert [parse_xml(body) for _, body in found] == expected


def test_xml_needs_no_gzip_and_says_what_json_says_of_itself(server: Client) -> None:
    reply = server.get(f"{IMAGE}/metadata", Accept=XML, Accept_Encoding="gzip")
    plain = server.get(f"{IMAGE}/metadata")
    assert "content-encoding" not in reply.headers
    assert reply.headers["etag"] != plain.headers["etag"]
    assert reply.headers["last-modified"] == plain.headers["last-modified"]
    assert reply.headers["cache-control"] == "no-cache"
    assert "Accept" in reply.headers["vary"]
    again = server.get(f"{IMAGE}/metadata", Accept=XML, If_None_Match=reply.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_a_text_cannot_end_a_part(tmp_path: Path, start_server: StartServer) -> None:
    tree = make_tree(tmp_path)
    server = start_server(tree.root)
    boundary = server.get(f"{IMAGE}/metadata", Accept=XML).headers["content-type"].partition("boundary=")[2]
    text = f"x\r\n--{boundary}\r\nContent-Type: text/html\r\n\r\n<script>"
    tree.instance(STUDY, SERIES, NATIVE, {"00104000": {"vr": "LT", "Value": [text]}})
    [(_, body)] = parts(server.get(f"{IMAGE}/metadata", Accept=XML))
    assert parse_xml(body)["00104000"]["Value"] == [text]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/dicom+json"),
        ("application/*", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        (f"application/dicom+json;q=0.5, {XML}", "multipart/related"),
        (f"application/dicom+json, {XML};q=0.9", "application/dicom+json"),
        (
            "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*",
            "application/dicom+json",
        ),
        ("nonsense, application/json", "application/json"),
    ],
)
def test_the_form_that_the_client_likes_best_comes(server: Client, accept: str, media_type: str) -> None:
    for level in LEVELS:
        reply = server.get(f"{level}/metadata", Accept=accept)
        assert reply.status == 200
        assert reply.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize(
    "accept",
    ["application/dicom", "image/png", "application/dicom+xml", 'multipart/related; type="image/jpeg"'],
)
def test_what_metadata_cannot_be_is_not_acceptable(server: Client, accept: str) -> None:
    reply = server.get(f"{IMAGE}/metadata", Accept=accept)
    assert reply.status == 406
    for offered in ("application/dicom+json", "application/json", XML):
        assert offered in reply.error


def test_an_instance_that_cannot_be_read_is_no_xml(tmp_path: Path, start_server: StartServer) -> None:
    tree = make_tree(tmp_path)
    server = start_server(tree.root)
    for text, status in ((b"[{", 503), (b"[{}x", 503), (b"[]", 503), (b'[{"00100010":{"vr":"??"}}]', 501)):
        tree.archive.write(Resource(View.METADATA, STUDY, SERIES, NATIVE), text)
        reply = server.get(f"{IMAGE}/metadata", Accept=XML)
        assert (reply.status, text) == (status, text)
        assert reply.error
    assert server.get(f"studies/{STUDY}/metadata", Accept=XML).status == 200


def test_big_metadata_that_are_cut_short_are_not_said_to_be_whole(
    tmp_path: Path, start_server: StartServer
) -> None:
    tree = make_tree(tmp_path)
    noise = random.Random(1).randbytes(600_000).hex()
    tree.instance(STUDY, BITS_SERIES, BITS, {"00104000": {"vr": "LT", "Value": [noise]}})
    [place] = [path for path in tree.root.rglob("metadata.gz") if path.stat().st_size > 300_000]
    whole = place.read_bytes()
    assert len(gzip.decompress(whole)) > 1_000_000
    place.write_bytes(whole[:-20])
    server = start_server(tree.root)
    path = f"studies/{STUDY}/series/{BITS_SERIES}/instances/{BITS}/metadata"
    with pytest.raises((IncompleteRead, ConnectionError)):
        server.get(path)
    assert server.get(path, Accept=XML).status == 503
    assert server.get("studies").status == 200


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server over what the converter makes of one instance in each syntax."""
    running = Running(ServerOptions(dir=convert(tmp_path_factory.mktemp("metadata")), port=0))
    yield running.start()
    running.stop()


def test_xml_of_converted_instances_says_what_their_json_says(made: Client) -> None:
    [study] = made.get("studies").json
    study = study["0020000D"]["Value"][0]
    expected = parse_json(made.get(f"studies/{study}/metadata").body)
    assert len(expected) == len(SYNTAXES)
    found = [parse_xml(body) for _, body in parts(made.get(f"studies/{study}/metadata", Accept=XML))]
    assert found == expected


def test_the_available_transfer_syntax_is_that_of_the_frames_as_they_are_kept(made: Client) -> None:
    syntaxes = set()
    for instance in made.get("instances?includefield=all").json:
        study, series, uid = (instance[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        place = f"studies/{study}/series/{series}/instances/{uid}"
        [dataset] = made.get(f"{place}/metadata").json
        asked = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
        [(part, _)] = parts(made.get(f"{place}/frames/1", Accept=asked))
        served = part["Content-Type"].partition("transfer-syntax=")[2]
        assert dataset["00083002"] == {"vr": "UI", "Value": [served]}
        syntaxes.add(served)
    assert syntaxes == {EXPLICIT, JPEG_LOSSLESS, JPEG_BASELINE}


def test_metadata_hold_nothing_of_the_file_meta_information(made: Client) -> None:
    for dataset in made.get(
        "studies/" + made.get("studies").json[0]["0020000D"]["Value"][0] + "/metadata"
    ).json:
        assert not [tag for tag in dataset if tag.startswith("0002")]


MEMBERS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.text(max_size=6) | st.integers(-99, 99),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_size=3,
)


@given(st.lists(MEMBERS, max_size=4), st.integers(1, 9))
def test_a_list_is_split_wherever_it_is_cut(objects: list[dict[str, object]], size: int) -> None:
    text = orjson.dumps(objects)
    found = split_objects(text[start : start + size] for start in range(0, len(text), size))
    assert [orjson.loads(each) for each in found] == objects


@given(st.lists(MEMBERS, min_size=1, max_size=3), st.data())
def test_a_list_that_is_cut_short_is_never_taken_for_whole(
    objects: list[dict[str, object]], data: st.DataObject
) -> None:
    text = orjson.dumps(objects)
    stop = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(StoreUnavailable):
        list(split_objects([text[:stop]]))
