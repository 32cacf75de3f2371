"""The kept bytes of one instance: its frames and its values, read in stretches.

One rule: whatever is missing, too short or does not decode is StoreUnavailable; nothing comes back short.
"""

from collections.abc import Iterator

from staticwado import layout
from staticwado.archive import Archive, FrameLocation
from staticwado.dicom.encoders import native_frame
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BrokenDicom, NotFound, StoreUnavailable, Unsupported
from staticwado.ingest.skeleton import Transcoded

CHUNK = 1 << 20


class KeptFrames:
    """The frames of one instance, by number from 1, as its skeleton speaks of them: decoded if transcoded."""

    def __init__(self, archive: Archive, instance: Resource, transcoded: Transcoded | None) -> None:
        self._archive = archive
        self._instance = instance
        self._transcoded = transcoded
        self._located: tuple[int, FrameLocation] | None = None
        self._decoded: tuple[int, bytes] = (0, b"")

    def length(self, number: int) -> int:
        """Bytes of a frame. Raises StoreUnavailable."""
        if self._transcoded is not None:
            return self._transcoded.image.frame_length
        return self._locate(number).length

    def read(self, number: int, offset: int, length: int) -> Iterator[bytes]:
        """A stretch of a frame, in chunks. Raises StoreUnavailable."""
        if self._transcoded is None:
            found = self._locate(number)
            available = found.length
        else:
            data = self._decode(number, self._transcoded)
            available = len(data)
        if offset + length > available:
            raise StoreUnavailable(f"{self._name(number)} has {available} bytes, not {offset + length}")
        if self._transcoded is None:
            yield from read_file(found.located.path, found.offset + offset, length)
        else:
            yield data if length == available else data[offset : offset + length]

    def _name(self, number: int) -> str:
        return f"frame {number} of instance {self._instance.instance}"

    def _locate(self, number: int) -> FrameLocation:
        if self._located is not None and self._located[0] == number:
            return self._located[1]
        try:
            found = self._archive.frame(self._instance, number)
        except NotFound as error:
            raise StoreUnavailable(str(error)) from error
        stored = layout.resource_of(found.located.stored.key)
        if stored is not None:  # the other frames have the same form: look there first
            self._instance = self._instance.with_rendition(stored.rendition or "")
        self._located = (number, found)
        return found

    def _decode(self, number: int, transcoded: Transcoded) -> bytes:
        """The native bytes of a transcoded frame; the last one stays in memory."""
        if self._decoded[0] == number:
            return self._decoded[1]
        self._decoded = (0, b"")
        found = self._locate(number)
        data = b"".join(read_file(found.located.path, found.offset, found.length))
        try:
            native = native_frame(data, transcoded.syntax, transcoded.image)
        except (BrokenDicom, Unsupported) as error:
            raise StoreUnavailable(f"{self._name(number)} could not be decoded: {error}") from error
        self._decoded = (number, native)
        return native


class KeptValues:
    """The values of a study that are kept as bulkdata."""

    def __init__(self, archive: Archive, study: str) -> None:
        self._archive = archive
        self._study = study

    def read(self, address: str, offset: int, length: int) -> Iterator[bytes]:
        """A stretch of a value, in chunks. Raises StoreUnavailable."""
        located = self._archive.locate(Resource(View.BULKDATA, self._study, bulkdata=address))
        if located is None:
            raise StoreUnavailable(f"the archive lost the bulkdata {address}")
        yield from read_file(located.path, offset, length)


def read_file(path: str, offset: int, length: int) -> Iterator[bytes]:
    """A stretch of a file, in chunks. Raises StoreUnavailable."""
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            while length:
                chunk = file.read(min(CHUNK, length))
                if not chunk:
                    raise StoreUnavailable(f"{path} is {length} bytes too short")
                length -= len(chunk)
                yield chunk
    except OSError as error:
        raise StoreUnavailable(f"{path} could not be read: {error.strerror}") from error
