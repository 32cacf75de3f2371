"""Lookup tables: Modality LUT, VOI LUT (PS3.3 C.11.1, C.11.2), Palette Color (PS3.3 C.7.6.3.1.5, C.7.9)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.jsonvalues import Bulkdata, Dataset, binary, numbers
from staticwado.dicom.pixels import ImagePixel
from staticwado.errors import BrokenDicom, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_LUT_DESCRIPTOR, _LUT_DATA = "00283002", "00283006"
_PALETTES = (
    ("Red", "00281101", "00281201", "00281221"),
    ("Green", "00281102", "00281202", "00281222"),
    ("Blue", "00281103", "00281203", "00281223"),
)
_LARGE_ENTRIES = 65536
_PACKED = 4
"""Bytes of a palette entry: one number to look up is far faster than three."""
_FAR = 2.0**40
"""Past every table, and still an exact integer when cast."""


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table for input values from `first` on; lower values take its first entry, higher ones its last."""

    first: int
    entries: "Array"
    bits: int
    """How many bits the output has: 255 of 8 bits and 65535 of 16 are both white."""

    def __call__(self, values: "Array") -> "Array":
        """The entries for `values`, whose shape is kept."""
        import numpy as np

        if values.dtype.kind == "f":
            values = np.rint(np.nan_to_num(values.clip(-_FAR, _FAR)))
        if values.dtype.kind == "f" or self.first:
            values = values.astype(np.int64 if values.dtype.itemsize > 2 else np.int32)
            values -= self.first
        result: Array = np.take(self.entries, values, mode="clip")
        return result


def lookup_table(item: Dataset, bulkdata: Bulkdata, *, signed: bool) -> LookupTable | None:
    """The table of an item of Modality LUT Sequence or VOI LUT Sequence; None when it is missing or unusable.

    `signed` says whether the input is: then First Value Mapped is too (PS3.3 C.11.1.1, C.11.2.1.1).
    """

    descriptor = _descriptor(item, _LUT_DESCRIPTOR, signed=signed)
    if descriptor is None:
        return None
    count, first, bits = descriptor
    listed = numbers(item, _LUT_DATA)
    if listed:
        entries = _words(listed)
    else:
        data = binary(item, _LUT_DATA, bulkdata)
        if not data:
            return None
        entries = _entries(data, count, bits)
    if not entries.size:
        return None
    largest = int(entries.max())
    # Descriptors that claim too few bits are common; the entries don't lie.
    return LookupTable(first, entries[:count], max(bits, largest.bit_length()))


def _descriptor(dataset: Dataset, tag: str, *, signed: bool) -> tuple[int, int, int] | None:
    """Number of entries, first value mapped, bits of an entry."""
    found = numbers(dataset, tag)
    if len(found) < 3:
        return None
    count, first, bits = (int(value) for value in found[:3])
    # The VR may have been taken for US where it is SS, and the other way round.
    count, first = count & 0xFFFF or _LARGE_ENTRIES, first & 0xFFFF
    if signed and first >= 0x8000:
        first -= 0x10000
    return (count, first, bits) if 1 <= bits <= 16 else None


def _words(listed: list[float]) -> "Array":
    """Entries that came as numbers; US that were taken for SS are negative."""
    import numpy as np

    return np.clip(listed, -0x8000, 0xFFFF).astype(np.int32).astype(np.uint16)


