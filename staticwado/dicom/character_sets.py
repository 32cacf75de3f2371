"""The one table of character sets: defined terms, their graphic sets and escapes (PS3.3 C.12.1.1.2)."""

import re
from dataclasses import dataclass

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class GraphicSet:
    """A set of characters that an escape sequence designates to G0 or G1 (ISO/IEC 2022)."""

    name: str
    codec: str
    """A Python codec that decodes bytes of this set with the high bit set."""
    width: int = 1
    """Bytes a character."""
    right: bool = True
    """Whether the set can be in G1."""
    lead: bytes = b""
    """What the codec wants before each character."""
    wider: str = ""
    """A codec for characters that vendors have added to the set."""

    def decode(self, data: bytes) -> tuple[str, bool]:
        """The text of `data` (each byte with the high bit set), and whether all of it is in this set."""
        try:
            return self._encoded(data).decode(self.codec), True
        except UnicodeDecodeError:
            pass
        parts = [data[at : at + self.width] for at in range(0, len(data), self.width)]
        return "".join(map(self._character, parts)), False

    def _encoded(self, data: bytes) -> bytes:
        if not self.lead:
            return data
        parts = [self.lead + data[at : at + self.width] for at in range(0, len(data), self.width)]
        return b"".join(parts)

    def _character(self, part: bytes) -> str:
        for codec, encoded in ((self.codec, self._encoded(part)), (self.wider, self._widened(part))):
            try:
                if codec:
                    return encoded.decode(codec)
            except UnicodeDecodeError:
                continue
        return _REPLACEMENT

    def _widened(self, part: bytes) -> bytes:
        if self.wider != "cp932" or len(part) < 2:
            return part
        row, cell = part[0] - 0xA1, part[1] - 0xA1
        lead = row // 2 + (0x81 if row < 62 else 0xC1)
        trail = cell + (0x9F if row % 2 else 0x40 if cell < 63 else 0x41)
        return bytes((lead, trail)) if lead <= 0xFF and trail <= 0xFF else part


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """What one defined term declares."""

    term: str
    codec: str
    """A Python codec for a value without escape sequences."""
    g0: GraphicSet
    g1: GraphicSet | None = None
    more: tuple[GraphicSet, ...] = ()
    """Sets that are declared, but in neither G0 nor G1 until an escape sequence puts them there."""
    stand_alone: bool = False
    """No code extensions: an ESC is a control character like others (PS3.5 6.1.2.5.4)."""


ASCII = GraphicSet("ISO-IR 6", "ascii", right=False)
JIS_X_0201_ROMAJI = GraphicSet("ISO-IR 14", "ascii", right=False)
JIS_X_0201_KATAKANA = GraphicSet("ISO-IR 13", "euc_jp", lead=b"\x8e")
JIS_X_0208 = GraphicSet("ISO-IR 87", "euc_jp", width=2, wider="cp932")
JIS_X_0212 = GraphicSet("ISO-IR 159", "euc_jp", width=2, lead=b"\x8f")
KS_X_1001 = GraphicSet("ISO-IR 149", "euc_kr", width=2, wider="cp949")
GB_2312 = GraphicSet("ISO-IR 58", "gb2312", width=2, wider="gb18030")

_SINGLE_BYTE = {
    # ISO-IR number: (Python codec, final byte of the escape sequence ESC 02/13 F)
    "100": ("latin_1", b"A"),
    "101": ("iso8859_2", b"B"),
    "109": ("iso8859_3", b"C"),
    "110": ("iso8859_4", b"D"),
    "144": ("iso8859_5", b"L"),
    "127": ("iso8859_6", b"G"),
    "126": ("iso8859_7", b"F"),
    "138": ("iso8859_8", b"H"),
    "148": ("iso8859_9", b"M"),
    "203": ("iso8859_15", b"b"),
    "166": ("iso8859_11", b"T"),
}
_LATIN = {number: GraphicSet(f"ISO-IR {number}", codec) for number, (codec, _) in _SINGLE_BYTE.items()}

ESCAPES: dict[bytes, tuple[int, GraphicSet]] = {
    b"\x1b(B": (0, ASCII),
    b"\x1b(J": (0, JIS_X_0201_ROMAJI),
    b"\x1b)I": (1, JIS_X_0201_KATAKANA),
    b"\x1b$B": (0, JIS_X_0208),
    b"\x1b$(D": (0, JIS_X_0212),
    b"\x1b$)C": (1, KS_X_1001),
    b"\x1b$)A": (1, GB_2312),
    # Not in DICOM, but unmistakable: the same sets in the other half, and the 1978 edition of JIS X 0208.
    b"\x1b(I": (0, JIS_X_0201_KATAKANA),
    b"\x1b$@": (0, JIS_X_0208),
    b"\x1b$(B": (0, JIS_X_0208),
    b"\x1b$)B": (1, JIS_X_0208),
    b"\x1b$(C": (0, KS_X_1001),
    b"\x1b$A": (0, GB_2312),
    b"\x1b$(A": (0, GB_2312),
    **{b"\x1b-" + final: (1, _LATIN[number]) for number, (_, final) in _SINGLE_BYTE.items()},
}
"""Escape sequence -> (0: G0, 1: G1; the set it puts there); PS3.3 tables C.12-3 and C.12-4."""

