"""Damaged zip and tar archives and DICOMDIRs: finding the inputs in them, and reading each.

One rule: finding never raises; an input that cannot be read says so with one of our errors.
"""

import io
import os
import shutil
import struct
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from random import Random

from staticwado.errors import StaticWadoError
from staticwado.ingest.listing import find_sources
from staticwado.ingest.outcome import printable
from staticwado.ingest.quarantine import quarantine
from staticwado.ingest.source import OpenArchives
from tests.factories import EXPLICIT, Element, element, encode_element, instance, sequence
from tests.factories import Encoding as Form
from tests.fuzzing.campaign import Broken, Limits
from tests.fuzzing.mutations import FAULTS as GENERAL
from tests.fuzzing.mutations import Fault, Spots, find_spots
from tests.fuzzing.scratch import scratch_folder
from tests.fuzzing.targets import word_of

NAMES = (
    "a.dcm",
    "folder/b.dcm",
    "../up.dcm",
    "/root.dcm",
    "c\udcff.dcm",
    "x" * 300,
    "..",
    "con",
    "d.zip",
    "DICOMDIR",
    "",
)


def _zip(method: int, files: list[bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in zip(NAMES, files, strict=False):
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "n"), data, method)
    return made.getvalue()


def _tar(mode: str, form: int, files: list[bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=form, errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for name, data in zip(NAMES, files, strict=False):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for kind in (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.DIRTYPE,
            tarfile.GNUTYPE_SPARSE,
        ):
            info = tarfile.TarInfo(f"special{kind!r}")
            info.type, info.linkname = kind, "a.dcm"
            archive.addfile(info)
    return made.getvalue()


def _dicomdir() -> bytes:
    records = [
        [element(0x00041430, "IMAGE", vr="CS"), Element(0x00041500, "CS", path)]
        for path in (["A", "B.DCM"], ["..", "UP"], "/etc/passwd", ["A\0"], [], "X" * 400)
    ]
    made = sequence(0x00041220, *records)
    return instance(meta=True, raw=encode_element(made, Form.of(EXPLICIT)), ordered=False)


@cache
def all_archives() -> tuple[tuple[str, bytes], ...]:
    """(name, bytes) of whole archives of every kind."""
    files = [instance(seed=1), b"", instance(seed=2)[:300], b"text", *(instance(seed=n) for n in range(7))]
    made = [
        ("a.zip", _zip(zipfile.ZIP_STORED, files)),
        ("a.zip", _zip(zipfile.ZIP_DEFLATED, files)),
        ("a.zip", _zip(zipfile.ZIP_BZIP2, files)),
        ("a.zip", _zip(zipfile.ZIP_LZMA, files)),
        ("a.zip", _zip(zipfile.ZIP_DEFLATED, [b"\0" * 400_000] * 3)),
        ("DICOMDIR", _dicomdir()),
    ]
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        short = files if form != tarfile.USTAR_FORMAT else files[:4]
        made += [("a.tar", _tar("w:", form, short)), ("a.tgz", _tar("w:gz", form, short))]
        made += [("a.tar.bz2", _tar("w:bz2", form, short)), ("a.txz", _tar("w:xz", form, short))]
    return tuple(made)


def lie(random: Random, data: bytearray, spots: Spots, other: bytes) -> None:
    """A number of the directory of a zip archive, or of the header of a tar member, says something else."""
    signs = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"ustar")
    if random.random() < 0.2:
        data[:] = data.replace(b".dcm", random.choice((b"\0dcm", b"/dcm", b"\ndcm", b"\xffdcm")))
        return
    at = data.find(random.choice(signs), random.randrange(len(data) + 1))
    if at < 0:
        return
    if data[at : at + 5] == b"ustar":
        start, size = random.choice(((-257, 100), (-157, 8), (-133, 12), (-101, 1), (-109, 8), (0, 8)))
        text = random.choice(
            (b"7" * 12, b"\x80" + b"\xff" * 11, b"-1", b"", b"\xff" * 100, b"x", b"L", b"S", b"../" * 33)
        )
        data[at + start : at + start + len(text[:size])] = text[:size]
        return
    size = random.choice((2, 4))
    number = random.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 8, 12, 14, 93, 99, random.getrandbits(32)))
    at += random.randrange(4, 46)
    data[at : at + size] = struct.pack("<I", number)[:size]


FAULTS: tuple[Fault, ...] = (*GENERAL[:10], *(lie,) * 10)


class Listing:
    """One archive with faults: listed, every input opened and read, and copied to quarantine."""

    name = "listing"
    limits = Limits(seconds=10.0, memory=512 << 20)
    most = 64 << 20
    """Bytes that the members of one small archive may unpack to here."""

    def __init__(self, folder: Path | None = None, largest: int | None = None) -> None:
        self._archives = all_archives()
        self._name, self._base = self._archives[0]
        self._scratch = Path()

    def begin(self, seed: int, block: int) -> None:
        self._name, self._base = Random(f"{seed}/{block}").choice(self._archives)
        if not self._scratch.name:
            self._scratch = scratch_folder()

    def end(self) -> None:
        shutil.rmtree(self._scratch)
        self._scratch = Path()

    def case(self, seed: int, number: int) -> bytes:
        random = Random(f"{seed}/case/{number}")
        data = bytearray(self._base)
        spots = find_spots(self._base[:4096])
        for _ in range(random.choice((1, 1, 2, 3))):
            random.choice(FAULTS)(random, data, spots, random.choice(self._archives)[1])
        return bytes(data)

    def run(self, data: bytes) -> str:
        path = self._scratch / self._name
        path.write_bytes(data)
        archives = OpenArchives(str(self._scratch))
        words, total = set(), 0
        sources = list(find_sources([str(path)], []))
        if not sources:
            words.add("no input at all")
        try:
            for source in sources:
                printable(source.name).encode()
                try:
                    with source.open(archives) as file:
                        total += len(file.read(0, file.size))
                        words.add("read")
                except StaticWadoError as error:
                    words.add(word_of(error)[:60])
                if total > self.most:
                    raise Broken(f"an archive of {len(data)} bytes unpacked to more than {self.most}")
            folder = self._scratch / "quarantine"
            quarantine(sources[:3], folder)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            archives.close()
        if {entry.name for entry in os.scandir(self._scratch)} - {self._name}:
            raise Broken(f"left behind: {sorted(os.listdir(self._scratch))}")
        return f"{self._name}: {'; '.join(sorted(words))[:110]}"
