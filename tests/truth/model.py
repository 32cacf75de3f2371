"""The DICOM JSON model of a file as the standard has it: the truth where DCMTK is missing or fails.

`part10` finds the elements; pydicom gives the dictionary and decodes the character sets; the rest is PS3.18
annex F and PS3.5 6.2, written out here, because pydicom's `to_json_dict` changes or loses values and stops
at the first bad one (CONFORMANCE 1.15). IS and DS stay text; a binary value is base64. Every object holds,
beside what JSON has, its value field as little endian bytes under the key `RAW`, so that bulkdata can be
compared.
"""

import base64
import struct
import warnings
from dataclasses import dataclass
from typing import Any

from pydicom import charset, datadict

from tests.truth import part10

RAW = "raw"
"""The key of the value field's little endian bytes; no attribute of the DICOM JSON model has this name."""
KNOWN = "known"
"""The key, in an element written with VR UN, of the object that it is by the dictionary's VR."""

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose characters SpecificCharacterSet chooses (PS3.5 6.1.2.2)."""
UNSPLIT = frozenset({"LT", "ST", "UT", "UR"})
LEADING_SPACES_COUNT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8, "AT": 2}
_DELIMITERS = {0x0A, 0x0C, 0x0D, 0x09, 0x5C}
_MORE_CHARSETS = {"ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}

Object = dict[str, Any]
Model = dict[str, Object]


def key_of(tag: int) -> str:
    return f"{tag:08X}"


def swap(data: bytes, width: int) -> bytes:
    """`data` with each whole `width`-byte word reversed."""
    whole = len(data) - len(data) % width
    swapped = bytearray(data)
    for offset in range(width):
        swapped[offset:whole:width] = data[width - 1 - offset : whole : width]
    return bytes(swapped)


def little(raw: bytes, vr: str, *, is_little: bool) -> bytes:
    """A value field in little endian (PS3.5 7.3)."""
    width = WORDS.get(vr) or (struct.calcsize("<" + NUMBERS[vr]) if vr in NUMBERS else 1)
    return raw if is_little or width == 1 else swap(raw, width)


def encodings_of(terms: list[str]) -> list[str]:
    """Python codecs of the values of SpecificCharacterSet; an unknown one means the default repertoire."""
    if len(terms) == 1 and terms[0] in _MORE_CHARSETS:
        return [_MORE_CHARSETS[terms[0]]]
    try:
        return list(charset.convert_encodings(terms or [""]))
    except LookupError:
        return [charset.default_encoding]


def decode(raw: bytes, encodings: list[str], *, name: bool = False) -> str:
    """Text of a value field; `name` for PN, where ^ and = too end a code extension (PS3.5 6.1.2.5.3)."""
    text = charset.decode_bytes(raw, encodings, _DELIMITERS | ({0x5E, 0x3D} if name else set()))
    return text.replace("\x1b$)A", "")  # pydicom leaves the escape sequence of ISO 2022 IR 58 in the text


def trim(text: str, vr: str) -> str:
    """A value without the padding that PS3.5 6.2 calls insignificant."""
    text = text.rstrip(" \0")
    return text if vr in LEADING_SPACES_COUNT else text.lstrip(" ")


def _person(text: str) -> Any:
    groups = [group.rstrip(" \0") for group in text.rstrip(" \0").split("=")]
    named = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False))
    return {group: value for group, value in named.items() if value} or None


def values_of(raw: bytes, vr: str, encodings: list[str]) -> list[Any]:
    """The values of a non-binary value field in little endian."""
    if vr in NUMBERS:
        size = struct.calcsize("<" + NUMBERS[vr])
        return list(struct.unpack(f"<{len(raw) // size}{NUMBERS[vr]}", raw[: len(raw) - len(raw) % size]))
    if vr == "AT":
        pairs = struct.iter_unpack("<HH", raw[: len(raw) - len(raw) % 4])
        return [f"{group:04X}{number:04X}" for group, number in pairs]
    text = decode(raw, encodings, name=vr == "PN") if vr in TEXT else raw.decode("latin-1")
    if vr == "PN":
        return [_person(part) for part in text.rstrip(" \0").split("\\")]
    parts = [text] if vr in UNSPLIT else text.rstrip(" \0").split("\\")
    return [trim(part, vr) or None for part in parts]


def _object(raw: bytes, vr: str, encodings: list[str]) -> Object:
    made: Object = {"vr": vr, RAW: raw}
    if not raw:
        return made
    if vr in BINARY:
        made["InlineBinary"] = base64.b64encode(raw).decode()
        return made
    values = values_of(raw, vr, encodings)
    if any(value is not None for value in values) or len(values) > 1:
        made["Value"] = values
    return made


def vr_of(tag: int, dataset: part10.Dataset, creators: dict[int, str], pixel_representation: int) -> str:
    """The VR of an element of an implicit VR data set, by the dictionary; UN if it is not there."""
    try:
        if tag >> 16 & 1:
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                return "LO"
            return datadict.private_dictionary_VR(tag, creators[tag >> 8 & 0xFFFFFF]).split(" ")[0]
        vr = datadict.dictionary_VR(tag)
    except KeyError:
        return "UN"
    if vr in ("US or SS", "US or SS or OW"):
        return "SS" if pixel_representation else "US"
    return "OW" if vr in ("OB or OW", "US or OW") else vr


def _creators(dataset: part10.Dataset) -> dict[int, str]:
    return {
        (tag >> 16) << 8 | tag & 0xFF: dataset.text(tag)
        for tag in dataset.nodes
        if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF
    }


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a data set hands down to the items in it (PS3.5 7.5.3, C.7.6.3.1.1)."""

    encodings: list[str]
    pixel_representation: int


def _object_of(node: part10.Node, dataset: part10.Dataset, creators: dict[int, str], scope: _Scope) -> Object:
    if node.items is not None:
        items = [_model(item, scope) for item in node.items]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if node.fragments is not None:
        return {"vr": node.vr, RAW: b"".join(node.fragments[1:])}
    known = vr_of(node.tag, dataset, creators, scope.pixel_representation)
    vr = node.vr or known
    made = _object(little(node.raw, vr, is_little=node.order == "<"), vr, scope.encodings)
    if node.vr == "UN" and known == "SQ":
        items = [_model(item, scope) for item in part10.read_unknown_items(node.raw)]
        made[KNOWN] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    elif node.vr == "UN" and known != "UN":
        made[KNOWN] = _object(node.raw, known, scope.encodings)
    return made


def _model(dataset: part10.Dataset, outer: _Scope) -> Model:
    terms = [term.strip(" \0") for term in dataset.text(0x00080005).split("\\")]
    scope = _Scope(
        encodings_of(terms) if any(terms) else outer.encodings,
        dataset.number(0x00280103, outer.pixel_representation),
    )
    creators = _creators(dataset)
    return {
        key_of(tag): _object_of(node, dataset, creators, scope)
        for tag, node in sorted(dataset.nodes.items())
        if tag & 0xFFFF and tag >> 16 not in (0x0000, 0x0002)
    }


def model_of(dataset: part10.Dataset) -> Model:
    """The model of a data set. Encapsulated values have only `vr` and, under RAW, their joined fragments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _model(dataset, _Scope([charset.default_encoding], 0))
