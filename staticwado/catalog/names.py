"""Conditions on person names as SQL.

One rule: as for all conditions: one that is not exact lets more pass than it should, never less. They
speak of the different names, the rows `d`, of which there are far fewer than studies.
"""

from collections.abc import Sequence

import orjson

from staticwado.catalog.columns import GROUPS
from staticwado.catalog.conditions import (
    ANYTHING,
    NEVER,
    Condition,
    all_of,
    any_of,
    chosen,
    has_term,
    of_kind,
)
from staticwado.catalog.patterns import (
    TRIGRAM,
    Parameters,
    Sql,
    after,
    glob_of,
    is_storable,
    like,
    literals_of,
    prefix_of,
    starting,
    with_trigrams,
)
from staticwado.catalog.terms import JOINED, KINDS, LONGEST_WORD, misspellings
from staticwado.dicomweb.names import components_of, hiragana

_MOST_WORDS, _MOST_COMPONENTS = 8, 20


def _is_group(column: str, key: str) -> Condition:
    """A component group, folded, is as `key` says: as one text, or component by component, where `A^*` is
    also who has but a family name.
    """
    wanted = components_of(key)
    if not wanted:
        return NEVER
    if len(wanted) > _MOST_COMPONENTS:
        return ANYTHING
    found = [_like(column, "^".join(wanted))]
    carets = f"length({column}) - length(replace({column}, '^', ''))"
    for count in range(len(wanted) - 1, 0, -1):
        if wanted[count].strip("*"):
            break
        shorter = _like(column, "^".join(wanted[:count]))
        where = f"({shorter.where} AND {carets} = {count - 1})"
        found.append(Condition(where, shorter.parameters, shorter.is_exact))
    return any_of(found)


def _like(column: str, pattern: str) -> Condition:
    found, is_exact = like(column, pattern)
    return Condition(found.text, found.parameters, is_exact)


def is_name(name: str, key: str, *, trigrams: bool) -> Condition:
    """One of the component groups of a name is as the folded `key`, without `=`, says."""
    if not is_storable(key) or not components_of(key):
        return NEVER
    condition = any_of([_is_group(f"d.{group}", key) for group in GROUPS])
    wanted = components_of(key)
    while len(wanted) > 1 and not wanted[-1].strip("*"):
        wanted.pop()
    pattern = "^".join(wanted)
    prefix = prefix_of(pattern)
    narrowed = None
    if prefix:
        narrowed = _starting(name, prefix)
    elif trigrams:
        narrowed = with_trigrams(name, [hiragana(text) for text in literals_of(pattern)])
    terms = of_kind(name, condition.where, condition.parameters)
    if narrowed is not None:
        where, parameters = (
            f"{narrowed.text} AND {condition.where}",
            (*narrowed.parameters, *condition.parameters),
        )
        terms = chosen(where, parameters)
    return has_term(name, terms, is_exact=condition.is_exact)


def _starting(name: str, prefix: str) -> Sql:
    """That one of the groups begins with `prefix`."""
    branches = []
    parameters: Parameters = ()
    for group in GROUPS:
        begins = starting(group, prefix)
        filled = f" AND {group} <> ''" if group != "value" else ""
        index = f"term INDEXED BY term_{group}"
        branches.append(f"SELECT id FROM {index} WHERE kind = {KINDS[name]}{filled} AND {begins.text}")  # noqa: S608
        parameters = (*parameters, *begins.parameters)
    return Sql(f"d.id IN ({' UNION ALL '.join(branches)})", parameters)


def is_name_in_groups(name: str, keys: Sequence[str]) -> Condition:
    """Each component group for which there is a key, folded, is as it says."""
    if not all(map(is_storable, keys)):
        return NEVER
    pairs = zip(GROUPS, keys, strict=False)
    found = all_of([_is_group(f"d.{group}", key) for group, key in pairs if key.strip("*")])
    if found.where == "(1)":
        return Condition("1")
    return has_term(name, of_kind(name, found.where, found.parameters), is_exact=found.is_exact)


def has_word(name: str, words: Sequence[str], together: Sequence[str]) -> Condition:
    """A word of the name is one of `words`, or a group written together is one of `together`."""
    texts = [f"{name}:{word}" for word in words] + [f"{name}{JOINED}:{word}" for word in together]
    return _has_word(name, "SELECT value FROM json_each(?)", (orjson.dumps(texts).decode(),))


def has_part(name: str, part: str) -> Condition:
    """A word of the name has `part`, without wildcards, in it: without a look at each name."""
    glob = glob_of(f"*{part}*")
    if glob is None or not is_storable(part):
        return ANYTHING
    return _has_word(name, "SELECT ? || text FROM lexicon WHERE text GLOB ?", (f"{name}:", glob))


def _has_word(name: str, selection: str, given: Parameters) -> Condition:
    where = f"d.id IN (SELECT term FROM word WHERE text IN ({selection}))"  # noqa: S608
    return has_term(name, chosen(where, given))


def resembling(name: str, words: Sequence[str], *, trigrams: bool) -> Sql | None:
    """The names that may have, for each of the folded `words`, one that begins with it, is as its
    wildcards say or differs by a typo; or that are the words written together, but for a typo. None where
    that cannot be told.
    """
    together = "".join(words)
    if not is_storable(together) or not 0 < len(together) < LONGEST_WORD - 1:
        return None
    selections: list[str] = []
    parameters: Parameters = ()
    for word in words[:_MOST_WORDS]:
        literals = literals_of(word)
        if literals == [word]:
            selections.append(_SPELT)
            parameters = (*parameters, *spelt(name, word))
        elif trigrams and any(len(text) >= TRIGRAM for text in literals):
            found = with_trigrams(name, literals)
            if found is not None:
                selections.append(f"SELECT id FROM term d WHERE {found.text}")  # noqa: S608
                parameters = (*parameters, *found.parameters)
    if not selections:
        return None
    selected = f"SELECT * FROM ({' INTERSECT '.join(selections)}) UNION {_MISSPELT}"  # noqa: S608
    given = (*parameters, *spelt(name + JOINED, together)[2:])
    return chosen(f"d.id IN ({selected})", given)


_MISSPELT = (
    "SELECT term FROM word WHERE text IN (SELECT ? || word FROM misspelling"
    " WHERE text IN (SELECT value FROM json_each(?)))"
)
_SPELT = f"SELECT term FROM (SELECT term FROM word WHERE text >= ? AND text < ? UNION {_MISSPELT})"  # noqa: S608


def spelt(name: str, word: str) -> tuple[str, str, str, str]:
    """What is asked of the words of a name to find those that begin with `word`, or may differ from it by one
    typo: the first text, the one behind the last, what stands before a word, and its misspellings as JSON.
    """
    edits = orjson.dumps(list(misspellings(word))).decode()
    start = f"{name}:{word}"
    return start, after(start) or start, f"{name}:", edits
