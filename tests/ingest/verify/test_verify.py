"""Every kind of fault is found, named with its key, what is wrong and what mends it; and nothing else is."""

import gzip
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from staticwado.archive import Archive, compress
from staticwado.dicomweb.multipart import TAIL
from staticwado.errors import ConfigurationError
from staticwado.ingest.settle import index
from staticwado.ingest.verify import Kind, Match, Matter, Note, Verified, VerifyOptions, verify
from staticwado.store.local import LocalStore
from tests import factories
from tests.ingest.conftest import Convert
from tests.ingest.verify.conftest import Look, digest, faults, instance_of, told
from tests.truth.command import environment


def key_of(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def repack(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the content of a gzip file as this program would have written it."""
    before = gzip.decompress(path.read_bytes())
    after = change(before)
    assert after != before
    path.write_bytes(compress(after))


def frame_of_series(root: Path) -> Path:
    """A native frame of 8 by 8 pixels."""
    return next(path for path in sorted(root.rglob("1.mht")) if b"\r\n\r\n" in path.read_bytes())


def noted(report: Verified) -> list[Note]:
    """The notes, but for that on the made-up codestream, of which there can be no thumbnail."""
    return [note for note in report.findings.notes if note.matter is not Matter.NO_THUMBNAIL]


# -- nothing wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_untouched_archive_is_whole_and_stays_as_it_was(archive: Path, look: Look, jobs: int) -> None:
    before = digest(archive)
    report = look(jobs=jobs)
    assert report.whole, told(report)
    assert digest(archive) == before
    counts = report.findings.counts
    assert (counts.studies, counts.series, counts.instances) == (2, 4, 6)
    assert counts.frames == 2 + 3 + 2 + 1
    assert counts.bulkdata == len(list(archive.rglob("bulkdata/*/*")))
    files = [path for path in archive.rglob("*") if path.is_file() and ".staticwado" not in path.parts]
    assert counts.bytes == sum(path.stat().st_size for path in files if path.name != "staticwado.json")


def test_the_look_after_index_is_clean_too(archive: Path, look: Look) -> None:
    index(Archive(str(archive)))
    assert look().whole


@pytest.mark.parametrize("transcode", ["htj2k", "jls"])
def test_an_archive_of_transcoded_frames_is_whole_and_a_byte_of_them_that_changes_is_found(
    root: Path, tmp_path: Path, convert: Convert, look: Look, transcode: str
) -> None:
    frames = [b"\0\1" * 4096, b"\2\1" * 4096]
    source = tmp_path / "x"
    source.write_bytes(factories.instance(frames=frames, rows=64, columns=64))
    convert(source, transcode=transcode)
    report = look()
    assert report.whole, told(report)
    frame = next(root.rglob("frames/2.*.mht"))
    whole = frame.read_bytes()
    for place in range(0, len(whole), 7):
        frame.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert faults(look(), Kind.DAMAGED), place


def test_an_archive_without_its_private_folder_and_without_thumbnails_is_whole(
    root: Path, given: Path, convert: Convert, look: Look
) -> None:
    convert(given)
    shutil.rmtree(root / ".staticwado")
    report = look()
    assert report.whole, told(report)
    assert not report.findings.notes


def test_an_archive_that_can_only_be_read_is_looked_at(
    archive: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every way to open or make something for writing is refused, as for the owner of a read-only mount."""
    usual = os.open

    def refuse(path: str, flags: int, *rest: int) -> int:
        assert not (str(path).startswith(str(archive)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return usual(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    frame_of_series(archive).write_bytes(b"damaged")
    for name in ("mkdir", "makedirs", "rename", "replace", "unlink", "link"):
        monkeypatch.setattr(os, name, lambda *_, name=name, **__: pytest.fail(f"os.{name} was called"))
    assert not look().whole


# -- instances -----------------------------------------------------------------------------------------------


def test_a_flipped_byte_in_a_frame_is_found_and_the_frame_named(archive: Path, look: Look) -> None:
    frame = frame_of_series(archive)
    data = bytearray(frame.read_bytes())
    data[-len(TAIL) - 5] ^= 0x10
    frame.write_bytes(data)
    report = look()
    (fault,) = faults(report, Kind.PART10) or faults(report, Kind.DAMAGED)
    assert fault.key == key_of(archive, frame)
    assert "create SOURCE" in fault.repair
    assert len(report.findings.faults) == 1


@pytest.mark.parametrize("place", [5, 60, 90, -3])
def test_a_flipped_byte_in_the_envelope_of_a_frame_is_found(archive: Path, look: Look, place: int) -> None:
    frame = frame_of_series(archive)
    data = bytearray(frame.read_bytes())
    data[place] ^= 0x20
    frame.write_bytes(data)
    (fault,) = look().findings.faults
    assert (fault.kind, fault.key) == (Kind.DAMAGED, key_of(archive, frame))


def test_an_unused_bit_behind_the_last_pixel_is_found(archive: Path, look: Look) -> None:
    (frame,) = archive.rglob("frames/3.mht")
    data = bytearray(frame.read_bytes())
    data[-len(TAIL) - 1] ^= 0x80
    frame.write_bytes(data)
    (fault,) = look().findings.faults
    assert fault.kind is Kind.DAMAGED


def test_a_frame_that_is_gone_or_too_many_or_kept_twice_is_found(archive: Path, look: Look) -> None:
    (third,) = archive.rglob("frames/3.mht")
    whole = third.read_bytes()
    third.unlink()
    (fault,) = faults(look(), Kind.MISSING)
    assert "frame 3 of 3" in fault.detail
    third.write_bytes(whole)
    (third.parent / "4.mht").write_bytes(whole)
    (fault,) = look().findings.faults
    assert fault.kind is Kind.MISPLACED
    assert fault.key.endswith("/frames/4.mht")
    (third.parent / "4.mht").rename(third.parent / "3.jls.mht")
    assert [fault.kind for fault in look().findings.faults] == [Kind.MISPLACED]
    (third.parent / "3.jls.mht").unlink()
    assert look().whole


def test_a_frame_in_another_syntax_than_the_metadata_say_is_found(archive: Path, look: Look) -> None:
    (third,) = archive.rglob("frames/3.mht")
    third.rename(third.parent / "3.jls.mht")
    (fault,) = look().findings.faults
    assert fault.key.endswith("3.jls.mht")
    assert "Explicit VR Little Endian" in fault.detail


def test_a_bulkdata_file_that_was_deleted_is_found(archive: Path, look: Look) -> None:
    value = max(archive.rglob("bulkdata/*/*"), key=lambda path: path.stat().st_size)
    value.unlink()
    report = look()
    found = faults(report, Kind.MISSING)
    assert len(found) == 2  # both slices share it
    address = "/".join(value.parts[-2:])
    assert all(address in fault.detail and fault.key.endswith("metadata.gz") for fault in found)
    assert {fault.kind for fault in report.findings.faults} == {Kind.MISSING}


def test_a_bulkdata_file_that_is_damaged_is_found_and_so_is_who_refers_to_it(
    archive: Path, look: Look
) -> None:
    for value in archive.rglob("bulkdata/*/*"):
        whole = value.read_bytes()
        value.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        report = look()
        assert key_of(archive, value) in [fault.key for fault in faults(report, Kind.DAMAGED)]
        folders = [fault for fault in report.findings.faults if "/instances/" in fault.key]
        assert folders, value
        assert all("/".join(value.parts[-2:]) in fault.detail for fault in folders)
        value.write_bytes(whole)


def test_a_bulkdata_file_that_nobody_refers_to_is_a_note(archive: Path, look: Look) -> None:
    value = next(archive.rglob("bulkdata/*/*"))
    name = hashlib.sha256(b"left").hexdigest()
    (value.parent.parent / name[:2]).mkdir(exist_ok=True)
    (value.parent.parent / name[:2] / f"{name[2:]}.bin").write_bytes(b"left")
    report = look()
    assert report.whole
    assert [note.matter for note in noted(report)] == [Matter.UNUSED]


@pytest.mark.parametrize("name", ["metadata.gz", "skeleton.gz", "index.json.gz"])
def test_a_truncated_gzip_is_found(archive: Path, look: Look, name: str) -> None:
    for path in archive.rglob(name):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        assert key_of(archive, path) in [fault.key for fault in faults(look(), Kind.DAMAGED)], path
        path.write_bytes(whole + b"\0")
        assert key_of(archive, path) in [fault.key for fault in faults(look(), Kind.DAMAGED)], path
        path.write_bytes(whole)
    assert look().whole


def test_a_skeleton_that_is_gone_is_found(archive: Path, look: Look) -> None:
    skeleton = next(archive.rglob("skeleton.gz"))
    skeleton.unlink()
    (fault,) = look().findings.faults
    assert (fault.kind, fault.key) == (Kind.MISSING, key_of(archive, skeleton))


def test_an_instance_directory_without_metadata_is_found(archive: Path, look: Look) -> None:
    folder = next(archive.rglob("instances/*/frames")).parent
    (folder.parent / "1.2.3").mkdir()
    (fault,) = look().findings.faults
    assert fault.kind is Kind.INCOMPLETE
    assert fault.key == key_of(archive, folder.parent / "1.2.3")
    (folder.parent / "1.2.3").rmdir()
    (folder / "metadata.gz").unlink()
    report = look()
    (fault,) = faults(report, Kind.INCOMPLETE)
    assert fault.key == key_of(archive, folder)
    assert "it lists" in told(report)  # and the indexes name what is not there


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda text: text[:-1], Kind.DAMAGED, "array of one"),
        (lambda text: text[:-2] + b",}]", Kind.DAMAGED, "no JSON"),
        (lambda text: b"[" + text[1:-1] + b"," + text[1:], Kind.DAMAGED, "2 data sets"),
        (lambda text: text.replace(b'"vr":"CS"', b'"vr":"C"', 1), Kind.DAMAGED, "vr is 'C'"),
        (lambda text: text.replace(b'"00080060"', b'"Modality"', 1), Kind.DAMAGED, "is no tag"),
        (lambda text: text.replace(b'"Value":["OT"]', b'"Value":"OT"', 1), Kind.DAMAGED, "no array"),
        (lambda text: text.replace(b'"Value":["OT"]', b'"Wert":["OT"]', 1), Kind.DAMAGED, "Wert"),
        (lambda text: text.replace(b'"Value":["OT"]', b'"Value":["CT"]', 1), Kind.METADATA, "(0008,0060)"),
        (lambda text: text.replace(b'"pixeldata"', b'"pixels"', 1), Kind.MISSING, "leads nowhere"),
        (lambda text: text.replace(b'"Doe^Jane"', b'"Doe^John"', 1), Kind.METADATA, "(0010,0010)"),
    ],
)
def test_metadata_that_are_not_those_of_the_file_are_found(
    archive: Path, look: Look, change: Callable[[bytes], bytes], kind: Kind, words: str
) -> None:
    path = instance_of(archive, "frames") / "metadata.gz"
    repack(path, change)
    found = [fault for fault in faults(look(), kind) if words in fault.detail]
    assert [fault.key for fault in found] == [key_of(archive, path)]


def test_an_instance_in_the_folder_of_another_is_found(archive: Path, look: Look) -> None:
    folder = instance_of(archive, "frames")
    folder.rename(folder.parent / "1.2.3")
    report = look()
    (fault,) = faults(report, Kind.MISPLACED)
    assert f"instance {folder.name}" in fault.detail
    assert "create SOURCE" in fault.repair


def test_a_skeleton_of_another_file_is_found(archive: Path, look: Look) -> None:
    one, other = sorted(archive.rglob("skeleton.gz"))[:2]
    one.write_bytes(other.read_bytes())
    assert not look().whole


def test_a_skeleton_that_holds_another_hash_or_size_or_part_is_found(archive: Path, look: Look) -> None:
    skeleton = instance_of(archive, "frames") / "skeleton.gz"
    whole = skeleton.read_bytes()

    def with_member(name: str, value: object) -> Callable[[bytes], bytes]:
        def change(text: bytes) -> bytes:
            head, _, raw = text.partition(b"\n")
            return orjson.dumps(orjson.loads(head) | {name: value}) + b"\n" + raw

        return change

    for name, value in [("sha256", "0" * 64), ("size", 7), ("version", 9), ("parts", [["what"]])]:
        repack(skeleton, with_member(name, value))
        assert not look().whole, name
        skeleton.write_bytes(whole)


def test_a_thumbnail_that_is_damaged_is_found_and_one_that_is_gone_is_noted(
    archive: Path, look: Look
) -> None:
    thumbnails = sorted(archive.rglob("instances/*/thumbnail.jpg"))
    assert thumbnails
    for path in thumbnails:
        whole = path.read_bytes()
        path.write_bytes(whole[:-40] + bytes([whole[-40] ^ 0x55]) + whole[-39:])
        assert key_of(archive, path) in [fault.key for fault in faults(look(), Kind.DAMAGED)]
        path.unlink()
        report = look()
        noted = [note.key for note in report.findings.notes if note.matter is Matter.NO_THUMBNAIL]
        assert key_of(archive, path) in noted
        path.write_bytes(whole)


def test_what_another_version_wrote_is_no_fault(archive: Path, look: Look) -> None:
    """As if the program had since changed: the metadata are those whose hash the skeleton holds."""
    folder = next(archive.glob("studies/*/series/*/instances/*/metadata.gz")).parent
    metadata = folder / "metadata.gz"
    changed = gzip.decompress(metadata.read_bytes()).replace(b"[{", b'[{"00080001":{"vr":"LO"},', 1)
    repack(metadata, lambda text: changed)
    index(Archive(str(archive)))
    assert [fault.key for fault in faults(look(), Kind.METADATA)] == [key_of(archive, metadata)]

    def as_written(text: bytes) -> bytes:
        head, _, raw = text.partition(b"\n")
        written = orjson.loads(head)["written"] | {"metadata": hashlib.sha256(changed).hexdigest()}
        return orjson.dumps(orjson.loads(head) | {"written": written}) + b"\n" + raw

    repack(folder / "skeleton.gz", as_written)
    report = look()
    assert report.whole
    keys = [note.key for note in report.findings.notes if note.matter is Matter.VERSION]
    assert keys == [key_of(archive, metadata)]


def test_a_thumbnail_whose_hash_an_earlier_version_did_not_record_is_noted(archive: Path, look: Look) -> None:
    folder = next(archive.glob("studies/*/series/*/instances/*/thumbnail.jpg")).parent

    def without(text: bytes) -> bytes:
        head, _, raw = text.partition(b"\n")
        known = orjson.loads(head)
        del known["written"]
        return orjson.dumps(known) + b"\n" + raw

    repack(folder / "skeleton.gz", without)
    report = look()
    assert report.whole
    keys = [note.key for note in report.findings.notes if note.matter is Matter.UNCHECKED]
    assert key_of(archive, folder / "thumbnail.jpg") in keys


# -- derived files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tag", "words"),
    [
        ("studies/*/index.json.gz", b"00201208", "Number of Study Related Instances is 9"),
        ("studies/*/index.json.gz", b"00201206", "Number of Study Related Series is 9"),
        ("studies/*/series/index.json.gz", b"00201209", "Number of Series Related Instances is 9"),
        ("studies/index.json.gz", b"00201208", "Number of Study Related Instances is 9"),
    ],
)
def test_an_index_with_a_wrong_count_is_found_and_the_counts_named(
    archive: Path, look: Look, name: str, tag: bytes, words: str
) -> None:
    path = sorted(archive.glob(name))[0]

    def wrong(text: bytes) -> bytes:
        entries = orjson.loads(text)
        entries[0][tag.decode()]["Value"] = [9]
        return orjson.dumps(entries)

    repack(path, wrong)
    (fault,) = look().findings.faults
    assert (fault.kind, fault.key, fault.repair) == (Kind.STALE, key_of(archive, path), "mkdicomweb index")
    assert words in fault.detail
    index(Archive(str(archive)))
    assert look().whole


@pytest.mark.parametrize("name", ["studies/index.json.gz", "instances/index.json.gz", "metadata.gz"])
def test_a_list_with_an_entry_too_few_too_many_or_in_another_order_is_found(
    archive: Path, look: Look, name: str
) -> None:
    folder = instance_of(archive, "frames").parent
    path = archive / name if name.startswith("studies") else folder.parent / name
    whole = path.read_bytes()
    entries = orjson.loads(gzip.decompress(whole))
    assert len(entries) > 1
    for wrong, words in [
        (entries[1:], "it lacks"),
        ([*entries, *entries], "it lists"),
        (entries[::-1], "order"),
    ]:
        path.write_bytes(compress(orjson.dumps(wrong)))
        (fault,) = look().findings.faults
        assert fault.key == key_of(archive, path)
        assert words in fault.detail
    path.write_bytes(whole)


def test_every_derived_file_is_missed_when_it_is_gone(archive: Path, look: Look) -> None:
    derived = [
        path
        for path in archive.rglob("*")
        if path.is_file() and "bulkdata" not in path.parts and ".staticwado" not in path.parts
        if path.parent.parent.name != "instances" and path.parent.name != "frames"
    ]
    assert len(derived) > 15
    for path in derived:
        whole = path.read_bytes()
        path.unlink()
        (fault,) = look().findings.faults
        assert (fault.key, fault.kind) == (
            key_of(archive, path),
            Kind.MARKER if path.name == "staticwado.json" else Kind.MISSING,
        )
        path.write_bytes(whole)


def test_the_compact_form_and_the_thumbnails_of_series_are_compared(archive: Path, look: Look) -> None:
    form = sorted(archive.rglob("deduplicated/index.json.gz"))[0]
    repack(form, lambda text: text.replace(b"Doe^Jane", b"Doe^John", 1))
    thumbnail = next(archive.glob("studies/*/thumbnail.jpg"))
    thumbnail.write_bytes(thumbnail.read_bytes()[:-1])
    report = look()
    assert {fault.key for fault in report.findings.faults} == {
        key_of(archive, one) for one in (form, thumbnail)
    }
    assert "(0010,0010)" in told(report)


def test_what_a_series_that_was_removed_left_behind_is_found_and_index_removes_it(
    archive: Path, look: Look
) -> None:
    folder = instance_of(archive, "frames")
    shutil.rmtree(folder.parent.parent / "instances")
    assert faults(look(), Kind.STALE)
    index(Archive(str(archive)))
    report = look()
    assert report.whole, told(report)
    assert not (folder.parent.parent / "metadata.gz").exists()


def test_damaged_metadata_do_not_hide_damaged_indexes(archive: Path, look: Look) -> None:
    (instance_of(archive, "frames") / "metadata.gz").write_bytes(b"damaged")
    study = instance_of(archive, "frames").parents[3]
    (study / "index.json.gz").write_bytes(b"damaged")
    report = look()
    assert len(faults(report, Kind.DAMAGED)) == 2
    assert Matter.UNCHECKED in {note.matter for note in report.findings.notes}


def test_content_that_is_compressed_in_another_way_is_a_note(archive: Path, look: Look) -> None:
    for path in [*archive.rglob("*.gz")]:
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=1))
    report = look()
    assert report.whole, told(report)
    assert {note.matter for note in noted(report)} == {Matter.OTHER_BYTES}
    assert len(noted(report)) == len([*archive.rglob("*.gz")])


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "README",
        "studies/notes.txt",
        "studies/STUDY/.hidden",
        "studies/STUDY/series/SERIES/instances/INSTANCE/frames/0.mht",
        "studies/STUDY/series/SERIES/instances/INSTANCE/frames/1.xyz.mht",
        "studies/STUDY/bulkdata/aa/short.bin",
        "studies/not a uid/index.json.gz",
        "studies/STUDY/other/index.json.gz",
        "studies/STUDY/series/SERIES/metadata.gz.d/x",
    ],
)
def test_a_stray_file_is_found_and_named_once(archive: Path, look: Look, name: str) -> None:
    folder = instance_of(archive, "frames")
    words = {"STUDY": folder.parents[3].name, "SERIES": folder.parents[1].name, "INSTANCE": folder.name}
    for word, uid in words.items():
        name = name.replace(word, uid)
    stray = archive / name
    known = set(archive.rglob("*"))
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"stray")
    top = next(
        path for path in (*reversed(stray.parents), stray) if archive in path.parents and path not in known
    )
    (fault,) = look().findings.faults
    if "bulkdata" not in name:
        assert fault.key == key_of(archive, top)
    assert (fault.kind, fault.repair) == (Kind.STRAY, "remove it by hand")


