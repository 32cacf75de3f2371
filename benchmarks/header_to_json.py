"""Header to DICOM JSON, beside pydicom: microseconds of CPU an instance, on the same files in the same run.

    python benchmarks/header_to_json.py FOLDER [FILES] [PAIRS]

Each pair measures both, one after the other; the medians are printed as a row for the README. pydicom does
`dcmread(stop_before_pixels=True)`, `to_json_dict()` and `json.dumps`; staticwado opens the file, finds the
data set and writes the JSON, first each header by itself, then each by its differences from the one before,
as it converts.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pydicom

from staticwado.dicom.jsonmodel import Encoder
from staticwado.dicom.part10 import parse
from staticwado.dicom.sources import ByteSource
from staticwado.errors import StaticWadoError

FIRST_WINDOW, LARGEST_WINDOW = 8192, 1 << 20


class File:
    """A file that is read at offsets."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def read_into(self, offset: int, view: memoryview) -> int:
        return os.preadv(self._descriptor, [view], offset)

    def close(self) -> None:
        os.close(self._descriptor)


def _not_deflated(source: ByteSource, offset: int) -> ByteSource:
    raise NotImplementedError("deflated files are not measured")


def ours(paths: Sequence[str], *, remember: bool) -> int:
    """The bytes of JSON of all files."""
    size = 0
    window = FIRST_WINDOW
    encoder = Encoder(lambda bulk: "bulkdata")
    for path in paths:
        if not remember:
            encoder = Encoder(lambda bulk: "bulkdata")
        file = File(path)
        part10 = parse(file, _not_deflated, window)
        dataset = encoder.encode(part10.window, part10.start, file.size, part10.syntax)
        size += len(dataset.to_json())
        window = min(LARGEST_WINDOW, max(FIRST_WINDOW, -(-dataset.header_end // 4096) * 4096))
        file.close()
    return size


def theirs(paths: Sequence[str]) -> int:
    """The same by pydicom, with the bytes of bulkdata left out too."""
    size = 0
    for path in paths:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        found = dataset.to_json_dict(
            bulk_data_threshold=1024, bulk_data_element_handler=lambda element: "bulkdata"
        )
        size += len(json.dumps(found))
    return size


def cpu(task: Callable[[], int], count: int) -> float:
    """Microseconds of CPU an instance."""
    start = time.process_time()
    task()
    return (time.process_time() - start) / count * 1e6


def readable(folder: Path, most: int) -> list[str]:
    """Files below `folder` that both can read, in the order of their paths."""
    found: list[str] = []
    for path in sorted(str(path) for path in folder.rglob("*") if path.is_file()):
        if len(found) == most:
            break
        try:
            ours([path], remember=False)
            theirs([path])
        except (
            StaticWadoError,
            NotImplementedError,
            pydicom.errors.InvalidDicomError,
            ValueError,
            IndexError,
        ):
            continue
        found.append(path)
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    paths = readable(folder, most)
    count = len(paths)
    rows = [
        (
            cpu(lambda: theirs(paths), count),
            cpu(lambda: ours(paths, remember=False), count),
            cpu(lambda: ours(paths, remember=True), count),
        )
        for _ in range(pairs)
    ]
    print("| header to JSON, µs of CPU an instance | pydicom | each by itself | by its differences | ratio |")
    print("| --- " * 5 + "|")
    alone, like = median(row[1] for row in rows), median(row[2] for row in rows)
    ratio = median(row[0] / row[2] for row in rows)
    pydicom_time = median(row[0] for row in rows)
    print(f"| {count} files, {pairs} pairs | {pydicom_time:.0f} | {alone:.0f} | {like:.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
