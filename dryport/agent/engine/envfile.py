"""Environment files.

The rules are those of "Pass an individual environment variable to an Amazon ECS container" in the developer guide:
``VARIABLE=VALUE`` a line; lines that begin with ``#`` and blank lines are passed over; no quotes or spaces are
interpreted. A line without ``=``, a name or a value is passed over, as AWS's agent does.
"""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str) -> dict[str, str]:
    """The variables of one file; the last of two lines for one name counts."""
    variables = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if name and equals and value:
            variables[name] = value
    return variables


def merge(files: Iterable[dict[str, str]]) -> dict[str, str]:
    """Several files' variables: where two name the same one, the first file counts."""
    merged: dict[str, str] = {}
    for variables in files:
        merged = variables | merged
    return merged