def test_a_link_that_leads_nowhere_is_a_stray(archive: Path, look: Look) -> None:
    (archive / "studies" / "link").symlink_to("nowhere")
    (fault,) = look().findings.faults
    assert fault.kind is Kind.STRAY


def test_an_empty_folder_is_a_note(archive: Path, look: Look) -> None:
    (archive / "studies" / "1.2.3" / "series").mkdir(parents=True)
    report = look()
    assert report.whole, told(report)
    assert [note.key for note in noted(report)] == ["studies/1.2.3/series"]


def test_what_no_writer_keeps_in_the_private_folder_is_a_note(archive: Path, look: Look) -> None:
    (archive / ".staticwado" / "old.sqlite").write_bytes(b"")
    (archive / ".staticwado" / "pending" / "no uid").write_bytes(b"")
    report = look()
    assert report.whole
    assert [note.matter for note in noted(report)] == [Matter.PRIVATE] * 2


# -- the archive as a whole ----------------------------------------------------------------------------------


def test_a_folder_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not an archive"):
        verify(str(tmp_path), VerifyOptions())
    (tmp_path / "staticwado.json").write_text('{"layout":2}')
    with pytest.raises(ConfigurationError, match="has layout 2"):
        verify(str(tmp_path), VerifyOptions())


def test_a_marker_that_is_gone_or_damaged_is_found(archive: Path, look: Look) -> None:
    marker = archive / "staticwado.json"
    marker.write_bytes(b'{"layout":')
    (fault,) = look().findings.faults
    assert (fault.kind, fault.key) == (Kind.MARKER, "staticwado.json")
    marker.unlink()
    (fault,) = look().findings.faults
    assert fault.repair == "mkdicomweb create SOURCE"


