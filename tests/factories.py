"""DICOM files for tests, made from keywords: any transfer syntax, and the faults that real files have.

The bytes are written here and not by pydicom, because the point is to write what pydicom would refuse or
repair. Everything is deterministic: the same call gives the same bytes everywhere. Sources: PS3.5 7 (data
set) and annex A (transfer syntaxes, encapsulation), PS3.10 7 (file meta information).

    data = instance(PatientName="Doe^Jane", frames=pixels(4, 4, 2), rows=4, columns=4)
    data = instance(syntax=BIG_ENDIAN, extra=[element("RedPaletteColorLookupTableData", b"...", vr="OW")])
    data = instance(syntax=JPEG_BASELINE, frames=[b"one", b"two"], offsets="empty", fragments=2)
    data = instance(preamble=False, meta=False, syntax=IMPLICIT)
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
MPEG4 = "1.2.840.10008.1.2.4.102"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""Explicit VRs with a 32-bit length (PS3.5 7.1.2)."""
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

_KEYWORDS: dict[str, tuple[int, str]] = {
    "SpecificCharacterSet": (0x00080005, "CS"),
    "ImageType": (0x00080008, "CS"),
    "SOPClassUID": (0x00080016, "UI"),
    "SOPInstanceUID": (0x00080018, "UI"),
    "StudyDate": (0x00080020, "DA"),
    "StudyTime": (0x00080030, "TM"),
    "AccessionNumber": (0x00080050, "SH"),
    "Modality": (0x00080060, "CS"),
    "Manufacturer": (0x00080070, "LO"),
    "ReferringPhysicianName": (0x00080090, "PN"),
    "StudyDescription": (0x00081030, "LO"),
    "SeriesDescription": (0x0008103E, "LO"),
    "ReferencedImageSequence": (0x00081140, "SQ"),
    "ReferencedSOPClassUID": (0x00081150, "UI"),
    "ReferencedSOPInstanceUID": (0x00081155, "UI"),
    "PatientName": (0x00100010, "PN"),
    "PatientID": (0x00100020, "LO"),
    "PatientBirthDate": (0x00100030, "DA"),
    "PatientSex": (0x00100040, "CS"),
    "PatientWeight": (0x00101030, "DS"),
    "PatientComments": (0x00104000, "LT"),
    "ContrastBolusAgent": (0x00180010, "LO"),
    "StudyInstanceUID": (0x0020000D, "UI"),
    "SeriesInstanceUID": (0x0020000E, "UI"),
    "StudyID": (0x00200010, "SH"),
    "SeriesNumber": (0x00200011, "IS"),
    "InstanceNumber": (0x00200013, "IS"),
    "ImagePositionPatient": (0x00200032, "DS"),
    "ImageOrientationPatient": (0x00200037, "DS"),
    "SamplesPerPixel": (0x00280002, "US"),
    "PhotometricInterpretation": (0x00280004, "CS"),
    "PlanarConfiguration": (0x00280006, "US"),
    "NumberOfFrames": (0x00280008, "IS"),
    "FrameIncrementPointer": (0x00280009, "AT"),
    "Rows": (0x00280010, "US"),
    "Columns": (0x00280011, "US"),
    "PixelSpacing": (0x00280030, "DS"),
    "BitsAllocated": (0x00280100, "US"),
    "BitsStored": (0x00280101, "US"),
    "HighBit": (0x00280102, "US"),
    "PixelRepresentation": (0x00280103, "US"),
    "SmallestImagePixelValue": (0x00280106, "US"),
    "WindowCenter": (0x00281050, "DS"),
    "WindowWidth": (0x00281051, "DS"),
    "RescaleIntercept": (0x00281052, "DS"),
    "RescaleSlope": (0x00281053, "DS"),
    "RedPaletteColorLookupTableData": (0x00281201, "OW"),
    "IconImageSequence": (0x00880200, "SQ"),
    "EncapsulatedDocument": (0x00420011, "OB"),
    "MIMETypeOfEncapsulatedDocument": (0x00420012, "LO"),
    "ContentSequence": (0x0040A730, "SQ"),
    "TextValue": (0x0040A160, "UT"),
    "ExtendedOffsetTable": (0x7FE00001, "OV"),
    "ExtendedOffsetTableLengths": (0x7FE00002, "OV"),
    "FloatPixelData": (0x7FE00008, "OF"),
    "DoubleFloatPixelData": (0x7FE00009, "OD"),
    "PixelData": (PIXEL_DATA, "OW"),
}


