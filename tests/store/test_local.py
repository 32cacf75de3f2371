"""The store in a folder: the contract, and what only file systems do."""

import errno
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from staticwado.errors import StoreUnavailable
from staticwado.store.local import LocalStore, NoStaging
from tests.store.contract import STAGING, StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    root = tmp_path / "root"
    root.mkdir()
    return LocalStore(root)


class TestLocalStore(StoreContract):
    """The contract."""


def test_a_write_that_fails_leaves_the_old_bytes_and_nothing_else(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("x", b"old", STAGING)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.write("x", b"new", STAGING)
    assert store.read("x") == b"old"
    assert store.names(STAGING) == []


def test_a_root_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    store = LocalStore(tmp_path / "file")
    with pytest.raises(StoreUnavailable):
        store.write("x", b"new", STAGING)
    with pytest.raises(StoreUnavailable):
        store.staging(STAGING)


def test_what_the_system_refuses_is_unavailable_not_missing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    def lock(key: str) -> None:
        with store.lock(key):
            pass

    calls: dict[str, Callable[[str], object]] = {
        "stat": store.stat,
        "listdir": store.names,
        "unlink": store.remove,
        "open": lock,
    }
    for name, call in calls.items():
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            with pytest.raises(StoreUnavailable, match="Permission denied"):
                call("x")
    (Path(store.root) / "folder").mkdir()
    with pytest.raises(StoreUnavailable):
        store.read("folder")


def test_a_copy_without_hard_links_is_a_copy(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    staging = store.staging(STAGING)
    staging.write("value", [b"v"])
    staging.publish_copy("value", "a/v")
    staging.close()
    assert store.read("a/v") == b"v"


def test_short_writes_are_gone_on_with(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.writev

    def short(descriptor: int, buffers: Any) -> int:
        return usual(descriptor, [b"".join(buffers)[:4]])

    monkeypatch.setattr(os, "writev", short)
    staging = store.staging(STAGING)
    staging.write("x", [b"012", b"345", b"", b"678"])
    staging.publish_file("x", "x")
    staging.close()
    assert store.read("x") == b"012345678"


def test_free_space_is_that_of_the_folder_that_exists(tmp_path: Path) -> None:
    assert LocalStore(tmp_path / "not" / "yet").free_bytes() > 0


def test_a_lock_is_held_alone_or_shared(store: LocalStore) -> None:
    order = []

    def alone() -> None:
        with store.lock("locks/x"):
            order.append("alone")

    with store.lock("locks/x", shared=True), store.lock("locks/x", shared=True):
        other = threading.Thread(target=alone)
        other.start()
        order.append("shared")
    other.join()
    assert order == ["shared", "alone"]


def _have_alone(root: str, asked: Any) -> None:
    store = LocalStore(root)
    asked.set()
    with store.lock("locks/x"):
        store.append("order", b"alone ")


def test_who_waits_to_have_a_lock_alone_comes_before_those_who_come_to_share_it(store: LocalStore) -> None:
    context = multiprocessing.get_context("spawn")
    asked = context.Event()
    process = context.Process(target=_have_alone, args=(store.root, asked))

    def share() -> None:
        with store.lock("locks/x", shared=True):
            store.append("order", b"second ")

    with store.lock("locks/x", shared=True):
        process.start()
        asked.wait()
        while not os.path.exists(store.path("locks/x.turn")):
            assert process.is_alive()
        later = threading.Thread(target=share)
        later.start()
        later.join(0.2)  # that it is still waiting proves nothing; what the file says afterwards does
        store.append("order", b"first ")
    later.join()
    process.join()
    assert store.read("order") == b"first alone second "
    assert store.names("locks") == ["x"]


def test_a_lock_is_given_back_after_an_error(store: LocalStore) -> None:
    with pytest.raises(KeyError), store.lock("x"):
        raise KeyError
    with store.lock("x"):
        pass


def test_what_is_staged_for_nothing_is_nowhere(store: LocalStore) -> None:
    staging = NoStaging(store)
    staging.make_folder("a")
    staging.write("a/b", [b"x"])
    with staging.create("c") as file:
        file.write(b"x")
    staging.rename("c", "d")
    staging.discard("a")
    staging.close()
    assert list(Path(store.root).iterdir()) == []


def test_entries_say_what_lies_in_a_folder(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a/file", b"123", STAGING)
    root = Path(store.root)
    (root / "a" / "folder").mkdir()
    (root / "a" / "lost").symlink_to("nowhere")
    (root / "a" / "to").symlink_to("folder")
    found = [(one.name, one.is_folder, one.is_file, one.size) for one in store.entries("a")]
    assert found == [
        ("file", False, True, 3),
        ("folder", True, False, 0),
        ("lost", False, False, 0),
        ("to", True, False, 0),
    ]
    assert store.entries("b") == store.entries("a/file") == []
    assert "a" in [one.name for one in store.entries("")]

    def refuse(path: str) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        store.entries("a")


def test_a_reader_shares_a_lock_only_where_it_is(store: LocalStore) -> None:
    with store.shared_lock_if_there("locks/x") as held:
        assert not held
    assert not (Path(store.root) / "locks").exists()
    order = []

    def alone() -> None:
        with store.lock("locks/x"):
            order.append("alone")

    with store.lock("locks/x"):
        pass
    with store.shared_lock_if_there("locks/x") as held:
        other = threading.Thread(target=alone)
        other.start()
        order.append("shared")
    other.join()
    assert held
    assert order == ["shared", "alone"]


def test_many_that_wait_to_have_a_lock_alone_all_get_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    got: list[int] = []

    def work(number: int) -> None:
        for _ in range(400):
            with store.lock("locks/one"):
                got.append(number)

    with ThreadPoolExecutor(12) as threads:
        for done in [threads.submit(work, number) for number in range(12)]:
            done.result()
    assert len(got) == 12 * 400
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == ["one"]