def test_a_ledger_that_is_damaged_or_names_what_is_not_there_is_a_note(
    archive: Path, given: Path, look: Look
) -> None:
    ledger = archive / ".staticwado" / "sources.sqlite"
    with sqlite3.connect(ledger) as database:
        database.execute("INSERT INTO source VALUES ('x', 1, 2, 3, '1.2', '1.3', '1.4')")
    database.close()
    report = look()
    (note,) = noted(report)
    assert report.whole
    assert "names 1 source" in note.detail
    ledger.write_bytes(b"damaged" * 100)
    report = look()
    (note,) = noted(report)
    assert report.whole
    assert "could not be read" in note.detail


def test_a_study_that_is_owed_its_derived_files_is_a_note(archive: Path, look: Look) -> None:
    study = instance_of(archive, "frames").parents[3]
    Archive(str(archive)).mark_pending(study.name)
    (study / "index.json.gz").unlink()
    (archive / "studies" / "index.json.gz").write_bytes(compress(b"[]"))
    report = look()
    assert [fault.key for fault in report.findings.faults] == ["studies/index.json.gz"]  # the other study
    assert Matter.OWED in {note.matter for note in report.findings.notes}
    Archive(str(archive)).mark_pending(
        next(x.name for x in study.parent.iterdir() if x != study and x.is_dir())
    )
    report = look()
    assert report.whole, told(report)


