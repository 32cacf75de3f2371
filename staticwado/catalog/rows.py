"""What the catalog is told and tells: studies, series and instances as rows.

One rule: a row follows from index files alone, so that every catalog can be thrown away.
"""

from dataclasses import dataclass
from typing import Any

from staticwado.catalog.ledger import Stamp as Stamp
from staticwado.catalog.ledger import Uids as Uids

Entry = dict[str, Any]
"""An index entry: a DICOM JSON object."""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A series: its index entry and the SOP Instance UIDs of its instances."""

    uid: str
    entry: Entry
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study: its index entry, its series, and the stamp of the index file that they were read from."""

    uid: str
    entry: Entry
    series: tuple[SeriesRow, ...]
    stamp: Stamp | None
    """Size, modification time in nanoseconds and inode of `<study>/index.json.gz`."""


@dataclass(frozen=True, slots=True)
class FreshInstance:
    """The index entry of an instance that no index file holds yet."""

    series: str
    uid: str
    entry: Entry
