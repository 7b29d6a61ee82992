"""Where statements stand in a document, and which keys it asks for: what the policy simulator tells of a text. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # there, though typeshed does not know it
from typing import Any, NamedTuple

from dryport.iam.policy.conditions import texts

_SPACE = re.compile(r"[ \t\n\r]*")
_VARIABLE = re.compile(r"\$\{\s*([^{}\s,*?$]+)[^{}]*\}")
_JSON = json.JSONDecoder()


class Position(NamedTuple):
    """Behind a character of a text: line and column, from 1, as AWS counts."""

    line: int
    column: int


def spans(document: str) -> list[tuple[Position, Position]]:
    """Behind the opening and the closing brace of each statement of a document that ``grammar.check`` accepted."""
    at = _skip(document, _skip(document, 0) + 1)
    while document[at] == '"':
        name, at = scanstring(document, at + 1, True)
        at = _skip(document, _skip(document, at) + 1)  # the colon
        if name == "Statement":
            return [(_position(document, start + 1), _position(document, end)) for start, end in _each(document, at)]
        _, at = _JSON.raw_decode(document, at)
        at = _skip(document, _skip(document, at) + 1)  # the comma
    raise ValueError("no statements")


def keys(document: str) -> list[str]:
    """The condition keys and policy variables of a checked document, in their order, each as it is first written."""
    bodies = json.loads(document)["Statement"]
    found: dict[str, str] = {}
    for body in bodies if isinstance(bodies, list) else [bodies]:
        for name in _keys(body):
            found.setdefault(name.lower(), name)
    return list(found.values())


def variables(text: str) -> list[str]:
    """The names of the policy variables in a text."""
    found: list[str] = _VARIABLE.findall(text)
    return found


def _keys(body: dict[str, Any]) -> Iterator[str]:
    for text in texts(body.get("Resource", body.get("NotResource", []))):
        yield from variables(text)
    for block in body.get("Condition", {}).values():
        for key, values in block.items():
            yield key
            for text in texts(values):
                yield from variables(text)


def _each(document: str, at: int) -> Iterator[tuple[int, int]]:
    """Start and end of the one statement here, or of each one in a list."""
    if document[at] != "[":
        yield at, _JSON.raw_decode(document, at)[1]
        return
    while document[at] != "]":
        start = _skip(document, at + 1)
        end = _JSON.raw_decode(document, start)[1]
        yield start, end
        at = _skip(document, end)


def _skip(document: str, at: int) -> int:
    space = _SPACE.match(document, at)
    return space.end() if space else at


def _position(document: str, at: int) -> Position:
    return Position(document.count("\n", 0, at) + 1, at - document.rfind("\n", 0, at))
