"""The values of content items (PS3.3 C.17.3.2, C.18) as runs of text.

One rule: whatever an item says is in its runs; what cannot be read is shown as it was written.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from staticwado.dicom.content_items import Code, ContentItem, code, format_position, plain_value
from staticwado.dicom.content_tables import Table, table
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, item, text, values
from staticwado.dicom.uid import is_uid

_REFERENCED_SOP, _OBSERVED = "00081199", "0040A032"
_MEASURED, _UNITS, _QUALIFIER = "0040A300", "004008EA", "0040A301"
_DATE = re.compile(r"(\d{4})(\d\d)?(\d\d)?")
_TIME = re.compile(r"(\d\d)(\d\d)?(\d\d(?:\.\d+)?)?")
_DATETIME = re.compile(r"(\d{4}(?:\d\d){0,2})((?:\d\d){1,3}(?:\.\d+)?)?([+-]\d{4})?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to an instance: what a link needs."""

    sop_class: str
    instance: str
    study: str = ""
    """Empty, like `series`, where the document does not list the instance as evidence."""
    series: str = ""
    frames: tuple[int, ...] = ()


Link = Callable[[Reference], str | None]
"""Gives the (relative) URL of a referenced instance, None for what has none; its UIDs are UIDs."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text, with the code that it is the meaning of, or where it leads to."""

    text: str
    code: Code | None = None
    href: str = ""
    """A URL, or `#` and the position of another item."""


Value = Sequence[Run] | Table


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed beside an item to show its value."""

    bulkdata: Bulkdata
    link: Link
    evidence: dict[str, tuple[str, str]]


def show_date(value: str) -> str:
    """A DA as `2001-02-13`; what is no date stays as it is."""
    found = _DATE.fullmatch(value)
    return "-".join(filter(None, found.groups())) if found else value


def show_time(value: str) -> str:
    """A TM as `18:47:46.5`; what is no time stays as it is."""
    found = _TIME.fullmatch(value)
    return ":".join(filter(None, found.groups())) if found else value


def show_datetime(value: str) -> str:
    """A DT as `2001-02-13 18:47:46 +0100`; what is none stays as it is."""
    found = _DATETIME.fullmatch(value)
    if not found:
        return value
    return " ".join(filter(None, (show_date(found[1]), show_time(found[2] or ""), found[3])))


def show_name(value: Any) -> str:
    """A PN as `Family, Prefix Given Middle, Suffix`, its groups beside each other."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    groups = [value.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic")]
    return " = ".join(_show_group(group) for group in groups if isinstance(group, str) and group.strip())


def _show_group(group: str) -> str:
    parts = [part.strip() for part in group.split("^")] + [""] * 5
    family, given, middle, prefix, *rest = parts
    names = " ".join(filter(None, (prefix, given, middle)))
    return ", ".join(filter(None, (family, names, " ".join(filter(None, rest)))))


def long_text(dataset: Dataset, tag: str, bulkdata: Bulkdata) -> str:
    """The text of `tag`, from its bulkdata if it is there (UTF-8, PS3.18 F.2.2)."""
    element = dataset.get(tag)
    uri = element.get("BulkDataURI") if isinstance(element, dict) else None
    if isinstance(uri, str):
        return bulkdata(uri).decode("utf-8", "replace").rstrip(" \0")
    return "\\".join(value for value in values(dataset, tag) if isinstance(value, str)).rstrip(" \0")


def value_of(found: ContentItem, reading: Reading) -> Value:
    """What the item says."""
    if found.target:
        position = format_position(found.target)
        return (Run(f"see item {position}", href=f"#{position}"),)
    show = _SHOW.get(found.value_type)
    if show is None:
        return (Run(f"(value type {found.value_type})"),) if found.value_type else ()
    return show(found.dataset, reading)


def observed(dataset: Dataset) -> str:
    """Observation DateTime (0040,A032), empty if there is none."""
    return show_datetime(text(dataset, _OBSERVED))


def _text(dataset: Dataset, reading: Reading) -> Value:
    return (Run(long_text(dataset, "0040A160", reading.bulkdata)),)


def _name(dataset: Dataset, reading: Reading) -> Value:
    return (Run("; ".join(map(show_name, values(dataset, "0040A123")))),)


def _uid(dataset: Dataset, reading: Reading) -> Value:
    return (Run(text(dataset, "0040A124")),)


def _date(dataset: Dataset, reading: Reading) -> Value:
    return (Run(show_date(text(dataset, "0040A121"))),)


def _time(dataset: Dataset, reading: Reading) -> Value:
    return (Run(show_time(text(dataset, "0040A122"))),)


def _datetime(dataset: Dataset, reading: Reading) -> Value:
    return (Run(show_datetime(text(dataset, "0040A120"))),)


def _code(dataset: Dataset, reading: Reading) -> Value:
    found = code(dataset, "0040A168")
    return (Run(str(found), found),) if found else (Run("(no code)"),)


