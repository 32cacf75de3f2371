"""Which fragments make up which frame of an encapsulated Pixel Data value (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

What is believed, in this order: an offset table (Extended, then Basic) with one entry a frame, all of them on
fragments; as many fragments as frames; codestreams that begin (or end) as often as there are frames. If
nothing agrees with Number of Frames, more frames than it says are taken with a note, fewer are an error.
"""

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from staticwado.dicom.fragments import Fragments, read_fragments
from staticwado.dicom.frame_table import EncapsulatedFrames, check_number_of_frames
from staticwado.dicom.sources import ByteSource
from staticwado.dicom.transfer_syntax import ENCAPSULATED_UNCOMPRESSED, RLE_LOSSLESS, TransferSyntax
from staticwado.errors import BrokenDicom

_JPEG = (b"\xff\xd8\xff",)
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
_RLE = tuple(bytes((segments, 0, 0, 0, 64, 0, 0, 0)) for segments in range(1, 16))
_SIGNATURES = {
    "image/jpeg": _JPEG,
    "image/jls": _JPEG,
    "image/jp2": _JPEG_2000,
    "image/jpx": _JPEG_2000,
    "image/jphc": _JPEG_2000,
    "image/jxl": _JPEG_XL,
}
_END_OF_CODESTREAM = b"\xff\xd9"
_SAMPLES = 64
"""So many frames are looked at to see whether an offset table is plausible."""


def encapsulated_frames(
    source: ByteSource,
    offset: int,
    number_of_frames: int | None,
    syntax: TransferSyntax,
    extended: tuple[bytes, bytes] | None = None,
    frame_length: int | None = None,
) -> EncapsulatedFrames:
    """The frames of the value whose first item, the Basic Offset Table, begins at `offset`.

    `number_of_frames` is None if the attribute is missing, less than 1 if it is no count. `extended` holds
    the values of Extended Offset Table (7FE0,0001) and its Lengths (7FE0,0002). `frame_length` is the length
    in bytes of an uncompressed frame, for Encapsulated Uncompressed only.

    A byte that pads a frame to an even length is left out where the Extended Offset Table Lengths or
    `frame_length` tell it from the frame; elsewhere it is part of the frame.

    Raises BrokenDicom if an item runs past the end, there are fewer frames than `number_of_frames` or an
    uncompressed frame is too short; Unsupported if there are more fragments than a table can hold, or more
    frames than an archive takes.
    """
    signatures = _RLE if syntax.uid == RLE_LOSSLESS else _SIGNATURES.get(syntax.media_type, ())
    found = read_fragments(source, offset, signatures)
    if not found.starts:
        raise BrokenDicom("Pixel Data (7FE0,0010) holds no fragments, so it has no frames")
    if syntax.uid != ENCAPSULATED_UNCOMPRESSED:
        frame_length = None
    grouping = _Grouping(source, found, signatures, number_of_frames, frame_length)
    first = array("I", [0]) if syntax.video else grouping.first_fragments(extended)
    check_number_of_frames(len(first))
    if frame_length:
        _fit_uncompressed(found, first, frame_length)
    one_each = len(first) == len(found.starts)
    return EncapsulatedFrames(
        offset, found.end, found.starts, found.lengths, None if one_each else first, tuple(found.notes)
    )


def _fit_uncompressed(found: Fragments, first: "array[int]", frame_length: int) -> None:
    """Leave padding out of uncompressed frames."""
    surplus = 0
    for index, length in enumerate(_frame_lengths(found, first)):
        if length < frame_length:
            raise BrokenDicom(
                f"Pixel Data (7FE0,0010) is cut short: frame {index + 1} has {length} of {frame_length} bytes"
            )
        if length == frame_length + 1:
            _leave_padding_out(found, first, index)
        elif length > frame_length:
            surplus += 1
    if surplus:
        found.notes.append(f"{surplus} frames of Pixel Data are longer than {frame_length} bytes")


def _frame_lengths(found: Fragments, first: "array[int]") -> Iterator[int]:
    ends = chain(islice(first, 1, None), (len(found.starts),))
    for begin, end in zip(first, ends, strict=True):
        yield found.lengths[begin] if end == begin + 1 else sum(found.lengths[begin:end])


def _leave_padding_out(found: Fragments, first: "array[int]", index: int) -> None:
    last = first[index + 1] - 1 if index + 1 < len(first) else len(found.starts) - 1
    found.lengths[last] -= 1


