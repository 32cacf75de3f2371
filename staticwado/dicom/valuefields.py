"""The value field of an element (PS3.5 6.2) from its DICOM JSON values, in little endian and UTF-8.

One rule: a value that its VR cannot hold is an error that names the tag; nothing is rounded, cut or guessed.
What the JSON encoder keeps of bad files (a date that is none, a DS of 20 characters) is written as it is.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from staticwado.dicom.jsondataset import GROUPS, JsonElement, number_text
from staticwado.dicom.tags import format_tag
from staticwado.dicom.vr import BINARY, CHARSET_DEPENDENT, NUMBER_FORMAT, NUMBER_SIZE, SINGLE_TEXT
from staticwado.errors import BrokenDicom

_AT = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_LONG_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_PN_DELIMITERS = frozenset("\\=")


def value_field(element: JsonElement) -> bytes:
    """The padded value field of an element that is no sequence and has no BulkDataURI.

    Raises BrokenDicom, which names the tag.
    """
    vr = element.vr
    if element.inline is not None:
        return _padded(vr, _inline_binary(element))
    if not element.values:
        return b""
    if vr in BINARY:
        _fail(element, f"is a {vr} and has a Value, not an InlineBinary")
    if vr == "AT":
        return b"".join(_tag(element, value) for value in element.values)
    if vr in NUMBER_FORMAT:
        return _numbers(element)
    return _padded(vr, _encoded(element, field_text(element)))


def padding(vr: str, length: int) -> bytes:
    """What makes `length` bytes even (PS3.5 6.2): a space behind text but UIDs, a NUL behind all else."""
    if length % 2 == 0:
        return b""
    return b"\0" if vr == "UI" or vr in BINARY or vr in NUMBER_SIZE else b" "


def _padded(vr: str, data: bytes) -> bytes:
    return data + padding(vr, len(data))


def _fail(element: JsonElement, what: str) -> NoReturn:
    raise BrokenDicom(f"{format_tag(element.tag)} {what}")


def _refuse(element: JsonElement, value: Any) -> NoReturn:
    _fail(element, f"has a value that no {element.vr} has: {str(value)[:40]!r}")


# -- binary --------------------------------------------------------------------------------------------------


def _inline_binary(element: JsonElement) -> bytes:
    if element.vr not in BINARY:
        _fail(element, f"is a {element.vr} and has an InlineBinary")
    try:
        return base64.b64decode(element.inline or "", validate=True)
    except (binascii.Error, ValueError):
        _fail(element, "has an InlineBinary that is no base64")


def _tag(element: JsonElement, value: Any) -> bytes:
    if not isinstance(value, str) or not _AT.fullmatch(value):
        _refuse(element, value)
    return struct.pack("<HH", int(value[:4], 16), int(value[4:], 16))


def _numbers(element: JsonElement) -> bytes:
    read = _float if element.vr in ("FL", "FD") else _integer
    pack = struct.Struct("<" + NUMBER_FORMAT[element.vr]).pack
    made = bytearray()
    for value in element.values:
        try:
            made += pack(read(element, value))
        except (struct.error, OverflowError):
            _refuse(element, value)
    return bytes(made)


def _integer(element: JsonElement, value: Any) -> int:
    if isinstance(value, str) and element.vr in ("SV", "UV") and _LONG_INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        _refuse(element, value)
    number = float(value)  # 1E+999999 is an integer too, and would fill the memory
    if not math.isfinite(number) or value != int(value):
        _refuse(element, value)
    return int(value)


def _float(element: JsonElement, value: Any) -> float:
    """The double next to `value`; NaN and infinity come as text, as JSON has no numbers for them."""
    if isinstance(value, str) and _NOT_FINITE.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        _refuse(element, value)
    made = float(value)
    if not math.isfinite(made):
        _refuse(element, value)
    return made


# -- text ----------------------------------------------------------------------------------------------------


def field_text(element: JsonElement) -> str:
    """The text of a text element's value field, without padding. Raises BrokenDicom."""
    if element.vr in SINGLE_TEXT and len(element.values) > 1:
        _fail(element, f"is a {element.vr} and has more than one value")
    return "\\".join([_value_text(element, value) for value in element.values])


def _value_text(element: JsonElement, value: Any) -> str:
    vr = element.vr
    if value is None:
        return ""
    if vr == "PN":
        return _name_text(element, value)
    if isinstance(value, str):
        if vr not in SINGLE_TEXT and "\\" in value:
            _fail(element, f"has a backslash inside a value: {value[:40]!r}")
        return value
    if vr not in ("DS", "IS") or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        _refuse(element, value)
    if not isinstance(value, int) and not math.isfinite(value):
        _refuse(element, value)
    return number_text(value)


def _name_text(element: JsonElement, value: Any) -> str:
    if not isinstance(value, Mapping) or not value.keys() <= set(GROUPS):
        _refuse(element, value)
    groups = [value.get(group) or "" for group in GROUPS]
    if not all(isinstance(group, str) and _PN_DELIMITERS.isdisjoint(group) for group in groups):
        _refuse(element, value)
    return "=".join(groups).rstrip("=")


def _encoded(element: JsonElement, text: str) -> bytes:
    """`text` in UTF-8; what Specific Character Set does not govern, in Latin-1, as it was read."""
    try:
        return text.encode("utf-8" if element.vr in CHARSET_DEPENDENT else "latin-1")
    except UnicodeEncodeError:
        _refuse(element, text)
