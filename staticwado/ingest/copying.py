"""Moving the bytes of a source: read once, hashed, written, and what is kept nowhere else collected.

One rule: a source's hash is that of every byte of the file, in order, whatever becomes of the bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO

from staticwado import layout
from staticwado.dicom.frames import FrameTable
from staticwado.dicom.jsonmodel import Bulk
from staticwado.dicom.sources import ByteSource, Span
from staticwado.dicomweb import multipart
from staticwado.dicomweb.multipart import BOUNDARY
from staticwado.errors import BrokenDicom, Unsupported
from staticwado.ingest.convert import Converted, KeepValue, KeptValue
from staticwado.ingest.skeleton import Skeleton
from staticwado.store.local import Staging

BUFFER = 4 << 20
LONGEST_RAW = 4 << 20
"""Bytes that a skeleton holds in one piece; a longer one is kept like bulkdata, so that memory stays flat."""
_BOUNDARY = BOUNDARY.encode()
_HOLDS_BOUNDARY = "a frame holds the byte sequence that separates the parts of multipart bodies"


class Buffer:
    """One buffer for all copying, as fresh memory costs more than the copy."""

    def __init__(self, size: int = BUFFER) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)

    def reserve(self, size: int) -> None:
        """Grow for a source of `size` bytes: to hold all of it, or to `BUFFER`.

        Whatever fits into a buffer of `BUFFER` bytes then fits into this one: what is written does not depend
        on which sources came before.
        """
        if len(self.data) < min(size, BUFFER):
            self.data = bytearray(min(1 << (size - 1).bit_length(), BUFFER))
            self.view = memoryview(self.data)


def read_spans(source: ByteSource, spans: tuple[Span, ...], buffer: Buffer) -> Iterator[memoryview]:
    """The bytes of `spans` in chunks; a chunk is valid until the next one is asked for. Raises
    BrokenDicom.
    """
    for span in spans:
        position = span.offset
        while position < span.end:
            part = buffer.view[: min(len(buffer.view), span.end - position)]
            got = source.read_into(position, part)
            if got < len(part):
                raise BrokenDicom(f"the source ends at offset {position + got}, inside a value")
            yield part
            position += got


class BoundaryGuard:
    """Refuses frames that hold the boundary which wraps them; also across chunks."""

    def __init__(self) -> None:
        self._tail = b""

    def check(self, buffer: Buffer, length: int) -> None:
        """Look at the first `length` bytes of `buffer`, which follow those of the call before. Raises
        Unsupported.
        """
        found = buffer.data.find(_BOUNDARY, 0, length) >= 0
        if not found and self._tail:
            found = _BOUNDARY in self._tail + buffer.data[: min(length, len(_BOUNDARY) - 1)]
        if found:
            raise Unsupported(_HOLDS_BOUNDARY)
        kept = len(_BOUNDARY) - 1
        if length < kept:
            self._tail = (self._tail + buffer.data[:length])[-kept:]
        else:
            self._tail = bytes(buffer.data[length - kept : length])

    def check_bytes(self, data: bytes) -> None:
        """Look at `data`, which follows the bytes of the call before. Raises Unsupported."""
        if _BOUNDARY in self._tail + data:
            raise Unsupported(_HOLDS_BOUNDARY)
        self._tail = (self._tail + data)[-len(_BOUNDARY) + 1 :]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file: kept as (a part of) frame `frame`, or, if that is None, kept by the skeleton."""

    span: Span
    frame: int | None


def pieces_of(
    size: int, frames: FrameTable | None, frame_length: int | None = None
) -> Iterator[Piece] | None:
    """The whole file as pieces in order; None if the frames are not verbatim, ascending and apart.

    `frames` count from 0. `frame_length` is given where the source may hold padding behind each frame: then
    so many bytes of it are the frame. Raises BrokenDicom if one has fewer.
    """
    if frames is None:
        return iter((Piece(Span(0, size), None),))
    position = 0
    for number in range(len(frames)):
        if not frames.is_verbatim(number):
            return None
        for span in _spans(frames, number, frame_length):
            if span.offset < position:
                return None
            position = span.end
    return _pieces(size, frames, frame_length)


def _spans(frames: FrameTable, number: int, length: int | None) -> Iterator[Span]:
    """The stretches of a frame, without padding if its `length` is given."""
    left = length
    for span in frames.spans(number):
        if left is None:
            yield span
            continue
        if left:
            yield Span(span.offset, min(span.length, left))
        left -= min(span.length, left)
    if left:
        raise BrokenDicom(f"frame {number + 1} is {left} bytes shorter than its rows and columns need")


def _pieces(size: int, frames: FrameTable, frame_length: int | None) -> Iterator[Piece]:
    position = 0
    for number in range(len(frames)):
        for span in _spans(frames, number, frame_length):
            if span.offset > position:
                yield Piece(Span(position, span.offset - position), None)
            yield Piece(span, number)
            position = span.end
    if position < size:
        yield Piece(Span(position, size - position), None)


def hash_source(source: ByteSource, buffer: Buffer) -> str:
    """SHA-256, in hex, of all bytes of a source."""
    digest = hashlib.sha256()
    for part in read_spans(source, (Span(0, source.size),), buffer):
        digest.update(part)
    return digest.hexdigest()


