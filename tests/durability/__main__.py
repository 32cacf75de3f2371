"""`scripts/crash`: the campaign by hand. Exit code 1 if there is a violation."""

import argparse
import logging
import sys
from collections.abc import Callable

from tests.durability import campaign
from tests.durability.killing import Kills
from tests.durability.witness import missing_tool

Told = tuple[str, int]
"""What was done, in numbers, and how many violations there were."""


def tell(line: str) -> None:
    print(line, flush=True)


def _power(asked: argparse.Namespace) -> Told:
    done = campaign.power(campaign.chosen(asked.workloads), asked.most, asked.trees, asked.seed, tell)
    counts = done.counts
    text = f"{counts.moments} prefixes, {counts.subsets} of {counts.possible} subsets, {done.trees} trees"
    return text, len(done.wrong)


def _killed(done: Kills) -> Told:
    return f"{done.kills} kills", len(done.wrong)


def _kills(asked: argparse.Namespace) -> Told:
    return _killed(campaign.kills(campaign.chosen(asked.workloads), asked.every, asked.seed, tell))


def _writers(asked: argparse.Namespace) -> Told:
    return _killed(campaign.random_kills(asked.rounds, 4, asked.seed, tell))


def _server(asked: argparse.Namespace) -> Told:
    return _killed(campaign.server(asked.kills, asked.seed, tell))


def _faults(asked: argparse.Namespace) -> Told:
    done = campaign.faults(campaign.chosen(asked.workloads), asked.every, asked.seed, tell)
    return f"{done.runs} faults", len(done.wrong)


def _databases(asked: argparse.Namespace) -> Told:
    done = campaign.sqlite(asked.every, asked.seed, tell)
    return f"{done.runs} faults", len(done.wrong)


def _witness(asked: argparse.Namespace) -> Told:
    reason = missing_tool()
    if reason:
        return f"skipped: {reason}", 0
    return "strace", len(campaign.witnessed(campaign.chosen(asked.workloads), tell))


KINDS: dict[str, Callable[[argparse.Namespace], Told]] = {
    "power": _power,
    "kills": _kills,
    "writers": _writers,
    "server": _server,
    "faults": _faults,
    "databases": _databases,
    "witness": _witness,
}


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    parser.add_argument("what", choices=[*KINDS, "all"])
    parser.add_argument("workloads", nargs="*", help="parts of names; all without any")
    parser.add_argument("--most", type=int, default=4096, help="subsets a prefix [4096]")
    parser.add_argument("--trees", type=int, help="trees a workload [all]")
    parser.add_argument("--every", type=int, default=1, help="each n-th call or statement [1]")
    parser.add_argument("--rounds", type=int, default=100, help="of several writers [100]")
    parser.add_argument("--kills", type=int, default=1000, help="of servers and what is beside them [1000]")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    logging.disable()  # each fault is told, many times over
    violations = 0
    for what in KINDS if asked.what == "all" else [asked.what]:
        text, count = KINDS[what](asked)
        tell(f"{what}: {text}, {count} violations")
        violations += count
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
