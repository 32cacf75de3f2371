"""Every frame of the corpus as the product decodes it, judged by the decoders that the manifest asked.

`python -m tests.verdicts` (`scripts/decoding-table`) writes docs/decoding.md from it; with --check it writes
nothing and says whether that is fresh.
"""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from staticwado.dicom.codecs import Decoded, decode_frame
from staticwado.dicom.pixels import ImagePixel, image_pixel, stored_values
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import StaticWadoError
from tests.truth.corpus import Corpus, read_corpus
from tests.truth.frames import DEFLATED_FRAMES, expected_frames, pixel_node, split_fragments
from tests.truth.model import model_of
from tests.truth.part10 import Dataset, Unreadable, read_path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "decoding.md"

TWELVE_BITS = (
    "12-bit JPEG: the manifest's pydicom used pylibjpeg-libjpeg, which rounds otherwise, by one level at "
    "most (measured); GDCM and DCMTK give what is given here"
)
WIDE_RLE = "RLE of more than eight bits a sample: GDCM mixes up the bytes, DCMTK and pydicom do not"
HALVES = (
    "32-bit cells of big endian OW: GDCM and DCMTK swap the bytes of each 16-bit word and so leave the "
    "halves of a cell the wrong way round; what is given here, and by pydicom, are the numbers of the little "
    "endian twin"
)
DIFFERENCES: dict[tuple[str, str], str] = {
    ("CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm", "pydicom"): TWELVE_BITS,
    ("CT0012.fragmented_no_bot_jpeg_baseline.51.dcm", "pydicom"): TWELVE_BITS,
    ("JPGExtended.dcm", "pydicom"): TWELVE_BITS,
    ("SC_rgb_rle_16bit.dcm", "gdcm"): WIDE_RLE,
    ("SC_rgb_rle_32bit.dcm", "gdcm"): WIDE_RLE,
    ("rtdose_expb.dcm", "gdcm"): HALVES,
    ("rtdose_expb.dcm", "dcmtk"): HALVES,
    ("rtdose_expb_1frame.dcm", "gdcm"): HALVES,
    ("rtdose_expb_1frame.dcm", "dcmtk"): HALVES,
}
"""(file, decoder that the manifest asked) -> why it is not followed."""

TWINS: dict[str, str] = {
    "encapsulated_uncompressed_3f.dcm": "htj2k_lossless_3f.dcm",
    "jxl_lossless_3f.dcm": "htj2k_lossless_3f.dcm",
    "liver_deflate.dcm": "liver_j2k.dcm",
    "liver_nonbyte_aligned_deflate.dcm": "liver_nonbyte_aligned_j2k.dcm",
    "liver_nonbyte_aligned_rle.dcm": "liver_nonbyte_aligned_j2k.dcm",
    "liver_rle.dcm": "liver_j2k.dcm",
    "rtdose_expb.dcm": "rtdose.dcm",
    "rtdose_expb_1frame.dcm": "rtdose_1frame.dcm",
}
"""Files that no decoder of the manifest takes, or not all rightly -> the same pixels in another syntax."""

REFUSED: dict[str, str] = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "its SIZ segment was overwritten on purpose and says "
    "3,722,445,056 columns",
}
UNJUDGED: dict[str, str] = {
    "966.dcm": "Kakadu 5 left a COM segment between the last tile-part and EOC; OpenJPEG, alone or in GDCM "
    "and pydicom, asks for another tile-part and gives up. All six tile-parts are there, so the segment is "
    "left out here",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file; the decoders are those of the manifest, under whose name a digest is kept."""

    path: Path
    syntax: str
    frames: int
    equal: frozenset[str] = frozenset()
    """Decoders all of whose frames are equal."""
    differing: frozenset[str] = frozenset()
    twin: bool = False
    refused: str = ""

    @property
    def name(self) -> str:
        return self.path.name


def coded_frames(dataset: Dataset) -> list[bytes]:
    """The frames as the product is given them: those that are deflated still are."""
    node = pixel_node(dataset)
    if dataset.syntax == DEFLATED_FRAMES and node is not None:
        return split_fragments(dataset, node)
    expected = expected_frames(dataset)
    return [frame.data for frame in expected.frames] if expected else []


def _md5(array: Any) -> str:
    return hashlib.md5(array.tobytes(), usedforsecurity=False).hexdigest()


def _digest(decoder: str, made: Any, decoded: Decoded, frame: bytes, image: ImagePixel) -> str:
    """The MD5 of one frame in the layout that `decoder` gave the manifest.

    GDCM and DCMTK: whole cells, colour by `planar`, native 4:2:2 as it is. pydicom: the values of the stored
    bits, colour by pixel.
    """
    if decoder == "pydicom":
        return _md5(stored_values(decoded.array, decoded.image))
    if made["pi"] == "YBR_FULL_422":
        return hashlib.md5(frame[: image.frame_length], usedforsecurity=False).hexdigest()
    return _md5(decoded.array.transpose(2, 0, 1) if made["planar"] == 1 else decoded.array)


def _packed(frames: list[Decoded]) -> set[str]:
    """The MD5 of all 1-bit frames, eight pixels to a byte; with and without a byte to an even length."""
    bits = np.concatenate([decoded.array.reshape(-1) for decoded in frames])
    data = np.packbits(bits, bitorder="little").tobytes()
    return {
        hashlib.md5(one, usedforsecurity=False).hexdigest() for one in (data, data + b"\0" * (len(data) % 2))
    }


def verdict_of(path: Path, row: Any, digests_of_twin: list[str]) -> Verdict | None:
    """The verdict on one file, or None where it has no pixels. Raises Unreadable where the truth fails."""
    dataset = read_path(path)
    coded = coded_frames(dataset)
    if not coded:
        return None
    syntax = row["TransferSyntaxUID"]
    try:
        image = image_pixel(model_of(dataset))
        frames = [decode_frame(frame, syntax, image) for frame in coded]
    except StaticWadoError as error:
        return Verdict(path, syntax, len(coded), refused=str(error))
    equal: set[str] = set()
    differing: set[str] = set()
    for decoder, made in (row.get("decode") or {}).items():
        if sums := made.get("frame_md5"):
            found = [_digest(decoder, made, *pair, image) for pair in zip(frames, coded, strict=True)]
            (equal if found == sums else differing).add(decoder)
        elif made.get("total_md5"):
            (equal if made["total_md5"] in _packed(frames) else differing).add(decoder)
    twin = [_md5(decoded.array) for decoded in frames] == digests_of_twin
    return Verdict(path, syntax, len(coded), frozenset(equal), frozenset(differing), twin)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Verdicts on the valid files of a corpus and on their variants."""

    verdicts: list[Verdict] = field(default_factory=list)

    def of(self, syntax: str) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.syntax == syntax]


