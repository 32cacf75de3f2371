"""Damaged codestreams of every transfer syntax, through `decode_frame`.

One rule: a decoder may refuse or decode; it may not end the process, hang, or take much more than the limit.
"""

import re
import struct
import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.codestream import jpeg2000_codestream, jpeg_codestream, jpegxl_codestream
from staticwado.dicom.frames import read_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel
from staticwado.dicom.sources import MemorySource
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.errors import StaticWadoError, Unsupported
from staticwado.ingest.convert import Converter
from tests.fuzzing import mutations
from tests.fuzzing.campaign import Broken, Limits
from tests.fuzzing.mutations import Fault, Spots
from tests.fuzzing.targets import word_of

LIMIT = 64 << 20
"""Bytes that a decoded frame may need, as `decode_frame` is told."""
LARGEST = 100_000
_JPEG_LIKE = {"image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jphc"}
_MARKER = re.compile(rb"\xff[\x4f-\xfe]")


@dataclass(frozen=True, slots=True)
class Frame:
    """A compressed frame and what the data set says of it."""

    data: bytes
    syntax: str
    image: ImagePixel


def _image(rows: int, columns: int, samples: int, bits: int, photometric: str = "") -> ImagePixel:
    photometric = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    return ImagePixel(rows, columns, samples, photometric, 0, bits, bits, bits - 1)


def _gradient(rows: int, columns: int, samples: int, bits: int) -> Any:
    import numpy as np

    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    values = np.arange(rows * columns * samples, dtype=np.uint32).reshape(shape) * 37 % (1 << min(bits, 12))
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def _run_lengths(planes: list[bytes]) -> bytes:
    """RLE Lossless with literal runs only (PS3.5 annex G)."""
    segments = []
    for plane in planes:
        pieces = [plane[at : at + 128] for at in range(0, len(plane), 128)]
        segments.append(b"".join(bytes([len(piece) - 1]) + piece for piece in pieces))
    offsets = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    head = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(offsets)))
    return head + b"".join(segments)


def _encoded(encoder: str, array: Any, **options: Any) -> bytes:
    import imagecodecs

    return bytes(getattr(imagecodecs, encoder)(array, **options))


def made_frames() -> list[Frame]:
    """Frames of every syntax that has a decoder."""
    found: list[Frame] = []
    for samples, bits in ((1, 8), (3, 8), (1, 16)):
        array, image = _gradient(33, 20, samples, bits), _image(33, 20, samples, bits)
        if bits == 8:
            found.append(Frame(_encoded("jpeg8_encode", array), "1.2.840.10008.1.2.4.50", image))
            found.append(
                Frame(_encoded("jpeg8_encode", array, lossless=True), "1.2.840.10008.1.2.4.70", image)
            )
        else:
            twelve = replace(image, bits_stored=12, high_bit=11)
            extended = _encoded("jpeg8_encode", array, bitspersample=12)
            found.append(Frame(extended, "1.2.840.10008.1.2.4.51", twelve))
            lossless = _encoded("jpeg8_encode", array, lossless=True, bitspersample=16)
            found.append(Frame(lossless, "1.2.840.10008.1.2.4.57", image))
        found.append(Frame(_encoded("jpegls_encode", array), "1.2.840.10008.1.2.4.80", image))
        found.append(Frame(_encoded("jpegls_encode", array, level=3), "1.2.840.10008.1.2.4.81", image))
        rct = replace(image, photometric_interpretation="YBR_RCT") if samples == 3 else image
        for level, syntax in ((0, "1.2.840.10008.1.2.4.90"), (30, "1.2.840.10008.1.2.4.91")):
            stream = _encoded(
                "jpeg2k_encode", array, codecformat="j2k", reversible=not level, level=level, numthreads=1
            )
            found.append(Frame(stream, syntax, rct))
        stream = _encoded("htj2k_encode", array)
        found += [Frame(stream, f"1.2.840.10008.1.2.4.20{number}", rct) for number in (1, 2, 3)]
        stream = _encoded("jpegxl_encode", array, lossless=True, numthreads=1)
        found.append(Frame(stream, "1.2.840.10008.1.2.4.110", image))
        native = array.astype("<u2").tobytes() if bits == 16 else array.tobytes()
        step = samples * bits // 8
        planes = [native[at::step] for at in (range(step) if bits == 8 else (1, 0))]
        found.append(Frame(_run_lengths(planes), "1.2.840.10008.1.2.5", image))
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
        deflated = squeezer.compress(native) + squeezer.flush()
        found.append(Frame(deflated, "1.2.840.10008.1.2.8.1", image))
        found.append(Frame(native, "1.2.840.10008.1.2.1", image))
    return found


@cache
def all_frames(folder: Path | None) -> tuple[Frame, ...]:
    """The frames that are mutated: made ones, and with `folder` the first of each small compressed file."""
    found = made_frames()
    for path in sorted(folder.rglob("*")) if folder is not None else ():
        if path.is_file() and path.stat().st_size < 1 << 20:
            found += _first_frame(path.read_bytes())
    return tuple(found)


