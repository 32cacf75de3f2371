"""Part 10 files given back byte for byte, from skeleton, frames and bulkdata (docs/layout.md, "Skeleton").

One rule: what is given back has the hash that the skeleton holds, or StoreUnavailable is raised.
"""

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from staticwado.archive import Archive
from staticwado.dicom.values import swap_words
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable
from staticwado.ingest.kept import CHUNK, KeptFrames, KeptValues
from staticwado.ingest.skeleton import Skeleton, parse_skeleton, transcoded_of

_SHIFT_CHUNK = 1 << 16
"""Bytes put together at once where frames end inside a byte: the shifting costs more the longer they are."""

_Read = Callable[[int, int], Iterator[bytes]]
"""Exactly `length` bytes of one part of the file from `offset` on, in chunks; or StoreUnavailable."""


def read_part10(archive: Archive, study: str, series: str, instance: str) -> Iterator[bytes]:
    """The bytes of the file from which the instance was made, in order, in chunks.

    Raises NotFound if the archive does not hold the instance; StoreUnavailable if something of it is missing
    or damaged, which for a damaged frame is known only at the end: the last chunk is given when the SHA-256
    of the file has been checked.
    """
    yield from Rebuilt(archive, study, series, instance).checked()


class Rebuilt:
    """The file from which an instance was made, as a source (`dicom.sources.ByteSource`).

    It is put together where it is read, and lies nowhere; of its frames at most one is in memory.
    """

    def __init__(self, archive: Archive, study: str, series: str, instance: str) -> None:
        """Raises NotFound if the archive does not hold the instance, StoreUnavailable for a damaged one."""
        resource = Resource(View.SKELETON, study, series, instance)
        self._name = f"the file of instance {instance}"
        self._skeleton = parse_skeleton(archive.read(resource))
        self._values = KeptValues(archive, study)
        self._frames = KeptFrames(archive, resource, transcoded_of(self._skeleton.form))
        self._starts = array("Q")
        self._reads: list[_Read] = []
        self._place(self._skeleton)

    @property
    def size(self) -> int:
        return self._skeleton.size

    @property
    def sha256(self) -> str:
        """What the hash of the whole file must be, in hex."""
        return self._skeleton.sha256

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end of the file. Raises StoreUnavailable."""
        return b"".join(self.chunks(offset, length))

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill `view` from `offset`; returns how many bytes were read. Raises StoreUnavailable."""
        position = 0
        for chunk in self.chunks(offset, len(view)):
            view[position : position + len(chunk)] = chunk
            position += len(chunk)
        return position

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """The same as `read`, in pieces of at most one frame or 1 MiB. Raises StoreUnavailable."""
        end = min(offset + length, self.size)
        index = bisect_right(self._starts, offset) - 1
        while offset < end:
            start, stop = self._starts[index], min(self._starts[index + 1], end)
            if offset < stop:
                yield from self._reads[index](offset - start, stop - offset)
                offset = stop
            index += 1

    def checked(self) -> Iterator[bytes]:
        """The whole file in chunks.

        Raises StoreUnavailable for another hash before the last chunk is given: who knows how long the file
        is must not get as many bytes of another one.
        """
        digest = hashlib.sha256()
        last = b""
        for chunk in self.chunks(0, self.size):
            digest.update(chunk)
            if last:
                yield last
            last = chunk
        self.compare(digest.hexdigest())
        yield last

    def compare(self, sha256: str) -> None:
        """Raises StoreUnavailable if that is not the hash of the file."""
        if sha256 != self.sha256:
            raise StoreUnavailable(f"{self._name} could not be put together: its hash is another")

    # -- where things are ------------------------------------------------------------------------------------

    def _place(self, skeleton: Skeleton) -> None:
        position = raw = 0
        for part in skeleton.parts:
            try:
                length, read = self._part(part, raw, skeleton.form)
            except (KeyError, TypeError, ValueError) as error:
                raise StoreUnavailable(f"the skeleton of {self._name} is damaged: {error!r}") from error
            raw += part if isinstance(part, int) else 0
            self._starts.append(position)
            self._reads.append(read)
            position += length
        self._starts.append(position)
        if position != skeleton.size or raw != len(skeleton.raw):
            raise StoreUnavailable(
                f"{self._name} had {skeleton.size} bytes; what is kept of it are {position}"
            )

    def _part(self, part: Any, raw: int, form: dict[str, Any]) -> tuple[int, _Read]:
        """How long a part of the file is, and what reads it."""
        match part:
            case int(length) if length >= 0:
                return length, partial(self._raw, raw)
            case ["frames", int(first), int(last)] if "swap" in form:
                joined = JoinedFrames(self._frames, first, int(form["bits"]), int(form["swap"]))
                return int(form["length"]), joined.read
            case ["frames", int(first), int(last)] if first <= last:
                length = self._frames.length(first)
                return length * (last - first + 1), partial(self._run, first, length)
            case ["frame", int(number), int(offset), int(length)] if offset >= 0 and length >= 0:
                return length, partial(self._stretch, number, offset)
            case ["bulkdata", str(address), int(length)] if length >= 0:
                return length, partial(self._values.read, address)
        raise StoreUnavailable(f"a skeleton holds the unknown part {part!r:.80}")

    def _raw(self, start: int, offset: int, length: int) -> Iterator[bytes]:
        yield bytes(self._skeleton.raw[start + offset : start + offset + length])

    def _stretch(self, number: int, start: int, offset: int, length: int) -> Iterator[bytes]:
        yield from self._frames.read(number, start + offset, length)

    def _run(self, first: int, frame_length: int, offset: int, length: int) -> Iterator[bytes]:
        """Whole frames one after the other; native frames are equally long."""
        while length:
            index, inside = divmod(offset, frame_length)
            if inside == 0 and self._frames.length(first + index) != frame_length:
                raise StoreUnavailable(f"{self._name}: frame {first + index} has another length than others")
            part = min(length, frame_length - inside)
            yield from self._frames.read(first + index, inside, part)
            offset += part
            length -= part


