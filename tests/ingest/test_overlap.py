"""Two archives made apart and copied over each other become one right archive by `index`."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staticwado import layout
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.ingest.catalogue import rebuild
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.ingest.rebuild import read_part10
from staticwado.ingest.settle import index
from staticwado.ingest.verify.run import VerifyOptions, verify
from tests import factories

Make = Callable[..., Path]
BIG = {"side": 32}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes an archive of files."""

    def run(name: str, *files: bytes, catalog: bool = False, **options: object) -> Path:
        folder = tmp_path / f"{name}-in"
        folder.mkdir()
        for number, data in enumerate(files):
            (folder / f"{number}.dcm").write_bytes(data)
        root = tmp_path / name
        chosen = CreateOptions(**{"jobs": 1, "thumbnails": True, **options})  # type: ignore[arg-type]
        report = create(Archive(str(root), create=True), [str(folder)], chosen)
        assert all(one.ok for one in report.outcomes)
        if catalog:
            made = Catalog(str(root / layout.CATALOG))
            rebuild(Archive(str(root)), made)
            made.close()
        return root

    return run


def image(seed: int, frames: int = 1, comment: str = "") -> bytes:
    """Frames that become smaller when they are transcoded."""
    first = seed + len(comment)
    pixels = [
        b"".join(((first + frame + x + y) % 4096).to_bytes(2, "little") for x in range(64) for y in range(64))
        for frame in range(frames)
    ]
    more: dict[str, Any] = {"NumberOfFrames": str(frames)} if frames > 1 else {}
    more |= {"PatientComments": comment} if comment else {}
    return factories.instance(seed=seed, series=1, frames=pixels, rows=64, columns=64, bits=16, **more)


def copy_over(source: Path, target: Path, *, private: bool) -> None:
    """As `cp -r source/. target/.` does it."""
    ignore = None if private else shutil.ignore_patterns(".staticwado")
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore)


def faults(root: Path) -> list[str]:
    return [
        f"{fault.key}: {fault.detail}" for fault in verify(str(root), VerifyOptions(jobs=1)).findings.faults
    ]


def files_of(root: Path) -> set[bytes]:
    archive = Archive(str(root))
    return {
        b"".join(read_part10(archive, study, series, instance))
        for study in archive.studies()
        for series in archive.series(study)
        for instance in archive.instances(study, series)
    }


PLAIN = [image(number) for number in range(1, 5)]
Options = dict[str, object]
CASES: dict[str, tuple[list[bytes], Options, list[bytes], Options, list[bytes]]] = {
    "disjoint studies": ([PLAIN[0]], {}, [factories.instance(study=7)], {}, []),
    "the same study, other instances": (PLAIN[:2], {}, PLAIN[2:], {}, []),
    "the same instances": (PLAIN, {}, PLAIN, {}, []),
    "the second one transcoded": (PLAIN, {}, PLAIN[1:], {"transcode": "htj2k"}, []),
    "the first one transcoded": (PLAIN[:3], {"transcode": "htj2k"}, PLAIN, {}, []),
    "both transcoded, otherwise": (PLAIN, {"transcode": "htj2k"}, PLAIN, {"transcode": "jls"}, []),
    "without thumbnails": (PLAIN, {}, [image(1, comment="other")], {"thumbnails": False}, [PLAIN[0]]),
    "other content": (PLAIN, {}, [image(1, comment="other")], {}, [PLAIN[0]]),
    "other content, otherwise kept": (
        PLAIN,
        {},
        [image(1, comment="other")],
        {"transcode": "jls"},
        [PLAIN[0]],
    ),
    "fewer frames": ([image(9, 5)], {}, [image(9, 3, "other")], {}, [image(9, 5)]),
    "more frames": ([image(9, 3)], {}, [image(9, 5, "other")], {}, [image(9, 3)]),
    "fewer frames, otherwise kept": (
        [image(9, 5)],
        {"transcode": "htj2k"},
        [image(9, 3, "other")],
        {},
        [image(9, 5)],
    ),
}


@pytest.mark.parametrize("private", [True, False], ids=["with .staticwado", "without"])
@pytest.mark.parametrize("case", CASES)
def test_what_was_copied_over_becomes_one_right_archive(make: Make, case: str, private: bool) -> None:
    first, how, second, otherwise, lost = CASES[case]
    target = make("first", *first, catalog=True, **how)
    assert bool(list(target.rglob("*.j*.mht"))) == ("transcode" in how)
    copy_over(make("second", *second, catalog=private, **otherwise), target, private=private)
    done = index(Archive(str(target)))
    assert done.faults == []
    assert faults(target) == []
    assert files_of(target) == {*first, *second} - set(lost)
    again = index(Archive(str(target)))
    assert [note for note in again.notes if "lie in" in note] == []
    catalog = Catalog(str(target / layout.CATALOG))
    assert catalog.is_complete()
    assert {study for study, _ in catalog.stamps()} == set(Archive(str(target)).studies())


def test_a_journal_that_was_copied_along_is_no_harm(make: Make) -> None:
    target, source = make("first", *PLAIN[:2]), make("second", *PLAIN[2:])
    archive = Archive(str(source))
    archive.mark_pending(factories.uid("study", 0), [(factories.uid("series", 0, 1), "1.2.3")])
    copy_over(source, target, private=True)
    assert index(Archive(str(target))).faults == []
    assert faults(target) == []
    assert Archive(str(target)).pending() == []


def test_metadata_without_their_frames_are_named_and_nothing_is_moved(make: Make) -> None:
    target, source = make("first", *PLAIN), make("second", *PLAIN, transcode="htj2k")
    for path in source.rglob("*.mht"):
        path.unlink()
    copy_over(source, target, private=False)
    before = sorted(path for path in target.rglob("*.mht"))
    done = index(Archive(str(target)))
    assert len(done.faults) == 4
    assert all("lacks 1 of its 1 frames" in fault for fault in done.faults)
    assert sorted(path for path in target.rglob("*.mht")) == before
    assert faults(target)


def test_what_is_moved_aside_is_kept_and_told(make: Make) -> None:
    target = make("first", image(9, 5))
    before = (next(target.rglob("frames/5.mht"))).read_bytes()
    copy_over(make("second", image(9, 3, "other")), target, private=False)
    [note] = [note for note in index(Archive(str(target))).notes if "belong to no instance" in note]
    assert "frames/5.mht" in note
    [kept] = (target / layout.ASIDE).rglob("frames/5.mht")
    assert kept.read_bytes() == before
