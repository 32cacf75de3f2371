"""Taking in for servers: what is acknowledged, conflicts, writers at once, and disks that fail."""

import contextlib
import errno
import hashlib
import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest import publish, trash
from staticwado.ingest.batch import Terms
from staticwado.ingest.convert import Converted
from staticwado.ingest.export import kept_instances
from staticwado.ingest.intake import Intake, IntakeOptions
from staticwado.ingest.outcome import Outcome, Reason, Status
from staticwado.ingest.restore import restore
from staticwado.ingest.settle import settle
from staticwado.ingest.source import BytesSource, FileSource
from staticwado.ingest.verify import VerifyOptions, verify
from staticwado.store import local
from tests import factories
from tests.ingest.conftest import content

STUDY = factories.uid("study", 0)
Take = Callable[..., list[Outcome]]


@pytest.fixture
def archive(root: Path) -> Archive:
    made = Archive(str(root), create=True)
    made.create_marker()
    return made


def taking(archive: Archive, intake: Intake, *files: bytes, study: str | None = None) -> list[Outcome]:
    """Spool `files` as a server does, and take them in."""
    staging = intake.staging()
    sources = []
    for number, data in enumerate(files):
        staging.write(f"part-{number}", [data])
        found = os.stat(staging.path(f"part-{number}"))
        stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
        sources.append(FileSource(staging.path(f"part-{number}"), found.st_size, stamp, named=True))
    try:
        return intake.take(sources, study)
    finally:
        staging.close()


@pytest.fixture
def take(archive: Archive) -> Iterator[Take]:
    """`taking` with an intake of its own for each choice of what becomes of conflicts."""
    intakes: dict[str, Intake] = {}

    def run(*files: bytes, on_conflict: Any = "refuse", study: str | None = None) -> list[Outcome]:
        if on_conflict not in intakes:
            intakes[on_conflict] = Intake(archive, IntakeOptions(on_conflict))
        return taking(archive, intakes[on_conflict], *files, study=study)

    yield run
    for intake in intakes.values():
        intake.close()
    assert archive.store.names(".staticwado/staging") == []


def original(archive: Archive, outcome: Outcome) -> str:
    """The hash of the file that the archive has of an instance."""
    assert outcome.study
    assert outcome.series
    assert outcome.instance
    found = publish.present_hash(archive, (outcome.study, outcome.series, outcome.instance))
    assert found is not None
    return found


def is_whole(archive: Archive) -> bool:
    settle(archive)
    return verify(archive.root, VerifyOptions(1)).whole


def test_outcomes_come_in_the_order_of_the_sources(archive: Archive, take: Take) -> None:
    files = [
        factories.instance(seed=1),
        b"no DICOM",
        factories.instance(seed=2),
        b"",
        factories.instance(seed=1),
    ]
    found = take(*files)
    assert [one.status.value for one in found] == ["new", "failed", "new", "failed", "unchanged"]
    assert [one.instance for one in found[::2]] == [factories.uid("instance", 0, 0, n) for n in (1, 2, 1)]
    assert found[0].sop_class == factories.SECONDARY_CAPTURE
    assert archive.pending() == [STUDY]
    assert is_whole(archive)


def test_an_instance_of_another_study_fails_and_others_go_in(archive: Archive, take: Take) -> None:
    own, other = factories.instance(seed=1), factories.instance(seed=1, study=9)
    found = take(own, other, study=STUDY)
    assert [one.ok for one in found] == [True, False]
    assert found[1].reason is Reason.DATA_SET_DOES_NOT_MATCH
    assert found[1].study == factories.uid("study", 9)
    assert found[1].sop_class == factories.SECONDARY_CAPTURE
    assert list(archive.studies()) == [STUDY]


def test_what_fails_after_its_identity_was_read_is_named(take: Take) -> None:
    data = factories.instance(frames=[bytes(8)], rows=4, columns=4, bits=8, NumberOfFrames="3")
    (found,) = take(data[:-6])
    assert not found.ok
    assert found.reason is Reason.CANNOT_UNDERSTAND


# -- conflicts -----------------------------------------------------------------------------------------------

FIRST = factories.instance(PatientComments="first")
SECOND = factories.instance(PatientComments="second")


def test_identical_again_is_no_change(archive: Archive, root: Path, take: Take) -> None:
    take(FIRST)
    before = content(root)
    for choice in ("refuse", "keep", "replace"):
        (again,) = take(FIRST, on_conflict=choice)
        assert again.status is Status.UNCHANGED
        assert again.warning is None
    assert content(root) == before


def test_another_preamble_makes_another_file(take: Take) -> None:
    """S-16: the archive gives back every byte, so a file with another preamble is not the same file."""
    take(FIRST)
    (found,) = take(b"II*\0" + FIRST[4:])
    assert found.reason is Reason.DUPLICATE_SOP_INSTANCE


