"""Storing over HTTP: many writers and readers at once, this server and Orthanc in one run, and the floor.

    python benchmarks/storing.py [--instances 10000] [--writers 50] [--readers 20] [--workers 1] [--ours]

Instances are images of 128x128 words (33 KB), one a request, sent by threads of this process over connections
that stay open; both servers get the same bytes, one after the other. Readers search all the while and check
that each answer is whole JSON and counts what was acknowledged before. The floor is one thread that writes a
body to a file and syncs it. CPU is that of the server's processes.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving import cpu_of
from staticwado.archive import Archive
from tests import factories
from tests.clients.load import Instance, Readers, Service, Written, body_of, write
from tests.clients.servers import Orthanc, find_orthanc
from tests.e2e.conftest import dicomwebserver

SIDE = 128
_COLUMNS = (
    "writers", "server", "instances/s", "p50 ms", "p99 ms", "CPU µs each", "refused",
    "counts exact", "reads", "wrong",
)  # fmt: skip


class Maker:
    """Makes instances that differ in their UIDs and in a few pixels, from one file, quickly."""

    def __init__(self) -> None:
        noise = random.Random(1).randbytes(2 * SIDE * SIDE)
        self._template = factories.instance(frames=[noise], rows=SIDE, columns=SIDE, Modality="CT")
        self._uids = [
            factories.uid("study", 0),
            factories.uid("series", 0, 0),
            factories.uid("instance", 0, 0, 0),
        ]
        assert all(uid.encode() in self._template for uid in self._uids)

    def make(self, study: int, series: int, number: int) -> Instance:
        data = self._template
        uids = []
        for level, uid in enumerate(self._uids):  # each names those above it, and nothing below
            place = (f"{study:06}", f"{series:06}", f"{number:07}")[: level + 1]
            mine = f"2.25.{level + 1}{''.join(place)}".ljust(len(uid), "1")
            assert len(mine) == len(uid)
            uids.append(mine)
            data = data.replace(uid.encode(), mine.encode())
        data = data[:-8] + number.to_bytes(4, "big") + data[-4:]
        return Instance(uids[0], data)


@dataclass(frozen=True, slots=True)
class Server:
    service: Service
    pid: int
    """Of the process whose CPU counts, with its children."""


@contextmanager
def ours(place: Path, workers: int) -> Iterator[Server]:
    Archive(str(place), create=True).create_marker()
    with dicomwebserver("--dir", place, "--workers", str(workers)) as running:
        yield Server(Service(f"{running.url}/dicomweb"), running.process.pid)


@contextmanager
def orthanc(place: Path) -> Iterator[Server]:
    found = find_orthanc()
    assert found is not None, "there is no Orthanc"
    place.mkdir()
    server = Orthanc(*found, place)
    server.start()
    try:
        yield Server(Service(server.url), server.pid)
    finally:
        server.stop()


def floor(place: Path, bodies: Sequence[bytes]) -> list[float]:
    """Seconds to write each body to a file of its own and sync it."""
    spent = []
    for number, body in enumerate(bodies):
        begun = time.perf_counter()
        descriptor = os.open(place / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, body)
        os.fsync(descriptor)
        os.close(descriptor)
        spent.append(time.perf_counter() - begun)
    return spent


def percentiles(values: Sequence[float]) -> str:
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [0.0] * 99
    return f"{1000 * cuts[49]:.1f} | {1000 * cuts[98]:.1f}"


def line(name: str, what: str, count: int, written: Written, cpu: int, readers: Readers, exact: bool) -> str:
    rate, each = len(written.latencies) / written.seconds, cpu / 1000 / max(1, count)
    return (
        f"| {what} | {name} | {rate:.0f} | {percentiles(written.latencies)} | {each:.0f} | "
        f"{len(written.faults)} | {'yes' if exact else 'NO'} | {readers.reads} | {len(readers.faults)} |"
    )


def at_once(name: str, server: Server, what: str, shares: list[list[Instance]], readers: int) -> str:
    """Writers and readers at once; a line of the table."""
    counts: dict[str, int] = {}
    for share in shares:
        for instance in share:
            counts[instance.study] = counts.get(instance.study, 0) + 1
    used = cpu_of(server.pid)
    with Readers(server.service, sorted(counts), readers) as reading:
        written = write(server.service, shares)
    used = cpu_of(server.pid) - used
    connection = server.service.connect()
    exact = all(server.service.count(connection, study) == count for study, count in counts.items())
    connection.close()
    for fault in [*written.faults, *reading.faults][:3]:
        print(f"  {name}: {fault}", file=sys.stderr)
    return line(name, what, sum(counts.values()), written, used, reading, exact)


def growing(server: Server, maker: Maker, count: int, study: int) -> tuple[float, float]:
    """Median seconds of the first 200 and of the last 200 instances of a study, one after the other."""
    written = write(server.service, [[maker.make(study, 1, number) for number in range(count)]])
    assert not written.faults, written.faults[:3]
    return median(written.latencies[:200]), median(written.latencies[-200:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--ours", action="store_true", help="without Orthanc")
    options = parser.parse_args()
    maker, writers = Maker(), options.writers
    each = options.instances // writers
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        servers = {"ours": stack.enter_context(ours(place / "ours", options.workers))}
        if not options.ours and find_orthanc() is not None:
            servers["Orthanc"] = stack.enter_context(orthanc(place / "orthanc"))
        print("| " + " | ".join(_COLUMNS) + " |\n| --- | --- |" + " ---: |" * (len(_COLUMNS) - 2))
        for what, base, studies, readers in (
            (f"{writers} to one study", 0, 1, options.readers),
            (f"{writers} to {writers} studies", 100, writers, options.readers),
            (f"{writers} to one study, no readers", 200, 1, 0),
        ):
            for name, server in servers.items():
                shares = [
                    [maker.make(base + writer % studies, writer, number) for number in range(each)]
                    for writer in range(writers)
                ]
                print(at_once(name, server, what, shares, readers), flush=True)
        for name, server in servers.items():
            first, last = growing(server, maker, options.instances, 300)
            print(
                f"{name}, one after the other: first {1000 * first:.2f} ms, instance {options.instances} "
                f"{1000 * last:.2f} ms, ratio {last / first:.2f}",
                flush=True,
            )
        bodies = [body_of(maker.make(400, 1, number).data) for number in range(300)]
        (place / "floor").mkdir()
        print(f"floor, a body written and synced: {1000 * median(floor(place / 'floor', bodies)):.2f} ms")


if __name__ == "__main__":
    main()
