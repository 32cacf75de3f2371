"""Staging instances: converted and written, and not visible yet.

One rule: everything of an instance lies in a staging folder until it is published (`ingest.publish`).
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

from staticwado.archive import Archive, compress
from staticwado.dicom.frames import FrameTable
from staticwado.dicom.inflate import inflate_stream
from staticwado.dicom.jsonmodel import Bulk, join_array
from staticwado.dicom.render import thumbnail
from staticwado.dicom.sources import ByteSource
from staticwado.dicom.values import swap_words
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.errors import Conflict, Forbidden, Mismatch, StaticWadoError, Unsupported
from staticwado.ingest.convert import Converted, Converter
from staticwado.ingest.copying import Buffer, hash_source, read_spans
from staticwado.ingest.frame_files import FrameFiles
from staticwado.ingest.publish import Claims, OnConflict, Published, Publisher, Staged, Uids, present_hash
from staticwado.ingest.recompress import Transcode
from staticwado.ingest.source import FileBytes
from staticwado.store.local import NoStaging

LARGEST_INFLATED = 4 << 30
"""Bytes that a deflated data set may inflate to."""
LARGEST_THUMBNAIL_FRAME = 64 << 20
"""Bytes, as kept, of a frame that is read into memory for a thumbnail."""
LARGEST_DECODED_FRAME = 160 << 20
"""Bytes that decoding it may need."""

Allows = Callable[[Converted], bool]
"""Whether whoever sent an instance may store it; blocks."""


@dataclass(frozen=True, slots=True)
class Present:
    """An instance that the archive has already."""

    uids: Uids
    notes: tuple[str, ...]
    kept: bool = False
    """It has other content than the source, and is to be kept."""


class BatchWriter:
    """Writes instances to a staging folder and publishes them together."""

    def __init__(
        self,
        archive: Archive,
        *,
        thumbnails: bool,
        dry_run: bool = False,
        transcode: Transcode = "none",
        on_conflict: OnConflict = "refuse",
        catalog: Claims | None = None,
        buffer: Buffer | None = None,
    ) -> None:
        self._archive = archive
        self._dry_run = dry_run
        self._on_conflict = on_conflict
        self._staging = NoStaging(archive.store) if dry_run else archive.staging()
        self._thumbnails = thumbnails and not dry_run
        self._buffer = buffer or Buffer()
        self._values: set[str] = set()
        self._staged: dict[Uids, Staged] = {}
        self._folders = count()
        self._spools = ExitStack()
        self._publisher = Publisher(archive, self._staging, on_conflict, catalog)
        self.converter = Converter(self.keep_value, self.inflate)
        self._frames = FrameFiles(self._staging, self._buffer, self.keep_value, transcode)

    def close(self) -> None:
        """Throw away what was not published; the writer cannot be used again."""
        self._spools.close()
        self._staging.close()
        for name in (
            "converter",
            "_frames",
        ):  # else a cycle with this writer
            self.__dict__.pop(name, None)

    def reset(self) -> None:
        """Throw away what was not published, and values that the archive has; the writer can be used again.

        Raises StoreUnavailable if it cannot.
        """
        for staged in self._staged.values():
            self._staging.discard(staged.folder)
        self._staged = {}
        for sha256 in self._values:
            self._staging.discard(f"value-{sha256}")
        self._values = set()
        self._staging.discard("value")

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

    def stage(
        self, file: ByteSource, study: str | None = None, allows: Allows | None = None
    ) -> Staged | Present:
        """Convert and write one source; the same file again in one batch gives what was staged for it before.

        Raises Conflict if the archive (or this batch) has the instance with other content and it is not to be
        replaced, Mismatch if it is not of `study`, Forbidden if `allows` refuses it, and what the converter
        raises.
        """
        self._buffer.reserve(file.size)
        try:
            converted = self.converter.convert(file)
            uids = (converted.study, converted.series, converted.instance)
            if study is not None and converted.study != study:
                raise Mismatch(f"the instance is of study {converted.study}, not of study {study}")
            if allows is not None and not allows(converted):
                raise Forbidden("whoever sent it may not store it")
            found = self._compare(file, converted, uids)
            if found is not None:
                return found
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

    def _compare(self, file: ByteSource, converted: Converted, uids: Uids) -> Staged | Present | None:
        """What is there of the instance already, and stays; None if the source is to be written."""
        earlier = self._staged.get(uids)
        present = present_hash(self._archive, uids) if earlier is None else earlier.sha256
        if present is None:
            return None
        if hash_source(file, self._buffer) == present:
            return earlier or Present(uids, converted.notes)
        if earlier is None and self._on_conflict == "keep":
            return Present(uids, converted.notes, kept=True)
        if earlier is None and self._on_conflict == "replace":
            return None
        where = "the archive" if earlier is None else "the same batch"
        raise Conflict(f"{where} holds SOP Instance UID {converted.instance} with other content")

    def forget(self, staged: Staged) -> None:
        """Throw away what was staged, because its source changed meanwhile."""
        if self._staged.pop(staged.uids, None) is not None:
            self._staging.discard(staged.folder)

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

    def publish(self, sync: Callable[[], None] | None = None, *, patient: bool = True) -> list[Published]:
        """Make every staged instance visible, and tell what became of each.

        `sync` makes what was written so far durable; it is called before anything becomes visible. Who is not
        `patient` takes what another writer has claimed for a conflict, without waiting for it. Raises
        StoreUnavailable if the batch could not be made durable; nothing of it is visible then.
        """
        staged, self._staged = self._staged, {}
        if self._dry_run:
            return [Published(one, new=True) for one in staged.values()]
        try:
            return self._publisher.publish(list(staged.values()), sync or self._staging.sync, patient=patient)
        except BaseException:
            for one in staged.values():
                self._staging.discard(one.folder)
            raise
