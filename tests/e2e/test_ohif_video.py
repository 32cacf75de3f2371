"""OHIF's viewport of videos, which an element of the page fetches, with no token."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from staticwado.web.auth.basic import hash_password
from tests.e2e.browser import Browser, browser_at
from tests.e2e.conftest import Served, dicomwebserver
from tests.e2e.test_ohif import described, viewer_path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

VIDEO = "generated/mpeg4_avc_hp41.dcm"


@pytest.fixture
def served(viewer: Path, testdata: Path, tmp_path: Path) -> Iterator[Served]:
    """A server of one video, which alice may see."""
    (tmp_path / "archive").mkdir()
    with dicomwebserver("--dir", tmp_path / "archive") as running:
        body, kind = (testdata / "files" / VIDEO).read_bytes(), {"Content-Type": "application/dicom"}
        with urlopen(Request(f"{running.url}/dicomweb/studies", body, kind), timeout=30) as reply:
            assert reply.status == 200
    user = {"name": "alice", "password": hash_password("secret"), "rights": ["read"]}
    config = tmp_path / "static-wado.json5"
    config.write_text(json.dumps({"dicomWebServerConfig": {"auth": {"users": [user]}}}))
    words = ("--dir", tmp_path / "archive", "--viewer", viewer, "-c", config)
    with dicomwebserver(*words) as running:
        yield running


@pytest.fixture
def browser(served: Served, tmp_path: Path) -> Iterator[Browser]:
    with browser_at(served.url, tmp_path / "profile") as opened:
        yield opened


def test_a_video_plays_for_whoever_gave_a_password(browser: Browser, served: Served, testdata: Path) -> None:
    browser.driver.get(served.url.replace("//", "//alice:secret@") + "/dicomweb/studies")
    browser.open(viewer_path(described(testdata, VIDEO)))
    assert browser.picture().lit > 0.1
    browser.screenshot("video")
