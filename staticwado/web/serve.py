"""Listening: sockets, TLS, and an orderly end.

One rule: a busy port, a bad certificate or a missing archive is said before anything is served.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from staticwado.archive import Archive
from staticwado.errors import ConfigurationError, StaticWadoError
from staticwado.ingest.housekeeping import begin, clear_up
from staticwado.web.app import Service
from staticwado.web.auth.guard import check_exposure
from staticwado.web.connection import Server, limit_stalls
from staticwado.web.metrics import Metrics
from staticwado.web.options import ServerOptions
from staticwado.web.settling import Settling

if sys.platform != "win32":
    import resource

log = logging.getLogger("staticwado.web")

DRAIN = 20.0
"""Seconds that answers under way get to finish when the server is told to stop."""
_FILES = 65_536
_BACKLOG = 1024
_THREADS = 64


def make_server(archive: Archive, options: ServerOptions, metrics: Metrics | None = None) -> Server:
    """The server of one process; must be called in a running event loop."""
    return Server(Service(archive, options, metrics or Metrics()), options)


def listen(options: ServerOptions) -> list[socket.socket]:
    """Listening sockets, one a worker. Raises ConfigurationError if the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"host {options.host} cannot be found: {error.strerror}") from error
    # A first socket that shares its port with nobody finds out whether another server is there.
    first = _bound(family, kind, protocol, address, options, share=False)
    if options.workers == 1:
        first.listen(_BACKLOG)
        return [first]
    if not hasattr(socket, "SO_REUSEPORT") or not hasattr(os, "fork"):
        first.close()
        raise ConfigurationError("this system cannot serve with several workers")
    address = (address[0], first.getsockname()[1], *address[2:])
    first.close()
    sockets = [_bound(family, kind, protocol, address, options, share=True) for _ in range(options.workers)]
    for each in sockets:
        each.listen(_BACKLOG)
    return sockets


def _bound(
    family: int, kind: int, protocol: int, address: tuple[object, ...], options: ServerOptions, *, share: bool
) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        place = f"{options.host}:{options.port}"
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"{place} is in use by another program; choose another --port"
            ) from error
        raise ConfigurationError(f"{place} cannot be listened on: {error.strerror}") from error
    limit_stalls(made, options.stall_timeout)
    made.setblocking(False)
    return made


def tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    """The TLS settings, or None to serve plain HTTP. Raises ConfigurationError."""
    if options.tls_cert is None or options.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{options.tls_cert} and {options.tls_key} make no certificate: {error.strerror or error}"
        ) from error
    return context


def url_of(options: ServerOptions, port: int) -> str:
    """The address to show to people."""
    if options.public_url is not None:
        return options.public_url.rstrip("/") + "/"
    scheme = "https" if options.tls_cert is not None else "http"
    host = f"[{options.host}]" if ":" in options.host else options.host
    host = {"0.0.0.0": "localhost", "[::]": "localhost"}.get(host, host)  # noqa: S104
    return f"{scheme}://{host}:{port}/"


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that holds its sockets and has yet to answer."""

    archive: Archive
    options: ServerOptions
    sockets: list[socket.socket]
    tls: ssl.SSLContext | None
    metrics: Metrics

    @property
    def url(self) -> str:
        """Its address, for people."""
        return url_of(self.options, self.sockets[0].getsockname()[1])


def _is_empty(folder: Path) -> bool:
    """Whether a folder is there and holds nothing yet: the beginning of an archive, if storing is on."""
    return folder.is_dir() and next(folder.iterdir(), None) is None


def open_server(options: ServerOptions) -> Listening:
    """Take everything that serving needs. Raises ConfigurationError, which says what cannot be had."""
    check_exposure(options)
    archive = Archive(str(options.dir), create=options.store and _is_empty(options.dir))
    if options.store:
        begin(archive)
    tls = tls_context(options)
    sockets = listen(options)
    return Listening(archive, options, sockets, tls, Metrics(len(sockets)))


def _clear_up(archive: Archive, options: ServerOptions) -> None:
    """Clear up after processes that have died; an archive that can only be read is served all the same."""
    try:
        notes = clear_up(archive, timedelta(days=options.trash_retention))
    except StaticWadoError as error:
        log.warning("what dead processes have left could not be cleared up: %s", error)
        return
    for note in notes:
        log.info("%s", note)


def _nothing() -> None:
    pass


def serve(
    server: Listening,
    row: int = 0,
    ready: Callable[[], None] = _nothing,
    cut_off: Callable[[], None] = _nothing,
) -> None:
    """Answer on socket `row` until SIGTERM or SIGINT; `ready` is called once requests are answered.

    `cut_off` is called when the same signal comes again: it ends the process, whatever is under way.
    """
    server.metrics.use_row(row)
    _clear_up(server.archive, server.options)  # also when a worker follows one that has died
    _allow_files()
    asyncio.run(_serve(server, row, ready, cut_off))


async def _serve(server: Listening, row: int, ready: Callable[[], None], cut_off: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stopped = _until_told(loop, cut_off)
    # Streams may wait for worker processes in these threads; searches and files must not wait behind them.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "blocking"))
    service = Service(server.archive, server.options, server.metrics)
    runner = web.ServerRunner(Server(service, server.options), shutdown_timeout=DRAIN)
    await runner.setup()
    settling = Settling(server.archive, server.options) if row == 0 else None
    try:
        await web.SockSite(runner, server.sockets[row], ssl_context=server.tls).start()
        ready()
        await stopped.wait()
        service.health.draining = True
    finally:
        await runner.cleanup()
        if settling is not None:
            await settling.close()


def _until_told(loop: asyncio.AbstractEventLoop, cut_off: Callable[[], None]) -> asyncio.Event:
    """What is set by SIGTERM or SIGINT; when the same signal comes again, `cut_off` is called."""
    stopped = asyncio.Event()
    told: set[int] = set()

    def stop(number: int) -> None:
        # Not any second one: Ctrl-C reaches a worker from the terminal, and as SIGTERM from its parent.
        if number in told:
            cut_off()
        told.add(number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop, number)
    return stopped


def _allow_files() -> None:
    """Have as many files and connections open as the system allows, where it can be asked."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
