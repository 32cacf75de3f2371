"""A place to convert into, and a quick way to do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staticwado.archive import Archive
from staticwado.ingest.outcome import Report
from staticwado.ingest.pipeline import CreateOptions, create
from tests import factories

Convert = Callable[..., Report]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the archive of a test lies."""
    return tmp_path / "archive"


@pytest.fixture
def convert(root: Path) -> Convert:
    """`create` for paths, in this process unless `jobs` says otherwise."""

    def run(*paths: Path | str, **options: Any) -> Report:
        chosen = CreateOptions(**{"jobs": 1, "thumbnails": False, **options})
        return create(Archive(str(root), create=True), [str(path) for path in paths], chosen)

    return run


def study(count: int = 3) -> dict[str, bytes]:
    """Files of two series, by the names under which they are given back."""
    found: dict[str, bytes] = {}
    for series in (1, 2):
        for data in factories.series_of(count, series=series):
            uids = [factories.uid("study", 0), factories.uid("series", 0, series)]
            number = len(found) % count + 1
            found["/".join(uids) + "/" + factories.uid("instance", 0, series, number) + ".dcm"] = data
    return found


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(files.values()):
        (folder / str(number)).write_bytes(data)
    return folder


@pytest.fixture
def files(tmp_path: Path, convert: Convert) -> dict[str, bytes]:
    """A study of six instances, which is in the archive."""
    found = study()
    assert convert(put(tmp_path / "in", found)).summary().startswith("6 in")
    return found


@pytest.fixture
def archive(root: Path, files: dict[str, bytes]) -> Archive:
    return Archive(str(root))


def outcomes(report: Report) -> list[str]:
    """What became of the inputs, in the order of their names."""
    return [one.status.value for one in sorted(report.outcomes, key=lambda one: one.source)]


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of an archive outside its private folder, and when it was written."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".staticwado" not in path.relative_to(root).parts
    }


def content(root: Path) -> dict[str, bytes]:
    """The same without times."""
    return {key: data for key, (data, _) in snapshot(root).items()}
