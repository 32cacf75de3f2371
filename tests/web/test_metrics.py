"""Counters that several processes share, and what Prometheus reads of them."""

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from staticwado.web.metrics import BUCKETS, STATUSES, VIEWS, Metrics

LABELS = ("view", "status", "outcome", "worker", "le")


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(name, values of the labels) -> value, as Prometheus would read them."""
    text, content_type = metrics.text()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, *(sample.labels[name] for name in LABELS if name in sample.labels)): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_cell_is_its_own() -> None:
    metrics = Metrics()
    for place, view in enumerate(VIEWS):
        for column, status in enumerate(STATUSES):
            for _ in range(place + column + 1):
                metrics.count(view, status, 3)
    found = samples(metrics)
    for place, view in enumerate(VIEWS):
        for column, status in enumerate(STATUSES):
            assert found["staticwado_requests_total", view, str(status or "other")] == place + column + 1
            assert found["staticwado_response_bytes_total", view, str(status or "other")] == 3 * (
                place + column + 1
            )


def test_what_is_not_listed_is_counted_as_other() -> None:
    metrics = Metrics()
    metrics.count("nonsense", 418, 5)
    assert samples(metrics)["staticwado_requests_total", "other", "other"] == 1
    assert samples(metrics)["staticwado_request_seconds_count", "other", "refused"] == 1


def test_processes_see_each_others_counts() -> None:
    metrics = Metrics(2)
    child = os.fork()
    if not child:
        metrics.use_row(1)
        metrics.begin()
        metrics.count("frames", 200, 7, 1_000_000)
        metrics.count_stored(4, 1)
        os._exit(0)
    os.waitpid(child, 0)
    metrics.count("frames", 200, 3, 9_000_000, 11)
    metrics.count_stored(1, 0)
    found = samples(metrics)
    assert found["staticwado_requests_total", "frames", "200"] == 2
    assert found["staticwado_response_bytes_total", "frames", "200"] == 10
    assert found["staticwado_request_bytes_total", "frames"] == 11
    assert found["staticwado_request_seconds_sum", "frames", "answered"] == 0.01
    assert found["staticwado_stored_instances_total", "stored"] == 5
    assert found["staticwado_stored_instances_total", "failed"] == 1
    assert found[("staticwado_requests_in_flight",)] == 1
    # The process that died is started again in its row: nothing of it is in flight any more.
    metrics.use_row(1)
    assert samples(metrics)[("staticwado_requests_in_flight",)] == 0
    assert samples(metrics)["staticwado_requests_total", "frames", "200"] == 2


def test_latencies_are_counted_up_to_each_bound() -> None:
    metrics = Metrics()
    for seconds in (0.0, 0.001, 0.0011, 0.3, 61.0):
        metrics.count("search", 200, 0, round(seconds * 1e9))
    metrics.count("search", 503, 0, 10)
    found = samples(metrics)
    upto = [found["staticwado_request_seconds_bucket", "search", "answered", str(bound)] for bound in BUCKETS]
    assert upto == [2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]
    assert found["staticwado_request_seconds_bucket", "search", "answered", "+Inf"] == 5
    assert found["staticwado_request_seconds_count", "search", "failed"] == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "answered"), (304, "answered"), (404, "refused"), (499, "gone"), (500, "failed"), (507, "failed")],
)
def test_outcomes_are_told_apart(status: int, outcome: str) -> None:
    metrics = Metrics()
    metrics.count("store", status, 0, 5)
    assert samples(metrics)["staticwado_request_seconds_count", "store", outcome] == 1


@pytest.mark.parametrize(
    ("accept", "beginning"),
    [
        (None, "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text; version=x'y", "text/plain; version=0.0.4"),
        ("text/plain; version=" + "9" * 500, "text/plain"),
        ("application/openmetrics-text; version=1.0.0; escaping=\u20ac", "application/openmetrics-text"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str | None, beginning: str) -> None:
    metrics = Metrics()
    metrics.count("search", 200, 0)
    text, content_type = metrics.text(accept)
    assert content_type.startswith(beginning)
    assert "\r" not in content_type
    assert content_type.isascii()
    assert b"staticwado_requests_total" in text
    assert text.endswith(b"# EOF\n") is content_type.startswith("application/openmetrics")


def test_processor_time_and_memory_of_each_process_are_told() -> None:
    found = samples(Metrics(2))
    assert found["staticwado_process_resident_bytes", "0"] > 1 << 20
    assert found["staticwado_process_cpu_seconds_total", "0"] > 0
    assert ("staticwado_process_resident_bytes", "1") not in found


def test_a_gauge_is_asked_when_somebody_asks_and_left_out_when_it_fails() -> None:
    metrics = Metrics()
    value = 1.0

    def broken() -> float:
        raise OSError("no such disk")

    metrics.add_gauge("staticwado_things", "Things.", lambda: value)
    metrics.add_gauge("staticwado_broken", "Nothing.", broken)
    value = 7.0
    assert samples(metrics)[("staticwado_things",)] == 7
    assert ("staticwado_broken",) not in samples(metrics)
