"""Softcopy presentation states (PS3.3 A.33, C.11.8 and following): how one image is to be shown.

One rule: a presentation state takes the place of what the image says about its display, also where it is
silent (PS3.4 N.2).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staticwado.dicom.geometry import Box
from staticwado.dicom.graphics import Layer, annotations_of, check_amount, layers_of
from staticwado.dicom.grey import Grey, interest_of, modality_of
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, first_integer, item, numbers, text, values
from staticwado.dicom.lookup import LookupTable, lookup_table
from staticwado.dicom.overlay import activation_layer
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.shutter import Shutter, shutter_of
from staticwado.errors import BadRequest, BrokenDicom, Unsupported

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

GREYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOUR = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOUR = "1.2.840.10008.5.1.4.1.1.11.3"
XA_XRF_GREYSCALE = "1.2.840.10008.5.1.4.1.1.11.5"
PRESENTATION_CLASSES = frozenset((GREYSCALE, COLOUR, PSEUDO_COLOUR, XA_XRF_GREYSCALE))
"""The SOP Classes that can be applied."""

_SOP_CLASS, _SOP_INSTANCE = "00080016", "00080018"
_SERIES, _IMAGES = "00081115", "00081140"
_INSTANCE, _FRAMES = "00081155", "00081160"
_VOI, _AREAS, _MASK = "00283110", "0070005A", "00286100"
_TOP_LEFT, _BOTTOM_RIGHT = "00700052", "00700053"
_SPACING, _ASPECT = "00700101", "00700102"
_FLIP, _ROTATION = "00700041", "00700042"
_LUT_SHAPE, _LUT = "20500020", "20500010"


@dataclass(frozen=True, slots=True)
class Presentation:
    """One presentation state; what differs by image is looked up for each (`presented`)."""

    instance: str
    sop_class: str
    references: dict[str, frozenset[int]]
    """The SOP Instance UIDs that it is about, and their frames; none means all."""
    turns: int
    """Quarters of a turn, clockwise, before `mirrored`."""
    mirrored: bool
    shutter: Shutter | None
    layers: dict[str, Layer]
    dataset: Dataset
    bulkdata: Bulkdata


@dataclass(frozen=True, slots=True)
class Presented:
    """What a presentation state says of one frame."""

    state: Presentation
    interest: Dataset
    """The item of Softcopy VOI LUT Sequence; empty where all values are of interest."""
    area: Box | None
    aspect: float | None
    """The height of a pixel over its width."""
    annotations: tuple[tuple[str, Dataset], ...]


def parse_presentation(dataset: Dataset, bulkdata: Bulkdata) -> Presentation:
    """The presentation state that a DICOM JSON data set is; `bulkdata` gives its own values.

    Raises Unsupported for another SOP Class, a mask to subtract or a rotation by parts of a quarter,
    BrokenDicom for one that references no image.
    """
    sop_class = text(dataset, _SOP_CLASS)
    if sop_class not in PRESENTATION_CLASSES:
        raise Unsupported(f"SOP Class {sop_class} is no presentation state that can be applied")
    if values(dataset, _MASK):
        raise Unsupported("a presentation state with Mask Subtraction Sequence (0028,6100)")
    rotation = first_integer(dataset, _ROTATION) or 0
    if rotation % 90:
        raise Unsupported(f"Image Rotation (0070,0042) is {rotation}")
    references: dict[str, frozenset[int]] = {}
    for series in _items(dataset, _SERIES):
        references |= _references(series)
    if not references:
        raise BrokenDicom("Referenced Series Sequence (0008,1115) of a presentation state names no image")
    colour = sop_class in (COLOUR, PSEUDO_COLOUR)
    return Presentation(
        text(dataset, _SOP_INSTANCE),
        sop_class,
        references,
        rotation // 90 % 4,
        text(dataset, _FLIP) == "Y",
        shutter_of(dataset, colour=colour),
        layers_of(dataset, colour=colour),
        dataset,
        bulkdata,
    )


def _items(dataset: Dataset, tag: str) -> Iterator[Dataset]:
    return (entry for entry in values(dataset, tag) if isinstance(entry, dict))


def _references(dataset: Dataset) -> dict[str, frozenset[int]]:
    """SOP Instance UIDs of Referenced Image Sequence, and the frames of each; none means all."""
    found: dict[str, frozenset[int]] = {}
    for entry in _items(dataset, _IMAGES):
        frames = frozenset(int(number) for number in numbers(entry, _FRAMES))
        instance = text(entry, _INSTANCE)
        # Named twice, once for all its frames and once for some: it is all of them.
        found[instance] = found[instance] | frames if found.get(instance) and frames else frames
    return found


def _is_about(references: dict[str, frozenset[int]], instance: str, frame_number: int) -> bool:
    frames = references.get(instance)
    return frames is not None and (not frames or frame_number in frames)


def _for_frame(state: Dataset, tag: str, instance: str, frame_number: int) -> Dataset:
    """The first item that names the frame, else the first that names no image at all; else nothing."""
    general: Dataset = {}
    for entry in _items(state, tag):
        references = _references(entry)
        if _is_about(references, instance, frame_number):
            return entry
        if not references and not general:
            general = entry
    return general


def presented(state: Presentation, dataset: Dataset, frame_number: int) -> Presented:
    """What `state` says of one frame (1-based) of the image `dataset`.

    Raises BadRequest when it is not about that image or frame, Unsupported when it has too much to draw.
    """
    instance = text(dataset, _SOP_INSTANCE)
    if not _is_about(state.references, instance, frame_number):
        raise BadRequest(
            f"presentation state {state.instance} is not about frame {frame_number} of instance {instance}"
        )
    shown = _for_frame(state.dataset, _AREAS, instance, frame_number)
    annotations = tuple(
        (layer, entry)
        for layer, entry in annotations_of(state.dataset)
        if not (references := _references(entry)) or _is_about(references, instance, frame_number)
    )
    check_amount(entry for _, entry in annotations)
    return Presented(
        state,
        _for_frame(state.dataset, _VOI, instance, frame_number),
        _area(shown),
        _aspect(shown),
        annotations,
    )


def _area(shown: Dataset) -> Box | None:
    """Displayed Area Selection: corners from 1, the second one in it; which is which depends on the turn."""
    start, end = numbers(shown, _TOP_LEFT), numbers(shown, _BOTTOM_RIGHT)
    if len(start) < 2 or len(end) < 2:
        return None
    return Box(
        min(start[0], end[0]) - 1,
        min(start[1], end[1]) - 1,
        max(start[0], end[0]),
        max(start[1], end[1]),
    )


def _aspect(shown: Dataset) -> float | None:
    for tag in (_SPACING, _ASPECT):
        found = numbers(shown, tag)
        if len(found) >= 2 and found[0] > 0 and found[1] > 0:
            return found[0] / found[1]
    return None


def presented_grey(frame: Presented, image: ImagePixel) -> Grey:
    """The grey scale pipeline; what the presentation state does not say is left out.

    MONOCHROME1 does not invert: the presentation LUT says which end is white. What bulkdata raises passes
    through.
    """
    state = frame.state.dataset
    slope, intercept, modality = modality_of(state, state, image, frame.state.bulkdata)
    # The modality transformation may give the values another sign than they are stored with.
    signed = modality is None and (image.pixel_representation == 1 or intercept < 0)
    window, voi = interest_of(frame.interest, image, frame.state.bulkdata, signed=signed)
    return Grey(
        slope,
        intercept,
        modality,
        window,
        voi,
        inverted=text(state, _LUT_SHAPE) == "INVERSE",
        range=(float(image.smallest), float(image.largest)),
        presentation=_presentation_lut(frame.state),
    )


def _presentation_lut(state: Presentation) -> LookupTable | None:
    table = lookup_table(item(state.dataset, _LUT), state.bulkdata, signed=False)
    return table if table is not None and len(table.entries) > 1 else None


def layer_of(state: Presentation, name: str) -> Layer:
    """The layer of that name; one that is not in the list is white and on top."""
    return state.layers.get(name) or Layer(name, 1 << 31, 255)


def shown_overlays(state: Presentation, groups: Iterable[str]) -> Iterator[tuple[Layer, str]]:
    """Of `groups`, those that the presentation state activates, and their layers."""
    for group in groups:
        if name := activation_layer(state.dataset, group):
            yield layer_of(state, name), group
