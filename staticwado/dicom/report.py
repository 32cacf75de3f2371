"""Structured Reports (PS3.3 C.17) as documents that people read: plain text, HTML, XML.

One rule: a rendering leaves out no content item and no value; what has no words of its own is named.

A data set comes as DICOM JSON, best from `jsondataset.parse_json`, which keeps the digits of numbers.

The body of `text/xml` is the Native DICOM Model of the whole data set (PS3.19 A.1, `dicom.xmlmodel`): PS3.18
names the media type (table 8.7.4-1) and no schema, and this one is the standard's own and loses nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from staticwado.dicom.content_items import (
    CONTENT_SEQUENCE,
    MAX_DEPTH,
    VALUE_TYPE,
    ContentItem,
    code,
    evidence,
    opened,
    plain_value,
    walk,
)
from staticwado.dicom.content_tables import Table
from staticwado.dicom.content_values import (
    Link,
    Reading,
    Reference,
    Value,
    observed,
    show_date,
    show_datetime,
    show_name,
    show_time,
    sop_class_name,
    value_of,
)
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, item, text, values

_SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
_INDENT = "  "
_WORDS = {
    "CONTAINS": "",
    "HAS OBS CONTEXT": "observation context",
    "HAS ACQ CONTEXT": "acquisition context",
    "HAS CONCEPT MOD": "modifier",
    "HAS PROPERTIES": "property",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
}
"""How relationships (PS3.3 C.17.3.2.4) are called; the ordinary one needs no word."""


@dataclass(frozen=True, slots=True)
class Line:
    """A content item ready to be written."""

    item: ContentItem
    level: int
    """How far it is indented: its depth, up to MAX_DEPTH."""
    relationship: str
    name: str
    value: Value
    observed: str

    @property
    def is_container(self) -> bool:
        return self.item.value_type == "CONTAINER" and not self.item.target

    @property
    def note(self) -> str:
        """The true depth of what is deeper than it is shown."""
        return f"level {self.item.depth}" if self.item.depth > self.level else ""


def is_report(dataset: Dataset) -> bool:
    """Whether a data set holds the SR Document Content Module (PS3.3 C.17.3): by its class or content."""
    if text(dataset, "00080016").startswith(_SR_CLASSES):
        return True
    return text(dataset, VALUE_TYPE) == "CONTAINER" and CONTENT_SEQUENCE in dataset


def no_links(reference: Reference) -> str | None:
    """A `Link` that links nothing."""
    return None


def no_bulkdata(uri: str) -> bytes:
    """A `Bulkdata` for data sets whose long values are not at hand."""
    return f"(not shown: {uri})".encode()


def title(dataset: Dataset) -> str:
    """The document title (the name of the root, PS3.3 C.17.3.2.2), else the name of the SOP class."""
    named = code(dataset, "0040A043")
    return str(named) if named else sop_class_name(text(dataset, "00080016"))


def header(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Who, what and when, and how far the document can be relied on: names and values that are not empty."""
    for name, value in _facts(dataset):
        if value := value.strip():
            yield name, value


def _facts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    yield "Document", sop_class_name(text(dataset, "00080016"))
    yield "Patient", _first_name(dataset, "00100010")
    yield "Patient ID", plain_value(dataset, "00100020")
    yield "Birth date", show_date(text(dataset, "00100030"))
    yield "Sex", plain_value(dataset, "00100040")
    yield "Study", plain_value(dataset, "00081030")
    yield "Study ID", plain_value(dataset, "00200010")
    yield "Study date", _moment(dataset, "00080020", "00080030")
    yield "Accession number", plain_value(dataset, "00080050")
    yield "Referring physician", _first_name(dataset, "00080090")
    yield "Series", _numbered(plain_value(dataset, "0008103E"), plain_value(dataset, "00200011"))
    yield "Protocol", plain_value(dataset, "00181030")
    device = (plain_value(dataset, tag) for tag in ("00080070", "00081090"))
    yield "Device", " ".join(filter(None, device))
    yield "Content date", _moment(dataset, "00080023", "00080033")
    yield "Preliminary", plain_value(dataset, "0040A496")
    completion = (plain_value(dataset, tag) for tag in ("0040A491", "0040A492"))
    yield "Completion", ", ".join(filter(None, completion))
    yield "Verification", plain_value(dataset, "0040A493")
    for observer in _items(dataset, "0040A073"):
        yield "Verified by", _verifier(observer)
    for author in _items(dataset, "0040A078"):
        yield "Author", _participant(author)
    for participant in _items(dataset, "0040A07A"):
        yield "Participant", _participant(participant)
    for name, tag in (("Predecessor documents", "0040A360"), ("Identical documents", "0040A525")):
        documents = list(_documents(dataset, tag))
        yield name, ", ".join(documents)


