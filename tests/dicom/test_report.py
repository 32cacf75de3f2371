import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.content_items import MAX_DEPTH, evidence, opened, walk
from staticwado.dicom.content_values import Reference, show_date, show_datetime, show_name, show_time
from staticwado.dicom.document import XML, render_text
from staticwado.dicom.jsondataset import parse_json
from staticwado.dicom.report import header, is_report, plain_text, title
from staticwado.dicom.report_html import html
from tests.dicom.images import Dataset, element, no_bulkdata
from tests.dicom.reports import Page, coded, content, report, words
from tests.truth.corpus import read_corpus
from tests.truth.model import model_of
from tests.truth.part10 import Dataset as Source
from tests.truth.part10 import read_path


def body(*children: Dataset, **more: Any) -> list[str]:
    """The lines below the root, as plain text has them."""
    return "".join(plain_text(report(*children), **more)).splitlines()[5:]


def page(*children: Dataset, **more: Any) -> Page:
    return Page("".join(html(report(*children), **more)))


VALUE_TYPES = [
    (words("Comment", "two\r\nlines\n"), ["Comment: two", "lines"]),
    (content("CODE", "Finding", t0040A168=coded("Nodule")), ["Finding: Nodule"]),
    (content("CODE", "Finding", t0040A168=coded("", "N-1")), ["Finding: N-1"]),
    (content("CODE", "Finding"), ["Finding: (no code)"]),
    (content("DATE", "Day", t0040A121=element("DA", "20010213")), ["Day: 2001-02-13"]),
    (content("TIME", "Hour", t0040A122=element("TM", "184746.5")), ["Hour: 18:47:46.5"]),
    (
        content("DATETIME", "At", t0040A120=element("DT", "20010213184746+0100")),
        ["At: 2001-02-13 18:47:46 +0100"],
    ),
    (content("UIDREF", "Frame", t0040A124=element("UI", "1.2.3")), ["Frame: 1.2.3"]),
    (
        content("PNAME", "By", t0040A123=element("PN", {"Alphabetic": "Doe^J^Q^Dr^MD"})),
        ["By: Doe, Dr J Q, MD"],
    ),
    (
        content("SCOORD", "Region", t00700023=element("CS", "CIRCLE"), t00700022=element("FL", 1, 2.5, 3, 4)),
        ["Region: CIRCLE 1/2.5, 3/4"],
    ),
    (
        content(
            "SCOORD3D",
            "Surface",
            t00700023=element("CS", "POINT"),
            t00700022=element("FL", 1, 2, -3.7000000476837),
            t30060024=element("UI", "1.9"),
        ),
        ["Surface: POINT 1/2/-3.70000005 in frame of reference 1.9"],
    ),
    (
        content("TCOORD", "When", t0040A130=element("CS", "SEGMENT"), t0040A132=element("UL", 7, 9)),
        ["When: SEGMENT samples 7, 9"],
    ),
    (
        content("TCOORD", "When", t0040A130=element("CS", "POINT"), t0040A138=element("DS", 2.5)),
        ["When: POINT offsets 2.5 ms"],
    ),
    (
        content("TCOORD", "When", t0040A130=element("CS", "POINT"), t0040A13A=element("DT", "2001")),
        ["When: POINT 2001"],
    ),
    (content("CONTAINER", "Part"), ["Part"]),
    (content("CONTAINER"), ["(section)"]),
    (content("HOLOGRAM", "New"), ["New: (value type HOLOGRAM)"]),
]


@pytest.mark.parametrize(("made", "expected"), VALUE_TYPES, ids=lambda value: str(value)[-20:])
def test_every_value_type_says_its_name_and_value(made: Dataset, expected: list[str]) -> None:
    assert [line.strip() for line in body(made)] == expected
    shown = page(made).text
    for text in expected:
        if not text.startswith("(section"):
            assert all(part in shown for part in text.split(": "))


def measured(value: object, unit: dict[str, Any] | None = None, **more: Any) -> Dataset:
    item = {"0040A30A": element("DS", value)} | ({"004008EA": unit} if unit else {})
    return content("NUM", "Size", t0040A300=element("SQ", item), **more)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (measured(1.7, coded("square centimeter", "cm2", "UCUM")), "Size: 1.7 square centimeter"),
        (measured("10.0", coded("mm", "mm", "UCUM")), "Size: 10.0 mm"),
        (measured(3, coded("no units", "1", "UCUM")), "Size: 3 (no units)"),
        (measured(3), "Size: 3"),
        (content("NUM", "Size", t0040A300={"vr": "SQ"}), "Size: (no value)"),
        (content("NUM", "Size", t0040A301=coded("Not a number")), "Size: Not a number"),
        (measured(3, t0040A301=coded("Value out of range")), "Size: 3 (Value out of range)"),
    ],
)
def test_a_measurement_has_its_unit_and_why_it_is_missing(made: Dataset, expected: str) -> None:
    assert body(made) == [f"  {expected}"]


