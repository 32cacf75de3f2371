"""Search over HTTP, from the index files."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from staticwado.dicom.xmlreader import parse_xml
from staticwado.dicomweb.attributes import INSTANCE_REQUIRED, SERIES_REQUIRED, STUDY_REQUIRED
from staticwado.dicomweb.resource import Resource, View
from staticwado.search import scan as engine_module
from tests.web.archives import convert
from tests.web.conftest import Client, Reply, StartServer
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
    VALUE,
    Tree,
    address,
    make_tree,
    study_entry,
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
        ("?includefield=all&fuzzymatching=false&PatientName=*2*", [OTHER_STUDY]),
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


def test_a_list_is_compressed_for_those_who_take_it(server: Client) -> None:
    plain, packed = server.get("instances"), server.get("instances", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]


# -- What is matched and returned ----------------------------------------------------------------------------


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


RICH = "1.5"
RICH_SERIES = f"{RICH}.1"
RICH_INSTANCES = [f"{RICH_SERIES}.{number}" for number in (1, 2)]


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """One study with more attributes than are returned unasked."""
    tree = Tree(tmp_path_factory.mktemp("rich") / "archive")
    study = {
        **study_entry(RICH, "P5"),
        "00081030": attribute("LO", "Head"),
        "00080061": {"vr": "CS", "Value": []},
        "00104000": attribute("LT", "said 'ow; DROP TABLE"),
    }
    series = {
        "00080060": attribute("CS", "MR"),
        "00080070": attribute("LO", "Maker"),
        "0020000D": attribute("UI", RICH),
        "0020000E": attribute("UI", RICH_SERIES),
        "00400275": attribute("SQ", {"00400009": attribute("SH", "S1"), "00400007": attribute("LO", "Scan")}),
    }
    instances = [
        {
            "00080018": attribute("UI", uid),
            "00200013": attribute("IS", number),
            "00281050": attribute("DS", 40),
        }
        for number, uid in enumerate(RICH_INSTANCES, 1)
    ]
    private = {"00290010": attribute("LO", "Acme"), "00291002": attribute("LO", "x")}
    bulk = {"vr": "OB", "BulkDataURI": f"../../bulkdata/{address(VALUE)}"}
    metadata = [
        {**instances[0], **private, "00291003": bulk},
        {**instances[1], "00180022": attribute("CS", "SAT1")},
    ]
    tree.json(Resource(View.STUDIES), [study])
    tree.json(Resource(View.INDEX, RICH), [study])
    tree.json(Resource(View.SERIES, RICH), [series])
    tree.json(Resource(View.INSTANCES, RICH, RICH_SERIES), instances)
    tree.json(Resource(View.METADATA, RICH, RICH_SERIES), metadata)
    tree.bulkdata(RICH, VALUE)
    return tree


@pytest.fixture
def pacs(rich: Tree, start_server: StartServer) -> Client:
    return start_server(rich.root)


def first(pacs: Client, path: str) -> dict[str, Any]:
    reply = pacs.get(path)
    assert reply.status == 200, reply.body
    entry = reply.json[0]
    assert list(entry) == sorted(entry)
    assert isinstance(entry, dict)
    return entry


def test_the_attributes_of_the_level_are_returned_and_no_others(pacs: Client) -> None:
    study = first(pacs, "studies")
    assert set(study) == {*STUDY_REQUIRED, "00081190"}
    assert study["00080050"] == {"vr": "SH"}
    assert study["00080061"] == {"vr": "CS"}
    series = first(pacs, f"studies/{RICH}/series")
    assert set(series) == {*SERIES_REQUIRED, "00081190", "00400275"}
    instance = first(pacs, f"studies/{RICH}/series/{RICH_SERIES}/instances")
    assert set(instance) == {*INSTANCE_REQUIRED, "00081190"}


@pytest.mark.parametrize(
    ("path", "has", "lacks"),
    [
        ("series", ["00100010", "00080060"], ["00080018", "00081030"]),
        ("instances", ["00100010", "00080060", "00080018"], ["00281050"]),
        (f"studies/{RICH}/instances", ["00080060", "00080018"], ["00100010"]),
        (
            "studies?includefield=00081030,Modality&includefield=SOPInstanceUID",
            ["00081030"],
            ["00080060", "00080018"],
        ),
        ("studies?includefield=all", ["00081030", "00104000"], ["00080060"]),
        ("studies?PatientComments=", ["00104000"], ["00081030"]),
        ("studies?StudyDescription=H*", ["00081030"], ["00104000"]),
        ("studies?PatientSize=", ["00101020"], []),
        (
            f"studies/{RICH}/series?includefield=PatientName,Manufacturer",
            ["00100010", "00080070"],
            ["00100020"],
        ),
        (f"studies/{RICH}/series?includefield=all", ["00080070"], ["00080018"]),
        (
            f"studies/{RICH}/series/{RICH_SERIES}/instances?includefield=00080070,00281050",
            ["00080070", "00281050"],
            [],
        ),
        ("instances?offset=1&includefield=ScanOptions", ["00180022"], ["00291002"]),
    ],
)
def test_keys_fields_and_levels_above_are_returned_and_nothing_from_below(
    pacs: Client, path: str, has: list[str], lacks: list[str]
) -> None:
    entry = first(pacs, path)
    assert set(has) <= set(entry)
    assert not set(lacks) & set(entry)


def test_a_field_in_a_sequence_is_returned_alone(pacs: Client) -> None:
    [item] = first(pacs, "instances?includefield=00400275.00400007")["00400275"]["Value"]
    assert set(item) == {"00400007", "00400009"}  # the whole sequence is in the table of series


def test_ohif_gets_its_empty_list_of_modalities(pacs: Client) -> None:
    fields = "00081030%2C00080060%2C00080090%2C00100030"
    entry = first(pacs, f"studies?limit=101&offset=0&fuzzymatching=false&includefield={fields}")
    assert entry["00080061"] == {"vr": "CS", "Value": []}
    assert entry["00081030"]["Value"] == ["Head"]


def test_private_attributes_are_matched_and_returned_with_their_creator(pacs: Client) -> None:
    path = "instances?00290010=Acme&00291002=x&includefield=00291003"
    assert uids(pacs.get(path), "00080018") == RICH_INSTANCES[:1]
    entry = first(pacs, path)
    assert entry["00290010"]["Value"] == ["Acme"]
    assert entry["00291002"]["Value"] == ["x"]
    place = entry["00291003"]["BulkDataURI"].removeprefix(f"http://127.0.0.1:{pacs.port}/dicomweb/")
    assert pacs.get(place, Accept="application/octet-stream").body == VALUE
    assert uids(pacs.get("instances?00290010=Else&00291002=x"), "00080018") == []


@pytest.mark.parametrize(
    ("query", "word"),
    [("Modality=CT", "Modality"), ("00291002=x", "00291002"), ("includefield=Nonsense", "Nonsense")],
)
def test_what_is_ignored_is_named_in_a_warning(pacs: Client, query: str, word: str) -> None:
    reply = pacs.get(f"studies?{query}")
    assert uids(reply, "0020000D") == [RICH]
    assert reply.headers["warning"].startswith(f"299 http://127.0.0.1:{pacs.port}/dicomweb: ")
    assert word in reply.headers["warning"]
    assert "warning" not in pacs.get("studies?foo=bar&fuzzymatching=true&emptyvaluematching=true").headers


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("PatientName=%3CB%3Ep5*", True),
        ("PatientName=p5&fuzzymatching=true", False),
        ("PatientName=*p6*", False),
        ("PatientComments=said%20%27ow%3B%20DROP%20TABLE", True),
        ("PatientComments=%27%20OR%201%3D1%20--", False),
        ("PatientComments=.*", False),
        ("StudyDate=2019-2020&AccessionNumber=", True),
        ("AccessionNumber=%22%22&emptyvaluematching=true", True),
        ("PatientID=" + "x" * 10_000, False),
    ],
)
def test_wild_values_are_just_values(pacs: Client, query: str, found: bool) -> None:
    reply = pacs.get(f"studies?{query}")
    if reply.status == 414:
        assert len(query) > 8000
        return
    assert uids(reply, "0020000D") == ([RICH] if found else [])


def test_matches_as_xml_are_one_part_each(pacs: Client) -> None:
    accept = 'multipart/related; type="application/dicom+xml"'
    reply = pacs.get("instances?includefield=all", Accept=accept)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith(
        'multipart/related; type="application/dicom+xml"; boundary='
    )
    boundary = reply.headers["content-type"].rpartition("=")[2].encode()
    parts = reply.body.split(b"--" + boundary)[1:-1]
    documents = [part.partition(b"\r\n\r\n")[2] for part in parts]
    assert [parse_xml(document)["00080018"]["Value"] for document in documents] == [
        [uid] for uid in RICH_INSTANCES
    ]
    nothing = pacs.get("instances?PatientID=NOPE", Accept=accept)
    assert (nothing.status, nothing.body) == (200, b"")


def test_a_search_that_reads_too_much_is_refused_with_a_reason(
    pacs: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MAXIMUM_METADATA", 0)
    reply = pacs.get("instances?includefield=ScanOptions")
    assert reply.status == 413
    assert "metadata" in reply.error
    assert pacs.get("instances?ScanOptions=SAT1").status == 413
    assert pacs.get("instances?includefield=ScanOptions&limit=0").status == 200
    assert pacs.get("instances").status == 200
    monkeypatch.setattr(engine_module, "MAXIMUM_FILES", 1)
    assert pacs.get("instances").status == 413
    assert pacs.get("studies").status == 200


def test_a_search_is_never_stale(tmp_path: Path, start_server: StartServer) -> None:
    tree = make_tree(tmp_path / "archive")
    client = start_server(tree.root)
    assert uids(client.get("studies"), "0020000D") == [*STUDIES]
    tree.json(Resource(View.STUDIES), [study_entry(RICH, "new")])
    for headers in ({"Cache_Control": "no-cache"}, {}):
        assert uids(client.get("studies", **headers), "0020000D") == [RICH]


def test_every_retrieve_url_leads_to_what_it_names(tmp_path: Path, start_server: StartServer) -> None:
    client = start_server(convert(tmp_path))
    for path in ("studies", "series", "instances"):
        for entry in client.get(path).json:
            [url] = entry["00081190"]["Value"]
            place = url.removeprefix(f"http://127.0.0.1:{client.port}")
            assert client.ask(place, Accept="multipart/related; type=application/dicom").status == 200
