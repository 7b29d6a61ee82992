"""Patterns of terms: ``ERROR "exit code" -debug``, ``?WARN ?ERROR``, ``%4[0-9]{2}%``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from dryport.logs.pattern.scanner import Scanner

Test = Callable[[str], bool]
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Terms:
    """Every required term is in a message, no excluded one, and of the optional ones, where there are any, one."""

    required: tuple[Test, ...]
    excluded: tuple[Test, ...]
    optional: tuple[Test, ...]

    def matches(self, message: str) -> bool:
        """Whether a message matches."""
        return (
            all(test(message) for test in self.required)
            and not any(test(message) for test in self.excluded)
            and (not self.optional or any(test(message) for test in self.optional))
        )

    def extract(self, message: str) -> dict[str, str] | None:
        """Terms name no values."""
        return {} if self.matches(message) else None


def parse(text: str) -> Terms:
    """Read a pattern of terms. Raises ServiceError where it is none."""
    scanner = Scanner(text)
    tests: dict[str, list[Test]] = {"": [], "-": [], "?": []}
    while not scanner.done():
        sign = scanner.literal("-", "?") or ""
        tests[sign].append(_term(scanner))
        if scanner.at < len(text) and not text[scanner.at].isspace():
            raise scanner.refuse()
    required, excluded, optional = tests[""], tests["-"], tests["?"]
    if required or excluded:
        # The user guide: "?" together with other terms is ignored.
        optional = []
    return Terms(tuple(required), tuple(excluded), tuple(optional))


def _term(scanner: Scanner) -> Test:
    test = scanner.regex()
    if test is not None:
        return test
    text = scanner.quoted()
    if text is None:
        match = scanner.take(_WORD)
        if match is None:
            raise scanner.refuse()
        text = match[0]
    wanted = text
    return lambda message: wanted in message
