"""Dates and times of DICOM (PS3.5 6.2: DA, TM, DT) as numbers, and ranges of them (PS3.4 C.2.2.2.5).

One rule: a value of less precision is a whole period: 2020 is a year long, 10 an hour.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

MICROSECOND = 1
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_DATE = re.compile(r"(\d{4})(?:(\d\d)(\d\d)?)?|(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_OLD_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?", re.ASCII)
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4,8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?", re.ASCII)
_EASTERNMOST, _WESTERNMOST = 14 * 60, -12 * 60


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` to `last` microsecond, both included; None where it is open."""

    first: int | None
    last: int | None
    zone: int | None = None
    """Minutes east of UTC, where the value of a DT says so."""

    def holds(self, moment: int) -> bool:
        """Whether `moment` lies within."""
        return (self.first is None or moment >= self.first) and (self.last is None or moment <= self.last)


def parse_date(text: str) -> Period | None:
    """The days that a DA means, in microseconds since 0001-01-01; None if it means none.

    A year, a year and month, and the old YYYY.MM.DD are read too.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found[1] or found[4]), found[2] or found[5], found[3] or found[6]
    try:
        first = date(year, int(month or 1), int(day or 1)).toordinal()
        if day:
            end = first + 1
        elif year == 9999 and month in (None, "12"):
            end = date.max.toordinal() + 1
        else:
            end = (
                date(year, int(month) + 1, 1) if month not in (None, "12") else date(year + 1, 1, 1)
            ).toordinal()
    except ValueError:
        return None
    return Period((first - 1) * DAY, (end - 1) * DAY - 1)


def parse_time(text: str) -> Period | None:
    """What a TM means, in microseconds since midnight; None if it means none.

    The old HH:MM:SS is read too.
    """
    found = _TIME.fullmatch(text) or _OLD_TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        return None
    first = int(hour) * HOUR + int(minute or 0) * MINUTE + min(int(second or 0), 59) * SECOND
    length = SECOND if second else MINUTE if minute else HOUR
    if fraction:
        first += int(fraction.ljust(6, "0"))
        length = 10 ** (6 - len(fraction))
    return Period(first, first + length - 1)


def parse_zone(text: str) -> int | None:
    """Minutes east of UTC of `+0100` (PS3.3 C.12.1.1.8); None if it is no offset."""
    found = _ZONE.fullmatch(text)
    if found is None or int(found[3]) > 59:
        return None
    minutes = (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)
    return minutes if _WESTERNMOST <= minutes <= _EASTERNMOST else None


def parse_date_time(text: str) -> Period | None:
    """What a DT means, in microseconds of its own zone since 0001-01-01; None if it means none."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    zone = parse_zone(found[3]) if found[3] else None
    if found[3] and zone is None:
        return None
    day = parse_date(found[1])
    time = parse_time(found[2]) if found[2] else None
    if day is None or day.first is None or (found[2] and (time is None or len(found[1]) != 8)):
        return None
    if time is None or time.first is None or time.last is None:
        return Period(day.first, day.last, zone)
    return Period(day.first + time.first, day.first + time.last, zone)


_LONGEST = 26
"""Letters of the longest DT (PS3.5 table 6.2-1)."""
_PARSERS = {"DA": parse_date, "TM": parse_time, "DT": parse_date_time}


def parse_moment(vr: str, text: str) -> Period | None:
    """What a value of DA, TM or DT means; None if it means none."""
    return _parse(vr, text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=65536)
def _parse(vr: str, text: str) -> Period | None:
    return _PARSERS[vr](text)


def parse_range(vr: str, text: str) -> tuple[Period, bool] | None:
    """The period that a key of DA, TM or DT asks for, and whether it is a range; None if it is neither.

    `a-b`, `a-` and `-b`. A hyphen and four digits at the end of a DT are an offset from UTC if they can be.
    """
    single = parse_moment(vr, text)
    if single is not None:
        return single, False
    for place, letter in enumerate(text[:64]):
        if letter != "-":
            continue
        start, end = text[:place], text[place + 1 :]
        first = parse_moment(vr, start) if start else Period(None, None)
        last = parse_moment(vr, end) if end else Period(None, None)
        if first is not None and last is not None and (start or end):
            return _between(first, last), True
    return None


def _between(first: Period, last: Period) -> Period:
    """From the begin of one to the end of the other; in the zone of the first that has one."""
    zone = first.zone if first.zone is not None else last.zone
    end = last.last
    if end is not None and last.zone is not None and zone is not None:
        end += (zone - last.zone) * MINUTE
    return Period(first.first, end, zone)
