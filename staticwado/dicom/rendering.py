"""One frame as a picture: the whole pipeline of a rendered resource (PS3.18 8.3.5.1, PS3.4 N.2).

One rule: crop and scale, modality, values of interest, presentation, shutter, colour space, graphics, and
annotation last.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.annotation import Annotation, annotated
from staticwado.dicom.codecs import DECODED_LIMIT, Decoded, decode_frame
from staticwado.dicom.colour import rgb
from staticwado.dicom.drawing import painted
from staticwado.dicom.geometry import Geometry, Viewport, fitted
from staticwado.dicom.graphics import drawn
from staticwado.dicom.grey import Grey, by_strips, grey, grey_of, with_range
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, first_number, numbers
from staticwado.dicom.lookup import LookupTable, palette, unpacked
from staticwado.dicom.overlay import groups_of, overlay, overlay_mask
from staticwado.dicom.pixels import ImagePixel, image_pixel, stored_values
from staticwado.dicom.presentation import (
    PSEUDO_COLOUR,
    Presentation,
    Presented,
    layer_of,
    presented,
    presented_grey,
    shown_overlays,
)
from staticwado.dicom.profile import ColourProfile, profiled
from staticwado.dicom.render import (
    interleaved,
    pixel_aspect,
    rounded,
    supplemental_palette,
    supplemented,
)
from staticwado.dicom.resample import resampled
from staticwado.dicom.shutter import covered
from staticwado.dicom.voi import Window
from staticwado.errors import BadRequest, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

_SCALING = 5
"""Bytes of a sample of the picture while it is scaled."""
_FRAME_TIME_VECTOR, _FRAME_TIME = "00181065", "00181063"
_FRAME_RATES = ("00082144", "00180040")


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What a client asks for; nothing of it: the image as its data set says, in its own size."""

    viewport: Viewport | None = None
    window: Window | None = None
    """Instead of the windows and VOI LUTs of the data set; colour has none."""
    annotations: frozenset[Annotation] = frozenset()
    profile: ColourProfile = ColourProfile.NO
    overlays: bool = False
    """All overlay planes of the image, white; a presentation state activates its own in any case."""


NO_OPTIONS = RenderOptions()


def render_frame(
    dataset: Dataset,
    frame: bytes,
    transfer_syntax: str,
    frame_number: int,
    bulkdata: Bulkdata,
    options: RenderOptions = NO_OPTIONS,
    presentation: Presentation | None = None,
    *,
    limit: int = DECODED_LIMIT,
) -> "Array":
    """One frame as an 8-bit picture: (rows, columns) grey or (rows, columns, 3) RGB.

    `dataset` is the DICOM JSON of the instance; `frame` is in `transfer_syntax` (native: little endian);
    `frame_number` is 1-based. `limit` is in bytes, for the decoded frame and for the picture each. With
    `options.profile` the samples are in the colour space that `profile.output_profile` describes.

    Raises BadRequest, naming the parameter, for a viewport that does not fit the image or the limit, for a
    window beside a presentation state, and for a presentation state of another image; Unsupported for video,
    colour spaces that cannot be shown and frames over the limit; BrokenDicom. What `bulkdata` raises passes
    through.
    """
    import numpy as np

    image = image_pixel(dataset)
    state = presented(presentation, dataset, frame_number) if presentation else None
    if state and options.window:
        raise BadRequest("window cannot be given beside a presentation state (PS3.18 8.3.5.1.4)")
    geometry = _geometry(dataset, image, frame_number, options.viewport, state)
    _check_room(geometry, image, options.viewport, limit)
    decoded = decode_frame(frame, transfer_syntax, image, limit=limit, to_rgb=True)
    # Infinities and values that are no numbers are legal in floating point pixels and end as black or white.
    with np.errstate(all="ignore"):
        picture = _toned(dataset, decoded, frame_number, bulkdata, options.window, geometry, state)
        picture = _shuttered(picture, image, frame_number, geometry, state)
    picture = profiled(picture, dataset, bulkdata, options.profile)
    for order in _drawings(dataset, decoded, frame_number, bulkdata, options, geometry, state):
        picture = order(picture)
    return annotated(picture, dataset, frame_number, options.annotations)