class FilePass:
    """One reading of a file from its first byte to its last: hashes it, writes its frames, keeps the rest."""

    def __init__(
        self, converted: Converted, staging: Staging, folder: str, buffer: Buffer, keep_value: KeepValue
    ) -> None:
        self.kept: list[KeptValue] = []
        """Long stretches that the skeleton refers to rather than holds."""
        self._keep_value = keep_value
        self._file = converted.part10.file
        self._frames = converted.frames
        self._suffix = converted.syntax.suffix
        self._staging = staging
        self._folder = folder
        self._buffer = buffer
        self._digest = hashlib.sha256()
        self._skeleton = Skeleton("", self._file.size)
        inside = () if converted.part10.deflated else converted.bulkdata
        self._values = sorted(
            (kept.bulk.spans[0].offset, kept.bulk.spans[0].length, kept.address)
            for kept in inside
            if kept.bulk.word == 1 and len(kept.bulk.spans) == 1
        )
        self._next = 0
        part_type = multipart.content_type(converted.syntax.media_type, converted.syntax.served_uid)
        self._head = multipart.head(part_type)

    def run(self, pieces: Iterator[Piece], *, written: bool = False) -> Skeleton:
        """Pass over all of the file; returns its skeleton. Frames that are `written` are only passed.

        Raises BrokenDicom or Unsupported.
        """
        out: FileIO | None = None
        current, done, guard = -1, 0, BoundaryGuard()
        try:
            for piece in pieces:
                if piece.frame is None:
                    self._keep(piece.span)
                    continue
                if piece.frame != current:
                    self._end_frame(out)
                    out, current, done, guard = None, piece.frame, 0, BoundaryGuard()
                if written:
                    self._skip(piece.span)
                elif out is None and self._is_whole(piece.frame, piece.span):
                    self._write_whole(piece.frame, piece.span, guard)
                else:
                    out = out or self._begin_frame(piece.frame)
                    self._append(out, piece.span, guard)
                self._refer(piece.frame, Span(done, piece.span.length), whole=out is None)
                done += piece.span.length
            self._end_frame(out)
            out = None
        finally:
            if out is not None:
                out.close()
        self._skeleton.sha256 = self._digest.hexdigest()
        return self._skeleton

    def run_around(self, before: Piece, frames: int, after: Piece) -> Skeleton:
        """Pass over a file whose `frames` frames, written elsewhere, lie between two pieces that are kept."""
        self._keep(before.span)
        self._skip(Span(before.span.end, after.span.offset - before.span.end))
        for number in range(1, frames + 1):
            self._skeleton.add_frame(number)
        self._keep(after.span)
        self._skeleton.sha256 = self._digest.hexdigest()
        return self._skeleton

    def _skip(self, span: Span) -> None:
        """Bytes that are kept elsewhere."""
        for part in read_spans(self._file, (span,), self._buffer):
            self._digest.update(part)

    def _refer(self, frame: int, part: Span, *, whole: bool) -> None:
        """Let the skeleton say that the next bytes are those of a frame, or a part of one."""
        if whole and self._is_one(frame):
            self._skeleton.add_frame(frame + 1)
        else:
            self._skeleton.add_frame_part(frame + 1, part)

    def _is_one(self, frame: int) -> bool:
        """Whether the file has the frame in one piece."""
        return self._frames is not None and len(self._frames.spans(frame)) == 1

    def _is_whole(self, frame: int, span: Span) -> bool:
        """Whether `span` is all of the frame, and fits into the buffer."""
        return self._is_one(frame) and span.length <= len(self._buffer.view)

    def _name(self, frame: int) -> str:
        return f"{self._folder}/frames/{layout.frame_name(frame + 1, self._suffix)}"

    def _write_whole(self, frame: int, span: Span, guard: BoundaryGuard) -> None:
        """The common case: one read, one hash, one write."""
        part = self._buffer.view[: span.length]
        if self._file.read_into(span.offset, part) < span.length:
            raise BrokenDicom(f"the source ends inside frame {frame + 1}")
        self._digest.update(part)
        guard.check(self._buffer, span.length)
        self._staging.write(self._name(frame), [self._head, part, multipart.TAIL])

    def _begin_frame(self, frame: int) -> FileIO:
        out = self._staging.create(self._name(frame))
        out.write(self._head)
        return out

    def _append(self, out: FileIO, span: Span, guard: BoundaryGuard) -> None:
        for part in read_spans(self._file, (span,), self._buffer):
            self._digest.update(part)
            guard.check(self._buffer, len(part))
            out.write(part)

    @staticmethod
    def _end_frame(out: FileIO | None) -> None:
        if out is not None:
            out.write(multipart.TAIL)
            out.close()

    def _keep(self, span: Span) -> None:
        """Bytes that are no frame: values that are kept as bulkdata, and what only the skeleton has."""
        position = span.offset
        while self._next < len(self._values) and self._values[self._next][0] < span.end:
            offset, length, address = self._values[self._next]
            self._next += 1
            if offset < position or offset + length > span.end:
                continue
            self._raw(Span(position, offset - position))
            self._skip(Span(offset, length))
            self._skeleton.add_bulkdata(address, length)
            position = offset + length
        self._raw(Span(position, span.end - position))

    def _raw(self, span: Span) -> None:
        if span.length > LONGEST_RAW:
            bulk = Bulk(0, "UN", (span,), 1)
            self.kept.append(KeptValue(bulk, self._keep_value(self._file, bulk), "bin"))
            self._skeleton.add_bulkdata(self.kept[-1].address, span.length)
            self._skip(span)
            return
        for part in read_spans(self._file, (span,), self._buffer):
            self._digest.update(part)
            self._skeleton.add_raw(part)
