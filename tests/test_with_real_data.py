"""The product judged from outside on real files: its command line, its tree, and nothing of its code.

Any folder of DICOM files will do (environment variable TESTDATA); a folder with a `manifest.jsonl` is also
judged by what the manifest says. The truth comes from `tests.truth`: DCMTK's dcm2json where it is
installed, the standard's model by way of pydicom's dictionary and character sets elsewhere, and a Part 10
reader for frames and bulk values.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pydicom
import pytest

from tests.truth import dcmtk
from tests.truth.command import Done, Summary, read_report, run
from tests.truth.corpus import (
    Corpus,
    Subject,
    frame_faults,
    identity_of,
    metadata_faults,
    pixeldata_uri_faults,
    read_corpus,
)
from tests.truth.frames import pixel_node
from tests.truth.intended import INTENDED
from tests.truth.part10 import Unreadable, read_path
from tests.truth.tree import Tree, absolute, plain, structure_faults, uris

CHUNKS = 4
MEMORY = 400 * 2**20
PATIENCE = 10.0

pytestmark = pytest.mark.timeout(900)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One process at a time: workers of pytest-xdist share what is dear."""
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def corpus(testdata: Path) -> Corpus:
    found = read_corpus(testdata)
    if not found.valid:
        pytest.skip(f"no DICOM file in {testdata}")
    return found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "real-data"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture(scope="session")
def converted(corpus: Corpus, shared: Path) -> tuple[Tree, Done]:
    """The archive of all valid files, made once, and how the run that made it ended."""
    root, record = shared / "archive", shared / "done.json"
    with _alone(shared):
        if not record.exists():
            done = run("create", corpus.inputs, "--dir", root)
            record.write_text(json.dumps([done.code, done.output, done.errors, done.peak, done.seconds]))
    return Tree(root), Done(*json.loads(record.read_text()))


@dataclass(frozen=True, slots=True)
class Subjects:
    """Subjects by path, each made when it is asked for: together they are too big to be kept."""

    corpus: Corpus
    numbers: dict[Path, int]
    place: Path

    def __getitem__(self, path: Path) -> Subject:
        noted = self.corpus.rows.get(path, {}).get("dcm2json_note")
        witness = None if noted else dcmtk.read_document(self.place, self.numbers[path])
        return Subject(path, read_path(path), witness)


@pytest.fixture(scope="session")
def subjects(corpus: Corpus, shared: Path) -> Subjects:
    """Every valid file with its truths."""
    paths = [*corpus.valid, *corpus.variants]
    place = shared / "dcm2json"
    with _alone(shared):
        if not place.exists():
            dcmtk.write_documents(paths, place)
    return Subjects(corpus, {path: number for number, path in enumerate(paths)}, place)


def _chunk(paths: list[Path], number: int) -> list[Path]:
    return paths[number::CHUNKS]


def _report(faults: list[str]) -> str:
    return f"{len(faults)} faults:\n" + "\n".join(faults[:40])


def _name(corpus: Corpus, path: Path) -> str:
    return path.relative_to(corpus.root).as_posix()


def test_every_valid_file_is_taken(corpus: Corpus, converted: tuple[Tree, Done]) -> None:
    tree, done = converted
    assert not done.has_traceback, done.errors[-3000:]
    kept = set(tree.instances())
    missing = [path for path in corpus.valid if identity_of(read_path(path)) not in kept]
    assert not missing, _report([_name(corpus, path) for path in missing])
    if corpus.rows:
        count = len(corpus.valid)
        assert done.code == 0, (done.output + done.errors)[-3000:]
        assert done.summary == Summary(count, count, 0, 0, 0)
        assert len(kept) == count


def test_a_second_run_changes_nothing(corpus: Corpus, converted: tuple[Tree, Done]) -> None:
    tree, first = converted
    before = tree.snapshot()
    again = run("create", corpus.inputs, "--dir", tree.root)
    after = tree.snapshot()
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    assert not changed, _report(changed)
    assert again.code == first.code, again.errors[-3000:]
    assert again.summary.new == 0
    assert again.summary.unchanged == first.summary.taken


@pytest.mark.parametrize("number", range(CHUNKS))
def test_the_metadata_is_the_truth(
    corpus: Corpus, subjects: Subjects, converted: tuple[Tree, Done], number: int
) -> None:
    tree, _ = converted
    faults: list[str] = []
    used: dict[str, int] = {}
    for path in _chunk(corpus.valid, number):
        faults += [f"{_name(corpus, path)}: {fault}" for fault in metadata_faults(tree, subjects[path], used)]
    assert not faults, _report(faults)
    assert set(used) <= {rule.name for rule in INTENDED}


