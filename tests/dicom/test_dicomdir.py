"""Directories of media: which files they refer to."""

import pytest

from staticwado.dicom.dicomdir import is_dicomdir, referenced_files
from staticwado.dicom.part10 import MEDIA_STORAGE_DIRECTORY
from staticwado.dicom.sources import MemorySource
from staticwado.errors import BrokenDicom, NotDicom, StaticWadoError
from tests.factories import (
    EXPLICIT,
    IMPLICIT,
    Element,
    Encoding,
    encode,
    file_meta,
    nested,
    sequence,
)


def directory(*elements: Element, syntax: str = EXPLICIT, raw: bytes = b"") -> MemorySource:
    head = b"\0" * 128 + b"DICM" + file_meta(syntax, MEDIA_STORAGE_DIRECTORY, "1.2.3")
    return MemorySource(head + encode(elements, Encoding.of(syntax)) + raw)


def record(kind: str, file_id: str | None = None) -> list[Element]:
    made = [Element(0x00041400, "UL", 0), Element(0x00041430, "CS", kind)]
    return made if file_id is None else [*made, Element(0x00041500, "CS", file_id)]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("undefined", [False, True])
def test_files_are_listed_in_the_order_of_the_directory(syntax: str, undefined: bool) -> None:
    records = sequence(
        0x00041220,
        record("PATIENT"),
        record("STUDY"),
        record("IMAGE", "IMAGES\\IM0002 "),
        record("IMAGE", "IMAGES\\IM0001"),
        record("PRIVATE", "A\\\\B"),
        record("IMAGE", ""),
        undefined=undefined,
    )
    before = Element(0x00041130, "CS", "DISC")
    assert referenced_files(directory(before, records, syntax=syntax)) == [
        ("IMAGES", "IM0002"),
        ("IMAGES", "IM0001"),
        ("A", "B"),
    ]


def test_a_directory_without_records_is_broken() -> None:
    with pytest.raises(BrokenDicom, match=r"\(0004,1220\)"):
        referenced_files(directory(Element(0x00041130, "CS", "DISC")))
    assert referenced_files(directory(sequence(0x00041220))) == []


@pytest.mark.parametrize(
    "odd",
    [
        Element(0x00041220, "LO", "no\\records"),
        Element(0x00041220, "US", [1, 2]),
        Element(0x00041220, "OB", b"\0\0"),
        sequence(0x00041220, [sequence(0x00041500, [])]),
        sequence(0x00041220, [Element(0x00041500, "OB", b"ab")]),
        sequence(0x00041220, [Element(0x00041500, "US", [1, 2])]),
        sequence(0x00041220, [Element(0x00041500, "PN", "A\\B")]),
    ],
)
def test_records_of_another_kind_refer_to_nothing(odd: Element) -> None:
    assert referenced_files(directory(odd)) == []


def test_what_is_no_directory_or_a_hostile_one_is_an_error_of_ours() -> None:
    with pytest.raises(NotDicom):
        referenced_files(MemorySource(b"hello"))
    deep = nested(3_000).replace(b"\x40\x00\x30\xa7", b"\x04\x00\x20\x12", 1)
    with pytest.raises(StaticWadoError):
        referenced_files(directory(raw=deep))
    whole = directory(sequence(0x00041220, record("IMAGE", "A"))).data
    for length in range(len(whole)):
        with pytest.raises(StaticWadoError):
            referenced_files(MemorySource(whole[:length]))
    with pytest.raises(BrokenDicom):
        referenced_files(directory(syntax="1.2.840.10008.1.2.1.99"))


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir", "DicomDir"])
def test_directories_are_known_by_their_name(name: str) -> None:
    assert is_dicomdir(name)
    assert not is_dicomdir(name + ".dcm")
