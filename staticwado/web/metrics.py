"""Counters that all processes of a server share, and what Prometheus is told of them.

One rule: counting is a few additions in shared memory; names, sums and text are made when somebody asks.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.registry import Collector

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
    "store",
    "delete",
    "viewer",
    "other",
)
STATUSES = (
    *(200, 202, 204, 206, 302, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 416),
    *(499, 500, 501, 503, 0),
)
"""Statuses that are counted one by one; 0 counts all others. 499: the client went away."""
OUTCOMES = ("answered", "refused", "failed", "gone")
"""Below 400; 4xx; 5xx; the client went away."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latencies that are counted together, in seconds."""
STORED = ("stored", "failed")
"""What becomes of an instance that a client sends."""

_VIEW = {view: place for place, view in enumerate(VIEWS)}
_STATUS = {status: place for place, status in enumerate(STATUSES)}
_BOUNDS = [round(bound * 1e9) for bound in BUCKETS]
_REQUESTS = len(VIEWS) * len(STATUSES) * 2
_WIDTH = len(BUCKETS) + 2
"""Cells of one histogram: its buckets, the rest, and the sum in nanoseconds."""
_LATENCIES = _REQUESTS
_RECEIVED = _LATENCIES + len(VIEWS) * len(OUTCOMES) * _WIDTH
_STORED = _RECEIVED + len(VIEWS)
_FLYING = _STORED + len(STORED)
_PROCESS = _FLYING + 1
_CELLS = _PROCESS + 1


def _places(view: str, status: int) -> tuple[int, int, int]:
    """The cells of the bytes received, of the requests, and of the latencies."""
    place, column = _VIEW.get(view, len(VIEWS) - 1), _STATUS.get(status, len(STATUSES) - 1)
    outcome = 3 if status == 499 else 0 if status < 400 else 1 if status < 500 else 2
    latency = _LATENCIES + (place * len(OUTCOMES) + outcome) * _WIDTH
    return _RECEIVED + place, (place * len(STATUSES) + column) * 2, latency


_PLACES = {(view, status): _places(view, status) for view in VIEWS for status in STATUSES}

Gauge = tuple[str, str, Callable[[], float]]
"""A name, what it means, and its value when it is asked for."""


