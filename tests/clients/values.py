"""Whether a data set that a client was given holds what the source file holds: elements, and pixels apart.

One rule: nothing here comes from the product; the truth is `tests.truth` and the decoders of the manifest.
"""

import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from tests.truth.corpus import Corpus, identity_of
from tests.truth.frames import Expected, expected_frames
from tests.truth.model import little, model_of
from tests.truth.part10 import NATIVE, Dataset, Node, Unreadable, dictionary_sequence, read, read_path
from tests.verdicts import TWINS

_PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Pixel Data, which is judged apart, and the tables of its encapsulation, which another form has not."""
_DESCRIBED = frozenset({0x00280004, 0x00280006})
"""Photometric Interpretation and Planar Configuration: of the pixels that are sent."""
_PADDING = 0xFFFCFFFC
_PHOTOMETRIC, _PLANAR, _SAMPLES = 0x00280004, 0x00280006, 0x00280002
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _SIGNED = 0x00280100, 0x00280101, 0x00280103
_FULL = {"YBR_FULL", "YBR_FULL_422"}


@dataclass(frozen=True)
class Subject:
    """One file of the corpus and what is known of it without the product."""

    path: Path
    decoded: dict[str, Any]
    """Decoder of the manifest -> what it made of the file, or of another with the same pixels."""

    @cached_property
    def dataset(self) -> Dataset:
        return read_path(self.path)

    @cached_property
    def identity(self) -> tuple[str, str, str]:
        """(study, series, instance)."""
        return identity_of(self.dataset)

    @cached_property
    def syntax(self) -> str:
        return self.dataset.syntax

    @cached_property
    def frames(self) -> Expected | None:
        """The frames as they are kept, or None without pixels."""
        return expected_frames(self.dataset)

    @cached_property
    def model(self) -> dict[str, Any]:
        return model_of(self.dataset)


def subjects_of(corpus: Corpus) -> list[Subject]:
    """The valid files of the corpus."""
    named = {path.name: row for path, row in corpus.rows.items()}
    found = []
    for path in corpus.valid:
        row = named.get(TWINS[path.name], {}) if path.name in TWINS else corpus.rows.get(path, {})
        found.append(Subject(path, row.get("decode") or {}))
    return found


def faults_of(found: pydicom.Dataset, subject: Subject, *, strict: bool = True) -> list[str]:
    """What is wrong with a data set that a client was given; it must be possible to save it as a file.

    Not `strict`: numbers may be spelled otherwise, and elements may be new.
    Raises Unjudged where the client could not save the file itself, or no decoder takes it.
    """
    try:
        given = read(_saved(found), dictionary_sequence)
    except Exception as error:  # whatever a client can stumble over is a fault
        try:
            _saved(pydicom.dcmread(subject.path))
        except Exception as of_source:
            raise Unjudged(str(of_source)) from of_source
        return [f"cannot be saved: {error}"]
    faults = list(_element_faults(given, subject.dataset, "", strict, _PIXELS | _DESCRIBED))
    wrong = pixel_faults(given, subject)
    source = subject.dataset.text(_PHOTOMETRIC)
    if wrong and not strict and not faults and source.startswith("YBR") and given.text(_PHOTOMETRIC) == "RGB":
        raise Unjudged(f"{source} was made RGB, and the manifest has no decoder that does so")
    return faults + wrong


def _saved(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _ignored(tag: int) -> bool:
    return tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002) or tag == _PADDING


def _element_faults(
    found: Dataset, source: Dataset, place: str, strict: bool, ignored: frozenset[int] = frozenset()
) -> Iterator[str]:
    tags = {tag for tag in (*found.nodes, *source.nodes) if tag not in ignored and not _ignored(tag)}
    for tag in sorted(tags):
        ours, theirs = found.nodes.get(tag), source.nodes.get(tag)
        name = f"{place}({tag:08X})"
        if theirs is None:
            if strict:
                yield f"{name} is new"
        elif ours is None:
            if strict or theirs.raw or theirs.items or theirs.fragments:
                yield f"{name} is missing"
        elif ours.items is not None and theirs.items is not None:
            if len(ours.items) != len(theirs.items):
                yield f"{name} has {len(ours.items)} items, not {len(theirs.items)}"
            for number, pair in enumerate(zip(ours.items, theirs.items, strict=False), 1):
                yield from _element_faults(*pair, f"{name}[{number}]", strict)
        elif not _same_value(ours, theirs) and (strict or not _same_number(ours, theirs)):
            yield f"{name} is {_shown(ours)}, not {_shown(theirs)}"


def _same_value(ours: Node, theirs: Node) -> bool:
    if ours.vr and theirs.vr and ours.vr != theirs.vr and "UN" not in (ours.vr, theirs.vr):
        return False
    if ours.fragments is not None or theirs.fragments is not None:
        return ours.fragments is not None and (theirs.fragments or [])[1:] == ours.fragments[1:]
    if ours.items is not None or theirs.items is not None:
        return not (ours.raw or theirs.raw or ours.items or theirs.items)
    vr = theirs.vr or ours.vr
    values = [little(node.raw, vr, is_little=node.order == "<") for node in (ours, theirs)]
    return values[0] == values[1] or values[0].rstrip(b" \0") == values[1].rstrip(b" \0")


def _same_number(ours: Node, theirs: Node) -> bool:
    """Whether two texts are the same decimal numbers."""
    texts = [node.raw.decode("latin-1").strip(" \0").split("\\") for node in (ours, theirs)]
    if "DS" not in (ours.vr, theirs.vr) and "IS" not in (ours.vr, theirs.vr):
        return [text.strip() for text in texts[0]] == [text.strip() for text in texts[1]]
    try:
        numbers = [[float(text or "nan") for text in side] for side in texts]
    except ValueError:
        return False
    return len(numbers[0]) == len(numbers[1]) and all(map(_close, *numbers))


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))


def _shown(node: Node) -> str:
    return f"{node.vr} {node.raw[:40]!r}" if node.items is None else f"{node.vr} {len(node.items)} items"


def pixel_faults(given: Dataset, subject: Subject) -> list[str]:
    """What is wrong with the pixels of a data set, and with what it says of them."""
    try:
        found = expected_frames(given)
    except Unreadable as error:
        return [f"pixels: {error}"]
    wanted = subject.frames
    if found is None or wanted is None:
        return [] if found is wanted else ["pixels are missing or new"]
    if len(found.frames) != len(wanted.frames):
        return [f"{len(found.frames)} frames, not {len(wanted.frames)}"]
    datas = [frame.data for frame in found.frames]
    if given.syntax == subject.syntax or {given.syntax, subject.syntax} <= NATIVE:
        return _same_form(datas, given, subject)
    if found.media_type != "application/octet-stream":
        return [f"pixels in {given.syntax}, which was not asked for"]
    return decoded_faults(datas, subject, given.text(_PHOTOMETRIC), given.number(_PLANAR))


def _same_form(datas: list[bytes], given: Dataset, subject: Subject) -> list[str]:
    wrong = stored_faults(datas, subject)
    for tag in _DESCRIBED:
        node, source = given.nodes.get(tag), subject.dataset.nodes.get(tag)
        if (node is None) != (source is None) or (node and source and not _same_value(node, source)):
            wrong.append(f"({tag:08X}) was changed")
    return wrong


def stored_faults(datas: list[bytes], subject: Subject, first: int = 1) -> list[str]:
    """Which frames, from number `first` on, are not what the file holds."""
    wanted = subject.frames
    assert wanted is not None
    frames = wanted.frames[first - 1 :]
    return [
        f"frame {number} is another"
        for number, (data, frame) in enumerate(zip(datas, frames, strict=False), first)
        if not frame.is_right(data)
    ]


def decoded_faults(
    datas: list[bytes], subject: Subject, photometric: str | None = None, planar: int = 0, first: int = 1
) -> list[str]:
    """Which frames no decoder of the manifest made so. Raises Unjudged where none took the file.

    `photometric`: what they are called; None where the client is not told.
    """
    made = [one for one in subject.decoded.values() if one.get("frame_md5")]
    if not made:
        raise Unjudged(f"no decoder of the manifest took {subject.path.name}")
    wrong = []
    for number, data in enumerate(datas, first):
        digests = {
            hashlib.md5(form, usedforsecurity=False).hexdigest() for form in _forms(data, subject, planar)
        }
        agreeing = [one for one in made if one["frame_md5"][number - 1] in digests]
        if not agreeing:
            wrong.append(f"frame {number} is what no decoder makes of it")
        called = {one["pi"] for one in agreeing if one.get("pi")}
        if photometric and called and not called & (_FULL if photometric in _FULL else {photometric}):
            wrong.append(f"frame {number} is called {photometric} and is {min(called)}")
    return wrong


class Unjudged(Exception):
    """There is no witness."""


def _forms(data: bytes, subject: Subject, planar: int) -> Iterator[bytes]:
    """A native frame as each decoder lays it out: by pixel, by plane, stored bits alone, bits as bytes."""
    yield data
    source = subject.dataset
    allocated, samples = source.number(_ALLOCATED), source.number(_SAMPLES, 1)
    pixels = source.number(_ROWS) * source.number(_COLUMNS)
    if allocated == 1:
        yield np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")[:pixels].tobytes()
        return
    if len(data) * 8 != pixels * samples * allocated:
        return
    cells = np.frombuffer(data, f"<u{allocated // 8}")
    shaped = cells.reshape(samples, -1).T if planar else cells.reshape(-1, samples)
    yield shaped.tobytes()
    yield shaped.T.tobytes()
    shift = allocated - source.number(_STORED, allocated)
    kind = "i" if source.number(_SIGNED) else "u"
    yield ((shaped << shift).view(f"<{kind}{cells.itemsize}") >> shift).tobytes()
