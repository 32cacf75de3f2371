"""The real server on a disk that is full or read-only, or out of files: 503, until the cause is gone."""

import random
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from staticwado.ingest.outcome import Reason
from tests.durability.acting import Item
from tests.durability.disks import limited, reason_against_mounts, small_disk
from tests.durability.lives import Season
from tests.durability.programs import Program
from tests.durability.talking import Client

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def mountable(place: Path) -> None:
    reason = reason_against_mounts(place)
    if reason:
        pytest.skip(reason)


@contextmanager
def served(root: Path, *arguments: str) -> Iterator[tuple[Season, Program, Client]]:
    root.mkdir(exist_ok=True)
    season = Season(root, random.Random(1))
    program = season.serve("--settle-after", "0.1", *arguments)
    client = Client(program.port(), season.ledger)
    try:
        yield season, program, client
    finally:
        client.close()
        program.kill()


def fails(client: Client, items: list[Item]) -> bool:
    """Store what must not be stored whole; whether it was refused for want of resources."""
    refusals = client.refusals = []
    stored = client.store(items)
    assert set(refusals) <= {503, Reason.OUT_OF_RESOURCES}
    return len(stored) < len(items)


def judged(season: Season) -> list[str]:
    season.look_at_rest()
    return season.end()


def _use_up(season: Season, client: Client) -> None:
    for _ in range(60):
        if fails(client, season.new(3, side=64)):
            break
    else:
        pytest.fail("the disk did not get full")


@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize("options", ["size=3m", "size=64m,nr_inodes=700"], ids=["bytes", "inodes"])
def test_a_disk_that_gets_full_loses_nothing(place: Path, options: str) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(place / "disk", options))
        root = disk.root / "archive"
        with served(root) as (season, _, client):
            first = season.new(4)
            assert client.store(first) == first
            _use_up(season, client)
            for one in first:
                client.look(one.place)
            disk.remount("size=64m,nr_inodes=100000")
            again = season.new(4)
            assert client.store(again) == again
            client.refusals = None
            assert season.ledger.wrong == []
        assert judged(season) == []


@pytest.mark.usefixtures("mountable")
def test_a_disk_that_becomes_read_only_is_served_and_stored_to_again(place: Path) -> None:
    with small_disk(place / "disk", "size=64m") as disk:
        with served(disk.root / "archive") as (season, _, client):
            first = season.new(4)
            assert client.store(first) == first
            assert client.delete(first[:1])
            client.refusals = []
            with disk.read_only():
                assert fails(client, season.new(2))
                assert client.ask("DELETE", f"studies/{first[1].uids[0]}")[0] == 503
                for one in first[1:]:
                    client.look(one.place)
                    assert client.listed(one)
            client.refusals = None
            again = season.new(4)
            assert client.store(again) == again
            assert season.ledger.wrong == []
        assert judged(season) == []


@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_catalog_on_a_disk_that_takes_nothing_stops_no_upload(place: Path, how: str) -> None:
    with small_disk(place / "state", "size=2m") as disk, ExitStack() as stack:
        served_with = served(place / "archive", "--state", str(disk.root))
        season, _, client = stack.enter_context(served_with)
        first = season.new(4)
        assert client.store(first) == first
        with disk.read_only() if how == "read-only" else disk.filled():
            for _ in range(6):
                some = season.new(4)
                assert client.store(some) == some
                assert all(client.listed(one) for one in some)
            assert client.delete(first[:1])
            assert not client.listed(first[0])
        again = season.new(4)
        assert client.store(again) == again
        for one in [*first, *again]:
            assert client.listed(one) == (one != first[0])
        assert season.ledger.wrong == []
        stack.close()
        assert judged(season) == []


@pytest.mark.parametrize(
    ("kind", "limit"), [(resource.RLIMIT_NOFILE, None), (resource.RLIMIT_FSIZE, 4096)], ids=["files", "size"]
)
def test_a_server_at_its_limits_refuses_and_goes_on(place: Path, kind: int, limit: int | None) -> None:
    with served(place / "archive") as (season, program, client):
        first = season.new(4)
        assert client.store(first) == first
        client.refusals = []
        with limited(program, kind, limit):
            assert fails(client, season.new(2, side=64))
            for one in first:
                client.content(one.place)  # may be refused, too
        client.refusals = None
        again = season.new(4)
        assert client.store(again) == again
        for one in [*first, *again]:
            client.look(one.place)
        assert season.ledger.wrong == []
    assert judged(season) == []
