"""Instances whose frames are decoded or encoded on the way (PS3.18 8.7.3; CONFORMANCE R)."""

import http.client
import io
import re
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest

from staticwado.dicom.transcoding import transcode
from staticwado.web.options import ServerOptions
from tests.factories import EXPLICIT, HTJ2K, JPEG_2000, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, RLE
from tests.truth import part10 as truth
from tests.web.codestreams import (
    BROKEN,
    COLOUR_FRAMES,
    COLOURED,
    FILES,
    FRAMES,
    GREY,
    HALF_BROKEN,
    LOSSLESS,
    LOSSY,
    SMOOTH,
    STUDY,
    make_archive,
    path,
)
from tests.web.conftest import Client, Running
from tests.web.test_part10 import DICOM, parts

NATIVE_PIXELS = b"".join(FRAMES)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = make_archive(tmp_path_factory.mktemp("part10"))
    running = Running(ServerOptions(dir=root, port=0, decoders=1))
    yield running.start()
    running.stop()


def dataset_of(client: Client, series: str, accept: str = "application/dicom") -> pydicom.Dataset:
    reply = client.get(path(series), Accept=accept)
    assert reply.status == 200
    found = pydicom.dcmread(io.BytesIO(reply.body))
    assert (
        reply.headers["content-type"]
        == f"application/dicom; transfer-syntax={found.file_meta.TransferSyntaxUID}"
    )
    return found


def without_pixels(dataset: pydicom.Dataset) -> dict[str, object]:
    """All elements but those that other frames change."""
    changed = {0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002, 0x7FE00010}
    return {str(each.tag): each.value for each in dataset if each.tag not in changed}


@pytest.mark.conformance("R-02")
@pytest.mark.parametrize("series", LOSSLESS)
def test_what_is_lossless_is_decoded_where_no_transfer_syntax_is_named(client: Client, series: str) -> None:
    found = dataset_of(client, series)
    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    assert found.PixelData == NATIVE_PIXELS
    assert found["PixelData"].VR == "OW"
    assert without_pixels(found) == without_pixels(pydicom.dcmread(io.BytesIO(FILES[series])))


def test_the_data_set_says_what_decoded_colours_are(client: Client) -> None:
    found = dataset_of(client, COLOURED)
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("RGB", 0)
    assert found.PixelData == b"".join(COLOUR_FRAMES)


@pytest.mark.conformance("R-04")
@pytest.mark.parametrize("target", [JPEG_LS, JPEG_2000, HTJ2K, JPEG_LOSSLESS, RLE])
@pytest.mark.parametrize("series", [EXPLICIT, JPEG_LS])
def test_a_named_transfer_syntax_is_made(client: Client, series: str, target: str) -> None:
    found = dataset_of(client, series, f"application/dicom; transfer-syntax={target}")
    assert found.file_meta.TransferSyntaxUID == target
    frames = list(pydicom.encaps.generate_frames(found.PixelData, number_of_frames=len(FRAMES)))
    assert [transcode(frame, target, GREY, EXPLICIT).data for frame in frames] == FRAMES
    assert without_pixels(found) == without_pixels(pydicom.dcmread(io.BytesIO(FILES[series])))


def test_a_component_transform_is_said_in_the_data_set(client: Client) -> None:
    found = dataset_of(client, SMOOTH, f"application/dicom; transfer-syntax={JPEG_2000}")
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("YBR_RCT", 0)


@pytest.mark.conformance("R-02", "R-03")
@pytest.mark.parametrize("series", [LOSSY, BROKEN])
def test_what_is_lossy_or_cannot_be_decoded_goes_out_as_it_is(client: Client, series: str) -> None:
    for accept in ("application/dicom", "application/dicom; transfer-syntax=*"):
        assert client.get(path(series), Accept=accept).body == FILES[series]


def test_what_is_lossy_is_decoded_for_whoever_names_that(client: Client) -> None:
    found = dataset_of(client, LOSSY, f"application/dicom; transfer-syntax={EXPLICIT}")
    assert found.PhotometricInterpretation == "YBR_FULL"
    source = pydicom.dcmread(io.BytesIO(FILES[LOSSY]))
    assert source.file_meta.TransferSyntaxUID == JPEG_BASELINE
    steps = found.pixel_array.astype(int) - source.pixel_array.astype(int)
    assert np.abs(steps).max() <= 1


def test_nothing_is_made_lossy(client: Client) -> None:
    accept = f"application/dicom; transfer-syntax={JPEG_BASELINE}"
    assert client.get(path(COLOURED), Accept=accept).status == 406


def test_a_frame_that_cannot_be_decoded_behind_others_cuts_the_answer_off(client: Client) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        client.get(path(HALF_BROKEN), Accept="application/dicom")
    stored = client.get(path(HALF_BROKEN), Accept="application/dicom; transfer-syntax=*")
    assert stored.body == FILES[HALF_BROKEN]


@pytest.mark.conformance("R-11", "M-04")
def test_of_a_study_those_are_sent_that_can_be_had(client: Client) -> None:
    """Lossy ones cannot become lossless; a file whose first frame is damaged cannot become anything."""
    reply = client.get(
        f"studies/{STUDY}/series/{path(LOSSY).split('/')[3]}", Accept=f"{DICOM}; transfer-syntax={RLE}"
    )
    assert reply.status == 406
    assert "transfer-syntax=*" not in reply.error
    series = f"studies/{STUDY}/series/{path(JPEG_2000).split('/')[3]}"
    [(headers, data)] = parts(client.get(series, Accept=f"{DICOM}; transfer-syntax={RLE}"))
    assert headers["content-type"] == f"application/dicom;transfer-syntax={RLE}"
    assert truth.read_meta(data)[0][0x00020010].rstrip(b"\0").decode() == RLE


@pytest.mark.conformance("R-08")
def test_octets_of_an_instance_are_its_bulkdata(client: Client) -> None:
    accept = 'multipart/related; type="application/octet-stream"'
    reply = client.get(path(JPEG_LS), Accept=accept)
    assert reply.status == 200
    assert NATIVE_PIXELS in reply.body
    assert re.search(rb"Content-Location: http://\S+/pixeldata\r\n", reply.body)


@pytest.mark.parametrize(
    "level", [f"studies/{STUDY}", path(EXPLICIT).partition("/instances")[0], path(EXPLICIT)]
)
def test_json_is_the_metadata(client: Client, level: str) -> None:
    for accept in ("application/dicom+json", "application/json"):
        reply = client.get(level, Accept=accept)
        assert reply.headers["content-type"] == accept
        assert reply.json == client.get(f"{level}/metadata").json
    xml = client.get(level, Accept='multipart/related; type="application/dicom+xml"')
    assert xml.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')


@pytest.mark.conformance("G-09")
def test_types_of_dicom_and_rendered_ones_do_not_mix(client: Client) -> None:
    reply = client.get(path(EXPLICIT), Accept="application/dicom, image/png")
    assert reply.status == 400
    assert "application/dicom" in reply.error
    assert "image/png" in reply.error
