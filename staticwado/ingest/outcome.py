"""What became of each input: outcomes are values, and a run ends in a report of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from staticwado import errors


class Reason(IntEnum):
    """Why an input did not get in, or not as it came: the codes of PS3.18 tables I.2-1 and I.2-2 and of PS3.7
    annex C.
    """

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    INVALID_INSTANCE = 0x0117
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH = 0xA900
    COERCED = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    DOES_NOT_MATCH_SOP_CLASS = 0xB007
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


class Status(Enum):
    """The four things that can happen to an input."""

    NEW = "new"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


_REASONS: dict[type[errors.StaticWadoError], Reason] = {
    errors.NotDicom: Reason.CANNOT_UNDERSTAND,
    errors.BrokenDicom: Reason.CANNOT_UNDERSTAND,
    errors.Unsupported: Reason.TRANSFER_SYNTAX_NOT_SUPPORTED,
    errors.InvalidUid: Reason.INVALID_INSTANCE,
    errors.Conflict: Reason.DUPLICATE_SOP_INSTANCE,
    errors.Mismatch: Reason.DATA_SET_DOES_NOT_MATCH,
    errors.Forbidden: Reason.NOT_AUTHORIZED,
    errors.StoreUnavailable: Reason.OUT_OF_RESOURCES,
}


def reason_of(error: errors.StaticWadoError) -> Reason:
    """The failure code that says what `error` says."""
    return _REASONS.get(type(error), Reason.PROCESSING_FAILURE)


def printable(text: str) -> str:
    """`text` as UTF-8 can hold it: bytes of a file name that are none are shown as `\\xNN`."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input."""

    source: str
    status: Status
    reason: Reason = Reason.SUCCESS
    detail: str = ""
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    size: int = 0
    """Bytes of the input."""
    warnings: tuple[str, ...] = ()
    stamp: tuple[int, int, int] | None = None
    """Size, modification time (ns) and inode of a source file, by which it is known again."""
    sop_class: str | None = None
    """SOP Class UID, as far as it was read."""
    warning: Reason | None = None
    """Why what the archive holds is not what came, although this is no failure (PS3.18 table I.2-1)."""

    @property
    def ok(self) -> bool:
        return self.status in (Status.NEW, Status.UNCHANGED)

    def to_row(self) -> dict[str, Any]:
        """The outcome as a row of the report file (docs/cli.md)."""
        row: dict[str, Any] = {"source": printable(self.source), "outcome": self.status.value}
        if self.status is Status.FAILED:
            row["reason"] = self.reason.name.lower().replace("_", " ")
            row["code"] = f"{self.reason:04X}"
        if self.detail:
            row["detail"] = printable(self.detail)
        for name in ("study", "series", "instance"):
            if getattr(self, name) is not None:
                row[name] = getattr(self, name)
        row["bytes"] = self.size
        if self.warning is not None:
            row["warning"] = f"{self.warning:04X}"
        if self.warnings:
            row["warnings"] = [printable(warning) for warning in self.warnings]
        return row


@dataclass(slots=True)
class Report:
    """All outcomes of a run, in the order of the inputs as far as they were reached."""

    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What concerns the archive rather than one input, such as instances of a study that disagree."""
    faults: list[str] = field(default_factory=list)
    """What failed for the archive as a whole, such as indexes that could not be written."""
    interrupted: bool = False

    def add(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes.extend(outcomes)

    def count(self, status: Status) -> int:
        return sum(outcome.status is status for outcome in self.outcomes)

    def summary(self) -> str:
        """The line that ends a run."""
        new, unchanged = self.count(Status.NEW), self.count(Status.UNCHANGED)
        return (
            f"{new + unchanged} in ({new} new, {unchanged} unchanged), "
            f"{self.count(Status.SKIPPED)} skipped, {self.count(Status.FAILED)} failed"
        )

    def to_json(self) -> dict[str, Any]:
        """The report file: counts, notes, and one row an input."""
        rows = [outcome.to_row() for outcome in sorted(self.outcomes, key=lambda one: one.source)]
        counts = {status.value: self.count(status) for status in Status}
        return {
            "summary": self.summary(),
            "interrupted": self.interrupted,
            "counts": counts,
            "notes": [printable(note) for note in self.notes],
            "faults": [printable(fault) for fault in self.faults],
            "inputs": rows,
        }
