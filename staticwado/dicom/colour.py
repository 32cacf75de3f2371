"""From decoded colour samples to 8-bit RGB (PS3.3 C.7.6.3.1.2)."""

from typing import TYPE_CHECKING, Any

from staticwado.dicom.pixels import ImagePixel
from staticwado.errors import Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_FULL_RANGE = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
_PARTIAL_RANGE = ((1.164384, 0.0, 1.596027), (1.164384, -0.391762, -0.812968), (1.164384, 2.017232, 0.0))
_PARTIAL_BLACK = 16.0
_MIDDLE = 128.0


def rgb(samples: "Array", image: ImagePixel) -> "Array":
    """(rows, columns, 3) of any number of stored bits as 8-bit RGB.

    `image` describes the samples as they are now (`codecs.Decoded`). A colour space that PS3.3 does not have
    counts as RGB.
    Raises Unsupported for four samples a pixel and for colour spaces that are no longer in the standard.
    """
    photometric = image.photometric_interpretation
    if samples.ndim != 3 or samples.shape[2] != 3 or photometric in ("ARGB", "CMYK", "HSV"):
        raise Unsupported(f"Photometric Interpretation (0028,0004) {photometric} cannot be shown")
    if not photometric.startswith("YBR") or photometric in ("YBR_RCT", "YBR_ICT"):
        return _bytes(samples, image)
    return _from_ybr(samples, image, partial=photometric.startswith("YBR_PARTIAL"))


def _bytes(samples: "Array", image: ImagePixel) -> "Array":
    import numpy as np

    if samples.dtype == np.uint8 and image.bits_stored == 8:
        return samples
    scaled = samples.astype(np.float32)
    scaled -= np.float32(image.smallest)
    scaled *= np.float32(255.0 / max(image.largest - image.smallest, 1))
    scaled += np.float32(0.5)
    return np.clip(np.nan_to_num(scaled, copy=False), 0, 255).astype(np.uint8)


def _from_ybr(samples: "Array", image: ImagePixel, *, partial: bool) -> "Array":
    import numpy as np

    scale = np.float32(2.0 ** (8 - image.bits_stored))
    luminance = samples[..., 0].astype(np.float32) * scale
    blue = samples[..., 1].astype(np.float32) * scale - np.float32(_MIDDLE)
    red = samples[..., 2].astype(np.float32) * scale - np.float32(_MIDDLE)
    if partial:
        luminance -= np.float32(_PARTIAL_BLACK)
    result = np.empty(samples.shape, dtype=np.uint8)
    for channel, (y, cb, cr) in enumerate(_PARTIAL_RANGE if partial else _FULL_RANGE):
        value = luminance * np.float32(y)
        if cb:
            value += blue * np.float32(cb)
        if cr:
            value += red * np.float32(cr)
        value += np.float32(0.5)
        result[..., channel] = np.clip(value, 0, 255, out=value)
    return result
