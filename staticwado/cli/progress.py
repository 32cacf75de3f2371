"""Progress on a terminal, and plain lines where there is none."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from staticwado.ingest.pipeline import Progress

_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 5.0


class ProgressLine:
    """Shows how far a run has come, in files and bytes: what is done, not what is hoped."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._shown = time.monotonic()
        self._last_stage = "converting"

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: "Progress") -> None:
        """Show `progress` if it is time to."""
        terminal = sys.stderr.isatty()
        now = time.monotonic()
        due = now - self._shown >= (_TERMINAL_SECONDS if terminal else _PLAIN_SECONDS)
        if not due and progress.stage == self._last_stage:
            return
        self._shown, self._last_stage = now, progress.stage
        if terminal:
            self._draw(progress)
        elif due:
            click.echo(_words(progress), err=True)

    def _draw(self, progress: "Progress") -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            # no thread redraws it: worker processes are forked while it is shown
            self._bar = Progress(
                BarColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("", total=max(1, progress.total_bytes))
        self._bar.update(self._task, completed=progress.bytes, description=_words(progress))
        self._bar.refresh()


def _words(progress: "Progress") -> str:
    failed = f", {progress.failed} failed" if progress.failed else ""
    return (
        f"{progress.stage}: {progress.files} of {progress.total_files} files, "
        f"{_bytes(progress.bytes)} of {_bytes(progress.total_bytes)}{failed}"
    )


def _bytes(number: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
