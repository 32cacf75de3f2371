"""Instances given back: which files there are below a resource, in which transfer syntaxes, and as one zip.

One rule: a stream ends with its last byte or with an exception; nobody may take a part for the whole.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from staticwado.archive import Archive
from staticwado.dicom.part10 import Part10, parse
from staticwado.dicom.rewrite import explicit_little_endian, is_sendable, peek_inflated, sent_syntax
from staticwado.dicom.sources import ByteSource
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


class SentFile:
    """One instance as a web service may send it (PS3.18 8.7.3): as it is, or in Explicit VR Little Endian."""

    def __init__(self, archive: Archive, kept: Kept) -> None:
        """Raises StoreUnavailable."""
        self._name = kept.file_name
        self._rebuilt = kept.rebuilt(archive)
        part10 = self._part10 = self._parse(self._rebuilt)
        self.stored = part10.syntax.uid if is_sendable(part10) else sent_syntax(part10)
        """The transfer syntax in which it goes out where any will do: that of the file wherever possible."""
        self.plain = sent_syntax(part10)
        """The transfer syntax in which it goes out where none is named: Explicit VR Little Endian, or that of
        the file if its frames are compressed."""

    @property
    def syntaxes(self) -> tuple[str, ...]:
        """The transfer syntaxes in which it can be had."""
        return tuple(dict.fromkeys((self.plain, self.stored)))

    def length(self, syntax: str) -> int | None:
        """Bytes of the file in one of `syntaxes`; None if that is not known before it is made."""
        return self._rebuilt.size if self._is_original(syntax) else None

    def _is_original(self, syntax: str) -> bool:
        return syntax == self._part10.syntax.uid and is_sendable(self._part10)

    def chunks(self, syntax: str) -> Iterator[bytes]:
        """The file in one of `syntaxes`, in chunks.

        Raises StoreUnavailable, at the latest behind the last one.
        """
        if self._is_original(syntax):
            yield from self._rebuilt.checked()
            return
        checked = CheckedSource(self._rebuilt)
        try:
            yield from explicit_little_endian(self._parse(checked))
        except BrokenDicom as error:
            raise StoreUnavailable(f"{self._name} cannot be read: {error}") from error
        checked.finish()

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
