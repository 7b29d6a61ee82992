"""The models' constraints on inputs (required, enumeration, length, range, pattern), compiled to checks.

A check is a function of a value, its path and a list that takes the violations; ``None`` where a shape constrains
nothing, so that most of a request is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from dryport.gateway.models import Member, ServiceModel, Shape
from dryport.gateway.policies import OPEN_ENUMERATIONS, Policy, Violation

Check = Callable[[Any, str, list[Violation]], None]
_Sentences = Callable[[Any], list[str]]  # the constraints that a scalar breaks, in AWS's words
_SIZED = ("string", "blob", "list", "map")
_NUMERIC = ("integer", "long", "float", "double")
_MAX_SHOWN = 1024  # characters of a value in a message


def value_text(value: Any) -> str:
    """A value as AWS's messages show it."""
    text = _java(value)
    return f"'{text[:_MAX_SHOWN]}'"


def _java(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_java(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)


def _camel(name: str) -> str:
    """A member's name as AWS's messages have it."""
    return name[:1].lower() + name[1:]


def _tests(shape: Shape) -> list[tuple[Callable[[Any], bool], str]]:
    """What a shape asks of a value by itself: a length, a range, a pattern or an enumeration."""
    tests: list[tuple[Callable[[Any], bool], str]] = []
    if shape.enum is not None:
        allowed = frozenset(shape.enum)
        tests.append((allowed.__contains__, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"))
    low, high = shape.min, shape.max
    if shape.type in _SIZED:
        if high is not None:
            tests.append((lambda v: len(v) <= high, f"Member must have length less than or equal to {high:.0f}"))
        if low:
            tests.append((lambda v: len(v) >= low, f"Member must have length greater than or equal to {low:.0f}"))
    elif shape.type in _NUMERIC:
        if high is not None:
            tests.append((lambda v: v <= high, f"Member must have value less than or equal to {_number(high)}"))
        if low is not None:
            tests.append((lambda v: v >= low, f"Member must have value greater than or equal to {_number(low)}"))
    if shape.regex is not None and shape.type == "string":
        tests.append(
            (_Pattern(shape.regex).matches, f"Member must satisfy regular expression pattern: {shape.pattern}")
        )
    return tests


def _scalar(shape: Shape) -> _Sentences | None:
    """What a value of this shape breaks by itself."""
    tests = _tests(shape)
    if not tests:
        return None
    return lambda value: [sentence for test, sentence in tests if not test(value)]


class _Pattern:
    """A regular expression, compiled when it is first used: Unicode's classes make large ones."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._match: Callable[[str], object] | None = None

    def matches(self, value: str) -> bool:
        if self._match is None:
            self._match = re.compile(self._text).fullmatch
        return self._match(value) is not None


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


class Constraints:
    """Compiles the checks of a service's shapes, once each."""

    def __init__(self, model: ServiceModel, policy: Policy) -> None:
        self._model = model
        self._policy = policy
        self._open_enumerations = OPEN_ENUMERATIONS.get(model.name, frozenset())
        self._checks: dict[str, Check | None] = {}
        self._open: set[str] = set()

    def _shape(self, name: str) -> Shape:
        shape = self._model.shape(name)
        return msgspec.structs.replace(shape, enum=None) if name in self._open_enumerations else shape

    def checker(self, operation: str, shape: str | None) -> Callable[[dict[str, Any]], None]:
        """A function that raises the service's error for an input that breaks its model's constraints."""
        check = self.check(shape) if shape is not None else None
        if check is None:
            return lambda given: None

        def run(given: dict[str, Any]) -> None:
            violations: list[Violation] = []
            check(given, "", violations)
            if violations:
                raise self._policy(operation, violations)

        return run

    def check(self, name: str) -> Check | None:
        """The check of a shape."""
        if name in self._open:  # a shape within itself: looked up when it is met
            return lambda value, path, found: self._again(name, value, path, found)
        if name not in self._checks:
            self._open.add(name)
            try:
                self._checks[name] = self._compile(name, self._shape(name))
            finally:
                self._open.discard(name)
        return self._checks[name]

    def _again(self, name: str, value: Any, path: str, found: list[Violation]) -> None:
        check = self._checks.get(name)
        if check is not None:
            check(value, path, found)

    def _compile(self, name: str, shape: Shape) -> Check | None:
        own = self._own(shape)
        if shape.type == "structure":
            return self._structure(name, shape)
        if shape.type == "list" and shape.member is not None:
            return _both(own, self._list(shape.member))
        if shape.type == "map" and shape.value is not None and shape.key is not None:
            return _both(own, self._map(shape.key, shape.value))
        return own

    @staticmethod
    def _own(shape: Shape) -> Check | None:
        sentences = _scalar(shape)
        if sentences is None:
            return None
        secret = shape.sensitive

        def check(value: Any, path: str, found: list[Violation]) -> None:
            for sentence in sentences(value):
                found.append(Violation(path, None if secret else value_text(value), sentence))

        return check

    def _structure(self, name: str, shape: Shape) -> Check | None:
        checks = {member: check for member, ref in shape.members.items() if (check := self._member(ref)) is not None}
        required = tuple((member, _camel(member)) for member in shape.required)
        if not checks and not required:
            return None
        shown = {member: _camel(member) for member in checks}

        def run(value: dict[str, Any], path: str, found: list[Violation]) -> None:
            prefix = f"{path}." if path else ""
            for member, label in required:
                if member not in value:
                    found.append(Violation(prefix + label, "null", "Member must not be null", name))
            for member, item in value.items():
                check = checks.get(member)
                if check is not None:
                    check(item, prefix + shown[member], found)

        return run

    def _member(self, member: Member) -> Check | None:
        # A stream and a JSON value have no length and no members to look at here.
        if member.streaming or member.jsonvalue or self._shape(member.shape).streaming:
            return None
        return self.check(member.shape)

    def _list(self, member: Member) -> Check | None:
        shape = self._shape(member.shape)
        if shape.type in ("structure", "list", "map"):
            check = self.check(member.shape)
            if check is None:
                return None

            def each(value: list[Any], path: str, found: list[Violation]) -> None:
                for index, item in enumerate(value, 1):
                    check(item, f"{path}.{index}.member", found)

            return each
        sentences = _scalar(shape)
        if sentences is None:
            return None
        every = [sentence for _, sentence in _tests(shape)]  # also those that are kept

        def together(value: list[Any], path: str, found: list[Violation]) -> None:
            if any(sentences(item) for item in value):
                shown = None if shape.sensitive else value_text(value)
                found.append(Violation(path, shown, f"Member must satisfy constraint: [{', '.join(every)}]"))

        return together

    def _map(self, key: Member, member: Member) -> Check | None:
        keys = _scalar(self._shape(key.shape))
        shape = self._shape(member.shape)
        nested = self.check(member.shape) if shape.type in ("structure", "list", "map") else None
        values = None if nested else _scalar(shape)
        if keys is None and values is None and nested is None:
            return None

        def run(value: dict[str, Any], path: str, found: list[Violation]) -> None:
            shown = None if shape.sensitive else value_text(value)
            for name, item in value.items():
                if keys is not None and (broken := keys(name)):
                    found.append(Violation(path, shown, f"Map keys must satisfy constraint: [{', '.join(broken)}]"))
                if values is not None and (broken := values(item)):
                    found.append(Violation(path, shown, f"Map value must satisfy constraint: [{', '.join(broken)}]"))
                if nested is not None:
                    nested(item, f"{path}.{name}.member", found)

        return run


def _both(first: Check | None, second: Check | None) -> Check | None:
    if first is None or second is None:
        return first or second

    def run(value: Any, path: str, found: list[Violation]) -> None:
        first(value, path, found)
        second(value, path, found)

    return run
