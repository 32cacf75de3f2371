"""A multipart body that arrives in pieces of any size (RFC 2046 5.1.1, RFC 2387), read part by part.

One rule: the same bytes give the same parts however they are split, and no more is held than one delimiter or
the header of one part.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from staticwado.errors import BadRequest

LONGEST_BOUNDARY = 200
"""RFC 2046 allows 70 characters; some writers use more."""
LONGEST_HEADER = 16384
"""Bytes that the header of one part may have."""
_LONGEST_PADDING = 128
"""Blanks that may follow a boundary (`transport-padding`)."""
_MOST_FIELDS = 64
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_FOLDED = re.compile(r"\r?\n[ \t]+")
_LINE_END = re.compile(r"\r?\n")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_HEADER = re.compile(rb"(\r?\n)")
_HEADER_END = re.compile(rb"\r?\n(\r?\n)")
_UNDECIDED = re.compile(rb"--?|--[ \t]{0,128}|[ \t]{0,128}\r?")
"""What may follow a delimiter's boundary and need more bytes to be told."""


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins."""

    headers: Mapping[str, str]
    """By lower-case name; of equal names the first."""


@dataclass(frozen=True, slots=True)
class PartBytes:
    """The next bytes of the part."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is whole: its delimiter was met."""


Event = PartStart | PartBytes | PartEnd


class _At(Enum):
    PREAMBLE = auto()
    HEADER = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartReader:
    """Takes the bytes of a body as they come.

    What stands before the first boundary and after the last is passed over. Lines end in CRLF, or all in LF
    if that of the first boundary does. A boundary that goes on with other letters is part of the body.
    """

    def __init__(self, boundary: str) -> None:
        """Raises BadRequest for what can be no boundary."""
        if not boundary or len(boundary) > LONGEST_BOUNDARY or not boundary.isascii():
            raise BadRequest("the boundary of the multipart must have 1 to 200 characters of ASCII")
        if not boundary.isprintable() or boundary.endswith(" "):
            raise BadRequest("the boundary of the multipart must be printable and not end in a space")
        self._delimiter = b"--" + boundary.encode("ascii")
        """Until the first boundary tells how lines end, without the end of the line before."""
        self._first = re.compile(rb"\n" + re.escape(self._delimiter) + rb"[ \t]{0,128}(\r?\n)")
        self._longest_first = len(boundary) + _LONGEST_PADDING + 5
        self._tail = _NO_HEADER
        self._skip = 0
        """Bytes of the end of the header that are still held: of an empty body they are the delimiter's."""
        # As if a line had ended before: the body may begin with a boundary.
        self._held = bytearray(b"\n")
        self._at = _At.PREAMBLE
        self.parts = 0
        """Parts begun so far."""

    @property
    def held(self) -> int:
        """Bytes that wait for what follows them."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[Event]:
        """What `data`, the next bytes, brings; to be exhausted. Raises BadRequest."""
        if self._at is not _At.EPILOGUE:
            self._held += data
            yield from self._read(last=False)

    def finish(self) -> Iterator[Event]:
        """What the end of the body brings. Raises BadRequest if it comes before the last boundary."""
        yield from self._read(last=True)
        if self._at is _At.PREAMBLE:
            raise BadRequest("the body holds no part: no boundary that begins one occurs in it")
        if self._at is not _At.EPILOGUE:
            raise BadRequest(f"the body ends inside part {max(self.parts, 1)}, without the last boundary")

    def _read(self, *, last: bool) -> Iterator[Event]:
        while self._at is not _At.EPILOGUE:
            if self._at is _At.PREAMBLE:
                if not self._skip_preamble():
                    return
            elif self._at is _At.HEADER:
                headers = self._take_header()
                if headers is None:
                    return
                self.parts += 1
                yield PartStart(headers)
            else:
                end, delimiter = self._body_end(last=last)
                data = self._take(end)[self._skip :]
                self._skip = max(0, self._skip - end)
                if data:
                    yield PartBytes(data)
                if not delimiter:
                    return
                final = self._take(len(delimiter))[len(self._delimiter) :].startswith(b"--")
                self._at = _At.EPILOGUE if final else _At.HEADER
                yield PartEnd()
        self._held.clear()

    def _take(self, size: int) -> bytes:
        data = bytes(memoryview(self._held)[:size])
        del self._held[:size]
        return data

    def _skip_preamble(self) -> bool:
        """Go to the header of the first part; whether there is one yet."""
        found = self._first.search(self._held)
        if found is None:
            del self._held[: max(0, len(self._held) - self._longest_first)]
            return False
        end_of_line = found[1]
        self._delimiter = end_of_line + self._delimiter
        self._tail = re.compile(rb"--[ \t]{0,128}(?=[\r\n]|\Z)|[ \t]{0,128}" + end_of_line)
        self._take(found.end())
        self._at = _At.HEADER
        return True

    def _take_header(self) -> Mapping[str, str] | None:
        """The header of a part, of which an empty line is the end; None if it is not whole yet."""
        found = _NO_HEADER.match(self._held) or _HEADER_END.search(self._held)
        if (found.end() if found is not None else len(self._held)) > LONGEST_HEADER:
            raise BadRequest(f"the header of part {self.parts + 1} is longer than {LONGEST_HEADER} bytes")
        if found is None:
            return None
        self._at = _At.BODY
        self._skip = found.end() - found.start(1)
        return _fields(self._take(found.start(1)).decode("latin-1"), self.parts + 1)

    def _body_end(self, *, last: bool) -> tuple[int, bytes]:
        """How many bytes belong to the body for certain, and the delimiter behind them, if there is one."""
        held, size = self._held, len(self._held)
        place = held.find(self._delimiter)
        while place >= 0:
            after = place + len(self._delimiter)
            if not last and _UNDECIDED.fullmatch(held, after):
                return place, b""
            if found := self._tail.match(held, after):
                return place, bytes(held[place : found.end()])
            place = held.find(self._delimiter, place + 1)
        if last:
            return size, b""
        # Only what could be the beginning of a delimiter has to wait.
        place = held.find(self._delimiter[:1], max(0, size - len(self._delimiter) + 1))
        while place >= 0 and not self._delimiter.startswith(held[place:]):
            place = held.find(self._delimiter[:1], place + 1)
        return (size if place < 0 else place), b""


def _fields(text: str, part: int) -> Mapping[str, str]:
    """The fields of a part's header. Raises BadRequest."""
    found: dict[str, str] = {}
    # Not `splitlines`, which knows more ends of lines than the writer of the header does.
    lines = [line for line in _LINE_END.split(_FOLDED.sub(" ", text)) if line]
    if len(lines) > _MOST_FIELDS:
        raise BadRequest(f"the header of part {part} has more than {_MOST_FIELDS} fields")
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name.rstrip(" \t")) or _CONTROL.search(value):
            raise BadRequest(f"the header of part {part} has a line that is no field: {line[:80]!r}")
        found.setdefault(name.rstrip(" \t").lower(), value.strip(" \t"))
    return found
