"""One element's value as DICOM JSON text (PS3.18 F.2.3 to F.2.7).

One rule: nothing is dropped and nothing is changed. What a JSON number would change stays text, what cannot
be read in its VR is kept as the bytes that it is, and either is said in a note.
"""

import base64
import math
import re
import struct
from json.encoder import encode_basestring as quote

from staticwado.dicom.charset import CharacterDecoder, split_person_name
from staticwado.dicom.vr import BINARY, CHARSET_DEPENDENT, NUMBER_FORMAT, NUMBER_SIZE, SINGLE_TEXT, WORD_SIZE

_DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
_SAFE_INTEGER = 1 << 53
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


class Unreadable(ValueError):
    """A value that its VR cannot hold; its text says why."""


def render_value(vr: str, data: bytes, decoder: CharacterDecoder, order: str) -> tuple[str, str | None]:
    """The members of an attribute's object after `vr`: `,"Value":[…]`, or nothing for an empty value.

    `order` is `<` or `>`. The second item is a note where the value is not what its VR asks for.
    Raises Unreadable when the value has to be kept as bytes.
    """
    if not data:
        return "", None
    if vr in NUMBER_FORMAT:
        return _numbers(vr, data, order), None
    if vr in BINARY:
        return f',"InlineBinary":"{base64.b64encode(swap(vr, data, order)).decode()}"', None
    if vr == "AT":
        return _tags(data, order), None
    return _text(vr, data, decoder)


def swap(vr: str, data: bytes, order: str) -> bytes:
    """`data` in little endian, as bulk data are sent (PS3.18 8.7.3.3.1)."""
    size = WORD_SIZE.get(vr) or NUMBER_SIZE.get(vr, 1)
    if order == "<" or size == 1:
        return data
    return swap_words(data, size)


def swap_words(data: bytes | bytearray | memoryview, size: int) -> bytes:
    """Reverse the bytes of each word of `size` bytes; bytes of an incomplete last word stay."""
    swapped = bytearray(data)
    whole = len(swapped) - len(swapped) % size
    for index in range(size):
        swapped[index:whole:size] = data[size - 1 - index : whole : size]
    return bytes(swapped)


def _numbers(vr: str, data: bytes, order: str) -> str:
    size = NUMBER_SIZE[vr]
    if len(data) % size:
        raise Unreadable(f"{len(data)} bytes are no whole number of {vr} values")
    values = struct.unpack(f"{order}{len(data) // size}{NUMBER_FORMAT[vr]}", data)
    if vr in ("FL", "FD"):
        if not all(map(math.isfinite, values)):
            raise Unreadable("JSON has no number for NaN and infinity")
        return f',"Value":[{",".join(map(repr, values))}]'
    if vr in ("UV", "SV"):
        texts = (str(v) if -_SAFE_INTEGER < v < _SAFE_INTEGER else f'"{v}"' for v in values)
        return f',"Value":[{",".join(texts)}]'
    return f',"Value":[{",".join(map(str, values))}]'


def _tags(data: bytes, order: str) -> str:
    if len(data) % 4:
        raise Unreadable(f"{len(data)} bytes are no whole number of attribute tags")
    words = struct.unpack(f"{order}{len(data) // 2}H", data)
    texts = (f'"{group:04X}{element:04X}"' for group, element in zip(words[::2], words[1::2], strict=True))
    return f',"Value":[{",".join(texts)}]'


def _text(vr: str, data: bytes, decoder: CharacterDecoder) -> tuple[str, str | None]:
    note = None
    if vr in CHARSET_DEPENDENT:
        text, whole = decoder.decode_checked(data, vr)
        if not whole:
            note = "has bytes that its character set does not know"
    elif data.isascii():
        text = data.decode("ascii")
    else:
        text = data.decode("latin-1")
        note = f"has characters that a {vr} must not have"
    text = text.rstrip(" \0")
    if vr in SINGLE_TEXT:
        return (f',"Value":[{quote(text)}]' if text else ""), note
    if not text:
        return "", note
    if vr == "PN":
        return _names(text), note
    if vr in ("DS", "IS"):
        return _number_texts(vr, text, note)
    if "\\" not in text:
        return f',"Value":[{quote(text)}]', note
    values = (value.rstrip(" \0") for value in text.split("\\"))
    return f',"Value":[{",".join(quote(value) if value else "null" for value in values)}]', note


def _names(text: str) -> str:
    return f',"Value":[{",".join(map(_name, text.split(chr(92))))}]'


def _name(text: str) -> str:
    if not text:
        return "null"
    groups = zip(_GROUPS, split_person_name(text), strict=True)
    members = ",".join(f'"{name}":{quote(group)}' for name, group in groups if group)
    return f"{{{members}}}" if members else "null"


def _number_texts(vr: str, text: str, note: str | None) -> tuple[str, str | None]:
    texts = []
    for value in text.split("\\"):
        value = value.strip(" \0")
        number = (json_integer if vr == "IS" else json_decimal)(value)
        if number is None and value:
            note = f"is no {vr}: {value[:40]!r}"
        texts.append(number or (quote(value) if value else "null"))
    return f',"Value":[{",".join(texts)}]', note


def json_integer(text: str) -> str | None:
    """The JSON number that is equal to the IS `text` (PS3.5 6.2), or None."""
    if not _INTEGER.fullmatch(text):
        return None
    number = str(int(text))
    return "-0" if number == "0" and text[0] == "-" else number


def _in_range(text: str) -> bool:
    """Whether a double neither overflows nor vanishes."""
    number = float(text)
    return math.isfinite(number) and (number != 0 or not text.lower().partition("e")[0].strip("+-.0"))


def json_decimal(text: str) -> str | None:
    """The JSON number that is equal to the DS `text`, digit for digit; None if there is none.

    JSON knows no leading plus or zeros and no bare point, so those go; digits after the point stay.
    """
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction, exponent = found.groups()
    if not (whole or fraction):
        return None
    whole = whole.lstrip("0")
    digits = len(whole) + len(fraction or "")
    if digits > 17 or (exponent and not _in_range(text)):
        return None
    number = ("-" if sign == "-" else "") + (whole or "0")
    if fraction:
        number += "." + fraction
    return number + (exponent or "")
