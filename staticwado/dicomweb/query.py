"""Search requests (PS3.18 8.3.4 and 10.6) as values.

One rule: a supported parameter with an impossible value is an error, an unsupported one is ignored (8.3).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BadRequest

STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"
SOP_INSTANCE_UID = "00080018"
PATIENT_ID = "00100020"
KEYWORDS: Mapping[str, str] = {
    "StudyInstanceUID": STUDY_INSTANCE_UID,
    "SeriesInstanceUID": SERIES_INSTANCE_UID,
    "SOPInstanceUID": SOP_INSTANCE_UID,
    "PatientID": PATIENT_ID,
}
"""Keyword -> tag of the attributes that can be matched."""
_UIDS = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID})
_LONGEST_NUMBER = 18


class Level(Enum):
    """What a search returns one entry for."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Query:
    """A search: the level, the study and series that it stays within, keys, and the page wanted."""

    level: Level
    study: str | None = None
    series: str | None = None
    uids: Mapping[str, frozenset[str]] | None = None
    """Tag -> the UIDs of which any may occur (PS3.4 C.2.2.2.2)."""
    patient_id: str | None = None
    """A value to match, with the wildcards `*` and `?`."""
    limit: int | None = None
    offset: int = 0


_LEVELS = {View.STUDIES: Level.STUDY, View.SERIES: Level.SERIES, View.INSTANCES: Level.INSTANCE}


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_NUMBER:
        raise BadRequest(f"{name} must be a whole number from 0; not {text[:80]!r}")
    return int(text)


def _uid_list(name: str, text: str) -> frozenset[str]:
    uids = frozenset(text.replace("\\", ",").split(","))
    for uid in uids:
        if not is_uid(uid):
            raise BadRequest(f"{name} must be a UID, or UIDs separated by commas; not {uid[:80]!r}")
    return uids


def _tag_of(name: str) -> str | None:
    """The tag that a parameter's name stands for: a keyword, case-sensitive, or eight hexadecimal digits."""
    tag = KEYWORDS.get(name, name.upper())
    return tag if tag in KEYWORDS.values() else None


def parse_query(resource: Resource, parameters: Iterable[tuple[str, str]]) -> Query:
    """The search that a path and its (decoded) query parameters ask for.

    Raises BadRequest, which names the parameter.
    """
    numbers: dict[str, int] = {}
    uids: dict[str, frozenset[str]] = {}
    patient_id: str | None = None
    seen: set[str] = set()
    for name, value in parameters:
        tag = _tag_of(name)
        if tag is None and name not in ("limit", "offset"):
            continue
        if (tag or name) in seen:
            raise BadRequest(f"{name} may be given once (PS3.18 8.3.4.1)")
        seen.add(tag or name)
        if tag is None:
            numbers[name] = _number(name, value)
        elif tag in _UIDS and value not in ("", "*"):
            uids[tag] = _uid_list(name, value)
        elif tag == PATIENT_ID and value.strip("*"):
            patient_id = value
    return Query(
        _LEVELS[resource.view],
        resource.study,
        resource.series,
        uids,
        patient_id,
        numbers.get("limit"),
        numbers.get("offset", 0),
    )
