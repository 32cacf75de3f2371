"""OHIF in a real browser, over the server and over nginx: what a user sees, and what it asks for."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from staticwado.web.nginx import nginx_configuration
from tests.e2e.browser import Browser, browser_at, unavailable
from tests.e2e.conftest import dicomwebserver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

IMAGES = {
    "ct": "DICOMcloud/SampleImages/1.dcm",
    "mr": "pydicom/test_files/MR_small.dcm",
    "colour": "cornerstone3D/TestPattern_RGB.dcm",
    "ultrasound-multiframe": "pydicom/test_files/examples_ybr_color.dcm",
    "htj2k": "generated/htj2k_lossless_3f.dcm",
    "jpeg-ls": "generated/uid_patched_JLSL_08_07_0_1F.dcm",
    "jpeg-2000": "pydicom-data/data/693_J2KR.dcm",
    "rle": "generated/mg_tomosynthesis_rle_10f.dcm",
    "big-endian": "pydicom/test_files/ExplVR_BigEnd.dcm",
}
COLOURED = {"colour", "ultrasound-multiframe"}


def described(testdata: Path, name: str) -> dict[str, Any]:
    """What the corpus says of one of its files."""
    with (testdata / "manifest.jsonl").open() as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            if row["path"] == f"files/{name}":
                return row
    raise AssertionError(f"the corpus holds no {name}")


def viewer_path(row: dict[str, Any]) -> str:
    return (
        f"/viewer?StudyInstanceUIDs={row['StudyInstanceUID']}&SeriesInstanceUIDs={row['SeriesInstanceUID']}"
    )


def test_the_study_list_shows_every_study(browser: Browser, archive: Path) -> None:
    browser.open("/")
    studies = sum(1 for place in (archive / "studies").iterdir() if place.is_dir())
    browser.wait("list of studies", lambda: f"of {studies}" in browser.text())
    browser.screenshot("study-list")
    browser.assert_no_complaints()


@pytest.mark.parametrize("kind", IMAGES)
def test_the_first_image_of_a_series_is_on_screen(browser: Browser, testdata: Path, kind: str) -> None:
    row = described(testdata, IMAGES[kind])
    browser.open(viewer_path(row))
    picture = browser.picture()
    browser.screenshot(f"image-{kind}")
    browser.assert_no_complaints()
    if kind in COLOURED:
        assert picture.colours > 0.001
    frames = [url for status, url in browser.requests if "/frames/" in url and status == 200]
    assert any(row["SeriesInstanceUID"] in url for url in frames)


def test_the_page_is_isolated_from_other_origins(browser: Browser) -> None:
    browser.open("/")
    assert browser.driver.execute_script("return window.crossOriginIsolated")


def test_a_document_is_shown_as_it_is(browser: Browser, testdata: Path) -> None:
    row = described(testdata, "generated/encapsulated_pdf.dcm")
    browser.open(viewer_path(row))
    shown = "return [...document.querySelectorAll('object, iframe, embed')].map(e => e.data || e.src).join()"
    address = browser.wait("document", lambda: browser.driver.execute_script(shown))
    browser.screenshot("document")
    assert address.endswith("/rendered")
    with urlopen(address) as reply:
        assert reply.headers["Content-Type"] == "application/pdf"
        assert reply.read(5) == b"%PDF-"
    browser.assert_no_complaints()


def test_the_viewer_works_below_a_path_of_its_own(
    archive: Path, viewer: Path, testdata: Path, tmp_path: Path
) -> None:
    row = described(testdata, IMAGES["htj2k"])
    places = ("--client-path", "/ohif", "--server-path", "/pacs/dicom")
    with (
        dicomwebserver("--dir", archive, "--viewer", viewer, *places) as running,
        browser_at(running.url, tmp_path / "profile") as browser,
    ):
        browser.open(f"/ohif{viewer_path(row)}")
        browser.picture()
        browser.assert_no_complaints()


@contextmanager
def nginx(archive: Path, viewer: Path, place: Path) -> Iterator[str]:
    """nginx with the generated configuration, its paths fitted; the URL."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        unavailable("there is no nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = "".join(
        f"{kind}_temp_path {place}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = nginx_configuration(str(archive), str(viewer), f"127.0.0.1:{port}")
    text = text.replace("http {", "http { access_log off; " + temporary, 1)
    if os.geteuid() == 0:
        # Workers give up root, and then could not enter pytest's folders.
        text = f"user root;\n{text}"
    (place / "nginx.conf").write_text(text)
    settings = f"daemon off; pid {place}/pid; error_log {place}/error.log;"
    arguments = ["-p", str(place), "-c", str(place / "nginx.conf"), "-e", "stderr", "-g", settings]
    process = subprocess.Popen([str(program), *arguments], stderr=subprocess.PIPE)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        if process.stderr is not None:
            process.stderr.close()


def test_nginx_with_the_generated_configuration_opens_the_same_series(
    archive: Path, viewer: Path, testdata: Path, tmp_path: Path
) -> None:
    with (
        nginx(archive, viewer, tmp_path) as url,
        browser_at(url, tmp_path / "profile") as browser,
    ):
        for kind in ("ct", "rle", "ultrasound-multiframe"):
            browser.open(viewer_path(described(testdata, IMAGES[kind])))
            browser.picture()
            browser.screenshot(f"nginx-{kind}")
            browser.assert_no_complaints()
