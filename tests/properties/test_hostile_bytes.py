"""Whatever bytes come: a data set, or an error of ours; valid JSON; work in proportion to the bytes."""

import json
import random
import struct
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staticwado.dicom.elements import Window
from staticwado.dicom.jsonmodel import Bulk, Encoder
from staticwado.dicom.part10 import parse
from staticwado.dicom.sources import ByteSource
from staticwado.errors import BrokenDicom, StaticWadoError
from tests.factories import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    NATIVE,
    PIXEL_DATA,
    RLE,
    Element,
    codestream,
    element,
    encapsulate,
    instance,
    nested,
    pixels,
    sequence,
)
from tests.properties.test_encoder import VARIANTS

SYNTAXES = [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, JPEG_BASELINE, RLE]
_LENGTHS = [0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0x10000, 0, 1, 3]
_VRS = [vr.encode() for vr in "OB OW SQ UN UT UC US SS AT PN LO DS IS FD UV ZZ".split()]
_MARKS = [0xE000, 0xE00D, 0xE0DD]


class Counting:
    """A source that counts what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self.data[offset : offset + length]

    def read_into(self, offset: int, view: memoryview) -> int:
        raise NotImplementedError


def inflate(source: ByteSource, offset: int) -> ByteSource:
    try:
        return Counting(zlib.decompressobj(-15).decompress(source.read(offset, source.size), 1 << 22))
    except zlib.error as error:
        raise BrokenDicom(str(error)) from error


def make(random: random.Random) -> bytes:
    """A file with some of everything in it."""
    syntax = random.choice(SYNTAXES)
    extra = [random.choice(VARIANTS[tag]) for tag in VARIANTS if tag < PIXEL_DATA and random.random() < 0.3]
    if syntax != IMPLICIT:
        icon = Element(PIXEL_DATA, "OB", encapsulate([b"ab" * 9])[0])
        undefined = random.random() < 0.5
        extra.append(sequence("IconImageSequence", [element("Rows", 2), icon], undefined=undefined))
    image: dict[str, Any] = {}
    if random.random() < 0.7:
        frames = pixels(2, 2, 2) if syntax in NATIVE else [codestream(20)]
        image = {"frames": frames, "rows": 2, "columns": 2}
    tail = nested(random.randint(1, 6), undefined=random.random() < 0.5) if random.random() < 0.2 else b""
    whole = random.random() < 0.9
    return instance(
        syntax=syntax,
        extra=extra,
        preamble=whole,
        meta=whole,
        raw=tail,
        ordered=random.random() < 0.8,
        **image,
    )


def mutate(random: random.Random, whole: bytes) -> bytes:
    """`whole` with a few faults."""
    data = bytearray(whole)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        at = random.randrange(len(data) + 1)
        match random.randrange(8):
            case 0:
                data[at : at + 1] = bytes(byte ^ 1 << random.randrange(8) for byte in data[at : at + 1])
            case 1:
                data[at : at + 1] = random.randbytes(1)
            case 2:
                data[at : at + 4] = struct.pack(random.choice("<>") + "I", random.choice(_LENGTHS))
            case 3:
                del data[at:]
            case 4:
                data[at:at] = random.randbytes(random.randint(1, 12))
            case 5:
                del data[at : at + random.randint(1, 12)]
            case 6:
                data[at : at + 2] = random.choice(_VRS)
            case _:
                data[at : at + 8] = struct.pack(
                    "<HHI", 0xFFFE, random.choice(_MARKS), random.choice(_LENGTHS)
                )
    return bytes(data)


def check(encoder: Encoder, kept: list[Bulk], data: bytes, window: int) -> bool:
    """Read `data`; whether it was a data set."""
    file = Counting(data)
    kept.clear()
    source: ByteSource = file
    try:
        part10 = parse(file, inflate, window)
        source = part10.source
        dataset = encoder.encode(part10.window, part10.start, source.size, part10.syntax)
        if dataset.pixels is not None and dataset.pixels.encapsulated:
            behind = (dataset.end + source.size) // 2
            encoder.resume(dataset, Window(source, behind), behind, source.size, part10.syntax)
    except StaticWadoError:
        return False
    finally:
        assert file.reads <= 20 + len(data) // 2
    found = json.loads(dataset.to_json().decode("utf-8"), parse_constant=_refuse)
    assert list(found) == sorted(found)
    for tag, attribute in found.items():
        assert set(attribute) <= {"vr", "Value", "InlineBinary", "BulkDataURI"}
        assert len(attribute) <= 2
        assert tag[4:] != "0000"
        assert tag[:4] != "0002"
    for bulk in kept:
        assert all(span.offset >= 0 and span.end <= source.size for span in bulk.spans)
    for known in (0x0020000D, 0x00280010, 0x00280008, 0x00080005):
        dataset.value(known)
        dataset.text(known)
        dataset.texts(known)
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _encoder() -> tuple[Encoder, list[Bulk]]:
    kept: list[Bulk] = []

    def keep(bulk: Bulk) -> str:
        kept.append(bulk)
        return "x"

    return Encoder(keep), kept


@pytest.mark.parametrize("seed", range(6))
def test_files_with_faults_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    encoder, kept = _encoder()
    whole = [make(chance) for _ in range(40)]
    read = sum(
        check(encoder, kept, mutate(chance, chance.choice(whole)), chance.choice([200, 8192]))
        for _ in range(500)
    )
    assert 100 < read < 500


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_files_cut_short_at_any_byte_are_read_or_refused(syntax: str) -> None:
    frames = pixels(2, 2, 2) if syntax in NATIVE else [codestream(20)]
    icon = sequence("IconImageSequence", [element("Rows", 2)], [], undefined=True, undefined_items=True)
    data = instance(syntax=syntax, frames=frames, rows=2, columns=2, extra=[icon])
    encoder, kept = _encoder()
    for length in range(len(data)):
        check(encoder, kept, data[:length], 8192)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.sampled_from(SYNTAXES), st.booleans())
def test_random_bytes_are_read_or_refused(data: bytes, syntax: str, headed: bool) -> None:
    head = instance(syntax=syntax)
    check(*_encoder(), (head[: len(head) - 40] if headed else b"\x08\0\x05\0") + data, 8192)
