"""Keywords of the data dictionary (PS3.6)."""

import re

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")


def is_tag_or_keyword(text: str) -> bool:
    """Whether `text` has the form of eight hexadecimal digits or of a keyword, known or not."""
    return _TAG.fullmatch(text) is not None or _KEYWORD.fullmatch(text) is not None


def tag_named(text: str) -> str | None:
    """Eight upper-case hexadecimal digits for a tag or a keyword; None for a keyword that is unknown."""
    if _TAG.fullmatch(text):
        return text.upper()
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(text)
    return None if tag is None else f"{tag:08X}"
