"""The journal of a study: what was, or is about to be, stored and is in no summary yet; only appended to.

One rule: whole lines alone count, and a line that makes no sense asks for the whole study to be looked at.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from staticwado.dicom.uid import is_uid

WHOLE = "*"
"""The line that asks for the whole study."""
_FIRST = 256
"""Bytes of a journal in which its first token is."""
_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass(slots=True)
class Journal:
    """What the lines of a journal say."""

    generation: str = ""
    """Its first token: another one once it was cleared and begun again."""
    whole: bool = False
    """The whole study must be looked at."""
    instances: list[tuple[str, str]] = field(default_factory=list)
    """Series and instance UIDs that are, or are about to be, visible."""
    starts: list[int] = field(default_factory=list)
    """For each of them where its line begins, in bytes."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of a journal: which one it is, and how much of it was there."""

    generation: str
    size: int
    """Bytes of whole lines."""

    @classmethod
    def of(cls, lines: bytes) -> "Mark":
        """The mark of a journal that holds `lines`."""
        return cls(parse_journal(lines[:_FIRST]).generation, len(lines))


def format_note(instances: Iterable[tuple[str, str]]) -> bytes:
    """What one writer adds before it makes `instances` (series, instance) visible; without any, the whole
    study is meant.
    """
    lines = [f"{series} {instance}" for series, instance in instances] or [WHOLE]
    # The first line end closes what a writer that died, or a full disk, left unfinished.
    return "\n".join(["", uuid.uuid4().hex, *lines, ""]).encode("ascii")


def parse_journal(lines: bytes) -> Journal:
    """What whole lines of a journal say; what follows the last line end is left out."""
    journal = Journal()
    position = 0
    for line in lines.split(b"\n")[:-1]:
        words = line.decode("latin-1").split(" ")
        if len(words) == 2 and is_uid(words[0]) and is_uid(words[1]):
            journal.instances.append((words[0], words[1]))
            journal.starts.append(position)
        elif len(words) == 1 and _TOKEN.fullmatch(words[0]):
            journal.generation = journal.generation or words[0]
        elif line:
            journal.whole = True
        position += len(line) + 1
    return journal