class JoinedFrames:
    """Frames of `bits` bits without gaps, in words of `word` bytes whose order is reversed."""

    def __init__(self, frames: KeptFrames, first: int, bits: int, word: int) -> None:
        if bits < 1 or word not in (1, 2, 4, 8):
            raise StoreUnavailable(f"a skeleton holds frames of {bits} bits in words of {word} bytes")
        self._frames = frames
        self._first = first
        self._bits = bits
        self._word = word

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """Bytes of the value, from `offset` on, as the file has them. Raises StoreUnavailable."""
        end = offset + length
        step = _SHIFT_CHUNK if self._bits % 8 else CHUNK
        while offset < end:
            first = offset - offset % self._word
            last = min(first + step, end + -end % self._word)
            data = self._shifted(first, last) if self._bits % 8 else self._whole(first, last)
            stop = min(last, end)
            yield (data if self._word == 1 else swap_words(data, self._word))[offset - first : stop - first]
            offset = stop

    def _whole(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of frames that end with a byte."""
        pieces: list[bytes] = []
        size = self._bits // 8
        while start < stop:
            index, inside = divmod(start, size)
            part = min(size - inside, stop - start)
            pieces += self._frames.read(self._first + index, inside, part)
            start += part
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _shifted(self, start: int, stop: int) -> bytes:
        """The same of frames that end inside a byte, each of which is kept from a byte boundary on."""
        joined = bytearray()
        held = filled = 0
        bit, end = start * 8, stop * 8
        while bit < end:
            index, inside = divmod(bit, self._bits)
            count = min(self._bits - inside, end - bit)
            at, until = inside // 8, (inside + count + 7) // 8
            data = b"".join(self._frames.read(self._first + index, at, until - at))
            held |= (int.from_bytes(data, "little") >> inside % 8 & (1 << count) - 1) << filled
            filled += count
            bit += count
            whole = filled // 8
            joined += (held & (1 << whole * 8) - 1).to_bytes(whole, "little")
            held >>= whole * 8
            filled -= whole * 8
        return bytes(joined)


class CheckedSource:
    """A rebuilt file that is read in any order and hashed in its own.

    What a reader leaves out is read, for the hash alone, when it is passed over.
    """

    def __init__(self, rebuilt: Rebuilt) -> None:
        self._rebuilt = rebuilt
        self._digest = hashlib.sha256()
        self._hashed = 0

    @property
    def size(self) -> int:
        return self._rebuilt.size

    def read(self, offset: int, length: int) -> bytes:
        """As `Rebuilt.read`."""
        data = self._rebuilt.read(offset, length)
        if offset + len(data) > self._hashed:
            self._hash_until(offset)
            self._digest.update(memoryview(data)[self._hashed - offset :])
            self._hashed = offset + len(data)
        return data

    def read_into(self, offset: int, view: memoryview) -> int:
        """As `Rebuilt.read_into`."""
        data = self.read(offset, len(view))
        view[: len(data)] = data
        return len(data)

    def finish(self) -> None:
        """Hash what is left. Raises StoreUnavailable if the hash is another than the file had."""
        self._hash_until(self.size)
        self._rebuilt.compare(self._digest.hexdigest())

    def _hash_until(self, offset: int) -> None:
        if self._hashed < offset:
            for chunk in self._rebuilt.chunks(self._hashed, offset - self._hashed):
                self._digest.update(chunk)
            self._hashed = offset
