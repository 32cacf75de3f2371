"""Quarantine: names of copies come from inside archives, and may hold anything."""

import io
import tarfile
from pathlib import Path

from staticwado.ingest.listing import find_sources
from staticwado.ingest.quarantine import quarantine


def test_a_name_with_a_nul_byte_in_it_is_copied_under_another(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as packed:
        info = tarfile.TarInfo("short")
        info.pax_headers, info.size = {"path": "aXXb.dcm"}, 4
        packed.addfile(info, io.BytesIO(b"DICM"))
    (tmp_path / "x.tar").write_bytes(made.getvalue().replace(b"XX", b"\0\0"))
    sources = list(find_sources([str(tmp_path / "x.tar")], []))
    assert [source.name.rpartition("!/")[2] for source in sources] == ["a\0\0b.dcm"]
    assert quarantine(sources, tmp_path / "kept") == []
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["a__b.dcm"]
