"""Handing sources to an intake from an event loop."""

import asyncio
from pathlib import Path

from staticwado.archive import Archive
from staticwado.ingest.batch import Terms
from staticwado.ingest.intake import Intake
from staticwado.ingest.outcome import Outcome, Reason
from staticwado.ingest.source import BytesSource
from staticwado.web.taking import Taking
from tests import factories


def _source(seed: int) -> BytesSource:
    return BytesSource(f"part {seed}", factories.instance(seed=seed))


async def _take_many(intake: Intake, cancelled: int) -> list[list[Outcome] | BaseException]:
    taking = Taking(intake)
    tasks = [asyncio.create_task(taking.take([_source(seed), _source(1)], Terms())) for seed in range(20)]
    await asyncio.sleep(0)  # all have handed theirs over
    tasks[cancelled].cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_everybody_gets_his_own_outcomes_and_who_has_gone_keeps_nobody_waiting(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path), create=True)
    archive.create_marker()
    intake = Intake(archive)
    found = asyncio.run(_take_many(intake, cancelled=5))
    intake.close()
    assert isinstance(found[5], asyncio.CancelledError)
    for number, one in enumerate(found):
        if number == 5:
            continue
        assert isinstance(one, list)
        assert [outcome.reason for outcome in one] == [Reason.SUCCESS] * 2
        assert [outcome.source for outcome in one] == [f"part {number}", "part 1"]
    there = list(archive.instances(factories.uid("study", 0), factories.uid("series", 0, 0)))
    assert there == sorted(factories.uid("instance", 0, 0, number) for number in range(20))
