"""The judge judged: a tree made from the truth passes, and every fault planted in it is found."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import factories
from tests.truth.corpus import Subject, frame_faults, metadata_faults, pixeldata_uri_faults
from tests.truth.model import KNOWN, RAW
from tests.truth.part10 import read_path
from tests.truth.tree import Broken, Tree, parse_json, parse_multipart, structure_faults

BOUNDARY = b"--boundary"


def _plain(model: Any) -> Any:
    if isinstance(model, list):
        return [_plain(item) for item in model]
    if isinstance(model, dict):
        return {key: _plain(item) for key, item in model.items() if key not in (RAW, KNOWN)}
    return model


def _subject(place: Path, data: bytes) -> Subject:
    path = place / "one.dcm"
    path.write_bytes(data)
    return Subject(path, read_path(path), None)


def _write(root: Path, subject: Subject, change: Callable[[Any], None] = lambda model: None) -> Tree:
    """A tree that holds `subject` as it must be, apart from `change` to its metadata."""
    study, series, instance = subject.identity
    folder = root / f"studies/{study}/series/{series}/instances/{instance}"
    (folder / "frames").mkdir(parents=True)
    full = subject.model
    model = _plain(full)
    expected = subject.frames
    if "7FE00010" in model:
        model["7FE00010"] = {"vr": model["7FE00010"]["vr"], "BulkDataURI": "pixeldata"}
    model["00083002"] = {"vr": "UI", "Value": [expected.syntax if expected else factories.EXPLICIT]}
    for key, made in list(model.items()):
        if len(made.get("InlineBinary", "")) > 2000:
            raw = full[key][RAW]
            digest = hashlib.sha256(raw).hexdigest()
            bulk = root / f"studies/{study}/bulkdata/{digest[:2]}/{digest[2:]}.bin"
            bulk.parent.mkdir(parents=True, exist_ok=True)
            bulk.write_bytes(raw)
            uri = f"../../../../bulkdata/{digest[:2]}/{digest[2:]}.bin"
            model[key] = {"vr": made["vr"], "BulkDataURI": uri}
    change(model)
    text = json.dumps([dict(sorted(model.items()))], ensure_ascii=False)
    (folder / "metadata.gz").write_bytes(gzip.compress(text.encode()))
    for number, frame in enumerate(expected.frames if expected else [], 1):
        head = f"Content-Type: {expected.media_type};transfer-syntax={expected.syntax}" if expected else ""
        body = BOUNDARY + b"\r\n" + head.encode() + b"\r\n\r\n" + frame.data + b"\r\n" + BOUNDARY + b"--\r\n"
        (folder / f"frames/{number}.mht").write_bytes(body)
    return Tree(root)


def _image(**more: Any) -> bytes:
    return factories.with_big_values(
        4000,
        frames=factories.pixels(4, 4, 2),
        PatientWeight="070.50",
        **more,
    )


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return _subject(tmp_path, _image())


def test_the_truth_has_no_faults(subject: Subject, tmp_path: Path) -> None:
    tree = _write(tmp_path / "tree", subject)
    used: dict[str, int] = {}
    assert list(metadata_faults(tree, subject, used)) == []
    assert list(frame_faults(tree, subject)) == []
    assert set(used) == {
        "available transfer syntax",
        "bulkdata in place of an inline value",
        "pixel data by reference",
    }


def _lose(model: Any) -> None:
    del model["00100020"]


def _change_text(model: Any) -> None:
    model["00100010"]["Value"][0]["Alphabetic"] = "Doe^Joan"


def _change_number_text(model: Any) -> None:
    model["00101030"]["Value"] = [70.5]


def _change_vr(model: Any) -> None:
    model["00100020"]["vr"] = "SH"


def _add(model: Any) -> None:
    model["00100021"] = {"vr": "LO", "Value": ["?"]}


def _wrong_syntax(model: Any) -> None:
    model["00083002"]["Value"] = [factories.IMPLICIT]


def _dead_uri(model: Any) -> None:
    model["00091001"]["BulkDataURI"] = "../bulkdata/nothing"


def _other_bulk(model: Any) -> None:
    model["00091001"]["BulkDataURI"] = model["00091002"]["BulkDataURI"]


def _escape(model: Any) -> None:
    model["00091001"]["BulkDataURI"] = "../../../../../../../one.dcm"


def _lose_pixels(model: Any) -> None:
    del model["7FE00010"]


def _empty_value(model: Any) -> None:
    model["00100030"]["Value"] = []


def _wrong_inline(model: Any) -> None:
    model["00091001"] = {"vr": "OB", "InlineBinary": base64.b64encode(b"no").decode()}


@pytest.mark.parametrize(
    "change",
    [
        _lose,
        _change_text,
        _change_number_text,
        _change_vr,
        _add,
        _wrong_syntax,
        _dead_uri,
        _other_bulk,
        _escape,
        _lose_pixels,
        _empty_value,
        _wrong_inline,
    ],
)
def test_a_planted_fault_in_the_metadata_is_found(
    subject: Subject, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    tree = _write(tmp_path / "tree", subject, change)
    assert list(metadata_faults(tree, subject, {}))


@pytest.mark.parametrize("place", [0, 20, 60, -30])
def test_a_changed_byte_of_a_frame_is_found(subject: Subject, tmp_path: Path, place: int) -> None:
    tree = _write(tmp_path / "tree", subject)
    path = next((tmp_path / "tree").rglob("frames/2.mht"))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert list(frame_faults(tree, subject))


def test_a_lost_frame_and_one_too_many_are_found(subject: Subject, tmp_path: Path) -> None:
    tree = _write(tmp_path / "tree", subject)
    path = next((tmp_path / "tree").rglob("frames/2.mht"))
    data = path.read_bytes()
    (path.parent / "3.mht").write_bytes(data)
    assert list(frame_faults(tree, subject))
    (path.parent / "3.mht").unlink()
    path.unlink()
    assert list(frame_faults(tree, subject))


def test_uris_are_resolved_from_the_url_of_the_metadata(subject: Subject, tmp_path: Path) -> None:
    tree = _write(tmp_path / "tree", subject)
    study, series, instance = subject.identity
    base, found = tree.metadata(study, series, instance)
    assert list(pixeldata_uri_faults(found[0], base, tree, instance)) == []
    wrong = f"/studies/{study}/series/{series}/metadata"
    assert len(list(pixeldata_uri_faults(found[0], wrong, tree, instance))) > 1


@pytest.mark.parametrize(
    "text",
    [
        '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": ""}]}}',
        '{"00100010": {"vr": "PN", "Value": ["Doe"]}}',
        '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]}}',
        '{"00100020": {"vr": "LO"}, "00100010": {"vr": "PN"}}',
        '{"0010001a": {"vr": "LO"}}',
        '{"00100000": {"vr": "UL", "Value": [4]}}',
        '{"00020010": {"vr": "UI"}}',
        '{"00100020": {"vr": "LO", "Value": []}}',
        '{"00100020": {"vr": "LO", "Value": ["A", ""]}}',
        '{"00100020": {"vr": "LO", "Value": ["A"], "InlineBinary": ""}}',
        '{"00081140": {"vr": "SQ", "Value": [{"00100020": {}}]}}',
    ],
)
def test_what_annex_f_forbids_is_found(text: str) -> None:
    assert list(structure_faults(parse_json(text.encode())))


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1, "a": 2}', "\ufeff{}"])
def test_what_is_no_json_is_found(text: str) -> None:
    with pytest.raises(Broken):
        parse_json(text.encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"--b\r\n\r\nx", b"--b\r\n\r\nx\r\n--c--", b"--b\r\n\r\n--b\r\n--b--", b"x\r\n\r\n\r\nx--"],
)
def test_what_is_no_multipart_body_is_found(data: bytes) -> None:
    with pytest.raises(Broken):
        parse_multipart(data)
