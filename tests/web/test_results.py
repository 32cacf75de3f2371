"""Results in files: found again, bounded, and never the reason that an answer fails."""

import os
from pathlib import Path

import pytest

from staticwado.web.answer import Span
from staticwado.web.responses import read_span
from staticwado.web.results import Results


def content(found: Span | bytes | None) -> bytes | None:
    return read_span(found) if isinstance(found, Span) else found


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_kept_is_found_again_by_every_process(tmp_path: Path) -> None:
    kept = Results(str(tmp_path), 1 << 20).put("a key/with ../ anything", b"data")
    assert isinstance(kept, Span)
    other = Results(str(tmp_path), 1 << 20)
    assert content(other.get("a key/with ../ anything")) == b"data"
    assert other.get("another key") is None
    assert all(tmp_path in path.parents for path in files(tmp_path))


def test_reading_changes_nothing_that_a_span_is_checked_by(tmp_path: Path) -> None:
    results = Results(str(tmp_path), 1 << 20)
    first = results.put("key", b"data")
    assert results.get("key") == results.get("key") == first


def test_the_bound_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    results = Results(str(tmp_path), 100_000)
    for number in range(200):
        results.put(str(number), bytes([number]) * 5_000)
        assert content(results.get("0")) == bytes(5_000)
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 100_000
    assert content(results.get("199")) == bytes([199]) * 5_000
    assert results.get("1") is None


def test_processes_that_share_a_folder_stay_within_the_bound_together(tmp_path: Path) -> None:
    shared = [Results(str(tmp_path), 160_000, 4) for _ in range(4)]
    for number in range(100):
        for name, results in enumerate(shared):
            results.put(f"{name} {number}", bytes(2_000))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 160_000


@pytest.mark.parametrize(("size", "data"), [(0, b"x"), (800, bytes(101))])
def test_what_has_no_room_is_given_back_and_not_kept(tmp_path: Path, size: int, data: bytes) -> None:
    results = Results(str(tmp_path), size)
    assert results.put("key", data) == data
    assert results.get("key") is None
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file is in the way")
    results = Results(str(tmp_path / "cache"), 1 << 20)
    assert results.put("key", b"data") == b"data"
    assert results.get("key") is None


def test_results_of_another_start_of_the_machine_are_thrown_away(tmp_path: Path) -> None:
    old = tmp_path / "another-boot" / "00" / "x"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"perhaps only zeros")
    Results(str(tmp_path), 1 << 20).put("key", b"data")
    assert not old.exists()


def test_what_a_dead_process_left_unfinished_goes(tmp_path: Path) -> None:
    results = Results(str(tmp_path), 1 << 20)
    kept = results.put("key", b"data")
    assert isinstance(kept, Span)
    abandoned = Path(kept.path + ".0123.part")
    abandoned.write_bytes(b"da")
    os.utime(abandoned, (1, 1))
    Results(str(tmp_path), 1 << 20).put("other", b"data")
    assert not abandoned.exists()
    assert content(results.get("key")) == b"data"


def test_a_result_that_is_kept_again_replaces_the_first(tmp_path: Path) -> None:
    results = Results(str(tmp_path), 1 << 20)
    results.put("key", b"one")
    results.put("key", b"second")
    assert content(results.get("key")) == b"second"
    assert len(files(tmp_path)) == 1
