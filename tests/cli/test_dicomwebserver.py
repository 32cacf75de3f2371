"""The server's command as its user meets it: how it begins, and how it ends."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import instance
from tests.web.tree import BIG_FRAME, NATIVE, SERIES, STUDY, make_tree

ROOT = Path(__file__).resolve().parents[2]
FRAME = f"/dicomweb/studies/{STUDY}/series/{SERIES}/instances/{NATIVE}1/frames/1"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("cli") / "archive").root


def start(*words: str | Path, folder: Path | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", "from staticwado.cli.dicomwebserver import main; main()", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": "/nonexistent"},
    )


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that end with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def port_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r" at https?://127\.0\.0\.1:(\d+)/", line)
    assert found, line + (process.stderr.read() if process.stderr else "")
    return int(found[1])


def get(port: int, path: str = "/dicomweb/studies") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_and_ends_with_0_when_told_to(
    archive: Path, started: list["subprocess.Popen[str]"], number: signal.Signals, workers: int
) -> None:
    process = start("--dir", archive, "--port", "0", "--workers", str(workers))
    started.append(process)
    port = port_of(process)
    assert [get(port) for _ in range(8)] == [200] * 8
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_answers_under_way_are_finished(archive: Path, started: list["subprocess.Popen[str]"]) -> None:
    process = start("--dir", archive, "--port", "0")
    started.append(process)
    port = port_of(process)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", port))
    # More than the buffers of both ends hold: the server is in the midst of it when it is told to stop.
    slow.sendall(
        b"GET " + FRAME.encode() + b" HTTP/1.1\r\nHost: localhost\r\nAccept: application/octet-stream\r\n\r\n"
    )
    received = slow.recv(1000)
    process.send_signal(signal.SIGTERM)
    while chunk := slow.recv(1 << 16):
        received += chunk
    slow.close()
    assert received.endswith(BIG_FRAME)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_workers_end_with_the_server_however_it_ends(
    archive: Path, started: list["subprocess.Popen[str]"]
) -> None:
    process = start("--dir", archive, "--port", "0", "--workers", "2")
    started.append(process)
    port = port_of(process)
    assert get(port) == 200
    process.kill()
    # The workers hold the pipes too: both end only when the last of them has gone.
    process.communicate(timeout=60)
    with pytest.raises(ConnectionRefusedError):
        get(port)


def test_a_worker_that_dies_at_once_ends_the_server(
    archive: Path, started: list["subprocess.Popen[str]"]
) -> None:
    process = start("--dir", archive, "--port", "0", "--workers", "2")
    started.append(process)
    port = port_of(process)
    assert get(port) == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "worker" in errors


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode, errors


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("other_workers", ["1", "2"])
def test_a_busy_port_is_said(
    archive: Path, started: list["subprocess.Popen[str]"], workers: str, other_workers: str
) -> None:
    first = start("--dir", archive, "--port", "0", "--workers", workers)
    started.append(first)
    port = port_of(first)
    code, errors = ended(start("--dir", archive, "--port", str(port), "--workers", other_workers))
    assert code == 2
    assert f"127.0.0.1:{port} is in use" in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dir", "missing"], "no archive at missing"),
        (["--dir", "."], "is not an archive"),
        ([], "give --dir"),
        (["--dir", "{archive}", "--port", "70000"], "port must be"),
        (["--dir", "{archive}", "--workers", "0"], "workers must be"),
        (["--dir", "{archive}", "--viewer", "."], "index.html"),
        (["--dir", "{archive}", "--tls-cert", "x"], "tls-key"),
        (["--dir", "{archive}", "--tls-cert", "x", "--tls-key", "y"], "certificate"),
        (["--dir", "{archive}", "--open", "--host", "no.such.host.invalid"], "host no.such.host.invalid"),
        (["--dir", "{archive}", "--open", "--host", "192.0.2.1"], "192.0.2.1"),
        (["--dir", "{archive}", "--host", "0.0.0.0"], "--open"),
        (["--dir", "{archive}", "--server-path", "x"], "server-path"),
        (["--nonsense"], "--nonsense"),
        (["-c", "missing.json5"], "missing.json5"),
    ],
)
def test_what_stands_in_the_way_is_said_with_code_2(
    archive: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "a file").touch()  # an empty folder would become an archive
    code, errors = ended(start(*(word.format(archive=archive) for word in words), folder=tmp_path))
    assert code == 2
    assert message in errors


def test_the_configuration_file_is_read(
    archive: Path, tmp_path: Path, started: list["subprocess.Popen[str]"]
) -> None:
    settings = {
        "staticWadoConfig": {"rootDir": str(archive)},
        "dicomWebServerConfig": {"port": 0, "serverPath": "/pacs"},
    }
    (tmp_path / "static-wado.json5").write_text(json.dumps(settings))
    process = start(folder=tmp_path)
    started.append(process)
    port = port_of(process)
    assert get(port, "/pacs/studies") == 200


def test_requests_are_printed_when_asked_for(archive: Path, started: list["subprocess.Popen[str]"]) -> None:
    process = start("--dir", archive, "--port", "0", "--access-log")
    started.append(process)
    assert get(port_of(process), "/dicomweb/studies?limit=1") == 200
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    [line] = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/studies", 200)


def upload(length: int, body: bytes) -> bytes:
    """A store request, or the beginning of one."""
    return (
        b"POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%b" % (length, body)
    )


def test_an_upload_under_way_is_finished(tmp_path: Path, started: list["subprocess.Popen[str]"]) -> None:
    root, data = make_tree(tmp_path / "archive").root, instance()
    process = start("--dir", root, "--port", "0")
    started.append(process)
    port = port_of(process)
    with socket.create_connection(("127.0.0.1", port)) as made:
        made.settimeout(30)
        made.sendall(upload(len(data), data[:-10]))
        assert made.recv(100).startswith(b"HTTP/1.1 100 ")
        process.send_signal(signal.SIGTERM)
        while True:
            # Until it has stopped listening: it has heard.
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionError:
                break
        made.sendall(data[-10:])
        assert made.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (0, False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_what_the_first_one_let_finish(
    archive: Path, started: list["subprocess.Popen[str]"], workers: int
) -> None:
    process = start("--dir", archive, "--port", "0", "--workers", str(workers))
    started.append(process)
    with socket.socket() as slow:
        slow.connect(("127.0.0.1", port_of(process)))
        slow.sendall(upload(1000, b"x" * 999))
        assert slow.recv(100).startswith(b"HTTP/1.1 100 ")
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_workers_count_into_one_sum_and_write_one_log(
    archive: Path, tmp_path: Path, started: list["subprocess.Popen[str]"]
) -> None:
    log = tmp_path / "access.log"
    process = start("--dir", archive, "--port", "0", "--workers", "3", "--access-log-file", log)
    started.append(process)
    port = port_of(process)
    assert [get(port) for _ in range(30)] == [200] * 30
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    assert 'staticwado_requests_total{status="200",view="search"} 30.0\n' in text
    assert len(re.findall(r"staticwado_process_resident_bytes{worker=", text)) == 3
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["route"] for line in lines].count("/studies") == 30
    assert len({line["request"] for line in lines}) == 31
    assert len({line["request"].partition("-")[0] for line in lines}) > 1


def test_https_serves_small_and_big_answers(
    archive: Path, tmp_path: Path, started: list["subprocess.Popen[str]"]
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
    process = start("--dir", archive, "--port", "0", "--tls-cert", certificate, "--tls-key", key)
    started.append(process)
    port = port_of(process)
    trusted = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=trusted)
    connection.request("GET", "/dicomweb/studies?limit=1")
    [entry] = json.loads(connection.getresponse().read())
    assert entry["00081190"]["Value"][0].startswith(f"https://127.0.0.1:{port}/")
    connection.request("GET", FRAME, headers={"Accept": "application/octet-stream"})
    assert connection.getresponse().read() == BIG_FRAME
    connection.close()


def test_many_clients_at_once_get_whole_answers(
    archive: Path, started: list["subprocess.Popen[str]"]
) -> None:
    process = start("--dir", archive, "--port", "0", "--workers", "2")
    started.append(process)
    port = port_of(process)
    found: list[bytes] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(5):
            connection.request("GET", FRAME, headers={"Accept": "application/octet-stream"})
            found.append(connection.getresponse().read())
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BIG_FRAME] * 80


def test_clients_that_go_away_do_no_harm(archive: Path, started: list["subprocess.Popen[str]"]) -> None:
    process = start("--dir", archive, "--port", "0")
    started.append(process)
    port = port_of(process)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.sendall(f"GET {FRAME} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            gone.recv(10)
    assert get(port) == 200
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert process.returncode == 0
