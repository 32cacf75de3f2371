"""A plain page of studies, for a server without a viewer."""

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from staticwado.catalog.columns import first_value
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.dicomweb.scope import Scope
from staticwado.search.engine import Engine
from staticwado.web.answer import Answer
from staticwado.web.options import ServerOptions
from staticwado.web.viewer_config import MEDIA_TYPES

_MOST_ROWS = 1000


def study_list(options: ServerOptions, engine: Engine, scope: Scope | None = None) -> Answer:
    """A page that lists the studies of `scope` and says how to get the viewer."""
    root = options.public_prefix + options.server_prefix
    query = parse_query(Resource(View.STUDIES), [("limit", str(_MOST_ROWS))])
    found = engine.search(replace(query, scope=scope))
    rows = "\n".join(_row(one.entry, root) for one in found.found)
    more = f"<p>… and {found.remaining} more.</p>" if found.remaining else ""
    count = len(found.found) + found.remaining
    page = _PLAIN.format(rows=rows, more=more, root=html.escape(root), count=count)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Answer(MEDIA_TYPES["html"], page.encode(), vary="", headers=headers, view="viewer")


def _shown(entry: Mapping[str, Any], tag: str) -> str:
    value = first_value(entry, tag)
    if isinstance(value, dict):
        value = value.get("Alphabetic", "")
    return html.escape("" if value is None else str(value))


def _row(entry: Mapping[str, Any], root: str) -> str:
    study = _shown(entry, "0020000D")
    cells = "".join(
        f"<td>{_shown(entry, tag)}</td>"
        for tag in ("00100010", "00100020", "00080020", "00080061", "00081030", "00201208")
    )
    links = " ".join(
        f'<a href="{html.escape(root)}/studies/{study}/{leaf}">{leaf}</a>' for leaf in ("series", "metadata")
    )
    return f"<tr>{cells}<td>{links}</td></tr>"


_PLAIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Studies</title>
<style>body{{font:16px sans-serif;margin:2em}}td,th{{text-align:left;padding:.2em 1em .2em 0}}</style></head>
<body><h1>{count} studies</h1>
<p>The DICOMweb service is at <a href="{root}/studies">{root}/studies</a>. There is no viewer here: give
<code>--viewer FOLDER</code>, a folder that holds OHIF's <code>index.html</code>. <code>npm pack
@ohif/app</code> fetches it; unpack it and name its <code>package/dist</code>.</p>
<table><tr><th>Patient</th><th>ID</th><th>Date</th><th>Modality</th><th>Description</th><th>Instances</th>
<th></th></tr>
{rows}
</table>{more}</body></html>
"""
