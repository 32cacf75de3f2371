"""The corpus, converted and served by the two commands, as a user would."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, browser_at, find_viewer

ROOT = Path(__file__).resolve().parents[2]
_START = "from staticwado.cli.{name} import main; main()"


def command(name: str, *arguments: str | Path) -> list[str]:
    """A console script of this source tree, installed or not."""
    return [sys.executable, "-c", _START.format(name=name), *map(str, arguments)]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STATICWADO_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class Served:
    process: "subprocess.Popen[str]"
    url: str
    """Without a slash at its end."""


@contextmanager
def dicomwebserver(*arguments: str | Path) -> Iterator[Served]:
    """The command, on a free port, until the block ends; it must then end with exit code 0."""
    process = subprocess.Popen(
        command("dicomwebserver", "--port", "0", *arguments),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    try:
        found = re.search(r" at (http\S+)/", process.stdout.readline())
        assert found, "dicomwebserver did not say where it serves"
        yield Served(process, found[1])
        assert process.poll() is None, "dicomwebserver ended by itself"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def archive(testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole corpus, converted."""
    place = tmp_path_factory.mktemp("e2e") / "archive"
    done = subprocess.run(
        command("mkdicomweb", "create", testdata / "files", "--dir", place),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return place


@pytest.fixture(scope="session")
def served(archive: Path) -> Iterator[Served]:
    """The converted corpus, served without a viewer."""
    with dicomwebserver("--dir", archive) as running:
        yield running


@pytest.fixture(scope="session")
def viewer() -> Path:
    """The folder of the viewer; asked for before tests lose the settings of whoever runs them."""
    return find_viewer()


@pytest.fixture(scope="session")
def browser(archive: Path, viewer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser at a server of the converted corpus with the viewer."""
    with (
        dicomwebserver("--dir", archive, "--viewer", viewer) as running,
        browser_at(running.url, tmp_path_factory.mktemp("profile")) as opened,
    ):
        yield opened
