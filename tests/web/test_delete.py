"""Deleting over HTTP: what is gone everywhere, what is said of it, and what comes back."""

from pathlib import Path

import pytest
from dicomweb_client import DICOMwebClient

from staticwado.archive import Archive
from staticwado.ingest import trash
from staticwado.ingest.restore import restore
from staticwado.ingest.settle import settle
from tests import factories
from tests.ingest.conftest import content
from tests.web.conftest import Client, StartServer
from tests.web.stowing import multipart, post

STUDY = factories.uid("study", 0)
FILES = [data for series in (1, 2) for data in factories.series_of(2, series=series)]


def series(number: int) -> str:
    return f"studies/{STUDY}/series/{factories.uid('series', 0, number)}"


def instance(of: int, number: int) -> str:
    return f"{series(of)}/instances/{factories.uid('instance', 0, of, number)}"


@pytest.fixture
def client(root: Path, start_server: StartServer) -> Client:
    """A server that may delete, and that two series of two instances were stored to."""
    made = start_server(root, delete=True)
    assert post(made, multipart(*FILES)).status == 200
    return made


def delete(client: Client, path: str) -> int:
    return client.ask(f"/dicomweb/{path}", "DELETE").status


def found(client: Client, path: str, tag: str) -> list[object]:
    return [entry[tag]["Value"][0] for entry in client.get(path).json]


def test_an_instance_is_gone_from_every_answer(client: Client) -> None:
    gone = instance(1, 1)
    for below in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail"):
        assert client.get(gone + below).status == 200
    assert delete(client, gone) == 204
    for below in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail"):
        assert client.get(gone + below).status == 410
    assert client.get(instance(1, 2) + "/frames/1").status == 200
    assert client.get(instance(1, 2) + "/frames/9").status == 404
    assert len(client.get(f"{series(1)}/metadata").json) == 1
    assert len(found(client, f"{series(1)}/instances", "00080018")) == 1
    assert found(client, f"studies/{STUDY}/series?includefield=00201209", "00201209") == [1, 2]
    assert found(client, "studies?includefield=00201208", "00201208") == [3]


def test_deleting_twice_is_gone_and_what_never_was_is_not_found(client: Client) -> None:
    assert delete(client, series(1)) == 204
    assert delete(client, series(1)) == 410
    assert delete(client, instance(1, 2)) == 410
    assert delete(client, "studies/1.2.3") == 404
    assert client.get("studies/1.2.3/metadata").status == 404
    assert client.get(series(1) + "/metadata").error.endswith("has been deleted")


def test_a_study_is_gone_at_once_and_can_be_stored_again(client: Client, root: Path) -> None:
    assert delete(client, f"studies/{STUDY}") == 204
    assert client.get("studies").json == []
    assert client.get(f"studies?StudyInstanceUID={STUDY}").json == []
    assert client.get(f"studies/{STUDY}/metadata").status == 410
    uri = f"wado?requestType=WADO&studyUID={STUDY}&seriesUID={factories.uid('series', 0, 1)}"
    assert client.get(f"{uri}&objectUID={factories.uid('instance', 0, 1, 1)}").status == 410
    assert not (root / "studies" / STUDY).exists()
    assert post(client, multipart(FILES[0])).status == 200
    assert client.get(f"studies/{STUDY}/metadata").status == 200
    assert len(found(client, f"studies/{STUDY}/instances", "00080018")) == 1
    assert client.get(instance(1, 2)).status == 404


def test_what_is_restored_is_there_again(client: Client, root: Path) -> None:
    archive = Archive(str(root))
    settle(archive)
    before = content(root)
    assert delete(client, series(1)) == 204
    (entry,) = trash.entries(archive)
    restore(archive, entry.id)
    assert len(client.get(f"studies/{STUDY}/metadata").json) == 4
    assert len(found(client, f"studies/{STUDY}/series", "0020000E")) == 2
    settle(archive)
    assert content(root) == before


def test_without_the_option_nothing_can_be_deleted(
    client: Client, root: Path, start_server: StartServer
) -> None:
    other = start_server(root)
    reply = other.ask(f"/dicomweb/{series(1)}", "DELETE")
    assert reply.status == 405
    assert "DELETE" not in reply.headers["Allow"]
    assert client.get(f"{series(1)}/metadata").status == 200
    assert "DELETE" in client.ask(f"/dicomweb/{series(1)}", "OPTIONS").headers["Allow"]
    for path in ("studies", f"{series(1)}/metadata", f"{instance(1, 1)}/frames/1", "instances"):
        reply = client.ask(f"/dicomweb/{path}", "DELETE")
        assert reply.status == 405
        assert "DELETE" not in reply.headers["Allow"]


def test_without_retention_nothing_is_kept(root: Path, start_server: StartServer) -> None:
    client = start_server(root, delete=True, trash_retention=0)
    post(client, multipart(*FILES))
    assert delete(client, series(1)) == 204
    assert Archive(str(root)).store.names(".staticwado/trash") == []
    assert client.get(series(1) + "/metadata").status == 410


def test_a_disk_that_fails_is_said_and_nothing_is_deleted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local._sync_file_system", fail)
        assert delete(client, series(1)) == 503
    assert client.get(f"{series(1)}/metadata").status == 200
    assert delete(client, series(1)) == 204


def test_dicomweb_client_deletes_what_it_names(client: Client) -> None:
    other = DICOMwebClient(f"http://127.0.0.1:{client.port}/dicomweb")
    study, first, second = STUDY, factories.uid("series", 0, 1), factories.uid("series", 0, 2)
    other.delete_instance(study, first, factories.uid("instance", 0, 1, 1))
    assert len(other.search_for_instances(study)) == 3
    other.delete_series(study, second)
    assert [one["0020000E"]["Value"] for one in other.search_for_series(study)] == [[first]]
    other.delete_study(study)
    assert other.search_for_studies() == []
