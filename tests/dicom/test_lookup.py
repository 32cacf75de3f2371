import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.lookup import LookupTable, lookup_table, palette, unpacked
from staticwado.dicom.pixels import ImagePixel, image_pixel
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported
from tests.dicom.images import Dataset, element, image_dataset, inline, no_bulkdata

INDEXED = image_pixel(image_dataset(1, 4, "PALETTE COLOR", allocated=8))


def words(*numbers: int) -> bytes:
    return np.array(numbers, "<u2").tobytes()


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    return {
        "00283002": element("US", len(entries), first, bits),
        "00283006": {"vr": "OW"} | inline(words(*entries)),
    }


def looked_up(table: LookupTable | None, *numbers: float) -> list[int]:
    assert table is not None
    return list(table(np.array(numbers)).tolist())


def test_values_outside_a_table_take_its_ends() -> None:
    table = lookup_table(lut(10, 16, [100, 200, 300]), no_bulkdata, signed=False)
    assert looked_up(table, 0, 9, 10, 11, 12, 13, 65535) == [100, 100, 100, 200, 300, 300, 300]


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_a_table_takes_values_of_any_type(kind: str) -> None:
    table = lookup_table(lut(1, 8, [7, 8, 9]), no_bulkdata, signed=False)
    assert table is not None
    assert table(np.array([[0, 1], [2, 100]], kind)).tolist() == [[7, 7], [8, 9]]


def test_a_table_that_begins_at_zero_takes_negative_values_too() -> None:
    table = lookup_table(lut(0, 8, [7, 8, 9]), no_bulkdata, signed=False)
    assert looked_up(table, -5, 0, 1) == [7, 7, 8]


def test_means_and_what_is_no_number_are_looked_up_too() -> None:
    table = lookup_table(lut(0, 8, [7, 8, 9]), no_bulkdata, signed=False)
    assert looked_up(table, 0.6, float("inf"), float("-inf"), float("nan")) == [8, 9, 7, 7]


@pytest.mark.parametrize(("first", "signed", "wanted"), [(65534, True, 9), (-2, True, 9), (65534, False, 7)])
def test_the_first_value_mapped_has_the_sign_of_the_input(first: int, wanted: int, *, signed: bool) -> None:
    table = lookup_table(lut(first, 8, [7, 8, 9]), no_bulkdata, signed=signed)
    assert looked_up(table, 0) == [wanted]


def test_the_entries_come_as_numbers_or_as_bytes_inline_or_behind_a_uri() -> None:
    descriptor = {"00283002": element("US", 3, 0, 8)}
    for data in (
        element("US", 1, 2, 3),
        inline(words(1, 2, 3)),
        inline(b"\1\2\3\0"),
        {"vr": "OW", "BulkDataURI": "table"},
    ):
        table = lookup_table(descriptor | {"00283006": data}, lambda uri: words(1, 2, 3), signed=False)
        assert looked_up(table, 0, 1, 2) == [1, 2, 3]


def test_entries_taken_for_signed_numbers_are_unsigned() -> None:
    item = {"00283002": element("SS", 2, 0, 16), "00283006": element("SS", -1, -32768)}
    assert looked_up(lookup_table(item, no_bulkdata, signed=True), 0, 1) == [65535, 32768]


def test_no_entries_means_65536_of_them() -> None:
    item = {"00283002": element("US", 0, 0, 16), "00283006": inline(np.arange(65536, dtype="<u2").tobytes())}
    assert looked_up(lookup_table(item, no_bulkdata, signed=False), 65535) == [65535]


def test_a_descriptor_that_claims_too_few_bits_is_corrected() -> None:
    table = lookup_table(lut(0, 8, [0, 4095]), no_bulkdata, signed=False)
    assert table is not None
    assert table.bits == 12


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"00283002": element("US", 3, 0)},
        {"00283002": element("US", 3, 0, 99), "00283006": inline(words(1, 2, 3))},
        {"00283002": element("US", 3, 0, 16)},
        {"00283002": element("US", 3, 0, 16), "00283006": inline(b"")},
        {"00283002": element("US", 3, "x", 16), "00283006": inline(words(1, 2, 3))},
    ],
)
def test_a_table_that_makes_no_sense_is_none(item: Dataset) -> None:
    assert lookup_table(item, no_bulkdata, signed=False) is None


def coloured(
    entries: bytes | list[bytes], count: int, bits: int, first: int = 0, *, segmented: bool = False
) -> Dataset:
    channels = entries if isinstance(entries, list) else [entries] * 3
    dataset: Dataset = {}
    for index, channel in enumerate(channels, 1):
        dataset[f"0028110{index}"] = element("US", count, first, bits)
        dataset[f"002812{'2' if segmented else '0'}{index}"] = inline(channel)
    return dataset


