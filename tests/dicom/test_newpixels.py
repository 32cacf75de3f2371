"""Other frames in a Part 10 file: what changes, and what does not (PS3.5 8, A.4)."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pydicom
import pytest

from staticwado.dicom.newpixels import LONGEST, NewPixels
from staticwado.dicom.part10 import parse
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.rewrite import nests_fragments, peek_inflated, with_frames
from staticwado.dicom.sources import MemorySource
from staticwado.errors import BrokenDicom
from tests import factories
from tests.factories import BIG_ENDIAN, EXPLICIT, IMPLICIT, JPEG_LS, RLE, element, sequence

ROWS, COLUMNS = 3, 5
WORDS = ImagePixel(ROWS, COLUMNS)
BYTES = ImagePixel(ROWS, COLUMNS, bits_allocated=8, bits_stored=8, high_bit=7)
BITS = ImagePixel(ROWS, COLUMNS, bits_allocated=1, bits_stored=1, high_bit=0)
COLOUR = ImagePixel(ROWS, COLUMNS, 3, "RGB", 1, 8, 8, 7)
SHAPE = {"rows": ROWS, "columns": COLUMNS}


def made(data: bytes, syntax: str, image: ImagePixel, frames: Sequence[bytes]) -> pydicom.Dataset:
    def all_frames() -> Iterator[bytes]:
        yield from frames

    part10 = parse(MemorySource(data), peek_inflated)
    pixels = NewPixels(syntax, image, len(frames), all_frames)
    return pydicom.dcmread(io.BytesIO(b"".join(with_frames(part10, pixels))))


def source(syntax: str = JPEG_LS, **options: object) -> bytes:
    frames = options.pop("frames", [b"one!", b"second"])
    return factories.instance(syntax=syntax, frames=frames, **SHAPE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("image", "vr"), [(WORDS, "OW"), (BYTES, "OB"), (BITS, "OB"), (COLOUR, "OB")])
def test_native_frames_are_one_value_of_even_length(image: ImagePixel, vr: str) -> None:
    frames = factories.pixels(ROWS, COLUMNS, 3, bits=image.bits_allocated, samples=image.samples_per_pixel)
    found = made(source(offsets="extended"), EXPLICIT, image, frames)
    bits = ROWS * COLUMNS * image.samples_per_pixel * image.bits_allocated
    value = factories.join_bits(frames, bits)
    assert found.PixelData == value + b"\0" * (len(value) % 2)
    assert vr == found["PixelData"].VR
    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    assert "ExtendedOffsetTable" not in found
    assert "ExtendedOffsetTableLengths" not in found
    assert found.PhotometricInterpretation == image.photometric_interpretation
    assert found.get("PlanarConfiguration") == (1 if image is COLOUR else None)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_native_file_takes_compressed_frames(syntax: str) -> None:
    native = factories.pixels(ROWS, COLUMNS, 2)
    data = source(syntax, frames=native, PatientName="Doe^Jane", raw=b"")
    found = made(data, RLE, WORDS, [b"odd", b"even"])
    assert found.file_meta.TransferSyntaxUID == RLE
    assert list(pydicom.encaps.generate_frames(found.PixelData, number_of_frames=2)) == [b"odd\0", b"even"]
    assert found.PatientName == "Doe^Jane"
    assert not found["PixelData"].is_undefined_length or found["PixelData"].VR == "OB"


def test_an_image_module_that_lacks_what_frames_decide_gets_it_in_its_place() -> None:
    data = source(without=["PhotometricInterpretation", "PixelRepresentation"])
    found = made(
        data, EXPLICIT, replace(COLOUR, pixel_representation=1), factories.pixels(ROWS, COLUMNS, 1, 8, 3)
    )
    assert (found.PhotometricInterpretation, found.PlanarConfiguration, found.PixelRepresentation) == (
        "RGB",
        1,
        1,
    )
    tags = [each.tag for each in found]
    assert tags == sorted(tags)


def test_what_follows_the_frames_stays() -> None:
    data = source(extra=[element(0xFFFCFFFC, b"\0\0", vr="OB")])
    found = made(data, EXPLICIT, BYTES, factories.pixels(ROWS, COLUMNS, 1, 8))
    assert found[0xFFFC, 0xFFFC].value == b"\0\0"


def test_the_same_attributes_inside_a_sequence_stay() -> None:
    icon = [element("PhotometricInterpretation", "PALETTE COLOR"), element(0x7FE00010, b"\1\2", vr="OB")]
    found = made(
        source(extra=[sequence(0x00880200, icon)]), EXPLICIT, BYTES, factories.pixels(ROWS, COLUMNS, 1, 8)
    )
    assert found.IconImageSequence[0].PhotometricInterpretation == "PALETTE COLOR"
    assert found.IconImageSequence[0].PixelData == b"\1\2"


@pytest.mark.parametrize("frames", [[b"x" * 14], [b"x" * 15, b"x" * 16], [b"x" * 16]])
def test_frames_of_another_length_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(BrokenDicom, match=r"bytes of frames|bytes in a frame"):
        made(source(), EXPLICIT, BYTES, frames)


def test_another_number_of_frames_is_refused() -> None:
    part10 = parse(MemorySource(source()), peek_inflated)
    with pytest.raises(BrokenDicom, match="1 frames, not 2"):
        list(with_frames(part10, NewPixels(RLE, BYTES, 2, lambda: iter([b"one"]))))


def test_a_compressed_icon_is_found() -> None:
    wrapped, _ = factories.encapsulate([b"icon"])
    icon = [element(0x00280004, "MONOCHROME2"), element(0x7FE00010, wrapped, vr="OB")]
    for extra, nested in (([sequence(0x00880200, icon)], True), ([], False)):
        assert nests_fragments(parse(MemorySource(source(extra=extra)), peek_inflated)) == nested


def test_the_length_of_a_native_value_is_known_before_it_is_made() -> None:
    huge = ImagePixel(65_535, 65_535)
    assert NewPixels(EXPLICIT, huge, 1, lambda: iter(())).native_length > LONGEST
    assert NewPixels(EXPLICIT, BITS, 3, lambda: iter(())).native_length == 6
