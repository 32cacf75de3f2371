"""`mkdicomweb verify` as its user meets it: exit codes, words, the report file, a writer at work."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from staticwado.archive import Archive
from staticwado.ingest.verify import VerifyOptions, verify
from tests import factories
from tests.ingest.verify.conftest import digest, sources, told
from tests.truth.command import arguments, environment, run


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return sources(tmp_path / "in")


@pytest.fixture
def root(tmp_path: Path, given: Path) -> Path:
    """An archive of all sources."""
    place = tmp_path / "archive"
    assert run("create", given, "--dir", place, "--jobs", "1").code == 0
    return place


def report_of(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_a_whole_archive_is_0_and_says_what_was_read(root: Path, given: Path, tmp_path: Path) -> None:
    before = digest(root)
    done = run("verify", "--dir", root, "--report", tmp_path / "r.json", "--against", given, "--jobs", "2")
    assert done.code == 0, done.errors
    assert done.output.startswith("6 instances in 4 series of 2 studies: 8 frames, ")
    assert "sources: 6 equal, 0 differs" in done.output
    report = report_of(tmp_path / "r.json")
    assert report["whole"] is True
    assert report["faults"] == []
    assert report["counts"]["instances"] == 6
    assert report["sources"]["equal"] == 6
    assert len(report["inputs"]) == 6
    assert report["summary"] == done.output.strip()
    assert digest(root) == before


def test_faults_are_1_and_each_is_told_with_its_repair(root: Path, tmp_path: Path) -> None:
    next(root.rglob("frames/3.mht")).unlink()
    (root / "stray\n\x1b[31m").write_bytes(b"")
    done = run("verify", "--dir", root, "--report", tmp_path / "r.json")
    assert done.code == 1
    assert "\x1b" not in done.errors
    assert not done.has_traceback
    lines = done.errors.splitlines()
    assert any(line.startswith("missing: studies/") and "create SOURCE" in line for line in lines)
    assert any(line.startswith("stray: stray\\n") and line.endswith("remove it by hand") for line in lines)
    rows = report_of(tmp_path / "r.json")["faults"]
    assert {row["kind"] for row in rows} == {"missing", "stray"}
    assert all(set(row) == {"key", "kind", "detail", "repair"} for row in rows)


def test_a_source_that_is_not_in_is_1(root: Path, given: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.dcm"
    more.write_bytes(factories.instance(seed="more"))
    done = run("verify", "--dir", root, "--against", given, more)
    assert done.code == 1
    assert f"missing: {more}" in done.errors
    assert "sources: 6 equal, 0 differs, 1 missing" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["--jobs", "-1"],
        ["--jobs", "x"],
        ["PATH"],
        ["--report", "."],
        ["--report", "missing/r.json"],
        ["--what"],
    ],
)
def test_wrong_words_are_2(root: Path, tmp_path: Path, words: list[str]) -> None:
    done = run("verify", "--dir", root, *words, folder=tmp_path)
    assert done.code == 2
    assert not done.has_traceback


def test_no_archive_is_2_and_an_empty_one_4(root: Path, tmp_path: Path) -> None:
    assert run("verify", "--dir", tmp_path / "missing").code == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    Archive(str(empty), create=True).create_marker()
    Archive(str(empty)).store.write(
        "studies/index.json.gz", (root / "studies/index.json.gz").read_bytes(), "x"
    )
    assert run("verify", "--dir", empty).code == 1
    shutil.rmtree(empty / "studies")
    shutil.rmtree(empty / "x")
    done = run("verify", "--dir", empty)
    assert done.code == 1
    assert "mkdicomweb index" in done.errors
    run("index", "--dir", empty)
    assert run("verify", "--dir", empty).code == 4


def test_sources_that_are_none_are_4(root: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert run("verify", "--dir", root, "--against", tmp_path / "nothing").code == 4


def test_an_archive_of_which_nothing_can_be_read_is_3(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the owner of the machine may read everything")
    (root / "studies").chmod(0)
    try:
        assert run("verify", "--dir", root).code == 3
    finally:
        (root / "studies").chmod(0o755)


def test_a_writer_at_work_raises_no_false_alarm(root: Path, given: Path, tmp_path: Path) -> None:
    """Instances come into the same studies, over and over, while the archive is looked at."""
    more = tmp_path / "more"
    more.mkdir()
    for number in range(25):
        (more / f"{number}.dcm").write_bytes(
            factories.instance(
                seed=f"more {number}", frames=factories.pixels(8, 8, seed=number), rows=8, columns=8
            )
        )
    script = "\n".join(
        [
            "from staticwado.archive import Archive",
            "from staticwado.ingest.pipeline import CreateOptions, create",
            "from staticwado.store.local import LocalStore",
            "LocalStore.sync = lambda self: None",  # other tests' bytes are not waited for
            f"archive = Archive({str(root)!r})",
            "for number in range(25):",
            f"    path = {str(more)!r} + f'/{{number}}.dcm'",
            "    create(archive, [path], CreateOptions(jobs=1, thumbnails=False))",
        ]
    )
    launched = [arguments("x")[0], "-c", script]
    writer = subprocess.Popen(launched, env=environment(), stdout=subprocess.DEVNULL)
    looks = 0
    try:
        while writer.poll() is None:
            report = verify(str(root), VerifyOptions(1))
            assert report.whole, told(report)
            looks += 1
    finally:
        writer.kill()
        writer.wait()
    assert writer.returncode == 0
    assert looks > 3
    report = verify(str(root), VerifyOptions(1))
    assert report.whole, told(report)
    assert report.findings.counts.instances == 31
