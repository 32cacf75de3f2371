"""Search (PS3.18 10.6): queries to answers.

One rule: RetrieveURL alone is made absolute; everything else is as the engine found it.
"""

import hashlib
from collections.abc import Iterable

import orjson

from staticwado.archive import Archive, compress
from staticwado.dicomweb.attributes import MODALITIES_IN_STUDY
from staticwado.dicomweb.media import Offer, choose
from staticwado.dicomweb.query import STUDY_INSTANCE_UID, Level, Query, parse_query
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.search.engine import RETRIEVE_URL, Engine, Found
from staticwado.search.index import Entry
from staticwado.store.local import Stat
from staticwado.web.answer import DICOM_JSON, JSON, Answer
from staticwado.web.request import Wanted

_WORTH_COMPRESSING = 1024


def _source(query: Query) -> Resource | None:
    """The one index file that answers `query`, if it is one."""
    match query.level:
        case Level.STUDY:
            wanted = (query.uids or {}).get(STUDY_INSTANCE_UID)
            if wanted is not None and len(wanted) == 1:
                return Resource(View.INDEX, next(iter(wanted)))
            return Resource(View.STUDIES)
        case Level.SERIES if query.study is not None:
            return Resource(View.SERIES, query.study)
        case Level.INSTANCE if query.series is not None:
            return Resource(View.INSTANCES, query.study, query.series)
    return None


def _answered(found: Found, root: str, for_ohif: bool) -> Entry:
    """The entry with the absolute URL at which the match can be retrieved."""
    path = format_path(Resource(View.PART10, found.study, found.series, found.instance))
    entry = {**found.entry, RETRIEVE_URL: {"vr": "UR", "Value": [f"{root}/{path}"]}}
    if not for_ohif and entry.get(MODALITIES_IN_STUDY, {}).get("Value") == []:
        entry[MODALITIES_IN_STUDY] = {"vr": "CS"}
    return entry


def _is_ohif(query: Query, parameters: Iterable[tuple[str, str]]) -> bool:
    """Whether studies are asked for as OHIF asks, with a field of series.

    It needs the empty list of modalities that the index file has and F.2.5 has not (docs/decisions/0004).
    """
    return query.level is Level.STUDY and any(
        name == "includefield" and "00080060" in value for name, value in parameters
    )


def search(
    archive: Archive,
    engine: Engine,
    resource: Resource,
    parameters: Iterable[tuple[str, str]],
    wanted: Wanted,
) -> Answer:
    """A page of matches; 200 with an empty list where there are none (CP-2473).

    Raises BadRequest, NotAcceptable, StoreUnavailable.
    """
    offer = choose(wanted.ranges, (Offer(DICOM_JSON), Offer(JSON)))
    given = list(parameters)
    query = parse_query(resource, given)
    for_ohif = _is_ohif(query, given)
    depends = _depends(archive, query)
    page = engine.search(query)
    entries = [_answered(found, wanted.root, for_ohif) for found in page.found]
    body = orjson.dumps(entries, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    gzip = wanted.gzip and len(body) >= _WORTH_COMPRESSING
    headers = {}
    if page.remaining:
        text = f"There are {page.remaining} additional results that can be requested"
        headers["Warning"] = f"299 {wanted.root}: {text}"
    return Answer(
        offer.media_type,
        compress(body) if gzip else body,
        etag=f'"{digest}-gzip"' if gzip else f'"{digest}"',
        encoding="gzip" if gzip else None,
        headers=headers,
        view="search",
        depends=depends,
    )


def _depends(archive: Archive, query: Query) -> tuple[str, Stat] | None:
    """The file that the answer stands on, looked at before it is read: a later change is always seen."""
    source = _source(query)
    located = archive.locate(source) if source is not None else None
    return None if located is None else (located.path, located.stat)