@dataclass(frozen=True, slots=True)
class Items:
    """The value of a sequence, and how its lengths are written."""

    items: tuple[tuple["Element", ...], ...]
    undefined: bool = False
    undefined_items: bool = False
    delimited: bool = True
    """False leaves out the delimiters that end undefined lengths: a fault."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """The value of encapsulated Pixel Data: the offset table item, then the fragments (PS3.5 A.4)."""

    table: bytes
    fragments: tuple[bytes, ...]
    delimited: bool = True
    """False leaves out the Sequence Delimitation Item: a fault."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element to be written.

    `value`: text, a number, a sequence of either, bytes (little endian; words are swapped for big endian),
    Items or Fragments. `length` overrides the length field and `pad` the padding, to lie.
    """

    tag: int
    vr: str
    value: Any = b""
    length: int | None = None
    pad: bytes | None = None


def lookup(name: int | str) -> tuple[int, str]:
    """Tag and VR of a keyword or tag; pydicom's dictionary knows what the small table here does not."""
    if isinstance(name, int):
        return name, dict(_KEYWORDS.values()).get(name, "UN")
    if name in _KEYWORDS:
        return _KEYWORDS[name]
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(name)
    if tag is None:
        raise KeyError(name)
    return tag, dictionary_VR(tag).split(" ")[0]


def element(name: int | str, value: Any = b"", vr: str | None = None, **faults: Any) -> Element:
    """An element by keyword or tag; `faults` are `length` (the number written as its length) and `pad`."""
    tag, usual = lookup(name)
    return Element(tag, vr or usual, value, **faults)


def sequence(
    name: int | str,
    *items: Iterable[Element],
    undefined: bool = False,
    undefined_items: bool = False,
    delimited: bool = True,
    vr: str = "SQ",
) -> Element:
    """A sequence of items, with defined or undefined lengths."""
    value = Items(tuple(tuple(item) for item in items), undefined, undefined_items, delimited)
    return Element(lookup(name)[0], vr, value)


def private(group: int, block: int, creator: str, *elements: tuple[int, str, Any]) -> list[Element]:
    """A private creator and its elements, given as (offset 00-FF, VR, value)."""
    made = [Element(group << 16 | block, "LO", creator)]
    return made + [Element(group << 16 | block << 8 | offset, vr, value) for offset, vr, value in elements]


