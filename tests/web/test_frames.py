"""Frames over HTTP in every transfer syntax, stored or made (PS3.18 10.4.1.1.6; CONFORMANCE F, table 3.6)."""

import http.client
import io
import multiprocessing
import re
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Literal

import pydicom
import pytest

from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.transcoding import JPEG_BASELINE, transcode
from staticwado.ingest.pipeline import CreateOptions
from staticwado.web.options import ServerOptions
from tests.factories import EXPLICIT, HTJ2K, JPEG_2000, JPEG_LOSSLESS, JPEG_LS, RLE
from tests.web.codestreams import (
    BROKEN,
    COLOUR,
    COLOUR_FRAMES,
    COLOURED,
    COUNT,
    FILES,
    FRAMES,
    GREY,
    HALF_BROKEN,
    LOSSLESS,
    LOSSY,
    SMOOTH,
    SMOOTH_FRAMES,
    coded,
    make_archive,
    path,
)
from tests.web.conftest import Client, Reply, Running, StartServer
from tests.web.test_wado import parts

OCTETS = "application/octet-stream"
RPCL = "1.2.840.10008.1.2.4.202"
OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
TYPES = {
    JPEG_LS: "image/jls",
    JPEG_2000: "image/jp2",
    HTJ2K: "image/jphc",
    RPCL: "image/jphc",
    JPEG_LOSSLESS: "image/jpeg",
    RLE: "image/dicom-rle",
    JPEG_BASELINE: "image/jpeg",
    EXPLICIT: OCTETS,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[Client]:
    running = Running(ServerOptions(dir=root, port=0, decoders=1))
    yield running.start()
    running.stop()


def label(part: Message) -> tuple[str, str]:
    """Media type and transfer syntax of a part."""
    found = re.fullmatch(r"([^;]+); ?transfer-syntax=(\S+)", part["Content-Type"])
    assert found is not None
    return found[1], found[2]


def names(reply: Reply, syntax: str) -> bool:
    """Whether the answer, or its first part, says that it is in `syntax`."""
    return f"transfer-syntax={syntax}" in reply.headers["content-type"] + reply.body[:300].decode("latin-1")


def decoded(data: bytes, syntax: str, image: ImagePixel = GREY) -> bytes:
    return transcode(data, syntax, image, EXPLICIT).data


@pytest.mark.conformance("F-02", "G-10")
@pytest.mark.parametrize("accept", ["", "*/*", f'multipart/related; type="{OCTETS}"', "multipart/related"])
@pytest.mark.parametrize("series", [EXPLICIT, *LOSSLESS])
def test_the_default_is_uncompressed_little_endian(client: Client, series: str, accept: str) -> None:
    headers = {"Accept": accept} if accept else {}
    for number, frame in enumerate(FRAMES, 1):
        reply = client.get(f"{path(series)}/frames/{number}", **headers)
        assert reply.headers["content-type"].startswith(f'multipart/related; type="{OCTETS}"')
        [(part, body)] = parts(reply)
        assert label(part) == (OCTETS, EXPLICIT)
        assert body == frame


def test_colour_comes_back_from_its_transform(client: Client) -> None:
    reply = client.get(f"{path(COLOURED)}/frames/1,2,3")
    assert [body for _, body in parts(reply)] == COLOUR_FRAMES


@pytest.mark.conformance("F-05", "R-03", "F-03", "F-06")
@pytest.mark.parametrize("series", LOSSLESS)
def test_any_transfer_syntax_is_that_in_which_frames_are_kept(client: Client, series: str) -> None:
    found = parts(client.get(f"{path(series)}/frames/1,2,3", Accept=OHIF))
    for (_, body), frame in zip(found, coded(series, FRAMES, GREY), strict=True):
        assert body in (frame, frame + b"\0")  # the file pads fragments to an even length
    assert {label(part) for part, _ in found} == {(TYPES[series], series)}


@pytest.mark.parametrize("target", [JPEG_LS, JPEG_2000, HTJ2K, RPCL, JPEG_LOSSLESS, RLE])
@pytest.mark.parametrize("series", [EXPLICIT, JPEG_LS])
def test_a_named_transfer_syntax_is_made(client: Client, series: str, target: str) -> None:
    accept = f'multipart/related; type="{TYPES[target]}"; transfer-syntax={target}'
    found = parts(client.get(f"{path(series)}/frames/1,3", Accept=accept))
    assert [label(part) for part, _ in found] == [(TYPES[target], target)] * 2
    assert [decoded(body, target) for _, body in found] == [FRAMES[0], FRAMES[2]]


@pytest.mark.conformance("F-09")
@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("image/jpeg", JPEG_LOSSLESS),
        ("image/jp2", JPEG_2000),
        ("image/jls", JPEG_LS),
        ("image/x-jls", JPEG_LS),
        ("image/jphc", HTJ2K),
        ("image/dicom-rle", RLE),
        ("image/x-dicom-rle", RLE),
        (OCTETS, EXPLICIT),
    ],
)
def test_each_media_type_has_a_default(client: Client, media_type: str, syntax: str) -> None:
    for series in (EXPLICIT, RLE):
        reply = client.get(f"{path(series)}/frames/2", Accept=media_type)
        assert reply.headers["content-type"] == f"{TYPES[syntax]}; transfer-syntax={syntax}"
        assert decoded(reply.body, syntax) == FRAMES[1]


