"""OHIF's study list over 230 studies: what it filters, sorts and pages is what the studies say."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from benchmarks.made_studies import make_studies, write_archive, write_list
from tests.e2e.browser import Browser, browser_at
from tests.e2e.conftest import dicomwebserver
from tests.e2e.test_ohif import nginx

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

COUNT = 230
PAGE = 50
_ROWS = """
return [...document.querySelectorAll('tbody tr:not([data-filter-row])')]
    .map(row => [...row.cells].map(cell => cell.innerText.trim())).filter(row => row.length > 4);
"""
Row = tuple[str, str, str, str, str]
"""Patient, day, modalities, description and number of instances, as the list shows them."""


def value(entry: dict[str, Any], tag: str) -> Any:
    return (entry[tag].get("Value") or [""])[0]


def shown_name(entry: dict[str, Any]) -> str:
    family, _, given = value(entry, "00100010")["Alphabetic"].partition("^")
    return f"{family}, {given.replace('^', ' ')}"


def shown_day(entry: dict[str, Any]) -> str:
    day = value(entry, "00080020")
    return datetime.strptime(day, "%Y%m%d").strftime("%d-%b-%Y") if day else ""


def shown(entry: dict[str, Any]) -> Row:
    return (
        shown_name(entry),
        shown_day(entry),
        "\\".join(entry["00080061"]["Value"]),
        value(entry, "00081030") or "No Description",
        str(value(entry, "00201208")),
    )


def moment(entry: dict[str, Any]) -> tuple[str, str]:
    return value(entry, "00080020"), value(entry, "00080030")


ENTRIES = sorted((study.entry for study in make_studies(COUNT)), key=moment, reverse=True)
MANY = max(
    ENTRIES, key=lambda one: sum(value(one, "00100020") == value(other, "00100020") for other in ENTRIES)
)
ALONE = next(entry for entry in ENTRIES if value(entry, "00080050"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index files without instances."""
    place = tmp_path_factory.mktemp("list") / "archive"
    write_archive(place, make_studies(COUNT))
    write_list(place, make_studies(COUNT))
    return place


