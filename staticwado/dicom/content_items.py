"""The content tree of Structured Reports (PS3.3 C.17.3) as a stream of items.

One rule: parents come before children, and nothing recurses: a tree may be as deep as it likes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from staticwado.dicom.jsondataset import number_text, parse_json
from staticwado.dicom.jsonvalues import Dataset, item, text, values

CONTENT_SEQUENCE, VALUE_TYPE, RELATIONSHIP_TYPE = "0040A730", "0040A040", "0040A010"
CONCEPT_NAME, CONTINUITY = "0040A043", "0040A050"
_REFERENCED_CONTENT_ITEM = "0040DB73"
_EVIDENCE = ("0040A375", "0040A385")
_SERIES_SEQUENCE, _SOP_SEQUENCE = "00081115", "00081199"
_STUDY, _SERIES, _REFERENCED_INSTANCE = "0020000D", "0020000E", "00081155"
MAX_DEPTH = 64
"""Levels that are shown nested: browsers stop at some hundreds, and indentation grows with the square."""

Position = tuple[int, ...]
"""Ordinals from the root on, which is (1,) (PS3.3 C.17.3.2.5)."""


@dataclass(frozen=True, slots=True)
class Code:
    """An item of a code sequence (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str

    def __str__(self) -> str:
        return self.meaning or self.value

    @property
    def identity(self) -> str:
        """The code and its scheme: `T-04000, SRT`."""
        return f"{self.value}, {self.scheme}" if self.scheme else self.value


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One node of the tree."""

    dataset: Dataset
    depth: int = 0
    """0 for the root."""
    target: Position = ()
    """The item that a by-reference relationship points at; empty for items by value."""
    anchor: str = ""
    """The position, such as `1.2.2`, if another item points at this one."""

    @property
    def relationship(self) -> str:
        return text(self.dataset, RELATIONSHIP_TYPE)

    @property
    def value_type(self) -> str:
        return text(self.dataset, VALUE_TYPE)

    @property
    def name(self) -> Code | None:
        return code(self.dataset, CONCEPT_NAME)


def plain_value(dataset: Dataset, tag: str) -> str:
    """The first value of `tag` as text, numbers too; empty when there is none."""
    found = values(dataset, tag)
    return _as_text(found[0]) if found else ""


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip(" \0")
    return number_text(value) if isinstance(value, int | float | Decimal) else ""


def code(dataset: Dataset, tag: str, number: int = 1) -> Code | None:
    """Item `number` of the code sequence `tag`; None if it is missing or says nothing.

    A long code or a URN stands in for a Code Value (PS3.3 8.1).
    """
    found = item(dataset, tag, number)
    value = next(
        filter(None, (plain_value(found, name) for name in ("00080100", "00080119", "00080120"))), ""
    )
    meaning = plain_value(found, "00080104")
    if not value and not meaning:
        return None
    scheme, version = plain_value(found, "00080102"), plain_value(found, "00080103")
    return Code(value, f"{scheme} {version}".strip(), meaning)


def position_of(dataset: Dataset) -> Position:
    """Referenced Content Item Identifier (0040,DB73); empty if it is absent or no list of ordinals."""
    found = values(dataset, _REFERENCED_CONTENT_ITEM)
    return tuple(found) if found and all(type(value) is int and value > 0 for value in found) else ()


def format_position(position: Position) -> str:
    """A position as people write it: `1.2.2`."""
    return ".".join(map(str, position))


def _children(dataset: Dataset) -> Iterator[Dataset]:
    for child in values(dataset, CONTENT_SEQUENCE):
        yield child if isinstance(child, dict) else {}


def _nodes(root: Dataset) -> Iterator[tuple[Dataset, list[int]]]:
    """Each node and its position, which the next step changes."""
    position = [1]
    yield root, position
    levels = [_children(root)]
    position.append(0)
    while levels:
        child = next(levels[-1], None)
        if child is None:
            levels.pop()
            position.pop()
            continue
        position[-1] += 1
        yield child, position
        levels.append(_children(child))
        position.append(0)


def walk(root: Dataset) -> Iterator[ContentItem]:
    """The items of the tree below and with `root`, parents first, in the order of presentation."""
    wanted = {
        target for node, _ in _nodes(root) if (target := position_of(node)) and len(target) <= MAX_DEPTH
    }
    depths = {len(target) for target in wanted}
    for node, position in _nodes(root):
        place = tuple(position) if len(position) in depths else ()
        anchor = format_position(place) if place in wanted else ""
        yield ContentItem(node, len(position) - 1, position_of(node), anchor)


def opened(dataset: Dataset) -> Dataset:
    """`dataset` with its members that stayed text, as they were too deep for orjson, parsed."""
    return {
        tag: parse_json(orjson.dumps(member)) if isinstance(member, orjson.Fragment) else member
        for tag, member in dataset.items()
    }


def evidence(root: Dataset) -> dict[str, tuple[str, str]]:
    """The study and the series of each instance that the document lists as evidence (PS3.3 C.17.2.3)."""
    found: dict[str, tuple[str, str]] = {}
    for tag in _EVIDENCE:
        for study in filter(_is_dataset, values(root, tag)):
            for series in filter(_is_dataset, values(study, _SERIES_SEQUENCE)):
                place = text(study, _STUDY), text(series, _SERIES)
                for instance in filter(_is_dataset, values(series, _SOP_SEQUENCE)):
                    found.setdefault(text(instance, _REFERENCED_INSTANCE), place)
    return found


def _is_dataset(value: Any) -> bool:
    return isinstance(value, dict)
