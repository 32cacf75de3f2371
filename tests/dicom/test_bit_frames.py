"""Frames that end inside a byte, joined to one value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.bit_frames import join_bit_frames


def test_two_frames_of_nine_bits_share_a_byte() -> None:
    joined = b"".join(join_bit_frames([bytes([0xFF, 0x01]), bytes([0x55, 0x01])], 9))
    assert joined == bytes([0b11111111, 0b10101011, 0b10])


def test_what_is_after_a_frame_is_ignored() -> None:
    assert b"".join(join_bit_frames([b"\xff\xff", b"\0\xff"], 9)) == b"\xff\x01\x02"


@given(st.integers(1, 70), st.lists(st.integers(0, 2**70), max_size=8))
def test_every_bit_is_in_its_place(bits: int, values: list[int]) -> None:
    values = [value & (1 << bits) - 1 for value in values]
    frames = [value.to_bytes((bits + 7) // 8, "little") for value in values]
    joined = b"".join(join_bit_frames(frames, bits))
    assert len(joined) == (bits * len(values) + 7) // 8
    number = int.from_bytes(joined, "little")
    assert [number >> bits * place & (1 << bits) - 1 for place in range(len(values))] == values
    assert number >> bits * len(values) == 0


@pytest.mark.parametrize("count", [0, 1])
def test_few_frames(count: int) -> None:
    assert b"".join(join_bit_frames([b"\x07\x01"] * count, 9)) == b"\x07\x01" * count