def uid(*seed: object) -> str:
    """A UID under 2.25, the same for the same seed."""
    digest = hashlib.sha256("|".join(map(str, seed)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 127}"


def noise(size: int, *seed: object) -> bytes:
    """Bytes that look random, the same for the same seed."""
    start = hashlib.sha256(repr(seed).encode()).digest()
    return hashlib.shake_128(start).digest(size)


def codestream(size: int, *seed: object) -> bytes:
    """What looks like a JPEG codestream of `size` bytes: its first and last marker, noise between."""
    return b"\xff\xd8" + noise(size - 4, "codestream", size, *seed).replace(b"\xff", b"\0") + b"\xff\xd9"


def pixels(
    rows: int, columns: int, frames: int = 1, bits: int = 16, samples: int = 1, seed: object = 0
) -> list[bytes]:
    """Native frames, little endian; 1-bit frames are packed one by one, unused bits of the last byte 0."""
    size = rows * columns * samples * bits
    made = []
    for number in range(frames):
        frame = bytearray(noise((size + 7) // 8, "pixels", seed, number))
        if size % 8:
            frame[-1] &= (1 << size % 8) - 1
        made.append(bytes(frame))
    return made


def join_bits(frames: Iterable[bytes], size: int) -> bytes:
    """1-bit frames of `size` bits each as one value, without gaps between them (PS3.5 8.1.1, 8.2)."""
    value, shift = 0, 0
    for frame in frames:
        value |= (int.from_bytes(frame, "little") & ((1 << size) - 1)) << shift
        shift += size
    return value.to_bytes((shift + 7) // 8, "little")


def encapsulate(
    frames: Sequence[bytes],
    *,
    fragments: int = 1,
    offsets: str = "basic",
    delimited: bool = True,
    pad: bool = True,
) -> tuple[Fragments, list[Element]]:
    """Frames as fragments, and the Extended Offset Table elements that go with them.

    `fragments` of each frame; `offsets`: "basic", "empty", "extended" (with an empty basic one), "wrong"
    (offsets that point nowhere), "short" (one entry less than frames), "zeros". `pad=False` leaves odd
    fragments odd: a fault.
    """
    pieces: list[bytes] = []
    starts: list[int] = []
    position = 0
    for frame in frames:
        starts.append(position)
        step = max(2, -(-len(frame) // fragments))
        step += step % 2
        cuts = [frame[at : at + step] for at in range(0, len(frame), step)] or [b""]
        for cut in cuts:
            piece = cut + b"\0" if pad and len(cut) % 2 else cut
            pieces.append(piece)
            position += 8 + len(piece)
    table = {
        "basic": starts,
        "empty": [],
        "extended": [],
        "wrong": [start + 2 for start in starts],
        "short": starts[:-1],
        "zeros": [0] * len(starts),
    }[offsets]
    extended: list[Element] = []
    if offsets == "extended":
        lengths = [len(frame) for frame in frames]
        extended = [
            element("ExtendedOffsetTable", struct.pack(f"<{len(starts)}Q", *starts)),
            element("ExtendedOffsetTableLengths", struct.pack(f"<{len(starts)}Q", *lengths)),
        ]
    return Fragments(struct.pack(f"<{len(table)}I", *table), tuple(pieces), delimited), extended


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written: byte order and whether VRs are."""

    explicit: bool = True
    order: str = "<"

    @classmethod
    def of(cls, syntax: str) -> "Encoding":
        return cls(explicit=syntax != IMPLICIT, order=">" if syntax == BIG_ENDIAN else "<")


def _text(value: Any, charset: str) -> bytes:
    if isinstance(value, str):
        return value.encode(charset)
    if isinstance(value, Sequence):
        return b"\\".join(item if isinstance(item, bytes) else str(item).encode(charset) for item in value)
    return str(value).encode(charset)


def encode_value(vr: str, value: Any, encoding: Encoding, charset: str = "utf-8") -> bytes:
    """The value field, without padding."""
    if isinstance(value, bytes | bytearray):
        width = _WORDS.get(vr, struct.calcsize(_NUMBERS[vr]) if vr in _NUMBERS else 1)
        return bytes(value) if encoding.order == "<" else swap(bytes(value), width)
    if vr in _NUMBERS:
        numbers = value if isinstance(value, Sequence) else [value]
        return struct.pack(f"{encoding.order}{len(numbers)}{_NUMBERS[vr]}", *numbers)
    if vr == "AT":
        tags = value if isinstance(value, Sequence) else [value]
        return b"".join(struct.pack(f"{encoding.order}HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    return _text(value, charset)


def swap(data: bytes, width: int) -> bytes:
    """`data` with the bytes of each `width`-byte word reversed; an incomplete last word stays as it is."""
    whole = len(data) - len(data) % width if width else 0
    swapped = bytearray(data)
    for offset in range(width if width > 1 else 0):
        swapped[offset:whole:width] = data[width - 1 - offset : whole : width]
    return bytes(swapped)


def _tag(tag: int, order: str) -> bytes:
    return struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)


def _header(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    start = _tag(tag, encoding.order)
    if not encoding.explicit:
        return start + struct.pack(f"{encoding.order}I", length)
    if vr in LONG_VRS:
        return start + vr.encode("latin-1") + b"\0\0" + struct.pack(f"{encoding.order}I", length)
    return start + vr.encode("latin-1") + struct.pack(f"{encoding.order}H", length)


def _mark(tag: int, length: int, encoding: Encoding) -> bytes:
    return _tag(tag, encoding.order) + struct.pack(f"{encoding.order}I", length)


def _encode_items(value: Items, encoding: Encoding, charset: str) -> bytes:
    made = bytearray()
    for item in value.items:
        body = encode(item, encoding, charset)
        if value.undefined_items:
            end = _mark(ITEM_END, 0, encoding) if value.delimited else b""
            made += _mark(ITEM, UNDEFINED, encoding) + body + end
        else:
            made += _mark(ITEM, len(body), encoding) + body
    if value.undefined and value.delimited:
        made += _mark(SEQUENCE_END, 0, encoding)
    return bytes(made)


def _encode_fragments(value: Fragments, encoding: Encoding) -> bytes:
    made = _mark(ITEM, len(value.table), encoding) + value.table
    made += b"".join(_mark(ITEM, len(piece), encoding) + piece for piece in value.fragments)
    return made + (_mark(SEQUENCE_END, 0, encoding) if value.delimited else b"")


def encode_element(made: Element, encoding: Encoding, charset: str = "utf-8") -> bytes:
    """One element, header and value; padded to an even length unless it says otherwise."""
    length: int | None = None
    if isinstance(made.value, Items):
        inner = Encoding(explicit=False, order="<") if made.vr == "UN" and made.value.undefined else encoding
        body = _encode_items(made.value, inner, charset)
        length = UNDEFINED if made.value.undefined else None
    elif isinstance(made.value, Fragments):
        body, length = _encode_fragments(made.value, encoding), UNDEFINED
    else:
        body = encode_value(made.vr, made.value, encoding, charset)
        pad = made.pad
        if pad is None:
            pad = (b"\0" if made.vr in {"UI", "OB", "UN"} else b" ") if len(body) % 2 else b""
        body += pad
    if made.length is not None:
        length = made.length
    return _header(made.tag, made.vr, len(body) if length is None else length, encoding) + body


def encode(elements: Iterable[Element], encoding: Encoding, charset: str = "utf-8") -> bytes:
    """A data set, in the order given."""
    return b"".join(encode_element(made, encoding, charset) for made in elements)


def nested(
    depth: int, *, undefined: bool = True, inner: Iterable[Element] = (), syntax: str = EXPLICIT
) -> bytes:
    """An encoded ContentSequence that holds itself `depth` deep, with `inner` in the last item."""
    encoding = Encoding.of(syntax)
    tag = lookup("ContentSequence")[0]
    body = encode(inner, encoding)
    if undefined:
        start = _header(tag, "SQ", UNDEFINED, encoding) + _mark(ITEM, UNDEFINED, encoding)
        end = _mark(ITEM_END, 0, encoding) + _mark(SEQUENCE_END, 0, encoding)
        return start * depth + body + end * depth
    for _ in range(depth):
        body = _mark(ITEM, len(body), encoding) + body
        body = _header(tag, "SQ", len(body), encoding) + body
    return body


def file_meta(syntax: str | None, sop_class: str, sop_instance: str, *, group_length: bool = True) -> bytes:
    """Group 0002, always explicit little endian (PS3.10 7.1)."""
    elements = [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", sop_class),
        Element(0x00020003, "UI", sop_instance),
        *([Element(0x00020010, "UI", syntax)] if syntax is not None else []),
        Element(0x00020012, "UI", "2.25.1000"),
    ]
    body = encode(elements, Encoding())
    if not group_length:
        return body
    return encode([Element(0x00020000, "UL", len(body))], Encoding()) + body


def deflate(data: bytes, level: int = 9) -> bytes:
    """A raw deflate stream, padded to an even length (PS3.5 A.5)."""
    squeezer = zlib.compressobj(level, zlib.DEFLATED, -15)
    stream = squeezer.compress(data) + squeezer.flush()
    return stream + b"\0" * (len(stream) % 2)


def image(
    frames: Sequence[bytes],
    *,
    syntax: str = EXPLICIT,
    rows: int = 4,
    columns: int = 4,
    bits: int = 16,
    samples: int = 1,
    photometric: str | None = None,
    fragments: int = 1,
    offsets: str = "basic",
    delimited: bool = True,
    vr: str | None = None,
) -> list[Element]:
    """The Image Pixel elements and Pixel Data of `frames` (native little endian frames, or codestreams).

    `vr` of native Pixel Data is OB up to 8 bits and OW above, unless given (8 bits in OW are swapped by words
    in big endian, PS3.5 8.1.1).
    """
    made = [
        element("SamplesPerPixel", samples),
        element("PhotometricInterpretation", photometric or ("RGB" if samples == 3 else "MONOCHROME2")),
        *([element("PlanarConfiguration", 0)] if samples > 1 else []),
        *([element("NumberOfFrames", len(frames))] if len(frames) != 1 else []),
        element("Rows", rows),
        element("Columns", columns),
        element("BitsAllocated", bits),
        element("BitsStored", bits),
        element("HighBit", bits - 1),
        element("PixelRepresentation", 0),
    ]
    if syntax in NATIVE:
        value = join_bits(frames, rows * columns * samples) if bits == 1 else b"".join(frames)
        value += b"\0" * (len(value) % 2)
        if bits > 16 and syntax == BIG_ENDIAN:
            # encode_value swaps OW by two bytes, so that the cells end up swapped as a whole
            value = swap(swap(value, bits // 8), 2)
        return [*made, Element(PIXEL_DATA, vr or ("OB" if bits <= 8 and syntax != IMPLICIT else "OW"), value)]
    bodies = [deflate(frame) for frame in frames] if syntax == DEFLATED_FRAMES else frames
    wrapped, tables = encapsulate(bodies, fragments=fragments, offsets=offsets, delimited=delimited)
    return [*made, *tables, Element(PIXEL_DATA, "OB", wrapped)]


def identity(seed: object = 0, study: object = 0, series: object = 0) -> list[Element]:
    """The elements that every instance here has: UIDs and the little that search needs."""
    return [
        element("SOPClassUID", SECONDARY_CAPTURE),
        element("SOPInstanceUID", uid("instance", study, series, seed)),
        element("StudyDate", "20240229"),
        element("StudyTime", "101500"),
        element("AccessionNumber", "A1"),
        element("Modality", "OT"),
        element("ReferringPhysicianName", ""),
        element("PatientName", "Doe^Jane"),
        element("PatientID", "P1"),
        element("PatientBirthDate", ""),
        element("PatientSex", "O"),
        element("StudyInstanceUID", uid("study", study)),
        element("SeriesInstanceUID", uid("series", study, series)),
        element("StudyID", "1"),
        element("SeriesNumber", 1),
        element("InstanceNumber", seed if isinstance(seed, int) else 1),
    ]


def arrange(elements: Iterable[Element]) -> list[Element]:
    """In ascending order of tags; of elements with the same tag only the last is kept."""
    return [made for _, made in sorted({made.tag: made for made in elements}.items())]


def instance(
    *,
    syntax: str = EXPLICIT,
    seed: object = 0,
    study: object = 0,
    series: object = 0,
    frames: Sequence[bytes] | None = None,
    extra: Iterable[Element] = (),
    without: Iterable[int | str] = (),
    raw: bytes = b"",
    preamble: bool = True,
    meta: bool = True,
    group_length: bool = True,
    meta_syntax: str | None = "",
    charset: str = "utf-8",
    ordered: bool = True,
    pixel: dict[str, Any] | None = None,
    **keywords: Any,
) -> bytes:
    """A Part 10 file.

    `seed`, `study`, `series` make the UIDs; `keywords` are elements by keyword (None removes one), `extra`
    are more elements, `without` removes keywords or tags, `frames` and `pixel` (arguments of `image`; `rows`,
    `columns`, `bits`, `samples`, `photometric`, `fragments`, `offsets` and `delimited` may be given directly)
    make an image. `charset` is the Python codec in which text is written.
    Faults: `preamble=False` (128 bytes, DICM left out), `meta=False` (no group 0002), `group_length=False`,
    `meta_syntax` (another UID or None in the file meta), `ordered=False` (elements as given, duplicates
    kept), `raw` (bytes appended to the encoded data set).
    """
    shape = dict(pixel or {})
    for name in ("rows", "columns", "bits", "samples", "photometric", "fragments", "offsets", "delimited"):
        if name in keywords:
            shape[name] = keywords.pop(name)
    elements = identity(seed, study, series)
    if frames is not None:
        elements += image(frames, syntax=syntax, **shape)
    removed = {lookup(name)[0] for name in without}
    removed |= {lookup(name)[0] for name, value in keywords.items() if value is None}
    elements += [element(name, value) for name, value in keywords.items() if value is not None]
    elements += extra
    elements = [made for made in elements if made.tag not in removed]
    if ordered:
        elements = arrange(elements)
    body = encode(elements, Encoding.of(syntax), charset) + raw
    if syntax == DEFLATED:
        body = deflate(body)
    start = b"\0" * 128 + b"DICM" if preamble else b""
    if meta:
        named = {made.tag: str(made.value) for made in elements if made.tag in (0x00080016, 0x00080018)}
        announced = syntax if meta_syntax == "" else meta_syntax
        sop_class, sop = named.get(0x00080016, SECONDARY_CAPTURE), named.get(0x00080018, "2.25.1")
        start += file_meta(announced, sop_class, sop, group_length=group_length)
    return start + body


def big_values(size: int = 70_000) -> list[Element]:
    """One private element of each VR whose value may be bulkdata, their creator and their character set.

    Those with 16-bit lengths end at 65,528 bytes.
    """
    even = size - size % 8
    return [
        element("SpecificCharacterSet", "ISO_IR 192"),
        Element(0x00090010, "LO", "STATICWADO TEST"),
        Element(0x00091001, "OB", noise(even, "OB")),
        Element(0x00091002, "OW", noise(even, "OW")),
        Element(0x00091003, "OF", struct.pack(f"<{even // 4}f", *(float(n) for n in range(even // 4)))),
        Element(0x00091004, "OD", struct.pack(f"<{even // 8}d", *(n / 8 for n in range(even // 8)))),
        Element(0x00091005, "OL", noise(even, "OL")),
        Element(0x00091006, "OV", noise(even, "OV")),
        Element(0x00091007, "UN", noise(even, "UN")),
        Element(0x00091008, "UT", ("Zeilen mit Ümlaut\r\n" * (even // 20))[: even // 2]),
        Element(0x00091009, "FD", [n / 3 for n in range(min(even, 65_528) // 8)]),
        Element(0x0009100A, "UL", list(range(min(even, 65_528) // 4))),
    ]


def with_big_values(size: int = 70_000, **arguments: Any) -> bytes:
    """An instance that holds `big_values`."""
    extra = [*arguments.pop("extra", ()), *big_values(size)]
    return instance(extra=extra, **arguments)


def with_length(made: Element, length: int) -> Element:
    """The same element with another number in its length field."""
    return replace(made, length=length)


def series_of(count: int, *, study: object = 0, series: object = 0, **arguments: Any) -> list[bytes]:
    """`count` small instances of one series."""
    side = int(arguments.pop("side", 8))
    return [
        instance(
            seed=number,
            study=study,
            series=series,
            frames=pixels(side, side, seed=(study, series, number)),
            rows=side,
            columns=side,
            **arguments,
        )
        for number in range(1, count + 1)
    ]
