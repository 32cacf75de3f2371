"""How much of a file is read to convert it."""

from staticwado.dicom.sources import ByteSource, MemorySource
from staticwado.ingest.convert import FIRST_WINDOW, Converter
from tests.factories import instance, pixels


class Counting(MemorySource):
    """A source that counts the bytes it gave."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.given = 0

    def read(self, offset: int, length: int) -> bytes:
        part = super().read(offset, length)
        self.given += len(part)
        return part


def _no_inflate(source: ByteSource, offset: int) -> ByteSource:
    raise NotImplementedError


def test_native_pixels_are_not_read_with_the_header() -> None:
    converter = Converter(lambda source, bulk: "0" * 64, _no_inflate)
    for number in range(1, 4):
        source = Counting(instance(seed=number, frames=pixels(256, 256), rows=256, columns=256))
        converter.convert(source)
        assert source.given <= 2 * FIRST_WINDOW


def test_a_header_that_was_long_is_read_at_once_the_next_time() -> None:
    converter = Converter(lambda source, bulk: "0" * 64, _no_inflate)
    for number in range(1, 4):
        data = instance(seed=number, PatientComments="x" * 30_000, frames=pixels(2, 2), rows=2, columns=2)
        source = Counting(data)
        converter.convert(source)
    assert source.given <= len(data)
