"""Search (PS3.18 10.6): queries to answers.

One rule: URLs alone are made absolute, and what is not asked for is left out; the rest is as it was found.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import orjson

from staticwado.archive import Archive, compress
from staticwado.dicomweb.attributes import MODALITIES_IN_STUDY, RETRIEVE_URL
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.media import choose
from staticwado.dicomweb.multipart import envelope_type, join
from staticwado.dicomweb.query import STUDY_INSTANCE_UID, Query, parse_query
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.dicomweb.routes import DICOM_XML
from staticwado.dicomweb.scope import Scope
from staticwado.search.engine import Engine, Found, Page
from staticwado.search.index import Entry
from staticwado.store.local import Stat
from staticwado.web.answer import Answer, Stream
from staticwado.web.metadata import OFFERS, XML_FORM, xml_part
from staticwado.web.request import Wanted

_WORTH_COMPRESSING = 1024


def search(
    archive: Archive,
    engine: Engine,
    resource: Resource,
    parameters: Iterable[tuple[str, str]],
    wanted: Wanted,
    scope: Scope | None,
    is_unwanted: Callable[[], bool] | None = None,
) -> Answer:
    """A page of matches among the studies of `scope`; 200 with an empty list where there are none (CP-2473).

    `is_unwanted` says that the client has gone. Raises BadRequest, NotAcceptable, StoreUnavailable,
    TookTooLong, TooMuch, Unsupported.
    """
    offer = choose(wanted.ranges, OFFERS)
    given = list(parameters)
    query = replace(parse_query(resource, given), scope=scope)
    depends = _depends(archive, query, engine.has_catalog)
    page = engine.search(query, is_unwanted)
    entries = _answered(page, query, wanted.root, _is_ohif(query, given))
    headers = _headers(query, page, wanted.root)
    body = orjson.dumps(entries, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.blake2b(body, digest_size=24).hexdigest()
    if offer.multipart:
        return replace(_as_xml(entries, digest, headers, depends), absent=_absent(archive, query))
    gzip = wanted.gzip and len(body) >= _WORTH_COMPRESSING
    return Answer(
        offer.media_type,
        compress(body) if gzip else body,
        etag=f'"{digest}-gzip"' if gzip else f'"{digest}"',
        encoding="gzip" if gzip else None,
        headers=headers,
        view="search",
        depends=depends,
        absent=_absent(archive, query),
    )


def _headers(query: Query, page: Page, root: str) -> dict[str, str]:
    """The warnings (8.3.4.4.1): what was ignored, and how much is left."""
    texts = list(query.warnings)
    if page.remaining:
        texts.append(f"There are {page.remaining} additional results that can be requested")
    return {"Warning": ", ".join(f"299 {root}: {text}" for text in texts)} if texts else {}


def _depends(archive: Archive, query: Query, has_catalog: bool) -> tuple[str, Stat] | None:
    """The file that the answer stands on, looked at before it is read: a later change is always seen.

    None for what depends on more: on who asks, or, where there is a catalog, on all studies.
    """
    source = _source(query)
    if source is None or query.scope is not None or (has_catalog and source.study is None):
        return None
    located = archive.locate(source)
    return None if located is None else (located.path, located.stat)


def _absent(archive: Archive, query: Query) -> str | None:
    """The file that says that a study has instances which the file of the answer lacks."""
    source = _source(query)
    return archive.pending_path(source.study) if source is not None and source.study is not None else None


def _source(query: Query) -> Resource | None:
    """The one index file that answers `query`, if it is one."""
    if query.is_deep or query.needs(Level.STUDY) or query.needs(Level.SERIES):
        return None
    match query.level:
        case Level.STUDY:
            wanted = query.uids(STUDY_INSTANCE_UID)
            if wanted is not None and len(wanted) == 1:
                return Resource(View.INDEX, next(iter(wanted)))
            return Resource(View.STUDIES)
        case Level.SERIES if query.study is not None:
            return Resource(View.SERIES, query.study)
        case Level.INSTANCE if query.series is not None:
            return Resource(View.INSTANCES, query.study, query.series)
    return None


def _is_ohif(query: Query, parameters: Iterable[tuple[str, str]]) -> bool:
    """Whether studies are asked for as OHIF asks, with a field of series.

    It needs the empty list of modalities that the index file has and F.2.5 has not (docs/decisions/0004).
    """
    return query.level is Level.STUDY and any(
        name == "includefield" and "00080060" in value for name, value in parameters
    )


def _answered(page: Page, query: Query, root: str, for_ohif: bool) -> list[Entry]:
    """What is selected of each match, with the absolute URL at which it can be retrieved."""
    selection = query.selection()
    entries = []
    for found in page.found:
        entry = selection.of(found.entry)
        entry[RETRIEVE_URL] = {"vr": "UR", "Value": [_retrieve_url(found, root)]}
        modalities = entry.get(MODALITIES_IN_STUDY)
        if modalities is not None and not modalities.get("Value"):
            entry[MODALITIES_IN_STUDY] = {"vr": "CS", "Value": []} if for_ohif else {"vr": "CS"}
        if query.is_deep:
            base = Resource(View.METADATA, found.study, found.series)
            entry = _absolute(entry, f"{root}/{format_path(base)}")
        entries.append(entry)
    return entries


def _retrieve_url(found: Found, root: str) -> str:
    return f"{root}/{format_path(Resource(View.PART10, found.study, found.series, found.instance))}"


def _absolute(value: Any, base: str) -> Any:
    """A copy of DICOM JSON whose BulkDataURI, relative to the metadata at `base`, are absolute."""
    if isinstance(value, list):
        return [_absolute(one, base) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: urljoin(base, member)
        if name == "BulkDataURI" and isinstance(member, str)
        else _absolute(member, base)
        for name, member in value.items()
    }


# -- XML -----------------------------------------------------------------------------------------------------


def _as_xml(
    entries: list[Entry], digest: str, headers: dict[str, str], depends: tuple[str, Stat] | None
) -> Answer:
    """One part a match; no match is a body without a byte, as a multipart cannot be without a part."""
    # Not to be foreseen by who writes texts into a data set, and the same whenever the tag is.
    boundary = f"staticwado-{digest}"
    return Answer(
        envelope_type(DICOM_XML, boundary),
        Stream(lambda: _joined(entries, boundary)) if entries else b"",
        etag=f'"{digest}-{XML_FORM}"',
        headers=headers,
        view="search",
        depends=depends,
    )


def _joined(entries: list[Entry], boundary: str) -> Iterator[bytes]:
    return join(((xml_part(entry, "a match", boundary), ()) for entry in entries), boundary)
