"""Person names as they are compared: without case and accents, component by component (PS3.5 6.2.1).

One rule: catalog and matcher compare what is made here, so that they cannot differ.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

_WORDS = re.compile(r"[\s^,=]+")
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "d",
        "\u0131": "i",
        "ħ": "h",
        "ŋ": "n",
    }
)
"""Letters that Unicode does not take apart, in lower case."""
_SMALL_KATAKANA, _LAST_KATAKANA, _TO_HIRAGANA = 0x30A1, 0x30F6, 0x60
_KATAKANA = {letter: letter - _TO_HIRAGANA for letter in range(_SMALL_KATAKANA, _LAST_KATAKANA + 1)}


def fold(text: str) -> str:
    """`text` without case and accents, full-width forms as plain ones; wildcards stay what they were."""
    return text.lower() if text.isascii() else _fold(text)


@lru_cache(maxsize=65536)
def _fold(text: str) -> str:
    apart = "".join(_decomposed(letter) for letter in text)
    plain = "".join(letter for letter in apart if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFC", plain.casefold().translate(_LETTERS))


def _decomposed(letter: str) -> str:
    """A letter taken apart, unless it would become a wildcard."""
    apart = unicodedata.normalize("NFKD", letter)
    return letter if "*" in apart or "?" in apart else apart


def groups_of(value: Any) -> list[str]:
    """The three component groups of a value of PN in DICOM JSON, folded."""
    if isinstance(value, dict):
        found: list[Any] = [value.get(name) for name in GROUPS]
    else:
        found = [*str(value).split("=", 2), "", ""][:3]
    return [fold(text) if isinstance(text, str) else "" for text in found]


def components_of(text: str) -> list[str]:
    """The components without spaces around them and without empty ones at the end (PS3.5 6.2.1.1)."""
    found = [part.strip(" ") for part in text.split("^")]
    while found and not found[-1]:
        found.pop()
    return found


def hiragana(word: str) -> str:
    """`word` with Hiragana in place of Katakana."""
    return word if word.isascii() else word.translate(_KATAKANA)


def words_of(text: str) -> list[str]:
    """The words of a folded component group, in Hiragana where they are in Katakana."""
    return [hiragana(word) for word in _WORDS.split(text) if word]


def has_kana(text: str) -> bool:
    """Whether a text has letters of which Hiragana and Katakana have one each."""
    return any(letter in _KATAKANA or letter + _TO_HIRAGANA in _KATAKANA for letter in map(ord, text))
