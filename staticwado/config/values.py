"""Values of options: whether one is of the type that its field asks for, and what is said if not.

One rule: nothing is guessed. A file's `"5000"` is text, not a number; only the environment, which knows text
alone, is parsed.
"""

import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from staticwado.errors import ConfigurationError

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_UNFIT = object()


def understands(hint: Any) -> bool:
    """Whether a file can spell values of the type `hint`."""
    hint, _ = _without_none(hint)
    item = _item_of(hint)
    return hint in _WORDS or _choices(hint) is not None or (item is not None and understands(item))


def fit(where: str, value: object, hint: Any, *, text: bool = False) -> object:
    """`value` as the type `hint` asks; parsed from text where the environment spells it.

    Raises ConfigurationError, which begins with `where`.
    """
    hint, optional = _without_none(hint)
    if optional and value is None:
        return None
    choices, item = _choices(hint), _item_of(hint)
    if choices is not None:
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
