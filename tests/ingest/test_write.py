"""The writer: two at once, locks, marks, and files that are never written twice."""

import os
from pathlib import Path

import pytest

from staticwado.archive import Archive
from staticwado.dicom.sources import MemorySource
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BrokenDicom, Conflict, Unsupported
from staticwado.ingest import write
from staticwado.ingest.publish import Staged
from staticwado.ingest.summarise import summarise
from staticwado.ingest.write import BatchWriter, Present
from tests import factories

STUDY = factories.uid("study", 0)


@pytest.fixture
def archive(root: Path) -> Archive:
    made = Archive(str(root), create=True)
    made.create_marker()
    return made


def writer_of(archive: Archive) -> BatchWriter:
    return BatchWriter(archive, thumbnails=False)


def test_nothing_is_visible_before_it_is_published(archive: Archive, root: Path) -> None:
    writer = writer_of(archive)
    assert isinstance(writer.stage(MemorySource(factories.with_big_values())), Staged)
    assert not (root / "studies").exists()
    assert [one.new for one in writer.publish()] == [True]
    writer.close()
    assert len(list(archive.studies())) == 1
    assert archive.pending() == [STUDY]


def test_of_two_writers_the_first_wins(archive: Archive) -> None:
    first, second, third = writer_of(archive), writer_of(archive), writer_of(archive)
    first.stage(MemorySource(factories.instance()))
    second.stage(MemorySource(factories.instance()))
    third.stage(MemorySource(factories.instance(PatientComments="other")))
    assert [(one.error, one.new) for one in first.publish()] == [(None, True)]
    assert [(one.error, one.new) for one in second.publish()] == [(None, False)]
    (one,) = third.publish()
    assert isinstance(one.error, Conflict)
    for writer in (first, second, third):
        writer.close()
    assert os.listdir(archive.store.path(".staticwado/staging")) == []


def test_a_writer_goes_on_after_publishing(archive: Archive) -> None:
    writer = writer_of(archive)
    for number in range(3):
        writer.stage(MemorySource(factories.with_big_values(seed=number)))
        assert [one.new for one in writer.publish()] == [True]
    assert isinstance(writer.stage(MemorySource(factories.with_big_values(seed=1))), Present)
    writer.close()
    series = factories.uid("series", 0, 0)
    assert len(list(archive.instances(STUDY, series))) == 3


def test_what_is_forgotten_is_not_published(archive: Archive) -> None:
    writer = writer_of(archive)
    staged = writer.stage(MemorySource(factories.instance()))
    assert isinstance(staged, Staged)
    writer.forget(staged)
    assert writer.publish() == []
    writer.close()


def test_a_mark_made_after_a_summary_stays(archive: Archive) -> None:
    writer = writer_of(archive)
    writer.stage(MemorySource(factories.instance(seed=1)))
    writer.publish()
    done = summarise(archive, [STUDY])
    writer.stage(MemorySource(factories.instance(seed=2)))
    writer.publish()
    archive.clear_pending(STUDY, done.marks[STUDY], done.seen[STUDY])
    assert archive.pending() == [STUDY]
    done = summarise(archive, [STUDY])
    archive.clear_pending(STUDY, done.marks[STUDY], done.seen[STUDY])
    assert archive.pending() == []
    assert len(archive.read_json(Resource(View.METADATA, STUDY))) == 2
    writer.close()


def test_a_deflate_bomb_is_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "LARGEST_INFLATED", 1 << 20)
    data = factories.instance(
        syntax=factories.DEFLATED, extra=[factories.element("TextValue", "x" * (2 << 20))]
    )
    writer = writer_of(archive)
    with pytest.raises(Unsupported, match="inflates"):
        writer.stage(MemorySource(data))
    writer.close()


def test_deflated_frames_that_are_damaged_are_broken(archive: Archive) -> None:
    writer = writer_of(archive)
    good = factories.deflate(b"x" * 15)
    for body in (b"\xff" * 20, good[:4], factories.deflate(b"x" * 14), factories.deflate(b"x" * (3 << 20))):
        fragments, _ = factories.encapsulate([body])
        data = factories.instance(
            syntax=factories.DEFLATED_FRAMES,
            frames=[b"x" * 15],
            rows=5,
            columns=3,
            bits=8,
            extra=[factories.Element(factories.PIXEL_DATA, "OB", fragments)],
        )
        with pytest.raises(BrokenDicom):
            writer.stage(MemorySource(data))
    writer.close()
    assert os.listdir(archive.store.path(".staticwado/staging")) == []


def test_equal_values_of_a_study_are_kept_once(archive: Archive, root: Path) -> None:
    writer = writer_of(archive)
    for number in range(4):
        writer.stage(MemorySource(factories.with_big_values(seed=number)))
    writer.publish()
    writer.close()
    assert len([path for path in (root / "studies" / STUDY / "bulkdata").rglob("*") if path.is_file()]) <= 12
