"""Condition operators: what each one compares, and how its name is read.

Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys", IAM user
guide.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from dryport.iam.policy import values
from dryport.iam.policy.arns import ArnPattern, split
from dryport.iam.policy.patterns import Context, Glob, has_variables, resolve, tokens

Test = Callable[[str, Context], bool]  # does one value of the request match one value of the policy?
Maker = Callable[[str, bool], Test]  # from the policy's value, and whether variables are replaced in it

FOR_ALL = "ForAllValues"
FOR_ANY = "ForAnyValue"


class Operator(NamedTuple):
    """A condition operator as it is written: ``ForAnyValue:StringNotLikeIfExists``.

    ``negated`` ones match where the value matches none of the policy's; ``make`` is ``None`` for ``Null`` alone.
    """

    kind: str
    quantifier: str | None
    if_exists: bool
    negated: bool
    make: Maker | None


def read(name: str) -> Operator | None:
    """An operator from its name, whose case does not matter, or ``None`` where there is no such operator."""
    quantifier, colon, rest = name.partition(":")
    if not colon:
        quantifier, rest = "", name
    known = {"": None, FOR_ALL.lower(): FOR_ALL, FOR_ANY.lower(): FOR_ANY}
    if quantifier.lower() not in known:
        return None
    kind = rest.lower()
    if_exists = kind.endswith("ifexists")
    kind = kind.removesuffix("ifexists")
    if kind == "null":
        plain = not colon and not if_exists
        return Operator(kind, None, False, False, None) if plain else None
    if kind not in _MAKERS or (colon and not quantifier):
        return None
    make, negated = _MAKERS[kind]
    return Operator(kind, known[quantifier.lower()], if_exists, negated, make)


def _never(value: str, context: Context) -> bool:
    return False


def _string(fold: bool) -> Maker:
    def make(expected: str, variables: bool) -> Test:
        parts = tokens(expected, variables=variables, wildcards=False)
        if not has_variables(parts):
            text = "".join(str(part) for part in parts)
            if not fold:
                return lambda value, context: value == text
            folded = text.lower()
            return lambda value, context: value.lower() == folded

        def test(value: str, context: Context) -> bool:
            resolved = resolve(parts, context)
            if resolved is None:
                return False
            text = "".join(str(part) for part in resolved)
            return value.lower() == text.lower() if fold else value == text

        return test

    return make


def _like(expected: str, variables: bool) -> Test:
    parts = tokens(expected, variables=variables)
    if not has_variables(parts):
        glob = Glob(parts)
        return lambda value, context: glob.matches(value)

    def test(value: str, context: Context) -> bool:
        resolved = resolve(parts, context)
        return resolved is not None and Glob(resolved).matches(value)

    return test


def _arn(expected: str, variables: bool) -> Test:
    pattern = ArnPattern(expected, variables=variables, everywhere=True)

    def test(value: str, context: Context) -> bool:
        parts = split(value)
        return parts is not None and pattern.matches(value, parts, context)

    return test


def _compared(read_value: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Maker:
    def make(expected: str, variables: bool) -> Test:
        wanted = read_value(expected)
        if wanted is None:
            return _never

        def test(value: str, context: Context) -> bool:
            given = read_value(value)
            return given is not None and compare(given, wanted)

        return test

    return make


def _ip(expected: str, variables: bool) -> Test:
    network = values.network(expected)
    if network is None:
        return _never

    def test(value: str, context: Context) -> bool:
        address = values.address(value)
        return address is not None and address.version == network.version and address in network

    return test


def _orders(name: str, read_value: Callable[[str], Any]) -> dict[str, tuple[Maker, bool]]:
    equal = _compared(read_value, operator.eq)
    return {
        f"{name}equals": (equal, False),
        f"{name}notequals": (equal, True),
        f"{name}lessthan": (_compared(read_value, operator.lt), False),
        f"{name}lessthanequals": (_compared(read_value, operator.le), False),
        f"{name}greaterthan": (_compared(read_value, operator.gt), False),
        f"{name}greaterthanequals": (_compared(read_value, operator.ge), False),
    }


_MAKERS: dict[str, tuple[Maker, bool]] = {
    "stringequals": (_string(False), False),
    "stringnotequals": (_string(False), True),
    "stringequalsignorecase": (_string(True), False),
    "stringnotequalsignorecase": (_string(True), True),
    "stringlike": (_like, False),
    "stringnotlike": (_like, True),
    "arnequals": (_arn, False),
    "arnlike": (_arn, False),
    "arnnotequals": (_arn, True),
    "arnnotlike": (_arn, True),
    "bool": (_compared(values.truth, operator.eq), False),
    "binaryequals": (_compared(values.blob, operator.eq), False),
    "ipaddress": (_ip, False),
    "notipaddress": (_ip, True),
    **_orders("numeric", values.number),
    **_orders("date", values.date),
}
