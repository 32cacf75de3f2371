"""The product judged from outside on generated files: what real ones do not have, and what must come out.

One run of the command line takes all of them; each test then looks at its own instance in the tree.
"""

import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import factories
from tests.factories import BIG_ENDIAN, EXPLICIT, IMPLICIT, Element, element, instance, pixels, sequence
from tests.truth.command import Done, Row, read_report, run
from tests.truth.corpus import Subject, frame_faults, metadata_faults
from tests.truth.intended import keeps_text
from tests.truth.part10 import dictionary_sequence, read
from tests.truth.tree import Tree, plain

pytestmark = pytest.mark.timeout(300)

Plan = dict[str, Any]
"""The arguments of `factories.instance` that make a file."""

STREAMS = [factories.codestream(size) for size in (94, 54, 11, 204)]
WIDE = [element("ReferencedSOPInstanceUID", "1.2.3"), element("PixelSpacing", "1\\2")]
SMALL: Plan = {"frames": pixels(4, 4)}


def _native() -> Iterator[tuple[str, Plan]]:
    for syntax in factories.NATIVE:
        for bits in (1, 8, 16, 32):
            for rows, columns in ((4, 4), (3, 5)):
                frames = pixels(rows, columns, 3, bits)
                plan = {"syntax": syntax, "frames": frames, "rows": rows, "columns": columns, "bits": bits}
                yield f"native {syntax} {bits} {rows}x{columns}", plan


def _encapsulated() -> Iterator[tuple[str, Plan]]:
    for offsets in ("basic", "empty", "extended", "wrong", "short", "zeros"):
        for fragments in (1, 3):
            plan = {"syntax": factories.JPEG_LOSSLESS, "frames": STREAMS, "offsets": offsets}
            yield f"offsets {offsets} {fragments}", {**plan, "fragments": fragments}
    for syntax in (factories.JPEG_LS, factories.JPEG_2000, factories.HTJ2K, factories.RLE, factories.MPEG4):
        yield f"one {syntax}", {"syntax": syntax, "frames": STREAMS[:1]}
        yield f"one in pieces {syntax}", {"syntax": syntax, "frames": STREAMS[3:], "fragments": 4}
    for syntax in (factories.ENCAPSULATED_UNCOMPRESSED, factories.DEFLATED_FRAMES):
        frames = pixels(3, 5, 2, bits=8)
        yield f"wrapped {syntax}", {"syntax": syntax, "frames": frames, "rows": 3, "columns": 5, "bits": 8}


def _values() -> list[Element]:
    return [
        Element(0x00080000, "UL", 18),
        element("SpecificCharacterSet", "ISO_IR 192"),
        element("ImageType", "ORIGINAL\\\\AXIAL"),
        element("StudyDescription", "  both  \\ sides "),
        element("ReferencedImageSequence", factories.Items(())),
        Element(0x00091007, "LO", "no creator"),
        element("PatientName", "A^B\\\\C^D"),
        element("OtherPatientNames", "=\u5c71\u7530^\u592a\u90ce\\==x\\A^B=\u5c71="),
        element("PatientWeight", "1.250000E+00"),
        element("PatientComments", "  one\\two\r\n "),
        element("SeriesNumber", "1.5"),
        element("InstanceNumber", "007"),
        element("FrameIncrementPointer", [0x00181063, 0x0054ABCD]),
        element("PixelSpacing", "0.10\\\\1.0"),
        element("WindowCenter", "abc"),
        element("WindowWidth", " 40 \\ +4.0"),
        sequence("ContentSequence", [], [element("TextValue", "\u00fc\\x")], [], undefined=True),
        *factories.private(
            0x0011,
            0x10,
            "ACME",
            (0x01, "UV", [2**64 - 1, 2**53 + 1, 3]),
            (0x02, "SV", [-(2**63), 5]),
            (0x03, "FD", [math.nan, math.inf, -math.inf, 0.1]),
            (0x04, "FL", [math.nan, 0.1]),
            (0x05, "AT", 0x7FE00010),
            (0x06, "OB", b"odd"),
            (0x07, "UN", b"\x01\x02"),
            (0x08, "UR", "http://x/a\\b "),
            (0x09, "UC", "a\\b\\"),
            (0x0A, "OW", b"\x01\x02\x03\x04"),
            (0x0B, "US", []),
            (0x0C, "OV", struct.pack("<2Q", 1, 2)),
            (0x0D, "OD", struct.pack("<d", 0.1)),
            (0x0E, "OF", struct.pack("<f", 0.1)),
            (0x0F, "OL", struct.pack("<I", 7)),
        ),
    ]


