"""Reading values out of a DICOM JSON object (PS3.18 annex F) whose values may be missing or strange.

A data set here is `{"00280010": {"vr": "US", "Value": [512]}, ...}`. Nothing in this module raises because of
what a value holds: what cannot be read counts as absent.
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Dataset = Mapping[str, Any]
Bulkdata = Callable[[str], bytes]
"""Gives the bytes behind a BulkDataURI of the data set; raises the errors of `staticwado.errors`."""


def values(dataset: Dataset, tag: str) -> Sequence[Any]:
    """The values of `tag`, nulls included; empty when it is absent or has no `Value`."""
    element = dataset.get(tag)
    if not isinstance(element, Mapping):
        return ()
    value = element.get("Value")
    return value if isinstance(value, list | tuple) else ()


def number(value: Any) -> float | None:
    """`value` as a finite number, whether it came as a JSON number or as DS, IS or other text."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def first_number(dataset: Dataset, tag: str) -> float | None:
    """The first value of `tag` as a finite number."""
    found = values(dataset, tag)
    return number(found[0]) if found else None


def first_integer(dataset: Dataset, tag: str) -> int | None:
    """The first value of `tag` as an integer; a number with a fraction is none."""
    found = values(dataset, tag)
    if not found:
        return None
    value = found[0]
    if type(value) is int:
        return value
    result = number(value)
    return int(result) if result is not None and result == int(result) else None


def numbers(dataset: Dataset, tag: str) -> list[float]:
    """All values of `tag` as finite numbers; empty when one of them is none."""
    found = [number(value) for value in values(dataset, tag)]
    return [value for value in found if value is not None] if None not in found else []


def text(dataset: Dataset, tag: str) -> str:
    """The first value of `tag` without surrounding spaces; empty when it is absent or no text."""
    found = values(dataset, tag)
    return found[0].strip(" \0") if found and isinstance(found[0], str) else ""


def item(dataset: Dataset, tag: str, number: int = 1) -> Dataset:
    """Item `number` (1-based) of the sequence `tag`; an empty data set where there is none."""
    found = values(dataset, tag)
    if not 0 < number <= len(found):
        return {}
    result = found[number - 1]
    return result if isinstance(result, Mapping) else {}


def binary(dataset: Dataset, tag: str, bulkdata: Bulkdata) -> bytes | None:
    """The bytes of a binary value (OB, OW, UN ...), inline or behind its BulkDataURI; None without any."""
    element = dataset.get(tag)
    if not isinstance(element, Mapping):
        return None
    inline = element.get("InlineBinary")
    if isinstance(inline, str):
        try:
            return base64.b64decode(inline)
        except (binascii.Error, ValueError):
            return None
    uri = element.get("BulkDataURI")
    return bulkdata(uri) if isinstance(uri, str) else None