# -- sources -------------------------------------------------------------------------------------------------


def test_every_source_is_compared_by_its_hash(archive: Path, given: Path, look: Look, tmp_path: Path) -> None:
    report = look(given)
    assert report.whole
    assert report.compared is not None
    assert [one.match for one in report.compared] == [Match.EQUAL] * 6
    other = tmp_path / "other"
    other.mkdir()
    data = bytearray((given / "0.dcm").read_bytes())
    data[3] = 7  # in the preamble
    (other / "0.dcm").write_bytes(data)
    (other / "1.dcm").write_bytes(factories.instance(seed="new"))
    (other / "2.txt").write_bytes(b"nothing")
    (other / "3.dcm").write_bytes((given / "3.dcm").read_bytes())
    (other / "4.dcm").write_bytes(data[:700])
    report = look(other, tmp_path / "missing")
    assert report.compared is not None
    by_name = {Path(one.source).name: one.match for one in report.compared}
    assert by_name == {
        "0.dcm": Match.DIFFERS,
        "1.dcm": Match.MISSING,
        "2.txt": Match.NO_DICOM,
        "3.dcm": Match.EQUAL,
        "4.dcm": Match.MISSING,
        "missing": Match.UNREADABLE,
    }
    assert not report.whole
    assert not report.findings.faults
    (note,) = [one for one in report.findings.notes if one.matter is Matter.NOT_GIVEN]
    assert note.detail.startswith("4 instances")


