"""The engine and what it remembers of index files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.archive import Archive
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.query import Query
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable, TookTooLong
from staticwado.search.engine import Engine, Limits
from staticwado.search.index import IndexReader
from staticwado.search.wildcards import matches_wildcard
from tests.web.tree import STUDIES, make_tree


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("abc", "abc", True),
        ("abc", "ABC", False),
        ("a*", "abc", True),
        ("a*", "ba", False),
        ("*c", "abc", True),
        ("*b*", "abc", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("?", "", False),
        ("*", "", True),
        ("**?", "a", True),
        ("1.2", "1x2", False),
        ("a[bc]", "ab", False),
        ("(a", "(a", True),
        ("*ab*ab", "xabab", True),
        ("*ab*ab", "xabx", False),
        ("ab*ba", "aba", False),
        ("a*b*c", "abc", True),
        ("a*bc*c", "abc", False),
        ("*b*", "a*b", True),
        ("a", "*", False),
    ],
)
def test_wildcards(pattern: str, text: str, expected: bool) -> None:
    assert matches_wildcard(pattern, text) is expected


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_wildcards_match_as_the_plain_definition_does(pattern: str, text: str) -> None:
    def plain(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(plain(pattern[1:], text[cut:]) for cut in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and plain(pattern[1:], text[1:])

    assert matches_wildcard(pattern, text) == plain(pattern, text)


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not matches_wildcard("*a" * 32 + "b", "a" * 64)


def studies_found(found: Engine, query: Query) -> list[str]:
    return [each.study for each in found.search(query).found]


def test_a_changed_index_file_is_read_anew(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    engine = Engine(tree.archive)
    assert studies_found(engine, Query(Level.STUDY)) == [*STUDIES]
    tree.json(Resource(View.STUDIES), [{"0020000D": {"vr": "UI", "Value": ["7.7"]}}])
    assert studies_found(engine, Query(Level.STUDY)) == ["7.7"]
    tree.archive.remove(Resource(View.STUDIES))
    assert studies_found(engine, Query(Level.STUDY)) == []


def test_an_empty_archive_has_no_studies(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path), create=True)
    page = Engine(archive).search(Query(Level.STUDY))
    assert (page.found, page.remaining) == ([], 0)


@pytest.mark.parametrize("content", [b"{}", b"not json", b"[" * 100_000])
def test_a_damaged_index_file_is_unavailable(tmp_path: Path, content: bytes) -> None:
    tree = make_tree(tmp_path)
    tree.archive.write(Resource(View.STUDIES), content)
    with pytest.raises(StoreUnavailable):
        Engine(tree.archive).search(Query(Level.STUDY))


def test_entries_that_are_no_entries_are_left_out(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    strange = [{}, {"0020000D": {"vr": "UI"}}, {"0020000D": {"vr": "UI", "Value": [None]}}]
    tree.json(Resource(View.STUDIES), strange)
    assert studies_found(Engine(tree.archive), Query(Level.STUDY)) == []


def test_answers_have_a_longest_length(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    engine = Engine(tree.archive, limits=Limits(results=3))
    page = engine.search(Query(Level.SERIES))
    assert (len(page.found), page.remaining) == (3, 2)


def test_a_search_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    tree.json(Resource(View.STUDIES), [{"0020000D": {"vr": "UI", "Value": ["7.7"]}}] * 100)
    with pytest.raises(TookTooLong, match="narrow it"):
        Engine(tree.archive, limits=Limits(seconds=0.0)).search(Query(Level.STUDY))


def test_memory_is_bounded(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    reader = IndexReader(tree.archive, memory=20_000)
    for _ in range(2):
        for study in STUDIES:
            reader.entries(Resource(View.INDEX, study))
            reader.entries(Resource(View.SERIES, study))
        assert reader._used <= 20_000
    assert IndexReader(tree.archive, memory=0).entries(Resource(View.STUDIES))
