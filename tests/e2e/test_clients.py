"""What clients of others do, at the server: all retrieve calls of dicomweb-client, and what viewers ask for.

`benchmarks/clients.py` makes the same calls for every file of the corpus; docs/clients.md says where the
sequences come from.
"""

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests.clients.bulkdata import bulkdata_calls
from tests.clients.calls import REFUSED, RIGHT, UNJUDGED, Caller, calls_of_group, calls_of_instance
from tests.clients.values import Subject, faults_of, subjects_of
from tests.e2e.conftest import Served, dicomwebserver
from tests.truth.corpus import read_corpus

pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore::UserWarning")]

BIGGEST = 1 << 20
VIDEO = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107")
BROKEN = "JPEG2000-embedded-sequence-delimiter.dcm"
"""Its codestream was overwritten on purpose: no decoder takes it."""
SERIES_OF_VIEWERS = "DICOMcloud/SampleImages/1.dcm", "generated/htj2k_lossless_3f.dcm"


@pytest.fixture(scope="module")
def subjects(testdata: Path) -> list[Subject]:
    return subjects_of(read_corpus(testdata))


@pytest.fixture(scope="module")
def client(served: Served) -> DICOMwebClient:
    made = DICOMwebClient(f"{served.url}/dicomweb")
    made.set_http_retry_params(False)
    return made


def kind_of(subject: Subject) -> tuple[object, ...]:
    """What makes a file another kind of file to a server."""
    source = subject.dataset
    several = source.number(0x00280008, 1) > 1
    bits = source.number(0x00280100), source.number(0x00280101), source.number(0x00280103)
    return (
        subject.syntax,
        source.text(0x00280004),
        bits,
        several,
        source.text(0x00080060),
        subject.path.suffix,
    )


def one_of_each_kind(subjects: list[Subject]) -> list[Subject]:
    found: dict[tuple[object, ...], Subject] = {}
    for subject in subjects:
        if subject.path.stat().st_size <= BIGGEST:
            found.setdefault(kind_of(subject), subject)
    return list(found.values())


def may_be_refused(call: str, subject: Subject) -> bool:
    """Whether 406 is the right answer.

    Video, and what no one can decode, have no other form; text is no picture; several frames are no PNG.
    """
    if subject.syntax in VIDEO or subject.path.name == BROKEN:
        return "little endian" in call or "octet-stream" in call or "rendered" in call
    if "rendered" not in call:
        return False
    frames = subject.frames
    return frames is None or (len(frames.frames) > 1 and call.endswith(("instance_rendered (png)", "(jpeg)")))


def test_every_call_for_an_instance_gives_what_the_source_holds(
    client: DICOMwebClient, subjects: list[Subject]
) -> None:
    caller, counts, faults = Caller(client), Counter[str](), []
    for subject in one_of_each_kind(subjects):
        for outcome in (*calls_of_instance(caller, subject), *bulkdata_calls(caller, subject)):
            counts[outcome.verdict] += 1
            allowed = outcome.verdict in (RIGHT, UNJUDGED)
            if not allowed and not (outcome.verdict == REFUSED and may_be_refused(outcome.call, subject)):
                faults.append(outcome)
    assert not faults
    assert counts[RIGHT] > 50 * counts[UNJUDGED], counts


def test_every_call_for_a_series_and_a_study_gives_what_the_sources_hold(
    client: DICOMwebClient, subjects: list[Subject]
) -> None:
    groups: dict[tuple[str, ...], list[Subject]] = {}
    for subject in subjects:
        study, series, _ = subject.identity
        groups.setdefault((study,), []).append(subject)
        groups.setdefault((study, series), []).append(subject)
    chosen = {uids: held for uids, held in groups.items() if 1 < len(held) <= 12}
    outcomes = [
        one for uids, held in sorted(chosen.items()) for one in calls_of_group(Caller(client), uids, held)
    ]
    faults = [one for one in outcomes if one.verdict != RIGHT and "rendered" not in one.call]
    assert not faults
    assert {"iter_study", "iter_series", "retrieve_series_rendered"} <= {one.call for one in outcomes}


