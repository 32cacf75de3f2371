"""Bombs: files that are whole, and ask for more time or memory than their size.

One rule: a bomb is small; what it asks for is not.
"""

import struct
import zlib
from random import Random
from typing import Any

from tests.factories import (
    BIG_ENDIAN,
    DEFLATED,
    DEFLATED_FRAMES,
    EXPLICIT,
    IMPLICIT,
    NATIVE,
    PIXEL_DATA,
    Element,
    Encoding,
    Fragments,
    codestream,
    element,
    encode,
    instance,
    nested,
    noise,
    sequence,
)
from tests.fuzzing.seeds import SYNTAXES


def bomb(random: Random) -> bytes:
    """A file that is built to cost time or memory."""
    return random.choice((_deep, _inflating, _tables, _wide, _long_texts, _extremes, _escapes, _sequences))(
        random
    )


def _deep(random: Random) -> bytes:
    syntax = random.choice((EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED))
    depth = random.choice((*(10, 200, 1100) * 4, 5000))
    undefined = random.random() < 0.6
    raw = nested(depth if undefined else min(depth, 1100), undefined=undefined, syntax=syntax)
    raw = raw[: len(raw) - random.choice((0, 0, 8, len(raw) // 2))]
    return instance(syntax=syntax, raw=raw)


def _inflating(random: Random) -> bytes:
    """A thousand bytes of one; elements in it, or zeros, or another deflate stream."""
    size = random.choice((*(1 << 12, 1 << 16) * 8, 1 << 20, 1 << 22))
    body = encode([element("PatientID", "P1"), element("StudyInstanceUID", "1.2")], Encoding())
    body += random.choice((b"\0" * size, struct.pack("<HH2sH", 0x0028, 0x0010, b"US", 2) * (size // 8)))
    for _ in range(random.choice((1, 1, 2))):
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = squeezer.compress(body) + squeezer.flush()
    whole = instance(syntax=DEFLATED)
    start = instance(syntax=DEFLATED).find(b"1.2.840.10008.1.2.1.99") + 40
    head = whole[: max(start, 0)]
    frames = [b"\0" * 32] * 2
    framed = instance(syntax=DEFLATED_FRAMES, frames=frames, rows=4, columns=4)
    return random.choice((head + body, framed.replace(b"\x63\x60\x20", body[:60000])))


def _tables(random: Random) -> bytes:
    """Offset tables that point anywhere; fragments that are many, empty, or of odd length."""
    count = random.choice((1, 2, 5, 300))
    pieces = tuple(random.choice((b"", b"\xff\xd8\xff", codestream(8), b"\xff\xd9")) for _ in range(count))
    entries = random.choice((0, 1, count, count + 1, 4000))
    table = struct.pack(
        f"<{entries}I", *(random.choice((0, 8, 16, random.getrandbits(32))) for _ in range(entries))
    )
    table = table[: len(table) - random.choice((0, 0, 1))]
    extra = [Element(PIXEL_DATA, "OB", Fragments(table, pieces, random.random() < 0.8))]
    if random.random() < 0.5:
        for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            many = random.choice((0, 1, count, 4000))
            numbers = (random.choice((0, 8, 1 << 63, random.getrandbits(64))) for _ in range(many))
            extra.append(element(name, struct.pack(f"<{many}Q", *numbers)))
    shape: dict[str, Any] = {
        "Rows": 4,
        "Columns": 4,
        "BitsAllocated": random.choice((8, 16)),
        "SamplesPerPixel": 1,
    }
    return instance(
        syntax=random.choice(SYNTAXES[4:]),
        extra=extra,
        NumberOfFrames=random.choice((None, 1, count, 0, 99999)),
        **shape,
    )


def _wide(random: Random) -> bytes:
    """Thousands of empty elements, ascending or all the same."""
    count, same = random.choice((*(10, 100, 3000) * 3, 9000)), random.random() < 0.3
    vr = random.choice((b"US", b"LO", b"PN", b"UI"))
    raw = b"".join(
        struct.pack(
            "<HH2sH", 0x0019 if same else 0x0011 + 2 * (n >> 8), 0x1000 + (0 if same else n & 255), vr, 0
        )
        for n in range(count)
    )
    return instance(raw=raw)


def _long_texts(random: Random) -> bytes:
    """Digits by the megabyte."""
    size = random.choice((*(2000, 20_000, 60_000) * 8, 1 << 20, (1 << 20) + 2))
    text = random.choice((b"1", b"1\\", b"1.5\\", b"\\", b"0", b"1e1\\", b"^", b"=", b"\x1b$B0\\"))
    value = (text * (size // len(text) + 1))[:size]
    if random.random() < 0.5:  # what a pattern that has matched so far must give back
        value = value[:-2] + random.choice((b"x ", b".x", b"e9", b"\xff ", b"--"))
    vr = random.choice(("UT", "UC", "UR", "UN", "OB"))
    tag = random.choice((0x0040A160, 0x00101030, 0x00200013, 0x00280008, 0x00100010, 0x00080005, 0x00091001))
    if random.random() < 0.5:
        return instance(syntax=IMPLICIT, extra=[Element(tag, "LO", value)])
    return instance(extra=[Element(tag, vr, value)])


def _extremes(random: Random) -> bytes:
    """Image Pixel attributes that do not go with the pixels, in any syntax."""
    values = (0, 1, 7, 8, 16, 32, 33, 64, 255, 0x7FFF, 0xFFFF)
    shape: dict[str, Any] = {
        name: random.choice(values)
        for name in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "BitsStored")
        if random.random() < 0.6
    }
    frames = random.choice(([b"\0" * 32], [b"", b""], [noise(64, random.random())], [codestream(30)] * 3))
    shape["NumberOfFrames"] = random.choice(
        (None, "0", "-1", "2147483647", "99999999999", "1e5", "1\\2", "x")
    )
    shape["PhotometricInterpretation"] = random.choice((None, "YBR_FULL_422", "PALETTE COLOR", "X" * 300))
    syntax = random.choice(SYNTAXES)
    return instance(
        syntax=syntax, frames=frames, **{name: value for name, value in shape.items() if value is not None}
    )


def _escapes(random: Random) -> bytes:
    """Text in any character set, with any escape sequences and any bytes."""
    terms = (
        "", "ISO_IR 100", "ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 58",
        "GB18030", "GBK",
        "ISO_IR 192", "ISO_IR 13", "ISO 2022 IR 13", "ISO 2022 IR 159", "ISO_IR 166", "ISO" + " " * 900 + "x",
        "ISO-" * 60, "8859" * 20,
    )  # fmt: skip
    pieces = (
        b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b)I", b"\x1b$)C", b"\x1b$)A", b"\x1b$(D", b"\x1b-A", b"\x1b",
        b"^",
        b"=", b"\\", b"\xa1", b"\xff", b"\x81", b"\x7e", b"a", b"\x5c", b"\0", b"\x85", b"\xe3\x81\x82",
    )  # fmt: skip
    value = b"".join(random.choices(pieces, k=random.choice((1, 3, 8, 40)))) + random.randbytes(
        random.randrange(6)
    )
    names = (
        "PatientName",
        "PatientComments",
        "StudyDescription",
        "ContrastBolusAgent",
        "TextValue",
        "StudyID",
    )
    extra = [element(name, value) for name in names if random.random() < 0.5]
    inner = sequence("ContentSequence", [element("SpecificCharacterSet", random.choice(terms)), *extra])
    charset = element("SpecificCharacterSet", random.choices(terms, k=random.choice((1, 1, 2, 3))))
    return instance(syntax=random.choice(NATIVE), extra=[charset, inner, *extra])


def _sequences(random: Random) -> bytes:
    """Items by the thousand, empty ones, and lengths of both kinds at odds with each other."""
    items = [
        [element("Rows", 1)] if random.random() < 0.5 else [] for _ in range(random.choice((1, 50, 2000)))
    ]
    made = sequence(
        random.choice(("ReferencedImageSequence", "ContentSequence", 0x00091001)),
        *items,
        undefined=random.random() < 0.5,
        undefined_items=random.random() < 0.5,
        delimited=random.random() < 0.8,
        vr=random.choice(("SQ", "SQ", "UN")),
    )
    return instance(syntax=random.choice((EXPLICIT, IMPLICIT, BIG_ENDIAN)), extra=[made])
