"""`mkdicomweb` as its user meets it: exit codes, output, report, interrupts, crashes, memory."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import factories
from tests.truth.command import Done, arguments, environment, run
from tests.truth.tree import Tree

MEGABYTE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three instances of one series."""
    place = tmp_path / "in"
    place.mkdir()
    for number, data in enumerate(factories.series_of(3)):
        (place / f"{number}.dcm").write_bytes(data)
    return place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def report_of(path: Path) -> Any:
    return json.loads(path.read_bytes())


# -- exit codes and words ------------------------------------------------------------------------------------


def test_all_in_is_0_and_the_default_command_is_create(folder: Path, root: Path, tmp_path: Path) -> None:
    done = run("create", folder, "--dir", root)
    assert (done.code, done.output) == (0, "3 in (3 new, 0 unchanged), 0 skipped, 0 failed\n")
    words = [*arguments("create", folder, "--dir", root)]
    words.remove("create")
    again = subprocess.run(words, capture_output=True, text=True, env=environment())
    assert (again.returncode, again.stdout) == (0, "3 in (0 new, 3 unchanged), 0 skipped, 0 failed\n")
    assert again.stderr == ""


def test_some_failed_is_1_and_every_input_has_a_row(folder: Path, root: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_bytes(b"nothing")
    (folder / "bad.dcm").write_bytes(factories.instance(StudyInstanceUID="../x"))
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\x1b[31m\nname"))
    odd.write_bytes(factories.instance(StudyInstanceUID="y"))
    done = run("create", folder, "--dir", root, "--report", tmp_path / "r.json")
    assert done.code == 1
    assert done.output == "3 in (3 new, 0 unchanged), 1 skipped, 2 failed\n"
    assert not done.has_traceback
    assert "\x1b" not in done.errors
    assert len(done.errors.splitlines()) == 2
    report = report_of(tmp_path / "r.json")
    assert report["summary"] == done.output.strip()
    assert report["interrupted"] is False
    rows = {row["source"]: row for row in report["inputs"]}
    assert len(rows) == 6
    assert rows[str(folder / "bad.dcm")]["reason"] == "invalid instance"
    assert rows[str(folder / "bad.dcm")]["code"] == "0117"
    assert rows[str(folder / "notes.txt")]["outcome"] == "skipped"
    assert rows[str(folder / "0.dcm")]["study"] == factories.uid("study", 0)
    assert rows[f"{folder}/\\xff\x1b[31m\nname"]["outcome"] == "failed"


def test_none_in_is_3_and_nothing_found_is_4(folder: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "notes").write_bytes(b"nothing")
    assert run("create", tmp_path / "x", "--dir", root).code == 3
    assert run("create", tmp_path / "missing", "--dir", root).code == 3
    assert run("create", tmp_path / "empty", "--dir", root).code == 4
    assert run("create", tmp_path / "only", "--dir", root).code == 4
    (tmp_path / "only" / "bad").write_bytes(factories.instance(StudyInstanceUID="x"))
    assert run("create", tmp_path / "only", "--dir", root).code == 3


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["IN", "--jobs", "-1"],
        ["IN", "--jobs", "many"],
        ["IN", "--unknown"],
        ["IN", "--report", "missing/r.json"],
        ["IN", "--report", "."],
        ["IN", "--frames", "bundle"],
        ["IN", "--transcode", "j2k"],
        ["IN", "--dask", "tcp://x"],
        ["IN", "-c", "missing.json5"],
    ],
)
def test_wrong_words_are_2_and_nothing_is_tried(
    folder: Path, root: Path, tmp_path: Path, words: list[str]
) -> None:
    given = [str(folder) if word == "IN" else word for word in words]
    done = run("create", *given, "--dir", root, folder=tmp_path)
    assert done.code == 2
    assert not done.has_traceback
    assert done.errors
    assert not root.exists()


def test_an_archive_of_another_layout_is_2(folder: Path, root: Path) -> None:
    root.mkdir()
    (root / "staticwado.json").write_text('{"layout": 99}')
    assert run("create", folder, "--dir", root).code == 2
    assert run("index", "--dir", root.parent).code == 2


