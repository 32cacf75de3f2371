"""DICOM JSON of Structured Reports, for the tests of their renderings."""

from html.parser import HTMLParser
from typing import Any

from tests.dicom.images import Dataset, element

VOID = {"meta", "br", "hr", "img", "link", "input"}
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


def coded(meaning: str, value: str = "1", scheme: str = "99TEST") -> dict[str, Any]:
    """A code sequence of one item."""
    return element(
        "SQ",
        {
            "00080100": element("SH", value),
            "00080102": element("SH", scheme),
            "00080104": element("LO", meaning),
        },
    )


def content(value_type: str, name: str = "", *children: Dataset, **more: Any) -> Dataset:
    """A content item; `more` are elements by tag with a leading `t`, and `relationship`."""
    made: Dataset = {
        "0040A010": element("CS", more.pop("relationship", "CONTAINS")),
        "0040A040": element("CS", value_type),
    }
    if name:
        made["0040A043"] = coded(name)
    if children:
        made["0040A730"] = element("SQ", *children)
    return made | {tag.removeprefix("t"): value for tag, value in more.items()}


def words(name: str, value: str, *children: Dataset, **more: Any) -> Dataset:
    return content("TEXT", name, *children, t0040A160=element("UT", value), **more)


def report(*children: Dataset, name: str = "Findings", **more: Any) -> Dataset:
    """A document whose root container holds `children`."""
    root = content("CONTAINER", name, *children, t0040A050=element("CS", "SEPARATE"), **more)
    root["00080016"] = element("UI", ENHANCED_SR)
    return root


class Page(HTMLParser):
    """A page of HTML that fails where an element is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.deepest = 0
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)
