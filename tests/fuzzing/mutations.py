"""Faults for files: what wires, disks and hostile senders do to bytes, aimed at the headers of elements.

One rule: the same random state and the same bytes give the same faults, on every machine.
"""

import re
import struct
from collections.abc import Callable
from random import Random

LENGTHS = (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0xFFFF, 0x10000, 0, 1, 3, 0xFFFFFFF8, 0x20000000)
VRS = tuple(
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT "
    "UV".split()
)
TEXTS = (
    b"..", b"../../../etc/passwd", b"/", b"\0", b"1..2", b"1.2\0.3", b"1.2/..", b".1", b"2.25.", b"\\",
    b"\x1b",
    b"\x1b$B", b"\x1b$)C", b"\x1b(J", b"\x1b-F", b"\x1b$(D", b"\x1b$)A", b"\xff\xfe", b"\xed\xa0\x80",
    b"\xc0\x80", b"\xf4\x90\x80\x80", b"^^^^^=^=^==", b"1e999", b"-0", b"+.e", b"1E-400", b"9" * 40, b"-1",
    b"0",
    b"nan", b"inf", b"2147483648", b"ISO 2022 IR 87", b"ISO_IR 192", b"GB18030",
    b"ISO 2022 IR 13\\ISO 2022 IR 149", b"\\ISO_IR 6", b'"', b"\x7f", b"\x80",
)  # fmt: skip
"""What is written over values."""
IMAGE_TAGS = (0x0002, 0x0003, 0x0006, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103)
"""Elements of group 0028 that say what a frame is."""
WORDS = (0, 1, 2, 3, 7, 8, 12, 16, 31, 32, 33, 63, 64, 65, 255, 0x7FFF, 0x8000, 0xFFFF)
COUNTS = (
    b"0 ",
    b"-1",
    b"1 ",
    b"2 ",
    b"99999999",
    b"2147483647",
    b"4294967296",
    b"1e9 ",
    b"1\\2 ",
    b"  ",
    b"\xff ",
)
_HEADER = re.compile(
    rb"(?:..[\x00-\xff]{2}(?=(?:" + "|".join(VRS).encode() + rb")))|(?:\xfe\xff[\x00\x0d\xdd]\xe0)"
    rb"|(?:[\x02\x08\x10\x18\x20\x28\x40]\x00..(?=..\x00\x00))|(?:\xe0\x7f..)",
    re.DOTALL,
)

Spots = list[int]
"""Where the headers of elements and items seem to be."""
Fault = Callable[[Random, bytearray, Spots, bytes], None]


def find_spots(data: bytes) -> Spots:
    """Offsets in `data` where a tag seems to stand; 0 and the end always among them."""
    return [0, *(found.start() for found in _HEADER.finditer(data)), len(data)]


