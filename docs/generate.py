"""Write docs/cli.md from the commands, and the tables of docs/configuration.md from the options themselves.

With --check: say which of them is stale, and write nothing.
"""

import ast
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import click

from staticwado.cli.common import ExitCode
from staticwado.config.keys import key_of, variable_of
from staticwado.config.reader import ArchiveOptions, options_of

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("mkdicomweb", "dicomwebserver", "dicomwebscp", "deploydicomweb")
OPTION_CLASSES = {
    "mkdicomwebConfig": "staticwado.ingest.pipeline:CreateOptions",
    "dicomWebServerConfig": "staticwado.web.options:ServerOptions",
    "dicomWebScpConfig": "staticwado.cli.dicomwebscp:ScpOptions",
    "deployConfig": "staticwado.cli.deploydicomweb:DeployOptions",
}

COMMANDS_HEAD = """# Commands

Written by `scripts/generate-docs` from the commands themselves. What an option defaults to can be changed
in the [configuration](configuration.md).

## Exit codes

| code | meaning |
| --- | --- |
"""


def commands(context: click.Context) -> Iterator[click.Context]:
    """The command of `context` and all those below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None and not command.hidden:
                yield from commands(click.Context(command, context, name))


def program(name: str) -> click.Context:
    """The command behind a console script."""
    return click.Context(getattr(importlib.import_module(f"staticwado.cli.{name}"), name), info_name=name)


def row(*cells: str) -> str:
    """A row of a table; a bar inside a cell would end it."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def spelling(option: click.Option) -> str:
    """How an option is written: `-c, --config FILE`."""
    text = ", ".join(option.opts)
    if option.secondary_opts:
        return f"{text} / {', '.join(option.secondary_opts)}"
    if option.is_flag:
        return text
    if isinstance(option.type, click.Choice):
        return f"{text} {'|'.join(map(str, option.type.choices))}"
    return f"{text} {option.metavar or option.type.name.upper()}"


def section(context: click.Context) -> str:
    """What docs/cli.md says of one command; not click's own text, which changes with its versions."""
    command = context.command
    arguments = [
        parameter.metavar or "" for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    usage = " ".join([context.command_path, "[OPTIONS]", *arguments])
    if isinstance(command, click.Group):
        usage += " COMMAND ..."
    text = f"```text\n{usage}\n```\n\n{inspect.cleandoc(command.help or '')}\n"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = [row(f"`{spelling(option)}`", option.help or "") for option in options if not option.hidden]
    return text + "\n".join(["", "| option | meaning |", "| --- | --- |", *rows, ""])


def commands_page() -> str:
    """The whole of docs/cli.md."""
    text = COMMANDS_HEAD + "".join(f"| {int(code)} | {code.meaning} |\n" for code in ExitCode)
    for name in PROGRAMS:
        root = program(name)
        for context in commands(root):
            text += f"\n{'##' if context is root else '###'} {context.command_path}\n\n{section(context)}"
    return text


def option_class(section: str) -> type[Any]:
    """The dataclass that a section becomes."""
    module, _, name = OPTION_CLASSES[section].partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def meanings(cls: type[Any]) -> dict[str, str]:
    """What the source says below each field of a dataclass."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text).replace("\n", " ")
    return found


def spelled(value: object) -> str:
    """A default as a configuration file would spell it; nothing for none."""
    match value:
        case None | () | inspect.Parameter.empty:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case Enum():
            return f"`'{value.value}'`"
        case tuple():
            return "`[" + ", ".join(repr(part) for part in value) + "]`"
        case str() | Path():
            return f"`{str(value)!r}`"
    return f"`{value}`"


def table(section: str) -> str:
    """The keys of a section, as a table."""
    cls = ArchiveOptions if section == "staticWadoConfig" else option_class(section)
    words, defaults = meanings(cls), inspect.signature(cls).parameters
    rows = ["| key | variable | default | meaning |", "| --- | --- | --- | --- |"]
    for option in options_of(cls):
        if option.name != "dir" or section == "staticWadoConfig":
            default = spelled(defaults[option.name].default)
            assert option.name in words, f"{cls.__name__}.{option.name} has no docstring"
            key, variable = f"`{key_of(option.name)}`", f"`{variable_of(option.name)}`"
            rows.append(row(key, variable, default, words[option.name]))
    return "\n".join(rows)


def configuration_page(text: str) -> str:
    """docs/configuration.md with its tables made anew."""
    return re.sub(
        r"(<!-- options: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{table(found[2])}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def main() -> int:
    for name in [name for name in os.environ if name.startswith("STATICWADO_")]:
        del os.environ[name]
    configuration = ROOT / "docs" / "configuration.md"
    pages = {
        ROOT / "docs" / "cli.md": commands_page(),
        configuration: configuration_page(configuration.read_text(encoding="utf-8")),
    }
    stale = [
        page for page, text in pages.items() if not page.exists() or page.read_text(encoding="utf-8") != text
    ]
    for page in stale:
        if sys.argv[1:] == ["--check"]:
            print(f"{page.relative_to(ROOT)} is stale: run scripts/generate-docs", file=sys.stderr)
        else:
            page.write_text(pages[page], encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 1 if stale and sys.argv[1:] == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main())
