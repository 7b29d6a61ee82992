"""What a rule's conditions may be. Pure: AWS's shapes in, the same with both spellings of values out.

Source: "Condition types for listener rules" and "Quotas for your Application Load Balancers", with messages as AWS was
recorded to give them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

from dryport.elb.model import Json
from dryport.elb.names import invalid

_CONFIGS = {
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "host-header": "HostHeaderConfig",
    "query-string": "QueryStringConfig",
    "path-pattern": "PathPatternConfig",
    "source-ip": "SourceIpConfig",
}
_BY_REGEX = ("http-header", "host-header", "path-pattern")  # AWS has these by regular expressions too
_OLD_SPELLING = ("host-header", "path-pattern")  # their values may stand in Values too
_ONCE = ("host-header", "path-pattern", "http-request-method", "source-ip")
_LONGEST, _LONGEST_NAME = 128, 40
_MOST_VALUES, _MOST_WILDCARDS = 5, 6
_HOST = re.compile(r"(?=.*\.)[A-Za-z0-9.*?-]+")  # at least one dot
_PATH = re.compile(r"[A-Za-z0-9_.$/~\"'@:+&*?=,;!()%^{}|<>\[\]\\ #`-]+")
_METHOD = re.compile(r"[A-Z_-]+")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VISIBLE = re.compile(r"[ -~]*")


def checked(given: Sequence[Json]) -> list[Json]:
    """The conditions as rules keep and describe them. Raises ServiceError."""
    if not given:
        raise invalid("A condition must be specified")
    made = [_checked(each) for each in given]
    for field, times in Counter(each["Field"] for each in made).items():
        if times > 1 and field in _ONCE:
            raise invalid(f"A rule can only have one '{field}' condition")
    values = [value for each in made for value in each[_CONFIGS[each["Field"]]]["Values"]]
    if len(values) > _MOST_VALUES:
        raise invalid(f"A rule can only have '{_MOST_VALUES}' condition values and regex values")
    if sum(_wildcards(value) for value in values) > _MOST_WILDCARDS:
        raise invalid(f"A rule can only have '{_MOST_WILDCARDS}' condition wildcards")
    return made


def _wildcards(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_wildcards(part) for part in value.values())
    return sum(value.count(each) for each in "*?")


def _checked(given: Json) -> Json:
    field = given.get("Field", "")
    if field not in _CONFIGS:
        raise invalid(f"Condition field '{field}' must be one of '{','.join(_CONFIGS)}'")
    name = _CONFIGS[field]
    for other in _CONFIGS.values():
        if other != name and other in given:
            raise invalid(f"A '{other}' cannot be specified with '{field}'")
    config = given.get(name, {})
    old = given.get("Values") or []
    if old and (field not in _OLD_SPELLING or config.get("Values")):
        raise invalid(f"You cannot specify both 'Values' and '{name}' for a condition with field '{field}'")
    if name not in given and not old:
        fields = f"Values or RegexValues or {name}" if field in _OLD_SPELLING else name
        raise invalid(f"For conditions of type '{field}', you must specify the following fields: '{fields}'")
    values = list(config.get("Values") or old)
    if not values and field in _BY_REGEX:
        raise invalid(
            f"You must provide exactly one of the following: ['Values' 'RegexValues'] for config of type '{name}'"
        )
    if not values:
        raise invalid("A condition value must be specified")
    made: Json = {"Field": field, name: {"Values": [_CHECKS[field](value) for value in values]}}
    if field == "http-header":
        made[name] = {"HttpHeaderName": _header_name(config.get("HttpHeaderName", "")), **made[name]}
    if field in _OLD_SPELLING:
        made = {"Field": field, "Values": values, name: made[name]}
    return made


def _short(field: str, value: str, longest: int = _LONGEST) -> str:
    if not value:
        raise invalid("A condition value must be specified")
    if len(value) > longest:
        raise invalid(f"Condition value for '{field}' cannot contain more than {longest} characters")
    return value


def _written(field: str, pattern: re.Pattern[str], longest: int = _LONGEST) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(_short(field, value, longest)):
            raise invalid(f"Condition value '{value}' contains a character that is not valid")
        return value

    return check


def _header_name(name: str) -> str:
    if not name:
        raise invalid("A 'HttpHeaderName' must be specified in 'HttpHeaderConfig'")
    if len(name) > _LONGEST_NAME:
        raise invalid(f"Condition value for 'http-header' cannot contain more than {_LONGEST_NAME} characters")
    if name.lower() == "host":
        raise invalid("You cannot specify 'host' as an HTTP header name")
    if not _HEADER.fullmatch(name):
        raise invalid(f"HTTP header name '{name}' contains a character that is not valid")
    return name


def _parameter(value: Json) -> Json:
    if "Value" not in value:
        raise invalid("A 'Value' must be specified in 'QueryStringKeyValuePair'")
    for part in ("Key", "Value"):
        text = value.get(part, "")
        if len(text) > _LONGEST:
            raise invalid(f"Condition value for 'query-string' cannot contain more than {_LONGEST} characters")
        if not _VISIBLE.fullmatch(text):
            raise invalid(f"Condition value '{text}' contains a character that is not valid")
    return {part: value[part] for part in ("Key", "Value") if value.get(part) or part == "Value"}


def _block(value: str) -> str:
    try:
        if "/" not in value:
            raise ValueError
        ip_network(value, strict=False)
    except ValueError:
        raise invalid(f"The specified value '{value}' is not a valid CIDR block") from None
    if value.startswith("255.255.255.255/"):
        raise invalid("You cannot specify 255.255.255.255/32 as a source IP")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "host-header": _written("host-header", _HOST),
    "path-pattern": _written("path-pattern", _PATH),
    "http-header": _written("http-header", _VISIBLE),
    "http-request-method": _written("http-request-method", _METHOD, _LONGEST_NAME),
    "query-string": _parameter,
    "source-ip": _block,
}
