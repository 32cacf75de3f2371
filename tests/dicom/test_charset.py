"""Text: every character set of PS3.3 C.12.1.1.2, code extensions, and what real files write instead."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicom.character_sets import DEFINED_TERMS, ESCAPES
from staticwado.dicom.charset import make_decoder, split_person_name
from staticwado.dicom.vr import CHARSET_DEPENDENT
from tests.truth import part10

SINGLE_BYTE = {
    "ISO_IR 100": ("latin_1", "Äneas^Rüdiger"),
    "ISO_IR 101": ("iso8859_2", "Wałęsa^Łukasz"),
    "ISO_IR 109": ("iso8859_3", "Ĝirafo^Ŝanĝo"),
    "ISO_IR 110": ("iso8859_4", "Bērziņš^Jānis"),
    "ISO_IR 144": ("iso8859_5", "Люшжя"),
    "ISO_IR 127": ("iso8859_6", "قباني^لنزار"),
    "ISO_IR 126": ("iso8859_7", "Διονυσιος"),
    "ISO_IR 138": ("iso8859_8", "שרון^דבורה"),
    "ISO_IR 148": ("iso8859_9", "Çavuşoğlu"),
    "ISO_IR 203": ("iso8859_15", "Œuvre^Žák"),
    "ISO_IR 166": ("tis_620", "สมชาย^ใจดี"),
    "ISO_IR 192": ("utf_8", "Wang^XiaoDong=王^小东="),
    "GB18030": ("gb18030", "Wang^XiaoDong=王^小东="),
    "GBK": ("gbk", "Zhang=张^三="),
}
YAMADA = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
HONG = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
KATAKANA_YAMADA = (
    b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
)


def decode(terms: str | None, data: bytes, vr: str = "LO") -> str:
    """The text of a value that must be clean."""
    text, clean = make_decoder(terms).decode_checked(data, vr)
    assert clean, f"{data!r} is not clean in {terms}: {text!r}"
    assert text == make_decoder(terms).decode(data, vr)
    return text


def decode_dirty(terms: str | None, data: bytes, vr: str = "LO") -> str:
    """The text of a value that must not be clean."""
    text, clean = make_decoder(terms).decode_checked(data, vr)
    assert not clean
    return text


@pytest.mark.parametrize("term", SINGLE_BYTE)
def test_each_set_without_code_extensions_decodes_its_example(term: str) -> None:
    codec, text = SINGLE_BYTE[term]
    assert decode(term, text.encode(codec), "PN") == text
    assert make_decoder(term).notes == ()


@pytest.mark.parametrize(
    ("escape", "codec", "text"),
    [
        (b"\x1b-A", "latin_1", "Müller"),
        (b"\x1b-B", "iso8859_2", "Wałęsa"),
        (b"\x1b-C", "iso8859_3", "Ŝanĝo"),
        (b"\x1b-D", "iso8859_4", "Bērziņš"),
        (b"\x1b-L", "iso8859_5", "Люшжя"),
        (b"\x1b-G", "iso8859_6", "قباني"),
        (b"\x1b-F", "iso8859_7", "Διονυσιος"),
        (b"\x1b-H", "iso8859_8", "שרון"),
        (b"\x1b-M", "iso8859_9", "Çavuşoğlu"),
        (b"\x1b-b", "iso8859_15", "Œuvre"),
        (b"\x1b-T", "tis_620", "สมชาย"),
        (b"\x1b$)C", "euc_kr", "김희중"),
        (b"\x1b$)A", "gb2312", "张小东"),
    ],
)
def test_each_escape_sequence_for_g1_switches_to_its_set(escape: bytes, codec: str, text: str) -> None:
    number = next(
        term for term in DEFINED_TERMS if term.startswith("ISO 2022") and _g1_is(term, ESCAPES[escape][1])
    )
    assert decode(f"\\{number}", b"abc " + escape + text.encode(codec)) == "abc " + text


def _g1_is(term: str, graphic: object) -> bool:
    return DEFINED_TERMS[term].g1 is graphic


@pytest.mark.parametrize(
    ("terms", "data", "text"),
    [
        ("\\ISO 2022 IR 87", YAMADA, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", YAMADA, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", KATAKANA_YAMADA, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", HONG, "Hong^Gildong=洪^吉洞=홍^길동"),
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        ("\\ISO 2022 IR 87\\ISO 2022 IR 159", b"Test=\x1b$(D0!\x1b(B=", "Test=丂="),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"M\xfcller^\x1b-L\xb6\xd0\xe0\xdb", "Müller^Жарл"),
    ],
)
def test_the_examples_of_the_standard_with_code_extensions_decode(terms: str, data: bytes, text: str) -> None:
    assert decode(terms, data, "PN") == text
    assert make_decoder(terms).notes == ()


@pytest.mark.parametrize("delimiter", ["\\", "\t", "\n", "\r", "\f", "\r\n"])
def test_a_delimiter_switches_back_to_the_first_set(delimiter: str) -> None:
    data = b"\x1b-L\xb6" + delimiter.encode() + b"\xfc"
    assert decode("ISO 2022 IR 100\\ISO 2022 IR 144", data) == "Ж" + delimiter + "ü"


@pytest.mark.parametrize(("vr", "text"), [("PN", "Ж^ü"), ("LO", "Ж^ќ")])
def test_a_caret_switches_back_in_person_names_only(vr: str, text: str) -> None:
    assert decode("ISO 2022 IR 100\\ISO 2022 IR 144", b"\x1b-L\xb6^\xfc", vr) == text


@pytest.mark.parametrize("vr", ["LT", "ST", "UT"])
def test_a_backslash_in_a_long_text_neither_separates_nor_switches_back(vr: str) -> None:
    decoder = make_decoder("ISO 2022 IR 100\\ISO 2022 IR 144")
    assert decoder.decode(b"\x1b-L\xb6\\\xfc", vr) == "Ж\\ќ"
    assert decoder.split_values(b"\x1b-L\xb6\\\xfc", vr) == ["Ж\\ќ"]


def test_a_delimiter_after_two_byte_characters_that_do_not_switch_back_is_seen() -> None:
    assert decode("\\ISO 2022 IR 87", b"\x1b$B;3ED^\x1b$BB@O:\x1b(B", "PN") == "山田^太郎"


def test_spaces_between_two_byte_characters_keep_the_set() -> None:
    assert decode("\\ISO 2022 IR 87", b"\x1b$B;3 ED\x1b(B x") == "山 田 x"


@pytest.mark.parametrize(
    ("terms", "data", "values"),
    [
        ("GBK", "乗\\張".encode("gbk"), ["乗", "張"]),
        ("GB18030", b"\x81\x5c\\\x81\x5c", ["乗", "乗"]),
        ("\\ISO 2022 IR 87", b"\x1b$B\x5c\x21\x1b(B\\a", ["棔", "a"]),
        ("ISO_IR 192", "é\\ü\\\\".encode(), ["é", "ü", "", ""]),
        ("ISO_IR 13", b"\xd4\xcf\\\xc0\xde", ["ﾔﾏ", "ﾀﾞ"]),
        (None, b"a\\b", ["a", "b"]),
        (None, b"", [""]),
    ],
)
def test_values_are_separated_by_backslashes_not_by_second_bytes(
    terms: str | None, data: bytes, values: list[str]
) -> None:
    assert make_decoder(terms).split_values(data, "LO") == values


def test_the_backslash_of_jis_x_0208_is_no_delimiter() -> None:
    assert make_decoder("\\ISO 2022 IR 87").split_values(b"\x1b$B!@\x1b(B", "LO") == ["\uff3c"]


def test_jis_x_0201_has_a_yen_sign_and_an_overline() -> None:
    assert decode("ISO_IR 13", b"a\\b~c", "LT") == "a¥b‾c"
    assert decode("ISO_IR 13", b"a\\b~c\xd4", "LT") == "a¥b‾cﾔ"
    assert make_decoder("ISO_IR 13").split_values(b"a\\b~c", "LO") == ["a", "b‾c"]
    assert decode("ISO 2022 IR 13\\ISO 2022 IR 87", b"\x1b$B;3\x1b(J~") == "山‾"


@pytest.mark.parametrize("vr", ["CS", "UI", "DA", "AE", "IS"])
def test_identifiers_are_in_the_default_repertoire_whatever_is_declared(vr: str) -> None:
    assert decode("ISO_IR 13", b"A~B\\C", vr) == "A~B\\C"
    assert decode_dirty("ISO_IR 144", b"\xb6", vr) == "Ж"


def test_control_characters_are_kept() -> None:
    assert decode("ISO_IR 100", b"a\x00\r\n\x7f\x85") == "a\x00\r\n\x7f\x85"
    assert decode("ISO_IR 192", b"a\x1b[1mb") == "a\x1b[1mb"


@pytest.mark.parametrize(
    ("written", "term"),
    [
        ("ISO_IR 100 ", "ISO_IR 100"),
        ("ISO IR 100", "ISO_IR 100"),
        ("ISO-IR 100", "ISO_IR 100"),
        ("ISO_IR_100", "ISO_IR 100"),
        ("iso_ir 100", "ISO_IR 100"),
        ("ISO 2022 IR 100", "ISO_IR 100"),
        ("ISO_2022_IR_100", "ISO_IR 100"),
        ("ISO2022IR100", "ISO_IR 100"),
        ("latin_1", "ISO_IR 100"),
        ("iso8859-1", "ISO_IR 100"),
        ("ISO_8859-5", "ISO_IR 144"),
        ("ISO_IR_192", "ISO_IR 192"),
        ("ISO 2022 IR 192", "ISO_IR 192"),
        ("utf8", "ISO_IR 192"),
        ("UTF-8", "ISO_IR 192"),
        ("ISO_2022_IR_87", "ISO 2022 IR 87"),
        ("ISO_IR 87", "ISO 2022 IR 87"),
        ("ISO 2022 58", "ISO 2022 IR 58"),
        ("ISO 2022 GBK", "GBK"),
        ("gb18030", "GB18030"),
        ("shift_jis", "ISO_IR 13"),
        ("euc_kr", "ISO 2022 IR 149"),
        ("ascii", "ISO_IR 6"),
        ("windows-1251", "windows-1251"),
    ],
)
def test_terms_are_read_as_programs_write_them(written: str, term: str) -> None:
    decoder = make_decoder(written)
    assert decoder.sets[0].term == term
    assert bool(decoder.notes) == (written.strip() not in DEFINED_TERMS)


@pytest.mark.parametrize(
    "written", ["KLINGON", "ISO_IR 999", "ISO 8859-14", "rot13", "utf_16", "../x", "\x1b$B"]
)
def test_an_unknown_term_means_the_default_repertoire_and_is_noted(written: str) -> None:
    decoder = make_decoder(written)
    assert decoder.sets[0].term == "ISO_IR 6"
    assert len(decoder.notes) == 1
    assert "(0008,0005)" in decoder.notes[0]


@pytest.mark.parametrize("nothing", [None, "", b"", "  ", [], [""]])
def test_without_a_term_the_default_repertoire_holds(nothing: str | bytes | list[str] | None) -> None:
    decoder = make_decoder(nothing)
    assert decoder.notes == ()
    assert decoder.decode_checked(b"Doe^Jane", "PN") == ("Doe^Jane", True)


def test_the_terms_may_be_bytes_a_text_or_a_list() -> None:
    decoder = make_decoder("ISO 2022 IR 13\\ISO 2022 IR 87")
    assert make_decoder(b"ISO 2022 IR 13\\ISO 2022 IR 87 ") == decoder
    assert make_decoder(["ISO 2022 IR 13", "ISO 2022 IR 87"]) == decoder


def test_a_set_that_stands_alone_beside_others_is_noted() -> None:
    assert make_decoder("ISO_IR 192\\ISO 2022 IR 100").notes
    assert make_decoder("ISO_IR 192\\ISO 2022 IR 100").decode("é".encode(), "LO") == "é"
    assert decode_dirty("\\ISO_IR 192", "é".encode()) == "é"


@pytest.mark.parametrize(
    ("terms", "data", "text"),
    [
        (None, "王".encode(), "王"),
        (None, b"J\xe9r\xf4me", "Jérôme"),
        ("\\ISO 2022 IR 149", "김희중".encode("euc_kr"), "김희중"),
        ("\\ISO 2022 IR 144", b"\xb6\xd0\xe0\xdb", "Жарл"),
        ("ISO_IR 192", b"a\xffb", "a\ufffdb"),
        ("ISO_IR 127", b"a\xff", "a\ufffd"),
        ("GBK", b"\x81\x30\x81\x30", "\x80"),
        ("GB18030", b"a\xff", "a\ufffd"),
        ("ISO_IR 13", "山田".encode("shift_jis"), "山田"),
        ("ISO_IR 13", "髙".encode("cp932"), "髙"),
        ("ISO_IR 13", b"\xff", "\ufffd"),
        ("ISO_IR 100", b"\x1b$B;3\x1b(B", "山"),
        ("\\ISO 2022 IR 87", b"\x1b$B-!\x1b(B", "①"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3E\x1b(B", "山E"),
        ("\\ISO 2022 IR 87", b"\x1b[31m", "\x1b[31m"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3\x1b(B\xe9", "山é"),
        ("\\ISO 2022 IR 149", b"\x1b(B\xb1\xe8", "김"),
        ("\\ISO 2022 IR 149", b"\x1b$)C\xb1", "\ufffd"),
    ],
)
def test_bytes_without_a_meaning_are_kept_readable_and_reported(
    terms: str | None, data: bytes, text: str
) -> None:
    found, clean = make_decoder(terms).decode_checked(data, "LO")
    assert found == text
    assert not clean


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("Doe^Jane", ("Doe^Jane", "", "")),
        ("Doe^^Jane^^", ("Doe^^Jane^^", "", "")),
        ("A=B=C", ("A", "B", "C")),
        ("A=B= ", ("A", "B", "")),
        ("=B", ("", "B", "")),
        ("==C ", ("", "", "C")),
        ("A ^B  =C", ("A ^B", "C", "")),
        ("A=B=C=D", ("A", "B", "C")),
        (" A", (" A", "", "")),
        ("==", ("", "", "")),
        ("A\0", ("A", "", "")),
        ("", ("", "", "")),
    ],
)
def test_a_person_name_has_three_groups(text: str, groups: tuple[str, str, str]) -> None:
    assert split_person_name(text) == groups


ANY_TERMS = st.lists(st.sampled_from([*DEFINED_TERMS, "utf8", "nonsense"]), max_size=4).map("\\".join)
ANY_VR = st.sampled_from([*sorted(CHARSET_DEPENDENT), "CS", "UI"])
ANY_DATA = st.one_of(
    st.binary(max_size=60),
    st.lists(st.one_of(st.sampled_from(list(ESCAPES)), st.binary(max_size=6)), max_size=8).map(b"".join),
)


@given(terms=ANY_TERMS, vr=ANY_VR, data=ANY_DATA)
@settings(deadline=None, max_examples=400)
def test_no_bytes_make_decoding_fail_or_give_what_json_cannot_hold(terms: str, vr: str, data: bytes) -> None:
    decoder = make_decoder(terms)
    text, _ = decoder.decode_checked(data, vr)
    text.encode("utf-8")
    assert decoder.decode(data, vr) == text
    values = decoder.split_values(data, vr)
    assert "\\".join(values) == text


@given(
    terms=ANY_TERMS, vr=ANY_VR, text=st.text(st.characters(max_codepoint=0x7E, exclude_characters="\x1b~\\"))
)
@settings(deadline=None)
def test_ascii_is_the_same_in_every_set(terms: str, vr: str, text: str) -> None:
    assert make_decoder(terms).decode_checked(text.encode(), vr) == (text, True)


JAPANESE = st.text(st.sampled_from("山田太郎やまだたろうabc ^="), max_size=12)


@given(text=JAPANESE)
@settings(deadline=None)
def test_what_python_encodes_as_iso_2022_jp_comes_back(text: str) -> None:
    assert make_decoder("\\ISO 2022 IR 87").decode(text.encode("iso2022_jp"), "PN") == text


@given(terms=st.text(max_size=40))
@settings(deadline=None)
def test_no_value_of_specific_character_set_makes_a_decoder_fail(terms: str) -> None:
    decoder = make_decoder(terms)
    assert len(decoder.sets) == terms.count("\\") + 1
    assert decoder.decode(b"abc", "CS") == "abc"


def _rows(testdata: Path) -> Iterator[dict[str, Any]]:
    with (testdata / "manifest.jsonl").open() as lines:
        yield from (row for row in map(json.loads, lines) if "charset" in row["path"])


def test_the_names_of_the_corpus_are_what_was_intended(testdata: Path) -> None:
    seen = 0
    for row in _rows(testdata):
        intended = row.get("intended_PatientName")
        if intended is None:
            name = row.get("PatientName")
            if row["kind"] == "malformed" or not name:
                continue
            intended = "=".join(name.values()) if isinstance(name, dict) else name
        dataset = part10.read_path(testdata / row["path"])
        decoder = make_decoder(dataset.nodes[0x00080005].raw)
        text, clean = decoder.decode_checked(dataset.nodes[0x00100010].raw, "PN")
        assert clean, row["path"]
        assert decoder.notes == (), row["path"]
        assert split_person_name(text) == split_person_name(intended), row["path"]
        seen += 1
    assert seen >= 30


@pytest.mark.timeout(60)
@pytest.mark.parametrize("separator", [b" ", b"-", b"_"])
def test_the_work_of_a_long_term_does_not_grow_with_its_cube(separator: bytes) -> None:
    for _ in range(100):
        assert make_decoder(b"ISO" + separator * 1000 + b"x").sets == make_decoder(None).sets
