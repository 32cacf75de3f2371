"""What of an index entry the catalog keeps in columns, as the matcher compares it.

One rule: an entry whose indexed attributes are not all plain, at most one value each, is irregular: it has
no columns, and whoever searches has it judged by the matcher.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from staticwado.dicomweb.moments import DAY, parse_date, parse_time
from staticwado.dicomweb.names import components_of, groups_of

TEXTS = {
    "00100020": "patient",
    "00080050": "accession",
    "00200010": "study_id",
    "00081030": "description",
}
"""Attributes of one text -> their columns."""
SEX = "00100040"
NAMES = {"00100010": "name", "00080090": "referring"}
"""Person names -> their columns; a name has a text for each of its component groups."""
DATES = {"00080020": "date", "00100030": "birth"}
TIME = "00080030"
MEMBERS = {"00080061": "modality", "00080062": "sop_class"}
"""Attributes of several values -> their columns."""
GROUPS = ("value", "ideographic", "phonetic")
"""The columns of a term; but names have the first alone."""
COLUMNS = (*TEXTS.values(), "birth", *NAMES.values())
"""The columns of a study each of which holds the number of a term, 0 for none."""
PROFILE = ("sex", "modality", "sop_class")
"""What has few values, which studies share: a profile has one of each."""
MODALITY, NUMBER, SERIES = "00080060", "00200011", "0020000E"
SEPARATOR = "\x1f"
"""Between the members of a study where they are one text."""
_STUDY = "0020000D"
_NO_TIME = -1
_SECOND = 1_000_000
_SECONDS, _PLACES = 1 << 17, 1 << 24
_PLAIN_TIME = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
Term = tuple[str, str, str]


class _Irregular(Exception):
    """An attribute that is not plain."""


@dataclass(frozen=True, slots=True)
class StudyColumns:
    """The columns of a study."""

    date: str
    """The text by which studies are ordered."""
    time: str
    day: int = 0
    """Its number as Python counts days; 0 for none."""
    clock: int = _NO_TIME
    """The time in microseconds since midnight; -1 for none."""
    terms: Mapping[str, Term] = field(default_factory=dict)
    """What is in `COLUMNS`; empty ones are not there."""
    profile: Term = ("", "", "")
    """What is in `PROFILE`; members stand between separators."""
    is_regular: bool = True

    @property
    def first_number(self) -> int:
        """The first of the numbers that a study of this second may have."""
        return first_of_second(self.day, self.clock)


def first_of_second(day: int, clock: int = _NO_TIME) -> int:
    """The first number of a study of a day and second. Numbers have the order of moments."""
    return (day * _SECONDS + (clock // _SECOND + 1 if clock >= 0 else 0)) * _PLACES


def second_of(number: int) -> int:
    """The same for studies that the number alone does not put in order."""
    return number // _PLACES


def last_of_second(first: int) -> int:
    """The last number of the second whose first one is `first`."""
    return first + _PLACES - 1


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
        terms = {column: (_text(entry, tag), "", "") for tag, column in TEXTS.items()}
        terms["birth"] = (_date(entry, "00100030")[0], "", "")
        terms |= {column: _name(entry, tag) for tag, column in NAMES.items()}
        text, day = _date(entry, "00080020")
        if text != date:
            raise _Irregular
        clock = _clock(entry, time)
        profile = (_text(entry, SEX), _members(entry, "00080061"), _members(entry, "00080062"))
    except _Irregular:
        return StudyColumns(date, time, is_regular=False)
    return StudyColumns(
        date, time, day, clock, {name: term for name, term in terms.items() if any(term)}, profile
    )


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


def members_of(joined: str) -> list[str]:
    """The members that stand between separators."""
    return [text for text in joined.split(SEPARATOR) if text]


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


def _date(entry: Mapping[str, Any], tag: str) -> tuple[str, int]:
    """A date of eight digits, whose texts have the order of its days, and the number of the day."""
    text = _text(entry, tag)
    if not text:
        return "", 0
    found = parse_date(text) if len(text) == 8 else None
    if found is None or found.first is None:
        raise _Irregular
    return text, found.first // DAY + 1


def _clock(entry: Mapping[str, Any], time: str) -> int:
    text = _text(entry, TIME)
    if not text and not time:
        return _NO_TIME
    found = parse_time(text) if text == time and _PLAIN_TIME.fullmatch(text) else None
    if found is None or found.first is None:
        raise _Irregular
    return found.first


def _name(entry: Mapping[str, Any], tag: str) -> Term:
    """The component groups of a name."""
    value = _one(entry, tag)
    if value is None:
        return "", "", ""
    if not isinstance(value, dict):
        raise _Irregular
    first, second, third = (_plain("^".join(components_of(text))) for text in groups_of(value))
    if any(value.values()) and not (first or second or third):
        raise _Irregular
    if any(mark in text for text in (first, second, third) for mark in "*?"):
        raise _Irregular  # a typo could make a wildcard of them
    return first, second, third


def _members(entry: Mapping[str, Any], tag: str) -> str:
    """The values of an attribute, without doubles, each with a separator before and behind it."""
    found = dict.fromkeys(_plain(value) for value in _values(entry, tag) if value is not None)
    if any(SEPARATOR in text for text in found):
        raise _Irregular
    found.pop("", None)
    return f"{SEPARATOR}{SEPARATOR.join(found)}{SEPARATOR}" if found else ""
