"""Conditions, as JSON and space-delimited patterns have them: comparisons joined by ``&&``, ``||`` and parentheses."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dryport.logs.pattern.scanner import Scanner, invalid

K = TypeVar("K")
Values = Callable[[K], Iterable[Any]]  # the values that an operand stands for in a message

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BARE = re.compile(r"[^\s()&|,\"%\]}=<>!]+")
_IS = re.compile(r"IS\s+(NULL|TRUE|FALSE)\b", re.IGNORECASE)
_NOT_EXISTS = re.compile(r"NOT\s+EXISTS\b", re.IGNORECASE)
_CONSTANTS = {"NULL": None, "TRUE": True, "FALSE": False}
_MOST_REGEXES = 2
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Test(Generic[K]):
    """A test on the values of one operand: it holds if one of them passes, or, ``absent``, if there is none."""

    operand: K
    passes: Callable[[Any], bool]
    absent: bool = False

    def holds(self, values: Values[K]) -> bool:
        found = list(values(self.operand))
        return not found if self.absent else any(map(self.passes, found))


@dataclass(frozen=True, slots=True)
class Joined(Generic[K]):
    """Several conditions, of which all must hold, or ``either``."""

    parts: tuple[Condition[K], ...]
    either: bool

    def holds(self, values: Values[K]) -> bool:
        held = (part.holds(values) for part in self.parts)
        return any(held) if self.either else all(held)


Condition = Test[K] | Joined[K]


def operands(condition: Condition[K]) -> list[K]:
    """What a condition speaks of, in order, without repetition."""
    if isinstance(condition, Test):
        return [condition.operand]
    return list(dict.fromkeys(operand for part in condition.parts for operand in operands(part)))


class ConditionParser(Generic[K]):
    """Reads conditions; ``operand`` reads what stands left of an operator."""

    def __init__(self, scanner: Scanner, operand: Callable[[Scanner], K]) -> None:
        self.scanner = scanner
        self._operand = operand
        self._regexes = 0

    def condition(self, depth: int = 0) -> Condition[K]:
        """Read conditions joined by ``||``, of which ``&&`` binds closer."""
        if depth > _DEEPEST:
            raise invalid()
        return self._joined("||", lambda: self._joined("&&", lambda: self._single(depth)))

    def _joined(self, sign: str, part: Callable[[], Condition[K]]) -> Condition[K]:
        parts = [part()]
        self.scanner.space()
        while self.scanner.literal(sign):
            parts.append(part())
            self.scanner.space()
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), either=sign == "||")

    def _single(self, depth: int) -> Condition[K]:
        scanner = self.scanner
        scanner.space()
        if scanner.literal("("):
            inner = self.condition(depth + 1)
            scanner.space()
            if not scanner.literal(")"):
                raise scanner.refuse()
            return inner
        operand = self._operand(scanner)
        scanner.space()
        if scanner.take(_NOT_EXISTS):
            return Test(operand, bool, absent=True)
        constant = scanner.take(_IS)
        if constant is not None:
            wanted = _CONSTANTS[constant[1].upper()]
            return Test(operand, lambda value: value is wanted)
        sign = scanner.literal("<=", ">=", "!=", "<", ">", "=")
        if sign is None:
            raise scanner.refuse()
        scanner.space()
        return Test(operand, self._comparison(sign))

    def _comparison(self, sign: str) -> Callable[[Any], bool]:
        scanner = self.scanner
        if sign in _ORDER:
            text = scanner.take(_BARE)
            if text is None or not _NUMBER.fullmatch(text[0]):
                raise invalid()
            return _ordered(_ORDER[sign], float(text[0]))
        equal = self._equality()
        return equal if sign == "=" else lambda value: not equal(value)

    def _equality(self) -> Callable[[Any], bool]:
        scanner = self.scanner
        search = scanner.regex()
        if search is not None:
            self._regexes += 1
            if self._regexes > _MOST_REGEXES:
                raise invalid("A filter pattern can have at most 2 regular expressions")
            found = search
            return lambda value: (text := text_of(value)) is not None and found(text)
        wanted = scanner.quoted()
        if wanted is None:
            bare = scanner.take(_BARE)
            if bare is None:
                raise scanner.refuse()
            wanted = bare[0]
            if _NUMBER.fullmatch(wanted):
                return _numeric(wanted)
        return _glob(wanted)


def _glob(wanted: str) -> Callable[[Any], bool]:
    if "*" not in wanted:
        return lambda value: text_of(value) == wanted
    first, *middle, last = wanted.split("*")

    def passes(value: Any) -> bool:
        text = text_of(value)
        if text is None or len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return passes


def _numeric(wanted: str) -> Callable[[Any], bool]:
    number = float(wanted)

    def passes(value: Any) -> bool:
        if isinstance(value, str):
            return value == wanted or number_of(value) == number
        return number_of(value) == number

    return passes


def _ordered(compare: Callable[[float, float], bool], limit: float) -> Callable[[Any], bool]:
    def passes(value: Any) -> bool:
        number = number_of(value)
        return number is not None and compare(number, limit)

    return passes


def number_of(value: Any) -> float | None:
    """The number that a value of a message is, or ``None``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def text_of(value: Any) -> str | None:
    """A value of a message as text; ``None`` for null, lists and objects."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None
