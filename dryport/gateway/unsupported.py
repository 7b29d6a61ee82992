"""Members that Dryport does not act on, found in a request by their dotted paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_Tree = dict[str, Any]


class Unsupported:
    """Paths such as ``overrides.cpu``, through lists (and the values of maps) without an index.

    A member that is false, an empty list or an empty structure asks for nothing and is no hindrance.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._tree: _Tree = {}
        for path in paths:
            node = self._tree
            for part in path.split("."):
                node = node.setdefault(part, {})

    def find(self, given: dict[str, Any]) -> str | None:
        """The path of the first such member that a request holds, or ``None``."""
        return _find(self._tree, given, "") if self._tree else None


def _find(tree: _Tree, value: Any, path: str) -> str | None:
    if isinstance(value, list):
        for item in value:
            found = _find(tree, item, path)
            if found is not None:
                return found
        return None
    if not isinstance(value, dict) or tree.keys().isdisjoint(value):
        return None
    for name, item in value.items():
        if name not in tree or item is None or item is False or item in ([], {}):
            continue
        below = tree[name]
        here = f"{path}.{name}" if path else name
        found = _find(below, item, here) if below else here
        if found is not None:
            return found
    return None
