"""ICC profiles of rendered colour (PS3.18 8.3.5.1.5): which one describes the picture, and conversion.

One rule: a picture carries the profile that its samples are in, or none.
"""

from enum import Enum
from typing import TYPE_CHECKING, Any

from staticwado.dicom.jsonvalues import Bulkdata, Dataset, binary, item

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_ICC_PROFILE, _OPTICAL_PATH = "00282000", "00480105"
_DATE = slice(24, 36)
_EPOCH = bytes((7, 0xD0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
"""The first of January 2000: profiles that are made here do not say when."""
_IDENTIFIER = slice(84, 100)
_COLOUR_SPACE, _SIGNATURE = slice(16, 20), slice(36, 40)
_D50 = (0.3457, 0.3585)
_ROMM_PRIMARIES = (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
_ROMM_GAMMA = 1.8


class ColourProfile(Enum):
    """The values of the parameter `iccprofile`."""

    NO = "no"
    YES = "yes"
    SRGB = "srgb"
    ADOBE_RGB = "adobergb"
    ROMM_RGB = "rommrgb"


def source_profile(dataset: Dataset, bulkdata: Bulkdata) -> bytes | None:
    """ICC Profile (0028,2000) of the data set or of its first optical path, if it can be used.

    What `bulkdata` raises passes through.
    """
    import imagecodecs

    for source in (dataset, item(dataset, _OPTICAL_PATH)):
        data = binary(source, _ICC_PROFILE, bulkdata)
        if not data or len(data) < 128 or data[_COLOUR_SPACE] != b"RGB " or data[_SIGNATURE] != b"acsp":
            continue
        data = data[: int.from_bytes(data[:4], "big")]
        try:
            imagecodecs.cms_profile_validate(data)
        except (imagecodecs.CmsError, ValueError):
            continue
        return data
    return None


def made_profile(wanted: ColourProfile) -> bytes:
    """The profile of one of the colour spaces that PS3.18 names; the same bytes every time."""
    import imagecodecs

    if wanted is ColourProfile.ROMM_RGB:
        made = imagecodecs.cms_profile("rgb", whitepoint=_D50, primaries=_ROMM_PRIMARIES, gamma=_ROMM_GAMMA)
    else:
        made = imagecodecs.cms_profile("adobergb" if wanted is ColourProfile.ADOBE_RGB else "srgb")
    data = bytearray(made)
    data[_DATE] = _EPOCH
    data[_IDENTIFIER] = bytes(16)
    return bytes(data)


def output_profile(dataset: Dataset, bulkdata: Bulkdata, wanted: ColourProfile) -> bytes | None:
    """The profile to embed; None for `no`. Without one in the data set colours count as sRGB (PS3.3 C.11.15).

    What `bulkdata` raises passes through.
    """
    if wanted is ColourProfile.NO:
        return None
    if wanted is ColourProfile.YES:
        return source_profile(dataset, bulkdata) or made_profile(ColourProfile.SRGB)
    return made_profile(wanted)


def profiled(shown: "Array", dataset: Dataset, bulkdata: Bulkdata, wanted: ColourProfile) -> "Array":
    """8-bit grey or RGB as RGB in the colour space that `output_profile` describes; as it is for `no`.

    Perceptual intent. What `bulkdata` raises passes through.
    """
    import imagecodecs
    import numpy as np

    if wanted is ColourProfile.NO:
        return shown
    grey = shown.ndim == 2
    colours = np.repeat(shown[..., None], 3, axis=2) if grey else np.ascontiguousarray(shown)
    source = None if grey else source_profile(dataset, bulkdata)
    if wanted is ColourProfile.YES or (source is None and wanted is ColourProfile.SRGB):
        return colours
    result: Array = imagecodecs.cms_transform(
        colours,
        source or made_profile(ColourProfile.SRGB),
        made_profile(wanted),
        colorspace="rgb",
        outcolorspace="rgb",
    )
    return result
