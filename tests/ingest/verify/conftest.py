"""A small archive with everything in it, and quick looks at it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staticwado.ingest.verify import Fault, Kind, Verified, VerifyOptions, verify
from tests import factories
from tests.ingest.conftest import Convert

Look = Callable[..., Verified]


def sources(folder: Path) -> Path:
    """Two studies: a series of two slices with a document each, 1-bit frames, big values, JPEG, deflated."""
    folder.mkdir()
    made = factories.series_of(2, extra=[factories.element("TextValue", "x" * 1_100_000)])
    bits = factories.pixels(5, 3, 3, bits=1)
    shape: dict[str, Any] = {"rows": 5, "columns": 3, "bits": 1}
    packed = [factories.Element(factories.PIXEL_DATA, "OW", factories.join_bits(bits, 15))]
    made += [
        factories.instance(seed=7, series=1, frames=bits, extra=packed, **shape),
        factories.with_big_values(3000, seed=8, series=1, syntax=factories.BIG_ENDIAN),
        factories.instance(seed=9, series=2, syntax=factories.DEFLATED, frames=factories.pixels(4, 4, 2)),
        factories.instance(
            seed=1, study=1, syntax=factories.JPEG_LOSSLESS, frames=[factories.codestream(900)], fragments=2
        ),
    ]
    for number, data in enumerate(made):
        (folder / f"{number}.dcm").write_bytes(data)
    return folder


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """The sources of `archive`."""
    return sources(tmp_path / "in")


@pytest.fixture
def archive(root: Path, given: Path, convert: Convert) -> Path:
    """An archive of all that `sources` makes, with thumbnails."""
    report = convert(given, thumbnails=True)
    assert all(one.ok for one in report.outcomes), [one.detail for one in report.outcomes]
    return root


@pytest.fixture
def look(root: Path) -> Look:
    """`verify`, in this process unless `jobs` says otherwise."""

    def run(*against: Path, jobs: int = 1) -> Verified:
        given = tuple(map(str, against)) if against else None
        return verify(str(root), VerifyOptions(jobs, given))

    return run


def faults(report: Verified, kind: Kind) -> list[Fault]:
    """The faults of one kind."""
    return [fault for fault in report.findings.faults if fault.kind is kind]


def told(report: Verified) -> str:
    """All faults in one text, for messages."""
    return "\n".join(f"{one.kind.value} {one.key}: {one.detail}" for one in report.findings.faults)


def digest(root: Path) -> str:
    """Every name, byte and time below a folder, in one hash."""
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        found = path.stat()
        total.update(f"{path.relative_to(root)} {found.st_mode} {found.st_mtime_ns} {found.st_ino}".encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


def instance_of(root: Path, name: str) -> Path:
    """The folder of the instance that has a file `name` (a pattern)."""
    return next(path.parent for path in sorted(root.rglob(name)) if path.parent.parent.name == "instances")
