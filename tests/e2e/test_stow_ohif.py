"""Storing from OHIF: its upload page, and what it saves itself."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By

from tests.e2e.browser import Browser, Picture, browser_at
from tests.e2e.conftest import Served, dicomwebserver
from tests.e2e.test_stow_clients import highdicom_objects, source_image

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

CT = "files/DICOMcloud/SampleImages/1.dcm"


@pytest.fixture
def served(viewer: Path, tmp_path: Path) -> Iterator[Served]:
    """A server of an empty folder, with the viewer."""
    place = tmp_path / "archive"
    place.mkdir()
    with dicomwebserver("--dir", place, "--viewer", viewer) as running:
        yield running


@pytest.fixture
def browser(served: Served, tmp_path: Path) -> Iterator[Browser]:
    with browser_at(served.url, tmp_path / "profile") as opened:
        yield opened


def click(browser: Browser, text: str) -> None:
    """Click what bears `text`, once it is there."""
    script = """
    const all = [...document.querySelectorAll('button, [role=button], [data-cy], a, div, span, p')];
    const found = all.filter(e => e.textContent.trim() === arguments[0] && e.offsetParent !== null);
    if (!found.length) return false;
    found[found.length - 1].click();
    return true;
    """
    browser.wait(f"{text} to click", lambda: browser.driver.execute_script(script, text))


def test_what_is_uploaded_on_the_page_of_ohif_is_in_the_list_and_on_screen(
    browser: Browser, served: Served, testdata: Path, tmp_path: Path
) -> None:
    other = tmp_path / "diary.txt"
    other.write_text("Dear diary")
    browser.open("/")
    click(browser, "Upload")
    inputs = browser.wait(
        "input for files", lambda: browser.driver.find_elements(By.CSS_SELECTOR, "input[type=file]")
    )
    inputs[0].send_keys(f"{testdata / CT}\n{other}")
    browser.wait("end of the upload", lambda: "2 files completed" in browser.text())
    browser.screenshot("upload")
    assert "Completed with 1 error" in browser.text()
    [study] = DICOMwebClient(f"{served.url}/dicomweb").search_for_studies()
    browser.open("/")
    browser.wait("study in the list", lambda: "of 1" in browser.text())
    browser.open(f"/viewer?StudyInstanceUIDs={study['0020000D']['Value'][0]}")
    browser.picture()
    browser.screenshot("uploaded")
    browser.assert_no_complaints()


@pytest.mark.filterwarnings("ignore:The string:UserWarning")
def test_a_segmentation_and_a_capture_of_highdicom_are_on_screen(
    browser: Browser, served: Served, testdata: Path
) -> None:
    image = source_image(testdata)
    client = DICOMwebClient(f"{served.url}/dicomweb")
    segmentation, capture, _ = made = list(highdicom_objects(image))
    client.store_instances([image, *made])
    assert open_series(browser, image, image).colours < 0.001
    open_series(browser, image, segmentation)
    click(browser, "Yes")
    browser.wait("segment on screen", lambda: browser.picture().colours > 0.01)
    browser.screenshot("highdicom-seg")
    browser.assert_no_complaints()
    assert open_series(browser, image, capture).colours > 0.01
    browser.screenshot("highdicom-sc")
    browser.assert_no_complaints()


def open_series(browser: Browser, image: pydicom.Dataset, shown: pydicom.Dataset) -> Picture:
    """Open the study of `image` with the series of `shown` first."""
    series = dict.fromkeys([image.SeriesInstanceUID, shown.SeriesInstanceUID])
    browser.open(
        f"/viewer?StudyInstanceUIDs={image.StudyInstanceUID}&SeriesInstanceUIDs={','.join(series)}"
        f"&initialSeriesInstanceUID={shown.SeriesInstanceUID}"
    )
    return browser.picture()


def hush(browser: Browser) -> None:
    """Put away what lies over the viewer at first."""
    time.sleep(1)
    for text in ("Skip all", "Confirm and hide"):
        if text in browser.text():
            click(browser, text)


def lengths(browser: Browser) -> list[float]:
    """The lengths on screen, in mm."""
    return [float(text) for text in re.findall(r"([0-9.]+) mm", browser.text())]


def draw_a_length(browser: Browser) -> float:
    """Draw a line on the image and have OHIF track it; its length in mm."""
    browser.driver.find_element(By.CSS_SELECTOR, '[data-cy="MeasurementTools-split-button-primary"]').click()
    hush(browser)
    canvas = browser.driver.find_element(By.CSS_SELECTOR, "canvas.cornerstone-canvas")
    drawing = ActionChains(browser.driver, duration=100)
    drawing.move_to_element_with_offset(canvas, -100, -60).click_and_hold()
    for _ in range(6):
        drawing.move_by_offset(20, 15)
    drawing.release().perform()
    [length] = browser.wait("length", lambda: lengths(browser))
    click(browser, "Yes")
    return float(length)


def test_a_length_that_is_saved_is_there_after_a_reload(
    browser: Browser, served: Served, testdata: Path
) -> None:
    image = source_image(testdata)
    client = DICOMwebClient(f"{served.url}/dicomweb")
    client.store_instances([image])
    open_series(browser, image, image)
    hush(browser)
    length = draw_a_length(browser)
    browser.driver.find_element(By.CSS_SELECTOR, '[data-cy="trackedMeasurements-btn"]').click()
    click(browser, "Create SR")
    browser.wait("name of the report", lambda: "Save" in browser.text())
    browser.screenshot("save-sr")
    click(browser, "Save")

    def reports() -> list[dict[str, Any]]:
        return client.search_for_series(image.StudyInstanceUID, search_filters={"Modality": "SR"})

    [report] = browser.wait("report in the archive", reports)
    browser.assert_no_complaints()
    browser.open(
        f"/viewer?StudyInstanceUIDs={image.StudyInstanceUID}"
        f"&initialSeriesInstanceUID={report['0020000E']['Value'][0]}"
    )
    # OHIF rounds what it drew to a tenth, and what it read to a hundredth.
    browser.wait("length on screen", lambda: any(abs(one - length) < 0.06 for one in lengths(browser)))
    browser.screenshot("saved-sr")
    browser.assert_no_complaints()
