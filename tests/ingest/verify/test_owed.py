"""What `verify` says of journals, of the index of all studies that is owed, of the catalog, of months."""

from pathlib import Path

import pytest

from staticwado import layout
from staticwado.archive import Archive, compress
from staticwado.catalog.database import Catalog
from staticwado.ingest import whole_index
from staticwado.ingest.catalogue import rebuild
from staticwado.ingest.settle import index, settle
from staticwado.ingest.verify import whole
from staticwado.ingest.verify.run import VerifyOptions, verify
from tests import factories
from tests.ingest.test_live import files, put

STUDY = factories.uid("study", 0)


@pytest.fixture
def archive(root: Path) -> Archive:
    made = Archive(str(root), create=True)
    made.create_marker()
    put(made, *files(2))
    settle(made)
    return made


def faults(archive: Archive) -> list[str]:
    return sorted(fault.key for fault in verify(archive.root, VerifyOptions(jobs=1)).findings.faults)


def notes(archive: Archive) -> list[str]:
    return [note.key for note in verify(archive.root, VerifyOptions(jobs=1)).findings.notes]


def test_what_is_owed_is_a_note_and_no_fault(archive: Archive) -> None:
    put(archive, *files(3)[4:])
    assert faults(archive) == []
    settle(archive, index=False)
    assert archive.pending() == []
    assert faults(archive) == []
    assert "studies/index.json.gz" in notes(archive)
    settle(archive)
    assert faults(archive) == []
    assert notes(archive) == []


def test_the_catalog_and_what_servers_keep_are_known(archive: Archive) -> None:
    catalog = Catalog(archive.store.path(layout.CATALOG))
    rebuild(archive, catalog)
    for key in (layout.TRASH, layout.DELETED, layout.SPOOL, layout.CACHE, layout.ASIDE):
        Path(archive.store.path(key)).mkdir()
    assert (faults(archive), notes(archive)) == ([], [])
    catalog.close()


def test_months_that_are_missing_damaged_or_stale_are_named_and_mended(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert faults(archive) == []
    monkeypatch.setattr(whole, "SHARDS_FROM", 1)
    monkeypatch.setattr(whole_index, "SHARDS_FROM", 1)
    month, manifest = "studies/months/2024-02.json.gz", "studies/months/index.json.gz"
    assert faults(archive) == [month, manifest]
    index(archive)
    assert faults(archive) == []
    for damage in (b"damaged", compress(b"[]")):
        Path(archive.store.path(month)).write_bytes(damage)
        assert faults(archive) == [month]
        index(archive)
    other = archive.store.path("studies/months/2024-03.json.gz")
    Path(other).write_bytes(compress(b"[]"))
    assert faults(archive) == ["studies/months/2024-03.json.gz"]
    index(archive)
    assert faults(archive) == []
