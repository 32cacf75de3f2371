"""The frames of a file as a client must get them, and their media type (PS3.5 8, A.4; PS3.18 8.7.3).

Native frames are little endian and start on a byte boundary; encapsulated frames are the codestream of all
their fragments. Nothing here comes from the product; where a file leaves several readings open,
`Expected.also` holds them.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

from tests.truth import part10
from tests.truth.part10 import EXPLICIT, NATIVE, PIXEL_DATA, Dataset, Node

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
FLOAT, DOUBLE = 0x7FE00008, 0x7FE00009
_FOUR = "1.2.840.10008.1.2.4."

MEDIA_TYPES: dict[str, str] = {
    RLE: "image/dicom-rle",
    **dict.fromkeys([_FOUR + str(number) for number in (*range(50, 71),)], "image/jpeg"),
    **dict.fromkeys([_FOUR + "80", _FOUR + "81"], "image/jls"),
    **dict.fromkeys([_FOUR + "90", _FOUR + "91"], "image/jp2"),
    **dict.fromkeys([_FOUR + "92", _FOUR + "93"], "image/jpx"),
    **dict.fromkeys([_FOUR + "201", _FOUR + "202", _FOUR + "203"], "image/jphc"),
    **dict.fromkeys([_FOUR + "110", _FOUR + "111", _FOUR + "112"], "image/jxl"),
    **dict.fromkeys([_FOUR + number for number in ("100", "100.1", "101", "101.1")], "video/mpeg"),
    **dict.fromkeys(
        [_FOUR + f"{number}{end}" for number in range(102, 107) for end in ("", ".1")], "video/mp4"
    ),
    **dict.fromkeys([_FOUR + "107", _FOUR + "108"], "video/H265"),
}
"""CONFORMANCE 3.6; what is not here is served as application/octet-stream."""

_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ", b"\xff\x0a")
"""What a JPEG or JPEG-LS, JPEG 2000, JP2 and JPEG XL codestream begins with."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `also` are other byte strings that are right too (a pad byte left out)."""

    data: bytes
    also: tuple[bytes, ...] = ()

    def is_right(self, payload: bytes) -> bool:
        return payload == self.data or payload in self.also


@dataclass(frozen=True, slots=True)
class Expected:
    """What the archive must hold of a file's pixels."""

    frames: list[Frame]
    media_type: str
    syntax: str
    """The transfer syntax that the part's Content-Type must name."""


def is_known(syntax: str) -> bool:
    """Whether `syntax` is one of the transfer syntaxes that this module understands."""
    return syntax in NATIVE | {ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES} or syntax in MEDIA_TYPES


def media_type_of(syntax: str) -> tuple[str, str]:
    """(media type, transfer syntax) in which frames of `syntax` are served unchanged."""
    media_type = MEDIA_TYPES.get(syntax, "application/octet-stream")
    return media_type, EXPLICIT if media_type == "application/octet-stream" else syntax


def pixel_node(dataset: Dataset) -> Node | None:
    """The top-level Pixel Data, Float Pixel Data or Double Float Pixel Data."""
    for tag in (PIXEL_DATA, FLOAT, DOUBLE):
        if tag in dataset.nodes:
            return dataset.nodes[tag]
    return None


def swap_cells(data: bytes, bits: int, vr: str) -> bytes:
    """Big endian pixels as little endian (PS3.5 8.1.1): cells by their bits; 8 or 1 bit in OW by words."""
    width = bits // 8 if bits >= 16 else (2 if vr == "OW" else 1)
    cells = bytearray(data)
    whole = len(data) - len(data) % width
    for offset in range(width if width > 1 else 0):
        cells[offset:whole:width] = data[width - 1 - offset : whole : width]
    return bytes(cells)


def count_of(dataset: Dataset) -> int:
    return max(1, dataset.number(part10.NUMBER_OF_FRAMES, 1))


def frame_bits(dataset: Dataset, node: Node) -> tuple[int, int]:
    """(bits of one native frame, bits allocated)."""
    bits = {FLOAT: 32, DOUBLE: 64}.get(node.tag) or dataset.number(0x00280100)
    samples = dataset.number(0x00280002, 1)
    if dataset.text(0x00280004).endswith("_422"):
        samples = 2  # two luminance samples share their chrominance (PS3.3 C.7.6.3.1.2)
    return dataset.number(0x00280010) * dataset.number(0x00280011) * samples * bits, bits


