"""Calls of the store that fail: no loss, no wrong success, and everything works when the cause is gone."""

import random
from pathlib import Path

import pytest

from tests.durability.faults import ERRORS, SHORT, break_at
from tests.durability.killing import Base, count_calls
from tests.durability.workloads import WORKLOADS, Workload

FAULTS = 5
"""A workload; `scripts/crash faults` breaks every call with every error."""


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_a_call_that_fails_loses_nothing(workload: Workload, place: Path) -> None:
    base = Base.make(workload, place)
    calls = count_calls(base, place / "run")
    chance = random.Random(workload.name)
    for number in chance.sample(range(1, calls + 1), FAULTS):
        error = chance.choice((*ERRORS, SHORT))
        lasting = error != SHORT and chance.random() < 0.5
        assert break_at(base, place / "run", number, error, lasting=lasting).wrong == []
