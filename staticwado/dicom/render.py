"""The grey scale and colour pipelines of PS3.4 N.2 up to 8-bit samples, and thumbnails made with them.

`grey_or_rgb` makes an image smaller before it transforms values where averaging allows it, which is what
makes thumbnails cheap; at full size it is the rendered image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.codecs import DECODED_LIMIT, Decoded, decode_frame
from staticwado.dicom.colour import rgb
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, first_number, item, numbers, text
from staticwado.dicom.lookup import LookupTable, lookup_table, palette, unpacked
from staticwado.dicom.pixels import ImagePixel, SampleKind, image_pixel, stored_values
from staticwado.dicom.resample import fitted_size, shrunk, strided
from staticwado.dicom.voi import Window, automatic, spread, window_of, windowed
from staticwado.errors import Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_SHARED_GROUPS, _PER_FRAME_GROUPS = "52009229", "52009230"
_FRAME_VOI_LUT, _PIXEL_VALUE_TRANSFORMATION, _PIXEL_MEASURES = "00289132", "00289145", "00289110"
_SLOPE, _INTERCEPT = "00281053", "00281052"
_MODALITY_LUT, _VOI_LUT = "00283000", "00283010"
_PIXEL_ASPECT_RATIO = "00280034"
_SPACINGS = ("00280030", "00181164", "00182010")
_X_RAY = frozenset(("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2"))
_ASPECT_LIMIT = 8.0
"""A pixel further from square than this is taken for a mistake."""

THUMBNAIL_SIZE = 256
THUMBNAIL_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Grey:
    """How stored values of one frame become grey: modality transformation, values of interest, inversion.

    At most one of `window` and `voi` is there; with neither the range is found in the values.
    """

    slope: float
    intercept: float
    modality: LookupTable | None
    window: Window | None
    voi: LookupTable | None
    inverted: bool

    @property
    def linear(self) -> bool:
        """Whether averaging before the pipeline is as good as after it."""
        return self.modality is None and self.voi is None


def macro(dataset: Dataset, sequence: str, frame_number: int) -> Dataset:
    """The item of the functional group `sequence` that holds for the frame (1-based; PS3.3 C.7.6.16).

    The frame's own, else the shared one, else the data set itself, for images without functional groups.
    """
    own = item(item(dataset, _PER_FRAME_GROUPS, frame_number), sequence)
    return own or item(item(dataset, _SHARED_GROUPS), sequence) or dataset


def grey_of(
    dataset: Dataset, image: ImagePixel, frame_number: int, bulkdata: Bulkdata, window: Window | None = None
) -> Grey:
    """The grey scale pipeline of one frame; `window`, where given, replaces what the data set says.

    The first window counts, else the first VOI LUT (PS3.3 C.11.2). What `bulkdata` raises passes through.
    """
    transformation = macro(dataset, _PIXEL_VALUE_TRANSFORMATION, frame_number)
    slope, intercept = first_number(transformation, _SLOPE), first_number(transformation, _INTERCEPT)
    signed = image.pixel_representation == 1
    modality = None
    if _MODALITY_LUT in dataset and not _for_measuring_only(dataset):
        modality = lookup_table(item(dataset, _MODALITY_LUT), bulkdata, signed=signed)
    voi = None
    if window is None:
        values_of_interest = macro(dataset, _FRAME_VOI_LUT, frame_number)
        window = window_of(values_of_interest, exact=image.kind is not SampleKind.INTEGER)
        if window is None and _VOI_LUT in values_of_interest:
            negative = signed if modality is None else False
            voi = lookup_table(item(values_of_interest, _VOI_LUT), bulkdata, signed=negative)
    return Grey(
        slope=slope or 1.0,
        intercept=intercept or 0.0,
        modality=modality,
        window=window,
        voi=voi,
        inverted=image.photometric_interpretation == "MONOCHROME1",
    )


def _for_measuring_only(dataset: Dataset) -> bool:
    """X-ray projections whose Modality LUT leads back to X-ray intensity, not to the screen (C.8.7.1.1.2)."""
    return text(dataset, "00080016") in _X_RAY and text(dataset, "00281040") in ("LOG", "DISP")


def grey(values: "Array", dataset: Dataset, image: ImagePixel, pipeline: Grey) -> "Array":
    """Stored values, or means of them, as 8-bit grey; what is not a number is black."""
    import numpy as np

    result = _transformed(values, dataset, image, pipeline)
    if pipeline.inverted:
        result = 255 - result
    if image.kind is not SampleKind.INTEGER:
        result[np.isnan(values)] = 0
    return result


def _transformed(values: "Array", dataset: Dataset, image: ImagePixel, pipeline: Grey) -> "Array":
    slope, intercept = pipeline.slope, pipeline.intercept
    if pipeline.modality is not None:
        values, slope, intercept = pipeline.modality(values), 1.0, 0.0
    if pipeline.window is not None:
        return windowed(values, pipeline.window, slope, intercept)
    if pipeline.voi is not None:
        modal = values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept
        return spread(pipeline.voi(modal), 0, (1 << pipeline.voi.bits) - 1)
    if pipeline.modality is not None:
        return spread(values, 0, (1 << pipeline.modality.bits) - 1)
    low, high = automatic(values, dataset, image)
    return spread(values, *((high, low) if slope < 0 else (low, high)))


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
        return _interleaved(rgb(shrunk(values, rows, columns, bits), image))
    if image.photometric_interpretation == "PALETTE COLOR":
        colours = palette(dataset, image, bulkdata)
        shown = unpacked(colours(strided(values, rows, columns)))
        return _interleaved(_rounded(shrunk(shown, rows, columns, 8)[..., :3]))
    pipeline = grey_of(dataset, image, frame_number, bulkdata, window)
    if pipeline.linear:
        return grey(shrunk(values, rows, columns, image.bits_stored), dataset, image, pipeline)
    shown = grey(strided(values, rows, columns), dataset, image, pipeline)
    return _rounded(shrunk(shown, rows, columns, 8))


def _rounded(means: "Array") -> "Array":
    import numpy as np

    return means if means.dtype == np.uint8 else (means + 0.5).astype(np.uint8)


def _interleaved(planes: "Array") -> "Array":
    """(rows, columns, 3) with the samples of a pixel side by side in memory, as encoders want them."""
    import numpy as np

    if planes.flags.c_contiguous:
        return planes
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
    return jpeg(grey_or_rgb(dataset, decoded, frame_number, bulkdata, size=target))


def jpeg(shown: "Array", quality: int = THUMBNAIL_QUALITY) -> bytes:
    """8-bit grey or RGB as a baseline JPEG; `quality` from 1 to 100.

    Raises Unsupported for images that JPEG has no room for (over 65,500 pixels along a side).
    """
    import imagecodecs
    import numpy as np

    try:
        return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(shown), level=quality))
    except (ValueError, imagecodecs.Jpeg8Error) as error:
        raise Unsupported(f"an image of {shown.shape} does not fit into a JPEG: {error}") from error
