"""The whole of it: every workload, every step, and as many subsets, kills and faults as one has time for.

One rule: the same seed does the same; the counts say how much was done, and every violation is listed.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.durability import databases
from tests.durability.acting import Site, item
from tests.durability.faults import ERRORS, SHORT, Broken, break_at
from tests.durability.judging import space
from tests.durability.killing import Base, Kills, count_calls, kill_at, kill_writers
from tests.durability.lives import Season
from tests.durability.recording import Verdict, cut_power, record
from tests.durability.witness import differences, watch
from tests.durability.workloads import WORKLOADS, Workload

Tell = Callable[[str], None]


def place() -> Path:
    """A fresh folder, in memory where the system has such a place."""
    return Path(tempfile.mkdtemp(prefix="staticwado-crash-", dir=space()))


def chosen(names: Iterable[str]) -> list[Workload]:
    """The workloads whose names hold one of `names`; all, without any."""
    wanted = list(names)
    return [one for one in WORKLOADS if not wanted or any(name in one.name for name in wanted)]


def power(workloads: Iterable[Workload], most: int, trees: int | None, seed: int, tell: Tell) -> Verdict:
    """Cut the power after every step of each workload."""
    total = Verdict()
    for workload in workloads:
        folder = place()
        try:
            verdict = cut_power(
                record(workload, folder), folder, most=most, trees=trees, seed=seed, tell=tell
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        counts = verdict.counts
        tell(
            f"{workload.name}: {counts.moments} prefixes, of {counts.whole} every subset; {counts.subsets} "
            f"of {counts.possible} subsets; {verdict.trees} trees opened; {len(verdict.wrong)} violations"
        )
        total.counts.add(counts)
        total.trees += verdict.trees
        total.wrong.update(verdict.wrong)
    return total


def kills(workloads: Iterable[Workload], every: int, seed: int, tell: Tell) -> Kills:
    """Kill each workload at every call of the store (each `every`-th), and in the middle of each write."""
    total = Kills()
    for workload in workloads:
        folder = place()
        try:
            base = Base.make(workload, folder)
            one = Kills()
            for number in range(1 + seed % every, count_calls(base, folder / "run") + 1, every):
                one.add(kill_at(base, folder / "run", number))
                one.add(kill_at(base, folder / "run", number, torn=True))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _say(workload.name, f"{one.kills} kills, {one.ended} ended before", one.wrong, tell)
        total.add(one)
    return total


def writer(number: int) -> Workload:
    """What one of several writers does: uploads of its own, a batch, and a deletion."""

    def story(site: Site) -> None:
        mine = [item(100 * number + seed, series=seed % 2) for seed in range(6)]
        site.take(mine[:2])
        site.take(mine[2:4])
        site.create(mine[4:])
        site.delete(mine[:1])

    return Workload(f"writer {number}", lambda site: None, story)


def random_kills(rounds: int, writers: int, seed: int, tell: Tell) -> Kills:
    """Kill several writers of one archive, each at a moment of its own."""
    chance = random.Random(seed)
    total = Kills()
    folder = place()
    try:
        base = Base.make(Workload("one instance", lambda site: _first(site), lambda site: None), folder)
        for _ in range(rounds):
            many = [writer(number) for number in range(1, writers + 1)]
            total.add(kill_writers(base, folder / "run", many, 0.4, chance))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = f"{total.kills} kills, {total.ended} ended before"
    _say(f"{writers} writers, {rounds} rounds", text, total.wrong, tell)
    return total


def _first(site: Site) -> None:
    site.create([item(1)])


def server(kills_wanted: int, seed: int, tell: Tell, lives: int = 6) -> Kills:
    """Kill servers, their workers and commands beside them, until there were so many kills."""
    total = Kills()
    restarts, number = 0, 0
    while total.kills < kills_wanted:
        folder = place()
        (folder / "archive").mkdir()
        season = Season(folder / "archive", random.Random(seed + number))
        try:
            for _ in range(lives):
                season.live()
            season.kills.wrong = season.end()
        finally:
            if not season.kills.wrong:
                shutil.rmtree(folder, ignore_errors=True)
        total.add(season.kills)
        restarts += season.restarts
        _say(
            f"season {seed + number}{f' (kept: {folder})' if season.kills.wrong else ''}",
            f"{season.kills.kills} kills, {season.restarts} restarts, {len(season.ledger.items)} instances",
            season.kills.wrong,
            tell,
        )
        number += 1
    return total


def witnessed(workloads: Iterable[Workload], tell: Tell) -> list[str]:
    """Compare the record of each workload with what strace saw; what only one of them saw."""
    folder = place()
    try:
        watch(folder, [one.name for one in workloads])
        count, wrong = differences(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _say("witness", f"{count} calls and bytes that both saw", wrong, tell)
    return wrong


def sqlite(every: int, seed: int, tell: Tell) -> Broken:
    """Let every statement to the databases (each `every`-th) fail with each error, once and from there on."""
    total = Broken()
    folder = place()
    try:
        base = Base.make(databases.STORY, folder)
        for number in range(1 + seed % every, databases.statements(base, folder / "run") + 1, every):
            for error in range(len(databases.ERRORS)):
                for lasting in (False, True):
                    total.add(databases.break_at(base, folder / "run", number, error, lasting=lasting))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _say("databases", f"{total.runs} faults", total.wrong, tell)
    return total


def faults(workloads: Iterable[Workload], every: int, seed: int, tell: Tell) -> Broken:
    """Let every call of the store (each `every`-th) fail, once with each error, and from there on."""
    total = Broken()
    for workload in workloads:
        folder = place()
        try:
            base = Base.make(workload, folder)
            one = Broken()
            for number in range(1 + seed % every, count_calls(base, folder / "run") + 1, every):
                for error in (*ERRORS, SHORT):
                    one.add(break_at(base, folder / "run", number, error))
                for error in ERRORS:
                    one.add(break_at(base, folder / "run", number, error, lasting=True))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _say(workload.name, f"{one.runs} faults", one.wrong, tell)
        total.add(one)
    return total


def _say(name: str, text: str, wrong: list[str], tell: Tell) -> None:
    tell(f"{name}: {text}; {len(wrong)} violations")
    for line in wrong:
        tell(f"  {line}")
