"""Requests as they go over the wire, and what they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

SERVICE = "/dicomweb"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request as it goes over the wire."""

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Seeds:
    """What requests are made of."""

    paths: Sequence[str]
    """Below the service; all of them exist."""
    files: Sequence[bytes]
    """Part 10 files, whole and malformed."""


def _quoted(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b" ", b"%20").replace(b"#", b"%23")


def request(
    path: str, headers: Sequence[tuple[str, str]] = (), *, method: str = "GET", body: bytes | None = None
) -> bytes:
    lines = [method.encode() + b" " + _quoted(path) + b" HTTP/1.1"]
    if not any(name == "Host" for name, _ in headers):
        lines.append(b"Host: localhost")
    lines += [f"{name}: {value}".encode("latin-1", "replace") for name, value in headers]
    if body is not None and not any(name in ("Content-Length", "Transfer-Encoding") for name, _ in headers):
        lines.append(b"Content-Length: %d" % len(body))
    lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def post(path: str, content_type: str, body: bytes, more: Sequence[tuple[str, str]] = ()) -> bytes:
    headers = [("Content-Type", content_type), *more] if content_type else list(more)
    return request(f"{SERVICE}/{path}", headers, method="POST", body=body)


def target(random: Random, seeds: Seeds) -> str:
    return random.choice((*["studies"] * 12, "instances", "studies/1.2.3", random.choice(seeds.paths)))
