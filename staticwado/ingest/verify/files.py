"""Single files of an archive: whole gzip members, well-formed JSON, DICOM JSON, hashes.

One rule: what is read here is read to its last byte, and counted.
"""

import hashlib
import re
from typing import Any

import orjson

from staticwado.archive import Archive, compress, decompress
from staticwado.dicom.vr import KNOWN
from staticwado.dicomweb.jsontext import parse_dataset, split_array
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.ingest.verify.findings import NOTHING, Findings, Kind, Matter

_TAG = re.compile(r"[0-9A-F]{8}")
_CONTENT = frozenset({"Value", "InlineBinary", "BulkDataURI"})
_CHUNK = 1 << 20
_DEEPEST = 100


def read_gzip(archive: Archive, key: str, found: Findings, repair: str) -> bytes | None:
    """The content of the gzip file `key`; None, and a fault, if it is not there or not whole."""
    try:
        data = archive.store.read(key)
    except NotFound:
        found.fault(key, Kind.MISSING, "it is not there", repair)
        return None
    except StoreUnavailable as error:
        found.fault(key, Kind.UNREADABLE, str(error), "let it be read, then verify again")
        return None
    found.counts.bytes += len(data)
    try:
        content = decompress(data, "the gzip file")
    except StoreUnavailable as error:
        found.fault(key, Kind.DAMAGED, str(error), repair)
        return None
    if compress(content) != data:
        note_other_bytes(key, found)
    return content


def note_other_bytes(key: str, found: Findings) -> None:
    """Say that a file's content is right, and its compressed form is that of another writer."""
    text = "the content is whole, but it is not compressed as this version does it"
    found.note(key, Matter.OTHER_BYTES, f"{text}; {NOTHING}")


def one_dataset(content: bytes) -> dict[str, Any]:
    """The data set of an array that holds one. Raises ValueError, which says what is wrong."""
    if not (content.startswith(b"[{") and content.endswith(b"}]")):
        raise ValueError("it is no array of one data set")
    try:
        return parse_dataset(content[1:-1])
    except orjson.JSONDecodeError as error:
        datasets = len(split_array(content))
        detail = f"it holds {datasets} data sets" if datasets > 1 else f"it is no JSON: {error}"
        raise ValueError(detail) from error


def check_model(dataset: Any, depth: int = 0) -> str | None:
    """What makes a data set no DICOM JSON (PS3.18 F.2); None if nothing does.

    Members nested deeper than the JSON library reads are left out.
    """
    if not isinstance(dataset, dict):
        return "a data set is no object"
    for tag, element in dataset.items():
        if isinstance(element, orjson.Fragment):
            continue
        if _TAG.fullmatch(tag) is None:
            return f"{tag[:40]!r} is no tag"
        detail = _check_element(element, depth)
        if detail is not None:
            return f"{tag}: {detail}"
    return None


def _check_element(element: Any, depth: int) -> str | None:
    if not isinstance(element, dict):
        return "it is no object"
    vr = element.get("vr")
    if vr not in KNOWN:
        return f"vr is {vr!r:.40}"
    others = element.keys() - {"vr"}
    if len(others) > 1 or not others <= _CONTENT:
        return f"it has the members {', '.join(sorted(others))[:80]}"
    if "Value" in element and not isinstance(element["Value"], list):
        return "Value is no array"
    if vr == "SQ" and depth < _DEEPEST:
        for item in element.get("Value", ()):
            detail = check_model(item, depth + 1)
            if detail is not None:
                return detail
    return None


def sha256_of(path: str) -> tuple[str, int]:
    """SHA-256 in hex, and size, of the file at `path`. Raises OSError."""
    size = 0
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
