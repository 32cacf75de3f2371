"""What there is to render of a study, a series, an instance or its frames (PS3.18 10.4.1.1.3, 8.7.2, 8.7.4).

One rule: what an instance can be rendered as is decided here, once for all ways to ask for it.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import islice

from staticwado.archive import Archive
from staticwado.dicom.document import Category, category, offers
from staticwado.dicom.gif import FRAME_DURATION
from staticwado.dicom.jsonvalues import Dataset, first_integer, text, values
from staticwado.dicom.picture import PICTURE_TYPES
from staticwado.dicom.presentation import PRESENTATION_CLASSES, Presentation, parse_presentation
from staticwado.dicom.rendering import frame_durations
from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BrokenDicom, NotAcceptable, NotFound, Unsupported
from staticwado.web.pictures import GIF, Place, bulkdata_of, dataset_of
from staticwado.web.wado import frame_of, missing, part_type, span_of

MOST_PICTURES = 1000
"""Pictures that one answer may be made of."""
MOST_ANIMATED = 500
"""Frames that one GIF may have."""
_SOP_CLASS, _FRAMES = "00080016", "00280008"
_SERIES_ITEMS, _IMAGES = "00081115", "00081140"
_SERIES, _INSTANCE = "0020000E", "00081155"


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame of an image, and how long an animation shows it."""

    place: Place
    number: int
    duration: int = FRAME_DURATION
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An instance, or some of its frames, that can be rendered."""

    place: Place
    category: Category
    single: tuple[str, ...]
    """Media types of it in a single part, the default first."""
    several: tuple[str, ...]
    """Media types of the parts in which a multipart may hold it, the default first."""
    pictures: tuple[Shown, ...] = ()
    state: Place | None = None
    """The presentation state that it is, or is to be shown by."""
    absent: tuple[int, ...] = ()
    """Frames that were asked for and are not there."""

    @property
    def animated(self) -> bool:
        """Whether a GIF of it has all its frames."""
        return self.category is Category.MULTI_FRAME_IMAGE and GIF in self.single


def place_of(archive: Archive, resource: Resource) -> Place:
    """Where an instance lies. Raises NotFound, which says what is missing."""
    instance = Resource(View.METADATA, resource.study, resource.series, resource.instance)
    located = archive.locate(instance)
    if located is None:
        raise missing(archive, instance)
    return Place(archive.root, instance, span_of(located))


def frames_of(archive: Archive, resource: Resource) -> Subject:
    """The frames that a path names, one or several, as far as they are there.

    Raises NotFound if none of them is, and NotAcceptable.
    """
    place = place_of(archive, resource)
    shown: list[Shown] = []
    absent: list[int] = []
    for number in resource.frames:
        try:
            kind = part_type(frame_of(archive, resource, number))[0]
        except NotFound:
            absent.append(number)
            if not shown and number == resource.frames[-1]:
                raise
            continue
        if kind.startswith("video/"):
            raise NotAcceptable(f"{kind} has no frames that can be rendered one by one; the instance can be")
        shown.append(Shown(place, number))
    single = PICTURE_TYPES if len(resource.frames) == 1 else ()
    return Subject(
        place, Category.SINGLE_FRAME_IMAGE, single, PICTURE_TYPES, tuple(shown), absent=tuple(absent)
    )


def instance_of(archive: Archive, resource: Resource) -> Subject:
    """An instance, whatever it is.

    Raises NotFound if it is not there, NotAcceptable, which says why, if it cannot be rendered.
    """
    place = place_of(archive, resource)
    dataset = dataset_of(place)
    if text(dataset, _SOP_CLASS) in PRESENTATION_CLASSES:
        return presentation_of(archive, place)
    if video := _video(archive, resource):
        return Subject(place, Category.VIDEO, (video,), (video,))
    types, kind = offers(dataset), category(dataset)
    if kind is Category.TEXT:
        return Subject(place, kind, types, types)
    return image_of(archive, place, dataset)


def image_of(archive: Archive, place: Place, dataset: Dataset) -> Subject:
    """All frames of an image, but no more than one beyond `MOST_PICTURES`. Raises NotFound without any."""
    count = frame_count(archive, place, dataset)
    if count == 1:
        pictures = (Shown(place, 1),)
        return Subject(place, Category.SINGLE_FRAME_IMAGE, PICTURE_TYPES, PICTURE_TYPES, pictures)
    wanted = range(1, min(count, MOST_PICTURES + 1) + 1)
    durations = frame_durations(dataset, wanted) or [FRAME_DURATION] * len(wanted)
    shown = tuple(Shown(place, number, time) for number, time in zip(wanted, durations, strict=True))
    single = (GIF,) if count <= MOST_ANIMATED else ()
    # In a multipart a GIF holds all frames, too; the other types take one part a frame.
    several = tuple(name for name in PICTURE_TYPES if name != GIF or single)
    return Subject(place, Category.MULTI_FRAME_IMAGE, single, several, shown)


def frame_count(archive: Archive, place: Place, dataset: Dataset) -> int:
    """How many frames an image has: as many as it says, if they are there. Raises NotFound for none."""
    said = first_integer(dataset, _FRAMES) or 1
    frame_of(archive, place.resource, 1)
    try:
        frame_of(archive, place.resource, said)
    except NotFound:
        return next(number for number in range(2, said + 1) if not _has_frame(archive, place, number)) - 1
    return said


def _has_frame(archive: Archive, place: Place, number: int) -> bool:
    try:
        frame_of(archive, place.resource, number)
    except NotFound:
        return False
    return True


def _video(archive: Archive, resource: Resource) -> str | None:
    """The media type of an instance that is a video."""
    try:
        kind, _ = part_type(archive.frame(replace(resource, view=View.FRAMES), 1))
    except NotFound:
        return None
    return kind if kind.startswith("video/") else None


def presentation_of(archive: Archive, place: Place) -> Subject:
    """The images that a presentation state is about, as far as they are in the archive (PS3.18 10.4.1.1.3).

    Raises NotAcceptable for a presentation state that cannot be applied, NotFound if none of its images is
    there.
    """
    state = state_of(place)
    shown: list[Shown] = []
    for instance, wanted in state.references.items():
        shown += islice(_shown_by(archive, place, instance, wanted), MOST_PICTURES + 1 - len(shown))
    if not shown:
        raise NotFound(
            f"presentation {place.name} is about {len(state.references)} images, none of which is here"
        )
    single = PICTURE_TYPES if len(shown) == 1 else ()
    return Subject(place, Category.OTHER, single, PICTURE_TYPES, tuple(shown), state=place)


def state_of(place: Place) -> Presentation:
    """A presentation state. Raises NotAcceptable, which says why, for one that cannot be applied."""
    try:
        return parse_presentation(dataset_of(place), bulkdata_of(place))
    except (Unsupported, BrokenDicom) as error:
        raise NotAcceptable(f"presentation {place.name} cannot be applied: {error}") from error


def _shown_by(archive: Archive, state: Place, instance: str, wanted: Set[int]) -> Iterator[Shown]:
    """The frames of one image that a presentation state is about, all of them if it names none."""
    image = image_by_state(archive, state, instance)
    if image is None:
        return
    try:
        count = frame_count(archive, image, dataset_of(image))
    except NotFound:
        return
    for number in sorted(wanted) or range(1, count + 1):
        if 1 <= number <= count:
            yield Shown(image, number)


def image_by_state(archive: Archive, state: Place, instance: str) -> Place | None:
    """An image that a presentation state names: in the series that it says, or elsewhere in the study."""
    study = state.resource.study
    if study is None or not is_uid(instance):
        return None
    said = (
        text(series, _SERIES)
        for series in _items(dataset_of(state), _SERIES_ITEMS)
        if any(text(image, _INSTANCE) == instance for image in _items(series, _IMAGES))
    )
    for series in dict.fromkeys((*filter(is_uid, said), *archive.series(study))):
        if archive.exists(study, series, instance):
            return place_of(archive, Resource(View.METADATA, study, series, instance))
    return None


def _items(dataset: Dataset, tag: str) -> Iterator[Dataset]:
    return (entry for entry in values(dataset, tag) if isinstance(entry, dict))
