"""Specific Character Set (0008,0005): bytes of text to `str` (PS3.3 C.12.1.1.2, PS3.5 6.1 and 6.2).

Decisions that the standard leaves open, or that real files force:

- Decoding never fails. Bytes that the declared sets give no meaning become U+FFFD, one byte or one pair
  each, and the value is reported as not clean; bytes of 8 bits where no set is declared for them are taken
  as UTF-8 if they are valid UTF-8, else as Latin-1, and reported too.
- A value is decoded first and split at `\\` after that, because 0x5C is the second byte of many characters
  in GBK, GB18030 and (in G0) JIS X 0208 (PS3.5 6.1.2.3). No character of a multi-byte set decodes to a
  backslash: the one of JIS X 0208 becomes U+FF3C.
- ISO_IR 13 (JIS X 0201): 0x7E is an overline (U+203E). 0x5C is a yen sign (U+00A5) in LT, ST and UT; where
  it separates values it stays a backslash.
- Control characters are kept as they are, U+0080 to U+009F included (PS3.5 6.1.3).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from staticwado.dicom.character_sets import (
    ASCII,
    ESCAPES,
    JIS_X_0201_ROMAJI,
    CharacterSet,
    GraphicSet,
    character_set,
)
from staticwado.dicom.vr import CHARSET_DEPENDENT, SINGLE_TEXT

_ESC = b"\x1b"
_REPLACEMENT = "\ufffd"
_TOKEN = re.compile(
    rb"(?P<escape>\x1b\$[()\-]?[@-~]|\x1b[()\-][@-~])|(?P<gl>[\x21-\x7e]+)|(?P<gr>[\xa0-\xff]+)|(?P<other>.)",
    re.DOTALL,
)
_PERSON_NAME_DELIMITER = re.compile(rb"[\\^=]")
_VALUE_DELIMITER = re.compile(rb"\\")
_NO_DELIMITER = re.compile(rb"(?!)")
_NOT_JIS_X_0201 = re.compile(rb"[\x80-\xa0\xe0-\xff]")
_PRIVATE = re.compile("[\uf8f0-\uf8f3]")
"""What Python makes of the unused bytes of Windows code page 932."""
_KEEPS_STATE = b" \x7f"
"""Single bytes outside the graphic area that don't end a code extension; every control character does."""


@dataclass(frozen=True, slots=True)
class CharacterDecoder:
    """Decodes text as one value of Specific Character Set says; `make_decoder` makes it.

    `notes` says what was wrong with the value of Specific Character Set itself.
    """

    sets: tuple[CharacterSet, ...]
    notes: tuple[str, ...] = ()

    def decode(self, data: bytes, vr: str) -> str:
        """The text of a whole value field, padding and delimiters included; never raises."""
        if data.isascii() and _ESC not in data and self.sets[0].g0 is ASCII:
            return data.decode("ascii")
        return self.decode_checked(data, vr)[0]

    def decode_checked(self, data: bytes, vr: str) -> tuple[str, bool]:
        """The text, and whether each byte had a meaning in the declared sets."""
        if data.isascii() and (
            vr not in CHARSET_DEPENDENT or (self.sets[0].g0 is ASCII and _ESC not in data)
        ):
            return data.decode("ascii"), True
        text, clean = self._decode_text(data, vr)
        return text, clean and vr in CHARSET_DEPENDENT

    def split_values(self, data: bytes, vr: str) -> list[str]:
        """The decoded values, separated where a backslash separates them; padding is kept."""
        text = self.decode(data, vr)
        return [text] if vr in SINGLE_TEXT else text.split("\\")

    def _decode_text(self, data: bytes, vr: str) -> tuple[str, bool]:
        first = self.sets[0]
        if first.stand_alone:
            return _decode_stand_alone(data, first)
        if _ESC in data:
            return _Iso2022(self.sets, vr).decode(data)
        if first.g1 is None and not data.isascii():
            return _decode_undeclared(data, self.sets), False
        if first.g0 is JIS_X_0201_ROMAJI:
            return _decode_jis_x_0201(data, self.sets, vr)
        try:
            return data.decode(first.codec), True
        except UnicodeDecodeError:
            return data.decode(first.codec, "replace"), False


def make_decoder(value: str | bytes | Sequence[str] | None) -> CharacterDecoder:
    """The decoder for a value of Specific Character Set; None or empty means the default repertoire.

    Terms are read tolerantly: padding, other separators (`ISO-IR 100`, `ISO_IR_192`), a missing or surplus
    `2022`, and the names that programs use (`utf8`, `latin_1`). An unknown term means the default repertoire.
    """
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        value = value.split("\\")
    notes: list[str] = []
    sets: list[CharacterSet] = []
    for term in value or ("",):
        found, note = character_set(term)
        if note:
            notes.append(note)
        sets.append(found)
    if len(sets) > 1 and any(one.stand_alone for one in sets):
        notes.append("Specific Character Set (0008,0005) mixes code extensions with a set that allows none")
    return CharacterDecoder(tuple(sets), tuple(notes))