@pytest.mark.parametrize("number", range(CHUNKS))
def test_the_frames_are_those_of_the_file(
    corpus: Corpus, subjects: Subjects, converted: tuple[Tree, Done], number: int
) -> None:
    tree, _ = converted
    faults: list[str] = []
    for path in _chunk(corpus.valid, number):
        faults += [f"{_name(corpus, path)}: {fault}" for fault in frame_faults(tree, subjects[path])]
    assert not faults, _report(faults)


def test_the_intended_names_are_read(corpus: Corpus, converted: tuple[Tree, Done]) -> None:
    tree, _ = converted
    faults = []
    for path, row in corpus.rows.items():
        if row["kind"] != "files" or not row.get("intended_PatientName"):
            continue
        _, found = tree.metadata(row["StudyInstanceUID"], row["SeriesInstanceUID"], row["SOPInstanceUID"])
        groups = row["intended_PatientName"].split("=")
        named = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False))
        wanted = [{group: text for group, text in named.items() if text}]
        if found[0]["00100010"].get("Value") != wanted:
            faults.append(f"{_name(corpus, path)}: {found[0]['00100010']} is not {wanted}")
    assert not faults, _report(faults)


def test_series_and_study_metadata_hold_the_instances_and_every_uri_resolves(
    converted: tuple[Tree, Done],
) -> None:
    tree, _ = converted
    below: dict[tuple[str, str], dict[str, Any]] = {}
    faults: list[str] = []
    for study, series, instance in tree.instances():
        base, found = tree.metadata(study, series, instance)
        faults += pixeldata_uri_faults(found[0], base, tree, instance)
        below.setdefault((study, ""), {})[instance] = absolute(found[0], base)
        below.setdefault((study, series), {})[instance] = absolute(found[0], base)
    for (study, series), wanted in below.items():
        base, found = tree.metadata(study, series)
        order = [made["00080018"]["Value"][0] for made in found]
        here = {uid: absolute(made, base) for uid, made in zip(order, found, strict=True)}
        if sorted(order) != sorted(wanted):
            faults.append(f"{base} holds {len(order)} of {len(wanted)} instances")
        faults += [f"{base}: {uid} differs" for uid in here if uid in wanted and here[uid] != wanted[uid]]
        for uid, made in zip(order, found, strict=True):
            faults += pixeldata_uri_faults(made, base, tree, uid)
    assert not faults, _report(faults)


def test_no_file_is_in_the_tree_that_nothing_leads_to(converted: tuple[Tree, Done]) -> None:
    """Bulkdata that no metadata names, and folders that hold no instance, are garbage."""
    tree, _ = converted
    named = set()
    for study, series, instance in tree.instances():
        base, found = tree.metadata(study, series, instance)
        named |= {uri for _, uri in _absolute_uris(found[0], base)}
    stored = {"/" + key for key in tree.snapshot() if "/bulkdata/" in key}
    assert sorted(stored - named) == []


def _absolute_uris(model: Any, base: str) -> Iterator[tuple[str, str]]:
    yield from uris(absolute(model, base))


def _each_alone(paths: list[Path], place: Path, judged: Callable[[Path, Path], list[str]]) -> list[str]:
    """`judged(path, archive)` of each path with an archive of its own, two at a time."""

    def one(numbered: tuple[int, Path]) -> list[str]:
        number, path = numbered
        root = place / str(number)
        try:
            return judged(path, root)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    with ThreadPoolExecutor(2) as pool:
        return [fault for faults in pool.map(one, enumerate(paths)) for fault in faults]


@pytest.mark.parametrize("number", range(CHUNKS))
def test_each_variant_alone_is_taken_and_true(
    corpus: Corpus, subjects: Subjects, tmp_path: Path, number: int
) -> None:
    def judged(path: Path, root: Path) -> list[str]:
        done = run("create", path, "--dir", root)
        if done.code != 0 or done.has_traceback:
            return [f"{_name(corpus, path)}: exit {done.code}: {(done.output + done.errors)[-300:]}"]
        faults = [*metadata_faults(Tree(root), subjects[path], {}), *frame_faults(Tree(root), subjects[path])]
        return [f"{_name(corpus, path)}: {fault}" for fault in faults]

    faults = _each_alone(_chunk(corpus.variants, number), tmp_path, judged)
    assert not faults, _report(faults)