def verdicts_on(corpus: Corpus) -> Verdicts:
    """A verdict on every file that has pixels."""
    digests: dict[str, list[str]] = {}
    for path, row in corpus.rows.items():
        for made in (row.get("decode") or {}).values():
            if sums := made.get("frame_md5"):
                digests.setdefault(path.name, sums)
    found = []
    for path in (*corpus.valid, *corpus.variants):
        try:
            verdict = verdict_of(path, corpus.rows[path], digests.get(TWINS.get(path.name, ""), []))
        except Unreadable:
            continue
        if verdict is not None:
            found.append(verdict)
    return Verdicts(found)


LIBRARIES = {
    "application/octet-stream": "numpy",
    "image/dicom-rle": "imagecodecs (PackBits)",
    "image/jpeg": "imagecodecs (libjpeg-turbo)",
    "image/jls": "imagecodecs (CharLS)",
    "image/jp2": "imagecodecs (OpenJPEG)",
    "image/jpx": "imagecodecs (OpenJPEG)",
    "image/jphc": "pylibjpeg-openjpeg",
    "image/jxl": "imagecodecs (libjxl)",
}


def _library(syntax: str) -> str:
    known = TRANSFER_SYNTAXES[syntax]
    if known.video:
        return "none: passed through"
    return "zlib, numpy" if known.frames_deflated or known.deflated else LIBRARIES[known.media_type]


def _row(names: list[str], verdicts: list[Verdict]) -> str:
    def frames(chosen: list[Verdict]) -> str:
        return f"{sum(verdict.frames for verdict in chosen):,}" if chosen else ""

    whole = [verdict for verdict in verdicts if not verdict.refused]
    cells = [
        *names,
        str(len(verdicts)),
        frames(verdicts),
        *(frames([v for v in whole if len(v.equal) == number]) for number in (3, 2, 1)),
        frames([v for v in whole if not v.equal and v.twin]),
        frames([v for v in whole if not v.equal and not v.twin]),
        frames([v for v in verdicts if v.refused]),
        str(sum(bool(v.differing) for v in verdicts) or ""),
    ]
    return "| " + " | ".join(cells) + " |"


TITLES = (
    "transfer syntax|UID|decoded by|files|frames|equal to three|to two|to one|to a twin|to none|refused"
    "|files in which a decoder differs"
)
BEGIN, END = "<!-- by scripts/decoding-table -->\n", "<!-- end -->\n"


def page(found: Verdicts, text: str) -> str:
    """`text`, which is docs/decoding.md, with what is between its two marks made anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + _measured(found) + END + rest.partition(END)[2]


def _measured(found: Verdicts) -> str:
    order = [uid for uid in TRANSFER_SYNTAXES if found.of(uid)]
    rows = [_row([TRANSFER_SYNTAXES[uid].name, uid, _library(uid)], found.of(uid)) for uid in order]
    rows.append(_row(["all", "", ""], found.verdicts))
    present = {verdict.name for verdict in found.verdicts}
    reasons: dict[str, list[str]] = {}
    for (name, _), why in DIFFERENCES.items():
        names = reasons.setdefault(why, [])
        if name in present and name not in names:
            names.append(name)
    differences = [f"- {why} (`{'`, `'.join(names)}`)." for why, names in reasons.items() if names]
    refused = [f"- `{name}`, refused: {why}." for name, why in REFUSED.items() if name in present]
    refused += [f"- `{name}`, decoded: {why}." for name, why in UNJUDGED.items() if name in present]
    parts = [
        [f"| {TITLES.replace('|', ' | ')} |", "| --- " * (TITLES.count("|") + 1) + "|", *rows],
        ["## What is not equal"],
        differences,
        ["## What no decoder of the manifest takes"],
        refused,
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def main(arguments: list[str]) -> Iterator[str]:
    """What there is to say; nothing where all is well."""
    check = "--check" in arguments
    places = [Path(argument) for argument in arguments if argument != "--check"]
    place = places[0] if places else ROOT.parent / "shared" / "testdata"
    there = PAGE.read_text(encoding="utf-8")
    text = page(verdicts_on(read_corpus(place.resolve())), there)
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    elif text != there:
        yield f"{PAGE.relative_to(ROOT)} is stale: run scripts/decoding-table"


if __name__ == "__main__":
    sys.exit("\n".join(main(sys.argv[1:])) or None)
