"""dicomweb-client pages through everything and sees each match once, also where answers are capped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient

from benchmarks.made_studies import MadeStudy, make_studies, write_archive, write_list
from tests.e2e.conftest import dicomwebserver

COUNT, MOST = 120, 7
STUDIES = list(make_studies(COUNT))
BIGGEST = max(STUDIES, key=lambda study: sum(len(series.instances) for series in study.series))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("paging") / "archive"
    write_archive(place, STUDIES)
    write_list(place, STUDIES)
    return place


@pytest.fixture(scope="module", params=["uncapped", "capped"])
def client(archive: Path, request: pytest.FixtureRequest) -> Iterator[DICOMwebClient]:
    capped = ("--max-results", str(MOST)) if request.param == "capped" else ()
    with dicomwebserver("--dir", archive, *capped) as running:
        yield DICOMwebClient(f"{running.url}/dicomweb")


def uids(found: list[dict[str, Any]], tag: str) -> list[str]:
    return [one[tag]["Value"][0] for one in found]


def instances_of(study: MadeStudy) -> list[str]:
    return [uid for series in study.series for uid in series.instances]


@pytest.mark.parametrize("limit", [None, 1, 5, 50, 10_000])
@pytest.mark.parametrize("offset", [0, 3, COUNT, COUNT + 1])
def test_each_study_is_seen_once(client: DICOMwebClient, limit: int | None, offset: int) -> None:
    found = uids(client.search_for_studies(get_remaining=True, limit=limit, offset=offset), "0020000D")
    assert len(found) == len(set(found)) == max(0, COUNT - offset)
    everything = uids(client.search_for_studies(get_remaining=True), "0020000D")
    assert sorted(everything) == sorted(study.uid for study in STUDIES)
    assert found == everything[offset:]


@pytest.mark.parametrize("limit", [None, 4, 100])
def test_each_match_of_a_filter_is_seen_once(client: DICOMwebClient, limit: int | None) -> None:
    keys = {"ModalitiesInStudy": "CT", "StudyDate": "20120101-20241231"}
    expected = [
        study.uid
        for study in STUDIES
        if "CT" in study.entry["00080061"]["Value"]
        and "20120101" <= (study.entry["00080020"].get("Value") or [""])[0] <= "20241231"
    ]
    assert len(expected) > MOST
    found = client.search_for_studies(get_remaining=True, limit=limit, search_filters=keys)
    assert sorted(uids(found, "0020000D")) == sorted(expected)


@pytest.mark.parametrize("limit", [None, 6, 90])
def test_each_series_is_seen_once(client: DICOMwebClient, limit: int | None) -> None:
    found = uids(client.search_for_series(get_remaining=True, limit=limit), "0020000E")
    assert sorted(found) == sorted(series.uid for study in STUDIES for series in study.series)
    found = uids(client.search_for_series(BIGGEST.uid, get_remaining=True, limit=limit), "0020000E")
    assert found == [series.uid for series in BIGGEST.series]


@pytest.mark.parametrize("limit", [None, 13, 400])
def test_each_instance_is_seen_once(client: DICOMwebClient, limit: int | None) -> None:
    found = uids(client.search_for_instances(get_remaining=True, limit=limit), "00080018")
    assert sorted(found) == sorted(uid for study in STUDIES for uid in instances_of(study))
    found = uids(client.search_for_instances(BIGGEST.uid, get_remaining=True, limit=limit), "00080018")
    assert sorted(found) == sorted(instances_of(BIGGEST))
    for series in BIGGEST.series:
        found = uids(
            client.search_for_instances(BIGGEST.uid, series.uid, get_remaining=True, limit=limit), "00080018"
        )
        assert found == list(series.instances)
