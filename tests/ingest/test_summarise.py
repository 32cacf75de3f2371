"""Summaries: the compact form expands exactly, the index is made anew from whatever is left."""

import shutil
from pathlib import Path

from staticwado.archive import Archive, compress
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest.settle import index
from staticwado.ingest.summarise import _share, compact_form, expand_compact
from staticwado.ingest.whole_index import refresh_index
from tests import factories
from tests.ingest.conftest import Convert


def test_the_compact_form_of_a_study_expands_to_its_metadata(
    root: Path, tmp_path: Path, convert: Convert
) -> None:
    (tmp_path / "in").mkdir()
    for series in range(3):
        for number, data in enumerate(factories.series_of(4, series=series)):
            (tmp_path / "in" / f"{series}{number}").write_bytes(data)
    convert(tmp_path / "in")
    archive, study = Archive(str(root)), factories.uid("study", 0)
    metadata = []
    for entry in archive.read_json(Resource(View.SERIES, study)):
        series_uid = entry["0020000E"]["Value"][0]
        for instance in archive.read_json(Resource(View.INSTANCES, study, series_uid)):
            uid = instance["00080018"]["Value"][0]
            metadata += archive.read_json(Resource(View.METADATA, study, series_uid, uid))
    assert len(metadata) == 12
    assert expand_compact(archive.read_json(Resource(View.DEDUPLICATED, study))) == metadata


def test_what_all_series_share_is_written_once() -> None:
    rows = [
        [{"00100020": {"vr": "LO", "Value": ["P"]}, "00080060": {"vr": "CS", "Value": [m]}}] for m in "AB"
    ]
    form = compact_form([(one, None) for one in rows])
    assert list(form["shared"]) == ["00100020"]
    assert expand_compact(form) == [row for series in rows for row in series]


def test_numbers_that_are_equal_but_written_differently_are_not_shared() -> None:
    rows = [[{"00180050": {"vr": "DS", "Value": [value]}}] for value in (1, 1.0)]
    form = compact_form([(one, None) for one in rows])
    assert form["shared"] == {}
    assert [repr(row["00180050"]["Value"]) for row in expand_compact(form)] == ["[1]", "[1.0]"]
    before, after = rows[0][0], rows[1][0]
    assert _share(after, before) == {"00180050"}
    assert repr(after["00180050"]["Value"]) == "[1.0]"


def test_the_whole_index_is_remade_when_it_is_damaged(root: Path, tmp_path: Path, convert: Convert) -> None:
    for study in range(3):
        (tmp_path / f"{study}").write_bytes(factories.instance(study=study))
    convert(*[tmp_path / f"{study}" for study in range(3)])
    archive = Archive(str(root))
    before = (root / "studies" / "index.json.gz").read_bytes()
    (root / "studies" / "index.json.gz").write_bytes(b"damaged")
    refresh_index(archive, [])
    assert (root / "studies" / "index.json.gz").read_bytes() == before


def test_a_study_with_malformed_metadata_is_not_indexed_and_the_others_are(
    root: Path, tmp_path: Path, convert: Convert
) -> None:
    for study in range(2):
        for number, data in enumerate(factories.series_of(2, study=study)):
            (tmp_path / f"{study}{number}").write_bytes(data)
    convert(*[tmp_path / f"{study}{number}" for study in range(2) for number in range(2)])
    archive = Archive(str(root))
    path = sorted(root.rglob("instances/*/metadata.gz"))[0]
    path.write_bytes(compress(b'[{"00200013":{"vr":"IS","Value":7}}]'))
    done = index(archive)
    assert len(done.marks) == 1
    (fault,) = done.faults
    assert path.parts[-6] in fault
    assert "malformed" in fault


def test_the_lists_of_a_series_without_instances_are_removed(
    root: Path, tmp_path: Path, convert: Convert
) -> None:
    for series in range(2):
        data = factories.instance(series=series, frames=factories.pixels(4, 4), rows=4, columns=4)
        (tmp_path / f"{series}").write_bytes(data)
    convert(tmp_path / "0", tmp_path / "1", thumbnails=True)
    gone, kept = sorted(path.parent for path in root.rglob("series/*/instances"))
    shutil.rmtree(next(path for path in (gone / "instances").iterdir() if path.is_dir()))
    assert (gone / "metadata.gz").exists()
    index(Archive(str(root)))
    assert [path for path in gone.rglob("*") if path.is_file()] == []
    assert (kept / "metadata.gz").exists()
