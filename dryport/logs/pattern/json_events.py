"""JSON patterns: ``{ $.eventType = "UpdateTrail" && $.users[0].id != 1 }``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from dryport.logs.pattern.conditions import Condition, ConditionParser, operands, text_of
from dryport.logs.pattern.scanner import Scanner

ANY = object()  # a step to every element, or to every member
Step = str | int | object
_NAME = re.compile(r"[\w\-@:/#]+")
_INDEX = re.compile(r"\[\s*(?:(\d{1,9})|(\*)|\"([^\"]*)\"|'([^']*)')\s*\]")


@dataclass(frozen=True, slots=True)
class Selector:
    """A path into a message: names of members, numbers of elements, or ``ANY``."""

    text: str
    steps: tuple[Step, ...]

    def values(self, document: Any) -> Iterator[Any]:
        """The values that it leads to."""
        found = [document]
        for step in self.steps:
            found = [inner for outer in found for inner in _step(outer, step)]
        yield from found


def _step(value: Any, step: Step) -> Iterator[Any]:
    if isinstance(value, dict):
        if step is ANY:
            yield from value.values()
        elif step in value:
            yield value[step]
    elif isinstance(value, list):
        if step is ANY:
            yield from value
        elif isinstance(step, int) and step < len(value):
            yield value[step]


@dataclass(frozen=True, slots=True)
class JsonPattern:
    """A condition on the members of a message that is a JSON document."""

    condition: Condition[Selector]

    def matches(self, message: str) -> bool:
        """Whether a message is JSON and matches."""
        found, document = _decode(message)
        return found and self.condition.holds(lambda selector: selector.values(document))

    def extract(self, message: str) -> dict[str, str] | None:
        """The values at the pattern's selectors."""
        if not self.matches(message):
            return None
        _, document = _decode(message)
        values = {}
        for selector in operands(self.condition):
            first = next(selector.values(document), None)
            text = text_of(first)
            if text is not None:
                values[selector.text] = text
        return values


def parse(text: str) -> JsonPattern:
    """Read what stands between the braces. Raises ServiceError where it is no condition."""
    scanner = Scanner(text)
    condition = ConditionParser(scanner, _selector).condition()
    if not scanner.done():
        raise scanner.refuse()
    return JsonPattern(condition)


def _decode(message: str) -> tuple[bool, Any]:
    if not message.lstrip().startswith(("{", "[")):
        return False, None
    try:
        return True, msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return False, None


def _selector(scanner: Scanner) -> Selector:
    start = scanner.at
    if not scanner.literal("$"):
        raise scanner.refuse()
    steps: list[Step] = []
    while True:
        dotted = scanner.literal(".")
        index = scanner.take(_INDEX)
        if index is not None:
            number, anything, double, single = index.groups()
            steps.append(int(number) if number else ANY if anything else double if double is not None else single)
        elif not dotted:
            break
        elif scanner.literal("*"):
            steps.append(ANY)
        else:
            name = scanner.take(_NAME)
            if name is None:
                scanner.at = start
                raise scanner.refuse()
            steps.append(name[0])
    if not steps:
        raise scanner.refuse()
    return Selector(scanner.text[start : scanner.at], tuple(steps))
