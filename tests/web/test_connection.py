"""The front that clients meet: bad HTTP, slow clients, half-closed and stalled ones, over raw sockets."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from tests.web.conftest import Client, StartServer
from tests.web.tree import BIG_FRAME, NATIVE, SERIES, STUDY, Tree

SERVICE = "/dicomweb"
BIG = f"{SERVICE}/studies/{STUDY}/series/{SERIES}/instances/{NATIVE}1/frames/1"
KEEP_ALIVE = 1.0
HEAD = b"Host: localhost\r\n\r\n"


def get(path: str, *lines: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


def connect(server: Client, buffer: int = 0) -> socket.socket:
    made = socket.socket()
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.settimeout(20)
    made.connect(("127.0.0.1", server.port))
    return made


def read_all(made: socket.socket) -> bytes:
    """What comes until the server closes; an answer may be cut by a reset behind it."""
    received = b""
    try:
        while data := made.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return received


def answers(received: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of each answer."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        assert lines[0].startswith(("http/1.1 ", "http/1.0 "))
        length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
        found.append((int(lines[0].split()[1]), received[:length]))
        received = received[length:]
    return found


@pytest.fixture
def impatient(tree: Tree, start_server: StartServer) -> Iterator[Client]:
    """A server that waits for nobody, and still answers at the end of the test."""
    server = start_server(
        tree.root, keep_alive=KEEP_ALIVE, stall_timeout=1.0, max_header=2000, allowed_origins=("*",)
    )
    yield server
    assert server.get("studies").status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n" + HEAD, 400),
        (b"G@T / HTTP/1.1\r\n" + HEAD, 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /\0 HTTP/1.1\r\n" + HEAD, 400),
        (b"GET / HTTP/1.1\r\nX : y\r\n" + HEAD, 400),
        (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n" + HEAD, 400),
        (b"GET / HTTP/1.1\r\nX: a\x01b\r\n" + HEAD, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HEAD, 505),
        (b"GET / HTTP/0.9\r\n" + HEAD, 505),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" + HEAD + b"0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n" + HEAD + b"abcd", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -3\r\n" + HEAD, 400),
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n" + HEAD, 414),
        (b"GET /dicomweb/studies?PatientName=" + b"a" * 10_000 + b" HTTP/1.1\r\n" + HEAD, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 2001 + b"\r\n" + HEAD, 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * 3000 + b": x\r\n" + HEAD, 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % each for each in range(500)) + HEAD, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000, 431),
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(
    impatient: Client, request_bytes: bytes, status: int
) -> None:
    with closing(connect(impatient)) as made:
        try:
            made.sendall(request_bytes)
        except ConnectionError:
            assert len(request_bytes) > 100_000  # it was closed while we were still sending
        received = read_all(made)
    if received or len(request_bytes) < 100_000:
        [(found, body)] = answers(received)
        assert found == status
        assert orjson.loads(body)["error"]
        assert b"\r\nConnection: close" in received or received.startswith(b"HTTP/1.0 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\r\n\r\n" + get(f"{SERVICE}/studies"), 200),
        (b"GET /dicomweb/studies HTTP/1.0\r\n\r\n", 200),
        (b"GET http://elsewhere/dicomweb/studies HTTP/1.1\r\n" + HEAD, 200),
        (b"GET /dicomweb/studies HTTP/1.1\r\nAccept: \xff\xfe, */*\r\n" + HEAD, 200),
        (b"GET /dicomweb/studies HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + HEAD, 200),
        (b"GET /dicomweb/studies?PatientName=" + b"a" * 1900 + b" HTTP/1.1\r\n" + HEAD, 200),
        (b"OPTIONS * HTTP/1.1\r\n" + HEAD, 204),
        (b"CONNECT elsewhere:1 HTTP/1.1\r\n" + HEAD, 405),
        (b"GET /dicomweb/%zz%ff%00 HTTP/1.1\r\n" + HEAD, 404),
        (b"GET /dicomweb%2Fstudies HTTP/1.1\r\n" + HEAD, 404),
        (b"GET /dicomweb/studies/1.2.3%2fmetadata HTTP/1.1\r\n" + HEAD, 404),
        (b"GET /dicomweb/studies/..%2f..%2fetc HTTP/1.1\r\n" + HEAD, 404),
        (
            b"POST /dicomweb/studies HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n"
            + HEAD
            + b"abcd",
            415,
        ),
        (
            b"POST /dicomweb/studies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
            + HEAD
            + b"3\r\nabc\r\n0\r\n\r\n",
            415,
        ),
    ],
)
def test_what_is_odd_is_answered(impatient: Client, request_bytes: bytes, status: int) -> None:
    with closing(connect(impatient)) as made:
        made.sendall(request_bytes)
        [(found, _)] = answers(read_all(made))
    assert found == status


@pytest.mark.parametrize("begun", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_that_never_ends_is_not_waited_for(impatient: Client, begun: bytes) -> None:
    with closing(connect(impatient)) as made:
        made.sendall(begun)
        assert read_all(made) == b""


def test_a_request_sent_byte_by_byte_is_answered(impatient: Client) -> None:
    with closing(connect(impatient)) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in get(f"{SERVICE}/studies", "Connection: close"):
            made.sendall(bytes((byte,)))
        [(status, _)] = answers(read_all(made))
    assert status == 200


def test_a_body_that_never_comes_is_not_waited_for(impatient: Client) -> None:
    with closing(connect(impatient)) as made:
        made.sendall(b"POST /dicomweb/studies HTTP/1.1\r\nContent-Length: 1000\r\n" + HEAD + b"abc")
        [(status, _)] = answers(read_all(made))
    assert status == 415


def test_a_client_that_closed_its_half_gets_what_it_asked_for(impatient: Client) -> None:
    """RFC 9112 9.6: `printf … | nc -N` and the like."""
    for count, path in ((1, f"{SERVICE}/studies"), (5, f"{SERVICE}/studies"), (3, BIG)):
        with closing(connect(impatient)) as made:
            made.sendall(get(path) * count)
            made.shutdown(socket.SHUT_WR)
            found = answers(read_all(made))
        assert [status for status, _ in found] == [200] * count
        assert len({body for _, body in found}) == 1
        assert path != BIG or BIG_FRAME in found[0][1]


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_a_client_that_closed_its_half_without_a_request_is_let_go(impatient: Client, begun: bytes) -> None:
    with closing(connect(impatient)) as made:
        made.sendall(begun)
        made.shutdown(socket.SHUT_WR)
        assert read_all(made) == b""


def test_pipelined_requests_are_answered_in_order(impatient: Client) -> None:
    paths = [f"{SERVICE}/studies", f"{SERVICE}/nonsense", BIG, "/healthz", f"{SERVICE}/studies/x"] * 20
    with closing(connect(impatient)) as made:
        made.sendall(b"".join(map(get, paths)))
        found = answers(read_all(made))
    assert [status for status, _ in found] == [200, 404, 200, 200, 400] * 20


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within 20 seconds."""
    stop = time.monotonic() + 20
    while time.monotonic() < stop:
        if holds():
            return True
    return False


