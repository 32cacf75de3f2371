"""Copies of inputs that have failed, for somebody to look at.

One rule: a copy never replaces another, and the same file is not copied twice.
"""

import filecmp
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from staticwado.dicom.sources import ByteSource
from staticwado.errors import StaticWadoError
from staticwado.ingest.source import AnySource, OpenArchives

_CHUNK = 1 << 20


def quarantine(sources: Iterable[AnySource], folder: Path) -> list[str]:
    """Copy each source that can be read into `folder`; returns notes on those that could not be copied."""
    notes = []
    archives = OpenArchives()
    try:
        for source in sources:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with source.open(archives) as file:
                    _copy(file, folder, _name_of(source))
            except OSError as error:
                notes.append(f"{source.name} could not be copied to quarantine: {error.strerror}")
            except StaticWadoError as error:
                notes.append(f"{source.name} could not be copied to quarantine: {error}")
    finally:
        archives.close()
    return notes


def _name_of(source: AnySource) -> str:
    name = source.name.replace("\\", "/").replace("\0", "_").rpartition("/")[2]
    return name if name not in ("", ".", "..") else "input"


def _copy(file: ByteSource, folder: Path, name: str) -> None:
    temporary = folder / f".{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as copy:
            offset = 0
            while data := file.read(offset, _CHUNK):
                copy.write(data)
                offset += len(data)
        target, number = folder / name, 0
        while os.path.lexists(target):
            if target.is_file() and filecmp.cmp(temporary, target, shallow=False):
                return
            number += 1
            target = folder / f"{name}.{number}"
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)
