"""Read your writes: what searches and metadata show of instances before their summaries are made."""

import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicom.sources import MemorySource
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.catalogue import rebuild, synchronise
from staticwado.ingest.entries import first_value
from staticwado.ingest.live import Live
from staticwado.ingest.ordering import ordered_instances
from staticwado.ingest.settle import index, settle
from staticwado.ingest.summarise import summarise
from staticwado.ingest.write import BatchWriter
from tests import factories
from tests.ingest.conftest import content

STUDY = factories.uid("study", 0)
SERIES, OTHER = factories.uid("series", 0, 1), factories.uid("series", 0, 2)


@pytest.fixture
def archive(root: Path) -> Archive:
    made = Archive(str(root), create=True)
    made.create_marker()
    return made


@pytest.fixture
def catalog(archive: Archive) -> Catalog:
    made = Catalog(archive.store.path(layout.CATALOG))
    made.complete()
    return made


def put(archive: Archive, *files: bytes) -> None:
    """Store as a server does: durable and visible, not summarised."""
    writer = BatchWriter(archive, thumbnails=False)
    for data in files:
        writer.stage(MemorySource(data))
    for done in writer.publish():
        assert done.error is None
    writer.close()


def files(count: int = 6) -> list[bytes]:
    """Instances of two series in turn; numbers run backwards, so that order is not that of arrival."""
    return [
        data
        for pair in zip(
            reversed(factories.series_of(count, series=1)), factories.series_of(count, series=2), strict=True
        )
        for data in pair
    ]


def entry(catalog: Catalog) -> dict[str, object]:
    row = catalog.study(STUDY)
    assert row is not None
    return row.entry


def composed(live: Live, archive: Archive, resource: Resource) -> bytes:
    chunks = live.metadata(resource)
    return archive.read(resource) if chunks is None else b"".join(chunks)


def resources() -> list[Resource]:
    return [
        Resource(View.METADATA, STUDY),
        Resource(View.METADATA, STUDY, SERIES),
        Resource(View.METADATA, STUDY, OTHER),
    ]


def test_each_instance_is_found_and_shown_as_soon_as_it_is_stored(
    archive: Archive, catalog: Catalog, tmp_path: Path
) -> None:
    live = Live(archive, catalog)
    given = files()
    for count, data in enumerate(given, 1):
        put(archive, data)
        live.catch_up()
        truth = Archive(str(tmp_path / f"truth-{count}"), create=True)
        truth.create_marker()
        put(truth, *given[:count])
        settle(truth)
        assert entry(catalog) == truth.read_json(Resource(View.INDEX, STUDY))[0]
        for resource in resources():
            if truth.locate(resource) is not None:
                assert composed(live, archive, resource) == truth.read(resource)
        listed = truth.read_json(Resource(View.INSTANCES, STUDY, SERIES))
        fresh = {one.uid: one.entry for one in catalog.fresh(STUDY, SERIES)}
        assert fresh == {first_value(one, "00080018"): one for one in listed}
    settle(archive, catalog=catalog)
    assert content(Path(archive.root)) == content(Path(truth.root))
    assert catalog.fresh(STUDY) == []
    assert live.metadata(resources()[0]) is None


def test_what_comes_after_a_summary_is_counted_on_top_of_it(archive: Archive, catalog: Catalog) -> None:
    live = Live(archive, catalog)
    given = files()
    put(archive, *given[:5])
    live.catch_up()
    settle(archive, catalog=catalog)
    put(archive, *given[5:8])
    live.catch_up(STUDY)
    assert first_value(entry(catalog), "00201208") == 8
    assert len(catalog.fresh(STUDY)) == 3
    put(archive, *given[8:])
    live.catch_up()
    assert first_value(entry(catalog), "00201208") == 12
    assert archive.is_pending(STUDY)


