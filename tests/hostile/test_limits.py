"""What one client, or many, can cost the server: memory of the real process, measured from outside."""

import gzip
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from tests.factories import element, instance
from tests.hostile.campaign import Running, parsed, running
from tests.hostile.seeds import make_archive
from tests.hostile.wire import SERVICE, post
from tests.web.stowing import dataset

MULTIPART = 'multipart/related; type="application/dicom"; boundary=x'
PART = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
MOST = 48 << 20
"""Bytes by which the server may grow under what one test does."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    archive = make_archive(tmp_path_factory.mktemp("limits"))
    config = archive.parent / "static-wado.json5"
    config.write_text("{dicomWebServerConfig: {maxParts: 300}}")
    words = ("-c", str(config), "--max-connections", "300", "--body-timeout", "2", "--keep-alive", "5")
    with running(archive, archive.parent / "log", *words) as made:
        # Once through what takes memory once: modules, threads, the pools of the allocator.
        for number in range(20):
            data = instance(seed=f"warm {number}")
            made.send(post("studies", MULTIPART, PART + data + b"\r\n--x--\r\n"))
            made.get(f"{SERVICE}/studies")
        yield made


class Watch:
    """The most memory that the server had while something was done."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._before = server.memory()
        self._most = self._before
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self._most = max(self._most, self._server.memory())

    def during(self, work: Callable[[], None]) -> int:
        """Bytes by which it grew at most."""
        self._thread.start()
        try:
            work()
        finally:
            self._ended.set()
            self._thread.join()
        return self._most - self._before


def deep_json(count: int) -> bytes:
    return post("studies", "application/dicom+json", b"[" * count)


def deep_dataset() -> bytes:
    deep = b'{"00081140":{"vr":"SQ","Value":[' * 200_000
    return post("studies", "application/dicom+json", b"[" + deep)


def deep_xml() -> bytes:
    body = b"--x\r\nContent-Type: application/dicom+xml\r\n\r\n" + b"<a>" * 500_000 + b"\r\n--x--\r\n"
    return post("studies", 'multipart/related; type="application/dicom+xml"; boundary=x', body)


def laughs() -> bytes:
    entities = b"".join(b'<!ENTITY e%d "%b">' % (n + 1, b"&e%d;" % n * 10) for n in range(9))
    text = b'<!DOCTYPE x [<!ENTITY e0 "ha">' + entities + b"]><NativeDicomModel>&e9;</NativeDicomModel>"
    body = b"--x\r\nContent-Type: application/dicom+xml\r\n\r\n" + text + b"\r\n--x--\r\n"
    return post("studies", 'multipart/related; type="application/dicom+xml"; boundary=x', body)


def inflating() -> bytes:
    body = gzip.compress(PART + b"\0" * (300 << 20) + b"\r\n--x--\r\n", 1)
    return post("studies", MULTIPART, body, [("Content-Encoding", "gzip")])


def long_head() -> bytes:
    return post("studies", MULTIPART, b"--x\r\nContent-Type: " + b"a" * (20 << 20))


def many_heads() -> bytes:
    return post("studies", MULTIPART, b"--x\r\n" + b"X: y\r\n" * 1_000_000)


def many_parts() -> bytes:
    return post("studies", MULTIPART, PART.join([b""] + [b"x\r\n"] * 5000) + b"--x--\r\n")


def no_boundary() -> bytes:
    return post("studies", MULTIPART, b"\r\n" * (10 << 20))


def many_parameters() -> bytes:
    query = "&".join(f"PatientName={number}" for number in range(1000))
    return f"GET {SERVICE}/studies?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("make", "statuses"),
    [
        (lambda: deep_json(10_000_000), {400}),
        (deep_dataset, {400, 409}),
        (deep_xml, {400, 409}),
        (laughs, {400, 409}),
        (inflating, {400, 409, 413}),
        (long_head, {400, 413}),
        (many_heads, {400, 413}),
        (many_parts, {400, 413}),
        (no_boundary, {400}),
        (many_parameters, {200, 400, 413, 414}),
    ],
)
def test_what_asks_for_too_much_is_refused_and_costs_little(
    server: Running, make: Callable[[], bytes], statuses: set[int]
) -> None:
    data = make()
    found: list[int] = []
    grown = Watch(server).during(lambda: found.append(parsed(server.send(data))[0]))
    assert found[0] in statuses
    assert grown < MOST
    assert server.get("/healthz")[0] == 200


