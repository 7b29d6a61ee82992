"""REST operations by method and path: the models' URI templates as one table a service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from dryport.gateway.models import ServiceModel

_LABEL = re.compile(r"\{([A-Za-z0-9_-]+)(\+?)\}")
_SAFE = "-_.~"


@dataclass(frozen=True, slots=True)
class Found:
    """The operation that a path means, with the parts that its template names."""

    operation: str
    labels: Mapping[str, str]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Template:
    operation: str
    pattern: re.Pattern[str]
    greedy: frozenset[str]
    query: tuple[tuple[str, str | None], ...]  # parameters that must be there, with their value or any
    rank: tuple[int, int, int]
    uri: str


def _compile(operation: str, uri: str) -> _Template:
    path, _, query = uri.partition("?")
    names = _LABEL.findall(path)
    source, place = "", 0
    for label in _LABEL.finditer(path):
        source += re.escape(path[place : label.start()])
        # A label's own slashes come encoded, but the server decodes the path before we see it.
        source += f"(?P<l{len(source)}_>.+)" if label[2] else "(.+?)"
        place = label.end()
    source = "".join(
        re.escape(part) if index % 3 == 0 else "(.+)" if path_part_greedy(path, index) else "(.+?)"
        for index, part in enumerate(_LABEL.split(path))
        if index % 3 != 2
    )
    source += re.escape("") if path.endswith("/") or not path else ""
    required = tuple((name, value or None) for name, value in parse_qsl(query, keep_blank_values=True))
    literals = len(_LABEL.sub("", path))
    return _Template(
        operation,
        re.compile(source + "/?\\Z", re.DOTALL),
        frozenset(name for name, plus in names if plus),
        required,
        (-len(required), -literals, len(names)),
        path,
    )


def path_part_greedy(path: str, index: int) -> bool:
    """Whether the label at ``index`` of the split template takes slashes."""
    parts = _LABEL.split(path)
    return bool(parts[index + 1])


class PathTable:
    """A service's templates, the most specific first."""

    def __init__(self, model: ServiceModel) -> None:
        self._templates: dict[str, list[_Template]] = {}
        for name, method, uri in model.operations():
            self._templates.setdefault(method, []).append(_compile(name, uri))
        for templates in self._templates.values():
            templates.sort(key=lambda template: template.rank)

    def find(self, method: str, path: str, query: str, host: str) -> Found | None:
        """The operation of a decoded path, or ``None``."""
        return None
