"""One value as DICOM JSON text."""

import json
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.charset import make_decoder
from staticwado.dicom.values import Unreadable, json_decimal, json_integer, render_value, swap, swap_words
from staticwado.dicom.vr import KNOWN, NUMBER_SIZE, WORD_SIZE

DECODER = make_decoder(None)
_DIGITS = st.text("0123456789", max_size=12)


@given(
    st.sampled_from(["", "+", "-"]),
    _DIGITS,
    st.sampled_from(["", "."]),
    _DIGITS,
    st.sampled_from(["", "E5", "e-07"]),
)
def test_a_decimal_is_equal_to_its_text_or_stays_text(
    sign: str, whole: str, point: str, fraction: str, exponent: str
) -> None:
    text = sign + whole + point + fraction + exponent
    number = json_decimal(text)
    if not whole and not fraction:
        assert number is None
    elif number is None:
        assert len(whole.lstrip("0")) + len(fraction) > 17 or not point
    else:
        assert Decimal(json.loads(number, parse_int=str, parse_float=str)) == Decimal(text)
        assert Decimal(number).is_signed() == Decimal(text).is_signed()


@given(st.text(max_size=20))
def test_any_text_is_a_json_number_or_none(text: str) -> None:
    for found in (json_decimal(text), json_integer(text)):
        if found is not None:
            value = json.loads(found)
            assert isinstance(value, int | float)
            assert text.isascii()


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(["", "+", "00"]))
def test_integers_keep_their_value(number: int, prefix: str) -> None:
    text = str(number) if number < 0 else prefix + str(number)
    assert json_integer(text) == str(number)


@given(st.sampled_from(sorted(KNOWN - {"SQ"})), st.binary(max_size=64), st.sampled_from("<>"))
def test_any_bytes_are_json_or_unreadable(vr: str, data: bytes, order: str) -> None:
    try:
        members, _ = render_value(vr, data, DECODER, order)
    except Unreadable:
        return
    found = json.loads('{"vr":"' + vr + '"' + members + "}")
    assert set(found) <= {"vr", "Value", "InlineBinary"}
    assert found.get("Value") != []


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4), st.sampled_from("<>")
)
def test_doubles_keep_every_bit(numbers: list[float], order: str) -> None:
    data = struct.pack(f"{order}{len(numbers)}d", *numbers)
    members, _ = render_value("FD", data, DECODER, order)
    found = json.loads("{" + members[1:] + "}")["Value"]
    assert struct.pack(f"{order}{len(found)}d", *found) == data


@given(st.binary(max_size=50), st.sampled_from([1, 2, 4, 8]))
def test_swapping_words_twice_changes_nothing(data: bytes, size: int) -> None:
    once = swap_words(data, size)
    assert swap_words(once, size) == data
    whole = len(data) - len(data) % size
    assert once[whole:] == data[whole:]
    assert once[:size] == (data[:size][::-1] if len(data) >= size else data)


@pytest.mark.parametrize("vr", sorted(WORD_SIZE | NUMBER_SIZE))
def test_bulkdata_are_little_endian(vr: str) -> None:
    size = WORD_SIZE.get(vr) or NUMBER_SIZE[vr]
    data = bytes(range(16))
    assert swap(vr, data, "<") == data
    assert swap(vr, data, ">") == swap_words(data, size)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("tail", ["x", "1x", ".x", "e", "1e9999"])
@pytest.mark.parametrize("digits", ["0", "1"])
def test_the_work_of_a_decimal_string_does_not_grow_with_its_square(digits: str, tail: str) -> None:
    assert json_decimal(digits * 300_000 + tail) is None
