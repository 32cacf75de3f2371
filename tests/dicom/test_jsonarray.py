"""Data sets found in the text of an array."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicom.jsonarray import find_datasets
from staticwado.dicom.jsondataset import parse_json
from staticwado.errors import BadRequest

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a"\\{}[],:\u00e9\U0001f600', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\{', max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
datasets = st.dictionaries(st.text('ab"\\}', max_size=4), values, max_size=4)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def found(text: bytes, places: list[int]) -> list[Any]:
    return [parse_json(text[span.start : span.end]) for span in find_datasets(cut(text, places))]


@settings(deadline=None)
@given(
    st.lists(datasets, min_size=1, max_size=4),
    st.lists(st.integers(0, 300), max_size=6),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_data_sets_are_found_however_the_text_is_split(
    several: list[Any], places: list[int], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(several, ensure_ascii=ascii_only, indent=indent).encode()
    assert found(text, places) == several


@settings(deadline=None)
@given(datasets, st.lists(st.integers(0, 100), max_size=4))
def test_one_data_set_needs_no_array(dataset: Any, places: list[int]) -> None:
    assert found(b" \n" + json.dumps(dataset).encode() + b" ", places) == [dataset]


@settings(deadline=None)
@given(st.text('{}[],:"\\a1 ', max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_any_text_is_what_the_whole_of_it_is_or_refused(text: str, places: list[int]) -> None:
    try:
        whole = parse_json(text.encode())
    except BadRequest:
        whole = None
    expected = [whole] if isinstance(whole, dict) else whole
    try:
        made = found(text.encode(), places)
    except BadRequest:
        made = None
    is_right = isinstance(expected, list) and expected and all(isinstance(one, dict) for one in expected)
    assert made == (expected if is_right else None)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}{}",
        b"[{},]",
        b"[,{}]",
        b"[{} {}]",
        b"[{}",
        b"{}]",
        b"[[{}]]",
        b"[1]",
        b'["{}"]',
        b"[{}]x",
        b"[{}]]",
        b'[{"a":"]',
        b"\\[{}]",
        b"[" * 1000,
        b"x" * 1000,
    ],
)
def test_what_is_no_array_of_data_sets_is_refused(text: bytes) -> None:
    for step in (1, 3, 10_000):
        with pytest.raises(BadRequest):
            list(find_datasets(text[at : at + step] for at in range(0, len(text), step)))


def test_wide_values_weigh_more_than_their_text() -> None:
    def weight(text: bytes) -> int:
        [span] = find_datasets([text])
        return span.weight

    letters = weight(b'[{"00204000":{"vr":"LT","Value":["' + b"a" * 100_000 + b'"]}}]')
    assert 100_000 < letters < 1_000_000
    assert weight(b'[{"00181020":{"vr":"DS","Value":[' + b"1.5," * 25_000 + b"1]}}]") > 5_000_000
    # Marks in a text are no values.
    assert weight(b'[{"00204000":{"vr":"LT","Value":["' + b"1.5," * 25_000 + b'"]}}]') == letters


def test_each_data_set_weighs_by_itself_whatever_stands_before_it() -> None:
    small, large = b'{"a":1}', b'{"a":[' + b"{}," * 300_000 + b"{}]}"
    first, second, third = find_datasets([b"[" + small + b"," + large + b"," + small + b"]"])
    assert first.weight < second.weight // 1000 > third.weight
    assert second.end - second.start == len(large)
