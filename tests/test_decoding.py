"""Frames of real files against what GDCM, DCMTK and pydicom made of them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.utils import pixel_array

from staticwado.dicom.codecs import Decoded, decode_frame
from staticwado.dicom.pixels import image_pixel, stored_values
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, StaticWadoError
from tests.truth.corpus import Corpus, read_corpus
from tests.truth.model import model_of
from tests.truth.part10 import Unreadable, read_path
from tests.verdicts import (
    DIFFERENCES,
    PAGE,
    REFUSED,
    TWINS,
    UNJUDGED,
    Verdicts,
    coded_frames,
    page,
    verdicts_on,
)

STILL = [uid for uid, syntax in TRANSFER_SYNTAXES.items() if not syntax.video]
HTJ2K = [uid for uid in STILL if TRANSFER_SYNTAXES[uid].media_type == "image/jphc"]
DCMTK = {
    "80": "dcmdjpls",
    "81": "dcmdjpls",
    "50": "dcmdjpeg",
    "51": "dcmdjpeg",
    "57": "dcmdjpeg",
    "70": "dcmdjpeg",
}
"""Last number of the transfer syntax -> the program that decodes it."""


@pytest.fixture(scope="session")
def corpus(testdata: Path) -> Corpus:
    found = read_corpus(testdata)
    if not found.rows:
        pytest.skip("this corpus has no manifest")
    return found


@pytest.fixture(scope="session")
def found(corpus: Corpus) -> Verdicts:
    return verdicts_on(corpus)


def decoded_frames(path: Path) -> list[Decoded]:
    dataset = read_path(path)
    image = image_pixel(model_of(dataset))
    return [decode_frame(frame, dataset.syntax, image) for frame in coded_frames(dataset)]


def named(corpus: Corpus, name: str) -> Path:
    path = next((path for path in corpus.rows if path.name == name), None)
    return path or pytest.skip(f"no {name} in this corpus")


@pytest.mark.parametrize("syntax", STILL)
def test_every_frame_is_what_the_decoders_of_the_manifest_made_of_it(syntax: str, found: Verdicts) -> None:
    """Each decoder that took the file gives the same, byte for byte, or is listed with its reason."""
    faults = []
    for verdict in found.of(syntax):
        allowed = {decoder for name, decoder in DIFFERENCES if name == verdict.name}
        if verdict.refused:
            if verdict.name not in REFUSED:
                faults.append(f"{verdict.name} is refused: {verdict.refused}")
        elif verdict.differing != allowed:
            faults.append(f"{verdict.name} differs from {set(verdict.differing)}, not {allowed}")
        elif not verdict.equal and not verdict.twin and verdict.name not in UNJUDGED:
            faults.append(f"{verdict.name} has no witness")
    assert not faults


def test_where_two_decoders_agree_and_a_third_does_not_the_two_are_followed(found: Verdicts) -> None:
    """Big endian cells of 32 bits are the one exception, and their little endian twin is the witness."""
    outvoted = {v.name for v in found.verdicts if v.differing and len(v.equal) < 2}
    assert outvoted <= {"rtdose_expb.dcm", "rtdose_expb_1frame.dcm"}


def test_files_that_no_decoder_takes_rightly_equal_their_twins(found: Verdicts) -> None:
    there = {verdict.name: verdict.twin for verdict in found.verdicts if verdict.name in TWINS}
    if not there:
        pytest.skip("no twins in this corpus")
    assert all(there.values()), there


@pytest.mark.parametrize("name", ["rtdose_expb.dcm", "rtdose_expb_1frame.dcm"])
def test_gdcm_and_dcmtk_leave_the_halves_of_big_endian_cells_swapped(name: str, corpus: Corpus) -> None:
    path = named(corpus, name)
    halves = [decoded.array.view("<u2").reshape(-1, 2)[:, ::-1] for decoded in decoded_frames(path)]
    digests = [hashlib.md5(half.tobytes(), usedforsecurity=False).hexdigest() for half in halves]
    for decoder in ("gdcm", "dcmtk"):
        assert corpus.rows[path]["decode"][decoder]["frame_md5"] == digests


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_codestream_that_was_overwritten_is_refused(name: str, corpus: Corpus) -> None:
    with pytest.raises(BrokenDicom, match="3722445056 columns"):
        decoded_frames(named(corpus, name))


def test_a_codestream_padded_by_kakadu_is_decoded_whole(corpus: Corpus) -> None:
    """No decoder of the manifest takes it; that neighbours resemble each other shows that it is a picture."""
    array = decoded_frames(named(corpus, "966.dcm"))[0].array.astype(int)
    assert array.shape == (2128, 2000)
    assert (array.min(), array.max()) == (0, 4095)
    steps = [np.abs(np.diff(part, axis=0)).mean() for part in np.array_split(array, 8)]
    assert max(steps) < 64


def test_high_throughput_frames_are_what_openjph_makes_of_them(corpus: Corpus) -> None:
    """OpenJPH shares no code with OpenJPEG; lossy frames may round otherwise by one level.

    imagecodecs lets its 8-bit samples wrap where a lossy one passes 255.
    """
    import imagecodecs

    paths = [path for path, row in corpus.rows.items() if row.get("TransferSyntaxUID") in HTJ2K]
    if not paths:
        pytest.skip("no HTJ2K in this corpus")
    for path in paths:
        dataset = read_path(path)
        lossy = TRANSFER_SYNTAXES[dataset.syntax].lossy
        for frame, decoded in zip(coded_frames(dataset), decoded_frames(path), strict=True):
            other = imagecodecs.htj2k_decode(frame)
            steps = (other - decoded.array).view(f"i{other.itemsize}").astype(int)
            assert np.abs(steps).max() <= (1 if lossy else 0), path.name


def test_malformed_files_that_can_be_decoded_are_what_other_decoders_make_of_them(
    corpus: Corpus, tmp_path: Path
) -> None:
    """By pydicom where it can, by DCMTK where it is installed: the manifest has no digests of these."""
    judged, faults = 0, []
    for path in corpus.malformed:
        try:
            frames = decoded_frames(path)
        except (StaticWadoError, Unreadable, OSError):
            continue
        values = [stored_values(decoded.array, decoded.image).tobytes() for decoded in frames]
        cells = [decoded.array.tobytes() for decoded in frames]
        for own, other in ((values, by_pydicom(path)), (cells, by_dcmtk(path, tmp_path))):
            judged += bool(other)
            if other and own != other:
                faults.append(path.name)
    assert not faults
    assert judged > 0 or not corpus.malformed


def by_pydicom(path: Path) -> list[bytes]:
    try:
        dataset = pydicom.dcmread(path)
        array = pixel_array(dataset, raw=True)
    except Exception:  # whatever is wrong with the file
        return []
    frames = list(array) if int(dataset.get("NumberOfFrames") or 1) > 1 else [array]
    return [frame.tobytes() for frame in frames]


def by_dcmtk(path: Path, folder: Path) -> list[bytes]:
    """One frame, colour by pixel; nothing where DCMTK is missing or refuses the file."""
    program = DCMTK.get(read_path(path).syntax.rpartition(".")[2])
    if program is None or shutil.which(program) is None:
        return []
    command = [program, *(["+cn"] if program == "dcmdjpeg" else [])]
    target = folder / "decoded.dcm"
    if subprocess.run([*command, path, target], capture_output=True, timeout=60, check=False).returncode:
        return []
    dataset = pydicom.dcmread(target)
    if dataset.get("PlanarConfiguration") == 1 or int(dataset.get("NumberOfFrames") or 1) > 1:
        return []
    return [
        dataset.PixelData[
            : dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        ]
    ]


def test_the_table_of_decoders_is_fresh(found: Verdicts) -> None:
    if len(found.verdicts) < 800:
        pytest.skip("the table is of another corpus")
    text = PAGE.read_text(encoding="utf-8")
    assert page(found, text) == text, "run scripts/decoding-table"
