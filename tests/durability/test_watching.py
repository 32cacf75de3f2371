"""The record: it holds everything that the store does, and nothing that it does not do."""

from pathlib import Path

import pytest

from tests.durability.disk import Sync, Tree
from tests.durability.losses import cutoffs
from tests.durability.recording import record
from tests.durability.workloads import WORKLOADS, Workload

DATABASES = (".staticwado/sources.sqlite", ".staticwado/index.sqlite")


def on_disk(root: Path) -> Tree:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_the_record_tells_the_whole_tree(workload: Workload, place: Path) -> None:
    """No write escapes it, but for those of SQLite, whose files are derived."""
    recording = record(workload, place)
    there = {path: data for path, data in on_disk(recording.root).items() if not path.startswith(DATABASES)}
    assert recording.disk.tree() == there


def test_all_kept_is_what_the_program_saw(place: Path) -> None:
    recording = record(WORKLOADS[0], place)
    *_, last = cutoffs(recording.disk)
    assert last.tree(set(), {}) == recording.disk.tree()
    assert any(step.op == Sync(None) for step in recording.disk.steps)


def test_steps_have_the_names_of_their_callers(place: Path) -> None:
    recording = record(WORKLOADS[0], place)
    assert any("publish_folder" in step.place for step in recording.disk.steps)
