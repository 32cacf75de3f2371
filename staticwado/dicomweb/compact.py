"""The compact form of a study's metadata: what instances share is written once (docs/layout.md).

One rule: `expand(pack(rows)) == rows`, for every list of data sets in DICOM JSON, down to the text of a
number: 1, 1.0 and true are equal in Python and different in JSON, so elements are compared by their text.
"""

from collections.abc import Sequence, Set
from typing import Any

import orjson

Dataset = dict[str, Any]
MISSING = None
_DEEPEST = 12
"""Sequences nested deeper are written as they are."""
_FEW = 4
"""A column is written by its distinct values if there are at least so many times more rows."""


def pack(rows: Sequence[Dataset], depth: int = 0, varying: Set[str] | None = None) -> dict[str, Any]:
    """`rows` with what all of them share apart from what differs.

    `varying`, where it is known, holds every tag whose elements are not the same text in all rows.

    `{"count": n, "shared": {tag: element}, "columns": {tag: column}}`; see `_column` for the kinds of
    columns.
    """
    tags: dict[str, None] = {}
    for row in rows:
        if row.keys() != tags.keys():
            tags.update(dict.fromkeys(row))
    shared: Dataset = {}
    columns: dict[str, Any] = {}
    for tag in sorted(tags):
        if varying is not None and tag not in varying:
            shared[tag] = _pack_element(rows[0][tag], depth)
            continue
        elements = [row.get(tag, MISSING) for row in rows]
        first = elements[0]
        if first is not MISSING and all_same(elements):
            shared[tag] = _pack_element(first, depth)
        else:
            columns[tag] = _column(elements, depth)
    packed: dict[str, Any] = {"count": len(rows)}
    if shared:
        packed["shared"] = shared
    if columns:
        packed["columns"] = columns
    return packed


def expand(packed: dict[str, Any]) -> list[Dataset]:
    """The rows that `pack` was given, members in ascending order of tags."""
    count = packed["count"]
    shared = {tag: _expand_element(element) for tag, element in packed.get("shared", {}).items()}
    columns = {tag: _expand_column(column, count) for tag, column in packed.get("columns", {}).items()}
    tags = sorted([*shared, *columns])
    rows = []
    for index in range(count):
        row = {}
        for tag in tags:
            element = shared[tag] if tag in shared else columns[tag][index]
            if element is not MISSING:
                row[tag] = element
        rows.append(row)
    return rows


def all_same(elements: list[Any]) -> bool:
    """Whether the elements are the same text: 1 and 1.0 are not."""
    first, text = elements[0], orjson.dumps(elements[0])
    return all(
        element is first or (element is not MISSING and orjson.dumps(element) == text) for element in elements
    )


def _has_values(element: Any) -> bool:
    """Whether nothing but a VR and values make up the element, in this order."""
    if not isinstance(element, dict) or len(element) != 2 or next(iter(element)) != "vr":
        return False
    values = element.get("Value")
    return isinstance(values, list) and bool(values)


def _is_sequence(element: Any) -> bool:
    return (
        _has_values(element)
        and element["vr"] == "SQ"
        and all(isinstance(item, dict) for item in element["Value"])
    )


def _pack_element(element: Any, depth: int) -> Any:
    if _is_sequence(element) and len(element["Value"]) > 1 and depth < _DEEPEST:
        return {"vr": "SQ", "items": pack(element["Value"], depth + 1)}
    return element


def _expand_element(element: Any) -> Any:
    if isinstance(element, dict) and "items" in element:
        return {"vr": "SQ", "Value": expand(element["items"])}
    return element


def _column(elements: list[Any], depth: int) -> dict[str, Any]:
    """The elements of one tag, one a row, as one of:

    `{"vr", "values": [...]}`: single values; `{"vr", "Value": [[...], ...]}`: several values each;
    `{"vr", "rows": [packed, ...]}`: sequences of equally many items, the first items of all rows first;
    `{"distinct": [element, ...], "index": [...]}`: few different elements, by number, -1 where a row has
    none; `{"elements": [...]}`: anything, null where a row has none.
    """
    simple = _values(elements)
    if simple is not None and not _repeats(simple):
        return simple
    if depth < _DEEPEST and (length := _same_length(elements)):
        items = [[element["Value"][place] for element in elements] for place in range(length)]
        return {"vr": "SQ", "rows": [pack(rows, depth + 1) for rows in items]}
    distinct, index = _distinct(elements)
    if len(distinct) * _FEW <= len(elements):
        return {"distinct": [_pack_element(element, depth) for element in distinct], "index": index}
    if simple is not None:
        return simple
    return {"elements": [_pack_element(element, depth) for element in elements]}


def _values(elements: list[Any]) -> dict[str, Any] | None:
    if not all(map(_has_values, elements)):
        return None
    vr = elements[0]["vr"]
    if vr == "SQ" or any(element["vr"] != vr for element in elements):
        return None
    if all(len(element["Value"]) == 1 for element in elements):
        return {"vr": vr, "values": [element["Value"][0] for element in elements]}
    return {"vr": vr, "Value": [element["Value"] for element in elements]}


def _repeats(column: dict[str, Any]) -> bool:
    """Whether few values stand for many rows."""
    texts = set(map(repr, column.get("values") or column["Value"]))
    return len(texts) * _FEW <= len(column.get("values") or column["Value"])


def _same_length(elements: list[Any]) -> int:
    if not all(map(_is_sequence, elements)):
        return 0
    lengths = {len(element["Value"]) for element in elements}
    return lengths.pop() if len(lengths) == 1 else 0


def _distinct(elements: list[Any]) -> tuple[list[Any], list[int]]:
    numbers: dict[bytes, int] = {}
    distinct: list[Any] = []
    index: list[int] = []
    for element in elements:
        if element is MISSING:
            index.append(-1)
            continue
        key = orjson.dumps(element)
        if key not in numbers:
            numbers[key] = len(distinct)
            distinct.append(element)
        index.append(numbers[key])
    return distinct, index


def _expand_column(column: dict[str, Any], count: int) -> list[Any]:
    if "values" in column:
        return [{"vr": column["vr"], "Value": [value]} for value in column["values"]]
    if "Value" in column:
        return [{"vr": column["vr"], "Value": values} for values in column["Value"]]
    if "rows" in column:
        items = [expand(packed) for packed in column["rows"]]
        return [{"vr": "SQ", "Value": [rows[index] for rows in items]} for index in range(count)]
    if "distinct" in column:
        distinct = [_expand_element(element) for element in column["distinct"]]
        return [MISSING if number < 0 else distinct[number] for number in column["index"]]
    return [_expand_element(element) for element in column["elements"]]
