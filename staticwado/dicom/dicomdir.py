"""Basic directories of media: the file named DICOMDIR (PS3.3 annex F, PS3.10 section 8)."""

import orjson

from staticwado.dicom.jsonmodel import Encoder
from staticwado.dicom.part10 import parse
from staticwado.dicom.sources import ByteSource
from staticwado.errors import BrokenDicom, Unsupported

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_REFERENCED_FILE_ID = "00041500"


def is_dicomdir(name: str) -> bool:
    """Whether a file of this name is a directory of media by its name (PS3.10 8.2)."""
    return name.upper() == "DICOMDIR"


def _no_inflate(source: ByteSource, offset: int) -> ByteSource:
    raise BrokenDicom("a DICOMDIR is never deflated")


def referenced_files(source: ByteSource) -> list[tuple[str, ...]]:
    """The path components of every file that the directory refers to, in its order.

    Raises NotDicom or BrokenDicom.
    """
    part10 = parse(source, _no_inflate)
    dataset = Encoder(lambda bulk: "").encode(part10.window, part10.start, source.size, part10.syntax)
    member = dataset.members.get(_DIRECTORY_RECORD_SEQUENCE)
    if not member:
        raise BrokenDicom("it has no Directory Record Sequence (0004,1220)")
    try:
        items = orjson.loads(member[11:]).get("Value", [])
    except orjson.JSONDecodeError as error:
        raise Unsupported(f"its records are nested too deep: {error}") from error
    found = []
    for item in items:
        file_id = item.get(_REFERENCED_FILE_ID, {}) if isinstance(item, dict) else {}
        parts = tuple(part for part in file_id.get("Value", []) if isinstance(part, str))
        if parts:
            found.append(parts)
    return found
