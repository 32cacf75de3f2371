"""Outcomes and the report: one row an input, valid JSON, honest counts."""

import json
import os

import pytest

from staticwado import errors
from staticwado.ingest.outcome import Outcome, Reason, Report, Status, printable, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.NotDicom, Reason.CANNOT_UNDERSTAND),
        (errors.BrokenDicom, Reason.CANNOT_UNDERSTAND),
        (errors.Unsupported, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED),
        (errors.InvalidUid, Reason.INVALID_INSTANCE),
        (errors.Conflict, Reason.DUPLICATE_SOP_INSTANCE),
        (errors.StoreUnavailable, Reason.OUT_OF_RESOURCES),
        (errors.StaticWadoError, Reason.PROCESSING_FAILURE),
    ],
)
def test_every_error_has_its_failure_code(error: type[errors.StaticWadoError], reason: Reason) -> None:
    assert reason_of(error("x")) is reason


def test_a_row_holds_what_is_known_and_nothing_else() -> None:
    assert Outcome("a", Status.SKIPPED, detail="no DICOM", size=3).to_row() == {
        "source": "a",
        "outcome": "skipped",
        "detail": "no DICOM",
        "bytes": 3,
    }
    row = Outcome("b", Status.FAILED, Reason.INVALID_INSTANCE, "d", warnings=("w",)).to_row()
    assert (row["reason"], row["code"], row["warnings"]) == ("invalid instance", "0117", ["w"])
    row = Outcome("c", Status.NEW, study="1", series="2", instance="3").to_row()
    assert (row["study"], row["series"], row["instance"]) == ("1", "2", "3")
    assert "reason" not in row


def test_the_summary_counts() -> None:
    kinds = [Status.NEW, Status.NEW, Status.UNCHANGED, Status.SKIPPED, Status.FAILED]
    report = Report([Outcome(str(number), kind) for number, kind in enumerate(kinds)])
    assert report.summary() == "3 in (2 new, 1 unchanged), 1 skipped, 1 failed"
    document = report.to_json()
    assert document["counts"] == {"new": 2, "unchanged": 1, "skipped": 1, "failed": 1}
    assert [row["source"] for row in document["inputs"]] == ["0", "1", "2", "3", "4"]


def test_names_that_are_no_text_are_shown_in_a_report() -> None:
    name = os.fsdecode(b"x\xff\n\xc3\xa4")
    report = Report([Outcome(name, Status.FAILED, detail=name)], notes=[name], faults=[name])
    text = json.dumps(report.to_json(), ensure_ascii=False).encode()
    assert json.loads(text)["inputs"][0]["source"] == "x\\xff\nä"
    assert printable("\ud800") == "\\ud800"
