"""The corpus of real files: what is in it, and what each file must become."""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.truth.frames import Expected, expected_frames, is_known, media_type_of
from tests.truth.intended import Source, judge, pairs
from tests.truth.model import Model, model_of
from tests.truth.part10 import Dataset, Unreadable, read_path
from tests.truth.tree import Broken, Tree, structure_faults, uris

STUDY, SERIES, INSTANCE = 0x0020000D, 0x0020000E, 0x00080018


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files by kind: valid with unique SOP Instance UIDs, valid that repeat one, and broken or foreign."""

    root: Path
    valid: list[Path]
    variants: list[Path] = field(default_factory=list)
    malformed: list[Path] = field(default_factory=list)
    rows: dict[Path, dict[str, Any]] = field(default_factory=dict)
    """The manifest's row of each file."""

    @property
    def inputs(self) -> Path:
        """The folder that holds the valid files."""
        return self.root / "files" if self.rows else self.root


def read_corpus(root: Path) -> Corpus:
    """The corpus in `root`; without a manifest, every file that the judge can read is valid."""
    manifest = root / "manifest.jsonl"
    if not manifest.is_file():
        return Corpus(root, list(_readable(root)))
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    by_kind: dict[str, list[Path]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(root / row["path"])
    return Corpus(
        root,
        by_kind.get("files", []),
        by_kind.get("same-uid-variants", []),
        by_kind.get("malformed", []),
        {root / row["path"]: row for row in rows},
    )


def _readable(root: Path) -> Iterator[Path]:
    """What the judge can read whole, frames too, the first of each SOP Instance UID."""
    seen = set()
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        try:
            dataset = read_path(path)
            expected_frames(dataset)
            uids = identity_of(dataset)
        except (Unreadable, OSError, ValueError, zlib.error, RecursionError):
            continue
        if uids[2] not in seen and all(map(_is_uid, uids)) and is_known(dataset.syntax):
            seen.add(uids[2])
            yield path


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and re.fullmatch(r"[0-9]+(\.[0-9]+)*", text, re.ASCII) is not None


def identity_of(dataset: Dataset) -> tuple[str, str, str]:
    """(study, series, instance)."""
    return dataset.text(STUDY), dataset.text(SERIES), dataset.text(INSTANCE)


@dataclass(frozen=True, slots=True)
class Subject:
    """One file and what is known of it without the product."""

    path: Path
    dataset: Dataset
    witness: Any
    """dcm2json's document, or None where there is none or the manifest calls its text unreliable."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return identity_of(self.dataset)

    @property
    def model(self) -> Model:
        return model_of(self.dataset)

    @property
    def frames(self) -> Expected | None:
        return expected_frames(self.dataset)


def metadata_faults(tree: Tree, subject: Subject, used: dict[str, int]) -> Iterator[str]:
    """Every difference between the instance's metadata and the truth that is not intended."""
    study, series, instance = subject.identity
    try:
        base, found = tree.metadata(study, series, instance)
    except (Broken, OSError) as error:
        yield f"no metadata: {error}"
        return
    if not isinstance(found, list) or len(found) != 1:
        yield "the metadata is not an array of one object (MD-01)"
        return
    yield from structure_faults(found[0])
    source = Source(
        partial(tree.fetch, base),
        media_type_of(subject.dataset.syntax)[1],
        subject.dataset.syntax == "1.2.840.10008.1.2",
        instance,
    )
    model = subject.model
    if missing := {"7FE00010", "7FE00008", "7FE00009"} & set(model) - set(found[0]):
        yield f"no {missing}"
    for pair in pairs(found[0], subject.witness or model, model, source):
        rule = judge(pair)
        if rule is None:
            yield pair.show()
        else:
            used[rule] = used.get(rule, 0) + 1


def frame_faults(tree: Tree, subject: Subject) -> Iterator[str]:
    """Every difference between the stored frames and the file's."""
    try:
        wanted, found = subject.frames, tree.frames(*subject.identity)
    except (Unreadable, Broken, OSError) as error:
        yield str(error)
        return
    if wanted is None:
        if found:
            yield f"{len(found)} frames of a file without pixels"
        return
    if sorted(found) != list(range(1, len(wanted.frames) + 1)):
        yield f"frames {sorted(found)[:5]}... of {len(wanted.frames)}"
    announced = f"{wanted.media_type};transfer-syntax={wanted.syntax}"
    for number, part in sorted(found.items()):
        if part.content_type.replace(" ", "").replace('"', "") != announced:
            yield f"frame {number} is announced as {part.content_type}, not {announced}"
        if number <= len(wanted.frames) and not wanted.frames[number - 1].is_right(part.payload):
            right = wanted.frames[number - 1].data
            at = next((n for n, (a, b) in enumerate(zip(part.payload, right, strict=False)) if a != b), -1)
            yield f"frame {number}: {len(part.payload)} bytes, not {len(right)}; first difference at {at}"


def pixeldata_uri_faults(model: Any, base: str, tree: Tree, instance: str) -> Iterator[str]:
    """Whether each BulkDataURI resolves; Pixel Data's leads to the instance, where a server composes it."""
    from urllib.parse import urljoin

    for place, uri in uris(model):
        path = urljoin(base, uri)
        if path.endswith("/pixeldata"):
            if not path.endswith(f"/instances/{instance}/pixeldata") or not path.startswith("/studies/"):
                yield f"{place}: {uri} leads to {path}"
            continue
        try:
            tree.fetch(base, uri)
        except Broken as error:
            yield f"{place}: {error}"
