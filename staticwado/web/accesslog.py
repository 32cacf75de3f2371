"""One line of JSON for each request, and the id that ties a request to everything that is said about it.

One rule: nothing of a patient and nothing secret gets into a line; of a URL, only what names a resource.
"""

import errno
import hashlib
import itertools
import logging
import os
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from multidict import istr

from staticwado.dicomweb.resource import Resource, View, format_path, parse_path
from staticwado.errors import ConfigurationError, StaticWadoError

REQUEST_ID = istr("X-Request-Id")
_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_PLAIN = frozenset({"/healthz", "/metrics", "/"})
_STDERR = 2

NO_REQUEST = "-"
request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
"""The id of the request that is being answered here."""


class RequestIds:
    """Ids for requests; one maker a process."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def begin(self, given: str | None) -> str:
        """The id of a request, which is now the current one: what its client gave if that is harmless."""
        if given is None or not _HARMLESS.fullmatch(given):
            given = self.make()
        request_id.set(given)
        return given

    def make(self) -> str:
        """A new id, for a request that nothing else is said about."""
        return f"{self._process}-{next(self._numbers):x}"


class NamesRequest(logging.Filter):
    """Gives every log record the id of its request as `request`."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request = request_id.get()
        return True


@dataclass(frozen=True, slots=True)
class Entry:
    """What is told of one request."""

    identity: str
    """The id of the request."""
    client: str | None
    method: str
    path: str
    """Decoded, without the query."""
    below: str | None
    """What follows the path of the DICOMweb service; None for other paths."""
    view: str
    status: int
    received: int
    sent: int
    nanoseconds: int
    subject: str | None = None
    """Who asked; only its hash is told."""
    stored: int | None = None
    failed: int | None = None


class AccessLog:
    """Writes entries to a file, or to stderr; several processes may write to the same."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigurationError if the file cannot be opened."""
        self._descriptor = _STDERR
        if path is not None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            try:
                self._descriptor = os.open(path, flags, 0o640)
            except OSError as error:
                raise ConfigurationError(
                    f"access-log-file {path} cannot be written: {error.strerror}"
                ) from error

    def write(self, entry: Entry) -> None:
        """Write the line of a request, as `write_line` does."""
        self.write_line(line_of(entry))

    def write_line(self, line: Mapping[str, Any]) -> None:
        """Write one line, whole or not at all; a log that cannot be written stops no answer."""
        # One call: lines of several processes do not mix (O_APPEND).
        text = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        try:
            os.write(self._descriptor, text)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EAGAIN, errno.EIO):
                raise

    def close(self) -> None:
        """Close the file."""
        if self._descriptor != _STDERR:
            os.close(self._descriptor)
            self._descriptor = _STDERR


def line_of(entry: Entry) -> dict[str, Any]:
    """The members of a line; what is not known is left out."""
    resource = _resource(entry.below)
    found = {
        "time": _now(),
        "request": entry.identity,
        "client": entry.client,
        "method": entry.method if entry.method in _METHODS else "other",
        "route": _route(entry, resource),
        "study": resource.study if resource is not None else None,
        "series": resource.series if resource is not None else None,
        "instance": resource.instance if resource is not None else None,
        "status": entry.status,
        "received": entry.received,
        "sent": entry.sent,
        "milliseconds": _milliseconds(entry.nanoseconds),
        "subject": subject_hash(entry.subject) if entry.subject is not None else None,
        "stored": entry.stored,
        "failed": entry.failed,
    }
    return {name: value for name, value in found.items() if value is not None}


def line_again(line: Mapping[str, Any], identity: str, client: str, nanoseconds: int) -> dict[str, Any]:
    """The line of a request that is the same as the one of `line`."""
    new = {"time": _now(), "request": identity, "client": client}
    return {**line, **new, "milliseconds": _milliseconds(nanoseconds)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 2)


def named(below: str | None) -> str:
    """The path of a resource, which holds UIDs and no names, for other logs; no other path is repeated."""
    resource = _resource(below)
    return "what is no resource" if resource is None else format_path(resource)


def subject_hash(subject: str) -> str:
    """What stands for a user in the log: the same for the same user, and not the name."""
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _resource(below: str | None) -> Resource | None:
    try:
        return parse_path(below) if below is not None else None
    except StaticWadoError:
        return None


def _route(entry: Entry, resource: Resource | None) -> str:
    """The form of the path, with names in place of UIDs; a path that has no form is not repeated."""
    if resource is None:
        if entry.view == "viewer":
            return "viewer"
        if entry.path in _PLAIN:
            return entry.path
        return "rendered by WADO-URI" if entry.view == "rendered" else "none"
    route = "".join(
        f"/{level}/{{{name}}}"
        for level, name, uid in (
            ("studies", "study", resource.study),
            ("series", "series", resource.series),
            ("instances", "instance", resource.instance),
        )
        if uid is not None
    )
    route += "/frames/{frames}" if resource.frames else ""
    if resource.view in (View.PART10, View.FRAMES):
        return route
    value = "/{value}" if resource.bulkdata is not None else ""
    return f"{route}/{resource.view.value}{value}"