def test_many_uploads_at_once_cost_little(server: Running) -> None:
    body = PART + instance(seed="large") + b"\0" * (32 << 20) + b"\r\n--x--\r\n"
    found: list[int] = []

    def upload() -> None:
        found.append(parsed(server.send(post("studies", MULTIPART, body)))[0])

    def all_at_once() -> None:
        threads = [threading.Thread(target=upload) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    grown = Watch(server).during(all_at_once)
    assert len(found) == 8
    assert set(found) <= {200, 202, 409}
    assert grown < 8 * (12 << 20)


def numbers(count: int) -> bytes:
    """A data set in DICOM JSON whose values take fifty times the memory of its text."""
    values = b"1.5," * count
    return post("studies", "application/dicom+json", b'[{"00181020":{"vr":"DS","Value":[' + values + b"1]}}]")


def test_many_wide_data_sets_at_once_have_so_much_memory_and_no_more(tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    config = tmp_path / "static-wado.json5"
    # All requests together have eight times of it.
    config.write_text("{dicomWebServerConfig: {maxDataset: 4194304}}")
    with running(archive, tmp_path / "log", "-c", str(config)) as server:
        server.send(numbers(1000))
        found: list[int] = []

        def upload() -> None:
            found.append(parsed(server.send(numbers(100_000)))[0])

        def all_at_once() -> None:
            threads = [threading.Thread(target=upload) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert Watch(server).during(all_at_once) < 80 << 20
        assert found == [409] * 8
        assert parsed(server.send(numbers(500_000)))[0] == 413
        several = post("studies", "application/dicom+json", b"[" + b"{}," * 20_000 + b"{}]")
        assert parsed(server.send(several))[0] == 413
        assert server.get("/healthz")[0] == 200


FORGED = "x\n2026-11-21 00:00:00,000 INFO - forged\x1b[31m"


def test_no_value_of_a_stranger_becomes_a_line_of_the_log(tmp_path: Path) -> None:
    archive, log = make_archive(tmp_path), tmp_path / "log"
    with running(archive, log, "--access-log") as server:
        for name in (
            "StudyInstanceUID",
            "SOPInstanceUID",
            "SOPClassUID",
            "SpecificCharacterSet",
            "PatientID",
        ):
            data = instance(seed=name, extra=[element(name, FORGED)], without=[name])
            server.send(post("studies", MULTIPART, PART + data + b"\r\n--x--\r\n"))
        for tag in ("0020000D", "00080018", "00080016"):
            made = dataset(tag, **{tag: {"vr": "UI", "Value": [FORGED]}})
            server.send(post("studies", "application/dicom+json", orjson.dumps([made])))
        for member in ({"7FE00010": {"vr": "OB", "BulkDataURI": FORGED}}, {FORGED: {"vr": FORGED}}):
            server.send(post("studies", "application/dicom+json", orjson.dumps([dataset(1, **member)])))
        for path in ("studies/1.2%0aforged/metadata", "studies?limit=%0aforged", "%0aforged"):
            assert server.get(f"{SERVICE}/{path}")[0] >= 400
    text = log.read_text()
    lines = text.splitlines()
    assert len(lines) >= 18
    assert not [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:|\{", line)]
    assert not re.search(r"^2026-11-21 00:00:00", text, re.MULTILINE)
    assert "\x1b" not in text


def test_clients_that_dawdle_cost_little_and_are_let_go(server: Running) -> None:
    """Half a request line, half a header, and bodies of which a byte comes now and then."""
    head = post("studies", MULTIPART, b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: 100000")
    begun = (b"", b"GET /", b"GET / HTTP/1.1\r\nX: ", head + b"\r\n\r\n--x\r\n")
    with ExitStack() as stack:
        held = []

        def dawdle() -> None:
            for number in range(250):
                made = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
                made.sendall(begun[number % len(begun)])
                held.append(made)
            assert server.get(f"{SERVICE}/studies")[0] == 200

        assert Watch(server).during(dawdle) < MOST
        slow = held[3]
        slow.settimeout(0.2)
        stop, received = time.monotonic() + 20, b""
        while not received and time.monotonic() < stop:
            try:
                slow.sendall(b"y")
                received = slow.recv(4096)
            except TimeoutError:
                continue
        assert parsed(received)[0] == 408
        held[0].settimeout(20)
        assert held[0].recv(10) == b""
    assert server.get("/healthz")[0] == 200


def test_nobody_keeps_others_out_by_holding_connections(server: Running) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        stop = time.monotonic() + 20
        status = 0
        while status != 200 and time.monotonic() < stop:
            try:
                status, _ = server.get(f"{SERVICE}/studies")
            except OSError:
                continue
        assert status == 200


def test_a_folder_of_the_machine_is_told_to_nobody(server: Running, tmp_path: Path) -> None:
    for data in (deep_json(10), laughs(), post("studies", "application/dicom", b"x")):
        received = server.send(data)
        assert parsed(received)[0] >= 400
        assert b"/tmp" not in received
        assert b".staticwado" not in received