def _entries(data: bytes, count: int, bits: int) -> "Array":
    """The entries in `data`: bytes when there is no room for words (PS3.3 C.11.1.1, 8-bit entries)."""
    import numpy as np

    if bits <= 8 and len(data) < 2 * count:
        return np.frombuffer(data, dtype=np.uint8).astype(np.uint16)
    return np.frombuffer(data, dtype="<u2", count=len(data) // 2)


def palette(dataset: Dataset, image: ImagePixel, bulkdata: Bulkdata) -> LookupTable:
    """The colours of a PALETTE COLOR image: a table whose entries are `packed` red, green and blue.

    Raises Unsupported or BrokenDicom when a table is missing or makes no sense.
    """
    import numpy as np

    channels = []
    firsts = []
    for name, descriptor_tag, data_tag, segmented_tag in _PALETTES:
        descriptor = _descriptor(dataset, descriptor_tag, signed=image.pixel_representation == 1)
        if descriptor is None:
            raise Unsupported(f"{name} Palette Color Lookup Table Descriptor is missing or makes no sense")
        count, first, bits = descriptor
        listed = numbers(dataset, data_tag)
        data = None if listed else binary(dataset, data_tag, bulkdata)
        if listed:
            entries = _words(listed)
        elif data:
            entries = _entries(data, count, bits)
        else:
            segments = binary(dataset, segmented_tag, bulkdata)
            if not segments:
                raise Unsupported(f"{name} Palette Color Lookup Table Data is missing")
            entries = _expanded(segments, count, bits)
        channels.append(_eight_bits(entries[:count], bits))
        firsts.append(first)
    shortest = min(len(channel) for channel in channels)
    if not shortest:
        raise BrokenDicom("a Palette Color Lookup Table has no entries")
    colours = np.zeros((shortest, _PACKED), dtype=np.uint8)
    for index, channel in enumerate(channels):
        colours[:, index] = channel[:shortest]
    return LookupTable(firsts[0], colours.view("<u4").reshape(-1), 8)


def unpacked(colours: "Array") -> "Array":
    """What a `palette` gives, as (rows, columns, 4): red, green, blue and nothing, 8 bits each."""
    import numpy as np

    return np.ascontiguousarray(colours).view(np.uint8).reshape(*colours.shape, _PACKED)


def _eight_bits(entries: "Array", bits: int) -> "Array":
    """Entries as bytes, whether 8 or 16 bits were declared and whichever half of a word 8-bit ones sit in."""
    import numpy as np

    largest = int(entries.max()) if entries.size else 0
    wide = largest > 0xFF
    if bits > 8 and not wide and largest > 1:
        # 16 bits declared, 8 used: scaled down they would all be black.
        return entries.astype(np.uint8)
    return (entries >> 8).astype(np.uint8) if wide else entries.astype(np.uint8)


_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def _expanded(data: bytes, count: int, bits: int) -> "Array":
    """Segmented Palette Color Lookup Table Data written out (PS3.3 C.7.9.2): at most `count` entries."""
    import numpy as np

    wide = bits > 8
    unit = 2 if wide else 1
    words = np.frombuffer(data, dtype=f"<u{unit}", count=len(data) // unit).tolist()
    result: list[int] = []
    place = 0
    # A length of 0 says nothing: it is padding.
    while place + 1 < len(words) and words[place + 1] and len(result) < count:
        if words[place] == _INDIRECT:
            _expand_indirect(words, place, result, count, wide=wide)
            place += 4 if wide else 6
        else:
            place = _expand_segment(words, place, result, count)
    return np.array(result[:count], dtype=np.uint16)


def _expand_indirect(words: list[int], place: int, result: list[int], count: int, *, wide: bool) -> None:
    """Repeat `length` earlier segments; the offset counts bytes, the least significant part first."""
    parts = words[place + 2 : place + (4 if wide else 6)]
    if len(parts) < (2 if wide else 4):
        raise BrokenDicom("an indirect palette segment is cut short")
    step = 16 if wide else 8
    offset = sum(part << (step * index) for index, part in enumerate(parts))
    source = offset // 2 if wide else offset
    for _ in range(words[place + 1]):
        if source >= place or len(result) >= count:
            return
        if words[source] == _INDIRECT:
            raise BrokenDicom("an indirect palette segment points at an indirect one")
        source = _expand_segment(words, source, result, count)


def _expand_segment(words: list[int], place: int, result: list[int], count: int) -> int:
    """Append one discrete or linear segment to `result`; returns where the next segment begins."""
    code, length = words[place], words[place + 1] if place + 1 < len(words) else 0
    if not length:
        raise BrokenDicom("a palette segment is empty")
    if code == _DISCRETE:
        result.extend(words[place + 2 : place + 2 + min(length, count)])
        return place + 2 + length
    if code != _LINEAR:
        raise BrokenDicom(f"palette segment of unknown kind {code}")
    if not result or place + 2 >= len(words):
        raise BrokenDicom("a linear palette segment has no start or no end")
    start, end = result[-1], words[place + 2]
    steps = min(length, count)
    result.extend([start + ((end - start) * index + length // 2) // length for index in range(1, steps + 1)])
    return place + 3
