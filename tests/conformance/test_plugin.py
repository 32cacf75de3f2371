"""The plugin in runs of its own: whole, partial, failing, on one process and on two."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\naddopts = ["--strict-markers"]\n'
RULES = "\n".join(
    f'[[section.rule]]\nid = "{id}"\nweight = "shall"\ntext = "{id} holds"' for id in ("R-01", "R-02", "R-03")
)
FIRST = """
import pytest

@pytest.mark.conformance("R-01")
@pytest.mark.parametrize("number", [1, 2])
def test_one(number):
    assert number

def test_other():
    pass
"""
SECOND = """
def test_two():
    pass
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "tests" / "conformance"
    folder.mkdir(parents=True)
    files = {
        "pyproject.toml": SETTINGS,
        "tests/test_first.py": FIRST,
        "tests/test_second.py": SECOND,
        "tests/conformance/rules.toml": f'[[section]]\ntitle = "All"\nsource = "us"\n{RULES}\n',
        "tests/conformance/left_out.toml": 'R-03 = "not now"\n',
        "tests/conformance/proofs.toml": '"tests/test_second.py::test_two" = ["R-02"]\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(project: Path) -> Run:
    def _run(*words: str) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-p", "tests.conformance.plugin", "-q", *words]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return _run


def page(project: Path) -> Path:
    return project / "docs" / "conformance.md"


TWO = ("-p", "xdist.plugin", "-n", "2")


@pytest.mark.parametrize("jobs", [(), TWO], ids=["one process", "two processes"])
def test_a_whole_run_writes_the_page_and_later_ones_compare_it(
    project: Path, run: Run, jobs: tuple[str, ...]
) -> None:
    written = run("--write-conformance", *jobs)
    assert written.returncode == 0, written.stdout
    text = page(project).read_text(encoding="utf-8")
    assert "| R-01 | shall | R-01 holds | passes | test_first: one |" in text
    assert "| R-02 | shall | R-02 holds | passes | test_second: two |" in text
    assert "| R-03 | shall | R-03 holds | left out: not now |  |" in text
    assert run(*jobs).returncode == 0
    page(project).unlink()
    stale = run(*jobs)
    assert (stale.returncode, "docs/conformance.md is stale" in stale.stdout) == (1, True)


def test_the_tests_that_bear_rules_can_be_run_alone(project: Path, run: Run) -> None:
    done = run("-m", "conformance", "--write-conformance", *TWO)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    assert page(project).exists()


@pytest.mark.parametrize(
    "words",
    [
        ("tests/test_first.py",),
        ("-k", "one"),
        ("--deselect", "tests/test_second.py::test_two"),
        ("--ignore", "tests/test_second.py"),
        ("-m", "not conformance"),
    ],
    ids=" ".join,
)
def test_a_partial_run_compares_nothing_and_writes_nothing(
    project: Path, run: Run, words: tuple[str, ...]
) -> None:
    done = run("--write-conformance", *words)
    assert (done.returncode, "was not written" in done.stdout) == (1, True)
    assert not page(project).exists()


def test_a_partial_run_does_not_call_the_page_stale(run: Run) -> None:
    assert run("tests/test_first.py").returncode == 0


def test_a_rule_that_fails_is_written_as_failing(project: Path, run: Run) -> None:
    (project / "tests" / "test_second.py").write_text(SECOND.replace("pass", "assert 0"), encoding="utf-8")
    done = run("--write-conformance")
    assert done.returncode == 1
    assert "| R-02 | shall | R-02 holds | fails |" in page(project).read_text(encoding="utf-8")
    assert "stale" not in run().stdout


def test_what_cannot_run_here_is_taken_as_written(project: Path, run: Run) -> None:
    assert run("--write-conformance").returncode == 0
    skipping = SECOND.replace("pass", "import pytest; pytest.skip('no corpus')")
    (project / "tests" / "test_second.py").write_text(skipping, encoding="utf-8")
    assert run().returncode == 0
    assert run("--write-conformance").returncode == 0
    assert "| R-02 | shall | R-02 holds | skipped |" in page(project).read_text(encoding="utf-8")


def test_a_rule_that_is_none_and_a_test_that_is_gone_are_named(project: Path, run: Run) -> None:
    first = project / "tests" / "test_first.py"
    first.write_text(FIRST.replace("R-01", "X-99"), encoding="utf-8")
    done = run()
    assert done.returncode != 0
    assert "there is no rule X-99" in done.stdout + done.stderr
    first.write_text(FIRST, encoding="utf-8")
    (project / "tests" / "test_second.py").unlink()
    done = run()
    assert done.returncode == 1
    assert "names a test that there is not: tests/test_second.py::test_two" in done.stdout


def test_a_rule_that_is_left_out_and_tested_is_a_contradiction(project: Path, run: Run) -> None:
    (project / "tests" / "conformance" / "left_out.toml").write_text('R-01 = "no"\n', encoding="utf-8")
    done = run()
    assert done.returncode == 1
    assert "bears R-01, which left_out.toml leaves out" in done.stdout
