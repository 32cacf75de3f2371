"""From modality values to 8-bit grey: the VOI windows of PS3.3 C.11.2, and what to do when there is none."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from staticwado.dicom.jsonvalues import Dataset, first_integer, first_number, text
from staticwado.dicom.pixels import ImagePixel, SampleKind

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_CENTER, _WIDTH, _FUNCTION = "00281050", "00281051", "00281056"
_STEEP = 50.0
"""Beyond this exponent a sigmoid is black or white, and `exp` still has a value."""
_PADDING, _PADDING_LIMIT, _MAXIMUM_FRACTION = "00280120", "00280121", "0062000E"

_SAMPLE = 8192
"""About how many values are looked at for a range without extremes."""


class VoiFunction(Enum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """A window in modality units; `width` is above zero, and at least 1 for LINEAR."""

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR

    @property
    def ends(self) -> tuple[float, float]:
        """The values that become black and white; SIGMOID has none and is never asked."""
        if self.function is VoiFunction.LINEAR:
            # PS3.3 C.11.2.1.2.1; a width of 1 is a threshold.
            middle, half = self.center - 0.5, max(self.width - 1, 1e-6) / 2
            return middle - half, middle + half
        return self.center - self.width / 2, self.center + self.width / 2


def window_of(dataset: Dataset, *, exact: bool = False) -> Window | None:
    """The first window of `dataset` (PS3.3 C.11.2.1.2); None when there is none that makes sense.

    LINEAR is made for integers: it wants a width of at least 1, and at 1 has no greys. With `exact` (floating
    point pixels), and where the width is below 1, it is taken as LINEAR_EXACT.
    """
    center, width = first_number(dataset, _CENTER), first_number(dataset, _WIDTH)
    if center is None or width is None or width <= 0:
        return None
    try:
        function = VoiFunction(text(dataset, _FUNCTION) or "LINEAR")
    except ValueError:
        function = VoiFunction.LINEAR
    if function is VoiFunction.LINEAR and (exact or width < 1):
        function = VoiFunction.LINEAR_EXACT
    return Window(center, width, function)


def windowed(
    values: "Array", window: Window, slope: float = 1.0, intercept: float = 0.0, top: int = 255
) -> "Array":
    """`values` x `slope` + `intercept` through `window`, from 0 to `top`; bytes, or words above 255."""
    import numpy as np

    if window.function is not VoiFunction.SIGMOID:
        low, high = window.ends
        return spread(values, (low - intercept) / slope, (high - intercept) / slope, top)
    exponent = (values.astype(np.float64) * slope + (intercept - window.center)) * (-4.0 / window.width)
    np.clip(exponent, -_STEEP, _STEEP, out=exponent)
    return np.asarray(top / (1.0 + np.exp(exponent)) + 0.5).astype(np.uint8 if top <= 0xFF else np.uint16)


def spread(values: "Array", low: float, high: float, top: int = 255) -> "Array":
    """`values` as bytes: `low` is 0 and `high` is `top`, linear between; `low` may be above `high`.

    Words, where `top` (at most 65535) has no room in a byte.
    """
    import numpy as np

    span = (high - low) or 1e-6
    wide = values.dtype.itemsize > (4 if values.dtype.kind == "f" else 2)
    kind: Any = np.float64 if wide else np.float32
    scale = top / span
    # The half that rounds is part of what is subtracted: one pass less.
    grey: Array = np.subtract(values, kind(low - 0.5 / scale), dtype=kind)
    grey *= kind(scale)
    np.clip(grey, 0, top, out=grey)
    return grey.astype(np.uint8 if top <= 0xFF else np.uint16)


def automatic(values: "Array", dataset: Dataset, image: ImagePixel) -> tuple[float, float]:
    """Which stored values to show as black and as white when the data set does not say.

    8-bit images as they are, unless they use little of the range; masks and fractions in full; 32-bit and
    floating point from the least to the greatest; all others without the darkest and brightest half percent,
    so that a few hot pixels don't make the rest black. Pixel Padding (0028,0120) does not count.
    """
    import numpy as np

    whole = float(image.smallest), float(image.largest)
    if image.kind is SampleKind.INTEGER:
        if image.bits_stored == 1:
            return whole
        fraction = first_integer(dataset, _MAXIMUM_FRACTION)
        if fraction is not None and fraction > 0:
            return 0.0, float(fraction)
    robust = image.kind is SampleKind.INTEGER and 8 < image.bits_stored <= 16
    flat = values.reshape(-1)
    # An odd step, or the same few columns of every row would be looked at.
    seen = _without_padding(flat[:: flat.size // _SAMPLE | 1] if robust else flat, dataset)
    if not seen.size:
        return whole if image.kind is SampleKind.INTEGER else (0.0, 1.0)
    if robust:
        ordered = np.sort(seen)
        few = len(ordered) // 200
        low, high = float(ordered[few]), float(ordered[-1 - few])
        if low < high:
            return low, high
        seen = flat
    low, high = float(seen.min()), float(seen.max())
    if image.kind is SampleKind.INTEGER and image.bits_stored <= 8:
        return whole if high - low >= (whole[1] - whole[0]) / 4 else (low, high)
    return low, high


def _without_padding(flat: "Array", dataset: Dataset) -> "Array":
    """The finite values that are not padding; all finite ones when they are nothing but padding."""
    import numpy as np

    if flat.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    padding = first_number(dataset, _PADDING)
    if padding is None:
        return flat
    limit = first_number(dataset, _PADDING_LIMIT)
    low, high = sorted((padding, padding if limit is None else limit))
    kept = flat[(flat < low) | (flat > high)]
    return kept if kept.size else flat
