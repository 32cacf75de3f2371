"""Answers in memory: bounded, and gone when their file changes."""

import os
from pathlib import Path

from multidict import CIMultiDict

from staticwado.store.local import Stat
from staticwado.web.answer import Answer
from staticwado.web.cache import AnswerCache, Kept


def kept(path: Path, size: int = 10) -> Kept:
    found = path.stat()
    stat = Stat(found.st_size, found.st_mtime_ns, found.st_ino)
    return Kept(Answer("text/plain", b"x" * size, depends=(str(path), stat)), CIMultiDict())


def test_an_answer_is_given_back_while_its_file_is_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(1 << 20)
    answer = kept(file)
    cache.put("key", answer)
    assert cache.get("key") is answer
    os.utime(file, ns=(1, 1))
    assert cache.get("key") is None
    assert cache.get("key") is None


def test_an_answer_goes_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(1 << 20)
    cache.put("key", kept(file))
    file.unlink()
    assert cache.get("key") is None


def test_the_oldest_answer_makes_room(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(200_000)
    for number in range(100):
        cache.put(number, kept(file, 8000))
        cache.get(0)
    held = [number for number in range(100) if cache.get(number) is not None]
    assert 0 in held
    assert 99 in held
    assert len(held) == 200_000 // kept(file, 8000).cost


def test_one_answer_never_takes_all_the_room(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(100_000)
    cache.put("big", kept(file, 50_000))
    assert cache.get("big") is None


def test_what_depends_on_no_file_is_not_kept() -> None:
    cache = AnswerCache(1 << 20)
    cache.put("key", Kept(Answer("text/plain", b"x"), CIMultiDict()))
    assert cache.get("key") is None


def test_without_room_nothing_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    cache = AnswerCache(0)
    cache.put("key", kept(file))
    assert cache.get("key") is None
