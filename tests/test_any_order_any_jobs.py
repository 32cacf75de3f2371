"""The same input gives the same bytes: in any order, with any names and number of jobs, and after `kill -9`.

Generated files, so that this runs anywhere, and a sample of the real ones where they are.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests import factories
from tests.truth.command import arguments, run, start
from tests.truth.corpus import read_corpus
from tests.truth.tree import Tree, uris

pytestmark = pytest.mark.timeout(600)

SAMPLE = 120


def _generated() -> list[bytes]:
    """Three studies of several series: every way to keep frames, and values that instances share."""
    files: list[bytes] = []
    for study in range(3):
        for series in range(2):
            files += factories.series_of(12, study=study, series=series, side=32)
    frames = factories.pixels(5, 7, 3, bits=1)
    for number, syntax in enumerate(factories.NATIVE):
        files.append(factories.with_big_values(seed=f"big{number}", study=1, syntax=syntax))
        files.append(
            factories.instance(seed=f"bit{number}", syntax=syntax, frames=frames, rows=5, columns=7, bits=1)
        )
    streams = [factories.codestream(900, n) for n in range(4)]
    for offsets in ("basic", "empty", "extended"):
        files.append(
            factories.instance(
                seed=offsets, syntax=factories.JPEG_LOSSLESS, frames=streams, offsets=offsets, fragments=2
            )
        )
    return files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Files in a few folders, generated and real."""
    place = tmp_path_factory.mktemp("input")
    for number, data in enumerate(_generated()):
        inner = place / f"generated{number % 3}"
        inner.mkdir(exist_ok=True)
        (inner / f"{number:04d}.dcm").write_bytes(data)
    from tests.conftest import ROOT

    named = os.environ.get("TESTDATA")
    corpus = Path(named) if named else ROOT.parent / "shared" / "testdata"
    if corpus.is_dir():
        valid = read_corpus(corpus).valid
        for number, path in enumerate(valid[:: max(1, len(valid) // SAMPLE)]):
            inner = place / f"real{number % 4}"
            inner.mkdir(exist_ok=True)
            shutil.copy(path, inner / f"{number:04d}{path.suffix}")
    return place


@pytest.fixture(scope="module")
def reference(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The archive of `folder`, with one job."""
    root = tmp_path_factory.mktemp("reference") / "archive"
    done = run("create", folder, "--dir", root, "--jobs", "1")
    assert done.code == 0, done.errors[-3000:]
    return Tree(root).digests()


def _assert_same(found: dict[str, str], wanted: dict[str, str]) -> None:
    different = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    assert not different, f"{len(different)} files differ: {different[:20]}"


def test_four_jobs_write_the_same_bytes(folder: Path, reference: dict[str, str], tmp_path: Path) -> None:
    done = run("create", folder, "--dir", tmp_path / "archive", "--jobs", "4")
    assert done.code == 0, done.errors[-3000:]
    _assert_same(Tree(tmp_path / "archive").digests(), reference)


@pytest.mark.parametrize("seed", [1, 2])
def test_order_and_names_of_files_write_the_same_bytes(
    folder: Path, reference: dict[str, str], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    chance.shuffle(paths)
    inputs = []
    for number, path in enumerate(paths):
        inner = tmp_path / f"in{chance.randrange(5)}" / f"{chance.randrange(3)}"
        inner.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, inner / f"{chance.randrange(10**6):06d}-{number}")
    inputs = sorted(tmp_path.glob("in*"))
    chance.shuffle(inputs)
    done = run("create", *inputs, "--dir", tmp_path / "archive", "--jobs", str(seed))
    assert done.code == 0, done.errors[-3000:]
    _assert_same(Tree(tmp_path / "archive").digests(), reference)


def test_studies_that_arrive_in_pieces_write_the_same_bytes(
    folder: Path, reference: dict[str, str], tmp_path: Path
) -> None:
    """Every folder holds a part of every study; each is a run of its own, last one first."""
    for part in sorted(folder.iterdir(), reverse=True):
        done = run("create", part, "--dir", tmp_path / "archive")
        assert done.code == 0, done.errors[-3000:]
    _assert_same(Tree(tmp_path / "archive").digests(), reference)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_packed_folder_writes_the_same_bytes(
    folder: Path, reference: dict[str, str], tmp_path: Path, kind: str
) -> None:
    packed = shutil.make_archive(str(tmp_path / "packed"), kind, folder)
    done = run("create", packed, "--dir", tmp_path / "archive")
    assert done.code == 0, done.errors[-3000:]
    _assert_same(Tree(tmp_path / "archive").digests(), reference)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    inner = tmp_path / "in" / "deeper"
    inner.mkdir(parents=True)
    (inner / "one.dcm").write_bytes(factories.instance())
    (inner / "up").symlink_to(tmp_path / "in", target_is_directory=True)
    (inner / "self").symlink_to("self")
    done = run("create", tmp_path / "in", "--dir", tmp_path / "archive", limit=60)
    assert not done.has_traceback
    assert len(list(Tree(tmp_path / "archive").instances())) == 1


def _count(root: Path) -> int:
    """Files below `root`, staged ones too: how far a run has come."""
    return sum(len(names) for _, _, names in os.walk(root))


def _kill_at(folder: Path, root: Path, wanted: int, jobs: int) -> bool:
    """Start a run and kill all of it when the archive holds `wanted` files; False if it ended before."""
    with tempfile.TemporaryFile() as output:
        words = arguments("create", folder, "--dir", root, "--jobs", str(jobs))
        process = start(words, output, output, root.parent)
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end and _count(root) < wanted:
            time.sleep(0.002)
        finished = process.poll() is not None
        if not finished:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return not finished


def _assert_whole(root: Path) -> None:
    """What exists is complete: metadata that parses, all its frames, all its bulkdata (DESIGN, law 4)."""
    tree = Tree(root)
    for study, series, instance in tree.instances():
        base, found = tree.metadata(study, series, instance)
        model = found[0]
        for _, uri in uris(model):
            if not uri.endswith("pixeldata"):
                tree.fetch(base, uri)
        if any(key in model for key in ("7FE00010", "7FE00008", "7FE00009")):
            frames = tree.frames(study, series, instance)
            assert sorted(frames) == list(range(1, len(frames) + 1))
            assert frames or "BulkDataURI" not in model.get("7FE00010", {})


@pytest.mark.parametrize(("seed", "jobs"), [(1, 1), (2, 4)])
def test_runs_killed_half_way_and_run_again_write_the_same_bytes(
    folder: Path, reference: dict[str, str], tmp_path: Path, seed: int, jobs: int
) -> None:
    root = tmp_path / "archive"
    chance = random.Random(seed)
    killed = 0
    for share in sorted(chance.uniform(0.05, 0.95) for _ in range(2)):
        killed += _kill_at(folder, root, max(1, int(len(reference) * share)), jobs)
        _assert_whole(root)
    done = run("create", folder, "--dir", root, "--jobs", str(jobs))
    assert done.code == 0, done.errors[-3000:]
    assert killed, "no run could be killed before it ended"
    _assert_same(Tree(root).digests(), reference)
