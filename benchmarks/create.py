"""What converting costs beside copying: `mkdicomweb create` and `cp -r` by turns on the same folder.

    python benchmarks/create.py FOLDER [--runs 5] [--target SCRATCH]

Each run is a process of its own with the input in the page cache and the data synced at its end. CPU seconds
are user and system time of the process and its children; the ratio is taken pair by pair, with the order of
the pair changing, and its median is the figure. Nothing is removed before the end, so the disk must hold all
of it: ext4 makes new files slowly for some seconds after others were removed.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    cpu: float
    wall: float
    peak: int
    """Largest resident size of one process, in MiB."""
    files: int


def measure(command: list[str], made: Path) -> Run:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with subprocess.Popen(["/bin/sh", "-c", '"$@" >/dev/null 2>&1 && sync -f "$TARGET"', "sh", *command],
                          env={**os.environ, "TARGET": str(made.parent)}) as process:  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    files = sum(len(names) for _, _, names in os.walk(made))
    return Run(cpu, wall, usage.ru_maxrss // 1024, files)


def warm(source: Path) -> None:
    """Bring the input into the page cache, so that neither command pays for the disk."""
    for folder, _, names in os.walk(source):
        for name in names:
            with open(os.path.join(folder, name), "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def variants(source: Path) -> dict[str, list[str]]:
    create = [sys.executable, "-m", "staticwado.cli.mkdicomweb", "create", str(source), "--dir"]
    return {
        "create --jobs 1 --no-thumbnails": [*create, "{made}", "--jobs", "1", "--no-thumbnails"],
        "create --jobs 2 --no-thumbnails": [*create, "{made}", "--jobs", "2", "--no-thumbnails"],
        "create --jobs 1": [*create, "{made}", "--jobs", "1"],
        "create --jobs 2": [*create, "{made}", "--jobs", "2"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--target", type=Path, default=None)
    options = parser.parse_args()
    runs: dict[str, list[tuple[Run, Run]]] = {name: [] for name in variants(options.folder)}
    with tempfile.TemporaryDirectory(dir=options.target) as scratch:
        number = 0
        for _ in range(options.runs):
            for name, command in variants(options.folder).items():
                made = Path(scratch, f"made-{number}")
                copied = Path(scratch, f"copied-{number}")
                number += 1
                pair = {
                    made: [part.format(made=made) for part in command],
                    copied: ["cp", "-r", str(options.folder), str(copied)],
                }
                order = [made, copied] if number % 2 else [copied, made]
                measured = {}
                for target in order:
                    warm(options.folder)
                    measured[target] = measure(pair[target], target)
                runs[name].append((measured[made], measured[copied]))
    print("| command | CPU s | wall s | peak MiB | files | CPU / cp -r (min-max) | wall / cp -r |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    copies = [other for pairs in runs.values() for _, other in pairs]
    print(
        f"| cp -r | {statistics.median(c.cpu for c in copies):.2f} | "
        f"{statistics.median(c.wall for c in copies):.2f} | {copies[0].peak} | {copies[0].files} | 1 | 1 |"
    )
    for name, pairs in runs.items():
        cpu = sorted(one.cpu / other.cpu for one, other in pairs)
        wall = statistics.median(one.wall / other.wall for one, other in pairs)
        print(
            f"| {name} | {statistics.median(one.cpu for one, _ in pairs):.2f} | "
            f"{statistics.median(one.wall for one, _ in pairs):.2f} | {max(one.peak for one, _ in pairs)} | "
            f"{pairs[0][0].files} | {statistics.median(cpu):.2f} ({cpu[0]:.2f}-{cpu[-1]:.2f}) | {wall:.2f} |"
        )


if __name__ == "__main__":
    main()
