"""REST operations by method and path: the models' URI templates as one table a service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from dryport.gateway.models import ServiceModel

_LABEL = re.compile(r"\{([A-Za-z0-9_-]+)(\+?)\}")
_LABEL_SAFE = "-_.~"
_GREEDY_SAFE = "-_.~/"
# Virtual hosting: the bucket is in the host's name. Source: "Virtual hosting of general purpose buckets", S3 guide.
_S3_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3[.-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """The operation that a path means, with the parts that its template names.

    ``paths`` are the percent-encoded spellings that the path may have had: a signature covers one of them.
    """

    operation: str
    labels: Mapping[str, str]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Template:
    operation: str
    pattern: re.Pattern[str]
    labels: tuple[tuple[str, bool], ...]  # name, greedy
    literals: tuple[str, ...]  # what stands around the labels
    query: tuple[tuple[str, str | None], ...]  # parameters that must be there, with their value or any
    names: frozenset[str]  # parameters that members of the input are read from


def _compile(operation: str, uri: str, names: frozenset[str]) -> _Template:
    path, _, query = uri.partition("?")
    parts = _LABEL.split(path)
    literals = tuple(parts[0::3])
    labels = tuple((name, bool(plus)) for name, plus in zip(parts[1::3], parts[2::3], strict=True))
    # A label's own slashes come encoded, but the server decodes the path before we see it: so any label may hold
    # some, and takes as little as it can.
    source = re.escape(literals[0])
    for (_, greedy), literal in zip(labels, literals[1:], strict=True):
        source += ("(.+)" if greedy else "(.+?)") + re.escape(literal)
    required = tuple((name, value or None) for name, value in parse_qsl(query, keep_blank_values=True))
    return _Template(operation, re.compile(source + r"/?\Z", re.DOTALL), labels, literals, required, names)


def _encoded(template: _Template, values: tuple[str, ...]) -> str:
    path = template.literals[0]
    for (_, greedy), value, literal in zip(template.labels, values, template.literals[1:], strict=True):
        path += quote(value, safe=_GREEDY_SAFE if greedy else _LABEL_SAFE) + literal
    return path


class PathTable:
    """A service's templates, the most specific first."""

    def __init__(self, model: ServiceModel) -> None:
        self._s3 = model.name == "s3"
        self._templates: dict[str, list[_Template]] = {}
        for name, method, uri in model.operations():
            self._templates.setdefault(method, []).append(_compile(name, uri, _query_names(model, name)))
        for templates in self._templates.values():
            templates.sort(key=lambda t: (-len(t.query), -len("".join(t.literals)), len(t.labels)))

    def find(self, method: str, path: str, query: str, host: str) -> Found | None:
        """The operation of a decoded path, or ``None``."""
        plain = quote(path, safe=_GREEDY_SAFE)
        if self._s3:
            match = _S3_HOST.match(host)
            if match:
                path = f"/{match['bucket']}{path}"
        given = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        best: tuple[tuple[int, int], _Template, tuple[str, ...]] | None = None
        for template in self._templates.get(method, ()):
            if not all(name in given and value in (None, given[name]) for name, value in template.query):
                continue
            match = template.pattern.match(path)
            if match is None:
                continue
            values = match.groups()
            stray = sum(
                ("/" in value) and not greedy for (_, greedy), value in zip(template.labels, values, strict=True)
            )
            # Of two operations on one path (GetObject, ListParts) the one that reads the given parameters is meant.
            rank = (stray, -sum(name in template.names for name in given))
            if template.query:
                rank = (stray, -100 * len(template.query) + rank[1])
            if best is None or rank < best[0]:
                best = (rank, template, values)
        if best is None or (self._s3 and best[0][0]):
            return None
        _, template, values = best
        labels = {name: value for (name, _), value in zip(template.labels, values, strict=True)}
        spellings = (
            (plain,) if self._s3 else (plain, _encoded(template, values), quote(path, safe="/-_.~:@!$&'()*+,;="))
        )
        return Found(template.operation, labels, tuple(dict.fromkeys(spellings)))


def _query_names(model: ServiceModel, operation: str) -> frozenset[str]:
    found = model.operation(operation)
    if found is None or found.input is None:
        return frozenset()
    members = model.shape(found.input.shape).members
    return frozenset(m.locationName or name for name, m in members.items() if m.location == "querystring")
