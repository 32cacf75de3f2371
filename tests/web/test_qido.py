"""Search over HTTP, from the index files."""

import gzip
from typing import Any

import pytest

from tests.web.conftest import Client, Reply
from tests.web.tree import (
    BITS_SERIES,
    DOCUMENT_SERIES,
    JLS,
    JLS_SERIES,
    NATIVE,
    OTHER_STUDY,
    SERIES,
    STUDIES,
    STUDY,
)


def uids(reply: Reply, tag: str) -> list[Any]:
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/dicom+json"
    return [entry[tag]["Value"][0] for entry in reply.json]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [*STUDIES]),
        ("?limit=1", [STUDY]),
        ("?limit=1&offset=1", [OTHER_STUDY]),
        ("?offset=2", []),
        ("?offset=999999", []),
        ("?limit=0", []),
        (f"?StudyInstanceUID={OTHER_STUDY}", [OTHER_STUDY]),
        (f"?0020000D={OTHER_STUDY}", [OTHER_STUDY]),
        (f"?0020000d={OTHER_STUDY}", [OTHER_STUDY]),
        (f"?StudyInstanceUID={OTHER_STUDY},{STUDY},9.9", [*STUDIES]),
        (f"?StudyInstanceUID={OTHER_STUDY}%5C9.9", [OTHER_STUDY]),
        ("?StudyInstanceUID=", [*STUDIES]),
        ("?StudyInstanceUID=9.9", []),
        ("?PatientID=P2", [OTHER_STUDY]),
        ("?00100020=P2", [OTHER_STUDY]),
        ("?00100020=P", []),
        ("?00100020=P*", [*STUDIES]),
        ("?00100020=*1*", [STUDY]),
        ("?00100020=?2", [OTHER_STUDY]),
        ("?PatientID=", [*STUDIES]),
        ("?PatientID=p2", []),
        ("?patientid=P2&foo=bar", [*STUDIES]),
        ("?includefield=all&fuzzymatching=false&PatientName=*a*", [*STUDIES]),
    ],
)
def test_studies(server: Client, query: str, expected: list[str]) -> None:
    assert uids(server.get(f"studies{query}"), "0020000D") == expected


@pytest.mark.parametrize(
    ("path", "tag", "expected"),
    [
        (f"studies/{STUDY}/series", "0020000E", [SERIES, JLS_SERIES, BITS_SERIES, DOCUMENT_SERIES]),
        (f"studies/{STUDY}/series?SeriesInstanceUID={JLS_SERIES}", "0020000E", [JLS_SERIES]),
        (f"studies/{STUDY}/series?limit=2&offset=1", "0020000E", [JLS_SERIES, BITS_SERIES]),
        ("studies/9.9/series", "0020000E", []),
        (f"studies/{STUDY}/series/{SERIES}/instances", "00080018", [NATIVE, NATIVE + "1"]),
        (f"studies/{STUDY}/series/{SERIES}/instances?SOPInstanceUID={NATIVE}1", "00080018", [NATIVE + "1"]),
        (f"studies/{STUDY}/series/9.9/instances", "00080018", []),
        (f"studies/{STUDY}/instances?limit=3", "00080018", [NATIVE, NATIVE + "1", JLS]),
        ("series?offset=4", "0020000E", ["1.2.4.1"]),
        ("series?PatientID=P2", "0020000E", ["1.2.4.1"]),
        (f"series?StudyInstanceUID={OTHER_STUDY}", "0020000E", ["1.2.4.1"]),
        (f"instances?SOPInstanceUID={JLS}", "00080018", [JLS]),
        (f"instances?SeriesInstanceUID={JLS_SERIES}", "00080018", [JLS]),
    ],
)
def test_series_and_instances(server: Client, path: str, tag: str, expected: list[str]) -> None:
    assert uids(server.get(path), tag) == expected


def test_what_the_path_leaves_open_comes_from_the_levels_above(server: Client) -> None:
    [instance] = server.get(f"instances?SOPInstanceUID={JLS}").json
    assert instance["00100020"]["Value"] == ["P1"]
    assert instance["0020000E"]["Value"] == [JLS_SERIES]
    assert list(instance) == sorted(instance)
    [instance] = server.get(f"studies/{STUDY}/instances?SOPInstanceUID={JLS}").json
    assert "00100020" not in instance
    assert instance["0020000E"]["Value"] == [JLS_SERIES]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("studies?limit=1", f"studies/{STUDY}"),
        (f"studies/{STUDY}/series?limit=1", f"studies/{STUDY}/series/{SERIES}"),
        ("instances?limit=1", f"studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"),
    ],
)
def test_the_retrieve_url_is_absolute(server: Client, path: str, place: str) -> None:
    [entry] = server.get(path).json
    assert entry["00081190"] == {"vr": "UR", "Value": [f"http://127.0.0.1:{server.port}/dicomweb/{place}"]}


def test_the_retrieve_url_follows_the_host_that_the_client_named(server: Client) -> None:
    connection = server.get("studies?limit=1", Host="pacs.example:8443")
    assert connection.json[0]["00081190"]["Value"][0].startswith("http://pacs.example:8443/dicomweb/")


@pytest.mark.parametrize(("path", "left"), [("studies?limit=1", 1), ("series?limit=2&offset=1", 2)])
def test_a_warning_counts_what_is_left(server: Client, path: str, left: int) -> None:
    warning = server.get(path).headers["warning"]
    assert warning == (
        f"299 http://127.0.0.1:{server.port}/dicomweb: "
        f"There are {left} additional results that can be requested"
    )


@pytest.mark.parametrize("path", ["studies", "studies?limit=2", "studies?offset=5", "series?limit=5"])
def test_the_last_page_has_no_warning(server: Client, path: str) -> None:
    assert "warning" not in server.get(path).headers


def test_pages_join_to_the_whole(server: Client) -> None:
    whole = uids(server.get("instances"), "00080018")
    pages = [uids(server.get(f"instances?limit=2&offset={offset}"), "00080018") for offset in range(0, 10, 2)]
    assert [uid for page in pages for uid in page] == whole


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=" + "9" * 100, "limit"),
        ("offset=x", "offset"),
        ("limit=1&limit=2", "limit"),
        ("StudyInstanceUID=1.2*", "StudyInstanceUID"),
        ("StudyInstanceUID=abc", "StudyInstanceUID"),
        ("StudyInstanceUID=1,,2", "StudyInstanceUID"),
        ("StudyInstanceUID=1&0020000D=2", "0020000D"),
    ],
)
def test_an_impossible_value_is_a_bad_request_that_names_it(server: Client, query: str, word: str) -> None:
    reply = server.get(f"studies?{query}")
    assert reply.status == 400
    assert word in reply.error


def test_xml_is_not_acceptable_yet(server: Client) -> None:
    reply = server.get("studies", Accept='multipart/related; type="application/dicom+xml"')
    assert reply.status == 406


def test_a_list_is_compressed_for_those_who_take_it(server: Client) -> None:
    plain, packed = server.get("instances"), server.get("instances", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]