def _first_frame(data: bytes) -> list[Frame]:
    source = MemorySource(data)
    try:
        converted = Converter(lambda source, bulk: "0" * 64, _no_inflate).convert(source)
        if converted.frames is None or not converted.syntax.encapsulated or converted.syntax.video:
            return []
        dataset = parse_dataset(converted.dataset.to_json())
        frame = Frame(
            read_frame(source, converted.frames, 0), converted.syntax.served_uid, image_pixel(dataset)
        )
        return [frame] if len(frame.data) <= LARGEST and frame.image.frame_length <= LIMIT // 8 else []
    except StaticWadoError:
        return []


def _no_inflate(source: Any, offset: int) -> Any:
    raise Unsupported("a deflated data set holds no compressed frames")


def lie_segment(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """The length of a marker segment, or what it begins with, says something else."""
    at = min(random.choice(spots), len(data)) + 2
    number = random.choice((0, 1, 2, 0xFFFF, 0x7FFF, len(data), random.getrandbits(16))) & 0xFFFF
    at += random.choice((0, 0, 2, 3, 4, 6, 8))
    data[at : at + 2] = struct.pack(">H", number)


def change_marker(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    at = min(random.choice(spots), len(data))
    data[at : at + 2] = bytes((0xFF, random.randrange(0x4F, 0x100)))


def extremes(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """Four bytes of the headers become zero, one, or the largest number."""
    at = min(random.choice(spots[:12]) + random.randrange(24), len(data))
    size = random.choice((1, 2, 4))
    data[at : at + size] = random.choice((b"\0", b"\xff", b"\x7f", b"\1")) * size


FAULTS: tuple[Fault, ...] = (
    mutations.flip, mutations.flip, mutations.set_byte, mutations.set_byte, mutations.truncate,
    mutations.insert, mutations.delete, mutations.splice, mutations.repeat, lie_segment, change_marker,
    extremes, extremes,
)  # fmt: skip


class Decoding:
    """One frame with faults, decoded; every other time the data set is made to fit what it now says."""

    name = "decoding"
    limits = Limits(seconds=10.0, memory=1 << 30)

    def __init__(self, folder: Path | None = None, largest: int | None = None) -> None:
        self._frames = [one for one in all_frames(folder) if largest is None or len(one.data) <= largest]
        self._base = self._frames[0]
        self._spots: Spots = []
        self._loaded = self._fit = False
        self._to_rgb = False

    def begin(self, seed: int, block: int) -> None:
        if not self._loaded:  # the libraries, before limits are set
            for one in self._frames[:60]:
                _quiet(one)
            self._loaded = True
        self._base = Random(f"{seed}/{block}").choice(self._frames)
        head = self._base.data
        self._spots = [0, *(found.start() for found in _MARKER.finditer(head)), len(head)]

    def end(self) -> None:
        pass

    def case(self, seed: int, number: int) -> bytes:
        random = Random(f"{seed}/case/{number}")
        other = random.choice(self._frames).data
        data = bytearray(self._base.data)
        for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
            random.choice(FAULTS)(random, data, self._spots, other)
        self._fit, self._to_rgb = number % 2 == 0, number % 3 == 0
        return bytes(data)

    def run(self, data: bytes) -> str:
        image = _fitting(data, self._base) if self._fit else self._base.image
        try:
            decoded = decode_frame(data, self._base.syntax, image, limit=LIMIT, to_rgb=self._to_rgb)
        except StaticWadoError as error:
            if "more memory than there is" in str(error):
                raise Broken(f"memory: {self._base.syntax} {image}") from error
            return f"{self._base.syntax} {word_of(error)[:48]}"
        if decoded.array.nbytes > 2 * LIMIT:
            raise Broken(f"{decoded.array.nbytes} bytes came out, where {LIMIT} were allowed")
        return f"{self._base.syntax} decoded"


def _quiet(frame: Frame) -> None:
    try:
        decode_frame(frame.data, frame.syntax, frame.image)
    except StaticWadoError:
        return


def _fitting(data: bytes, frame: Frame) -> ImagePixel:
    """The data set that says of the frame's size what its codestream does, as a hostile sender would."""
    readers = {"50": jpeg_codestream, "90": jpeg2000_codestream, "110": jpegxl_codestream}
    last = frame.syntax.rpartition("1.2.840.10008.1.2.4.")[2]
    if last.isdigit():
        key = (
            "110"
            if last in ("110", "111", "112")
            else "90"
            if last in ("90", "91") or int(last) > 200
            else "50"
        )
        try:
            found = readers[key](data)
        except StaticWadoError:
            return frame.image
        return replace(
            frame.image,
            rows=found.rows or 1,
            columns=found.columns or 1,
            samples_per_pixel=found.components or frame.image.samples_per_pixel,
        )
    return frame.image
