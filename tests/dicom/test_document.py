import base64
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.document import (
    HTML,
    PDF,
    PLAIN,
    XML,
    Category,
    category,
    document,
    document_type,
    offers,
    render_text,
)
from staticwado.errors import NotAcceptable, NotFound
from tests import factories
from tests.dicom.images import Dataset, element, no_bulkdata
from tests.dicom.reports import Page, report, words
from tests.truth.corpus import read_corpus
from tests.truth.frames import media_type_of
from tests.truth.model import model_of
from tests.truth.part10 import read_path

STORAGE = "1.2.840.10008.5.1.4.1.1."
CDA = f"{STORAGE}104.2"


def instance(sop_class: str = "", **more: Any) -> Dataset:
    made = {"00080016": element("UI", sop_class)} if sop_class else {}
    return made | {tag.removeprefix("t"): value for tag, value in more.items()}


def encapsulated(sop_class: str, kind: str, value: bytes, **more: Any) -> Dataset:
    inline = {"vr": "OB", "InlineBinary": base64.b64encode(value).decode()}
    kinds = {"00420012": element("LO", kind)} if kind else {}
    return instance(sop_class, t00420011=inline, **more) | kinds


def image(frames: int | None = None, syntax: str = "1.2.840.10008.1.2.1", **more: Any) -> Dataset:
    made = instance(f"{STORAGE}7.2", t7FE00010={"vr": "OW", "BulkDataURI": "pixeldata"}, **more)
    made["00083002"] = element("UI", syntax)
    return made | ({"00280008": element("IS", frames)} if frames is not None else {})


H264 = "1.2.840.10008.1.2.4.102"


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (image(), Category.SINGLE_FRAME_IMAGE),
        (image(1), Category.SINGLE_FRAME_IMAGE),
        (image(2), Category.MULTI_FRAME_IMAGE),
        (image(2, H264), Category.VIDEO),
        (image(None, H264), Category.VIDEO),
        (instance(t00287FE0=element("UR", "http://x")), Category.SINGLE_FRAME_IMAGE),
        (instance(f"{STORAGE}30", t7FE00009={"vr": "OD", "BulkDataURI": "x"}), Category.SINGLE_FRAME_IMAGE),
        (report(), Category.TEXT),
        (instance(f"{STORAGE}88.59"), Category.TEXT),
        (instance(f"{STORAGE}104.3"), Category.TEXT),
        (instance("1.2.3.4", t00420011={"vr": "OB"}), Category.TEXT),
        (instance(f"{STORAGE}9.1.1"), Category.OTHER),
        (instance(f"{STORAGE}481.3"), Category.OTHER),
        (instance(f"{STORAGE}66"), Category.OTHER),
        ({}, Category.OTHER),
    ],
)
def test_a_resource_has_the_category_of_the_standard(dataset: Dataset, expected: Category) -> None:
    assert category(dataset) is expected


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (image(), ("image/jpeg", "image/gif", "image/png")),
        (image(3), ("image/gif",)),
        (image(3, H264), ("video/mp4",)),
        (report(), (HTML, PLAIN, XML)),
        (encapsulated(CDA, "text/XML", b"<a/>"), (HTML, PLAIN, XML)),
        (encapsulated(CDA, "", b"<a/>"), (HTML, PLAIN, XML)),
        (encapsulated(f"{STORAGE}104.1", "application/pdf; x=1", b"%PDF"), (PDF,)),
        (encapsulated("1.2.3", "application/pdf", b"%PDF"), (PDF,)),
    ],
)
def test_an_instance_offers_what_its_category_asks_for(dataset: Dataset, expected: tuple[str, ...]) -> None:
    assert offers(dataset) == expected


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (instance(f"{STORAGE}9.1.1"), "12-lead ECG Waveform holds neither image nor text"),
        (instance(f"{STORAGE}481.3"), "RT Structure Set holds neither"),
        (instance(f"{STORAGE}66"), "Raw Data holds neither"),
        (instance("1.2.3.4"), "1.2.3.4 holds neither"),
        ({}, "instance holds neither"),
        (instance(t00287FE0=element("UR", "http://x")), "JPIP"),
        (encapsulated(f"{STORAGE}104.3", "model/stl", b"x"), "model/stl cannot be rendered; its bulkdata"),
        (encapsulated("1.2.3", "", b"x"), "type unknown"),
        (instance(f"{STORAGE}104.1"), "holds no Encapsulated Document"),
    ],
)
def test_what_cannot_be_rendered_says_why(dataset: Dataset, reason: str) -> None:
    with pytest.raises(NotAcceptable, match=reason):
        offers(dataset)


def rendered(dataset: Dataset, media_type: str) -> bytes:
    return b"".join(render_text(dataset, media_type, bulkdata=no_bulkdata))