def mutate(random: Random, data: bytes, spots: Spots, other: bytes) -> bytes:
    """`data` with one to four faults; `other` is another file, from which pieces are taken."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 1, 2, 2, 3, 4))):
        random.choice(FAULTS)(random, changed, spots, other)
    return bytes(changed)


def _place(random: Random, data: bytearray, spots: Spots) -> int:
    """An offset, in three of four cases in or near a header."""
    if random.random() < 0.75:
        return min(random.choice(spots) + random.choice((0, 0, 2, 4, 6, 8, 8, 12)), len(data))
    return random.randrange(len(data) + 1)


def _number(random: Random, data: bytearray) -> int:
    near = (len(data), len(data) + 1, len(data) - 1, random.randrange(len(data) + 1), random.randrange(64))
    return random.choice((*LENGTHS, *near)) & 0xFFFFFFFF


def flip(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    at = _place(random, data, spots)
    data[at : at + 1] = bytes(byte ^ 1 << random.randrange(8) for byte in data[at : at + 1])


def set_byte(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    at = _place(random, data, spots)
    size = random.choice((1, 1, 1, 2, 4))
    data[at : at + size] = random.choice((random.randbytes(size), b"\0" * size, b"\xff" * size))


def truncate(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    del data[_place(random, data, spots) :]


def insert(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    at = _place(random, data, spots)
    data[at:at] = random.choice((random.randbytes(random.randint(1, 12)), b"\0" * random.randint(1, 200)))


def delete(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    at = _place(random, data, spots)
    del data[at : at + random.choice((1, 2, 4, 8, random.randint(1, 64)))]


def splice(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """The head of one file and the tail of another, or a piece of it in the middle."""
    at, start = _place(random, data, spots), random.randrange(len(other) + 1)
    end = len(data) if random.random() < 0.5 else at
    data[at:end] = other[start : start + random.choice((8, 64, 512, len(other)))]


def lie_length(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """A length field, short or long, says something else."""
    at = min(random.choice(spots), len(data))
    number, order = _number(random, data), random.choice("<<<>")
    match random.randrange(3):
        case 0:
            data[at + 4 : at + 8] = struct.pack(order + "I", number)
        case 1:
            data[at + 6 : at + 8] = struct.pack(order + "H", number & 0xFFFF)
        case _:
            data[at + 8 : at + 12] = struct.pack(order + "I", number)


def change_vr(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    at = min(random.choice(spots), len(data)) + 4
    data[at : at + 2] = random.choice((*VRS, "ZZ", "ox", "??", "\0\0", "QQ")).encode()


def change_tag(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """Another tag, or that of another element: repeated, swapped, private, of group 0002, a delimiter."""
    at = min(random.choice(spots), len(data))
    from_at = random.choice(spots)
    marks = (
        0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00020010, 0x00080005, 0x00280103, 0x00091001, 0x00090010,
        0x7FE00010,
        0x7FE00001, 0x7FE00002, 0x7FE00008, 0x00080000, 0, 0x0020000D, 0x00080018,
    )  # fmt: skip
    mark = random.choice(marks)
    tag = random.choice((bytes(data[from_at : from_at + 4]), struct.pack("<HH", mark >> 16, mark & 0xFFFF)))
    if random.random() < 0.3:
        data[from_at : from_at + 4] = data[at : at + 4]
    data[at : at + 4] = tag


def repeat(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """A run of elements stands again somewhere, or many times."""
    index = random.randrange(len(spots))
    start, end = spots[index], spots[min(index + random.choice((1, 1, 2, 5)), len(spots) - 1)]
    at = min(random.choice((start, random.choice(spots))), len(data))
    piece = bytes(data[start:end])[:4096]
    data[at:at] = piece * random.choice((1, 1, 2, 50))


def mark(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """An item or a delimiter where none belongs."""
    at = _place(random, data, spots)
    made = struct.pack("<HHI", 0xFFFE, random.choice((0xE000, 0xE00D, 0xE0DD)), _number(random, data))
    end = at + random.choice((0, 8))
    data[at:end] = made


def put_text(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """Hostile text over a value: paths in UIDs, escapes, numbers that are none."""
    at = min(random.choice(spots) + 8, len(data))
    text = random.choice(TEXTS)
    data[at : at + (len(text) if random.random() < 0.8 else 0)] = text


def lie_image(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """Rows, Columns, Bits Allocated and the like at their extremes."""
    element = random.choice(IMAGE_TAGS)
    at = data.find(struct.pack("<HH", 0x28, element))
    order = "<"
    if at < 0:
        at, order = data.find(struct.pack(">HH", 0x28, element)), ">"
    if at < 0:
        return
    if element == 0x0008:
        count = random.choice(COUNTS)
        data[at + 8 : at + 8 + len(count)] = count
        data[at + 6 : at + 8] = struct.pack(order + "H", len(count))
    else:
        data[at + 8 : at + 10] = struct.pack(order + "H", random.choice(WORDS))


def lie_offsets(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """The Basic Offset Table, or the items behind it, say something else."""
    at = data.find(b"\xe0\x7f\x10\0")
    at = data.find(b"\xfe\xff\0\xe0", max(at, 0))
    if at < 0:
        return
    entries = random.choice((0, 1, 2, 3, 8))
    offsets = [
        random.choice((0, 8, _number(random, data), random.randrange(1 << 12))) for _ in range(entries)
    ]
    table = struct.pack(f"<{entries}I", *offsets)
    said = len(table) if random.random() < 0.7 else _number(random, data)
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    end = at + 8 + (length if length < 1 << 16 else 0)
    data[at:end] = struct.pack("<HHI", 0xFFFE, 0xE000, said) + table


def add_private(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """A private creator that is odd, and an element of its block."""
    at = min(random.choice(spots), len(data))
    group, block = random.choice((0x0009, 0x0029, 0x2001, 0x0001, 0xFFFF)), random.choice((0x10, 0xFF, 0x01))
    creator = random.choice((b"", b"SIEMENS CSA HEADER", b"\xff" * 70, b"X" * 300, b"Philips Imaging DD 001"))
    if random.random() < 0.5:
        made = struct.pack("<HH2sH", group, block, b"LO", len(creator)) + creator
        made += struct.pack("<HH2sHI", group, block << 8 | 1, b"UN", 0, 4) + b"abcd"
    else:
        made = struct.pack("<HHI", group, block, len(creator)) + creator
        made += struct.pack("<HHI", group, block << 8 | 1, random.choice((4, 0xFFFFFFFF))) + b"abcd"
    data[at:at] = made


def swell(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """A value becomes long: digits, separators or escapes by the ten thousands, its length told truly."""
    at = min(random.choice(spots), len(data))
    text = random.choice(
        (b"1", b"1\\", b"\\", b"0", b"\x1b$B", b"^=", b"9.", b"\xc3\xa9", b"1.")
    ) * random.choice((*(30, 900) * 8, 9000))
    text = text[: len(text) // 2 * 2] + random.choice((b"", b"x ", b"e-", b"\xff\xff"))
    vr = random.choice((b"DS", b"IS", b"PN", b"LO", b"UI", b"UT", b"UC", b"LT", b"AT"))
    long = vr in (b"UT", b"UC")
    head = (
        struct.pack("<4s2sHI", data[at : at + 4], vr, 0, len(text))
        if long
        else struct.pack("<4s2sH", data[at : at + 4], vr, len(text) & 0xFFFF)
    )
    data[at:at] = head + text


FAULTS: tuple[Fault, ...] = (
    flip, flip, set_byte, set_byte, truncate, insert, delete, splice, lie_length, lie_length, lie_length,
    change_vr, change_vr, change_tag, change_tag, repeat, mark, mark, put_text, put_text, lie_image,
    lie_offsets,
    add_private, swell,
)  # fmt: skip
