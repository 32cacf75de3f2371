"""Many writers and readers of one server at once, over HTTP, each with a connection of its own.

One rule: writers only note what they are told; whether it is true, readers ask while they write.
"""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "the-boundary-of-a-load-test"
_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
_TIMEOUT = 120


def body_of(*files: bytes) -> bytes:
    """The body of a request that stores `files`."""
    parts = [
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (BOUNDARY.encode(), it) for it in files
    ]
    return b"".join([*parts, b"--%b--\r\n" % BOUNDARY.encode()])


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance to be stored."""

    study: str
    data: bytes


@dataclass(slots=True)
class Service:
    """A DICOMweb service, and what it has acknowledged, by study."""

    url: str
    """Without a slash at its end."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def stored(self, study: str) -> int:
        with self.lock:
            return self.acknowledged.get(study, 0)

    def store(self, connection: http.client.HTTPConnection, instance: Instance) -> tuple[int, float]:
        """Store one instance in a request of its own: the status, and the seconds to the answer."""
        body = body_of(instance.data)
        begun = time.perf_counter()
        connection.request("POST", f"{self.path}/studies", body, {"Content-Type": _TYPE})
        response = connection.getresponse()
        response.read()
        spent = time.perf_counter() - begun
        if response.status == 200:
            with self.lock:
                self.acknowledged[instance.study] = self.acknowledged.get(instance.study, 0) + 1
        return response.status, spent

    def get(self, connection: http.client.HTTPConnection, path: str) -> tuple[int, Any]:
        """Ask for JSON below the service; raises ValueError if it is none."""
        connection.request("GET", f"{self.path}/{path}", headers={"Accept": "application/dicom+json"})
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else []

    def count(self, connection: http.client.HTTPConnection, study: str) -> int:
        """How many instances a search says that the study has; 0 if it is not found."""
        status, found = self.get(connection, f"studies?StudyInstanceUID={study}&includefield=00201208")
        assert status in (200, 204), status
        return int(found[0]["00201208"]["Value"][0]) if found else 0


@dataclass(slots=True)
class Written:
    """What became of the instances that were sent."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Of those that were acknowledged, in the order of the answers."""
    faults: list[str] = field(default_factory=list)


def write(service: Service, shares: Sequence[Sequence[Instance]]) -> Written:
    """Store every share from a thread of its own, one instance a request; all begin together."""
    written = Written()
    start = threading.Barrier(len(shares) + 1)

    def work(share: Sequence[Instance]) -> None:
        connection = service.connect()
        start.wait()
        for instance in share:
            try:
                status, spent = service.store(connection, instance)
            except (OSError, http.client.HTTPException) as error:
                written.faults.append(repr(error))
                connection.close()
                continue
            if status == 200:
                written.latencies.append(spent)
            else:
                written.faults.append(f"status {status}")
        connection.close()

    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    written.seconds = time.perf_counter() - begun
    return written


class Readers:
    """Threads that search and read again and again until the block ends, and note what cannot be true.

    Each answer has to be whole JSON, and to count at least what was acknowledged before it was asked for.
    """

    def __init__(self, service: Service, studies: Sequence[str], count: int) -> None:
        self._service = service
        self._studies = studies
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(number,)) for number in range(count)]
        self.reads = 0
        self.faults: list[str] = []

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _read(self, number: int) -> None:
        connection = self._service.connect()
        turn = number
        while not self._stopped.is_set():
            study = self._studies[turn % len(self._studies)]
            try:
                self._look(connection, study, turn)
            except (OSError, http.client.HTTPException, ValueError, AssertionError, KeyError) as error:
                self.faults.append(f"{type(error).__name__}: {error}"[:300])
                connection.close()
            self.reads += 1
            turn += 1
        connection.close()

    def _look(self, connection: http.client.HTTPConnection, study: str, turn: int) -> None:
        before = self._service.stored(study)
        if turn % 4 == 0:
            status, found = self._service.get(connection, f"studies/{study}/series")
            assert status in (200, 204, 404), status
            counted = sum(int(one["00201209"]["Value"][0]) for one in found) if status == 200 else 0
        elif turn % 4 == 1:
            status, found = self._service.get(connection, "studies?limit=100")
            assert status in (200, 204), status
            counted = before if isinstance(found, list) else -1
        else:
            counted = self._service.count(connection, study)
        assert counted >= before, f"{counted} counted after {before} were acknowledged, turn {turn % 4}"
