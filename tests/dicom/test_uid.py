"""UIDs: what may become part of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.uid import MAX_LENGTH, check_uid, is_uid
from staticwado.errors import InvalidUid

GOOD = ["0", "1.2", "2.25." + "9" * 59, "1.2.840.10008.1.2.1", "1.02.003", "9" * 64]
BAD = [
    "",
    ".",
    "..",
    "1.",
    ".1",
    "1..2",
    "1.2\n",
    "\n1.2",
    "1.2 ",
    " 1.2",
    "1.2\0",
    "1/2",
    "1\\2",
    "../1",
    "1.2.a",
    "\u0661.\u0662",
    "1,2",
    "-1.2",
    "+1",
    "1" * 65,
    "1.²",
    "%2e",
]


@pytest.mark.parametrize("text", GOOD)
def test_uids_are_accepted(text: str) -> None:
    assert is_uid(text)
    assert check_uid(text, "Study Instance UID") == text


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_by_name(text: str) -> None:
    assert not is_uid(text)
    with pytest.raises(InvalidUid, match=r"Study Instance UID"):
        check_uid(text, "Study Instance UID")


@pytest.mark.parametrize("text", [None, ""])
def test_a_missing_uid_is_said_to_be_missing(text: str | None) -> None:
    with pytest.raises(InvalidUid, match="missing"):
        check_uid(text, "SOP Instance UID")


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidUid) as error:
        check_uid("x" * 1_000_000, "Study Instance UID")
    assert len(str(error.value)) < 200


@given(st.text(max_size=70))
def test_what_is_accepted_is_safe_in_a_path(text: str) -> None:
    if is_uid(text):
        assert len(text) <= MAX_LENGTH
        assert set(text) <= set("0123456789.")
        assert ".." not in text
        assert not text.startswith(".")
