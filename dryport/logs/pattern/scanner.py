"""Reading a pattern from left to right: quoted strings, regular expressions, what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

from dryport.aws.errors import ServiceError
from dryport.logs.pattern import regex

_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REGEX = re.compile(r"%([^%]*)%")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_REFUSED = re.compile(r"[^\w\s]+")


def invalid(message: str = "Invalid filter pattern") -> ServiceError:
    """What a pattern that cannot be read answers."""
    return ServiceError("InvalidParameterException", message)


class Scanner:
    """A text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def space(self) -> None:
        """Skip white space."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def done(self) -> bool:
        """Whether nothing but white space is left."""
        self.space()
        return self.at == len(self.text)

    def take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        """Read what matches here, if it does."""
        match = expression.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def literal(self, *alternatives: str) -> str | None:
        """Read the first of these texts that stands here."""
        for text in alternatives:
            if self.text.startswith(text, self.at):
                self.at += len(text)
                return text
        return None

    def quoted(self) -> str | None:
        """Read a string in double quotes, if one stands here; a backslash keeps the character after it."""
        match = self.take(_QUOTED)
        if match is None:
            return None
        if not match[1]:
            raise invalid("Invalid character(s) in term '\"\"'")
        return _ESCAPE.sub(r"\1", match[1])

    def regex(self) -> Callable[[str], bool] | None:
        """Read a regular expression between per cent signs, if one stands here; the search for it."""
        match = self.take(_REGEX)
        return None if match is None else regex.compiled(match[1])

    def refuse(self) -> ServiceError:
        """The refusal of what stands here."""
        match = _REFUSED.search(self.text, self.at)
        return invalid() if match is None else invalid(f"Invalid character(s) in term '{match[0]}'")
