"""`create`, `settle` and `index`: idempotent, incremental, honest, and whole after whatever happens."""

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StoreUnavailable
from staticwado.ingest import batch, pipeline, pool
from staticwado.ingest.outcome import Reason, Report, Status
from staticwado.ingest.pipeline import CreateOptions, Progress, create
from staticwado.ingest.settle import index, settle
from staticwado.ingest.write import BatchWriter
from staticwado.store.local import LocalStore
from tests import factories
from tests.ingest.conftest import Convert, content, outcomes, snapshot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two series of three instances in one study."""
    place = tmp_path / "in"
    place.mkdir()
    for series in range(2):
        for number, data in enumerate(factories.series_of(3, series=series)):
            (place / f"{series}-{number}.dcm").write_bytes(data)
    return place


STUDY = factories.uid("study", 0)


def study_entry(root: Path) -> Any:
    return Archive(str(root)).read_json(Resource(View.INDEX, STUDY))[0]


def value(dataset: Any, tag: str) -> Any:
    return dataset[tag]["Value"][0]


def leftovers(root: Path) -> list[str]:
    """What is in the private folder beside ledger and locks."""
    return sorted(
        str(path.relative_to(root))
        for name in ("staging", "pending")
        for path in (root / ".staticwado" / name).rglob("*")
    )


# -- idempotent and incremental ------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_a_second_run_changes_no_byte_and_no_time(
    folder: Path, root: Path, convert: Convert, force: bool
) -> None:
    assert outcomes(convert(folder, thumbnails=True)) == ["new"] * 6
    before = snapshot(root)
    assert outcomes(convert(folder, thumbnails=True, force=force)) == ["unchanged"] * 6
    assert snapshot(root) == before
    assert leftovers(root) == []


def test_without_the_ledger_a_second_run_reads_and_changes_nothing(
    folder: Path, root: Path, convert: Convert
) -> None:
    convert(folder)
    before = snapshot(root)
    (root / ".staticwado" / "sources.sqlite").write_bytes(b"damaged")
    assert outcomes(convert(folder)) == ["unchanged"] * 6
    assert snapshot(root) == before
    shutil.rmtree(root / ".staticwado")
    assert outcomes(convert(folder)) == ["unchanged"] * 6
    assert snapshot(root) == before


def test_one_more_file_updates_counts_and_every_index(folder: Path, root: Path, convert: Convert) -> None:
    convert(folder)
    (folder / "more.dcm").write_bytes(factories.instance(seed=9, series=7, Modality="PR"))
    assert outcomes(convert(folder)).count("new") == 1
    entry = study_entry(root)
    assert (value(entry, "00201206"), value(entry, "00201208")) == (3, 7)
    assert entry["00080061"]["Value"] == ["OT", "PR"]
    archive = Archive(str(root))
    assert archive.read_json(Resource(View.STUDIES)) == [entry]
    assert len(archive.read_json(Resource(View.SERIES, STUDY))) == 3
    assert len(archive.read_json(Resource(View.METADATA, STUDY))) == 7
    series = factories.uid("series", 0, 7)
    assert len(archive.read_json(Resource(View.INSTANCES, STUDY, series))) == 1
    assert len(archive.read_json(Resource(View.METADATA, STUDY, series))) == 1


def test_arriving_in_pieces_and_in_any_order_gives_the_same_bytes(
    folder: Path, root: Path, convert: Convert, tmp_path: Path
) -> None:
    convert(folder, thumbnails=True)
    wanted = content(root)
    paths = sorted(folder.iterdir())
    for seed in range(3):
        random.Random(seed).shuffle(paths)
        other = tmp_path / f"archive{seed}"
        for path in paths:
            create(Archive(str(other), create=True), [str(path)], CreateOptions(jobs=1))
        assert content(other) == wanted


def test_derived_files_that_are_gone_come_back_the_same(folder: Path, root: Path, convert: Convert) -> None:
    convert(folder, thumbnails=True)
    wanted = content(root)
    derived = [key for key in wanted if "/instances/2" not in key and key != "staticwado.json"]
    assert len(derived) >= 11
    for key in derived:
        (root / key).unlink()
    done = index(Archive(str(root)))
    assert not done.faults
    assert content(root) == wanted
    assert leftovers(root) == []


def test_a_study_without_instances_loses_its_index(folder: Path, root: Path, convert: Convert) -> None:
    convert(folder)
    shutil.rmtree(root / "studies" / STUDY / "series")
    index(Archive(str(root)))
    assert Archive(str(root)).read_json(Resource(View.STUDIES)) == []
    assert not (root / "studies" / STUDY / "index.json.gz").exists()


def test_thumbnails_are_there_at_every_level_unless_not_wanted(
    folder: Path, root: Path, convert: Convert
) -> None:
    convert(folder)
    assert not list(root.rglob("thumbnail.jpg"))
    shutil.rmtree(root)
    convert(folder, thumbnails=True)
    found = list(root.rglob("thumbnail.jpg"))
    assert len(found) == 6 + 2 + 1
    assert all(path.read_bytes()[:3] == b"\xff\xd8\xff" for path in found)
    instance = Resource(
        View.THUMBNAIL, STUDY, factories.uid("series", 0, 0), factories.uid("instance", 0, 0, 2)
    )
    archive = Archive(str(root))
    assert archive.read(Resource(View.THUMBNAIL, STUDY)) == archive.read(instance)
    assert archive.read(Resource(View.THUMBNAIL, STUDY, instance.series)) == archive.read(instance)


# -- the same again, and something else under the same name --------------------------------------------------


def test_the_same_file_twice_is_one_instance(folder: Path, convert: Convert, tmp_path: Path) -> None:
    data = (folder / "0-0.dcm").read_bytes()
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(data)
    report = convert(tmp_path / "a", tmp_path / "b", tmp_path / "b", tmp_path / "c")
    assert sorted(outcomes(report)) == ["new", "unchanged", "unchanged", "unchanged"]


@pytest.mark.parametrize("together", [True, False])
def test_the_same_instance_with_other_content_is_a_conflict(
    root: Path, convert: Convert, tmp_path: Path, together: bool
) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for number, path in enumerate(paths):
        path.write_bytes(factories.instance(PatientComments=str(number)))
    reports = [convert(*paths)] if together else [convert(path) for path in paths]
    found = [one for report in reports for one in report.outcomes]
    assert [one.status for one in sorted(found, key=lambda one: one.source)] == [Status.NEW, Status.FAILED]
    (failed,) = [one for one in found if one.status is Status.FAILED]
    assert failed.reason is Reason.DUPLICATE_SOP_INSTANCE
    metadata = Archive(str(root)).read_json(Resource(View.METADATA, STUDY))
    assert value(metadata[0], "00104000") == "0"


def test_conflicts_within_a_zip_are_found(convert: Convert, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for number in range(3):
            packed.writestr(f"{number}.dcm", factories.instance(PatientComments=str(number // 2)))
        packed.writestr("notes.txt", b"nothing")
        packed.writestr("../../evil.dcm", factories.instance(seed=5))
    assert sorted(outcomes(convert(tmp_path / "x.zip"))) == ["failed", "new", "new", "skipped", "unchanged"]
    assert not list(tmp_path.parent.glob("evil*"))


def test_a_folder_without_metadata_is_no_instance_and_is_replaced(
    folder: Path, root: Path, convert: Convert
) -> None:
    convert(folder)
    wanted = content(root)
    garbage = next(path for path in root.rglob("metadata.gz") if path.parent.parent.name == "instances")
    garbage.unlink()
    (garbage.parent / "left-by-somebody").write_bytes(b"x")
    assert sorted(outcomes(convert(folder)))[0] == "new"
    assert content(root) == wanted


@pytest.mark.parametrize("syntax", factories.NATIVE)
def test_hostile_uids_write_nothing_outside(
    root: Path, convert: Convert, tmp_path: Path, syntax: str
) -> None:
    (tmp_path / "in").mkdir()
    hostile = [
        "../../x",
        "/etc/x",
        "1/2",
        "1\\..\\2",
        "",
        ".",
        "..",
        "1.2\n",
        "a",
        "1" * 65,
        "1..2",
        "\uff11.\uff12",
    ]
    for number, text in enumerate(hostile):
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            keywords: dict[str, Any] = {name: text}
            data = factories.instance(syntax=syntax, **keywords)
            (tmp_path / "in" / f"{number}-{name}").write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    report = convert(tmp_path / "in")
    assert set(outcomes(report)) == {"failed"}
    assert {one.reason for one in report.outcomes} <= {Reason.INVALID_INSTANCE}
    written = [path for path in tmp_path.rglob("*") if path not in before and root not in path.parents]
    assert written == [root]
    assert content(root).keys() == {"staticwado.json", "studies/index.json.gz"}


# -- what fails ----------------------------------------------------------------------------------------------


def test_what_is_met_is_skipped_and_what_is_named_has_failed(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_bytes(b"nothing")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert outcomes(convert(tmp_path / "in")) == ["skipped", "skipped"]
    assert outcomes(convert(tmp_path / "in" / "notes.txt")) == ["failed"]


def test_a_fault_of_the_program_costs_one_input(
    folder: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = BatchWriter.stage

    def stage(self: BatchWriter, file: Any, *more: Any) -> Any:
        data = file.read(0, file.size)
        if factories.uid("instance", 0, 1, 2).encode() in data:
            raise KeyError("oops")
        return usual(self, file, *more)

    monkeypatch.setattr(BatchWriter, "stage", stage)
    report = convert(folder)
    assert sorted(outcomes(report)) == ["failed"] + ["new"] * 5
    (failed,) = [one for one in report.outcomes if one.status is Status.FAILED]
    assert failed.detail == "unexpected KeyError: 'oops'"


def test_a_source_that_changes_while_it_is_read_is_not_taken_in(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = BatchWriter.stage
    changing = folder / "0-1.dcm"

    def stage(self: BatchWriter, file: Any, *more: Any) -> Any:
        found = usual(self, file, *more)
        if found.uids[2] == factories.uid("instance", 0, 0, 2):
            os.utime(changing, ns=(1, 1))
        return found

    monkeypatch.setattr(BatchWriter, "stage", stage)
    report = convert(folder)
    (failed,) = [one for one in report.outcomes if one.status is Status.FAILED]
    assert failed.source == str(changing)
    assert "changed" in failed.detail
    assert value(study_entry(root), "00201208") == 5
    assert leftovers(root) == []


def test_a_source_that_vanishes_has_failed(
    folder: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = pipeline._prepare

    def prepare(run: Any) -> bool:
        (folder / "0-1.dcm").unlink()
        return usual(run)

    monkeypatch.setattr(pipeline, "_prepare", prepare)
    assert outcomes(convert(folder)) == ["new", "failed", "new", "new", "new", "new"]


def _full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_fails_every_input_and_leaves_nothing(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", _full)
        report = convert(folder)
    assert outcomes(report) == ["failed"] * 6
    assert {one.reason for one in report.outcomes} == {Reason.OUT_OF_RESOURCES}
    assert "No space left" in report.outcomes[0].detail
    assert leftovers(root) == []
    assert outcomes(convert(folder)) == ["new"] * 6


def test_a_disk_that_cannot_sync_fails_every_input(
    folder: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local._sync_file_system", fail)
        report = convert(folder)
    assert outcomes(report) == ["failed"] * 6
    assert outcomes(convert(folder)) == ["new"] * 6


def test_indexes_that_cannot_be_written_are_a_fault_and_stay_owed(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("staticwado.archive.WriteBatch.publish", _full_disk)
        report = convert(folder)
    assert outcomes(report) == ["new"] * 6
    assert len(report.faults) == 1
    assert Archive(str(root)).pending() == [STUDY]
    assert not convert(folder).faults
    assert Archive(str(root)).pending() == []
    assert value(study_entry(root), "00201208") == 6


def _full_disk(self: Any) -> None:
    raise StoreUnavailable("no space")


def test_one_damaged_instance_does_not_hinder_other_studies(
    folder: Path, root: Path, convert: Convert
) -> None:
    convert(folder)
    damaged = next(path for path in root.rglob("metadata.gz") if path.parent.parent.name == "instances")
    damaged.write_bytes(b"not gzip")
    (folder / "other.dcm").write_bytes(factories.instance(study=5))
    (folder / "more.dcm").write_bytes(factories.instance(seed=77))
    report = convert(folder)
    assert sorted(outcomes(report))[:2] == ["new", "new"]
    assert len(report.faults) == 1
    assert STUDY in report.faults[0]
    archive = Archive(str(root))
    assert archive.pending() == [STUDY]
    assert len(archive.read_json(Resource(View.STUDIES))) == 2


def test_too_little_space_is_said_before_anything_is_written(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStore, "free_bytes", lambda self: pipeline.SPARE_BYTES + 100)
    report = convert(folder)
    assert outcomes(report) == ["failed"] * 6
    assert "bytes free" in report.faults[0]
    assert not root.exists()


def test_what_is_in_already_needs_no_space(
    folder: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(folder)
    monkeypatch.setattr(LocalStore, "free_bytes", lambda self: 0)
    assert outcomes(convert(folder)) == ["unchanged"] * 6
    assert outcomes(convert(folder, force=True)) == ["unchanged"] * 6


def test_an_archive_that_is_a_file_fails_every_input(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    report = create(Archive(str(tmp_path / "file"), create=True), [str(folder)], CreateOptions(jobs=1))
    assert outcomes(report) == ["failed"] * 6
    assert report.faults


# -- strict, dry run, quarantine -----------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_strict_stops_at_the_first_failure_and_keeps_what_came_before(
    folder: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(batch, "BATCH_FILES", 2)
    (folder / "0-3.dcm").write_bytes(factories.instance(StudyInstanceUID="x"))
    report = convert(folder, strict=True, jobs=jobs)
    found = [one.status for one in report.outcomes]
    assert found.count(Status.FAILED) == 1
    assert found.count(Status.NEW) >= 3 if jobs == 1 else True
    if jobs == 1:
        assert len(found) == 4


def test_a_dry_run_says_the_same_and_writes_nothing(
    folder: Path, root: Path, convert: Convert, tmp_path: Path
) -> None:
    (folder / "bad").write_bytes(factories.instance(StudyInstanceUID="x"))
    (folder / "notes").write_bytes(b"nothing")
    frames = factories.pixels(5, 3, 3, bits=8)
    cut = factories.instance(
        seed=50, syntax=factories.DEFLATED_FRAMES, frames=[frames[0][:3]], rows=5, columns=3, bits=8
    )
    (folder / "short-frame").write_bytes(cut)
    (folder / "deflated").write_bytes(factories.with_big_values(seed=51, syntax=factories.DEFLATED))
    (folder / "twice").write_bytes((folder / "0-0.dcm").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    dry = convert(folder, dry_run=True, quarantine=tmp_path / "quarantine")
    assert sorted(tmp_path.rglob("*")) == before
    wet = convert(folder)
    assert outcomes(dry) == outcomes(wet)
    assert sorted(outcomes(dry)) == ["failed"] * 2 + ["new"] * 7 + ["skipped", "unchanged"]
    assert outcomes(convert(folder, dry_run=True, force=True)).count("unchanged") == 8
    assert root.exists()


def test_quarantine_takes_a_copy_of_what_failed_once(folder: Path, convert: Convert, tmp_path: Path) -> None:
    import zipfile

    place = folder / "quarantine"
    bad = [factories.instance(StudyInstanceUID=text) for text in ("a", "b", "c")]
    (folder / "bad.dcm").write_bytes(bad[0])
    (folder / "deeper").mkdir()
    (folder / "deeper" / "bad.dcm").write_bytes(bad[1])
    with zipfile.ZipFile(folder / "x.zip", "w") as packed:
        packed.writestr("../../bad.dcm", bad[2])
    for _ in range(2):
        report = convert(folder, quarantine=place)
        assert outcomes(report).count("failed") == 3
        assert sorted(path.read_bytes() for path in place.iterdir()) == sorted(bad)
    assert sorted(path.name for path in place.iterdir()) == ["bad.dcm", "bad.dcm.1", "bad.dcm.2"]


def test_a_quarantine_that_cannot_be_made_is_a_note(folder: Path, convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (folder / "bad.dcm").write_bytes(factories.instance(StudyInstanceUID="x"))
    report = convert(folder, quarantine=tmp_path / "file")
    assert any("quarantine" in note for note in report.notes)


# -- processes -----------------------------------------------------------------------------------------------


def test_jobs_do_not_matter(folder: Path, root: Path, convert: Convert, tmp_path: Path) -> None:
    convert(folder, thumbnails=True)
    for jobs in (0, 2):
        other = tmp_path / f"archive{jobs}"
        report = create(Archive(str(other), create=True), [str(folder)], CreateOptions(jobs=jobs))
        assert outcomes(report) == ["new"] * 6
        assert content(other) == content(root)
        assert leftovers(other) == []


def test_a_process_that_dies_costs_the_input_that_killed_it(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = BatchWriter.stage

    def stage(self: BatchWriter, file: Any, *more: Any) -> Any:
        found = usual(self, file, *more)
        if found.uids[2] == factories.uid("instance", 0, 1, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    monkeypatch.setattr(BatchWriter, "stage", stage)
    monkeypatch.setattr(batch, "BATCH_FILES", 2)
    # forked, whatever threads other tests have left: a process that starts afresh knows no patched `stage`
    monkeypatch.setattr(pool, "_context", lambda: multiprocessing.get_context("fork"))
    for number, data in enumerate(factories.series_of(6, study=4)):
        (folder / f"x{number}.dcm").write_bytes(data)
    report = convert(folder, jobs=2)
    assert sorted(outcomes(report))[0] == "failed"
    assert outcomes(report).count("failed") == 1
    assert len(report.outcomes) == 12
    (failed,) = [one for one in report.outcomes if one.status is Status.FAILED]
    assert failed.source.endswith("1-1.dcm")
    assert failed.detail == "the process that read it died"
    convert()
    assert leftovers(root) == []


def test_a_given_executor_does_the_work(folder: Path, root: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as executor:
        options = CreateOptions(thumbnails=False)
        report = create(Archive(str(root), create=True), [str(folder)], options, executor=executor)
        assert outcomes(report) == ["new"] * 6
        assert executor.submit(int).result() == 0


def test_jobs_that_pay_grow_with_the_work() -> None:
    assert pipeline.jobs_that_pay(1, CreateOptions()) == 1
    assert pipeline.jobs_that_pay(1000, CreateOptions()) <= pipeline.MOST_JOBS
    assert pipeline.jobs_that_pay(1, CreateOptions(jobs=3)) == 3
    assert pipeline.jobs_that_pay(3, CreateOptions()) == 1
    assert pipeline.jobs_that_pay(3, CreateOptions(transcode="auto")) == min(os.cpu_count() or 1, 3)


def test_batches_are_smaller_where_frames_are_transcoded(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = batch.convert_batch

    def counted(one: batch.Batch) -> Any:
        sizes.append(len(one.sources))
        return real(one)

    monkeypatch.setattr(pipeline, "convert_batch", counted)
    monkeypatch.setattr(pipeline, "CODED_FILES", 4)
    assert outcomes(convert(folder, transcode="jls")) == ["new"] * 6
    assert sizes == [4, 2]
    assert outcomes(convert(folder, force=True)) == ["unchanged"] * 6
    assert sizes == [4, 2, 6]
    with pytest.raises(ValueError, match="jobs"):
        CreateOptions(jobs=-1)


# -- interrupts and crashes ----------------------------------------------------------------------------------


def _interrupting(after: int) -> Any:
    def tell(progress: Progress) -> None:
        if progress.files >= after and progress.stage == "converting":
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_the_work_with_a_report_and_a_whole_archive(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch, jobs: int, tmp_path: Path
) -> None:
    monkeypatch.setattr(batch, "BATCH_FILES", 2)
    options = CreateOptions(jobs=jobs, thumbnails=False)
    report = create(Archive(str(root), create=True), [str(folder)], options, _interrupting(3))
    assert report.interrupted
    assert 3 <= len(report.outcomes) < 6 + 1
    archive = Archive(str(root))
    assert archive.pending() == []
    there = len(archive.read_json(Resource(View.METADATA, STUDY)))
    assert there >= sum(one.ok for one in report.outcomes)
    convert(folder)
    assert leftovers(root) == []
    create(Archive(str(tmp_path / "other"), create=True), [str(folder)], options)
    assert content(root) == content(tmp_path / "other")


def test_an_interrupt_while_listing_reports_nothing_and_writes_nothing(
    folder: Path, root: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Iterator[Any]:
        yield from interrupt()

    def interrupt() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "find_sources", interrupted)
    report = convert(folder)
    assert report.interrupted
    assert report.outcomes == []
    assert not root.exists()


def test_a_second_interrupt_leaves_the_indexes_owed(folder: Path, root: Path, convert: Convert) -> None:
    def tell(progress: Progress) -> None:
        if progress.stage == "indexing" or progress.files >= 3:
            raise KeyboardInterrupt

    report = create(Archive(str(root), create=True), [str(folder)], CreateOptions(jobs=1), tell)
    assert report.interrupted
    assert Archive(str(root)).pending() == [STUDY]
    settle(Archive(str(root)))
    assert Archive(str(root)).pending() == []


def test_what_dead_processes_left_is_removed_and_what_living_ones_write_is_not(
    folder: Path, root: Path, convert: Convert
) -> None:
    convert(folder)
    archive = Archive(str(root))
    living = archive.staging()
    living.write("file", [b"x"])
    child = os.fork()
    if child == 0:
        archive.staging().write("file", [b"x"])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (root / ".staticwado" / "staging" / "stray").write_bytes(b"x")
    assert len(leftovers(root)) == 7
    convert(folder)
    assert len(leftovers(root)) == 3
    assert Path(living.path("file")).read_bytes() == b"x"
    living.close()
    assert leftovers(root) == []


def test_progress_ends_at_the_total(folder: Path, root: Path) -> None:
    seen: list[Progress] = []
    options = CreateOptions(jobs=1, thumbnails=False)
    for _ in range(2):
        create(Archive(str(root), create=True), [str(folder)], options, seen.append)
        assert seen[-1].stage == "done"
        assert seen[-1].files == seen[-1].total_files == 6
        assert seen[-1].bytes == seen[-1].total_bytes
    assert seen[0].files == 0


def test_names_that_are_no_text_are_remembered(folder: Path, convert: Convert) -> None:
    os.rename(folder / "0-0.dcm", os.fsencode(folder) + b"/\xff\xfe\n.dcm")
    convert(folder)
    report = convert(folder)
    assert outcomes(report) == ["unchanged"] * 6
    json.loads(orjson.dumps(report.to_json()))


def test_a_deeply_nested_instance_is_indexed(tmp_path: Path, root: Path, convert: Convert) -> None:
    for depth in (100, 300, 3000):
        (tmp_path / "deep.dcm").write_bytes(factories.instance(seed=depth, raw=factories.nested(depth)))
        report: Report = convert(tmp_path / "deep.dcm")
        assert outcomes(report) == ["new"]
        assert not report.faults
        assert value(study_entry(root), "00201208") >= 1


def test_the_pool_ends_its_processes(folder: Path, convert: Convert) -> None:
    before = multiprocessing.active_children()  # other tests may have workers that outlive them
    convert(folder, jobs=2)
    assert set(multiprocessing.active_children()) <= set(before)
    assert pool._context().get_start_method() in ("fork", "spawn")
