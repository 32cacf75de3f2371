"""What hostile requests start from: a small archive made by the program itself, its paths, and files."""

import subprocess
import sys
from pathlib import Path

from staticwado.archive import Archive
from tests.factories import Element, instance, pixels
from tests.fuzzing.seeds import some_of_everything

_LARGEST = 100_000
"""Bytes of a file that is sent."""


def make_archive(folder: Path) -> Path:
    """An archive of four instances in a new folder; it holds frames, bulkdata and a codestream."""
    source, archive = folder / "source", folder / "archive"
    source.mkdir(parents=True)
    extra = some_of_everything()
    small, deep = pixels(3, 4, 2, 8), pixels(8, 8, 1, 16)
    made = [
        instance(study=1, series=1, seed=1, frames=small, rows=3, columns=4, bits=8),
        instance(study=1, series=1, seed=2, frames=deep, rows=8, columns=8, bits=16, extra=extra),
        instance(study=1, series=2, seed=3, extra=extra),
        instance(study=2, series=1, seed=4, extra=[Element(0x00420011, "OB", b"%PDF-1.4 tiny ")]),
    ]
    for number, data in enumerate(made):
        (source / f"{number}.dcm").write_bytes(data)
    command = "from staticwado.cli.mkdicomweb import main; main()"
    words = ("create", str(source), "--dir", str(archive), "--jobs", "1")
    subprocess.run([sys.executable, "-c", command, *words], check=True, capture_output=True)
    return archive


def archive_paths(archive: Path) -> list[str]:
    """Paths of the archive below the service."""
    found = Archive(str(archive))
    made = ["studies", "series", "instances", "openapi.json"]
    for study in found.studies():
        top = f"studies/{study}"
        made += [f"{top}/{leaf}" for leaf in ("series", "instances", "deduplicated")]
        levels = [top]
        for place in sorted((archive / "studies" / study / "series").glob("*/instances/*")):
            if place.is_dir():
                series = f"{top}/series/{place.parent.parent.name}"
                one = f"{series}/instances/{place.name}"
                levels += [series, one]
                made += [f"{one}/frames/{frames}" for frames in ("1", "1,2", "1/rendered", "1/thumbnail")]
        for level in dict.fromkeys(levels):
            made.append(level)
            made += [
                f"{level}/{leaf}" for leaf in ("metadata", "rendered", "thumbnail", "bulkdata", "pixeldata")
            ]
        for place in sorted((archive / "studies" / study / "bulkdata").glob("*/*")):
            made.append(f"{top}/bulkdata/{place.parent.name}/{place.name}")
    return made


def malformed_files(folder: Path) -> tuple[bytes, ...]:
    """The files below `folder` that are not too large to be sent often."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size <= _LARGEST)
    return tuple(dict.fromkeys(path.read_bytes() for path in files))
