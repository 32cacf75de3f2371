"""Where each frame of one Pixel Data value lies in its source; frames count from 0 here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from staticwado.dicom.sources import Span
from staticwado.errors import Unsupported

MAX_FRAMES = 1 << 20
"""More frames of one instance are refused: each becomes a file, and one byte can hold eight frames."""

if TYPE_CHECKING:
    from array import array


class FrameTable(Protocol):
    """What native and encapsulated frames have in common."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is wrong with the value, but did not hinder finding the frames."""
        ...

    @property
    def end(self) -> int:
        """The offset after the value, its sequence delimitation item included."""
        ...

    def __len__(self) -> int: ...

    def length(self, index: int) -> int:
        """Bytes of the frame as `read_frame` gives it."""
        ...

    def spans(self, index: int) -> tuple[Span, ...]:
        """The stretches of the source that hold the frame, in order."""
        ...

    def is_verbatim(self, index: int) -> bool:
        """Whether the bytes of the spans, joined, are the frame: nothing to shift, to mask or to swap."""
        ...


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Frames of one length, back to back; they may begin and end inside a byte (PS3.5 8.1.1, 8.2)."""

    value: Span
    count: int
    frame_bits: int
    word_size: int = 1
    """Bytes whose order is to be reversed: more than 1 only in big endian values."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.count

    @property
    def end(self) -> int:
        return self.value.end

    @property
    def payload(self) -> Span:
        """All frames together; what is left of the value is padding."""
        return Span(self.value.offset, (self.count * self.frame_bits + 7) // 8)

    def length(self, index: int) -> int:
        _check(index, self.count)
        return (self.frame_bits + 7) // 8

    def bit_offset(self, index: int) -> int:
        """Which bit of the first byte is the first of the frame; 0 is the least significant."""
        return index * self.frame_bits % 8

    def spans(self, index: int) -> tuple[Span, ...]:
        _check(index, self.count)
        first = index * self.frame_bits
        start, end = first // 8, (first + self.frame_bits + 7) // 8
        if self.word_size > 1:
            start -= start % self.word_size
            end = min(end + -end % self.word_size, self.value.length)
        return (Span(self.value.offset + start, end - start),)

    def is_verbatim(self, index: int) -> bool:
        return self.word_size == 1 and self.frame_bits % 8 == 0


@dataclass(frozen=True, slots=True, eq=False)
class EncapsulatedFrames:
    """Frames in fragments; each fragment belongs to one frame, in order (PS3.5 A.4)."""

    offset: int
    """Where the value begins: the tag of its first item."""
    end: int
    starts: "array[int]"
    """Where the payload of each fragment begins; fragments without payload are left out."""
    lengths: "array[int]"
    """Bytes of each payload, without a byte that is known to be padding."""
    first: "array[int] | None" = None
    """The first fragment of each frame; None: one fragment each."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.starts) if self.first is None else len(self.first)

    def length(self, index: int) -> int:
        return sum(self.lengths[number] for number in self._fragments(index))

    def spans(self, index: int) -> tuple[Span, ...]:
        return tuple(Span(self.starts[number], self.lengths[number]) for number in self._fragments(index))

    def is_verbatim(self, index: int) -> bool:
        return True

    @property
    def total_length(self) -> int:
        """Bytes of all frames together."""
        return sum(self.lengths)

    def gaps(self) -> Iterator[Span]:
        """What of the value is no frame, in order: item headers, offset table, delimiter.

        One gap goes before each fragment (never empty) and one after the last, so gaps and fragments by
        turns are the whole value from `offset` to `end`.
        """
        position = self.offset
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield Span(position, start - position)
            position = start + length
        yield Span(position, self.end - position)

    def _fragments(self, index: int) -> range:
        _check(index, len(self))
        if self.first is None:
            return range(index, index + 1)
        end = self.first[index + 1] if index + 1 < len(self.first) else len(self.starts)
        return range(self.first[index], end)


def check_number_of_frames(count: int) -> None:
    """Raise Unsupported beyond MAX_FRAMES."""
    if count > MAX_FRAMES:
        raise Unsupported(f"Pixel Data (7FE0,0010) has {count} frames, more than {MAX_FRAMES}")


def _check(index: int, count: int) -> None:
    if not 0 <= index < count:
        raise IndexError(f"frame {index} of {count}")
