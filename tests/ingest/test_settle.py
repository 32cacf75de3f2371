"""Settling does without what is derived."""

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.catalogue import rebuild
from staticwado.ingest.intake import Intake
from staticwado.ingest.live import Live
from staticwado.ingest.outcome import Reason
from staticwado.ingest.settle import index, settle, settle_index
from staticwado.ingest.source import BytesSource
from staticwado.search.engine import Engine
from tests import factories
from tests.ingest.conftest import Convert, outcomes, put


def test_a_catalog_that_cannot_be_opened_leaves_nothing_owed(
    root: Path, tmp_path: Path, convert: Convert
) -> None:
    files = dict(enumerate(factories.series_of(2)))
    convert(put(tmp_path / "in", {str(number): data for number, data in files.items()}))
    archive = Archive(str(root))
    study = factories.uid("study", 0)
    (root / layout.CATALOG).unlink(missing_ok=True)
    (root / layout.CATALOG).mkdir()
    archive.mark_pending(study)
    assert settle(archive).faults == []
    assert archive.pending() == []
    assert len(archive.read_json(Resource(View.STUDIES))) == 1
    assert index(archive).faults == []
    assert archive.pending() == []


def test_an_instance_is_refused_in_another_series_from_the_first_run_on(
    root: Path, tmp_path: Path, convert: Convert
) -> None:
    data = factories.series_of(1)[0]
    elsewhere = data.replace(factories.uid("series", 0, 0).encode(), factories.uid("series", 0, 2).encode())
    assert elsewhere != data
    report = convert(put(tmp_path / "in", {"1": data, "2": elsewhere}))
    assert sorted(outcomes(report)) == ["failed", "new"]
    assert [one.reason for one in report.outcomes if not one.ok] == [Reason.DUPLICATE_SOP_INSTANCE]
    again = convert(put(tmp_path / "in", {"1": data, "2": elsewhere}))
    assert sorted(outcomes(again)) == ["failed", "unchanged"]


class _Busy(Archive):
    """An archive in which others do something at certain moments, the last of a list first."""

    before_merging: list[Callable[[], object]]
    """When somebody is about to tell the catalog of a study."""
    index_owed: list[Callable[[], object]]
    """When the index of all studies has just become owed."""

    @classmethod
    def at(cls, root: Path) -> "_Busy":
        archive = cls(str(root), create=True)
        archive.before_merging, archive.index_owed = [], []
        archive.create_marker()
        return archive

    def bucket_lock(self, kind: str, study: str) -> str:
        if kind == "merge" and self.before_merging:
            self.before_merging.pop()()
        return super().bucket_lock(kind, study)

    def mark_index(self, studies: Iterable[str]) -> None:
        super().mark_index(studies)
        if self.index_owed:
            self.index_owed.pop()()


def test_what_was_stored_before_a_search_is_found_while_others_store_and_delete(root: Path) -> None:
    archive = _Busy.at(root)
    study, uid = factories.uid("study", 0), factories.uid("instance", 0, 0, 2)
    first, second, third = (BytesSource(str(one), data) for one, data in enumerate(factories.series_of(3)))
    with closing(Catalog(archive.store.path(layout.CATALOG))) as catalog:
        rebuild(archive, catalog)
        intake = Intake(archive, catalog=catalog)
        intake.take([first])
        settle(archive, catalog=catalog)
        archive.mark_pending(study)  # as a deletion does: all of the study must be looked at
        intake.take([second])
        archive.before_merging += [lambda: intake.take([third]), lambda: None]  # the second time, to tell it
        live = Live(archive, catalog)
        query = parse_query(Resource(View.INSTANCES, study), [("SOPInstanceUID", uid)])
        assert len(Engine(archive, catalog=catalog, live=live).search(query).found) == 1
        assert archive.before_merging == []
        intake.close()
    assert archive.pending() == [study]


def test_an_index_that_another_makes_meanwhile_lacks_nothing(root: Path) -> None:
    archive = _Busy.at(root)
    first, second = (BytesSource(str(one), data) for one, data in enumerate(factories.series_of(2)))
    with closing(Catalog(archive.store.path(layout.CATALOG))) as catalog:
        rebuild(archive, catalog)
        intake = Intake(archive, catalog=catalog)
        intake.take([first])
        settle(archive, catalog=catalog)
        intake.take([second])
        archive.index_owed.append(lambda: settle_index(Archive(str(root)), catalog))
        settle(archive, catalog=catalog)
        intake.close()
    assert archive.index_owed == []
    [entry] = archive.read_json(Resource(View.STUDIES))
    assert entry["00201208"]["Value"] == [2]
