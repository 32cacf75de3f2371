"""Searches among many studies: how long each kind takes, and what the catalog costs.

    python benchmarks/search.py [FOLDER] [--studies 100000] [--rounds 200] [--http 0] [--orthanc 0]

The studies are made (made_studies.py) and told to a catalog in FOLDER, which is kept and used again if
possible. Each kind is asked `--rounds` times with values of studies drawn by chance, for pages of 50; the
kinds take turns, so that a busy moment does not hit one alone. CPU is that of the thread. `--http N` asks a
running dicomwebserver over the index files of N studies; `--orthanc N` does so, too, and in turns with it
asks Orthanc, which is given one instance of each of these studies.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.made_studies import MadeStudy, make_studies, make_study
from benchmarks.search_kinds import KINDS, PAGE, Kind, Pairs
from staticwado.archive import Archive
from staticwado.catalog.database import Catalog
from staticwado.catalog.rows import SeriesRow, StudyRow
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import parse_path
from staticwado.errors import TookTooLong, TooMuch
from staticwado.ingest.live import Live
from staticwado.search.engine import Engine
from staticwado.search.index import IndexReader

_BATCH = 10_000
Ask = Callable[[str, Pairs], int]
"""Asks for a page of a path with these keys; how many matches there were on it."""
Timing = tuple[float, float]
"""Seconds on the clock and of CPU."""


def row_of(study: MadeStudy) -> StudyRow:
    series = tuple(SeriesRow(one.uid, one.entry, one.instances) for one in study.series)
    return StudyRow(study.uid, study.entry, series, None)


def build(path: Path, count: int) -> float:
    """Make the catalog; the seconds that it took, without those of making the studies."""
    catalog = Catalog(str(path))
    catalog.clear()
    studies = make_studies(count)
    spent = 0.0
    while batch := [row_of(study) for study in islice(studies, _BATCH)]:
        begun = time.perf_counter()
        catalog.replace(batch)
        spent += time.perf_counter() - begun
    begun = time.perf_counter()
    catalog.complete()
    catalog.close()
    return spent + time.perf_counter() - begun


def open_engine(folder: Path) -> tuple[Engine, Catalog]:
    archive = Archive(str(folder))
    catalog = Catalog(str(catalog_path(folder)))
    return Engine(archive, IndexReader(archive), catalog, Live(archive, catalog)), catalog


def catalog_path(folder: Path) -> Path:
    return folder / ".staticwado" / "index.sqlite"


def asker(engine: Engine) -> Ask:
    def ask(path: str, keys: Pairs) -> int:
        query = parse_query(parse_path(path), [("limit", str(PAGE)), *keys])
        return len(engine.search(query).found)

    return ask


def measure(
    asks: dict[str, Ask], kinds: Sequence[Kind], count: int, rounds: int
) -> dict[tuple[str, str], tuple[list[Timing], list[int]]]:
    """Timings and lengths of pages for each kind and asker, in turns; a kind that is refused is left out."""
    chance = random.Random(5)
    patients = max(1, count // 3)
    found: dict[tuple[str, str], tuple[list[Timing], list[int]]] = {
        (kind.name, name): ([], []) for kind in kinds for name in asks
    }
    stopped: set[tuple[str, str]] = set()
    for turn in range(rounds + 1):
        for kind in kinds:
            keys = kind.keys(make_study(chance.randrange(count), patients), chance)
            for name, ask in asks.items():
                if (kind.name, name) in stopped:
                    continue
                begun, used = time.perf_counter(), time.thread_time()
                try:
                    matches = ask(kind.path, keys)
                except (TookTooLong, TooMuch) as error:
                    stopped.add((kind.name, name))
                    print(f"{kind.name} was stopped: {error}", file=sys.stderr)
                    continue
                spent = time.perf_counter() - begun, time.thread_time() - used
                if turn:  # the first is for warming up
                    found[kind.name, name][0].append(spent)
                    found[kind.name, name][1].append(matches)
    return found


def centile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def table(
    found: dict[tuple[str, str], tuple[list[Timing], list[int]]],
    names: Sequence[str],
    *,
    with_cpu: bool = True,
) -> Iterator[str]:
    """Lines of a Markdown table, in milliseconds; the median of matches on a page tells whether any were."""
    columns = ("p50", "p99", *(("CPU p50",) if with_cpu else ()), "matches")
    yield "| search | " + " | ".join(f"{name}: {' | '.join(columns)}" for name in names) + " |"
    yield "| --- |" + " ---: |" * (len(columns) * len(names))
    for kind in dict.fromkeys(kind for kind, _ in found):
        cells: list[str] = []
        for name in names:
            timings, matches = found[kind, name]
            if not timings:
                cells += ["stopped", *[""] * (len(columns) - 1)]
                continue
            clock, cpu = [one * 1000 for one, _ in timings], [one * 1000 for _, one in timings]
            cells += [f"{centile(clock, 50):.2f}", f"{centile(clock, 99):.2f}"]
            cells += [f"{median(cpu):.2f}"] if with_cpu else []
            cells.append(f"{median(matches):g}")
        yield f"| {kind} | " + " | ".join(cells) + " |"


_COLD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from benchmarks.search import asker, open_engine, parse_path, parse_query
parse_query(parse_path("studies"), [("PatientID", "x")])  # loads the dictionary
begun, used = time.perf_counter(), time.process_time()
engine, _ = open_engine(Path({folder!r}))
asker(engine)("studies", [("PatientID", "no such")])
asker(engine)("studies", [])
print(time.perf_counter() - begun, time.process_time() - used)
"""


