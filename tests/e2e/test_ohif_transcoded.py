"""Transcoded series in OHIF: what the viewer decodes is, pixel by pixel, what it reads of the originals."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Browser, browser_at
from tests.e2e.conftest import command, dicomwebserver, environment
from tests.e2e.test_ohif import described, viewer_path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SOURCES = {
    "ct-12-bit": "dcm_qa_ct/In/Philips/S21570/S2010/I210",
    "ct-signed-implicit": "cornerstone3D/CTImage.dcm",
    "ct-signed-big-endian": "dicomParser/CT1_UNC.explicit_big_endian.dcm",
    "8-bit-deflated": "pydicom/test_files/image_dfl.dcm",
    "multi-frame": "dcm_qa_enh/In/Siemens/XA10/6_1.dcm",
    "rgb": "pydicom/test_files/examples_rgb_color.dcm",
    "rgb-planar": "generated/rgb_planar1.dcm",
    "palette": "pydicom/test_files/examples_palette.dcm",
}
"""Files whose frames are native, so that they can be transcoded."""
TRANSCODED = {"htj2k": "1.2.840.10008.1.2.4.202", "jls": "1.2.840.10008.1.2.4.80"}
FULL_RESOLUTION = 8
"""cornerstone's ImageQualityStatus of an image that is not to get better: HTJ2K is shown while it arrives."""

_DECODED = """
const cornerstone = window.cornerstone;
const engine = cornerstone && cornerstone.getRenderingEngines()[0];
const viewport = engine && engine.getViewports()[0];
const id = viewport && viewport.getCurrentImageId && viewport.getCurrentImageId();
const image = id && cornerstone.cache.getImage(id);
if (!image) return null;
const pixels = image.getPixelData();
let hash = 0;
for (let i = 0; i < pixels.length; i++) hash = (Math.imul(hash, 31) + pixels[i]) | 0;
const {rows, columns, minPixelValue, maxPixelValue, imageQualityStatus} = image;
return {rows, columns, minPixelValue, maxPixelValue, imageQualityStatus, hash, count: pixels.length};
"""


@pytest.fixture(scope="module", params=("none", *TRANSCODED))
def transcoded(
    request: pytest.FixtureRequest, testdata: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """The sources converted with one of the options: the option and the archive."""
    option = str(request.param)
    place = tmp_path_factory.mktemp(option) / "archive"
    sources = [testdata / "files" / name for name in SOURCES.values()]
    done = subprocess.run(
        command("mkdicomweb", "create", *sources, "--dir", place, "--transcode", option),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return option, place


@pytest.fixture(scope="module")
def open_browser(
    transcoded: tuple[str, Path], viewer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser at the archive."""
    with (
        dicomwebserver("--dir", transcoded[1], "--viewer", viewer) as running,
        browser_at(running.url, tmp_path_factory.mktemp("profile")) as opened,
    ):
        yield opened


_original: dict[str, dict[str, Any]] = {}
"""What the viewer read of the untranscoded sources, which come first."""


@pytest.mark.parametrize("kind", SOURCES)
def test_the_viewer_reads_the_same_pixels_of_a_transcoded_series(
    open_browser: Browser, transcoded: tuple[str, Path], testdata: Path, kind: str
) -> None:
    option, place = transcoded
    row = described(testdata, SOURCES[kind])
    assert served_syntax(place, row) == TRANSCODED.get(option, "1.2.840.10008.1.2.1")
    open_browser.open(viewer_path(row))
    open_browser.picture()

    def decoded() -> dict[str, Any] | None:
        found: dict[str, Any] | None = open_browser.driver.execute_script(_DECODED)
        return found if found and found["imageQualityStatus"] == FULL_RESOLUTION else None

    open_browser.settle()
    found = open_browser.wait("decoded image", decoded)
    open_browser.screenshot(f"transcoded-{option}-{kind}")
    open_browser.assert_no_complaints()
    if option == "none":
        assert found["maxPixelValue"] > found["minPixelValue"]
        _original[kind] = found
    else:
        assert found == _original[kind]


def served_syntax(place: Path, row: dict[str, Any]) -> str:
    """Available Transfer Syntax UID (0008,3002) of an instance's metadata."""
    found = place.glob(
        f"studies/{row['StudyInstanceUID']}/series/{row['SeriesInstanceUID']}/instances/*/metadata.gz"
    )
    values = {json.loads(gzip.decompress(one.read_bytes()))[0]["00083002"]["Value"][0] for one in found}
    assert len(values) == 1
    return str(values.pop())
