"""Raw deflate streams, inflated piece by piece."""

import zlib

import pytest

from staticwado.dicom.inflate import inflate_stream
from staticwado.dicom.sources import MemorySource
from staticwado.errors import BrokenDicom
from tests.factories import deflate

CHUNK = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 5000, *range(CHUNK - 3, CHUNK + 1100, 37), 3 * CHUNK + 5])
def test_a_stream_is_whole_wherever_it_ends(size: int) -> None:
    """Also where all input was taken while a full chunk of output was waiting to be handed out."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = squeezer.compress(bytes(size)) + squeezer.flush()
    assert b"".join(inflate_stream(MemorySource(stream), 0)) == bytes(size)


def test_what_follows_a_stream_is_left_alone() -> None:
    stream = deflate(b"data" * 99) + b"\0\0tail"
    assert b"".join(inflate_stream(MemorySource(b"head" + stream), 4)) == b"data" * 99


def test_a_stream_that_is_cut_short_or_damaged_is_found() -> None:
    stream = deflate(bytes(range(256)) * 9000, level=1)
    with pytest.raises(BrokenDicom, match="cut short"):
        list(inflate_stream(MemorySource(stream[:-9]), 0))
    with pytest.raises(BrokenDicom, match="damaged"):
        list(inflate_stream(MemorySource(b"\xff" * 99), 0))
