"""A data set of the DICOM JSON Model (PS3.18 annex F) in memory: from text and to text, element by element.

One rule: no number changes. A number with a fraction or an exponent is a `Number`, which keeps its spelling.
Nothing here calls itself, so no nesting is too deep for the stack.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from json.encoder import encode_basestring as quote
from typing import Any, TypeVar

from staticwado.dicom import tags
from staticwado.dicom.tags import format_tag
from staticwado.dicom.vr import KNOWN
from staticwado.errors import BadRequest, BrokenDicom

Dataset = Mapping[str, Any]
Piece = TypeVar("Piece", str, bytes)

DEEPEST = 200_000
"""Arrays and objects within each other; each costs a hundred times the memory of its text."""
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
"""The component groups of a person name (PS3.18 F.2.2), in their order."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_TOKEN = re.compile(
    r"[ \t\n\r]*(?:(?P<mark>[\[\]{},:])"
    r"|(?P<plain>\"[^\"\\]*(?:\\.[^\"\\]*)*\"|[^\s\[\]{},:\"]+)|(?P<end>\Z))",
    re.ASCII | re.DOTALL,
)


class Number(Decimal):
    """A number and the JSON text that it was; equal to every number of the same value."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Number":
        """Raises ArithmeticError for what is no number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


@dataclass(frozen=True, slots=True)
class JsonElement:
    """One attribute of a data set; at most one of `values`, `inline` and `uri` holds something."""

    tag: int
    vr: str
    values: list[Any]
    inline: str | None
    """The value field in base64, little endian."""
    uri: str | None


def elements_of(dataset: Dataset) -> list[JsonElement]:
    """The attributes of `dataset` in ascending order of tags; items of sequences are not looked at.

    Raises BrokenDicom, which names the tag, for what is no attribute object of PS3.18 F.2.2.
    """
    elements = sorted((_element(name, member) for name, member in dataset.items()), key=lambda one: one.tag)
    for before, after in pairwise(elements):
        if before.tag == after.tag:
            raise BrokenDicom(f"{format_tag(after.tag)} stands twice in a data set")
    return elements


def _element(name: Any, member: Any) -> JsonElement:
    if not isinstance(name, str) or not _TAG.fullmatch(name):
        raise BrokenDicom(f"{str(name)[:40]!r} is no tag: eight hexadecimal digits are")
    tag = int(name, 16)
    if not isinstance(member, Mapping):
        raise BrokenDicom(f"{format_tag(tag)} is no object with a vr")
    vr = member.get("vr")
    if not isinstance(vr, str) or vr not in KNOWN:
        raise BrokenDicom(f"{format_tag(tag)} has no value representation that is known: {str(vr)[:20]!r}")
    values, inline, uri = member.get("Value"), member.get("InlineBinary"), member.get("BulkDataURI")
    if (values is not None) + (inline is not None) + (uri is not None) > 1:
        raise BrokenDicom(f"{format_tag(tag)} has more than one of Value, InlineBinary and BulkDataURI")
    if values is not None and not isinstance(values, list):
        raise BrokenDicom(f"the Value of {format_tag(tag)} is no array")
    for text, what in ((inline, "InlineBinary"), (uri, "BulkDataURI")):
        if text is not None and not isinstance(text, str):
            raise BrokenDicom(f"the {what} of {format_tag(tag)} is no text")
    if vr == "SQ" and (inline is not None or uri is not None):
        raise BrokenDicom(f"{format_tag(tag)} is a sequence and has a value that is none")
    return JsonElement(tag, vr, values or [], inline, uri)


def item_of(element: JsonElement, number: int) -> Dataset:
    """Item `number`, from 0, of a sequence; null stands for an empty item. Raises BrokenDicom."""
    item = element.values[number]
    if item is None:
        return {}
    if not isinstance(item, Mapping):
        raise BrokenDicom(f"item {number + 1} of {format_tag(element.tag)} is no data set")
    return item


def is_left_out(tag: int) -> bool:
    """Whether a tag is a group length or of group 0002: no part of the data set (PS3.18 F.2.2)."""
    return tag & 0xFFFF == 0 or tag >> 16 == 0x0002


def private_creators(elements: list[JsonElement]) -> dict[int, str]:
    """The Private Creators of one data set or item, by tag (PS3.5 7.8.1)."""
    return {
        one.tag: one.values[0]
        for one in elements
        if tags.is_private_creator(one.tag) and len(one.values) == 1 and isinstance(one.values[0], str)
    }


