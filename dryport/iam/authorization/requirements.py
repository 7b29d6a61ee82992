"""From a request to what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec

from dryport.aws import arn as arns
from dryport.iam.authorization.table import Row, Table, table

_PLACE = re.compile(r"\{([^}]*)\}")
_STANDING = ("partition", "region", "account")  # what a template is filled with that is no member
ANY = "*"
_PLAIN = ("bucket", "object", "copied")  # S3 takes whatever is given for a name or key, also what looks like an ARN


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a request acts."""

    region: str
    account: str

    @property
    def partition(self) -> str:
        """The region's partition."""
        return arns.partition_of(self.region)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that a request names. Where it is not ``exact``, wildcards stand for what only the store knows."""

    arn: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """One permission that a request needs on each of its resources.

    ``keys`` is what the request brings, by names in lower case, lists as tuples; ``others`` are the names of further
    keys that AWS has for the action, which depend on what is stored. ``account`` is whose the resources are, where that
    is not what their ARNs say.
    """

    action: str
    resources: tuple[Resource, ...]
    keys: Mapping[str, str | tuple[str, ...]]
    others: tuple[str, ...]
    account: str | None = None


def required(service: str, operation: str, given: Mapping[str, Any], scope: Scope) -> tuple[Requirement, ...]:
    """What an operation with this input needs; nothing where AWS asks for no permission. Raises KeyError for no row."""
    rows = table(service)
    return tuple(found for row in rows.operations[operation] if (found := _requirement(rows, row, given, scope)))


Gist = tuple[Any, ...]


def gist(service: str, operation: str, given: Mapping[str, Any]) -> Gist:
    """What of an input decides about what it needs: inputs that have it in common need the same.

    Raises KeyError for no row, TypeError for an input that cannot be written down.
    """
    plain, deep = _deciding(service, operation)
    found: list[Any] = []
    for name in plain:
        value = given.get(name)
        found.append(value if value is None or type(value) is str else msgspec.json.encode(value))
    found += [tuple(_values(given, path)) for path in deep]
    return tuple(found)


@lru_cache(maxsize=512)
def _deciding(service: str, operation: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The members that an operation's rows look at: those of the input itself, and paths to deeper ones."""
    rows = table(service)
    paths = {"VersionId", "CopySource"}
    for template in rows.arns.values():
        paths |= {place.partition("=")[0] for place in _PLACE.findall(template)} - {*_STANDING, ""}
    for row in rows.operations[operation]:
        named = [one.partition(":")[2].removesuffix("?") for one in row.on]
        paths |= {path for one in named for path in one.split("|")}
        paths |= {source.rpartition(":")[2].partition("=")[0] for source in row.keys.values()}
        paths |= {row.tags or "", row.tag_keys or "", row.when or ""}
    return tuple(sorted(one for one in paths if one and "." not in one)), tuple(sorted(p for p in paths if "." in p))


def _requirement(rows: Table, row: Row, given: Mapping[str, Any], scope: Scope) -> Requirement | None:
    if row.when is not None and not any(True for _ in _values(given, row.when)):
        return None
    named: list[Resource] = []
    for one in row.on:
        named += _resources(rows, one, given, scope)
    if row.if_named and not named:
        return None
    action = row.version if row.version and _versioned(given) else row.action
    keys: dict[str, str | tuple[str, ...]] = {key.lower(): value for key, value in row.fixed.items()}
    for key, source in row.keys.items():
        value = _key(rows, source, given, scope)
        if value is not None:
            keys[key.lower()] = value
    tags, tag_keys = given.get(row.tags or ""), given.get(row.tag_keys or "")
    if tags or tag_keys:
        keys |= _tags(tags, tag_keys)
    return Requirement(action, tuple(dict.fromkeys(named)) or (Resource(ANY, True),), keys, row.others)


def _versioned(given: Mapping[str, Any]) -> bool:
    return given.get("VersionId") is not None or "?versionId=" in str(given.get("CopySource", ""))


def _resources(rows: Table, one: str, given: Mapping[str, Any], scope: Scope) -> list[Resource]:
    kind, _, members = one.partition(":")
    values: list[str] = []
    for path in members.removesuffix("?").split("|"):
        values += _values(given, path)
    if not values and not members.endswith("?"):
        return [_filled(rows.arns.get(kind, ANY), ANY, given, scope)]
    return [_resource(rows, kind, value, given, scope) for value in values]


