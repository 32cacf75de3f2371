"""The table of conformance: rules, what is left out, what tests prove, and the page that is made of them.

One rule: a rule counts as passing only if a test that bears it ran and passed, and none failed.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

WEIGHTS = ("shall", "should", "may", "ours")
COMMAND = "pytest -m conformance --write-conformance"
_HEAD = f"""# Conformance

Written by `{COMMAND}` from what the tests have shown; the rules are in
`tests/conformance/rules.toml`, in our own words. A rule is `shall`, `should` or `may` by the standard, or
`ours` where it is silent and we chose.

"""


class Status(Enum):
    """What is known of a rule."""

    PASSES = "passes"
    FAILS = "fails"
    SKIPPED = "skipped"
    """Its tests could not run here: a program or the corpus is missing."""
    LEFT_OUT = "left out"
    UNTESTED = "not tested"


class Unsound(Exception):
    """The files beside the tests contradict each other; the message names the entry."""


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    weight: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    source: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Checklist:
    """What the files in a folder say."""

    sections: tuple[Section, ...]
    left_out: Mapping[str, str]
    """Rule -> reason."""
    proofs: Mapping[str, tuple[str, ...]]
    """Test (without parameters) -> the rules that it bears, beside those of its markers."""

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(rule.id for section in self.sections for rule in section.rules)


def read_checklist(folder: Path) -> Checklist:
    """The checklist in `folder`: rules.toml, left_out.toml, proofs.toml. Raises Unsound."""
    sections = tuple(
        Section(
            section["title"],
            section["source"],
            tuple(Rule(rule["id"], rule["weight"], rule["text"]) for rule in section["rule"]),
        )
        for section in _read(folder / "rules.toml")["section"]
    )
    checklist = Checklist(
        sections,
        _read(folder / "left_out.toml"),
        {test: tuple(ids) for test, ids in _read(folder / "proofs.toml").items()},
    )
    _check(checklist)
    return checklist


def _read(path: Path) -> dict:  # type: ignore[type-arg]
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _check(checklist: Checklist) -> None:
    every = [rule for section in checklist.sections for rule in section.rules]
    twice = [id for id, count in Counter(rule.id for rule in every).items() if count > 1]
    if twice:
        raise Unsound(f"rules.toml has {twice[0]} twice")
    for rule in every:
        if rule.weight not in WEIGHTS:
            raise Unsound(f"rules.toml: {rule.id} has no weight that is known: {rule.weight!r}")
    check_known(checklist, "left_out.toml", checklist.left_out)
    for test, ids in checklist.proofs.items():
        check_known(checklist, f"proofs.toml: {test}", ids)


def check_known(checklist: Checklist, place: str, ids: Iterable[str]) -> None:
    """Raises Unsound if one of `ids` is no rule, and names it and `place`."""
    for id in ids:
        if id not in checklist.ids:
            raise Unsound(f"{place}: there is no rule {id}")


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that bears rules, and how it went: its parameters together."""

    name: str
    """`tests/web/test_qido.py::test_studies`."""
    outcomes: frozenset[str]
    """Of `passed`, `failed`, `skipped`."""
    ids: tuple[str, ...]


def statuses(checklist: Checklist, tested: Iterable[Proof]) -> dict[str, Status]:
    """The status of every rule. Raises Unsound where a rule that is left out has a test."""
    found: dict[str, set[str]] = {}
    for test in tested:
        for id in test.ids:
            found.setdefault(id, set()).update(test.outcomes)
            if id in checklist.left_out:
                raise Unsound(f"{test.name} bears {id}, which left_out.toml leaves out")
    return {id: _status(checklist, id, found.get(id, set())) for id in checklist.ids}


def _status(checklist: Checklist, id: str, outcomes: set[str]) -> Status:
    if "failed" in outcomes:
        return Status.FAILS
    if "passed" in outcomes:
        return Status.PASSES
    if outcomes:
        return Status.SKIPPED
    return Status.LEFT_OUT if id in checklist.left_out else Status.UNTESTED


def page(checklist: Checklist, tested: Iterable[Proof]) -> str:
    """docs/conformance.md."""
    tests = sorted(tested, key=lambda test: test.name)
    found = statuses(checklist, tests)
    return _HEAD + "".join((*_summary(checklist, found), *_sections(checklist, tests, found)))


def _summary(checklist: Checklist, found: Mapping[str, Status]) -> Iterator[str]:
    columns = [status for status in Status if status is not Status.SKIPPED or status in found.values()]
    yield f"| section | rules | {' | '.join(status.value for status in columns)} |\n"
    yield f"| --- {'| ---: ' * (len(columns) + 1)}|\n"
    for section in checklist.sections:
        counts = Counter(found[rule.id] for rule in section.rules)
        cells = " | ".join(str(counts[status]) for status in columns)
        yield f"| {section.title} | {len(section.rules)} | {cells} |\n"
    counts = Counter(found.values())
    yield f"| all | {len(found)} | {' | '.join(str(counts[status]) for status in columns)} |\n"


def _sections(checklist: Checklist, tests: list[Proof], found: Mapping[str, Status]) -> Iterator[str]:
    for section in checklist.sections:
        yield f"\n## {section.title}\n\n{section.source}\n\n"
        yield "| rule | weight | what a server does | status | shown by |\n| --- | --- | --- | --- | --- |\n"
        for rule in section.rules:
            status = found[rule.id].value
            if rule.id in checklist.left_out:
                status += f": {checklist.left_out[rule.id]}"
            names = "<br>".join(_shown(test.name) for test in tests if rule.id in test.ids)
            text = rule.text.replace("|", "\\|")
            yield f"| {rule.id} | {rule.weight} | {text} | {status} | {names} |\n"


def _shown(name: str) -> str:
    """A test in few letters: `web/test_qido: studies`."""
    path, _, test = name.partition("::")
    place = path.removeprefix("tests/").removesuffix(".py")
    return f"{place}: {test.removeprefix('test_').replace('_', ' ')}"
