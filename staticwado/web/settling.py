"""The process that settles behind a server: started with it, told to finish with it.

One rule: not in a process that answers, as it would hold up the answers; the server never waits for it but
for a bounded time at the end.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from staticwado.archive import Archive
from staticwado.ingest.background import LOCK, Settler, is_writable
from staticwado.ingest.catalogue import open_catalog
from staticwado.web.options import ServerOptions

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

log = logging.getLogger("staticwado.web")

FINISH = 20.0
"""Seconds that it gets, when the server ends, to make what is owed."""
_LOOK = 0.5
"""Seconds between two looks at what is owed."""


class Settling:
    """The settler of a server process; nothing where the options say so or the archive can only be read."""

    def __init__(self, archive: Archive, options: ServerOptions) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection[Any, Any] | None = None
        if options.settle_after <= 0 or not is_writable(archive):
            return
        # Not by forking: this process has threads.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        given = (theirs, archive.root, str(options.catalog_file), options.settle_after)
        self._process = context.Process(target=_work, args=given, daemon=True, name="staticwado settler")
        try:
            self._process.start()
        except OSError as error:
            log.error("nothing settles what is owed, as no process can be started: %s", error.strerror)
            self._process = None
        finally:
            theirs.close()

    async def close(self) -> None:
        """Have what is owed made, for as long as `FINISH` allows; the rest is made at the next start."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._process is None or self._pipe is None:
            return
        self._pipe.close()  # which tells it to finish
        self._process.join(FINISH)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _work(pipe: "Connection[Any, Any]", root: str, catalog: str, after: float) -> None:
    """Settle until the server closes its end of `pipe`, then once more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the server says when it ends
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    archive = Archive(root)
    with contextlib.ExitStack() as stack:
        # One settler for all servers of an archive; the next takes over when this one ends.
        while not stack.enter_context(archive.try_lock(LOCK)):
            stack.pop_all().close()
            if pipe.poll(_LOOK):
                return
        settler = Settler(archive, open_catalog(catalog), after)
        while not pipe.poll(0 if settler.look() else _LOOK):
            pass
        settler.finish()


def _end_with_parent() -> None:
    """End this process soon after its server, whatever ended that; it is safe at any moment."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)
