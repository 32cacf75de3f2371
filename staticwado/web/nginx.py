"""config/nginx.conf: an archive and a viewer served by nginx as they lie on disk, made from `layout`.

One rule: every path and every header comes from the table that the server reads; none is repeated here.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from staticwado import layout
from staticwado.dicom.transfer_syntax import FRAME_SUFFIXES
from staticwado.dicomweb.resource import Resource, View, format_path
from staticwado.layout import StoredAs
from staticwado.web.answer import DICOM_JSON, MARKUP, SANDBOX
from staticwado.web.options import ServerOptions
from staticwado.web.viewer_config import CONFIG_NAME, MEDIA_TYPES, viewer_config

FILE = Path("config") / "nginx.conf"
ARCHIVE, VIEWER, LISTEN = "/srv/staticwado/archive", "/srv/staticwado/viewer", "127.0.0.1:8080"
_UID = r"[0-9]+(?:\.[0-9]+)*"
_STUDY, _SERIES, _INSTANCE, _FRAME = "1.101", "1.102", "1.103", 104
_SHA = "00/" + "0" * 62
_MONTH = f"(?:[0-9]{{4}}-[0-9]{{2}}|{layout.UNDATED})"
_NOTHING, _MISSING = "/nothing.json", "/missing.json"
_COMMON = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, ETag",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Type": "$staticwado_type",
    "Cache-Control": "$staticwado_cache",
    "Vary": "Accept-Encoding",
    "Content-Security-Policy": "$staticwado_policy",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of resource: the pattern of its URL below the service, and of the key under which it is kept."""

    url: str
    """A regular expression with named groups."""
    key: str
    """With `$name` for each group, and without `.gz` where that says that the bytes are compressed."""
    pattern: str
    """A regular expression for the key."""
    view: View
    stored: StoredAs


def _samples() -> Iterator[Resource]:
    study = Resource(View.SERIES, _STUDY)
    yield study
    yield Resource(View.METADATA, _STUDY)
    yield Resource(View.DEDUPLICATED, _STUDY)
    yield Resource(View.THUMBNAIL, _STUDY)
    yield Resource(View.METADATA, _STUDY, _SERIES)
    yield Resource(View.INSTANCES, _STUDY, _SERIES)
    yield Resource(View.THUMBNAIL, _STUDY, _SERIES)
    yield Resource(View.METADATA, _STUDY, _SERIES, _INSTANCE)
    yield Resource(View.THUMBNAIL, _STUDY, _SERIES, _INSTANCE)
    for suffix in layout.BULKDATA_TYPES:
        yield Resource(View.BULKDATA, _STUDY, bulkdata=f"{_SHA}.{suffix}")
    for suffix in FRAME_SUFFIXES:
        yield Resource(View.FRAMES, _STUDY, _SERIES, _INSTANCE, (_FRAME,), rendition=suffix)


_GROUPS = {
    _STUDY: ("study", _UID),
    _SERIES: ("series", _UID),
    _INSTANCE: ("instance", _UID),
    _SHA: ("value", "[0-9a-f]{2}/[0-9a-f]{62}"),
}


def _pattern(path: str, *, named: bool) -> str:
    """A regular expression for paths like `path`: its sample values become named groups, or anything."""
    text = re.escape(path).replace("\\-", "-")
    for sample, (name, expression) in _GROUPS.items():
        anything = "/".join("[^/]+" for _ in sample.split("/"))
        text = text.replace(re.escape(sample), f"(?<{name}>{expression})" if named else anything)
    return text.replace(f"frames/{_FRAME}", "frames/(?<frame>[1-9][0-9]*)" if named else "frames/[0-9]+")


def places() -> list[Place]:
    """Every kind of resource that a static host can serve."""
    found = []
    for resource in _samples():
        stored = layout.stored_as(resource)
        key = stored.key.removesuffix(".gz") if stored.encoding == "gzip" else stored.key
        target = key.replace(f"frames/{_FRAME}", "frames/$frame")
        for sample, (name, _) in _GROUPS.items():
            target = target.replace(sample, f"${name}")
        url = _pattern(format_path(resource), named=True)
        found.append(Place(url, target, _pattern(key, named=False), resource.view, stored))
    return found


def _maps() -> Iterator[str]:
    """What belongs to a stored file: its type, and how long it may be kept."""
    listed = layout.stored_as(Resource(View.STUDIES)).key.removesuffix(".gz")
    one = layout.stored_as(Resource(View.INDEX, _STUDY)).key.removesuffix(".gz")
    yield "map $arg_StudyInstanceUID $staticwado_studies {"
    yield f"    default /{listed};"
    yield f'    "~^(?<one_study>{_UID})$" /{one.replace(_STUDY, "$one_study")};'
    yield "}"
    yield "map $uri $staticwado_type {"
    yield '    default "";'
    for key in (
        re.escape(listed).replace("\\-", "-"),
        _pattern(one, named=False),
        f"{layout.MONTHS}/{_MONTH}[.]json",
    ):
        yield f"    '~^/{key}$' '{DICOM_JSON}';"
    manifest = layout.stored_as(Resource(View.MONTHS))
    yield f"    /{manifest.key.removesuffix('.gz')} '{manifest.media_type}';"
    for place in places():
        yield f"    '~^/{place.pattern}$' '{place.stored.media_type}';"
    yield "}"
    yield "map $uri $staticwado_policy {"
    yield '    default "";'
    for place in places():
        if place.view is View.BULKDATA and place.stored.media_type in MARKUP:
            yield f"    '~^/{place.pattern}$' \"{SANDBOX}\";"
    yield "}"
    yield "map $status:$uri $staticwado_cache {"
    yield '    default "no-cache";'
    for pattern in dict.fromkeys(_folder(place) for place in places() if place.stored.immutable):
        yield f"    '~^(?:200|206|304):/{pattern}' 'max-age=31536000, immutable';"
    yield "    '~^(?:200|206|304):.*[.][0-9a-f]{16}[.][a-z]+$' 'max-age=31536000, immutable';"
    yield "}"


