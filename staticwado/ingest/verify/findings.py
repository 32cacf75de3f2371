"""What looking at an archive brings to light: faults, notes and counts, and the report of them.

One rule: a fault says where it is, what is wrong, and what mends it; what harms nobody is a note.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from staticwado.ingest.outcome import printable


class Kind(Enum):
    """What is wrong."""

    MARKER = "marker"
    """The file that makes the folder an archive."""
    STRAY = "stray"
    """A file or folder that belongs to no archive."""
    INCOMPLETE = "incomplete"
    """An instance folder without metadata: what it holds is no instance."""
    MISSING = "missing"
    """Something that others refer to is not there."""
    DAMAGED = "damaged"
    """Bytes that cannot be what was written: gzip, JSON, the envelope of a frame, a value and its hash."""
    MISPLACED = "misplaced"
    """An instance in the folder of another, or a frame in another syntax than the instance's."""
    PART10 = "part10"
    """The Part 10 file cannot be given back."""
    METADATA = "metadata"
    """The metadata are not those of the Part 10 file."""
    STALE = "stale"
    """A derived file does not say what the instances say."""
    UNREADABLE = "unreadable"
    """The system did not let it be read."""


class Matter(Enum):
    """What is worth a note."""

    OWED = "owed"
    """A writer has not yet made the derived files of a study; whoever writes next will."""
    EMPTY = "empty folder"
    UNUSED = "unused"
    """A bulkdata value that no instance refers to."""
    OTHER_BYTES = "other bytes"
    """The content is whole; its compressed bytes are not those that this version writes."""
    NO_THUMBNAIL = "no thumbnail"
    VERSION = "version"
    """Metadata that are as they were written, and that this version would write otherwise."""
    UNCHECKED = "unchecked"
    """What could not be looked at because of a fault elsewhere, or by this version."""
    PRIVATE = "private"
    """Something below `.staticwado` that no writer of this version keeps there, or its ledger."""
    NOT_GIVEN = "not given"
    """Instances that no source gave."""


MOST_NOTES = 1000
"""Notes of one matter that are kept; beyond them they are counted."""

INDEX = "mkdicomweb index"
REMOVE = "remove it by hand"
NOTHING = "nothing to do"


def take_in_again(folder: str) -> str:
    """What mends an instance: its folder, with all that is in it, makes room for a new one."""
    return f"remove the folder {folder} by hand, then mkdicomweb create SOURCE"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    key: str
    kind: Kind
    detail: str
    repair: str

    def to_row(self) -> dict[str, str]:
        return {
            "key": printable(self.key),
            "kind": self.kind.value,
            "detail": printable(self.detail),
            "repair": printable(self.repair),
        }


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that is worth knowing and harms nobody."""

    key: str
    matter: Matter
    detail: str

    def to_row(self) -> dict[str, str]:
        return {
            "key": printable(self.key),
            "kind": self.matter.value,
            "detail": printable(self.detail),
        }


@dataclass(slots=True)
class Counts:
    """What was looked at."""

    studies: int = 0
    series: int = 0
    instances: int = 0
    frames: int = 0
    bulkdata: int = 0
    bytes: int = 0
    """Bytes of all files that were read."""

    def add(self, other: "Counts") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Findings:
    """What one look, or several, brought to light."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    more: Counter[Matter] = field(default_factory=Counter)
    """Further notes of a matter, beyond the `MOST_NOTES` that are kept, so that memory stays flat."""
    _kept: Counter[Matter] = field(default_factory=Counter)

    def fault(self, key: str, kind: Kind, detail: str, repair: str) -> None:
        self.faults.append(Fault(key, kind, detail, repair))

    def note(self, key: str, matter: Matter, detail: str) -> None:
        self._keep(Note(key, matter, detail))

    def _keep(self, note: Note) -> None:
        self._kept[note.matter] += 1
        if self._kept[note.matter] <= MOST_NOTES:
            self.notes.append(note)
        else:
            self.more[note.matter] += 1

    def add(self, other: "Findings") -> None:
        self.faults += other.faults
        for note in other.notes:
            self._keep(note)
        self.more += other.more
        self.counts.add(other.counts)


class Match(Enum):
    """What became of the comparison of one source with the archive."""

    EQUAL = "equal"
    """The archive gives back this very file."""
    DIFFERS = "differs"
    """The archive has the instance from another file, or a damaged one."""
    MISSING = "missing"
    """The archive has no such instance."""
    NO_DICOM = "no DICOM"
    UNREADABLE = "unreadable"
    """The source could not be read, so that nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One source beside the archive."""

    source: str
    match: Match
    detail: str = ""
    uids: tuple[str, str, str] | None = None
    size: int = 0

    def to_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"source": printable(self.source), "match": self.match.value}
        if self.detail:
            row["detail"] = printable(self.detail)
        if self.uids is not None:
            row |= dict(zip(("study", "series", "instance"), self.uids, strict=True))
        return row | {"bytes": self.size}


@dataclass(frozen=True, slots=True)
class Verified:
    """The report of `verify`."""

    findings: Findings
    compared: tuple[Compared, ...] | None
    """None if no sources were to be compared."""

    @property
    def wrong(self) -> list[Compared]:
        """Sources that are not safely in the archive."""
        safe = (Match.EQUAL, Match.NO_DICOM)
        return [one for one in self.compared or () if one.match not in safe]

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.findings.faults and not self.wrong

    def summary(self) -> str:
        """The lines that end a run."""
        counts, faults = self.findings.counts, self.findings.faults
        notes = len(self.findings.notes) + self.findings.more.total()
        text = (
            f"{counts.instances} instances in {counts.series} series of {counts.studies} studies: "
            f"{counts.frames} frames, {counts.bulkdata} bulkdata values, {counts.bytes} bytes read; "
            f"{len(faults)} faults, {notes} notes"
        )
        if self.compared is not None:
            found = matches(self.compared)
            text += "\nsources: " + ", ".join(f"{found[match]} {match.value}" for match in Match)
        return text

    def to_json(self) -> dict[str, Any]:
        """The report file (docs/verify.md)."""
        report: dict[str, Any] = {
            "summary": self.summary(),
            "whole": self.whole,
            "counts": self.findings.counts.to_json(),
            "faults": [fault.to_row() for fault in self.findings.faults],
            "notes": [note.to_row() for note in self.findings.notes],
            "more notes": {matter.value: count for matter, count in self.findings.more.items()},
        }
        if self.compared is not None:
            found = matches(self.compared)
            report["sources"] = {match.value: found[match] for match in Match}
            report["inputs"] = [one.to_row() for one in self.compared]
        return report


def matches(compared: Iterable[Compared]) -> Counter[Match]:
    """How many sources fared how."""
    return Counter(one.match for one in compared)