def number_text(value: int | float | Decimal) -> str:
    """A finite number as JSON, DS and FD write it; a `Number` as it was spelled."""
    if isinstance(value, Number):
        return value.text
    return str(value).replace("E", "e") if isinstance(value, Decimal) else repr(value)


def unroll(pieces: Iterator[Piece | Iterator[Any]]) -> Iterator[Piece]:
    """The pieces of `pieces` in order, those of the iterators among them included, at any depth."""
    waiting = [pieces]
    while waiting:
        for piece in waiting[-1]:
            if isinstance(piece, str | bytes):
                yield piece
            else:
                waiting.append(piece)
                break
        else:
            waiting.pop()


# -- text ----------------------------------------------------------------------------------------------------


def parse_json(text: bytes) -> Any:
    """The array or object that UTF-8 `text` holds.

    Raises BadRequest where it is no JSON, is nested too deep, or where a name stands twice in an object.
    """
    try:
        decoded = text.decode("utf-8")
        try:
            return json.loads(
                decoded,
                parse_float=Number,
                parse_int=_integer,
                parse_constant=_refuse,
                object_pairs_hook=_object,
            )
        except RecursionError:
            return _Parser(decoded).parse()
    except (ValueError, ArithmeticError) as error:
        raise BadRequest(f"the text is no JSON: {str(error)[:200]}") from error


def _integer(text: str) -> int | Number:
    return Number(text) if text == "-0" else int(text)


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        # Not by counting each: there may be a million names.
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name {twice[:40]!r} stands twice in an object")
    return made


class _Parser:
    """The slow way, for what is nested too deep for the library."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[list[Any] | dict[str, Any]] = []
        self._names: list[str] = []

    def parse(self) -> Any:
        while True:
            value, closed = self._value()
            while closed:
                if not self._open:
                    if self._next() != "":
                        raise ValueError(f"more follows at character {self._at}")
                    return value
                container = self._open[-1]
                if isinstance(container, list):
                    container.append(value)
                else:
                    container[self._names.pop()] = value
                mark = self._next()
                if mark == ",":
                    if isinstance(container, dict):
                        self._name(self._next())
                    break
                self._check(mark == ("]" if isinstance(container, list) else "}"))
                value = self._open.pop()

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise ValueError(f"unexpected text at character {self._at}")
        self._at = found.end()
        return found["mark"] or found["plain"] or ""

    def _check(self, right: bool) -> None:
        if not right:
            raise ValueError(f"unexpected text before character {self._at}")

    def _value(self) -> tuple[Any, bool]:
        """The next value, and whether it is complete; a container that was opened is not."""
        word = self._next()
        if word not in ("[", "{"):
            return self._plain(word), True
        made: list[Any] | dict[str, Any] = [] if word == "[" else {}
        before = self._at
        follows = self._next()
        if follows == ("]" if word == "[" else "}"):
            return made, True
        if len(self._open) == DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST}")
        self._open.append(made)
        if word == "{":
            self._name(follows)
        else:
            self._at = before
        return None, False

    def _plain(self, word: str) -> Any:
        self._check(word not in ("", "]", "}", ",", ":"))
        return json.loads(word, parse_float=Number, parse_int=_integer, parse_constant=_refuse)

    def _name(self, word: str) -> None:
        self._check(word.startswith('"'))
        name = json.loads(word)
        if name in self._open[-1]:
            raise ValueError(f"the name {name[:40]!r} stands twice in an object")
        self._check(self._next() == ":")
        self._names.append(name)


def format_json(value: Any) -> bytes:
    """`value`, as `parse_json` gives it, as UTF-8 text without spaces; members keep their order.

    Raises ValueError for what JSON cannot hold: NaN, infinity and half surrogate pairs.
    """
    return "".join(unroll(_pieces(value))).encode()


def _pieces(value: Any) -> Iterator[str | Iterator[Any]]:
    if isinstance(value, Mapping):
        separator = "{"
        for name, member in value.items():
            yield f"{separator}{quote(name)}:"
            yield _scalar(member) or _pieces(member)
            separator = ","
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        separator = "["
        for member in value:
            yield separator
            yield _scalar(member) or _pieces(member)
            separator = ","
        yield "]" if value else "[]"
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    """The text of what is no array and no object; empty for those."""
    if isinstance(value, str):
        return str(quote(value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, int | float | Decimal):
        return ""
    if not isinstance(value, int) and not math.isfinite(value):
        raise ValueError("JSON has no number for NaN and infinity")
    return number_text(value)
