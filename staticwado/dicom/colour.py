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
    """(rows, columns, 3 or 4) of any number of stored bits, or means of them, as 8-bit RGB.

    `image` describes the samples as they are now (`codecs.Decoded`). A colour space that PS3.3 does not have
    counts as RGB. Of the retired ones ARGB is shown without its alpha.
    Raises Unsupported for any other number of samples.
    """
    photometric = image.photometric_interpretation
    wanted = 4 if photometric in ("ARGB", "CMYK") else 3
    if samples.ndim != 3 or samples.shape[2] != wanted:
        raise Unsupported(
            f"Photometric Interpretation (0028,0004) {photometric} with Samples per Pixel (0028,0002) "
            f"{image.samples_per_pixel} cannot be shown"
        )
    if photometric == "ARGB":
        return _bytes(samples[..., 1:], image)
    if photometric == "CMYK":
        return _from_cmyk(_bytes(samples, image))
    if photometric == "HSV":
        return _from_hsv(_bytes(samples, image))
    if not photometric.startswith("YBR") or photometric in ("YBR_RCT", "YBR_ICT"):
        return _bytes(samples, image)
    return _from_ybr(samples, image, partial=photometric.startswith("YBR_PARTIAL"))


def _from_cmyk(inks: "Array") -> "Array":
    """White less the ink and less black."""
    import numpy as np

    left = 255 - inks[..., :3].astype(np.int16) - inks[..., 3:]
    result: Array = left.clip(0, 255).astype(np.uint8)
    return result


def _from_hsv(samples: "Array") -> "Array":
    """Hue goes once around the circle from 0 to 255, from red by green and blue."""
    import numpy as np

    hue, saturation, value = (samples[..., index].astype(np.float32) / np.float32(255) for index in range(3))
    # A channel is full two sixths to either side of its hue, and falls to nothing within one more.
    places = np.array([5, 3, 1], np.float32)
    turned = (places + hue[..., None] * 6) % 6
    share = np.clip(np.minimum(turned, 4 - turned), 0, 1)
    result = value[..., None] * (1 - saturation[..., None] * share)
    shown: Array = (result * 255 + np.float32(0.5)).astype(np.uint8)
    return shown


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