def split_person_name(text: str) -> tuple[str, str, str]:
    """The alphabetic, ideographic and phonetic group of one PN value (PS3.5 6.2.1, PS3.18 F.2.2).

    Trailing spaces of each group are padding and go; nothing else changes, delimiters of empty components
    (`Doe^^^`) included. What follows a third `=` has no place in the DICOM JSON Model and is left out.
    """
    groups = [group.rstrip(" \0") for group in text.split("=")[:3]]
    groups += [""] * (3 - len(groups))
    return groups[0], groups[1], groups[2]


class _Iso2022:
    """One pass over a value with code extensions: what is designated to G0 and G1, and what came out."""

    __slots__ = ("clean", "declared", "delimiter", "fallback", "g0", "g1", "initial", "out", "yen")

    def __init__(self, sets: tuple[CharacterSet, ...], vr: str) -> None:
        self.initial = sets[0]
        declared = (graphic for one in sets for graphic in (one.g0, one.g1, *one.more))
        self.declared = frozenset((ASCII, *filter(None, declared)))
        self.fallback = next((one.g1 for one in sets if one.g1 is not None), None)
        self.g0: GraphicSet = self.initial.g0
        self.g1: GraphicSet | None = self.initial.g1
        self.delimiter = _delimiter(vr)
        self.yen = vr in SINGLE_TEXT
        self.clean = True
        self.out: list[str] = []

    def decode(self, data: bytes) -> tuple[str, bool]:
        for kind, token in _tokens(data):
            if kind == "escape":
                self._designate(token)
            elif kind == "gl":
                self._graphic_left(token)
            elif kind == "gr":
                self._graphic_right(token)
            else:
                self.out.append(token.decode("latin-1"))
                self.clean = self.clean and token != _ESC
                if token not in _KEEPS_STATE:
                    self._reset()
        return "".join(self.out), self.clean

    def _reset(self) -> None:
        self.g0, self.g1 = self.initial.g0, self.initial.g1

    def _designate(self, escape: bytes) -> None:
        found = ESCAPES.get(escape)
        if found is None:
            self.clean = False
            self.out.append(escape.decode("ascii"))
            return
        slot, graphic = found
        if slot == 0:
            self.g0 = graphic
        else:
            self.g1 = graphic
        self.clean = self.clean and graphic in self.declared

    def _graphic_left(self, token: bytes) -> None:
        if self.g0.right:
            whole = len(token) // self.g0.width * self.g0.width
            self._append(self.g0, bytes(byte | 0x80 for byte in token[:whole]))
            token = token[whole:]
            if not token:
                return
            # One byte is left over: what follows a delimiter that forgot to switch back, or a broken value.
            self.clean = self.clean and self.delimiter.match(token) is not None
            self.g0 = self.initial.g0
        found = self.delimiter.search(token)
        end = found.start() if found else len(token)
        self.out.append(_left(token[:end], self.g0, self.yen))
        if found:
            self._reset()
            self.out.append(_left(token[end:], self.g0, self.yen))

    def _graphic_right(self, token: bytes) -> None:
        if self.g1 is not None:
            self._append(self.g1, token)
            return
        self.clean = False
        if self.fallback is not None:
            self._append(self.fallback, token)
        else:
            self.out.append(token.decode("latin-1"))

    def _append(self, graphic: GraphicSet, token: bytes) -> None:
        text, clean = graphic.decode(token)
        self.out.append(text)
        self.clean = self.clean and clean


def _tokens(data: bytes) -> Iterator[tuple[str, bytes]]:
    for found in _TOKEN.finditer(data):
        yield found.lastgroup or "other", found.group()


def _delimiter(vr: str) -> re.Pattern[bytes]:
    if vr == "PN":
        return _PERSON_NAME_DELIMITER
    return _NO_DELIMITER if vr in SINGLE_TEXT else _VALUE_DELIMITER


def _left(token: bytes, graphic: GraphicSet, yen: bool) -> str:
    text = token.decode("ascii")
    if graphic is JIS_X_0201_ROMAJI:
        text = text.replace("~", "\u203e")
        return text.replace("\\", "\u00a5") if yen else text
    return text


def _decode_jis_x_0201(data: bytes, sets: tuple[CharacterSet, ...], vr: str) -> tuple[str, bool]:
    if data.isascii() and b"~" not in data and b"\\" not in data:
        return data.decode("ascii"), True
    if not _NOT_JIS_X_0201.search(data):
        return _Iso2022(sets, vr).decode(data)
    # Shift_JIS is a superset that some systems write under this name.
    for codec in ("shift_jis", "cp932"):
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if not _PRIVATE.search(text):
            return text, False
    return _Iso2022(sets, vr).decode(data)[0], False


def _decode_stand_alone(data: bytes, one: CharacterSet) -> tuple[str, bool]:
    try:
        return data.decode(one.codec), True
    except UnicodeDecodeError:
        return data.decode("gb18030" if one.codec == "gbk" else one.codec, "replace"), False


def _decode_undeclared(data: bytes, sets: tuple[CharacterSet, ...]) -> str:
    """Bytes of 8 bits without a set for them: one that was declared but not invoked, UTF-8, or Latin-1."""
    strict = [one.codec for one in sets[1:] if one.stand_alone or (one.g1 and one.g1.width > 1)]
    loose = [one.codec for one in sets[1:] if one.g1 and one.g1.width == 1]
    for codec in (*strict, "utf_8", *loose):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
