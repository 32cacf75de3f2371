"""Instances given back: which files there are below a resource, in which transfer syntaxes, and as one zip.

One rule: a stream ends with its last byte or with an exception; nobody may take a part for the whole.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol, cast

from staticwado.archive import Archive
from staticwado.dicom.newpixels import LONGEST, NewPixels
from staticwado.dicom.part10 import Part10, parse
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.rewrite import (
    explicit_little_endian,
    is_sendable,
    nests_fragments,
    peek_inflated,
    sent_syntax,
    with_frames,
)
from staticwado.dicom.sources import ByteSource
from staticwado.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BrokenDicom, NotDicom, NotFound, StoreUnavailable, Unsupported
from staticwado.ingest.rebuild import CheckedSource, Rebuilt
from staticwado.store.local import Stat

_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every member of a zip: equal instances are equal bytes."""
_UNIX = 3
_PERMISSIONS = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance that the archive can give back."""

    study: str
    series: str
    instance: str
    stat: Stat
    """Of its metadata, which are written once, with all else of the instance, and never changed."""

    @property
    def file_name(self) -> str:
        """Where it goes in a folder or a zip: made of UIDs, hence of digits and dots."""
        return f"{self.study}/{self.series}/{self.instance}.dcm"

    def rebuilt(self, archive: Archive) -> Rebuilt:
        """Its file. Raises StoreUnavailable."""
        try:
            return Rebuilt(archive, self.study, self.series, self.instance)
        except NotFound as error:
            raise StoreUnavailable(str(error)) from error


def kept_instances(archive: Archive, resource: Resource) -> Iterator[Kept]:
    """The instances of a study, a series, or the one instance, in the order of their UIDs."""
    study = resource.study or ""
    for series in archive.series(study) if resource.series is None else [resource.series]:
        named = resource.instance
        for instance in archive.instance_folders(study, series) if named is None else [named]:
            located = archive.locate(Resource(View.METADATA, study, series, instance))
            if located is not None:
                yield Kept(study, series, instance, located.stat)


class Frames(Protocol):
    """The frames of an instance, which can be had in other transfer syntaxes than that of its file."""

    def count(self) -> int:
        """How many there are."""
        ...

    def targets(self) -> tuple[str, ...]:
        """Transfer syntaxes in which they can be had, as far as can be known in advance."""
        ...

    def first(self, target: str) -> ImagePixel:
        """What they are in `target`. Raises Unsupported or BrokenDicom if the first cannot be had so."""
        ...

    def all(self, target: str) -> Iterator[bytes]:
        """All of them in `target`. Raises StoreUnavailable."""
        ...


class _AsStored:
    """Frames that can be had in no other transfer syntax."""

    def count(self) -> int:
        return 0

    def targets(self) -> tuple[str, ...]:
        return ()

    def first(self, target: str) -> ImagePixel:
        raise Unsupported(f"frames cannot be had in {target}")

    def all(self, target: str) -> Iterator[bytes]:
        raise StoreUnavailable(f"frames cannot be had in {target}")


class SentFile:
    """One instance as a web service may send it (PS3.18 8.7.3): as it is, in Explicit VR Little Endian, or
    with its frames in another transfer syntax.
    """

    def __init__(self, archive: Archive, kept: Kept, frames: Frames | None = None) -> None:
        """Without `frames`, what is compressed stays so. Raises StoreUnavailable."""
        self._name = kept.file_name
        self._rebuilt = kept.rebuilt(archive)
        part10 = self._part10 = self._parse(self._rebuilt)
        self._frames = frames or _AsStored()
        self._known: tuple[str, ...] | None = None
        self._images: dict[str, ImagePixel] = {}
        self.stored = part10.syntax.uid if is_sendable(part10) else sent_syntax(part10)
        """The transfer syntax in which it goes out where any will do: that of the file wherever possible."""

    @property
    def plain(self) -> str:
        """The transfer syntax in which it goes out where none is named: Explicit VR Little Endian, but for
        frames that are lossy, cannot be decoded, or have no room in a native value (PS3.18 8.7.3).
        """
        syntax = self._part10.syntax
        if syntax.encapsulated and not syntax.lossy and EXPLICIT_VR_LITTLE_ENDIAN in self._made:
            return EXPLICIT_VR_LITTLE_ENDIAN
        return sent_syntax(self._part10)

    @property
    def syntaxes(self) -> tuple[str, ...]:
        """The transfer syntaxes in which it can be had."""
        return tuple(dict.fromkeys((self.plain, self.stored, *self._made)))

    def prepare(self, syntax: str) -> bool:
        """Whether it can be had in `syntax`, as far as the first frame shows; if not, it is no longer in
        `syntaxes`. Raises StoreUnavailable.
        """
        if syntax in (self.stored, sent_syntax(self._part10)) or syntax in self._images:
            return True
        if syntax not in self._made:
            return False
        try:
            pixels = self._pixels(syntax, self._frames.first(syntax))
            if syntax == EXPLICIT_VR_LITTLE_ENDIAN and pixels.native_length > LONGEST:
                raise Unsupported("the frames are too long for one value")
            self._images[syntax] = pixels.image
        except (Unsupported, BrokenDicom):
            self._known = tuple(uid for uid in self._made if uid != syntax)
            return False
        return True

    def length(self, syntax: str) -> int | None:
        """Bytes of the file in one of `syntaxes`; None if that is not known before it is made."""
        return self._rebuilt.size if self._is_original(syntax) else None

    def chunks(self, syntax: str) -> Iterator[bytes]:
        """The file in one of `syntaxes`, for which `prepare` holds, in chunks.

        Raises StoreUnavailable, at the latest behind the last one.
        """
        if self._is_original(syntax):
            yield from self._rebuilt.checked()
            return
        checked = CheckedSource(self._rebuilt)
        try:
            part10 = self._parse(checked)
            if syntax in self._images:
                yield from with_frames(part10, self._pixels(syntax, self._images[syntax]))
            else:
                yield from explicit_little_endian(part10)
        except BrokenDicom as error:
            raise StoreUnavailable(f"{self._name} cannot be read: {error}") from error
        checked.finish()

    def _is_original(self, syntax: str) -> bool:
        return syntax == self._part10.syntax.uid and is_sendable(self._part10)

    @property
    def _made(self) -> tuple[str, ...]:
        """The transfer syntaxes for which frames have to be made; looked for when that is first asked."""
        if self._known is None:
            own = {self._part10.syntax.uid, sent_syntax(self._part10)}
            self._known = tuple(uid for uid in self._targets() if uid not in own)
        return self._known

    def _targets(self) -> tuple[str, ...]:
        part10 = self._part10
        possible = () if part10.deflated else self._frames.targets()
        try:
            return () if possible and nests_fragments(part10) else possible
        except BrokenDicom as error:
            raise StoreUnavailable(f"{self._name} cannot be read: {error}") from error

    def _pixels(self, syntax: str, image: ImagePixel) -> NewPixels:
        return NewPixels(syntax, image, self._frames.count(), partial(self._frames.all, syntax))

    def _parse(self, source: ByteSource) -> Part10:
        try:
            return parse(source, peek_inflated)
        except (NotDicom, BrokenDicom, Unsupported) as error:
            raise StoreUnavailable(f"{self._name} cannot be read: {error}") from error


class _Sink:
    """Takes what `zipfile` writes, and gives it on; has no position, so that nothing is written twice."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


def zip_stream(archive: Archive, instances: Iterable[Kept]) -> Iterator[bytes]:
    """A zip of the original files, in chunks.

    Members are stored: what deflating makes of them depends on the library and the machine, and equal
    instances are to be equal bytes.

    Raises StoreUnavailable as soon as an instance turns out to be missing or damaged.
    """
    sink = _Sink()
    # Left open when an exception ends it: a directory would make a whole zip of what was written so far.
    packed = zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED)
    for kept in instances:
        rebuilt = kept.rebuilt(archive)
        with packed.open(_member(kept.file_name, rebuilt.size), "w") as member:
            for chunk in rebuilt.checked():
                member.write(chunk)
                yield sink.taken()
    packed.close()
    yield sink.taken()


def _member(name: str, size: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _TIME)
    member.create_system = _UNIX
    member.external_attr = _PERMISSIONS
    member.file_size = size
    return member
