"""What of an index entry the catalog keeps in columns, as the matcher compares it.

One rule: an entry whose indexed attributes are not all plain, at most one value each, is irregular: it has
no columns, and whoever searches has it judged by the matcher.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from staticwado.dicomweb.moments import parse_date, parse_time
from staticwado.dicomweb.names import components_of, groups_of

TEXTS = {
    "00100020": "patient",
    "00080050": "accession",
    "00200010": "study_id",
    "00100040": "sex",
    "00081030": "description",
}
"""Attributes of one text -> their columns."""
NAMES = {"00100010": "name", "00080090": "referring"}
"""Person names -> the begin of the names of their columns: one for each component group."""
DATES = {"00080020": "date", "00100030": "birth"}
TIME = "00080030"
MEMBERS = {"00080061": "modality", "00080062": "sop_class"}
"""Attributes of several values -> their kind in the table of members."""
GROUPS = ("", "_ideographic", "_phonetic")
NAME_COLUMNS = tuple(name + group for name in NAMES.values() for group in GROUPS)
COLUMNS = (*TEXTS.values(), "birth", *NAME_COLUMNS)
MODALITY, NUMBER, SERIES = "00080060", "00200011", "0020000E"
SEPARATOR = "\x1f"
"""Between the members of a study where they are one text."""
_STUDY = "0020000D"
_NO_TIME = -1


class _Irregular(Exception):
    """An attribute that is not plain."""


@dataclass(frozen=True, slots=True)
class StudyColumns:
    """The columns of a study."""

    date: str
    """The text by which studies are ordered."""
    time: str
    clock: int = _NO_TIME
    """The time in microseconds since midnight; -1 for none."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What is in `COLUMNS`; empty texts are not there."""
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind -> values, without doubles."""
    is_regular: bool = True


def first_value(entry: Mapping[str, Any], tag: str) -> Any:
    """The first value of an attribute, or None."""
    element = entry.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def study_columns(uid: str, entry: Mapping[str, Any]) -> StudyColumns:
    """The columns of the study `uid` whose entry is `entry`."""
    date, time = (_bindable(str(first_value(entry, tag) or "")) for tag in ("00080020", TIME))
    try:
        if _text(entry, _STUDY) != uid or first_value(entry, _STUDY) != uid:
            raise _Irregular
        texts = {column: _text(entry, tag) for tag, column in TEXTS.items()}
        texts |= {column: _date(entry, tag) for tag, column in DATES.items()}
        for tag, name in NAMES.items():
            texts |= dict(zip((name + group for group in GROUPS), _name(entry, tag), strict=True))
        if texts.pop("date") != date:
            raise _Irregular
        clock = _clock(entry, time)
        members = {kind: _members(entry, tag) for tag, kind in MEMBERS.items()}
    except _Irregular:
        return StudyColumns(date, time, is_regular=False)
    return StudyColumns(date, time, clock, {name: text for name, text in texts.items() if text}, members)


def series_columns(uid: str, entry: Mapping[str, Any]) -> tuple[float, str | None]:
    """The place of a series among those of its study, and its modality; None where it is irregular."""
    try:
        number = float(first_value(entry, NUMBER))
    except (TypeError, ValueError):
        number = float("inf")
    try:
        modality = _text(entry, MODALITY) if _text(entry, SERIES) == uid else None
    except _Irregular:
        modality = None
    return number, modality


def _bindable(text: str) -> str:
    """`text` without lone surrogates, which UTF-8 cannot write."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _values(entry: Mapping[str, Any], tag: str) -> list[Any]:
    element = entry.get(tag)
    if element is None:
        return []
    if not isinstance(element, dict):
        raise _Irregular
    values = element.get("Value")
    if values is not None and not isinstance(values, list):
        raise _Irregular
    return values or []


def _plain(value: Any) -> str:
    """A text as the matcher compares it."""
    if not isinstance(value, str) or "\0" in value or _bindable(value) != value:
        raise _Irregular
    return value.strip(" ")


def _one(entry: Mapping[str, Any], tag: str) -> Any:
    values = _values(entry, tag)
    if len(values) > 1:
        raise _Irregular
    return values[0] if values else None


def _text(entry: Mapping[str, Any], tag: str) -> str:
    value = _one(entry, tag)
    return "" if value is None else _plain(value)


def _date(entry: Mapping[str, Any], tag: str) -> str:
    """A date of eight digits, whose texts have the order of its days."""
    text = _text(entry, tag)
    if text and (len(text) != 8 or parse_date(text) is None):
        raise _Irregular
    return text


def _clock(entry: Mapping[str, Any], time: str) -> int:
    text = _text(entry, TIME)
    found = parse_time(text) if text else None
    if text and (text != time or found is None or found.first is None):
        raise _Irregular
    return _NO_TIME if found is None or found.first is None else found.first


def _name(entry: Mapping[str, Any], tag: str) -> list[str]:
    """The component groups of a name."""
    value = _one(entry, tag)
    if value is None:
        return ["", "", ""]
    if not isinstance(value, dict):
        raise _Irregular
    texts = [_plain("^".join(components_of(text))) for text in groups_of(value)]
    if any(value.values()) and not any(texts):
        raise _Irregular
    if any("*" in text or "?" in text for text in texts):
        raise _Irregular  # a typo could make a wildcard of them
    return texts


def _members(entry: Mapping[str, Any], tag: str) -> tuple[str, ...]:
    found = dict.fromkeys(_plain(value) for value in _values(entry, tag) if value is not None)
    if any(SEPARATOR in text for text in found):
        raise _Irregular
    return tuple(text for text in found if text)