def colours(dataset: Dataset, *numbers: int, image: ImagePixel = INDEXED) -> list[list[int]]:
    table = palette(dataset, image, no_bulkdata)
    return list(unpacked(table(np.array([numbers])))[0, :, :3].tolist())


def test_each_index_becomes_its_colour() -> None:
    channels = [words(0, 0xFFFF, 0), words(0, 0, 0xFFFF), words(0x8000, 0, 0)]
    assert colours(coloured(channels, 3, 16), 0, 1, 2) == [[0, 0, 128], [255, 0, 0], [0, 255, 0]]


@pytest.mark.parametrize(
    ("entries", "bits"),
    [
        (b"\x0a\x14\x1e\x28", 8),
        (words(10, 20, 30, 40), 8),
        (words(10, 20, 30, 40), 16),
        (words(0x0A00, 0x1400, 0x1E00, 0x2800), 8),
        (words(0x0A0A, 0x1414, 0x1E1E, 0x2828), 16),
    ],
)
def test_entries_of_8_bits_are_found_wherever_writers_put_them(entries: bytes, bits: int) -> None:
    assert [colour[0] for colour in colours(coloured(entries, 4, bits), 0, 1, 2, 3)] == [10, 20, 30, 40]


def test_a_palette_may_begin_below_zero() -> None:
    signed = image_pixel(image_dataset(1, 3, "PALETTE COLOR", signed=True))
    dataset = coloured(words(0x100, 0x200, 0x300), 3, 16, first=65535)
    assert [colour[0] for colour in colours(dataset, -9, -1, 0, 1, 9, image=signed)] == [1, 1, 2, 3, 3]


def test_segments_are_written_out() -> None:
    # Two as they are, four on a line, then both segments again.
    segments = words(0, 2, 0, 0x1000, 1, 4, 0x5000, 2, 2, 0, 0)
    found = [colour[0] for colour in colours(coloured(segments, 12, 16, segmented=True), *range(12))]
    assert found == [0, 16, 32, 48, 64, 80, 0, 16, 32, 48, 64, 80]


def test_segments_of_8_bits_are_bytes() -> None:
    segments = bytes((0, 2, 10, 20, 1, 2, 40, 2, 1, 0, 0, 0, 0, 0))
    found = [colour[0] for colour in colours(coloured(segments, 6, 8, segmented=True), *range(6))]
    assert found == [10, 20, 30, 40, 10, 20]


def test_lines_go_down_as_well() -> None:
    segments = words(0, 1, 0x4000, 1, 4, 0)
    found = [colour[0] for colour in colours(coloured(segments, 5, 16, segmented=True), *range(5))]
    assert found == [64, 48, 32, 16, 0]


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        (words(1, 4, 100), "no start"),
        (words(0, 1, 5, 1, 4), "no end"),
        (words(7, 1, 1), "unknown kind 7"),
        (words(0, 1, 5, 2, 1, 6, 0, 2, 1, 6, 0), "points at an indirect"),
        (words(0, 1, 5, 2, 1), "cut short"),
        (words(0, 0), "no entries"),
    ],
)
def test_segments_that_make_no_sense_are_named(segments: bytes, reason: str) -> None:
    with pytest.raises(BrokenDicom, match=reason):
        colours(coloured(segments, 9, 16, segmented=True), 0)


def test_a_missing_table_is_named() -> None:
    dataset = coloured(words(1, 2, 3), 3, 16)
    with pytest.raises(Unsupported, match="Green Palette Color Lookup Table Data"):
        palette({tag: value for tag, value in dataset.items() if tag != "00281202"}, INDEXED, no_bulkdata)
    with pytest.raises(Unsupported, match="Blue Palette Color Lookup Table Descriptor"):
        palette({tag: value for tag, value in dataset.items() if tag != "00281103"}, INDEXED, no_bulkdata)


@given(st.lists(st.integers(0, 8), max_size=60), st.booleans(), st.sampled_from([0, 1, 3, 300]))
def test_no_segments_fail_in_another_way_or_grow_without_end(
    numbers: list[int], wide: bool, count: int
) -> None:
    segments = words(*numbers) if wide else bytes(numbers)
    try:
        table = palette(coloured(segments, count, 16 if wide else 8, segmented=True), INDEXED, no_bulkdata)
    except StaticWadoError:
        return
    assert 0 < len(table.entries) <= (count or 65536)