def test_a_folder_of_variants_keeps_one_of_each_uid(
    corpus: Corpus, subjects: Subjects, tmp_path: Path
) -> None:
    def judged(folder: Path, root: Path) -> list[str]:
        inside = [path for path in corpus.variants if path.is_relative_to(folder)]
        uids = {identity_of(read_path(path))[2] for path in inside}
        report = root.with_suffix(".json")
        done = run("create", folder, "--dir", root, "--report", report)
        conflicts = len(inside) - len(uids)
        faults = []
        if done.code != (1 if conflicts else 0) or done.has_traceback:
            faults.append(f"exit {done.code}: {done.errors[-300:]}")
        if done.summary != Summary(len(uids), len(uids), 0, 0, conflicts):
            faults.append(f"{done.summary} of {len(inside)} files with {len(uids)} UIDs")
        if {instance for _, _, instance in Tree(root).instances()} != uids:
            faults.append("the archive holds other instances")
        if len(read_report(report)) != len(inside):
            faults.append(f"{len(read_report(report))} rows in the report")
        return [f"{_name(corpus, folder)}: {fault}" for fault in faults]

    folders = sorted({path.parent for path in corpus.variants})
    faults = _each_alone(folders, tmp_path, judged)
    assert not faults, _report(faults)


def test_malformed_files_have_an_outcome_each(corpus: Corpus, tmp_path: Path) -> None:
    if not corpus.malformed:
        pytest.skip("no malformed files in this corpus")
    archive, report = tmp_path / "a/b/c/d/archive", tmp_path / "report.json"
    archive.parent.mkdir(parents=True)
    done = run("create", corpus.root / "malformed", "--dir", archive, "--report", report)
    assert not done.has_traceback, done.errors[-3000:]
    assert done.code == 1
    assert done.peak < MEMORY
    assert list(archive.parent.iterdir()) == [archive]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "report.json"}
    rows = read_report(report)
    sources = Counter(Path(row.source).resolve() for row in rows)
    unnamed = [_name(corpus, path) for path in corpus.malformed if sources[path] != 1]
    assert not unnamed, _report(unnamed)
    assert all(row.reason or row.detail or row.outcome in ("new", "unchanged") for row in rows)
    summary = done.summary
    assert summary.taken + summary.skipped + summary.failed == len(rows)


def test_each_malformed_file_alone_is_handled_fast_and_small(corpus: Corpus, tmp_path: Path) -> None:
    def judged(path: Path, root: Path) -> list[str]:
        done = run("create", path, "--dir", root / "archive", limit=PATIENCE * 3)
        faults = []
        if done.code not in (0, 1, 3, 4) or done.has_traceback:
            faults.append(f"exit {done.code}: {(done.output + done.errors)[-500:]}")
        if done.peak >= MEMORY:
            faults.append(f"{done.peak >> 20} MB")
        if done.seconds >= PATIENCE:
            faults.append(f"{done.seconds:.1f} s")
        if root.exists() and {inner.name for inner in root.iterdir()} - {"archive"}:
            faults.append("wrote outside the archive")
        return [f"{_name(corpus, path)}: {fault}" for fault in faults]

    faults = _each_alone(corpus.malformed, tmp_path, judged)
    assert not faults, _report(faults)


def test_the_judge_agrees_with_other_decoders_about_native_frames(corpus: Corpus, subjects: Subjects) -> None:
    """The truth about frames against the manifest's digests, which GDCM, DCMTK and pydicom made."""
    faults = []
    for path in corpus.valid + corpus.variants:
        decoders = corpus.rows.get(path, {}).get("decode") or {}
        digests = [made["frame_md5"] for made in decoders.values() if made.get("frame_md5")]
        expected = subjects[path].frames
        if expected is None or expected.media_type != "application/octet-stream" or not digests:
            continue
        payloads = [frame.data for frame in expected.frames]
        if subjects[path].dataset.number(0x00280100) == 1:
            payloads = [_unpacked(data, subjects[path]) for data in payloads]
        if [hashlib.md5(data, usedforsecurity=False).hexdigest() for data in payloads] not in digests:
            faults.append(_name(corpus, path))
    assert not faults, _report(faults)


def _unpacked(data: bytes, subject: Subject) -> bytes:
    size = subject.dataset.number(0x00280010) * subject.dataset.number(0x00280011)
    return bytes(data[n >> 3] >> (n & 7) & 1 for n in range(size))


def test_a_dicomdir_takes_in_what_it_names(corpus: Corpus, tmp_path: Path) -> None:
    given = corpus.root / "malformed/pydicom/test_files/dicomdirtests/DICOMDIR"
    files = corpus.root / "files/pydicom/test_files/dicomdirtests"
    if not given.is_file() or not files.is_dir():
        pytest.skip("no DICOMDIR in this corpus")
    place = tmp_path / "in"
    wanted = set()
    for record in pydicom.dcmread(given).DirectoryRecordSequence:
        parts = record.get("ReferencedFileID") or ["missing"]
        source, target = files.joinpath(*parts), place.joinpath(*parts)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            wanted.add(str(record.ReferencedSOPInstanceUIDInFile))
    shutil.copyfile(given, place / "DICOMDIR")
    done = run("create", place / "DICOMDIR", "--dir", tmp_path / "archive")
    assert not done.has_traceback
    assert {instance for _, _, instance in Tree(tmp_path / "archive").instances()} == wanted
    assert len(wanted) > 20


