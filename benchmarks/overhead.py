"""What an archive takes beside the frames: bytes by kind of file, in percent of the sources it was made from.

    python benchmarks/overhead.py SOURCE ARCHIVE

Sources that are not in the archive (no DICOM, or refused) count as well: give it a folder that is all in.
"""

import gzip
import sys
import zlib
from collections import Counter, defaultdict
from pathlib import Path

from staticwado import layout
from staticwado.dicomweb.multipart import TAIL, split_one
from staticwado.dicomweb.resource import View

BLOCK = 4096
KINDS = {
    View.FRAMES: "frames",
    View.BULKDATA: "bulkdata",
    View.SKELETON: "skeletons",
    View.THUMBNAIL: "thumbnails",
}


def kind_of(key: str) -> str:
    """What a file of the archive counts as."""
    resource = layout.resource_of(key)
    if resource is None:
        return "private"
    if resource.view is View.METADATA and resource.instance is not None:
        return "metadata of instances"
    return KINDS.get(resource.view, "derived JSON")


def wrapping(path: Path) -> int:
    """Bytes of a frame file that are not the frame."""
    with path.open("rb") as file:
        _, offset, _ = split_one(file.read(512))
    return offset + len(TAIL)


def skeletons_if_shared(archive: Path) -> int:
    """Bytes of all skeletons, were each after the first of a series packed with that one as dictionary."""
    series: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(archive.glob("studies/*/series/*/instances/*/skeleton.gz")):
        series[path.parents[2]].append(path)
    total = 0
    for first, *others in series.values():
        total += first.stat().st_size
        shared = gzip.decompress(first.read_bytes())
        for path in others:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15, 9, 0, shared[-32768:])
            total += len(packer.compress(gzip.decompress(path.read_bytes())) + packer.flush())
    return total


def main() -> None:
    source, archive = Path(sys.argv[1]), Path(sys.argv[2])
    sizes = [path.stat().st_size for path in source.rglob("*") if path.is_file()]
    whole = sum(sizes)
    files, bytes_, blocks = Counter[str](), Counter[str](), Counter[str]()
    for path in archive.rglob("*"):
        if not path.is_file():
            continue
        key, size = path.relative_to(archive).as_posix(), path.stat().st_size
        kind = kind_of(key)
        if kind == "frames":
            around = wrapping(path)
            bytes_["wrapping of frames"] += around
            size -= around
        files[kind] += 1
        bytes_[kind] += size
        blocks[kind] += -(-path.stat().st_size // BLOCK) * BLOCK
    print(f"{len(sizes)} source files, {whole:,} bytes\n")
    print("| kind | files | bytes | % of the source | in 4 KiB blocks, % |\n| --- | --- | --- | --- | --- |")
    for kind, size in bytes_.most_common():
        shares = f"{100 * size / whole:.2f} | {100 * blocks[kind] / whole:.2f}"
        print(f"| {kind} | {files[kind] or ''} | {size:,} | {shares} |")
    total = sum(bytes_.values())
    shares = f"{100 * total / whole:.2f} | {100 * blocks.total() / whole:.2f}"
    print(f"| all | {files.total()} | {total:,} | {shares} |")
    kept = bytes_["skeletons"]
    shared = skeletons_if_shared(archive)
    print(
        f"\nSkeletons that share within a series would take {shared:,} bytes instead of {kept:,}: "
        f"{100 * (kept - shared) / whole:.2f} % of the source less."
    )


if __name__ == "__main__":
    main()
