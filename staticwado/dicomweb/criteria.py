"""What a search asks of a data set, as values: a tree of conditions (PS3.4 C.2.2.2).

One rule: whether a value makes sense is decided here, when it is read; matching cannot fail any more.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from staticwado.dicom.uid import is_uid
from staticwado.dicom.vr import SINGLE_TEXT
from staticwado.dicomweb.moments import DAY, Period, parse_range

WILDCARD_VRS = frozenset("AE CS LO LT PN SH ST UC UR UT".split())
"""VRs in which `*` and `?` are wildcards (PS3.4 C.2.2.2.4)."""
NUMBER_VRS = frozenset("IS DS US SS UL SL UV SV FL FD".split())
MOMENT_VRS = frozenset({"DA", "TM", "DT"})
TEXT_VRS = WILDCARD_VRS | {"AS", "AT", "UN"}
"""VRs that are compared as text; UN stands for private attributes whose VR only the data know."""
MATCHED_VRS = TEXT_VRS | NUMBER_VRS | MOMENT_VRS | {"UI", "SQ"}
_MULTIPLE_VRS = frozenset("AE AS AT CS LO PN SH UC".split())
_COMMA_VRS = frozenset("AE AS AT CS".split())
"""VRs whose values cannot hold a comma, so that it may stand for the backslash."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_LONGEST_NUMBER = 64
EMPTY = '""'


@dataclass(frozen=True, slots=True)
class Text:
    """One of the values is this text, or as this pattern says."""

    value: str
    """Without trailing spaces."""
    wildcards: bool


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the values is one of these UIDs (PS3.4 C.2.2.2.2)."""

    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Number:
    """One of the values is this number, however it is written (CP-2305)."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Within:
    """One of the values begins within this period (PS3.4 C.2.2.2.5)."""

    period: Period
    is_range: bool


@dataclass(frozen=True, slots=True)
class Empty:
    """There is no value (PS3.4 C.2.2.2.7)."""


@dataclass(frozen=True, slots=True)
class Every:
    """All of these texts are among the values (PS3.4 C.2.2.2.8)."""

    values: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of the values is one of these texts, or as one of these patterns says."""

    values: tuple[Text, ...]


Test = Text | OneOf | Number | Within | Empty | Every | Some


@dataclass(frozen=True, slots=True)
class Tag:
    """An attribute; a private one has its creator, and its block number means nothing (PS3.5 7.8.1)."""

    tag: str
    """Eight upper-case hexadecimal digits; of a private attribute with `00` for the block."""
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """A condition on one attribute."""

    tag: Tag
    vr: str
    test: Test


@dataclass(frozen=True, slots=True)
class DateTime:
    """A date and a time that are to be, together, within one interval (PS3.18 8.3.4.1.1)."""

    date: Tag
    time: Tag
    period: Period


@dataclass(frozen=True, slots=True)
class Item:
    """One and the same item of a sequence is to fulfil all of these (PS3.4 C.2.2.2.6)."""

    tag: Tag
    filters: "tuple[Filter, ...]"


Filter = Attribute | DateTime | Item

TIMES = {
    "00080012": "00080013", "00080020": "00080030", "00080021": "00080031", "00080022": "00080032",
    "00080023": "00080033", "00100030": "00100032", "00181200": "00181201", "00400002": "00400003",
    "00400004": "00400005", "00400244": "00400245", "00400250": "00400251", "00700082": "00700083",
    "0040A023": "0040A024", "0040A121": "0040A122",
}  # fmt: skip
"""The attribute of a date -> the one that holds the time of that day."""


def parse_test(vr: str, text: str, *, empty: bool = False, multiple: bool = False) -> Test | None:
    """What a key of `vr` with the value `text` asks for; None for universal matching (PS3.4 C.2.2.2.3).

    `empty` and `multiple` allow empty value and multiple value matching (PS3.18 8.3.4.5, 8.3.4.6).
    Raises ValueError, which says what a value would have to be.
    """
    if not text.strip("*"):
        return None
    if empty and text == EMPTY:
        return Empty()
    if vr == "UI":
        return _uids(text)
    if vr in NUMBER_VRS:
        return _number(text)
    if vr in MOMENT_VRS:
        return _moment(vr, text.strip(" "))
    if vr == "SQ":
        raise ValueError("empty, as it is a sequence: its attributes are named with a dot")
    if multiple and vr in _MULTIPLE_VRS:
        values = text.replace(",", "\\") if vr in _COMMA_VRS else text
        if "\\" in values:
            return _every(values.split("\\"))
    if vr in _COMMA_VRS and "," in text:
        return Some(tuple(Text(part.strip(" "), vr in WILDCARD_VRS) for part in text.split(",")))
    return Text(_trimmed(vr, text), vr in WILDCARD_VRS or vr == "UN")


def _trimmed(vr: str, text: str) -> str:
    return text.rstrip(" ") if vr in SINGLE_TEXT or vr == "UC" else text.strip(" ")


def _uids(text: str) -> OneOf:
    uids = frozenset(text.replace("\\", ",").split(","))
    for uid in uids:
        if not is_uid(uid):
            raise ValueError("a UID, or UIDs separated by commas")
    return OneOf(uids)


def parse_number(text: str) -> Decimal | None:
    """The number that a text is (PS3.5 6.2: DS, IS); None if it is none."""
    stripped = text.strip(" ")
    if len(stripped) > _LONGEST_NUMBER or _NUMBER.fullmatch(stripped) is None:
        return None
    try:
        return Decimal(stripped)
    except InvalidOperation:
        return None


def _number(text: str) -> Number:
    value = parse_number(text)
    if value is None:
        raise ValueError("a number")
    return Number(value)


def _moment(vr: str, text: str) -> Within:
    found = parse_range(vr, text)
    if found is None:
        what = {"DA": "a date (YYYYMMDD)", "TM": "a time (HHMMSS)", "DT": "a date and time (YYYYMMDDHHMMSS)"}
        raise ValueError(f"{what[vr]} or a range of them (a-b, a-, -b)")
    return Within(*found)


def _every(values: list[str]) -> Every:
    texts = tuple(dict.fromkeys(Text(value.strip(" "), False) for value in values))
    if any(not text.value or "*" in text.value or "?" in text.value for text in texts):
        raise ValueError("values separated by backslashes, none of them empty or with wildcards")
    return Every(texts)


def combine(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """`filters` with a range of dates and a range of times made one interval (PS3.18 8.3.4.1.1)."""
    found = list(filters)
    ranges = {
        one.tag.tag: (one, one.test.period)
        for one in found
        if isinstance(one, Attribute) and isinstance(one.test, Within) and one.test.is_range
    }
    for day, time in TIMES.items():
        if day in ranges and time in ranges:
            (first, days), (second, times) = ranges[day], ranges[time]
            found = [one for one in found if one not in (first, second)]
            found.append(DateTime(first.tag, second.tag, _interval(days, times)))
    return tuple(found)


def _interval(days: Period, times: Period) -> Period:
    """From the first day at the first time to the last day at the last; a side without a day is open."""
    first = None if days.first is None else days.first + (times.first or 0)
    last = days.last
    if last is not None and times.last is not None:
        last += times.last + 1 - DAY
    return Period(first, last)
