"""The viewer's files, moved below the client path, with a configuration that fits this server.

One rule: a path from outside is looked up below the viewer's folder, segment by segment, or not at all.
"""

import os
import re
from pathlib import Path

import orjson

from staticwado.dicomweb.scope import Scope
from staticwado.errors import NotFound, StoreUnavailable
from staticwado.search.engine import Engine
from staticwado.store.local import Stat
from staticwado.web.answer import Answer, Span, etag_of, seconds_of
from staticwado.web.options import ServerOptions
from staticwado.web.responses import read_span
from staticwado.web.study_list import study_list
from staticwado.web.viewer_config import CONFIG_NAME, MEDIA_TYPES, viewer_config
from staticwado.web.wado import loaded

_HASHED = re.compile(r"(?:^|\.)[0-9a-f]{16,}\.")
_INDEX = "index.html"
_ABSOLUTE = re.compile(rb'\b(src|href|content|PUBLIC_URL)="/(?!/)')
_ROOTED = {"js": b'__webpack_require__.p = "/', "css": b"url(/", "json": b'"src": "/'}
"""How OHIF's bundles and styles name the place of other files, by suffix; they are built for `/`."""


def find_viewer(folder: Path | None) -> Path | None:
    """The folder with the viewer's index.html: `folder`, or the `dist` in it; None if there is none."""
    if folder is None:
        return None
    for place in (folder, folder / "dist", folder / "package" / "dist"):
        if (place / _INDEX).is_file():
            return place
    return None


class Viewer:
    """Answers everything below the client path."""

    def __init__(self, options: ServerOptions, engine: Engine) -> None:
        self._options = options
        self._engine = engine
        self._folder = find_viewer(options.viewer)
        self._prefix = (options.public_prefix + options.client_prefix).encode()

    @property
    def found(self) -> bool:
        """Whether there is a viewer to serve."""
        return self._folder is not None

    def is_open(self, path: str) -> bool:
        """Whether what is at `path` is for anybody: all but the list of studies."""
        return self._folder is not None or path not in ("", _INDEX)

    def answer(self, path: str, gzip: bool, scope: Scope | None = None) -> Answer:
        """The file at `path` (decoded, below the client path, no leading slash).

        `scope` are the studies that the plain list of studies may show. Paths that name no file are pages of
        the viewer, unless they look like a missing file.
        Raises NotFound.
        """
        if self._folder is None:
            if path not in ("", _INDEX):
                raise NotFound(f"there is nothing at /{path[:200]}; the list of studies is at /")
            return study_list(self._options, self._engine, scope)
        if path == CONFIG_NAME:
            text = "window.config = " + orjson.dumps(viewer_config(self._options)).decode() + ";\n"
            return Answer(MEDIA_TYPES["js"], text.encode(), vary="", view="viewer")
        segments = path.rstrip("/").split("/") if path else []
        if any(
            part in ("", ".", "..") or part.startswith(".") or "\\" in part or "\0" in part
            for part in segments
        ):
            raise NotFound(f"the viewer has no file {path[:200]!r}")
        found = self._file(self._folder.joinpath(*segments), gzip) if segments else None
        if found is None and "." in (segments[-1] if segments else ""):
            raise NotFound(f"the viewer has no file {path[:200]!r}")
        return found or self._page()

    def _file(self, place: Path, gzip: bool) -> Answer | None:
        """A file of the viewer, compressed where it lies compressed beside itself; None if there is none."""
        if place.name == _INDEX and place.parent == self._folder:
            return self._page()
        encoding = None
        stat = _regular(f"{place}.gz") if gzip else None
        path = f"{place}.gz" if stat is not None else str(place)
        encoding = "gzip" if stat is not None else None
        stat = stat or _regular(path)
        if stat is None:
            return None
        suffix = place.suffix[1:].lower()
        body = loaded(Span(path, 0, stat.size, stat))
        if self._prefix and suffix in _ROOTED:
            if encoding is not None:
                return self._file(place, gzip=False)
            rooted = _ROOTED[suffix]
            body = read_span(Span(path, 0, stat.size, stat)).replace(
                rooted, rooted[:-1] + self._prefix + b"/"
            )
        return Answer(
            MEDIA_TYPES.get(suffix, "application/octet-stream"),
            body,
            etag=etag_of(stat, encoding or ""),
            modified=seconds_of(stat),
            encoding=encoding,
            immutable=_HASHED.search(place.name) is not None,
            vary="Accept-Encoding",
            view="viewer",
            depends=(path, stat),
        )

    def _page(self) -> Answer:
        """index.html, its absolute paths moved below the client path."""
        path = f"{self._folder}/{_INDEX}"
        stat = _regular(path)
        if stat is None:
            raise StoreUnavailable("the viewer's index.html has gone")
        with open(path, "rb") as file:
            page = file.read()
        if self._prefix:
            page = _ABSOLUTE.sub(rb'\1="' + self._prefix + b"/", page)
        return Answer(
            MEDIA_TYPES["html"],
            page,
            etag=etag_of(stat, "page"),
            modified=seconds_of(stat),
            vary="",
            view="viewer",
            depends=(path, stat),
        )


def _regular(path: str) -> Stat | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stat(found.st_size, found.st_mtime_ns, found.st_ino) if os.path.isfile(path) else None
