"""Whatever stands in a search is a value: it finds what is written so, and breaks nothing."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.made_studies import MadeSeries, MadeStudy, write_archive, write_list
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.search.match import matches
from staticwado.web.options import ServerOptions
from tests.search import oracle
from tests.web.conftest import Client, Running

WILD = (
    "[a-z]+", "(", ")", ".", "^$", "a|b", "\\d", "(?:x)", "{2,}", "[^]", "(a+)+$",
    "'", '"', '""', "''", "`", "' OR '1'='1", "'; DROP TABLE study; --", "1=1", "x' UNION SELECT 1,2--",
    "/*", "--", "%", "_", "100%", "a_b", "%%", "\\%", "\\", "\\\\", "a\\b",
    "AND", "OR", "NOT", "NEAR(", "NEAR(a b, 1)", '"a b"', "a AND b", "col:a", "^a", "{a b}", "-a", "a*",
    "(a OR b)", "<script>alert(1)</script>", "../../etc/passwd", "${x}", "{{x}}", "$(id)", "%s%n",
    "\u202ea", "a\u200bb",
    "\U0001f600", "\U0001f469\u200d\u2695\ufe0f\U0001f600", "\u00e9", "e\u0301", "\u0130", "\u0131", "\u00df",
    "\ufb03", "\uff21", "\u5c71\u7530", "\ufeffa", "\U0010ffff", "\ufffd", "a\tb", "a\nb", "a\rb", "\x00",
    "a\x00b", "\x1b", "\x7f", "  a  b  ", "a,b", "a=b", "a&b", "a+b", "a;b", "#", "?",
    "null", "true", "0", "-1", "1e999", "NaN", "x" * 10_000, "[" * 2_000, "a?" * 40, "*a" * 4,
)  # fmt: skip
KEYS = {"00100010": "PN", "00100020": "LO", "00081030": "LO", "00080050": "SH", "00200010": "SH"}
KEYWORDS = ("PatientName", "PatientID", "StudyDescription", "AccessionNumber", "StudyID")


def make_entry(number: int, text: str) -> dict[str, Any]:
    """A study whose attributes are all `text`, as whoever wrote the index may have put it."""
    entry: dict[str, Any] = {
        tag: {"vr": vr, "Value": [{"Alphabetic": text} if vr == "PN" else text]} for tag, vr in KEYS.items()
    }
    entry["0020000D"] = {"vr": "UI", "Value": [f"1.2.{number}"]}
    entry["00080020"] = {"vr": "DA", "Value": ["20200101"]}
    entry["00080030"] = {"vr": "TM", "Value": ["100000"]}
    entry["00080061"] = {"vr": "CS", "Value": ["CT"]}
    return entry


ENTRIES = [
    make_entry(number, text) for number, text in enumerate([*WILD, "a", "ab", "aXb", "a b", "A", "xyz"])
]


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server of studies whose values are as wild as the queries."""
    place = tmp_path_factory.mktemp("wild") / "archive"
    studies = []
    for entry in ENTRIES:
        uid = entry["0020000D"]["Value"][0]
        series = {"0020000E": {"vr": "UI", "Value": [f"{uid}.1"]}, "00080060": {"vr": "CS", "Value": ["CT"]}}
        entry["00080062"] = {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}
        studies.append(MadeStudy(uid, entry, (MadeSeries(f"{uid}.1", series, (f"{uid}.1.1",)),)))
    write_archive(place, studies)
    write_list(place, studies)
    running = Running(ServerOptions(dir=place, port=0))
    yield running.start()
    running.stop()


def found(reply_json: list[dict[str, Any]]) -> list[str]:
    return sorted(entry["0020000D"]["Value"][0] for entry in reply_json)


