"""Frames as 8-bit samples: the grey scale and colour pipelines of PS3.4 N.2, and thumbnails made with them.

`thumbnail` makes an image smaller before it transforms values where averaging allows it, and cheaply;
`rendering` does the same exactly.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from staticwado.dicom.codecs import DECODED_LIMIT, Decoded, decode_frame
from staticwado.dicom.colour import rgb
from staticwado.dicom.grey import Grey, grey, grey_of, macro, with_range
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, numbers, text
from staticwado.dicom.lookup import LookupTable, palette, unpacked
from staticwado.dicom.picture import jpeg
from staticwado.dicom.pixels import ImagePixel, image_pixel, stored_values
from staticwado.dicom.resample import fitted_size, shrunk, strided
from staticwado.dicom.voi import Window

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_PIXEL_MEASURES = "00289110"
_PIXEL_PRESENTATION, _RED_DESCRIPTOR = "00089205", "00281101"
_PIXEL_ASPECT_RATIO = "00280034"
_SPACINGS = ("00280030", "00181164", "00182010")
_ASPECT_LIMIT = 8.0
"""A pixel further from square than this is taken for a mistake."""

THUMBNAIL_SIZE = 256
THUMBNAIL_QUALITY = 80


def grey_or_rgb(
    dataset: Dataset,
    decoded: Decoded,
    frame_number: int,
    bulkdata: Bulkdata,
    window: Window | None = None,
    size: tuple[int, int] | None = None,
) -> "Array":
    """A decoded frame ready to show: 8-bit (rows, columns) grey or (rows, columns, 3) RGB.

    Modality LUT, VOI LUT or window, palette and colour space are applied as the data set says for this frame
    (1-based). `window` replaces what the data set says; with `size` (rows, columns) the result has that size.

    Raises Unsupported or BrokenDicom for what cannot be shown; what `bulkdata` raises passes through.
    """
    import numpy as np

    # Infinities and values that are no numbers are legal in floating point pixels and end as black or white.
    with np.errstate(all="ignore"):
        return _shown(dataset, decoded, frame_number, bulkdata, window, size)


def _shown(
    dataset: Dataset,
    decoded: Decoded,
    frame_number: int,
    bulkdata: Bulkdata,
    window: Window | None,
    size: tuple[int, int] | None,
) -> "Array":
    image = decoded.image
    values = stored_values(decoded.array, image)
    rows, columns = size or (image.rows, image.columns)
    if image.samples_per_pixel != 1:
        bits = image.bits_stored
        return interleaved(rgb(shrunk(values, rows, columns, bits), image))
    if image.photometric_interpretation == "PALETTE COLOR":
        colours = palette(dataset, image, bulkdata)
        shown = unpacked(colours(strided(values, rows, columns)))
        return interleaved(rounded(shrunk(shown, rows, columns, 8)[..., :3]))
    pipeline = grey_of(dataset, image, frame_number, bulkdata, window)
    if (supplement := supplemental_palette(dataset, image, bulkdata)) is not None:
        ready = with_range(pipeline, values, dataset, image)
        shown = supplemented(ready, supplement, dataset, image)(strided(values, rows, columns))
        return interleaved(rounded(shrunk(shown, rows, columns, 8)))
    if pipeline.linear:
        return grey(shrunk(values, rows, columns, image.bits_stored), dataset, image, pipeline)
    shown = grey(strided(values, rows, columns), dataset, image, pipeline)
    return rounded(shrunk(shown, rows, columns, 8))


def supplemental_palette(dataset: Dataset, image: ImagePixel, bulkdata: Bulkdata) -> LookupTable | None:
    """The colours of the high values of an image that is grey otherwise (PS3.3 C.7.6.23); None without any.

    Raises Unsupported or BrokenDicom for a table that makes no sense; what `bulkdata` raises passes through.
    """
    if text(dataset, _PIXEL_PRESENTATION) not in ("COLOR", "MIXED") or _RED_DESCRIPTOR not in dataset:
        return None
    return palette(dataset, image, bulkdata)


def supplemented(
    pipeline: Grey, colours: LookupTable, dataset: Dataset, image: ImagePixel
) -> "Callable[[Array], Array]":
    """From stored values to RGB: grey below the first value that `colours` map, their colours from there."""
    import numpy as np

    def convert(part: "Array") -> "Array":
        shades = np.repeat(grey(part, dataset, image, pipeline)[..., None], 3, axis=2)
        return np.where((part >= colours.first)[..., None], unpacked(colours(part))[..., :3], shades)

    return convert


def rounded(means: "Array") -> "Array":
    """Means of bytes as bytes."""
    import numpy as np

    return means if means.dtype == np.uint8 else (means + 0.5).astype(np.uint8)


def interleaved(planes: "Array") -> "Array":
    """The samples of a pixel side by side in memory, as encoders want them; grey and RGB alike."""
    import numpy as np

    if planes.flags.c_contiguous or planes.ndim == 2:
        return np.ascontiguousarray(planes)
    result = np.empty(planes.shape, dtype=planes.dtype)
    # Sample by sample is several times faster than the copy that numpy makes on its own.
    for index in range(planes.shape[2]):
        result[..., index] = planes[..., index]
    return result


def pixel_aspect(dataset: Dataset, frame_number: int) -> float:
    """The height of a pixel over its width (PS3.3 C.7.6.3.1.7); 1 where the data set is silent or absurd."""
    measures = macro(dataset, _PIXEL_MEASURES, frame_number)
    for source, tag in ((dataset, _PIXEL_ASPECT_RATIO), *((measures, tag) for tag in _SPACINGS)):
        found = numbers(source, tag)
        if len(found) >= 2 and found[0] > 0 and found[1] > 0:
            ratio = found[0] / found[1]
            return ratio if 1 / _ASPECT_LIMIT <= ratio <= _ASPECT_LIMIT else 1.0
    return 1.0


def thumbnail(
    dataset: Mapping[str, Any],
    frame: bytes,
    transfer_syntax: str,
    frame_number: int,
    bulkdata: Bulkdata,
    size: int = THUMBNAIL_SIZE,
    *,
    limit: int = DECODED_LIMIT,
) -> bytes:
    """One frame as a small baseline JPEG, its longest side at most `size` pixels, never longer than it was.

    `dataset` is the DICOM JSON of the instance; `frame` is in `transfer_syntax` (native: little endian);
    `frame_number` is 1-based and selects the functional groups. Pixels that are not square are evened out.

    Raises Unsupported (video, colour spaces that cannot be shown, more than `limit` bytes) or BrokenDicom.
    """
    image = image_pixel(dataset)
    decoded = decode_frame(frame, transfer_syntax, image, limit=limit, to_rgb=True)
    target = fitted_size(image.rows, image.columns, pixel_aspect(dataset, frame_number), size)
    return jpeg(grey_or_rgb(dataset, decoded, frame_number, bulkdata, size=target), THUMBNAIL_QUALITY)
