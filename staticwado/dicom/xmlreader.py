"""The Native DICOM Model (PS3.19 annex A), read into DICOM JSON (PS3.18 annex F).

One rule: what is not understood is refused, never passed over. Document type declarations are refused, so no
entity but those of XML itself is ever expanded; no call goes deeper because the document does.
"""

import base64
import binascii
import re
import xml.parsers.expat as expat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from staticwado.dicom import tags
from staticwado.dicom.jsondataset import GROUPS, is_left_out
from staticwado.dicom.tags import dictionary_vr, format_tag
from staticwado.dicom.vr import BINARY, KNOWN, NUMBER_SIZE, SINGLE_TEXT
from staticwado.dicom.xmlmodel import COMPONENTS, LONGEST_GAP, NAMESPACE
from staticwado.dicom.xmlvalues import read_name, read_value, split_field
from staticwado.errors import BadRequest, BrokenDicom

_SEPARATOR = "\n"
_CHILDREN = {
    "": frozenset({"NativeDicomModel"}),
    "NativeDicomModel": frozenset({"DicomAttribute"}),
    "DicomAttribute": frozenset({"Value", "Item", "PersonName", "BulkData", "InlineBinary"}),
    "Item": frozenset({"DicomAttribute"}),
    "PersonName": frozenset(GROUPS),
    **dict.fromkeys(GROUPS, frozenset(COMPONENTS)),
}
_TEXT = frozenset({"Value", "InlineBinary", *COMPONENTS})
_NUMBERED = frozenset({"Value", "Item", "PersonName"})
_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_NUMBER = re.compile(r"0{0,9}[1-9][0-9]{0,9}", re.ASCII)
_UUID = re.compile(r"[0-9A-Fa-f-]{32,36}|[0-9.]{1,64}", re.ASCII)
_WHITESPACE = re.compile(r"[ \t\r\n]+")
_ELEMENT, _PARAMETER, _BYTE = 150, 200, 10
"""Bytes that a tag, a parameter of one, and a byte of text take once they are read and written."""


@dataclass(slots=True)
class _Dataset:
    """The data set, or the item, that is being read."""

    elements: dict[int, dict[str, Any]] = field(default_factory=dict)
    waiting: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """Private attributes whose block is only known by its creator."""


@dataclass(slots=True)
class _Attribute:
    """The attribute that is being read."""

    tag: int
    vr: str
    creator: str | None
    content: str = ""
    """The name of its child elements: Value, Item, PersonName, BulkData or InlineBinary."""
    values: list[Any] = field(default_factory=list)
    element: dict[str, Any] = field(default_factory=dict)


def weigh_xml(chunks: Iterable[bytes]) -> int:
    """About how many bytes of memory a document takes once it is read, as measured."""
    return sum(
        chunk.count(b"<") * _ELEMENT + chunk.count(b"=") * _PARAMETER + len(chunk) * _BYTE for chunk in chunks
    )


def parse_xml(data: bytes | Iterable[bytes]) -> dict[str, Any]:
    """The DICOM JSON of an XML document: tags in ascending order, numbers as `parse_json` has them.

    The document may come in chunks. Group lengths and file meta information are left out.

    Raises BadRequest where `data` is not XML, not this model or has a document type declaration, BrokenDicom,
    which names the tag, for what no data set can hold.
    """
    return _Reader().read((data,) if isinstance(data, bytes) else data)