EXPECTED: dict[str, Any] = {
    "00080000": None,
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
    "00081030": {"vr": "LO", "Value": ["  both", " sides"]},
    "00081140": {"vr": "SQ"},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C^D"}]},
    "00100030": {"vr": "DA"},
    "00101001": {
        "vr": "PN",
        "Value": [
            {"Ideographic": "\u5c71\u7530^\u592a\u90ce"},
            {"Phonetic": "x"},
            {"Alphabetic": "A^B", "Ideographic": "\u5c71"},
        ],
    },
    "00101030": {"vr": "DS", "Value": ["1.250000E+00"]},
    "00104000": {"vr": "LT", "Value": ["  one\\two\r\n"]},
    "00200011": {"vr": "IS", "Value": ["1.5"]},
    "00200013": {"vr": "IS", "Value": ["007"]},
    "00280009": {"vr": "AT", "Value": ["00181063", "0054ABCD"]},
    "00280030": {"vr": "DS", "Value": ["0.10", None, "1.0"]},
    "00281050": {"vr": "DS", "Value": ["abc"]},
    "00281051": {"vr": "DS", "Value": ["40", "+4.0"]},
    "0040A730": {
        "vr": "SQ",
        "Value": [{}, {"0040A160": {"vr": "UT", "Value": ["\u00fc\\x"]}}, {}],
    },
}
"""What the elements of `_values` must become in any transfer syntax (CONFORMANCE J-01 to J-17)."""

EXPECTED_EXPLICIT: dict[str, Any] = {
    "00091007": {"vr": "LO", "Value": ["no creator"]},
    "00110010": {"vr": "LO", "Value": ["ACME"]},
    "00111005": {"vr": "AT", "Value": ["7FE00010"]},
    "00111006": {"vr": "OB", "InlineBinary": "b2RkAA=="},
    "00111007": {"vr": "UN", "InlineBinary": "AQI="},
    "00111008": {"vr": "UR", "Value": ["http://x/a\\b"]},
    "00111009": {"vr": "UC", "Value": ["a", "b", None]},
    "0011100A": {"vr": "OW", "InlineBinary": "AQIDBA=="},
    "0011100B": {"vr": "US"},
    "0011100C": {"vr": "OV", "InlineBinary": "AQAAAAAAAAACAAAAAAAAAA=="},
    "0011100D": {"vr": "OD", "InlineBinary": "mpmZmZmZuT8="},
    "0011100E": {"vr": "OF", "InlineBinary": "zczMPQ=="},
    "0011100F": {"vr": "OL", "InlineBinary": "BwAAAA=="},
}
"""And those whose VR only explicit transfer syntaxes say."""


def _structures() -> Iterator[tuple[str, Plan]]:
    for syntax in factories.NATIVE:
        yield f"values {syntax}", {"syntax": syntax, "extra": _values()}
        yield f"big {syntax}", {"syntax": syntax, "extra": factories.big_values(200_000)}
    for undefined in (True, False):
        for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
            inner = [element("PatientID", "deep")]
            raw = factories.nested(2_000, undefined=undefined, inner=inner, syntax=syntax)
            yield f"deep {undefined} {syntax}", {"syntax": syntax, "raw": raw}
    for outer in (True, False):
        for nested in (True, False):
            made = sequence("ReferencedImageSequence", WIDE, WIDE, undefined=outer, undefined_items=nested)
            yield f"lengths {outer} {nested}", {**SMALL, "extra": [made]}
    unknown = sequence(0x00091010, WIDE, [], undefined=True, undefined_items=True, vr="UN")
    yield "UN sequence", {"extra": [unknown]}
    yield "UN text", {"extra": [Element(0x00104000, "UN", b"text")]}
    signed = [element("PixelRepresentation", 1), Element(0x00280120, "UN", b"\x00\x80")]
    yield "UN signed", {**SMALL, "extra": signed}
    yield "group 0002 goes on", {**SMALL, "extra": [Element(0x00020013, "SH", "LATE")]}
    yield "no group length", {**SMALL, "group_length": False}
    yield "trailing zeros", {**SMALL, "raw": b"\0" * 500}
    padded = Element(factories.PIXEL_DATA, "OW", pixels(4, 4)[0] + b"\0" * 10)
    yield "padded pixels", {**SMALL, "extra": [padded]}
    yield "empty pixels", {**SMALL, "extra": [Element(factories.PIXEL_DATA, "OW")]}
    icon = sequence("IconImageSequence", factories.image(pixels(4, 4, seed="icon")))
    yield "icon", {**SMALL, "extra": [icon]}
    floats = struct.pack("<16f", *(n / 3 for n in range(16)))
    yield "float", {"extra": [*_float(32), element("FloatPixelData", floats)]}
    doubles = struct.pack("<16d", *(n / 3 for n in range(16)))
    yield "double", {"extra": [*_float(64), element("DoubleFloatPixelData", doubles)]}


def _float(bits: int) -> list[Element]:
    return [made for made in factories.image(SMALL["frames"], bits=bits) if made.tag < factories.PIXEL_DATA]


def _bare() -> Iterator[tuple[str, Plan]]:
    for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
        for meta in (True, False):
            yield f"bare {meta} {syntax}", {**SMALL, "syntax": syntax, "preamble": False, "meta": meta}


FILES: dict[str, Plan] = dict([*_native(), *_encapsulated(), *_structures(), *_bare()])
TROUBLED = ("offsets wrong 3", "offsets short 3", "offsets zeros 3")
"""Where only a look into the codestreams tells which fragments are whose."""


