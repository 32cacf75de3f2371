"""Frames in other transfer syntaxes than the one in which they are kept: made when they are asked for.

One rule: codecs run in worker processes only; what they made is kept, and is asked for there first.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

import orjson

from staticwado import __version__
from staticwado.archive import Archive, FrameLocation
from staticwado.dicom.pixels import ImagePixel, SampleKind, image_pixel
from staticwado.dicom.transcoding import JPEG_BASELINE, Made, targets, transcode
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM
from staticwado.dicomweb.multipart import BOUNDARY
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BrokenDicom, StoreUnavailable, Unsupported
from staticwado.web.answer import Span, etag_of
from staticwado.web.request import Wanted
from staticwado.web.responses import read_span
from staticwado.web.wado import all_frames, dataset_of, missing, part_type, payload

_LARGE = 16 << 10
"""Bytes of compressed metadata that are not read for every frame."""
_BOUNDARY = BOUNDARY.encode()


@dataclass(frozen=True, slots=True)
class FrameMaker:
    """Makes the frames of one instance, which are kept in the transfer syntax `stored`."""

    archive: Archive
    resource: Resource
    """The instance, or anything of it."""
    wanted: Wanted
    stored: str

    def image(self) -> ImagePixel:
        """What the metadata say of the frames.

        Raises NotFound, StoreUnavailable, and Unsupported where they do not say it.
        """
        resource = self.resource
        metadata = Resource(View.METADATA, resource.study, resource.series, resource.instance)
        located = self.archive.locate(metadata)
        if located is None:
            raise missing(self.archive, metadata)
        key = f"image pixel {located.stored.key} {etag_of(located.stat)}"
        kept = self.wanted.results.get(key)
        if kept is not None:
            # The metadata of a multi-frame image can be many megabytes.
            with suppress(StoreUnavailable):  # it may have been dropped to make room
                return _parsed(read_span(kept))
        image = image_pixel(dataset_of(self.archive, resource))
        if located.stat.size > _LARGE:
            self.wanted.results.put(key, orjson.dumps(asdict(image)))
        return image

    def targets(self) -> tuple[str, ...]:
        """The transfer syntaxes into which the frames can be brought, as far as the metadata say."""
        try:
            return targets(self.stored, self.image())
        except Unsupported:
            return ()

    def make(self, frame: FrameLocation, target: str) -> Span | bytes:
        """One frame in `target`. Raises Unsupported, BrokenDicom, NotFound or StoreUnavailable."""
        key = self._key(frame, target)
        kept = self.wanted.results.get(key)
        if kept is not None:
            return kept
        return self.wanted.results.put(key, self.describe(frame, target).data)

    def data(self, frame: FrameLocation, target: str) -> bytes:
        """The bytes of `make`."""
        made = self.make(frame, target)
        if isinstance(made, bytes):
            return made
        try:
            return read_span(made)
        except StoreUnavailable:
            return self.describe(frame, target).data  # it was dropped to make room

    def describe(self, frame: FrameLocation, target: str) -> Made:
        """One frame in `target`, made in any case, with what its data set must say of it.

        Raises as `make`.
        """
        call = self.wanted.workers.call
        return call(make_frame, payload(frame), self.stored, self.image(), target)

    def described(self, frame: FrameLocation, target: str) -> ImagePixel:
        """What the data set must say of a frame in `target`, which is kept, too. Raises as `make`."""
        results = self.wanted.results
        key = f"image pixel of {self._key(frame, target)}"
        kept = results.get(key)
        if kept is not None:
            with suppress(StoreUnavailable):  # it may have been dropped to make room
                return _parsed(read_span(kept))
        made = self.describe(frame, target)
        results.put(self._key(frame, target), made.data)
        results.put(key, orjson.dumps(asdict(made.image)))
        return made.image

    def etag(self, frames: list[FrameLocation], target: str, form: str) -> str:
        """The entity tag of a body made of frames in `target`: equal for equal bytes, whoever made them."""
        digest = hashlib.blake2b(f"{__version__} {target} {form}".encode(), digest_size=16)
        for frame in frames:
            digest.update(etag_of(frame.located.stat).encode())
        return f'"{digest.hexdigest()}"'

    def _key(self, frame: FrameLocation, target: str) -> str:
        return f"frame {frame.located.stored.key} {etag_of(frame.located.stat)} {target}"


class InstanceFrames:
    """The frames of one instance for `ingest.export.SentFile`: lossless, or decoded."""

    def __init__(self, archive: Archive, resource: Resource, wanted: Wanted) -> None:
        self._archive, self._resource = archive, resource
        first = next(all_frames(archive, resource), None)
        self._first = first
        media_type, syntax = part_type(first) if first is not None else (OCTET_STREAM, None)
        if syntax is None and media_type == OCTET_STREAM:
            syntax = EXPLICIT_VR_LITTLE_ENDIAN
        self._maker = FrameMaker(archive, resource, wanted, syntax or "")

    def count(self) -> int:
        return sum(1 for _ in all_frames(self._archive, self._resource))

    def targets(self) -> tuple[str, ...]:
        if self._first is None:
            return ()
        made = tuple(uid for uid in self._maker.targets() if uid != JPEG_BASELINE)
        return (self._maker.stored, *made) if made else ()

    def first(self, target: str) -> ImagePixel:
        if self._first is None:
            raise Unsupported("there is no frame")
        if target == self._maker.stored:
            return self._maker.image()
        return self._maker.described(self._first, target)

    def all(self, target: str) -> Iterator[bytes]:
        maker = self._maker
        for frame in all_frames(self._archive, self._resource):
            try:
                yield (read_span(payload(frame)) if target == maker.stored else maker.data(frame, target))
            except (Unsupported, BrokenDicom) as error:
                name = frame.located.stored.key
                raise StoreUnavailable(f"{name} cannot be brought into {target}: {error}") from error


def _parsed(data: bytes) -> ImagePixel:
    values = orjson.loads(data)
    return ImagePixel(**{**values, "kind": SampleKind(values["kind"])})


def make_frame(span: Span, stored: str, image: ImagePixel, target: str) -> Made:
    """What a worker does. Raises Unsupported, BrokenDicom or StoreUnavailable."""
    made = transcode(read_span(span), stored, image, target)
    if _BOUNDARY in made.data:
        raise Unsupported("the frame holds the boundary of multipart answers")
    return made
