"""Files written anew in Explicit VR Little Endian hold every element of the file that they were made from."""

import io
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pydicom.datadict
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staticwado.dicom.file_meta import LONGEST_SHORT
from staticwado.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from staticwado.dicom.part10 import Part10, parse
from staticwado.dicom.rewrite import explicit_little_endian, is_sendable, peek_inflated, sent_syntax
from staticwado.dicom.sources import MemorySource
from staticwado.dicom.uid import is_uid
from staticwado.dicom.vr import KNOWN
from staticwado.errors import BrokenDicom
from tests import factories
from tests.factories import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_LOSSLESS,
    PIXEL_DATA,
    Element,
    Encoding,
    Items,
    element,
    sequence,
)
from tests.truth import part10 as truth
from tests.truth.corpus import read_corpus
from tests.truth.model import little

HIDDEN = 0x00091001


def opened(data: bytes) -> Part10:
    return parse(MemorySource(data), peek_inflated)


def rewritten(data: bytes) -> bytes:
    return b"".join(explicit_little_endian(opened(data)))


def body(data: bytes) -> bytes:
    """The data set of a file whose file meta information has a group length."""
    assert data[:132] == bytes(128) + b"DICM"
    assert data[132:140] == struct.pack("<HH2sH", 2, 0, b"UL", 4)
    return data[144 + int.from_bytes(data[140:144], "little") :]


def read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data), force=True)


def explicit(elements: list[Element]) -> bytes:
    return factories.encode(factories.arrange(elements), Encoding.of(EXPLICIT))


ITEM = (
    element("ReferencedSOPClassUID", "1.2.3"),
    element("TextValue", "é"),
    Element(0x00091001, "UN", b"ab"),
)


def elements(*, explicit_vr: bool) -> list[Element]:
    """One of each kind of value; in explicit VR also those whose VR the dictionary does not know."""
    inner = sequence("ContentSequence", ITEM, (), undefined=True, undefined_items=True)
    private = [
        Element(HIDDEN, "FD", [1.5, -2.5]),
        Element(0x00091002, "UN", b"as it is"),
        Element(0x00091003, "UV", [1 << 60, 5]),
        Element(0x00091004, "SL", [-5]),
        Element(0x00091005, "OF", struct.pack("<2f", 1.5, 2.5)),
    ]
    return [
        *factories.identity(),
        element("FrameIncrementPointer", 0x00181063),
        element("ImagePositionPatient", "1\\-2.50\\+3"),
        element("RedPaletteColorLookupTableData", bytes(range(40))),
        element("SmallestImagePixelValue", 513),
        inner,
        element("TextValue", "x" * 70_000),
        Element(0x00090010, "LO", "STATICWADO TEST"),
        *(private if explicit_vr else [Element(HIDDEN, "UN", b"as it is")]),
        Element(0xFFFCFFFC, "OB", bytes(30)),
    ]


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("bits", [1, 8, 16, 32])
def test_the_data_set_is_what_an_explicit_writer_writes(syntax: str, bits: int) -> None:
    frames = factories.pixels(5, 3, 2, bits=bits)
    made = elements(explicit_vr=syntax == BIG_ENDIAN) + factories.image(
        frames, rows=5, columns=3, bits=bits, vr="OW"
    )
    data = factories.instance(
        syntax=syntax,
        extra=elements(explicit_vr=syntax == BIG_ENDIAN),
        frames=frames,
        pixel={"vr": "OW", "rows": 5, "columns": 3, "bits": bits},
    )
    assert body(rewritten(data)) == explicit(made)


def test_a_deflated_data_set_comes_out_as_it_was_deflated() -> None:
    data = factories.with_big_values(syntax=DEFLATED, frames=factories.pixels(9, 9))
    plain = factories.with_big_values(syntax=EXPLICIT, frames=factories.pixels(9, 9))
    assert body(rewritten(data)) == body(plain)


@pytest.mark.parametrize("size", range((1 << 20) - 40, (1 << 20) + 40, 7))
def test_a_deflate_stream_that_ends_where_a_chunk_is_full_is_whole(size: int) -> None:
    made = Element(0x0009_1000, "OB", bytes(size))
    data = factories.instance(syntax=DEFLATED, extra=[made])
    assert body(rewritten(data)) == body(factories.instance(extra=[made]))


