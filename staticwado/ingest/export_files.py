"""Instances written back as files: into a folder, or as one zip.

One rule: a file gets its name when it is whole, checked and on stable storage; none is ever overwritten.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from io import FileIO
from itertools import chain
from pathlib import Path

from staticwado.archive import Archive
from staticwado.errors import StaticWadoError, StoreUnavailable
from staticwado.ingest.export import Kept, zip_stream
from staticwado.store.local import LocalStore

_BATCH = 128
"""Files that are synced together."""
_BATCH_BYTES = 512 << 20


class Status(Enum):
    """What became of an instance."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    """The same bytes were there."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance, and why."""

    name: str
    status: Status
    detail: str = ""


def write_folder(archive: Archive, instances: Iterable[Kept], folder: Path) -> Iterator[Outcome]:
    """Write the file of each instance below `folder`, under `Kept.file_name`.

    Each has the SHA-256 of the file from which it was made. Raises StoreUnavailable where nothing can be
    written.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    batch = _Batch(folder)
    try:
        for kept in instances:
            outcome = batch.add(archive, kept)
            if outcome is not None:
                yield outcome
            if batch.is_full:
                yield from batch.publish()
        yield from batch.publish()
    finally:
        batch.close()


class _Batch:
    """Files that are written and have no names yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = LocalStore(str(folder))
        self._written: list[tuple[Path, Path, Kept, str]] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self._written) >= _BATCH or self._bytes >= _BATCH_BYTES

    def add(self, archive: Archive, kept: Kept) -> Outcome | None:
        """Write one file; returns what became of it if that is known already."""
        target = self._folder / kept.file_name
        try:
            rebuilt = kept.rebuilt(archive)
            if os.path.lexists(target):
                return _compared(kept, target, rebuilt.sha256)
            chunks = rebuilt.checked()
            first = next(chunks, b"")  # what is missing altogether leaves no folder behind
            with _explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            with _temporary(target) as (place, file):
                _write(file, chain([first], chunks), target)
            self._written.append((place, target, kept, rebuilt.sha256))
            self._bytes += rebuilt.size
        except StaticWadoError as error:
            return Outcome(kept.file_name, Status.FAILED, str(error))
        return None

    def publish(self) -> Iterator[Outcome]:
        """Sync what was written, and give the files their names."""
        if not self._written:
            return
        self._store.sync()
        outcomes = []
        for place, target, kept, sha256 in self._written:
            try:
                named = _name(place, target)
            except StoreUnavailable as error:
                outcomes.append(Outcome(kept.file_name, Status.FAILED, str(error)))
                continue
            one = Outcome(kept.file_name, Status.WRITTEN) if named else _compared(kept, target, sha256)
            outcomes.append(one)
        self.close()
        self._store.sync()
        yield from outcomes

    def close(self) -> None:
        """Remove what has no name."""
        for place, *_ in self._written:
            place.unlink(missing_ok=True)
        self._written, self._bytes = [], 0


def write_zip(archive: Archive, instances: Sequence[Kept], path: Path) -> Iterator[Outcome]:
    """Write a zip of the files of all instances; those that cannot be given back are left out, and said.

    Raises StoreUnavailable where nothing can be written.
    """
    failed: dict[Kept, str] = {}
    status, detail = Status.FAILED, ""
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path) as (place, file):
        try:
            _write(file, zip_stream(archive, instances), path)
        except StaticWadoError:
            failed = {kept: fault for kept in instances if (fault := _fault(archive, kept))}
            with _explained(path):
                file.seek(0)
                file.truncate()
            _write(file, zip_stream(archive, [kept for kept in instances if kept not in failed]), path)
    try:
        if len(failed) < len(instances):
            status, detail = _publish_zip(place, path)
    finally:
        place.unlink(missing_ok=True)
    for kept in instances:
        if kept in failed:
            yield Outcome(kept.file_name, Status.FAILED, failed[kept])
        else:
            yield Outcome(kept.file_name, status, detail)


def _publish_zip(place: Path, path: Path) -> tuple[Status, str]:
    store = LocalStore(str(path.parent))
    store.sync()
    if _name(place, path):
        store.sync()
        return Status.WRITTEN, ""
    if _sha256(place) == _sha256(path):
        return Status.UNCHANGED, ""
    return Status.FAILED, f"{path} is there with other content, and was left as it is"


def _fault(archive: Archive, kept: Kept) -> str:
    """Why an instance cannot be given back; empty if it can."""
    try:
        for _ in kept.rebuilt(archive).checked():
            pass
    except StaticWadoError as error:
        return str(error)
    return ""


# -- files ---------------------------------------------------------------------------------------------------


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, FileIO]]:
    """A new file beside `target`, open; it stays if the block succeeds."""
    place = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    with _explained(target):
        file = FileIO(place, "x")
    try:
        with file:
            yield place, file
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def _write(file: FileIO, chunks: Iterable[bytes], target: Path) -> None:
    """Raises StoreUnavailable, and what `chunks` raises."""
    for chunk in chunks:
        view = memoryview(chunk)
        with _explained(target):
            while view:
                view = view[file.write(view) :]


def _name(place: Path, target: Path) -> bool:
    """Give a file its name, unless that is taken; returns whether it was free. Raises StoreUnavailable."""
    with _explained(target):
        try:
            os.link(place, target)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                return False
            os.rename(place, target)
            return True
        os.unlink(place)
    return True


def _compared(kept: Kept, target: Path, sha256: str) -> Outcome:
    """What to say of an instance whose place is taken."""
    try:
        found = _sha256(target) if target.is_file() else ""
    except StoreUnavailable as error:
        return Outcome(kept.file_name, Status.FAILED, str(error))
    if found == sha256:
        return Outcome(kept.file_name, Status.UNCHANGED)
    return Outcome(
        kept.file_name, Status.FAILED, f"{target} is there with other content, and was left as it is"
    )


def _sha256(path: Path) -> str:
    with _explained(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error
