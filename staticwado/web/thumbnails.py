"""Thumbnails (PS3.18 10.4.1.1.4): the stored ones where they fit, else drawn for whoever asks.

One rule: nothing is written on a thumbnail, and none is larger than its image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from staticwado.archive import Archive
from staticwado.dicom.geometry import Viewport
from staticwado.dicom.jsonvalues import Dataset
from staticwado.dicom.pixels import image_pixel
from staticwado.dicom.render import THUMBNAIL_QUALITY, THUMBNAIL_SIZE, pixel_aspect
from staticwado.dicom.rendering import RenderOptions
from staticwado.dicom.resample import fitted_size
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.rendering import Rendering, parse_thumbnail
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotAcceptable, NotFound, StaticWadoError
from staticwado.web.answer import Answer, Later, etag_of, seconds_of
from staticwado.web.pictures import dataset_of
from staticwado.web.rendered import check_not_mixed, instances_of
from staticwado.web.rendered_part import picture_answer
from staticwado.web.request import Wanted
from staticwado.web.subjects import Shown, frame_count, place_of
from staticwado.web.wado import frame_of, loaded, missing, part_type, span_of

JPEG = "image/jpeg"
THUMBNAIL_TYPES = (JPEG, "image/png", "image/gif")
_STORED = Viewport(THUMBNAIL_SIZE, THUMBNAIL_SIZE)
_MOST_TRIED = 20
"""Instances of a series that are looked at for one that has an image."""


def thumbnail(archive: Archive, resource: Resource, wanted: Wanted) -> Answer | Later:
    """A small picture of a study, a series, an instance or frames, in a single part.

    That of a series is of the instance nearest to its middle, of an instance its middle frame, of several
    frames the first. Without `viewport` it fits into 256 by 256 pixels.

    Raises NotFound, which says why, for what has no image, NotAcceptable, BadRequest.
    """
    check_not_mixed(wanted.ranges)
    viewport = parse_thumbnail(wanted.parameters)
    media_type = choose(wanted.ranges, [Offer(name) for name in THUMBNAIL_TYPES]).media_type
    fits = viewport in (None, _STORED) and media_type == JPEG
    if fits and not resource.frames and (kept := _stored(archive, resource)) is not None:
        return kept

    def make() -> Answer:
        shown = _subject(archive, resource)
        if fits and resource.frames and _is_middle(archive, shown):
            kept = _stored(archive, replace(resource, frames=()))
            if kept is not None:
                return kept
        drawn = _drawn(archive, shown, viewport or _STORED, media_type, wanted)
        # Which instance stands for a series is for more than one file to say.
        return drawn if resource.instance is not None else replace(drawn, depends=None)

    return Later(make)


def _is_middle(archive: Archive, shown: Shown) -> bool:
    return shown.number == _middle(frame_count(archive, shown.place, dataset_of(shown.place)))


def _stored(archive: Archive, resource: Resource) -> Answer | None:
    """The thumbnail that is kept, if there is one."""
    located = archive.locate(resource)
    if located is None:
        return None
    return Answer(
        located.stored.media_type,
        loaded(span_of(located)),
        etag=etag_of(located.stat),
        modified=seconds_of(located.stat),
        vary="Accept",
        view="thumbnail",
        depends=(located.path, located.stat),
        absent=archive.pending_path(resource.study or "") if resource.instance is None else None,
    )


def _middle(frames: int) -> int:
    """The frame of which ingest makes a thumbnail."""
    return (frames + 1) // 2


def _drawn(archive: Archive, shown: Shown, viewport: Viewport, media_type: str, wanted: Wanted) -> Answer:
    options = RenderOptions(viewport=_within_image(viewport, dataset_of(shown.place), shown.number))
    try:
        return picture_answer(
            archive,
            shown,
            media_type,
            Rendering(options, THUMBNAIL_QUALITY),
            None,
            wanted,
            view="thumbnail",
        )
    except NotAcceptable as error:
        raise NotFound(f"there is no thumbnail: {error}") from error


def _within_image(viewport: Viewport, dataset: Dataset, number: int) -> Viewport:
    """`viewport`, but no larger than the image with its pixels evened out."""
    try:
        image = image_pixel(dataset)
    except StaticWadoError as error:
        raise NotFound(f"there is no thumbnail: {error}") from error
    largest = max(image.rows, image.columns)
    rows, columns = fitted_size(image.rows, image.columns, pixel_aspect(dataset, number), largest)
    return Viewport(min(viewport.width or columns, columns), min(viewport.height or rows, rows))


def _subject(archive: Archive, resource: Resource) -> Shown:
    """The frame that stands for `resource`. Raises NotFound, which says why there is none."""
    if resource.instance is not None:
        return _of_instance(archive, resource)
    reason: NotFound | None = None
    for instance in _likeliest(archive, resource):
        try:
            return _of_instance(archive, instance)
        except NotFound as error:
            reason = reason or error
    raise reason or missing(archive, replace(resource, view=View.METADATA))


def _of_instance(archive: Archive, resource: Resource) -> Shown:
    place = place_of(archive, resource)
    number = resource.frames[0] if resource.frames else 1
    try:
        frame = frame_of(archive, resource, number)
    except NotFound as error:
        if number > 1:
            raise
        raise NotFound(f"there is no thumbnail: {place.name} holds no image") from error
    if part_type(frame)[0].startswith("video/"):
        raise NotFound(f"there is no thumbnail: {place.name} is a video")
    if resource.frames:
        return Shown(place, number)
    return Shown(place, _middle(frame_count(archive, place, dataset_of(place))))


def _likeliest(archive: Archive, resource: Resource) -> Iterator[Resource]:
    """Instances of a series, or of each series of a study, those nearest to the middle first.

    As ingest does it: of those that have a thumbnail the one nearest to the middle, of the largest series.
    """
    if resource.study is None:
        return
    names = [resource.series] if resource.series else list(archive.series(resource.study))
    found = [list(instances_of(archive, replace(resource, series=series))) for series in names]
    largest = max(found, key=len, default=[])
    for instances in [largest, *(one for one in found if one is not largest)]:
        yield from _from_middle(archive, instances)


def _from_middle(archive: Archive, instances: Sequence[Resource]) -> Iterator[Resource]:
    count = len(instances)
    ordered = sorted(range(count), key=lambda index: (abs(2 * index - count + 1), index))
    kept = next((index for index in ordered if _has_thumbnail(archive, instances[index])), None)
    for index in ordered[:_MOST_TRIED] if kept is None else [kept]:
        yield instances[index]


def _has_thumbnail(archive: Archive, instance: Resource) -> bool:
    return archive.locate(replace(instance, view=View.THUMBNAIL)) is not None