def test_two_processes_that_merge_in_turn_count_each_instance_once(
    archive: Archive, catalog: Catalog
) -> None:
    one, other = Live(archive, catalog), Live(archive, Catalog(catalog.path))
    for number, data in enumerate(files()):
        put(archive, data)
        (one, other)[number // 2 % 2].catch_up()
        assert first_value(entry(catalog), "00201208") == number + 1
    Live(archive, catalog).catch_up()
    assert first_value(entry(catalog), "00201208") == 12
    assert len(catalog.fresh(STUDY)) == 12


def test_files_that_are_newer_than_the_catalog_hide_nothing_from_its_counts(
    archive: Archive, catalog: Catalog
) -> None:
    first, second = files(1)
    put(archive, first)
    Live(archive, catalog).catch_up()
    put(archive, second)
    summarise(archive, [STUDY])  # as a settler does, which has not told the catalog yet
    Live(archive, catalog).catch_up()
    assert first_value(entry(catalog), "00201208") == 2
    settle(archive, catalog=catalog)
    assert first_value(entry(catalog), "00201208") == 2


def test_an_instance_that_was_noted_and_is_not_there_yet_is_shown_when_it_is(
    archive: Archive, catalog: Catalog
) -> None:
    live, other = Live(archive, catalog), Live(archive, catalog)
    late, *given = files(2)
    writer = BatchWriter(archive, thumbnails=False)
    staged = writer.stage(MemorySource(late))
    with archive.lock(STUDY, shared=True):
        archive.mark_pending(STUDY, [staged.uids[1:]])
    put(archive, *given)
    for one in (live, other, live):
        one.catch_up()
        assert first_value(entry(catalog), "00201208") == 3
    list(writer.publish())
    writer.close()
    for one in (other, live):
        one.catch_up()
        assert first_value(entry(catalog), "00201208") == 4
    assert len(composed(live, archive, resources()[0])) > 0
    settle(archive, catalog=catalog)
    assert archive.pending() == []


def test_a_rebuilt_catalog_merges_what_is_owed_anew(archive: Archive, catalog: Catalog) -> None:
    live = Live(archive, catalog)
    given = files()
    put(archive, *given[:6])
    settle(archive, catalog=catalog)
    put(archive, *given[6:])
    live.catch_up()
    rebuild(archive, catalog)
    live.catch_up()
    assert first_value(entry(catalog), "00201208") == 12
    assert len(catalog.fresh(STUDY)) == 6


def test_a_line_that_makes_no_sense_asks_for_the_whole_study(archive: Archive, catalog: Catalog) -> None:
    put(archive, *files(2))
    archive.store.append(f"{layout.PENDING}/{STUDY}", b"\0\0\0")
    put(archive, *files(3))
    Live(archive, catalog).catch_up()
    assert archive.pending() == []
    assert first_value(entry(catalog), "00201208") == 6


def test_without_a_catalog_the_summaries_are_made_before_a_search(archive: Archive) -> None:
    put(archive, *files(2))
    Live(archive, None).catch_up()
    assert archive.pending() == []
    assert len(archive.read_json(Resource(View.STUDIES))) == 1


def test_a_damaged_instance_hides_no_other(archive: Archive, catalog: Catalog) -> None:
    given = files(2)
    put(archive, *given)
    instance = next(iter(archive.instances(STUDY, SERIES)))
    key = layout.stored_as(Resource(View.METADATA, STUDY, SERIES, instance)).key
    Path(archive.store.path(key)).write_bytes(b"damaged")
    Live(archive, catalog).catch_up()
    assert first_value(entry(catalog), "00201208") == 3


def test_instances_are_in_the_order_of_their_numbers_whether_or_not_they_are_listed(
    archive: Archive,
) -> None:
    put(archive, *files(4)[:4])
    settle(archive)
    put(archive, *files(4)[4:])
    found = ordered_instances(archive, STUDY, SERIES)
    settle(archive)
    listed = archive.read_json(Resource(View.INSTANCES, STUDY, SERIES))
    assert found == [first_value(one, "00080018") for one in listed]


def test_writers_summarisers_and_readers_at_once_lose_nothing(archive: Archive, catalog: Catalog) -> None:
    given = files(12)
    faults: list[BaseException] = []
    stored: list[int] = []
    ended = threading.Event()

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            faults.append(error)

    def write() -> None:
        while True:
            try:
                data = given.pop()
            except IndexError:
                return
            put(archive, data)
            stored.append(1)

    def read() -> None:
        live = Live(archive, catalog)
        while not ended.is_set():
            least = len(stored)
            live.catch_up()
            found = first_value(entry(catalog), "00201208") if least else 0
            assert found >= least, "counted"
            chunks = composed(live, archive, resources()[0]) if least else b"[]"
            assert len(orjson.loads(chunks)) >= least, "composed"

    def summarise() -> None:
        while not ended.is_set():
            settle(archive, catalog=catalog)

    writers = [threading.Thread(target=run, args=(write,)) for _ in range(4)]
    others = [threading.Thread(target=run, args=(work,)) for work in (read, read, summarise)]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in others:
        thread.join()
    assert faults == []
    settle(archive, catalog=catalog)
    assert archive.pending() == []
    before = content(Path(archive.root))
    assert len(archive.read_json(Resource(View.METADATA, STUDY))) == 24
    index(archive)
    assert content(Path(archive.root)) == before
    assert synchronise(archive, catalog) == 0


def test_a_study_that_cannot_be_settled_is_not_tried_at_every_search(
    archive: Archive, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    put(archive, *files(2))
    instance = next(iter(archive.instances(STUDY, SERIES)))
    key = layout.stored_as(Resource(View.METADATA, STUDY, SERIES, instance)).key
    Path(archive.store.path(key)).write_bytes(b"damaged")
    with archive.lock(STUDY, shared=True):
        archive.mark_pending(STUDY)
    live = Live(archive, catalog)
    for _ in range(3):
        live.catch_up()
        assert live.metadata(resources()[0]) is None
    assert sum("was not indexed" in record.message for record in caplog.records) == 1
    assert archive.is_pending(STUDY)


def test_the_note_of_an_older_version_asks_for_the_whole_study(archive: Archive, catalog: Catalog) -> None:
    put(archive, *files(2))
    Path(archive.pending_path(STUDY)).write_text("0123456789abcdef0123456789abcdef")
    live = Live(archive, catalog)
    assert live.metadata(resources()[0]) is None
    assert archive.pending() == []
    assert len(archive.read_json(resources()[0])) == 4


@settings(max_examples=8, deadline=None)
@given(
    bursts=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    searches=st.lists(st.booleans()),
    seed=st.integers(),
)
def test_any_split_into_bursts_gives_the_bytes_of_one_run(
    bursts: list[int], searches: list[bool], seed: int
) -> None:
    wanted = files(4)
    random.Random(seed).shuffle(wanted)
    with tempfile.TemporaryDirectory() as folder:
        once, often = (Archive(f"{folder}/{name}", create=True) for name in ("once", "often"))
        once.create_marker()
        often.create_marker()
        catalog = Catalog(often.store.path(layout.CATALOG))
        catalog.complete()
        live = Live(often, catalog)
        put(once, *wanted)
        index(once)
        for number, count in enumerate([*bursts, len(wanted)]):
            burst, wanted = wanted[:count], wanted[count:]
            if burst:
                put(often, *burst)
            if number < len(searches) and searches[number]:
                live.catch_up()
            else:
                settle(often, catalog=catalog)
        live.catch_up()
        shown = entry(catalog)
        settle(often, catalog=catalog)
        assert content(Path(often.root)) == content(Path(once.root))
        assert shown == entry(catalog) == once.read_json(Resource(View.INDEX, STUDY))[0]
        catalog.close()


_STORE = """
import sys
from staticwado.archive import Archive
from tests.ingest.test_live import files, put
archive, given = Archive(sys.argv[1]), files(12)
for data in given[int(sys.argv[2])::3]:
    put(archive, data)
"""


def test_processes_that_store_and_one_that_settles_lose_nothing(archive: Archive, catalog: Catalog) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _STORE, archive.root, str(number)]) for number in range(3)
    ]
    live = Live(archive, catalog)
    seen = 0
    while any(writer.poll() is None for writer in writers):
        live.catch_up()
        row = catalog.study(STUDY)
        found = first_value(row.entry, "00201208") if row is not None else 0
        assert found >= seen
        seen = found
        settle(archive, catalog=catalog)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    live.catch_up()
    assert first_value(entry(catalog), "00201208") == 24
    settle(archive, catalog=catalog)
    assert archive.pending() == []
    before = content(Path(archive.root))
    index(archive)
    assert content(Path(archive.root)) == before
