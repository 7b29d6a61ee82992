"""Wildcards and policy variables: what a text in a policy matches.

``*`` stands for any characters, ``?`` for exactly one; ``${*}``, ``${?}`` and ``${$}`` are those characters themselves;
``${key}`` and ``${key, 'default'}`` are replaced by a value of the request. What a variable brings in is literal: its
wildcards are characters.

Source: "IAM policy elements: Variables and tags" and "IAM JSON policy elements: Resource", IAM user guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

Context = Mapping[str, str | Sequence[str]]  # keys in lower case; a sequence is a multivalued key

_SPECIAL = re.compile(r"\*|\?|\$\{([^{}]*)\}")
_DEFAULT = re.compile(r"\s*([^,\s]+)\s*,\s*'([^']*)'\s*")


class Variable(NamedTuple):
    """A policy variable: a context key in lower case, and what stands in for it where the request lacks it."""

    key: str
    default: str | None


class Wild:
    """A wildcard, ``MANY`` or ``ONE``."""

    __slots__ = ()


MANY = Wild()
ONE = Wild()
Token = str | Wild | Variable
Part = str | tuple[str, ...]  # a tuple: texts with exactly one character between each two


def tokens(text: str, *, variables: bool, wildcards: bool = True) -> list[Token]:
    """A text of a policy, taken apart. Without ``variables`` (version 2008-10-17) ``${…}`` is literal."""
    found: list[Token] = []
    at = 0
    for special in _SPECIAL.finditer(text):
        name = special[1]
        if not (wildcards if name is None else variables):
            continue
        if special.start() > at:
            found.append(text[at : special.start()])
        at = special.end()
        if name is None:
            found.append(MANY if special[0] == "*" else ONE)
        elif name in ("*", "?", "$"):
            found.append(name)
        else:
            found.append(_variable(name))
    if at < len(text):
        found.append(text[at:])
    return found


def _variable(name: str) -> Variable:
    default = _DEFAULT.fullmatch(name)
    return Variable(default[1].lower(), default[2]) if default else Variable(name.strip().lower(), None)


def resolve(parts: Iterable[Token], context: Context) -> list[Token] | None:
    """The same with its variables replaced, or ``None`` where one has no single value: then nothing matches."""
    resolved: list[Token] = []
    for token in parts:
        if isinstance(token, Variable):
            value = context.get(token.key, token.default)
            if value is not None and not isinstance(value, str):
                value = value[0] if len(value) == 1 else None
            if value is None:
                return None
            token = value
        resolved.append(token)
    return resolved


def has_variables(parts: Iterable[Token]) -> bool:
    """Whether the request decides what the text is."""
    return any(isinstance(token, Variable) for token in parts)


class Glob:
    """A pattern without variables. Linear in its own length times the text's."""

    __slots__ = ("exact", "parts", "prefix")

    def __init__(self, parts: Iterable[Token]) -> None:
        between: list[list[str]] = [[""]]  # by MANY, then by ONE
        for token in parts:
            if token is MANY:
                between.append([""])
            elif token is ONE:
                between[-1].append("")
            else:
                between[-1][-1] += str(token)
        self.parts: tuple[Part, ...] = tuple(part[0] if len(part) == 1 else tuple(part) for part in between)
        first = self.parts[0]
        self.exact = first if len(self.parts) == 1 and isinstance(first, str) else None
        is_prefix = len(self.parts) == 2 and isinstance(first, str) and self.parts[1] == ""
        self.prefix = first if is_prefix and isinstance(first, str) else None

    @property
    def any(self) -> bool:
        """Whether it matches every text."""
        return all(part == "" for part in self.parts) and len(self.parts) > 1

    def matches(self, text: str) -> bool:
        """Whether the whole text is of this pattern."""
        if self.exact is not None:
            return text == self.exact
        if self.prefix is not None:
            return text.startswith(self.prefix)
        first, last = self.parts[0], self.parts[-1]
        end = len(text) - _length(last)
        if len(self.parts) == 1:
            return end == 0 and _is_at(first, text, 0)
        at = _length(first)
        if at > end or not _is_at(first, text, 0) or not _is_at(last, text, end):
            return False
        for part in self.parts[1:-1]:
            at = _find(part, text, at, end)
            if at < 0:
                return False
            at += _length(part)
        return True


def _length(part: Part) -> int:
    return len(part) if isinstance(part, str) else sum(map(len, part)) + len(part) - 1


def _is_at(part: Part, text: str, at: int) -> bool:
    if isinstance(part, str):
        return text.startswith(part, at)
    for piece in part:
        if not text.startswith(piece, at):
            return False
        at += len(piece) + 1
    return at - 1 <= len(text)


def _find(part: Part, text: str, at: int, end: int) -> int:
    """Where the part begins first, between two places of the text; -1 where it does not."""
    if isinstance(part, str):
        return text.find(part, at, end)
    return next((i for i in range(at, end - _length(part) + 1) if _is_at(part, text, i)), -1)


@lru_cache(maxsize=4096)
def action_glob(text: str) -> Glob:
    """The pattern of an action, which takes no variables and whose case does not matter."""
    return Glob(tokens(text.lower(), variables=False))
