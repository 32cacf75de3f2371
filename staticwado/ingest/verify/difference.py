"""In words: how a derived file differs from what the instances say.

One rule: counts and UIDs first; that is what somebody who looks for a lost instance wants to know.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.entries import first_value
from staticwado.ingest.summarise import MALFORMED, expand_compact

_FEW = 3
_IDENTITY = {View.INDEX: "0020000D", View.STUDIES: "0020000D", View.SERIES: "0020000E"}
_SOP_INSTANCE_UID = "00080018"
_NAMES = {"0020000D": "studies", "0020000E": "series", _SOP_INSTANCE_UID: "instances"}
_COUNTS = {
    "00201206": "Number of Study Related Series",
    "00201208": "Number of Study Related Instances",
    "00201209": "Number of Series Related Instances",
}

Rows = Mapping[str, Mapping[str, Any]]


def explain(resource: Resource, kept: bytes, right: bytes) -> str:
    """What is wrong with `kept`, where the instances say `right`; both decompressed."""
    if resource.view is View.THUMBNAIL:
        return "it is not the thumbnail of the instance that stands for the others"
    try:
        return _explain(resource, kept, right)
    except (orjson.JSONDecodeError, *MALFORMED) as error:
        return f"it is no DICOM JSON of this kind: {error}"


def _explain(resource: Resource, kept: bytes, right: bytes) -> str:
    tag = _IDENTITY.get(resource.view, _SOP_INSTANCE_UID)
    if resource.view is View.DEDUPLICATED:
        have, want = (expand_compact(orjson.loads(text)) for text in (kept, right))
    else:
        have, want = orjson.loads(kept), orjson.loads(right)
    return difference(_by_uid(have, tag), _by_uid(want, tag), len(have), len(want), _NAMES[tag])


def _by_uid(rows: list[dict[str, Any]], tag: str) -> Rows:
    return {str(first_value(row, tag)): row for row in rows}


def difference(have: Rows, want: Rows, listed: int, there: int, name: str) -> str:
    """How the rows of a list differ from those that it should have; `name` says what they are."""
    words = []
    if listed != there:
        words.append(f"it lists {listed} {name}, and there are {there}")
    if lost := _some(uid for uid in want if uid not in have):
        words.append(f"it lacks {lost}")
    if extra := _some(uid for uid in have if uid not in want):
        words.append(f"it lists {extra}, of which there is nothing")
    for uid, row in want.items():
        if uid in have and (text := _row_difference(have[uid], row)):
            words.append(f"of {uid}: {text}")
    if not words:
        words.append("its order is another" if list(have) != list(want) else "it is written in another way")
    more = f"; and {len(words) - 2 * _FEW} more" if len(words) > 2 * _FEW else ""
    return "; ".join(words[: 2 * _FEW]) + more


def _row_difference(have: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    words = []
    for tag in sorted(have.keys() | want.keys()):
        one, other = have.get(tag), want.get(tag)
        if one != other:
            if tag in _COUNTS:
                says, are = _first(one), _first(other)
                words.append(f"{_COUNTS[tag]} is {says}, and there are {are}")
            else:
                words.append(f"({tag[:4]},{tag[4:]}) is another")
    more = f" and {len(words) - _FEW} more" if len(words) > _FEW else ""
    return ", ".join(words[:_FEW]) + more


def _first(element: Any) -> Any:
    return first_value({"": element}, "")


def _some(uids: Any) -> str:
    found = list(uids)
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return ", ".join(found[:_FEW]) + more
