"""Storing over HTTP (PS3.18 10.5): what becomes of instances."""

from pathlib import Path

import pytest

from staticwado.dicom.xmlreader import parse_xml
from staticwado.web.options import ServerOptions
from staticwado.web.viewer_config import viewer_config
from tests import factories
from tests.web.conftest import Client, StartServer
from tests.web.stowing import FAILED, OTHERS, STORED, leftovers, multipart, place, post, reasons, uids


def test_what_is_stored_is_answered_found_and_given_back_byte_for_byte(client: Client, root: Path) -> None:
    data = factories.instance(frames=factories.pixels(4, 4, 2), rows=4, columns=4)
    reply = post(client, multipart(data))
    study, series, instance = uids(data)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/dicom+json")
    base = f"http://127.0.0.1:{client.port}/dicomweb/studies/{study}"
    assert reply.headers["location"] == base
    assert reply.json == {
        "00081190": {"vr": "UR", "Value": [base]},
        STORED: {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [factories.SECONDARY_CAPTURE]},
                    "00081155": {"vr": "UI", "Value": [instance]},
                    "00081190": {"vr": "UR", "Value": [f"{base}/series/{series}/instances/{instance}"]},
                }
            ],
        },
    }
    given = client.get(place(data), Accept="application/dicom; transfer-syntax=*")
    assert given.body == data
    assert leftovers(root) == []


@pytest.mark.parametrize("path", ["studies", "studies/", "studies/{study}", "instances"])
def test_posts_are_taken_where_the_standard_and_older_tools_send_them(client: Client, path: str) -> None:
    data = factories.instance(seed=path)
    assert post(client, multipart(data), path.format(study=uids(data)[0])).status == 200
    assert client.get(f"{place(data)}/metadata").status == 200


def test_what_is_stored_is_found_at_once_at_every_level(client: Client) -> None:
    one, two = factories.series_of(2)
    for count, data in ((1, one), (2, two)):
        study, series, instance = uids(data)
        assert post(client, multipart(data)).status == 200
        assert len(client.get(f"instances?SOPInstanceUID={instance}").json) == 1
        [found] = client.get(f"studies?StudyInstanceUID={study}").json
        assert found["00201208"]["Value"] == [count]
        assert len(client.get(f"studies/{study}/metadata").json) == count
        assert len(client.get(f"studies/{study}/series/{series}/metadata").json) == count
        assert len(client.get(f"studies/{study}/series/{series}/instances").json) == count
        assert client.get(f"{place(data)}/metadata").json[0]["00080018"]["Value"] == [instance]


def test_the_same_again_is_a_success_and_changes_nothing(client: Client, root: Path) -> None:
    data = factories.instance(seed=7)
    first = post(client, multipart(data))
    before = {path: path.stat().st_mtime_ns for path in root.glob("studies/**/instances/*/**/*")}
    again = post(client, multipart(data, data))
    assert (first.status, again.status) == (200, 200)
    assert [len(reply.json[STORED]["Value"]) for reply in (first, again)] == [1, 2]
    assert {path: path.stat().st_mtime_ns for path in root.glob("studies/**/instances/*/**/*")} == before


def changed(data: bytes) -> bytes:
    """The same instance with other pixels."""
    return data[:-1] + bytes([data[-1] ^ 1])


def test_other_content_under_the_same_uid_is_refused(client: Client) -> None:
    data = factories.instance(seed=8, frames=factories.pixels(4, 4, 2), rows=4, columns=4)
    assert post(client, multipart(data)).status == 200
    reply = post(client, multipart(changed(data)))
    assert (reply.status, reasons(reply, FAILED)) == (409, [0x0111])
    assert STORED not in reply.json
    assert client.get(place(data), Accept="application/dicom; transfer-syntax=*").body == data


@pytest.mark.parametrize(("on_conflict", "kept"), [("keep", 0), ("replace", 1)])
def test_other_content_may_be_kept_or_replaced(
    root: Path, start_server: StartServer, on_conflict: str, kept: int
) -> None:
    client = start_server(root, on_conflict=on_conflict)
    data = factories.instance(seed=9, frames=factories.pixels(4, 4, 2), rows=4, columns=4)
    versions = (data, changed(data))
    assert post(client, multipart(versions[0])).status == 200
    reply = post(client, multipart(versions[1]))
    assert reply.status in (200, 202)
    # Success without a word would be a lie where what came was not stored.
    assert (reply.status == 202) is ("00081196" in reply.json[STORED]["Value"][0])
    assert client.get(place(data), Accept="application/dicom; transfer-syntax=*").body == versions[kept]


