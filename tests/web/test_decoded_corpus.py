"""Decoding on the fly over real files, judged by the decoders of the manifest and by pydicom."""

import hashlib
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from staticwado.archive import Archive
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.web.options import ServerOptions
from tests.truth.corpus import read_corpus
from tests.web.conftest import Client, Running
from tests.web.test_wado import parts

OCTETS = 'multipart/related; type="application/octet-stream"'
EXPLICIT = "1.2.840.10008.1.2.1"
EACH = 6
LARGEST = 4 << 20
CHANGED = {0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002, 0x7FE00010}

Rows = dict[Path, dict[str, Any]]


def chosen(rows: Rows) -> Rows:
    """A few files of each compressed transfer syntax, smaller ones first."""
    seen: Counter[str] = Counter()
    found = {}
    for path, row in sorted(rows.items(), key=lambda item: (int(item[1]["size"]), item[0])):
        syntax = TRANSFER_SYNTAXES.get(row.get("TransferSyntaxUID", ""))
        fits = row["kind"] == "files" and row.get("Rows") and row["size"] <= LARGEST
        if syntax is None or not syntax.encapsulated or syntax.video or not fits:
            continue
        seen[syntax.uid] += 1
        if seen[syntax.uid] <= EACH:
            found[path] = row
    return found


@pytest.fixture(scope="module")
def rows(testdata: Path) -> Rows:
    found = chosen(read_corpus(testdata).rows)
    return found or pytest.skip("this corpus has no manifest")


@pytest.fixture(scope="module")
def client(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("decoded") / "archive"
    options = CreateOptions(jobs=1, thumbnails=False)
    report = create(Archive(str(root), create=True), [str(path) for path in rows], options)
    assert all(one.ok for one in report.outcomes)
    running = Running(ServerOptions(dir=root, port=0, decoders=1))
    yield running.start()
    running.stop()


def place(row: dict[str, Any]) -> str:
    uids = (row["StudyInstanceUID"], row["SeriesInstanceUID"], row["SOPInstanceUID"])
    return "studies/{}/series/{}/instances/{}".format(*uids)


def judged_frames(client: Client, row: dict[str, Any]) -> str | None:
    """What is wrong with the default answer for the first and the last frame of a file, if anything."""
    digests = [one["frame_md5"] for one in row["decode"].values() if one and one.get("frame_md5")]
    last = int(row["NumberOfFrames"] or 1)
    lossy = TRANSFER_SYNTAXES[row["TransferSyntaxUID"]].lossy
    for number in sorted({1, last}):
        [(part, body)] = parts(client.get(f"{place(row)}/frames/{number}", Accept=OCTETS))
        wanted = row["TransferSyntaxUID"] if lossy else EXPLICIT
        if part["Content-Type"].partition("transfer-syntax=")[2] != wanted:
            return f"frame {number} is {part['Content-Type']}"
        known = [each[number - 1] for each in digests if len(each) >= number]
        # Decoders of the manifest give a byte for each pixel of 1 bit.
        if lossy or not known or row["BitsAllocated"] == "1":
            continue
        if hashlib.md5(body, usedforsecurity=False).hexdigest() not in known:
            return f"frame {number} is not that of any decoder"
    return None


def judged_file(client: Client, path: Path, row: dict[str, Any]) -> str | None:
    """What is wrong with the default answer for a whole file, if anything."""
    reply = client.get(place(row), Accept="application/dicom")
    if reply.status != 200:
        return reply.error
    source, sent = pydicom.dcmread(path, force=True), pydicom.dcmread(io.BytesIO(reply.body))
    lossy = TRANSFER_SYNTAXES[row["TransferSyntaxUID"]].lossy
    if sent.file_meta.TransferSyntaxUID != (row["TransferSyntaxUID"] if lossy else EXPLICIT):
        return f"it is in {sent.file_meta.TransferSyntaxUID.name}"
    kept = [each.tag for each in source if each.tag not in CHANGED and each.tag.element]
    if differing := [str(tag) for tag in kept if tag not in sent or str(sent[tag]) != str(source[tag])]:
        return f"{differing} differ"
    try:
        array = source.pixel_array
    except Exception:
        return None  # pydicom has no decoder for it here; the frames were judged
    return None if np.array_equal(array, sent.pixel_array) else "pydicom finds other pixels"


@pytest.mark.conformance("F-02", "R-02")
def test_frames_and_files_are_decoded_as_others_do(client: Client, rows: Rows) -> None:
    faults = []
    for path, row in rows.items():
        found = judged_frames(client, row) or judged_file(client, path, row)
        if found is not None:
            faults.append(f"{path.name} ({row['TransferSyntaxUID']}): {found}")
    assert not faults, "\n".join(faults)
