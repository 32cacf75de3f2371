"""Settling does without what is derived."""

from pathlib import Path

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.outcome import Reason
from staticwado.ingest.settle import index, settle
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
