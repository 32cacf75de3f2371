"""multipart/related bodies (PS3.18 8.6.1.2, RFC 2387).

One rule: the boundary of stored files is constant, so that equal frames are equal files on every machine.
"""

from collections.abc import Iterable, Iterator

BOUNDARY = "staticwado-7c1f5b0e9d3a48d6b2f4a1c08e6d95737f20b4c16ad849e5"
"""Long enough not to occur by chance; ingest checks that it does not occur in what it wraps."""

_OPEN = f"--{BOUNDARY}\r\n".encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
"""What follows the last part's body."""


def content_type(media_type: str, transfer_syntax: str | None = None) -> str:
    """The Content-Type of one part, in the spelling that every viewer was seen to read."""
    return f"{media_type};transfer-syntax={transfer_syntax}" if transfer_syntax else media_type


def envelope_type(media_type: str, boundary: str = BOUNDARY) -> str:
    """The Content-Type of a whole multipart/related answer whose parts are of `media_type`."""
    return f'multipart/related; type="{media_type}"; boundary={boundary}'


def head(part_type: str, location: str | None = None, boundary: str = BOUNDARY) -> bytes:
    """What precedes the body of a part: the delimiter line and the part's header, ending in an empty line."""
    lines = f"--{boundary}\r\nContent-Type: {part_type}\r\n"
    if location is not None:
        lines += f"Content-Location: {location}\r\n"
    return lines.encode() + b"\r\n"


def tail(boundary: str) -> bytes:
    """What follows the last part's body when the delimiter is `boundary`."""
    return f"\r\n--{boundary}--\r\n".encode()


def join(parts: Iterable[tuple[bytes, Iterable[bytes]]], boundary: str = BOUNDARY) -> Iterator[bytes]:
    """A whole body from (head, chunks of the body) pairs, whose heads have this boundary; nothing is held."""
    separator = b""
    for start, chunks in parts:
        yield separator + start
        yield from chunks
        separator = b"\r\n"
    yield tail(boundary)


def split_one(data: bytes) -> tuple[str, int, int]:
    """Where the payload of a stored one-part file lies: (part Content-Type, offset, length).

    `data` may be the whole file or its first bytes; the length counts to the end of `data` less the tail.
    Raises ValueError when `data` does not start as `head` writes it.
    """
    end = data.find(b"\r\n\r\n")
    if not data.startswith(_OPEN) or end < 0:
        raise ValueError("not a stored multipart file")
    part_type = ""
    for line in data[len(_OPEN) : end].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-type":
            part_type = value.strip().decode("ascii")
    return part_type, end + 4, len(data) - end - 4 - len(TAIL)
