"""Filters of DescribeParameters and GetParametersByPath. Pure.

Source: API reference of ParameterStringFilter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ssm.model import Parameter, Version
from dryport.ssm.names import check_path, under, validation

Wanted = Callable[[Parameter, Version], bool]
_VALUES = {
    "Type": ("String", "StringList", "SecureString"),
    "Tier": ("Standard", "Advanced", "Intelligent-Tiering"),
}
_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "Equals": operator.eq,
    "BeginsWith": lambda text, value: text.startswith(value),
    "Contains": operator.contains,
}


def for_listing(filters: Iterable[Mapping[str, Any]]) -> Wanted:
    """What DescribeParameters' ``ParameterFilters`` let through. Raises ServiceError where one is not valid."""
    return _all(filters, ("Path", "Name", "Type", "KeyId", "Tier", "DataType"), "[Path, Name, Type, KeyId, Tier]")


def for_path(filters: Iterable[Mapping[str, Any]]) -> tuple[Wanted, list[str]]:
    """What GetParametersByPath's ``ParameterFilters`` let through, and the labels to choose versions by, if any."""
    filters = list(filters)
    labels = [value for one in filters if one["Key"] == "Label" for value in one.get("Values", ())]
    rest = [one for one in filters if one["Key"] != "Label"]
    return _all(rest, ("Type", "KeyId"), "[Type, KeyId]"), labels


def for_old_listing(filters: Iterable[Mapping[str, Any]]) -> Wanted:
    """What DescribeParameters' old ``Filters`` let through."""
    wanted = [(one["Key"], one["Values"]) for one in filters]

    def passes(parameter: Parameter, version: Version) -> bool:
        return all(
            any(_attribute(parameter, version, key).startswith(value) for value in values)
            if key == "Name"
            else _attribute(parameter, version, key) in values
            for key, values in wanted
        )

    return passes


def _all(filters: Iterable[Mapping[str, Any]], keys: tuple[str, ...], listed: str) -> Wanted:
    tests: list[Wanted] = []
    seen: set[str] = set()
    for one in filters:
        key = one["Key"]
        if key not in keys and not (key.startswith("tag:") and "Name" in keys):
            raise ServiceError(
                "InvalidFilterKey",
                f"The following filter key is not valid: {key}. Valid filter keys include: {listed}.",
            )
        if key in seen:
            raise ServiceError(
                "InvalidFilterKey",
                f"The following filter is duplicated in the request: {key}. A request can contain only one occurrence "
                "of a specific filter.",
            )
        seen.add(key)
        tests.append(_test(key, one.get("Option"), list(one.get("Values", []))))
    return lambda parameter, version: all(test(parameter, version) for test in tests)


def _test(key: str, option: str | None, values: list[str]) -> Wanted:
    if key.startswith("tag:"):
        name = key.removeprefix("tag:")
        _check_option(option or "Equals", ("Equals",))
        return lambda parameter, version: name in parameter.tags and (not values or parameter.tags[name] in values)
    if not values:
        raise ServiceError(
            "InvalidFilterValue", f"The following filter values are missing : null for filter key {key}."
        )
    if key == "Path":
        return _path(option or "OneLevel", values)
    for value in values:
        if value not in _VALUES.get(key, (value,)):
            raise ServiceError(
                "InvalidFilterOption",
                f"The following filter value is not valid: {value}. Valid values include: [{', '.join(_VALUES[key])}].",
            )
    option = option or "Equals"
    if (key, option) != ("Name", "Contains"):  # which AWS's own message does not list
        _check_option(option, ("BeginsWith", "Equals"))
    if key == "Name":
        # "a" and "/a" are found by each other.
        values = ["/" + value.removeprefix("/") for value in values] if option != "Contains" else values
    matches = _MATCHES[option]
    return lambda parameter, version: any(matches(_attribute(parameter, version, key), value) for value in values)


def _path(option: str, values: list[str]) -> Wanted:
    _check_option(option, ("Recursive", "OneLevel"))
    for value in values:
        if value.lower().startswith(("/aws", "/ssm")):
            raise validation(
                'Filters for common parameters can\'t be prefixed with "aws" or "ssm" (case-insensitive). When using '
                "global parameters, please specify within a global namespace."
            )
        check_path(value)
    return lambda parameter, version: any(under(parameter.name, value, option == "Recursive") for value in values)


def _check_option(option: str, valid: tuple[str, ...]) -> None:
    if option not in valid:
        raise ServiceError(
            "InvalidFilterOption",
            f"The following filter option is not valid: {option}. Valid options include: [{', '.join(valid)}].",
        )


def _attribute(parameter: Parameter, version: Version, key: str) -> str:
    return {
        "Name": "/" + parameter.name.removeprefix("/"),
        "Type": version.type,
        "KeyId": version.key_id or "",
        "Tier": version.tier,
        "DataType": version.data_type,
    }[key]