@pytest.fixture(scope="module")
def studies(archive: Path, viewer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with (
        dicomwebserver("--dir", archive, "--viewer", viewer) as running,
        browser_at(running.url, tmp_path_factory.mktemp("profile")) as opened,
    ):
        yield opened


def rows(browser: Browser) -> list[Row]:
    """The rows on screen; the time of day is left out, as OHIF shows no time with a fraction."""
    found = []
    for name, day, modalities, description, instances, *_ in browser.driver.execute_script(_ROWS):
        found.append((name, day.split(" ")[0], modalities, description, instances))
    return found


def wait_for(browser: Browser, expected: Sequence[dict[str, Any]], page: int = 0) -> list[Row]:
    """The rows on screen once the list says that it has what is expected."""
    first = page * PAGE
    last = min(first + PAGE, len(expected))
    text = f"{first + 1}-{last} of {len(expected)}" if expected else "0-0 of 0"
    browser.wait(text, lambda: text in browser.text() and len(rows(browser)) == last - first)
    return rows(browser)


def click(browser: Browser, label: str) -> None:
    """Press the button that is named so for those who do not see it."""
    find = 'return document.querySelector(`button[aria-label="${arguments[0]}"]`)'
    browser.wait(label, lambda: browser.driver.execute_script(find, label)).click()


def type_into(browser: Browser, column: int, text: str) -> None:
    """Write into the filter above a column."""
    find = f"return document.querySelectorAll('tr[data-filter-row] td')[{column}].querySelector('input')"
    browser.wait("filters", lambda: browser.driver.execute_script(find)).send_keys(text)


def contains(tag: str, text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda entry: text in str(value(entry, tag))


FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "patientName=smith": lambda entry: "smith" in shown_name(entry).lower(),
    "patientName=Ström": lambda entry: "ström" in shown_name(entry).lower(),
    f"mrn={value(MANY, '00100020')}": contains("00100020", value(MANY, "00100020")),
    f"mrn={value(MANY, '00100020')[1:-1]}": contains("00100020", value(MANY, "00100020")[1:-1]),
    f"accession={value(ALONE, '00080050')}": contains("00080050", value(ALONE, "00080050")),
    "description=contrast": contains("00081030", "contrast"),
    "description=Schädel": contains("00081030", "Schädel"),
    "startDate=20190101&endDate=20201231": lambda entry: "20190101" <= moment(entry)[0] <= "20201231",
    "startDate=20240101": lambda entry: moment(entry)[0] >= "20240101",
    "endDate=20120630": lambda entry: "" < moment(entry)[0] <= "20120630",
    "modalities=MR": lambda entry: "MR" in entry["00080061"]["Value"],
    "modalities=SR,US": lambda entry: bool({"SR", "US"} & set(entry["00080061"]["Value"])),
    "modalities=CT&patientName=a&startDate=20150101": lambda entry: (
        "CT" in entry["00080061"]["Value"]
        and "a" in shown_name(entry).lower()
        and moment(entry)[0] >= "20150101"
    ),
    "patientName=%25_%5B*": lambda entry: False,
}  # fmt: skip


@pytest.mark.parametrize("query", FILTERS)
def test_a_filter_leaves_the_studies_that_are_as_it_says(studies: Browser, query: str) -> None:
    expected = [entry for entry in ENTRIES if FILTERS[query](entry)]
    assert bool(expected) is (query != "patientName=%25_%5B*"), "a filter that shows nothing proves nothing"
    studies.open(f"/?{query}")
    assert sorted(wait_for(studies, expected)) == sorted(map(shown, expected[:PAGE]))
    studies.assert_no_complaints()


def test_the_server_filters_and_not_the_browser(studies: Browser) -> None:
    studies.open("/?patientName=smith&modalities=CT")
    wait_for(
        studies,
        [e for e in ENTRIES if "smith" in shown_name(e).lower() and "CT" in e["00080061"]["Value"]],
    )
    studies.settle()
    [asked] = [unquote(url) for _, url in studies.requests if "/studies?" in url]
    assert "PatientName=*smith*" in asked
    assert "ModalitiesInStudy=CT" in asked
    assert "limit=1000&" in asked


def test_what_is_typed_above_a_column_filters(studies: Browser) -> None:
    studies.open("/")
    wait_for(studies, ENTRIES)
    type_into(studies, 0, "smith")
    named = [entry for entry in ENTRIES if "smith" in shown_name(entry).lower()]
    assert sorted(wait_for(studies, named)) == sorted(map(shown, named))
    click(studies, "Reset filters")
    wait_for(studies, ENTRIES)
    type_into(studies, 3, "Knee")
    described = [entry for entry in ENTRIES if "Knee" in value(entry, "00081030")]
    assert sorted(wait_for(studies, described)) == sorted(map(shown, described))
    studies.assert_no_complaints()


def test_every_study_is_on_one_page_of_the_list(studies: Browser) -> None:
    studies.open("/")
    found = wait_for(studies, ENTRIES)
    for page in range(1, (COUNT + PAGE - 1) // PAGE):
        click(studies, "Next page")
        found += wait_for(studies, ENTRIES, page)
    assert sorted(found) == sorted(map(shown, ENTRIES))
    assert [row[1] for row in found] == [shown_day(entry) for entry in ENTRIES]
    studies.assert_no_complaints()


def test_the_list_is_sorted_by_the_column_that_is_pressed(studies: Browser) -> None:
    studies.open("/")
    wait_for(studies, ENTRIES)
    names = sorted(shown_name(entry).lower() for entry in ENTRIES)
    for expected in (names[:PAGE], names[::-1][:PAGE]):
        click(studies, "Sort Patient")
        studies.wait("order by patient", lambda: [row[0].lower() for row in rows(studies)] == expected)  # noqa: B023


def test_over_nginx_the_browser_filters_the_whole_list(archive: Path, viewer: Path, tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    with (
        nginx(archive, viewer, tmp_path / "nginx") as url,
        browser_at(url, tmp_path / "profile") as browser,
    ):
        for query, kept in {
            "": lambda entry: True,
            "patientName=Smith": lambda entry: "Smith" in shown_name(entry),
            f"description={quote('Schädel')}": contains("00081030", "Schädel"),
            "modalities=SR,US": FILTERS["modalities=SR,US"],
        }.items():
            expected = [entry for entry in ENTRIES if kept(entry)]
            assert expected
            browser.open(f"/?{query}")
            assert sorted(wait_for(browser, expected)) == sorted(map(shown, expected[:PAGE]))
