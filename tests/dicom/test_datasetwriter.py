"""DICOM JSON as a data set and as a Part 10 file: the bytes, what is refused, and what other readers see."""

import base64
import io
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from staticwado.dicom.datasetwriter import Bulkdata, Encapsulated, Stream, write_dataset, write_part10
from staticwado.dicom.elements import Window
from staticwado.dicom.jsondataset import Number, parse_json
from staticwado.dicom.jsonmodel import Bulk, Encoder
from staticwado.dicom.sources import MemorySource
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.errors import BrokenDicom, InvalidUid, Unsupported
from tests.factories import (
    EXPLICIT,
    JPEG_BASELINE,
    LONG_VRS,
    Element,
    Encoding,
    Items,
    element,
    encode_element,
)

DEEP = 20_000
IDENTITY: dict[str, Any] = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018": {"vr": "UI", "Value": ["2.25.1"]},
}


def nothing(uri: str) -> bytes:
    raise AssertionError(f"{uri} was asked for")


def written(dataset: dict[str, Any], bulkdata: Bulkdata = nothing) -> bytes:
    return b"".join(write_dataset(dataset, bulkdata))


def field(vr: str, *values: Any) -> bytes:
    """The value field of a private element."""
    data = written({"00091001": {"vr": vr, "Value": list(values)}})
    assert data[4:6] == vr.encode()
    start = 12 if vr in LONG_VRS else 8
    assert int.from_bytes(data[8 if vr in LONG_VRS else 6 : start], "little") == len(data) - start
    return data[start:]


