"""Encapsulated Pixel Data: which fragments are which frame, whatever offset tables say."""

import struct
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicom import frame_table
from staticwado.dicom.fragments import MAX_FRAGMENTS
from staticwado.dicom.frames import (
    EncapsulatedFrames,
    FrameTable,
    encapsulated_frames,
    read_frame,
    stream_frame,
)
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.dicom.transfer_syntax import RLE_LOSSLESS, TRANSFER_SYNTAXES, TransferSyntax
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported

JPEG = TRANSFER_SYNTAXES["1.2.840.10008.1.2.4.50"]
JPEG_2000 = TRANSFER_SYNTAXES["1.2.840.10008.1.2.4.90"]
JPEG_XL = TRANSFER_SYNTAXES["1.2.840.10008.1.2.4.110"]
RLE = TRANSFER_SYNTAXES[RLE_LOSSLESS]
UNCOMPRESSED = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1.98"]
VIDEO = TRANSFER_SYNTAXES["1.2.840.10008.1.2.4.102"]
SIGNATURES = {
    JPEG.uid: b"\xff\xd8\xff\xe0",
    JPEG_2000.uid: b"\xff\x4f\xff\x51",
    JPEG_XL.uid: b"\xff\x0a",
    RLE.uid: b"\1\0\0\0\x40\0\0\0",
}
LEAD = b"before the value"
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(data: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(data)) + data


def encapsulate(
    fragments: Sequence[bytes], table: Sequence[int] | bytes = b"", end: bytes = DELIMITER
) -> bytes:
    """A value with a Basic Offset Table of `table`, after a few other bytes."""
    if not isinstance(table, bytes):
        table = struct.pack(f"<{len(table)}I", *table)
    return LEAD + item(table) + b"".join(map(item, fragments)) + end


def offsets_of(fragments: Sequence[bytes]) -> list[int]:
    """What an offset table with an entry a fragment holds."""
    return list(accumulate((8 + len(fragment) for fragment in fragments), initial=0))[:-1]


def extended(offsets: Sequence[int], lengths: Sequence[int]) -> tuple[bytes, bytes]:
    return struct.pack(f"<{len(offsets)}Q", *offsets), struct.pack(f"<{len(lengths)}Q", *lengths)


def find(
    data: bytes,
    count: int | None,
    syntax: str = JPEG.uid,
    extended: tuple[bytes, bytes] | None = None,
    frame_length: int | None = None,
) -> EncapsulatedFrames:
    source = MemorySource(data)
    return encapsulated_frames(source, len(LEAD), count, TRANSFER_SYNTAXES[syntax], extended, frame_length)


def frames_of(source: ByteSource | bytes, table: FrameTable) -> list[bytes]:
    """All frames, read in one piece and in small chunks."""
    source = MemorySource(source) if isinstance(source, bytes) else source
    frames = [read_frame(source, table, index) for index in range(len(table))]
    for index, frame in enumerate(frames):
        assert b"".join(map(bytes, stream_frame(source, table, index, bytearray(7)))) == frame
        assert table.length(index) == len(frame)
    return frames


def jpeg(number: int, length: int = 20) -> bytes:
    return b"\xff\xd8\xff" + bytes([number]) * (length - 5) + b"\xff\xd9"


@pytest.mark.parametrize("table", [b"", [0, 28, 58]])
def test_one_fragment_a_frame_needs_no_table(table: Sequence[int] | bytes) -> None:
    parts = [jpeg(1), jpeg(2, 22), jpeg(3)]
    data = encapsulate(parts, table)
    found = find(data, 3)
    assert frames_of(data, found) == parts
    assert (found.notes, found.end, found.first) == ((), len(data), None)
    assert found.total_length == 62


def test_a_basic_offset_table_joins_fragments() -> None:
    parts = [jpeg(1), b"12", jpeg(2), b"34", b"56", jpeg(3)]
    starts = offsets_of(parts)
    data = encapsulate(parts, [starts[0], starts[2], starts[5]])
    found = find(data, 3)
    assert frames_of(data, found) == [b"".join(parts[:2]), b"".join(parts[2:5]), parts[5]]
    assert found.notes == ()
    assert [len(found.spans(index)) for index in range(3)] == [2, 3, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        [1, 31, 61],
        [0, 0, 0],
        [30, 60, 90],
        [0, 60, 30],
        [0, 30],
        [0, 30, 60, 4000],
        [0, 30, 0xFFFFFFFF],
        b"\0\0\0",
        [0, 22, 44],
    ],
)
def test_a_wrong_basic_offset_table_is_noted_and_not_used(wrong: Sequence[int] | bytes) -> None:
    parts = [jpeg(1, 14), b"12345678", jpeg(2, 14), b"12345678", jpeg(3, 14), b"12345678"]
    data = encapsulate(parts, wrong)
    found = find(data, 3)
    assert frames_of(data, found) == [parts[0] + parts[1], parts[2] + parts[3], parts[4] + parts[5]]
    assert [note for note in found.notes if "Basic Offset Table" in note]


