"""The Image Pixel module (PS3.3 C.7.6.3) and native frames as arrays.

Two steps, because both are needed on their own: `samples` gives what the bytes hold, cell by cell
(PS3.5 8.1.1), and `stored_values` cuts the stored bits out of each cell. `to_array` is both.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from staticwado.dicom.jsonvalues import Dataset, first_integer, text
from staticwado.errors import BrokenDicom, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_ROWS, _COLUMNS, _NUMBER_OF_FRAMES = "00280010", "00280011", "00280008"
_SAMPLES_PER_PIXEL, _PHOTOMETRIC, _PLANAR = "00280002", "00280004", "00280006"
_BITS_ALLOCATED, _BITS_STORED, _HIGH_BIT, _REPRESENTATION = "00280100", "00280101", "00280102", "00280103"
_FLOAT_PIXEL_DATA, _DOUBLE_FLOAT_PIXEL_DATA = "7FE00008", "7FE00009"

SUBSAMPLED = frozenset(("YBR_FULL_422", "YBR_PARTIAL_422"))
"""Photometric Interpretations whose native frames hold Y Y Cb Cr for two pixels (PS3.3 C.7.6.3.1.2)."""


Frame = bytes | bytearray | memoryview


class SampleKind(Enum):
    """Which of the three pixel data elements holds the frames, hence what a sample is."""

    INTEGER = "Pixel Data"
    FLOAT32 = "Float Pixel Data"
    FLOAT64 = "Double Float Pixel Data"


@dataclass(frozen=True, slots=True)
class ImagePixel:
    """The attributes that say what the bytes of a frame mean (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25)."""

    rows: int
    columns: int
    samples_per_pixel: int = 1
    photometric_interpretation: str = "MONOCHROME2"
    planar_configuration: int = 0
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    pixel_representation: int = 0
    number_of_frames: int = 1
    kind: SampleKind = SampleKind.INTEGER

    @property
    def frame_samples(self) -> int:
        """How many samples one decoded frame has."""
        return self.rows * self.columns * self.samples_per_pixel

    @property
    def frame_length(self) -> int:
        """Bytes of one native frame, a last partial byte counted whole."""
        samples = self.frame_samples
        if self.photometric_interpretation in SUBSAMPLED and self.samples_per_pixel == 3:
            samples = self.rows * self.columns * 2
        return (samples * self.bits_allocated + 7) // 8

    @property
    def sample_bytes(self) -> int:
        """Bytes of one decoded sample in memory: 1, 2, 4 or 8."""
        return next(size for size in (1, 2, 4, 8) if size * 8 >= self.bits_allocated)

    @property
    def dtype(self) -> str:
        """The numpy type of a sample in memory, little endian."""
        if self.kind is not SampleKind.INTEGER:
            return "<f4" if self.kind is SampleKind.FLOAT32 else "<f8"
        return f"<{'i' if self.pixel_representation else 'u'}{self.sample_bytes}"

    @property
    def smallest(self) -> int:
        """The smallest value that the stored bits can hold."""
        return -(1 << (self.bits_stored - 1)) if self.pixel_representation else 0

    @property
    def largest(self) -> int:
        """The largest value that the stored bits can hold."""
        return (1 << (self.bits_stored - (1 if self.pixel_representation else 0))) - 1


def image_pixel(dataset: Dataset) -> ImagePixel:
    """The Image Pixel module of a DICOM JSON data set.

    Only what cannot be guessed is required: Rows, Columns, and Bits Allocated of integer pixels. What the
    standard requires but files lack or contradict takes the value that nearly all such images have.

    Raises Unsupported, naming the attribute.
    """
    kind = SampleKind.INTEGER
    if _FLOAT_PIXEL_DATA in dataset:
        kind = SampleKind.FLOAT32
    elif _DOUBLE_FLOAT_PIXEL_DATA in dataset:
        kind = SampleKind.FLOAT64
    photometric = text(dataset, _PHOTOMETRIC).upper()
    samples = first_integer(dataset, _SAMPLES_PER_PIXEL)
    if samples is None:
        samples = 3 if photometric == "RGB" or photometric.startswith("YBR") else 1
    if not 1 <= samples <= 4:
        raise Unsupported(f"Samples per Pixel (0028,0002) is {samples}")
    allocated, stored, high = _bits(dataset, kind)
    frames = first_integer(dataset, _NUMBER_OF_FRAMES)
    return ImagePixel(
        rows=_extent(dataset, _ROWS, "Rows (0028,0010)"),
        columns=_extent(dataset, _COLUMNS, "Columns (0028,0011)"),
        samples_per_pixel=samples,
        photometric_interpretation=photometric or ("MONOCHROME2" if samples == 1 else "RGB"),
        planar_configuration=1 if first_integer(dataset, _PLANAR) == 1 else 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        pixel_representation=1 if first_integer(dataset, _REPRESENTATION) == 1 else 0,
        number_of_frames=frames if frames is not None and frames > 0 else 1,
        kind=kind,
    )


def _extent(dataset: Dataset, tag: str, name: str) -> int:
    value = first_integer(dataset, tag)
    if value is None:
        raise Unsupported(f"{name} is missing or no number")
    if not 1 <= value <= 0xFFFFFFFF:
        raise Unsupported(f"{name} is {value}")
    return value


def _bits(dataset: Dataset, kind: SampleKind) -> tuple[int, int, int]:
    if kind is not SampleKind.INTEGER:
        bits = 32 if kind is SampleKind.FLOAT32 else 64
        return bits, bits, bits - 1
    allocated = first_integer(dataset, _BITS_ALLOCATED)
    if allocated is None:
        raise Unsupported("Bits Allocated (0028,0100) is missing or no number")
    if not (1 <= allocated <= 32 or allocated == 64):
        raise Unsupported(f"Bits Allocated (0028,0100) is {allocated}")
    stored = first_integer(dataset, _BITS_STORED)
    if stored is None or not 1 <= stored <= allocated:
        stored = allocated
    high = first_integer(dataset, _HIGH_BIT)
    if high is None or not stored - 1 <= high < allocated:
        high = stored - 1
    return allocated, stored, high


def to_array(frame: Frame, image: ImagePixel) -> "Array":
    """The stored values of a native little endian frame: (rows, columns), or (rows, columns, samples).

    YBR_FULL_422 comes out with every pixel's own Cb and Cr, as YBR_FULL has it. Bytes after the frame are
    ignored. The result may be a read-only view of `frame`.

    Raises BrokenDicom when `frame` is too short, Unsupported when its layout is unknown.
    """
    return stored_values(samples(frame, image), image)


def samples(frame: Frame, image: ImagePixel) -> "Array":
    """As `to_array`, but each value is the whole cell of Bits Allocated, unused bits included."""
    import numpy as np

    layout = image.photometric_interpretation if image.samples_per_pixel == 3 else ""
    whole = (image.frame_samples * image.bits_allocated + 7) // 8
    # Some writers say YBR_FULL_422 and store every pixel in full; only the length tells.
    halved = layout in SUBSAMPLED and len(frame) < whole
    length = image.frame_length if halved else whole
    if len(frame) < length:
        raise BrokenDicom(
            f"{image.kind.value} frame has {len(frame)} bytes, not {length} for Rows {image.rows}, "
            f"Columns {image.columns}, Samples per Pixel {image.samples_per_pixel} and "
            f"Bits Allocated {image.bits_allocated}"
        )
    count = image.rows * image.columns * 2 if halved else image.frame_samples
    if image.bits_allocated in (8, 16, 32, 64):
        flat = np.frombuffer(frame, dtype=image.dtype, count=count)
    else:
        flat = _packed(np.frombuffer(frame, dtype=np.uint8, count=length), count, image)
    if halved:
        return _upsampled(flat, image)
    return shaped(flat, image, planar=image.planar_configuration == 1)


def shaped(flat: "Array", image: ImagePixel, *, planar: bool) -> "Array":
    """`flat` as (rows, columns) or (rows, columns, samples), read pixel by pixel or plane by plane."""
    if image.samples_per_pixel == 1:
        return flat.reshape(image.rows, image.columns)
    if planar:
        return flat.reshape(image.samples_per_pixel, image.rows, image.columns).transpose(1, 2, 0)
    return flat.reshape(image.rows, image.columns, image.samples_per_pixel)


def stored_values(array: "Array", image: ImagePixel) -> "Array":
    """The values of the stored bits in each cell: shifted down from High Bit, sign extended (PS3.5 8.1.1).

    Unused bits may hold anything, retired overlays for one.
    """
    if array.dtype.kind not in "iu":
        return array
    bits = array.dtype.itemsize * 8
    if image.high_bit == image.bits_stored - 1 and (
        image.bits_stored >= bits or (array.min() >= image.smallest and array.max() <= image.largest)
    ):
        return array
    above = max(bits - 1 - image.high_bit, 0)
    # Up to the top and down again: the second shift is arithmetic for a signed type, which extends the sign.
    values: Array = (array << above) >> max(bits - image.bits_stored, 0)
    return values


def _packed(data: "Array", count: int, image: ImagePixel) -> "Array":
    """Samples of any number of bits from a stream of bits, least significant first (PS3.5 8.1.1, annex D)."""
    import numpy as np

    bits = image.bits_allocated
    if bits == 1:
        return np.unpackbits(data, count=count, bitorder="little").view(image.dtype)
    groups = -(-count // 8)
    padded = np.zeros(groups * bits, dtype=np.uint8)
    padded[: len(data)] = data
    rows = padded.reshape(groups, bits)
    result = np.empty((groups, 8), dtype=f"<u{image.sample_bytes}")
    for place in range(8):
        first, shift = divmod(place * bits, 8)
        last = (place * bits + bits - 1) // 8
        value = np.zeros(groups, dtype=np.uint64)
        for index in range(first, last + 1):
            value |= rows[:, index].astype(np.uint64) << np.uint64(8 * (index - first))
        result[:, place] = (value >> np.uint64(shift)) & np.uint64((1 << bits) - 1)
    return result.reshape(-1)[:count].view(image.dtype)


def _upsampled(flat: "Array", image: ImagePixel) -> "Array":
    import numpy as np

    if (image.rows * image.columns) % 2:
        raise Unsupported(f"{image.photometric_interpretation} with an odd number of pixels")
    pairs = flat.reshape(-1, 4)
    full = np.empty((len(pairs), 2, 3), dtype=flat.dtype)
    full[:, :, 0] = pairs[:, :2]
    full[:, :, 1:] = pairs[:, None, 2:]
    return full.reshape(image.rows, image.columns, 3)
