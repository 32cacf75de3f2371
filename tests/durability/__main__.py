"""`scripts/crash`: the campaign by hand. Exit code 1 if there is a violation."""

import argparse
import sys

from tests.durability import campaign


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    parser.add_argument("what", choices=["power", "kills", "writers", "faults", "all"])
    parser.add_argument("workloads", nargs="*", help="parts of names; all without any")
    parser.add_argument("--most", type=int, default=4096, help="subsets a prefix [4096]")
    parser.add_argument("--trees", type=int, help="trees a workload [all]")
    parser.add_argument("--every", type=int, default=1, help="each n-th call of the store [1]")
    parser.add_argument("--rounds", type=int, default=100, help="of several writers [100]")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    names = campaign.chosen(wanted.workloads)

    def tell(line: str) -> None:
        print(line, flush=True)

    violations = 0
    if wanted.what in ("power", "all"):
        done = campaign.power(names, wanted.most, wanted.trees, wanted.seed, tell)
        counts = done.counts
        tell(
            f"power: {counts.moments} prefixes, {counts.subsets} of {counts.possible} subsets, {done.trees} "
            f"different trees, {len(done.wrong)} violations"
        )
        violations += len(done.wrong)
    if wanted.what in ("kills", "all"):
        killed = campaign.kills(names, wanted.every, wanted.seed, tell)
        tell(f"kills: {killed.kills} kills, {len(killed.wrong)} violations")
        violations += len(killed.wrong)
    if wanted.what in ("writers", "all"):
        killed = campaign.random_kills(wanted.rounds, 4, wanted.seed, tell)
        tell(f"writers: {killed.kills} kills, {len(killed.wrong)} violations")
        violations += len(killed.wrong)
    if wanted.what in ("faults", "all"):
        broken = campaign.faults(names, wanted.every, wanted.seed, tell)
        tell(f"faults: {broken.runs} faults, {len(broken.wrong)} violations")
        violations += len(broken.wrong)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