def test_a_deflate_stream_that_is_cut_short_or_damaged_is_found() -> None:
    data = factories.with_big_values(syntax=DEFLATED)
    for broken in (data[:-4], data[:-5000] + bytes(4000)):
        with pytest.raises(BrokenDicom, match="deflate"):
            rewritten(broken)


def test_group_lengths_are_left_out_at_every_level() -> None:
    item = (Element(0x00080000, "UL", 4), element("ReferencedSOPClassUID", "1.2.3"))
    data = factories.instance(
        syntax=IMPLICIT,
        extra=[Element(0x00100000, "UL", 70), element("ReferencedImageSequence", Items((item,)))],
    )
    found = read(rewritten(data))
    assert (0x0010, 0) not in found
    assert [one.tag for one in found.ReferencedImageSequence[0]] == [0x00081150]


@pytest.mark.parametrize(
    ("size", "vr"), [(LONGEST_SHORT, "LT"), (LONGEST_SHORT + 2, "UN"), (LONGEST_SHORT + 4, "UN")]
)
def test_a_value_too_long_for_its_vr_becomes_un(size: int, vr: str) -> None:
    value = b"ab" * (size // 2)
    data = factories.instance(syntax=IMPLICIT, extra=[Element(0x00104000, "LT", value)])
    found = truth.read(rewritten(data)).nodes[0x00104000]
    assert (found.vr, found.raw) == (vr, value)


@pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS")])
def test_us_or_ss_is_chosen_by_pixel_representation(representation: int, vr: str) -> None:
    data = factories.instance(
        syntax=IMPLICIT,
        frames=factories.pixels(4, 4),
        PixelRepresentation=representation,
        SmallestImagePixelValue=7,
    )
    found = truth.read(rewritten(data)).nodes[0x00280106]
    assert (found.vr, found.raw) == (vr, b"\x07\0")


def test_a_private_sequence_of_unknown_length_keeps_its_items() -> None:
    inner = Items(((Element(0x00091002, "UN", b"ab"),),), undefined=True, undefined_items=True)
    data = factories.instance(
        syntax=IMPLICIT, extra=[Element(0x00090010, "LO", "NOBODY"), Element(HIDDEN, "SQ", inner)]
    )
    found = read(rewritten(data))[HIDDEN]
    assert found.VR == "SQ"
    assert [(one.tag, one.value) for one in found.value[0]] == [(0x00091002, b"ab")]


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_a_deep_sequence_costs_no_stack(syntax: str) -> None:
    raw = factories.nested(3000, syntax=syntax)
    data = factories.instance(syntax=syntax, raw=raw, extra=[])
    assert body(rewritten(data)).endswith(factories.nested(3000, syntax=EXPLICIT))


@pytest.mark.parametrize(
    "raw", [bytes(700), b"garbage", b"\x08\0\5\0", struct.pack("<HHI", 0xFFFE, 0xE000, 9)]
)
def test_garbage_behind_the_pixel_data_is_no_element(raw: bytes) -> None:
    behind = Element(0xFFFCFFFC, "OB", b"\0\0")
    data = factories.instance(syntax=IMPLICIT, frames=factories.pixels(4, 4), extra=[behind], raw=raw)
    whole = factories.instance(syntax=IMPLICIT, frames=factories.pixels(4, 4), extra=[behind])
    assert rewritten(data) == rewritten(whole)


def test_compressed_frames_in_an_implicit_data_set_stay_as_they_are() -> None:
    frames = [factories.codestream(901, number) for number in range(2)]
    right = factories.instance(syntax=JPEG_LOSSLESS, frames=frames, fragments=2)
    icon = sequence("IconImageSequence", tuple(factories.image(frames[:1], syntax=JPEG_LOSSLESS)))
    made = factories.image(frames, syntax=JPEG_LOSSLESS, fragments=2)
    wrong = factories.instance(syntax=IMPLICIT, meta_syntax=JPEG_LOSSLESS, extra=[*made, icon])
    assert is_sendable(opened(right))
    assert not is_sendable(opened(wrong))
    assert sent_syntax(opened(wrong)) == JPEG_LOSSLESS
    found = read(rewritten(wrong))
    assert found.PixelData == read(right).PixelData
    assert found[PIXEL_DATA].VR == "OB"
    assert found.IconImageSequence[0].PixelData == pydicom_encapsulated(frames[:1])


def pydicom_encapsulated(frames: list[bytes]) -> bytes:
    """The items of encapsulated frames, without the delimiter, as pydicom has them."""
    data = factories.instance(syntax=JPEG_LOSSLESS, frames=frames)
    value = read(data).PixelData
    assert isinstance(value, bytes)
    return value


def test_the_file_meta_information_keeps_what_the_file_said() -> None:
    data = factories.instance(syntax=IMPLICIT)
    at = data.index(b"\x02\0\x12\0UI")
    more = factories.encode(
        [
            Element(0x00020016, "AE", "SENDER"),
            Element(0x00020100, "UI", "1.2.3"),
            Element(0x00020102, "OB", b"xyz"),
        ],
        Encoding(),
    )
    found = read(rewritten(data[:at] + more + data[at:]))
    assert found.file_meta.SourceApplicationEntityTitle == "SENDER"
    assert found.file_meta.PrivateInformationCreatorUID == "1.2.3"
    assert found.file_meta.PrivateInformation.startswith(b"xyz")
    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    assert found.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert found.file_meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert found.preamble == bytes(128)


def test_the_implementation_is_named_as_the_standard_wants() -> None:
    assert is_uid(IMPLEMENTATION_CLASS_UID)
    assert 0 < len(IMPLEMENTATION_VERSION_NAME) <= 16


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_file_without_file_meta_information_gets_one(syntax: str) -> None:
    bare = factories.instance(syntax=syntax, preamble=False, meta=False)
    assert not is_sendable(opened(bare))
    found = read(rewritten(bare))
    assert found.file_meta.MediaStorageSOPClassUID == found.SOPClassUID
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    assert body(rewritten(bare)) == body(factories.instance(syntax=EXPLICIT))


@pytest.mark.parametrize(
    ("arguments", "sendable"),
    [
        ({"syntax": EXPLICIT}, True),
        ({"syntax": DEFLATED}, True),
        ({"syntax": JPEG_LOSSLESS}, True),
        ({"syntax": IMPLICIT}, False),
        ({"syntax": BIG_ENDIAN}, False),
        ({"syntax": EXPLICIT, "preamble": False}, False),
        ({"syntax": EXPLICIT, "meta_syntax": None}, False),
        ({"syntax": EXPLICIT, "meta_syntax": IMPLICIT}, False),
        ({"syntax": IMPLICIT, "meta_syntax": EXPLICIT}, False),
    ],
)
def test_only_true_and_whole_files_are_sent_as_they_are(arguments: dict[str, object], sendable: bool) -> None:
    assert is_sendable(opened(factories.instance(**arguments))) == sendable  # type: ignore[arg-type]


_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "OW": 2, "OF": 4, "OL": 4}
_SIZES |= {"OD": 8, "OV": 8, "OB": 2, "UN": 2, "LO": 2, "UT": 2, "DS": 2, "UI": 2, "AT": 4}