def test_a_target_that_cannot_be_written_is_said_once(folder: Path, root: Path, tmp_path: Path) -> None:
    for number, data in enumerate(factories.series_of(20, series=1)):
        (folder / f"more{number}.dcm").write_bytes(data)
    root.write_bytes(b"a file")
    done = run("create", folder, "--dir", root, "--report", tmp_path / "r.json")
    assert done.code == 3
    assert not done.has_traceback
    assert len(done.errors.splitlines()) == 2
    assert report_of(tmp_path / "r.json")["counts"]["failed"] == 23


def test_a_report_that_cannot_be_written_is_1_after_the_summary(folder: Path, root: Path) -> None:
    done = run("create", folder, "--dir", root, "--report", "/dev/full")
    assert done.code == 1
    assert done.summary.new == 3
    assert "report" in done.errors


def test_strict_dry_run_quarantine_force_and_thumbnails(folder: Path, root: Path, tmp_path: Path) -> None:
    (folder / "+bad.dcm").write_bytes(factories.instance(StudyInstanceUID="x"))
    quarantine = tmp_path / "quarantine"
    done = run("create", folder, "--dir", root, "--dry-run", "--quarantine", quarantine)
    assert (done.code, done.summary.new, done.summary.failed) == (1, 3, 1)
    assert not root.exists()
    assert not quarantine.exists()
    done = run("create", folder, "--dir", root, "--strict")
    assert (done.code, done.summary.taken, done.summary.failed) == (3, 0, 1)
    done = run("create", folder, "--dir", root, "--quarantine", quarantine, "--no-thumbnails")
    assert [path.name for path in quarantine.iterdir()] == ["+bad.dcm"]
    assert not list(root.rglob("thumbnail.jpg"))
    done = run("create", folder, "--dir", root, "--force", "--jobs", "2")
    assert (done.summary.unchanged, done.summary.failed) == (3, 1)


def test_thumbnails_are_no_larger_than_they_should_be(root: Path, tmp_path: Path) -> None:
    frames = factories.pixels(40, 600, bits=8)
    (tmp_path / "wide.dcm").write_bytes(factories.instance(frames=frames, rows=40, columns=600, bits=8))
    assert run("create", tmp_path / "wide.dcm", "--dir", root).code == 0
    found = list(root.rglob("thumbnail.jpg"))
    assert len(found) == 3
    for path in found:
        assert jpeg_size(path.read_bytes()) == (256, 17)


def jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")


def test_index_makes_what_is_gone(folder: Path, root: Path) -> None:
    run("create", folder, "--dir", root)
    before = Tree(root).digests()
    for name in ("index.json.gz", "thumbnail.jpg"):
        for path in list(root.rglob(name)):
            if path.parent.parent.name != "instances":
                path.unlink()
    done = run("index", "--dir", root)
    assert (done.code, done.output) == (0, "1 studies indexed\n")
    assert Tree(root).digests() == before


