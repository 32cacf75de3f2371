"""A server and commands beside it on one archive, killed again and again, and looked at after each restart.

One rule: between two lives nothing is repaired by hand; what the next server does by itself has to be enough.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from staticwado import layout
from staticwado.archive import Archive
from staticwado.cli import workers
from staticwado.dicomweb.resource import Resource, View
from staticwado.ingest import trash
from staticwado.ingest.verify import VerifyOptions, verify
from tests.durability.acting import Item, item
from tests.durability.judging import broken, promised
from tests.durability.killing import Kills
from tests.durability.programs import KEEPER, SERVER, Program, until
from tests.durability.promises import GONE
from tests.durability.talking import Client, Ledger, Lost
from tests.durability.writers import Writer

WRITERS, READERS = 3, 1
SHARED = 2
"""Studies into which all write."""


@dataclass(slots=True)
class Season:
    """An archive over several lives of its server."""

    root: Path
    chance: random.Random
    forked: bool = True
    ledger: Ledger = field(default_factory=Ledger)
    deleted: list[list[Item]] = field(default_factory=list)
    """What clients have deleted by one request, and nobody has stored again."""
    kills: Kills = field(default_factory=Kills)
    restarts: int = 0
    _seed: int = 0

    def new(
        self, count: int = 1, *, study: int | None = None, series: int | None = None, side: int = 8
    ) -> list[Item]:
        """Instances that nobody has sent yet, for one of the shared studies if `study` names no other."""
        with self.ledger.lock:
            first, self._seed = self._seed, self._seed + count
        study = first % SHARED if study is None else study
        series = self.chance.randrange(3) if series is None else series
        return [item(first + one, study=study, series=series, side=side) for one in range(count)]

    def studies(self) -> list[str]:
        return sorted({place.partition("/")[0] for place in self.ledger.promises.owed}) or ["2.25.1"]

    def serve(self, *arguments: str, reborn: bool = False) -> Program:
        """Start a server; `reborn`: one that follows up workers that die young, too."""
        given = ["--dir", str(self.root), "--port", "0", "--workers", "2", "--delete", "--min-free", "0"]
        self.restarts += 1
        said = self.root.parent / f"server-{self.restarts}.txt"
        kept, workers.QUICK_DEATH = workers.QUICK_DEATH, 0.0 if reborn else workers.QUICK_DEATH
        try:
            return Program.start(SERVER, [*given, *arguments], said, forked=self.forked)
        finally:
            workers.QUICK_DEATH = kept

    def command(self, name: str, *arguments: str) -> Program:
        said = self.root.parent / f"{name}-{self.restarts}.txt"
        return Program.start(KEEPER, [name, *arguments, "--dir", str(self.root)], said, forked=self.forked)

    def commands(self) -> list[tuple[Program, list[tuple[Item, str]]]]:
        """Commands that begin now, with what they promise if they end well."""
        begun = []
        if self.chance.random() < 0.5:
            begun.append(self._create())
        if self.deleted and self.chance.random() < 0.4:
            restoring = self._restore(self.deleted.pop())
            if restoring is not None:
                begun.append(restoring)
        if self.chance.random() < 0.25:
            known = [self.ledger.items[one] for one, may in self._sure() if may != GONE]
            if known:
                begun.append(self._delete(self.chance.choice(known)))
        return begun

    def _sure(self) -> list[tuple[str, str]]:
        return sorted((place, min(may)) for place, may in self.ledger.promises.owed.items() if len(may) == 1)

    def _create(self) -> tuple[Program, list[tuple[Item, str]]]:
        coded = self.chance.random() < 0.5
        items = self.new(30 if coded else 6, study=self.chance.randrange(SHARED + 1))
        sources = self.root.parent / f"sources-{self._seed}"
        sources.mkdir()
        for number, one in enumerate(items):
            (sources / f"{number}.dcm").write_bytes(one.data)
            self.ledger.items[one.place] = one
            self.ledger.begin(one.place, one.sha256)
        options = ["--transcode", "jls"] if coded else []
        program = self.command("create", str(sources), "--jobs", "2", *options)
        return program, [(one, one.sha256) for one in items]

    def _restore(self, items: list[Item]) -> tuple[Program, list[tuple[Item, str]]] | None:
        archive = Archive(str(self.root))
        folder = layout.folder_of(*items[0].uids)  # with the last instance its series or its study went
        entries = [
            one
            for one in trash.entries(archive)
            if one.reason == "deleted" and archive.store.stat(one.content(folder)) is not None
        ]
        if not entries:
            self.ledger.blame(f"the trash has lost {items[0].place}")
            return None
        for one in items:
            self.ledger.begin(one.place, one.sha256)
        return self.command("restore", entries[-1].id), [(one, one.sha256) for one in items]

    def _delete(self, one: Item) -> tuple[Program, list[tuple[Item, str]]]:
        self.ledger.begin(one.place, GONE)
        return self.command("delete", one.place), [(one, GONE)]

    def live(self, longest: float = 1.6, early: float = 0.15) -> None:
        """Start everything, kill it, look at what is left, start the server again and look once more.

        `longest`: seconds; `early`: how probably it is killed while it starts.
        """
        mode = self.chance.choice(["refuse", "refuse", "keep", "replace"])
        settling = self.chance.choice(["0.1", "0.3", "2"])
        reborn = self.chance.random() < 0.5
        server = self.serve("--on-conflict", mode, "--settle-after", settling, reborn=reborn)
        commands = self.commands()
        try:
            if self.chance.random() < early:
                time.sleep(self.chance.random() * 0.6)  # while it starts
            else:
                self._busy(server, mode, commands, longest)
        finally:
            self._count(server.kill())
            for program, _ in commands:
                self._count(program.kill())
        for program, promise in commands:
            self._told(program, promise)
        self.look_at_rest()
        self.look_again()

    def _kill(self, program: Program) -> None:
        self._count(program.kill())

    def _count(self, killed: bool) -> None:
        self.kills.kills += killed
        self.kills.ended += not killed

    def _busy(
        self,
        server: Program,
        mode: str,
        commands: list[tuple[Program, list[tuple[Item, str]]]],
        longest: float,
    ) -> None:
        port, stop = server.port(), threading.Event()
        contested = self.new(2, study=0) if mode == "refuse" else []
        clients = [Client(port, self.ledger) for _ in range(WRITERS + READERS)]
        threads = [threading.Thread(target=self._stroll, args=(one, stop)) for one in clients[WRITERS:]]
        for client in clients[:WRITERS]:
            own = random.Random(self.chance.random())
            writer = Writer(client, self.new, self.deleted, contested, mode, own)
            threads.append(threading.Thread(target=writer.run, args=(stop,)))
        for one in threads:
            one.start()
        try:
            for when, act in self._fates(server, commands, longest, clients):
                time.sleep(max(0.0, when - time.monotonic()))
                act()
        finally:
            self._count(server.kill())
            stop.set()
            for one in threads:
                one.join()

    def _stroll(self, client: Client, stop: threading.Event) -> None:
        chance = random.Random(self.chance.random())
        try:
            client.repeat(lambda: client.stroll(chance, self.studies()), stop)
        finally:
            client.close()

    def _fates(
        self,
        server: Program,
        commands: list[tuple[Program, list[tuple[Item, str]]]],
        longest: float,
        clients: list[Client],
    ) -> list[tuple[float, Callable[[], None]]]:
        """What happens when, in its order; the server is killed after the last."""
        now, chance = time.monotonic(), self.chance
        found: list[tuple[float, Callable[[], None]]] = [(now + chance.random() * longest, lambda: None)]
        for program, _ in commands:
            if chance.random() < 0.7:
                found.append((now + chance.random() * longest, partial(self._kill, program)))
        if chance.random() < 0.3:
            found.append((now + chance.random() * longest, lambda: self._kill_one(server.settlers())))
        if chance.random() < 0.2:
            found.append((now + chance.random() * longest, lambda: self._pause(server)))
        for _ in range(chance.choice([0, 0, 1, 2])):

            def kill_worker() -> None:
                for client in clients:
                    client.doubted = True
                self._kill_one(server.workers())

            found.append((now + chance.random() * longest, kill_worker))
        return sorted(found, key=lambda one: one[0])

    def _kill_one(self, pids: list[int]) -> None:
        for pid in pids[:1] if self.chance.random() < 0.5 else pids[-1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # of the session that was started here, which is still alive
                self.kills.kills += 1

    def _pause(self, server: Program) -> None:
        os.killpg(server.pid, signal.SIGSTOP)
        time.sleep(0.05)
        os.killpg(server.pid, signal.SIGCONT)

    def _told(self, program: Program, promise: list[tuple[Item, str]]) -> None:
        """What a command has promised by its exit code."""
        if program.code == 0:
            for one, content in promise:
                self.ledger.keep(one.place, content)
        elif program.code != -signal.SIGKILL:
            text = program.said.read_text(errors="replace")[-2000:]
            self.ledger.blame(f"{program.said.name} ended with {program.code}: {text}")

    def look_at_rest(self) -> None:
        """Read everything that is visible, before anything is repaired."""
        if (self.root / "staticwado.json").exists():
            for line in broken(Archive(str(self.root)), "before the repair")[0]:
                self.ledger.blame(line)

    def look_again(self) -> None:
        """Start the server, ask it for all that was touched, and leave it: killed."""
        server = self.serve("--settle-after", self.chance.choice(["0.1", "2", "0"]))
        client = Client(server.port(), self.ledger)
        try:
            self._ask(client)
        except Lost as error:
            said = server.said.read_text(errors="replace")[-2000:]
            self.ledger.blame(f"after a restart the server went away: {error}: {said}")
        finally:
            client.close()
            self._count(server.kill())

    def _ask(self, client: Client) -> None:
        ledger = self.ledger
        found: dict[str, set[str]] = {}
        for place in sorted(ledger.touched):
            study = place.partition("/")[0]
            if study not in found:
                found[study] = client.in_study(study)
            content = client.content(place)
            may = ledger.may(place)
            if not content and GONE in may and place not in ledger.settled:
                ledger.promises.forget(place)  # it was never in; its series may have been, and be gone
            elif content is None:
                ledger.blame(f"not found after a restart: {place}, which may be {sorted(may)}")
            elif content not in may:
                ledger.blame(f"after a restart {place} is {content!r}, and may be {sorted(may)}")
            else:
                ledger.keep(place, content)
            if (place in found[study]) != bool(content):
                ledger.blame(f"the search after a restart is wrong about {place}: {content!r}")
        for place in self.chance.sample(sorted(ledger.touched), min(10, len(ledger.touched))):
            client.look(place)
        ledger.touched.clear()

    def end(self) -> list[str]:
        """Let a server repair what it repairs by itself, and judge all of the archive; what is wrong."""
        server = self.serve("--settle-after", "0.1")
        try:
            server.port()
            archive = Archive(str(self.root))
            index = self.root / ".staticwado" / "pending" / "studies"
            until(lambda: None if archive.pending() or index.exists() else True, 60, "what is owed")
            faults = verify(str(self.root), VerifyOptions(jobs=1)).findings.faults
        finally:
            self._count(server.kill())
        wrong = [f"not clean: {one.key}: {one.detail}" for one in faults]
        lines, found = broken(archive, "in the end")
        wrong += [*lines, *promised(archive, self.ledger.promises.owed, found)]
        entries = archive.read_json(Resource(View.STUDIES)) if found else []
        counted = sum(int(one["00201208"]["Value"][0]) for one in entries)
        if counted != len(found):
            wrong.append(f"the index counts {counted} instances, and there are {len(found)}")
        return [*self.ledger.wrong, *wrong]
