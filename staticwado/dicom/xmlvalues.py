"""The text of a value in XML as the value that DICOM JSON has (PS3.18 F.2.3).

One rule: the same as in `values`. What a JSON number would change stays text.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from staticwado.dicom.charset import split_person_name
from staticwado.dicom.jsondataset import GROUPS, Number
from staticwado.dicom.tags import format_tag
from staticwado.dicom.values import json_decimal, json_integer
from staticwado.dicom.vr import NUMBER_FORMAT, SINGLE_TEXT
from staticwado.dicom.xmlmodel import COMPONENTS
from staticwado.errors import BrokenDicom

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?", re.ASCII)
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_AT = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_SAFE_INTEGER = 1 << 53


def read_value(tag: int, vr: str, text: str) -> Any:
    """The JSON value of one `Value`; None for an empty one.

    Numbers are int or, with a fraction or an exponent, `Number`. NaN and infinity, which JSON has no numbers
    for, stay text. Raises BrokenDicom, which names the tag, where a binary VR cannot hold the value.
    """
    if vr in NUMBER_FORMAT or vr == "AT":
        return _read_binary(tag, vr, text.strip())
    if vr not in ("DS", "IS"):
        return text.rstrip(" ") or None
    text = text.strip(" \t\r\n")
    number = json_integer(text) if vr == "IS" else json_decimal(text)
    return _number(number) if number else text or None


def _number(text: str) -> int | Number:
    """The value of a JSON number."""
    return int(text) if text != "-0" and text.lstrip("-").isdigit() else Number(text)


def _read_binary(tag: int, vr: str, text: str) -> Any:
    if vr == "AT" and _AT.fullmatch(text):
        return text.upper()
    if vr in ("FL", "FD"):
        if _NOT_FINITE.fullmatch(text):
            return text
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return Number(text if _JSON_NUMBER.fullmatch(text) else repr(float(text)))
    elif vr != "AT" and _INTEGER.fullmatch(text):
        number = int(text)
        return str(number) if vr in ("SV", "UV") and abs(number) >= _SAFE_INTEGER else number
    raise BrokenDicom(f"{format_tag(tag)} has a value that no {vr} has: {text[:40]!r}")


def read_name(groups: Mapping[str, Mapping[str, str]]) -> dict[str, str] | None:
    """The JSON value of a `PersonName`, given as group -> component -> text; None for an empty one."""
    made = {}
    for group in GROUPS:
        components = groups.get(group, {})
        texts = [components.get(name, "") for name in COMPONENTS]
        while texts and COMPONENTS[len(texts) - 1] not in components:
            texts.pop()
        if text := "^".join(texts).rstrip(" "):
            made[group] = text
    return made or None


def split_field(tag: int, vr: str, field: str) -> list[Any]:
    """The JSON values of a text VR's whole value field; none for an empty one."""
    field = field.rstrip(" \0")
    if not field or vr in SINGLE_TEXT:
        return [field] if field else []
    if vr != "PN":
        return [read_value(tag, vr, text.rstrip(" \0")) for text in field.split("\\")]
    names = (zip(GROUPS, split_person_name(text), strict=True) for text in field.split("\\"))
    return [{name: group for name, group in name_groups if group} or None for name_groups in names]
