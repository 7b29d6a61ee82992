"""Conditions: every operator and every key must hold; of a key's values, one must (of a negated operator's, none)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dryport.iam.policy import values
from dryport.iam.policy.operators import FOR_ALL, Operator, Test, read
from dryport.iam.policy.patterns import Context

Condition = Callable[[Context], bool]


def compile_conditions(block: Mapping[str, Mapping[str, Any]], *, variables: bool) -> tuple[Condition, ...]:
    """A statement's Condition element, ready to be asked. Raises ValueError for an unknown operator."""
    found: list[Condition] = []
    for name, keys in block.items():
        operator = read(name)
        if operator is None:
            raise ValueError(f"unknown condition operator {name}")
        found.extend(_condition(operator, key.lower(), texts(given), variables) for key, given in keys.items())
    return tuple(found)


def texts(given: Any) -> tuple[str, ...]:
    """The values of an element that takes one or a list: truth and numbers as JSON writes them."""
    items = given if isinstance(given, list) else [given]
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def _condition(operator: Operator, key: str, expected: tuple[str, ...], variables: bool) -> Condition:
    if operator.make is None:
        return _null(key, expected)
    make = operator.make
    holds = _holds(tuple(make(value, variables) for value in expected), operator.negated)
    every = operator.quantifier == FOR_ALL or (operator.quantifier is None and operator.negated)
    absent = operator.if_exists or every
    many = all if every else any

    def check(context: Context) -> bool:
        given = context.get(key)
        if not given and not isinstance(given, str):
            return absent
        if isinstance(given, str):
            return holds(given, context)
        return many(holds(value, context) for value in given)

    return check


def _holds(tests: Sequence[Test], negated: bool) -> Test:
    if len(tests) == 1 and not negated:
        return tests[0]

    def holds(value: str, context: Context) -> bool:
        return any(test(value, context) for test in tests) is not negated

    return holds


def _null(key: str, expected: tuple[str, ...]) -> Condition:
    wanted = {values.truth(value) for value in expected}

    def check(context: Context) -> bool:
        given = context.get(key)
        return (not given and not isinstance(given, str)) in wanted

    return check
