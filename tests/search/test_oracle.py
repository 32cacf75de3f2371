"""The matcher against a second one, on random entries and random searches."""

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.search.match import matches
from tests.search import oracle

EXAMPLES = int(os.environ.get("MATCHER_EXAMPLES", "300"))

DATES = st.sampled_from(["20191231", "20200101", "20200102", "20200103", "20200229", "20210101"])
TIMES = st.sampled_from(["00", "10", "1000", "100000", "1059", "18", "180001", "235959"])
WORDS = st.text("aAbBéÉ.[(", min_size=1, max_size=3)
NAMES = (
    st.lists(st.text("aAbBéÉ", max_size=3), min_size=1, max_size=3)
    .map("^".join)
    .filter(lambda it: it.strip("^"))
)
GROUPS = st.fixed_dictionaries({"Alphabetic": NAMES}, optional={"Ideographic": NAMES, "Phonetic": NAMES})
UIDS = st.sampled_from(["1.2", "1.2.3", "1.20"])
INTEGERS = st.integers(-2, 12)


def one_of_vr(vr: str) -> st.SearchStrategy[Any]:
    return {"DA": DATES, "TM": TIMES, "PN": GROUPS, "UI": UIDS, "IS": INTEGERS}.get(vr, WORDS)


def elements(vr: str) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(one_of_vr(vr) | st.none(), max_size=3)
    return some.map(lambda found: {"vr": vr, "Value": found} if found else {"vr": vr})


def ranges(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    both = st.tuples(st.just("") | values, st.just("") | values)
    return values | both.filter(any).map("-".join)


def keys_of(vr: str) -> st.SearchStrategy[str]:
    if vr == "DA":
        wanted = ranges(DATES)
    elif vr == "TM":
        wanted = ranges(TIMES)
    elif vr == "UI":
        wanted = st.lists(UIDS, min_size=1, max_size=2).map(",".join)
    elif vr == "IS":
        wanted = INTEGERS.map(str) | st.integers(0, 12).map("{:03}".format)
    elif vr == "PN":
        wanted = st.text("aAbBéÉ*?^", min_size=1, max_size=5).filter(lambda text: text.strip("^"))
    else:
        wanted = st.text("aAbBéÉ.[(*?", min_size=1, max_size=4)
    return wanted | st.sampled_from(["", "*", '""'])


PLAIN = {
    "00080020": "DA", "00080030": "TM", "00080050": "SH", "00080061": "CS", "00100010": "PN",
    "0020000D": "UI", "00200011": "IS", "00400244": "DA", "00400245": "TM",
}  # fmt: skip
INNER = {"00400009": "SH", "00401001": "SH"}
ITEMS = st.fixed_dictionaries({}, optional={tag: elements(vr) for tag, vr in INNER.items()})
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        **{tag: elements(vr) for tag, vr in PLAIN.items()},
        "00400275": st.lists(ITEMS, max_size=3).map(lambda items: {"vr": "SQ", "Value": items}),
    },
)
PATHS = {**PLAIN, **{f"00400275.{tag}": vr for tag, vr in INNER.items()}}
KEYS = st.lists(st.sampled_from(sorted(PATHS)), min_size=1, max_size=3, unique=True).flatmap(
    lambda tags: st.fixed_dictionaries({tag: keys_of(PATHS[tag]) for tag in tags})
) | st.fixed_dictionaries({"00080020": keys_of("DA"), "00080030": keys_of("TM")})


@settings(max_examples=EXAMPLES, deadline=None)
@given(ENTRIES, KEYS)
def test_both_matchers_agree(entry: dict[str, Any], keys: dict[str, str]) -> None:
    pairs = [("emptyvaluematching", "true"), *keys.items()]
    query = parse_query(Resource(View.SERIES), pairs)
    assert query.warnings == ()
    expected = oracle.is_match(entry, {tag: (PATHS[tag], value) for tag, value in keys.items()})
    assert matches(query, entry) == expected
