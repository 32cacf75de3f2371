"""Raw deflate streams, inflated piece by piece (PS3.5 A.5, A.4.13).

One rule: memory does not grow with what a stream inflates to.
"""

import zlib
from collections.abc import Iterable, Iterator

from staticwado.dicom.sources import ByteSource
from staticwado.errors import BrokenDicom

_CHUNK = 1 << 20


def inflate_stream(source: ByteSource, offset: int) -> Iterator[bytes]:
    """The raw deflate stream of `source` from `offset` on, inflated in pieces (PS3.5 A.5). Raises
    BrokenDicom.
    """
    yield from map(bytes, inflate(_chunks(source, offset), None))


def _chunks(source: ByteSource, offset: int) -> Iterator[bytes]:
    while data := source.read(offset, _CHUNK):
        yield data
        offset += len(data)


def inflate(parts: Iterable[bytes | memoryview], length: int | None) -> Iterator[bytes | memoryview]:
    """Inflate a raw deflate stream piece by piece; not much past `length` bytes. Raises BrokenDicom."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    try:
        for part in parts:
            data: bytes | memoryview = part
            while not inflater.eof and len(data):
                piece = inflater.decompress(data, _CHUNK)
                data = inflater.unconsumed_tail
                size += len(piece)
                yield piece
                if length is not None and size > length + _CHUNK:
                    raise BrokenDicom("a deflated frame is longer than its rows and columns need")
        while not inflater.eof and (piece := inflater.decompress(b"", _CHUNK)):
            yield piece  # what was waiting when the input ended
    except zlib.error as error:
        raise BrokenDicom(f"a deflate stream is damaged: {error}") from error
    if not inflater.eof:
        raise BrokenDicom("a deflate stream is cut short")
