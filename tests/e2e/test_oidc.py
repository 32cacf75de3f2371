"""OHIF behind a login: an issuer that this project has no part in, a real browser, a page from outside."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from selenium.webdriver.common.by import By

from tests.e2e.browser import ROOT, Browser, browser_at, unavailable
from tests.e2e.conftest import dicomwebserver
from tests.e2e.test_ohif import described, viewer_path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

CHOSEN = ("DICOMcloud/SampleImages/1.dcm", "pydicom/test_files/MR_small.dcm")
OTHER = "cornerstone3D/TestPattern_RGB.dcm"


@contextmanager
def issuer(viewer: str, studies: list[str]) -> Iterator[str]:
    """The URL of an issuer with the users `guest` and `radiologist`."""
    node = shutil.which("node")
    if node is None:
        unavailable("there is no node, so oidc-provider cannot run")
    found = subprocess.run([str(ROOT / "scripts" / "oidc-provider")], capture_output=True, text=True)
    if found.returncode != 0:
        unavailable(f"scripts/oidc-provider: {found.stderr.strip()[-200:]}")
    script = str(Path(__file__).with_name("issuer.mjs"))
    process = subprocess.Popen(
        [str(node), script, found.stdout.strip(), viewer, ",".join(studies)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield next(line.strip() for line in process.stdout if line.startswith("http"))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def outside_page(link: str) -> Iterator[str]:
    """A page of another origin that leads to `link`."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<a id="images" href="{link}">Your images</a>'.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Guarded:
    url: str
    chosen: list[str]
    other: str