def cold_start(folder: Path) -> Timing:
    """Opening the catalog and two searches in a new process, without its imports; the file is cached."""
    root = str(Path(__file__).resolve().parents[1])
    code = _COLD.format(root=root, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    clock, cpu = map(float, done.stdout.split())
    return clock, cpu


def updates(catalog: Catalog, count: int, rounds: int) -> list[Timing]:
    """Putting one study in place of what there was of it, each in a transaction of its own."""
    chance = random.Random(7)
    spent = []
    for _ in range(rounds):
        row = row_of(make_study(chance.randrange(count), max(1, count // 3)))
        row.entry["00081030"] = {"vr": "LO", "Value": [f"changed {chance.randrange(10**6)}"]}
        begun, used = time.perf_counter(), time.thread_time()
        catalog.replace([row])
        spent.append((time.perf_counter() - begun, time.thread_time() - used))
    return spent


def resident() -> int:
    """MiB that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def by_engine(folder: Path, count: int, rounds: int) -> None:
    path = catalog_path(folder)
    if not path.exists() or not Catalog(str(path)).is_complete():
        path.parent.mkdir(parents=True, exist_ok=True)
        Archive(str(folder), create=True).create_marker()
        spent = build(path, count)
        print(f"building: {spent:.1f} s, {spent / count * 1e6:.0f} us a study; {resident()} MiB at most")
    print(f"size: {path.stat().st_size / 2**20:.0f} MiB, {path.stat().st_size / count:.0f} bytes a study")
    starts = [cold_start(folder) for _ in range(5)]
    print(
        "cold start: {:.1f} ms, CPU {:.1f} ms".format(
            *(1000 * median(part) for part in zip(*starts, strict=True))
        )
    )
    engine, catalog = open_engine(folder)
    kinds = [kind for kind in KINDS if kind.path != "instances"]  # there are no files of theirs
    print("\n".join(table(measure({"ours": asker(engine)}, kinds, count, rounds), ["ours"])), flush=True)
    timings = updates(catalog, count, rounds)
    clock, cpu = [one for one, _ in timings], [one for _, one in timings]
    print(
        f"update of a study: p50 {1000 * median(clock):.2f} ms, p99 {1000 * centile(clock, 99):.2f} ms, "
        f"CPU {1000 * median(cpu):.2f} ms; {resident()} MiB at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--http", type=int, default=0)
    parser.add_argument("--orthanc", type=int, default=0)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.studies:
            by_engine(folder / str(options.studies), options.studies, options.rounds)
        if options.http or options.orthanc:
            from benchmarks.search_http import by_http

            by_http(folder, options.http or options.orthanc, options.rounds, bool(options.orthanc))


if __name__ == "__main__":
    main()
