"""Part 10 files: where the data set is and in what encoding, also where the file says it wrongly or not at
all."""

import struct
import zlib

import pytest

from staticwado.dicom.part10 import Part10, looks_like_dicom, parse
from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, NotDicom, Unsupported
from tests.factories import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    NATIVE,
    SECONDARY_CAPTURE,
    Element,
    Encoding,
    codestream,
    encode,
    instance,
)


def inflate(source: ByteSource, offset: int) -> ByteSource:
    try:
        return MemorySource(zlib.decompressobj(-15).decompress(source.read(offset, source.size)))
    except zlib.error as error:
        raise BrokenDicom(str(error)) from error


def read(data: bytes, window: int = 16384) -> Part10:
    return parse(MemorySource(data), inflate, window)


def first_tag(part10: Part10) -> bytes:
    return part10.source.read(part10.start, 4)


@pytest.mark.parametrize("window", [150, 200, 333, 16384])
@pytest.mark.parametrize("syntax", NATIVE)
def test_the_data_set_of_an_ordinary_file_is_found(syntax: str, window: int) -> None:
    part10 = read(instance(syntax=syntax), window)
    assert part10.syntax is TRANSFER_SYNTAXES[syntax]
    assert part10.declared == syntax
    assert part10.sop_class == SECONDARY_CAPTURE
    assert part10.notes == ()
    assert part10.deflated == (syntax == DEFLATED)
    assert part10.window.base == 0
    assert first_tag(part10) == (b"\0\x08\0\x16" if syntax == BIG_ENDIAN else b"\x08\0\x16\0")
    assert part10.data_start == len(instance(syntax=syntax)) - len(
        instance(syntax=syntax, preamble=False, meta=False)
    )


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_a_file_without_preamble_and_meta_is_read_by_its_first_element(syntax: str) -> None:
    part10 = read(instance(syntax=syntax, preamble=False, meta=False))
    assert part10.syntax.uid == syntax
    assert part10.declared == part10.sop_class == ""
    assert part10.start == 0
    assert len(part10.notes) == 2


def test_a_file_without_preamble_may_have_meta_and_one_that_starts_with_the_prefix_too() -> None:
    bare = instance(preamble=False)
    assert read(bare).declared == EXPLICIT
    assert read(b"DICM" + bare).declared == EXPLICIT
    assert read(bare).notes == read(b"DICM" + bare).notes == ("the file has no preamble",)


def test_meta_without_group_length_or_transfer_syntax() -> None:
    assert read(instance(group_length=False)).notes == ()
    part10 = read(instance(meta_syntax=None, syntax=IMPLICIT))
    assert part10.syntax.uid == IMPLICIT
    assert len(part10.notes) == 1


@pytest.mark.parametrize("said", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("true", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_a_transfer_syntax_that_the_bytes_contradict_is_not_believed(said: str, true: str) -> None:
    part10 = read(instance(syntax=true, meta_syntax=said))
    assert part10.syntax.uid == true
    assert part10.declared == said
    assert len(part10.notes) == (said != true)


def test_encapsulated_pixels_in_an_implicit_data_set_stay_encapsulated() -> None:
    data = instance(syntax=IMPLICIT, meta_syntax=JPEG_BASELINE)
    part10 = read(data)
    assert part10.syntax.uid == JPEG_BASELINE
    assert part10.syntax.encapsulated
    assert not part10.syntax.explicit_vr


def test_a_long_meta_information_does_not_hide_the_transfer_syntax() -> None:
    plain = instance(frames=[codestream(20)], syntax=JPEG_BASELINE, rows=1, columns=1)
    private = encode([Element(0x00020102, "OB", b"x" * 70_000)], Encoding())
    early = encode([Element(0x00020003, "UI", "1." * 150)], Encoding())
    at = plain.index(b"\x02\x00\x10\x00UI")
    for extra in (private, early):
        for window in (140, 256, 400, 8192):
            part10 = read(plain[:at] + extra + plain[at:], window)
            assert part10.declared == JPEG_BASELINE
            assert part10.window.base == 0
            assert first_tag(part10) == b"\x08\0\x16\0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 200,
        b"hello, this is text",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
        b"\xff\xd8\xff\xe0" + b"\0" * 200,
        b"%PDF-1.4" + b"\0" * 200,
        b"PK\3\4" + b"\0" * 200,
        b"\x08",
        b"\x08\0\x16\0\xff\xff\xff\xff",
        b"\0" * 128 + b"DIC",
    ],
)
def test_what_is_no_dicom_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotDicom):
        read(data)
    assert not looks_like_dicom(data, len(data))


def test_an_unknown_transfer_syntax_is_named() -> None:
    with pytest.raises(Unsupported, match=r"1\.2\.3\.4"):
        read(instance(meta_syntax="1.2.3.4"))
    with pytest.raises(Unsupported) as error:
        read(instance(meta_syntax="9" * 60_000))
    assert len(str(error.value)) < 200


def test_a_file_cut_short_in_its_meta_information_is_refused() -> None:
    whole = instance()
    start = read(whole).start
    for length in range(start - 30):
        with pytest.raises((NotDicom, BrokenDicom)):
            read(whole[:length])


def test_a_broken_deflate_stream_is_the_error_of_who_inflates() -> None:
    data = instance(syntax=DEFLATED)
    with pytest.raises(BrokenDicom):
        read(data[: read(data).data_start] + b"\xff" * 40)


def test_meta_information_that_is_malformed_is_broken_dicom() -> None:
    head = b"\0" * 128 + b"DICM"
    long = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 0x7FFFFFFF) + b"\0" * 50
    sequence = struct.pack("<HH2sHI", 2, 1, b"SQ", 0, 0xFFFFFFFF) + b"\0" * 50
    for data in (head + long, head + sequence, head + b"\x02\0\x10\0UI\x40\0" + b"1.2"):
        with pytest.raises(BrokenDicom):
            read(data)