def test_numbers_keep_their_digits() -> None:
    text = orjson.dumps(report(measured("XXX"))).replace(b'"XXX"', b"10.00")
    assert "Size: 10.00\n" in "".join(plain_text(parse_json(text)))


def references(*items: Dataset) -> dict[str, Any]:
    return element("SQ", *items)


def reference(instance: str, sop_class: str = "1.2.840.10008.5.1.4.1.1.2", **more: Any) -> Dataset:
    made = {"00081150": element("UI", sop_class), "00081155": element("UI", instance)}
    return made | {tag.removeprefix("t"): value for tag, value in more.items()}


EVIDENCE = element(
    "SQ",
    {
        "0020000D": element("UI", "1.1"),
        "00081115": element(
            "SQ", {"0020000E": element("UI", "1.1.2"), "00081199": references(reference("1.2.3"))}
        ),
    },
)


def test_images_are_linked_where_the_caller_knows_a_url() -> None:
    asked = []

    def link(wanted: Reference) -> str | None:
        asked.append(wanted)
        return f"../{wanted.study}?a=1&b" if wanted.study else None

    state = references(reference("1.7", "1.2.840.10008.5.1.4.1.1.11.1"))
    image = reference("1.2.3", t00081160=element("IS", 5, "2"), t00081199=state)
    made = content("IMAGE", "Key", t00081199=references(image, reference("1.8", t0062000B=element("US", 3))))
    document = report(made) | {"0040A375": EVIDENCE}
    shown = Page("".join(html(document, link=link)))
    ct = "1.2.840.10008.5.1.4.1.1.2"
    assert asked[0] == Reference(ct, "1.2.3", "1.1", "1.1.2", (5, 2))
    assert [(one.instance, one.study) for one in asked[1:]] == [("1.7", ""), ("1.8", "")]
    assert shown.links == ["../1.1?a=1&b"]
    expected = (
        "CT Image 1.2.3, frames 5, 2, shown by Grayscale Softcopy Presentation State 1.7; "
        "CT Image 1.8, segment 3"
    )
    assert expected in shown.text
    assert f"Key: {expected}\n" in "".join(plain_text(document))


def test_what_is_no_uid_is_never_linked() -> None:
    made = content("COMPOSITE", "", t00081199=references(reference("../../etc", "javascript:x")))
    shown = page(made, link=lambda wanted: pytest.fail(f"{wanted} was asked for"))
    assert shown.links == []
    assert "javascript:x ../../etc" in shown.text


def test_waveforms_have_their_channels() -> None:
    made = content(
        "WAVEFORM", "ECG", t00081199=references(reference("1.2", t0040A0B0=element("US", 5, 3, 2, 0)))
    )
    assert body(made) == ["  ECG: CT Image 1.2, channels 5/3, 2/0"]


def test_relationships_are_named_and_nesting_is_kept() -> None:
    made = words(
        "Text", "a", words("Why", "b", relationship="INFERRED FROM"), words("Odd", "c", relationship="NEW")
    )
    modifier = content("CODE", "Side", relationship="HAS CONCEPT MOD", t0040A168=coded("Left"))
    assert body(made, modifier) == [
        "  Text: a",
        "    [inferred from] Why: b",
        "    [new] Odd: c",
        "  [modifier] Side: Left",
    ]


def test_references_between_items_lead_to_their_item() -> None:
    by_reference = {"0040A010": element("CS", "SELECTED FROM"), "0040DB73": element("UL", 1, 1)}
    far = {"0040A010": element("CS", "SELECTED FROM"), "0040DB73": element("UL", 1, 9)}
    made = (words("Text", "a"), words("Other", "b", by_reference, far))
    assert body(*made) == [
        "  Text: a (item 1.1)",
        "  Other: b",
        "    [selected from] see item 1.1",
        "    [selected from] see item 1.9",
    ]
    shown = page(*made)
    assert shown.ids == ["1.1"]
    assert shown.links == ["#1.1", "#1.9"]


def test_a_container_that_is_continuous_says_so_and_hides_no_name() -> None:
    made = content("CONTAINER", "Story", words("Seen", "a mass"), t0040A050=element("CS", "CONTINUOUS"))
    text = "".join(html(report(made)))
    assert '<section class="continuous">' in text
    assert '<section class="separate">' in text
    assert "Seen" in text