class Metrics(Collector):
    """Requests, bytes, latencies. Each process writes its own row; any process reads them all."""

    def __init__(self, workers: int = 1) -> None:
        self._counters = memoryview(mmap.mmap(-1, workers * _CELLS * 8)).cast("Q")
        self._workers = workers
        self._row = 0
        self._gauges: list[Gauge] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.use_row(0)

    def use_row(self, worker: int) -> None:
        """Count in the row of process `worker` from now on; what was in flight there has died."""
        self._row = worker * _CELLS
        self._counters[self._row + _FLYING] = 0
        self._counters[self._row + _PROCESS] = os.getpid()

    def add_gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Tell `value()` too, whenever somebody asks; left out when it raises OSError."""
        self._gauges.append((name, meaning, value))

    def begin(self) -> None:
        """A request is in flight."""
        self._counters[self._row + _FLYING] += 1

    def count(self, view: str, status: int, size: int, nanoseconds: int = 0, received: int = 0) -> None:
        """Count one request that came with `received` bytes and was answered with `size` bytes of body."""
        cells, row = self._counters, self._row
        place, total, latency = _PLACES.get((view, status)) or _places(view, status)
        cells[row + total] += 1
        cells[row + total + 1] += size
        latency += row
        cells[latency + bisect_left(_BOUNDS, nanoseconds)] += 1
        cells[latency + _WIDTH - 1] += nanoseconds
        if received:
            cells[row + place] += received

    def end(self) -> None:
        """A request that was in flight is answered, or given up."""
        self._counters[self._row + _FLYING] -= 1

    def count_stored(self, stored: int, failed: int) -> None:
        """Count the instances of one store request, by what became of them."""
        self._counters[self._row + _STORED] += stored
        self._counters[self._row + _STORED + 1] += failed

    def _sum(self, cell: int) -> int:
        return sum(self._counters[worker * _CELLS + cell] for worker in range(self._workers))

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance, as names are made when somebody asks."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Everything that is counted, as prometheus_client wants it."""
        yield from self._requests()
        yield self._latencies()
        received = CounterMetricFamily(
            "staticwado_request_bytes", "Bytes of bodies received.", labels=["view"]
        )
        for place, view in enumerate(VIEWS):
            if total := self._sum(_RECEIVED + place):
                received.add_metric([view], total)
        yield received
        stored = CounterMetricFamily(
            "staticwado_stored_instances", "Instances that clients sent.", labels=["outcome"]
        )
        for place, outcome in enumerate(STORED):
            stored.add_metric([outcome], self._sum(_STORED + place))
        yield stored
        flying = GaugeMetricFamily("staticwado_requests_in_flight", "Requests that wait for their answer.")
        flying.add_metric([], self._sum(_FLYING))
        yield flying
        yield from self._processes()
        for name, meaning, value in self._gauges:
            gauge = GaugeMetricFamily(name, meaning)
            try:
                gauge.add_metric([], value())
            except OSError:
                continue
            yield gauge

    def _requests(self) -> Iterator[Metric]:
        labels = ["view", "status"]
        requests = CounterMetricFamily("staticwado_requests", "Requests answered.", labels=labels)
        sent = CounterMetricFamily("staticwado_response_bytes", "Bytes of bodies sent.", labels=labels)
        for place, view in enumerate(VIEWS):
            for column, status in enumerate(STATUSES):
                cell = (place * len(STATUSES) + column) * 2
                if total := self._sum(cell):
                    code = str(status or "other")
                    requests.add_metric([view, code], total)
                    sent.add_metric([view, code], self._sum(cell + 1))
        yield requests
        yield sent

    def _latencies(self) -> Metric:
        family = HistogramMetricFamily(
            "staticwado_request_seconds", "Seconds from a request to its answer.", labels=["view", "outcome"]
        )
        bounds = [*map(str, BUCKETS), "+Inf"]
        for place, view in enumerate(VIEWS):
            for column, outcome in enumerate(OUTCOMES):
                cell = _LATENCIES + (place * len(OUTCOMES) + column) * _WIDTH
                counts = [self._sum(cell + step) for step in range(_WIDTH - 1)]
                if not any(counts):
                    continue
                upto = [sum(counts[: step + 1]) for step in range(len(counts))]
                seconds = self._sum(cell + _WIDTH - 1) / 1e9
                family.add_metric([view, outcome], list(zip(bounds, upto, strict=True)), seconds)
        return family

    def _processes(self) -> Iterator[Metric]:
        """Of each process that serves; nothing where the system has no /proc."""
        memory = GaugeMetricFamily(
            "staticwado_process_resident_bytes", "Memory of a process that serves.", labels=["worker"]
        )
        spent = CounterMetricFamily(
            "staticwado_process_cpu_seconds", "Processor time of a process that serves.", labels=["worker"]
        )
        for worker in range(self._workers):
            try:
                used = _usage(self._counters[worker * _CELLS + _PROCESS])
            except (OSError, ValueError, IndexError):
                continue
            memory.add_metric([str(worker)], used["memory"])
            spent.add_metric([str(worker)], used["seconds"])
        yield memory
        yield spent

    def text(self, accept: str | None = None) -> tuple[bytes, str]:
        """Everything in the exposition format that `accept` asks for, and its media type."""
        try:
            encode, content_type = choose_encoder(accept or "")
        except (ValueError, TypeError):  # a version that is no version
            encode, content_type = choose_encoder("")
            encode = generate_latest
        return encode(self._registry), content_type


def _usage(process: int) -> Mapping[str, float]:
    """Bytes of memory and seconds of processor time of a process. Raises OSError where there is no /proc."""
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
        # The name in brackets may hold anything.
        fields = file.read().rpartition(")")[2].split()
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    return {"memory": int(fields[21]) * page, "seconds": (int(fields[11]) + int(fields[12])) / ticks}