DEFAULT_REPERTOIRE = CharacterSet("ISO_IR 6", "ascii", ASCII)

_BY_NUMBER: dict[str, CharacterSet] = {
    "6": DEFAULT_REPERTOIRE,
    "13": CharacterSet("ISO_IR 13", "shift_jis", JIS_X_0201_ROMAJI, JIS_X_0201_KATAKANA),
    "192": CharacterSet("ISO_IR 192", "utf_8", ASCII, stand_alone=True),
    "87": CharacterSet("ISO 2022 IR 87", "ascii", ASCII, more=(JIS_X_0208,)),
    "159": CharacterSet("ISO 2022 IR 159", "ascii", ASCII, more=(JIS_X_0212,)),
    "149": CharacterSet("ISO 2022 IR 149", "euc_kr", ASCII, KS_X_1001),
    "58": CharacterSet("ISO 2022 IR 58", "gb2312", ASCII, GB_2312),
    **{
        number: CharacterSet(f"ISO_IR {number}", codec, ASCII, _LATIN[number])
        for number, (codec, _) in _SINGLE_BYTE.items()
    },
}
_GB18030 = CharacterSet("GB18030", "gb18030", ASCII, stand_alone=True)
_GBK = CharacterSet("GBK", "gbk", ASCII, stand_alone=True)

DEFINED_TERMS: dict[str, CharacterSet] = {
    "": DEFAULT_REPERTOIRE,
    "GB18030": _GB18030,
    "GBK": _GBK,
    **{f"ISO 2022 IR {number}": one for number, one in _BY_NUMBER.items() if not one.stand_alone},
    **{one.term: one for one in _BY_NUMBER.values()},
}
"""The defined terms of (0008,0005) as PS3.3 C.12.1.1.2 spells them."""

_LONGEST_TERM = 64
"""Characters of a CS value are 16; the patterns below take long over very long texts."""
_ISO_IR = re.compile(r"ISO[-_ ]*(?:2022)?[-_ ]*(?:IR)?[-_ ]*(\d+)")
_ISO_8859 = re.compile(r"(?:ISO|IEC|CSISO)?[-_ /]*8859[-_ ]?(\d+)")
_WINDOWS = re.compile(r"(?:CP|WINDOWS)[-_ ]?(125[0-8])")
_ISO_8859_PARTS = {"1": "100", "2": "101", "3": "109", "4": "110", "5": "144", "6": "127", "7": "126",
                   "8": "138", "9": "148", "11": "166", "15": "203"}  # fmt: skip
_ALIASES = {
    **dict.fromkeys(("UTF8", "UTF-8", "UTF_8", "UNICODE"), _BY_NUMBER["192"]),
    **dict.fromkeys(("ASCII", "US-ASCII", "US_ASCII", "ISO646"), DEFAULT_REPERTOIRE),
    **dict.fromkeys(("LATIN1", "LATIN-1", "LATIN_1", "L1", "8859"), _BY_NUMBER["100"]),
    **dict.fromkeys(("SHIFT_JIS", "SHIFT-JIS", "SJIS", "CP932", "ISO_IR 14"), _BY_NUMBER["13"]),
    **dict.fromkeys(("EUC_KR", "EUC-KR", "KS_X_1001"), _BY_NUMBER["149"]),
    **dict.fromkeys(("GB2312", "ISO_IR_58"), _BY_NUMBER["58"]),
    **dict.fromkeys(("ISO 2022 GBK", "CP936", "ISO_IR GBK"), _GBK),
    **dict.fromkeys(("GB 18030", "GB-18030", "GB_18030", "ISO 2022 GB18030", "ISO_IR GB18030"), _GB18030),
}


def character_set(term: str) -> tuple[CharacterSet, str]:
    """The set that one value of (0008,0005) means, and a note: empty, or what is wrong with the value."""
    found = DEFINED_TERMS.get(term.strip(" \0"))
    if found is not None:
        return found, ""
    found = _misspelt(term.strip().upper())
    shown = f"Specific Character Set (0008,0005): {term[:40]!r}"
    if found is not None:
        return found, f"{shown} is no defined term; read as {found.term!r}"
    return DEFAULT_REPERTOIRE, f"{shown} is unknown"


def _misspelt(term: str) -> CharacterSet | None:
    if len(term) > _LONGEST_TERM:
        return None
    if known := _ALIASES.get(term, DEFINED_TERMS.get(term)):
        return known
    if windows := _WINDOWS.fullmatch(term):
        return CharacterSet(f"windows-{windows[1]}", f"cp{windows[1]}", ASCII, stand_alone=True)
    if part := _ISO_8859.fullmatch(term):
        return _BY_NUMBER.get(_ISO_8859_PARTS.get(part[1], ""))
    if number := _ISO_IR.fullmatch(term):
        return _BY_NUMBER.get(number[1].lstrip("0"))
    return None
