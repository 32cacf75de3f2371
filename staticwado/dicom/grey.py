"""The grey scale pipeline (PS3.4 N.2.1): modality transformation, values of interest, presentation LUT.

One rule: what a data set does not say is found in the values, and nothing else decides.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from staticwado.dicom.jsonvalues import Bulkdata, Dataset, first_number, item, text
from staticwado.dicom.lookup import LookupTable, lookup_table
from staticwado.dicom.pixels import ImagePixel, SampleKind
from staticwado.dicom.voi import Window, automatic, spread, window_of, windowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy import ndarray

    Array = ndarray[Any, Any]

_SHARED_GROUPS, _PER_FRAME_GROUPS = "52009229", "52009230"
_FRAME_VOI_LUT, _PIXEL_VALUE_TRANSFORMATION = "00289132", "00289145"
_SLOPE, _INTERCEPT = "00281053", "00281052"
_MODALITY_LUT, _VOI_LUT = "00283000", "00283010"
_X_RAY = frozenset(("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2"))

_STRIP = 1 << 20
"""Samples that are transformed at a time."""


@dataclass(frozen=True, slots=True)
class Grey:
    """How stored values of one frame become grey: modality transformation, values of interest, presentation.

    At most one of `window` and `voi` is there; with neither the range is found in the values.
    """

    slope: float
    intercept: float
    modality: LookupTable | None
    window: Window | None
    voi: LookupTable | None
    inverted: bool
    range: tuple[float, float] | None = None
    """The stored values that are the ends, with neither window nor table; None: found in the values."""
    presentation: LookupTable | None = None
    """From the output of the values of interest, spread over its entries, to P-Values."""

    @property
    def linear(self) -> bool:
        """Whether averaging before the pipeline is as good as after it."""
        return self.modality is None and self.voi is None and self.presentation is None


def macro(dataset: Dataset, sequence: str, frame_number: int) -> Dataset:
    """The item of the functional group `sequence` that holds for the frame (1-based; PS3.3 C.7.6.16).

    The frame's own, else the shared one, else the data set itself, for images without functional groups.
    """
    own = item(item(dataset, _PER_FRAME_GROUPS, frame_number), sequence)
    return own or item(item(dataset, _SHARED_GROUPS), sequence) or dataset


def modality_of(
    dataset: Dataset, transformation: Dataset, image: ImagePixel, bulkdata: Bulkdata
) -> tuple[float, float, LookupTable | None]:
    """Slope and intercept of `transformation`, and the Modality LUT of `dataset` if it has one.

    What `bulkdata` raises passes through.
    """
    slope, intercept = first_number(transformation, _SLOPE), first_number(transformation, _INTERCEPT)
    table = None
    if _MODALITY_LUT in dataset and not _for_measuring_only(dataset):
        signed = image.pixel_representation == 1
        table = lookup_table(item(dataset, _MODALITY_LUT), bulkdata, signed=signed)
    return slope or 1.0, intercept or 0.0, table


def interest_of(
    source: Dataset, image: ImagePixel, bulkdata: Bulkdata, *, signed: bool
) -> tuple[Window | None, LookupTable | None]:
    """The first window of `source`, else its first VOI LUT (PS3.3 C.11.2); `signed` is said of their input.

    What `bulkdata` raises passes through.
    """
    window = window_of(source, exact=image.kind is not SampleKind.INTEGER)
    if window is not None or _VOI_LUT not in source:
        return window, None
    return None, lookup_table(item(source, _VOI_LUT), bulkdata, signed=signed)


def grey_of(
    dataset: Dataset, image: ImagePixel, frame_number: int, bulkdata: Bulkdata, window: Window | None = None
) -> Grey:
    """The grey scale pipeline of one frame; `window`, where given, replaces what the data set says.

    The first window counts, else the first VOI LUT (PS3.3 C.11.2). What `bulkdata` raises passes through.
    """
    transformation = macro(dataset, _PIXEL_VALUE_TRANSFORMATION, frame_number)
    slope, intercept, modality = modality_of(dataset, transformation, image, bulkdata)
    voi = None
    if window is None:
        signed = modality is None and image.pixel_representation == 1
        source = macro(dataset, _FRAME_VOI_LUT, frame_number)
        window, voi = interest_of(source, image, bulkdata, signed=signed)
    inverted = image.photometric_interpretation == "MONOCHROME1"
    return Grey(slope, intercept, modality, window, voi, inverted)


def _for_measuring_only(dataset: Dataset) -> bool:
    """X-ray projections whose Modality LUT leads back to X-ray intensity, not to the screen (C.8.7.1.1.2)."""
    return text(dataset, "00080016") in _X_RAY and text(dataset, "00281040") in ("LOG", "DISP")


def with_range(pipeline: Grey, values: "Array", dataset: Dataset, image: ImagePixel) -> Grey:
    """`pipeline` with the range found in `values`, if it needs one.

    So that a part of a frame, or a smaller copy of it, is shown with the contrast of the whole.
    """
    if pipeline.window or pipeline.voi or pipeline.modality or pipeline.range:
        return pipeline
    return replace(pipeline, range=automatic(values, dataset, image))


def grey(values: "Array", dataset: Dataset, image: ImagePixel, pipeline: Grey) -> "Array":
    """Stored values, or means of them, as 8-bit grey; what is not a number is black.

    Works strip by strip: what it needs beside the result does not grow with the image.
    """
    ready = with_range(pipeline, values, dataset, image)
    return by_strips(values, lambda strip: _grey(strip, image, ready))


def _grey(values: "Array", image: ImagePixel, pipeline: Grey) -> "Array":
    import numpy as np

    table = pipeline.presentation
    if table is None:
        result = _transformed(values, pipeline, 255)
    else:
        looked_up = table(_transformed(values, pipeline, len(table.entries) - 1))
        result = spread(looked_up, 0, (1 << table.bits) - 1)
    if pipeline.inverted:
        result = 255 - result
    if image.kind is not SampleKind.INTEGER:
        result[np.isnan(values)] = 0
    return result


def _transformed(values: "Array", pipeline: Grey, top: int) -> "Array":
    """From stored values to the output of the values of interest, 0 to `top`."""
    slope, intercept = pipeline.slope, pipeline.intercept
    if pipeline.modality is not None:
        values, slope, intercept = pipeline.modality(values), 1.0, 0.0
    if pipeline.window is not None:
        return windowed(values, pipeline.window, slope, intercept, top)
    if pipeline.voi is not None:
        modal = values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept
        return spread(pipeline.voi(modal), 0, (1 << pipeline.voi.bits) - 1, top)
    if pipeline.modality is not None:
        return spread(values, 0, (1 << pipeline.modality.bits) - 1, top)
    low, high = pipeline.range or (0.0, 1.0)
    return spread(values, *((high, low) if slope < 0 else (low, high)), top)


def by_strips(values: "Array", convert: "Callable[[Array], Array]") -> "Array":
    """What `convert` makes of `values`, some rows at a time: a pixel must not depend on another row."""
    import numpy as np

    rows = max(_STRIP // max(values[:1].size, 1), 1)
    if rows >= len(values):
        return convert(values)
    first = convert(values[:rows])
    result = np.empty((len(values), *first.shape[1:]), first.dtype)
    result[:rows] = first
    for start in range(rows, len(values), rows):
        result[start : start + rows] = convert(values[start : start + rows])
    return result
