"""Storing with other people's clients, as they stand: curl, dicomweb-client, DCMTK, highdicom."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from tests import factories
from tests.e2e.browser import unavailable
from tests.e2e.conftest import Served, dicomwebserver, environment

pytestmark = pytest.mark.timeout(600)

CLASSIC = r"""
set -e
temporary=$(mktemp)
printf '\r\n--EOF\r\nContent-Type: application/dicom\r\n\r\n' > "$temporary"
cat "$1" >> "$temporary" 2> /dev/null || true
printf '\r\n--EOF--' >> "$temporary"
curl -s -o /dev/null -w '%{http_code}\n' -X POST \
    -H 'Content-Type: multipart/related; type=application/dicom; boundary=EOF' \
    --data-binary "@$temporary" "$2/studies"
rm "$temporary"
"""
"""One file a request, with an empty line before the boundary and a bare type, as scripts do it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "archive"
    place.mkdir()
    return place


@pytest.fixture
def served(root: Path) -> Iterator[Served]:
    """A server of an empty folder."""
    with dicomwebserver("--dir", root) as running:
        yield running


def client_of(served: Served) -> DICOMwebClient:
    return DICOMwebClient(f"{served.url}/dicomweb")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        unavailable(f"there is no {name}")
    return str(found)


def given_back(served: Served, dataset: pydicom.Dataset) -> bytes:
    """The file that the archive has, as it was sent."""
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    path = "{}/dicomweb/studies/{}/series/{}/instances/{}".format(served.url, *uids)
    done = subprocess.run(
        [program("curl"), "-sf", "-H", "Accept: application/dicom; transfer-syntax=*", path],
        capture_output=True,
    )
    assert done.returncode == 0
    return done.stdout


def test_the_classic_script_over_a_folder_that_holds_other_things_too(served: Served, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "a folder").mkdir(parents=True)
    files = {}
    for number, data in enumerate(factories.series_of(3)):
        place = sources / ("a folder" if number else ".") / f"{number}.dcm"
        place.write_bytes(data)
        files[place] = data
    (sources / "README.txt").write_text("Dear diary\r\n--EOF\n")
    (sources / "empty").touch()
    script = tmp_path / "store.sh"
    script.write_text(CLASSIC)
    done = subprocess.run(
        ["find", sources, "-exec", "sh", script, "{}", f"{served.url}/dicomweb", ";"],
        capture_output=True,
        text=True,
    )
    # Two folders, a text and nothing are no DICOM.
    assert sorted(done.stdout.split()) == ["200"] * 3 + ["409"] * 4, done.stderr
    for data in files.values():
        assert given_back(served, pydicom.dcmread(BytesIO(data))) == data
    assert len(client_of(served).search_for_instances()) == 3


def test_curl_waits_to_be_told_before_it_sends_much(served: Served, tmp_path: Path) -> None:
    data = factories.instance(frames=factories.pixels(1024, 1024, 2), rows=1024, columns=1024)
    (tmp_path / "big.dcm").write_bytes(data)
    done = subprocess.run(
        [
            *(program("curl"), "-sv", "-H", "Content-Type: application/dicom", "-H", "Expect: 100-continue"),
            *("--data-binary", f"@{tmp_path / 'big.dcm'}", f"{served.url}/dicomweb/studies"),
        ],
        capture_output=True,
        text=True,
    )
    assert "HTTP/1.1 100 Continue" in done.stderr
    assert json.loads(done.stdout)["00081199"]["Value"]
    assert given_back(served, pydicom.dcmread(BytesIO(data))) == data


def test_dicomweb_client_stores_in_parts_and_chunks(served: Served) -> None:
    made = [pydicom.dcmread(BytesIO(data)) for data in factories.series_of(30)]
    client = client_of(served)
    answer = client.store_instances(made)
    assert len(answer.ReferencedSOPSequence) == 30
    assert "FailedSOPSequence" not in answer
    found = client.search_for_instances(made[0].StudyInstanceUID)
    assert {one["00080018"]["Value"][0] for one in found} == {str(one.SOPInstanceUID) for one in made}
    big = pydicom.dcmread(
        BytesIO(
            factories.instance(seed="big", frames=factories.pixels(2048, 1024, 2), rows=2048, columns=1024)
        )
    )
    chunked = DICOMwebClient(f"{served.url}/dicomweb", chunk_size=100_000)
    assert (
        len(chunked.store_instances([big], study_instance_uid=big.StudyInstanceUID).ReferencedSOPSequence)
        == 1
    )
    back = client.retrieve_instance(big.StudyInstanceUID, big.SeriesInstanceUID, big.SOPInstanceUID)
    assert back.PixelData == big.PixelData


