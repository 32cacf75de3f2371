"""The gate before storing: turns, a queue, and a word to those who find no room."""

import asyncio
from pathlib import Path

import pytest

from staticwado.archive import Archive
from staticwado.errors import Busy, StoreUnavailable
from staticwado.web.gate import Gate
from staticwado.web.health import Health
from tests.web.tree import Tree


def health(tree: Tree, min_free: int = 0) -> Health:
    return Health(Archive(str(tree.root)), True, min_free)


def test_more_wait_and_still_more_are_told_to_come_again(tree: Tree) -> None:
    async def work() -> tuple[int, int, int]:
        gate, done = Gate(2, health(tree)), asyncio.Event()
        inside = most = 0

        async def one() -> None:
            nonlocal inside, most
            async with gate.passed():
                inside += 1
                most = max(most, inside)
                await done.wait()
                inside -= 1

        tasks = [asyncio.create_task(one()) for _ in range(15)]
        while sum(task.done() for task in tasks) < 5:
            await asyncio.sleep(0)
        done.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return most, found.count(None), sum(isinstance(each, Busy) for each in found)

    # Two at once, eight in the queue, and five too many.
    assert asyncio.run(work()) == (2, 10, 5)


def test_who_waits_too_long_is_told_to_come_again(tree: Tree) -> None:
    async def work() -> None:
        gate = Gate(1, health(tree), longest=0.01)
        async with gate.passed():
            with pytest.raises(Busy, match="no turn"):
                async with gate.passed():
                    pass
        async with gate.passed():
            pass

    asyncio.run(work())


def test_a_turn_is_given_back_whatever_happens(tree: Tree) -> None:
    async def work() -> None:
        gate = Gate(1, health(tree), longest=1.0)
        for _ in range(3):
            with pytest.raises(KeyError):
                async with gate.passed():
                    raise KeyError

    asyncio.run(work())


def test_nothing_is_stored_on_a_disk_that_is_nearly_full(tree: Tree) -> None:
    async def work() -> None:
        async with Gate(1, health(tree, 1 << 62)).passed():
            pass

    with pytest.raises(StoreUnavailable, match="nearly full"):
        asyncio.run(work())


def test_an_archive_that_cannot_be_written_is_no_place_to_store(tmp_path: Path) -> None:
    missing = Health(Archive(str(tmp_path / "missing"), create=True), True, 0)
    assert missing.troubles(ready=False) == ["the archive cannot be read"]
    assert "the archive cannot be written" in missing.troubles(ready=True)
    assert Health(missing.archive, False, 0).troubles(ready=True) == ["the archive cannot be read"]
