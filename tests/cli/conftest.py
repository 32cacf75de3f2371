"""Commands far from anybody's configuration, and an archive for them."""

from pathlib import Path

import pytest

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from tests.ingest.conftest import put, study


@pytest.fixture
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the user's, or of the folder in which the tests run, is read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive that holds six instances of one study."""
    root = tmp_path / "archive"
    options = CreateOptions(jobs=1, thumbnails=False)
    assert create(Archive(str(root), create=True), [str(put(tmp_path / "in", study()))], options).outcomes
    return root
