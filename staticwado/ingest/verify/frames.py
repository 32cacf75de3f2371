"""The frame files of one instance: exact envelope, one file a frame, one syntax, no gap.

One rule: every byte of a frame file that is not payload is what `dicomweb.multipart` writes.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicom.transfer_syntax import FRAME_SUFFIXES, TRANSFER_SYNTAXES
from staticwado.dicomweb import multipart
from staticwado.dicomweb.resource import View
from staticwado.errors import Unsupported
from staticwado.ingest.copying import BoundaryGuard, Buffer
from staticwado.ingest.verify.findings import Findings, Kind


@dataclass(frozen=True, slots=True)
class FrameNames:
    """The frame files that lie in an instance's folder."""

    keys: dict[int, str]
    """Number (from 1) -> key."""
    surplus: tuple[str, ...]
    """Keys of further files for a frame that has one."""


def list_frames(archive: Archive, folder: str, syntax: str) -> FrameNames:
    """The frame files below the instance folder `folder` (a key), whose frames are kept in `syntax`.

    Raises StoreUnavailable.
    """
    known = TRANSFER_SYNTAXES.get(syntax)
    keys: dict[int, str] = {}
    surplus = []
    for entry in archive.store.entries(f"{folder}/frames"):
        key = f"{folder}/frames/{entry.name}"
        resource = layout.resource_of(key)
        if resource is None or resource.view is not View.FRAMES:
            continue  # a stray file, which the walk over all keys names
        number = resource.frames[0]
        if number not in keys:
            keys[number] = key
        elif known is not None and resource.rendition == known.suffix:
            surplus.append(keys[number])
            keys[number] = key
        else:
            surplus.append(key)
    return FrameNames(dict(sorted(keys.items())), tuple(surplus))


class FrameCheck:
    """Looks at the frame files of one instance after the other, through one buffer."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._buffer = Buffer()

    def check(self, files: FrameNames, syntax: str, kept: dict[str, Any], repair: str) -> Findings:
        """Every file is an exact envelope of `syntax`; where the skeleton says so, their hash is `kept`."""
        found = Findings()
        found.counts.frames = len(files.keys)
        for key in files.surplus:
            found.fault(key, Kind.MISPLACED, "its frame is kept in another file, too", repair)
        digest = hashlib.sha256() if kept and kept.get("count") == len(files.keys) else None
        for key in files.keys.values():
            try:
                wrong = self._check_syntax(key, syntax) or self._check_file(key, syntax, digest)
            except OSError as error:
                found.fault(key, Kind.UNREADABLE, f"it could not be read: {error.strerror}", repair)
                continue
            except Unsupported as error:
                wrong = str(error)
            if wrong is not None:
                found.fault(key, Kind.DAMAGED, wrong, repair)
            found.counts.bytes += os.stat(self._archive.store.path(key)).st_size
        if digest is not None and not found.faults and digest.hexdigest() != kept.get("sha256"):
            where = next(iter(files.keys.values()), "") if len(files.keys) == 1 else ""
            detail = "the frames do not have the hash that the skeleton holds"
            found.fault(where or _folder_of(files), Kind.DAMAGED, detail, repair)
        return found

    @staticmethod
    def _check_syntax(key: str, syntax: str) -> str | None:
        resource = layout.resource_of(key)
        known = TRANSFER_SYNTAXES.get(syntax)
        if resource is None or known is None:
            return f"Available Transfer Syntax UID (0008,3002) {syntax[:70]!r} is not known"
        if known.suffix != resource.rendition:
            return f"its name is not that of a frame in {known.name}, the instance's syntax"
        return None

    def _check_file(self, key: str, syntax: str, digest: Any) -> str | None:
        """What is wrong with one file; None if nothing is. Raises OSError or Unsupported."""
        media_type = FRAME_SUFFIXES[TRANSFER_SYNTAXES[syntax].suffix]
        head = multipart.head(multipart.content_type(media_type, syntax))
        guard, view = BoundaryGuard(), self._buffer.view
        with open(self._archive.store.path(key), "rb", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size - len(head) - len(multipart.TAIL)
            if left < 0:
                return "it is shorter than an empty frame"
            if file.read(len(head)) != head:
                return f"it does not begin as a frame of this instance does ({media_type}, {syntax})"
            while left:
                length = file.readinto(view[: min(left, len(view))])
                if not length:
                    return "it ends inside the frame"
                guard.check(self._buffer, length)
                if digest is not None:
                    digest.update(view[:length])
                left -= length
            if file.read() != multipart.TAIL:
                return "it does not end as a frame does"
        return None


def _folder_of(files: FrameNames) -> str:
    return next(iter(files.keys.values()), "").rpartition("/")[0]


def check_numbers(folder: str, files: FrameNames, expected: int, repair: str) -> Findings:
    """There are the frames 1 to `expected` of the instance folder `folder`, and no others."""
    found = Findings()
    missing = [number for number in range(1, expected + 1) if number not in files.keys]
    if missing:
        many = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        detail = f"frame {missing[0]}{many} of {expected} is not there"
        found.fault(f"{folder}/frames", Kind.MISSING, detail, repair)
    for number, key in files.keys.items():
        if number > expected:
            detail = f"nothing refers to it: the instance has {expected} frames"
            found.fault(key, Kind.MISPLACED, detail, repair)
    return found
