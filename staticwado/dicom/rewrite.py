"""Part 10 files in Explicit VR Little Endian, made from files in any encoding (PS3.5 7 and annex A), and
files whose frames are in another transfer syntax.

One rule: every element stays, with its value; only the way in which it is written changes, and what speaks of
that way: group lengths are left out (PS3.5 7.2), and the Image Pixel module says what new frames are.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

from staticwado.dicom import tags
from staticwado.dicom.elements import UNDEFINED, Context, Event, Kind, Walk, Window, fragments
from staticwado.dicom.file_meta import element_header, new_file_meta
from staticwado.dicom.fragments import Fragments, read_fragments
from staticwado.dicom.frames import word_size
from staticwado.dicom.inflate import inflate_stream
from staticwado.dicom.newpixels import OFFSET_TABLES, NewPixels, image_elements, pixel_data
from staticwado.dicom.part10 import PREAMBLE, Part10
from staticwado.dicom.sources import ByteSource, MemorySource, Span, gathered
from staticwado.dicom.tags import format_tag
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from staticwado.dicom.values import swap_words
from staticwado.dicom.vr import NUMBER_SIZE, WORD_SIZE
from staticwado.errors import BrokenDicom

_CHUNK = 1 << 20
_SMALL = 1 << 16
_PEEK = 1 << 14

_item = struct.Struct("<HHI").pack
_ITEM = _item(0xFFFE, 0xE000, UNDEFINED)
_END_ITEM = _item(0xFFFE, 0xE00D, 0)
_END_SEQUENCE = _item(0xFFFE, 0xE0DD, 0)


def sent_syntax(part10: Part10) -> str:
    """The transfer syntax that `explicit_little_endian` gives a file."""
    return part10.syntax.uid if part10.syntax.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN


def is_sendable(part10: Part10) -> bool:
    """Whether a web service may send the file as it is: a whole Part 10 file (PS3.10 7.1) that says truly in
    which transfer syntax it is, and that is neither implicit VR nor big endian (PS3.18 8.7.3).
    """
    syntax = part10.syntax
    return (
        part10.file.read(PREAMBLE, 4) == b"DICM"
        and part10.declared == syntax.uid
        and syntax.explicit_vr
        and syntax.little_endian
    )


def peek_inflated(source: ByteSource, offset: int) -> ByteSource:
    """The first bytes of a deflated data set, for `part10.parse` where the rest is not looked at.

    Raises BrokenDicom.
    """
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return MemorySource(machine.decompress(source.read(offset, _PEEK), _PEEK))
    except zlib.error as error:
        raise BrokenDicom(f"the deflate stream of the data set is damaged: {error}") from error


def explicit_little_endian(part10: Part10) -> Iterator[bytes]:
    """The file in `sent_syntax`, in chunks: a preamble of zeros, new file meta information, the data set.

    Sequences and items come out with undefined length. What implicit VR leaves open: elements that the
    dictionary does not know are UN; US or SS by Pixel Representation; OB or OW is OW (PS3.5 A.1). Compressed
    frames, and data sets that are in Explicit VR Little Endian already, deflated or not, are not touched.

    Raises BrokenDicom where the file cannot be read.
    """
    yield bytes(PREAMBLE) + b"DICM" + new_file_meta(part10, sent_syntax(part10))
    if part10.deflated:
        yield from inflate_stream(part10.file, part10.data_start)
    elif part10.syntax.explicit_vr and part10.syntax.little_endian:
        yield from _copied(part10.source, Span(part10.start, part10.source.size - part10.start))
    else:
        yield from gathered(_Rewriting(part10).chunks(), _SMALL)


def with_frames(part10: Part10, pixels: NewPixels) -> Iterator[bytes]:
    """The file with other frames, in chunks, in the transfer syntax of these.

    Raises BrokenDicom where the file cannot be read, and what `pixels.frames` raises.
    """
    yield bytes(PREAMBLE) + b"DICM" + new_file_meta(part10, pixels.syntax)
    yield from gathered(_Rewriting(part10, pixels).chunks(), _SMALL)


def nests_fragments(part10: Part10) -> bool:
    """Whether a data set inside a sequence, such as an icon, holds compressed frames: they are in the
    transfer syntax of the file (PS3.5 A.4), and cannot stay if that changes.

    Raises BrokenDicom where the file cannot be read.
    """
    depth = 0
    for kind, tag, *_ in part10.walk():
        depth += (kind is Kind.SEQUENCE) - (kind is Kind.END_SEQUENCE)
        if kind is Kind.ENCAPSULATED or (tag in tags.PIXEL_DATA_TAGS and not depth):
            return depth > 0
    return False


def _copied(source: ByteSource, span: Span) -> Iterator[bytes]:
    position = span.offset
    while position < span.end:
        data = source.read(position, min(_CHUNK, span.end - position))
        if not data:
            raise BrokenDicom(f"the file ends at offset {position}, inside a value")
        yield data
        position += len(data)


class _Rewriting:
    """The data set of one file, element by element."""

    def __init__(self, part10: Part10, pixels: NewPixels | None = None) -> None:
        syntax = part10.syntax
        self._start = part10.start
        self._source = part10.source
        self._window = Window(part10.source, part10.start)
        self._explicit, self._little = syntax.explicit_vr, syntax.little_endian
        self._context = Context()
        self._depth = 0
        self._bits_allocated = 0
        self._pixels = pixels
        self._owed = image_elements(pixels) if pixels is not None else {}
        self._replaced = OFFSET_TABLES | self._owed.keys()

    def _walk(self, start: int, end: int, context: Context) -> Walk:
        return Walk(
            self._window,
            start,
            end,
            explicit_vr=self._explicit,
            little_endian=self._little,
            context=context,
        )

    def chunks(self) -> Iterator[bytes]:
        """The data set in explicit VR little endian. Raises BrokenDicom."""
        walk = self._walk(self._start, self._source.size, self._context)
        for event in walk:
            kind, tag, _, _, offset, _ = event
            if kind is Kind.ENCAPSULATED and not self._depth:
                found = read_fragments(self._source, offset)
                if self._pixels is not None:
                    yield from self._pay(tag)
                    yield from pixel_data(self._pixels)
                else:
                    yield from self._frames(tag, found)
                yield from self._behind(found.end)
                return
            if not self._depth and self._pixels is not None:
                yield from self._pay(tag)
                if tag == tags.PIXEL_DATA:
                    yield from pixel_data(self._pixels)
                    yield from self._behind(walk.position)
                    return
                if tag in self._replaced:
                    continue
            yield from self._event(event)
            if kind is Kind.LEAF and tag in tags.PIXEL_DATA_TAGS and not self._depth:
                yield from self._behind(walk.position)
                return

    def _pay(self, tag: int) -> Iterator[bytes]:
        """Elements of new frames that belong before the one of `tag`."""
        for owed in sorted(self._owed):
            if owed < tag or tag in tags.PIXEL_DATA_TAGS:
                yield self._owed.pop(owed)

    def _behind(self, start: int) -> Iterator[bytes]:
        """The elements behind the Pixel Data, up to garbage: it is no part of the data set (see ingest)."""
        for event in self._walk(start, self._readable(start), self._context):
            yield from self._event(event)

    def _readable(self, start: int) -> int:
        """Where the last whole element behind the Pixel Data, which begin at `start`, ends."""
        context = Context(self._context.pixel_representation, dict(self._context.creators))
        walk = self._walk(start, self._source.size, context)
        end, depth = start, 0
        try:
            for event in walk:
                depth += (event[0] is Kind.SEQUENCE) - (event[0] is Kind.END_SEQUENCE)
                if not depth and event[0] is not Kind.ENCAPSULATED:
                    end = walk.position
        except BrokenDicom:
            pass
        return end

    def _event(self, event: Event) -> Iterator[bytes]:
        kind, tag, vr, _, offset, length = event
        if kind is Kind.LEAF:
            if tag & 0xFFFF:
                yield element_header(tag, vr, length)
                yield from self._value(tag, vr, Span(offset, length))
        elif kind is Kind.ITEM:
            yield _ITEM
        elif kind is Kind.END_ITEM:
            yield _END_ITEM
        elif kind is Kind.SEQUENCE:
            self._depth += 1
            yield element_header(tag, "SQ", UNDEFINED)
        elif kind is Kind.END_SEQUENCE:
            self._depth -= 1
            yield _END_SEQUENCE
        else:
            yield element_header(tag, "OB", UNDEFINED)
            for span in fragments(self._window, offset, offset + length, "<" if self._little else ">"):
                yield from self._fragment(span)
            yield _END_SEQUENCE

    def _value(self, tag: int, vr: str, span: Span) -> Iterator[bytes]:
        """A value in little endian."""
        if tag == tags.BITS_ALLOCATED and not self._depth and span.length == 2:
            order: Literal["little", "big"] = "little" if self._little else "big"
            self._bits_allocated = int.from_bytes(self._window.bytes(span.offset, 2), order)
        word = 1 if self._little else self._word(tag, vr)
        if span.length <= _SMALL:
            data = self._window.bytes(span.offset, span.length)
            if len(data) < span.length:
                raise BrokenDicom(f"the file ends inside the value of {format_tag(tag)}")
            yield swap_words(data, word) if word > 1 else data
            return
        for data in _copied(self._source, span):
            yield swap_words(data, word) if word > 1 else data

    def _word(self, tag: int, vr: str) -> int:
        """Bytes a word of a big endian value, as ingest has it for frames and bulkdata."""
        if tag in tags.PIXEL_DATA_TAGS and not self._depth:
            return word_size(vr, self._bits_allocated)
        return WORD_SIZE.get(vr) or (2 if vr == "AT" else NUMBER_SIZE.get(vr, 1))

    def _frames(self, tag: int, found: Fragments) -> Iterator[bytes]:
        """Compressed frames: the items as they are, the one of the offset table too."""
        yield element_header(tag, "OB", UNDEFINED)
        table = max(found.offset + 8, found.base)
        yield from self._fragment(Span(found.offset + 8, table - found.offset - 8))
        for start, length in zip(found.starts, found.lengths, strict=True):
            yield from self._fragment(Span(start, length))
        yield _END_SEQUENCE

    def _fragment(self, span: Span) -> Iterator[bytes]:
        yield _item(0xFFFE, 0xE000, span.length)
        yield from _copied(self._source, span)
