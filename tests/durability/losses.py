"""What a power cut after any step may leave: every subset of what was not synced, or many of them.

One rule: where not all subsets are tried, the count of those that there are is told.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.durability.disk import (
    ROOT,
    Data,
    Disk,
    Enter,
    Mark,
    Move,
    Names,
    Naming,
    Op,
    Swap,
    Sync,
    Tree,
    Writing,
    beginning,
    changed,
    name,
    tree_of,
)

WASTE = (".staticwado/staging", ".staticwado/locks", ".staticwado/spool")
"""Folders whose contents the next start throws away, or does not look at."""


@dataclass(slots=True)
class Cutoff:
    """The moment of a power cut: what is durable, and what is not."""

    number: int
    """How many steps had been done."""
    said: Any
    """What the workload had said last."""
    names: Names
    contents: dict[int, bytes]
    naming: list[Naming] = field(default_factory=list)
    """In the order in which they were done, all of them, the durable ones too."""
    kept: list[bool] = field(default_factory=list)
    """Which of them are durable."""
    writing: dict[int, list[Writing]] = field(default_factory=dict)
    """What was written to a file since it was synced."""

    def open_names(self) -> list[int]:
        """Which of `naming` may be lost, and would be missed: what only concerns waste is taken as kept."""
        reach = self._reachable()
        return [
            index
            for index, op in enumerate(self.naming)
            if not self.kept[index]
            and (op.folder in reach or (isinstance(op, Move | Swap) and op.source in reach))
        ]

    def open_files(self) -> list[int]:
        """Files that a reader may find and whose data may be lost."""
        reach = self._reachable()
        return [node for node in self.writing if node in reach]

    def _reachable(self) -> set[int]:
        """Nodes that may have a name outside the waste, whatever is lost."""
        names: dict[int, set[tuple[str, int]]] = {
            folder: set(found.items()) for folder, found in self.names.items()
        }
        for op in self.naming:
            if isinstance(op, Enter | Move | Swap):
                names.setdefault(op.folder, set()).add((op.name, op.node))
            if isinstance(op, Swap):
                names.setdefault(op.source, set()).add((op.old, op.other))
        found: set[int] = set()
        todo = [(ROOT, "")]
        while todo:
            node, path = todo.pop()
            if path in WASTE or (node in found and path):
                continue
            found.add(node)
            for one, child in names.get(node, ()):
                todo.append((child, f"{path}/{one}".lstrip("/") if len(path) < 40 else path))
        return found

    def tree(self, lost: set[int], data: dict[int, str]) -> Tree:
        """What is left: without the namings `lost`, and the data of files as `data` says."""
        names = {node: dict(found) for node, found in self.names.items()}
        for index, op in enumerate(self.naming):
            if index not in lost:
                name(names, op)
        contents = dict(self.contents)
        for node, ops in self.writing.items():
            contents[node] = remains(contents.get(node, b""), ops, data.get(node, "all"))
        return tree_of(names, contents)


FATES = ("all", "none", "half", "zeros")
"""What may become of data not synced."""


def remains(content: bytes, ops: Sequence[Writing], fate: str) -> bytes:
    """What a file holds of `ops`: all, none, the first half, or its length and no bytes."""
    if fate == "none":
        return content
    if fate == "half":
        for op in ops[:-1]:
            content = changed(content, op)
        last = ops[-1]
        return (
            changed(content, Data(last.node, last.offset, last.data[: len(last.data) // 2]))
            if isinstance(last, Data)
            else content
        )
    for op in ops:
        blank = (
            Data(op.node, op.offset, bytes(len(op.data))) if fate == "zeros" and isinstance(op, Data) else op
        )
        content = changed(content, blank)
    return content


def cutoffs(disk: Disk) -> Iterator[Cutoff]:
    """Every moment of a record: before its first step, and after each."""
    names, contents, said, steps = beginning(disk)
    moment = Cutoff(0, said, names, contents)
    yield moment
    for step in steps:
        _take(moment, step.op)
        moment.number += 1
        yield moment


def _take(moment: Cutoff, op: Op) -> None:
    if isinstance(op, Mark):
        moment.said = op.said
    elif isinstance(op, Sync):
        for index, one in enumerate(moment.naming):
            moment.kept[index] |= op.node is None or one.folder == op.node
        for node in [op.node] if op.node is not None else list(moment.writing):
            for done in moment.writing.pop(node, []):
                moment.contents[node] = changed(moment.contents.get(node, b""), done)
        _forget(moment)
    elif isinstance(op, Writing):
        moment.writing.setdefault(op.node, []).append(op)
    else:
        moment.naming.append(op)
        moment.kept.append(False)


def _forget(moment: Cutoff) -> None:
    """Make the durable beginning of the namings part of the names."""
    while moment.kept and moment.kept[0]:
        name(moment.names, moment.naming.pop(0))
        moment.kept.pop(0)


@dataclass(slots=True)
class Counts:
    """How much was looked at."""

    moments: int = 0
    whole: int = 0
    """Moments of which every subset was tried."""
    subsets: int = 0
    possible: int = 0

    def add(self, other: "Counts") -> None:
        self.moments += other.moments
        self.whole += other.whole
        self.subsets += other.subsets
        self.possible += other.possible


def losses(moment: Cutoff, most: int, chance: random.Random, counts: Counts) -> Iterator[Tree]:
    """What may be left at `moment`: all of it where there are at most `most` subsets, else `most` of them.

    Those are: all and nothing lost, each thing lost or kept alone, every beginning kept, and random ones.
    """
    names, files = moment.open_names(), moment.open_files()
    possible = 2 ** len(names) * len(FATES) ** len(files)
    counts.moments += 1
    counts.possible += possible
    if possible <= most:
        counts.whole += 1
        chosen: Iterator[tuple[set[int], dict[int, str]]] = _all(names, files)
    else:
        chosen = itertools.islice(_some(names, files, chance), most)
    for lost, data in chosen:
        counts.subsets += 1
        yield moment.tree(lost, data)


def _all(names: list[int], files: list[int]) -> Iterator[tuple[set[int], dict[int, str]]]:
    for bits in itertools.product((False, True), repeat=len(names)):
        lost = set(itertools.compress(names, bits))
        for fates in itertools.product(FATES, repeat=len(files)):
            yield lost, dict(zip(files, fates, strict=True))


def _some(
    names: list[int], files: list[int], chance: random.Random
) -> Iterator[tuple[set[int], dict[int, str]]]:
    none: dict[int, str] = {}
    yield set(), none
    yield set(names), dict.fromkeys(files, "none")
    for fate in FATES:
        yield set(), dict.fromkeys(files, fate)
    for one in names:
        yield {one}, none
        yield set(names) - {one}, none
    for file in files:
        for fate in FATES:
            yield set(), {file: fate}
    for count in range(len(names)):
        yield set(names[count:]), none
    while True:
        share = chance.random()
        yield (
            {one for one in names if chance.random() < share},
            {file: chance.choice(FATES) for file in files},
        )