def test_observation_times_are_shown() -> None:
    made = words("Text", "a", t0040A032=element("DT", "20010213"))
    assert body(made) == ["  Text: a {observed 2001-02-13}"]
    assert "observed 2001-02-13" in page(made).text


def test_long_texts_come_from_bulkdata() -> None:
    made = content("TEXT", "Long", t0040A160={"vr": "UT", "BulkDataURI": "../x.txt"})
    assert body(made, bulkdata={"../x.txt": "groß".encode()}.__getitem__) == ["  Long: groß"]


def cell(row: int | None, column: int | None, **more: Any) -> Dataset:
    made: Dataset = {"0040A804": element("UL", row)} if row is not None else {}
    made |= {"0040A805": element("UL", column)} if column is not None else {}
    return made | {tag.removeprefix("t"): value for tag, value in more.items()}


def tabulated(*cells: Dataset, **more: Any) -> Dataset:
    item = {"0040A808": element("SQ", *cells)} | {tag.removeprefix("t"): value for tag, value in more.items()}
    return content("TABLE", "Doses", t0040A801=element("SQ", item))


def test_a_table_of_columns_has_rows_and_a_heading_with_units() -> None:
    columns = element(
        "SQ",
        {"0040A805": element("UL", 1), "0040A043": coded("Time")},
        {"0040A805": element("UL", 2), "0040A043": coded("Current"), "004008EA": coded("mA")},
    )
    made = tabulated(
        cell(None, 1, t00720063=element("DT", "20200401", "20200402")),
        cell(None, 2, t00720050=element("CS", "FL"), t00720076=element("FL", 100.1, 60.5)),
        t0040A807=columns,
    )
    assert body(made) == [
        "  Doses",
        "     | Time | Current (mA)",
        "     | 20200401 | 100.1",
        "     | 20200402 | 60.5",
    ]
    shown = page(made)
    assert shown.tags.count("tr") == 3
    assert shown.tags.count("td") == 6


def test_a_table_of_cells_may_hold_codes_and_empty_places() -> None:
    made = tabulated(
        cell(1, 1, t00720080=coded("Lung")),
        cell(2, 2, t00720070=element("UT", "clear")),
        cell(1, 2, t00720078=element("UL", 4)),
    )
    assert body(made)[2:] == ["     | Lung | 4", "     |  | clear"]


def test_a_sparse_table_is_listed_and_no_larger_than_its_cells() -> None:
    made = tabulated(
        *(cell(number * 1000, number * 999, t00720078=element("UL", number)) for number in range(1, 200))
    )
    found = body(made)
    assert len(found) == 201
    assert found[1:3] == ["    Row | Column | Value", "    1000 | 999 | 1"]


def test_the_header_says_whose_report_it_is_and_how_far_it_was_verified() -> None:
    observer = {
        "0040A075": element("PN", {"Alphabetic": "Roe^Rita"}),
        "0040A027": element("LO", "Clinic"),
        "0040A030": element("DT", "20010213184746"),
        "0040A088": coded("RR", "17"),
    }
    author = {"0040A123": element("PN", {"Alphabetic": "Doe^John"}), "00080080": element("LO", "Clinic")}
    document = report() | {
        "00100010": element("PN", {"Alphabetic": "A^B", "Ideographic": "山田^太郎"}),
        "00100030": element("DA", "19700101"),
        "0040A491": element("CS", "COMPLETE"),
        "0040A492": element("LO", "done"),
        "0040A493": element("CS", "VERIFIED"),
        "0040A073": element("SQ", observer),
        "0040A078": element("SQ", author),
        "0040A360": EVIDENCE,
    }
    facts = dict(header(document))
    assert facts == {
        "Document": "Enhanced SR",
        "Patient": "A, B = 山田, 太郎",
        "Birth date": "1970-01-01",
        "Completion": "COMPLETE, done",
        "Verification": "VERIFIED",
        "Verified by": "Roe, Rita, RR (17, 99TEST), Clinic, 2001-02-13 18:47:46",
        "Author": "Doe, John, Clinic",
        "Predecessor documents": "1.2.3",
    }
    shown = Page("".join(html(document))).text
    assert all(value in shown for value in facts.values())


def test_a_title_is_the_name_of_the_root_or_of_the_class() -> None:
    assert title(report()) == "Findings"
    assert title(report(name="")) == "Enhanced SR"


