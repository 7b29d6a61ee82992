"""The tree of an expression."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|"
    r"(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>()\[\],]))",
    re.ASCII,
)
_DEEPEST = 64
# Weakest first; each row binds alike. AND and OR are words too.
_BINARY = (
    {"||": "OR", "OR": "OR"},
    {"&&": "AND", "AND": "AND"},
    {each: each for each in ("==", "!=", "<", ">", "<=", ">=")},
    {"+": "+", "-": "-"},
    {"*": "*", "/": "/"},
)


class Malformed(Exception):
    """The text is no expression."""


class Node(msgspec.Struct, frozen=True):
    """``kind``: ``number``, ``text``, ``name`` (another query's id), ``list``, ``call``, ``binary``, ``negative``.

    ``word`` is the name, function, operator or text.
    """

    kind: str
    word: str = ""
    number: float = 0.0
    parts: tuple[Node, ...] = ()


def parse(text: str) -> Node:
    """The tree of an expression. Raises Malformed."""
    return _Parser(text).whole()


def names(node: Node) -> Iterator[str]:
    """The ids of other queries that an expression names."""
    if node.kind == "name":
        yield node.word
    for part in node.parts:
        yield from names(part)


def calls(node: Node) -> Iterator[str]:
    """The functions that it calls."""
    if node.kind == "call":
        yield node.word
    for part in node.parts:
        yield from calls(part)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._depth = 0

    def whole(self) -> Node:
        found = self._binary(0)
        if self._place < len(self._tokens):
            raise Malformed(f"unexpected '{self._tokens[self._place][1]}'")
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        found = self._peek()
        self._place += 1
        return found

    def _expect(self, sign: str) -> None:
        kind, word = self._take()
        if word != sign or kind == "text":
            raise Malformed(f"expected '{sign}'")

    def _binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._negative()
        left = self._binary(level + 1)
        while True:
            kind, word = self._peek()
            operator = _BINARY[level].get(word.upper()) if kind in ("sign", "name") else None
            if operator is None:
                return left
            self._take()
            left = Node("binary", operator, parts=(left, self._binary(level + 1)))

    def _negative(self) -> Node:
        if self._peek() == ("sign", "-"):
            self._take()
            self._deeper()
            found = Node("negative", "-", parts=(self._negative(),))
            self._depth -= 1
            return found
        return self._power()

    def _power(self) -> Node:
        base = self._single()
        if self._peek() == ("sign", "^"):
            self._take()
            self._deeper()
            base = Node("binary", "^", parts=(base, self._negative()))
            self._depth -= 1
        return base

    def _single(self) -> Node:
        kind, word = self._take()
        if kind == "number":
            return Node("number", word, float(word))
        if kind == "text":
            return Node("text", word[1:-1])
        if kind == "name":
            if self._peek() == ("sign", "("):
                self._take()
                return Node("call", word.upper(), parts=self._several(")"))
            return Node("name", word)
        if word == "(":
            self._deeper()
            found = self._binary(0)
            self._depth -= 1
            self._expect(")")
            return found
        if word == "[":
            return Node("list", "", parts=self._several("]"))
        raise Malformed(f"unexpected '{word}'" if word else "unexpected end")

    def _several(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        self._deeper()
        if self._peek() == ("sign", end):
            self._take()
        else:
            found.append(self._binary(0))
            while self._peek() == ("sign", ","):
                self._take()
                found.append(self._binary(0))
            self._expect(end)
        self._depth -= 1
        return tuple(found)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Malformed("it is nested too deeply")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise Malformed(f"unexpected '{text[place:].strip()[:1]}'")
        yield match.lastgroup, match[match.lastgroup]
        place = match.end()
