"""CPU a request: dicomwebserver beside nginx on the same files, in turns.

    python benchmarks/serving.py [--rounds 7] [--requests 2000] [--connections 16]

Frames of 2, 50 and 512 KB and gzipped metadata of 2 KB, made here; both servers send the same stored bytes.
The client is a process of its own with raw sockets and is not counted. CPU is what the kernel says of all
threads of the server (`/proc/PID/task/*/schedstat`, Linux).
"""

import argparse
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from staticwado.archive import Archive
from staticwado.dicomweb.multipart import TAIL, content_type, head
from staticwado.dicomweb.resource import Resource, View
from staticwado.web.nginx import nginx_configuration

STUDY, SERIES = "1.2.3", "1.2.3.1"
SIZES = {"1.2.3.1.1": 2_000, "1.2.3.1.2": 50_000, "1.2.3.1.3": 512 << 10}
INSTANCES = f"/dicomweb/studies/{STUDY}/series/{SERIES}/instances"


def make_archive(place: Path) -> Path:
    """An archive of three frames and their metadata."""
    archive = Archive(str(place), create=True)
    archive.create_marker()
    generator = random.Random(1)
    part = head(content_type("application/octet-stream", "1.2.840.10008.1.2.1"))
    for instance, size in SIZES.items():
        frame = Resource(View.FRAMES, STUDY, SERIES, instance, (1,), rendition="")
        archive.write(frame, part + generator.randbytes(size) + TAIL)
        noise = generator.randbytes(1200).hex()
        text = f'[{{"00104000":{{"vr":"LT","Value":["{noise}"]}}}}]'
        archive.write(Resource(View.METADATA, STUDY, SERIES, instance), text.encode())
    for level in (Resource(View.INDEX, STUDY), Resource(View.METADATA, STUDY, SERIES)):
        archive.write(level, b"[{}]")
    return place


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, place: Path) -> Iterator[int]:
    """A server that answers on `port`; its process id."""
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        else:
            raise SystemExit((place / "log").read_text())
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def ours(archive: Path, port: int) -> list[str]:
    command = "from staticwado.cli.dicomwebserver import main; main()"
    return [sys.executable, "-c", command, "--dir", str(archive), "--port", str(port)]


def nginx(archive: Path, port: int, place: Path) -> list[str]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise SystemExit("there is no nginx")
    text = nginx_configuration(str(archive), str(place), f"127.0.0.1:{port}")
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    more = "".join(f"{kind}_temp_path {place}/{kind}; " for kind in folders)
    text = text.replace("http {", f"http {{ access_log off; keepalive_requests 100000000; {more}", 1)
    user = "user root;\n" if os.geteuid() == 0 else ""
    (place / "nginx.conf").write_text(user + text)
    settings = f"daemon off; pid {place}/pid; error_log {place}/error.log;"
    return [
        program,
        "-p",
        str(place),
        "-c",
        str(place / "nginx.conf"),
        "-e",
        str(place / "e"),
        "-g",
        settings,
    ]


def cpu_of(pid: int) -> int:
    """Nanoseconds of CPU that a process, its threads and its children have had."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
        for child in (task / "children").read_text().split():
            total += cpu_of(int(child))
    return total


def ask(port: int, path: str, header: str, requests: int, connections: int) -> None:
    """Ask over several connections, each of which waits for its answer; checks every length."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    buffer = bytearray(1 << 20)
    for _ in range(requests // connections):
        for each in sockets:
            each.sendall(request)
        for each in sockets:
            got = each.recv_into(buffer)
            start = buffer.find(b"\r\n\r\n", 0, got)
            assert buffer.startswith(b"HTTP/1.1 200"), bytes(buffer[:200])
            lines = bytes(buffer[:start]).lower().split(b"\r\n")
            [length] = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
            left = start + 4 + length - got
            while left:
                left -= each.recv_into(buffer, min(left, len(buffer)))
    for each in sockets:
        each.close()


def measured(pid: int, port: int, path: str, header: str, arguments: argparse.Namespace) -> float:
    """Microseconds of CPU a request."""
    before = cpu_of(pid)
    client = os.fork()
    if client == 0:
        try:
            ask(port, path, header, arguments.requests, arguments.connections)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if os.waitpid(client, 0)[1]:
        raise SystemExit(f"{path} could not be asked for")
    return (
        (cpu_of(pid) - before) / 1000 / (arguments.requests // arguments.connections * arguments.connections)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    cases = {f"frame {size // 1000} KB": (f"{INSTANCES}/{uid}/frames/1", "") for uid, size in SIZES.items()}
    cases["metadata, gzip"] = (f"{INSTANCES}/1.2.3.1.1/metadata", "Accept-Encoding: gzip\r\n")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        archive = make_archive(place / "archive")
        first, second = free_port(), free_port()
        with (
            running(ours(archive, first), first, place) as our_pid,
            running(nginx(archive, second, place), second, place) as nginx_pid,
        ):
            print("| object | dicomwebserver µs | nginx µs | ratio (min-max) |\n| --- | --- | --- | --- |")
            for name, (path, header) in cases.items():
                pairs = []
                for number in range(arguments.rounds + 1):
                    pair = (
                        measured(our_pid, first, path, header, arguments),
                        measured(nginx_pid, second, path, header, arguments),
                    )
                    pairs += [pair] if number else []  # the first round warms up
                ratios = [one / other for one, other in pairs]
                one, other = (median(each) for each in zip(*pairs, strict=True))
                spread = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
                print(f"| {name} | {one:.0f} | {other:.0f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
