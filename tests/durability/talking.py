"""What is done to a server over HTTP, and what it promises by its answers.

One rule: an answer counts when it has come whole; a connection that breaks says nothing.
"""

import hashlib
import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from staticwado.ingest.outcome import Reason
from tests.durability.acting import Item
from tests.durability.promises import GONE, Promises

BOUNDARY = "harness-" + "b" * 60
_INSTANCE, _FAILED, _STORED, _OTHERS = "00081155", "00081198", "00081199", "0008119A"
_GONE = (404, 410)


class Lost(Exception):
    """The server is gone, or it is about to go."""


@dataclass(slots=True)
class Ledger:
    """What all clients of a server were promised, and what was found wrong."""

    promises: Promises = field(default_factory=Promises)
    items: dict[str, Item] = field(default_factory=dict)
    """What was last begun to be stored at each place."""
    settled: dict[str, str] = field(default_factory=dict)
    """The content of each place when there was last no doubt about it."""
    touched: set[str] = field(default_factory=set)
    """Places about which something was said since the last look."""
    begun: Counter[str] = field(default_factory=Counter)
    """How often something was begun at each place."""
    wrong: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, place: str, content: str) -> None:
        with self.lock:
            self.touched.add(place)
            self.begun[place] += 1
            self.promises.begin(place, content)

    def keep(self, place: str, content: str) -> None:
        with self.lock:
            self.settled[place] = content
            self.promises.keep(place, content)

    def refuse(self, place: str, content: str) -> None:
        with self.lock:
            if place in self.promises.owed:
                self.promises.refuse(place, content)

    def may(self, place: str) -> frozenset[str]:
        return self.promises.owed.get(place, frozenset([GONE]))

    def blame(self, text: str) -> None:
        with self.lock:
            self.wrong.append(f"{text} ({datetime.now():%H:%M:%S.%f})")


