"""From an expression's text to its tree."""

from __future__ import annotations

import re
from functools import lru_cache

from dryport.ecs.placement.query import operators, tree
from dryport.ecs.placement.query.errors import QueryError
from dryport.ecs.placement.query.tree import And, Comparison, Node, Not, Or, Query

MAX_LENGTH = 2000  # characters; "PlacementConstraint" in the API reference
_MAX_DEPTH = 50  # parentheses and negations within each other

_SPACE = re.compile(r"\s*")
_SUBJECT = re.compile(r"[A-Za-z][\w:./\\-]*", re.ASCII)
_ATTRIBUTE = re.compile(r"attribute:[\w:./\\-]+", re.ASCII)
_FIELDS = (
    tree.AGENT_CONNECTED,
    tree.AGENT_VERSION,
    tree.EC2_INSTANCE_ID,
    tree.REGISTERED_AT,
    tree.RUNNING_TASKS_COUNT,
    tree.TASK_GROUP,
)
_OPERATOR = re.compile(r"==|!=|>=|<=|=~|!~|>|<|!?[A-Za-z_]+")
_WORDS = {
    "equals": "==",
    "not_equals": "!=",
    "greater_than": ">",
    "greater_than_equal": ">=",
    "less_than": "<",
    "less_than_equal": "<=",
    "exists": "exists",
    "!exists": "!exists",
    "not_exists": "!exists",
    "in": "in",
    "!in": "!in",
    "not_in": "!in",
    "matches": "=~",
    "not_matches": "!~",
}
_SYMBOLS = frozenset(("==", "!=", ">", ">=", "<", "<=", "=~", "!~"))
_AND = re.compile(r"&&|and\b", re.IGNORECASE)
_OR = re.compile(r"\|\||or\b", re.IGNORECASE)
_NOT = re.compile(r"!|not\b(?=\s|\(|!)", re.IGNORECASE)
# A value without quotes ends at a space, a parenthesis or a Boolean operator; in a list also at its punctuation.
_BARE = re.compile(r"(?:(?!&&|\|\|)[^\s()'\"])+")
_BARE_IN_LIST = re.compile(r"(?:(?!&&|\|\|)[^\s()'\",\[\]])+")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPED_QUOTE = re.compile(r"\\(['\"])")


@lru_cache(maxsize=1024)
def parse(text: str) -> Query:
    """The query of an expression. Raises QueryError, which says what is wrong and where."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("no character of Unicode", error.start + 1) from None
    return Query(text, _Parser(text).whole())


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._either()
        self._skip()
        if self._at < len(self._text):
            raise self._error("expected 'and', 'or' or the end")
        return node

    def _either(self) -> Node:
        operands = [self._both()]
        while self._take(_OR):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _both(self) -> Node:
        operands = [self._term()]
        while self._take(_AND):
            operands.append(self._term())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _term(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"more than {_MAX_DEPTH} parentheses and negations within each other")
        try:
            if self._take(_NOT):
                return Not(self._term())
            self._skip()
            if self._text[self._at : self._at + 1] != "(":
                return self._comparison()
            self._at += 1
            node = self._either()
            self._skip()
            if self._text[self._at : self._at + 1] != ")":
                raise self._error("expected ')'")
            self._at += 1
            return node
        finally:
            self._depth -= 1

    def _comparison(self) -> Comparison:
        subject = self._subject()
        self._skip()
        found = _OPERATOR.match(self._text, self._at)
        operator = found[0] if found else ""
        operator = operator if operator in _SYMBOLS else _WORDS.get(operator.lower(), "")
        if not operator or found is None:
            raise self._error("expected an operator")
        if not operators.allowed(subject, operator):
            raise self._error(f"{subject} cannot be compared with {found[0]}")
        self._at = found.end()
        self._skip()
        where = self._at
        arguments = self._arguments(operator)
        return Comparison(subject, operator, arguments, operators.make(subject, operator, arguments, where + 1))

    def _subject(self) -> str:
        found = _SUBJECT.match(self._text, self._at)
        if found is None:
            raise self._error("expected a subject such as attribute:NAME or task:group")
        if found[0] not in _FIELDS and not _ATTRIBUTE.fullmatch(found[0]):
            raise self._error(f"unknown subject {found[0]!r}")
        self._at = found.end()
        return found[0]

    def _arguments(self, operator: str) -> tuple[str, ...]:
        if operator in ("exists", "!exists"):
            return ()
        if operator not in ("in", "!in"):
            return (self._value(_BARE),)
        if self._text[self._at : self._at + 1] != "[":
            raise self._error("expected a list of values such as [a, b]")
        values: list[str] = []
        separator = "["
        while separator != "]":
            self._at += 1
            self._skip()
            values.append(self._value(_BARE_IN_LIST))
            self._skip()
            separator = self._text[self._at : self._at + 1]
            if separator not in (",", "]") or not separator:
                raise self._error("expected ',' or ']'")
        self._at += 1
        return tuple(values)

    def _value(self, bare: re.Pattern[str]) -> str:
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is not None:
            self._at = quoted.end()
            # Only a quote needs a backslash before it: all others are the value's own, as in regular expressions.
            return _ESCAPED_QUOTE.sub(r"\1", quoted[1] if quoted[1] is not None else quoted[2])
        if self._text[self._at : self._at + 1] in ("'", '"'):
            raise self._error("the quoted value does not end")
        found = bare.match(self._text, self._at)
        if found is None:
            raise self._error("expected a value")
        self._at = found.end()
        if self._text[self._at : self._at + 1] == "(":
            raise self._error("a value with parentheses has to be quoted")
        return found[0]

    def _take(self, pattern: re.Pattern[str]) -> bool:
        self._skip()
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found is not None

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _error(self, problem: str) -> QueryError:
        return QueryError(problem, self._at + 1)
