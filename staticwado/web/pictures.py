"""Pictures and texts that workers make of instances, and the cache of what they made.

One rule: a task holds all that its result depends on, so that its key names the result.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import orjson

from staticwado.archive import Archive, decompress
from staticwado.dicom.content_values import Link, Reference
from staticwado.dicom.document import render_text
from staticwado.dicom.gif import FRAME_DURATION, gif_block
from staticwado.dicom.jsonvalues import Bulkdata, Dataset
from staticwado.dicom.picture import encode_picture
from staticwado.dicom.presentation import Presentation, parse_presentation
from staticwado.dicom.profile import output_profile
from staticwado.dicom.rendering import render_frame
from staticwado.dicomweb.rendering import Rendering
from staticwado.dicomweb.resource import Resource, View, format_path, is_bulkdata_id
from staticwado.errors import BrokenDicom, NotAcceptable, NotFound, StoreUnavailable, Unsupported
from staticwado.web.answer import Span
from staticwado.web.request import Wanted
from staticwado.web.responses import read_span

GIF = "image/gif"


@dataclass(frozen=True, slots=True)
class Place:
    """An instance as a worker finds it."""

    root: str
    """The folder of the archive."""
    resource: Resource
    """The metadata of the instance."""
    metadata: Span
    """Where they are; compressed."""

    @property
    def name(self) -> str:
        return f"instance {self.resource.instance}"


@dataclass(frozen=True, slots=True)
class PictureTask:
    """One frame as a picture."""

    place: Place
    number: int
    """From 1."""
    frame: Span
    transfer_syntax: str
    media_type: str
    rendering: Rendering
    state: Place | None = None
    """The presentation state to show it by."""
    duration: int = FRAME_DURATION
    """Milliseconds, in an animation."""
    block: bool = False
    """Whether a frame of an animation is wanted, not a whole GIF."""

    @property
    def key(self) -> str:
        """What tells the result from every other, in every process."""
        # A set has another order in each process.
        options = self.rendering.options
        words = sorted(annotation.value for annotation in options.annotations)
        plain = replace(options, annotations=frozenset())
        rendering = replace(self.rendering, options=plain, unsupported_annotations=())
        return f"{replace(self, rendering=rendering)} {words}"

    @property
    def name(self) -> str:
        return f"frame {self.number} of {self.place.name}"


@dataclass(frozen=True, slots=True)
class TextTask:
    """A report or a document as text."""

    place: Place
    media_type: str
    base: str
    """What stands before the UID of a study in links."""

    @property
    def key(self) -> str:
        return str(self)

    @property
    def name(self) -> str:
        return self.place.name


def made(wanted: Wanted, task: PictureTask | TextTask) -> bytes | Span:
    """The result of `task`: kept, or made now by a worker.

    Raises BadRequest for parameters that do not fit the image, NotAcceptable for what cannot be rendered, and
    StoreUnavailable.
    """
    key = task.key
    kept = wanted.results.get(key)
    return wanted.results.put(key, _worked(wanted, task)) if kept is None else kept


def made_bytes(wanted: Wanted, task: PictureTask | TextTask) -> bytes:
    """The bytes of `made`, whose errors it raises."""
    found = made(wanted, task)
    if isinstance(found, bytes):
        return found
    try:
        return read_span(found)
    except StoreUnavailable:
        return _worked(wanted, task)  # it was dropped to make room


def _worked(wanted: Wanted, task: PictureTask | TextTask) -> bytes:
    try:
        return wanted.workers.call(draw if isinstance(task, PictureTask) else write, task)
    except (Unsupported, BrokenDicom) as error:
        raise NotAcceptable(f"{task.name} cannot be rendered: {error}") from error


def draw(task: PictureTask) -> bytes:
    """One picture, or one frame of a GIF.

    Raises what `render_frame` raises, and StoreUnavailable.
    """
    place, options = task.place, task.rendering.options
    dataset, bulkdata = dataset_of(place), bulkdata_of(place)
    state = _state(task.state) if task.state is not None else None
    frame = read_span(task.frame)
    shown = render_frame(dataset, frame, task.transfer_syntax, task.number, bulkdata, options, state)
    if task.block:
        return gif_block(shown, task.duration)
    profile = output_profile(dataset, bulkdata, options.profile)
    return encode_picture([shown], task.media_type, task.rendering.quality, profile=profile)


def write(task: TextTask) -> bytes:
    """A report or a document in `task.media_type`. Raises NotAcceptable and StoreUnavailable."""
    place = task.place
    pieces = render_text(
        dataset_of(place), task.media_type, bulkdata=bulkdata_of(place), link=_linked(task.base)
    )
    return b"".join(pieces)


def _linked(base: str) -> Link:
    def link(reference: Reference) -> str | None:
        if not (reference.study and reference.series):
            return None
        leaf = Resource(
            View.RENDERED, reference.study, reference.series, reference.instance, reference.frames[:1]
        )
        return base + format_path(leaf).removeprefix("studies/")

    return link


def _state(place: Place) -> Presentation:
    return parse_presentation(dataset_of(place), bulkdata_of(place))


@lru_cache(maxsize=4)
def _dataset(metadata: Span, name: str) -> Dataset:
    try:
        found = orjson.loads(decompress(read_span(metadata), name))
    except orjson.JSONDecodeError as error:
        raise StoreUnavailable(f"the metadata of {name} are damaged: {error}") from error
    if not isinstance(found, list) or not found or not isinstance(found[0], dict):
        raise StoreUnavailable(f"the metadata of {name} are damaged")
    return found[0]


def dataset_of(place: Place) -> Dataset:
    """The metadata of an instance. Raises StoreUnavailable if they are damaged or were replaced."""
    return _dataset(place.metadata, place.name)


def bulkdata_of(place: Place) -> Bulkdata:
    """What gives the values that an instance's metadata refer to; raises StoreUnavailable."""

    def read(uri: str) -> bytes:
        address = uri.rpartition("bulkdata/")[2]
        if not is_bulkdata_id(address):
            raise StoreUnavailable(f"{place.name} refers to a value that is not kept: {uri[:100]!r}")
        archive = Archive.unchecked(place.root)
        try:
            return archive.read(Resource(View.BULKDATA, place.resource.study, bulkdata=address))
        except NotFound as error:
            raise StoreUnavailable(f"{place.name}: {error}") from error

    return read
