"""The kinds of search that are measured, and the values that they ask for."""

import calendar
import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.made_studies import MadeStudy

PAGE = 50
"""Matches asked for."""
Pairs = list[tuple[str, str]]
Keys = Callable[[MadeStudy, random.Random], Pairs]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of search: what it asks for a study that was drawn."""

    name: str
    keys: Keys
    path: str = "studies"
    orthanc: bool = True
    """Whether Orthanc knows it, too."""


def value(study: MadeStudy, tag: str) -> str:
    """The first value of a study's attribute as text; a name's first group."""
    found = (study.entry[tag].get("Value") or [""])[0]
    return str(found.get("Alphabetic", "") if isinstance(found, dict) else found)


def _exact(keyword: str, tag: str) -> Keys:
    return lambda study, _: [(keyword, value(study, tag) or "none")]


def _part(text: str, length: int, chance: random.Random) -> str:
    """Some letters of `text`, next to each other."""
    start = chance.randrange(max(1, len(text) - length + 1))
    return text[start : start + length]


def _contains(keyword: str, tag: str, length: int, more: Pairs | None = None) -> Keys:
    return lambda study, chance: [
        (keyword, f"*{_part(value(study, tag).replace('^', ' ').split(' ')[0], length, chance)}*"),
        *(more or []),
    ]


def _day(study: MadeStudy) -> str:
    return value(study, "00080020") or "20200101"


def _month(study: MadeStudy) -> str:
    month = _day(study)[:6]
    last = calendar.monthrange(int(month[:4]), int(month[4:]))[1]
    return f"{month}01-{month}{last}"


def _typo(study: MadeStudy) -> str:
    """A family name with two letters exchanged."""
    name = value(study, "00100010").split("^")[0]
    return name if len(name) < 4 else name[0] + name[2] + name[1] + name[3:]


def _one_time(study: MadeStudy, _: random.Random) -> Pairs:
    return [("StudyDate", f"{_day(study)}-{_day(study)}"), ("StudyTime", "080000-120000")]


KINDS = (
    Kind("no key, first page", lambda study, _: []),
    Kind("no key, offset 5,000", lambda study, _: [("offset", "5000")]),
    Kind("no key, includefield=all", lambda study, _: [("includefield", "all")]),
    Kind("StudyInstanceUID", _exact("StudyInstanceUID", "0020000D")),
    Kind("PatientID", _exact("PatientID", "00100020")),
    Kind("PatientID `x*`", lambda study, _: [("PatientID", value(study, "00100020")[:7] + "*")]),
    Kind("PatientID `*xxx*`", _contains("PatientID", "00100020", 5)),
    Kind("AccessionNumber", _exact("AccessionNumber", "00080050")),
    Kind("StudyID", _exact("StudyID", "00200010")),
    Kind("PatientName", _exact("PatientName", "00100010")),
    Kind("PatientName `x*`", lambda study, _: [("PatientName", value(study, "00100010")[:4] + "*")]),
    Kind("PatientName `*xxx*`", _contains("PatientName", "00100010", 3)),
    Kind("PatientName `*xxxxx*`", _contains("PatientName", "00100010", 5)),
    Kind("PatientName `*xx*`", _contains("PatientName", "00100010", 2)),
    Kind("PatientName as OHIF asks", _contains("PatientName", "00100010", 4, [("fuzzymatching", "true")])),
    Kind(
        "PatientName, fuzzy, a typo",
        lambda study, _: [("PatientName", _typo(study)), ("fuzzymatching", "true")],
        orthanc=False,
    ),
    Kind("ReferringPhysicianName", _exact("ReferringPhysicianName", "00080090")),
    Kind("StudyDate, a day", lambda study, _: [("StudyDate", _day(study))]),
    Kind("StudyDate, a month", lambda study, _: [("StudyDate", _month(study))]),
    Kind(
        "StudyDate, a year", lambda study, _: [("StudyDate", f"{_day(study)[:4]}0101-{_day(study)[:4]}1231")]
    ),
    Kind("StudyDate, `day-`", lambda study, _: [("StudyDate", f"{_day(study)}-")]),
    Kind("StudyDate and StudyTime, combined", _one_time, orthanc=False),
    Kind("ModalitiesInStudy", lambda study, _: [("ModalitiesInStudy", study.entry["00080061"]["Value"][0])]),
    Kind("ModalitiesInStudy, two of them", lambda study, _: [("ModalitiesInStudy", "CT,MR")]),
    Kind(
        "ModalitiesInStudy and a month",
        lambda study, _: [
            ("ModalitiesInStudy", study.entry["00080061"]["Value"][0]),
            ("StudyDate", _month(study)),
        ],
    ),
    Kind(
        "ModalitiesInStudy and PatientName `*xxxx*`",
        lambda study, chance: [
            ("ModalitiesInStudy", study.entry["00080061"]["Value"][0]),
            ("PatientName", f"*{_part(value(study, '00100010').split('^')[0], 4, chance)}*"),
        ],
    ),
    Kind(
        "StudyDescription `*xxxxxx*`",
        lambda study, chance: [
            (
                "StudyDescription",
                f"*{_part((value(study, '00081030') or 'CT Hip').split(' ')[1], 6, chance)}*",
            )
        ],
    ),
    Kind("nothing found, PatientID", lambda study, chance: [("PatientID", f"no-{chance.random()}")]),
    Kind("nothing found, PatientName `*xxx*`", lambda study, _: [("PatientName", "*qqxzz*")]),
    Kind("/series, Modality", lambda study, _: [("Modality", study.entry["00080061"]["Value"][0])], "series"),
    Kind(
        "/series, SeriesInstanceUID", lambda study, _: [("SeriesInstanceUID", study.series[0].uid)], "series"
    ),
    Kind("/series, PatientID", _exact("PatientID", "00100020"), "series"),
    Kind(
        "/instances, SOPInstanceUID",
        lambda study, _: [("SOPInstanceUID", study.series[0].instances[0])],
        "instances",
    ),
)