# -- 3D Slicer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERIES_OF_VIEWERS)
def test_slicer_imports_a_study(
    client: DICOMwebClient, subjects: list[Subject], name: str, tmp_path: Path
) -> None:
    """DICOMUtils.importFromDICOMWeb: search, metadata, iter_series, and each data set saved as a file."""
    subject = next(one for one in subjects if str(one.path).endswith(name))
    study = subject.identity[0]
    saved: dict[str, pydicom.Dataset] = {}
    for found in client.search_for_series(study_instance_uid=study):
        series = found["0020000E"]["Value"][0]
        listed = client.retrieve_series_metadata(study_instance_uid=study, series_instance_uid=series)
        names = {one["00080018"]["Value"][0] for one in listed}
        for number, dataset in enumerate(
            client.iter_series(study_instance_uid=study, series_instance_uid=series)
        ):
            path = tmp_path / f"{number}.dcm"
            dataset.save_as(path)
            saved[dataset.SOPInstanceUID] = pydicom.dcmread(path)
        assert names <= set(saved)
    assert set(saved) == {one.identity[2] for one in subjects if one.identity[0] == study}
    mine = saved[subject.identity[2]]
    assert mine.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert not faults_of(mine, subject)


def pages(client: DICOMwebClient) -> Iterator[Any]:
    """All studies as Slicer's DICOMweb browser lists them: until a page is empty or begins as one before."""
    seen: list[Any] = []
    while found := client.search_for_studies(offset=len(seen)):
        if found[0] in seen:
            return
        yield from found
        seen += found


def test_slicers_browser_lists_everything_once_and_downloads_what_is_stored(
    client: DICOMwebClient, subjects: list[Subject]
) -> None:
    studies = [one["0020000D"]["Value"][0] for one in pages(client)]
    assert sorted(studies) == sorted({one.identity[0] for one in subjects})
    subject = next(one for one in subjects if str(one.path).endswith(SERIES_OF_VIEWERS[1]))
    study, series, instance = subject.identity
    assert series in [one["0020000E"]["Value"][0] for one in client.search_for_series(study)]
    found = client.search_for_instances(study_instance_uid=study, series_instance_uid=series)
    assert instance in [one["00080018"]["Value"][0] for one in found]
    dataset = client.retrieve_instance(
        study_instance_uid=study, series_instance_uid=series, sop_instance_uid=instance
    )
    assert dataset.file_meta.TransferSyntaxUID == subject.syntax
    assert not faults_of(dataset, subject)


# -- MITK ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mitk_base(archive: Path) -> Iterator[str]:
    """The base URL that MITK is told, as it has it for dcm4chee: it adds `rs/…` and `wado` itself."""
    with dicomwebserver("--dir", archive, "--server-path", "/dcm4chee-arc/aets/KAAPANA/rs") as running:
        yield f"{running.url}/dcm4chee-arc/aets/KAAPANA/"


def get_plainly(url: str) -> requests.Response:
    """A request without an Accept header."""
    with requests.Session() as session:
        session.headers.clear()
        return session.get(url, timeout=60)


def test_mitk_searches_instances_as_json(mitk_base: str, subjects: list[Subject]) -> None:
    """Its library reads a body as JSON only if it is called application/json."""
    study, series, _ = subjects[0].identity
    found = requests.get(
        f"{mitk_base}rs/instances",
        params={"StudyInstanceUID": study, "SeriesInstanceUID": series},
        headers={"Accept": "application/json"},
        timeout=60,
    )
    assert (found.status_code, found.headers["Content-Type"]) == (200, "application/json")
    held = {one.identity[2] for one in subjects if one.identity[:2] == (study, series)}
    assert {one["00080018"]["Value"][0] for one in found.json()} == held


def test_mitk_gets_a_series_as_zip_and_finds_a_file_by_its_suffix(
    mitk_base: str, subjects: list[Subject]
) -> None:
    study, series, _ = subjects[0].identity
    answer = get_plainly(f"{mitk_base}rs/studies/{study}/series/{series}?accept=application/zip")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        held = [one for one in subjects if one.identity[:2] == (study, series)]
        assert {Path(name).suffix for name in packed.namelist()} == {".dcm"}
        files = {packed.read(name) for name in packed.namelist()}
    assert files == {one.path.read_bytes() for one in held}


def test_mitk_gets_an_instance_by_wado_uri_without_an_accept_header(
    mitk_base: str, subjects: list[Subject]
) -> None:
    subject = subjects[0]
    study, series, instance = subject.identity
    query = {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": instance}
    query["contentType"] = "application/dicom"
    answer = get_plainly(f"{mitk_base}wado?{urlencode(query)}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/dicom")
    assert not faults_of(pydicom.dcmread(io.BytesIO(answer.content)), subject)