def test_a_table_with_an_entry_a_fragment_is_not_believed_about_a_single_frame() -> None:
    parts = [jpeg(1), b"12", b"34"]
    found = find(encapsulate(parts, offsets_of(parts)), 1)
    assert frames_of(encapsulate(parts, offsets_of(parts)), found) == [b"".join(parts)]
    assert found.notes == ("the Basic Offset Table (3 entries) does not fit the frames: not used",)


@pytest.mark.parametrize("syntax", SIGNATURES)
def test_without_a_table_frames_begin_where_codestreams_begin(syntax: str) -> None:
    start = SIGNATURES[syntax]
    parts = [start + b"aa", b"bb", start + b"cc", start + b"dddd", b"ee", b"ff"]
    data = encapsulate(parts)
    assert frames_of(data, find(data, 3, syntax)) == [
        b"".join(parts[:2]),
        parts[2],
        b"".join(parts[3:]),
    ]


def test_without_beginnings_frames_end_where_codestreams_end() -> None:
    parts = [b"aabb", b"cc\xff\xd9", b"dd", b"ee\xff\xd9\0\0", b"ff"]
    data = encapsulate(parts)
    assert frames_of(data, find(data, 3)) == [b"".join(parts[:2]), b"".join(parts[2:4]), parts[4]]


def test_the_extended_offset_table_tells_padding_from_the_frame() -> None:
    parts = [b"abc\0", b"defg", b"h\0"]
    data = encapsulate(parts)
    found = find(data, 3, extended=extended(offsets_of(parts), [3, 4, 1]))
    assert frames_of(data, found) == [b"abc", b"defg", b"h"]
    assert found.notes == ()


def test_the_extended_offset_table_joins_fragments() -> None:
    parts = [b"ab", b"c\0", b"defg"]
    data = encapsulate(parts)
    found = find(data, 2, extended=extended([0, 20], [3, 4]))
    assert frames_of(data, found) == [b"abc", b"defg"]


@pytest.mark.parametrize(
    "wrong",
    [
        extended([0, 12], [4, 9]),
        extended([0, 13], [4, 4]),
        extended([0], [4]),
        extended([0, 12], [4]),
        (b"123", b""),
        extended([0, 2**63], [4, 4]),
    ],
)
def test_a_wrong_extended_offset_table_is_noted_and_not_used(wrong: tuple[bytes, bytes]) -> None:
    parts = [b"abcd", b"efgh"]
    data = encapsulate(parts, [0, 12])
    found = find(data, 2, extended=wrong)
    assert frames_of(data, found) == parts
    assert any("Extended Offset Table" in note for note in found.notes)


def test_a_video_is_one_frame_of_all_fragments() -> None:
    data = encapsulate([b"ab", b"cd", b"ef"], [0])
    found = find(data, 300, VIDEO.uid)
    assert frames_of(data, found) == [b"abcdef"]


def test_a_missing_sequence_delimiter_is_noted() -> None:
    data = encapsulate([jpeg(1)], end=b"")
    found = find(data, 1)
    assert frames_of(data, found) == [jpeg(1)]
    assert (found.end, found.notes) == (
        len(data),
        ("Pixel Data (7FE0,0010) has no sequence delimitation item",),
    )


def test_other_elements_may_follow_without_a_delimiter() -> None:
    data = encapsulate([jpeg(1)], end=b"\xfc\xff\xfc\xffOB\0\0\0\0\0\0")
    found = find(data, 1)
    assert found.end == len(data) - 12


def test_what_follows_the_delimiter_is_not_part_of_the_value() -> None:
    data = encapsulate([jpeg(1)], end=DELIMITER + b"trailing")
    assert find(data, 1).end == len(data) - 8


def test_empty_fragments_belong_to_no_frame() -> None:
    data = encapsulate([b"", jpeg(1), b"", jpeg(2), b""])
    found = find(data, 2)
    assert frames_of(data, found) == [jpeg(1), jpeg(2)]
    assert found.notes == ("Pixel Data (7FE0,0010) has 3 empty fragments",)


def test_odd_fragments_are_noted() -> None:
    data = encapsulate([b"abc"])
    found = find(data, 1)
    assert frames_of(data, found) == [b"abc"]
    assert found.notes == ("Pixel Data (7FE0,0010) has 1 fragments of odd length",)


def test_a_missing_basic_offset_table_item_is_noted() -> None:
    data = LEAD + item(jpeg(1)) + item(jpeg(2)) + DELIMITER
    found = find(data, 2)
    assert frames_of(data, found) == [jpeg(1), jpeg(2)]
    assert found.notes == ("the Basic Offset Table item is missing",)


