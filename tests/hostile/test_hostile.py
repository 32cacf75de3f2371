"""Some of the hostile requests in every run; `scripts/hostile` sends thousands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import instance
from tests.fuzzing.seeds import all_seeds
from tests.hostile.campaign import Running, Totals, case_of, faults, parsed, run_campaign, running, send_case
from tests.hostile.seeds import archive_paths, make_archive, malformed_files
from tests.hostile.wire import Hostile, Seeds, post


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Running]:
    with running(place, place.parent / "log") as made:
        yield made


@pytest.fixture(scope="module")
def seeds(place: Path) -> Seeds:
    return Seeds(archive_paths(place), all_seeds(None)[::6])


def test_hostile_requests_are_refused_and_the_server_lives(server: Running, seeds: Seeds) -> None:
    totals = run_campaign(server, seeds, 2026, 250)
    assert totals.findings == []
    assert totals.stored > 0
    assert sum(totals.statuses.values()) == 250 + len(seeds.files)
    assert sum(count for (_, status), count in totals.statuses.items() if status >= 400) > 100


def test_malformed_files_are_taken_in_or_refused_with_a_reason(server: Running, testdata: Path) -> None:
    totals = Totals()
    for number, data in enumerate(malformed_files(testdata / "malformed")):
        send_case(server, Hostile("file", post("studies", "application/dicom", data)), str(number), totals)
    assert totals.findings == []
    assert {status for _, status in totals.statuses} <= {200, 202, 400, 409}
    assert sum(totals.statuses.values()) > 20


def test_the_same_seed_gives_the_same_requests(seeds: Seeds) -> None:
    first, second = ([case_of(5, number, seeds) for number in range(60)] for _ in range(2))
    assert first == second
    assert first != [case_of(6, number, seeds) for number in range(60)]
    assert len({made.kind for made in first}) > 6


@pytest.mark.parametrize(
    ("received", "fault"),
    [
        (b"", "no answer"),
        (b"HTTP/1.1 500 Oh\r\nX-Content-Type-Options: nosniff\r\n\r\n" + b'{"error":"x"}', "500"),
        (b"HTTP/1.1 503 Oh\r\nX-Content-Type-Options: nosniff\r\n\r\n" + b'{"error":"x"}', "503"),
        (b"HTTP/1.1 400 Bad\r\n\r\n" + b'{"error":"x"}', "nosniff"),
        (b"HTTP/1.1 400 Bad\r\nX-Content-Type-Options: nosniff\r\n\r\n<p>", "no error"),
        (
            b"HTTP/1.1 404 No\r\nX-Content-Type-Options: nosniff\r\n\r\n" + b'{"error":"/tmp/x"}',
            "tells of the machine",
        ),
    ],
)
def test_the_judge_finds_what_is_wrong(received: bytes, fault: str) -> None:
    found = list(faults(Hostile("query", b"GET / HTTP/1.1"), *parsed(received)))
    assert [text for text in found if fault in text]


def test_the_judge_finds_an_instance_that_was_promised_and_is_not_there(server: Running) -> None:
    class Forgetful(Running):
        def get(self, path: str) -> tuple[int, bytes]:
            return super().get(path.replace("/metadata", "0/metadata"))

    totals = Totals()
    made = Hostile("file", post("studies", "application/dicom", instance(seed="promised", study="promised")))
    send_case(Forgetful(server.port, server.process), made, "0", totals)
    assert len(totals.findings) == 1
    assert "stored, and metadata answer" in totals.findings[0]


def test_an_address_that_is_none_is_no_mistake_of_the_server(server: Running) -> None:
    body = b"--x\r\nContent-Type: application/dicom+json\r\n\r\n[]\r\n--x\r\n"
    body += (
        b"Content-Type: application/octet-stream\r\nContent-Location: http://[::1\r\n\r\n1234\r\n--x--\r\n"
    )
    data = post("studies", 'multipart/related; type="application/dicom+json"; boundary=x', body)
    status, _, _ = parsed(server.send(data))
    assert status == 400
