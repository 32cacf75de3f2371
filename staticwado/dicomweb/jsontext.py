"""Parsing DICOM JSON text of any depth."""

import re
from typing import Any

import orjson

DEEPEST = 200
"""Brackets inside brackets that the JSON library writes; what is nested deeper stays text."""
_MANY_SEQUENCES = 60
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')


def parse_dataset(text: bytes) -> dict[str, Any]:
    """The data set whose object is `text`; members nested too deep to be parsed become `orjson.Fragment`.

    Raises orjson.JSONDecodeError.
    """
    if text.count(b'"vr":"SQ"') < _MANY_SEQUENCES or _depth(text) <= DEEPEST:
        found = orjson.loads(text)
        if not isinstance(found, dict):
            raise orjson.JSONDecodeError("a data set is an object", "", 0)
        return found
    return {
        tag: orjson.loads(member) if _depth(member) <= DEEPEST else orjson.Fragment(member)
        for tag, member in split_members(text).items()
    }


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for token in _TOKEN.finditer(text):
        character = token[0][:1]
        if character in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in b"]}":
            depth -= 1
    return deepest


def split_members(text: bytes) -> dict[str, bytes]:
    """The members of an object as text, by name; `text` is as `EncodedDataset.to_json` writes it."""
    members: dict[str, bytes] = {}
    depth, name, start = 0, "", 0
    for token in _TOKEN.finditer(text):
        character = token[0][:1]
        if character == b'"':
            if depth == 1:
                name = token[0][1:-1].decode()
        elif character in b"[{":
            depth += 1
            if depth == 2:
                start = token.start()
        else:
            depth -= 1
            if depth == 1:
                members[name] = text[start : token.end()]
    return members


def split_array(text: bytes) -> list[bytes]:
    """The objects of an array as text."""
    objects = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        character = token[0][:1]
        if character in b"[{":
            depth += 1
            if depth == 2:
                start = token.start()
        elif character in b"]}":
            depth -= 1
            if depth == 1:
                objects.append(text[start : token.end()])
    return objects