def test_only_what_is_on_offer_is_rendered() -> None:
    with pytest.raises(NotAcceptable, match="cannot be rendered as application/pdf"):
        render_text(report(), PDF, bulkdata=no_bulkdata)


def test_a_pdf_is_sent_as_it_is() -> None:
    assert rendered(encapsulated("1.2.3", PDF, b"%PDF-1.4 x"), PDF) == b"%PDF-1.4 x"


@pytest.mark.parametrize(
    ("value", "length", "expected"),
    [
        (b"abc\0", 3, b"abc"),
        (b"abc\0", 4, b"abc\0"),
        (b"abc\0", None, b"abc"),
        (b"abc\0", 99, b"abc\0"),
        ("<a/>".encode("utf-16"), None, "<a/>".encode("utf-16")),
        ("<a/>".encode("utf-16-le"), None, "<a/>".encode("utf-16-le")),
    ],
)
def test_padding_is_no_part_of_a_document(value: bytes, length: int | None, expected: bytes) -> None:
    dataset = encapsulated(CDA, XML, value)
    if length is not None:
        dataset["00420015"] = element("UL", length)
    assert document(dataset, no_bulkdata) == expected


def test_a_document_comes_from_bulkdata_and_its_errors_pass() -> None:
    dataset = instance(CDA, t00420011={"vr": "OB", "BulkDataURI": "x"})
    assert document(dataset, lambda uri: b"<a/>") == b"<a/>"

    def gone(uri: str) -> bytes:
        raise NotFound(uri)

    with pytest.raises(NotFound):
        render_text(dataset, XML, bulkdata=gone)
    with pytest.raises(NotAcceptable, match="empty"):
        render_text(dataset, XML, bulkdata=lambda uri: b"")


LETTER = """<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="http://x/evil.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Letter &amp; more</title><effectiveTime value="20010213"/>
<recordTarget><patientRole><patient><name><given>Jane</given> <family>Doe</family></name>
<birthTime value="19700101"/></patient></patientRole></recordTarget>
<author><assignedAuthor><assignedPerson><name>Dr. Who</name></assignedPerson></assignedAuthor></author>
<component><structuredBody><component><section><title>Findings</title>
<text>Seen: <content styleCode="Bold">a <sub>small</sub> mass</content><br/>no other
<list><item>one</item><item><paragraph>two</paragraph></item></list>
<table><thead><tr><th>Size</th><th>Unit</th></tr></thead><tbody><tr><td>3</td><td>cm</td></tr></tbody></table>
<script xmlns="http://www.w3.org/1999/xhtml">&lt;b&gt;alert(1)</script></text>
<entry><observation><text>coded alone</text></observation></entry>
<component><section><title>Inner</title><text>deeper</text></section></component>
</section></component></structuredBody></component></ClinicalDocument>"""


def test_a_clinical_document_is_its_titles_and_its_narrative() -> None:
    assert rendered(encapsulated(CDA, XML, LETTER.encode()), PLAIN).decode() == (
        "Date: 2001-02-13\nPatient: Jane Doe\nBirth date: 1970-01-01\nAuthor: Dr. Who\n"
        "\nLetter & more\n\nFindings\n  Seen: a small mass\n  no other\n  one\n  two\n  Size | Unit\n"
        "  3 | cm\n  <b>alert(1)\n\nInner\n  deeper\n"
    )


def test_a_clinical_document_as_html_has_no_markup_of_its_own() -> None:
    page = Page(rendered(encapsulated(CDA, XML, LETTER.encode()), HTML).decode())
    assert Counter(page.tags) >= Counter(h1=1, h2=1, h3=1, p=7, dt=4)
    assert not {"script", "a", "img", "link"} & set(page.tags)
    assert "<b>alert(1)" in page.text
    assert rendered(encapsulated(CDA, XML, LETTER.encode()), XML) == LETTER.encode()


def test_a_body_that_is_no_xml_is_named() -> None:
    text = (
        '<ClinicalDocument><component><nonXMLBody><text mediaType="application/pdf">JVBE</text></nonXMLBody>'
    )
    text += "</component></ClinicalDocument>"
    assert b"no XML but application/pdf" in rendered(encapsulated(CDA, XML, text.encode()), PLAIN)


def test_a_document_without_text_says_so() -> None:
    assert b"no text to show" in rendered(encapsulated(CDA, XML, b"<ClinicalDocument/>"), HTML)


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a><title>&c;</title></a>'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (BOMB, "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        ("<a><b></a>", "no sound XML"),
        ("plain", "no sound XML"),
        ('<?xml version="1.0" encoding="x-none"?><a/>', "no sound XML"),
    ],
)
@pytest.mark.parametrize("media_type", [HTML, PLAIN])
def test_a_document_that_cannot_be_read_safely_is_had_as_xml_alone(
    value: str, reason: str, media_type: str
) -> None:
    dataset = encapsulated(CDA, XML, value.encode())
    with pytest.raises(NotAcceptable, match=reason):
        render_text(dataset, media_type, bulkdata=no_bulkdata)
    assert rendered(dataset, XML) == value.encode()


