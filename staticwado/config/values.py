"""Values of options: whether one is of the type that its field asks for, and what is said if not.

One rule: nothing is guessed. A file's `"5000"` is text, not a number; only the environment, which knows text
alone, is parsed.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from staticwado.config.keys import hint as likeliest
from staticwado.config.keys import key_of, name_of
from staticwado.errors import ConfigurationError

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_UNFIT = object()


def understands(hint: Any) -> bool:
    """Whether a file can spell values of the type `hint`."""
    hint, _ = _without_none(hint)
    item = _item_of(hint)
    return (
        hint in _WORDS
        or _choices(hint) is not None
        or (item is not None and understands(item))
        or _is_mapping(hint)
        or _is_union(hint)
        or (isinstance(hint, type) and dataclasses.is_dataclass(hint))
    )


def fit(where: str, value: object, hint: Any, *, text: bool = False) -> object:
    """`value` as the type `hint` asks; parsed from text where the environment spells it.

    Raises ConfigurationError, which begins with `where`.
    """
    hint, optional = _without_none(hint)
    if optional and value is None:
        return None
    choices, item = _choices(hint), _item_of(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _section(where, value, hint)
    if _is_union(hint):
        return fit(where, value, _member_for(value, hint), text=text)
    if _is_mapping(hint):
        if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
            return dict(value)
        expected = "an object whose values are text"
    elif choices is not None:
        for spelled, member in choices.items():
            if value is member or value == spelled or (text and value == str(spelled)):
                return member
        expected = "one of " + ", ".join(str(spelled) for spelled in choices)
    elif item is not None:
        if text and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, list | tuple):
            return tuple(fit(f"an entry of {where}", part, item, text=text) for part in value)
        expected = "a list"
    else:
        fitted = _parsed(str(value).strip(), hint) if text else _plain(value, hint)
        if fitted is not _UNFIT:
            return fitted
        expected = _WORDS[hint]
    raise ConfigurationError(f"{where} must be {expected}, not {spell(value)}")


def _section(where: str, value: object, cls: type[Any]) -> object:
    """A nested section of the file as the frozen dataclass `cls`; unknown keys are errors."""
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} must be an object in the configuration file, not {spell(value)}")
    hints = typing.get_type_hints(cls)
    fields = {key_of(field.name): field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            raise ConfigurationError(f"unknown key {key} in {where}{likeliest(key, fields)}")
    for key, field in fields.items():
        if key not in value and field.default is dataclasses.MISSING:
            raise ConfigurationError(f"{where} lacks {key}")
    made = {
        name_of(key): fit(f"{where}: {key}", part, hints[fields[key].name]) for key, part in value.items()
    }
    try:
        return cls(**made)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _member_for(value: object, hint: Any) -> Any:
    """The type of a union that `value` is meant for: a list is for the list, an object for the mapping."""
    members = list(_members(hint))
    for each in members:
        if isinstance(value, list | tuple) and _item_of(each) is not None:
            return each
        if isinstance(value, dict) and _is_mapping(each):
            return each
    return members[0]


def spell(value: object) -> str:
    """`value` as a file would spell it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"


def _without_none(hint: Any) -> tuple[Any, bool]:
    """(the type, whether None is allowed too)."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        if len(members) == 1:
            return members[0], True
    return hint, False


def _members(hint: Any) -> Iterator[Any]:
    return (member for member in typing.get_args(hint) if member is not type(None))


def _is_union(hint: Any) -> bool:
    """Whether it is a union of several types that a file can spell."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return False
    return all(understands(member) for member in _members(hint))


def _is_mapping(hint: Any) -> bool:
    return typing.get_origin(hint) is Mapping and typing.get_args(hint) == (str, str)


def _choices(hint: Any) -> Mapping[object, object] | None:
    """What an enum or a Literal may be, spelled value -> value; None for other types."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {member.value: member for member in hint}
    if typing.get_origin(hint) is typing.Literal:
        return {value: value for value in typing.get_args(hint)}
    return None


def _item_of(hint: Any) -> Any:
    """X of `tuple[X, ...]`; None for other types."""
    arguments = typing.get_args(hint)
    return arguments[0] if typing.get_origin(hint) is tuple and arguments[1:] == (...,) else None


def _plain(value: object, hint: Any) -> object:
    if hint is Path:
        return Path(value).expanduser() if isinstance(value, str | Path) and str(value) else _UNFIT
    if hint is float and type(value) is int:
        return float(value)
    return value if type(value) is hint else _UNFIT


def _parsed(text: str, hint: Any) -> object:
    if hint is bool:
        return True if text.lower() in _TRUE else False if text.lower() in _FALSE else _UNFIT
    if hint not in (int, float):
        return _plain(text, hint)
    try:
        return hint(text)
    except ValueError:
        return _UNFIT
