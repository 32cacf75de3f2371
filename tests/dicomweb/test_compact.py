"""The compact form: it expands to exactly what was packed, down to the text of each number."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicomweb.compact import expand, pack

_TAGS = st.sampled_from(["00080018", "00080060", "00100010", "00200032", "00280010", "0040A730", "00409096"])
_VRS = st.sampled_from(["CS", "DS", "IS", "PN", "US"])
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 0.0, 1.0, -0.0, "1", "1.0", "", 2**53, -(2**63), 2**64 - 1, 1e-300]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.fixed_dictionaries({"Alphabetic": st.sampled_from(["A", "B"])}),
)
_PLAIN = st.one_of(
    st.builds(lambda vr, value: {"vr": vr, "Value": value}, _VRS, st.lists(_VALUES, min_size=1, max_size=3)),
    st.builds(lambda vr: {"vr": vr}, st.one_of(_VRS, st.just("SQ"))),
    st.builds(lambda uri: {"vr": "OB", "BulkDataURI": uri}, st.sampled_from(["a", "b"])),
    st.builds(lambda text: {"vr": "UN", "InlineBinary": text}, st.sampled_from(["AA==", "AQ=="])),
)


def _sequences(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    datasets = st.dictionaries(_TAGS, items, max_size=4)
    return st.one_of(
        _PLAIN, st.builds(lambda found: {"vr": "SQ", "Value": found}, st.lists(datasets, max_size=3))
    )


_ELEMENTS = st.recursive(_PLAIN, _sequences, max_leaves=8)
_ROW = st.dictionaries(_TAGS, _ELEMENTS, max_size=5)


@st.composite
def _rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows that are much alike, as the instances of a series are."""
    base = draw(_ROW)
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        row = dict(base)
        row.update(draw(st.one_of(st.just({}), _ROW)))
        for tag in draw(st.sets(_TAGS, max_size=1)):
            row.pop(tag, None)
        rows.append(row)
    return rows


def _text(rows: Any) -> bytes:
    return orjson.dumps(_sorted(rows))


def _sorted(node: Any) -> Any:
    """Members of data sets in ascending order, as the archive has them."""
    if isinstance(node, list):
        return [_sorted(item) for item in node]
    if isinstance(node, dict) and "vr" not in node:
        return {name: _sorted(node[name]) for name in sorted(node)}
    return {name: _sorted(value) for name, value in node.items()} if isinstance(node, dict) else node


@settings(max_examples=300, deadline=None)
@given(_rows())
def test_expanding_gives_what_was_packed_to_the_letter(rows: list[dict[str, Any]]) -> None:
    before = orjson.dumps(rows)
    packed = orjson.loads(orjson.dumps(pack(rows)))
    found = expand(packed)
    assert found == rows
    assert _text(found) == _text(rows)
    assert orjson.dumps(rows) == before


@pytest.mark.parametrize("values", [(1, 1.0), (1, True), (0, False), (0.0, -0.0), ("1", 1), (None, 0)])
@pytest.mark.parametrize("count", [2, 3, 40])
def test_numbers_that_python_holds_equal_stay_apart(values: tuple[Any, Any], count: int) -> None:
    rows = [{"00101030": {"vr": "DS", "Value": [values[n == count - 1]]}} for n in range(count)]
    assert orjson.dumps(expand(pack(rows))) == orjson.dumps(rows)
    nested = [{"0040A730": {"vr": "SQ", "Value": [row, row]}} for row in rows]
    assert orjson.dumps(expand(pack(nested))) == orjson.dumps(nested)


def test_what_all_rows_share_is_written_once() -> None:
    shared = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    rows = [{**shared, "00200013": {"vr": "IS", "Value": [n]}} for n in range(100)]
    packed = pack(rows)
    assert packed["shared"] == shared
    assert packed["columns"] == {"00200013": {"vr": "IS", "values": list(range(100))}}
    assert expand(packed) == rows


def test_no_rows_and_empty_rows_are_kept() -> None:
    assert expand(pack([])) == []
    assert expand(pack([{}, {}])) == [{}, {}]
    assert expand(pack([{}, {"00080060": {"vr": "CS"}}])) == [{}, {"00080060": {"vr": "CS"}}]


def test_text_that_was_too_deep_to_be_parsed_is_kept_as_it_is() -> None:
    deep = [orjson.Fragment(f'{{"vr":"SQ","Value":[{{"{n}":1}}]}}'.encode()) for n in (1, 1, 2)]
    for count in (1, 20):
        rows = [{"0040A730": one, "00080060": {"vr": "CS"}} for one in deep * count]
        inner = [{"00081140": {"vr": "SQ", "Value": [row, {}]}} for row in rows]
        for tried in (rows, inner):
            assert orjson.loads(orjson.dumps(expand(pack(tried)))) == orjson.loads(orjson.dumps(tried))


def test_elements_with_more_or_other_members_are_kept_as_they_are() -> None:
    odd: list[dict[str, Any]] = [
        {"vr": "SQ", "Value": [{}, {}], "x": 1},
        {"Value": [{}, {}], "vr": "SQ"},
        {"vr": "SQ", "Value": "ab"},
        {"vr": "CS", "Value": "a"},
        {"vr": "SQ", "Value": [1, 2]},
    ]
    for one in odd:
        for rows in (
            [{"00080060": one}] * 2,
            [{"00080060": one}, {}],
            [{"00080060": one}, {"00080060": {"vr": "CS"}}],
        ):
            assert orjson.dumps(expand(orjson.loads(orjson.dumps(pack(rows))))) == orjson.dumps(rows)
