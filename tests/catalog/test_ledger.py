"""The ledger of source files: found again, replaced, and empty when damaged."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from staticwado.catalog.ledger import Ledger
from staticwado.errors import StoreUnavailable

STAMP, UIDS = (1, 2**60, 3), ("1.2", "1.3", "1.4")


def test_what_is_recorded_is_found(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "ledger?#%.sqlite")
    names = ["/a b/ü", os.fsdecode(b"/\xff\xfe\n"), "/x"]
    with closing(Ledger(path)) as ledger:
        assert ledger.find("/x") is None
        ledger.record([])
        assert not Path(path).exists()
        ledger.record((name, STAMP, UIDS) for name in names)
    with closing(Ledger(path)) as ledger:
        assert [ledger.find(name) for name in names] == [(STAMP, UIDS)] * 3
        assert ledger.find("/y") is None
        ledger.record([("/x", (4, 5, 6), UIDS)])
        assert ledger.find("/x") == ((4, 5, 6), UIDS)


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_a_damaged_ledger_is_empty_and_is_made_anew(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(data)
    with closing(Ledger(str(path))) as ledger:
        assert ledger.find("/x") is None
    Ledger(str(path)).record([("/x", STAMP, UIDS)])
    with closing(Ledger(str(path))) as ledger:
        assert ledger.find("/x") == (STAMP, UIDS)


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable, match="ledger"):
        Ledger(str(tmp_path / "folder")).record([("/x", STAMP, UIDS)])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="ledger"):
        Ledger(str(tmp_path / "file" / "ledger")).record([("/x", STAMP, UIDS)])


def test_the_instances_of_all_sources_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(str(path))) as ledger:
        assert list(ledger.instances()) == []
        ledger.record([("/a", STAMP, UIDS), ("/b", STAMP, UIDS), ("/c", STAMP, ("1", "2", "3"))])
    with closing(Ledger(str(path))) as ledger:
        assert sorted(ledger.instances()) == [("1", "2", "3"), UIDS]
    path.write_bytes(b"no database" * 100)
    with closing(Ledger(str(path))) as ledger, pytest.raises(StoreUnavailable, match="could not be read"):
        list(ledger.instances())
