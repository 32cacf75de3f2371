"""scripts/fuzz's sister for HTTP: `python -m tests.hostile --requests 10000 --corpus FOLDER`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzzing.seeds import all_seeds
from tests.hostile.campaign import Totals, case_of, run_campaign, running, send_case
from tests.hostile.seeds import archive_paths, make_archive, malformed_files
from tests.hostile.wire import Seeds


def main() -> int:
    """Exit code 0: no findings; 1: findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description="Hostile requests.")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--requests", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--corpus", type=Path, help="folder whose files are sent too")
    parser.add_argument("--case", type=int, help="send this one alone, and print it")
    parser.add_argument("--keep", type=Path, help="folder for the archive and the log of the server")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        files = (*all_seeds(None), *(malformed_files(given.corpus) if given.corpus else ()))
        archive = make_archive(folder)
        seeds = Seeds(archive_paths(archive), files)
        with running(archive, folder / "log") as server:
            if given.case is not None:
                totals = Totals()
                case = case_of(given.seed, given.case, seeds)
                print(case.kind, case.data[:2000])
                send_case(server, case, str(given.case), totals)
                print(totals)
                return 1 if totals.findings else 0
            begun = time.monotonic()
            totals = run_campaign(server, seeds, given.seed, given.requests, _tell)
    _print(totals, time.monotonic() - begun)
    return 1 if totals.findings else 0


def _tell(number: int, totals: Totals) -> None:
    if number % 1000 == 0:
        print(f"{number} requests, {len(totals.findings)} findings", file=sys.stderr, flush=True)


def _print(totals: Totals, seconds: float) -> None:
    count = sum(totals.statuses.values())
    print(
        f"{count} requests in {seconds:.0f} s; slowest {totals.slowest[0]:.2f} s ({totals.slowest[1]}); "
        f"{totals.stored} instances stored and found again; "
        f"memory {totals.warm >> 20} MB warm, {totals.most >> 20} MB at most; {len(totals.findings)} findings"
    )
    kinds = sorted({kind for kind, _ in totals.statuses})
    for kind in kinds:
        found = sorted((status, number) for (one, status), number in totals.statuses.items() if one == kind)
        print(f"  {kind:8}", ", ".join(f"{status or 'closed'}: {number}" for status, number in found))
    for finding in totals.findings:
        print("FINDING", finding)


if __name__ == "__main__":
    sys.exit(main())