@st.composite
def _leaves(draw: st.DrawFn) -> Element:
    vr = draw(st.sampled_from(sorted(_SIZES)))
    data = draw(st.binary(max_size=6)) * _SIZES[vr]
    return Element(0x00091000 | draw(st.integers(0, 127)), vr, data)


def _in_order(found: list[Element]) -> tuple[Element, ...]:
    return tuple(factories.arrange(found))


_data_sets = st.recursive(
    st.lists(_leaves(), max_size=6).map(_in_order),
    lambda items: st.builds(
        lambda leaves, inside, undefined: _in_order(
            [*leaves, element("ContentSequence", Items(tuple(inside), undefined, undefined))]
        ),
        st.lists(_leaves(), max_size=4),
        st.lists(items, max_size=3),
        st.booleans(),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(made=_data_sets, syntax=st.sampled_from([IMPLICIT, BIG_ENDIAN, DEFLATED]))
def test_any_data_set_keeps_its_elements(made: tuple[Element, ...], syntax: str) -> None:
    data = factories.instance(syntax=syntax, extra=made)
    source, found = truth.read(data, truth.dictionary_sequence), truth.read(rewritten(data))
    assert list(differences(source, found, 0)) == []
    assert sum(1 for _ in truth.walk(found)) > 10


def differences(source: truth.Dataset, found: truth.Dataset, bits: int, place: str = "") -> Iterator[str]:
    """Where a data set in explicit VR little endian says other than the one from which it was made."""
    before, after = ([one for one in each.nodes.values() if one.tag & 0xFFFF] for each in (source, found))
    if [one.tag for one in before] != [one.tag for one in after]:
        yield f"{place}: other elements"
        return
    for old, new in zip(before, after, strict=True):
        here = f"{place}/{new.tag:08X}"
        if new.items is not None:
            items = truth.read_unknown_items(old.raw) if old.items is None else old.items
            if len(items) != len(new.items):
                yield f"{here}: {len(new.items)} items, not {len(items)}"
            for number, (one, other) in enumerate(zip(items, new.items, strict=False)):
                yield from differences(one, other, bits, f"{here}.{number}")
        elif new.fragments != old.fragments or new.raw != _little(old, bits if not place else 0):
            yield f"{here}: another value"
        if old.vr not in ("", new.vr):
            yield f"{here}: {new.vr}, not {old.vr}"
        if not old.vr and new.vr != "UN" and new.vr not in _known(new.tag):
            yield f"{here}: {new.vr}, not {_known(new.tag)}"


def _little(node: truth.Node, bits: int) -> bytes:
    if node.tag == PIXEL_DATA and bits in (16, 32, 64):
        return node.raw if node.order == "<" else factories.swap(node.raw, bits // 8)
    return little(node.raw, "US" if node.vr == "AT" else node.vr or "UN", is_little=node.order == "<")


def _known(tag: int) -> str:
    """What the dictionary says of a VR; for private elements, whatever it is."""
    if tag & 0x10000:
        return " ".join(KNOWN)
    return pydicom.datadict.dictionary_VR(tag)


def test_every_real_file_that_must_be_rewritten_keeps_every_element(testdata: Path, tmp_path: Path) -> None:
    corpus = read_corpus(testdata)
    faults: list[str] = []
    places: list[Path] = []
    for path in corpus.valid + corpus.variants:
        data = path.read_bytes()
        part10 = opened(data)
        if is_sendable(part10) and not part10.deflated:
            continue
        made = rewritten(data)
        places.append(tmp_path / f"{len(places)}.dcm")
        places[-1].write_bytes(made)
        assert is_sendable(opened(made)), path
        source = truth.read(data, truth.dictionary_sequence)
        bits = source.number(0x00280100)
        faults += [f"{path}: {fault}" for fault in differences(source, truth.read(made), bits)]
    assert places
    assert not faults
    if shutil.which("dcmdump") is not None:
        done = subprocess.run(["dcmdump", "+E", *places], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr[:2000]
        assert b"E:" not in done.stderr


@pytest.mark.filterwarnings("ignore")  # of pydicom, about values that are wrong in the source
def test_pydicom_reads_the_same_of_every_real_file(testdata: Path) -> None:
    """A second opinion on values and VRs: pydicom has rules of its own for what implicit VR leaves open."""
    corpus = read_corpus(testdata)
    faults: list[str] = []
    for path in corpus.valid + corpus.variants:
        data = path.read_bytes()
        if opened(data).syntax.uid == IMPLICIT:
            source, found = read(data), read(rewritten(data))
            known = [tag for tag in source.keys() if tag.element]  # noqa: SIM118  (iterating converts)
            pairs = [(source[tag], found[tag]) for tag in known]
            faults += [f"{path}: {one!r} is {other!r}" for one, other in pairs if not _equal(one, other)]
    assert not faults


def _equal(one: pydicom.DataElement, other: pydicom.DataElement) -> bool:
    return one.VR == other.VR and (one.value == other.value or repr(one.value) == repr(other.value))


def test_inflating_looks_at_no_more_than_the_head() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = stream.compress(bytes(50 << 20)) + stream.flush()
    assert peek_inflated(MemorySource(data), 0).size <= 1 << 14
    with pytest.raises(BrokenDicom, match="damaged"):
        peek_inflated(MemorySource(b"\xff" * 100), 0)
