"""Conditions on person names as SQL.

One rule: as for all conditions: one that is not exact lets more pass than it should, never less.
"""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from staticwado.catalog.columns import GROUPS, SEPARATOR
from staticwado.catalog.conditions import (
    ANYTHING,
    FOUND,
    LONGEST_PHRASE,
    NEVER,
    Condition,
    Parameters,
    Source,
    after,
    all_of,
    any_of,
    by_trigrams,
    glob_of,
    is_storable,
    like,
    literals_of,
    phrase_of,
    prefix_of,
    starting,
)
from staticwado.catalog.writing import JOINED, LONGEST_WORD, misspellings
from staticwado.dicomweb.names import components_of, has_kana, hiragana


def _is_group(column: str, key: str) -> Condition:
    """A component group, folded, is as `key` says: as one text, or component by component, where `A^*` is
    also who has but a family name.
    """
    wanted = components_of(key)
    if not wanted:
        return NEVER
    if len(wanted) > _MOST_COMPONENTS:
        return ANYTHING
    found = [like(column, "^".join(wanted))]
    carets = f"length(s.{column}) - length(replace(s.{column}, '^', ''))"
    for count in range(len(wanted) - 1, 0, -1):
        if wanted[count].strip("*"):
            break
        shorter = like(column, "^".join(wanted[:count]))
        where = f"({shorter.where} AND {carets} = {count - 1})"
        found.append(replace(shorter, where=where))
    return any_of(found)


def is_name(name: str, key: str, *, trigrams: bool) -> Condition:
    """One of the component groups of a name is as the folded `key`, without `=`, says."""
    if not is_storable(key) or not components_of(key):
        return NEVER
    columns = [name + group for group in GROUPS]
    conditions = [_is_group(column, key) for column in columns]
    condition = any_of(conditions)
    wanted = components_of(key)
    while len(wanted) > 1 and not wanted[-1].strip("*"):
        wanted.pop()
    pattern = "^".join(wanted)
    prefix = prefix_of(pattern)
    if prefix:
        branches = []
        for place, column in enumerate(columns):
            sql, parameters = starting(column, prefix)
            if condition.is_exact:
                sql, parameters = (
                    f"{sql} AND {conditions[place].where}",
                    (*parameters, *conditions[place].parameters),
                )
            for other in conditions[:place] if condition.is_exact else ():
                sql, parameters = f"{sql} AND NOT {other.where}", (*parameters, *other.parameters)
            branches.append((sql, parameters))
        if not condition.is_exact:
            return replace(condition, source=_distinct(branches))
        return replace(condition, source=Source(tuple(branches)))
    literals = [hiragana(text) for text in literals_of(pattern)]
    phrase = phrase_of(name, literals) if trigrams else None
    if phrase is None:
        return condition
    is_all = (
        pattern == f"*{''.join(literals_of(pattern))}*"
        and len(literals) == 1
        and wanted == components_of(key)
    )
    is_all = is_all and len(literals[0]) <= LONGEST_PHRASE and SEPARATOR not in literals[0]
    is_all = is_all and "^" not in literals[0] and not has_kana(literals[0])
    return replace(condition, source=by_trigrams(phrase, condition, is_all=is_all))


def is_name_in_groups(name: str, keys: Sequence[str]) -> Condition:
    """Each component group for which there is a key, folded, is as it says."""
    if not all(map(is_storable, keys)):
        return NEVER
    found = [_is_group(name + group, key) for group, key in zip(GROUPS, keys, strict=False) if key.strip("*")]
    return all_of(found)


def has_word(name: str, words: Sequence[str], together: Sequence[str]) -> Condition:
    """A word of the name is one of `words`, or a group written together is one of `together`."""
    texts = [f"{name}:{word}" for word in words] + [f"{name}{JOINED}:{word}" for word in together]
    return _has_word("SELECT value FROM json_each(?)", (orjson.dumps(texts).decode(),))


def has_part(name: str, part: str) -> Condition:
    """A word of the name has `part`, without wildcards, in it: without a look at each name."""
    glob = glob_of(f"*{part}*")
    if glob is None or not is_storable(part):
        return ANYTHING
    return _has_word("SELECT ? || text FROM lexicon WHERE text GLOB ?", (f"{name}:", glob))


def _has_word(selection: str, given: Parameters) -> Condition:
    where = f"s.id IN (SELECT study FROM word WHERE text IN ({selection}))"  # noqa: S608
    count = f"SELECT count(DISTINCT study) FROM word WHERE text IN ({selection})"  # noqa: S608
    source = Source(((f"{FOUND} FROM study s WHERE {where}", given),), count=(count, given))
    return Condition(where, given, source=source)


def resembles(name: str, words: Sequence[str], *, trigrams: bool) -> Condition:
    """Narrows to the names that may have, for each of the folded `words`, one that begins with it, is as its
    wildcards say or differs by a typo; or that are the words written together, but for a typo.
    """
    together = "".join(words)
    if not is_storable(together) or not 0 < len(together) < LONGEST_WORD - 1:
        return ANYTHING
    selections: list[str] = []
    parameters: Parameters = ()
    for word in words[:_MOST_WORDS]:
        literals = literals_of(word)
        if literals == [word]:
            selections.append(_SPELT)
            parameters = (*parameters, *spelt(name, word))
        elif trigrams and (phrase := phrase_of(name, literals)) is not None:
            selections.append("SELECT rowid FROM trigram WHERE trigram MATCH ?")
            parameters = (*parameters, phrase)
    if not selections:
        return ANYTHING
    found = f"SELECT * FROM ({' INTERSECT '.join(selections)}) UNION {_MISSPELT}"  # noqa: S608
    given = (*parameters, *spelt(name + JOINED, together)[2:])
    return replace(ANYTHING, source=_among(found, given))


def _among(selection: str, given: Parameters) -> Source:
    return Source(((f"{FOUND} FROM study s WHERE s.id IN ({selection})", given),))


_MOST_WORDS, _MOST_COMPONENTS = 8, 20
_MISSPELT = (
    "SELECT study FROM word WHERE text IN (SELECT ? || word FROM misspelling"
    " WHERE text IN (SELECT value FROM json_each(?)))"
)
_SPELT = f"SELECT study FROM (SELECT study FROM word WHERE text >= ? AND text < ? UNION {_MISSPELT})"  # noqa: S608


def spelt(name: str, word: str) -> tuple[str, str, str, str]:
    """What is asked of the words of a name to find those that begin with `word`, or may differ from it by one
    typo: the first text, the one behind the last, what stands before a word, and its misspellings as JSON.
    """
    edits = orjson.dumps(list(misspellings(word))).decode()
    start = f"{name}:{word}"
    return start, after(start) or start, f"{name}:", edits


def _distinct(branches: Sequence[tuple[str, Parameters]]) -> Source:
    """One source of several that may overlap."""
    inner = " UNION ".join(f"SELECT id FROM ({sql})" for sql, _ in branches)  # noqa: S608
    sql = f"{FOUND} FROM study s WHERE s.id IN ({inner})"
    return Source(((sql, tuple(value for _, parameters in branches for value in parameters)),))
