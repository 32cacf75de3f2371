"""One multi-frame instance of 4 GB: convert it, get back all, ranges and single frames; peak memory of each.

    python benchmarks/huge.py FOLDER [--frames 8000]

Writes a sparse file into FOLDER, and an archive of the same size, which is not sparse: FOLDER needs that much
room. Both are removed at the end. What comes back is compared with the file: whole
files by SHA-256, ranges and frames byte for byte, the whole Pixel Data by its length.
"""

import argparse
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROWS = COLUMNS = 512
FRAME = ROWS * COLUMNS * 2
STUDY, SERIES, INSTANCE = "2.25.41", "2.25.42", "2.25.43"
_CHUNK = 1 << 20
_PAUSE = 0.05


def write_sparse(path: Path, frames: int) -> int:
    """Write the instance, a stamp in every frame and holes between; where its pixels begin."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = INSTANCE, STUDY, SERIES
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Huge^Sparse", "HUGE", "OT"
    dataset.StudyDate, dataset.StudyTime, dataset.InstanceNumber = "20260101", "120000", "1"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames, ROWS, COLUMNS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.save_as(path, enforce_file_format=True)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"\xe0\x7f\x10\x00OW\x00\x00" + (FRAME * frames).to_bytes(4, "little"))
        begin = file.tell()
        for number in range(frames):
            file.seek(begin + number * FRAME)
            file.write(stamp(number + 1))
        file.truncate(begin + FRAME * frames)
    return begin


def stamp(number: int) -> bytes:
    """What a frame begins with: its number, counted from 1."""
    return number.to_bytes(4, "little") * 8


def frame(number: int) -> bytes:
    return stamp(number).ljust(FRAME, b"\0")


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Peaks:
    """Peak memory (VmHWM) of a process and its descendants, in MB, watched from a thread."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._found: dict[int, tuple[str, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE):
            self.look()

    def look(self) -> None:
        """Look once."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        mine = {self._root}
        while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= more
        for pid in mine:
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            if peak:
                self._found[pid] = ("main" if pid == self._root else "child", int(peak[1]) / 1000)

    def close(self) -> str:
        """The peaks, the main process first."""
        self._stop.set()
        self._thread.join()
        ordered = sorted(self._found.values(), key=lambda one: (one[0] != "main", -one[1]))
        return ", ".join(f"{name} {peak:.0f} MB" for name, peak in ordered)


@contextmanager
def step(name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    print(f"{name}: {time.perf_counter() - begun:.1f} s", flush=True)


class Server:
    """dicomwebserver over the archive."""

    def __init__(self, archive: Path) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        command = ["dicomwebserver", "--dir", str(archive), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        found = re.search(r" at http://([^/]+)/", self.process.stdout.readline())
        assert found, "dicomwebserver did not say where it serves"
        self._host = found[1]

    def get(self, path: str, **headers: str) -> tuple[int, http.client.HTTPResponse]:
        """The status and the answer, unread."""
        connection = http.client.HTTPConnection(self._host, timeout=600)
        connection.request(
            "GET", f"/dicomweb/{path}", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer


def hashed(answer: http.client.HTTPResponse) -> tuple[str, int]:
    """SHA-256 and length of a body."""
    total, found = 0, hashlib.sha256()
    while chunk := answer.read(_CHUNK):
        found.update(chunk)
        total += len(chunk)
    return found.hexdigest(), total


def retrieve(server: Server, source: Path, begin: int, frames: int) -> None:
    """Every way to get at the instance. Raises AssertionError for a byte that is another."""
    instance = f"studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}"
    right, size = digest(source), source.stat().st_size
    for accept in ("application/dicom; transfer-syntax=*", "application/dicom"):
        with step(f"whole file, {accept}"):
            status, answer = server.get(instance, Accept=accept)
            assert (status, *hashed(answer)) == (200, right, size)
    with step("pixel data, whole"):
        status, answer = server.get(f"{instance}/pixeldata", Accept="application/octet-stream")
        assert (status, hashed(answer)[1]) == (200, FRAME * frames)
    middle = frames // 2
    for path, offset, accept in (
        (f"{instance}/pixeldata", 0, "application/octet-stream"),
        (instance, begin, "application/dicom; transfer-syntax=*"),
    ):
        first = offset + (middle - 1) * FRAME
        with step(f"a range of a frame's length in the middle, {accept}"):
            status, answer = server.get(path, Accept=accept, Range=f"bytes={first}-{first + FRAME - 1}")
            length = answer.headers["Content-Length"]
            print(f"  status {status}, {length} bytes")
            if status == 206:
                assert answer.read() == frame(middle)
    with step("1,000 single frames"):
        for number in range(1, frames + 1, max(1, frames // 1000)):
            accept = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
            status, answer = server.get(f"{instance}/frames/{number}", Accept=accept)
            assert (status, answer.read()) == (200, frame(number))
    with step("metadata, a thumbnail, a rendered frame"):
        for path in (f"{instance}/metadata", f"{instance}/thumbnail", f"{instance}/frames/{middle}/rendered"):
            status, answer = server.get(path)
            assert (status, answer.read() != b"") == (200, True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=8000)
    options = parser.parse_args()
    place = options.folder / "huge"
    place.mkdir(parents=True)
    try:
        source, archive = place / "huge.dcm", place / "archive"
        begin = write_sparse(source, options.frames)
        size, blocks = source.stat().st_size, source.stat().st_blocks * 512
        print(f"{size / 1e9:.2f} GB in {options.frames} frames, {blocks / 1e6:.0f} MB on the disk")
        with step("create"):
            command = ["mkdicomweb", "create", str(source), "--dir", str(archive)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            peaks = Peaks(process.pid)
            assert process.wait() == 0
        print(f"  create: {peaks.close()}")
        server = Server(archive)
        peaks = Peaks(server.process.pid)
        try:
            retrieve(server, source, begin, options.frames)
            peaks.look()
        finally:
            print(f"  server: {peaks.close()}")
            server.process.terminate()
            server.process.wait()
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
