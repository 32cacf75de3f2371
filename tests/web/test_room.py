"""Memory that requests share."""

import threading

import pytest

from staticwado.errors import Busy, TooMuch
from staticwado.web.room import Room


def test_what_is_more_than_all_of_it_is_refused_at_once() -> None:
    room = Room(10)
    with pytest.raises(TooMuch, match="data set 7"), room.taken(11, "data set 7"):
        pass
    with room.taken(10, "all"):
        pass


def test_who_finds_no_room_for_too_long_is_told_to_come_again() -> None:
    room = Room(10, longest=0.01)
    with room.taken(6, "one"):
        with pytest.raises(Busy), room.taken(5, "other"):
            pass
        with room.taken(4, "a third, which fits"):
            pass
    with room.taken(10, "all of it, now that they have gone"):
        pass


def test_never_is_more_taken_than_there_is_and_all_have_their_turn() -> None:
    room, lock = Room(10), threading.Lock()
    used, most, done = 0, 0, []

    def work(size: int) -> None:
        nonlocal used, most
        for _ in range(50):
            with room.taken(size, "it"):
                with lock:
                    used += size
                    most = max(most, used)
                with lock:
                    used -= size
        done.append(size)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 3, 5, 9, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 2, 3, 5, 9, 10]
    assert most <= 10


def test_what_fails_gives_its_room_back() -> None:
    room = Room(10, longest=0.01)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), room.taken(10, "it"):
            raise ValueError("broken")
