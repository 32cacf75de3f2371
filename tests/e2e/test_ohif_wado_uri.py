"""OHIF that reads its images by WADO-URI: whole files, as `imageRendering: "wadouri"` asks for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, browser_at
from tests.e2e.conftest import dicomwebserver
from tests.e2e.test_ohif import IMAGES, described, viewer_path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

KINDS = ("ct", "ultrasound-multiframe", "jpeg-ls")
_BY_URI = """
let kept;
Object.defineProperty(window, 'config', {
  get: () => kept,
  set: value => {
    for (const source of value.dataSources) source.configuration.imageRendering = 'wadouri';
    kept = value;
  },
});
"""


@pytest.fixture(scope="module")
def by_uri(archive: Path, viewer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose OHIF is told to read by URI."""
    with (
        dicomwebserver("--dir", archive, "--viewer", viewer) as running,
        browser_at(running.url, tmp_path_factory.mktemp("profile")) as opened,
    ):
        opened.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _BY_URI})
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_read_by_uri_is_on_screen(by_uri: Browser, testdata: Path, kind: str) -> None:
    row = described(testdata, IMAGES[kind])
    by_uri.open(viewer_path(row))
    by_uri.picture()
    by_uri.screenshot(f"wado-uri-{kind}")
    by_uri.assert_no_complaints()
    asked = [(status, url) for status, url in by_uri.requests if "requestType=WADO" in url]
    assert any(row["SeriesInstanceUID"] in url for _, url in asked)
    assert {status for status, _ in asked} == {200}
    assert not any("/frames/" in url and "thumbnail" not in url for _, url in by_uri.requests)