def split_native(value: bytes, count: int, size: int) -> list[bytes]:
    """`count` frames of `size` bits, each moved to a byte boundary; the first bit is the lowest."""
    if size % 8 == 0:
        step = size // 8
        return [value[number * step : (number + 1) * step] for number in range(count)]
    whole = int.from_bytes(value, "little")
    mask = (1 << size) - 1
    return [(whole >> number * size & mask).to_bytes((size + 7) // 8, "little") for number in range(count)]


def _by_offsets(fragments: list[bytes], starts: list[int]) -> list[bytes] | None:
    """Fragments joined by a table of offsets, or None if an offset is not where a fragment starts."""
    at, places = 0, {}
    for number, fragment in enumerate(fragments):
        places[at] = number
        at += 8 + len(fragment)
    if not starts or starts[0] != 0 or any(start not in places for start in starts):
        return None
    cuts = [places[start] for start in starts] + [len(fragments)]
    if sorted(set(cuts)) != cuts:
        return None
    return [b"".join(fragments[a:b]) for a, b in pairwise(cuts)]


def _by_starts(fragments: list[bytes], count: int) -> list[bytes] | None:
    heads = [n for n, fragment in enumerate(fragments) if fragment.startswith(_STARTS)]
    if len(heads) != count or heads[0] != 0:
        return None
    cuts = [*heads, len(fragments)]
    return [b"".join(fragments[a:b]) for a, b in pairwise(cuts)]


def _longs(dataset: Dataset, tag: int) -> list[int]:
    node = dataset.nodes.get(tag)
    return list(struct.unpack(f"<{len(node.raw) // 8}Q", node.raw)) if node is not None else []


def split_fragments(dataset: Dataset, node: Node) -> list[bytes]:
    """The codestream of each frame. Raises Unreadable where the file does not say which fragment is whose."""
    table, *fragments = node.fragments or [b""]
    count = count_of(dataset)
    if dataset.syntax in MEDIA_TYPES and MEDIA_TYPES[dataset.syntax].startswith("video/"):
        return [b"".join(fragments)]
    starts, lengths = _longs(dataset, 0x7FE00001), _longs(dataset, 0x7FE00002)
    if len(starts) == count:
        joined = _by_offsets(fragments, starts)
        if joined is not None:
            if len(lengths) == count:
                return [data[:length] for data, length in zip(joined, lengths, strict=True)]
            return joined
    if count == 1:
        return [b"".join(fragments)]
    basic = list(struct.unpack(f"<{len(table) // 4}I", table))
    if len(basic) == count:
        joined = _by_offsets(fragments, basic)
        if joined is not None:
            return joined
    if len(fragments) == count:
        return fragments
    joined = _by_starts(fragments, count)
    if joined is None:
        raise part10.Unreadable(f"{len(fragments)} fragments for {count} frames")
    return joined


def _without_pad(data: bytes) -> tuple[bytes, ...]:
    """The codestream without the bytes that may pad it to an even length (PS3.5 A.4)."""
    return (data[:-1],) if data[-1:] in (b"\0", b"\xff") else ()


def expected_frames(dataset: Dataset) -> Expected | None:
    """What the archive must hold, or None without pixels. Raises Unreadable where it is not decided."""
    node = pixel_node(dataset)
    if node is None or (not node.raw and node.fragments is None):
        return None
    media_type, syntax = media_type_of(dataset.syntax)
    size, bits = frame_bits(dataset, node)
    if node.fragments is None:
        value = node.raw if node.order == "<" else swap_cells(node.raw, bits, node.vr)
        count = count_of(dataset)
        if len(value) * 8 < size * count or size == 0:
            raise part10.Unreadable(f"{len(value)} bytes for {count} frames of {size} bits")
        return Expected([Frame(data) for data in split_native(value, count, size)], media_type, syntax)
    if dataset.syntax in NATIVE:
        raise part10.Unreadable("encapsulated pixels in a native transfer syntax")
    streams = split_fragments(dataset, node)
    if dataset.syntax == DEFLATED_FRAMES:
        streams = [zlib.decompressobj(-15).decompress(stream) for stream in streams]
    if media_type == "application/octet-stream":
        return Expected([Frame(stream[: (size + 7) // 8]) for stream in streams], media_type, syntax)
    return Expected([Frame(stream, _without_pad(stream)) for stream in streams], media_type, syntax)
