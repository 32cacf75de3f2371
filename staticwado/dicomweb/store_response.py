"""The Store Instances Response Module (PS3.18 annex I): what became of each instance, for the client.

One rule: a sequence is there only if it has items, and the status never says more than the items do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from staticwado.dicomweb.resource import Resource, View, format_path

_SOP_CLASS, _SOP_INSTANCE, _RETRIEVE_URL = "00081150", "00081155", "00081190"
_WARNING_REASON, _FAILURE_REASON = "00081196", "00081197"
_FAILED, _STORED, _OTHERS = "00081198", "00081199", "0008119A"
MISSING_BULKDATA = 0xA922
"""Failure Reason of data sets that speak of bulkdata which did not come along; as dcm4chee has it."""
_OUT_OF_RESOURCES = range(0xA700, 0xA800)


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one instance, or of one part that is none."""

    study: str | None = None
    series: str | None = None
    instance: str | None = None
    sop_class: str | None = None
    failure: int = 0
    """Failure Reason (PS3.18 table I.2-2); 0 for what is stored."""
    warning: int = 0
    """Warning Reason (PS3.18 table I.2-1); 0 for none."""


def store_response(results: Sequence[StoreResult], root: str, study: str | None = None) -> dict[str, Any]:
    """The module as one DICOM JSON data set; `root` is the URL of the service, `study` that of the path.

    Retrieve URL at the top is that of the study where all that is stored is of one; else it is empty.
    """
    stored = [one for one in results if not one.failure]
    failed = [one for one in results if one.failure and one.sop_class and one.instance]
    others = [one for one in results if one.failure and not (one.sop_class and one.instance)]
    studies = {one.study for one in stored} or {study}
    [only] = studies if len(studies) == 1 else [None]
    made = {_RETRIEVE_URL: _url(f"{root}/{format_path(Resource(View.PART10, only))}" if only else None)}
    if failed:
        items = [{**_references(one), _FAILURE_REASON: _number(one.failure)} for one in failed]
        made[_FAILED] = _sequence(items)
    if stored:
        made[_STORED] = _sequence([_stored(one, root) for one in stored])
    if others:
        made[_OTHERS] = _sequence([{_FAILURE_REASON: _number(one.failure)} for one in others])
    return made


def store_status(results: Iterable[StoreResult]) -> int:
    """The HTTP status (PS3.18 table 10.5.3-1): 200, 202, 409, or 503 where there is no room for anything."""
    failures = [one.failure for one in results]
    if failures and all(failures):
        return 503 if all(one in _OUT_OF_RESOURCES for one in failures) else 409
    return 202 if any(failures) or any(one.warning for one in results) else 200


def _stored(one: StoreResult, root: str) -> dict[str, Any]:
    place = None
    if one.study and one.series and one.instance:
        place = f"{root}/{format_path(Resource(View.PART10, one.study, one.series, one.instance))}"
    item = {**_references(one), _RETRIEVE_URL: _url(place)}
    if one.warning:
        item[_WARNING_REASON] = _number(one.warning)
    return dict(sorted(item.items()))


def _references(one: StoreResult) -> dict[str, Any]:
    return {
        _SOP_CLASS: {"vr": "UI", "Value": [one.sop_class]} if one.sop_class else {"vr": "UI"},
        _SOP_INSTANCE: {"vr": "UI", "Value": [one.instance]},
    }


def _url(text: str | None) -> dict[str, Any]:
    return {"vr": "UR", "Value": [text]} if text else {"vr": "UR"}


def _number(code: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [code]}


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}
