"""The configuration file: finding it, reading it as JSON5, and judging its sections and keys.

One rule: a key that nobody knows is an error that names the file, the section and the likeliest spelling; a
setting that is silently ignored is found out too late.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from staticwado.config.keys import (
    AE_SECTION,
    BASE,
    FILE_NAME,
    LATER_KEYS,
    OPTION_KEYS,
    PREDECESSOR_KEYS,
    hint,
)
from staticwado.config.values import fit, spell
from staticwado.errors import ConfigurationError

MAXIMUM_SIZE = 1 << 20
"""Bytes: a configuration is written by hand."""

_AE_TITLE_LENGTH = 16  # PS3.5 6.2, AE
_AE_KEYS: Mapping[str, type] = {"host": str, "port": int, "description": str}
_AE_REQUIRED = ("host", "port")


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """A configuration file that has been read, or the place of one that is not there."""

    path: Path
    sections: Mapping[str, Mapping[str, object]]


def find(given: str | os.PathLike[str] | None) -> ConfigurationFile:
    """The file `given`, else `./static-wado.json5`, else `~/static-wado.json5`, else one without sections.

    Raises ConfigurationError if the file cannot be read or is no configuration.
    """
    if given:
        return read(Path(given).expanduser())
    for place in (FILE_NAME, os.path.expanduser(f"~/{FILE_NAME}")):
        if os.path.isfile(place):
            return read(Path(place))
    return ConfigurationFile(Path(FILE_NAME), {})


def read(path: Path) -> ConfigurationFile:
    """The sections of the file at `path`. Raises ConfigurationError."""
    import json5

    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} could not be read: {error.strerror}") from error
    if len(data) > MAXIMUM_SIZE:
        raise ConfigurationError(f"{path} is larger than {MAXIMUM_SIZE} bytes and so no configuration")
    try:
        content = json5.loads(data.decode("utf-8-sig"), allow_duplicate_keys=False)
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON5: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold an object with sections, not {spell(content)}")
    for name, section in content.items():
        if not isinstance(section, dict):
            raise ConfigurationError(f"{name} in {path} must be an object, not {spell(section)}")
    return ConfigurationFile(path, content)


def check(file: ConfigurationFile) -> Iterator[str]:
    """Yields a warning for every key that has no effect; raises ConfigurationError for what nobody knows."""
    for name, section in file.sections.items():
        if name == AE_SECTION:
            _check_aes(file, section)
        elif name in OPTION_KEYS:
            yield from _check_keys(file, name, section)
        else:
            raise ConfigurationError(
                f"unknown section {name} in {file.path}{hint(name, [*OPTION_KEYS, AE_SECTION])}"
            )


def _check_keys(file: ConfigurationFile, name: str, section: Mapping[str, object]) -> Iterator[str]:
    scope = tuple(OPTION_KEYS) if name == BASE else (name, BASE)
    known = {key for each in scope for key in OPTION_KEYS[each]}
    later = {key for each in scope for key in LATER_KEYS.get(each, ())}
    foreign = {key for each in scope for key in PREDECESSOR_KEYS[each]}
    for key in section:
        if key in known:
            continue
        if key in later:
            yield f"{name}.{key} in {file.path} comes with a later release and does nothing yet"
        elif key in foreign:
            yield f"{name}.{key} in {file.path} is a key of Static-DICOMWeb that has no use here"
        else:
            place = f"in section {name} of {file.path}"
            raise ConfigurationError(f"unknown key {key} {place}{hint(key, known | later)}")


def _check_aes(file: ConfigurationFile, section: Mapping[str, object]) -> None:
    for title, entry in section.items():
        where = f"{AE_SECTION}.{title} in {file.path}"
        if not is_ae_title(title):
            raise ConfigurationError(f"{where} is no AE title: 1 to 16 printable characters, no backslash")
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{where} must be an object with host and port, not {spell(entry)}")
        for key, value in entry.items():
            if key not in _AE_KEYS:
                raise ConfigurationError(f"unknown key {key} in {where}{hint(key, _AE_KEYS)}")
            fit(f"{AE_SECTION}.{title}.{key} in {file.path}", value, _AE_KEYS[key])
        for key in _AE_REQUIRED:
            if key not in entry:
                raise ConfigurationError(f"{where} lacks {key}")
        if not 1 <= entry["port"] <= 65535:
            raise ConfigurationError(f"{AE_SECTION}.{title}.port in {file.path} must be 1 to 65535")


def is_ae_title(text: str) -> bool:
    """Whether `text` can be an application entity title (PS3.5 6.2, AE)."""
    printable = text.isascii() and text.isprintable() and "\\" not in text
    return printable and 0 < len(text.strip()) <= len(text) <= _AE_TITLE_LENGTH
