"""Splitting and parsing DICOM JSON text of any depth."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb.jsontext import DEEPEST, parse_dataset, split_array, split_members


def _deep(depth: int) -> bytes:
    return (
        b'{"0040A730":{"vr":"SQ","Value":[' * depth
        + b'{"00100020":{"vr":"LO","Value":["x"]}}'
        + b"]}}" * depth
    )


_TEXTS = st.text(st.sampled_from('{}[]",:\\\n\u2028aé'), max_size=8)
_DATASETS = st.dictionaries(
    st.from_regex(r"[0-9A-F]{8}", fullmatch=True),
    st.builds(lambda text: {"vr": "LO", "Value": [text, None, {"00080060": {"vr": "CS"}}]}, _TEXTS),
    max_size=5,
)


@given(st.lists(_DATASETS, max_size=4))
def test_members_and_objects_are_found_whatever_the_strings_hold(rows: list[dict[str, object]]) -> None:
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode()
    found = split_array(text)
    assert [json.loads(one) for one in found] == rows
    assert b"[" + b",".join(found) + b"]" == text
    for one, row in zip(found, rows, strict=True):
        members = split_members(one)
        assert {name: json.loads(member) for name, member in members.items()} == row
        assert parse_dataset(one) == row


@pytest.mark.parametrize("depth", [1, 50, 66, 67, 100, 400, 3_000])
def test_any_depth_is_parsed_to_something_that_can_be_written_again(depth: int) -> None:
    text = b'{"00080060":{"vr":"CS","Value":["CT"]},' + _deep(depth)[1:]
    dataset = parse_dataset(text)
    assert dataset["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert orjson.dumps(dataset) == text
    assert isinstance(dataset["0040A730"], orjson.Fragment) == (3 * depth + 2 > DEEPEST)


def test_many_shallow_sequences_are_parsed_whole() -> None:
    members = [f'"{0x00400000 + n:08X}":{{"vr":"SQ","Value":[{{}}]}}' for n in range(200)]
    dataset = parse_dataset(("{" + ",".join(members) + "}").encode())
    assert len(dataset) == 200
    assert all(isinstance(element, dict) for element in dataset.values())


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{", b'{"a":}', b"null"])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        parse_dataset(text)


def test_a_long_string_costs_its_length_once() -> None:
    text = json.dumps(
        {"00104000": {"vr": "LT", "Value": ["\\" * 300_000 + '"' * 300_000]}}, separators=(",", ":")
    )
    assert json.loads(split_members(text.encode())["00104000"]) == json.loads(text)["00104000"]
