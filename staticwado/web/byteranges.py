"""Several ranges of a body in one multipart/byteranges (RFC 9110 14.6, 15.3.7.2).

One rule: it is pieces like every body; no range is read before it is sent.
"""

import secrets
from collections.abc import Sequence

from staticwado.web.answer import Pieces, Span, cut
from staticwado.web.conditional import Stretch


def byteranges(
    pieces: Pieces, stretches: Sequence[Stretch], media_type: str, length: int
) -> tuple[str, Pieces]:
    """(Content-Type, body) of `stretches` of a body of `length` bytes; `media_type` is the whole body's."""
    # Nobody can have put this into the bytes, which are not searched.
    boundary = secrets.token_hex(24)
    made: list[bytes | Span] = []
    for start, stop in stretches:
        line_end = "\r\n" if made else ""
        made.append(
            f"{line_end}--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: bytes {start}-{stop - 1}/{length}\r\n\r\n".encode()
        )
        made += cut(pieces, start, stop)
    made.append(f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", tuple(made)
