"""Space-delimited patterns: ``[ip, user, ..., status = 4*, bytes > 1000]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dryport.logs.pattern.conditions import Condition, ConditionParser, operands
from dryport.logs.pattern.scanner import Scanner, invalid

_NAME = re.compile(r"\w+")
# A field is in quotes, in brackets, or free of spaces. No alternative can run past the next quote or bracket, so that
# the cost stays linear.
_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"(?!\S)|\[([^\[\]]*)\](?!\S)|(\S+)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """A field's name, and what it must be, if anything."""

    name: str
    condition: Condition[str] | None = None

    def accepts(self, text: str) -> bool:
        return self.condition is None or self.condition.holds(lambda name: (text,))


@dataclass(frozen=True, slots=True)
class FieldsPattern:
    """Fields at the beginning and at the end of a message; ``open``: any number of others between them."""

    head: tuple[Field, ...]
    tail: tuple[Field, ...]
    open: bool

    def matches(self, message: str) -> bool:
        """Whether a message has these fields."""
        return self._fit(split(message))

    def extract(self, message: str) -> dict[str, str] | None:
        """The fields by their names, those under the ellipsis by their numbers, each after a dollar sign."""
        found = split(message)
        if not self._fit(found):
            return None
        between = len(found) - len(self.head) - len(self.tail)
        names = [field.name for field in self.head]
        names += [str(len(self.head) + 1 + number) for number in range(between)]
        names += [field.name for field in self.tail]
        return {f"${name}": text for name, text in zip(names, found, strict=True)}

    def _fit(self, found: list[str]) -> bool:
        least = len(self.head) + len(self.tail)
        if len(found) < least or (len(found) > least and not self.open):
            return False
        # Seen from the end, the tail's fields have negative numbers.
        return all(field.accepts(found[number]) for number, field in enumerate(self.head) if field.condition) and all(
            field.accepts(found[number]) for number, field in enumerate(self.tail, -len(self.tail)) if field.condition
        )


def split(message: str) -> list[str]:
    """The fields of a message, without their quotes and brackets."""
    return [quoted or bracketed or plain for quoted, bracketed, plain in _FIELD.findall(message)]


def parse(text: str) -> FieldsPattern:
    """Read what stands between the brackets. Raises ServiceError where it is no list of fields."""
    scanner = Scanner(text)
    parser = ConditionParser(scanner, _name)
    head: list[Field] = []
    tail: list[Field] | None = None
    while True:
        scanner.space()
        if scanner.literal("..."):
            if tail is not None:
                raise invalid()
            tail = []
        else:
            (head if tail is None else tail).append(_field(parser))
        scanner.space()
        if scanner.done():
            return FieldsPattern(tuple(head), tuple(tail or ()), tail is not None)
        if not scanner.literal(","):
            raise scanner.refuse()


def _field(parser: ConditionParser[str]) -> Field:
    scanner = parser.scanner
    start = scanner.at
    if scanner.take(_NAME):
        name = scanner.text[start : scanner.at]
        if scanner.done() or scanner.text.startswith(",", scanner.at):
            return Field(name)
    scanner.at = start
    condition = parser.condition()
    names = operands(condition)
    if len(names) > 1:
        raise invalid()
    return Field(names[0], condition)


def _name(scanner: Scanner) -> str:
    name = scanner.take(_NAME)
    if name is None:
        raise scanner.refuse()
    return name[0]
