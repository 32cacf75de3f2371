"""The metadata of real files as XML and as bytes, and DCMTK's `dcm2xml` as a witness for the XML."""

import base64
import math
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from staticwado.dicom.datasetwriter import write_dataset
from staticwado.dicom.elements import Window
from staticwado.dicom.jsondataset import elements_of, format_json, parse_json
from staticwado.dicom.jsonmodel import Bulk, Encoder
from staticwado.dicom.part10 import parse
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicom.valuefields import value_field
from staticwado.dicom.values import swap_words
from staticwado.dicom.vr import WORD_SIZE
from staticwado.dicom.xmlmodel import to_xml
from staticwado.dicom.xmlreader import parse_xml
from staticwado.errors import StaticWadoError
from tests.factories import EXPLICIT
from tests.truth.corpus import Corpus, read_corpus
from tests.truth.part10 import read_path, strip_pixels

CHARSET = "00080005"
STRIDE = 12
"""Every so manieth file is shown to DCMTK, which takes a process a file."""

pytestmark = pytest.mark.timeout(600)

Model = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(testdata: Path) -> Corpus:
    return read_corpus(testdata)


def _inflate(source: ByteSource, offset: int) -> ByteSource:
    return MemorySource(zlib.decompressobj(-15).decompress(source.read(offset, source.size - offset)))


