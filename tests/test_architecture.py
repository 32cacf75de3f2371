"""The rules of docs/architecture.md, enforced: which module may know which, and what a start may load."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "staticwado"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def block(name: str) -> list[str]:
    """The lines of the page's code block called `name`."""
    found = re.search(rf"^```{name}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/architecture.md lost its block of {name}"
    return found[1].splitlines()


LAYERS = [re.split(r" {2,}", line)[0].split(" | ") for line in block("layers")]
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
HOME = dict(line.split() for line in block("homes"))

LAZY = {"numpy", "pydicom", "imagecodecs", "openjpeg", "json5"}
"""Packages that no module loads when it is imported: slow, and often not needed."""

DISTRIBUTIONS = {"openjpeg": "pylibjpeg-openjpeg", "prometheus_client": "prometheus-client"}
"""Packages whose distribution has another name."""

LATE_IMPORTS = {("config.file", "json5"), ("store.local", "fcntl"), ("web.auth.jose", "joserfc")}
"""In-function imports outside `cli` and `dicom`: only when a file exists; only where the system has it;
what an extra brings.
"""

BANNED = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "tools", "core", "lib"}

ARCHIVE_WRITES = {"create_marker", "write", "remove", "staging", "mark_pending", "clear_pending"}
WRITERS = {"ingest", "deploy", "cli"}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}


def names_of(node: ast.AST) -> set[str]:
    """The full names that an import statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def imports(module: str) -> set[str]:
    """Every name that `module` imports, at any depth: an import inside a function counts too."""
    return {name for node in ast.walk(TREES[module]) for name in names_of(node)}


def late_imports(module: str) -> Iterator[str]:
    """The names imported inside functions of `module`."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for inner in ast.walk(node):
                yield from names_of(inner)


def target_of(name: str) -> str | None:
    """The module of ours that the imported `name` is, or is in; None for what is not ours."""
    if not name.startswith("staticwado."):
        return None
    inner = name.removeprefix("staticwado.")
    while inner and inner not in MODULES:
        inner = inner.rpartition(".")[0]
    return inner or None


def test_every_unit_has_a_layer() -> None:
    assert {module.split(".")[0] for module in MODULES} <= set(RANK)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    unit = module.split(".")[0]
    for name in imports(module):
        target = target_of(name)
        if target is not None:
            other = target.split(".")[0]
            assert other == unit or RANK[other] > RANK[unit], f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_no_import_is_relative(module: str) -> None:
    for node in ast.walk(TREES[module]):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module}, line {node.lineno}"


def test_no_module_imports_itself_by_a_detour() -> None:
    edges = {module: {target_of(name) for name in imports(module)} - {None, module} for module in MODULES}
    while free := {module for module, targets in edges.items() if not targets & edges.keys()}:
        for module in free:
            del edges[module]
    assert not edges, f"in a circle, or above one: {edges}"


@pytest.mark.parametrize("module", MODULES)
def test_third_party_packages_stay_at_home(module: str) -> None:
    for name in imports(module):
        home = HOME.get(name.split(".")[0])
        assert home is None or f"{module}.".startswith(f"{home}."), f"{module} imports {name}"


def test_every_package_that_is_imported_is_declared_and_every_one_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^a-z0-9-]", line)[0] for line in project["dependencies"]}
    outside = {name.split(".")[0] for module in MODULES for name in imports(module)}
    outside -= {"staticwado", "__future__", *sys.stdlib_module_names}
    extras = {name for name, lines in project["optional-dependencies"].items() if name != "dev"}
    optional = {
        re.split(r"[^a-z0-9-]", line)[0] for name in extras for line in project["optional-dependencies"][name]
    }
    imported = {DISTRIBUTIONS.get(name, name) for name in outside}
    assert declared <= imported <= declared | optional


@pytest.mark.parametrize("module", MODULES)
def test_imports_inside_functions_are_the_exception(module: str) -> None:
    if module.split(".")[0] not in ("cli", "dicom"):
        found = {(module, name.split(".")[0]) for name in late_imports(module)}
        assert found <= LATE_IMPORTS


@pytest.mark.parametrize("module", MODULES)
def test_slow_packages_are_imported_where_they_are_used(module: str) -> None:
    for node in loaded_at_once(TREES[module].body):
        for name in names_of(node):
            assert name.split(".")[0] not in LAZY, f"{module} loads {name} when it is imported"


def loaded_at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, without those for type checkers alone."""
    for node in body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from loaded_at_once(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            yield from loaded_at_once(
                [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            )
        else:
            yield node


@pytest.mark.parametrize("module", MODULES)
def test_names_say_what_a_module_is(module: str) -> None:
    names = set(module.split("."))
    assert not names & BANNED
    assert "common" not in names or module == "cli.common"
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ClassDef):
            assert not re.search(r"(Manager|Helper|Utils?)$", node.name), f"{module}.{node.name}"


@pytest.mark.parametrize("module", MODULES)
def test_only_ingest_writes_to_the_archive(module: str) -> None:
    unit = module.split(".")[0]
    if unit in WRITERS or unit in ("archive", "store"):
        return
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if re.search(r"(archive|store)\)?$", owner):
                assert node.func.attr not in ARCHIVE_WRITES, (
                    f"{module}, line {node.lineno}: {owner}.{node.func.attr}"
                )


@pytest.mark.parametrize("module", MODULES)
def test_only_commands_print_and_end_the_process(module: str) -> None:
    if module.split(".")[0] == "cli":
        return
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "exit", "quit", "sys.exit", "os._exit"), (
                f"{module}, line {node.lineno}"
            )


@pytest.mark.parametrize("module", MODULES)
def test_nothing_changes_a_module_variable(module: str) -> None:
    for node in ast.walk(TREES[module]):
        assert not isinstance(node, ast.Global), f"{module}, line {node.lineno}"


START = """
import importlib, sys
module, heavy = sys.argv[1], sys.argv[2].split(",")
sys.argv[1:] = ["--help"]
try:
    importlib.import_module(f"staticwado.cli.{module}").main()
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *sorted(set(heavy) & set(sys.modules)))
"""


@pytest.mark.parametrize("command", ["mkdicomweb", "dicomwebserver", "dicomwebscp", "deploydicomweb"])
def test_help_loads_nothing_that_is_slow(command: str) -> None:
    heavy = [
        "aiohttp",
        "imagecodecs",
        "json5",
        "numpy",
        "pydicom",
        "pynetdicom",
        "rich",
        "asyncio",
        "sqlite3",
    ]
    done = subprocess.run(
        [sys.executable, "-c", START, command, ",".join(heavy)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:", "the start of --help loads more than it needs"


PRIVATE_PLACES = re.compile("/" + r"(?:work|farm)/")
"""Folders of the machines on which this is written: nothing that is published may name them."""


def published() -> Iterator[Path]:
    """The text files of the project."""
    for folder in ("staticwado", "tests", "testdata", "scripts", "docs", "config", "benchmarks", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield from (path for path in ROOT.iterdir() if path.suffix in (".md", ".toml"))


def test_no_file_names_a_private_place_or_holds_dicom() -> None:
    for path in published():
        data = path.read_bytes()
        assert data[128:132] != b"DICM", (
            f"{path} is a DICOM file: they are generated or lie outside the repository"
        )
        assert not PRIVATE_PLACES.search(data.decode("utf-8", "replace")), (
            f"{path} names a folder of one machine"
        )