def _check_room(geometry: Geometry, image: ImagePixel, viewport: Viewport | None, limit: int) -> None:
    """Raise BadRequest or, where the client did not choose the size, Unsupported."""
    samples = 1 if image.photometric_interpretation.startswith("MONOCHROME") else 3
    scaled = (geometry.width, geometry.height) != (geometry.region.width, geometry.region.height)
    if geometry.width * geometry.height * samples * (_SCALING if scaled else 1) > limit:
        problem = f"a picture of {geometry.width} by {geometry.height} pixels needs more than {limit} bytes"
        raise BadRequest(f"viewport: {problem}") if viewport else Unsupported(problem)


def _geometry(
    dataset: Dataset, image: ImagePixel, number: int, viewport: Viewport | None, state: Presented | None
) -> Geometry:
    aspect = pixel_aspect(dataset, number)
    if state is None:
        return fitted(image.rows, image.columns, viewport, aspect)
    return fitted(
        image.rows,
        image.columns,
        viewport,
        state.aspect or aspect,
        state.area,
        state.state.turns,
        mirrored=state.state.mirrored,
    )


def _toned(
    dataset: Dataset,
    decoded: Decoded,
    number: int,
    bulkdata: Bulkdata,
    window: Window | None,
    geometry: Geometry,
    state: Presented | None,
) -> "Array":
    """The image in the picture's size and in 8 bits, nothing drawn on it."""
    image = decoded.image
    values = stored_values(decoded.array, image)
    if image.samples_per_pixel != 1:
        if image.photometric_interpretation == "HSV":  # The mean of two hues is any hue.
            return geometry.composed(values, _scaled_after(lambda part: rgb(part, image)))
        return geometry.composed(
            values, lambda part, rows, columns: _coloured(resampled(part, rows, columns), image)
        )
    if image.photometric_interpretation == "PALETTE COLOR":
        colours = palette(dataset, image, bulkdata)
        return geometry.composed(values, _scaled_after(lambda part: unpacked(colours(part))[..., :3]))
    if state is not None:
        pipeline = presented_grey(state, image)
        if state.state.sop_class == PSEUDO_COLOUR:
            colours = palette(state.state.dataset, image, state.state.bulkdata)
            return geometry.composed(values, _scaled_after(_pseudo(pipeline, colours, dataset, image)))
    else:
        pipeline = grey_of(dataset, image, number, bulkdata, window)
    pipeline = with_range(pipeline, values, dataset, image)
    if (supplement := supplemental_palette(dataset, image, bulkdata)) is not None:
        shown = supplemented(pipeline, supplement, dataset, image)
        return geometry.composed(values, _scaled_after(shown))
    if not pipeline.linear:
        return geometry.composed(values, _scaled_after(lambda part: grey(part, dataset, image, pipeline)))
    return geometry.composed(
        values, lambda part, rows, columns: grey(resampled(part, rows, columns), dataset, image, pipeline)
    )


def _coloured(samples: "Array", image: ImagePixel) -> "Array":
    return interleaved(by_strips(samples, lambda strip: rgb(strip, image)))


def _scaled_after(convert: "Callable[[Array], Array]") -> "Callable[[Array, int, int], Array]":
    """For values of which a mean means nothing: `convert` to 8 bits first, then scale."""

    def scaled(part: "Array", rows: int, columns: int) -> "Array":
        return interleaved(rounded(resampled(by_strips(part, convert), rows, columns)))

    return scaled


