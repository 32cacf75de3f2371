"""An answer to a request, before it meets a socket: what the body is, and what is said about it.

One rule: an answer is a value; it can be looked at, kept and cut into ranges without a server.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from staticwado.errors import ConfigurationError, StaticWadoError
from staticwado.store.local import Stat
from staticwado.web.accesslog import NO_REQUEST, request_id

JSON = "application/json"
DICOM_JSON = "application/dicom+json"
MARKUP = frozenset({"text/xml", "text/html", "application/xml", "image/svg+xml"})
SANDBOX = "default-src 'none'; sandbox"
"""Content-Security-Policy of markup from a DICOM file: it must not run scripts in the viewer's origin."""

_PATH = re.compile(r"(?<![\w.:/])/[^:'\"]*")
"""A path of this machine in the text of an error; those of the archive do not begin with a slash."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file."""

    path: str
    offset: int
    length: int
    stat: Stat
    """Of the file when it was looked up; another file in its place must not be mixed in."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is made while it is sent; `chunks` blocks and runs in a thread."""

    chunks: Callable[[], Iterator[bytes]]
    length: int | None = None


Pieces = tuple[bytes | Span, ...]
Body = bytes | Pieces | Stream
"""All of it in memory, or pieces one after the other, or a stream."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer when no condition and no range says otherwise."""

    content_type: str
    body: Body
    status: int = 200
    etag: str | None = None
    """Strong, with its quotes."""
    modified: int | None = None
    """Seconds since 1970."""
    encoding: str | None = None
    immutable: bool = False
    vary: str = "Accept, Accept-Encoding"
    headers: Mapping[str, str] = field(default_factory=dict)
    view: str = "other"
    """What the request counts as in the metrics."""
    depends: tuple[str, Stat] | None = None
    """The file (path, stat) that alone makes this answer; while that is unchanged, so is the answer."""
    absent: str | None = None
    """A file that must not be there for this to hold: what says that the other one is owed."""

    @property
    def length(self) -> int | None:
        """Bytes of the body; None if it is not known in advance."""
        if isinstance(self.body, bytes):
            return len(self.body)
        if isinstance(self.body, Stream):
            return self.body.length
        return sum(piece_length(piece) for piece in self.body)


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that a retrieve function gives when making it takes time; `make` blocks."""

    make: Callable[[], Answer]


def piece_length(piece: bytes | Span) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def cut(pieces: Pieces, start: int, stop: int) -> Iterator[bytes | Span]:
    """The pieces, or parts of pieces, that make up bytes `start` to before `stop`."""
    position = 0
    for piece in pieces:
        length = piece_length(piece)
        first, last = max(start - position, 0), min(stop - position, length)
        if first < last:
            if isinstance(piece, bytes):
                yield piece[first:last]
            else:
                yield Span(piece.path, piece.offset + first, last - first, piece.stat)
        position += length
        if position >= stop:
            return


def etag_of(stat: Stat, form: str = "") -> str:
    """The entity tag of one form of a stored file: each form (encoding, part) has bytes of its own."""
    return f'"{stat.mtime_ns:x}-{stat.size:x}-{stat.inode:x}{form and "-" + form}"'


def seconds_of(stat: Stat) -> int:
    """When the file was last changed, in whole seconds since 1970."""
    return stat.mtime_ns // 1_000_000_000


def json_answer(value: Any, status: int = 200, view: str = "other", **headers: str) -> Answer:
    """An answer that holds plain JSON; `headers` have `_` for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(JSON, orjson.dumps(value), status, headers=named, view=view, vary="")


def error_answer(status: int, message: str, view: str = "other", **headers: str) -> Answer:
    """An answer that says what was wrong (PS3.18 8.6.3)."""
    value = {"error": message} | ({"request": name} if (name := request_id.get()) != NO_REQUEST else {})
    return json_answer(value, status, view, Cache_Control="no-store", **headers)


def told(error: StaticWadoError, status: int) -> str:
    """What a stranger may read of an error: nothing of this machine. The log has the rest."""
    if isinstance(error, ConfigurationError):
        return "the server is not set up for this; its log says more"
    return str(error) if status < 500 else _PATH.sub("a file", str(error))
