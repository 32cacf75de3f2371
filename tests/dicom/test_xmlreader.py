"""Reading the Native DICOM Model: what real writers send, what is refused, and why nothing explodes."""

from typing import Any

import pytest

from staticwado.dicom.jsondataset import format_json
from staticwado.dicom.xmlmodel import LONGEST_GAP, NAMESPACE, to_xml
from staticwado.dicom.xmlreader import parse_xml
from staticwado.errors import BadRequest, BrokenDicom


def read(inside: str) -> dict[str, Any]:
    return parse_xml(f"<NativeDicomModel>{inside}</NativeDicomModel>".encode())


def value(vr: str, text: str) -> Any:
    """The JSON value of `<Value>text</Value>`."""
    inside = f'<DicomAttribute tag="00091001" vr="{vr}"><Value number="1">{text}</Value></DicomAttribute>'
    (found,) = read(inside)["00091001"]["Value"]
    return found


def attribute(inside: str, tag: str = "00091001", vr: str = "LO") -> dict[str, Any]:
    found: dict[str, Any] = read(f'<DicomAttribute tag="{tag}" vr="{vr}">{inside}</DicomAttribute>')[tag]
    return found


# -- what real writers send ----------------------------------------------------------------------------------


def test_a_prefix_a_comment_a_processing_instruction_and_white_space_are_no_content() -> None:
    document = f"""<?xml version="1.0"?>
    <!-- by hand --><n:NativeDicomModel xmlns:n="{NAMESPACE}" xml:space="preserve">
      <n:DicomAttribute tag="00100020" vr="LO" keyword="PatientID">
        <n:Value number="1">a<!-- x -->b</n:Value><?x y?>
      </n:DicomAttribute>
    </n:NativeDicomModel>"""
    assert parse_xml(document.encode()) == {"00100020": {"vr": "LO", "Value": ["ab"]}}


def test_a_document_without_namespace_keywords_and_numbers_is_read() -> None:
    inside = "<Value>a</Value><Value>b</Value>"
    assert attribute(inside, "00100020") == {"vr": "LO", "Value": ["a", "b"]}


def test_the_vr_of_the_dictionary_stands_for_one_that_is_missing() -> None:
    assert read('<DicomAttribute tag="00100020"/>') == {"00100020": {"vr": "LO"}}
    with pytest.raises(BrokenDicom, match=r"\(0028,0106\)"):
        read('<DicomAttribute tag="00280106"/>')