def expected(tag: str, vr: str, key: str) -> list[str]:
    """Of names the matcher says it, for folding is more than the brute-force reading knows."""
    if vr == "PN":
        query = parse_query(Resource(View.STUDIES), [(tag, key)])
        kept = [entry for entry in ENTRIES if matches(query, entry)]
    elif key == '""':
        kept = [entry for entry in ENTRIES if entry[tag]["Value"] == [key]]
    else:
        kept = [entry for entry in ENTRIES if oracle.is_match(entry, {tag: (vr, key)})]
    return sorted(entry["0020000D"]["Value"][0] for entry in kept)


@pytest.mark.parametrize("text", WILD, ids=lambda text: ascii(text)[:40])
def test_a_wild_text_is_just_a_value(wild: Client, text: str) -> None:
    for (tag, vr), keyword in zip(KEYS.items(), KEYWORDS, strict=True):
        for key in (text, f"*{text}*", f"{text}*"):
            reply = wild.get(f"studies?{keyword}={quote(key, safe='')}")
            if reply.status == 414 or (reply.status == 400 and len(key) > 5_000):
                assert len(quote(key)) > 10_000
                continue
            assert reply.status == 200, (keyword, key[:80], reply.body[:300])
            assert found(reply.json) == expected(tag, vr, key), (keyword, key[:80])


@pytest.mark.parametrize("path", ["series", "instances"])
def test_a_wild_text_is_just_a_value_at_every_level(wild: Client, path: str) -> None:
    for text in WILD:
        reply = wild.get(f"{path}?PatientID={quote(text, safe='')}")
        assert reply.status == 200, (text[:80], reply.body[:300])
        assert found(reply.json) == expected("00100020", "LO", text), text[:80]


@pytest.mark.parametrize("fuzzy", ["false", "true"])
def test_texts_put_together_at_random_never_break_the_server(wild: Client, fuzzy: str) -> None:
    generator = random.Random(f"wild {fuzzy}")
    parts = [text for text in WILD if len(text) < 50]
    for _ in range(200):
        key = "".join(generator.choices([*parts, "*", "?", "^", "="], k=generator.randrange(1, 6)))
        keyword = generator.choice(KEYWORDS)
        reply = wild.get(f"studies?{keyword}={quote(key, safe='')}&fuzzymatching={fuzzy}")
        assert reply.status == 200, (keyword, key, reply.body[:300])
        tag = dict(zip(KEYWORDS, KEYS, strict=True))[keyword]
        if fuzzy == "false" and "=" not in key:
            assert found(reply.json) == expected(tag, KEYS[tag], key), (keyword, key)


@pytest.mark.parametrize(
    "query",
    [
        "PatientID=%ED%A0%80", "PatientName=%ED%A0%80%ED%B0%80", "PatientID=%FF%FE", "PatientName=%C3",
        "PatientID=%", "PatientID=%zz", "%ED%A0%80=1", "=1", "&&&", "PatientID", "PatientID==",
        "StudyDate=%00",
        "StudyDate=" + "9" * 5_000, "StudyTime='", "limit=1e3", "limit=" + "9" * 400, "offset=-1",
        "offset=" + "9" * 400, "limit=%F0%9F%98%80", "StudyInstanceUID=1.2'--", "includefield=%00",
        "StudyInstanceUID=" + "1.2," * 3_000 + "1", "includefield=" + "00100010." * 1_000, "includefield='",
        "fuzzymatching=maybe", "ModalitiesInStudy=CT%5C%5C", "NumberOfStudyRelatedInstances=1e999999",
        "NumberOfStudyRelatedInstances=0x10", "00100010.00100010.00100010=x", "PatientBirthDate=-",
        "StudyDate=20200101-20200101-20200101", "TimezoneOffsetFromUTC=%2B9999", "PatientID=*" * 50,
    ],
    ids=lambda query: query[:30],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_or_ignored_but_breaks_nothing(wild: Client, query: str) -> None:
    for path in ("studies", "series", "instances"):
        reply = wild.get(f"{path}?{query}")
        assert reply.status in (200, 400, 414, 431), (reply.status, reply.body[:300])
    assert found(wild.get("studies?PatientID=xyz").json) == expected("00100020", "LO", "xyz")
