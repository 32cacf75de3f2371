"""The documentation against the program: what is documented exists, and what exists is documented."""

import os
import re
from pathlib import Path

import click
import pytest

from docs import generate
from staticwado import layout
from staticwado.cli.common import ExitCode
from staticwado.config.file import check, read
from staticwado.config.keys import AE_SECTION, OPTION_KEYS, key_of, name_of, variable_of
from staticwado.dicom.transfer_syntax import FRAME_SUFFIXES

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
LONGEST_DECISION = 30


CONTEXTS = [context for name in generate.PROGRAMS for context in generate.commands(generate.program(name))]


def read_page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_page_of_commands_is_fresh() -> None:
    assert read_page("docs/cli.md") == generate.commands_page(), "run scripts/generate-docs"


def test_the_tables_of_options_are_fresh() -> None:
    text = read_page("docs/configuration.md")
    assert text == generate.configuration_page(text), "run scripts/generate-docs"


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.command_path)
def test_every_command_and_option_says_what_it_does(context: click.Context) -> None:
    assert context.command.help
    for parameter in context.command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{context.command_path} {parameter.opts[0]}"


@pytest.mark.parametrize("section", [*OPTION_KEYS, AE_SECTION])
def test_every_key_and_variable_is_documented(section: str) -> None:
    text = read_page("docs/configuration.md")
    assert f"\n## {section}\n" in text
    for key in OPTION_KEYS.get(section, ()):
        assert key_of(name_of(key)) == key
        assert f"`{key}`" in text
        assert f"`{variable_of(name_of(key))}`" in text


def test_the_readme_has_the_two_commands_and_every_exit_code() -> None:
    text = read_page("README.md")
    for command in ("scripts/run", "scripts/test"):
        assert command in text
        assert os.access(ROOT / command, os.X_OK)
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", text, re.MULTILINE)
    assert rows == [(str(int(code)), code.meaning) for code in ExitCode]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_example_configuration_is_right_as_it_stands() -> None:
    file = read(ROOT / "config" / "static-wado.example.json5")
    assert list(check(file)) == []
    assert set(file.sections) <= {*OPTION_KEYS, AE_SECTION}


def test_the_layout_names_every_suffix_and_the_version() -> None:
    text = read_page("docs/layout.md")
    assert f"version {layout.VERSION}" in text.splitlines()[0]
    for suffix in {*FRAME_SUFFIXES, *layout.BULKDATA_TYPES} - {""}:
        assert f"`{suffix}`" in text, f"docs/layout.md does not know .{suffix}"
    for name in (layout.MARKER, layout.STUDIES, layout.PRIVATE):
        assert name in text


def test_decisions_are_numbered_and_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= LONGEST_DECISION, page.name


def test_the_viewer_is_pinned_in_one_place() -> None:
    version = read_page("scripts/ohif-version").strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    for folder in ("scripts", "staticwado", "config", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc" and path.name != "ohif-version":
                assert f"app@{version}" not in path.read_text(encoding="utf-8"), f"{path} repeats the version"
