"""Matching once more, written another way and slowly: regular expressions, days and seconds as objects.

It knows nothing of `staticwado`; the two have to agree.
"""

import re
import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

Entry = dict[str, Any]
WILD = ("LO", "SH", "CS", "PN")


def values(entry: Entry, tag: str) -> list[Any]:
    return [one for one in entry.get(tag, {}).get("Value", []) if one is not None]


@lru_cache(maxsize=4096)
def expression(pattern: str, flags: int = 0) -> re.Pattern[str]:
    parts = [".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern]
    return re.compile("".join(parts), re.DOTALL | flags)


@lru_cache(maxsize=65536)
def plain(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).lower().replace("ø", "o")


def trimmed(name: str) -> str:
    """A name without the spaces around its components, which mean nothing."""
    return re.sub(r" *\^ *", "^", plain(name).strip(" "))


def is_name(key: str, name: dict[str, str]) -> bool:
    return _is_name(key, tuple(name.values()))


@lru_cache(maxsize=65536)
def _is_name(key: str, texts: tuple[str, ...]) -> bool:
    groups = [re.sub(r"\^+$", "", trimmed(text)) for text in texts]
    wanted = trimmed(key)
    for group in groups:
        if expression(re.sub(r"\^+$", "", wanted)).fullmatch(group):
            return True
        if "^" not in wanted:
            continue
        ours, theirs = re.sub(r"\^+$", "", wanted).split("^"), group.split("^")
        theirs += [""] * (len(ours) - len(theirs))
        if len(ours) == len(theirs) and all(
            expression(one).fullmatch(other) for one, other in zip(ours, theirs, strict=True)
        ):
            return True
    return False


@lru_cache(maxsize=4096)
def seconds(text: str) -> tuple[float, float]:
    """First second, and the one after the last, of a TM."""
    shape = {2: "%H", 4: "%H%M", 6: "%H%M%S"}[len(text)]
    start = datetime.strptime(text, shape) - datetime(1900, 1, 1)
    return start.total_seconds(), start.total_seconds() + {2: 3600, 4: 60, 6: 1}[len(text)]


def ends(key: str) -> tuple[str, str]:
    first, dash, last = key.partition("-")
    return (first, last) if dash else (key, key)


def is_date(key: str, date: str) -> bool:
    first, last = ends(key)
    return (not first or date >= first) and (not last or date[: len(last)] <= last)


def is_time(key: str, time: str) -> bool:
    first, last = ends(key)
    moment = seconds(time)[0]
    return (not first or moment >= seconds(first)[0]) and (not last or moment < seconds(last)[1])


@lru_cache(maxsize=65536)
def is_both(days: str, times: str, date: str, time: str) -> bool:
    (first_day, last_day), (first_time, last_time) = ends(days), ends(times)
    moment = datetime.strptime(date, "%Y%m%d") + timedelta(seconds=seconds(time)[0])
    if first_day:
        start = datetime.strptime(first_day, "%Y%m%d")
        start += timedelta(seconds=seconds(first_time)[0] if first_time else 0)
        if moment < start:
            return False
    if last_day:
        stop = datetime.strptime(last_day, "%Y%m%d")
        stop += timedelta(seconds=seconds(last_time)[1] if last_time else 86400)
        if moment >= stop:
            return False
    return True


def is_value(vr: str, key: str, value: Any) -> bool:
    if vr == "PN":
        return is_name(key, value)
    if vr == "UI":
        return value in re.split(r"[,\\]", key)
    if vr in ("IS", "DS"):
        return float(key) == float(value)
    if vr == "DA":
        return is_date(key, value)
    if vr == "TM":
        return is_time(key, value)
    if vr in ("CS", "AS"):
        return any(expression(one).fullmatch(str(value).strip(" ")) for one in key.split(","))
    return expression(key.strip(" ")).fullmatch(str(value).strip(" ")) is not None


def is_match(entry: Entry, keys: dict[str, tuple[str, str]]) -> bool:
    """Whether `entry` has all of `keys`: tag, or sequence and tag with a dot -> (VR, value)."""
    given = {path: key for path, key in keys.items() if key[1].strip("*")}
    for day, time in (("00080020", "00080030"), ("00400244", "00400245")):
        if all(tag in given and "-" in given[tag][1] for tag in (day, time)):
            (_, days), (_, times) = given.pop(day), given.pop(time)
            pairs = zip(values(entry, day), values(entry, time), strict=False)
            if not any(is_both(days, times, *pair) for pair in pairs):
                return False
    for path, (vr, key) in given.items():
        if "." in path:
            continue
        if key == '""':
            if values(entry, path):
                return False
        elif not any(is_value(vr, key, value) for value in values(entry, path)):
            return False
    for sequence in {path.split(".")[0] for path in given if "." in path}:
        inner = {path.split(".")[1]: key for path, key in given.items() if path.startswith(sequence + ".")}
        items = values(entry, sequence) or [{}]
        if not any(is_match(item, inner) for item in items):
            return False
    return True
