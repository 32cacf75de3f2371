"""Answers given again: the same as the ones that were made the long way, and never to anybody else."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from staticwado.archive import Archive
from staticwado.store.local import Stat
from staticwado.web import connection, replay
from staticwado.web.answer import Answer
from staticwado.web.auth.identity import Right
from staticwado.web.auth.options import AuthOptions, TokenOptions
from staticwado.web.cache import MOST_REQUESTS, AnswerCache, Kept, Prepared
from staticwado.web.connection import Server
from staticwado.web.options import ServerOptions
from staticwado.web.serve import make_server
from tests.web.tree import NATIVE, SERIES, STUDY, Tree, make_tree

SERVICE = "/dicomweb"
IMAGE = f"{SERVICE}/studies/{STUDY}/series/{SERIES}/instances/{NATIVE}"
FRAME, METADATA = f"{IMAGE}/frames/1", f"{IMAGE}/metadata"
BIG = f"{IMAGE}1/frames/1"
NEW_IN_EACH = re.compile(rb"\r\n(?:Date|X-Request-Id): [^\r]*")


def get(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


class Line:
    """A connection to a server in the same loop."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes, and let the server take them before anything else is sent."""
        self.writer.write(data)
        for _ in range(4):
            await asyncio.sleep(0)

    async def answer(self, *, has_body: bool = True) -> tuple[bytes, bytes]:
        """The head, and the body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
        body = await self.reader.readexactly(int(found[1])) if found and has_body else b""
        return head, body

    async def ask(self, data: bytes, *, has_body: bool = True) -> tuple[bytes, bytes]:
        """An answer without what is new in each."""
        await self.send(data)
        head, body = await self.answer(has_body=has_body)
        return NEW_IN_EACH.sub(b"", head), body

    @property
    def read(self) -> int:
        """How many requests the server had to read."""
        return self.server.requests_count


Opens = Callable[[], Awaitable[Line]]


@asynccontextmanager
async def serving(root: Path, **options: Any) -> AsyncIterator[Opens]:
    made = ServerOptions(dir=root, port=0, **{"open": "auth" not in options, **options})
    server = make_server(Archive(str(root)), made)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    writers = []

    async def opens() -> Line:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return Line(server, reader, writer)

    try:
        yield opens
    finally:
        for writer in writers:
            writer.close()
        await runner.cleanup()


def test_this_aiohttp_is_one_that_is_known() -> None:
    assert replay.IS_POSSIBLE
    made = web.RequestHandler.__slots__
    assert {"_waiter", "_messages", "_next_keepalive_close_time"} <= set(made)


def etag_of(answer: tuple[bytes, bytes]) -> str:
    found = re.search(rb"\r\nETag: ([^\r]+)", answer[0])
    assert found is not None
    return found[1].decode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        get(FRAME),
        get(FRAME, "Accept: application/octet-stream", "Connection: keep-alive"),
        get(METADATA),
        get(METADATA, "Accept-Encoding: gzip", "Origin: https://viewer.example", "Cookie: a=b"),
        get(f"{SERVICE}/studies/{STUDY}/series/{SERIES}/metadata", "Accept-Encoding: gzip"),
        get(METADATA, "Authorization: Bearer nobody-looks-at-it"),
        get(METADATA, 'If-None-Match: "another"'),
    ],
)
@pytest.mark.parametrize("origins", [("*",), ("https://viewer.example",)])
def test_what_comes_again_is_answered_with_the_same_bytes(
    tree: Tree, request_bytes: bytes, origins: tuple[str, ...]
) -> None:
    async def run() -> None:
        async with serving(tree.root, allowed_origins=origins) as opens:
            line = await opens()
            first = await line.ask(request_bytes)
            assert first[0].startswith(b"HTTP/1.1 200 OK\r\n")
            assert first[1]
            assert [await line.ask(request_bytes) for _ in range(4)] == [first] * 4
            # Also where it is the first of its connection.
            assert await (await opens()).ask(request_bytes) == first
            assert line.read == 2

    asyncio.run(run())


def test_what_the_client_has_already_is_said_again(tree: Tree) -> None:
    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            asked = get(METADATA, f"If-None-Match: {etag_of(await line.ask(get(METADATA)))}")
            found = [await line.ask(asked, has_body=False) for _ in range(4)]
            assert found[0][0].startswith(b"HTTP/1.1 304 ")
            assert found[0][1] == b""
            assert found == found[:1] * 4
            assert line.read == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get(METADATA, "X-Request-Id: mine"), 200),
        (get(METADATA, "Range: bytes=0-3"), 206),
        (get(METADATA, 'If-Match: "another"'), 412),
        (get(METADATA, method="HEAD"), 200),
        (get(METADATA, method="OPTIONS"), 200),
        (get(f"{SERVICE}/studies"), 200),
        (get(f"{SERVICE}/nonsense"), 404),
        (get(METADATA, "Content-Length: 0"), 200),
        (get(METADATA, "Upgrade: h2c", "Connection: Upgrade"), 200),
        (get(METADATA).replace(b"Host: localhost", b"Host: local host"), 200),
        (get(METADATA, "X: " + "a" * replay.LONGEST), 200),
        (get("/healthz"), 200),
        (get("/metrics"), 200),
    ],
)
def test_what_may_differ_is_made_anew(tree: Tree, request_bytes: bytes, status: int) -> None:
    async def run() -> None:
        async with serving(tree.root) as opens:
            for number in range(1, 5):
                line = await opens()
                head, _ = await line.ask(request_bytes, has_body=not request_bytes.startswith(b"HEAD"))
                assert head.startswith(b"HTTP/1.1 %d " % status)
                assert line.read == number

    asyncio.run(run())


def test_a_request_that_ends_its_connection_does(tree: Tree) -> None:
    async def run() -> None:
        async with serving(tree.root) as opens:
            for _ in range(3):
                line = await opens()
                head, _ = await line.ask(get(METADATA, "Connection: close"))
                assert b"\r\nConnection: close" in head
                assert await line.reader.read() == b""
            assert line.read == 3

    asyncio.run(run())


def test_nothing_is_given_again_where_people_log_in(tree: Tree) -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    auth = AuthOptions(tokens=(TokenOptions("jane", digest, (Right.READ,)),))
    bearer = "Authorization: Bearer secret"

    async def run() -> None:
        async with serving(tree.root, auth=auth) as opens:
            line = await opens()
            for number in range(3):
                for request, status in ((get(METADATA), 401), (get(METADATA, bearer), 200)):
                    head, _ = await line.ask(request)
                    assert head.startswith(b"HTTP/1.1 %d " % status)
                assert line.read == 2 * (number + 1)

    asyncio.run(run())


def test_a_foreign_name_leads_to_nothing_however_often_ours_was_used(tree: Tree) -> None:
    async def run() -> None:
        async with serving(tree.root, open=False) as opens:
            line = await opens()
            for _ in range(4):
                for host, status in ((b"localhost", 200), (b"evil.example", 403), (b"LOCALHOST:80", 200)):
                    request = get(METADATA).replace(b"localhost", host)
                    assert (await line.ask(request))[0].startswith(b"HTTP/1.1 %d " % status)
            assert line.read == 4 + 2 * 2

    asyncio.run(run())


def test_a_replaced_file_is_answered_as_it_is_now(tmp_path: Path) -> None:
    root = make_tree(tmp_path).root
    stored = next(path for path in root.rglob("*") if path.parent.name == NATIVE and "metadata" in path.name)

    async def run() -> None:
        async with serving(root) as opens:
            line = await opens()
            before = [await line.ask(get(METADATA)) for _ in range(3)]
            os.utime(stored, ns=(1, 1_000_000_000))
            after = [await line.ask(get(METADATA)) for _ in range(3)]
            assert line.read == 3
            assert before == before[:1] * 3
            assert before[0][1] == after[0][1]
            assert etag_of(before[0]) != etag_of(after[0])
            assert after == after[:1] * 3
            stored.unlink()
            assert (await line.ask(get(METADATA)))[0].startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 503 "))

    asyncio.run(run())


def test_a_body_is_no_request_even_if_it_is_one_that_is_known(tree: Tree) -> None:
    known = get(METADATA)
    head = f"POST {SERVICE}/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(known)}\r\n\r\n"

    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            first = [await line.ask(known) for _ in range(3)][-1]
            for data in (head.encode(), known, known):
                await line.send(data)
            assert (await line.answer())[0].startswith(b"HTTP/1.1 4")
            found, body = await line.answer()
            assert (NEW_IN_EACH.sub(b"", found), body) == first
            assert line.read == 4

    asyncio.run(run())


def test_the_end_of_a_head_is_no_request_even_if_it_is_one_that_is_known(tree: Tree) -> None:
    known = get(METADATA)

    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            for _ in range(3):
                await line.ask(known)
            await line.send(b"GET /healthz HTTP/1.1\r\nX: ")
            await line.send(known)
            # It is a value and one Host of one request.
            head, _ = await line.answer()
            assert b"application/json\r\n" in head
            await line.ask(get("/healthz", "Connection: close"))
            assert await line.reader.read() == b""
            assert line.read == 4

    asyncio.run(run())


@pytest.mark.parametrize("turns", range(8))
def test_what_comes_behind_a_request_is_never_lost_sight_of(tree: Tree, turns: int) -> None:
    """The beginning of another head, at any time while the one before it is handled."""
    known = get(METADATA)

    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            for _ in range(3):
                await line.ask(known)
            [connection] = line.server.connections
            connection.data_received(get("/healthz"))  # which a thread answers
            for _ in range(turns):
                await asyncio.sleep(0)
            connection.data_received(b"GET /nowhere HTTP/1.1\r\nX: ")
            assert orjson.loads((await line.answer())[1]) == {"status": "ok"}
            for _ in range(4):
                await asyncio.sleep(0)
            connection.data_received(known)
            assert (await line.answer())[0].startswith(b"HTTP/1.1 404 ")
            assert line.read == 4

    asyncio.run(run())


def test_a_known_request_waits_for_the_answer_before_it(tree: Tree) -> None:
    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            first = [await line.ask(get(METADATA)) for _ in range(3)][-1]
            await line.send(get("/healthz"))  # which a thread answers
            await line.send(get(METADATA))
            await line.send(get(METADATA) * 2)
            _, body = await line.answer()
            assert orjson.loads(body) == {"status": "ok"}
            for _ in range(3):
                head, body = await line.answer()
                assert (NEW_IN_EACH.sub(b"", head), body) == first
            assert line.read == 6

    asyncio.run(run())


def test_a_connection_ends_that_is_idle_after_an_answer_given_again(tree: Tree) -> None:
    async def run() -> None:
        async with serving(tree.root, keep_alive=0.3) as opens:
            line = await opens()
            found = [await line.ask(get(METADATA)) for _ in range(4)]
            assert found == found[:1] * 4
            assert line.read == 2
            assert await asyncio.wait_for(line.reader.read(), 20) == b""

    asyncio.run(run())


def test_a_client_that_takes_nothing_is_given_no_second_answer_from_memory(tree: Tree) -> None:
    """What it has not taken is held once, not once a request."""

    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            for _ in range(3):
                await line.ask(get(FRAME))
            line.reader._transport.pause_reading()  # type: ignore[attr-defined]
            read, count = line.read, 0
            while line.read == read and count < 100_000:
                line.writer.write(get(FRAME))
                await asyncio.sleep(0)
                count += 1
            assert line.read > read
            line.writer.transport.abort()

    asyncio.run(run())


def test_answers_given_again_are_counted_and_written_down(tree: Tree, tmp_path: Path) -> None:
    path = tmp_path / "access.log"

    async def run() -> None:
        async with serving(tree.root, access_log_file=path) as opens:
            line = await opens()
            names = set()
            for _ in range(4):
                await line.send(get(METADATA))
                head, body = await line.answer()
                names |= set(re.findall(rb"\r\nX-Request-Id: ([^\r]+)\r\n", head))
            _, text = await line.ask(get("/metrics"))
        lines = [orjson.loads(each) for each in path.read_bytes().splitlines()][:4]
        assert {each["request"].encode() for each in lines} == names
        assert len(names) == 4
        assert line.read == 3
        for each in lines:
            for changing in ("request", "time", "milliseconds"):
                assert each.pop(changing)
        assert lines == lines[:1] * 4
        assert (lines[0]["sent"], lines[0]["instance"]) == (len(body), NATIVE)
        assert b'requests_total{status="200",view="metadata"} 4.0\n' in text
        assert b'response_bytes_total{status="200",view="metadata"} %.1f\n' % (4 * len(body)) in text
        assert b'request_seconds_count{outcome="answered",view="metadata"} 4.0\n' in text

    asyncio.run(run())


def test_with_an_aiohttp_that_is_not_known_all_requests_are_read(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IS_POSSIBLE", False)

    async def run() -> None:
        async with serving(tree.root) as opens:
            line = await opens()
            found = [await line.ask(get(METADATA)) for _ in range(4)]
            assert found == found[:1] * 4
            assert line.read == 4

    asyncio.run(run())


POOL = (
    get(METADATA),
    get(METADATA),
    get(FRAME),
    get(METADATA, "Accept-Encoding: gzip"),
    get(f"{SERVICE}/nonsense"),
    get(METADATA, method="OPTIONS"),
    b"POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
    % (len(get(METADATA)), get(METADATA)),
    b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(get(FRAME)), get(FRAME)),
)


def same(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """What does not differ between answers to the same request: errors name the request."""
    error = b'"request"' in body
    return (
        (head.partition(b"\r\n")[0], body.partition(b',"request"')[0])
        if error
        else (
            NEW_IN_EACH.sub(b"", head),
            body,
        )
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picked=st.lists(st.sampled_from(range(len(POOL))), min_size=1, max_size=12), data=st.data())
def test_however_requests_are_cut_the_answers_are_those_of_each(
    tree: Tree, picked: list[int], data: st.DataObject
) -> None:
    text = b"".join(POOL[number] for number in picked)
    ends, total = [], 0
    for number in picked:
        total += len(POOL[number])
        ends.append(total)
    heads = [end - len(get(METADATA)) for end in ends]
    places = st.sampled_from(ends + [each for each in heads if each > 0]) | st.integers(0, len(text))
    cuts = sorted({0, len(text), *data.draw(st.lists(places, max_size=16))})

    async def run() -> None:
        async with serving(tree.root) as opens:
            for number in picked:
                await (await opens()).ask(POOL[number])
            expected = [same(*await (await opens()).ask(POOL[number])) for number in picked]
            line = await opens()
            for start, stop in pairwise(cuts):
                await line.send(text[start:stop])
            found = [await line.answer() for _ in picked]
            assert [same(*each) for each in found] == expected
            assert orjson.loads((await line.ask(get("/healthz", "Connection: close")))[1])["status"]
            assert await line.reader.read() == b""

    asyncio.run(run())


def kept(path: Path, key: str, size: int = 10) -> Kept:
    found = path.stat()
    stat = Stat(found.st_size, found.st_mtime_ns, found.st_ino)
    answer = Answer("text/plain", b"x" * size, depends=(str(path), stat))
    return Kept(answer, CIMultiDict(), key)


def prepared(answer: Kept) -> Prepared:
    return Prepared(answer, b"HTTP/1.1 200 OK\r\n", b"x", 200, "frames")


def test_what_is_prepared_goes_with_its_answer(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(1 << 20)
    first, second = kept(file, "key"), kept(file, "key")
    cache.put("key", first)
    cache.prepare(b"GET", prepared(first))
    found = cache.recall(b"GET")
    assert found is not None
    assert found.kept is first
    cache.put("key", second)
    assert cache.recall(b"GET") is None
    cache.prepare(b"GET", prepared(first))
    assert cache.recall(b"GET") is None
    cache.prepare(b"GET", prepared(second))
    os.utime(file, ns=(1, 1))
    assert cache.recall(b"GET") is None
    assert cache.recall(b"GET") is None


def test_what_is_prepared_takes_its_room(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(200_000)
    for number in range(100):
        answer = kept(file, str(number))
        cache.put(str(number), answer)
        for each in range(100):
            cache.prepare(b"%d %d" % (number, each) + b" " * 2000, prepared(answer))
    held = [n for n in range(100) for each in range(100) if cache.recall(b"%d %d" % (n, each) + b" " * 2000)]
    assert 0 < len(held) * 4000 < 200_000
    assert max(map(held.count, held)) == MOST_REQUESTS
    for number in range(100):
        cache.put("other" + str(number), kept(file, "other" + str(number), 8000))
    assert not any(cache.recall(b"%d %d" % (n, each) + b" " * 2000) for n in held for each in range(100))
