"""The skeleton of an instance: its file's hash, and every byte that is neither frame nor bulkdata
(docs/layout.md).

One rule: skeleton, frames and bulkdata together are the file, byte for byte; the skeleton says in which
order.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from staticwado.dicom.encoders import CODECS
from staticwado.dicom.pixels import ImagePixel
from staticwado.dicom.sources import Span
from staticwado.errors import StoreUnavailable

VERSION = 1


@dataclass(slots=True)
class Skeleton:
    """What puts a Part 10 file together again.

    `parts` are, in the order of the file: a number (so many of the raw bytes), `["frames", first, last]`
    (the whole payloads of these frames, from 1), `["frame", n, offset, length]` (a part of one), or
    `["bulkdata", address, length]`.
    """

    sha256: str
    size: int
    parts: list[Any] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    form: dict[str, Any] = field(default_factory=dict)
    """How kept frames differ from the file's bytes: `swap` (bytes a word) and `bits` (of a frame); the file
    has the first `length` bytes of the frames, joined without gaps and swapped. `transcoded` (see
    `Transcoded`) comes before all that: parts, `bits` and `length` then speak of the decoded frames."""
    kept: dict[str, Any] = field(default_factory=dict)
    """`count` and `sha256` of the frames as they are kept, one after the other, where they are not the bytes
    of the file: its hash does not prove every bit of them."""
    written: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what was written beside: `metadata` (the JSON text) and, if there is one, `thumbnail`. What
    another version makes of the same file may differ; what was written may not."""

    def add_raw(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes of the file are `data`."""
        if self.parts and isinstance(self.parts[-1], int):
            self.parts[-1] += len(data)
        else:
            self.parts.append(len(data))
        self.raw += data

    def add_frame(self, number: int) -> None:
        """The next bytes of the file are those of the whole frame `number`."""
        last = self.parts[-1] if self.parts else None
        if isinstance(last, list) and last[0] == "frames" and last[2] == number - 1:
            last[2] = number
        else:
            self.parts.append(["frames", number, number])

    def add_frame_part(self, number: int, part: Span) -> None:
        """The next bytes of the file are a stretch of frame `number`."""
        self.parts.append(["frame", number, part.offset, part.length])

    def add_bulkdata(self, address: str, length: int) -> None:
        """The next bytes of the file are a value kept as bulkdata."""
        self.parts.append(["bulkdata", address, length])

    def to_bytes(self) -> bytes:
        head = {"version": VERSION, "sha256": self.sha256, "size": self.size, "parts": self.parts}
        if self.form:
            head["form"] = self.form
        if self.kept:
            head["kept"] = self.kept
        if self.written:
            head["written"] = self.written
        return orjson.dumps(head) + b"\n" + self.raw


@dataclass(frozen=True, slots=True)
class Transcoded:
    """Frames are kept in `syntax`; `image` is the Image Pixel module of the source, which
    `encoders.native_frame` needs to give its bytes back.
    """

    syntax: str
    image: ImagePixel

    def to_form(self) -> dict[str, Any]:
        """The member `transcoded` of a skeleton's form."""
        values = {name: getattr(self.image, attribute) for name, attribute in _IMAGE_MEMBERS.items()}
        return {"syntax": self.syntax, **values}


_IMAGE_MEMBERS = {
    "rows": "rows",
    "columns": "columns",
    "samples": "samples_per_pixel",
    "photometric": "photometric_interpretation",
    "planar": "planar_configuration",
    "allocated": "bits_allocated",
    "stored": "bits_stored",
    "high": "high_bit",
    "representation": "pixel_representation",
}
_MEMBER_TYPES = [str if name == "photometric" else int for name in _IMAGE_MEMBERS]


def transcoded_of(form: dict[str, Any]) -> Transcoded | None:
    """How the frames of an instance were transcoded, from its skeleton's form; None if they were not.

    Raises StoreUnavailable.
    """
    found = form.get("transcoded")
    if found is None:
        return None
    try:
        values = {attribute: found[name] for name, attribute in _IMAGE_MEMBERS.items()}
        texts = [found["syntax"], values["photometric_interpretation"]]
        if [type(one) for one in (*texts, *values.values())] != [str] * 2 + _MEMBER_TYPES:
            raise TypeError(f"{found!r:.200}")
        if found["syntax"] not in CODECS:
            raise TypeError(f"no frames are transcoded to {found['syntax']:.70}")
        return Transcoded(found["syntax"], ImagePixel(**values))
    except (KeyError, TypeError) as error:
        raise StoreUnavailable(f"a skeleton does not say how its frames were transcoded: {error}") from error


def parse_skeleton(data: bytes) -> Skeleton:
    """The skeleton that `to_bytes` wrote. Raises StoreUnavailable."""
    head, _, raw = data.partition(b"\n")
    try:
        found = orjson.loads(head)
        if found["version"] != VERSION:
            raise StoreUnavailable(f"a skeleton has version {found['version']!r}")
        return Skeleton(
            found["sha256"],
            found["size"],
            found["parts"],
            bytearray(raw),
            found.get("form", {}),
            found.get("kept", {}),
            found.get("written", {}),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreUnavailable(f"a skeleton is damaged: {error}") from error
