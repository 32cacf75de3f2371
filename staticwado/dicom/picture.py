"""Writing 8-bit pictures: JPEG, PNG and JPEG 2000 of one frame, GIF of one or many (PS3.18 8.7.4).

One rule: equal pictures are equal bytes; nothing written here holds a time or a name.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from staticwado.dicom.gif import gif
from staticwado.errors import Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

PICTURE_QUALITY = 90
"""Of a JPEG for which the client asks for no quality."""

PICTURE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/jp2")
PROFILED_TYPES = frozenset(("image/jpeg", "image/png"))
"""Media types in which `encode_picture` can embed an ICC profile."""

_PNG_LEVEL = 1
"""Of zlib: higher ones take several times as long for some percent."""
_FINE_COLOUR = 90
"""From this quality on chrominance is kept in full."""
_JPEG_MARKER = b"ICC_PROFILE\0"
_JPEG_ROOM = 65519
_PNG_HEADER = 33
"""Bytes of the signature and IHDR of a PNG."""


def encode_picture(
    arrays: "Iterable[Array]",
    media_type: str,
    quality: int = PICTURE_QUALITY,
    durations: Sequence[int] = (),
    profile: bytes | None = None,
) -> bytes:
    """One picture of `arrays`, each 8-bit (rows, columns) grey or (rows, columns, 3) RGB.

    `quality` (1 to 100) counts for JPEG, and for JPEG 2000 below 100. `durations` in milliseconds, one a
    frame, count for GIF, which alone takes more than one array, and takes them one at a time. `profile` is
    embedded as it is.

    Raises Unsupported for a media type that is not in `PICTURE_TYPES` or has no room for what was given.
    """
    if media_type == "image/gif":
        if profile is not None:
            raise Unsupported("image/gif has no room for an ICC profile")
        return b"".join(gif(arrays, durations))
    pictures = iter(arrays)
    shown = next(pictures, None)
    if shown is None:
        raise Unsupported(f"{media_type} of no frame")
    if next(pictures, None) is not None:
        raise Unsupported(f"{media_type} holds one frame, not several")
    if media_type == "image/jpeg":
        return jpeg(shown, quality, profile)
    if media_type == "image/png":
        return png(shown, profile)
    if media_type == "image/jp2":
        if profile is not None:
            raise Unsupported("image/jp2 is written without an ICC profile")
        return jp2(shown, quality)
    raise Unsupported(f"{media_type} cannot be written; what can: {', '.join(PICTURE_TYPES)}")


def jpeg(shown: "Array", quality: int = PICTURE_QUALITY, profile: bytes | None = None) -> bytes:
    """8-bit grey or RGB as a baseline JPEG; `quality` from 1 to 100.

    Raises Unsupported for images that JPEG has no room for (over 65,500 pixels along a side).
    """
    import imagecodecs
    import numpy as np

    subsampling = "444" if quality > _FINE_COLOUR and shown.ndim == 3 else None
    try:
        data = bytes(
            imagecodecs.jpeg8_encode(np.ascontiguousarray(shown), level=quality, subsampling=subsampling)
        )
    except (ValueError, imagecodecs.Jpeg8Error) as error:
        raise Unsupported(f"an image of {shown.shape} does not fit into a JPEG: {error}") from error
    return data if profile is None else _profiled_jpeg(data, profile)


def _profiled_jpeg(data: bytes, profile: bytes) -> bytes:
    """`profile` in as many APP2 segments as it takes, after SOI and the JFIF segment (ISO 15076-1 B.4)."""
    place = 2
    if data[2:4] == b"\xff\xe0":
        place += 2 + int.from_bytes(data[4:6], "big")
    parts = [profile[start : start + _JPEG_ROOM] for start in range(0, len(profile), _JPEG_ROOM)]
    if len(parts) > 0xFF:
        raise Unsupported(f"an ICC profile of {len(profile)} bytes does not fit into a JPEG")
    segments = b"".join(
        b"\xff\xe2"
        + (len(_JPEG_MARKER) + 4 + len(part)).to_bytes(2, "big")
        + _JPEG_MARKER
        + bytes((number, len(parts)))
        + part
        for number, part in enumerate(parts, 1)
    )
    return data[:place] + segments + data[place:]


def png(shown: "Array", profile: bytes | None = None) -> bytes:
    """8-bit grey or RGB as a PNG, without loss."""
    import imagecodecs
    import numpy as np

    try:
        data = bytes(imagecodecs.png_encode(np.ascontiguousarray(shown), level=_PNG_LEVEL))
    except (ValueError, imagecodecs.PngError) as error:
        raise Unsupported(f"an image of {shown.shape} does not fit into a PNG: {error}") from error
    if profile is None:
        return data
    # A name, no bytes of it more, and the one method of compression there is (PNG 11.3.2.3).
    content = b"iCCP" + b"ICC\0\0" + zlib.compress(profile)
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return data[:_PNG_HEADER] + chunk + data[_PNG_HEADER:]


def jp2(shown: "Array", quality: int = 100) -> bytes:
    """8-bit grey or RGB as a JP2 file; without loss at quality 100."""
    import imagecodecs
    import numpy as np

    # OpenJPEG counts in decibels of noise; 0 stands for none.
    level = 0 if quality >= 100 else 25 + quality // 4
    try:
        return bytes(
            imagecodecs.jpeg2k_encode(
                np.ascontiguousarray(shown),
                level=level,
                codecformat="jp2",
                reversible=level == 0,
                resolutions=_resolutions(shown),
                numthreads=1,
            )
        )
    except (ValueError, imagecodecs.Jpeg2kError) as error:
        raise Unsupported(f"an image of {shown.shape} does not fit into a JP2: {error}") from error


def _resolutions(shown: "Array") -> int:
    """As many halvings as the shortest side allows, plus one, and at most six."""
    return min(int(min(shown.shape[:2])).bit_length(), 6)
