"""Opening an archive as the next start does, and saying what is wrong with it.

One rule: a violation is one of: missing, broken, twice, not promised, not clean.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import StaticWadoError
from staticwado.ingest import trash
from staticwado.ingest.housekeeping import clear_up
from staticwado.ingest.rebuild import Rebuilt
from staticwado.ingest.settle import settle
from staticwado.ingest.verify import VerifyOptions, verify
from tests.durability.acting import resource_at
from tests.durability.disk import Tree
from tests.durability.promises import GONE, Owed

UIDS = tuple[str, str, str]


def lay_out(tree: Tree, root: Path) -> None:
    """Write `tree` to the fresh folder `root`."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path in sorted(tree):
        content = tree[path]
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def start_again(root: Path) -> Archive:
    """What the next start does before it serves or takes in anything."""
    archive = Archive(str(root), create=True)
    archive.create_marker()
    clear_up(archive, timedelta(days=30))
    settle(archive)
    return archive


def visible(archive: Archive) -> list[UIDS]:
    """Every instance that a reader sees."""
    return [
        (study, series, instance)
        for study in archive.studies()
        for series in archive.series(study)
        for instance in archive.instances(study, series)
    ]


def content_of(archive: Archive, uids: UIDS) -> str:
    """The SHA-256 of the file that an instance gives back; raises StaticWadoError or ValueError."""
    dataset = parse_dataset(archive.read(Resource(View.METADATA, *uids))[1:-1])
    if dataset["00080018"]["Value"] != [uids[2]]:
        raise ValueError(f"{uids[2]} holds the metadata of another instance")
    digest = hashlib.sha256()
    rebuilt = Rebuilt(archive, *uids)
    for part in rebuilt.checked():
        digest.update(part)
    if digest.hexdigest() != rebuilt.sha256:
        raise ValueError(f"{uids[2]} gives back another file")
    return digest.hexdigest()


def broken(archive: Archive, when: str) -> tuple[list[str], dict[str, str]]:
    """What is visible and broken, and the content of what is not, by its place."""
    wrong: list[str] = []
    found: dict[str, str] = {}
    for uids in visible(archive):
        try:
            found["/".join(uids)] = content_of(archive, uids)
        except (StaticWadoError, ValueError, KeyError) as error:
            wrong.append(f"broken {when}: {uids}: {type(error).__name__}: {error}")
    return wrong, found


def judge(root: Path, owed: Owed) -> list[str]:
    """What is wrong with the archive in `root` of which `owed` was said, before and after its repair."""
    wrong: list[str] = []
    if (root / layout.MARKER).exists():
        wrong, _ = broken(Archive(str(root)), "before the repair")
    try:
        archive = start_again(root)
    except StaticWadoError as error:
        return [*wrong, f"not started: {type(error).__name__}: {error}"]
    more, found = broken(archive, "after the repair")
    wrong += [*more, *promised(archive, owed, found)]
    names = Counter(place.rpartition("/")[2] for place in found)
    wrong += [f"twice: {name}" for name, count in names.items() if count > 1]
    faults = verify(str(root), VerifyOptions(jobs=1)).findings.faults
    wrong += [f"not clean: {one.key}: {one.detail}" for one in faults]
    if archive.pending():
        wrong.append(f"not clean: owed still: {archive.pending()}")
    return wrong


def promised(archive: Archive, owed: Owed, found: dict[str, str]) -> Iterator[str]:
    """What `found`, contents by place, has that it may not have, and lacks that it must have."""
    none = frozenset([GONE])
    for place in {*owed, *found}:
        may, content = owed.get(place, none), found.get(place, GONE)
        if content in may:
            continue
        if content == GONE:
            yield f"missing: {place}"
        else:
            yield f"not promised: {place} is {content}, and may be {sorted(may)}"
    for place, may in owed.items():
        if may == none and not trash.was_deleted(archive, resource_at(place.split("/"))):
            yield f"not gone: it is not told that {place} was deleted"


def space() -> Path:
    """A folder in memory, where the system has one."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))