STUDY_REQUIRED = (
    "00080020 00080030 00080050 00080061 00080090 00081190 00100010 00100020 00100030 00100040 0020000D"
    " 00200010 00201206 00201208"
).split()
SERIES_REQUIRED = ["00080060", "00081190", "0020000E", "00200011", "00201209"]
INSTANCE_REQUIRED = ["00080016", "00080018", "00081190", "00200013"]


def test_the_indexes_list_what_is_there(converted: tuple[Tree, Done]) -> None:
    """CONFORMANCE 3.1 and Q-28 to Q-30: required attributes, counts, and a RetrieveURL that resolves."""
    tree, _ = converted
    below: dict[str, dict[str, set[str]]] = {}
    for study, series, instance in tree.instances():
        below.setdefault(study, {}).setdefault(series, set()).add(instance)
    faults: list[str] = []
    studies = _by_uid(tree.json("studies/index.json.gz"), "0020000D")
    assert set(studies) == set(below)
    for study, series_below in below.items():
        entry = studies[study]
        listed = _by_uid(tree.json(f"studies/{study}/series/index.json.gz"), "0020000E")
        faults += _entry_faults(entry, STUDY_REQUIRED, "/studies", f"/studies/{study}")
        if _by_uid(tree.json(f"studies/{study}/index.json.gz"), "0020000D") != {study: entry}:
            faults.append(f"{study}: its index file differs from its entry among the studies")
        counts = [len(series_below), sum(map(len, series_below.values()))]
        if [entry[key].get("Value") for key in ("00201206", "00201208")] != [[count] for count in counts]:
            faults.append(f"{study}: {entry['00201206']}, {entry['00201208']} of {counts}")
        _, found = tree.metadata(study)
        modalities = {value for made in found for value in made.get("00080060", {}).get("Value", ())}
        if set(entry["00080061"].get("Value", ())) != modalities:
            faults.append(f"{study}: modalities {entry['00080061']} of {modalities}")
        assert set(listed) == set(series_below)
        for series, instances in series_below.items():
            faults += _series_faults(tree, study, series, listed[series], instances)
    assert not faults, _report(faults)


def _series_faults(tree: Tree, study: str, series: str, entry: Any, instances: set[str]) -> Iterator[str]:
    base = f"/studies/{study}/series"
    yield from _entry_faults(entry, SERIES_REQUIRED, base, f"{base}/{series}")
    if entry["00201209"].get("Value") != [len(instances)]:
        yield f"{series}: count {entry['00201209']} of {len(instances)}"
    base = f"{base}/{series}/instances"
    listed = _by_uid(tree.json(f"{base[1:]}/index.json.gz"), "00080018")
    if set(listed) != instances:
        yield f"{series}: lists {len(listed)} of {len(instances)} instances"
    for instance, made in listed.items():
        yield from _entry_faults(made, INSTANCE_REQUIRED, base, f"{base}/{instance}")


def _by_uid(entries: Any, key: str) -> dict[str, Any]:
    found = {entry[key]["Value"][0]: plain(entry) for entry in entries}
    assert len(found) == len(entries), "an index lists something twice"
    return found


_NO_MODALITIES = {"vr": "CS", "Value": []}


def _entry_faults(entry: Any, required: list[str], base: str, place: str) -> Iterator[str]:
    # the one place where an empty list stands in index files, for OHIF's sake: docs/decisions/0004
    strict = {key: value for key, value in entry.items() if (key, value) != ("00080061", _NO_MODALITIES)}
    yield from structure_faults(strict, place)
    yield from (f"{place}: no {key}" for key in required if key not in entry)
    if urljoin(base, entry.get("00081190", {}).get("Value", [""])[0]) != place:
        yield f"{place}: RetrieveURL {entry.get('00081190')}"


def test_the_judge_agrees_with_dcmtk(subjects: Subjects) -> None:
    """The model, which serves where there is no DCMTK, has the elements that dcm2json has."""
    if dcmtk.dcm2json() is None:
        pytest.skip("dcm2json is not installed")
    faults, seen = [], 0
    for path in subjects.numbers:
        subject = subjects[path]
        if subject.witness is None:
            continue
        seen += 1
        node = pixel_node(subject.dataset)
        ours = set(subject.model) - ({f"{node.tag:08X}"} if node else set())
        if ours != set(plain(subject.witness)):
            faults.append(f"{path.name}: {sorted(ours ^ set(subject.witness))[:5]}")
    assert not faults, _report(faults)
    assert seen > len(subjects.numbers) * 0.9


def test_the_judge_reads_only_what_is_dicom(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"no DICOM")
    with pytest.raises(Unreadable):
        read_path(path)
