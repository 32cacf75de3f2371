"""Metadata as XML over HTTP, for the whole corpus: each part says what the JSON says (CONFORMANCE MD-05)."""

import urllib.request
from typing import Any

import orjson
import pytest

from staticwado.dicom.jsondataset import parse_json
from staticwado.dicom.xmlreader import parse_xml
from tests.e2e.conftest import Served

pytestmark = pytest.mark.timeout(900)
XML = 'multipart/related; type="application/dicom+xml"'


def get(url: str, accept: str) -> tuple[str, bytes]:
    """(Content-Type, body)."""
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as reply:
        return reply.headers["Content-Type"], reply.read()


def documents(content_type: str, body: bytes) -> list[bytes]:
    """The parts of a multipart, by its grammar (RFC 2046 5.1.1)."""
    delimiter = b"\r\n--" + content_type.partition("boundary=")[2].encode()
    first, *pieces, last = (b"\r\n" + body).split(delimiter)
    assert (first, last) == (b"", b"--\r\n")
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces]


@pytest.mark.conformance("MD-01", "MD-05", "MD-08")
def test_every_instance_is_the_same_in_xml_and_json(served: Served) -> None:
    root = f"{served.url}/dicomweb"
    count = 0
    studies: list[dict[str, Any]] = orjson.loads(get(f"{root}/studies", "application/dicom+json")[1])
    for study in studies:
        url = f"{root}/studies/{study['0020000D']['Value'][0]}/metadata"
        expected = parse_json(get(url, "application/dicom+json")[1])
        found = [parse_xml(document) for document in documents(*get(url, XML))]
        assert found == expected, url
        count += len(found)
    assert count > 800
