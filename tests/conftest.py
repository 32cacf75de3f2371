"""Fixtures for all tests: the corpus of real files, which lies outside the repository."""

import os
from pathlib import Path

import pytest

pytest_plugins = ("tests.conformance.plugin",)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The corpus of real files: the folder named in TESTDATA, else `../shared/testdata` beside the project.

    Without it the test is skipped with that reason; in CI (`CI=true`) its absence is a failure.
    """
    named = os.environ.get("TESTDATA")
    place = Path(named).expanduser() if named else ROOT.parent / "shared" / "testdata"
    if place.is_dir():
        return place.resolve()
    reason = f"there are no real files at {place}: set TESTDATA to a folder of them"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("STATICWADO_")]:
        monkeypatch.delenv(name)
