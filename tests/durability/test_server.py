"""The programs with their sockets, killed: what was acknowledged over HTTP is there, and nothing by half."""

import os
import random
import shutil
import signal
import threading
from pathlib import Path

import pytest

from staticwado import layout
from tests.durability.acting import Site, item
from tests.durability.judging import judge
from tests.durability.lives import Season
from tests.durability.programs import until
from tests.durability.promises import Promises
from tests.durability.talking import Client

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def _season(place: Path, seed: int, *, forked: bool) -> Season:
    (place / "archive").mkdir()
    return Season(place / "archive", random.Random(seed), forked)


@pytest.mark.parametrize(("forked", "lives"), [(True, 3), (False, 1)], ids=["forked", "commands"])
def test_a_server_that_is_killed_has_lost_nothing(place: Path, forked: bool, lives: int) -> None:
    season = _season(place, 3, forked=forked)
    for _ in range(lives):
        season.live(early=0.0)
    assert season.end() == []
    assert season.kills.kills > lives
    assert len(season.ledger.items) > 3


def test_a_worker_that_is_killed_is_followed_by_another(place: Path) -> None:
    season = _season(place, 4, forked=True)
    server = season.serve(reborn=True)
    client, stop = Client(server.port(), season.ledger), threading.Event()
    before = until(lambda: pair if len(pair := set(server.workers())) == 2 else None, 20, "two workers")

    def store_until_there_are_others() -> None:
        items = season.new()
        assert client.store(items) == items
        if len(set(server.workers()) - before) == 2:
            stop.set()

    try:
        client.store(season.new(2))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        client.repeat(store_until_there_are_others, stop)
    finally:
        client.close()
        server.kill()
    season.look_again()
    assert season.end() == []


def test_an_instance_that_is_lost_between_two_lives_is_missed(place: Path) -> None:
    season = _season(place, 1, forked=True)
    server = season.serve()
    client = Client(server.port(), season.ledger)
    items = season.new(2)
    assert client.store(items) == items
    client.close()
    server.kill()
    shutil.rmtree(season.root / layout.folder_of(*items[0].uids))
    season.look_again()
    assert [line.partition(":")[0] for line in season.ledger.wrong][:1] == ["not found after a restart"]
    assert any(line == f"missing: {items[0].place}" for line in season.end())


def test_signals_in_between_lose_nothing(place: Path) -> None:
    """Calls of the system that are interrupted are made again."""
    (place / "archive").mkdir()
    site = Site(place / "archive", place / "sources", Promises())
    came = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        site.create([item(1), item(2)])
        assert all(one.ok for one in site.take([item(3), item(4, study=1)]))
        site.delete([item(1)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(came) > 10
    assert judge(site.root, site.promises.owed) == []
    assert all(len(contents) == 1 for contents in site.promises.owed.values())