def test_baseline_jpeg_is_made_only_where_it_is_named_and_fits(client: Client) -> None:
    accept = f"image/jpeg; transfer-syntax={JPEG_BASELINE}"
    reply = client.get(f"{path(COLOURED)}/frames/1", Accept=accept)
    assert reply.headers["content-type"] == f"image/jpeg; transfer-syntax={JPEG_BASELINE}"
    assert len(decoded(reply.body, JPEG_BASELINE, COLOUR)) == len(COLOUR_FRAMES[0])
    assert client.get(f"{path(EXPLICIT)}/frames/1", Accept=accept).status == 406


@pytest.mark.parametrize("accept", ["*/*", OHIF, f'multipart/related; type="{OCTETS}"', "image/jpeg"])
def test_what_is_lossy_stays_so_under_its_true_name(client: Client, accept: str) -> None:
    reply = client.get(f"{path(LOSSY)}/frames/1", Accept=accept)
    assert coded(JPEG_BASELINE, COLOUR_FRAMES, COLOUR)[0] in reply.body
    assert names(reply, JPEG_BASELINE)


def test_what_is_lossy_is_decoded_for_whoever_names_that(client: Client) -> None:
    reply = client.get(f"{path(LOSSY)}/frames/1", Accept=f"{OCTETS}; transfer-syntax={EXPLICIT}")
    assert reply.headers["content-type"] == f"{OCTETS}; transfer-syntax={EXPLICIT}"
    assert len(reply.body) == len(COLOUR_FRAMES[0])
    accept = f"image/jls; transfer-syntax={JPEG_LS}"
    assert client.get(f"{path(LOSSY)}/frames/1", Accept=accept).status == 406


@pytest.mark.conformance("G-06", "G-07", "R-04")
@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (f"image/jls;q=0.5, {OCTETS};q=0.4", JPEG_LS),
        (f"image/jls;q=0.4, {OCTETS};q=0.5", EXPLICIT),
        (f"image/heic, nonsense, image/jp2;q=0.1, {OCTETS};q=0", JPEG_2000),
        (f"{OCTETS}; transfer-syntax={RPCL}, image/jphc; transfer-syntax={RPCL};q=0.5", RPCL),
        (f"{OCTETS};transfer-syntax=1.2.840.10008.1.2, image/jls", JPEG_LS),
    ],
)
def test_the_best_liked_form_that_can_be_had_is_sent(client: Client, accept: str, syntax: str) -> None:
    reply = client.get(f"{path(JPEG_LOSSLESS)}/frames/1", Accept=accept)
    assert reply.headers["content-type"] == f"{TYPES[syntax]}; transfer-syntax={syntax}"
    assert decoded(reply.body, syntax) == FRAMES[0]


@pytest.mark.conformance("R-05", "G-06")
@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom",
        f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2",
        f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.2",
        "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.51",
        "video/mp4",
        "*/*;q=0",
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(client: Client, accept: str) -> None:
    reply = client.get(f"{path(JPEG_LS)}/frames/1", Accept=accept)
    assert reply.status == 406
    assert f'type="{OCTETS}"; transfer-syntax={EXPLICIT}' in reply.error
    assert f"image/jls; transfer-syntax={JPEG_LS}" in reply.error


def test_a_frame_that_cannot_be_decoded_is_sent_as_it_is_or_refused_with_the_reason(client: Client) -> None:
    for accept in ("*/*", OHIF, "image/jpeg"):
        reply = client.get(f"{path(BROKEN)}/frames/1", Accept=accept)
        assert reply.status == 200
        assert names(reply, JPEG_LOSSLESS)
    reply = client.get(f"{path(BROKEN)}/frames/1", Accept=f"{OCTETS}; transfer-syntax={EXPLICIT}")
    assert reply.status == 406
    assert f"{EXPLICIT} cannot be had" in reply.error


def test_a_list_that_fails_on_the_way_is_cut_off(client: Client) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        client.get(f"{path(HALF_BROKEN)}/frames/1,2,3")


