"""Person names, literally and fuzzily."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicomweb.names import fold
from staticwado.search.names import matches_name

YAMADA = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}


def name(text: str) -> dict[str, Any]:
    return {"Alphabetic": text}


@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [
        ("Doe^John", "Doe^John", True),
        ("doe^JOHN", "Doe^John", True),
        ("Doe^John^^^", "Doe^John", True),
        ("Doe^John", "Doe^John^^Dr", False),
        ("Doe", "Doe^John", False),
        ("Doe*", "Doe^John", True),
        ("*oh*", "Doe^John", True),
        ("D?e^J*", "Doe^John", True),
        ("Doe^*", "Doe", True),
        ("*^John", "Doe^John", True),
        ("John", "Doe^John", False),
        ("Muller", "Müller", True),
        ("Müller", "MULLER", True),
        ("strasse", "Straße", True),
        ("Sorensen", "Sørensen", True),
        ("Lukasz", "ŁUKASZ", True),
        ("D.e", "Doe", False),
        ("", "Doe", False),
        ("Doe^", "Doe", True),
        (" Doe ^ John ", "Doe^John", True),
        ("*", "Doe", True),
        ("Doe\uff0a", "Doe^John", False),
    ],
)
def test_literal_names(key: str, found: str, expected: bool) -> None:
    assert matches_name(key, name(found), False) is expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("山田*", True),
        ("やまだ^たろう", True),
        ("yamada*=山田^太郎", True),
        ("=山田*", True),
        ("==やまだ*", True),
        ("yamada*=鈴木*", False),
        ("=yamada*", False),
        ("a=b=c=d", False),
        ("Yamada^Tarou=*=*", True),
    ],
)
def test_a_name_has_three_groups(key: str, expected: bool) -> None:
    assert matches_name(key, YAMADA, False) is expected


@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [
        ("John Doe", "Doe^John", True),
        ("doe, john", "Doe^John^^Dr", True),
        ("jo do", "Doe^John", True),
        ("Jonh^Smith", "Smith^John", True),
        ("Smiht", "Smith^John", True),
        ("Smth", "Smith", True),
        ("Smyith", "Smith", True),
        ("Smoth", "Smith", True),
        ("Smoht", "Smith", False),
        ("Doo", "Doe", False),
        ("Mueller", "Müller", True),
        ("anna anna", "Anna^Maria", False),
        ("anna an", "Anna^Anne", True),
        ("an anna", "Anna^Anne", True),
        ("vandenberg", "Van den Berg^Jan", False),
        ("vandenbergjan", "Van den Berg^Jan", True),
        ("j*n do", "Doe^John", True),
        ("John Doe Smith", "Doe^John", False),
        ("^", "Doe", False),
        ("ohn", "Doe^John", False),
    ],
)
def test_fuzzy_names(key: str, found: str, expected: bool) -> None:
    assert matches_name(key, name(found), True) is expected


@pytest.mark.parametrize("key", ["ヤマダ", "太郎 山田", "山田太郎", "tarou yamada", "やまだ", "yamda"])
def test_fuzzy_names_of_all_groups(key: str) -> None:
    assert matches_name(key, YAMADA, True)
    assert not matches_name(key, name("Suzuki^Hanako"), True)


@pytest.mark.parametrize("value", ["Doe^John=X", "Doe^John"])
def test_a_name_that_is_a_text_is_read_as_its_groups(value: str) -> None:
    assert matches_name("doe^john", value, False)


def test_a_voiced_kana_is_no_accent() -> None:
    assert not matches_name("た", name("だ"), False)
    assert fold("\u30ac\u00e9") == "\u30ace"


def test_a_key_of_ten_thousand_letters_is_just_a_value() -> None:
    for key in ("a" * 10_000, "a " * 5_000, "*a" * 5_000, "=" * 10_000, "^" * 10_000):
        assert not matches_name(key + "b", name("Doe^John"), True)


WORDS = st.lists(st.text("abcdé", min_size=1, max_size=6), min_size=1, max_size=4)


@given(st.text("abcAéÉ^= *?", max_size=8), st.text("abcAé^ ", max_size=8))
def test_what_is_found_literally_is_found_fuzzily(key: str, found: str) -> None:
    if matches_name(key, name(found), False):
        assert matches_name(key, name(found), True)


@given(WORDS, st.randoms(use_true_random=False))
def test_the_order_of_words_does_not_count_in_fuzzy_matching(words: list[str], random: Any) -> None:
    other = list(words)
    random.shuffle(other)
    assert matches_name(" ".join(other), name("^".join(words)), True)


@given(st.text("abcdef", min_size=4, max_size=9), st.data())
def test_one_typo_is_forgiven_in_fuzzy_matching(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("xyz"))
    typo = data.draw(
        st.sampled_from(
            [
                word[:place] + letter + word[place:],
                word[:place] + letter + word[place + 1 :],
                word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
            ]
        )
    )
    assert matches_name(typo, name(f"{word}^Given"), True)
    assert not matches_name(typo + "zzzz", name(f"{word}^Given"), True)
