"""The three forms of a data set, DICOM JSON, XML and bytes, hold the same."""

import base64
import io
from contextlib import suppress
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config

from staticwado.dicom.datasetwriter import write_dataset, write_part10
from staticwado.dicom.elements import Window
from staticwado.dicom.jsondataset import format_json, parse_json
from staticwado.dicom.jsonmodel import Bulk, Encoder
from staticwado.dicom.sources import MemorySource
from staticwado.dicom.transfer_syntax import TRANSFER_SYNTAXES
from staticwado.dicom.xmlmodel import to_xml
from staticwado.dicom.xmlreader import parse_xml
from staticwado.errors import BadRequest, BrokenDicom, StaticWadoError
from tests.factories import EXPLICIT
from tests.properties.datasets import ANY, datasets, elements

_SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CHARSET = "00080005"


def no_bulkdata(uri: str) -> bytes:
    raise AssertionError(f"{uri} was asked for")


def _refuse_bulk(bulk: Bulk) -> str:
    raise AssertionError(f"{bulk} became bulkdata")


def reread(data: bytes) -> dict[str, Any]:
    """The JSON that the encoder makes of an explicit little endian data set."""
    window = Window(MemorySource(data), 0, 8192)
    found = Encoder(_refuse_bulk).encode(window, 0, len(data), TRANSFER_SYNTAXES[EXPLICIT])
    parsed: dict[str, Any] = parse_json(found.to_json())
    return parsed


@_SLOW
@given(datasets())
def test_json_to_xml_to_json_is_the_identity(dataset: dict[str, Any]) -> None:
    assert format_json(parse_xml(to_xml(dataset))) == format_json(dataset)


@_SLOW
@given(datasets())
def test_json_to_text_to_json_is_the_identity(dataset: dict[str, Any]) -> None:
    text = format_json(dataset)
    assert parse_json(text) == dataset
    assert format_json(parse_json(text)) == text


@_SLOW
@given(datasets())
def test_json_to_bytes_to_json_is_the_identity(dataset: dict[str, Any]) -> None:
    found = reread(b"".join(write_dataset(dataset, no_bulkdata)))
    declared = found.pop(CHARSET, None)
    assert format_json(found) == format_json(dataset)
    assert declared in (None, {"vr": "CS", "Value": ["ISO_IR 192"]})


