"""The data sets of a DICOM JSON array (PS3.18 F.2.1), found in its text before any is read.

One rule: nothing is kept but counts; where a data set begins and ends is all that is told, and whether it is
JSON is for whoever reads it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from staticwado.errors import BadRequest

_BLANKS = b" \t\r\n"
_LONGEST_GAP = 16
"""Characters other than blanks that can stand between two data sets; one is right."""
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_PIECE = 1 << 18
"""Bytes that are looked at together; what is found of them takes ten times as much for the moment."""
_COSTS = {b"{": 100, b"[": 100, b",": 215, b":": 170}
"""Bytes that what follows these marks takes once it is read and written, as measured."""
_LEVEL = 250
"""Bytes that each bracket takes within which another is open."""
_ASCII, _WIDE = 3, 10
"""Bytes that a byte of text takes; where not all is ASCII, every character may become four."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a data set is in the text, bytes from 0, and about how much memory it takes once it is read."""

    start: int
    end: int
    weight: int


def find_datasets(chunks: Iterable[bytes]) -> Iterator[Span]:
    """The data sets of an array, or the only one that there is without; `chunks` are its text in UTF-8.

    Raises BadRequest for what is neither, which may be found only after data sets that were right.
    """
    finder = _Finder()
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield from finder.feed(chunk[start : start + _PIECE])
    finder.finish()


@dataclass(slots=True)
class _Finder:
    base: int | None = None
    """Brackets around each data set: 1 in an array; None before the first character."""
    depth: int = 0
    deepest: int = 0
    in_string: bool = False
    escaped: bool = False
    """Whether the piece before ended in a backslash that the next byte belongs to."""
    gap: bytes = b""
    """What stands between data sets, without blanks."""
    found: int = 0
    start: int | None = None
    """Where the data set at hand begins."""
    weight: int = 0
    is_wide: bool = False
    before: int = 0
    """Bytes of the pieces before."""

    def feed(self, piece: bytes) -> Iterator[Span]:
        text = self._unescaped(piece)
        if self.base is None and (begin := text.lstrip(_BLANKS)):
            self.base = 1 if begin.startswith(b"[") else 0
        marks = _Marks(text, self.in_string)
        at = 0
        # Of a data set that begins in this piece, the others in it count too.
        deepest = 0 if self.start is None else self.deepest
        found, self.depth, self.deepest = marks.at_level(self.depth, self.base or 0, deepest)
        for place, opens in found:
            if self.start is None:
                if not opens:
                    continue
                self._add_gap(text[at:place])
                self._check_gap(text[place : place + 1])
                self.start, at = self.before + place, place
            elif not opens:
                self._weigh(marks, piece, at, place + 1)
                at = place + 1
                yield self._span(self.start, self.before + at)
                self.start, self.weight, self.is_wide = None, 0, False
        if self.start is None:
            self._add_gap(text[at:])
        else:
            self._weigh(marks, piece, at, len(text))
        self.in_string = marks.ends_in_string
        self.before += len(piece)

    def finish(self) -> None:
        if self.start is not None or self.in_string:
            raise BadRequest("the text is no JSON: it ends within a data set")
        if not self.found or self.gap != (b"]" if self.base else b""):
            raise BadRequest("the metadata are no array of data sets")

    def _unescaped(self, piece: bytes) -> bytes:
        """`piece`, as long, with letters in place of what a backslash makes harmless."""
        if self.escaped and piece:
            piece, self.escaped = b"_" + piece[1:], False
        if b"\\" not in piece:
            return piece
        text = _ESCAPE.sub(b"__", piece)
        if text.endswith(b"\\"):
            text, self.escaped = text[:-1] + b"_", True
        return text

    def _check_gap(self, mark: bytes) -> None:
        """Check what stands before a data set."""
        right = b"," if self.found else b"[" if self.base else b""
        if mark != b"{" or self.gap != right or (self.found and not self.base):
            raise BadRequest("the metadata are no array of data sets")
        self.found += 1
        self.gap = b""

    def _add_gap(self, text: bytes) -> None:
        self.gap += text.translate(None, _BLANKS)[: _LONGEST_GAP + 1]
        if len(self.gap) > _LONGEST_GAP:
            raise BadRequest("the metadata are no array of data sets")

    def _weigh(self, marks: "_Marks", piece: bytes, start: int, end: int) -> None:
        own = piece[start:end]
        self.is_wide = self.is_wide or not own.isascii() or b"\\" in own
        self.weight += marks.cost(start, end)

    def _span(self, start: int, end: int) -> Span:
        text = (end - start) * (_WIDE if self.is_wide else _ASCII)
        return Span(start, end, self.weight + text + self.deepest * _LEVEL)


class _Marks:
    """The marks of JSON in a piece of text, outside of strings."""

    def __init__(self, text: bytes, in_string: bool) -> None:
        import numpy

        self._bytes = numpy.frombuffer(text, numpy.uint8)
        quotes = numpy.cumsum(self._bytes == ord('"'), dtype=numpy.int32) + in_string
        self._outside = quotes & 1 == 0
        self.ends_in_string = bool(quotes[-1] & 1) if len(text) else in_string

    def _mask(self, mark: bytes) -> Any:
        return (self._bytes == mark[0]) & self._outside

    def cost(self, start: int, end: int) -> int:
        """The sum of the costs of the marks from `start` to `end`."""
        own, outside = self._bytes[start:end], self._outside[start:end]
        return sum(cost * int(((own == mark[0]) & outside).sum()) for mark, cost in _COSTS.items())

    def at_level(self, depth: int, base: int, deepest: int) -> tuple[list[tuple[int, bool]], int, int]:
        """Brackets that lead out of, or back to, the level `base`: where they are, and whether they open.

        Also the depth at the end, and the greatest; `depth` is that at the beginning, `deepest` the greatest
        before.
        """
        import numpy

        opening = self._mask(b"{") | self._mask(b"[")
        places = numpy.flatnonzero(opening | self._mask(b"}") | self._mask(b"]"))
        if not len(places):
            return [], depth, deepest
        opens = opening[places]
        depths = numpy.cumsum(numpy.where(opens, 1, -1)) + depth
        wanted = depths == numpy.where(opens, base + 1, base)
        pairs = zip(places[wanted].tolist(), opens[wanted].tolist(), strict=True)
        return list(pairs), int(depths[-1]), max(deepest, int(depths.max()))