def test_the_command_of_dicomweb_client_stores_the_corpus(
    served: Served, testdata: Path, tmp_path: Path
) -> None:
    """`find … -print0 | xargs -0 -n25 dicomweb_client --url … store instances`, as it stands."""
    with (testdata / "manifest.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    chosen = [row for row in rows if row["path"].startswith("files/pydicom/") and row.get("SOPInstanceUID")]
    place = tmp_path / "corpus"
    place.mkdir()
    for number, row in enumerate(chosen):
        (place / f"{number}.dcm").symlink_to(testdata / row["path"])
    tool = Path(sys.executable).with_name("dicomweb_client")
    done = subprocess.run(
        f"find {place} -name '*.dcm' -print0 | "
        f"xargs -0 -n25 {tool} --url {served.url}/dicomweb store instances",
        shell=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode in (0, 123), done.stderr[-2000:]
    found = {
        one["00080018"]["Value"][0]
        for one in client_of(served).search_for_instances(get_remaining=True, limit=500)
    }
    wanted = {row["SOPInstanceUID"] for row in chosen}
    assert len(wanted) > 50
    assert wanted - found == set(), done.stderr[-2000:]
    listed = subprocess.run(
        [tool, "--url", f"{served.url}/dicomweb", "search", "studies"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert {one["0020000D"]["Value"][0] for one in json.loads(listed.stdout)} == {
        row["StudyInstanceUID"] for row in chosen
    }


def test_files_of_dcmtk_come_back_as_they_were(served: Served, tmp_path: Path) -> None:
    import imagecodecs

    picture = tmp_path / "picture.jpg"
    picture.write_bytes(imagecodecs.jpeg_encode(np.zeros((16, 24, 3), np.uint8)))
    made = tmp_path / "made.dcm"
    subprocess.run([program("img2dcm"), picture, made], check=True, capture_output=True)
    again = tmp_path / "again.dcm"
    shutil.copy(made, again)
    subprocess.run(
        [program("dcmodify"), "-nb", "-gin", "-m", "PatientName=Other^Patient", again],
        check=True,
        capture_output=True,
    )
    for place in (made, again):
        reply = subprocess.run(
            [
                *(program("curl"), "-s", "-H", "Content-Type: application/dicom"),
                *("--data-binary", f"@{place}", f"{served.url}/dicomweb/studies"),
            ],
            capture_output=True,
        )
        assert json.loads(reply.stdout)["00081199"]["Value"]
        assert given_back(served, pydicom.dcmread(place)) == place.read_bytes()


def source_image(testdata: Path) -> pydicom.Dataset:
    """A CT with what highdicom wants to be there."""
    image = pydicom.dcmread(testdata / "files/DICOMcloud/SampleImages/1.dcm")
    image.PatientBirthDate = image.get("PatientBirthDate", "")
    image.PatientSex = image.get("PatientSex", "")
    return image


def highdicom_objects(image: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """A segmentation, a secondary capture and a presentation state of `image`."""
    hd = pytest.importorskip("highdicom")
    from pydicom.sr.codedict import codes

    maker: dict[str, Any] = {
        "manufacturer": "Nobody",
        "manufacturer_model_name": "None",
        "software_versions": "1",
        "device_serial_number": "1",
    }
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="first",
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Bone,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    mask = np.zeros((1, image.Rows, image.Columns), np.uint8)
    mask[0, image.Rows // 4 : image.Rows // 2, image.Columns // 4 : image.Columns // 2] = 1
    yield hd.seg.Segmentation(
        source_images=[image],
        pixel_array=mask,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        **maker,
    )
    yield hd.sc.SCImage.from_ref_dataset(
        ref_dataset=image,
        pixel_array=np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3),
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=hd.UID(),
        series_number=101,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Nobody",
        patient_orientation=("L", "P"),
    )
    yield hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[image],
        series_instance_uid=hd.UID(),
        series_number=102,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        content_label="LABEL",
        institution_name=None,
        voi_lut_transformations=[hd.pr.SoftcopyVOILUTTransformation(window_center=40.0, window_width=400.0)],
        **maker,
    )


@pytest.mark.filterwarnings("ignore:The string:UserWarning")
def test_objects_of_highdicom_are_stored_found_and_given_back_equal(served: Served, testdata: Path) -> None:
    image = source_image(testdata)
    client = client_of(served)
    client.store_instances([image])
    for made in highdicom_objects(image):
        stored = BytesIO()
        made.save_as(stored, enforce_file_format=True)
        answer = client.store_instances([made])
        assert [one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence] == [made.SOPInstanceUID]
        [found] = client.search_for_instances(search_filters={"SOPInstanceUID": made.SOPInstanceUID})
        assert found["00080016"]["Value"] == [made.SOPClassUID]
        back = pydicom.dcmread(BytesIO(given_back(served, made)))
        assert back == pydicom.dcmread(BytesIO(stored.getvalue()))
    [study] = client.search_for_studies()
    assert set(study["00080061"]["Value"]) == {"CT", "SEG", "OT", "PR"}
