"""REST operations by method and path: the models' URI templates as one table a service."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from dryport.gateway.models import ServiceModel, Shape

_LABEL = re.compile(r"\{([A-Za-z0-9_-]+)(\+?)\}")
# Virtual hosting: the bucket is in the host's name. Source: "Virtual hosting of general purpose buckets", S3 guide.
_S3_HOST = re.compile(
    r"(?!s3[.-])(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}?[a-z0-9])\.(?:s3[.-]|localhost(?::|\Z))", re.ASCII
)


def virtual_bucket(host: str) -> str:
    """The bucket that a host names, empty where it names none."""
    match = _S3_HOST.match(host)
    return match["bucket"] if match else ""


@dataclass(frozen=True, slots=True)
class Found:
    """The operation that a path means, with the parts that its template names, decoded."""

    operation: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Template:
    operation: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    literals: tuple[str, ...]  # what stands around the labels
    query: tuple[tuple[str, str | None], ...]  # parameters that must be there, with their value or any
    names: frozenset[str]  # parameters that members of the input are read from
    headers: frozenset[str]  # headers that the input requires
    parameters: frozenset[str]  # parameters of the query that the input requires
    deprecated: bool


def _compile(model: ServiceModel, operation: str, uri: str) -> _Template:
    path, _, query = uri.partition("?")
    parts = _LABEL.split(path)
    literals = tuple(parts[0::3])
    source = re.escape(literals[0])
    for greedy, literal in zip(parts[2::3], literals[1:], strict=True):
        source += ("(.+)" if greedy else "([^/]+)") + re.escape(literal)
    required = tuple((name, value or None) for name, value in parse_qsl(query, keep_blank_values=True))
    found = model.operation(operation)
    shape = model.shape(found.input.shape) if found is not None and found.input is not None else Shape(type="structure")
    names, headers, parameters = set(), set(), set()
    for name, member in shape.members.items():
        if member.location == "querystring":
            names.add(member.locationName or name)
            if name in shape.required:
                parameters.add(member.locationName or name)
        elif member.location == "header" and name in shape.required:
            headers.add((member.locationName or name).lower())
    return _Template(
        operation,
        re.compile(source + r"/?\Z", re.DOTALL),
        tuple(parts[1::3]),
        literals,
        required,
        frozenset(names),
        frozenset(headers),
        frozenset(parameters),
        found is not None and found.deprecated,
    )


def _rank(template: _Template, given: Mapping[str, str], header: Callable[[str], str | None]) -> tuple[int, ...]:
    """How well a template that matches fits, the best first.

    Several operations may share a path: the headers that they require and the parameters that they read tell which
    one is meant (PutObject or CopyObject, GetObject or ListParts).
    """
    missing = any(header(name) is None for name in template.headers) or not template.parameters <= given.keys()
    return (
        -len(template.query),
        missing,
        -len(template.headers) - len(template.parameters),
        -sum(name in template.names for name in given),
        template.deprecated,
    )


class PathTable:
    """A service's templates, the most specific first."""

    def __init__(self, model: ServiceModel) -> None:
        self._s3 = model.name == "s3"
        self._templates: dict[str, list[_Template]] = {}
        for name, method, uri in model.operations():
            self._templates.setdefault(method, []).append(_compile(model, name, uri))
        for templates in self._templates.values():
            templates.sort(key=lambda t: (-len(t.query), -len("".join(t.literals)), len(t.labels)))

    def find(self, method: str, path: str, query: str, host: str, header: Callable[[str], str | None]) -> Found | None:
        """The operation of a percent-encoded path, or ``None``."""
        if self._s3:
            bucket = virtual_bucket(host)
            if bucket:
                path = f"/{bucket}{path}"
        given = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        best: tuple[tuple[int, ...], _Template, tuple[str, ...]] | None = None
        for template in self._templates.get(method, ()):
            if not all(name in given and value in (None, given[name]) for name, value in template.query):
                continue
            match = template.pattern.match(path)
            if match is None:
                continue
            rank = _rank(template, given, header)
            if best is None or rank < best[0]:
                best = (rank, template, match.groups())
        if best is None:
            return None
        _, template, values = best
        labels = {name: unquote(value) for name, value in zip(template.labels, values, strict=True)}
        return Found(template.operation, labels)
