"""What every store does, whatever its bytes lie in; the tests of a store inherit it."""

import pytest

from staticwado.errors import NotFound
from staticwado.store.local import LocalStore

STAGING = ".private/staging"


class StoreContract:
    """Needs a fixture `store`."""

    def test_a_key_that_does_not_exist_is_not_found(self, store: LocalStore) -> None:
        for key in ("a", "a/b", "a/b/c"):
            assert store.stat(key) is None
            with pytest.raises(NotFound):
                store.read(key)
            assert store.names(key) == []
        store.write("a", b"x", STAGING)
        assert store.stat("a/b") is None
        with pytest.raises(NotFound):
            store.read("a/b")

    def test_what_is_written_is_read(self, store: LocalStore) -> None:
        store.write("a/b/c", b"one", STAGING)
        assert store.read("a/b/c") == b"one"
        store.write("a/b/c", b"", STAGING)
        assert store.read("a/b/c") == b""
        found = store.stat("a/b/c")
        assert found is not None
        assert found.size == 0

    def test_names_are_sorted(self, store: LocalStore) -> None:
        for name in ("10", "9", "b", "a"):
            store.write(f"x/{name}", b"", STAGING)
        assert store.names("x") == ["10", "9", "a", "b"]

    def test_removing_twice_is_no_error(self, store: LocalStore) -> None:
        store.write("x", b"1", STAGING)
        store.remove("x")
        store.remove("x")
        assert store.stat("x") is None

    def test_a_staged_file_is_visible_when_published(self, store: LocalStore) -> None:
        staging = store.staging(STAGING)
        staging.write("one", [b"a", bytearray(b"b"), memoryview(b"c")])
        with staging.create("two") as file:
            file.write(b"d")
        assert store.names("x") == []
        store.sync()
        staging.publish_file("one", "x/1")
        staging.publish_file("two", "x/1")
        staging.close()
        assert store.read("x/1") == b"d"
        assert store.names(STAGING) == []

    def test_a_folder_takes_its_place_once(self, store: LocalStore) -> None:
        staging = store.staging(STAGING)
        for name in "ab":
            staging.make_folder(name)
            staging.write(f"{name}/file", [name.encode()])
        assert staging.publish_folder("a", "x/y/z")
        assert not staging.publish_folder("b", "x/y/z")
        assert store.read("x/y/z/file") == b"a"
        staging.take_away("x/y/z", "old")
        staging.take_away("x/y/z", "older")
        assert staging.publish_folder("b", "x/y/z")
        assert store.read("x/y/z/file") == b"b"
        staging.close()

    def test_a_copy_is_made_once_and_the_original_stays(self, store: LocalStore) -> None:
        staging = store.staging(STAGING)
        staging.write("value", [b"v"])
        for key in ("a/v", "b/v", "a/v"):
            staging.publish_copy("value", key)
        staging.close()
        assert store.read("a/v") == store.read("b/v") == b"v"

    def test_a_staging_folder_that_is_closed_leaves_nothing(self, store: LocalStore) -> None:
        staging = store.staging(STAGING)
        staging.make_folder("a")
        staging.write("a/b", [b"x"])
        staging.write("c", [b""])
        staging.discard("c")
        staging.discard("c")
        staging.close()
        staging.close()
        assert store.names(STAGING) == []

    def test_clearing_spares_the_living(self, store: LocalStore) -> None:
        staging = store.staging(STAGING)
        staging.write("a", [b"x"])
        store.clear_staging(STAGING)
        staging.publish_file("a", "a")
        staging.close()
        assert store.read("a") == b"x"
