"""The query parameters of rendered resources, thumbnails and WADO-URI pictures (PS3.18 8.3.5, 9.4.1).

One rule: a supported parameter with an impossible value is an error, an unsupported one is ignored (8.3).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from staticwado.dicom.annotation import Annotation
from staticwado.dicom.geometry import Region, Viewport
from staticwado.dicom.picture import PICTURE_QUALITY, PROFILED_TYPES
from staticwado.dicom.profile import ColourProfile
from staticwado.dicom.rendering import NO_OPTIONS, RenderOptions
from staticwado.dicom.voi import VoiFunction, Window
from staticwado.errors import BadRequest

_RENDERED = frozenset(("annotation", "quality", "viewport", "window", "iccprofile"))
_WADO_URI = frozenset(
    (
        "imageAnnotation",
        "annotation",
        "imageQuality",
        "rows",
        "columns",
        "region",
        "windowCenter",
        "windowWidth",
        "iccprofile",
    )
)
_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_FUNCTIONS = {
    "linear": VoiFunction.LINEAR,
    "linear-exact": VoiFunction.LINEAR_EXACT,
    "sigmoid": VoiFunction.SIGMOID,
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a request for a picture asks for."""

    options: RenderOptions = NO_OPTIONS
    quality: int = PICTURE_QUALITY
    """From 1 to 100; it counts for lossy media types alone."""
    unsupported_annotations: tuple[str, ...] = ()

    @property
    def warning(self) -> str | None:
        """What to say in a Warning header after `299 <service>: ` (PS3.18 8.3.5.1.1); None for nothing."""
        if not self.unsupported_annotations:
            return None
        values = ", ".join(self.unsupported_annotations)
        return f"The following annotation values are not supported: {values}"


def parse_rendered(
    parameters: Iterable[tuple[str, str]], media_type: str, *, presentation: bool = False
) -> Rendering:
    """The (decoded) query parameters of a rendered resource, to be answered in `media_type`.

    `presentation` says that the resource is a presentation state.

    Raises BadRequest, which names the parameter.
    """
    found = _once(parameters, _RENDERED)
    if presentation and "window" in found:
        raise BadRequest("window cannot be given for a presentation state (PS3.18 8.3.5.1.4)")
    annotations, unsupported = _annotations("annotation", found.get("annotation"))
    options = RenderOptions(
        viewport=_viewport(found["viewport"]) if "viewport" in found else None,
        window=_window(found["window"]) if "window" in found else None,
        annotations=annotations,
        profile=_profile(found.get("iccprofile"), media_type),
    )
    return Rendering(options, _quality("quality", found.get("quality")), unsupported)


def parse_thumbnail(parameters: Iterable[tuple[str, str]]) -> Viewport | None:
    """The viewport of a thumbnail: its width and height and nothing else (PS3.18 8.3.5.2).

    Raises BadRequest, which names the parameter.
    """
    text = _once(parameters, frozenset(("viewport",))).get("viewport")
    if text is None:
        return None
    if text.count(",") != 1:
        raise BadRequest(f"viewport of a thumbnail is width,height; not {text[:80]!r}")
    return _viewport(text)


def parse_wado_uri_rendering(
    parameters: Iterable[tuple[str, str]], media_type: str, *, presentation: bool = False
) -> Rendering:
    """The (decoded) parameters of a WADO-URI request for a picture (PS3.18 9.4.1.2).

    `presentation` says that presentationUID is among them, which rules out the size, region and window.
    Raises BadRequest, which names the parameter.
    """
    found = _once(parameters, _WADO_URI)
    if presentation:
        for name in ("region", "windowCenter", "windowWidth", "rows", "columns"):
            if name in found:
                raise BadRequest(f"{name} cannot be given beside presentationUID (PS3.18 9.4.1.2)")
    if ("windowCenter" in found) != ("windowWidth" in found):
        raise BadRequest("windowCenter and windowWidth must be given together (PS3.18 9.4.1.2)")
    window = None
    if "windowCenter" in found:
        center, width = (_decimal(name, found[name]) for name in ("windowCenter", "windowWidth"))
        window = _checked("windowWidth", Window(center, width))
    name = "imageAnnotation" if "imageAnnotation" in found else "annotation"
    annotations, unsupported = _annotations(name, found.get(name))
    sizes = [_size(name, found[name]) if name in found else None for name in ("columns", "rows")]
    region = _relative_region(found["region"]) if "region" in found else Region()
    wanted = any(sizes) or "region" in found
    options = RenderOptions(
        viewport=Viewport(sizes[0], sizes[1], region) if wanted else None,
        window=window,
        annotations=annotations,
        profile=_profile(found.get("iccprofile"), media_type),
    )
    return Rendering(options, _quality("imageQuality", found.get("imageQuality")), unsupported)