def test_nesting_of_any_depth_is_read() -> None:
    text = (
        "<ClinicalDocument>"
        + "<section><title>x</title>" * 5000
        + "</section>" * 5000
        + "</ClinicalDocument>"
    )
    page = Page(rendered(encapsulated(CDA, XML, text.encode()), HTML).decode())
    assert page.tags.count("h6") == 4996


NAMES = st.sampled_from(
    "ClinicalDocument section title text paragraph table tr td nonXMLBody content name".split()
)


@st.composite
def xml(draw: st.DrawFn, depth: int = 4) -> str:
    name = draw(NAMES)
    inner = draw(st.lists(xml(depth - 1) | st.sampled_from(["a ", "&lt;", " "]), max_size=3)) if depth else []
    return f"<{name}>{''.join(inner)}</{name}>"


@given(xml())
def test_any_xml_has_a_page_that_is_well_formed(text: str) -> None:
    Page(rendered(encapsulated(CDA, XML, text.encode()), HTML).decode())


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_shown_or_refused(data: bytes) -> None:
    try:
        found = render_text(encapsulated(CDA, XML, data), HTML, bulkdata=no_bulkdata)
    except NotAcceptable:
        return
    assert b"".join(found).endswith(b"</html>\n")


# -- the corpus, and a key object selection judged by DCMTK --------------------------------------------------


def test_every_real_file_has_a_category_and_an_offer_or_a_reason(testdata: Path) -> None:
    found: Counter[Category] = Counter()
    reasons = {}
    for path in read_corpus(testdata).valid:
        source = read_path(path)
        model = model_of(source) | {"00083002": element("UI", media_type_of(source.syntax)[1])}
        kind = category(model)
        found[kind] += 1
        try:
            types = offers(model)
        except NotAcceptable as error:
            reasons[path.name] = kind, str(error)
            continue
        assert kind is not Category.OTHER, path.name
        if kind is Category.TEXT:
            for media_type in types:
                assert rendered(model, media_type), path.name
    assert all(found[kind] for kind in Category)
    of_images_and_text = {name: why for name, (kind, why) in reasons.items() if kind is not Category.OTHER}
    assert list(of_images_and_text) == ["encapsulated_stl.dcm"]


def coded_name(value: str, meaning: str) -> factories.Element:
    parts = [("CodeValue", value), ("CodingSchemeDesignator", "DCM"), ("CodeMeaning", meaning)]
    return factories.sequence("ConceptNameCodeSequence", [factories.element(*part) for part in parts])


def picture(number: int) -> list[factories.Element]:
    referenced = [
        ("ReferencedSOPClassUID", f"{STORAGE}2"),
        ("ReferencedSOPInstanceUID", f"1.2.3.{number}"),
    ]
    return [
        factories.element("RelationshipType", "CONTAINS"),
        factories.element("ValueType", "IMAGE"),
        factories.sequence("ReferencedSOPSequence", [factories.element(*part) for part in referenced]),
    ]


def test_a_key_object_selection_lists_its_images_as_dsrdump_does(tmp_path: Path) -> None:
    program = shutil.which("dsrdump")
    if program is None:
        pytest.skip("DCMTK's dsrdump is not installed")

    data = factories.instance(
        SOPClassUID=f"{STORAGE}88.59",
        Modality="KO",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        extra=[
            coded_name("113000", "Of Interest"),
            factories.sequence("ContentSequence", *(picture(number) for number in (5, 3))),
        ],
    )
    path = tmp_path / "ko.dcm"
    path.write_bytes(data)
    done = subprocess.run(
        [program, "-q", "+Pu", "-Ee", "-Er", path], capture_output=True, check=True, timeout=60
    )
    printed = done.stdout.decode()
    text = rendered(model_of(read_path(path)), PLAIN).decode()
    assert text.startswith("Of Interest\n")
    assert "Key Object Selection Document\n" in text
    for instance_uid in ("1.2.3.5", "1.2.3.3"):
        assert f'CT image,"{instance_uid}"' in printed
    assert text.endswith("Of Interest\n  CT Image 1.2.3.5\n  CT Image 1.2.3.3\n")


def test_the_type_of_a_document_is_what_it_says_else_what_its_class_says() -> None:
    assert document_type(encapsulated(CDA, " Text/XML ", b"")) == XML
    assert document_type(instance(f"{STORAGE}104.5")) == "model/mtl"
    assert document_type({}) == ""


def test_a_report_in_a_document_of_text_is_long_enough_to_come_in_pieces() -> None:
    pieces = list(render_text(report(*[words("Text", "x" * 1000)] * 200), PLAIN, bulkdata=no_bulkdata))
    assert len(pieces) > 2
