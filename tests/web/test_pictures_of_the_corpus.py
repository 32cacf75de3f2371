"""Pictures over HTTP against DCMTK's, of a dozen real files; `test_rendering_corpus` has all of them."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.web.options import ServerOptions
from tests.dicom.test_rendering_corpus import witness
from tests.truth.part10 import read_path
from tests.web.conftest import Client, Running

GREY = {
    "DICOMcloud/SampleImages/1.dcm": (40, 400),
    "pydicom/test_files/MR_small.dcm": (600, 1600),
    "dcm_qa_ts/In/4.dcm": (300, 700),
    "pydicom-data/data/JPEG-LL.dcm": (500, 900),
    "pydicom/test_files/image_dfl.dcm": (128, 200),
    "pydicom/test_files/dicomdirtests/77654033/CR1/6154": (500, 1000),
}
"""Path in the corpus, and a window to look at it through."""
COLOUR = (
    "pydicom/test_files/ExplVR_BigEnd.dcm",
    "pydicom/test_files/examples_palette.dcm",
    "pydicom/test_files/examples_rgb_color.dcm",
    "pydicom/test_files/SC_rgb_small_odd.dcm",
    "pydicom/test_files/SC_rgb_jpeg_dcmtk.dcm",
    "cornerstone3D/TestPattern_RGB.dcm",
)
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018


@pytest.fixture(scope="module")
def client(testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("corpus") / "archive"
    files = [str(testdata / "files" / name) for name in (*GREY, *COLOUR)]
    report = create(Archive(str(root), create=True), files, CreateOptions(jobs=1, thumbnails=False))
    assert [one.ok for one in report.outcomes] == [True] * len(files)
    running = Running(ServerOptions(dir=root, port=0))
    yield running.start()
    running.stop()


@pytest.mark.parametrize("name", [*GREY, *COLOUR])
def test_a_picture_is_within_one_level_of_dcmtks(
    client: Client, testdata: Path, tmp_path: Path, name: str
) -> None:
    if shutil.which("dcm2pnm") is None or shutil.which("dcmj2pnm") is None:
        pytest.skip("dcm2pnm and dcmj2pnm of DCMTK are not installed")
    source = testdata / "files" / name
    window = GREY.get(name)
    options = ["+Ww", str(window[0]), str(window[1])] if window else []
    wanted = None
    for program in ("dcm2pnm", "dcmj2pnm"):
        if wanted is None:
            command = [program, "--write-raw-pnm", "--no-overlays", *options, str(source)]
            wanted = witness(command, tmp_path / "image.pnm")
    assert wanted is not None
    study, series, instance = (read_path(source).text(tag) for tag in (_STUDY, _SERIES, _INSTANCE))
    place = f"studies/{study}/series/{series}/instances/{instance}/frames/1/rendered"
    query = f"?window={window[0]},{window[1]},linear" if window else ""
    reply = client.get(place + query, Accept="image/png")
    assert reply.status == 200, reply.body
    with Image.open(io.BytesIO(reply.body)) as image:
        found = np.asarray(image)
    assert found.shape == wanted.shape
    assert int(np.abs(found.astype(int) - wanted).max()) <= 1
