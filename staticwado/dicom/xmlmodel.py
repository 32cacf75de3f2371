"""The Native DICOM Model (PS3.19 annex A), written from DICOM JSON; `xmlreader` is the way back.

One rule: what the JSON says, the XML says. Where PS3.19 leaves a choice, docs/xml.md has it.
"""

import base64
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

from staticwado.dicom import tags
from staticwado.dicom.jsondataset import (
    GROUPS,
    Dataset,
    JsonElement,
    elements_of,
    is_left_out,
    item_of,
    number_text,
    private_creators,
    unroll,
)
from staticwado.dicom.tags import format_tag
from staticwado.dicom.vr import SINGLE_TEXT
from staticwado.errors import BrokenDicom

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
LONGEST_GAP = 1000
"""Empty values are left out, but those whose number this divides stand there: so a reader need not believe
numbers that would fill its memory with empty values."""

_HEAD = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">\n'
)
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold (section 2.2), not even as a reference."""
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = {**_IN_TEXT, **str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})}

_Pieces = Iterator[str | Iterator[Any]]


def to_xml(dataset: Dataset) -> bytes:
    """The XML document of a data set given as DICOM JSON (PS3.18 annex F): tag -> attribute object.

    Group lengths and file meta information are left out. A text with characters that XML cannot hold becomes
    InlineBinary: its value field in UTF-8. Raises BrokenDicom, which names the tag, for what is no DICOM
    JSON.
    """
    return (_HEAD + "".join(unroll(_attributes(dataset))) + "</NativeDicomModel>\n").encode()


def _attributes(dataset: Dataset) -> _Pieces:
    elements = [one for one in elements_of(dataset) if not is_left_out(one.tag)]
    creators = private_creators(elements)
    for element in elements:
        yield f"<DicomAttribute {_names(element, creators)}>\n"
        if element.vr == "SQ":
            for index in range(len(element.values)):
                yield f'<Item number="{index + 1}">\n'
                yield _attributes(item_of(element, index))
                yield "</Item>\n"
        else:
            yield from _value(element)
        yield "</DicomAttribute>\n"


def _names(element: JsonElement, creators: dict[int, str]) -> str:
    """The XML attributes that say which attribute this is (PS3.19 table A.1.5-2)."""
    tag, vr = element.tag, element.vr
    if not tags.is_private(tag):
        keyword = dictionary_keyword(tag)
        return f'tag="{tag:08X}" vr="{vr}"' + (f' keyword="{keyword}"' if keyword else "")
    creator_tag = tag & 0xFFFF0000 | tag >> 8 & 0xFF
    creator = creators.get(creator_tag, "") if tag & 0xFFFF > 0xFF else ""
    if not creator or _ILLEGAL.search(creator):
        return f'tag="{tag:08X}" vr="{vr}"'
    same = [one for one, name in creators.items() if name == creator and one >> 16 == tag >> 16]
    # A creator that reserved two blocks of the group cannot tell which of them is meant.
    shown = tag & 0xFFFF00FF if same == [creator_tag] else tag
    return f'tag="{shown:08X}" vr="{vr}" privateCreator="{creator.translate(_IN_ATTRIBUTE)}"'


@lru_cache(maxsize=16384)
def dictionary_keyword(tag: int) -> str:
    """The keyword of a standard attribute (PS3.6); empty for what the dictionary does not know."""
    from pydicom.datadict import keyword_for_tag  # 0.3 s; often not needed

    return keyword_for_tag(tag)


def _value(element: JsonElement) -> Iterator[str]:
    if element.uri is not None:
        yield f'<BulkData uri="{_checked(element, element.uri).translate(_IN_ATTRIBUTE)}"/>\n'
    elif element.inline is not None:
        yield f"<InlineBinary>{_checked(element, element.inline).translate(_IN_TEXT)}</InlineBinary>\n"
    elif element.values:
        texts = [_text(element, value) for value in element.values]
        if any(map(_ILLEGAL.search, texts)):
            yield f"<InlineBinary>{_value_field(element, texts)}</InlineBinary>\n"
            return
        last = len(texts)
        for number, text in enumerate(texts, 1):
            if not text and number != last and number % LONGEST_GAP:
                continue
            if element.vr == "PN":
                yield f'<PersonName number="{number}">{"".join(_person_name(text))}</PersonName>\n'
            else:
                yield f'<Value number="{number}">{text.translate(_IN_TEXT)}</Value>\n'


def _checked(element: JsonElement, text: str) -> str:
    if _ILLEGAL.search(text):
        raise BrokenDicom(
            f"{format_tag(element.tag)} has a URI or base64 with characters that neither may have"
        )
    return text


def _text(element: JsonElement, value: Any) -> str:
    """One value as text; the groups of a name are joined by `=`."""
    if value is None:
        return ""
    if element.vr == "PN":
        if isinstance(value, dict) and all(isinstance(group, str) for group in value.values()):
            return "=".join(value.get(group, "") for group in GROUPS).rstrip("=")
    elif isinstance(value, str):
        return value
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return number_text(value)
    raise BrokenDicom(f"{format_tag(element.tag)} has a value that no {element.vr} has: {str(value)[:40]!r}")


def _person_name(text: str) -> Iterator[str]:
    for name, group in zip(GROUPS, text.split("="), strict=False):
        if not group:
            continue
        components = group.split("^", len(COMPONENTS) - 1)
        yield f"<{name}>"
        for number, component in enumerate(components, 1):
            # An empty last component stands there, because the delimiters before it are part of the value.
            if component or number == len(components):
                tag = COMPONENTS[number - 1]
                yield f"<{tag}>{component.translate(_IN_TEXT)}</{tag}>"
        yield f"</{name}>"


def _value_field(element: JsonElement, texts: list[str]) -> str:
    """The value field in UTF-8, as base64."""
    if element.vr not in SINGLE_TEXT and any("\\" in text for text in texts):
        raise BrokenDicom(f"{format_tag(element.tag)} has a backslash inside a value")
    try:
        field = "\\".join(texts).encode()
    except UnicodeEncodeError as error:
        raise BrokenDicom(
            f"{format_tag(element.tag)} has half a surrogate pair, which is no character"
        ) from error
    return base64.b64encode(field).decode()
