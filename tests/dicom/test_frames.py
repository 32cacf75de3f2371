"""Frames: the bytes of native ones, and those of real files."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicom.frame_table import MAX_FRAMES
from staticwado.dicom.frames import (
    EncapsulatedFrames,
    FrameTable,
    encapsulated_frames,
    frame_bits,
    native_frames,
    read_frame,
    stream_frame,
    word_size,
)
from staticwado.dicom.sources import ByteSource, MemorySource, Span
from staticwado.dicom.transfer_syntax import ENCAPSULATED_UNCOMPRESSED, TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, Unsupported
from tests.truth import frames as truth
from tests.truth import part10


def frames_of(source: ByteSource | bytes, table: FrameTable) -> list[bytes]:
    """All frames, read in one piece and in small chunks."""
    source = MemorySource(source) if isinstance(source, bytes) else source
    frames = [read_frame(source, table, index) for index in range(len(table))]
    for index, frame in enumerate(frames):
        assert b"".join(map(bytes, stream_frame(source, table, index, bytearray(7)))) == frame
        assert table.length(index) == len(frame)
    return frames


def test_native_frames_lie_back_to_back() -> None:
    table = native_frames(Span(4, 12), 3, 32)
    assert [table.spans(index) for index in range(3)] == [(Span(4, 4),), (Span(8, 4),), (Span(12, 4),)]
    assert frames_of(b"headABCDEFGHIJKL", table) == [b"ABCD", b"EFGH", b"IJKL"]
    assert (table.end, table.payload, table.notes, table.is_verbatim(0)) == (16, Span(4, 12), (), True)


def test_frames_that_end_inside_a_byte_are_moved_to_a_byte_boundary() -> None:
    bits = [1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1]
    value = sum(bit << place for place, bit in enumerate(bits)).to_bytes(2, "little")
    table = native_frames(Span(0, 2), 3, 5)
    assert frames_of(value, table) == [b"\x0b", b"\x07", b"\x15"]
    assert [table.bit_offset(index) for index in range(3)] == [0, 5, 2]
    assert not table.is_verbatim(0)


def test_bits_after_a_single_frame_are_zero_even_if_the_padding_is_not() -> None:
    assert frames_of(b"\xff\xff", native_frames(Span(0, 2), 1, 12)) == [b"\xff\x0f"]


@given(data=st.data(), bits=st.integers(1, 70), count=st.integers(1, 12), word=st.sampled_from([1, 2, 4, 8]))
@settings(deadline=None)
def test_native_frames_are_slices_of_the_value_as_one_number(
    data: st.DataObject, bits: int, count: int, word: int
) -> None:
    length = -(-bits * count // 8)
    length += -length % word
    value = data.draw(st.binary(min_size=length, max_size=length))
    table = native_frames(Span(3, length), count, bits, word)
    swapped = b"".join(value[at : at + word][::-1] for at in range(0, length, word))
    number = int.from_bytes(swapped, "little")
    wanted = [
        (number >> index * bits & (1 << bits) - 1).to_bytes((bits + 7) // 8, "little")
        for index in range(count)
    ]
    assert frames_of(b"xyz" + value, table) == wanted


def test_large_frames_are_shifted_in_chunks_without_seams() -> None:
    value = bytes(range(251)) * 1200
    bits = len(value) * 8 // 3 - 1
    number = int.from_bytes(value, "little")
    table = native_frames(Span(0, len(value)), 3, bits)
    assert read_frame(MemorySource(value), table, 2) == (number >> 2 * bits & (1 << bits) - 1).to_bytes(
        (bits + 7) // 8, "little"
    )


def test_big_endian_words_are_swapped() -> None:
    assert frames_of(b"\1\2\3\4", native_frames(Span(0, 4), 2, 16, 2)) == [b"\2\1", b"\4\3"]
    assert frames_of(b"\1\2\3\4\0\5", native_frames(Span(0, 6), 5, 8, 2)) == [
        b"\2",
        b"\1",
        b"\4",
        b"\3",
        b"\5",
    ]
    assert frames_of(b"\1\2\3\4", native_frames(Span(0, 4), 1, 32, 4)) == [b"\4\3\2\1"]


@pytest.mark.parametrize(
    ("vr", "bits", "size"),
    [
        ("OW", 16, 2),
        ("OW", 8, 2),
        ("OW", 1, 2),
        ("OB", 8, 1),
        ("OB", 1, 1),
        ("OW", 32, 4),
        ("OF", 32, 4),
        ("OD", 64, 8),
    ],
)
def test_words_of_big_endian_values_follow_vr_and_bits_allocated(vr: str, bits: int, size: int) -> None:
    assert word_size(vr, bits) == size


def test_a_short_native_value_is_cut_short() -> None:
    with pytest.raises(
        BrokenDicom, match=r"\(7FE0,0010\) is cut short: 3 frames of 32 bits need 12 bytes, it has 11"
    ):
        native_frames(Span(0, 11), 3, 32)


@pytest.mark.parametrize(("length", "noted"), [(15, False), (16, False), (17, True), (2000, True)])
def test_bytes_after_the_frames_are_noted_unless_they_make_the_length_even(length: int, noted: bool) -> None:
    assert bool(native_frames(Span(0, length), 5, 24).notes) == noted


@pytest.mark.parametrize(
    ("count", "length", "frames", "noted"),
    [
        (None, 4, 1, False),
        (None, 12, 1, True),
        (0, 12, 3, True),
        (-3, 12, 3, True),
        (0, 5, 1, True),
        (0, 7, 1, True),
    ],
)
def test_without_a_count_the_value_says_how_many_frames_there_are(
    count: int | None, length: int, frames: int, noted: bool
) -> None:
    table = native_frames(Span(0, length), count, 32)
    assert len(table) == frames
    assert bool(table.notes) == noted


def test_an_absurd_number_of_frames_fails_at_once_and_without_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BrokenDicom, match="2147483647 frames"):
            native_frames(Span(0, 512), 2**31 - 1, 4096)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_frames_without_bits_are_refused() -> None:
    with pytest.raises(BrokenDicom, match="0 bits"):
        native_frames(Span(0, 12), 1, 0)


def test_a_source_that_ends_inside_a_frame_is_cut_short() -> None:
    for table in (native_frames(Span(0, 12), 1, 96), native_frames(Span(0, 12), 1, 95)):
        with pytest.raises(BrokenDicom, match="the file ends at 5"):
            read_frame(MemorySource(b"ABCDE"), table, 0)
        with pytest.raises(BrokenDicom, match="the file ends at 5"):
            list(stream_frame(MemorySource(b"ABCDE"), table, 0, bytearray(4)))


def test_a_frame_that_does_not_exist_is_an_index_error() -> None:
    for table in (native_frames(Span(0, 12), 3, 32), native_frames(Span(0, 12), 3, 31)):
        for index in (-1, 3):
            with pytest.raises(IndexError):
                read_frame(MemorySource(bytes(12)), table, index)


def test_the_bits_of_a_frame_follow_from_the_image_pixel_attributes() -> None:
    assert frame_bits(10, 11, 1, 1) == 110
    assert frame_bits(4, 4, 3, 8, "RGB") == 384
    assert frame_bits(4, 4, 1, 12) == 192
    assert frame_bits(2, 2, 1, 64) == 256


@pytest.mark.parametrize(
    ("length", "count", "bits"),
    [(None, 1, 256), (32, 1, 256), (48, 1, 384), (64, 2, 256), (96, 2, 384), (96, None, 384)],
)
def test_subsampled_frames_have_two_samples_a_pixel_unless_the_value_holds_three(
    length: int | None, count: int | None, bits: int
) -> None:
    for photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        assert frame_bits(4, 4, 3, 8, photometric, length, count) == bits


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 4, 1, 8), "Rows"),
        ((4, 0, 1, 8), "Columns"),
        ((4, 4, 0, 8), "Samples per Pixel"),
        ((4, 4, 1, 0), "Bits Allocated"),
        ((4, 4, 1, 65), "Bits Allocated"),
    ],
)
def test_attributes_that_make_no_frame_are_named(arguments: tuple[int, int, int, int], name: str) -> None:
    with pytest.raises(BrokenDicom, match=name):
        frame_bits(*arguments)


def _table(dataset: part10.Dataset, node: part10.Node) -> FrameTable:
    syntax = TRANSFER_SYNTAXES[dataset.syntax]
    start = node.start + (12 if syntax.explicit_vr else 8)
    said = dataset.text(0x00280008)
    count = int(said) if said else None
    bits = {truth.FLOAT: 32, truth.DOUBLE: 64}.get(node.tag) or dataset.number(0x00280100)
    image = [dataset.number(tag, 1) for tag in (0x00280010, 0x00280011, 0x00280002)]
    size = frame_bits(
        image[0], image[1], image[2], bits, dataset.text(0x00280004), len(node.raw) or None, count
    )
    if node.fragments is not None:
        tables = [dataset.nodes[tag].raw for tag in (0x7FE00001, 0x7FE00002) if tag in dataset.nodes]
        both = (tables[0], tables[1]) if len(tables) == 2 else None
        return encapsulated_frames(MemorySource(dataset.stream), start, count, syntax, both, (size + 7) // 8)
    word = word_size(node.vr, bits) if node.order == ">" else 1
    return native_frames(Span(start, len(node.raw)), count, size, word)


def _pydicom(dataset: part10.Dataset, table: EncapsulatedFrames) -> list[bytes]:
    from pydicom.encaps import generate_frames

    tables = [dataset.nodes[tag].raw for tag in (0x7FE00001, 0x7FE00002) if tag in dataset.nodes]
    both = (tables[0], tables[1]) if len(tables) == 2 else None
    value = dataset.stream[table.offset : table.end]
    count = int(dataset.text(0x00280008) or 1)
    return list(generate_frames(value, number_of_frames=count, extended_offsets=both))


@pytest.mark.parametrize("folder", ["files", "same-uid-variants"])
def test_the_frames_of_real_files_are_what_other_readers_find(testdata: Path, folder: str) -> None:
    seen = 0
    for path in sorted((testdata / folder).rglob("*")):
        if not path.is_file():
            continue
        try:
            dataset = part10.read_path(path)
            node = truth.pixel_node(dataset)
            wanted = truth.expected_frames(dataset)
        except part10.Unreadable:
            continue
        if node is None or wanted is None:
            continue
        source = MemorySource(dataset.stream)
        table = _table(dataset, node)
        assert len(table) == len(wanted.frames), path
        assert table.end == node.end, path
        syntax = TRANSFER_SYNTAXES[dataset.syntax]
        if syntax.frames_deflated:
            continue
        if isinstance(table, EncapsulatedFrames) and not (
            syntax.video or syntax.uid == ENCAPSULATED_UNCOMPRESSED
        ):
            assert [read_frame(source, table, index) for index in range(len(table))] == _pydicom(
                dataset, table
            ), path
        for index, frame in enumerate(wanted.frames):
            assert read_frame(source, table, index) == frame.data, f"{path}, frame {index + 1}"
        seen += 1
    assert seen >= 100


def test_more_frames_than_an_archive_takes_are_refused() -> None:
    value = Span(0, MAX_FRAMES // 8 + 2)
    assert len(native_frames(value, MAX_FRAMES, 1)) == MAX_FRAMES
    for said in (MAX_FRAMES + 1, 0):
        with pytest.raises(Unsupported, match=f"more than {MAX_FRAMES}"):
            native_frames(value, said, 1)
