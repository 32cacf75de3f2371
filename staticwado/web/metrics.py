"""Counters in the text format of Prometheus, shared by all processes of a server."""

import mmap
from collections.abc import Iterator, Sequence

VIEWS = (
    "search",
    "metadata",
    "frames",
    "pixeldata",
    "bulkdata",
    "thumbnail",
    "rendered",
    "part10",
    "deduplicated",
    "viewer",
    "other",
)
STATUSES = (200, 204, 206, 302, 304, 400, 403, 404, 405, 406, 412, 416, 500, 501, 503, 0)
"""Statuses that are counted one by one; 0 counts all others."""


class Metrics:
    """Requests and bytes by view and status. Each process writes its own row; any process reads them all."""

    def __init__(self, workers: int = 1) -> None:
        self._cells = len(VIEWS) * len(STATUSES) * 2
        self._counters = memoryview(mmap.mmap(-1, workers * self._cells * 8)).cast("Q")
        self._workers = workers
        self._row = 0

    def use_row(self, worker: int) -> None:
        """Count in the row of process `worker` from now on."""
        self._row = worker * self._cells

    def count(self, view: str, status: int, size: int) -> None:
        """Count one request that was answered with `size` bytes of body."""
        place = VIEWS.index(view) if view in VIEWS else len(VIEWS) - 1
        column = STATUSES.index(status) if status in STATUSES else len(STATUSES) - 1
        cell = self._row + (place * len(STATUSES) + column) * 2
        self._counters[cell] += 1
        self._counters[cell + 1] += size

    def _totals(self) -> Iterator[tuple[str, int, int, int]]:
        for place, view in enumerate(VIEWS):
            for column, status in enumerate(STATUSES):
                cells: Sequence[int] = [
                    row * self._cells + (place * len(STATUSES) + column) * 2 for row in range(self._workers)
                ]
                requests = sum(self._counters[cell] for cell in cells)
                if requests:
                    yield view, status, requests, sum(self._counters[cell + 1] for cell in cells)

    def text(self) -> str:
        """All counters in the text exposition format 0.0.4."""
        totals = list(self._totals())
        lines = [
            "# HELP staticwado_requests_total Requests answered.",
            "# TYPE staticwado_requests_total counter",
        ]
        for view, status, requests, _ in totals:
            code = status or "other"
            lines.append(f'staticwado_requests_total{{view="{view}",status="{code}"}} {requests}')
        lines += [
            "# HELP staticwado_response_bytes_total Bytes of bodies sent.",
            "# TYPE staticwado_response_bytes_total counter",
        ]
        for view, status, _, size in totals:
            code = status or "other"
            lines.append(f'staticwado_response_bytes_total{{view="{view}",status="{code}"}} {size}')
        return "\n".join(lines) + "\n"
