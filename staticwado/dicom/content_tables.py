"""Content items of value type TABLE (PS3.3 C.18.10) as rows of text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from staticwado.dicom.content_items import CONCEPT_NAME, code, plain_value
from staticwado.dicom.jsonvalues import Dataset, first_integer, item, values

_TABULATED, _ROWS, _COLUMNS, _CELLS = "0040A801", "0040A806", "0040A807", "0040A808"
_ROW, _COLUMN, _UNITS = "0040A804", "0040A805", "004008EA"
_FIRST_SELECTOR, _LAST_SELECTOR = "0072005E", "00720083"
"""Selector AE Value to Selector UV Value."""
_SPARSE = 4
"""A grid may have so many places for a cell that is filled; else cells are listed."""


@dataclass(frozen=True, slots=True)
class Table:
    """A heading (may be all empty) and rows, all of one length."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table(dataset: Dataset) -> Table:
    """The table of an item; a sparse one is a list of row, column and value."""
    found = item(dataset, _TABULATED)
    cells = dict(_cells(found))
    rows, columns = sorted({row for row, _ in cells}), sorted({column for _, column in cells})
    row_names, column_names = _names(found, _ROWS, _ROW), _names(found, _COLUMNS, _COLUMN)
    if len(rows) * len(columns) > _SPARSE * len(cells):
        listed = (
            (row_names(row) or str(row), column_names(column) or str(column), cells[row, column])
            for row, column in sorted(cells)
        )
        return Table(("Row", "Column", "Value"), tuple(listed))
    heading = ("", *(column_names(column) for column in columns))
    lines = ((row_names(row), *(cells.get((row, column), "") for column in columns)) for row in rows)
    return Table(heading, tuple(lines))


@dataclass(frozen=True, slots=True)
class _Names:
    named: dict[int, str]
    """By number; 0 for all of them."""

    def __call__(self, number: int) -> str:
        return self.named.get(number, self.named.get(0, ""))


def _names(found: Dataset, sequence: str, number: str) -> _Names:
    """What the rows or columns mean, and their units; one definition without a number is for all."""
    named = {}
    for definition in values(found, sequence):
        if isinstance(definition, dict):
            name, unit = code(definition, CONCEPT_NAME), code(definition, _UNITS)
            words = f"{name or ''} ({unit})" if unit else str(name or "")
            named[first_integer(definition, number) or 0] = words.strip()
    return _Names(named)


def _cells(found: Dataset) -> Iterator[tuple[tuple[int, int], str]]:
    """Cells by row and column; one item may hold a cell, a whole row or a whole column (C.18.10.1.2)."""
    for cell in values(found, _CELLS):
        if not isinstance(cell, dict):
            continue
        row, column = first_integer(cell, _ROW), first_integer(cell, _COLUMN)
        listed = list(_texts(cell))
        if row is not None and column is not None:
            yield (row, column), ", ".join(listed)
            continue
        for number, text in enumerate(listed, 1):
            yield (number if row is None else row, number if column is None else column), text


def _texts(cell: Dataset) -> Iterator[str]:
    """The values of the one selector value attribute that the cell has (PS3.3 10.17)."""
    for tag in sorted(cell):
        if _FIRST_SELECTOR <= tag <= _LAST_SELECTOR:
            for number, value in enumerate(values(cell, tag), 1):
                yield _show(cell, tag, number, value)
    named = code(cell, "0040A168")
    if named:
        yield str(named)


def _show(cell: Dataset, tag: str, number: int, value: Any) -> str:
    if isinstance(value, dict):
        named = code(cell, tag, number)
        return str(named) if named else str(value.get("Alphabetic", "")) or plain_value(value, "00080104")
    return "" if value is None else str(value)
