"""The settler behind a server: what is owed is made in time, at the end, and after a death."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicom.sources import MemorySource
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.background import Settler
from staticwado.ingest.settle import settle
from staticwado.ingest.write import BatchWriter
from staticwado.web.options import ServerOptions
from staticwado.web.settling import Settling
from tests import factories

STUDY = factories.uid("study", 0)
LONG = 3600.0


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(str(tmp_path / "archive"), create=True)
    made.create_marker()
    return made


@pytest.fixture
def catalog(archive: Archive) -> Catalog:
    return Catalog(archive.store.path(layout.CATALOG))


def put(archive: Archive, *files: bytes) -> None:
    writer = BatchWriter(archive, thumbnails=False)
    for data in files:
        writer.stage(MemorySource(data))
    for done in writer.publish():
        assert done.error is None
    writer.close()


def work(settler: Settler) -> None:
    while settler.look():
        pass


def test_a_study_is_settled_when_it_was_quiet_and_the_index_of_all_later(
    archive: Archive, catalog: Catalog
) -> None:
    put(archive, *factories.series_of(2))
    busy = Settler(archive, catalog, LONG)
    work(busy)
    assert archive.is_pending(STUDY)
    assert catalog.is_complete()
    quiet = Settler(archive, catalog, 1e-9)
    work(quiet)
    assert not archive.is_pending(STUDY)
    assert archive.pending_index() is None
    assert len(archive.read_json(Resource(View.STUDIES))) == 1
    row = catalog.study(STUDY, instances=True)
    assert row is not None
    assert [len(one.instances) for one in row.series] == [2]
    put(archive, *factories.series_of(3))
    busy.finish()
    assert archive.pending() == []
    assert archive.pending_index() is None


def test_a_study_that_cannot_be_settled_is_tried_again_only_when_more_came(
    archive: Archive, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    put(archive, *factories.series_of(1))
    [series] = archive.series(STUDY)
    [instance] = archive.instances(STUDY, series)
    key = layout.stored_as(Resource(View.METADATA, STUDY, series, instance)).key
    whole = archive.store.read(key)
    Path(archive.store.path(key)).write_bytes(b"damaged")
    settler = Settler(archive, catalog, 1e-9)
    for _ in range(3):
        work(settler)
    assert sum("was not indexed" in record.message for record in caplog.records) == 1
    Path(archive.store.path(key)).write_bytes(whole)
    put(archive, *factories.series_of(2)[1:])
    work(settler)
    assert archive.pending() == []


def test_a_catalog_that_is_missing_damaged_or_stale_is_made_right(archive: Archive, catalog: Catalog) -> None:
    put(archive, *factories.series_of(2))
    settle(archive)
    work(Settler(archive, catalog, LONG))
    assert catalog.study(STUDY) is not None
    catalog.close()
    Path(catalog.path).write_bytes(b"damaged" * 1000)
    assert not catalog.is_complete()
    work(Settler(archive, catalog, LONG))
    assert catalog.study(STUDY) is not None
    elsewhere = Catalog(archive.store.path(f"{layout.PRIVATE}/elsewhere.sqlite"))
    work(Settler(archive, elsewhere, LONG))
    put(archive, *factories.series_of(4)[2:])
    settle(archive)  # by a program that does not know of that catalog
    work(Settler(archive, elsewhere, LONG))
    row = elsewhere.study(STUDY)
    assert row is not None
    assert row.entry["00201208"]["Value"] == [4]


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    pause = threading.Event()
    while not done():
        assert time.monotonic() < end
        pause.wait(0.05)


def test_the_process_settles_behind_the_server_and_at_its_end(archive: Archive) -> None:
    options = ServerOptions(dir=Path(archive.root), settle_after=0.05)
    first, second = Settling(archive, options), Settling(archive, options)
    put(archive, *factories.series_of(1))
    wait_until(lambda: not archive.pending())
    asyncio.run(first.close())
    put(archive, *factories.series_of(2))
    wait_until(lambda: not archive.pending())  # the second one took over
    asyncio.run(second.close())
    patient = Settling(archive, ServerOptions(dir=Path(archive.root), settle_after=LONG))
    put(archive, *factories.series_of(3))
    asyncio.run(patient.close())
    assert archive.pending() == []
    assert archive.pending_index() is None
    assert archive.read_json(Resource(View.INDEX, STUDY))[0]["00201208"]["Value"] == [3]


def test_nothing_is_started_where_nothing_is_to_be_settled(archive: Archive) -> None:
    idle = Settling(archive, ServerOptions(dir=Path(archive.root), settle_after=0))
    assert idle._process is None
    asyncio.run(idle.close())
