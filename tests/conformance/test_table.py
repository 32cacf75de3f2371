from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.table import Proof, Status, Unsound, page, read_checklist, statuses

HERE = Path(__file__).parent
RULES = """
[[section]]
title = "Retrieve"
source = "PS3.18 10.4"
[[section.rule]]
id = "R-01"
weight = "shall"
text = "whole | files"
[[section.rule]]
id = "R-02"
weight = "ours"
text = "others"
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(rules: str = RULES, left_out: str = "", proofs: str = "") -> Path:
        for name, text in (("rules", rules), ("left_out", left_out), ("proofs", proofs)):
            (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return _write


def proof(name: str, ids: str, *outcomes: str) -> Proof:
    return Proof(f"tests/web/test_x.py::test_{name}", frozenset(outcomes), tuple(ids.split()))


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([("passed",)], Status.PASSES),
        ([("passed",), ("failed",)], Status.FAILS),
        ([("passed", "failed")], Status.FAILS),
        ([("skipped",)], Status.SKIPPED),
        ([("skipped",), ("passed",)], Status.PASSES),
        ([], Status.UNTESTED),
    ],
)
def test_a_rule_passes_if_a_test_passed_and_none_failed(
    write: Write, outcomes: list[tuple[str, ...]], expected: Status
) -> None:
    found = statuses(
        read_checklist(write()), [proof(str(n), "R-01", *each) for n, each in enumerate(outcomes)]
    )
    assert found == {"R-01": expected, "R-02": Status.UNTESTED}


def test_what_is_left_out_has_its_reason_and_no_test(write: Write) -> None:
    checklist = read_checklist(write(left_out='R-02 = "nobody asks"'))
    assert statuses(checklist, [])["R-02"] is Status.LEFT_OUT
    assert "| R-02 | ours | others | left out: nobody asks |  |" in page(checklist, [])
    with pytest.raises(Unsound, match="bears R-02"):
        statuses(checklist, [proof("a", "R-02", "passed")])


def test_the_page_counts_and_names_the_tests(write: Write) -> None:
    text = page(read_checklist(write()), [proof("b_c", "R-01", "passed"), proof("a", "R-01", "passed")])
    assert "| Retrieve | 2 | 1 | 0 | 0 | 1 |\n| all | 2 | 1 | 0 | 0 | 1 |\n" in text
    assert "| R-01 | shall | whole \\| files | passes | web/test_x: a<br>web/test_x: b c |\n" in text


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"left_out": 'R-09 = "x"'}, "left_out.toml: there is no rule R-09"),
        ({"proofs": '"tests/a.py::test_b" = ["R-09"]'}, "test_b: there is no rule R-09"),
        ({"rules": RULES + RULES}, "R-01 twice"),
        ({"rules": RULES.replace("ours", "maybe")}, "R-02 has no weight"),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    write: Write, more: dict[str, str], reason: str
) -> None:
    with pytest.raises(Unsound, match=reason):
        read_checklist(write(**more))


def test_our_own_checklist_has_every_section_and_names_tests_that_are_there() -> None:
    checklist = read_checklist(HERE)
    counts = {id.partition("-")[0]: 0 for id in checklist.ids}
    for id in checklist.ids:
        counts[id.partition("-")[0]] += 1
    assert counts == {
        "G": 17, "M": 5, "R": 12, "MD": 8, "F": 13, "B": 7, "V": 12, "Q": 31, "S": 17, "D": 3,
        "C": 4, "U": 16, "J": 17,
    }  # fmt: skip
    for test in checklist.proofs:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (HERE.parent.parent / path).read_text(encoding="utf-8"), test
