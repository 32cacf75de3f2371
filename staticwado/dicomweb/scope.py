"""Which studies somebody may see, as a value that searches and retrievals share."""

from collections.abc import Sequence
from dataclasses import dataclass

from staticwado.dicomweb.criteria import Filter


@dataclass(frozen=True, slots=True)
class Scope:
    """The studies that are named, and those that fulfil all conditions of one of the groups."""

    studies: frozenset[str] = frozenset()
    """Study Instance UIDs."""
    groups: Sequence[tuple[Filter, ...]] = ()
    """Conditions on attributes of the study."""
