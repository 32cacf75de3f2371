"""Counters that several processes share."""

import os

from staticwado.web.metrics import STATUSES, VIEWS, Metrics


def test_every_cell_is_its_own() -> None:
    metrics = Metrics()
    for place, view in enumerate(VIEWS):
        for column, status in enumerate(STATUSES):
            for _ in range(place + column + 1):
                metrics.count(view, status, 1)
    text = metrics.text()
    for place, view in enumerate(VIEWS):
        for column, status in enumerate(STATUSES):
            labels = f'view="{view}",status="{status or "other"}"'
            assert f"staticwado_requests_total{{{labels}}} {place + column + 1}\n" in text


def test_what_is_not_listed_is_counted_as_other() -> None:
    metrics = Metrics()
    metrics.count("nonsense", 418, 5)
    assert 'staticwado_requests_total{view="other",status="other"} 1' in metrics.text()


def test_processes_see_each_others_counts() -> None:
    metrics = Metrics(2)
    child = os.fork()
    if not child:
        metrics.use_row(1)
        metrics.count("frames", 200, 7)
        os._exit(0)
    os.waitpid(child, 0)
    metrics.count("frames", 200, 3)
    assert 'staticwado_requests_total{view="frames",status="200"} 2' in metrics.text()
    assert 'staticwado_response_bytes_total{view="frames",status="200"} 10' in metrics.text()