@pytest.mark.conformance("F-07")
def test_of_a_list_those_that_are_there_are_sent(client: Client) -> None:
    for series in (EXPLICIT, JPEG_LS):
        reply = client.get(f"{path(series)}/frames/2,{COUNT + 1},99")
        assert reply.status == 206
        assert "content-range" not in reply.headers
        assert reply.headers["warning"] == f'299 staticwado "there is no frame {COUNT + 1}, 99"'
        assert [body for _, body in parts(reply)] == [FRAMES[1]]
    assert client.get(f"{path(JPEG_LS)}/frames/{COUNT + 1}").status == 404


def test_a_made_frame_has_a_tag_of_its_own_and_is_not_made_for_who_has_it(client: Client) -> None:
    place = f"{path(JPEG_2000)}/frames/1"
    tags = {}
    for accept in (OCTETS, f'multipart/related; type="{OCTETS}"', "image/jls", "image/jp2", OHIF):
        reply = client.get(place, Accept=accept)
        tags[reply.headers["etag"]] = accept
        assert "Accept" in reply.headers["vary"]
        again = client.get(place, Accept=accept, If_None_Match=reply.headers["etag"])
        assert (again.status, again.body) == (304, b"")
    assert len(tags) == 5


def test_a_made_frame_comes_in_ranges(client: Client) -> None:
    reply = client.get(f"{path(JPEG_2000)}/frames/1", Accept=OCTETS, Range="bytes=10-19")
    assert (reply.status, reply.body) == (206, FRAMES[0][10:20])


def _kept(folder: Path) -> list[Path]:
    return [found for found in folder.rglob("*") if found.is_file()]


def test_results_are_kept_where_the_options_say_and_do_without(
    root: Path, tmp_path: Path, start_server: StartServer
) -> None:
    keeping = start_server(root, state=tmp_path / "state", decoders=1)
    without = start_server(root, state=tmp_path / "none", result_cache_size=0, decoders=1)
    place = f"{path(JPEG_2000)}/frames/1,2"
    replies: list[Reply] = [one.get(place) for one in (keeping, without, keeping, without)]
    assert len({reply.body for reply in replies}) == 1
    assert len(_kept(tmp_path / "state" / "cache")) == 2
    assert not (tmp_path / "none" / "cache").exists()


@pytest.mark.parametrize("codec", ["htj2k", "jls"])
def test_frames_that_were_transcoded_at_ingest_are_the_native_ones_again(
    codec: Literal["htj2k", "jls"], tmp_path: Path, start_server: StartServer
) -> None:
    """The default answer is what the source held; the metadata that are served fit it."""
    options = CreateOptions(jobs=1, thumbnails=False, transcode=codec)
    client = start_server(make_archive(tmp_path, options), decoders=1)
    reply = client.get(f"{path(SMOOTH)}/frames/1,2,3")
    assert [body for _, body in parts(reply)] == SMOOTH_FRAMES
    [dataset] = client.get(f"{path(SMOOTH)}/metadata").json
    assert dataset["00280006"]["Value"] == [0]
    stored = parts(client.get(f"{path(SMOOTH)}/frames/1", Accept=OHIF))[0][0]
    assert label(stored)[1] == {"htj2k": RPCL, "jls": JPEG_LS}[codec]
    file = client.get(path(SMOOTH), Accept="application/dicom")
    assert file.body == FILES[SMOOTH]
    file = client.get(path(SMOOTH), Accept=f"application/dicom; transfer-syntax={label(stored)[1]}")
    found = pydicom.dcmread(io.BytesIO(file.body))
    assert found.file_meta.TransferSyntaxUID == label(stored)[1]
    assert found.PhotometricInterpretation == dataset["00280004"]["Value"][0]


def test_a_server_that_ends_takes_its_workers_with_it(root: Path, tmp_path: Path) -> None:
    running = Running(ServerOptions(dir=root, port=0, state=tmp_path, decoders=1))
    before = set(multiprocessing.active_children())
    client = running.start()
    assert client.get(f"{path(JPEG_2000)}/frames/1").status == 200
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 1
    running.stop()
    assert not any(process.is_alive() for process in started)


def test_a_frame_that_takes_too_long_is_refused_or_sent_as_it_is(
    root: Path, tmp_path: Path, start_server: StartServer
) -> None:
    hasty = start_server(root, state=tmp_path, decoders=1, decode_timeout=1e-6)
    place = f"{path(JPEG_2000)}/frames/1"
    assert names(hasty.get(place), JPEG_2000)
    reply = hasty.get(place, Accept=f"{OCTETS}; transfer-syntax={EXPLICIT}")
    assert reply.status == 406
    assert "longer than 1e-06 seconds" in reply.error