def _once(parameters: Iterable[tuple[str, str]], names: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parameters:
        if name in found:
            raise BadRequest(f"{name} may be given once")
        if name in names:
            found[name] = value
    return found


def _decimal(name: str, text: str) -> float:
    value = float(text) if _DECIMAL.fullmatch(text.strip(" ")) else math.inf
    if not math.isfinite(value):
        raise BadRequest(f"{name} must be made of decimal numbers; not {text[:80]!r}")
    return value


def _size(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) == 0:
        raise BadRequest(f"{name} must have whole numbers from 1 for width and height; not {text[:80]!r}")
    return int(text)


def _quality(name: str, text: str | None) -> int:
    if text is None:
        return PICTURE_QUALITY
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= 100:
        raise BadRequest(f"{name} must be a whole number from 1 to 100; not {text[:80]!r}")
    return int(text)


def _viewport(text: str) -> Viewport:
    """`vw,vh` or `vw,vh,sx,sy,sw,sh`, of which the last four may be empty (PS3.18 8.3.5.1.3)."""
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise BadRequest(f"viewport is width,height or width,height,sx,sy,sw,sh; not {text[:80]!r}")
    width, height = (_size("viewport", part) for part in parts[:2])
    left, top, across, down = [_decimal("viewport", part) if part else None for part in parts[2:]] or [
        None
    ] * 4
    if (left or 0) < 0 or (top or 0) < 0:
        raise BadRequest(f"viewport: sx and sy must not be negative; not {text[:80]!r}")
    if across == 0 or down == 0:
        raise BadRequest(f"viewport: sw and sh must not be 0; not {text[:80]!r}")
    region = Region(
        left or 0.0,
        top or 0.0,
        None if across is None else abs(across),
        None if down is None else abs(down),
        mirrored=across is not None and across < 0,
        upside_down=down is not None and down < 0,
    )
    return Viewport(width, height, region)


def _relative_region(text: str) -> Region:
    """`xmin,ymin,xmax,ymax`, each from 0.0 to 1.0 of the image (PS3.18 9.4.1.2.6)."""
    parts = [_decimal("region", part) for part in text.split(",")]
    if len(parts) != 4 or not all(0 <= part <= 1 for part in parts):
        raise BadRequest(f"region is xmin,ymin,xmax,ymax, each from 0.0 to 1.0; not {text[:80]!r}")
    left, top, right, bottom = parts
    if left >= right or top >= bottom:
        raise BadRequest(f"region must begin before it ends; not {text[:80]!r}")
    return Region(left, top, right - left, bottom - top, relative=True)


def _window(text: str) -> Window:
    """`center,width,function`, all three (PS3.18 8.3.5.1.4)."""
    parts = text.split(",")
    if len(parts) != 3 or parts[2] not in _FUNCTIONS:
        raise BadRequest(
            f"window is center,width,function, the last one of {', '.join(_FUNCTIONS)}; not {text[:80]!r}"
        )
    center, width = (_decimal("window", part) for part in parts[:2])
    return _checked("window", Window(center, width, _FUNCTIONS[parts[2]]))


def _checked(name: str, window: Window) -> Window:
    """LINEAR wants a width of at least 1, the others one above 0 (PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    if window.width <= 0 or (window.function is VoiFunction.LINEAR and window.width < 1):
        least = "at least 1" if window.function is VoiFunction.LINEAR else "above 0"
        raise BadRequest(f"{name}: the width must be {least}; not {window.width:g}")
    return window


def _annotations(name: str, text: str | None) -> tuple[frozenset[Annotation], tuple[str, ...]]:
    """The known keywords, and the unknown ones in their order (PS3.18 8.3.5.1.1)."""
    if text is None:
        return frozenset(), ()
    words = text.split(",")
    if not all(_KEYWORD.fullmatch(word) for word in words):
        raise BadRequest(f"{name} must be keywords separated by commas; not {text[:80]!r}")
    known = {annotation.value: annotation for annotation in Annotation}
    return (
        frozenset(known[word] for word in words if word in known),
        tuple(dict.fromkeys(word for word in words if word not in known)),
    )


def _profile(text: str | None, media_type: str) -> ColourProfile:
    if text is None:
        return ColourProfile.NO
    try:
        wanted = ColourProfile(text)
    except ValueError:
        names = ", ".join(profile.value for profile in ColourProfile)
        raise BadRequest(f"iccprofile must be one of {names}; not {text[:80]!r}") from None
    if wanted is not ColourProfile.NO and media_type not in PROFILED_TYPES:
        raise BadRequest(f"iccprofile: {media_type} has no room for a profile (PS3.18 8.3.5.1.5)")
    return wanted
