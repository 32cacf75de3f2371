"""The parts of a body on their way to disk, while the body arrives.

One rule: nothing of a part is kept in memory but the piece at hand, unless the body was there whole.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from staticwado.dicomweb.multipart_reader import Event, MultipartReader, PartBytes, PartStart
from staticwado.dicomweb.store_request import Form, PartType, StoreRequest, is_metadata, read_part_type
from staticwado.errors import BadRequest, TooMuch, UnsupportedMedia
from staticwado.store.local import Staging

if TYPE_CHECKING:
    from io import FileIO

_PIECE = 1 << 20
_RATIO, _RATIO_FREE = 250, 64 << 20
"""How many times its size a packed body may become, once it is this many bytes."""
_PLAIN = frozenset({"", "binary", "8bit", "7bit"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may bring; bytes, but for `parts`."""

    body: int
    """Also of what a packed body becomes."""
    part: int
    parts: int
    dataset: int
    """Of all metadata of a request in DICOM JSON or XML together."""


@dataclass(slots=True)
class Part:
    """One part of a body."""

    number: int
    """From 1."""
    media: PartType
    location: str | None
    """Content-Location."""
    name: str = ""
    """Of its file in the staging folder."""
    is_metadata: bool = False
    """Whether it holds data sets in DICOM JSON or XML."""
    size: int = 0
    pieces: list[bytes] = field(default_factory=list)
    """What is in no file."""


class Spool:
    """Takes the bytes of a body as they come; files of its parts are in `staging`, or, without one, in
    memory.
    """

    def __init__(
        self,
        asked: StoreRequest,
        staging: Staging | None,
        limits: Limits,
        encoding: str | None,
        part_type: str | None,
    ) -> None:
        """`encoding` is the request's Content-Encoding; `part_type` the Content-Type, for a body of one part.

        Raises BadRequest for an impossible boundary, and UnsupportedMedia for an encoding that is not known.
        """
        self._form = asked.form
        self._staging = staging
        self._limits = limits
        self._reader = MultipartReader(asked.boundary) if asked.boundary is not None else None
        self._inflater = _Inflater(limits.body) if _is_packed(encoding) else None
        self._file: FileIO | None = None
        self._metadata = 0
        self._received = 0
        self.parts: list[Part] = []
        """The parts so far; all are whole once `finish` has returned."""
        if self._reader is None:
            self._begin({"content-type": part_type or ""})

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BadRequest, TooMuch, StoreUnavailable."""
        self._received += len(data)
        if self._received > self._limits.body:
            raise TooMuch(f"the body has more than {self._limits.body} bytes (maxBody)")
        for plain in self._inflater.feed(data) if self._inflater is not None else (data,):
            if self._reader is None:
                self._add(plain)
                continue
            for event in self._reader.feed(plain):
                self._take(event)

    def finish(self) -> list[Part]:
        """All parts, now that the body has ended. Raises BadRequest if it ends too early."""
        if self._inflater is not None:
            self._inflater.finish()
        if self._reader is None:
            if not self._received:
                raise BadRequest("the request has no body")
            self.close()
        else:
            for event in self._reader.finish():
                self._take(event)
        return self.parts

    def close(self) -> None:
        """Close what is open; the files are the staging's."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, event: Event) -> None:
        if isinstance(event, PartStart):
            self._begin(event.headers)
        elif isinstance(event, PartBytes):
            self._add(event.data)
        else:
            self.close()

    def _begin(self, fields: Mapping[str, str]) -> None:
        number = len(self.parts) + 1
        if number > self._limits.parts:
            raise TooMuch(f"the body has more than {self._limits.parts} parts (maxParts)")
        if fields.get("content-transfer-encoding", "").lower() not in _PLAIN:
            raise BadRequest(f"part {number} has a Content-Transfer-Encoding; parts are binary here")
        media, name = read_part_type(fields.get("content-type")), str(number)
        is_dataset = self._form is not Form.DICOM and is_metadata(self._form, media)
        self.parts.append(Part(number, media, fields.get("content-location"), name, is_dataset))
        if self._staging is not None:
            self._file = self._staging.create(name)

    def _add(self, data: bytes) -> None:
        part = self.parts[-1]
        part.size += len(data)
        if part.size > self._limits.part:
            raise TooMuch(f"part {part.number} has more than {self._limits.part} bytes (maxPart)")
        if part.is_metadata:
            self._metadata += len(data)
            if self._metadata > self._limits.dataset:
                raise TooMuch(f"the metadata have more than {self._limits.dataset} bytes (maxDataset)")
        if self._file is not None:
            self._file.write(data)
        else:
            part.pieces.append(data)


def _is_packed(encoding: str | None) -> bool:
    """Whether a body is gzip. Raises UnsupportedMedia for any other Content-Encoding."""
    name = (encoding or "").strip().lower()
    if name in ("", "identity"):
        return False
    if name not in ("gzip", "x-gzip"):
        raise UnsupportedMedia(f"a body of the Content-Encoding {name[:40]!r} is not taken; gzip is")
    return True


class _Inflater:
    """A gzip body (RFC 1952), of one member or several, piece by piece."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._member = zlib.decompressobj(31)
        self._within = False
        self._taken = self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` becomes. Raises BadRequest, and TooMuch for what becomes too large."""
        self._taken += len(data)
        piece = b""
        while data or len(piece) == _PIECE:
            if data and not self._within:
                # Zeros may follow the last member, and another member any.
                data = data.lstrip(b"\0")
                self._within = bool(data)
                self._member = zlib.decompressobj(31)
            try:
                piece = self._member.decompress(data, _PIECE)
            except zlib.error as error:
                raise BadRequest(f"the body is no gzip: {error}") from error
            self._given += len(piece)
            if self._given > self._limit:
                raise TooMuch(f"the unpacked body has more than {self._limit} bytes (maxBody)")
            if self._given > _RATIO_FREE and self._given > self._taken * _RATIO:
                raise TooMuch(f"the packed body becomes more than {_RATIO} times its size")
            if piece:
                yield piece
            data = self._member.unconsumed_tail
            if self._member.eof:
                self._within, data = False, self._member.unused_data

    def finish(self) -> None:
        """Raises BadRequest unless the body ended where a member did."""
        if self._within or not self._taken:
            raise BadRequest("the packed body is cut short")