def resident() -> int:
    """Bytes of memory that this process, the server in it, has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_clients_that_take_nothing_are_dropped_and_cost_little(impatient: Client) -> None:
    """Each asks for 15 MiB and reads none of it."""
    before = resident()
    stalled = [connect(impatient, 4096) for _ in range(40)]
    for each in stalled:
        each.sendall(get(BIG) * 30)

    def gone() -> int:
        text = impatient.ask("/metrics").body.decode().splitlines()
        lines = [line for line in text if 'requests_total{status="499",view="frames"}' in line]
        return int(float(lines[0].split()[1])) if lines else 0

    most = before

    def all_gone() -> bool:
        nonlocal most
        most = max(most, resident())
        return gone() == len(stalled)

    assert until(all_gone)
    assert most - before < 40 << 20
    for each in stalled:
        each.close()


def test_a_client_that_reads_slowly_gets_all_of_it(impatient: Client) -> None:
    with closing(connect(impatient, 4096)) as made:
        made.sendall(get(BIG, "Accept: application/octet-stream", "Connection: close"))
        received = b""
        while data := made.recv(1000):
            received += data
    [(status, body)] = answers(received)
    assert (status, body) == (200, BIG_FRAME)


def test_clients_that_go_away_in_the_middle_are_only_counted(impatient: Client) -> None:
    for _ in range(30):
        with closing(connect(impatient, 4096)) as made:
            made.sendall(get(BIG) * 3)
            assert made.recv(100).startswith(b"HTTP/1.1 200")
    assert impatient.ask("/healthz").status == 200


def test_a_body_that_comes_too_slowly_is_given_up(tree: Tree, start_server: StartServer) -> None:
    server = start_server(tree.root, body_timeout=0.4)
    head = b"POST /dicomweb/studies HTTP/1.1\r\nContent-Type: application/dicom\r\nContent-Length: 100000\r\n"
    with closing(connect(server)) as made:
        made.sendall(head + HEAD)
        received = bytearray()
        reader = threading.Thread(target=lambda: received.extend(read_all(made)))
        reader.start()
        with contextlib.suppress(ConnectionError):
            for _ in range(100_000):
                made.sendall(b"x")
                reader.join(0.02)
                if not reader.is_alive():
                    break
        reader.join(20)
    [(status, body)] = answers(bytes(received))
    assert status == 408
    assert orjson.loads(body)["error"]
    assert server.get("studies").status == 200


def test_one_connection_too_many_takes_the_place_of_the_one_that_was_idle_longest(
    tree: Tree, start_server: StartServer
) -> None:
    server = start_server(tree.root, max_connections=3)
    held = [connect(server) for _ in range(3)]
    for each in held:
        each.sendall(get("/healthz"))
        assert each.recv(1 << 16).startswith(b"HTTP/1.1 200")
    # All of them have just been used: there is no room.
    with closing(connect(server)) as made:
        made.sendall(get("/healthz"))
        found = answers(read_all(made))
    assert [status for status, _ in found] in ([503], [])
    assert until(lambda: _healthy(server))
    assert read_all(held[0]) == b""
    for each in held[1:]:
        each.sendall(get("/healthz", "Connection: close"))
        [(status, _)] = answers(read_all(each))
        assert status == 200
        each.close()
    held[0].close()


def _healthy(server: Client) -> bool:
    try:
        return server.ask("/healthz").status == 200
    except OSError:
        return False


def test_what_is_no_http_is_counted_and_has_an_id(
    tree: Tree, start_server: StartServer, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    server = start_server(tree.root, access_log_file=log)
    with closing(connect(server)) as made:
        made.sendall(b"nonsense\r\n\r\n")
        received = read_all(made)
    [line] = map(orjson.loads, log.read_bytes().splitlines())
    assert (line["status"], line["route"], line["method"]) == (400, "none", "other")
    assert f"X-Request-Id: {line['request']}\r\n".encode() in received
    assert 'requests_total{status="400",view="other"} 1.0' in server.ask("/metrics").body.decode()
