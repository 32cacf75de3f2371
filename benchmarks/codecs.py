"""What it costs to keep a frame in each codec: milliseconds of CPU to encode and to decode, and bytes.

    python -m benchmarks.codecs CORPUS [--runs 15]

On real frames of the corpus; every codec in turn within each run, medians of the runs, and of the ratios to
HTJ2K in the same run; every result is decoded and compared first. HTJ2K and JPEG-LS as `create --transcode`
writes them and the server reads them. The second table holds the decoders that were to choose from.
"""

import argparse
import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import imagecodecs
from isal import igzip
from openjpeg.utils import decode as openjpeg_decode

from staticwado.dicom import encoders
from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.encoders import Codec, encode_frame, native_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel, samples
from tests.truth.frames import expected_frames
from tests.truth.model import model_of
from tests.truth.part10 import read_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = {
    "CT 512x512, 12 of 16 bits": "files/DICOMcloud/SampleImages/1.dcm",
    "CT 512x512, 16 bits": "files/DICOMcloud/SampleImages/3-International.dcm",
    "MR 1024x1024, 12 of 16 bits": "same-uid-variants/pydicom-data/data/MR2_UNCI.dcm",
    "CR 1760x1760, 10 of 16 bits": "files/pydicom-data/data/RG3_J2KR.dcm",
    "DX 2128x2000, 12 of 16 bits": "files/pylibjpeg-data/JPEG2000Lossless/966.dcm",
    "US 640x480, RGB": "files/pydicom-data/data/US1_UNCR.dcm",
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to keep a frame; `checked` is `encode` with the check that the product makes."""

    name: str
    encode: Callable[[], bytes]
    decode: Callable[[bytes], object]
    checked: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame as native little endian bytes, colour by pixel."""

    native: bytes
    image: ImagePixel

    @property
    def array(self) -> "NDArray[Any]":
        return samples(self.native, self.image)


def read_picture(path: Path) -> Picture:
    """The first frame of a file."""
    dataset = read_path(path)
    expected = expected_frames(dataset)
    if expected is None:
        raise SystemExit(f"{path} has no frames")
    decoded = decode_frame(expected.frames[0].data, expected.syntax, image_pixel(model_of(dataset)))
    return Picture(decoded.array.tobytes(), decoded.image)


def ways(picture: Picture) -> Iterator[Way]:
    """All ways to keep `picture`; the encoders are given what they need, as the product does."""
    native, image, array = picture.native, picture.image, picture.array
    yield Way("as it is", lambda: bytes(memoryview(native)), lambda data: bytes(memoryview(data)))
    yield Way("gzip, isal 1", lambda: igzip.compress(native, 1), igzip.decompress)
    yield Way("gzip, zlib 6", lambda: gzip.compress(native, 6), lambda data: zlib.decompress(data, wbits=31))
    for name, codec, private in (
        ("JPEG-LS", Codec.JPEG_LS, encoders._jpeg_ls),
        ("HTJ2K", Codec.HTJ2K, encoders._htj2k),
    ):
        uid = encode_frame(native, image, codec).syntax_uid
        yield Way(
            name,
            lambda private=private: private(array, image).data,  # type: ignore[misc]
            lambda data, uid=uid: native_frame(data, uid, image),  # type: ignore[misc]
            lambda codec=codec: encode_frame(native, image, codec),  # type: ignore[misc]
        )
    yield Way(
        "JPEG 2000",
        lambda: bytes(
            imagecodecs.jpeg2k_encode(array, level=0, reversible=True, codecformat="j2k", numthreads=1)
        ),
        lambda data: decode_frame(data, "1.2.840.10008.1.2.4.90", image).array.tobytes(),
    )
    yield Way(
        "JPEG XL, effort 1",
        lambda: bytes(imagecodecs.jpegxl_encode(array, lossless=True, effort=1, numthreads=1)),
        lambda data: decode_frame(data, "1.2.840.10008.1.2.4.110", image).array.tobytes(),
    )


def milliseconds(action: Callable[[], object]) -> float:
    begun = time.process_time()
    action()
    return (time.process_time() - begun) * 1000


def rows_of(title: str, picture: Picture, runs: int) -> Iterator[str]:
    """A row of the first table for each codec that keeps the frame exactly."""
    kept: dict[str, tuple[Way, bytes]] = {}
    for way in ways(picture):
        try:
            data = way.encode()
            if way.decode(data) == picture.native:
                kept[way.name] = (way, data)
        except Exception as error:
            yield f"| {title} | {way.name} | not kept: {error} | | | | | | |"
    took: dict[str, list[list[float]]] = {name: [[], [], []] for name in kept}
    for _ in range(runs):
        for name, (way, data) in kept.items():
            took[name][0].append(milliseconds(way.encode))
            took[name][1].append(milliseconds(way.checked) if way.checked else float("nan"))
            took[name][2].append(milliseconds(lambda way=way, data=data: way.decode(data)))  # type: ignore[misc]
    for name, (way, data) in kept.items():
        encode, checked, decode = (f"{median(one):.1f}" for one in took[name])
        pairs = zip(took[name], took.get("HTJ2K", took[name]), strict=True)
        to_encode, _, to_decode = (
            f"{median(a / b for a, b in zip(*one, strict=True) if b):.2f}" for one in pairs
        )
        share = f"{len(data):,} | {len(data) / len(picture.native):.2f}"
        yield (
            f"| {title} | {name} | {encode} | {checked if way.checked else ''} | {decode} | "
            f"{to_encode} | {to_decode} | {share} |"
        )


def decoders_of(title: str, picture: Picture, runs: int) -> Iterator[str]:
    """A row of the second table for each codec that more than one library decodes."""
    native, image, array = picture.native, picture.image, picture.array
    high = encode_frame(native, image, Codec.HTJ2K).data
    plain = bytes(imagecodecs.jpeg2k_encode(array, level=0, reversible=True, codecformat="j2k", numthreads=1))
    choices: dict[str, tuple[tuple[str, Callable[[], object]], tuple[str, Callable[[], object]]]] = {
        "HTJ2K": (
            ("pylibjpeg-openjpeg (OpenJPEG)", lambda: openjpeg_decode(high)),
            ("imagecodecs (OpenJPH)", lambda: imagecodecs.htj2k_decode(high)),
        ),
        "JPEG 2000": (
            ("imagecodecs (OpenJPEG)", lambda: imagecodecs.jpeg2k_decode(plain, numthreads=1)),
            ("pylibjpeg-openjpeg (OpenJPEG)", lambda: openjpeg_decode(plain)),
        ),
    }
    for codec, ((used, first), (other, second)) in choices.items():
        pairs = [(milliseconds(first), milliseconds(second)) for _ in range(runs)]
        mine, theirs = (median(one) for one in zip(*pairs, strict=True))
        ratio = median(b / a for a, b in pairs if a)
        yield f"| {title} | {codec} | {used} {mine:.1f} | {other} {theirs:.1f} | {ratio:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    pictures = {title: read_picture(given.corpus / path) for title, path in PICTURES.items()}
    titles = (
        "frame|kept as|encode ms|encode and check ms|decode ms|encode / HTJ2K|decode / HTJ2K|bytes|of native"
    )
    print(f"| {titles.replace('|', ' | ')} |")
    print("| --- " * 9 + "|")
    for title, picture in pictures.items():
        print(*rows_of(title, picture, given.runs), sep="\n", flush=True)
    print("\n| frame | codec | used, ms | the other, ms | the other / used |")
    print("| --- | --- | --- | --- | --- |")
    for title, picture in pictures.items():
        print(*decoders_of(title, picture, given.runs), sep="\n", flush=True)


if __name__ == "__main__":
    main()
