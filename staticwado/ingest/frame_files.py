"""Writing the frames of one instance as they are kept, and the skeleton around them.

One rule: whatever form the frames take, the skeleton says how the file comes back from them, or holds the
file whole beside the hash of what is kept.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from staticwado import layout
from staticwado.dicom.encoders import Encoded, encode_frame
from staticwado.dicom.frames import FrameTable, NativeFrames, read_frame, stream_frame
from staticwado.dicom.inflate import inflate
from staticwado.dicom.sources import Span
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicomweb import multipart
from staticwado.errors import BrokenDicom, Unsupported
from staticwado.ingest.convert import Converted, KeepValue, KeptValue
from staticwado.ingest.copying import BoundaryGuard, Buffer, FilePass, Piece, pieces_of
from staticwado.ingest.recompress import Choice, Transcode, choose, describe, stays
from staticwado.ingest.skeleton import Skeleton, Transcoded
from staticwado.store.local import Staging


@dataclass(frozen=True, slots=True)
class KeptFrames:
    """What was written of one instance beside its metadata."""

    skeleton: Skeleton
    values: tuple[KeptValue, ...]
    """Long stretches of the file that the skeleton refers to rather than holds."""
    notes: tuple[str, ...]


class FrameFiles:
    """Writes frames into the staging folder of their instance."""

    def __init__(
        self, staging: Staging, buffer: Buffer, keep_value: KeepValue, transcode: Transcode = "none"
    ) -> None:
        self._staging = staging
        self._buffer = buffer
        self._keep_value = keep_value
        self._transcode = transcode

    def write(self, converted: Converted, folder: str) -> KeptFrames:
        """Write every frame; the skeleton covers the rest of the file.

        If the frames were transcoded, the members of the data set say so afterwards. Raises BrokenDicom or
        Unsupported.
        """
        notes: tuple[str, ...] = ()
        kept: _Kept | None = None
        if converted.frames is not None:
            self._staging.make_folder(f"{folder}/frames")
            try:
                choice = choose(converted, self._transcode)
                if choice is not None:
                    kept = self._write_transcoded(converted, converted.frames, choice, folder)
            except Unsupported as reason:
                notes = (stays(reason),)
        skeleton, values = self._keep_rest(converted, folder, kept)
        return KeptFrames(skeleton, values, notes)

    # -- the rest of the file --------------------------------------------------------------------------------

    def _keep_rest(
        self, converted: Converted, folder: str, kept: "_Kept | None"
    ) -> tuple[Skeleton, tuple[KeptValue, ...]]:
        """The skeleton; writes the frames, too, unless they are `kept` already."""
        file, frames = converted.part10.file, converted.frames
        one = FilePass(converted, self._staging, folder, self._buffer, self._keep_value)
        simple = not converted.part10.deflated and not converted.syntax.frames_deflated
        pieces = pieces_of(file.size, frames, converted.frame_length) if simple else None
        if pieces is not None:
            skeleton = one.run(pieces, written=kept is not None)
        else:
            if frames is not None and kept is None:
                kept = self._write_each(converted, frames, folder)
            if isinstance(frames, NativeFrames) and simple:
                skeleton = _run_around(one, converted, frames)
            else:
                skeleton = one.run(iter((Piece(Span(0, file.size), None),)))
        if kept is not None:  # not every bit of what was written apart comes back into the file
            skeleton.kept = {"count": kept.count, "sha256": kept.sha256}
        if kept is not None and kept.transcoded is not None:
            skeleton.form["transcoded"] = kept.transcoded.to_form()
        return skeleton, tuple(one.kept)

    # -- frames ----------------------------------------------------------------------------------------------

    def _write_each(self, converted: Converted, frames: FrameTable, folder: str) -> "_Kept":
        """Write frames that are not in the source as they are served: shifted, swapped, inflated, padded."""
        head = multipart.head(
            multipart.content_type(converted.syntax.media_type, converted.syntax.served_uid)
        )
        digest = hashlib.sha256()
        for number in range(1, len(frames) + 1):
            name = f"{folder}/frames/{layout.frame_name(number, converted.syntax.suffix)}"
            guard = BoundaryGuard()
            with self._staging.create(name) as out:
                out.write(head)
                for part in self._served(converted, frames, number - 1):
                    guard.check_bytes(bytes(part))
                    digest.update(part)
                    out.write(part)
                out.write(multipart.TAIL)
        return _Kept(len(frames), digest.hexdigest(), None)

    def _write_transcoded(
        self, converted: Converted, frames: FrameTable, choice: Choice, folder: str
    ) -> "_Kept":
        """Write every frame in the codec of `choice`; nothing is left of that if one cannot be.

        Raises Unsupported.
        """
        run = _Transcoding(choice)
        try:
            for number in range(1, len(frames) + 1):
                encoded = run.encode(self.read(converted, frames, number - 1), number)
                syntax = TRANSFER_SYNTAXES[encoded.syntax_uid]
                part_type = multipart.content_type(syntax.media_type, syntax.uid)
                name = f"{folder}/frames/{layout.frame_name(number, syntax.suffix)}"
                self._staging.write(name, [multipart.head(part_type), encoded.data, multipart.TAIL])
            transcoded = run.result()
        except Unsupported:
            self._staging.discard(f"{folder}/frames")
            self._staging.make_folder(f"{folder}/frames")
            raise
        describe(converted.dataset, transcoded)
        return _Kept(len(frames), run.digest.hexdigest(), transcoded)

    def _served(self, converted: Converted, frames: FrameTable, index: int) -> Iterator[bytes | memoryview]:
        source = converted.part10.source
        parts: Iterator[bytes | memoryview] = stream_frame(source, frames, index, self._buffer.data)
        length = converted.frame_length
        if converted.syntax.frames_deflated:
            parts = inflate(parts, length)
        if length is None:
            yield from parts
            return
        for part in parts:  # what follows the pixels pads the fragment to an even length
            yield part[:length]
            length -= min(length, len(part))
        if length:
            raise BrokenDicom(f"frame {index + 1} is {length} bytes shorter than its rows and columns need")

    def read(self, converted: Converted, frames: FrameTable, index: int) -> bytes:
        """A frame (from 0) as it is served untranscoded, in memory."""
        if converted.frame_length is None and not converted.syntax.frames_deflated:
            return read_frame(converted.part10.source, frames, index)
        return b"".join(bytes(part) for part in self._served(converted, frames, index))


@dataclass(frozen=True, slots=True)
class _Kept:
    """Frames that were written by themselves, not while the file was read."""

    count: int
    sha256: str
    """Of their payloads, one after the other, as they are kept."""
    transcoded: Transcoded | None


class _Transcoding:
    """The frames of one instance on their way into a codec: one syntax for all, and fewer bytes."""

    def __init__(self, choice: Choice) -> None:
        self.digest = hashlib.sha256()
        self._choice = choice
        self._syntax = ""
        self._before = self._after = 0

    def encode(self, native: bytes, number: int) -> Encoded:
        """Frame `number` (from 1) in the codec. Raises Unsupported."""
        try:
            encoded = encode_frame(native, self._choice.image, self._choice.codec)
            BoundaryGuard().check_bytes(encoded.data)
        except Unsupported as error:
            raise Unsupported(f"frame {number}: {error}") from error
        if self._syntax not in ("", encoded.syntax_uid):
            raise Unsupported(f"frame {number} would have another transfer syntax, {encoded.syntax_uid}")
        self._syntax = encoded.syntax_uid
        self.digest.update(encoded.data)
        self._before += len(native)
        self._after += len(encoded.data)
        return encoded

    def result(self) -> Transcoded:
        """How all of them are kept. Raises Unsupported if they have not become smaller."""
        if self._after >= self._before:
            raise Unsupported(f"they would have {self._after} bytes, and have {self._before} as they are")
        return Transcoded(self._syntax, self._choice.image)


def _run_around(one: FilePass, converted: Converted, frames: NativeFrames) -> Skeleton:
    """The skeleton of a file whose native frames are kept shifted or swapped."""
    file, payload = converted.part10.file, frames.payload
    # The rest of the last byte or word is in no frame as the file has it: the skeleton keeps all of it.
    bits = len(frames) * frames.frame_bits
    length = bits // 8 - bits // 8 % frames.word_size
    end = payload.offset + length
    before = Piece(Span(0, payload.offset), None)
    after = Piece(Span(end, file.size - end), None)
    skeleton = one.run_around(before, len(frames), after)
    skeleton.form = {"swap": frames.word_size, "bits": frames.frame_bits, "length": length}
    return skeleton
