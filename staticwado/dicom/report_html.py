"""Structured Reports as HTML 5: nested sections, escaped, without scripts and without anything from outside.

One rule: every text goes through `escaped`, and every URL was made by the caller's `Link`.
"""

from collections.abc import Iterator
from html import escape

from staticwado.dicom.content_tables import Table
from staticwado.dicom.content_values import Link, Run
from staticwado.dicom.jsonvalues import Bulkdata, Dataset, text
from staticwado.dicom.report import Line, header, lines, no_bulkdata, no_links, printable, title

_LOWEST_HEADING = 6
_STYLE = """
body { font-family: sans-serif; line-height: 1.4; margin: 2em auto; max-width: 60em; padding: 0 1em; }
dl { display: grid; gap: 0 1em; grid-template-columns: max-content auto; }
dd { margin: 0; }
section, .item { margin-left: 1em; }
main > section { margin-left: 0; }
.continuous > .item { display: inline; margin-left: 0; }
.name { color: #333; font-weight: bold; }
.value { white-space: pre-wrap; }
.relationship, .observed, .level { color: #666; font-style: italic; }
table { border-collapse: collapse; }
td, th { border: 1px solid #999; padding: 0 0.5em; text-align: left; }
"""


def escaped(value: str) -> str:
    """Text as it may stand in an element or a quoted attribute."""
    return escape(printable(value))


def page_start(name: str) -> str:
    """The document up to its first heading."""
    return (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escaped(name) or 'Document'}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )


PAGE_END = "</body>\n</html>\n"


def html(dataset: Dataset, *, bulkdata: Bulkdata = no_bulkdata, link: Link = no_links) -> Iterator[str]:
    """The report as `text/html`, in pieces. Raises what `bulkdata` raises.

    Containers are sections; one whose Continuity of Content is CONTINUOUS flows as one text (PS3.3 C.18.8).
    Items deeper than `content_items.MAX_DEPTH` are shown at that level, with the level that they have.
    """
    name = title(dataset)
    yield page_start(name)
    yield f"<header>\n<h1>{escaped(name) or 'Document'}</h1>\n"
    yield from _definitions(dataset)
    yield "</header>\n<main>\n"
    ends: list[str] = []
    for line in lines(dataset, bulkdata=bulkdata, link=link):
        while len(ends) > line.level:
            yield ends.pop()
        yield from _opened(line)
        ends.append("</section>\n" if line.is_container else "</div>\n")
    yield from reversed(ends)
    yield f"</main>\n{PAGE_END}"


def _definitions(dataset: Dataset) -> Iterator[str]:
    facts = list(header(dataset))
    if facts:
        yield "<dl>\n"
        for name, value in facts:
            yield f'<dt>{escaped(name)}</dt><dd class="value">{escaped(value)}</dd>\n'
        yield "</dl>\n"


def _opened(line: Line) -> Iterator[str]:
    """A section or item without its end."""
    anchor = f' id="{line.item.anchor}"' if line.item.anchor else ""
    if line.is_container:
        flow = "continuous" if text(line.item.dataset, "0040A050") == "CONTINUOUS" else "separate"
        yield f'<section class="{flow}"{anchor}>\n'
        level = min(line.level + 2, _LOWEST_HEADING)
        if line.name:
            yield f"<h{level}>{_before(line)}{_name(line)}{_after(line)}</h{level}>\n"
        elif marks := _before(line) + _after(line):
            yield f"<p>{marks}</p>\n"
        return
    yield f'<div class="item"{anchor}>{_before(line)}'
    if line.name:
        yield f'<span class="name">{_name(line)}</span>: '
    if isinstance(line.value, Table):
        yield _after(line)
        yield from _table(line.value)
    else:
        yield f'<span class="value">{"".join(map(_run, line.value))}</span>{_after(line)} '


def _before(line: Line) -> str:
    note = f'<span class="level">({line.note})</span> ' if line.note else ""
    words = f'<span class="relationship">{escaped(line.relationship)}</span> ' if line.relationship else ""
    return note + words


def _name(line: Line) -> str:
    name = line.item.name
    code = f' title="{escaped(name.identity)}"' if name is not None and name.value else ""
    return f"<span{code}>{escaped(line.name)}</span>" if code else escaped(line.name)


def _after(line: Line) -> str:
    return f' <span class="observed">observed {escaped(line.observed)}</span>' if line.observed else ""


def _run(run: Run) -> str:
    words = escaped(run.text)
    if run.href:
        return f'<a href="{escaped(run.href)}">{words}</a>'
    if run.code is not None and run.code.value:
        return f'<span title="{escaped(run.code.identity)}">{words}</span>'
    return words


def _table(found: Table) -> Iterator[str]:
    yield "\n<table>\n"
    if any(found.heading):
        cells = "".join(f"<th>{escaped(cell)}</th>" for cell in found.heading)
        yield f"<thead><tr>{cells}</tr></thead>\n"
    yield "<tbody>\n"
    for row in found.rows:
        yield "<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>\n"
    yield "</tbody>\n</table>\n"
