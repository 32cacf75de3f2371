"""Part 10 files given back byte for byte, from skeleton, frames and bulkdata (docs/layout.md, "Skeleton").

One rule: what is given back has the hash that the skeleton holds, or StoreUnavailable is raised.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicom.bit_frames import join_bit_frames
from staticwado.dicom.values import swap_words
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.ingest.skeleton import Skeleton, parse_skeleton

_CHUNK = 1 << 20


def read_part10(archive: Archive, study: str, series: str, instance: str) -> Iterator[bytes]:
    """The bytes of the file from which the instance was made, in order, in chunks.

    Raises NotFound if the archive does not hold the instance; StoreUnavailable if something of it is missing
    or
    damaged, which for a damaged frame is known only after the last chunk: the SHA-256 of the file is checked
    then.
    """
    resource = Resource(View.SKELETON, study, series, instance)
    skeleton = parse_skeleton(archive.read(resource))
    digest = hashlib.sha256()
    for chunk in _parts(_Frames(archive, resource), skeleton):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != skeleton.sha256:
        raise StoreUnavailable(
            f"the file of instance {instance} could not be put together: its hash is another"
        )


def _parts(frames: "_Frames", skeleton: Skeleton) -> Iterator[bytes]:
    position = 0
    for part in skeleton.parts:
        match part:
            case int(length):
                yield bytes(skeleton.raw[position : position + length])
                position += length
            case ["frames", int(first), int(last)] if skeleton.form:
                yield from _transformed(frames, range(first, last + 1), skeleton.form)
            case ["frames", int(first), int(last)]:
                for number in range(first, last + 1):
                    yield from frames.read(number)
            case ["frame", int(number), int(offset), int(length)]:
                yield from frames.read(number, offset, length)
            case ["bulkdata", str(address), int(length)]:
                yield from frames.read_value(address, length)
            case _:
                raise StoreUnavailable(f"a skeleton holds the unknown part {part!r:.80}")


class _Frames:
    """The kept bytes of one instance."""

    def __init__(self, archive: Archive, instance: Resource) -> None:
        self._archive = archive
        self._instance = instance

    def read(self, number: int, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A stretch of frame `number` (from 1), or all of it. Raises StoreUnavailable."""
        try:
            found = self._archive.frame(self._instance, number)
        except NotFound as error:
            raise StoreUnavailable(str(error)) from error
        stored = layout.resource_of(found.located.stored.key)
        if stored is not None:
            self._instance = self._instance.with_rendition(stored.rendition or "")
        if length is None:
            length = found.length
        yield from _read_file(found.located.path, found.offset + offset, length)

    def read_value(self, address: str, length: int) -> Iterator[bytes]:
        """A value kept as bulkdata. Raises StoreUnavailable."""
        located = self._archive.locate(Resource(View.BULKDATA, self._instance.study, bulkdata=address))
        if located is None:
            raise StoreUnavailable(f"the archive lost the bulkdata {address}")
        yield from _read_file(located.path, 0, length)


def _read_file(path: str, offset: int, length: int) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            while length:
                chunk = file.read(min(_CHUNK, length))
                if not chunk:
                    raise StoreUnavailable(f"{path} is {length} bytes too short")
                length -= len(chunk)
                yield chunk
    except OSError as error:
        raise StoreUnavailable(f"{path} could not be read: {error.strerror}") from error


def _transformed(frames: _Frames, numbers: range, form: dict[str, Any]) -> Iterator[bytes]:
    """The first `length` bytes of native frames as the file has them: without gaps, words in its byte
    order.
    """
    bits, word, left = int(form["bits"]), int(form["swap"]), int(form["length"])
    if bits % 8:
        joined = join_bit_frames((b"".join(frames.read(number)) for number in numbers), bits)
    else:
        joined = (chunk for number in numbers for chunk in frames.read(number))
    for chunk in _in_words(joined, word):
        yield chunk[:left]
        left -= min(left, len(chunk))
        if not left:
            return


def _in_words(chunks: Iterable[bytes], word: int) -> Iterator[bytes]:
    """`chunks` with the bytes of each word reversed; an incomplete last word is left out."""
    held = b""
    for chunk in chunks:
        held += chunk
        whole = len(held) - len(held) % word
        yield held[:whole] if word == 1 else bytes(swap_words(held[:whole], word))
        held = held[whole:]
