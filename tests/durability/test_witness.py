"""strace beside the record: no write below the archive escapes it."""

import json
from pathlib import Path

import pytest

from tests.durability.witness import differences, missing_tool, watch

_SOME = ["create: transcode", "take: replace", "take: burst, settled", "delete: series", "trash: undo"]

_REASON = missing_tool()
pytestmark = pytest.mark.skipif(bool(_REASON), reason=_REASON)


def test_the_kernel_saw_what_the_record_says_and_nothing_else(place: Path) -> None:
    watch(place, _SOME)
    count, wrong = differences(place)
    assert wrong == []
    assert count > 1000


def test_a_write_that_the_record_lacks_is_found(place: Path) -> None:
    watch(place, ["create: first instance"])
    record = place / "record.json"
    tally = json.loads(record.read_text())
    key = next(one for one in tally if one.startswith("rename") and one.endswith("staticwado.json"))
    record.write_text(json.dumps({one: count for one, count in tally.items() if one != key}))
    assert differences(place)[1] == [f"not in the record: {key} (1)"]
