"""Many writers and readers at once: every count is exact, and no answer is ever half."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from staticwado.archive import Archive
from tests import factories
from tests.clients.load import Instance, Readers, Service, write
from tests.web.conftest import StartServer

WRITERS, EACH, READERS = 12, 8, 4


def make_instance(study: int, writer: int, number: int) -> Instance:
    data = factories.instance(
        study=study,
        series=writer % 3,
        seed=writer * 1000 + number,
        frames=factories.pixels(8, 8),
        rows=8,
        columns=8,
    )
    return Instance(factories.uid("study", study), data)


def shares(studies: int) -> list[list[Instance]]:
    return [
        [make_instance(writer % studies, writer, number) for number in range(EACH)]
        for writer in range(WRITERS)
    ]


@pytest.fixture
def service(start_server: StartServer, tmp_path: Path) -> Service:
    """A server of an archive that is empty."""
    archive = Archive(str(tmp_path / "archive"), create=True)
    archive.create_marker()
    return Service(f"http://127.0.0.1:{start_server(tmp_path / 'archive').port}/dicomweb")


def check_counts(service: Service, sent: Sequence[Sequence[Instance]]) -> None:
    expected = Counter(instance.study for share in sent for instance in share)
    connection = service.connect()
    for study, count in expected.items():
        assert service.count(connection, study) == count
        status, instances = service.get(connection, f"studies/{study}/instances")
        assert status == 200
        assert len({one["00080018"]["Value"][0] for one in instances}) == len(instances) == count
        status, metadata = service.get(connection, f"studies/{study}/metadata")
        assert status == 200
        assert len({one["00080018"]["Value"][0] for one in metadata}) == len(metadata) == count
    connection.close()


@pytest.mark.parametrize("studies", [1, WRITERS])
def test_writers_at_once_lose_nothing_and_readers_see_only_whole_answers(
    service: Service, studies: int
) -> None:
    sent = shares(studies)
    uids = sorted({instance.study for share in sent for instance in share})
    with Readers(service, uids, READERS) as readers:
        written = write(service, sent)
    assert not written.faults
    assert len(written.latencies) == WRITERS * EACH
    assert readers.reads >= READERS
    assert not readers.faults
    check_counts(service, sent)


def test_the_same_instance_from_many_writers_is_one(service: Service) -> None:
    one = make_instance(0, 0, 0)
    written = write(service, [[one, one] for _ in range(WRITERS)])
    assert not written.faults
    check_counts(service, [[one]])
