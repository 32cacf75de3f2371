"""scripts/fuzz: run a campaign, or replay one case of it."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.fuzzing.campaign import BLOCK, Target, Totals, run_campaign, run_case
from tests.fuzzing.codecs import Decoding
from tests.fuzzing.packed import Listing
from tests.fuzzing.targets import Reading, Storing, Truncations

TARGETS: dict[str, Callable[[Path | None, int | None], Target]] = {
    "reading": Reading,
    "storing": Storing,
    "truncations": Truncations,
    "decoding": Decoding,
    "listing": Listing,
}


def main() -> int:
    """Exit code 0: no findings; 1: findings; 2: usage."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description="Mutation fuzzing; see docs/fuzzing.md."
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--cases", type=int, default=10_000, help="how many (10000; of truncations: all)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (0)")
    parser.add_argument(
        "--case", type=int, help="replay this one, after those of its block that go before it"
    )
    parser.add_argument("--alone", action="store_true", help="with --case: without those before it")
    parser.add_argument("--corpus", type=Path, help="folder of files to start from, beside the made ones")
    parser.add_argument("--largest", type=int, help="start from files of at most so many bytes")
    parser.add_argument("--keep", type=Path, help="folder that takes the bytes of findings")
    given = parser.parse_args()
    target = TARGETS[given.target](given.corpus, given.largest)
    if given.case is not None:
        return _replay(target, given.seed, given.case, alone=given.alone, keep=given.keep)
    count = len(target) if isinstance(target, Truncations) else given.cases
    last = time.monotonic()

    def tell(totals: Totals) -> None:
        nonlocal last
        if time.monotonic() - last > 10:
            last = time.monotonic()
            print(f"{totals.cases} cases, {len(totals.findings)} findings", file=sys.stderr, flush=True)

    totals = run_campaign(
        target, given.seed, range(given.first, given.first + count), tell=tell, keep=given.keep
    )
    _print(given.target, totals)
    return 1 if totals.findings else 0


def _print(name: str, totals: Totals) -> None:
    taken = sum(count for word, count in totals.outcomes.items() if word.startswith("taken in"))
    print(
        f"{name}: {totals.cases} cases in {totals.seconds:.0f} s "
        f"({totals.cases / max(totals.seconds, 0.01):.0f}/s), "
        f"{taken} taken in; slowest {totals.slowest:.2f} s of processor time (case {totals.slowest_case}); "
        f"peak {totals.peak >> 20} MB resident, {totals.growth >> 20} MB above the start; "
        f"{len(totals.findings)} findings"
    )
    for word, count in totals.outcomes.most_common():
        print(f"  {count:8} {word}")
    groups = Counter(finding.group for finding in totals.findings)
    for group, count in groups.most_common():
        first = next(one for one in totals.findings if one.group == group)
        print(f"FINDING x{count} (--seed {first.seed} --case {first.case}) {group}")


def _replay(target: Target, seed: int, number: int, *, alone: bool, keep: Path | None) -> int:
    target.begin(seed, number // BLOCK)
    totals = Totals()
    for before in range(number if alone else number // BLOCK * BLOCK, number):
        run_case(target, seed, before, totals)
    data = target.case(seed, number)
    print(f"case {number}: {len(data)} bytes")
    if keep is not None:
        keep.write_bytes(data)
    print(target.run(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