def test_an_instance_of_another_study_fails_and_the_others_do_not(client: Client) -> None:
    mine, other = factories.instance(seed=10, study=1), factories.instance(seed=11, study=2)
    path = f"studies/{uids(mine)[0]}"
    reply = post(client, multipart(mine, other), path)
    assert (reply.status, reasons(reply, FAILED)) == (202, [0xA900])
    [failed] = reply.json[FAILED]["Value"]
    assert failed["00081155"]["Value"] == [uids(other)[2]]
    assert [one["00081155"]["Value"] for one in reply.json[STORED]["Value"]] == [[uids(mine)[2]]]
    assert reply.json["00081190"]["Value"][0].endswith(path)
    alone = post(client, multipart(other), path)
    assert (alone.status, reasons(alone, FAILED), STORED in alone.json) == (409, [0xA900], False)
    assert client.get(f"{place(other)}/metadata").status == 404


def test_parts_that_are_no_dicom_are_other_failures(client: Client) -> None:
    good = factories.instance(seed=12)
    reply = post(client, multipart(b"Dear diary", good, b"", b"DICM" * 100))
    assert (reply.status, len(reply.json[STORED]["Value"])) == (202, 1)
    assert reasons(reply, OTHERS) == [0xC000] * 3
    assert FAILED not in reply.json
    alone = post(client, multipart(b"Dear diary"))
    assert (alone.status, reasons(alone, OTHERS)) == (409, [0xC000])
    assert alone.json["00081190"] == {"vr": "UR"}


def test_a_truncated_file_fails_alone(client: Client) -> None:
    good, whole = factories.instance(seed=13), factories.with_big_values(seed=14)
    reply = post(client, multipart(whole[: len(whole) // 2], good))
    assert (reply.status, len(reply.json[STORED]["Value"])) == (202, 1)
    assert {*reasons(reply, FAILED if FAILED in reply.json else OTHERS)} == {0xC000}


def test_the_answer_comes_as_xml_where_that_is_asked_for(client: Client) -> None:
    data = factories.instance(seed=15)
    reply = post(client, multipart(data), Accept="application/dicom+xml")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/dicom+xml")
    assert parse_xml(reply.body)[STORED]["Value"][0]["00081155"]["Value"] == [uids(data)[2]]
    assert post(client, multipart(data), Accept="image/png").status == 406


def test_the_viewer_offers_uploads_where_they_can_be_stored(root: Path) -> None:
    for store in (True, False):
        [source] = viewer_config(ServerOptions(dir=root, store=store))["dataSources"]
        assert source["configuration"]["dicomUploadEnabled"] is store
    [source] = viewer_config(ServerOptions(dir=root), static_host=True)["dataSources"]
    assert source["configuration"]["dicomUploadEnabled"] is False


def test_where_nothing_can_be_stored_post_is_not_possible(root: Path, start_server: StartServer) -> None:
    off, on = start_server(root, store=False), start_server(root)
    body = multipart(factories.instance(seed=19))
    reply = post(off, body)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert post(on, body, "studies/1.2/series").status == 405
    assert b"storeInstances" not in off.ask("/dicomweb/", "OPTIONS").body
    assert b"storeInstances" in on.ask("/dicomweb/", "OPTIONS").body
    for path, storable in (("studies", True), ("studies/1.2", True), ("instances", True), ("series", False)):
        asked = on.ask(f"/dicomweb/{path}", "OPTIONS")
        assert ("POST" in asked.headers["allow"]) is storable
        preflight = on.ask(
            f"/dicomweb/{path}", "OPTIONS", Origin="http://a.example", Access_Control_Request_Method="POST"
        )
        assert ("POST" in preflight.headers["access-control-allow-methods"]) is storable
    put = post(on, body).status, on.ask("/dicomweb/studies", "PUT", body)
    assert (put[0], put[1].status, "POST" in put[1].headers["allow"]) == (200, 405, True)


def test_a_series_is_stored_in_one_request(client: Client) -> None:
    made = factories.series_of(40)
    reply = post(client, multipart(*made))
    assert (reply.status, len(reply.json[STORED]["Value"])) == (200, 40)
    named = [item["00081155"]["Value"][0] for item in reply.json[STORED]["Value"]]
    assert named == [uids(data)[2] for data in made]


def test_retrieve_urls_resolve(client: Client) -> None:
    data = factories.instance(seed=20)
    reply = post(client, multipart(data))
    base = f"http://127.0.0.1:{client.port}"
    item = reply.json[STORED]["Value"][0]
    for url in (reply.json["00081190"]["Value"][0], item["00081190"]["Value"][0]):
        assert url.startswith(base)
        assert (
            client.ask(url.removeprefix(base), Accept="multipart/related; type=application/dicom").status
            == 200
        )
