"""The scripts: short, and clear where they cannot do what they are for."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 60
SCRIPTS = [
    path
    for path in sorted([*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"])
    if path.is_file() and (path.name == "_venv" or path.read_bytes().startswith(b"#!/usr/bin/env bash"))
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_short_and_parses(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) <= LONGEST
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_can_be_run_and_stops_at_the_first_failure(script: Path) -> None:
    if script.name != "_venv":
        assert os.access(script, os.X_OK)
        assert "set -euo pipefail" in script.read_text(encoding="utf-8")


def test_run_says_that_the_port_is_busy_before_it_does_any_work() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        done = subprocess.run(
            [ROOT / "scripts" / "run"],
            env={**os.environ, "PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"port {port} is busy" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"), [(["a", "b"], "one folder at most"), (["/no/such/folder"], "there is no")]
)
def test_run_refuses_what_it_cannot_convert(arguments: list[str], words: str) -> None:
    done = subprocess.run([ROOT / "scripts" / "run", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_viewer_needs_npm_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("viewer", "ohif-version"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "mkdir"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
    done = subprocess.run(
        [tmp_path / "scripts" / "viewer"],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "npm is not installed" in done.stderr


def test_the_viewer_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("viewer", "ohif-version"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    version = (ROOT / "scripts" / "ohif-version").read_text(encoding="utf-8").strip()
    folder = tmp_path / ".viewer" / "dist"
    folder.mkdir(parents=True)
    (folder / "index.html").touch()
    (folder.parent / version).touch()
    done = subprocess.run(
        [tmp_path / "scripts" / "viewer"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{folder}\n"
