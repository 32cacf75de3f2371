"""The one reader of options: the later source wins of file, environment and flags.

One rule: it works on any frozen dataclass and knows how options are spelled, never what they mean; the
dataclasses live beside their users. Nothing is printed: what deserves a word is returned as a warning.
"""

import dataclasses
import os
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from staticwado.config.file import ConfigurationFile, check, find
from staticwado.config.keys import (
    BASE,
    ENVIRONMENT_PREFIX,
    FILE_NAME,
    hint,
    key_of,
    variable_of,
    variables,
)
from staticwado.config.values import fit, understands
from staticwado.errors import ConfigurationError

Options = TypeVar("Options")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """Which archive a command works on."""

    dir: Path
    """The archive's folder: `--dir`, STATICWADO_DIR, or `rootDir` in the file."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a dataclass."""

    name: str
    hint: Any
    required: bool

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.name.replace("_", "-")


def options_of(cls: type[Any]) -> tuple[Option, ...]:
    """The options of a dataclass that a file can spell; fields of other types are for code alone."""
    hints = typing.get_type_hints(cls)
    return tuple(
        Option(field.name, hints[field.name], _is_required(field))
        for field in dataclasses.fields(cls)
        if field.init and understands(hints[field.name])
    )


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def read_options(
    cls: type[Options],
    section: str,
    *,
    config_file: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
) -> tuple[Options, tuple[str, ...]]:
    """The options of one command, and warnings for people.

    `section` is the command's section of the file; it wins over `staticWadoConfig`. `config_file` is what
    `-c` named; else STATICWADO_CONFIG, `./static-wado.json5` and `~/static-wado.json5` are tried in turn.
    `flags` holds what the command line gave, by the names of the fields; None means not given.
    Raises ConfigurationError, which names the key, the variable or the flag.
    """
    file = find(config_file or environ.get(variable_of("config")))
    warnings = [*check(file), *_strangers(environ)]
    values = {name: value for name, value in flags.items() if value is not None}
    for option in options_of(cls):
        value = _value_of(option, file, section, environ, values.get(option.name, _ABSENT))
        if value is not _ABSENT:
            values[option.name] = value
        elif option.required:
            places = f"give {option.flag}, or set {variable_of(option.name)} or {key_of(option.name)}"
            raise ConfigurationError(f"{places} (section {BASE} of {FILE_NAME})")
    try:
        return cls(**values), tuple(warnings)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _value_of(
    option: Option, file: ConfigurationFile, section: str, environ: Mapping[str, str], flag: object
) -> object:
    """The value of `option` from the last source that has it, or _ABSENT."""
    if flag is not _ABSENT:
        return fit(option.flag, flag, option.hint)
    variable, key = variable_of(option.name), key_of(option.name)
    if environ.get(variable):
        return fit(variable, environ[variable], option.hint, text=True)
    for name in (section, BASE):
        if key in file.sections.get(name, ()):
            value = fit(f"{name}.{key} in {file.path}", file.sections[name][key], option.hint)
            return _anchored(value, file.path.parent)
    return _ABSENT


def _anchored(value: object, folder: Path) -> object:
    """`value` with paths relative to the configuration's folder, in nested sections too."""
    if isinstance(value, Path):
        return folder / value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _anchored(part, folder) for name, part in parts.items()})
    return value


def _strangers(environ: Mapping[str, str]) -> Iterator[str]:
    """A word on each variable with our prefix that no command reads: most likely it is misspelled."""
    known = variables()
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            yield f"the environment variable {name} is not one of ours{hint(name, known)}"
