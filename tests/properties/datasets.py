"""Data sets of the DICOM JSON Model for property tests: every VR, nested, with private blocks."""

import base64
from typing import Any

from hypothesis import strategies as st

from staticwado.dicom.jsondataset import Number, parse_json
from staticwado.dicom.values import json_decimal, json_integer
from staticwado.dicom.vr import BINARY, CHARSET_DEPENDENT, SINGLE_TEXT

INTEGERS = {"US": (0, 16), "SS": (1, 16), "UL": (0, 32), "SL": (1, 32), "UV": (0, 64), "SV": (1, 64)}
PLAIN = ("AE", "AS", "CS", "DA", "DT", "TM", "UI")
TEXT = ("LO", "SH", "UC", "LT", "ST", "UT", "UR")
ANY = (*INTEGERS, *PLAIN, *TEXT, "FL", "FD", "AT", "PN", "IS", "DS", *sorted(BINARY - {"UN"}))
STANDARD = [0x00080070, 0x00081030, 0x00100010, 0x00189999, 0x00200032, 0x00281053, 0x0040A730, 0x60003000]
CREATORS = ["ACME", "ACME", 'Ä<&>"C', "A\x01B"]
_SAFE = 1 << 53
_STRANGE = [*"\x00\x01\x0b\x1b\r\n\t~\ufffd\ufffe\u2028é漢\U0001f600<&]\"'\x85\xa0"]


def _texts(vr: str, clean: bool) -> st.SearchStrategy[str]:
    """One value as the encoder writes it: not empty, without padding behind it."""
    forbidden = "" if vr in SINGLE_TEXT else "\\"
    if clean:
        letters = st.sampled_from("abcXYZ019.-" + ("é漢ß😀" if vr in CHARSET_DEPENDENT else ""))
    elif vr in CHARSET_DEPENDENT:
        letters = st.characters(codec="utf-8", exclude_characters=forbidden) | st.sampled_from(_STRANGE)
    else:
        latin = st.characters(max_codepoint=255, exclude_characters=forbidden)
        letters = latin | st.sampled_from("\x00\x1b\r\n \x01")
    made = st.text(letters, min_size=1, max_size=12)
    return made.map(lambda text: text.rstrip(" \0")).filter(bool)


def _number(text: str, vr: str) -> Any:
    found = json_integer(text) if vr == "IS" else json_decimal(text)
    return parse_json(found.encode()) if found else text


def _numeric(vr: str, clean: bool) -> st.SearchStrategy[Any]:
    """Values of DS and IS."""
    if vr == "IS":
        made = st.integers(-(10**11), 10**11).map(str)
    else:
        made = st.from_regex(r"\A[+-]?[0-9]{1,6}(\.[0-9]{0,6})?([eE][+-]?[0-9]{1,2})?\Z")
    if not clean:
        made = made | st.sampled_from(
            ["-0", "abc", "1 2", "1e999", "0.12345678901234567", "\x01", "123456789012345678"]
        )
    return made.map(lambda text: _number(text, vr))


def _names(clean: bool) -> st.SearchStrategy[Any]:
    group = st.text(
        st.sampled_from("AbC^" if clean else ["A", "é", "漢", "^", " ", "\x01", "<"]), min_size=1, max_size=9
    )
    groups = st.dictionaries(
        st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]),
        group.map(lambda text: text.rstrip(" ")).filter(bool),
        min_size=1,
    )
    order = ("Alphabetic", "Ideographic", "Phonetic")
    return groups.map(lambda made: {name: made[name] for name in order if name in made})


def _floats(vr: str) -> st.SearchStrategy[Number]:
    made = st.floats(allow_nan=False, allow_infinity=False, width=32 if vr == "FL" else 64)
    return made.map(lambda value: Number(repr(value)))


def _integers(vr: str) -> st.SearchStrategy[int | str]:
    signed, bits = INTEGERS[vr]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high).map(
        lambda value: str(value) if vr in ("UV", "SV") and not -_SAFE < value < _SAFE else value
    )


def _inline(size: int) -> st.SearchStrategy[str]:
    made = st.binary(min_size=1, max_size=24).map(lambda data: data[:size] * 2)
    return made.map(lambda data: base64.b64encode(data * (8 // size)).decode())


def _values(vr: str, clean: bool) -> st.SearchStrategy[list[Any]]:
    if vr in ("FL", "FD"):
        return st.lists(_floats(vr), min_size=1, max_size=4)
    if vr in INTEGERS:
        return st.lists(_integers(vr), min_size=1, max_size=4)
    if vr == "AT":
        tag = st.integers(0, 0xFFFFFFFF).map(lambda value: f"{value:08X}")
        return st.lists(tag, min_size=1, max_size=3)
    if vr == "PN":
        one = _names(clean)
    elif vr in ("DS", "IS"):
        one = _numeric(vr, clean)
    else:
        one = _texts(vr, clean)
    if vr in SINGLE_TEXT:
        return st.lists(one, min_size=1, max_size=1)
    # A single empty value is no value; and what ends in padding has been shortened by it.
    return st.lists(one | st.none(), min_size=1, max_size=4).filter(lambda made: made != [None])


@st.composite
def elements(draw: st.DrawFn, vr: str, clean: bool = False) -> dict[str, Any]:
    """The attribute object of a VR other than SQ."""
    if draw(st.integers(0, 9)) == 0:
        return {"vr": vr}
    if vr in BINARY:
        return {"vr": vr, "InlineBinary": draw(_inline(1 if vr in ("OB", "UN") else 8))}
    return {"vr": vr, "Value": draw(_values(vr, clean))}


@st.composite
def datasets(draw: st.DrawFn, clean: bool = False, depth: int = 3) -> dict[str, Any]:
    """A data set as the encoder writes it; `clean` leaves out what a well-behaved file has not."""
    made: dict[int, dict[str, Any]] = {}
    for _ in range(draw(st.integers(0, 6))):
        tag = draw(st.sampled_from(STANDARD) | st.integers(0x0008, 0x7FD).map(lambda n: n << 17 | 0x0001))
        vr = draw(st.sampled_from(ANY))
        made[tag] = draw(elements(vr, clean))
    if depth and draw(st.booleans()):
        items = draw(st.lists(datasets(clean, depth - 1), max_size=2))
        made[0x00081140] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if draw(st.booleans()):
        _add_private(draw, made, clean)
    return {f"{tag:08X}": made[tag] for tag in sorted(made)}


def _add_private(draw: st.DrawFn, made: dict[int, dict[str, Any]], clean: bool) -> None:
    blocks = draw(st.lists(st.integers(0x10, 0x13), unique=True, max_size=3))
    for block in blocks:
        creator = "ACME" + str(block) if clean else draw(st.sampled_from(CREATORS))
        made[0x00090000 | block] = {"vr": "LO", "Value": [creator]}
    for _ in range(draw(st.integers(0, 4))):
        block = draw(st.sampled_from(blocks) if clean and blocks else st.integers(0x10, 0x14))
        tag = 0x00090000 | block << 8 | draw(st.integers(0, 255))
        made[tag] = draw(elements(draw(st.sampled_from((*ANY, "UN"))), clean))
