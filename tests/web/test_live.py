"""Read your writes over HTTP: what was stored is shown before its summaries are made, and caches know."""

import gzip
from pathlib import Path

import orjson
import pytest

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.settle import settle
from tests import factories
from tests.web.conftest import Client
from tests.web.stowing import multipart, post

STUDY, SERIES, OTHER = (
    factories.uid("study", 0),
    factories.uid("series", 0, 1),
    factories.uid("series", 0, 2),
)
LEVELS = (f"studies/{STUDY}", f"studies/{STUDY}/series/{SERIES}")


def test_metadata_hold_each_instance_at_once_and_are_the_bytes_that_the_file_gets(
    client: Client, root: Path
) -> None:
    archive = Archive(str(root))
    for count, data in enumerate(reversed(factories.series_of(4, series=1)), 1):
        assert post(client, multipart(data)).status == 200
        shown = [client.get(f"{level}/metadata") for level in LEVELS]
        packed = client.get(f"{LEVELS[1]}/metadata", Accept_Encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip"
        xml = client.get(f"{LEVELS[1]}/metadata", Accept='multipart/related; type="application/dicom+xml"')
        assert xml.body.count(b"<NativeDicomModel") == count
        assert archive.is_pending(STUDY)
        assert [len(reply.json) for reply in shown] == [count, count]
        if count % 2:
            settle(archive)
            assert [client.get(f"{level}/metadata").body for level in LEVELS] == [
                reply.body for reply in shown
            ]
            assert gzip.decompress(packed.body) == shown[1].body


def test_an_answer_that_is_kept_is_not_given_while_more_is_owed_nor_after_it_was_made(
    client: Client, root: Path
) -> None:
    first, second, third = factories.series_of(3, series=1)
    archive = Archive(str(root))
    post(client, multipart(first))
    settle(archive)
    for _ in range(2):
        assert [len(client.get(f"{level}/metadata").json) for level in LEVELS] == [1, 1]
    post(client, multipart(second))
    assert [len(client.get(f"{level}/metadata").json) for level in LEVELS] == [2, 2]
    settle(archive)
    assert [len(client.get(f"{level}/metadata").json) for level in LEVELS] == [2, 2]
    post(client, multipart(third))
    assert [len(client.get(f"{level}/metadata").json) for level in LEVELS] == [3, 3]


def test_the_compact_form_is_made_before_it_is_given(client: Client, root: Path) -> None:
    for count, data in enumerate(factories.series_of(3, series=1), 1):
        post(client, multipart(data))
        form = client.get(f"studies/{STUDY}/deduplicated").json
        assert [table["count"] for table in form["series"]] == [count]
    assert not Archive(str(root)).is_pending(STUDY)


def test_a_series_without_anything_new_is_given_as_it_is_kept(client: Client, root: Path) -> None:
    post(client, multipart(*factories.series_of(2, series=1)))
    settle(Archive(str(root)))
    post(client, multipart(*factories.series_of(1, series=2)))
    kept = client.get(f"{LEVELS[1]}/metadata", Accept_Encoding="gzip")
    assert "etag" in kept.headers
    assert kept.body == Archive(str(root)).store.read(f"studies/{STUDY}/series/{SERIES}/metadata.gz")
    assert "etag" not in client.get(f"studies/{STUDY}/series/{OTHER}/metadata").headers


@pytest.mark.parametrize("path", ["metadata", "rendered", "thumbnail", "series/1.2.3/metadata"])
def test_what_is_nowhere_is_missing_also_while_something_is_owed(client: Client, path: str) -> None:
    post(client, multipart(*factories.series_of(1, series=1)))
    assert client.get(f"studies/1.2.3/{path}").status == 404
    reply = client.get(f"studies/{STUDY}/series/1.2.3/metadata")
    assert (reply.status, reply.error) == (404, f"the archive holds no series 1.2.3 in study {STUDY}")


def test_pictures_of_a_series_are_of_all_that_was_stored(client: Client) -> None:
    wanted = {"Accept": 'multipart/related; type="image/jpeg"'}
    for count, data in enumerate(factories.series_of(3, series=1), 1):
        post(client, multipart(data))
        reply = client.get(f"{LEVELS[1]}/rendered", **wanted)
        assert reply.body.count(b"Content-Type: image/jpeg") == count
    assert client.get(f"{LEVELS[1]}/thumbnail").headers["content-type"] == "image/jpeg"


def test_searches_at_every_level_hold_each_instance_at_once(client: Client, root: Path) -> None:
    for count, data in enumerate(factories.series_of(3, series=1), 1):
        post(client, multipart(data))
        [study] = client.get("studies").json
        assert study["00201208"]["Value"] == [count]
        assert len(client.get(f"{LEVELS[1]}/instances").json) == count
        assert len(client.get("instances").json) == count
    archive = Archive(str(root))
    shown = client.get("studies").body
    settle(archive)
    assert client.get("studies").body == shown
    assert len(orjson.loads(archive.read(Resource(View.STUDIES)))) == 1