def _items(dataset: Dataset, tag: str) -> Iterator[Dataset]:
    for number in range(1, len(values(dataset, tag)) + 1):
        yield item(dataset, tag, number)


def _first_name(dataset: Dataset, tag: str) -> str:
    found = values(dataset, tag)
    return show_name(found[0]) if found else ""


def _moment(dataset: Dataset, date: str, time: str) -> str:
    return f"{show_date(text(dataset, date))} {show_time(text(dataset, time))}"


def _numbered(words: str, number: str) -> str:
    return f"{words} (number {number})" if words and number else words or number


def _verifier(observer: Dataset) -> str:
    """Who verified the document, for whom and when (PS3.3 table C.17-2)."""
    identity = code(observer, "0040A088")
    parts = (
        _first_name(observer, "0040A075"),
        f"{identity} ({identity.identity})" if identity else "",
        plain_value(observer, "0040A027"),
        show_datetime(plain_value(observer, "0040A030")),
    )
    return ", ".join(filter(None, parts))


def _participant(person: Dataset) -> str:
    """A person or device (PS3.3 table C.17-3b)."""
    parts = (
        plain_value(person, "0040A080"),
        _first_name(person, "0040A123"),
        *(plain_value(person, tag) for tag in ("00081010", "00181002", "00080070", "00081090", "00080080")),
        show_datetime(plain_value(person, "0040A082")),
    )
    return ", ".join(filter(None, parts))


def _documents(dataset: Dataset, tag: str) -> Iterator[str]:
    for study in _items(dataset, tag):
        for series in _items(study, "00081115"):
            for instance in _items(series, "00081199"):
                yield text(instance, "00081155")


def lines(dataset: Dataset, *, bulkdata: Bulkdata = no_bulkdata, link: Link = no_links) -> Iterator[Line]:
    """Every content item, in the order of presentation. Raises what `bulkdata` raises."""
    root = opened(dataset)
    reading = Reading(bulkdata, link, evidence(root))
    for found in walk(root):
        name = found.name
        relationship = found.relationship
        yield Line(
            found,
            min(found.depth, MAX_DEPTH),
            _WORDS.get(relationship, relationship.lower()),
            str(name) if name else "",
            value_of(found, reading),
            observed(found.dataset),
        )


def plain_text(dataset: Dataset, *, bulkdata: Bulkdata = no_bulkdata) -> Iterator[str]:
    """The report as `text/plain`: a header, and the content tree indented by its levels.

    Raises what `bulkdata` raises.
    """
    yield f"{title(dataset)}\n\n"
    facts = list(header(dataset))
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        yield f"{name:{width}} : {_continued(value, ' ' * (width + 3))}\n"
    yield "\n"
    for line in lines(dataset, bulkdata=bulkdata):
        yield from _plain_line(line)


def _continued(value: str, indent: str) -> str:
    """Text of several lines, the later ones indented."""
    return printable(value).replace("\n", f"\n{indent}")


def _plain_line(line: Line) -> Iterator[str]:
    indent = _INDENT * line.level
    before = f"[{line.relationship}] " if line.relationship else ""
    note = f"({line.note}) " if line.note else ""
    after = f" {{observed {line.observed}}}" if line.observed else ""
    after += f" (item {line.item.anchor})" if line.item.anchor else ""
    rows: tuple[tuple[str, ...], ...] = ()
    if isinstance(line.value, Table):
        words, rows = "", (line.value.heading, *line.value.rows)
    else:
        words = "".join(run.text for run in line.value)
    name = line.name or ("(section)" if line.is_container else "")
    said = (f"{name}: {words}" if name and words else name or words).rstrip()
    yield f"{indent}{note}{before}{_continued(said, indent + _INDENT)}{after}\n"
    for row in rows:
        yield f"{indent}{_INDENT}{' | '.join(_continued(cell, ' ') for cell in row)}\n"


def printable(value: str) -> str:
    """Text with line feeds for every kind of line end, and without the controls that no document may hold."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value if value.isprintable() else value.translate(_CONTROLS)


_CONTROLS: Mapping[int, Any] = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0xD800, 0xE000),
        *range(0xFDD0, 0xFDF0),
        0xFFFE,
        0xFFFF,
    )
    if code not in (0x09, 0x0A)
}
