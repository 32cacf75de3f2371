"""Clinical Document Architecture (HL7 CDA R2, encapsulated by PS3.3 A.45.2) as plain text and HTML.

One rule: titles and narrative text alone; no style sheet is followed, no entity expanded, no markup kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from staticwado.dicom.content_values import show_datetime
from staticwado.dicom.report import printable
from staticwado.dicom.report_html import PAGE_END, escaped, page_start
from staticwado.errors import NotAcceptable

NAMESPACE = "urn:hl7-org:v3"
_BLOCKS = frozenset({"paragraph", "item", "caption", "tr", "table", "list", "br", "text", "footnote"})
_CELLS = frozenset({"td", "th"})
_LOWEST_HEADING = 6
_PATIENT = ("recordTarget", "patientRole", "patient")
_AUTHOR = ("author", "assignedAuthor", "assignedPerson")
_TIMES: dict[tuple[str, ...], str] = {("effectiveTime",): "Date", (*_PATIENT, "birthTime"): "Birth date"}
_NAMES: dict[tuple[str, ...], str] = {(*_PATIENT, "name"): "Patient", (*_AUTHOR, "name"): "Author"}


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document."""

    text: str
    level: int = 0
    """The level of a heading: 1 for the document's title; 0 for text."""


@dataclass(slots=True)
class _Reader:
    """What expat finds, as blocks."""

    blocks: list[Block] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    """Local names below the root."""
    sections: int = 0
    words: list[str] = field(default_factory=list)
    row: int = 0
    """Cells of the table row so far."""
    narrative: int = 0
    """How many elements deep we are in a section's text; 0 outside."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        self.path.append(local)
        if self.narrative:
            self.narrative += 1
            if local in _BLOCKS:
                self._end_block()
            elif local in _CELLS:
                self.words.append(" | " if self.row else "")
                self.row += 1
        elif local == "section":
            self.sections += 1
        elif local == "text" and self._parent() == "section":
            self.narrative, self.words = 1, []
        elif self._is_title() or tuple(self.path[1:]) in _NAMES:
            self.words = []
        elif words := _TIMES.get(tuple(self.path[1:])):
            self.facts.append((words, show_datetime(attributes.get("value", ""))))
        elif local == "text" and self._parent() == "nonXMLBody":
            kind = attributes.get("mediaType", "of a kind that it does not name")
            self.blocks.append(Block(f"(The body of this document is no XML but {kind}, and is not shown.)"))

    def _parent(self) -> str:
        return self.path[-2] if len(self.path) > 1 else ""

    def _is_title(self) -> bool:
        return self.path[-1] == "title" and (len(self.path) == 2 or self._parent() == "section")

    def end(self, name: str) -> None:
        local = self.path[-1]
        if self.narrative:
            if local in _BLOCKS or self.narrative == 1:
                self._end_block()
            self.narrative -= 1
        elif local == "section":
            self.sections -= 1
        elif self._is_title():
            self._take(1 + self.sections)
        elif words := _NAMES.get(tuple(self.path[1:])):
            self.facts.append((words, " ".join("".join(self.words).split())))
            self.words = []
        self.path.pop()

    def text(self, data: str) -> None:
        self.words.append(data)

    def _end_block(self) -> None:
        self._take(0)
        self.row = 0

    def _take(self, level: int) -> None:
        words = " ".join("".join(self.words).split())
        if words:
            self.blocks.append(Block(words, level))
        self.words = []


@dataclass(frozen=True, slots=True)
class Narrative:
    """What people read of a document."""

    facts: tuple[tuple[str, str], ...]
    """Names and values of the header."""
    blocks: tuple[Block, ...]


def read_narrative(document: bytes) -> Narrative:
    """The titles and the narrative text of a CDA document, in its order.

    Raises NotAcceptable where it is no well-formed XML, or declares a document type or entities.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotAcceptable(
            f"the document can be had as text/xml alone; it is no sound XML: {error}"
        ) from error
    facts = tuple((name, value) for name, value in reader.facts if value)
    return Narrative(facts, tuple(reader.blocks) or (Block("(This document has no text to show.)"),))


def _refuse_doctype(*_: object) -> None:
    raise NotAcceptable(
        "the document can be had as text/xml alone: it declares a document type, which is not read"
    )


def plain_text(found: Narrative) -> Iterator[str]:
    """The document as `text/plain`."""
    for name, value in found.facts:
        yield f"{name}: {printable(value)}\n"
    for block in found.blocks:
        yield f"\n{printable(block.text)}\n" if block.level else f"  {printable(block.text)}\n"


def html(found: Narrative) -> Iterator[str]:
    """The document as `text/html`, without scripts."""
    titles = [block.text for block in found.blocks if block.level == 1]
    yield page_start(titles[0] if titles else "Clinical document")
    if found.facts:
        yield "<dl>\n"
        yield from (f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>\n" for name, value in found.facts)
        yield "</dl>\n"
    for block in found.blocks:
        tag = f"h{min(block.level, _LOWEST_HEADING)}" if block.level else "p"
        yield f"<{tag}>{escaped(block.text)}</{tag}>\n"
    yield PAGE_END
