"""A file system as the record of what was done to it, and what a power cut may leave of it.

One rule: nothing is durable before it is synced. Data are after fsync of the file or syncfs, names after
fsync of their folder or syncfs; of the rest any part may be lost (docs/durability.md).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ROOT = 0
"""The node of the root. Folders are not above it, files are."""
Tree = dict[str, bytes | None]
"""Every path below the root: the bytes of a file, None for a folder."""


@dataclass(frozen=True, slots=True)
class Enter:
    """A name for a file or folder: created, made or linked."""

    folder: int
    name: str
    node: int


@dataclass(frozen=True, slots=True)
class Leave:
    """A name that is taken away."""

    folder: int
    name: str
    node: int


@dataclass(frozen=True, slots=True)
class Move:
    """A rename; atomic."""

    source: int
    old: str
    folder: int
    name: str
    node: int


@dataclass(frozen=True, slots=True)
class Swap:
    """Two names that change places; atomic."""

    source: int
    old: str
    folder: int
    name: str
    node: int
    other: int


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes written to a file at an offset."""

    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file made `size` bytes long."""

    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync of a file or folder; of everything, where `node` is None."""

    node: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the workload said: what may be there from now on."""

    said: Any


Naming = Enter | Leave | Move | Swap
Writing = Data | Cut
Op = Naming | Writing | Sync | Mark


@dataclass(frozen=True, slots=True)
class Step:
    """An operation, and the functions of the store that called for it, the outermost first."""

    op: Op
    place: str


def changed(content: bytes, op: Writing) -> bytes:
    """The bytes of a file after `op`."""
    if isinstance(op, Cut):
        return content[: op.size].ljust(op.size, b"\0")
    content = content.ljust(op.offset, b"\0")
    return content[: op.offset] + op.data + content[op.offset + len(op.data) :]


Names = dict[int, dict[str, int]]


def name(names: Names, op: Naming) -> None:
    """Do `op` to the folders `names`, whether or not what went before it was lost."""
    if isinstance(op, Enter):
        names.setdefault(op.folder, {})[op.name] = op.node
    elif isinstance(op, Leave):
        _drop(names, op.folder, op.name, op.node)
    elif isinstance(op, Move):
        _drop(names, op.source, op.old, op.node)
        names.setdefault(op.folder, {})[op.name] = op.node
    else:
        names.setdefault(op.source, {})[op.old] = op.other
        names.setdefault(op.folder, {})[op.name] = op.node


def _drop(names: Names, folder: int, what: str, node: int) -> None:
    if names.get(folder, {}).get(what) == node:
        del names[folder][what]


@dataclass(frozen=True, slots=True)
class Begin:
    """The durable state that a record begins with."""

    names: Names
    contents: dict[int, bytes]
    said: Any


@dataclass(slots=True)
class Disk:
    """The folders and files as the running program sees them, and how they became so."""

    begin: Begin = field(default_factory=lambda: Begin({ROOT: {}}, {}, None))
    steps: list[Step] = field(default_factory=list)
    names: Names = field(default_factory=lambda: {ROOT: {}})
    contents: dict[int, bytes] = field(default_factory=dict)
    nodes: int = ROOT

    def new(self, *, folder: bool) -> int:
        """A node that nothing names yet."""
        self.nodes += 1
        if folder:
            self.names[-self.nodes] = {}
            return -self.nodes
        self.contents[self.nodes] = b""
        return self.nodes

    def find(self, path: str) -> int | None:
        """The node at `path`, relative to the root."""
        node: int | None = ROOT
        for part in [part for part in path.split("/") if part]:
            node = self.names.get(node, {}).get(part) if node is not None else None
        return node

    def place(self, path: str) -> tuple[int, str]:
        """The folder that holds `path`, and the name there."""
        parent, _, last = path.strip("/").rpartition("/")
        folder = self.find(parent)
        if folder is None:
            raise AssertionError(f"the record knows no folder {parent!r}")
        return folder, last

    def do(self, op: Op, place: str) -> None:
        """Note that `op` was done."""
        self.steps.append(Step(op, place))
        if isinstance(op, Naming):
            name(self.names, op)
        elif isinstance(op, Writing):
            self.contents[op.node] = changed(self.contents[op.node], op)

    def tree(self) -> Tree:
        """What the running program sees."""
        return tree_of(self.names, self.contents)

    def settle(self, said: Any) -> None:
        """Make all that there is, and what was said, the durable beginning of a record."""
        names = {node: dict(found) for node, found in self.names.items()}
        contents = dict(self.contents)
        self.begin, self.steps = Begin(names, contents, said), []


def beginning(disk: Disk) -> tuple[Names, dict[int, bytes], Any, list[Step]]:
    """The durable state that a record begins with, what was said by then, and the steps that follow."""
    first = disk.begin
    names = {node: dict(one) for node, one in first.names.items()}
    return names, dict(first.contents), first.said, disk.steps


def tree_of(names: Names, contents: dict[int, bytes]) -> Tree:
    """Every path that can be reached from the root."""
    found: Tree = {}
    for path, node in _walk(names, ROOT, "", set()):
        found[path] = None if node <= ROOT else contents.get(node, b"")
    return found


def _walk(names: Names, folder: int, path: str, above: set[int]) -> Iterator[tuple[str, int]]:
    for one, node in names.get(folder, {}).items():
        if node in above:
            continue  # a folder below itself: what a file system check would cut off
        yield f"{path}{one}", node
        if node <= ROOT:
            yield from _walk(names, node, f"{path}{one}/", above | {folder})


def hash_of(tree: Tree) -> bytes:
    """A hash that is the same for equal trees."""
    digest = hashlib.sha256()
    for path in sorted(tree):
        content = tree[path]
        digest.update(path.encode() + b"\0")
        digest.update(b"folder" if content is None else hashlib.sha256(content).digest())
    return digest.digest()
