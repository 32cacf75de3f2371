"""Every image of the corpus, rendered, against DCMTK's renderer with the same window."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from staticwado.dicom.codecs import Decoded, decode_frame
from staticwado.dicom.grey import Grey, grey_of, with_range
from staticwado.dicom.pixels import SampleKind, image_pixel, stored_values
from staticwado.dicom.rendering import render_frame
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicom.voi import VoiFunction
from tests.dicom import images
from tests.dicom.images import no_bulkdata
from tests.truth.corpus import read_corpus
from tests.truth.frames import expected_frames
from tests.truth.model import Model, model_of
from tests.truth.part10 import Unreadable, read_path

Array = NDArray[Any]
PARTS = 8
"""Of the corpus, so that several processes can share the work."""

DIFFERENT = {
    r"/CT0012\.(?!fragmented_no_bot_jpeg_baseline)|/eCT_Supplemental": "DCMTK shows no supplemental palette",
    r"/(ybr_full_raw|SC_ybr_full_uncompressed)\.dcm": "DCMTK is two levels off the formula",
    r"/oriented_data/\d+\.dcm": "DCMTK keeps modality values, here fractions, as whole numbers",
    r"/rtdose_expb(_1frame)?\.dcm": "DCMTK swaps big endian pixels of 32 bits as words of 16",
    r"/JPEGBaseline/SC_rgb_jpeg_lossy_gdcm\.dcm": "it says nothing of its colours: DCMTK takes YCbCr for RGB",
    r"/gdcm-US-ALOKA-16(_big)?\.dcm": "DCMTK reads no segmented palettes",
}
"""Where DCMTK's picture is another one, or none, and why; what stays not different leaves this list."""

UNSHOWABLE = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""No decoder takes it, see test_codecs."""


def subjects(testdata: Path, part: int) -> Iterator[tuple[Path, Model, bytes, str]]:
    """The first frame of every image that is no video."""
    corpus = read_corpus(testdata)
    for path in [*corpus.valid, *corpus.variants][part::PARTS]:
        try:
            source = read_path(path)
            expected = expected_frames(source)
        except (Unreadable, ValueError):
            continue
        if expected is None or not expected.frames or TRANSFER_SYNTAXES[expected.syntax].video:
            continue
        if path.name not in UNSHOWABLE:
            # What was written as UN has the VR of the dictionary in the archive.
            model = {tag: entry.get("known", entry) for tag, entry in model_of(source).items()}
            yield path, model, expected.frames[0].data, expected.syntax


def options_of(pipeline: Grey) -> list[str]:
    """What makes DCMTK use the window, the table or the range that the pipeline uses."""
    if pipeline.window is not None:
        found = ["+Ww", repr(pipeline.window.center), repr(pipeline.window.width)]
        return [*found, "+Wfs"] if pipeline.window.function is VoiFunction.SIGMOID else found
    if pipeline.voi is not None:
        return ["+Wl", "1"]
    if pipeline.range is None:
        return []
    low, high = sorted(end * pipeline.slope + pipeline.intercept for end in pipeline.range)
    return ["+Ww", repr((low + high) / 2 + 0.5), repr(high - low + 1)]


def witness(command: list[str], output: Path) -> Array | None:
    """The picture that DCMTK writes; None where it writes none."""
    output.unlink(missing_ok=True)
    done = subprocess.run([*command, str(output)], capture_output=True, timeout=60, check=False)
    data = output.read_bytes() if output.is_file() else b""
    head = re.match(rb"P([56])\s(\d+)\s(\d+)\s255\s", data)
    if done.returncode or head is None:
        return None
    shape = (int(head[3]), int(head[2]), 3)[: 3 if head[1] == b"6" else 2]
    return np.frombuffer(data, np.uint8, offset=head.end()).reshape(shape)


def write_native(path: Path, decoded: Decoded, target: Path) -> None:
    """A copy with one decoded frame, for what DCMTK cannot read: what is judged is what comes after."""
    copy = Dataset()
    copy.update(pydicom.dcmread(path, stop_before_pixels=True))
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = UID(images.NATIVE)
    image = decoded.image
    copy.NumberOfFrames = 1
    copy.PhotometricInterpretation = image.photometric_interpretation
    copy.PixelRepresentation = image.pixel_representation
    copy.BitsAllocated = decoded.array.dtype.itemsize * 8
    copy.BitsStored, copy.HighBit = image.bits_stored, image.high_bit
    if image.samples_per_pixel > 1:
        copy.PlanarConfiguration = 0
    data = np.ascontiguousarray(decoded.array).tobytes()
    copy.add_new("PixelData", "OW", data + bytes(len(data) % 2))
    copy.save_as(target, enforce_file_format=True)


def compared(path: Path, model: Model, frame: bytes, syntax: str, place: Path) -> str | None:
    """What is wrong with our picture of one frame; None where DCMTK agrees."""
    image = image_pixel(model)
    decoded = decode_frame(frame, syntax, image, to_rgb=True)
    options: list[str] = []
    if image.photometric_interpretation.startswith("MONOCHROME") and image.samples_per_pixel == 1:
        values = stored_values(decoded.array, decoded.image)
        pipeline = grey_of(model, decoded.image, 1, no_bulkdata)
        options = options_of(with_range(pipeline, values, model, decoded.image))
    program = "dcmj2pnm" if TRANSFER_SYNTAXES[syntax].media_type == "image/jpeg" else "dcm2pnm"
    common = ["--write-raw-pnm", "--no-overlays", *options]
    wanted = witness([program, *common, str(path)], place / "image.pnm")
    if wanted is None:
        write_native(path, decoded, place / "native.dcm")
        wanted = witness(["dcm2pnm", *common, str(place / "native.dcm")], place / "image.pnm")
    found = render_frame(model, frame, syntax, 1, no_bulkdata)
    if wanted is None:
        return "DCMTK shows nothing"
    if wanted.shape != found.shape:
        return f"{found.shape}, DCMTK: {wanted.shape}"
    levels = int(np.abs(wanted.astype(int) - found).max())
    return f"{levels} levels" if levels > 1 else None


@pytest.mark.filterwarnings("ignore::UserWarning")  # what pydicom thinks of real files while it copies them
@pytest.mark.parametrize("part", range(PARTS))
def test_pictures_are_within_one_level_of_dcmtks(part: int, testdata: Path, tmp_path: Path) -> None:
    if shutil.which("dcm2pnm") is None or shutil.which("dcmj2pnm") is None:
        pytest.skip("dcm2pnm and dcmj2pnm of DCMTK are not installed")
    faults, agreed = [], 0
    for path, model, frame, syntax in subjects(testdata, part):
        if image_pixel(model).kind is not SampleKind.INTEGER:
            continue  # DCMTK shows no floating point; see test_render
        problem = compared(path, model, frame, syntax, tmp_path)
        reason = next((why for name, why in DIFFERENT.items() if re.search(name, path.as_posix())), None)
        agreed += problem is None
        if problem and not reason:
            faults.append(f"{path}: {problem}")
        if reason and not problem:
            faults.append(f"{path} is no longer different: {reason}")
    assert not faults
    assert agreed > 0
