"""The product's command line as a stranger runs it: exit code, output, peak memory, time."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent.parent
_SUMMARY = re.compile(r"([\d,]+) in \(([\d,]+) new, ([\d,]+) unchanged\), ([\d,]+) skipped, ([\d,]+) failed")


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of the summary line."""

    taken: int
    new: int
    unchanged: int
    skipped: int
    failed: int


@dataclass(frozen=True, slots=True)
class Done:
    """A finished run."""

    code: int
    output: str
    errors: str
    peak: int
    """Bytes of memory, the most that the process or one of its children had."""
    seconds: float

    @property
    def summary(self) -> Summary:
        """The last summary line of the run. Raises AssertionError if there is none."""
        found = _SUMMARY.findall(self.output + "\n" + self.errors)
        assert found, f"no summary line in {self.output[-500:]!r} {self.errors[-500:]!r}"
        return Summary(*(int(number.replace(",", "")) for number in found[-1]))

    @property
    def has_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.output + self.errors


def arguments(command: str, *words: str | Path) -> list[str]:
    """The command line of `mkdicomweb command words...`."""
    return [sys.executable, "-m", "staticwado.cli.mkdicomweb", command, *map(str, words)]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the caller, without settings for the product and with the checkout importable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STATICWADO_")}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(more or {})}


_LAUNCHER = """
import os, sys
words = sys.argv[2:]
pid = os.posix_spawn(words[0], words, os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""
# Linux counts the memory of the process that forks as the child's own, so a small one does it, not pytest.


def start(
    words: Sequence[str], output: IO[bytes], errors: IO[bytes], folder: Path
) -> "subprocess.Popen[bytes]":
    """The run, in a process group of its own, so that it can be killed whole."""
    return subprocess.Popen(
        words,
        stdout=output,
        stderr=errors,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=environment(),
        start_new_session=True,
    )


def run(command: str, *words: str | Path, folder: Path | None = None, limit: float = 600) -> Done:
    """`mkdicomweb command words...` to its end. Raises TimeoutExpired after `limit` seconds."""
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        tempfile.NamedTemporaryFile() as memory,
    ):
        begun = time.monotonic()
        launched = [sys.executable, "-I", "-S", "-c", _LAUNCHER, memory.name, *arguments(command, *words)]
        process = start(launched, output, errors, folder or Path(tempfile.gettempdir()))
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        seconds = time.monotonic() - begun
        output.seek(0)
        errors.seek(0)
        texts = [stream.read().decode("utf-8", "replace") for stream in (output, errors)]
        peak = int(memory.read() or b"0") * 1024
        return Done(process.returncode, texts[0], texts[1], peak, seconds)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the report."""

    source: str
    outcome: str
    reason: str
    detail: str


def read_report(path: Path) -> list[Row]:
    """The rows of a `--report` file."""
    document: Any = json.loads(path.read_bytes())
    rows = document if isinstance(document, list) else document["inputs"]
    return [
        Row(*(str(row.get(name) or "") for name in ("source", "outcome", "reason", "detail"))) for row in rows
    ]