def _pseudo(
    pipeline: Grey, colours: LookupTable, dataset: Dataset, image: ImagePixel
) -> "Callable[[Array], Array]":
    """Greys as the colours of a table whose whole length they are spread over (PS3.4 N.2.3)."""
    import numpy as np

    def convert(part: "Array") -> "Array":
        shades = grey(part, dataset, image, pipeline).astype(np.float32)
        places = shades * ((len(colours.entries) - 1) / 255) + colours.first
        return unpacked(colours(places))[..., :3]

    return convert


def _shuttered(
    picture: "Array", image: ImagePixel, number: int, geometry: Geometry, state: Presented | None
) -> "Array":
    if state is None or state.state.shutter is None:
        return picture
    shutter = state.state.shutter
    hidden = covered(shutter, image, state.state.dataset, state.state.bulkdata, number)
    return painted(picture, _mask_in_picture(hidden, geometry), shutter.ink)


def _mask_in_picture(mask: "Array", geometry: Geometry) -> "Array":
    """A mask of the image in the picture: thin lines survive where it gets smaller."""
    import numpy as np

    def convert(part: "Array", rows: int, columns: int) -> "Array":
        if part.shape == (rows, columns):
            return part.astype(np.uint8)
        smaller = rows < part.shape[0] or columns < part.shape[1]
        return (resampled(part.view(np.uint8), rows, columns) >= (0.25 if smaller else 0.5)).astype(np.uint8)

    return geometry.composed(mask, convert).astype(bool)


def _drawings(
    dataset: Dataset,
    decoded: Decoded,
    number: int,
    bulkdata: Bulkdata,
    options: RenderOptions,
    geometry: Geometry,
    state: Presented | None,
) -> "Iterator[Callable[[Array], Array]]":
    """What to draw, the lowest layer first, as functions from picture to picture."""
    planned: list[tuple[int, Callable[[Array], Array]]] = []

    def plan_overlay(source: Dataset, group: str, values: Bulkdata, order: int, ink: Any) -> None:
        plane = overlay(source, group, decoded.image)
        if plane is None:
            return
        mask = overlay_mask(plane, decoded.image, number, decoded.array, values)
        if mask is not None:
            planned.append((order, lambda below: painted(below, _mask_in_picture(mask, geometry), ink)))

    if state is not None:
        own = set(groups_of(state.state.dataset))
        for layer, group in shown_overlays(state.state, sorted(own | set(groups_of(dataset)))):
            source, values = (
                (state.state.dataset, state.state.bulkdata) if group in own else (dataset, bulkdata)
            )
            plan_overlay(source, group, values, layer.order, layer.ink)
        for name, annotation in state.annotations:
            layer = layer_of(state.state, name)
            planned.append((layer.order, _drawing(annotation, geometry, layer.ink)))
    elif options.overlays:
        for group in groups_of(dataset):
            plan_overlay(dataset, group, bulkdata, 0, 255)
    return (draw for _, draw in sorted(planned, key=lambda entry: entry[0]))


def _drawing(annotation: Dataset, geometry: Geometry, ink: Any) -> "Callable[[Array], Array]":
    return lambda below: drawn(below, annotation, geometry, ink)


def frame_durations(dataset: Dataset, frame_numbers: Iterable[int]) -> Sequence[int]:
    """How long each frame (1-based) is shown, in milliseconds; empty where the data set does not say.

    Frame Time Vector, Frame Time, Recommended Display Frame Rate or Cine Rate (PS3.3 C.7.6.5, C.7.6.6).
    """
    wanted = list(frame_numbers)
    vector = numbers(dataset, _FRAME_TIME_VECTOR)
    if vector and max(wanted, default=0) <= len(vector):
        # Each value is the time since the frame before: a frame stays until the next one comes.
        following = [*vector[1:], vector[-1]]
        return [max(round(following[number - 1]), 0) for number in wanted]
    time = first_number(dataset, _FRAME_TIME)
    if not time or time <= 0:
        rates = (first_number(dataset, tag) for tag in _FRAME_RATES)
        time = next((1000 / rate for rate in rates if rate and rate > 0), None)
    return [round(time)] * len(wanted) if time else []
