"""What an expression comes to: a number, a series, or several series."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

import msgspec

from dryport.cloudwatch.expressions.parser import Node

Series = dict[int, float]  # by the time at which a period begins
Value = float | Series | list[Series]


class NotWorkedOut(Exception):
    """What is asked for cannot be worked out of these; the message says why."""


class Frame(msgspec.Struct):
    """What an expression is worked out on: the other queries' values by id, and the periods asked for.

    ``metrics`` are the ids of those queries that are metrics; times are seconds, ``end`` is exclusive.
    """

    values: Mapping[str, Value]
    metrics: list[str]
    periods: Mapping[str, int]
    start: int
    end: int
    period: int


Function = Callable[[Frame, tuple[Node, ...], list[Value]], Value]


def evaluate(node: Node, frame: Frame) -> Value:
    """Work out an expression. Raises NotWorkedOut."""
    match node.kind:
        case "number":
            return node.number
        case "name":
            if node.word not in frame.values:
                raise NotWorkedOut(f"{node.word} is not there")
            return frame.values[node.word]
        case "list":
            return [part for each in node.parts for part in as_series(evaluate(each, frame))]
        case "negative":
            return each_of(evaluate(node.parts[0], frame), operator.neg)
        case "binary":
            left, right = (evaluate(part, frame) for part in node.parts)
            return combined(node.word, left, right)
        case "call":
            return _called(node, frame)
    raise NotWorkedOut("a text stands where a value is wanted")


def _called(node: Node, frame: Frame) -> Value:
    from dryport.cloudwatch.expressions.functions import FUNCTIONS

    function = FUNCTIONS[node.word]
    # A text or a word (REPEAT) is the function's to read.
    given = [evaluate(part, frame) for part in node.parts if part.kind != "text" and not is_word(part)]
    return function(frame, node.parts, given)


def is_word(node: Node) -> bool:
    """Whether it is a word of a function's own, which no query's id can be: those begin with a lower-case letter."""
    return node.kind == "name" and node.word[:1].isupper()


def as_series(value: Value) -> list[Series]:
    """The series that a value has. Raises NotWorkedOut of a number."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    raise NotWorkedOut("a number stands where a series is wanted")


def each_of(value: Value, change: Callable[[float], float]) -> Value:
    """A value with every number changed; those for which there is no result are left out."""
    if isinstance(value, float):
        return _number(change, value)
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    return _changed(value, change)


def _changed(series: Series, change: Callable[[float], float]) -> Series:
    found = {at: _number(change, value) for at, value in series.items()}
    return {at: value for at, value in found.items() if math.isfinite(value)}


def combined(word: str, left: Value, right: Value) -> Value:
    """Two values by an operator: series at the times at which both have a value. Raises NotWorkedOut."""
    work_out = _OPERATORS[word]
    if isinstance(left, float) and isinstance(right, float):
        return _number(work_out, left, right)
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise NotWorkedOut("the lists have different lengths")
        return [_both(work_out, one, other) for one, other in zip(left, right, strict=True)]
    if isinstance(left, list):
        return [_both(work_out, one, right) for one in left] if not isinstance(right, list) else []
    if isinstance(right, list):
        return [_both(work_out, left, other) for other in right]
    return _both(work_out, left, right)


def _both(work_out: Callable[[float, float], float], left: float | Series, right: float | Series) -> Series:
    if isinstance(left, dict) and isinstance(right, dict):
        found = {at: _number(work_out, left[at], right[at]) for at in left.keys() & right.keys()}
    elif isinstance(left, dict):
        assert isinstance(right, float)
        found = {at: _number(work_out, value, right) for at, value in left.items()}
    else:
        assert isinstance(right, dict)
        found = {at: _number(work_out, left, value) for at, value in right.items()}
    return {at: value for at, value in found.items() if math.isfinite(value)}


def _number(work_out: Callable[..., float], *given: float) -> float:
    """A result that there is, or NaN: of a division by zero there is no data point."""
    try:
        found = work_out(*given)
    except (ArithmeticError, ValueError):
        return math.nan
    return float(found) if not isinstance(found, complex) else math.nan


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "AND": lambda left, right: bool(left) and bool(right),
    "OR": lambda left, right: bool(left) or bool(right),
}
