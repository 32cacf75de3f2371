"""pytest plugin: tests bear the rules of the conformance checklist, and the page about it is theirs.

    @pytest.mark.conformance("R-01", "R-05")

or an entry in `proofs.toml`. A run in which all such tests had their say, and none failed, compares
`docs/conformance.md` with what it saw; `--write-conformance` writes it. Other runs leave it alone.

One rule: the controller decides. Workers of pytest-xdist only tell which tests bear rules.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.table import COMMAND, Checklist, Proof, Unsound, check_known, page, read_checklist

MARKER = "conformance"
_PROPERTY = "conformance"
_FOLDER, _PAGE = "tests/conformance", "docs/conformance.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-conformance", action="store_true", help=f"write {_PAGE} from what the tests show"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(*ids): the rules of tests/conformance/rules.toml that a test proves"
    )
    try:
        checklist = read_checklist(config.rootpath / _FOLDER)
    except (Unsound, KeyError, ValueError, OSError) as error:
        raise pytest.UsageError(f"conformance: {error}") from error
    config.pluginmanager.register(_Conformance(config, checklist), "staticwado-conformance")


def base_name(nodeid: str) -> str:
    """A test without its parameters."""
    return nodeid.partition("[")[0]


class _Conformance:
    """What is seen in one run."""

    def __init__(self, config: pytest.Config, checklist: Checklist) -> None:
        self._config = config
        self._checklist = checklist
        self._expected: set[str] = set()
        """Every test that bears rules, with its parameters, whether it is to run or not."""
        self._collected: set[str] = set()
        """Names of all tests, without parameters."""
        self._ids: dict[str, tuple[str, ...]] = {}
        self._outcomes: dict[str, set[str]] = {}
        self._message = ""

    @property
    def _is_worker(self) -> bool:
        return hasattr(self._config, "workerinput")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Before anything is deselected: so `-m conformance` finds those of proofs.toml too."""
        for item in items:
            name = base_name(item.nodeid)
            self._collected.add(name)
            marked = [id for mark in item.iter_markers(MARKER) for id in mark.args]
            try:
                check_known(self._checklist, name, marked)
            except Unsound as error:
                raise pytest.UsageError(f"conformance: {error}") from error
            ids = tuple(dict.fromkeys((*marked, *self._checklist.proofs.get(name, ()))))
            if ids:
                if not marked:
                    item.add_marker(MARKER)
                self._expected.add(item.nodeid)
                item.user_properties.append((_PROPERTY, ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties: dict[str, Any] = dict(report.user_properties)
        if _PROPERTY not in properties:
            return
        self._ids[base_name(report.nodeid)] = tuple(properties[_PROPERTY])
        outcomes = self._outcomes.setdefault(report.nodeid, set())
        if report.failed or report.skipped:
            outcomes.add(report.outcome)
        elif report.when == "call":
            outcomes.add("passed")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """What a worker of pytest-xdist collected (all of them collect the same)."""
        told = getattr(node, "workeroutput", {})
        self._expected |= set(told.get("conformance_expected", ()))
        self._collected |= set(told.get("conformance_collected", ()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._is_worker:
            output = self._config.workeroutput  # type: ignore[attr-defined]
            output["conformance_expected"] = sorted(self._expected)
            output["conformance_collected"] = sorted(self._collected)
            return
        write = self._config.getoption("--write-conformance")
        reason = self._why_partial()
        if reason:
            if write:
                self._fail(session, f"{_PAGE} was not written: {reason}")
            return
        if not write and exitstatus != pytest.ExitCode.OK:
            return
        try:
            self._finish(session, write=write)
        except Unsound as error:
            self._fail(session, str(error))

    def _why_partial(self) -> str:
        """Why this run cannot speak for the whole table; empty if it can."""
        root = self._config.rootpath
        asked = {(self._config.invocation_params.dir / argument).resolve() for argument in self._config.args}
        whole = {(root / path).resolve() for path in self._config.getini("testpaths")} or {root}
        if asked != whole and asked != {root}:
            return "not all tests were asked for"
        if any(self._config.getoption(name, None) for name in ("ignore", "ignore_glob", "lf")):
            return "some tests were ignored"
        if not self._expected:
            return "no test bears a rule"
        left = len(self._expected - set(self._outcomes))
        return f"{left} tests that bear rules did not run" if left else ""

    def _finish(self, session: pytest.Session, *, write: bool) -> None:
        missing = sorted(set(self._checklist.proofs) - self._collected)
        if missing:
            raise Unsound(f"proofs.toml names a test that there is not: {missing[0]}")
        place = self._config.rootpath / _PAGE
        if write:
            place.parent.mkdir(exist_ok=True)
            place.write_text(page(self._checklist, self._tested()), encoding="utf-8")
            self._message = f"conformance: wrote {_PAGE}"
        elif self._is_stale(place):
            self._fail(session, f"{_PAGE} is stale: run {COMMAND}")

    def _is_stale(self, place: Path) -> bool:
        """Whether the page says something else; what could not run here counts as what the page says."""
        said = place.read_text(encoding="utf-8") if place.exists() else ""
        tested = [
            test if test.outcomes != {"skipped"} else Proof(test.name, frozenset({"passed"}), test.ids)
            for test in self._tested()
        ]
        return said != page(self._checklist, tested)

    def _tested(self) -> Iterator[Proof]:
        together: dict[str, set[str]] = {}
        for nodeid, outcomes in self._outcomes.items():
            together.setdefault(base_name(nodeid), set()).update(outcomes)
        for name, outcomes in together.items():
            yield Proof(name, frozenset(outcomes), self._ids[name])

    def _fail(self, session: pytest.Session, message: str) -> None:
        self._message = f"conformance: {message}"
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._message:
            terminalreporter.write_line(self._message)