@pytest.mark.parametrize("vr", [*ANY, "UN"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_vr_survives_xml_and_bytes(vr: str, data: st.DataObject) -> None:
    dataset = {"00090010": {"vr": "LO", "Value": ["ACME"]}, "00091042": data.draw(elements(vr))}
    assert format_json(parse_xml(to_xml(dataset))) == format_json(dataset)
    found = reread(b"".join(write_dataset(dataset, no_bulkdata)))
    found.pop(CHARSET, None)
    assert format_json(found) == format_json(dataset)


def _pydicom_value(element: pydicom.DataElement) -> Any:
    """The values of an element, as JSON has them."""
    value = element.value
    if element.VR in ("OB", "OD", "OF", "OL", "OV", "OW", "UN"):
        return base64.b64encode(value or b"").decode()
    if value is None or (isinstance(value, str | list) and not len(value)) or element.is_empty:
        return []
    values = list(value) if element.VM > 1 else [value]
    if element.VR == "AT":
        return [f"{int(one):08X}" for one in values]
    if element.VR == "PN":
        return [str(one) for one in values]
    if element.VR in ("DS", "IS"):
        return [float(one) if one != "" else None for one in values]
    return [one if one != "" else None for one in values]


def _json_value(member: dict[str, Any]) -> Any:
    vr = member["vr"]
    if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN"):
        return member.get("InlineBinary", "")
    values = member.get("Value", [])
    if vr == "PN":
        groups = ("Alphabetic", "Ideographic", "Phonetic")
        return ["=".join((one or {}).get(name, "") for name in groups).rstrip("=") for one in values]
    if vr in ("UV", "SV"):
        return [int(one) for one in values]
    if vr in ("DS", "IS", "FL", "FD"):
        return [None if one is None else float(one) for one in values]
    return values


def _assert_as_pydicom(found: pydicom.Dataset, dataset: dict[str, Any]) -> None:
    assert [f"{tag:08X}" for tag in sorted(found.keys()) if tag != int(CHARSET, 16)] == list(dataset)
    for name, member in dataset.items():
        element = found[int(name, 16)]
        assert member["vr"] == element.VR, name
        if member["vr"] != "SQ":
            assert _pydicom_value(element) == _json_value(member), name
            continue
        assert len(element.value) == len(member.get("Value", []))
        for inner, item in zip(element.value, member.get("Value", []), strict=True):
            _assert_as_pydicom(inner, item)


@_SLOW
@given(datasets(clean=True))
def test_pydicom_reads_what_was_written(dataset: dict[str, Any]) -> None:
    dataset = dataset | {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
        "00080018": {"vr": "UI", "Value": ["2.25.1"]},
    }
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        data = b"".join(write_part10(dataset, no_bulkdata))
        found = pydicom.dcmread(io.BytesIO(data))
        assert found.file_meta.TransferSyntaxUID == EXPLICIT
        assert found.file_meta.MediaStorageSOPInstanceUID == "2.25.1"
        _assert_as_pydicom(found, dict(sorted(dataset.items())))
    finally:
        config.settings.reading_validation_mode = mode


# -- what is not well-formed ---------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_MEMBERS = st.fixed_dictionaries(
    {"vr": st.sampled_from([*ANY, "UN", "SQ"]) | _JSON},
    optional={"Value": st.lists(_JSON, max_size=3) | _JSON, "InlineBinary": _JSON, "BulkDataURI": _JSON},
)
_ANY_DATASET = st.dictionaries(
    st.sampled_from(["00080005", "00080018", "0009 010", "00090010", "00091001", "00020010", "7FE00010"]),
    _MEMBERS | _JSON,
    max_size=3,
)


@settings(max_examples=120, deadline=None)
@given(_ANY_DATASET)
def test_any_json_is_written_or_refused_with_an_error_of_ours(dataset: dict[str, Any]) -> None:
    for write in (to_xml, lambda one: b"".join(write_dataset(one, lambda uri: b"bytes"))):
        with suppress(StaticWadoError):
            assert isinstance(write(dataset), bytes)


_NAMES = "DicomAttribute Value Item PersonName Alphabetic FamilyName BulkData InlineBinary NativeDicomModel x"


@st.composite
def _documents(draw: st.DrawFn, depth: int = 4) -> str:
    name = draw(st.sampled_from(_NAMES.split()))
    chosen = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "tag": st.sampled_from(["00100010", "00090010", "00090001", "0008", "00081140", "00020010"]),
                "vr": st.sampled_from(["PN", "LO", "SQ", "OB", "US", "XX"]),
                "number": st.sampled_from(["1", "2", "0", "-1", "x", "1000000000"]),
                "privateCreator": st.sampled_from(["ACME", ""]),
                "uri": st.sampled_from(["a", ""]),
            },
        )
    )
    attributes = "".join(f' {key}="{value}"' for key, value in chosen.items())
    inner = draw(st.lists(_documents(depth - 1), max_size=3)) if depth else []
    text = draw(st.sampled_from(["", "x", "1", " \n", "&#13;", "QUJD"]))
    return f"<{name}{attributes}>{text}{''.join(inner)}</{name}>"


@settings(max_examples=120, deadline=None)
@given(_documents())
def test_any_xml_is_read_or_refused_with_an_error_of_ours(document: str) -> None:
    for text in (document, f"<NativeDicomModel>{document}</NativeDicomModel>"):
        with suppress(BadRequest, BrokenDicom):
            found = parse_xml(text.encode())
            assert format_json(parse_xml(to_xml(found))) == format_json(found)


@settings(max_examples=120, deadline=None)
@given(datasets(depth=1), st.data())
def test_a_damaged_document_is_read_or_refused_with_an_error_of_ours(
    dataset: dict[str, Any], data: st.DataObject
) -> None:
    document = bytearray(to_xml(dataset))
    for _ in range(data.draw(st.integers(1, 3))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadRequest, BrokenDicom):
        assert isinstance(parse_xml(bytes(document)), dict)
