from typing import Any

import pytest

from staticwado.dicomweb.store_response import StoreResult, store_response, store_status

ROOT = "http://h/dicomweb"
FAILED, STORED, OTHERS, URL = "00081198", "00081199", "0008119A", "00081190"


def stored(study: str = "1.2", instance: str = "1.4", warning: int = 0) -> StoreResult:
    return StoreResult(study, "1.3", instance, "1.1", warning=warning)


def failed(failure: int = 0x0111, sop_class: str | None = "1.1") -> StoreResult:
    return StoreResult("1.2", "1.3", "1.5", sop_class, failure)


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([stored()], 200),
        ([stored(), stored(instance="1.6")], 200),
        ([stored(warning=0xB000)], 202),
        ([stored(), failed()], 202),
        ([stored(), failed(0xA700)], 202),
        ([failed()], 409),
        ([failed(0xA700), failed()], 409),
        ([failed(0xA700), failed(0xA700)], 503),
        ([StoreResult(failure=0xC000)], 409),
    ],
)
def test_the_status_says_what_happened(results: list[StoreResult], status: int) -> None:
    assert store_status(results) == status


@pytest.mark.parametrize(
    ("results", "sequences"),
    [
        ([stored()], {STORED}),
        ([failed()], {FAILED}),
        ([failed(sop_class=None)], {OTHERS}),
        ([stored(), failed(), StoreResult(failure=0xC000)], {STORED, FAILED, OTHERS}),
    ],
)
def test_a_sequence_is_there_only_if_it_has_items(results: list[StoreResult], sequences: set[str]) -> None:
    made = store_response(results, ROOT)
    assert made.keys() == {URL, *sequences}
    assert all(made[tag]["Value"] for tag in sequences)


def test_items_have_their_url_their_failure_or_their_warning() -> None:
    made = store_response([stored(warning=0xB006), failed()], ROOT)
    [item] = made[STORED]["Value"]
    assert item == {
        "00081150": {"vr": "UI", "Value": ["1.1"]},
        "00081155": {"vr": "UI", "Value": ["1.4"]},
        URL: {"vr": "UR", "Value": [f"{ROOT}/studies/1.2/series/1.3/instances/1.4"]},
        "00081196": {"vr": "US", "Value": [0xB006]},
    }
    [item] = made[FAILED]["Value"]
    assert item["00081197"] == {"vr": "US", "Value": [0x0111]}
    assert URL not in item


@pytest.mark.parametrize(
    ("results", "study", "url"),
    [
        ([stored()], None, f"{ROOT}/studies/1.2"),
        ([stored("1.2"), stored("1.9")], None, None),
        ([stored("1.2"), failed()], "1.2", f"{ROOT}/studies/1.2"),
        ([failed()], "1.2", f"{ROOT}/studies/1.2"),
        ([failed()], None, None),
    ],
)
def test_the_url_of_the_study_is_there_where_it_is_one(
    results: list[StoreResult], study: str | None, url: str | None
) -> None:
    expected: dict[str, Any] = {"vr": "UR", "Value": [url]} if url else {"vr": "UR"}
    assert store_response(results, ROOT, study)[URL] == expected