class _Reader:
    def __init__(self) -> None:
        self._open = [""]
        self._datasets: list[_Dataset] = []
        self._attributes: list[_Attribute] = []
        self._text: list[str] = []
        self._groups: dict[str, dict[str, str]] = {}
        self._result: dict[str, Any] = {}
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, chunks: Iterable[bytes]) -> dict[str, Any]:
        try:
            for chunk in chunks:
                self._parser.Parse(chunk, False)
            self._parser.Parse(b"", True)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: a strange encoding
            raise BadRequest(f"the document is no well-formed XML: {error}") from error
        finally:
            del self._parser  # its handlers hold this reader, and it holds them
        return self._result

    def _refuse_doctype(self, *_: Any) -> NoReturn:
        raise BadRequest("the document has a document type declaration, which is not read")

    def _fail(self, what: str) -> NoReturn:
        place = format_tag(self._attributes[-1].tag) if self._attributes else "the data set"
        raise BrokenDicom(f"{place} {what}")

    # -- what expat says -------------------------------------------------------------------------------------

    def _start(self, full: str, attributes: dict[str, str]) -> None:
        namespace, _, name = full.rpartition(_SEPARATOR)
        parent = self._open[-1]
        if namespace not in ("", NAMESPACE) or name not in _CHILDREN.get(parent, ()):
            if not parent:
                raise BadRequest(f"the document is a {name[:60]}, not a NativeDicomModel of PS3.19")
            self._fail(f"holds the XML element {name[:60]}, which no {parent} has")
        self._open.append(name)
        self._text = []
        if name in ("NativeDicomModel", "Item"):
            if name == "Item":
                self._begin_content(name, attributes)
            self._datasets.append(_Dataset())
        elif name == "DicomAttribute":
            self._attributes.append(self._attribute(attributes))
        elif parent == "DicomAttribute":
            self._begin_content(name, attributes)
            self._groups = {}
        elif parent == "PersonName":
            if name in self._groups:
                self._fail(f"has {name} twice in a name")
            self._groups[name] = {}

    def _characters(self, text: str) -> None:
        if self._open[-1] in _TEXT:
            self._text.append(text)
        elif not text.isspace():
            self._fail(f"has text where no text belongs: {text.strip()[:40]!r}")

    def _end(self, full: str) -> None:
        name = self._open.pop()
        text = "".join(self._text)
        self._text = []
        if name == "DicomAttribute":
            self._end_attribute()
        elif name in ("NativeDicomModel", "Item"):
            dataset = self._finish(self._datasets.pop())
            if name == "Item":
                self._attributes[-1].values.append(dataset)
            else:
                self._result = dataset
        elif name in COMPONENTS:
            group = self._groups[self._open[-1]]
            if name in group:
                self._fail(f"has {name} twice in a name")
            group[name] = text
        elif name not in GROUPS:
            self._end_content(name, text)

    # -- attributes ------------------------------------------------------------------------------------------

    def _attribute(self, attributes: dict[str, str]) -> _Attribute:
        text = attributes.get("tag", "").strip()
        if not _TAG.fullmatch(text):
            self._fail(f"holds an attribute whose tag is not eight hexadecimal digits: {text[:40]!r}")
        tag, creator = int(text, 16), attributes.get("privateCreator")
        if creator is not None and not tags.is_private(tag):
            raise BrokenDicom(f"{format_tag(tag)} has a privateCreator and is not private")
        creator = creator.rstrip(" ") if creator else None
        if tag & 0xFFFF <= 0xFF and creator is not None:
            vr = dictionary_vr(tag | 0x1000, creator)
        else:
            vr = dictionary_vr(tag, creator)
        vr = attributes.get("vr", vr).strip()
        if vr not in KNOWN:
            raise BrokenDicom(f"{format_tag(tag)} has no value representation that is known: {vr[:20]!r}")
        return _Attribute(tag, vr, creator)

    def _begin_content(self, name: str, attributes: dict[str, str]) -> None:
        attribute = self._attributes[-1]
        if attribute.content not in ("", name if name in _NUMBERED else ""):
            self._fail(f"has {attribute.content} and {name}")
        attribute.content = name
        fitting = {"SQ": "Item", "PN": "PersonName"}.get(attribute.vr, "Value")
        if (name in _NUMBERED and name != fitting) or (name == "Value" and attribute.vr in BINARY):
            self._fail(f"is a {attribute.vr} and has a {name}")
        if name == "BulkData":
            if attribute.vr == "SQ":
                self._fail("is a sequence and has BulkData")
            attribute.element["BulkDataURI"] = self._bulkdata_uri(attributes)
        elif name in _NUMBERED:
            self._fill_gap(attribute, name, attributes.get("number"))

    def _fill_gap(self, attribute: _Attribute, name: str, text: str | None) -> None:
        """Add the empty values before the value with the number `text`."""
        values = attribute.values
        number = len(values) + 1
        if text is not None:
            if not _NUMBER.fullmatch(text.strip()):
                self._fail(f"has a {name} whose number is none: {text[:20]!r}")
            number = int(text)
        gap = number - len(values) - 1
        if gap < 0 or gap > LONGEST_GAP or (gap and name == "Item"):
            self._fail(f"has a {name} with the number {number} behind that with the number {len(values)}")
        values.extend([None] * gap)
        if number > 1 and attribute.vr in SINGLE_TEXT:
            self._fail(f"is a {attribute.vr} and has more than one value")

    def _bulkdata_uri(self, attributes: dict[str, str]) -> str:
        if uri := attributes.get("uri", "").strip():
            return uri
        uuid = attributes.get("uuid", "").strip()
        if not _UUID.fullmatch(uuid):
            self._fail("has BulkData without a uri")
        return f"urn:uuid:{uuid}"

    def _end_content(self, name: str, text: str) -> None:
        attribute = self._attributes[-1]
        if name == "Value":
            attribute.values.append(read_value(attribute.tag, attribute.vr, text))
        elif name == "PersonName":
            attribute.values.append(read_name(self._groups))
        elif name == "InlineBinary":
            self._inline_binary(attribute, text)

    def _inline_binary(self, attribute: _Attribute, text: str) -> None:
        text = _WHITESPACE.sub("", text)
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self._fail("has an InlineBinary that is no base64")
        if attribute.vr in BINARY:
            if data:
                attribute.element["InlineBinary"] = text
            return
        if attribute.vr == "SQ" or attribute.vr in NUMBER_SIZE:
            self._fail(f"is a {attribute.vr} and has an InlineBinary")
        try:
            attribute.values.extend(split_field(attribute.tag, attribute.vr, data.decode()))
        except UnicodeDecodeError:
            self._fail("has an InlineBinary that is no text in UTF-8")

    def _end_attribute(self) -> None:
        attribute = self._attributes.pop()
        element = {"vr": attribute.vr, **attribute.element}
        if attribute.values:
            element["Value"] = attribute.values
        dataset, tag, creator = self._datasets[-1], attribute.tag, attribute.creator
        if creator is not None and tag & 0xFFFF <= 0xFF:
            dataset.waiting.append((tag, creator, element))
        elif not is_left_out(tag):
            _add(dataset, tag, element)

    # -- private blocks --------------------------------------------------------------------------------------

    def _finish(self, dataset: _Dataset) -> dict[str, Any]:
        """The data set with its private attributes in their blocks (PS3.5 7.8.1)."""
        blocks: dict[tuple[int, str], int] = {}
        for tag, element in dataset.elements.items():
            values = element.get("Value", ())
            if tags.is_private_creator(tag) and len(values) == 1 and isinstance(values[0], str):
                blocks.setdefault((tag >> 16, values[0]), tag & 0xFF)
        used = {(tag >> 16, tag >> 8 & 0xFF) for tag in dataset.elements if tag & 0xFFFF > 0xFF}
        for tag, creator, element in dataset.waiting:
            group = tag >> 16
            if (group, creator) not in blocks:
                blocks[group, creator] = _reserve(dataset, group, creator, used)
            _add(dataset, group << 16 | blocks[group, creator] << 8 | tag & 0xFF, element)
        return {f"{tag:08X}": dataset.elements[tag] for tag in sorted(dataset.elements)}


def _add(dataset: _Dataset, tag: int, element: dict[str, Any]) -> None:
    if tag in dataset.elements:
        raise BrokenDicom(f"{format_tag(tag)} stands twice in a data set")
    dataset.elements[tag] = element


def _reserve(dataset: _Dataset, group: int, creator: str, used: set[tuple[int, int]]) -> int:
    """A free block of `group`, reserved for `creator`, which some writers leave out."""
    for block in range(0x10, 0x100):
        tag = group << 16 | block
        if tag not in dataset.elements and (group, block) not in used:
            dataset.elements[tag] = {"vr": "LO", "Value": [creator]}
            return block
    raise BrokenDicom(f"group {group:04X} has no free block for the Private Creator {creator[:64]!r}")
