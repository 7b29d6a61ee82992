"""Filters and pagination, the same for every Describe.

Source: "Filter resources", EC2 user guide: values of one filter are alternatives, ``*`` and ``?`` stand for any
characters and one, a backslash takes their meaning away; several filters must all match.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from dryport.aws.errors import ServiceError
from dryport.ec2.api.service import Request
from dryport.ec2.model import Resource

T = TypeVar("T")
Values = Iterable[str | bool | int | None]
Fields = Mapping[str, Callable[[T], Values]]

_LIMIT = 1000
_SMALLEST_PAGE = 5


def apply(request: Request, items: list[T], fields: Fields[T]) -> list[T]:
    """The items that all of a request's ``Filters`` match. Raises ServiceError for a filter that there is not."""
    for each in request.get("Filters", []):
        name, values = each.get("Name", ""), each.get("Values", [])
        read = fields.get(name) or _tag_reader(name, fields)
        if read is None:
            raise ServiceError("InvalidParameterValue", f"The filter '{name}' is invalid")
        patterns = [_pattern(value) for value in values]
        items = [item for item in items if _any_match(patterns, read(item))]
    return items


def _tag_reader(name: str, fields: Fields[T]) -> Callable[[T], Values] | None:
    if name.startswith("tag:") and "tag-key" in fields:
        key = name[4:]
        return lambda item: [value for name, value in getattr(item, "tags", {}).items() if name == key]
    return None


def at(path: str) -> Callable[[Any], Values]:
    """A reader of the values at a dotted path of a description, through lists."""
    parts = path.split(".")

    def values(described: Any, depth: int = 0) -> Iterator[Any]:
        if isinstance(described, list):
            for each in described:
                yield from values(each, depth)
        elif depth == len(parts):
            yield described
        elif parts[depth] in described:
            yield from values(described[parts[depth]], depth + 1)

    return lambda described: list(values(described))


def moment(seconds: float) -> str:
    """A time as filters compare it: text, in milliseconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _any_match(patterns: list[re.Pattern[str]], values: Values) -> bool:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values if value is not None]
    return any(pattern.fullmatch(text) for pattern in patterns for text in texts)


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    text = ""
    escaped = False
    for character in value:
        if escaped or character not in "*?\\":
            text += re.escape(character)
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            text += ".*" if character == "*" else "."
    return re.compile(text + (re.escape("\\") if escaped else ""), re.DOTALL)


def tags(resource: Resource) -> Values:
    """For ``tag-key``."""
    return resource.tags


def iso(seconds: float) -> str:
    """A time as text, in milliseconds, as filters and DescribeImages have it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def page(
    request: Request,
    name: str,
    items: list[T],
    describe: Callable[[T], Any],
    ids: str | None = None,
    *,
    smallest: int = _SMALLEST_PAGE,
    largest: int = _LIMIT,
    usual: int | None = None,
) -> dict[str, Any]:
    """A page of an answer: ``{name: [...], "NextToken": …}``. ``ids`` names the member that excludes ``MaxResults``.

    ``usual`` is the size of a page where none is asked for: by default everything comes. The token is the position to
    go on from. Raises ServiceError for a size or token that EC2 refuses.
    """
    limit, token = request.get("MaxResults"), request.get("NextToken")
    if ids is not None and limit is not None and request.get(ids):
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameter {ids[0].lower() + ids[1:]} cannot be used with the parameter maxResults",
        )
    if limit is not None and not smallest <= limit <= largest:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ( {limit} ) for parameter maxResults is invalid. Expecting a value between "
            f"{smallest} and {largest}.",
        )
    start = _position(token) if token else 0
    size = limit or usual or (largest if token else None)
    end = start + size if size else len(items)
    answer: dict[str, Any] = {name: [describe(item) for item in items[start:end]]}
    if end < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(f"dryport:{end}".encode()).decode()
    return answer


def _position(token: str) -> int:
    try:
        kind, _, number = base64.urlsafe_b64decode(token).decode().partition(":")
        if kind == "dryport":
            return int(number)
    except ValueError:
        pass
    raise ServiceError("InvalidNextToken", f"The token '{token}' is invalid")