@dataclass(slots=True)
class _Grouping:
    source: ByteSource
    found: Fragments
    signatures: tuple[bytes, ...]
    number_of_frames: int | None
    frame_length: int | None
    lengths: "array[int]" = field(default_factory=lambda: array("Q"))
    """The Extended Offset Table Lengths, if that table is right."""

    def first_fragments(self, extended: tuple[bytes, bytes] | None) -> "array[int]":
        """The index of the first fragment of each frame."""
        tables = self._tables(extended)
        said = self.number_of_frames
        if said is not None and said < 1:
            self.found.notes.append("Number of Frames (0028,0008) is no count; the frames were counted")
        wanted = said if said and said > 0 else 1
        first = self._choose(tables, wanted)
        for name, table in tables:
            if table != first:
                self.found.notes.append(
                    f"the {name} Offset Table ({len(table)} entries) does not fit the frames: not used"
                )
            elif name == "Extended":
                self._leave_padding_out(first)
        if len(first) != wanted and (said is None or said > 0):
            number = "missing" if said is None else str(said)
            self.found.notes.append(
                f"Pixel Data (7FE0,0010) has {len(first)} frames, Number of Frames (0028,0008) is {number}"
            )
        return first

    def _choose(self, tables: "list[tuple[str, array[int]]]", wanted: int) -> "array[int]":
        known = self.number_of_frames == wanted
        fragments = len(self.found.starts)
        for _, table in tables:
            if len(table) == wanted and known and self._is_plausible(table):
                return table
        if fragments == wanted:
            return array("I", range(fragments))
        if fragments < wanted:
            raise BrokenDicom(
                f"Pixel Data (7FE0,0010) has {fragments} fragments, "
                f"too few for the {wanted} frames of Number of Frames (0028,0008)"
            )
        begun = self._begun()
        by_length = self._by_length()
        for first in (begun, self._ended() if len(begun) != wanted else begun, by_length):
            if len(first) == wanted and (wanted > 1 or known):
                return first
        usable = [first for _, first in tables if len(first) == wanted]
        usable += [first for first in (begun, by_length) if len(first) > wanted]
        if not self.signatures or wanted > 1:
            usable += [first for _, first in tables if len(first) > wanted]
        if wanted == 1:
            usable.append(array("I", [0]))
        if not usable:
            raise BrokenDicom(
                f"Pixel Data (7FE0,0010): nothing tells which of {fragments} fragments "
                f"belong to which of {wanted} frames"
            )
        return usable[0]

    def _tables(self, extended: tuple[bytes, bytes] | None) -> "list[tuple[str, array[int]]]":
        """The offset tables whose entries all lie on fragments, as indexes of fragments, with their names."""
        tables = []
        if extended is not None and (extended[0] or extended[1]):
            first = self._on_fragments(_integers("Q", extended[0]))
            lengths = _integers("Q", extended[1])
            if first and self._has_lengths(first, lengths):
                tables.append(("Extended", first))
                self.lengths = lengths
            else:
                self.found.notes.append("the Extended Offset Table (7FE0,0001) is wrong and was not used")
        if self.found.table:
            first = self._on_fragments(_integers("I", self.found.table))
            if first:
                tables.append(("Basic", first))
            else:
                self.found.notes.append("the Basic Offset Table is wrong and was not used")
        return tables

    def _leave_padding_out(self, first: "array[int]") -> None:
        stored = array("Q", _frame_lengths(self.found, first))
        for index, length in enumerate(self.lengths):
            if length < stored[index]:
                _leave_padding_out(self.found, first, index)

    def _on_fragments(self, offsets: "array[int]") -> "array[int]":
        """The fragments that begin at `offsets`; empty if one lies elsewhere, or they are out of order."""
        starts, base = self.found.starts, self.found.base + 8
        first = array("I")
        index, count = 0, len(starts)
        for offset in offsets:
            start = base + offset
            while index < count and starts[index] < start:
                index += 1
            if index == count or starts[index] != start:
                return array("I")
            first.append(index)
            index += 1
            if first[0] != 0:
                return array("I")
        return first

    def _has_lengths(self, first: "array[int]", lengths: "array[int]") -> bool:
        """Whether `lengths` are those of the frames, with or without the byte that makes them even."""
        return len(lengths) == len(first) and all(
            0 <= stored - length <= 1
            for stored, length in zip(_frame_lengths(self.found, first), lengths, strict=True)
        )

    def _is_plausible(self, first: "array[int]") -> bool:
        """Whether frames begin as codestreams do, at a sample of places; True where nothing can tell."""
        if not self.signatures or len(first) in (1, len(self.found.starts)):
            return True
        step = max(1, len(first) // _SAMPLES)
        return all(self._begins(first[at]) for at in range(0, len(first), step))

    def _begins(self, number: int) -> bool:
        return self.source.read(self.found.starts[number], 12).startswith(self.signatures)

    def _begun(self) -> "array[int]":
        """Fragments that begin a codestream; empty if the first does not, or if nothing can tell."""
        if not self.signatures or not self._begins(0):
            return array("I")
        return array("I", (number for number in range(len(self.found.starts)) if self._begins(number)))

    def _ended(self) -> "array[int]":
        """Fragments that follow the end of a codestream of the JPEG families."""
        first = array("I", [0])
        if self.signatures not in (_JPEG, _JPEG_2000):
            return array("I")
        for number in range(len(self.found.starts) - 1):
            end = self.found.starts[number] + self.found.lengths[number]
            size = min(4, self.found.lengths[number])
            if self.source.read(end - size, size).rstrip(b"\0").endswith(_END_OF_CODESTREAM):
                first.append(number + 1)
        return first

    def _by_length(self) -> "array[int]":
        """Fragments that begin an uncompressed frame, if fragments add up to whole frames."""
        first = array("I")
        if not self.frame_length or self.signatures:
            return first
        left = 0
        for number, length in enumerate(self.found.lengths):
            if left <= 0:
                first.append(number)
                left = self.frame_length
            left -= length
            if left < -1:
                return array("I")
        return first if left <= 0 else array("I")


def _integers(kind: str, data: bytes) -> "array[int]":
    """The little endian integers of `data`; none if it is no whole number of them."""
    integers: array[int] = array(kind)
    if len(data) % integers.itemsize == 0:
        integers.frombytes(data)
        if sys.byteorder == "big":
            integers.byteswap()
    return integers
