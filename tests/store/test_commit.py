"""Syncing together: how many syncs there are, and who is told of a failure."""

import threading

import pytest

from staticwado.errors import StoreUnavailable
from staticwado.store.commit import GroupSync


class Disk:
    """Something to sync that waits where it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.failing = False
        self.closed = False

    def sync(self) -> None:
        self.begun.release()
        self.go_on.acquire()
        if self.failing:
            raise StoreUnavailable("Input/output error")

    def close(self) -> None:
        self.closed = True


def test_who_comes_while_a_sync_runs_shares_the_next_one() -> None:
    disk = Disk()
    group = GroupSync(disk)
    done: list[int] = []

    def work(number: int) -> None:
        group.wait(group.begin())
        done.append(number)

    first = threading.Thread(target=work, args=(0,))
    first.start()
    disk.begun.acquire()
    others = [threading.Thread(target=work, args=(number,)) for number in range(1, 50)]
    for thread in others:
        thread.start()
    while group.waiting < 49:
        pass
    assert done == []
    disk.go_on.release()
    disk.begun.acquire()
    first.join()
    assert done == [0]  # the others wrote after that sync had begun
    disk.go_on.release()
    for thread in others:
        thread.join()
    assert sorted(done) == list(range(50))
    assert group.syncs == 2
    group.close()
    assert disk.closed


def test_a_failure_is_told_to_all_who_had_begun_and_to_nobody_else() -> None:
    disk = Disk()
    group = GroupSync(disk)
    early, late = group.begin(), group.begin()
    disk.failing = True
    disk.go_on.release()
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        group.wait(early)
    disk.failing = False
    disk.go_on.release()
    with pytest.raises(StoreUnavailable):  # its data may have been what was lost
        group.wait(late)
    disk.go_on.release()
    group.wait(group.begin())


def test_an_interrupt_is_no_sync() -> None:
    class Interrupted:
        def sync(self) -> None:
            raise KeyboardInterrupt

        def close(self) -> None:
            return

    group = GroupSync(Interrupted())
    mark = group.begin()
    with pytest.raises(KeyboardInterrupt):
        group.wait(mark)
    assert group.begin() != mark
