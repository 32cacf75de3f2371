"""What an instance's metadata and skeleton say that must be there."""

from typing import Any

from staticwado import layout
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import StoreUnavailable
from staticwado.ingest.entries import first_value
from staticwado.ingest.skeleton import Skeleton

_PIXELS = ("7FE00010", "7FE00008", "7FE00009")
_NUMBER_OF_FRAMES = "00280008"


def expected_frames(dataset: dict[str, Any], skeleton: Skeleton, syntax: str) -> int:
    """How many frames an instance has: as its skeleton says, else as its metadata say.

    Raises StoreUnavailable for a skeleton that is not understood.
    """
    if all(_uri_of(dataset, tag) != layout.PIXELDATA_URI for tag in _PIXELS):
        return 0
    if highest := referred(skeleton.parts):
        return highest
    if skeleton.kept:
        return int(skeleton.kept.get("count", 0))
    known = TRANSFER_SYNTAXES.get(syntax)
    number = first_value(dataset, _NUMBER_OF_FRAMES)
    if known is None or known.video or not isinstance(number, int) or number < 1:
        return 1
    return number


def referred(parts: list[Any]) -> int:
    """The highest frame number that the parts of a skeleton refer to; 0 if they refer to none.

    Raises StoreUnavailable for parts of an unknown kind.
    """
    highest = 0
    for part in parts:
        match part:
            case ["frames", int(), int(last)]:
                highest = max(highest, last)
            case ["frame", int(number), *_]:
                highest = max(highest, number)
            case int() | ["bulkdata", str(), int()]:
                pass
            case _:
                raise StoreUnavailable(f"a skeleton holds the unknown part {part!r:.80}")
    return highest


def _uri_of(dataset: dict[str, Any], tag: str) -> Any:
    element = dataset.get(tag)
    return element.get("BulkDataURI") if isinstance(element, dict) else None