def test_nothing_in_a_report_becomes_markup() -> None:
    evil = "<script>alert(1)</script>\"'>&amp;"
    made = words(evil, evil, content("CODE", evil, t0040A168=coded(evil, evil, evil)), relationship=evil)
    document = report(made, name=evil) | {"00100010": element("PN", {"Alphabetic": evil})}
    shown = Page("".join(html(document)))
    assert "script" not in shown.tags
    assert shown.attributes <= {"charset", "class", "title", "href", "id"}
    assert shown.text.count("<script>alert(1)</script>\"'>&amp;") == 9


def test_controls_that_no_document_may_hold_are_replaced() -> None:
    made = words("a\0b", "c\x1b[31m\ud800")
    text = "".join(html(report(made)))
    assert not re.search("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]", text)
    assert text.encode()


@pytest.mark.parametrize("depth", [MAX_DEPTH + 5, 10_000])
def test_a_tree_of_any_depth_is_shown_whole_to_a_bounded_level(depth: int) -> None:
    made = words("Deepest", "leaf")
    for number in range(depth, 0, -1):
        made = content("CONTAINER", f"Level {number}", made)
    document = report(made)
    lines = "".join(plain_text(document)).splitlines()
    assert lines[-1] == f"{'  ' * MAX_DEPTH}(level {depth + 1}) Deepest: leaf"
    assert max(map(len, lines)) < 2 * MAX_DEPTH + 50
    shown = Page("".join(html(document)))
    assert shown.deepest < MAX_DEPTH + 10
    assert f"Level {depth}" in shown.text
    assert b"Deepest" in b"".join(render_text(document, XML, bulkdata=no_bulkdata))


def test_a_tree_that_stayed_text_as_it_was_too_deep_is_shown() -> None:
    depth = 3000
    link = b'{"0040A010":{"vr":"CS","Value":["CONTAINS"]},"0040A040":{"vr":"CS","Value":["CONTAINER"]}'
    text = b'{"vr":"SQ","Value":[' + (link + b',"0040A730":{"vr":"SQ","Value":[') * depth
    text += link + b"}" + b"]}}" * depth + b"]}"
    document = report() | {"0040A730": orjson.Fragment(text)}
    assert sum(1 for _ in walk(opened(document))) == depth + 2
    assert "".join(plain_text(document)).count("(section)") == depth + 1


def test_positions_of_many_deep_items_cost_no_square() -> None:
    target = element("UL", *([1] * 5000))
    made = words("Leaf", "x", {"0040DB73": target})
    for _ in range(5000):
        made = content("CONTAINER", "", made)
    assert all(len(item.anchor) < 200 for item in walk(report(made)))


def test_a_report_is_known_by_its_class_or_its_content() -> None:
    assert is_report({"00080016": element("UI", "1.2.840.10008.5.1.4.1.1.88.59")})
    assert is_report(report() | {"00080016": element("UI", "1.2.3"), "0040A730": {"vr": "SQ"}})
    assert not is_report({"00080016": element("UI", "1.2.840.10008.5.1.4.1.1.2")})


def test_evidence_that_makes_no_sense_is_none() -> None:
    assert evidence({"0040A375": element("SQ", None, {"00081115": element("SQ", None, 3)})}) == {}
    assert evidence({"0040A375": EVIDENCE}) == {"1.2.3": ("1.1", "1.1.2")}


@pytest.mark.parametrize(
    ("show", "value", "expected"),
    [
        (show_date, "20010213", "2001-02-13"),
        (show_date, "2001", "2001"),
        (show_date, "13.2.2001", "13.2.2001"),
        (show_time, "18", "18"),
        (show_time, "1847", "18:47"),
        (show_time, "noon", "noon"),
        (show_datetime, "200102131847-0500", "2001-02-13 18:47 -0500"),
        (show_datetime, "yesterday", "yesterday"),
        (show_name, {"Alphabetic": "Doe"}, "Doe"),
        (show_name, {"Alphabetic": "", "Phonetic": "ド^ウ"}, "ド, ウ"),
        (show_name, "plain", "plain"),
        (show_name, None, ""),
    ],
)
def test_dates_and_names_are_made_readable_or_left_alone(show: Any, value: Any, expected: str) -> None:
    assert show(value) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
TAGS = st.sampled_from(
    "0040A010 0040A040 0040A043 0040A050 0040A160 0040A168 0040A300 0040A30A 00081199 00081150 00081155 "
    "00081160 0040DB73 00700022 00700023 0040A801 0040A808 0040A804 0040A805 00720078 0040A375 00100010 "
    "0040A073".split()
)
TYPES = st.sampled_from("TEXT CODE NUM PNAME IMAGE SCOORD TCOORD TABLE CONTAINER DATE WAVEFORM".split())