@pytest.fixture(scope="module")
def guarded(
    testdata: Path, archive: Path, viewer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """A server of the corpus that believes the issuer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    chosen = [described(testdata, name)["StudyInstanceUID"] for name in CHOSEN]
    with issuer(url, chosen) as at:
        auth = {
            "oidc": {"issuer": at, "audience": ["staticwado"], "clientId": "ohif", "scope": "openid studies"},
            "rules": [
                {"claim": "groups", "values": ["radiology"], "rights": ["read"], "studies": "all"},
                {"claim": "studies", "rights": ["read"], "studiesClaim": "studies"},
            ],
        }
        file = tmp_path_factory.mktemp("oidc") / "static-wado.json5"
        file.write_text(json.dumps({"dicomWebServerConfig": {"auth": auth}}))
        arguments = ("--dir", archive, "--viewer", viewer, "--port", str(port), "-c", file)
        with dicomwebserver(*arguments) as running:
            yield Guarded(running.url, chosen, described(testdata, OTHER)["StudyInstanceUID"])


@pytest.fixture
def visitor(guarded: Guarded, tmp_path: Path) -> Iterator[Browser]:
    """A browser that nobody has logged in with."""
    with browser_at(guarded.url, tmp_path / "profile") as opened:
        yield opened


def log_in(browser: Browser, name: str) -> None:
    """Fill the issuer's form, and agree."""
    field = browser.wait("login form", lambda: browser.driver.find_elements(By.NAME, "login"))
    field[0].send_keys(name)
    browser.driver.find_element(By.NAME, "password").send_keys("any")
    browser.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    browser.wait("consent", lambda: "Authorize" in browser.driver.page_source)
    browser.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()


def token_of(browser: Browser) -> str:
    """The access token that OHIF has."""
    stored = browser.wait(
        "token",
        lambda: browser.driver.execute_script(
            "return Object.values({...sessionStorage, ...localStorage}).find(v => v.includes('access_token'))"
        ),
    )
    return str(json.loads(stored)["access_token"])


def ask(guarded: Guarded, path: str, token: str | None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    try:
        with urlopen(Request(f"{guarded.url}/dicomweb/{path}", headers=headers), timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except HTTPError as error:
        return error.code, None


def test_a_page_from_outside_opens_two_studies_for_a_guest(guarded: Guarded, visitor: Browser) -> None:
    link = f"{guarded.url}/viewer?StudyInstanceUIDs={','.join(guarded.chosen)}"
    with outside_page(link) as page:
        visitor.driver.get(page)
        visitor.driver.find_element(By.ID, "images").click()
        log_in(visitor, "guest")
        visitor.wait("the viewer", lambda: visitor.driver.current_url.startswith(f"{guarded.url}/viewer"))
        assert not visitor.picture().is_blank
        visitor.settle()
        visitor.screenshot("oidc-guest")
    asked = [url for status, url in visitor.requests if "/dicomweb/" in url and status == 200]
    for study in guarded.chosen:
        assert any(f"/studies/{study}/" in url for url in asked), study
    assert not [url for status, url in visitor.requests if "/dicomweb/" in url and status >= 400]
    token = token_of(visitor)
    found = ask(guarded, "studies", token)[1]
    assert sorted(entry["0020000D"]["Value"][0] for entry in found) == sorted(guarded.chosen)
    for path in (
        f"studies/{guarded.other}/metadata",
        f"studies/{guarded.other}/series",
        "studies/1.2.99/series",
    ):
        assert ask(guarded, path, token)[0] == 403
        assert ask(guarded, path, None)[0] == 401


def test_a_study_that_was_not_chosen_stays_closed_to_a_guest(guarded: Guarded, visitor: Browser) -> None:
    visitor.open(f"/viewer?StudyInstanceUIDs={guarded.other}")
    log_in(visitor, "guest")

    def answers() -> list[tuple[int, str]]:
        visitor.settle()
        return [(status, url) for status, url in visitor.requests if f"/studies/{guarded.other}/" in url]

    found = visitor.wait("answers", answers)
    assert {status for status, _ in found} == {403}
    visitor.screenshot("oidc-refused")


def test_the_study_list_shows_a_guest_their_own(guarded: Guarded, visitor: Browser) -> None:
    visitor.open("/")
    log_in(visitor, "guest")
    visitor.wait("list of studies", lambda: "of 2" in visitor.text() or "2 Studies" in visitor.text())
    visitor.screenshot("oidc-list")


def test_who_may_see_all_sees_all(guarded: Guarded, visitor: Browser) -> None:
    visitor.open("/")
    log_in(visitor, "radiologist")
    token = token_of(visitor)
    assert ask(guarded, f"studies/{guarded.other}/series", token)[0] == 200
    assert len(ask(guarded, "studies", token)[1]) > 10


def test_a_document_is_fetched_with_the_token(guarded: Guarded, visitor: Browser, testdata: Path) -> None:
    """Elements of the page send no token: OHIF has to fetch for them."""
    visitor.open(viewer_path(described(testdata, "generated/encapsulated_pdf.dcm")))
    log_in(visitor, "radiologist")
    shown = "return [...document.querySelectorAll('object, iframe, embed')].map(e => e.data || e.src).join()"
    address = visitor.wait("document", lambda: visitor.driver.execute_script(shown))
    visitor.screenshot("oidc-document")
    assert address.startswith("blob:")
    read = "fetch(arguments[0]).then(r => r.text()).then(t => arguments[1](t.slice(0, 5)))"
    assert visitor.driver.execute_async_script(read, address) == "%PDF-"
    visitor.settle()
    assert not [url for status, url in visitor.requests if "/dicomweb/" in url and status >= 400]


def test_a_video_is_fetched_with_the_token_and_then_lost_by_ohif(
    guarded: Guarded, visitor: Browser, testdata: Path
) -> None:
    """OHIF 3.13 takes the promise of the video's address for the address; without a login the video plays."""
    visitor.open(viewer_path(described(testdata, "generated/mpeg4_avc_hp41.dcm")))
    log_in(visitor, "radiologist")

    def asked(end: str) -> list[int]:
        visitor.settle()
        return [status for status, url in visitor.requests if url.endswith(end)]

    assert visitor.wait("address that is none", lambda: asked("/[object%20Object]"))
    assert asked("/pixeldata") == [200]
    visitor.screenshot("oidc-video")
