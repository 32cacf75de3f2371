"""A power cut after any step of a workload: nothing acknowledged is missing, nothing visible is broken."""

from pathlib import Path

import pytest

from tests.durability.faults import failing_sync
from tests.durability.recording import cut_power, record
from tests.durability.workloads import STORING, WORKLOADS, Workload

SUBSETS, TREES = 48, 40
"""A prefix, and a workload; `scripts/crash power` tries them all."""


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_what_was_acknowledged_outlasts_a_power_cut(workload: Workload, place: Path) -> None:
    verdict = cut_power(record(workload, place), place, most=SUBSETS, trees=TREES)
    assert verdict.trees > 5
    assert verdict.first == {}


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("workload", STORING[:4], ids=lambda one: one.name)
def test_nothing_is_acknowledged_after_a_sync_that_failed(
    workload: Workload, number: int, place: Path
) -> None:
    with failing_sync(number) as breaker:
        recording = record(workload, place, breaker)
    verdict = cut_power(recording, place, most=SUBSETS, trees=20)
    assert verdict.trees > 5
    assert verdict.first == {}


def test_the_harness_sees_what_is_not_synced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any sync, acknowledged instances are lost: so the other tests can fail."""
    from staticwado.store import local

    monkeypatch.setattr(local, "_sync_file_system", lambda descriptor: None)
    verdict = cut_power(record(STORING[0], place), place, most=SUBSETS, trees=TREES)
    assert any("missing" in violation for violation in verdict.wrong)