def test_flags_go_before_environment_before_file(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "static-wado.json5"
    config.write_text(
        f"{{staticWadoConfig: {{rootDir: '{tmp_path}/file'}}, mkdicomwebConfig: {{thumbnails: false}}}} // x"
    )

    def start(*words: str, **variables: str) -> None:
        command = arguments("create", folder, *words)
        subprocess.run(command, env=environment(variables), cwd=tmp_path, check=True, capture_output=True)

    start()
    assert (tmp_path / "file" / "staticwado.json").is_file()
    assert not list((tmp_path / "file").rglob("thumbnail.jpg"))
    start(STATICWADO_DIR=str(tmp_path / "environment"), STATICWADO_THUMBNAILS="1")
    assert list((tmp_path / "environment").rglob("thumbnail.jpg"))
    start("--dir", str(tmp_path / "flag"), STATICWADO_DIR=str(tmp_path / "not"))
    assert (tmp_path / "flag" / "staticwado.json").is_file()
    assert not (tmp_path / "not").exists()


def test_the_summary_can_be_piped_and_a_closed_pipe_is_no_traceback(folder: Path, root: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = arguments("create", folder, "--dir", root)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment())
    os.close(writer)
    assert b"Traceback" not in done.stderr


# -- interrupts, crashes, several at once --------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Files that take a while: 1,200 in four studies."""
    place = tmp_path / "many"
    place.mkdir()
    for study in range(4):
        for number, data in enumerate(factories.series_of(300, study=study, side=64)):
            (place / f"{number:03d}-{study}.dcm").write_bytes(data)
    return place


def begin(*words: str | Path, errors: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        arguments("create", *words),
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment(),
        start_new_session=True,
    )


def wait_until(true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while not true() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whole_group", [True, False])
def test_an_interrupt_ends_all_processes_and_reports(
    many: Path, root: Path, tmp_path: Path, jobs: str, number: signal.Signals, whole_group: bool
) -> None:
    with tempfile.TemporaryFile() as errors:
        words = (many, "--dir", root, "--jobs", jobs, "--report", tmp_path / "r.json")
        process = begin(*words, errors=errors)
        wait_until(lambda: any(root.glob("studies/*")), process)
        if whole_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output, _ = process.communicate(timeout=120)
        errors.seek(0)
        said = errors.read().decode()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted" in said
    wait_until(lambda: group_is_gone(process.pid), process)
    assert group_is_gone(process.pid)
    report = report_of(tmp_path / "r.json")
    assert report["interrupted"] is True
    assert output.decode().strip() == report["summary"]
    tree = Tree(root)
    there = {instance for _, _, instance in tree.instances()}
    assert there >= {row["instance"] for row in report["inputs"] if row["outcome"] == "new"}
    assert not list((root / ".staticwado" / "pending").iterdir())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_after_kill_the_next_run_gives_the_bytes_of_an_undisturbed_one(
    many: Path, root: Path, tmp_path: Path, jobs: str
) -> None:
    assert run("create", many, "--dir", tmp_path / "whole", "--no-thumbnails").code == 0
    wanted = Tree(tmp_path / "whole").digests()
    for share in (1, 300, 700):
        process = begin(many, "--dir", root, "--jobs", jobs, "--no-thumbnails", errors=subprocess.DEVNULL)
        wait_until(lambda: sum(1 for _ in root.glob("studies/*/series/*/instances/*")) >= share, process)  # noqa: B023
        process.kill()  # the parent alone: its workers must not outlive it
        process.communicate()
        wait_until(lambda: group_is_gone(process.pid), process)  # noqa: B023
        for _ in range(400):
            if group_is_gone(process.pid):
                break
            time.sleep(0.01)
        assert group_is_gone(process.pid)
    assert run("create", many, "--dir", root, "--no-thumbnails").code == 0
    assert Tree(root).digests() == wanted
    assert not list((root / ".staticwado" / "staging").iterdir())
    assert not list((root / ".staticwado" / "pending").iterdir())


def test_two_runs_at_once_make_one_archive(many: Path, root: Path, tmp_path: Path) -> None:
    assert run("create", many, "--dir", tmp_path / "whole", "--no-thumbnails").code == 0
    runs = [
        begin(many, "--dir", root, "--jobs", "1", "--no-thumbnails", errors=subprocess.PIPE) for _ in range(2)
    ]
    said = [one.communicate(timeout=120) for one in runs]
    assert [one.returncode for one in runs] == [0, 0], said
    new = sum(int(output.decode().partition("(")[2].partition(" ")[0]) for output, _ in said)
    assert new == 1200
    assert Tree(root).digests() == Tree(tmp_path / "whole").digests()
    assert not list((root / ".staticwado" / "staging").iterdir())
    assert not list((root / ".staticwado" / "pending").iterdir())


# -- limits of the machine -----------------------------------------------------------------------------------


def limited(root: Path, folder: Path, limit: str, *words: str | Path) -> Done:
    """A run under a limit of the shell."""
    command = [
        "sh",
        "-c",
        f'ulimit {limit}; exec "$@"',
        "sh",
        *arguments("create", folder, "--dir", root, *words),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120)
    return Done(done.returncode, done.stdout, done.stderr, 0, 0)


def test_files_that_may_not_grow_fail_one_by_one(folder: Path, root: Path) -> None:
    big = factories.instance(seed=8, frames=factories.pixels(1024, 1024), rows=1024, columns=1024)
    (folder / "big.dcm").write_bytes(big)
    done = limited(root, folder, "-f 1024", "--jobs", "1")
    assert not done.has_traceback
    assert (done.code, done.summary.new, done.summary.failed) == (1, 3, 1)
    assert "File too large" in done.errors
    assert run("create", folder, "--dir", root).summary.new == 1


def test_few_open_files_are_enough(folder: Path, root: Path) -> None:
    for study in range(60):
        (folder / f"s{study}.dcm").write_bytes(factories.with_big_values(study=study, seed=9))
    done = limited(root, folder, "-n 128")
    assert (done.code, done.summary.new) == (0, 63), done.errors


def native(path: Path, frames: int, megabytes: int) -> None:
    """A sparse file of `frames` native frames."""
    rows, columns = 1024 * 16, 64 * megabytes
    data = factories.instance(
        frames=[b""], rows=rows, columns=columns, bits=8, NumberOfFrames=frames, without=["PixelData"]
    )
    size = frames * megabytes * MEGABYTE
    data += b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little")
    path.write_bytes(data)
    os.truncate(path, len(data) + size)


def encapsulated(path: Path, fragments: int, megabytes: int) -> None:
    """A sparse file of one codestream a fragment."""
    data = factories.instance(
        syntax=factories.JPEG_LOSSLESS,
        frames=[b"\xff\xd8\xff\xd9"],
        NumberOfFrames=fragments,
        rows=16,
        columns=16,
        bits=8,
    )
    data = data[: data.index(b"\xe0\x7f\x10\x00OB") + 12] + b"\xfe\xff\x00\xe0" + bytes(4)
    with path.open("wb") as file:
        file.write(data)
        for _ in range(fragments):
            file.write(
                b"\xfe\xff\x00\xe0" + (megabytes * MEGABYTE).to_bytes(4, "little") + b"\xff\xd8\xff\xe0"
            )
            file.seek(megabytes * MEGABYTE - 4, os.SEEK_CUR)
        file.write(b"\xfe\xff\xdd\xe0" + bytes(4))


def long_value(path: Path, vr: str, megabytes: int) -> None:
    data = factories.instance() + b"\x40\x00\x60\xa1" + vr.encode() + b"\0\0"
    path.write_bytes(data + (megabytes * MEGABYTE).to_bytes(4, "little"))
    os.truncate(path, path.stat().st_size + megabytes * MEGABYTE)


def implicit_text(path: Path, megabytes: int) -> None:
    """A text of a VR that has no bulkdata, with the 32-bit length that implicit VR allows it."""
    data = factories.instance(syntax=factories.IMPLICIT) + b"\x40\x00\x60\xa1"
    path.write_bytes(data + (megabytes * MEGABYTE).to_bytes(4, "little"))
    os.truncate(path, path.stat().st_size + megabytes * MEGABYTE)


def zeros_behind(path: Path, megabytes: int) -> None:
    path.write_bytes(factories.instance(frames=factories.pixels(4, 4)))
    os.truncate(path, path.stat().st_size + megabytes * MEGABYTE)


def deflate_bomb(path: Path, megabytes: int) -> None:
    import zlib

    head = factories.instance(syntax=factories.DEFLATED)
    start = head.index(b"2.25.1000") + 10
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = factories.instance(meta=False, preamble=False)
    plain += b"\x40\x00\x60\xa1UT\0\0" + (megabytes * MEGABYTE).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head[:start] + squeezer.compress(plain))
        for _ in range(megabytes):
            file.write(squeezer.compress(b"x" * MEGABYTE))
        file.write(squeezer.flush())


LARGE: list[tuple[str, Callable[[Path], None]]] = [
    ("native", lambda path: native(path, 4, 128)),
    ("large frame", lambda path: native(path, 1, 500)),
    ("frame with thumbnail", lambda path: native(path, 1, 64)),
    ("encapsulated", lambda path: encapsulated(path, 4, 128)),
    ("text", lambda path: long_value(path, "UT", 500)),
    ("unknown", lambda path: long_value(path, "UN", 500)),
    ("implicit", lambda path: implicit_text(path, 500)),
    ("zeros", lambda path: zeros_behind(path, 500)),
    ("deflated", lambda path: deflate_bomb(path, 500)),
]


@pytest.mark.parametrize(("name", "make"), LARGE, ids=[name for name, _ in LARGE])
def test_memory_does_not_grow_with_the_input(
    tmp_path: Path, root: Path, name: str, make: Callable[[Path], None]
) -> None:
    """A few times larger than the memory allowed; the sizes that users have were measured by hand."""
    try:
        make(tmp_path / "large.dcm")
        done = run("create", tmp_path / "large.dcm", "--dir", root, "--jobs", "1", limit=120)
        assert done.code == 0, done.errors
        assert done.peak < 200 * MEGABYTE, f"{done.peak / MEGABYTE:.0f} MB"
    finally:
        shutil.rmtree(root, ignore_errors=True)
        (tmp_path / "large.dcm").unlink(missing_ok=True)