def _resource(rows: Table, kind: str, value: str, given: Mapping[str, Any], scope: Scope) -> Resource:
    """The resource that a value names: by its ARN, or by a name or an id that its type's ARN is made of."""
    if value.startswith("arn:") and kind not in _PLAIN:
        return Resource(value, kind != "instance-profile")
    if kind == "any":
        kind = rows.ids.get(value.partition("-")[0]) or rows.ids.get("", "")
    if kind == "copied":
        value = unquote(value.partition("?versionId=")[0]).removeprefix("/")
    elif kind == "parameter":
        value = value.lstrip("/").partition(":")[0]
    pad = rows.pads.get(kind, "")
    if pad and (pad[0] not in value or not pad.startswith(":")):
        value += pad
    return _filled(rows.arns.get(kind, ANY), value, given, scope, exact=kind != "instance-profile")


def _filled(template: str, value: str, given: Mapping[str, Any], scope: Scope, *, exact: bool = True) -> Resource:
    """An ARN of its template: ``{}`` is the value, ``{member=default}`` the name in another member, which
    ``{member=default/one:first,two:second}`` has by other words."""
    standing = {"partition": scope.partition, "region": scope.region, "account": scope.account, "": value}

    def fill(place: re.Match[str]) -> str:
        if place[1] in standing:
            return standing[place[1]]
        member, _, rest = place[1].partition("=")
        default, _, words = rest.partition("/")
        found = next(iter(_values(given, member)), default or ANY).rpartition("/")[2]
        return dict(pair.split(":") for pair in words.split(",")).get(found, ANY) if words else found

    arn = _PLACE.sub(fill, template)
    return Resource(arn, exact and not value.endswith("*") and "*" not in template)


def _values(given: Mapping[str, Any], path: str) -> Iterable[str]:
    """The texts at a path of members; lists are gone through."""
    name, _, rest = path.partition(".")
    value = given.get(name)
    if value is None:
        return ()
    if not rest and isinstance(value, str):
        return (value,)
    return _walk(value, rest)


def _walk(given: Any, path: str) -> Iterator[str]:
    if isinstance(given, list | tuple):
        for item in given:
            yield from _walk(item, path)
    elif path:
        name, _, rest = path.partition(".")
        if isinstance(given, Mapping) and given.get(name) is not None:
            yield from _walk(given[name], rest)
    elif isinstance(given, bool):
        yield "true" if given else "false"
    elif isinstance(given, str | int | float):
        yield str(given)


def _key(rows: Table, source: str, given: Mapping[str, Any], scope: Scope) -> str | tuple[str, ...] | None:
    """A condition key's value, ``None`` where the request has none; a list's are a tuple."""
    kind, colon, path = source.rpartition(":")
    member, _, default = path.partition("=")
    values = list(_values(given, member)) or ([default] if default else [])
    if colon:
        values = [_resource(rows, kind, value, given, scope).arn for value in values]
    if not values:
        return None
    many = "." in member or isinstance(given.get(member), list | tuple)
    return tuple(values) if many else values[0]


def tags_of(tags: Any) -> dict[str, str | tuple[str, ...]]:
    """``aws:RequestTag/…`` and ``aws:TagKeys`` of tags, in whatever shape their service gives them."""
    return _tags(tags, None)


def _tags(tags: Any, keys: Any) -> dict[str, str | tuple[str, ...]]:
    """``aws:RequestTag/…`` and ``aws:TagKeys`` of a request, in whatever shape its service gives tags."""
    pairs = dict(_pairs(tags))
    listed = [key for key in (keys or tags or ()) if isinstance(key, str)] if not isinstance(tags, Mapping) else []
    found: dict[str, str | tuple[str, ...]] = {f"aws:requesttag/{key.lower()}": value for key, value in pairs.items()}
    if names := tuple(dict.fromkeys([*pairs, *listed])):
        found["aws:tagkeys"] = names
    return found


def _pairs(tags: Any) -> Iterator[tuple[str, str]]:
    if isinstance(tags, Mapping):
        yield from tags.items()
        return
    for tag in tags or ():
        if not isinstance(tag, Mapping):
            continue
        if "Tags" in tag:  # EC2's TagSpecification
            yield from _pairs(tag["Tags"])
        else:
            key = tag.get("Key", tag.get("key"))
            if isinstance(key, str):
                yield key, str(tag.get("Value", tag.get("value", "")))
