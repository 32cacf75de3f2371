"""Unique identifiers (PS3.5 9.1): the check that stands between a UID and a path."""

import re

from staticwado.errors import InvalidUid

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
MAX_LENGTH = 64


def is_uid(text: str) -> bool:
    """Whether `text` is a UID: dotted digits, at most 64 characters; leading zeros are tolerated."""
    return len(text) <= MAX_LENGTH and _UID.fullmatch(text) is not None


def check_uid(text: str | None, name: str) -> str:
    """Return `text` if it is a UID.

    Raises InvalidUid, which names the attribute `name` and shows at most 80 characters of the value.
    """
    if not text:
        raise InvalidUid(f"{name} is missing or empty")
    if not is_uid(text):
        raise InvalidUid(f"{name} is not a UID: {text[:80]!r}")
    return text