def metadata_of(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The DICOM JSON text of a file, and what is behind its URIs. Raises StaticWadoError."""
    part10 = parse(MemorySource(data), _inflate)
    return _encode(part10.source, part10.window, part10.start, part10.syntax.uid)


def _encode(source: ByteSource, window: Window, start: int, syntax: str) -> tuple[bytes, dict[str, bytes]]:
    values: dict[str, bytes] = {}

    def keep(bulk: Bulk) -> str:
        data = b"".join(source.read(span.offset, span.length) for span in bulk.spans)
        uri = f"value/{len(values)}"
        values[uri] = swap_words(data, bulk.word) if bulk.word > 1 else data
        return uri

    found = Encoder(keep).encode(window, start, source.size, TRANSFER_SYNTAXES[syntax])
    return found.to_json(), values


def _readable(corpus: Corpus) -> Iterator[tuple[Path, bytes, dict[str, bytes]]]:
    for path in (*corpus.valid, *corpus.variants, *corpus.malformed):
        try:
            yield path, *metadata_of(path.read_bytes())
        except (StaticWadoError, zlib.error):
            continue


def _without_charset(model: Model) -> Model:
    """`model` without Specific Character Set at any level, binary values padded as bytes are."""
    made = {}
    for key, member in model.items():
        if key == CHARSET:
            continue
        if member["vr"] == "SQ":
            member = {"vr": "SQ", "Value": [_without_charset(item) for item in member.get("Value", [])]}
        elif "InlineBinary" in member:
            data = base64.b64decode(member["InlineBinary"])
            padded = base64.b64encode(data + b"\0" * (len(data) % 2)).decode()
            member = {"vr": member["vr"], "InlineBinary": padded}
        made[key] = member
    return made


def test_the_metadata_of_every_file_survive_text_xml_and_bytes(corpus: Corpus) -> None:
    faults, count = [], 0
    for path, text, values in _readable(corpus):
        count += 1
        model = parse_json(text)
        if format_json(model) != text:
            faults.append(f"{path}: text")
        if format_json(parse_xml(to_xml(model))) != text:
            faults.append(f"{path}: XML")
        data = b"".join(write_dataset(model, values.__getitem__))
        source = MemorySource(data)
        again, kept = _encode(source, Window(source, 0, 8192), 0, EXPLICIT)
        if format_json(_without_charset(parse_json(again))) != format_json(_without_charset(model)):
            faults.append(f"{path}: bytes")
        if kept != values:
            faults.append(f"{path}: bulkdata")
    assert count
    assert not faults


# -- DCMTK ---------------------------------------------------------------------------------------------------


def _witness(path: Path, place: Path) -> tuple[bytes, Model | None]:
    """The file without its pixels, and what dcm2xml says of it; None where it fails."""
    data = strip_pixels(read_path(path))
    source, target = place / "one.dcm", place / "one.xml"
    source.write_bytes(data)
    words = ["dcm2xml", "-nat", "+Xn", "+M", "+Eb", "+U8", str(source), str(target)]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    return data, None if done.returncode else parse_xml(target.read_bytes())


def _pairs(ours: Model, theirs: Model) -> Iterator[tuple[str, Model | None, Model | None]]:
    for key in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(key), theirs.get(key)
        if mine and other and mine["vr"] == other["vr"] == "SQ":
            items, others = mine.get("Value", []), other.get("Value", [])
            if len(items) != len(others):
                yield key, mine, other
            for item, another in zip(items, others, strict=False):
                yield from _pairs(item, another)
        else:
            yield key, mine, other


def _floats(member: Model) -> list[float]:
    return [float(value) for value in member.get("Value", [])]


def _name_difference(ours: Model, theirs: Model) -> str:
    names, others = ([_components(name) for name in side.get("Value", [])] or [{}] for side in (ours, theirs))
    if names == others:
        return "DCMTK drops empty components at the end"
    within = len(names) == len(others) and all(
        name.items() <= other.items() for name, other in zip(names, others, strict=True)
    )
    return "DCMTK repeats a group where the next has none" if within else "unexplained"


def _components(name: Any) -> dict[str, str]:
    """The groups of a name without empty components at their end."""
    return {group: text.rstrip("^") for group, text in (name or {}).items() if text.rstrip("^")}


def _difference(key: str, ours: Model | None, theirs: Model | None, values: dict[str, bytes]) -> str:
    """What a difference is called; `unexplained` if no rule knows it."""
    if ours == theirs:
        return "equal"
    if key == CHARSET:
        return "DCMTK was asked for UTF-8 and says so"
    if ours is None or theirs is None:
        orphan = int(key[:4], 16) & 1 and (theirs is None or key[4:6] == "00")
        return "DCMTK drops the block of a private attribute without creator" if orphan else "unexplained"
    vr = ours["vr"]
    if theirs["vr"] == "UN" and vr != "UN":
        if vr == "SQ":
            return "DCMTK leaves UN what the dictionary knows"
        (element,) = elements_of({key: ours})
        same = value_field(element) == base64.b64decode(theirs.get("InlineBinary", ""))
        return "DCMTK leaves UN what the dictionary knows" if same else "unexplained"
    if vr != theirs["vr"]:
        return "unexplained"
    if "InlineBinary" in theirs:
        field = base64.b64decode(theirs["InlineBinary"])
        mine = (
            values[ours["BulkDataURI"]] if "BulkDataURI" in ours else base64.b64decode(ours["InlineBinary"])
        )
        if field == mine:
            return "long values are bulkdata here"
        return (
            "DCMTK writes words big endian"
            if field == swap_words(mine, WORD_SIZE.get(vr, 1))
            else "unexplained"
        )
    if vr == "PN":
        return _name_difference(ours, theirs)
    if vr == "FL":
        single = [
            [struct.unpack("<f", struct.pack("<f", value)) for value in _floats(side)]
            for side in (ours, theirs)
        ]
        return "DCMTK writes other digits of the same number" if single[0] == single[1] else "unexplained"
    if vr == "FD" and "Value" in ours:
        near = all(
            math.isclose(a, b, rel_tol=1e-15) for a, b in zip(_floats(ours), _floats(theirs), strict=True)
        )
        return "DCMTK writes other digits of the same number" if near else "unexplained"
    return "unexplained"


@pytest.mark.skipif(shutil.which("dcm2xml") is None, reason="DCMTK is not installed")
def test_the_xml_is_that_of_dcmtk_but_for_what_is_explained(corpus: Corpus, tmp_path: Path) -> None:
    used: Counter[str] = Counter()
    faults = []
    for path in corpus.valid[::STRIDE]:
        data, theirs = _witness(path, tmp_path)
        if theirs is None:
            used["DCMTK fails"] += 1
            continue
        text, values = metadata_of(data)
        for key, mine, other in _pairs(parse_xml(to_xml(parse_json(text))), theirs):
            said = _difference(key, mine, other, values)
            used[said] += 1
            if said == "unexplained":
                faults.append(f"{path}: {key}: {str(mine)[:100]} | {str(other)[:100]}")
    assert not faults
    assert used["equal"] > 10 * (used.total() - used["equal"])
