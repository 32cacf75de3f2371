"""DICOM JSON data sets of images, for the tests of pixels, codecs and rendering."""

import base64
from typing import Any

import imagecodecs
from numpy.typing import NDArray

Dataset = dict[str, Any]

IMPLICIT = "1.2.840.10008.1.2"
NATIVE = "1.2.840.10008.1.2.1"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_12_BIT = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_XL = "1.2.840.10008.1.2.4.110"
HTJ2K = "1.2.840.10008.1.2.4.201"


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def inline(data: bytes) -> dict[str, Any]:
    return {"vr": "OW", "InlineBinary": base64.b64encode(data).decode()}


def image_dataset(
    rows: int,
    columns: int,
    photometric: str = "MONOCHROME2",
    *,
    samples: int = 1,
    allocated: int = 16,
    stored: int | None = None,
    high: int | None = None,
    signed: bool = False,
    planar: int = 0,
) -> Dataset:
    """The Image Pixel module of an image whose Pixel Data is bulkdata."""
    stored = allocated if stored is None else stored
    return {
        "00280002": element("US", samples),
        "00280004": element("CS", photometric),
        "00280006": element("US", planar),
        "00280010": element("US", rows),
        "00280011": element("US", columns),
        "00280100": element("US", allocated),
        "00280101": element("US", stored),
        "00280102": element("US", stored - 1 if high is None else high),
        "00280103": element("US", int(signed)),
        "7FE00010": {"vr": "OW", "BulkDataURI": "pixeldata"},
    }


def no_bulkdata(uri: str) -> bytes:
    raise AssertionError(f"{uri} was asked for")


Array = NDArray[Any]


def jpeg(array: Array, level: int = 95, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(array, level=level, **options))


def jpeg_lossless(array: Array, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(array, lossless=True, **options))


def jpeg_ls(array: Array) -> bytes:
    return bytes(imagecodecs.jpegls_encode(array))


def jpeg_2000(array: Array, codecformat: str = "j2k", **options: Any) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(array, level=0, reversible=True, codecformat=codecformat, **options)
    )


def htj2k(array: Array) -> bytes:
    return bytes(imagecodecs.htj2k_encode(array, reversible=True))


def jpeg_xl(array: Array, **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(array, lossless=True, **options))


def packbits(data: bytes) -> bytes:
    """Literal runs only, and one run of repeats at the end to have both."""
    head, last = data[:-1], data[-1:]
    runs = [head[place : place + 128] for place in range(0, len(head), 128)]
    return b"".join(bytes((len(run) - 1,)) + run for run in runs) + b"\x00" + last


def rle_frame(*planes: bytes) -> bytes:
    segments = [packbits(plane) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    header = b"".join(number.to_bytes(4, "little") for number in (len(segments), *offsets))
    return header.ljust(64, b"\0") + b"".join(segments)
