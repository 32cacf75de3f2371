"""Storing data sets in DICOM JSON and XML with their bulkdata (PS3.18 10.5.1.4)."""

import copy
from pathlib import Path

import orjson
import pytest

from staticwado.dicom.xmlmodel import to_xml
from tests import factories
from tests.web.conftest import Client, StartServer
from tests.web.stowing import (
    FAILED,
    JSON,
    OTHERS,
    PIXELS,
    STORED,
    XML,
    dataset,
    is_empty,
    leftovers,
    multipart,
    post,
    reasons,
    send,
    stored,
    with_bulkdata,
)


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("pixels", "pixels"),
        ("pixels", "{root}/pixels"),
        ("{root}/studies/1.2/bulkdata/7", "studies/1.2/bulkdata/7"),
        ("http://elsewhere.example/bulkdata/7", "http://elsewhere.example/bulkdata/7"),
        ("urn:uuid:6f8f8c1e", "urn:uuid:6f8f8c1e"),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_bulkdata_are_found_by_their_location(client: Client, uri: str, location: str) -> None:
    base = f"http://127.0.0.1:{client.port}/dicomweb"
    made = dataset(**{"7FE00010": {"vr": "OB", "BulkDataURI": uri.format(root=base)}})
    reply = send(client, made, (location.format(root=base), "application/octet-stream", PIXELS))
    assert (reply.status, len(reply.json[STORED]["Value"])) == (200, 1)
    found = stored(client, made)
    assert found.PixelData == PIXELS
    assert str(found.PatientName) == "Müller^Jürgen"
    assert found.file_meta.TransferSyntaxUID == factories.EXPLICIT


def test_several_data_sets_come_in_one_array(client: Client) -> None:
    several = [dataset(seed, **{"7FE00010": {"vr": "OB", "BulkDataURI": f"p{seed}"}}) for seed in (1, 2)]
    parts = [(f"p{seed}", "application/octet-stream", PIXELS + bytes([seed, 0])) for seed in (2, 1)]
    for made in several:
        made["00280010"], made["00280011"] = ({"vr": "US", "Value": [value]} for value in (2, 7))
    reply = post(client, with_bulkdata(orjson.dumps(several), *parts), of=JSON)
    assert (reply.status, len(reply.json[STORED]["Value"])) == (200, 2)
    assert [stored(client, made).PixelData[12] for made in several] == [1, 2]


def test_the_same_data_set_again_is_the_same_file(client: Client) -> None:
    made, part = dataset(3), ("pixels", "application/octet-stream", PIXELS)
    assert [send(client, made, part).status for _ in range(2)] == [200, 200]
    other = copy.deepcopy(made)
    other["00080060"]["Value"] = ["CT"]
    reply = send(client, other, part)
    assert (reply.status, reasons(reply, FAILED)) == (409, [0x0111])


def test_values_may_be_inline_and_the_body_no_multipart(client: Client) -> None:
    made = dataset(4, **{"7FE00010": {"vr": "OB", "InlineBinary": "AAECAwQFBgcICQoL"}})
    assert post(client, orjson.dumps(made), Content_Type=JSON).status == 200
    assert stored(client, made).PixelData == PIXELS


def test_an_instance_without_its_bulkdata_fails_alone(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(PIXELS)
    lonely = dataset(5, **{"7FE00010": {"vr": "OB", "BulkDataURI": secret.as_uri()}})
    fine = dataset(6)
    body = with_bulkdata(orjson.dumps([lonely, fine]), ("pixels", "application/octet-stream", PIXELS))
    reply = post(client, body, of=JSON)
    assert (reply.status, reasons(reply, FAILED)) == (202, [0xA922])
    [failed] = reply.json[FAILED]["Value"]
    assert failed["00081155"]["Value"] == lonely["00080018"]["Value"]
    assert stored(client, fine).PixelData == PIXELS


def test_no_address_is_ever_fetched(client: Client, start_server: StartServer, root: Path) -> None:
    address = f"http://127.0.0.1:{client.port}/dicomweb/studies"
    made = dataset(7, **{"7FE00010": {"vr": "OB", "BulkDataURI": address}})
    asked = b'view="search"'
    reply = send(client, made)
    assert (reply.status, reasons(reply, FAILED)) == (409, [0xA922])
    assert asked not in client.ask("/metrics").body


def test_what_is_no_data_set_fails_with_its_reason(client: Client) -> None:
    broken = dataset(8, **{"00100040": {"vr": "XX", "Value": ["M"]}})
    nameless = {tag: element for tag, element in dataset(9).items() if tag != "00080018"}
    part = ("pixels", "application/octet-stream", PIXELS)
    reply = send(client, broken, part)
    assert (reply.status, reasons(reply, FAILED)) == (409, [0xC000])
    reply = send(client, nameless, part)
    assert (reply.status, len(reasons(reply, OTHERS))) == (409, 1)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"[1]", b'{"a":1,"a":2}', b"\xff"])
def test_metadata_that_are_no_json_are_a_bad_request(client: Client, root: Path, text: bytes) -> None:
    assert post(client, with_bulkdata(text), of=JSON).status == 400
    assert is_empty(root)
    assert leftovers(root) == []


def test_metadata_have_to_be_there_in_one_part(client: Client, root: Path) -> None:
    lonely = multipart(("Content-Type: application/octet-stream\r\nContent-Location: pixels", PIXELS))
    assert post(client, lonely, of=JSON).status == 400
    twice = multipart(*[(f"Content-Type: {JSON}", orjson.dumps([dataset()]))] * 2)
    assert post(client, twice, of=JSON).status == 400
    assert is_empty(root)


def test_metadata_have_a_limit(root: Path, start_server: StartServer) -> None:
    client = start_server(root, max_dataset=1024)
    made = dataset(10, **{"00104000": {"vr": "LT", "Value": ["x" * 1000]}})
    reply = send(client, made, ("pixels", "application/octet-stream", PIXELS * 200))
    assert (reply.status, "maxDataset" in reply.error) == (413, True)
    assert is_empty(root)


def test_xml_has_a_part_for_each_data_set(client: Client) -> None:
    several = [dataset(seed) for seed in (11, 12)]
    parts = [(f"Content-Type: {XML}", to_xml(made)) for made in several]
    bulk = ("Content-Type: application/octet-stream\r\nContent-Location: pixels", PIXELS)
    reply = post(client, multipart(*parts, bulk), of=XML, Accept=XML)
    assert (reply.status, reply.headers["content-type"]) == (200, XML)
    for made in several:
        found = stored(client, made)
        assert (found.PixelData, str(found.PatientName)) == (PIXELS, "Müller^Jürgen")
    assert post(client, multipart(("Content-Type: application/dicom+xml", b"<a>")), of=XML).status == 400
