"""Processes that are killed while they write, at named steps and at random moments."""

import random
from pathlib import Path

import pytest

from tests.durability.campaign import random_kills
from tests.durability.killing import Base, count_calls, kill_at
from tests.durability.workloads import WORKLOADS, Workload

KILLS = 3
"""A workload; `scripts/crash kills` kills at every call of the store."""

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_a_killed_process_leaves_nothing_half(workload: Workload, place: Path) -> None:
    base = Base.make(workload, place)
    calls = count_calls(base, place / "run")
    chance = random.Random(workload.name)
    for number in chance.sample(range(1, calls + 1), KILLS):
        result = kill_at(base, place / "run", number, torn=chance.random() < 0.5)
        assert result.wrong == []


def test_several_writers_that_are_killed_lose_nothing() -> None:
    result = random_kills(4, 3, 1, lambda line: None)
    assert result.kills + result.ended == 12
    assert result.wrong == []
