"""A place to convert into, and a quick way to do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staticwado.archive import Archive
from staticwado.ingest.outcome import Report
from staticwado.ingest.pipeline import CreateOptions, create

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
