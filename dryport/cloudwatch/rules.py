"""Rules of composite alarms: ``ALARM(one) AND NOT OK("another")``. Pure.

Source: "PutCompositeAlarm", API reference. ``AT_LEAST`` is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from dryport.aws import arn

_TOKEN = re.compile(
    r'\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\((?:\s*"(?P<quoted>[^"]+)"\s*|(?P<plain>[^")]+))\)'
    r"|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<sign>[()]))"
)
_DEEPEST = 64


class Malformed(Exception):
    """The text is no rule; the message says why."""


class Rule(msgspec.Struct, frozen=True):
    """``kind``: a state that the alarm ``name`` is in, ``TRUE``, ``FALSE``, ``NOT``, ``AND``, ``OR``."""

    kind: str
    name: str = ""
    parts: tuple[Rule, ...] = ()

    def holds(self, state: Callable[[str], str]) -> bool:
        """Whether it does, by the states of alarms."""
        match self.kind:
            case "AND":
                return all(part.holds(state) for part in self.parts)
            case "OR":
                return any(part.holds(state) for part in self.parts)
            case "NOT":
                return not self.parts[0].holds(state)
            case "TRUE" | "FALSE":
                return self.kind == "TRUE"
        return state(self.name) == self.kind

    def names(self) -> Iterator[str]:
        """The alarms that it is about."""
        if self.name:
            yield self.name
        for part in self.parts:
            yield from part.names()


def parse(text: str) -> Rule:
    """A rule's tree; alarms are called by their names, whether or not the text has ARNs. Raises Malformed."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._place, self._depth = text, 0, 0
        self._next: re.Match[str] | None = None
        self._advance()

    def whole(self) -> Rule:
        found = self._either()
        if self._next is not None or self._text[self._place :].strip():
            raise Malformed(f"unexpected '{self._text[self._start() :].strip()[:20]}'")
        return found

    def _start(self) -> int:
        return self._next.start() if self._next is not None else self._place

    def _advance(self) -> None:
        self._next = _TOKEN.match(self._text, self._place)
        if self._next is not None:
            self._place = self._next.end()

    def _is(self, group: str, text: str) -> bool:
        return self._next is not None and self._next[group] == text

    def _either(self) -> Rule:
        parts = [self._both()]
        while self._is("word", "OR"):
            self._advance()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Rule("OR", parts=tuple(parts))

    def _both(self) -> Rule:
        parts = [self._single()]
        while self._is("word", "AND"):
            self._advance()
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else Rule("AND", parts=tuple(parts))

    def _single(self) -> Rule:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Malformed("it is nested too deeply")
        token = self._next
        if token is None:
            rest = self._text[self._place :].strip()
            raise Malformed(f"unexpected '{rest[:20]}'" if rest else "unexpected end")
        self._advance()
        if token["state"]:
            found = Rule(token["state"], _name(token["quoted"] or token["plain"].strip()))
        elif token["word"] == "NOT":
            found = Rule("NOT", parts=(self._single(),))
        elif token["word"] in ("TRUE", "FALSE"):
            found = Rule(token["word"])
        elif token["sign"] == "(":
            found = self._either()
            if not self._is("sign", ")"):
                raise Malformed("expected ')'")
            self._advance()
        else:
            raise Malformed(f"unexpected '{token[0].strip()}'")
        self._depth -= 1
        return found


def _name(text: str) -> str:
    parsed = arn.parse(text)
    return parsed.resource.removeprefix("alarm:") if parsed is not None else text