@dataclass(frozen=True, slots=True)
class Case:
    """The run and what it made of each file."""

    tree: Tree
    done: Done
    subjects: dict[str, Subject]
    rows: dict[str, Row]


@pytest.fixture(scope="module", autouse=True)
def _deep() -> Iterator[None]:
    """The judge recurses, and some of these files are 2,000 sequences deep."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return _convert(tmp_path_factory.mktemp("generated"), FILES)


@pytest.fixture(scope="module")
def odd_numbers(tmp_path_factory: pytest.TempPathFactory) -> Case:
    plans: dict[str, Plan] = {
        f"{keyword} {text}": {"series": keyword, keyword: text}
        for keyword, texts in ODD_NUMBERS.items()
        for text in texts
    }
    return _convert(tmp_path_factory.mktemp("odd"), plans)


def _convert(place: Path, plans: dict[str, Plan]) -> Case:
    (place / "in").mkdir()
    subjects = {}
    for number, (name, plan) in enumerate(plans.items()):
        path = place / "in" / f"{number:03d}.dcm"
        path.write_bytes(instance(seed=name, **plan))
        whole = instance(seed=name, **{**plan, "preamble": True, "meta": True})
        subjects[name] = Subject(path, read(whole, dictionary_sequence), None)
    done = run("create", place / "in", "--dir", place / "out", "--report", place / "report.json")
    assert not done.has_traceback, done.errors[-3000:]
    assert (place / "report.json").is_file(), done.errors[-3000:]
    rows = {Path(row.source).name: row for row in read_report(place / "report.json")}
    return Case(
        Tree(place / "out"),
        done,
        subjects,
        {name: rows[subject.path.name] for name, subject in subjects.items()},
    )


def test_the_run_takes_them_all(case: Case) -> None:
    refused = {name: row for name, row in case.rows.items() if row.outcome != "new"}
    assert not refused
    assert case.done.code == 0


@pytest.mark.parametrize("name", FILES)
def test_the_metadata_is_the_truth(case: Case, name: str) -> None:
    assert list(metadata_faults(case.tree, case.subjects[name], {})) == []


@pytest.mark.parametrize("name", FILES)
def test_the_frames_are_those_of_the_file(case: Case, name: str) -> None:
    assert list(frame_faults(case.tree, case.subjects[name])) == []


@pytest.mark.parametrize("syntax", factories.NATIVE)
def test_values_are_written_as_annex_f_has_them(case: Case, syntax: str) -> None:
    _, found = case.tree.metadata(*case.subjects[f"values {syntax}"].identity)
    wanted = EXPECTED if syntax == IMPLICIT else {**EXPECTED, **EXPECTED_EXPLICIT}
    different = {
        key: plain(found[0].get(key)) for key in wanted if not _is_written(found[0].get(key), wanted[key])
    }
    assert different == {}


def _is_written(made: Any, wanted: Any) -> bool:
    if made and made["vr"] in ("DS", "IS") and made["vr"] == wanted["vr"]:
        return keeps_text(made, wanted)
    return bool(plain(made) == wanted)


@pytest.mark.parametrize("syntax", factories.NATIVE)
def test_big_values_are_bulkdata(case: Case, syntax: str) -> None:
    _, found = case.tree.metadata(*case.subjects[f"big {syntax}"].identity)
    big = [made for key, made in found[0].items() if key.startswith("000910")]
    assert len(big) == 10
    assert all("InlineBinary" not in made for made in big)


ODD_NUMBERS = {
    "PatientWeight": "e+00 E0 . -. + 1e 1. -0 -.5 00.5 1e999 1e5 1_0 0x1".split(),
    "SeriesNumber": "-0 +7 - 1_0 0x1 99999999999999999999 1.0 1e3".split(),
}


@pytest.mark.parametrize(
    ("keyword", "text"), [(key, text) for key, many in ODD_NUMBERS.items() for text in many]
)
def test_a_number_string_that_is_none_costs_nothing_but_itself(
    odd_numbers: Case, keyword: str, text: str
) -> None:
    name = f"{keyword} {text}"
    assert odd_numbers.rows[name].outcome == "new"
    assert list(metadata_faults(odd_numbers.tree, odd_numbers.subjects[name], {})) == []


def test_a_frame_that_holds_the_boundary_fails_and_says_so(case: Case, tmp_path: Path) -> None:
    """The boundary of stored frames is constant, so a file may be made to hold it."""
    stored = next(case.tree.root.glob("studies/*/series/*/instances/*/frames/1.mht")).read_bytes()
    boundary = stored.partition(b"\r\n")[0]
    frame = b"\r\n" + boundary + b"--\r\n" + bytes(256)
    path = tmp_path / "hostile.dcm"
    path.write_bytes(instance(frames=[frame[:256]], rows=16, columns=16, bits=8))
    done = run("create", path, "--dir", tmp_path / "out", "--report", tmp_path / "report.json")
    assert done.code == 3
    assert [row.outcome for row in read_report(tmp_path / "report.json")] == ["failed"]
    assert list(Tree(tmp_path / "out").instances()) == []