class Client:
    """One client with a connection; raises Lost."""

    def __init__(self, port: int, ledger: Ledger) -> None:
        self.ledger = ledger
        self.doubted = False
        """Whether the server may say that it is stopping."""
        self.refusals: list[int] | None = None
        """Where refusals are expected, those that came: 503, or reasons for which an instance failed."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def close(self) -> None:
        self._connection.close()

    def repeat(self, act: Callable[[], None], stop: threading.Event) -> None:
        """Do `act` until `stop` is set, again when the server broke it off."""
        while not stop.is_set():
            try:
                act()
            except Lost:
                stop.wait(0.01)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body. A fault of the server is blamed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, f"/dicomweb/{path}", body, named)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Lost(str(error)) from error
        if response.status >= 500:
            if response.status == 503 and self.refusals is not None:
                self.refusals.append(503)
            elif response.status == 503 and self.doubted:
                raise Lost("503")
            else:
                self.ledger.blame(f"{method} {path}: {response.status} {answer[:300]!r}")
        return response.status, answer

    # -- changing --------------------------------------------------------------------------------------------

    def store(self, items: Sequence[Item], path: str = "studies") -> list[Item]:
        """Store `items` by one request; those that are in, by what the answer says."""
        for one in items:
            self.ledger.items[one.place] = one
            self.ledger.begin(one.place, one.sha256)
        parts = [
            b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), one.data)
            for one in items
        ]
        body = b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        status, answer = self.ask("POST", path, body, Content_Type=kind, Accept="application/dicom+json")
        if status not in (200, 202, 409) and b"00081197" not in answer:
            return []
        said = json.loads(answer)
        failed = {_uid(one): one["00081197"]["Value"][0] for one in _items(said, _FAILED)}
        stored = {_uid(one): one.get("00081196", {}).get("Value", [0])[0] for one in _items(said, _STORED)}
        others = [one["00081197"]["Value"][0] for one in _items(said, _OTHERS)]
        whole = len(stored) == len(items) and not any(stored.values())
        if (status == 200) != whole or (status < 400) != bool(stored):
            self.ledger.blame(f"status {status} of {said}")
        for one in items:  # those that nobody had looked into yet
            if one.uids[2] not in failed and one.uids[2] not in stored and others:
                failed[one.uids[2]] = others.pop()
        return [one for one in items if self._told(one, stored, failed)]

    def _told(self, one: Item, stored: dict[str, int], failed: dict[str, int]) -> bool:
        uid = one.uids[2]
        if uid in stored and not stored[uid]:
            self.ledger.keep(one.place, one.sha256)
            return True
        if uid in stored or failed.get(uid) == Reason.DUPLICATE_SOP_INSTANCE:
            self.ledger.refuse(one.place, one.sha256)
        elif self.refusals is not None and uid in failed:
            self.refusals.append(failed[uid])
        elif not self.doubted:
            self.ledger.blame(f"{one.place} was not stored: {failed.get(uid)}")
        return False

    def delete(self, items: Sequence[Item], level: int = 3) -> bool:
        """Delete the instance, series or study (`level` 3, 2, 1) in which all of `items` are."""
        for one in items:
            self.ledger.begin(one.place, GONE)
        status, answer = self.ask("DELETE", _path(items[0].uids[:level]))
        if status != 204:
            self.ledger.blame(f"DELETE of {items[0].place}: {status} {answer[:200]!r}")
            return False
        for one in items:
            self.ledger.keep(one.place, GONE)
        return True

    # -- looking ---------------------------------------------------------------------------------------------

    def listed(self, one: Item) -> bool:
        """Whether a search finds an instance."""
        status, answer = self.ask("GET", f"{_path(one.uids[:1])}/instances?SOPInstanceUID={one.uids[2]}")
        return status == 200 and bool(json.loads(answer))

    def in_study(self, study: str) -> set[str]:
        """The places of all instances of a study that a search finds."""
        status, answer = self.ask("GET", f"studies/{study}/instances")
        found = json.loads(answer) if status == 200 else []
        return {f"{study}/{one['0020000E']['Value'][0]}/{one['00080018']['Value'][0]}" for one in found}

    def content(self, place: str) -> str | None:
        """The SHA-256 of the file that is given back; GONE where it is told to be; None for 404."""
        path = _path(place.split("/"))
        status, answer = self.ask("GET", path, Accept="application/dicom")
        if status != 200:
            return GONE if status == 410 else None
        return hashlib.sha256(answer).hexdigest()

    def look(self, place: str) -> None:
        """Read all of an instance, and blame what is not whole."""
        before, begun = self.ledger.may(place), self.ledger.begun[place]
        content = self.content(place)
        path = _path(place.split("/"))
        seen = [("metadata", *self.ask("GET", f"{path}/metadata"))]
        if seen[0][1] == 200:
            found: Any = json.loads(seen[0][2])[0]
            if "7FE00010" in found:
                seen.append(("frame", *self.ask("GET", f"{path}/frames/1")))
        after = self.ledger.may(place)
        if self.ledger.begun[place] != begun:
            return  # it may have been gone, and back
        if content is None or content == GONE:
            if GONE not in before | after:
                self.ledger.blame(f"missing for a reader: {place}")
        elif content not in before | after:
            self.ledger.blame(f"not promised to a reader: {place}: {content}")
        for what, status, answer in seen:
            if status in _GONE and GONE in before | after:
                continue
            if status != 200 or not answer:
                self.ledger.blame(f"broken for a reader: {what} of {place}: {status} {answer[:200]!r}")

    def stroll(self, chance: random.Random, studies: Sequence[str]) -> None:
        """Look about as a viewer does."""
        status, answer = self.ask("GET", "studies?includefield=all")
        if status not in (200, 204):
            self.ledger.blame(f"the search for studies: {status}")
        elif status == 200:
            json.loads(answer)
        study = chance.choice(studies)
        places = sorted(self.in_study(study))
        for place in chance.sample(places, min(3, len(places))):
            self.look(place)
        status, answer = self.ask("GET", f"studies/{study}/metadata")
        if status == 200:
            json.loads(answer)
        elif status not in _GONE:
            self.ledger.blame(f"the metadata of {study}: {status}")


def _path(uids: Sequence[str]) -> str:
    return "/".join(f"{name}/{uid}" for name, uid in zip(("studies", "series", "instances"), uids))  # noqa: B905


def _items(said: Any, tag: str) -> list[Any]:
    return list(said.get(tag, {}).get("Value", []))


def _uid(one: Any) -> str:
    return str(one[_INSTANCE]["Value"][0])
