"""Matching of person names (PS3.5 6.2.1, PS3.4 C.2.2.2.1; docs/search.md).

One rule: what literal matching finds, fuzzy matching finds too.
"""

from collections.abc import Sequence
from typing import Any

from staticwado.dicomweb.names import components_of, fold, groups_of, words_of
from staticwado.search.wildcards import has_wildcard, matches_wildcard

SHORTEST_WITH_TYPO = 4
"""Letters that a word must have for one of them to be wrong."""
_MOST_WORDS = 32


def matches_name(key: str, value: Any, fuzzy: bool) -> bool:
    """Whether a name, a value of PN in DICOM JSON, is as `key` says.

    A key without `=` may be any of the groups; with `=`, each group that it gives has to be as it says.
    """
    groups = groups_of(value)
    if "=" not in key:
        return any(group and _matches_group(fold(key), group, fuzzy) for group in groups)
    wanted = key.split("=")
    if len(wanted) > len(groups) and any(wanted[len(groups) :]):
        return False
    pairs = zip(wanted, groups, strict=False)
    return all(not text.strip("*") or _matches_group(fold(text), group, fuzzy) for text, group in pairs)


def _matches_group(key: str, group: str, fuzzy: bool) -> bool:
    """Both folded. As one text, or component by component, where `A^*` is also who has but a family name."""
    wanted, found = components_of(key), components_of(group)
    if not found:
        return False
    if matches_wildcard("^".join(wanted), "^".join(found)):
        return True
    if "^" in key and len(found) <= len(wanted):
        padded = [*found, *[""] * (len(wanted) - len(found))]
        if all(matches_wildcard(one, other) for one, other in zip(wanted, padded, strict=True)):
            return True
    return fuzzy and _resembles(key, group)


# -- Fuzzy ---------------------------------------------------------------------------------------------------


def _resembles(key: str, group: str) -> bool:
    """Whether each word of `key` is one of `group`, in any order; or all of them, written together."""
    wanted, found = words_of(key), words_of(group)
    if not wanted or not found:
        return False
    if is_nearly("".join(wanted), "".join(found)):
        return True
    return len(wanted) <= min(len(found), _MOST_WORDS) and _assign(wanted, found)


def _assign(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether every wanted word gets a found one of its own (augmenting paths)."""
    owner: dict[int, int] = {}

    def place(index: int, seen: set[int]) -> bool:
        for other, word in enumerate(found):
            if other not in seen and matches_word(wanted[index], word):
                seen.add(other)
                if other not in owner or place(owner[other], seen):
                    owner[other] = index
                    return True
        return False

    return all(place(index, set()) for index in range(len(wanted)))


def matches_word(wanted: str, found: str) -> bool:
    """Whether a word begins with the wanted one, is as its wildcards say, or differs by one typo."""
    if has_wildcard(wanted):
        return matches_wildcard(wanted, found)
    return found.startswith(wanted) or is_nearly(wanted, found)


def is_nearly(one: str, other: str) -> bool:
    """Whether two words are the same, or one letter is wrong, missing, too many, or changes places."""
    if one == other:
        return True
    if len(one) < SHORTEST_WITH_TYPO or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[1::-1] and left[2:] == right[2:])
    )
