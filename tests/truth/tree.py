"""The product's output as a static host and a strict client see it: paths, gzip, JSON, multipart, URIs."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

PRIVATE = ".staticwado"
_FRAME = re.compile(r"([1-9][0-9]*)(?:\.[a-z0-9]+)?\.mht")
_KEY = re.compile(r"[0-9A-F]{8}")


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it is spelled, because DS and IS must not lose their text."""

    text: str

    @property
    def value(self) -> int | float:
        return int(self.text) if re.fullmatch(r"-?[0-9]+", self.text) else float(self.text)


@dataclass(frozen=True, slots=True)
class Part:
    """The only part of a stored multipart body."""

    content_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the tree, as a second run must leave it."""

    size: int
    sha256: str
    mtime_ns: int


class Broken(Exception):
    """Something in the tree that no client could read."""


def _no_constant(token: str) -> Any:
    raise Broken(f"{token} is no JSON (RFC 8259; J-09)")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Broken(f"a key occurs twice among {[key for key, _ in pairs]}")
    return made


def parse_json(data: bytes) -> Any:
    """JSON as a strict reader takes it; numbers are `Number`."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise Broken("a byte order mark (J-01)")
    return json.loads(
        data.decode("utf-8"),
        parse_constant=_no_constant,
        parse_float=Number,
        parse_int=Number,
        object_pairs_hook=_no_duplicates,
    )


def plain(value: Any) -> Any:
    """`value` with every Number as an int or float."""
    if isinstance(value, Number):
        return value.value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def parse_multipart(data: bytes) -> Part:
    """The single part of a multipart/related body (RFC 2046 5.1). Raises Broken for anything else."""
    line, found, rest = data.partition(b"\r\n")
    if not found or not line.startswith(b"--") or len(line) > 72:
        raise Broken("no opening boundary")
    head, found, rest = rest.partition(b"\r\n\r\n")
    end = b"\r\n" + line + b"--"
    if not found or not (rest.endswith((end, end + b"\r\n"))):
        raise Broken("no closing boundary")
    payload = rest[: rest.rindex(end)]
    if line in payload:
        raise Broken("the boundary occurs in the payload")
    headers = dict(item.split(b":", 1) for item in head.split(b"\r\n"))
    named = {name.strip().lower(): value.strip().decode() for name, value in headers.items()}
    return Part(named.get(b"content-type", ""), payload)


def structure_faults(model: Any, place: str = "") -> Iterator[str]:
    """What PS3.18 annex F forbids of a data set in JSON (CONFORMANCE J-01 to J-06), wherever it is nested."""
    if not isinstance(model, dict):
        yield f"{place}: not an object"
        return
    keys = list(model)
    if keys != sorted(keys):
        yield f"{place}: keys are not in ascending order (J-01)"
    for key, made in model.items():
        here = f"{place}/{key}"
        if not _KEY.fullmatch(key):
            yield f"{here}: not eight upper case hex digits (J-01)"
        elif key.endswith("0000") or key.startswith("0002"):
            yield f"{here}: group length or group 0002 (J-02, MD-03)"
        yield from _object_faults(made, here)


def _object_faults(made: Any, here: str) -> Iterator[str]:
    if not isinstance(made, dict) or not isinstance(made.get("vr"), str) or len(made["vr"]) != 2:
        yield f"{here}: no VR"
        return
    if extra := set(made) - {"vr", "Value", "BulkDataURI", "InlineBinary"}:
        yield f"{here}: {extra} in the object"
    if len(made) > 2:
        yield f"{here}: more than one of Value, BulkDataURI, InlineBinary (J-03)"
    if "Value" not in made:
        return
    values = made["Value"]
    if not isinstance(values, list) or not values or values == [""]:
        yield f"{here}: an empty Value (J-04)"
        return
    if "" in values:
        yield f"{here}: an empty string is null (J-05)"
    if made["vr"] == "SQ":
        for number, item in enumerate(values):
            yield from structure_faults(item, f"{here}[{number}]")
    if made["vr"] == "PN":
        for value in values:
            yield from _name_faults(value, here)


def _name_faults(value: Any, here: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, dict) or not value:
        yield f"{here}: PN is neither an object nor null (J-06)"
        return
    for group, text in value.items():
        if group not in ("Alphabetic", "Ideographic", "Phonetic") or not text or "=" in text:
            yield f"{here}: PN group {group!r} {text!r} (J-06)"


@dataclass(frozen=True, slots=True)
class Tree:
    """An archive by its files alone."""

    root: Path

    def json(self, key: str) -> Any:
        """The document under `key`, which a host sends with Content-Encoding: gzip."""
        try:
            return parse_json(gzip.decompress((self.root / key).read_bytes()))
        except (OSError, ValueError) as error:
            raise Broken(f"{key}: {error}") from error

    def instances(self) -> Iterator[tuple[str, str, str]]:
        """(study, series, instance) of every instance, by its metadata."""
        for path in sorted(self.root.glob("studies/*/series/*/instances/*/metadata.gz")):
            parts = path.relative_to(self.root).parts
            yield parts[1], parts[3], parts[5]

    def metadata(self, study: str, series: str = "", instance: str = "") -> tuple[str, Any]:
        """(path of the metadata's URL, the array) at instance, series or study level."""
        path = f"studies/{study}"
        path += f"/series/{series}" if series else ""
        path += f"/instances/{instance}" if instance else ""
        return f"/{path}/metadata", self.json(f"{path}/metadata.gz")

    def frames(self, study: str, series: str, instance: str) -> dict[int, Part]:
        """The frames of an instance by number."""
        folder = self.root / f"studies/{study}/series/{series}/instances/{instance}/frames"
        found: dict[int, Part] = {}
        for path in folder.iterdir() if folder.is_dir() else ():
            match = _FRAME.fullmatch(path.name)
            if match is None or int(match[1]) in found:
                raise Broken(f"{path.name} is not the name of a frame, or the frame is stored twice")
            found[int(match[1])] = parse_multipart(path.read_bytes())
        return found

    def fetch(self, base: str, uri: str) -> bytes:
        """What a static host sends for `uri` in the metadata whose URL has the path `base` (RFC 3986)."""
        path = unquote(urljoin(base, uri))
        target = self.root / path.lstrip("/")
        if not target.is_file() or self.root not in target.resolve().parents:
            raise Broken(f"{uri} of {base} leads to {path}, which is not a file")
        return target.read_bytes()

    def snapshot(self) -> dict[str, Entry]:
        """Every file outside the private folder."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            key = path.relative_to(self.root).as_posix()
            if path.is_file() and not key.startswith(PRIVATE + "/"):
                data = path.read_bytes()
                entry = Entry(len(data), hashlib.sha256(data).hexdigest(), path.stat().st_mtime_ns)
                found[key] = entry
        return found

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file outside the private folder."""
        return {key: entry.sha256 for key, entry in self.snapshot().items()}


def absolute(model: Any, base: str) -> Any:
    """`model` with every BulkDataURI resolved from `base`, so that levels can be compared."""
    if isinstance(model, list):
        return [absolute(item, base) for item in model]
    if isinstance(model, dict):
        return {
            key: urljoin(base, item) if key == "BulkDataURI" else absolute(item, base)
            for key, item in model.items()
        }
    return model


def uris(model: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, BulkDataURI) of every object that has one."""
    for key, made in model.items():
        if "BulkDataURI" in made:
            yield f"{place}/{key}", made["BulkDataURI"]
        if made.get("vr") == "SQ":
            for number, item in enumerate(made.get("Value", ())):
                yield from uris(item or {}, f"{place}/{key}[{number}]")
