"""The model of a disk: what is durable when, and what a power cut may leave."""

import random

from tests.durability.disk import Cut, Data, Disk, Enter, Leave, Move, Swap, Sync, Tree, hash_of
from tests.durability.losses import Counts, cutoffs, losses

ROOT = 0


def left(disk: Disk) -> set[bytes]:
    """The hashes of all that may be left after the last step."""
    return {hash_of(tree) for tree in trees(disk)}


def trees(disk: Disk) -> list[Tree]:
    *_, last = cutoffs(disk)
    return list(losses(last, 1 << 16, random.Random(0), Counts()))


def new_file(disk: Disk, name: str, data: bytes, folder: int = ROOT) -> int:
    node = disk.new(folder=False)
    disk.do(Enter(folder, name, node), "")
    disk.do(Data(node, 0, data), "")
    return node


def test_nothing_is_durable_before_it_is_synced() -> None:
    disk = Disk()
    new_file(disk, "a", b"data")
    tree: list[Tree] = [{}, {"a": b""}, {"a": b"da"}, {"a": b"\0" * 4}, {"a": b"data"}]
    assert left(disk) == {hash_of(one) for one in tree}


def test_a_synced_file_may_have_no_name() -> None:
    disk = Disk()
    disk.do(Sync(new_file(disk, "a", b"data")), "")
    assert left(disk) == {hash_of({}), hash_of({"a": b"data"})}


def test_a_synced_folder_keeps_names_and_no_data() -> None:
    disk = Disk()
    new_file(disk, "a", b"data")
    disk.do(Sync(ROOT), "")
    assert hash_of({}) not in left(disk)
    assert hash_of({"a": b""}) in left(disk)


def test_everything_synced_is_all_that_can_be_left() -> None:
    disk = Disk()
    new_file(disk, "a", b"data")
    disk.do(Sync(None), "")
    assert left(disk) == {hash_of({"a": b"data"})}


def test_a_name_needs_its_folder() -> None:
    disk = Disk()
    folder = disk.new(folder=True)
    disk.do(Enter(ROOT, "f", folder), "")
    disk.do(Sync(new_file(disk, "a", b"x", folder)), "")
    disk.do(Sync(folder), "")
    assert left(disk) == {hash_of({}), hash_of({"f": None, "f/a": b"x"})}


def test_a_rename_is_there_or_not() -> None:
    disk = Disk()
    disk.do(Sync(new_file(disk, "a", b"new")), "")
    disk.do(Sync(new_file(disk, "b", b"old")), "")
    disk.do(Sync(None), "")
    disk.do(Move(ROOT, "a", ROOT, "b", disk.find("a") or 0), "")
    assert left(disk) == {hash_of({"a": b"new", "b": b"old"}), hash_of({"b": b"new"})}


def test_names_change_places_at_once() -> None:
    disk = Disk()
    one, other = new_file(disk, "a", b"1"), new_file(disk, "b", b"2")
    disk.do(Sync(None), "")
    disk.do(Swap(ROOT, "a", ROOT, "b", one, other), "")
    assert left(disk) == {hash_of({"a": b"1", "b": b"2"}), hash_of({"a": b"2", "b": b"1"})}


def test_what_was_taken_away_may_come_back() -> None:
    disk = Disk()
    node = new_file(disk, "a", b"data")
    disk.do(Sync(None), "")
    disk.do(Leave(ROOT, "a", node), "")
    assert left(disk) == {hash_of({"a": b"data"}), hash_of({})}


def test_an_appended_line_may_be_torn_and_what_was_durable_stays() -> None:
    disk = Disk()
    node = new_file(disk, "a", b"one")
    disk.do(Sync(None), "")
    disk.do(Data(node, 3, b"more"), "")
    contents = {tree["a"] for tree in trees(disk)}
    assert contents == {b"one", b"onemo", b"one\0\0\0\0", b"onemore"}


def test_an_emptied_file_may_still_be_full() -> None:
    disk = Disk()
    node = new_file(disk, "a", b"one")
    disk.do(Sync(None), "")
    disk.do(Cut(node, 0), "")
    assert {tree["a"] for tree in trees(disk)} == {b"one", b""}


def test_where_there_are_too_many_subsets_the_corners_are_tried() -> None:
    disk = Disk()
    for number in range(20):
        new_file(disk, str(number), b"x")
    *_, last = cutoffs(disk)
    counts = Counts()
    found = [hash_of(tree) for tree in losses(last, 200, random.Random(0), counts)]
    assert (counts.subsets, counts.whole, counts.possible) == (200, 0, 2**20 * 4**20)
    assert hash_of({}) in found
    assert hash_of({str(number): b"x" for number in range(20)}) in found