@st.composite
def odd_items(draw: st.DrawFn, depth: int = 2) -> Dataset:
    made = {
        tag: draw(st.fixed_dictionaries({"vr": st.just("UT"), "Value": st.lists(JSON, max_size=3)}) | JSON)
        for tag in draw(st.lists(TAGS, max_size=6))
    }
    made["0040A040"] = element("CS", draw(TYPES))
    if depth:
        made["0040A730"] = element("SQ", *draw(st.lists(odd_items(depth - 1), max_size=2)))
    return made


@given(odd_items())
def test_no_content_is_so_odd_that_it_cannot_be_shown(document: Dataset) -> None:
    assert "".join(plain_text(document)).encode()
    Page("".join(html(document, link=lambda wanted: "x")))


# -- the corpus, judged by DCMTK ---------------------------------------------------------------------------

SR = "1.2.840.10008.5.1.4.1.1.88."
_CODE = re.compile(r'\(([^,()"]*),([^,()"]*),"([^"]*)"\)')
_LINE = re.compile(
    r" *<(?:[a-z ]+ )?(?P<type>[A-Z0-9]+):(?P<name>\([^\"]*\"[^\"]*\"\))?=(?P<value>.*?)>(?: \{(?P<at>.*)\})?"
)
_BY_REFERENCE = re.compile(r" *<[a-z ]+ (?P<target>[\d.]+)>")


def squeezed(text: str) -> str:
    """Letters and digits alone: how values are set out is nobody's business here."""
    return "".join(letter for letter in re.sub(r"\\[nrt]", "", text) if letter.isalnum())


def said(line: str) -> list[str]:
    """What a line of dsrdump says, in the order in which we say it."""
    by_reference = _BY_REFERENCE.fullmatch(line)
    if by_reference:
        return [by_reference["target"]]
    found = _LINE.fullmatch(line)
    assert found, line
    kind, value = found["type"], found["value"]
    names = [_CODE.findall(found["name"])[0][2]] if found["name"] else []
    match kind:
        case "CONTAINER":
            values = []
        case "CODE":
            values = [meaning for _, _, meaning in _CODE.findall(value)]
        case "NUM":
            values = [value.split('"')[1], *(meaning for _, _, meaning in _CODE.findall(value))]
        case "PNAME":
            values = sorted(filter(None, value.strip('"').split("^")), key=len)[-1:]
        case "IMAGE" | "COMPOSITE" | "WAVEFORM":
            values = re.findall(r'"([\d.]+)"', value) + re.findall(r'",(\d[\d,/]*)\)$', value)
        case "SCOORD3D":
            values = [re.sub(r'"[^"]*",', "", value), *re.findall(r'"([^"]*)"', value)]
        case "TCOORD":
            values = [value.split(",")[0]]
        case _:
            values = [value]
    return [*names, *values, *([found["at"]] if found["at"] else [])]


def dumped(path: Path) -> list[str]:
    """The content items of a file as dsrdump prints them."""
    program = shutil.which("dsrdump")
    if program is None:
        pytest.skip("DCMTK's dsrdump is not installed")
    options = ["-q", "-Ph", "+Pl", "+Pc", "-Er", "-Ec", "-Ee", "-Ev", "+U8"]
    done = subprocess.run([program, *options, path], capture_output=True, timeout=60, check=False)
    return [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]


def reports(testdata: Path) -> list[tuple[Path, Source]]:
    rows = read_corpus(testdata).rows
    paths = [path for path, row in rows.items() if str(row.get("SOPClassUID", "")).startswith(SR)]
    return [(path, read_path(path)) for path in paths if rows[path]["kind"] != "malformed"]


def test_what_dsrdump_prints_of_real_reports_is_in_the_text_in_the_same_order(testdata: Path) -> None:
    items = 0
    for path, source in reports(testdata):
        model = model_of(source)
        texts = {
            "plain": squeezed("".join(plain_text(model)).split("\n\n", 2)[2]),
            "html": squeezed(Page("".join(html(model)).split("<main>")[1].split("</main>")[0]).text),
        }
        for line in dumped(path):
            items += 1
            for form, text in texts.items():
                for value in map(squeezed, said(line)):
                    assert value in text, f"{path.name}, {form}: {line}"
                    texts[form] = text = text[text.index(value) + len(value) :]
    assert items > 3000


def test_real_reports_have_an_xml_form_that_parses(testdata: Path) -> None:
    for _, source in reports(testdata):
        found = b"".join(render_text(model_of(source), XML, bulkdata=no_bulkdata))
        assert ElementTree.fromstring(found).tag.endswith("NativeDicomModel")
