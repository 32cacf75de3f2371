"""Worker processes: what a call may do to its process, and what the caller is told."""

import math
import os
import threading
import time
from collections.abc import Iterator

import pytest

from staticwado.errors import BrokenDicom, StoreUnavailable, Unsupported
from staticwado.web.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(1, 30.0)
    yield made
    made.close()


def refuse(text: str) -> None:
    raise BrokenDicom(text)


def starve() -> None:
    raise MemoryError


def who() -> int:
    return os.getpid()


def test_a_call_runs_in_another_process_which_stays(workers: Workers) -> None:
    first = workers.call(who)
    assert first != os.getpid()
    assert workers.call(who) == first
    assert workers.call(math.factorial, 20) == math.factorial(20)


def test_large_results_come_back_whole(workers: Workers) -> None:
    assert workers.call(bytes, 5_000_000) == bytes(5_000_000)


def test_an_error_of_ours_passes_through_and_costs_no_process(workers: Workers) -> None:
    first = workers.call(who)
    with pytest.raises(BrokenDicom, match="frame 3"):
        workers.call(refuse, "frame 3 is cut")
    assert workers.call(who) == first


def test_a_foreign_error_is_told_by_its_text(workers: Workers) -> None:
    with pytest.raises(RuntimeError, match="ValueError in a worker: invalid literal"):
        workers.call(int, "x")


def test_too_little_memory_is_no_mistake_of_the_server(workers: Workers) -> None:
    with pytest.raises(Unsupported, match="memory"):
        workers.call(starve)


@pytest.mark.parametrize("end", [os.abort, os._exit])
def test_a_process_that_dies_costs_its_own_call_alone(workers: Workers, end: object) -> None:
    first = workers.call(who)
    with pytest.raises(Unsupported, match="died"):
        workers.call(end, *(() if end is os.abort else (0,)))  # type: ignore[arg-type]
    assert workers.call(who) not in (first, os.getpid())


def test_a_call_that_takes_too_long_is_ended(workers: Workers) -> None:
    hasty = Workers(1, 0.2)
    try:
        with pytest.raises(Unsupported, match=r"longer than 0\.2 seconds"):
            hasty.call(time.sleep, 600)
    finally:
        hasty.close()


def test_who_waits_too_long_for_a_process_is_told_to_come_back(workers: Workers) -> None:
    crowded = Workers(1, 0.3)
    began = threading.Event()

    def occupy() -> None:
        began.set()
        with pytest.raises((Unsupported, StoreUnavailable)):
            crowded.call(time.sleep, 600)

    threads = [threading.Thread(target=occupy) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert began.wait(10)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    crowded.close()


def test_what_cannot_be_sent_is_refused_before_a_process_is_needed(workers: Workers) -> None:
    first = workers.call(who)
    with pytest.raises(Exception, match="pickle"):
        workers.call(lambda: 1)
    assert workers.call(who) == first


def test_closing_ends_the_processes_and_later_calls_are_refused(workers: Workers) -> None:
    process = workers.call(who)
    workers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(StoreUnavailable, match="about to end"):
        workers.call(who)
