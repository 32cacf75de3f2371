"""Frames of Pixel Data: where they lie, and their bytes as served (PS3.5 8 and A.4, PS3.18 8.7.3.3)."""

from array import array
from collections.abc import Iterator

from staticwado.dicom.encapsulated import encapsulated_frames
from staticwado.dicom.frame_table import (
    EncapsulatedFrames,
    FrameTable,
    NativeFrames,
    check_number_of_frames,
)
from staticwado.dicom.sources import ByteSource, Span
from staticwado.errors import BrokenDicom

__all__ = [
    "EncapsulatedFrames",
    "FrameTable",
    "NativeFrames",
    "encapsulated_frames",
    "frame_bits",
    "native_frames",
    "read_frame",
    "stream_frame",
    "word_size",
]

CHUNK = 1 << 20
"""Bytes that `stream_frame` reads at once, unless it is given a buffer."""

_SHIFT_CHUNK = 1 << 16
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_WORDS = {2: "H", 4: "I", 8: "Q"}


def frame_bits(
    rows: int,
    columns: int,
    samples_per_pixel: int,
    bits_allocated: int,
    photometric: str = "",
    value_length: int | None = None,
    number_of_frames: int | None = None,
) -> int:
    """Bits of one native frame (PS3.3 C.7.6.3).

    YBR_FULL_422 and YBR_PARTIAL_422 hold two samples a pixel (PS3.3 C.7.6.3.1.2), unless `value_length` bytes
    are what `number_of_frames` frames with three samples a pixel need: then the chrominance was not halved.

    Raises BrokenDicom, which names the attribute, if one is no positive number or Bits Allocated is above 64.
    """
    for name, value in (
        ("Rows (0028,0010)", rows),
        ("Columns (0028,0011)", columns),
        ("Samples per Pixel (0028,0002)", samples_per_pixel),
        ("Bits Allocated (0028,0100)", bits_allocated),
    ):
        if value < 1:
            raise BrokenDicom(f"{name} is {value}, so there is no frame")
    if bits_allocated > 64:
        raise BrokenDicom(f"Bits Allocated (0028,0100) is {bits_allocated}, more than 64")
    whole = rows * columns * samples_per_pixel * bits_allocated
    if photometric not in _SUBSAMPLED or samples_per_pixel != 3:
        return whole
    if value_length is not None and value_length * 8 >= whole * max(number_of_frames or 1, 1):
        return whole
    return rows * columns * 2 * bits_allocated


def word_size(vr: str, bits_allocated: int) -> int:
    """Bytes a word, whose order big endian reverses, of a native value (PS3.5 7.3, annex D).

    A sample of 16, 32 or 64 bits is one word, as writers have it; others lie in the 16-bit words of OW.
    """
    if bits_allocated in (16, 32, 64):
        return bits_allocated // 8
    return 2 if vr == "OW" else 1


def native_frames(
    value: Span, number_of_frames: int | None, frame_bits: int, word_size: int = 1
) -> NativeFrames:
    """The frames of a native value of which one is `frame_bits` long.

    `number_of_frames` is None if the attribute is missing, which means one; less than 1 if it is no count:
    then the frames that fill the value are counted, and if none do, it is one. `word_size` is more than 1 for
    big endian.

    Raises BrokenDicom if the value is shorter than the frames need, or a frame has no bits; Unsupported if
    there are more frames than an archive takes.
    """
    if frame_bits < 1:
        raise BrokenDicom(f"a frame of Pixel Data (7FE0,0010) has {frame_bits} bits")
    notes = []
    held = value.length * 8 // frame_bits
    count = number_of_frames
    if count is None or count < 1:
        full = held * frame_bits > value.length * 8 - 16
        if count is not None:
            notes.append(f"Number of Frames (0028,0008) is no count; Pixel Data has room for {held} frames")
        count = held if count is not None and held and full else 1
    needed = (count * frame_bits + 7) // 8
    if needed > value.length:
        raise BrokenDicom(
            f"Pixel Data (7FE0,0010) is cut short: {count} frames of {frame_bits} bits need {needed} bytes, "
            f"it has {value.length}"
        )
    check_number_of_frames(count)
    if value.length > needed + needed % 2:
        notes.append(f"Pixel Data (7FE0,0010) has {value.length - needed} bytes after its {count} frames")
    return NativeFrames(value, count, frame_bits, word_size, tuple(notes))


def read_frame(source: ByteSource, table: FrameTable, index: int) -> bytes:
    """The bytes of frame `index` (from 0) as they are served; see `stream_frame`."""
    spans = table.spans(index)
    if len(spans) == 1 and table.is_verbatim(index):
        return _read(source, spans[0])
    return b"".join(bytes(chunk) for chunk in stream_frame(source, table, index))


def stream_frame(
    source: ByteSource, table: FrameTable, index: int, buffer: bytearray | None = None
) -> Iterator[memoryview]:
    """The bytes of frame `index` (from 0) in chunks; a chunk is valid until the next one is asked for.

    Encapsulated: the fragments joined. Native: little endian, the first pixel in the least significant bits
    of the first byte (PS3.5 8.1.1), unused bits of the last byte zero.

    Raises BrokenDicom if the source ends inside the frame.
    """
    if isinstance(table, NativeFrames) and not table.is_verbatim(index):
        yield from _stream_shifted(source, table, index)
        return
    spans = table.spans(index)
    if buffer is None:
        buffer = bytearray(min(CHUNK, max(span.length for span in spans)))
    view = memoryview(buffer)
    for span in spans:
        position = span.offset
        while position < span.end:
            part = view[: min(len(view), span.end - position)]
            got = source.read_into(position, part)
            if got < len(part):
                raise _ended(span, position + got)
            yield part
            position += got


def _stream_shifted(source: ByteSource, table: NativeFrames, index: int) -> Iterator[memoryview]:
    table.spans(index)
    first = index * table.frame_bits
    end = first + table.frame_bits
    while first < end:
        bits = min(_SHIFT_CHUNK * 8, end - first)
        data = _read_ordered(source, table, first // 8, (first + bits + 7) // 8)
        if first % 8 or bits % 8:
            number = int.from_bytes(data, "little") >> first % 8
            data = (number & (1 << bits) - 1).to_bytes((bits + 7) // 8, "little")
        yield memoryview(data)
        first += bits


def _read_ordered(source: ByteSource, table: NativeFrames, start: int, end: int) -> bytes:
    """Bytes `start` to `end` of the value in little endian order."""
    size = table.word_size
    first = start - start % size
    last = min(end + -end % size, table.value.length)
    data = _read(source, Span(table.value.offset + first, last - first))
    if size > 1:
        whole = len(data) - len(data) % size
        words = array(_WORDS[size], data[:whole])
        words.byteswap()
        data = words.tobytes() + data[whole:]
    return data[start - first : end - first]


def _read(source: ByteSource, span: Span) -> bytes:
    data = source.read(span.offset, span.length)
    if len(data) < span.length:
        raise _ended(span, span.offset + len(data))
    return data


def _ended(span: Span, end: int) -> BrokenDicom:
    return BrokenDicom(
        f"Pixel Data (7FE0,0010) is cut short: the file ends at {end}, inside a frame that ends at {span.end}"
    )
