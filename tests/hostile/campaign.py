"""Hostile requests against the running server: what it answered, what it cost, and whether it lives.

One rule: an answer is a 4xx, a right 2xx or a documented 501, and tells nothing of the machine.
"""

import contextlib
import http.client
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson

from tests.hostile.requests import hostile
from tests.hostile.wire import SERVICE, Hostile, Seeds

ROOT = Path(__file__).resolve().parents[2]
STATUSES = frozenset({200, 202, 204, 206, 302, 304, *range(400, 452), 501, 505})
"""501: what is asked for is right, and cannot be made from what is stored. 505: no HTTP/1.1."""
OWED = frozenset({"query", "parts", "bare", "json", "xml", "packed", "file"})
"""Kinds whose requests are HTTP, however odd: they must be answered."""
LONGEST = 20.0
"""Seconds that one answer may take."""
MOST_MEMORY = 64 << 20
"""Bytes by which the server may grow after its warming up."""
_SECRETS = re.compile(rb"Traceback|site-packages|/tmp/|/var/|/home/|\.py\b|sqlite|root:x:")


@dataclass
class Totals:
    """What came of a campaign."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    stored: int = 0
    slowest: tuple[float, str] = (0.0, "")
    """Seconds of the slowest answer, and to which request."""
    warm: int = 0
    """Bytes of memory after the warming up."""
    most: int = 0
    """The most at any look."""


@dataclass
class Running:
    """A server in a process of its own."""

    port: int
    process: "subprocess.Popen[bytes]"

    def memory(self) -> int:
        """Bytes of its resident memory."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an honest request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def send(self, data: bytes) -> bytes:
        """Send bytes, close our half, and take what comes until the end."""
        received = bytearray()
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as made:
            with contextlib.suppress(ConnectionError):
                made.sendall(data)
                made.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while chunk := made.recv(1 << 16):
                    received += chunk
        return bytes(received)


@contextmanager
def running(archive: Path, log: Path, *words: str) -> Iterator[Running]:
    """A server over `archive`; what it prints goes to `log`."""
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from staticwado.cli.dicomwebserver import main; main()"),
                *("--dir", str(archive), "--port", "0", *words),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=archive.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": "/nonexistent"},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(rb":(\d+)/", line)
        assert found, log.read_text(errors="replace")
        process.stdout.readline()
        yield Running(int(found[1]), process)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def run_campaign(
    server: Running,
    seeds: Seeds,
    seed: int,
    count: int,
    tell: Callable[[int, Totals], None] = lambda number, totals: None,
) -> Totals:
    """Send `count` requests of `seed`, after each seed file once as it is."""
    totals = Totals()
    cases: list[Callable[[], Hostile]] = [lambda data=data: _plain(data) for data in seeds.files]  # type: ignore[misc]
    cases += [lambda number=number: case_of(seed, number, seeds) for number in range(count)]  # type: ignore[misc]
    for number, make in enumerate(cases):
        made = make()
        name = f"{made.kind} {number - len(seeds.files)}"
        send_case(server, made, name, totals)
        if number % 100 == 0:
            totals.most = max(totals.most, server.memory())
            tell(number, totals)
        if number == min(2000, len(cases) // 2):
            totals.warm = totals.most = server.memory()
    _after(server, totals)
    return totals


def case_of(seed: int, number: int, seeds: Seeds) -> Hostile:
    """The request with a number."""
    return hostile(Random(f"{seed}/{number}"), seeds)


def _plain(data: bytes) -> Hostile:
    head = (
        f"POST {SERVICE}/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return Hostile("file", head.encode() + data)


def send_case(server: Running, made: Hostile, name: str, totals: Totals) -> None:
    """Send one request and judge the answer."""
    begun = time.monotonic()
    try:
        received = server.send(made.data)
    except OSError as error:
        totals.findings.append(f"{name}: {type(error).__name__} {error}")
        return
    totals.slowest = max(totals.slowest, (time.monotonic() - begun, name))
    status, headers, body = parsed(received)
    totals.statuses[made.kind, status] += 1
    totals.findings += [f"{name}: {fault}" for fault in faults(made, status, headers, body)]
    if status in (200, 202) and made.data.startswith(b"POST "):
        totals.findings += [f"{name}: {fault}" for fault in _missing(server, body, totals)]


def parsed(received: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the first answer that is no 100; 0 if there is none."""
    while received.startswith(b"HTTP/1.1 100 "):
        received = received.partition(b"\r\n\r\n")[2]
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    found = re.fullmatch(r"HTTP/1\.[01] (\d{3}) .*", lines[0])
    if found is None:
        return 0, {}, received
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(found[1]), headers, body[: int(headers.get("content-length", len(body)))]


def faults(made: Hostile, status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """What is wrong with an answer."""
    if status == 0:
        if made.kind in OWED or body:
            yield f"no answer but {body[:80]!r}"
        return
    if status not in STATUSES:
        yield f"{status} {body[:200]!r}"
    if headers.get("x-content-type-options") != "nosniff":
        yield f"{status} without nosniff"
    if status >= 400:
        if _SECRETS.search(body):
            yield f"{status} tells of the machine: {body[:300]!r}"
        if not made.data.startswith(b"HEAD") and not _is_error(headers, body):
            yield f"{status} whose body is no error: {headers} {body[:80]!r}"


def _is_error(headers: dict[str, str], body: bytes) -> bool:
    if "dicom" in headers.get("content-type", ""):
        return body.startswith((b"{", b"<"))  # a store response
    try:
        return bool(orjson.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return False


def _missing(server: Running, body: bytes, totals: Totals) -> Iterator[str]:
    """What an answer says is stored, and is not there."""
    try:
        response: dict[str, Any] = orjson.loads(body)
    except ValueError:
        return  # XML was asked for, or HEAD
    for item in response.get("00081199", {}).get("Value", [])[:3]:
        totals.stored += 1
        url = item.get("00081190", {}).get("Value", [""])[0]
        path = "/" + url.partition("://")[2].partition("/")[2]
        status, found = server.get(f"{path}/metadata")
        if status != 200 or not orjson.loads(found):
            yield f"stored, and metadata answer {status}: {path} {found[:200]!r}"


def _after(server: Running, totals: Totals) -> None:
    """Whether the server still does its work, and has not grown."""
    for path in ("/healthz", f"{SERVICE}/studies", "/metrics"):
        status, _ = server.get(path)
        if status != 200:
            totals.findings.append(f"afterwards {path} answers {status}")
    totals.most = max(totals.most, server.memory())
    if totals.most - totals.warm > MOST_MEMORY:
        totals.findings.append(f"it grew from {totals.warm >> 20} to {totals.most >> 20} MB")