def _folder(place: Place) -> str:
    """The folder in which a kind of resource is kept: enough to tell what is immutable."""
    return re.split(r"(?<=/bulkdata/)|(?<=/frames/)", place.pattern)[0]


def _locations() -> Iterator[str]:
    frames = [place for place in places() if place.view is View.FRAMES]
    bulkdata = [place for place in places() if place.view is View.BULKDATA]
    for place in places():
        if place in frames or place in bulkdata:
            continue
        yield f'location ~ "^@{place.url}/?$" {{'
        if place.stored.encoding == "gzip":
            yield "    gzip_static always;"
            yield "    gunzip on;"
        yield f"    rewrite ^ /{place.key} break;"
        yield "}"
    for url, key in ((layout.MONTHS, "index"), (f"{layout.MONTHS}/(?<month>{_MONTH})", "$month")):
        yield f'location ~ "^@{url}/?$" {{'
        yield "    gzip_static always;"
        yield "    gunzip on;"
        yield f"    rewrite ^ /{layout.MONTHS}/{key}.json break;"
        yield "}"
    url, key = (text.rpartition(".")[0] for text in (bulkdata[0].url, bulkdata[0].key))
    yield f'location ~ "^@{url}.(?<suffix>{"|".join(layout.BULKDATA_TYPES)})$" {{'
    yield f"    rewrite ^ /{key}.$suffix break;"
    yield "}"
    yield f'location ~ "^@{frames[0].url}$" {{'
    yield f"    try_files {' '.join(f'/{place.key}' for place in frames)} =404;"
    yield "}"


def _indented(lines: Iterator[str], depth: int) -> str:
    return "\n".join("    " * depth + line for line in lines)


def nginx_configuration(
    archive: str = ARCHIVE, viewer: str = VIEWER, listen: str = LISTEN, server_path: str = "/dicomweb"
) -> str:
    """A whole nginx configuration that serves `archive` at `server_path`, and `viewer` at `/`."""
    options = ServerOptions(dir=Path(archive), server_path=server_path)
    prefix = options.server_prefix
    config = orjson.dumps(viewer_config(options, static_host=True)).decode()
    locations = _indented((line.replace("@", f"{prefix}/") for line in _locations()), 3)
    headers = _indented((f'add_header {name} "{value}" always;' for name, value in _COMMON.items()), 2)
    types = _indented(
        (f"{media_type.partition(';')[0]} {suffix};" for suffix, media_type in MEDIA_TYPES.items()), 4
    )
    return _TEMPLATE.format(
        archive=archive,
        viewer=viewer,
        listen=listen,
        prefix=prefix,
        maps=_indented(_maps(), 1),
        headers=headers,
        locations=locations,
        types=types,
        config_name=CONFIG_NAME,
        config=config,
        nothing=_NOTHING,
        missing=_MISSING,
        json=DICOM_JSON,
    )


_TEMPLATE = """\
# An archive of staticwado and the OHIF viewer, served by nginx as they lie on disk.
#
# Made by `python -m staticwado.web.nginx` from staticwado/layout.py; --check says whether it is fresh.
# Fit to your system: root (the archive and the viewer) and listen. Try it: nginx -c FILE -g 'daemon off;'
worker_processes auto;
events {{
    worker_connections 1024;
}}
http {{
    sendfile on;
    tcp_nopush on;
    server_tokens off;
    map_hash_bucket_size 256;
    open_file_cache max=10000 inactive=60s;
    open_file_cache_valid 5s;

{maps}

    server {{
        listen {listen};
        root {archive};
        absolute_redirect off;

{headers}

        if ($request_method = OPTIONS) {{
            return 204;
        }}

        location ^~ {prefix}/ {{
            types {{ }}
            # The type comes from the map above: it depends on the file that is found.
            default_type "";
            error_page 404 {missing};
            log_not_found off;
            location ~ "^{prefix}/studies/?$" {{
                gzip_static always;
                gunzip on;
                error_page 404 =200 {nothing};
                rewrite ^ $staticwado_studies break;
            }}
{locations}
            location ~ "" {{
                return 404;
            }}
        }}

        location = {missing} {{
            internal;
            types {{ }}
            default_type application/json;
            return 404 '{{"error":"a static host has nothing here"}}';
        }}

        # No study has the UID that was asked for.
        location = {nothing} {{
            internal;
            types {{ }}
            default_type {json};
            return 200 '[]';
        }}

        location = /{config_name} {{
            types {{ }}
            default_type text/javascript;
            return 200 'window.config = {config};';
        }}

        location / {{
            root {viewer};
            charset utf-8;
            charset_types text/css text/javascript text/plain text/xml;
            gzip_static on;
            types {{
{types}
            }}
            # What looks like a file is one or is missing; all else is a page of the viewer.
            location ~ "[.][A-Za-z0-9]+$" {{
                try_files $uri =404;
            }}
            try_files $uri /index.html;
        }}
    }}
}}
"""


def main(arguments: list[str]) -> int:
    """Write config/nginx.conf below the current folder; with --check only say whether it is fresh."""
    text = nginx_configuration()
    if arguments == ["--check"]:
        fresh = FILE.is_file() and FILE.read_text(encoding="utf-8") == text
        if not fresh:
            sys.stderr.write(f"{FILE} is stale: run python -m staticwado.web.nginx\n")
        return 0 if fresh else 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
