"""DCMTK's dcm2json as a witness: many files at once, pixel data left out beforehand.

dcm2json refuses encapsulated Pixel Data and writes native pixels as base64, so it is given copies without
them; the frames are judged elsewhere, byte by byte.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.truth.part10 import read_path, strip_pixels


def dcm2json() -> str | None:
    """The program, if it is installed."""
    return shutil.which("dcm2json")


def _run(program: str, place: Path, number: int, path: Path) -> None:
    source = place / f"{number}.dcm"
    target = place / f"{number}.json"
    source.write_bytes(strip_pixels(read_path(path)))
    done = subprocess.run(
        [program, "-fc", str(source), str(target)], capture_output=True, timeout=60, check=False
    )
    source.unlink()
    if done.returncode != 0:
        target.unlink(missing_ok=True)


def write_documents(paths: Sequence[Path], place: Path) -> None:
    """What dcm2json says of each file, as `place/<number>.json`; nothing where it fails or is missing."""
    place.mkdir()
    program = dcm2json()
    if program is None:
        return
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_run, program, place, number, path) for number, path in enumerate(paths)]
        for job in jobs:
            job.result()


def read_document(place: Path, number: int) -> Any:
    """One of the documents that `write_documents` wrote, or None."""
    try:
        return json.loads((place / f"{number}.json").read_bytes())
    except (FileNotFoundError, ValueError):  # dcm2json writes NaN as it is, which is no JSON
        return None
