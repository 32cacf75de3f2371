"""strace as a second witness: what the kernel was asked to write below the archive, against the record of it.

One rule: the record is believed only as far as the kernel says the same, call by call and byte by byte.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from staticwado.errors import StaticWadoError
from tests.durability.acting import Site
from tests.durability.calls import Calls
from tests.durability.disk import Disk
from tests.durability.promises import Promises
from tests.durability.watching import watched
from tests.durability.workloads import WORKLOADS

Tally = collections.Counter[str]
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_TRACED = (
    "open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,sendfile,copy_file_range,splice,"
    "mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,"
    "mknodat,truncate,ftruncate,fallocate,chmod,fchmod,fchmodat,chown,fchown,fchownat,utimensat,setxattr,"
    "fsetxattr,ioctl"
)
_DATABASES = re.compile(r"/\.staticwado/(sources|index)\.sqlite")
_CALL = re.compile(r"(\w+)\((.*)\) = (-?\d+|0x[0-9a-f]+)(<[^>]*>)?")
_FILE = re.compile(r"^\d+<([^>]*)>")
_NAME = re.compile(r'"([^"]*)"')


class Recorded(Calls):
    """The record, as a tally of what was done to which path."""

    def __init__(self, root: str, tally: Tally) -> None:
        super().__init__(root, disk=Disk())
        self.tally = tally

    def _say(self, what: str, *paths: Any, times: int = 1) -> None:
        named = [os.path.abspath(os.fspath(path)) for path in paths]
        if any(path.startswith(f"{self.root}/") for path in named):
            self.tally[" ".join([what, *named])] += times

    def entered(self, path: Any, *, folder: bool) -> None:
        super().entered(path, folder=folder)
        if folder:
            self._say("mkdir", path)

    def left(self, path: Any) -> None:
        super().left(path)
        self._say("remove", path)

    def moved(self, old: Any, new: Any) -> None:
        super().moved(old, new)
        self._say("rename", old, new)

    def swapped(self, old: Any, new: Any) -> None:
        super().swapped(old, new)
        self._say("rename", old, new)

    def linked(self, old: Any, new: Any) -> None:
        super().linked(old, new)
        self._say("link", old, new)

    def opened(self, path: Any, flags: int, descriptor: int, existed: bool) -> None:
        super().opened(path, flags, descriptor, existed)
        if flags & _WRITING:
            self._say("open", path)

    def written(self, descriptor: int, offset: int, data: bytes) -> None:
        super().written(descriptor, offset, data)
        if data:
            self._say("write", self.paths[descriptor], times=len(data))


def main(place: Path, names: list[str]) -> None:
    """Run workloads below `place`, and leave what was recorded there; for the process that strace watches."""
    tally: Tally = collections.Counter()
    for number, workload in enumerate(one for one in WORKLOADS if one.name in names):
        root = place / f"archive-{number}"
        root.mkdir()
        site = Site(root, place / f"sources-{number}", Promises())
        with watched(Recorded(str(root), tally)):
            workload.begin(site)
            try:
                workload.run(site)
            except StaticWadoError as error:
                print(f"{workload.name}: {error}", file=sys.stderr)
    (place / "record.json").write_text(json.dumps(tally))


def missing_tool() -> str:
    """Why there can be no witness; nothing if there can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True, text=True)
    return f"strace may not watch here: {tried.stderr.strip()[:200]}" if tried.returncode else ""


def watch(place: Path, names: list[str]) -> None:
    """Run workloads below `place` with both witnesses."""
    command = ["strace", "-ff", "-y", "-z", "-s", "0", "-e", f"trace={_TRACED}", "-o", str(place / "trace")]
    program = [sys.executable, "-m", "tests.durability.witness", str(place), *names]
    subprocess.run([*command, *program], check=True, stdout=subprocess.DEVNULL)


def differences(place: Path) -> tuple[int, list[str]]:
    """How many calls and bytes both saw, and what only one of them saw, after `watch`."""
    recorded: Tally = collections.Counter(json.loads((place / "record.json").read_text()))
    seen: Tally = collections.Counter()
    for trace in sorted(place.glob("trace.*")):
        for line in trace.read_text(errors="replace").splitlines():
            for what, times in _seen(line, re.compile(rf"{re.escape(str(place))}/archive-\d+/")):
                seen[what] += times
    recorded = collections.Counter({key: n for key, n in recorded.items() if not _DATABASES.search(key)})
    wrong = [f"not in the record: {key} ({times})" for key, times in (seen - recorded).items()]
    wrong += [f"in the record alone: {key} ({times})" for key, times in (recorded - seen).items()]
    return sum((seen & recorded).values()), wrong


def _seen(line: str, below: re.Pattern[str]) -> Iterator[tuple[str, int]]:
    """What a line of strace says was done below the archives: in the words of the record."""
    found = _CALL.search(line)
    if found is None:
        return
    name, arguments, result, file = found.groups()
    paths = _NAME.findall(arguments)
    if name.startswith("open") or name == "creat":
        path = (file or "<>")[1:-1]
        # A file without a name cannot be found after a crash.
        unnamed = "O_TMPFILE" in arguments
        writes = re.search("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments) or name == "creat"
        what, paths, times = "open", [path] if writes and not unnamed else [], 1
    elif name in ("write", "writev", "pwrite64", "pwritev", "pwritev2"):
        of = _FILE.match(arguments)
        what, paths, times = "write", [of[1]] if of else [], int(result)
    elif name in ("mkdir", "mkdirat"):
        what, times = "mkdir", 1
    elif name in ("unlink", "unlinkat", "rmdir"):
        what, times = "remove", 1
    elif name in ("rename", "renameat", "renameat2"):
        what, times = "rename", 1
    elif name in ("link", "linkat"):
        what, times = "link", 1
    else:
        descriptors = re.findall(r"\d+<([^>]*)>", arguments)
        what, paths, times = name, [*paths, *descriptors], 1
        if name == "ioctl" and "FICLONE" not in arguments:
            return
    if not any(below.match(path) for path in paths) or any(_DATABASES.search(path) for path in paths):
        return
    if any(path.endswith("(deleted)") for path in paths) and what in ("write", "ftruncate"):
        return
    yield " ".join([what, *paths]), times


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