def test_sources_in_a_zip_are_compared(archive: Path, given: Path, look: Look, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "packed"), "zip", given)
    report = look(tmp_path / "packed.zip", jobs=2)
    assert report.compared is not None
    assert [one.match for one in report.compared] == [Match.EQUAL] * 6


def test_a_source_whose_instance_is_damaged_now_is_not_called_equal(
    archive: Path, given: Path, look: Look
) -> None:
    frame_of_series(archive).write_bytes(b"damaged")
    report = look(given)
    assert report.compared is not None
    assert [one.match for one in report.compared].count(Match.DIFFERS) == 1


# -- repairs -------------------------------------------------------------------------------------------------


def mend(root: Path, given: Path, report_repairs: list[tuple[str, str]], convert: Convert) -> None:
    """Do what the repairs say."""
    for key, repair in report_repairs:
        if "by hand" in repair:
            words = repair.split()
            named = words[words.index("folder") + 1] if "the folder " in repair else key
            path = root / named
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    if any("create SOURCE" in repair for _, repair in report_repairs):
        convert(given, thumbnails=True)
    if any("mkdicomweb index" in repair for _, repair in report_repairs):
        index(Archive(str(root)))


@pytest.mark.parametrize("seed", range(25))
def test_one_byte_one_file_or_the_end_of_one_that_is_lost_anywhere_is_found_and_mended(
    archive: Path, given: Path, look: Look, convert: Convert, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(LocalStore, "sync", lambda self: None)
    chance = random.Random(seed)
    files = sorted(path for path in archive.rglob("*") if path.is_file() and ".staticwado" not in path.parts)
    path = chance.choice(files)
    whole = path.read_bytes()
    kind = chance.choice(["flip", "delete", "truncate"])
    if kind == "flip":
        place, change = chance.randrange(len(whole)), chance.randrange(1, 256)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
    elif kind == "delete":
        path.unlink()
    else:
        path.write_bytes(whole[: chance.randrange(len(whole))])
    try:
        report = look()
    except ConfigurationError:  # the marker names another layout: nobody takes that for a whole archive
        assert path.name == "staticwado.json"
        return
    findings = report.findings
    assert findings.faults or findings.notes, f"{kind} {path}"
    if not findings.faults:
        harmless = {Matter.OTHER_BYTES, Matter.NO_THUMBNAIL}
        assert {note.matter for note in findings.notes} <= harmless, f"{kind} {path}"
        return
    mend(archive, given, [(fault.key, fault.repair) for fault in findings.faults], convert)
    after = look()
    assert after.whole, f"{kind} {path}: {told(report)}\nafter: {told(after)}"


def test_the_report_is_json_and_names_keys_that_are_no_text(archive: Path, look: Look) -> None:
    Path(os.fsdecode(os.fsencode(archive) + b"/\xff")).write_bytes(b"")
    text = json.dumps(look().to_json())
    assert "\\\\xff" in text


DYING = """
import os, sys
from staticwado.ingest.verify import VerifyOptions, instance, verify
root, doomed, source = sys.argv[1:]
usual = instance.InstanceCheck.check
def check(self, uids):
    if uids[2] == doomed:
        os._exit(9)
    return usual(self, uids)
instance.InstanceCheck.check = check
report = verify(root, VerifyOptions(2, (source,)))
print(report.findings.counts.instances, [(one.key, one.kind.value) for one in report.findings.faults])
print(sorted({one.match.value for one in report.compared}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only forked processes know of the change")
def test_a_process_that_dies_costs_the_instance_that_killed_it(archive: Path, given: Path) -> None:
    folder = instance_of(archive, "frames")
    words = [sys.executable, "-c", DYING, str(archive), folder.name, str(given)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"5 [('{key_of(archive, folder)}', 'unreadable')]"
    assert second == "['differs', 'equal']"