def _number(dataset: Dataset, reading: Reading) -> Value:
    """A measurement: its value, its unit, and why there is none (PS3.3 C.18.1)."""
    runs = []
    measured = item(dataset, _MEASURED)
    value = plain_value(measured, "0040A30A") or plain_value(measured, "0040A161")
    if value:
        runs.append(Run(value))
        unit = code(measured, _UNITS)
        if unit:
            none = unit.value == "1" and unit.scheme.startswith("UCUM")
            runs.append(Run(f" ({unit})" if none else f" {unit}", unit))
    qualifier = code(dataset, _QUALIFIER)
    if qualifier:
        runs.append(Run(f" ({qualifier})" if runs else str(qualifier), qualifier))
    return runs or (Run("(no value)"),)


def _integers(dataset: Dataset, tag: str) -> tuple[int, ...]:
    return tuple(int(value) for value in values(dataset, tag) if _is_integer(value))


def _is_integer(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and value.strip().isdecimal())


def sop_class_name(uid: str) -> str:
    """The name of a SOP class without `Storage`; the UID itself where it is not known."""
    if not is_uid(uid):
        return uid or "instance"
    from pydicom.uid import UID  # 0.3 s; often not needed

    return UID(uid).name.removesuffix(" Storage")


def _reference(dataset: Dataset, reading: Reading, *, frames: str = "00081160") -> Iterator[Run]:
    sop_class, instance = text(dataset, "00081150"), text(dataset, "00081155")
    study, series = reading.evidence.get(instance, ("", ""))
    numbers = _integers(dataset, frames)
    href = None
    if is_uid(instance) and all(not uid or is_uid(uid) for uid in (study, series)):
        href = reading.link(Reference(sop_class, instance, study, series, numbers))
    yield Run(f"{sop_class_name(sop_class)} {instance}", href=href or "")
    for name, tag in (("frame", frames), ("segment", "0062000B")):
        if numbers := _integers(dataset, tag):
            yield Run(f", {name}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}")
    channels = _integers(dataset, "0040A0B0")
    if channels:
        pairs = zip(channels[::2], channels[1::2], strict=False)
        yield Run(", channels " + ", ".join(f"{group}/{channel}" for group, channel in pairs))


def _references(dataset: Dataset, reading: Reading) -> Value:
    """Referenced instances, each with its presentation state and real world values (PS3.3 C.18.3, C.18.4)."""
    runs: list[Run] = []
    for number in range(1, len(values(dataset, _REFERENCED_SOP)) + 1):
        found = item(dataset, _REFERENCED_SOP, number)
        runs += (Run("; "),) if runs else ()
        runs += _reference(found, reading)
        for words, tag in ((", shown by ", _REFERENCED_SOP), (", real world values ", "0008114B")):
            other = item(found, tag)
            if other:
                runs.append(Run(words))
                runs += _reference(other, reading)
    return runs or (Run("(no reference)"),)


def _float(value: Any) -> str:
    """A number with the digits that single precision has."""
    return f"{float(value):.9g}" if isinstance(value, int | float | Decimal) else str(value)


def _points(dataset: Dataset, reading: Reading, size: int) -> str:
    element = dataset.get("00700022")
    if isinstance(element, dict) and "BulkDataURI" in element:
        return "(points in bulkdata)"
    flat = [_float(value) for value in values(dataset, "00700022")]
    return ", ".join("/".join(flat[at : at + size]) for at in range(0, len(flat), size))


def _coordinates(dataset: Dataset, reading: Reading) -> Value:
    parts = (text(dataset, "00700023"), _points(dataset, reading, 2), text(dataset, "00480301"))
    return (Run(" ".join(filter(None, parts))),)


def _coordinates_3d(dataset: Dataset, reading: Reading) -> Value:
    frame = text(dataset, "30060024")
    parts = (
        text(dataset, "00700023"),
        _points(dataset, reading, 3),
        frame and f"in frame of reference {frame}",
    )
    return (Run(" ".join(filter(None, parts))),)


def _temporal(dataset: Dataset, reading: Reading) -> Value:
    samples = ", ".join(_float(value) for value in values(dataset, "0040A132"))
    offsets = ", ".join(_float(value) for value in values(dataset, "0040A138"))
    times = ", ".join(show_datetime(str(value)) for value in values(dataset, "0040A13A"))
    parts = (
        text(dataset, "0040A130"),
        samples and f"samples {samples}",
        offsets and f"offsets {offsets} ms",
        times,
    )
    return (Run(" ".join(filter(None, parts))),)


def _container(dataset: Dataset, reading: Reading) -> Value:
    return ()


def _table(dataset: Dataset, reading: Reading) -> Value:
    return table(dataset)


_SHOW: dict[str, Callable[[Dataset, Reading], Value]] = {
    "TEXT": _text,
    "CODE": _code,
    "NUM": _number,
    "DATETIME": _datetime,
    "DATE": _date,
    "TIME": _time,
    "UIDREF": _uid,
    "PNAME": _name,
    "SCOORD": _coordinates,
    "SCOORD3D": _coordinates_3d,
    "TCOORD": _temporal,
    "COMPOSITE": _references,
    "IMAGE": _references,
    "WAVEFORM": _references,
    "CONTAINER": _container,
    "TABLE": _table,
}
"""PS3.3 table C.17-5."""