def test_other_content_is_refused(archive: Archive, root: Path, take: Take) -> None:
    (first,) = take(FIRST)
    before, kept = content(root), original(archive, first)
    (found,) = take(SECOND)
    assert found.reason is Reason.DUPLICATE_SOP_INSTANCE
    assert found.instance == first.instance
    assert (content(root), original(archive, first)) == (before, kept)


def test_the_first_is_kept_and_that_is_said(root: Path, take: Take) -> None:
    take(FIRST)
    before = content(root)
    (found,) = take(SECOND, on_conflict="keep")
    assert found.status is Status.UNCHANGED
    assert found.warning is Reason.ELEMENTS_DISCARDED
    assert "was kept" in found.warnings[-1]
    assert content(root) == before


def test_the_second_takes_the_place_and_the_first_can_be_restored(
    archive: Archive, root: Path, take: Take
) -> None:
    (first,) = take(FIRST)
    settle(archive)
    before, old = content(root), original(archive, first)
    (found,) = take(SECOND, on_conflict="replace")
    assert found.status is Status.NEW
    assert "in the trash" in found.warnings[-1]
    assert original(archive, found) != old
    assert is_whole(archive)
    (entry,) = trash.entries(archive)
    assert (entry.reason, entry.sha256, entry.instance) == ("replaced", old, first.instance)
    from staticwado.ingest.delete import delete

    delete(archive, Resource(View.PART10, STUDY))
    assert restore(archive, entry.id)[1] == 1
    settle(archive)
    assert content(root) == before


def test_a_replacement_without_exchange_is_the_same(
    archive: Archive, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = take(FIRST)
    old = original(archive, first)
    monkeypatch.setattr("staticwado.store.local._exchange", lambda *_: False)
    (found,) = take(SECOND, on_conflict="replace")
    assert original(archive, found) != old
    (entry,) = trash.entries(archive)
    assert entry.sha256 == old
    assert is_whole(archive)


class Died(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("step", range(4))
def test_a_replacement_that_was_broken_off_leaves_one_of_the_two(
    archive: Archive, take: Take, monkeypatch: pytest.MonkeyPatch, exchanges: bool, step: int
) -> None:
    from staticwado.store.local import LocalStore

    (first,) = take(FIRST)
    old = original(archive, first)
    moves = iter(range(100))

    def dying(usual: Any) -> Any:
        def run(self: LocalStore, key: str, new: str) -> Any:
            if next(moves) == step:
                raise Died
            return usual(self, key, new)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "move", dying(LocalStore.move))
        if exchanges:
            patch.setattr(LocalStore, "exchange", dying(LocalStore.exchange))
        else:
            patch.setattr("staticwado.store.local._exchange", lambda *_: False)
        with contextlib.suppress(Died):
            take(SECOND, on_conflict="replace")
    trash.tidy(archive)
    assert is_whole(archive)
    now = original(archive, first)
    entries = list(trash.entries(archive))
    assert [one.sha256 for one in entries] == ([old] if now != old else [])


def test_only_one_of_two_places_gets_an_instance(archive: Archive, root: Path) -> None:
    """The same SOP Instance UID in two series, from two writers: one is refused, and told where it is."""
    catalog = Catalog(str(root / ".staticwado" / "index.sqlite"))
    first, second = Intake(archive, None, catalog), Intake(archive, None, catalog)
    same = factories.uid("instance", "same")
    a = factories.instance(series=1, SOPInstanceUID=same)
    b = factories.instance(series=2, SOPInstanceUID=same)
    assert taking(archive, first, a)[0].ok
    (found,) = taking(archive, second, b)
    assert found.reason is Reason.DUPLICATE_SOP_INSTANCE
    assert factories.uid("series", 0, 1) in found.detail
    both = taking(
        archive, first, *(factories.instance(series=n, seed="b", SOPInstanceUID="1.2.3") for n in (1, 2))
    )
    assert sorted(one.ok for one in both) == [False, True]
    for intake in (first, second):
        intake.close()
    catalog.close()


def test_the_claim_of_a_writer_that_died_does_not_last(
    archive: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "CLAIM_PATIENCE", 0.05)
    catalog = Catalog(str(root / ".staticwado" / "index.sqlite"))
    assert catalog.claim([("1.2", "1.3", "1.4")]) == {}
    intake = Intake(archive, None, catalog)
    (found,) = taking(archive, intake, factories.instance(SOPInstanceUID="1.4"))
    assert found.ok
    assert catalog.claim([("1.2", "1.3", "1.4")]) != {}
    intake.close()
    catalog.close()


def test_a_damaged_catalog_does_not_stop_a_store(archive: Archive, root: Path) -> None:
    path = root / ".staticwado" / "index.sqlite"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"garbage" * 1000)
    intake = Intake(archive, None, Catalog(str(path)))
    assert taking(archive, intake, FIRST)[0].ok
    intake.close()


