"""What is written down of a request, and what must not be."""

import errno
import logging
import os
from pathlib import Path

import orjson
import pytest

from staticwado.errors import ConfigurationError
from staticwado.web.accesslog import (
    AccessLog,
    Entry,
    NamesRequest,
    RequestIds,
    line_of,
    request_id,
    subject_hash,
)

UIDS = "studies/1.2/series/1.3/instances/1.4"


def entry(path: str = "/dicomweb/studies", below: str | None = "studies", **more: object) -> Entry:
    told: dict[str, object] = {
        "identity": "abc-1", "client": "127.0.0.1", "method": "GET", "view": "search", "status": 200,
        "received": 0, "sent": 10, "nanoseconds": 1_234_567,
    }  # fmt: skip
    return Entry(path=path, below=below, **(told | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_a_harmless_id_is_taken_over(given: str) -> None:
    assert RequestIds().begin(given) == given == request_id.get()


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\n", 'a"', "<script>", "\u0661", "a/b", "{}"])
def test_any_other_id_is_made_anew_and_never_twice(given: str | None) -> None:
    ids = RequestIds()
    made = {ids.begin(given) for _ in range(100)}
    assert len(made) == 100
    assert given not in made
    assert RequestIds().begin(given) not in made


def test_log_records_name_the_request_that_they_belong_to() -> None:
    RequestIds().begin("mine-7")
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "words", None, None)
    assert NamesRequest().filter(record)
    assert logging.Formatter("%(request)s %(message)s").format(record) == "mine-7 words"


@pytest.mark.parametrize(
    ("below", "route"),
    [
        ("studies", "/studies"),
        ("series", "/series"),
        ("studies/1.2", "/studies/{study}"),
        ("studies/1.2/series", "/studies/{study}/series"),
        ("studies/1.2/deduplicated", "/studies/{study}/deduplicated"),
        (f"{UIDS}/metadata", "/studies/{study}/series/{series}/instances/{instance}/metadata"),
        (f"{UIDS}/frames/1,2", "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"),
        (
            f"{UIDS}/frames/1/rendered",
            "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered",
        ),
        (f"studies/1.2/bulkdata/ab/{'0' * 62}.bin", "/studies/{study}/bulkdata/{value}"),
        ("studies/1.2/bulkdata", "/studies/{study}/bulkdata"),
    ],
)
def test_a_route_is_the_form_of_the_path(below: str, route: str) -> None:
    line = line_of(entry(f"/dicomweb/{below}", below))
    assert line["route"] == route
    found = [line[name] for name in ("study", "series", "instance") if name in line]
    assert found == [uid for uid in ("1.2", "1.3", "1.4") if uid in below.replace("frames/1,2", "")]


@pytest.mark.parametrize(
    ("path", "below", "view"),
    [
        ("/dicomweb/studies/Doe^John", "studies/Doe^John", "other"),
        ("/dicomweb/Doe^John", "Doe^John", "other"),
        ("/Doe^John", None, "other"),
        ("/viewer/Doe^John", None, "viewer"),
    ],
)
def test_a_path_that_names_no_resource_is_not_repeated(path: str, below: str | None, view: str) -> None:
    line = line_of(entry(path, below, view=view, method="DOE^JOHN", subject="Doe^John"))
    assert b"Doe" not in orjson.dumps(line)
    assert line["method"] == "other"


def test_a_user_is_told_as_a_hash() -> None:
    line = line_of(entry(subject="alice"))
    assert line["subject"] == subject_hash("alice") != subject_hash("bob")
    assert len(line["subject"]) == 16
    assert "subject" not in line_of(entry())


def test_a_line_has_all_that_is_known() -> None:
    line = line_of(entry(status=202, stored=3, failed=1, method="POST", view="store"))
    assert line.pop("time").endswith("Z")
    assert line == {
        "request": "abc-1", "client": "127.0.0.1", "method": "POST", "route": "/studies", "status": 202,
        "received": 0, "sent": 10, "milliseconds": 1.23, "stored": 3, "failed": 1,
    }  # fmt: skip


def test_several_processes_write_whole_lines_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    children = []
    for worker in range(4):
        child = os.fork()
        if not child:
            log = AccessLog(path)
            for number in range(200):
                log.write(entry(identity=f"{worker}-{number}", path="/" + "x" * 3000))
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    lines = path.read_bytes().splitlines()
    assert {orjson.loads(line)["request"] for line in lines} == {
        f"{worker}-{number}" for worker in range(4) for number in range(200)
    }
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="access-log-file"):
        AccessLog(tmp_path / "missing" / "access.log")


def test_a_full_disk_stops_no_answer() -> None:
    log = AccessLog(Path("/dev/full"))
    with pytest.raises(OSError, match="No space") as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    log.write(entry())
    log.close()
