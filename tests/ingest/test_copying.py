"""Moving bytes: pieces cover the file, the boundary is found wherever it lies, a shrinking source is
noticed.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.frames import EncapsulatedFrames, NativeFrames
from staticwado.dicom.sources import MemorySource, Span
from staticwado.dicomweb.multipart import BOUNDARY
from staticwado.errors import BrokenDicom, Unsupported
from staticwado.ingest.copying import BoundaryGuard, Buffer, hash_source, pieces_of, read_spans


def test_pieces_cover_the_file_in_order() -> None:
    pieces = pieces_of(100, NativeFrames(Span(10, 60), 3, 160))
    assert pieces is not None
    assert [(one.span.offset, one.span.length, one.frame) for one in pieces] == [
        (0, 10, None),
        (10, 20, 0),
        (30, 20, 1),
        (50, 20, 2),
        (70, 30, None),
    ]
    whole = pieces_of(100, None)
    assert whole is not None
    assert [one.span for one in whole] == [Span(0, 100)]


def test_frames_that_are_not_as_in_the_file_have_no_pieces() -> None:
    assert pieces_of(100, NativeFrames(Span(10, 60), 3, 15)) is None
    assert pieces_of(100, NativeFrames(Span(10, 60), 3, 160, 2)) is None


def test_fragments_are_pieces_of_their_frame() -> None:
    from array import array

    frames = EncapsulatedFrames(0, 60, array("Q", [16, 30, 44]), array("I", [6, 6, 6]), array("I", [0, 2]))
    pieces = pieces_of(60, frames)
    assert pieces is not None
    assert [one.frame for one in pieces] == [None, 0, None, 0, None, 1, None]


def test_padding_behind_a_frame_is_no_part_of_it() -> None:
    from array import array

    frames = EncapsulatedFrames(0, 60, array("Q", [16, 30, 44]), array("I", [6, 6, 6]), array("I", [0, 2]))
    pieces = pieces_of(60, frames, 5)
    assert pieces is not None
    assert [(one.span.offset, one.span.length) for one in pieces if one.frame == 0] == [(16, 5)]
    pieces = pieces_of(60, EncapsulatedFrames(0, 60, frames.starts, frames.lengths, array("I", [0])), 7)
    assert pieces is not None
    assert [(one.span.offset, one.span.length, one.frame) for one in pieces] == [
        (0, 16, None),
        (16, 6, 0),
        (22, 8, None),
        (30, 1, 0),
        (31, 29, None),
    ]


def test_a_frame_that_is_too_short_is_broken() -> None:
    from array import array

    frames = EncapsulatedFrames(0, 60, array("Q", [16, 30]), array("I", [6, 5]))
    with pytest.raises(BrokenDicom, match="frame 2 is 1 bytes shorter"):
        pieces_of(60, frames, 6)


def test_a_source_that_became_shorter_is_noticed() -> None:
    with pytest.raises(BrokenDicom, match="offset 10"):
        list(read_spans(MemorySource(bytes(10)), (Span(4, 20),), Buffer(8)))


def test_a_hash_is_that_of_every_byte() -> None:
    import hashlib

    data = bytes(range(256)) * 7
    assert hash_source(MemorySource(data), Buffer(100)) == hashlib.sha256(data).hexdigest()


@given(st.lists(st.integers(1, 70), min_size=1, max_size=12), st.integers(0, 60), st.booleans())
def test_the_boundary_is_found_across_chunks_of_any_length(cuts: list[int], before: int, whole: bool) -> None:
    data = b"-" * before + BOUNDARY.encode()[: None if whole else -1] + b"tail"
    guard, buffer = BoundaryGuard(), Buffer(100)

    def feed() -> None:
        position = 0
        for length in [*cuts, *[50] * 5]:
            chunk = data[position : position + length]
            buffer.data[: len(chunk)] = chunk
            guard.check(buffer, len(chunk))
            position += len(chunk)

    if whole:
        with pytest.raises(Unsupported):
            feed()
    else:
        feed()
