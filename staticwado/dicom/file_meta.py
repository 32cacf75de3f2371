"""File meta information (PS3.10 7.1): written anew for a file whose encoding changes.

One rule: who wrote the file and how is said anew; all else that was said is kept.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress

from staticwado.dicom import tags
from staticwado.dicom.elements import Kind, Walk, Window
from staticwado.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from staticwado.dicom.part10 import PREAMBLE, Part10
from staticwado.dicom.vr import KNOWN, LONG_LENGTH
from staticwado.errors import BrokenDicom

LONGEST_SHORT = 65534
"""Bytes of the longest value whose length has 16 bits; a longer one becomes UN (PS3.5 6.2.2)."""
_GROUP_LENGTH, _VERSION, _SYNTAX = 0x00020000, 0x00020001, 0x00020010
_SOP_CLASS, _SOP_INSTANCE = 0x00020002, 0x00020003
_CLASS_UID, _VERSION_NAME = 0x00020012, 0x00020013
_MADE = {_GROUP_LENGTH, _VERSION, _SYNTAX, _CLASS_UID, _VERSION_NAME}
_SPACE_PADDED = frozenset({"AE", "LO", "SH"})

_short = struct.Struct("<HH2sH").pack
_long = struct.Struct("<HH2sHI").pack


def element_header(tag: int, vr: str, length: int) -> bytes:
    """The header of an element in explicit VR little endian (PS3.5 7.1.2).

    A VR that is none of PS3.5, or whose length field has no room for `length`, becomes UN.
    """
    if vr not in KNOWN or (vr not in LONG_LENGTH and length > LONGEST_SHORT):
        vr = "UN"
    if vr in LONG_LENGTH:
        return _long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return _short(tag >> 16, tag & 0xFFFF, vr.encode(), length)


def new_file_meta(part10: Part10, syntax_uid: str) -> bytes:
    """File meta information for the file's data set in another transfer syntax.

    Version, transfer syntax and implementation are new. Media Storage UIDs that are missing come from the
    data set.
    """
    kept = {tag: (vr, value) for tag, vr, value in _elements(part10) if tag not in _MADE}
    if not {_SOP_CLASS, _SOP_INSTANCE} <= kept.keys():
        kept = _identity(part10) | kept
    made = {
        _VERSION: ("OB", b"\0\1"),
        _SYNTAX: ("UI", syntax_uid.encode()),
        _CLASS_UID: ("UI", IMPLEMENTATION_CLASS_UID.encode()),
        _VERSION_NAME: ("SH", IMPLEMENTATION_VERSION_NAME.encode()),
    }
    body = b"".join(_element(tag, vr, value) for tag, (vr, value) in sorted((kept | made).items()))
    return _element(_GROUP_LENGTH, "UL", struct.pack("<I", len(body))) + body


def _elements(part10: Part10) -> Iterator[tuple[int, str, bytes]]:
    """The elements of the file meta information, as they are."""
    head = part10.file.read(0, PREAMBLE + 4)
    start = PREAMBLE + 4 if head[PREAMBLE:] == b"DICM" else 4 if head[:4] == b"DICM" else 0
    for kind, tag, vr, _, offset, length in Walk(Window(part10.file, start), start, part10.data_start):
        if kind is Kind.LEAF and tag >> 16 == 2:
            yield tag, vr, part10.file.read(offset, length)


def _identity(part10: Part10) -> dict[int, tuple[str, bytes]]:
    """The media storage UIDs, from the data set."""
    found = {}
    named = {tags.SOP_CLASS_UID: _SOP_CLASS, tags.SOP_INSTANCE_UID: _SOP_INSTANCE}
    walk = part10.walk()
    with suppress(BrokenDicom):  # the first bytes may be all that there is of a deflated data set
        for kind, tag, _, _, offset, length in walk:
            if tag > tags.SOP_INSTANCE_UID or kind is not Kind.LEAF:
                break
            if tag in named:
                found[named[tag]] = ("UI", part10.source.read(offset, length).rstrip(b" \0"))
    return found


def _element(tag: int, vr: str, value: bytes) -> bytes:
    """An element whose value is padded to an even length (PS3.5 6.2)."""
    padded = value + (b" " if vr in _SPACE_PADDED else b"\0") * (len(value) % 2)
    return element_header(tag, vr, len(padded)) + padded