def test_a_fragment_past_the_end_is_cut_short() -> None:
    data = encapsulate([jpeg(1), jpeg(2)])[:-12]
    message = r"cut short: fragment 2 at offset \d+ is 20 bytes long, 16 bytes are left"
    with pytest.raises(BrokenDicom, match=message):
        find(data, 2)


def test_a_fragment_of_undefined_length_is_refused() -> None:
    data = encapsulate([jpeg(1)], end=b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + jpeg(2))
    with pytest.raises(BrokenDicom, match=r"fragment 2 at offset \d+ has undefined length"):
        find(data, 2)


@pytest.mark.parametrize(
    "data", [LEAD, LEAD + b"abcdefgh", LEAD + b"abc", LEAD + b"\xfe\xff\x00\xe0\x10\0\0\0abcd"]
)
def test_a_value_that_does_not_begin_with_an_item_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenDicom, match=r"\(7FE0,0010\)"):
        find(data, 1)


@pytest.mark.parametrize(
    "data", [encapsulate([]), LEAD + DELIMITER, encapsulate([b"", b""]), encapsulate([], end=b"")]
)
def test_a_value_without_fragments_has_no_frames(data: bytes) -> None:
    with pytest.raises(BrokenDicom, match="no frames"):
        find(data, 1)


def test_fewer_fragments_than_frames_are_an_error_with_both_numbers() -> None:
    with pytest.raises(BrokenDicom, match="2 fragments, too few for the 5 frames"):
        find(encapsulate([jpeg(1), jpeg(2)]), 5)


@pytest.mark.parametrize("count", [None, 1, 2])
def test_more_frames_than_said_are_taken_with_a_note(count: int | None) -> None:
    parts = [jpeg(1), jpeg(2), jpeg(3)]
    data = encapsulate(parts)
    found = find(data, count)
    assert frames_of(data, found) == parts
    assert found.notes == (
        f"Pixel Data (7FE0,0010) has 3 frames, Number of Frames (0028,0008) is {count or 'missing'}",
    )


@pytest.mark.parametrize("count", [0, -5])
def test_a_number_of_frames_that_is_no_count_is_noted_and_frames_are_counted(count: int) -> None:
    data = encapsulate([jpeg(1), jpeg(2)])
    found = find(data, count)
    assert frames_of(data, found) == [jpeg(1), jpeg(2)]
    assert found.notes == ("Number of Frames (0028,0008) is no count; the frames were counted",)


@pytest.mark.parametrize("count", [None, 1])
def test_fragments_of_a_single_frame_are_joined(count: int | None) -> None:
    parts = [jpeg(1), b"abcd", b"ef"]
    data = encapsulate(parts, [0])
    found = find(data, count)
    assert frames_of(data, found) == [b"".join(parts)]
    assert found.notes == ()


def test_fragments_that_nothing_assigns_to_frames_are_an_error() -> None:
    with pytest.raises(BrokenDicom, match="nothing tells which of 3 fragments belong to which of 2 frames"):
        find(encapsulate([b"ab", b"cd", b"ef"]), 2, JPEG_XL.uid)


def test_uncompressed_frames_in_fragments_are_told_apart_by_their_length() -> None:
    parts = [b"abcd", b"e\0", b"fghi", b"j\0"]
    data = encapsulate(parts)
    found = find(data, 2, UNCOMPRESSED.uid, frame_length=5)
    assert frames_of(data, found) == [b"abcde", b"fghij"]


def test_an_uncompressed_frame_that_is_too_short_is_cut_short() -> None:
    with pytest.raises(BrokenDicom, match="frame 2 has 4 of 6 bytes"):
        find(encapsulate([b"abcdef", b"ghij"]), 2, UNCOMPRESSED.uid, frame_length=6)