def test_tags_come_out_upper_case_and_in_order() -> None:
    inside = '<DicomAttribute tag="00100020" vr="LO"/><DicomAttribute tag="0008103e" vr="LO"/>'
    assert list(read(inside)) == ["0008103E", "00100020"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_other_encodings_are_read(encoding: str) -> None:
    declared = "utf-8" if encoding.startswith("utf-8") else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?><NativeDicomModel>'
    text += '<DicomAttribute tag="00100020" vr="LO"><Value>é</Value></DicomAttribute></NativeDicomModel>'
    assert parse_xml(text.encode(encoding)) == {"00100020": {"vr": "LO", "Value": ["é"]}}


def test_bulkdata_may_have_a_uri_or_a_uuid() -> None:
    assert attribute('<BulkData uri=" a/b "/>', vr="OB") == {"vr": "OB", "BulkDataURI": "a/b"}
    uuid = "313cc5ae-e5b8-01f1-c98e-e902412abc13"
    assert attribute(f'<BulkData uuid="{uuid}"/>', vr="OB") == {"vr": "OB", "BulkDataURI": f"urn:uuid:{uuid}"}


def test_base64_may_be_broken_into_lines() -> None:
    assert attribute("<InlineBinary>\n QU\n JD \n</InlineBinary>", vr="OB") == {
        "vr": "OB",
        "InlineBinary": "QUJD",
    }
    assert attribute("<InlineBinary/>", vr="OB") == {"vr": "OB"}


def test_group_lengths_and_file_meta_information_are_left_out() -> None:
    inside = '<DicomAttribute tag="00020010" vr="UI"/><DicomAttribute tag="00080000" vr="UL"/>'
    assert read(inside) == {}


@pytest.mark.parametrize(
    ("vr", "text", "json"),
    [
        ("LO", " a  ", '" a"'),
        ("LO", "  ", "null"),
        ("DS", " +1.50 ", "1.50"),
        ("DS", "007", "7"),
        ("DS", ".5", "0.5"),
        ("DS", "0.12345678901234567891", '"0.12345678901234567891"'),
        ("DS", "abc", '"abc"'),
        ("IS", "-0", "-0"),
        ("IS", "1.0", '"1.0"'),
        ("US", " 7 ", "7"),
        ("SL", "-7", "-7"),
        ("UV", "18446744073709551615", '"18446744073709551615"'),
        ("FD", "+.5e1", "5.0"),
        ("FD", "1.250", "1.250"),
        ("FL", "NaN", '"NaN"'),
        ("FD", "-INF", '"-INF"'),
        ("AT", "0018abcd", '"0018ABCD"'),
    ],
)
def test_the_text_of_a_value_becomes_what_json_has(vr: str, text: str, json: str) -> None:
    assert format_json(value(vr, text)).decode() == json


# -- private attributes --------------------------------------------------------------------------------------


def _one(tag: str, creator: str | None, text: str) -> str:
    named = f' privateCreator="{creator}"' if creator else ""
    return f'<DicomAttribute tag="{tag}" vr="LO"{named}><Value number="1">{text}</Value></DicomAttribute>'


def _lo(text: str) -> dict[str, Any]:
    return {"vr": "LO", "Value": [text]}


def test_a_private_attribute_goes_to_the_block_of_its_creator_wherever_that_stands() -> None:
    inside = _one("00090042", "ACME", "x") + _one("00090011", None, "ACME") + _one("00090010", None, "OTHER")
    assert read(inside) == {"00090010": _lo("OTHER"), "00090011": _lo("ACME"), "00091142": _lo("x")}


def test_a_creator_that_the_writer_left_out_is_reserved_a_free_block() -> None:
    inside = _one("00090042", "ACME", "x") + _one("00090042", "B", "y") + _one("00090010", None, "OTHER")
    inside += _one("00091133", None, "orphan")
    assert read(inside) == {
        "00090010": _lo("OTHER"),
        "00090012": _lo("ACME"),
        "00090013": _lo("B"),
        "00091133": _lo("orphan"),
        "00091242": _lo("x"),
        "00091342": _lo("y"),
    }


def test_a_whole_tag_stays_where_it_is() -> None:
    inside = _one("00090010", None, "ACME") + _one("00091042", "ACME", "x")
    assert read(inside) == {"00090010": _lo("ACME"), "00091042": _lo("x")}


def test_a_group_without_free_blocks_is_an_error() -> None:
    inside = "".join(_one(f"000900{block:02X}", None, f"C{block}") for block in range(0x10, 0x100))
    with pytest.raises(BrokenDicom, match="no free block"):
        read(inside + _one("00090042", "ACME", "x"))


# -- what is refused -----------------------------------------------------------------------------------------

_BOMB = """<!DOCTYPE n [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<NativeDicomModel><DicomAttribute tag="00100020" vr="LO"><Value number="1">&b;</Value></DicomAttribute>
</NativeDicomModel>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "document",
    [
        _BOMB,
        '<!DOCTYPE n SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        '<!DOCTYPE n [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><NativeDicomModel/>',
        "<!DOCTYPE NativeDicomModel><NativeDicomModel/>",
    ],
)
def test_a_document_type_declaration_is_refused(document: str, encoding: str) -> None:
    with pytest.raises(BadRequest, match="document type"):
        parse_xml(document.encode(encoding))


@pytest.mark.parametrize(
    "document",
    [
        "",
        "x",
        "<NativeDicomModel>",
        "<NativeDicomModel/><x/>",
        "<NativeDicomModel>&a;</NativeDicomModel>",
        "<NativeDicomModel>&#1;</NativeDicomModel>",
        "<x/>",
        "<DicomAttribute/>",
        "<NativeDicomModel xmlns='urn:x'/>",
        "<?xml version='1.0' encoding='nonsense'?><NativeDicomModel/>",
    ],
)
def test_what_is_not_this_model_is_refused(document: str) -> None:
    with pytest.raises(BadRequest):
        parse_xml(document.encode())


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("text", "text where no text belongs"),
        ("<Value/>", "Value"),
        ("<DicomAttribute/>", "tag"),
        ('<DicomAttribute tag="PatientID" vr="LO"/>', "PatientID"),
        ('<DicomAttribute tag="00100020" vr="XX"/>', r"\(0010,0020\).*XX"),
        ('<DicomAttribute tag="00091001"/>', None),
        ('<DicomAttribute tag="00100020" vr="LO" privateCreator="x"/>', "not private"),
        ('<DicomAttribute tag="00100020" vr="LO"/>' * 2, r"\(0010,0020\) stands twice"),
        (
            _one("00090010", None, "A") + _one("00090042", "A", "x") + _one("00091042", None, "y"),
            "stands twice",
        ),
    ],
)
def test_a_broken_data_set_is_refused_with_the_tag(inside: str, says: str | None) -> None:
    if says is None:
        assert read(inside) == {"00091001": {"vr": "UN"}}
        return
    with pytest.raises(BrokenDicom, match=says):
        read(inside)


@pytest.mark.parametrize(
    ("vr", "inside"),
    [
        ("LO", "text"),
        ("LO", "<x/>"),
        ("LO", "<x xmlns='urn:y'/>"),
        ("LO", "<Value><Value/></Value>"),
        ("LO", "<Item/>"),
        ("LO", "<PersonName/>"),
        ("LO", "<Value/><BulkData uri='x'/>"),
        ("LO", "<BulkData/>"),
        ("LO", "<BulkData uuid='/x'/>"),
        ("LO", "<InlineBinary>/w==</InlineBinary>"),
        ("LO", "<Value number='0'/>"),
        ("LO", "<Value number='x'/>"),
        ("LO", "<Value number='2'/><Value number='2'/>"),
        ("LO", f"<Value number='{LONGEST_GAP + 2}'/>"),
        ("LO", "<Value number='999999999'/>"),
        ("LT", "<Value>a</Value><Value>b</Value>"),
        ("LT", "<Value number='2'>a</Value>"),
        ("SQ", "<Value/>"),
        ("SQ", "<BulkData uri='x'/>"),
        ("SQ", "<InlineBinary/>"),
        ("SQ", "<Item number='2'/>"),
        ("PN", "<Value>x</Value>"),
        ("PN", "<PersonName>x</PersonName>"),
        ("PN", "<PersonName><Alphabetic/><Alphabetic/></PersonName>"),
        ("PN", "<PersonName><Alphabetic><FamilyName/><FamilyName/></Alphabetic></PersonName>"),
        ("PN", "<PersonName><FamilyName/></PersonName>"),
        ("OB", "<Value>x</Value>"),
        ("OB", "<InlineBinary>x</InlineBinary>"),
        ("OB", "<InlineBinary>QQ==</InlineBinary><InlineBinary>QQ==</InlineBinary>"),
        ("OB", "<BulkData uri='x'/><BulkData uri='x'/>"),
        ("US", "<InlineBinary>QUE=</InlineBinary>"),
        ("US", "<Value/>"),
        ("US", "<Value>1.5</Value>"),
        ("US", "<Value>" + "9" * 5000 + "</Value>"),
        ("FD", "<Value>1e999</Value>"),
        ("FD", "<Value>x</Value>"),
        ("AT", "<Value>1</Value>"),
    ],
)
def test_a_broken_attribute_is_refused_with_its_tag(vr: str, inside: str) -> None:
    with pytest.raises(BrokenDicom, match=r"\(0009,1001\)"):
        attribute(inside, vr=vr)


def test_a_broken_attribute_in_an_item_is_named() -> None:
    inside = (
        '<DicomAttribute tag="00081140" vr="SQ"><Item><DicomAttribute tag="00280010" vr="US"><Value>x</Value>'
    )
    with pytest.raises(BrokenDicom, match=r"\(0028,0010\)"):
        read(inside + "</DicomAttribute></Item></DicomAttribute>")


@pytest.mark.parametrize(
    "element",
    [
        {"vr": "PN", "Value": [{"Alphabetic": "x"}]},
        {"vr": "SQ", "Value": [{}]},
        {"vr": "US", "Value": [1]},
    ],
)
def test_a_private_creator_that_is_no_text_is_an_element_like_another(element: dict[str, Any]) -> None:
    dataset = {"00090010": element, "00091001": {"vr": "LO", "Value": ["y"]}}
    assert parse_xml(to_xml(dataset)) == dataset
