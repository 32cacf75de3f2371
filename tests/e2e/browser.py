"""A headless Chromium that notes every request and every console message."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / ".test-artefacts"
PATIENCE = 90.0
"""Seconds to wait for something to appear; software rendering on a busy machine is slow."""

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1280,900",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)

_PICTURE = """
const canvas = document.querySelector('canvas.cornerstone-canvas');
if (!canvas || !canvas.width || !canvas.height) return null;
const context = canvas.getContext('2d');
if (!context) return null;
const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
const values = new Set(); let colours = 0, lit = 0;
for (let i = 0; i < data.length; i += 4) {
    values.add(data[i]);
    if (data[i] + data[i + 1] + data[i + 2] > 24) lit++;
    if (Math.abs(data[i] - data[i + 1]) > 20 || Math.abs(data[i] - data[i + 2]) > 20) colours++;
}
return {values: values.size, lit: lit / (data.length / 4), colours: colours / (data.length / 4)};
"""


def unavailable(reason: str) -> None:
    """Skip, with the reason; in CI that is a failure."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason)
    pytest.skip(reason)


def find_viewer() -> Path:
    """The folder of the viewer: STATICWADO_VIEWER, else where `scripts/viewer` puts it. Skips without one."""
    named = os.environ.get("STATICWADO_VIEWER")
    for place in [Path(named)] if named else [ROOT / ".viewer" / "dist", ROOT / ".viewer"]:
        if (place / "index.html").is_file():
            return place
    unavailable(
        "there is no viewer: run scripts/viewer, or set STATICWADO_VIEWER to a folder with index.html"
    )
    raise AssertionError


@dataclass(frozen=True)
class Picture:
    """What is on the first viewport's canvas."""

    values: int
    """Different values of red."""
    lit: float
    """Share of the pixels that are not nearly black."""
    colours: float
    """Share of the pixels that are not grey."""

    @property
    def is_blank(self) -> bool:
        return self.values < 8 or self.lit < 0.001


@dataclass
class Browser:
    driver: webdriver.Chrome
    origin: str
    requests: list[tuple[int, str]] = field(default_factory=list)
    """(status or 0 if it failed, URL) of everything that was asked for since `open`."""
    messages: list[str] = field(default_factory=list)
    """Errors on the console since `open`."""

    def open(self, path: str) -> None:
        self._collect()
        self.requests.clear()
        self.messages.clear()
        self.driver.get(self.origin + path)

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """What `condition` gives once it is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            if time.monotonic() > deadline:
                self._collect()
                self.screenshot(f"failed-{what}".replace(" ", "-"))
                raise AssertionError(
                    f"no {what} after {PATIENCE} s; requests {self.requests[-20:]}, console {self.messages}"
                )
            time.sleep(0.1)
        return found

    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def picture(self) -> Picture:
        """The first picture that is not blank."""

        def found() -> Picture | None:
            made = self.driver.execute_script(_PICTURE)
            picture = Picture(**made) if made else None
            return picture if picture is not None and not picture.is_blank else None

        picture = self.wait("picture on screen", found)
        assert isinstance(picture, Picture)
        return picture

    def settle(self) -> None:
        """Wait until no request has ended for a second."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < 1.0:
            self._collect()
            if len(self.requests) != seen:
                seen, since = len(self.requests), time.monotonic()
            time.sleep(0.1)

    def screenshot(self, name: str) -> Path:
        ARTEFACTS.mkdir(exist_ok=True)
        place = ARTEFACTS / f"{name}.png"
        self.driver.save_screenshot(str(place))
        return place

    def assert_no_complaints(self) -> None:
        """No request has failed, none left the server, and the console shows no error."""
        self.settle()
        failed = [(status, url) for status, url in self.requests if status == 0 or status >= 400]
        assert not failed
        hosts = {f"{parts.scheme}://{parts.netloc}" for _, url in self.requests if (parts := urlsplit(url))}
        assert {host for host in hosts if host.startswith("http")} <= {self.origin}
        assert not self.messages

    def _collect(self) -> None:
        asked: dict[str, str] = getattr(self, "_asked", {})
        self._asked = asked
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            match message["method"]:
                case "Network.requestWillBeSent":
                    asked[parameters["requestId"]] = parameters["request"]["url"]
                case "Network.responseReceived":
                    response = parameters["response"]
                    if response["url"].startswith("http"):
                        self.requests.append((response["status"], response["url"]))
                case "Network.loadingFailed" if not parameters.get("canceled"):
                    url = asked.get(parameters["requestId"], "?")
                    if url.startswith("http"):
                        self.requests.append((0, f"{url} ({parameters.get('errorText')})"))
        for entry in self.driver.get_log("browser"):
            if entry["level"] == "SEVERE":
                self.messages.append(entry["message"])


@contextmanager
def browser_at(origin: str, profile: Path) -> Iterator[Browser]:
    """A browser for the server at `origin`. Skips where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        unavailable("there is no chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.setBypassServiceWorker", {"bypass": True})
        yield Browser(driver, origin)
    finally:
        driver.quit()
