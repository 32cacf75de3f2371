"""A client that stores and deletes without end, on its own and in contest with others."""

import random
import threading
from collections.abc import Callable

from tests import factories
from tests.durability.acting import Item
from tests.durability.talking import Client

_LARGE = 1100
"""Rows and columns of an image that is too large to be kept in memory on its way."""


class Writer:
    """One client that stores and deletes until it is told to stop, or the server is gone."""

    def __init__(
        self,
        client: Client,
        new: Callable[..., list[Item]],
        deleted: list[list[Item]],
        contested: list[Item],
        mode: str,
        chance: random.Random,
    ) -> None:
        """`new` makes instances, `deleted` takes what was; `mode`: what becomes of other content."""
        self.client = client
        self._new = new
        self._deleted = deleted
        self._contested = contested
        self._mode = mode
        self._chance = chance
        self._mine: list[Item] = []
        """What is in, and nobody else's."""

    def run(self, stop: threading.Event) -> None:
        acts = [self._one, self._one, self._several, self._large, self._other, self._contest, self._remove]
        acts += [self._remove, self._series, self._back]
        try:
            self.client.repeat(lambda: self._chance.choice(acts)(), stop)
        except Exception as error:
            self.client.ledger.blame(f"a client failed: {type(error).__name__}: {error}")
        finally:
            self.client.close()

    def _store(self, items: list[Item], path: str = "studies") -> None:
        stored = self.client.store(items, path)
        self._mine += stored
        if stored and self._chance.random() < 0.3:
            one = self._chance.choice(stored)
            if not self.client.listed(one):
                self.client.ledger.blame(f"a search does not find what was stored: {one.place}")

    def _one(self) -> None:
        [one] = self._new()
        self._store([one], self._chance.choice(["studies", f"studies/{one.uids[0]}"]))

    def _several(self) -> None:
        self._store(self._new(self._chance.randint(2, 5)))

    def _large(self) -> None:
        if self._chance.random() < 0.5:
            self._store(self._new(side=_LARGE))

    def _take(self) -> Item | None:
        return self._mine.pop(self._chance.randrange(len(self._mine))) if self._mine else None

    def _other(self) -> None:
        """Store other content where there is some."""
        old = self._take()
        if old is None:
            return
        comment = f"other than {old.sha256[:8]}"
        again = Item(old.uids, _with_comment(old, comment))
        stored = self.client.store([again])
        if bool(stored) != (self._mode == "replace"):
            self.client.ledger.blame(f"onConflict {self._mode}: {again.place} was stored: {bool(stored)}")
        self._mine += stored

    def _contest(self) -> None:
        if self._contested:
            one = self._chance.choice(self._contested)
            self.client.store([Item(one.uids, _with_comment(one, f"by {id(self)}"))])

    def _remove(self) -> None:
        one = self._take()
        if one is not None and self.client.delete([one]):
            self._deleted.append([one])
            if self._chance.random() < 0.3 and self.client.listed(one):
                self.client.ledger.blame(f"a search finds what was deleted: {one.place}")

    def _series(self) -> None:
        """Store a series of our own, and delete it."""
        items = self._new(2, series=1_000_000 + self._chance.randrange(1 << 40))
        if len(self.client.store(items)) == 2 and self.client.delete(items, level=2):
            self._deleted.append(items)

    def _back(self) -> None:
        """Store again what we have deleted."""
        one = self._take()
        if one is not None and self.client.delete([one]):
            self._store([one])


def _with_comment(one: Item, comment: str) -> bytes:
    return factories.instance(
        StudyInstanceUID=one.uids[0],
        SeriesInstanceUID=one.uids[1],
        SOPInstanceUID=one.uids[2],
        PatientComments=comment,
        EncapsulatedDocument=comment.encode(),
        rows=8,
        columns=8,
        frames=factories.pixels(8, 8, seed=comment),
    )
