"""Putting one batch of instances into the archive.

One rule: everything of an instance lies in a staging folder until its data are on stable storage; then one
rename makes the whole instance visible (DESIGN laws 4 and 5).
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

from staticwado import layout
from staticwado.archive import Archive, compress
from staticwado.dicom.frames import FrameTable
from staticwado.dicom.inflate import inflate_stream
from staticwado.dicom.jsonmodel import Bulk, join_array
from staticwado.dicom.render import thumbnail
from staticwado.dicom.sources import ByteSource
from staticwado.dicom.values import swap_words
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import Conflict, StaticWadoError, Unsupported
from staticwado.ingest.convert import Converted, Converter
from staticwado.ingest.copying import Buffer, hash_source, read_spans
from staticwado.ingest.frame_files import FrameFiles
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.skeleton import parse_skeleton
from staticwado.ingest.source import FileBytes
from staticwado.store.local import NoStaging

LARGEST_INFLATED = 4 << 30
"""Bytes that a deflated data set may inflate to."""
LARGEST_THUMBNAIL_FRAME = 64 << 20
"""Bytes, as kept, of a frame that is read into memory for a thumbnail."""
LARGEST_DECODED_FRAME = 160 << 20
"""Bytes that decoding it may need."""

Uids = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Staged:
    """An instance that is written but not yet visible."""

    folder: str
    uids: Uids
    sha256: str
    notes: tuple[str, ...]
    bulkdata: tuple[tuple[str, str], ...]
    """(SHA-256, address) of each value and each long stretch that was kept."""


@dataclass(frozen=True, slots=True)
class Present:
    """An instance that the archive has already, from the very same file."""

    uids: Uids
    notes: tuple[str, ...]


class BatchWriter:
    """Writes instances to a staging folder and publishes them together."""

    def __init__(
        self,
        archive: Archive,
        *,
        thumbnails: bool,
        dry_run: bool = False,
        transcode: Transcode = "none",
    ) -> None:
        self._archive = archive
        self._dry_run = dry_run
        self._staging = NoStaging(archive.store) if dry_run else archive.staging()
        self._thumbnails = thumbnails and not dry_run
        self._buffer = Buffer()
        self._values: set[str] = set()
        self._staged: dict[Uids, Staged] = {}
        self._folders = count()
        self._spools = ExitStack()
        self.converter = Converter(self.keep_value, self.inflate)
        self._frames = FrameFiles(self._staging, self._buffer, self.keep_value, transcode)

    def close(self) -> None:
        """Throw away what was not published."""
        self._spools.close()
        self._staging.close()

    @property
    def spool_folder(self) -> str | None:
        """Where temporary files may lie; None: where the system keeps them."""
        return None if self._dry_run else self._staging.path("")

    # -- what the converter needs ----------------------------------------------------------------------------

    def keep_value(self, source: ByteSource, bulk: Bulk) -> str:
        """Stage a value as bulkdata, in little endian; returns its SHA-256."""
        digest = hashlib.sha256()
        with self._staging.create("value") as file:
            for part in self._little_endian(source, bulk):
                digest.update(part)
                file.write(part)
        sha256 = digest.hexdigest()
        if sha256 not in self._values:
            self._staging.rename("value", f"value-{sha256}")
            self._values.add(sha256)
        return sha256

    def _little_endian(self, source: ByteSource, bulk: Bulk) -> Iterator[bytes | memoryview]:
        for part in read_spans(source, bulk.spans, self._buffer):
            yield part if bulk.word == 1 else swap_words(part, bulk.word)

    def read_value(self, uri: str) -> bytes:
        """The bytes of a staged value, by its BulkDataURI in the metadata of an instance."""
        sha256 = "".join(uri.rpartition(".")[0].split("/")[-2:])
        with open(self._staging.path(f"value-{sha256}"), "rb") as file:
            return file.read()

    def inflate(self, source: ByteSource, offset: int) -> ByteSource:
        """The data set behind `offset`, inflated into a temporary file. Raises BrokenDicom or Unsupported."""
        spool = tempfile.TemporaryFile(dir=self.spool_folder)  # noqa: SIM115  (closed when the source is done)
        self._spools.enter_context(spool)
        size = 0
        for part in inflate_stream(source, offset):
            size += len(part)
            if size > LARGEST_INFLATED:
                raise Unsupported(f"the deflated data set inflates to more than {LARGEST_INFLATED} bytes")
            spool.write(part)
        spool.flush()
        return FileBytes(spool.fileno(), size)

    # -- staging ---------------------------------------------------------------------------------------------

    def stage(self, file: ByteSource) -> Staged | Present:
        """Convert and write one source; the same file again in one batch gives what was staged for it before.

        Raises Conflict if the archive (or this batch) has the instance with other content, and what the
        converter raises.
        """
        try:
            converted = self.converter.convert(file)
            uids = (converted.study, converted.series, converted.instance)
            earlier = self._staged.get(uids)
            present = self._present(uids) if earlier is None else earlier.sha256
            if present is not None:
                if hash_source(file, self._buffer) != present:
                    raise Conflict(
                        f"the archive holds SOP Instance UID {converted.instance} with other content"
                    )
                return earlier or Present(uids, converted.notes)
            folder = f"instance-{next(self._folders)}"
            try:
                staged = self._write(converted, folder)
            except BaseException:
                self._staging.discard(folder)
                raise
        finally:
            self._spools.close()
        self._staged[uids] = staged
        return staged

    def forget(self, staged: Staged) -> None:
        """Throw away what was staged, because its source changed meanwhile."""
        if self._staged.pop(staged.uids, None) is not None:
            self._staging.discard(staged.folder)

    def _present(self, uids: Uids) -> str | None:
        """The hash of the file from which the archive has an instance; None if it has it not."""
        if not self._archive.exists(*uids):
            return None
        return parse_skeleton(self._archive.read(Resource(View.SKELETON, *uids))).sha256

    def _write(self, converted: Converted, folder: str) -> Staged:
        self._staging.make_folder(folder)
        notes = list(converted.notes)
        written = {}
        if self._thumbnails and converted.frames is not None:
            # of the frames as the source has them, so before their metadata change
            image = self._thumbnail(converted, converted.frames)
            if isinstance(image, bytes):
                self._staging.write(f"{folder}/thumbnail.jpg", [image])
                written["thumbnail"] = hashlib.sha256(image).hexdigest()
            elif image is not None:
                notes.append(image)
        kept = self._frames.write(converted, folder)
        metadata = join_array([converted.dataset.to_json()])
        written["metadata"] = hashlib.sha256(metadata).hexdigest()
        kept.skeleton.written = written
        self._staging.write(f"{folder}/skeleton.gz", [compress(kept.skeleton.to_bytes())])
        self._staging.write(f"{folder}/metadata.gz", [compress(metadata)])
        values = tuple((one.sha256, one.address) for one in (*converted.bulkdata, *kept.values))
        uids = (converted.study, converted.series, converted.instance)
        return Staged(folder, uids, kept.skeleton.sha256, (*notes, *kept.notes), values)

    def _thumbnail(self, converted: Converted, frames: FrameTable) -> bytes | str | None:
        """The thumbnail of the middle frame, or a note why there is none; None for video, which has none."""
        number = (len(frames) + 1) // 2
        if converted.syntax.video:
            return None
        if frames.length(number - 1) > LARGEST_THUMBNAIL_FRAME:
            return "no thumbnail was made: its frame is too large"
        try:
            return thumbnail(
                parse_dataset(converted.dataset.to_json()),
                self._frames.read(converted, frames, number - 1),
                converted.syntax.served_uid,
                number,
                self.read_value,
                limit=LARGEST_DECODED_FRAME,
            )
        except StaticWadoError as error:
            return f"no thumbnail was made: {error}"
        except Exception as error:  # a codec's own error: the instance is whole without a thumbnail
            return f"no thumbnail was made: {type(error).__name__}: {error}"

    # -- publishing ------------------------------------------------------------------------------------------

    def publish(self) -> Iterator[tuple[Staged, StaticWadoError | None, bool]]:
        """Make every staged instance visible: (what was staged, why it failed, whether it is new).

        The studies are marked before anything of them is visible, and shared until all of it is.
        """
        staged, self._staged = self._staged, {}
        if self._dry_run:
            yield from ((one, None, True) for one in staged.values())
            return
        if not staged:
            return
        with ExitStack() as stack:
            for study in sorted({one.uids[0] for one in staged.values()}):
                stack.enter_context(self._archive.lock(study, shared=True))
                new = [one.uids[1:] for one in staged.values() if one.uids[0] == study]
                self._archive.mark_pending(study, new)
            self._archive.store.sync()
            for one in staged.values():
                try:
                    yield one, None, self._publish(one)
                except StaticWadoError as error:
                    yield one, error, False

    def _publish(self, one: Staged) -> bool:
        study, _, instance = one.uids
        for sha256, address in one.bulkdata:
            key = layout.stored_as(Resource(View.BULKDATA, study, bulkdata=address)).key
            self._staging.publish_copy(f"value-{sha256}", key)
        folder = layout.folder_of(*one.uids)
        while not self._staging.publish_folder(one.folder, folder):
            with self._archive.lock(f"{study}.repair"):
                present = self._present(one.uids)
                if present is None:  # what a crash, or somebody's hand, left there is no instance
                    self._staging.take_away(folder, f"garbage-{next(self._folders)}")
                elif present == one.sha256:  # another process was faster
                    return False
                else:
                    raise Conflict(f"the archive holds SOP Instance UID {instance} with other content")
        return True