# -- submitted, and taken in together ------------------------------------------------------------------------


ANY = Terms()


class Held:
    """Holds up the threads of an intake, so that all that is submitted meanwhile is taken in together."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._may_go = threading.Event()
        self._told: queue.SimpleQueue[tuple[str, list[Outcome]]] = queue.SimpleQueue()
        self._left = 0

    def __enter__(self) -> "Held":
        begun = threading.Semaphore(0)

        def wait(_: Converted) -> bool:
            begun.release()
            return self._may_go.wait()

        for number in range(2):
            source = BytesSource("held", factories.instance(seed=f"held {number}", study=77))
            self._intake.submit([source], Terms(allows=wait), lambda _: None)
            begun.acquire()
        return self

    def submit(self, name: str, *files: bytes, terms: Terms = ANY) -> None:
        sources = [BytesSource(f"part {number}", data) for number, data in enumerate(files, 1)]
        self._intake.submit(sources, terms, lambda outcomes: self._told.put((name, outcomes)))
        self._left += 1

    def told(self) -> list[tuple[str, list[Outcome]]]:
        """Let go, and give back what was told, in that order."""
        self._may_go.set()
        return [self._told.get(timeout=60) for _ in range(self._left)]

    def __exit__(self, *_: object) -> None:
        self._may_go.set()
        self._intake.close()


def test_who_submits_is_told_of_his_own_and_of_nothing_else(archive: Archive) -> None:
    with Held(Intake(archive)) as held:
        held.submit("one", factories.instance(seed=1), b"no DICOM", factories.instance(seed=2))
        held.submit("other study", factories.instance(seed=3), terms=Terms(study="1.2.3"))
        held.submit("not allowed", factories.instance(seed=4), terms=Terms(allows=lambda _: False))
        held.submit("same", factories.instance(seed=2), factories.instance(seed=5))
        found = dict(held.told())
    assert [one.status.value for one in found["one"]] == ["new", "failed", "new"]
    assert [one.reason for one in found["other study"]] == [Reason.DATA_SET_DOES_NOT_MATCH]
    assert [one.reason for one in found["not allowed"]] == [Reason.NOT_AUTHORIZED]
    assert [one.status.value for one in found["same"]] == ["unchanged", "new"]
    assert [one.instance for one in found["same"]] == [factories.uid("instance", 0, 0, n) for n in (2, 5)]
    assert is_whole(archive)


def test_fifty_that_are_taken_in_together_share_the_syncs(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    real = local._sync_file_system

    def sync(descriptor: int) -> None:
        syncs.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(local, "_sync_file_system", sync)
    with Held(Intake(archive)) as held:
        for number in range(50):
            held.submit(str(number), factories.instance(seed=number))
        found = held.told()
    assert [outcome.status for _, (outcome,) in found] == [Status.NEW] * 50
    assert len(syncs) <= 6  # two for each of the two that held the others up, and two for all of these


@pytest.mark.parametrize(
    ("on_conflict", "expected"),
    [
        ("refuse", [Reason.SUCCESS, Reason.DUPLICATE_SOP_INSTANCE]),
        ("keep", [Reason.SUCCESS, Reason.SUCCESS]),
        ("replace", [Reason.SUCCESS, Reason.SUCCESS]),
    ],
)
def test_conflicts_of_those_taken_in_together_are_settled_as_if_they_had_come_apart(
    archive: Archive, on_conflict: Any, expected: list[Reason]
) -> None:
    with Held(Intake(archive, IntakeOptions(on_conflict))) as held:
        held.submit("first", FIRST)
        held.submit("second", SECOND)
        found = dict(held.told())
    ((first,), (second,)) = found["first"], found["second"]
    assert [first.reason, second.reason] == expected
    assert (second.warning is not None) == (on_conflict == "keep")
    kept = SECOND if on_conflict == "replace" else FIRST
    assert original(archive, first) == hashlib.sha256(kept).hexdigest()
    assert is_whole(archive)


def test_who_waits_for_a_claim_keeps_nobody_else_waiting(
    archive: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(str(root / ".staticwado" / "index.sqlite"))
    others_told = threading.Event()
    monkeypatch.setattr("staticwado.ingest.publish.time.sleep", lambda _: others_told.wait(60))
    assert catalog.claim([("1.2", "1.3", "1.4")]) == {}
    with Held(Intake(archive, None, catalog)) as held:
        held.submit("contested", factories.instance(seed=1, SOPInstanceUID="1.4"))
        held.submit("free", factories.instance(seed=2))
        held._intake.submit([], Terms(), lambda _: others_told.set())
        found = held.told()
    catalog.close()
    assert [(name, one.ok) for name, (one,) in found] == [("free", True), ("contested", True)]


def test_a_sync_that_fails_fails_all_that_are_taken_in_together(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Held(Intake(archive)) as held, monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local._sync_file_system", fail)
        held.submit("one", factories.instance(seed=1))
        held.submit("other", factories.instance(seed=2))
        found = held.told()
    assert [one.reason for _, (one,) in found] == [Reason.OUT_OF_RESOURCES] * 2
    assert archive.store.names(f"studies/{STUDY}/series") == []


def test_one_who_cannot_be_told_keeps_nobody_from_being_told(archive: Archive) -> None:
    def fail(_: list[Outcome]) -> None:
        raise RuntimeError("the loop is closed")

    intake = Intake(archive)
    with Held(intake) as held:
        intake.submit([BytesSource("x", factories.instance(seed=1))], Terms(), fail)
        held.submit("other", factories.instance(seed=2))
        ((_, (other,)),) = held.told()
    assert other.ok
    assert archive.exists(STUDY, factories.uid("series", 0, 0), factories.uid("instance", 0, 0, 1))


def test_closing_takes_in_what_was_submitted(archive: Archive) -> None:
    intake = Intake(archive)
    found: list[list[Outcome]] = []
    for number in range(1, 21):
        source = BytesSource("x", factories.instance(seed=number))
        intake.submit([source, BytesSource("y", SECOND if number % 2 else FIRST)], Terms(), found.append)
    intake.close()
    assert [one.ok for outcomes in found for one in outcomes[:1]] == [True] * 20
    assert archive.store.names(".staticwado/staging") == []


# -- many at once --------------------------------------------------------------------------------------------


def test_fifty_threads_store_everything_once(archive: Archive, take: Take) -> None:
    found: list[Outcome] = []

    def work(first: int) -> None:
        for number in range(first, 200, 50):
            found.extend(take(factories.instance(seed=number), factories.instance(seed=number // 2)))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one.ok for one in found)
    new = [one.instance for one in found if one.status is Status.NEW]
    assert len(new) == len(set(new)) == 200
    assert is_whole(archive)


def _store(root: str, first: int) -> None:
    archive = Archive(root)
    intake = Intake(archive)
    for number in range(first, first + 30):
        (found,) = taking(archive, intake, factories.instance(seed=number))
        assert found.ok, found
    intake.close()


def test_processes_that_overlap_store_everything_once(archive: Archive, root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_store, args=(str(root), first)) for first in (0, 15, 30)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(kept_instances(archive, Resource(View.PART10, STUDY)))) == 60
    assert is_whole(archive)


# -- failure -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["open", "mkdir", "writev", "rename", "link"])
def test_a_disk_that_refuses_costs_the_sources_and_nothing_else(
    archive: Archive, root: Path, take: Take, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    take(FIRST)
    settle(archive)
    before = content(root)
    intake = Intake(archive)
    staging = intake.staging()
    staging.write("one", [factories.with_big_values(seed=7)])
    size = os.stat(staging.path("one")).st_size
    source = FileSource(staging.path("one"), size, (size, 0, 0), named=True)

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return refuse if name == call else getattr(os, name)

    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local.os", Refusing())
        if call == "link":
            patch.setattr("staticwado.store.local.shutil.copyfile", refuse)
        (found,) = intake.take([source])
    assert found.reason is Reason.OUT_OF_RESOURCES
    assert {key: data for key, data in content(root).items() if "/bulkdata/" not in key} == before
    (again,) = intake.take([source])
    assert again.status is Status.NEW
    staging.close()
    intake.close()
    assert is_whole(archive)


@pytest.mark.parametrize("good", [0, 1])
def test_a_sync_that_fails_acknowledges_nothing(
    archive: Archive, take: Take, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    left = iter(range(100))

    def fail(_: int) -> None:
        if next(left) >= good:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("staticwado.store.local._sync_file_system", fail)
        (found,) = take(FIRST)
    assert found.reason is Reason.OUT_OF_RESOURCES
    assert found.instance == (factories.uid("instance", 0, 0, 0) if good else found.instance)
    (again,) = take(FIRST)
    assert again.ok
    assert is_whole(archive)


def test_a_fault_of_the_program_is_an_outcome_and_not_a_crash(
    archive: Archive, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publish.Publisher, "publish", lambda *_, **__: 1 / 0)
        (found,) = take(FIRST)
    assert found.reason is Reason.PROCESSING_FAILURE
    assert take(FIRST)[0].status is Status.NEW
