"""Recording a workload, and what came of cutting its power at every step."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from staticwado.errors import StaticWadoError
from tests.durability.acting import Site
from tests.durability.calls import Before, Calls
from tests.durability.disk import Disk, Tree, hash_of
from tests.durability.judging import judge, lay_out
from tests.durability.losses import WASTE, Counts, cutoffs, losses
from tests.durability.promises import Owed, Promises
from tests.durability.watching import watched
from tests.durability.workloads import Workload


@dataclass(slots=True)
class Recording:
    """What a workload did."""

    disk: Disk
    root: Path
    promises: Promises


def record(workload: Workload, place: Path, before: Before | None = None) -> Recording:
    """Run `workload` below the folder `place`; what it began with counts as durable.

    `before` is told every call of the story before it is made, and may raise.
    """
    root = place / "archive"
    root.mkdir(parents=True)
    disk = Disk()
    calls = Calls(str(root), disk=disk)
    promises = Promises(calls.mark)
    site = Site(root, place / "sources", promises)
    with watched(calls):
        workload.begin(site)
        disk.settle(promises.owed)
        if before is not None:
            calls.before = before
        with contextlib.suppress(StaticWadoError):  # told, and not acknowledged
            workload.run(site)
    return Recording(disk, root, promises)


@dataclass(slots=True)
class Verdict:
    """What came of all the cuts."""

    counts: Counts = field(default_factory=Counts)
    trees: int = 0
    """Different trees that were opened."""
    wrong: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """Of each violation, where it was seen first."""


def cut_power(
    recording: Recording,
    place: Path,
    *,
    most: int,
    trees: int | None = None,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Judge what may be left of `recording` after every step: `most` subsets a step, `trees` in all."""
    verdict = Verdict()
    chance = random.Random(seed)
    todo: dict[tuple[bytes, frozenset[tuple[str, frozenset[str]]]], tuple[Tree, Owed, str]] = {}
    steps = recording.disk.steps
    for moment in cutoffs(recording.disk):
        owed: Owed = moment.said or {}
        place_now = (
            f"step {moment.number}, after {steps[moment.number - 1].place if moment.number else 'nothing'}"
        )
        for tree in losses(moment, most, chance, verdict.counts):
            bare = without_waste(tree)
            todo.setdefault((hash_of(bare), frozenset(owed.items())), (bare, owed, place_now))
        killed = moment.tree(set(), {})
        todo.setdefault((hash_of(killed), frozenset(owed.items())), (killed, owed, f"kill at {place_now}"))
    chosen = list(todo.values())
    if trees is not None and len(chosen) > trees:
        chosen = chance.sample(chosen, trees)
    for tree, owed, where in chosen:
        lay_out(tree, place / "left")
        verdict.trees += 1
        for violation in judge(place / "left", owed):
            verdict.wrong[violation] += 1
            if violation not in verdict.first:
                verdict.first[violation] = where
                tell(f"{where}: {violation}")
    return verdict


def without_waste(tree: Tree) -> Tree:
    """`tree` without what the next start does not look at."""
    return {
        path: content
        for path, content in tree.items()
        if not path.startswith(tuple(f"{one}/" for one in WASTE))
    }
