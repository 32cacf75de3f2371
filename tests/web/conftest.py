"""A server over a tiny archive, asked through a real socket."""

import asyncio
import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from staticwado.archive import Archive
from staticwado.web.options import ServerOptions
from staticwado.web.serve import listen, make_server
from tests.web.tree import Tree, make_tree


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        assert self.headers["Content-Type"] == "application/json"
        return str(self.json["error"])


@dataclass
class Client:
    """Asks a server in plain HTTP; header names in replies are lower case."""

    port: int
    sockets: list[http.client.HTTPConnection] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            found = _Headers({name.lower(): value for name, value in response.getheaders()})
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """A path below the DICOMweb service."""
        return self.ask(f"/dicomweb/{path}", **headers)


class _Headers(dict[str, str]):
    def __missing__(self, name: str) -> str:
        if name == name.lower():
            raise KeyError(name)
        return self[name.lower()]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


class Running:
    """A server in a thread of its own."""

    def __init__(self, options: ServerOptions, is_open: bool = True) -> None:
        # Most tests are about what is answered, by whatever name the server is called.
        self._options = replace(options, open=is_open and options.auth is None)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> Client:
        self._thread.start()
        assert self._ready.wait(30)
        return Client(self._port)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(30)

    async def _run(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        [listening] = listen(self._options)
        self._port = listening.getsockname()[1]
        runner = web.ServerRunner(make_server(Archive(str(self._options.dir)), self._options))
        await runner.setup()
        await web.SockSite(runner, listening).start()
        self._ready.set()
        await self._stopped.wait()
        await runner.cleanup()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """An archive that no test changes."""
    return make_tree(tmp_path_factory.mktemp("web") / "archive")


StartServer = Callable[..., Client]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts servers over an archive, with the options given."""
    running: list[Running] = []

    def start(root: Path, **options: Any) -> Client:
        is_open = options.pop("open", True)
        running.append(Running(ServerOptions(dir=root, port=0, **options), is_open))
        return running[-1].start()

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="session")
def server(tree: Tree) -> Iterator[Client]:
    """A server with the default options over the archive that no test changes."""
    running = Running(ServerOptions(dir=tree.root, port=0))
    yield running.start()
    running.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive with nothing in it."""
    Archive(str(tmp_path / "archive"), create=True).create_marker()
    return tmp_path / "archive"


@pytest.fixture
def client(root: Path, start_server: StartServer) -> Client:
    """A server over it."""
    return start_server(root)