def reread(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON that the encoder makes of the bytes, and what is behind its URIs."""
    values: dict[str, bytes] = {}

    def keep(bulk: Bulk) -> str:
        uri = f"value/{len(values)}"
        values[uri] = b"".join(data[span.offset : span.end] for span in bulk.spans)
        return uri

    window = Window(MemorySource(data), 0, 8192)
    found = Encoder(keep).encode(window, 0, len(data), TRANSFER_SYNTAXES[EXPLICIT])
    return parse_json(found.to_json()), values


# -- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("CS", ["A", "B"], b"A\\B "),
        ("LO", ["a", None, "c"], b"a\\\\c"),
        ("LO", ["a", None], b"a\\"),
        ("UI", ["1.2.3"], b"1.2.3\0"),
        ("DA", ["not a date"], b"not a date"),
        ("DS", [Number("1.50"), 2, 0.5, "+x"], b"1.50\\2\\0.5\\+x "),
        ("IS", [7, None, "1.0"], b"7\\\\1.0"),
        ("PN", [{"Alphabetic": "A^B", "Phonetic": "c"}, None, {"Ideographic": "D"}], b"A^B==c\\\\=D"),
        ("AT", ["00181063", "fffefffe"], b"\x18\x00\x63\x10\xfe\xff\xfe\xff"),
        ("US", [1, 65535, 2.0], b"\1\0\xff\xff\2\0"),
        ("SL", [-1], b"\xff\xff\xff\xff"),
        ("UV", ["18446744073709551615", 1], b"\xff" * 8 + b"\1" + b"\0" * 7),
        ("FL", [Number("1.5")], struct.pack("<f", 1.5)),
        ("FD", [0.1, "NaN", "-Infinity"], struct.pack("<3d", 0.1, float("nan"), float("-inf"))),
        ("LT", ["a\\b\r\n"], b"a\\b\r\n "),
        ("UR", ["http://x"], b"http://x"),
        ("LO", [], b""),
    ],
)
def test_a_value_is_written_in_its_vr(vr: str, values: list[Any], expected: bytes) -> None:
    assert field(vr, *values) == expected


def test_binary_values_are_padded_with_a_nul() -> None:
    assert written({"00091001": {"vr": "OB", "InlineBinary": "QUJD"}}) == encode_element(
        Element(0x00091001, "OB", b"ABC"), Encoding()
    )


def test_elements_are_sorted_and_items_have_undefined_lengths() -> None:
    inner = {"00100020": {"vr": "LO", "Value": ["x"]}, "00080060": {"vr": "CS"}}
    dataset = {
        "00100010": {"vr": "PN"},
        "00081140": {"vr": "SQ", "Value": [inner, {}, None]},
        "00082112": {"vr": "SQ"},
    }
    items = ((element("Modality", ""), element("PatientID", "x")), (), ())
    made = [
        Element(0x00081140, "SQ", Items(items, undefined=True, undefined_items=True)),
        Element(0x00082112, "SQ", Items(())),
        Element(0x00100010, "PN", b""),
    ]
    assert written(dataset) == b"".join(encode_element(one, Encoding()) for one in made)


def test_group_lengths_are_left_out() -> None:
    assert written({"00080000": {"vr": "UL", "Value": [5]}, "00090000": {"vr": "UL", "Value": [5]}}) == b""


_BAD: dict[str, list[Any]] = {
    "US": [-1, 65536, 1.5, "1", None, True, 10**400, Number("1e999999999")],
    "SS": [-32769, 32768],
    "UL": [-1, 1 << 32],
    "SV": [1 << 63, "9" * 5000, "1.5", "x"],
    "FL": [1e39, "x", "1", None, float("nan"), {}],
    "FD": [Number("1e999"), 10**400, float("inf")],
    "AT": ["0018106", "0018,1063", 5, None, "0018106G"],
    "DS": [True, {}, [], float("inf"), "1\\2"],
    "DA": [20240101, {}, ["x"]],
    "LO": ["a\\b", 5, "\ud800", {}],
    "CS": ["漢", 5],
    "PN": ["Doe", {"Alphabetic": "a=b"}, {"Alphabetic": "a\\b"}, {"x": "y"}, {"Phonetic": 5}],
    "OB": ["QQ==", 1],
}


@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, values in _BAD.items() for value in values])
def test_a_value_that_its_vr_cannot_hold_is_an_error_that_names_the_tag(vr: str, value: Any) -> None:
    with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
        field(vr, value)


@pytest.mark.parametrize(
    "member",
    [
        {"vr": "OB", "InlineBinary": "x"},
        {"vr": "OB", "InlineBinary": "QQ==\n"},
        {"vr": "LO", "InlineBinary": "QUI="},
        {"vr": "LT", "Value": ["a", "b"]},
        {"vr": "SQ", "Value": ["x"]},
        {"vr": "XX"},
        {"Value": ["x"]},
    ],
)
def test_an_attribute_that_no_data_set_has_is_an_error_that_names_the_tag(member: dict[str, Any]) -> None:
    for dataset in ({"00091001": member}, {"00081140": {"vr": "SQ", "Value": [{}, {"00091001": member}]}}):
        with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
            written(dataset)


@pytest.mark.parametrize("tag", ["00020010", "FFFEE000", "FFFEE0DD"])
def test_what_is_no_element_of_a_data_set_is_an_error_that_names_the_tag(tag: str) -> None:
    with pytest.raises(BrokenDicom, match=f"{tag[:4]},{tag[4:]}"):
        written({tag: {"vr": "UI", "Value": ["1.2"]}})


def test_a_value_too_long_for_its_vr_is_written_as_un_and_reads_back() -> None:
    numbers = list(range(20_000))
    dataset = {"30060050": {"vr": "DS", "Value": numbers}}
    data = written(dataset)
    assert data[4:6] == b"UN"
    assert reread(data)[0] == dataset
    short = written({"30060050": {"vr": "DS", "Value": ["1" * 65534]}})
    assert short[4:6] == b"DS"


def test_sequences_of_any_depth_are_written() -> None:
    text = b'{"00081140":{"vr":"SQ","Value":[' * DEEP + b'{"00100020":{"vr":"LO","Value":["\xc3\xa9"]}}'
    data = written(parse_json(text + b"]}}" * DEEP))
    assert data.count("é".encode()) == 1
    assert data.count(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)) == DEEP


# -- character sets ------------------------------------------------------------------------------------------


def _charset(dataset: dict[str, Any]) -> Any:
    return reread(written(dataset))[0].get("00080005")


NAME = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]}}
UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}


def test_text_is_utf_8_and_says_so() -> None:
    assert "Müller".encode() in written(NAME)
    assert _charset(NAME) == UTF_8
    assert _charset(NAME | {"00080005": {"vr": "CS", "Value": ["ISO 2022 IR 6", "ISO 2022 IR 87"]}}) == UTF_8
    assert _charset({"00081140": {"vr": "SQ", "Value": [NAME]}}) == UTF_8


def test_text_that_is_ascii_leaves_the_character_set_as_it_is() -> None:
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Mueller"}]}}
    latin = {"vr": "CS", "Value": ["ISO_IR 100"]}
    assert _charset(name) is None
    assert _charset(name | {"00080005": latin}) == latin


@pytest.mark.parametrize("term", ["ISO_IR 13", "ISO 2022 IR 13"])
def test_a_tilde_does_not_become_an_overline(term: str) -> None:
    dataset = {"00080005": {"vr": "CS", "Value": [term]}, "00100020": {"vr": "LO", "Value": ["a~b"]}}
    assert reread(written(dataset))[0] == dataset | {"00080005": UTF_8}


def test_an_escape_character_does_not_become_an_escape_sequence() -> None:
    dataset = {
        "00080005": {"vr": "CS", "Value": ["ISO 2022 IR 6", "ISO 2022 IR 87"]},
        "00100020": {"vr": "LO", "Value": ["\x1b$B!!"]},
    }
    assert reread(written(dataset))[0] == dataset | {"00080005": UTF_8}


def test_items_with_a_character_set_of_their_own_are_utf_8_too() -> None:
    item = {"00080005": {"vr": "CS", "Value": ["ISO_IR 144"]}, "00100020": {"vr": "LO", "Value": ["Ж"]}}
    found = reread(written({"00081140": {"vr": "SQ", "Value": [item]}}))[0]
    assert found["00081140"]["Value"] == [item | {"00080005": UTF_8}]


def test_bulk_text_is_decoded_as_the_json_declares() -> None:
    dataset = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 144"]},
        "00081140": {
            "vr": "SQ",
            "Value": [
                {
                    "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
                    "00091002": {"vr": "UT", "BulkDataURI": "b"},
                }
            ],
        },
        "00091001": {"vr": "UT", "BulkDataURI": "a"},
    }
    bulk = {"a": "Жа ".encode("iso-8859-5"), "b": "é".encode("latin-1")}
    found = reread(written(dataset, bulk.__getitem__))[0]
    assert found["00091001"] == {"vr": "UT", "Value": ["Жа"]}
    assert found["00081140"]["Value"][0]["00091002"] == {"vr": "UT", "Value": ["é"]}


def test_bulk_text_that_cannot_be_decoded_is_an_error_and_utf_8_is_passed_on_as_it_is() -> None:
    member = {"00091001": {"vr": "UT", "BulkDataURI": "a"}}
    korean = {"00080005": {"vr": "CS", "Value": ["", "ISO 2022 IR 149"]}}
    with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
        written(korean | member, lambda uri: b"\x1b$)C\xff\xff")
    assert written({"00080005": UTF_8} | member, lambda uri: b"a\xffb").endswith(b"a\xffb ")


# -- bulkdata ------------------------------------------------------------------------------------------------


def test_bulkdata_are_streamed_and_padded() -> None:
    asked: list[str] = []

    def chunks() -> Iterator[bytes]:
        asked.append("a chunk")
        yield b"abc"
        yield b"de"

    pieces = write_dataset({"00091001": {"vr": "OB", "BulkDataURI": "../x"}}, lambda uri: Stream(5, chunks()))
    first = next(pieces)
    assert not asked
    assert first == b"\x09\0\x01\x10OB\0\0" + struct.pack("<I", 6)
    assert b"".join(pieces) == b"abcde\0"


@pytest.mark.parametrize("vr", ["FD", "US", "UN", "OW", "SS"])
def test_bulkdata_of_any_vr_that_may_be_bulkdata_keep_their_bytes(vr: str) -> None:
    data = struct.pack("<d", float("nan"))
    assert written({"00091001": {"vr": vr, "BulkDataURI": "x"}}, lambda uri: data).endswith(data)


@pytest.mark.parametrize("length", [4, 6])
def test_bulkdata_of_another_length_than_announced_are_an_error(length: int) -> None:
    with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
        written({"00091001": {"vr": "OB", "BulkDataURI": "x"}}, lambda uri: Stream(length, [b"abc", b"de"]))


def test_bulkdata_that_no_element_can_hold_are_an_error() -> None:
    with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
        written({"00091001": {"vr": "OB", "BulkDataURI": "x"}}, lambda uri: Stream(1 << 32, []))


def test_bulkdata_longer_than_a_short_vr_has_room_for_are_un() -> None:
    data = written({"00091001": {"vr": "US", "BulkDataURI": "x"}}, lambda uri: bytes(70_000))
    assert data[4:6] == b"UN"
    assert len(data) == 70_012


# -- Part 10 -------------------------------------------------------------------------------------------------


def test_a_part_10_file_has_its_file_meta_information() -> None:
    data = b"".join(write_part10(IDENTITY | NAME, nothing))
    found = pydicom.dcmread(io.BytesIO(data))
    meta = found.file_meta
    assert data[:132] == bytes(128) + b"DICM"
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (
        found.SOPClassUID,
        found.SOPInstanceUID,
    )
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.FileMetaInformationGroupLength == data.index(b"\x08\0\x05\0") - 144
    assert found.PatientName == "Müller"


@pytest.mark.parametrize("missing", sorted(IDENTITY))
def test_a_part_10_file_without_identity_is_an_error(missing: str) -> None:
    for value in ([], ["x"], ["1.2", "1.3"], [5]):
        with pytest.raises(InvalidUid, match=missing[4:]):
            write_part10(IDENTITY | {missing: {"vr": "UI", "Value": value}}, nothing)


def test_compressed_frames_are_encapsulated() -> None:
    frames: list[bytes | Stream] = [
        b"\xff\xd8one\xff\xd9",
        b"\xff\xd8three\xff\xd9",
        Stream(4, [b"\xff\xd8", b"\xff\xd9"]),
    ]
    dataset = IDENTITY | {"7FE00010": {"vr": "OW", "BulkDataURI": "pixeldata"}}
    data = b"".join(write_part10(dataset, lambda uri: Encapsulated(frames), JPEG_BASELINE))
    found = pydicom.dcmread(io.BytesIO(data))
    assert found.file_meta.TransferSyntaxUID == JPEG_BASELINE
    assert found["PixelData"].VR == "OB"
    pieces = list(pydicom.encaps.generate_fragments(found.PixelData[8:]))
    assert pieces == [b"\xff\xd8one\xff\xd9\0", b"\xff\xd8three\xff\xd9\0", b"\xff\xd8\xff\xd9"]


@pytest.mark.parametrize(
    ("syntax", "member", "value"),
    [
        (JPEG_BASELINE, {"BulkDataURI": "x"}, b"native"),
        (JPEG_BASELINE, {"InlineBinary": "QUI="}, b""),
        (EXPLICIT, {"BulkDataURI": "x"}, Encapsulated([b"frame"])),
    ],
)
def test_pixel_data_that_do_not_fit_the_transfer_syntax_are_an_error(
    syntax: str, member: Any, value: Any
) -> None:
    dataset = {"7FE00010": {"vr": "OB", **member}}
    with pytest.raises(BrokenDicom, match=r"\(7FE0,0010\)"):
        b"".join(write_dataset(dataset, lambda uri: value, syntax))


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.3"]
)
def test_other_transfer_syntaxes_are_not_written(syntax: str) -> None:
    with pytest.raises(Unsupported, match=syntax):
        write_dataset({}, nothing, syntax)


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK is not installed")
def test_dcmtk_reads_what_was_written(tmp_path: Path) -> None:
    binary = base64.b64encode(bytes(range(16))).decode()
    dataset = IDENTITY | NAME
    dataset |= {
        "00081140": {"vr": "SQ", "Value": [{}, IDENTITY]},
        "00090010": {"vr": "LO", "Value": ["ACME"]},
        "00091001": {"vr": "OV", "InlineBinary": binary},
        "00091002": {"vr": "UC", "Value": ["a", "b"]},
    }
    (tmp_path / "one.dcm").write_bytes(b"".join(write_part10(dataset, nothing)))
    done = subprocess.run(["dcmdump", tmp_path / "one.dcm"], capture_output=True, check=True)
    assert not done.stderr
    for shown in (b"(0009,1001) OV", b"(0009,1002) UC [a\\b]", b"[ISO_IR 192]"):
        assert shown in done.stdout
