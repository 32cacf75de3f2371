"""Where the bytes of a Part 10 file come from: anything that can be read at an offset."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class ByteSource(Protocol):
    """Random access to bytes that do not change while they are read."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end of the source."""
        ...

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill `view` from `offset`; returns how many bytes were read, fewer only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source: `length` bytes from `offset`."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


class MemorySource:
    """A source whose bytes are all in memory."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def read_into(self, offset: int, view: memoryview) -> int:
        part = self.data[offset : offset + len(view)]
        view[: len(part)] = part
        return len(part)


def gathered(chunks: Iterator[bytes], least: int) -> Iterator[bytes]:
    """The same bytes in chunks of at least `least` bytes, but for the last: each chunk costs who takes it."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= least:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
