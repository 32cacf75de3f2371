"""Whether DICOM JSON that a client was given says what the source file says.

One rule: what is bulkdata there is judged where it is fetched; spelling and padding do not count.
"""

import math
from collections.abc import Iterator
from typing import Any

from tests.clients.values import Subject
from tests.truth.model import RAW

_APART = frozenset(
    "00080005 00280004 00280006 7FE00001 7FE00002 7FE00003 7FE00008 7FE00009 7FE00010 FFFCFFFC".split()
)
"""The character set, which is UTF-8 in JSON; what describes the pixels as they are sent; pixels; padding."""


def metadata_faults(found: dict[str, Any], subject: Subject) -> list[str]:
    """What is wrong with the DICOM JSON of an instance."""
    return list(_model_faults(found, subject.model, ""))


def _model_faults(found: dict[str, Any], model: dict[str, Any], place: str) -> Iterator[str]:
    for tag, truth in model.items():
        name = f"{place}{tag}"
        ours = found.get(tag)
        if tag in _APART:
            continue
        if ours is None:
            if truth.get(RAW, True):
                yield f"{name} is missing"
        elif "BulkDataURI" not in ours:
            yield from _value_faults(ours, truth, name)


def _value_faults(ours: dict[str, Any], truth: dict[str, Any], name: str) -> Iterator[str]:
    known = truth.get("known", truth)
    if ours["vr"] not in (truth["vr"], known["vr"]) and "UN" not in (ours["vr"], truth["vr"]):
        yield f"{name} is {ours['vr']}, not {truth['vr']}"
        return
    truth = known if ours["vr"] == known["vr"] else truth
    if ours["vr"] == "SQ":
        items, wanted = ours.get("Value", []), truth.get("Value", [])
        if len(items) != len(wanted):
            yield f"{name} has {len(items)} items, not {len(wanted)}"
        for number, pair in enumerate(zip(items, wanted, strict=False), 1):
            yield from _model_faults(pair[0] or {}, pair[1], f"{name}[{number}].")
    elif "InlineBinary" in truth:
        if ours.get("InlineBinary", "") != truth["InlineBinary"]:
            yield f"{name} is {str(ours)[:80]}"
    elif not _same_values(_plain(ours.get("Value", [])), _plain(truth.get("Value", []))):
        yield f"{name} is {str(ours.get('Value'))[:80]}, not {str(truth.get('Value'))[:80]}"


def _same_values(ours: list[Any], truth: list[Any]) -> bool:
    return len(ours) == len(truth) and all(map(_same, ours, truth))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _plain(values: list[Any]) -> list[Any]:
    """Values as they compare: numbers by their size, texts and names without padding."""
    found = [_one(value) for value in values]
    while found and found[-1] is None:
        found.pop()
    return found


def _one(value: Any) -> Any:
    if isinstance(value, dict):
        names = {key: str(text).rstrip("^ ") for key, text in value.items()}
        return {key: text for key, text in names.items() if text} or None
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value).strip(" \0") or None if value is not None else None
