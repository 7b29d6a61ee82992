"""What operators mean: from a subject, an operator and its arguments to a function of a value."""

from __future__ import annotations

import operator as compare_by
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dryport.ecs.placement.query import tree
from dryport.ecs.placement.query.errors import QueryError

Test = Callable[[Any], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": compare_by.gt,
    ">=": compare_by.ge,
    "<": compare_by.lt,
    "<=": compare_by.le,
}
_EQUAL = ("==", "!=")
_MEMBER = ("in", "!in")
_MATCH = ("=~", "!~")
_EXIST = ("exists", "!exists")
# The operators that the developer guide gives for each field; attributes and groups take all.
_ALLOWED: dict[str, tuple[str, ...]] = {
    tree.AGENT_CONNECTED: (*_EQUAL, *_MEMBER, *_MATCH),
    tree.AGENT_VERSION: (*_EQUAL, *_ORDER),
    tree.EC2_INSTANCE_ID: (*_EQUAL, *_MEMBER, *_MATCH),
    tree.REGISTERED_AT: (*_EQUAL, *_ORDER),
    tree.RUNNING_TASKS_COUNT: (*_EQUAL, *_ORDER),
}
_DIGITS = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_VERSION = re.compile(r"v?([0-9]{1,18}(?:\.[0-9]{1,18})*)")
_MAX_PATTERN_MEMORY = 1 << 20  # bytes that RE2 may use for one


def allowed(subject: str, operator: str) -> bool:
    """Whether a subject can be compared by an operator."""
    return operator in _ALLOWED.get(subject, (*_EQUAL, *_ORDER, *_MEMBER, *_MATCH, *_EXIST))


def make(subject: str, operator: str, arguments: tuple[str, ...], position: int) -> Test:
    """The test of a comparison whose argument stands at ``position``. Raises QueryError where it is none."""
    if operator in _EXIST:
        return lambda value: True
    if operator in _MEMBER:
        members, wanted = frozenset(arguments), operator == "in"
        return lambda value: (value in members) is wanted
    argument = arguments[0]
    if operator in _MATCH:
        matches, positive = _pattern(argument, position), operator == "=~"
        return lambda value: matches(value) is positive
    if subject == tree.AGENT_VERSION:
        return _by_version(operator, argument, position)
    if subject == tree.REGISTERED_AT:
        return _ordered(operator, _seconds(argument, position))
    if subject == tree.RUNNING_TASKS_COUNT:
        if not _DIGITS.fullmatch(argument):
            raise QueryError(f"{argument!r} is no number of tasks", position)
        return _ordered(operator, int(argument))
    return _by_text(operator, argument)


def _ordered(operator: str, argument: Any) -> Test:
    if operator in _EQUAL:
        equal = operator == "=="
        return lambda value: (value == argument) is equal
    compare = _ORDER[operator]
    return lambda value: compare(value, argument)


def _by_text(operator: str, argument: str) -> Test:
    """Equality is that of texts; order that of numbers where both are, of versions where both are, else of texts."""
    if operator in _EQUAL:
        return _ordered(operator, argument)
    compare = _ORDER[operator]

    def test(value: str) -> bool:
        for pattern, convert in ((_DECIMAL, Decimal), (_VERSION, version)):
            if pattern.fullmatch(value) and pattern.fullmatch(argument):
                return compare(convert(value), convert(argument))
        return compare(value, argument)

    return test


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version (``1.14.5``), without zeros at its end: 1.14 is 1.14.0."""
    found = _VERSION.match(text)
    numbers = [int(number) for number in found[1].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _by_version(operator: str, argument: str, position: int) -> Test:
    if not _VERSION.fullmatch(argument):
        raise QueryError(f"{argument!r} is no version", position)
    test = _ordered(operator, version(argument))
    return lambda value: test(version(value))


def _seconds(text: str, position: int) -> int:
    """Whole seconds since the epoch of a date or a time; without a zone it is UTC's."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})?)?", text, re.ASCII):
        raise QueryError(f"{text!r} is no date such as 2018-06-18 or 2018-06-18T22:28:28Z", position)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryError(f"{text!r} is no date ({error})", position) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _pattern(expression: str, position: int) -> Callable[[str], bool]:
    """Whether a regular expression matches the whole of a text, as Java's ``matches`` does; by RE2, in linear time."""
    import re2  # only where an expression has one: it takes memory

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PATTERN_MEMORY
    try:
        fullmatch = re2.compile(expression.encode(), options=options).fullmatch
    except re2.error as error:
        text = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise QueryError(f"{expression!r} is no regular expression that can be used ({text})", position) from None
    return lambda value: fullmatch(value.encode()) is not None
