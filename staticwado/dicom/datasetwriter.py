"""A data set in Explicit VR Little Endian (PS3.5 7, annex A.2) from DICOM JSON, and a Part 10 file around it.

One rule: what is written reads back as the same JSON. Text is written in UTF-8; sequences and items have
undefined lengths, so that nothing has to be known before it is written, however deep and however long.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from staticwado.dicom import tags
from staticwado.dicom.character_sets import JIS_X_0201_ROMAJI
from staticwado.dicom.charset import CharacterDecoder, make_decoder
from staticwado.dicom.elements import UNDEFINED
from staticwado.dicom.file_meta import element_header
from staticwado.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from staticwado.dicom.jsondataset import Dataset, JsonElement, elements_of, item_of, unroll
from staticwado.dicom.part10 import PREAMBLE
from staticwado.dicom.tags import format_tag
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from staticwado.dicom.uid import check_uid
from staticwado.dicom.valuefields import field_text, padding, value_field
from staticwado.dicom.vr import CHARSET_DEPENDENT
from staticwado.errors import BrokenDicom, Unsupported

UTF_8 = "ISO_IR 192"
_LONGEST = 0xFFFFFFFE


@dataclass(frozen=True, slots=True)
class Stream:
    """A value that is not in memory: its length in bytes, and its bytes."""

    length: int
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """Compressed frames of Pixel Data, each as one fragment (PS3.5 A.4)."""

    frames: Iterable[bytes | Stream]


Bulkdata = Callable[[str], bytes | Stream | Encapsulated]
"""Gives what is behind a BulkDataURI, in little endian; text in the character set that the JSON declares."""


def write_dataset(
    dataset: Dataset, bulkdata: Bulkdata, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN
) -> Iterator[bytes]:
    """The bytes of a data set given as DICOM JSON (PS3.18 annex F), elements in ascending order.

    Group lengths are left out. Specific Character Set becomes ISO_IR 192 unless all text is ASCII; a value
    too long for a VR with a 16-bit length is written as UN (PS3.5 6.2.2). Raises Unsupported for a transfer
    syntax that is not explicit little endian, and BrokenDicom, which names the tag, for a value that its VR
    cannot hold and for group 0002: then what came before is no data set.
    """
    found = TRANSFER_SYNTAXES.get(syntax)
    if found is None or not found.explicit_vr or not found.little_endian or found.deflated:
        raise Unsupported(f"data sets are not written in the transfer syntax {syntax[:64]}")
    utf_8 = any(map(_needs_utf_8, _every_element(dataset)))
    if utf_8 and f"{tags.SPECIFIC_CHARACTER_SET:08X}" not in dataset:
        dataset = {**dataset, f"{tags.SPECIFIC_CHARACTER_SET:08X}": {"vr": "CS"}}
    writer = _Writer(bulkdata, utf_8, found.encapsulated)
    return unroll(writer.dataset(dataset, make_decoder(None), nested=False))


def write_part10(
    dataset: Dataset, bulkdata: Bulkdata, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN
) -> Iterator[bytes]:
    """A Part 10 file (PS3.10 7) of `dataset`: preamble of zeros, file meta information, and `write_dataset`.

    Raises InvalidUid where SOP Class UID or SOP Instance UID is none, and what `write_dataset` raises.
    """
    named = {one.tag: one for one in elements_of(dataset)}
    meta = [
        JsonElement(0x00020001, "OB", [], "AAE=", None),
        _uid(0x00020002, _first(named, tags.SOP_CLASS_UID), "SOP Class UID (0008,0016)"),
        _uid(0x00020003, _first(named, tags.SOP_INSTANCE_UID), "SOP Instance UID (0008,0018)"),
        _uid(0x00020010, transfer_syntax, "Transfer Syntax UID"),
        _uid(0x00020012, IMPLEMENTATION_CLASS_UID, "Implementation Class UID"),
        JsonElement(0x00020013, "SH", [IMPLEMENTATION_VERSION_NAME], None, None),
    ]
    group = b"".join(_plain(one) for one in meta)
    length = JsonElement(0x00020000, "UL", [len(group)], None, None)
    start = bytes(PREAMBLE) + b"DICM" + _plain(length) + group
    return chain([start], write_dataset(dataset, bulkdata, transfer_syntax))


def _first(elements: Mapping[int, JsonElement], tag: int) -> str | None:
    values = elements[tag].values if tag in elements else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _uid(tag: int, uid: str | None, name: str) -> JsonElement:
    return JsonElement(tag, "UI", [check_uid(uid, name)], None, None)


# -- character sets ------------------------------------------------------------------------------------------


def _every_element(dataset: Dataset) -> Iterator[JsonElement]:
    """The elements of `dataset` and of all items in it."""
    waiting = [dataset]
    while waiting:
        for element in elements_of(waiting.pop()):
            yield element
            if element.vr == "SQ":
                waiting += [item_of(element, index) for index in range(len(element.values))]


def _decoder(element: JsonElement) -> CharacterDecoder:
    return make_decoder([str(term or "") for term in element.values])


def _needs_utf_8(element: JsonElement) -> bool:
    """Whether the text of an element might not read back under the character set that the JSON declares."""
    if element.tag == tags.SPECIFIC_CHARACTER_SET:
        # There a tilde is an overline, and a backslash a yen sign.
        return any(one.g0 is JIS_X_0201_ROMAJI for one in _decoder(element).sets)
    if element.vr not in CHARSET_DEPENDENT:
        return False
    if element.uri is not None:
        return True
    text = field_text(element)
    return not text.isascii() or "\x1b" in text


# -- elements ------------------------------------------------------------------------------------------------


def _mark(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _header(element: JsonElement, length: int) -> bytes:
    if length > _LONGEST:
        raise BrokenDicom(f"{format_tag(element.tag)} has {length} bytes, more than an element can have")
    return element_header(element.tag, element.vr, length)


def _plain(element: JsonElement) -> bytes:
    field = value_field(element)
    return _header(element, len(field)) + field


@dataclass(frozen=True, slots=True)
class _Writer:
    """What is the same for a whole data set."""

    bulkdata: Bulkdata
    utf_8: bool
    encapsulated: bool

    def dataset(
        self, dataset: Dataset, decoder: CharacterDecoder, *, nested: bool = True
    ) -> Iterator[bytes | Iterator[Any]]:
        """The elements of a data set or an item; `decoder` is that of the data set around it."""
        for element in elements_of(dataset):
            if element.tag & 0xFFFF == 0:
                continue
            if element.tag >> 16 in (0x0002, 0xFFFE):
                raise BrokenDicom(f"{format_tag(element.tag)} is no element of a data set")
            if element.tag == tags.SPECIFIC_CHARACTER_SET:
                decoder = _decoder(element)
                if self.utf_8:
                    element = replace(element, vr="CS", values=[UTF_8], inline=None, uri=None)
            if element.vr == "SQ":
                yield from self._sequence(element, decoder)
            elif self.encapsulated and element.tag == tags.PIXEL_DATA and not nested:
                yield from self._frames(element)
            elif element.uri is not None:
                yield from self._bulk(element, element.uri, decoder)
            else:
                yield _plain(element)

    def _sequence(self, element: JsonElement, decoder: CharacterDecoder) -> Iterator[bytes | Iterator[Any]]:
        if not element.values:
            yield element_header(element.tag, "SQ", 0)
            return
        yield element_header(element.tag, "SQ", UNDEFINED)
        for index in range(len(element.values)):
            yield _mark(tags.ITEM, UNDEFINED)
            yield self.dataset(item_of(element, index), decoder)
            yield _mark(tags.ITEM_DELIMITATION, 0)
        yield _mark(tags.SEQUENCE_DELIMITATION, 0)

    def _bulk(self, element: JsonElement, uri: str, decoder: CharacterDecoder) -> Iterator[bytes]:
        value = self.bulkdata(uri)
        if isinstance(value, Encapsulated):
            raise BrokenDicom(f"{format_tag(element.tag)} has compressed frames in a native transfer syntax")
        if element.vr in CHARSET_DEPENDENT and decoder.sets[0].term != UTF_8:
            text = decoder.decode(b"".join(_checked(element, value)), element.vr).rstrip(" \0")
            if "\ufffd" in text:
                raise BrokenDicom(f"{format_tag(element.tag)} has bytes that its character set does not know")
            value = text.encode()
        length = _length(value)
        yield _header(element, length + length % 2)
        yield from _checked(element, value)
        yield padding(element.vr, length)

    def _frames(self, element: JsonElement) -> Iterator[bytes]:
        """Encapsulated Pixel Data with an empty offset table."""
        value = None if element.uri is None else self.bulkdata(element.uri)
        if not isinstance(value, Encapsulated):
            raise BrokenDicom(f"{format_tag(element.tag)} has no frames for an encapsulated transfer syntax")
        yield element_header(element.tag, "OB", UNDEFINED) + _mark(tags.ITEM, 0)
        for frame in value.frames:
            length = _length(frame)
            if length > _LONGEST:
                raise BrokenDicom(
                    f"{format_tag(element.tag)} has a frame of {length} bytes, more than a fragment"
                )
            yield _mark(tags.ITEM, length + length % 2)
            yield from _checked(element, frame)
            yield padding("OB", length)
        yield _mark(tags.SEQUENCE_DELIMITATION, 0)


def _length(value: bytes | Stream) -> int:
    return value.length if isinstance(value, Stream) else len(value)


def _checked(element: JsonElement, value: bytes | Stream) -> Iterator[bytes]:
    """The bytes of `value`. Raises BrokenDicom unless there are as many as it said."""
    if not isinstance(value, Stream):
        yield value
        return
    seen = 0
    for chunk in value.chunks:
        seen += len(chunk)
        if seen > value.length:
            break
        yield chunk
    if seen != value.length:
        raise BrokenDicom(
            f"the bulkdata of {format_tag(element.tag)} are not the {value.length} bytes announced"
        )
