"""Patterns of ARNs: each of the six parts is compared by itself, so that only the last part's wildcards pass colons.

An ARN of fewer than six parts in a policy's Resource is completed with wildcards. Of a Resource only the last part
takes variables, of a condition's value every part.

Source: "IAM JSON policy elements: Resource", "… Variables and tags" and "Amazon Resource Name (ARN) condition
operators", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from dryport.iam.policy.patterns import MANY, Context, Glob, Token, has_variables, resolve, tokens

PARTS = 6


def split(text: str) -> tuple[str, ...] | None:
    """The six parts of the ARN of a request, or ``None`` where it is none."""
    parts = text.split(":", PARTS - 1)
    return tuple(parts) if len(parts) == PARTS and parts[0] == "arn" else None


@lru_cache(maxsize=4096)
def lead(text: str) -> str:
    """With which literal text the last part of every ARN of a pattern begins."""
    parts = text.split(":", PARTS - 1)
    if len(parts) < PARTS:
        return ""
    return parts[-1].partition("$")[0].partition("*")[0].partition("?")[0]


class ArnPattern:
    """A pattern: of a resource, or with ``everywhere`` of a condition.

    ``exact`` or ``prefix`` says all of it, where that is so; ``any`` where it is ``*``.
    """

    __slots__ = ("_checks", "_dynamic", "any", "exact", "prefix")

    def __init__(self, text: str, *, variables: bool, everywhere: bool = False) -> None:
        self.exact: str | None = None
        self.prefix: str | None = None
        self._checks: tuple[tuple[int, Glob], ...] = ()
        self._dynamic: tuple[tuple[int, list[Token]], ...] = ()
        self.any = text == "*"
        if self.any:
            return
        if "$" not in text and "?" not in text and text.count(":") >= PARTS - 1:
            star = text.find("*")
            if star < 0:
                self.exact = text
                return
            if star == len(text) - 1 and text.count(":", 0, star) >= PARTS - 1:
                self.prefix = text[:-1]
                return
        parts = _components(text, variables) if everywhere else _resource(text, variables)
        self._dynamic = tuple((i, part) for i, part in enumerate(parts) if has_variables(part))
        globs = ((i, Glob(part)) for i, part in enumerate(parts) if not has_variables(part))
        self._checks = tuple((i, glob) for i, glob in globs if not glob.any)

    def matches(self, text: str, parts: Sequence[str] | None, context: Context) -> bool:
        """Whether a resource is of this pattern; ``parts`` is what ``split`` makes of its text."""
        if self.exact is not None:
            return text == self.exact
        if self.prefix is not None:
            return text.startswith(self.prefix)
        if self.any:
            return True
        if parts is None:
            return False
        for i, glob in self._checks:
            if not glob.matches(parts[i]):
                return False
        for i, dynamic in self._dynamic:
            resolved = resolve(dynamic, context)
            if resolved is None or not Glob(resolved).matches(parts[i]):
                return False
        return True


@lru_cache(maxsize=4096)
def resource_pattern(text: str, variables: bool) -> ArnPattern:
    """The pattern of a resource: a policy that was changed has most of those that it had."""
    return ArnPattern(text, variables=variables)


def _resource(text: str, variables: bool) -> list[list[Token]]:
    pieces = text.split(":", PARTS - 1)
    parts = [tokens(piece, variables=variables and i == PARTS - 1) for i, piece in enumerate(pieces)]
    return parts + [[MANY]] * (PARTS - len(parts))


def _components(text: str, variables: bool) -> list[list[Token]]:
    """Tokens, divided at the colons of the policy's own text (not at those of a variable's name or value)."""
    components: list[list[Token]] = [[]]
    for token in tokens(text, variables=variables):
        if not isinstance(token, str):
            components[-1].append(token)
            continue
        pieces = token.split(":", PARTS - len(components))
        components[-1].append(pieces[0])
        components.extend([piece] for piece in pieces[1:])
    components.extend([MANY] for _ in range(PARTS - len(components)))
    return components