def test_too_many_fragments_are_refused_rather_than_kept() -> None:
    class Endless:
        """Empty items as far as one reads."""

        size = 1 << 50

        def read(self, offset: int, length: int) -> bytes:
            return (item(b"") * (length // 8 + 2))[offset % 8 :][:length]

        def read_into(self, offset: int, view: memoryview) -> int:
            raise NotImplementedError

    with pytest.raises(Unsupported, match=str(MAX_FRAGMENTS)):
        encapsulated_frames(Endless(), 0, 1, JPEG)


class Counting(MemorySource):
    """Counts what is read."""

    __slots__ = ("bytes_read", "reads")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = self.bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        found = super().read(offset, length)
        self.bytes_read += len(found)
        return found


def test_a_table_of_many_frames_is_small_and_made_with_few_reads() -> None:
    count = 50_000
    source = Counting(encapsulate([jpeg(7)] * count, range(0, 28 * count, 28)))
    found = encapsulated_frames(source, len(LEAD), count, JPEG)
    assert len(found) == count
    assert source.reads < 60
    assert sys.getsizeof(found.starts) + sys.getsizeof(found.lengths) < 16 * count
    assert read_frame(source, found, count - 1) == jpeg(7)


def test_large_fragments_are_not_read_to_find_them() -> None:
    source = Counting(encapsulate([jpeg(1, 100_000), jpeg(2, 100_000)]))
    encapsulated_frames(source, len(LEAD), 2, JPEG)
    assert source.bytes_read < 400


def rebuilt(data: bytes, found: EncapsulatedFrames) -> bytes:
    """The value put together from what is no frame and the frames."""
    made = b""
    gaps = list(found.gaps())
    assert all(gap.length > 0 for gap in gaps[:-1])
    for gap, start, length in zip(gaps, [*found.starts, 0], [*found.lengths, 0], strict=True):
        made += data[gap.offset : gap.end] + data[start : start + length]
    return made


PIECES = st.binary(min_size=1, max_size=9).map(lambda data: data + data[:1] if len(data) % 2 else data)
FRAMES = st.lists(st.lists(PIECES, min_size=1, max_size=4), min_size=1, max_size=8)


@given(frames=FRAMES, kind=st.sampled_from(["basic", "extended", "signature"]), delimited=st.booleans())
@settings(deadline=None)
def test_every_way_to_tell_frames_apart_gives_the_same_frames(
    frames: list[list[bytes]], kind: str, delimited: bool
) -> None:
    if kind == "signature":
        frames = [[SIGNATURES[JPEG_2000.uid] + pieces[0], *pieces[1:]] for pieces in frames]
    parts = [piece for pieces in frames for piece in pieces]
    firsts = list(accumulate((len(pieces) for pieces in frames), initial=0))[:-1]
    starts = [offsets_of(parts)[first] for first in firsts]
    whole = [b"".join(pieces) for pieces in frames]
    tables = extended(starts, [len(frame) for frame in whole]) if kind == "extended" else None
    data = encapsulate(parts, starts if kind == "basic" else b"", DELIMITER if delimited else b"")
    syntax = JPEG_2000 if kind == "signature" else UNCOMPRESSED
    found = find(data, len(frames), syntax.uid, extended=tables)
    assert frames_of(data, found) == whole
    assert rebuilt(data, found) == data[len(LEAD) :]
    assert not [note for note in found.notes if "delimitation" not in note]


HEADERS = st.sampled_from(
    [
        item(b""),
        item(b"\0\0\0\0"),
        item(jpeg(1)),
        DELIMITER,
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    ]
)


@given(
    data=st.lists(st.one_of(HEADERS, st.binary(max_size=12)), max_size=12).map(b"".join),
    count=st.one_of(st.none(), st.integers(-2, 6)),
    syntax=st.sampled_from([JPEG, JPEG_2000, RLE, UNCOMPRESSED, VIDEO]),
    tables=st.one_of(st.none(), st.tuples(st.binary(max_size=24), st.binary(max_size=24))),
    length=st.one_of(st.none(), st.integers(1, 30)),
)
@settings(deadline=None, max_examples=400)
def test_any_bytes_give_frames_or_an_error_of_ours(
    data: bytes,
    count: int | None,
    syntax: TransferSyntax,
    tables: tuple[bytes, bytes] | None,
    length: int | None,
) -> None:
    data = LEAD + data
    try:
        found = find(data, count, syntax.uid, extended=tables, frame_length=length)
    except StaticWadoError:
        return
    assert found.end <= len(data)
    assert sum(len(frame) for frame in frames_of(data, found)) == found.total_length
    assert rebuilt(data, found) == data[len(LEAD) : found.end]


def test_an_absurd_number_of_frames_is_refused_at_once() -> None:
    with pytest.raises(BrokenDicom, match="2147483647 frames"):
        find(encapsulate([jpeg(1), jpeg(2)]), 2**31 - 1)


def test_a_frame_that_does_not_exist_is_an_index_error() -> None:
    found = find(encapsulate([jpeg(1), jpeg(2)]), 2)
    for index in (-1, 2):
        with pytest.raises(IndexError):
            found.spans(index)


@pytest.mark.parametrize("name", ["truncated_encapsulated", "fragment_length_huge"])
def test_real_files_with_broken_fragments_are_cut_short(testdata: Path, name: str) -> None:
    data = (testdata / "malformed" / "generated" / f"{name}.dcm").read_bytes()
    offset = data.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
    with pytest.raises(BrokenDicom, match="cut short"):
        encapsulated_frames(MemorySource(data), offset, 5, JPEG)


def test_more_frames_than_an_archive_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_table, "MAX_FRAMES", 2)
    assert len(find(encapsulate([b"ab"] * 2), 2)) == 2
    with pytest.raises(Unsupported, match="has 3 frames, more than 2"):
        find(encapsulate([b"ab"] * 3), 3)
