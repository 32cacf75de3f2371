"""DCMTK's dcm2json as a witness: many files at once, pixel data left out beforehand.

dcm2json refuses encapsulated Pixel Data and writes native pixels as base64, so it is given copies without
them; the frames are judged elsewhere, byte by byte.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.truth.part10 import Dataset, strip_pixels


def dcm2json() -> str | None:
    """The program, if it is installed."""
    return shutil.which("dcm2json")


def _run(program: str, place: Path, number: int, dataset: Dataset) -> Any:
    source = place / f"{number}.dcm"
    target = place / f"{number}.json"
    source.write_bytes(strip_pixels(dataset))
    done = subprocess.run(
        [program, "-fc", str(source), str(target)], capture_output=True, timeout=60, check=False
    )
    source.unlink()
    if done.returncode != 0 or not target.is_file():
        return None
    try:
        return json.loads(target.read_bytes())
    except ValueError:  # NaN, which it writes as it is
        return None
    finally:
        target.unlink()


def read_models(datasets: Iterable[Dataset], place: Path) -> list[Any]:
    """What dcm2json says of each data set; None where it fails or is not installed."""
    program = dcm2json()
    if program is None:
        return [None for _ in datasets]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_run, program, place, n, dataset) for n, dataset in enumerate(datasets)]
        return [job.result() for job in jobs]
