"""Lifecycle rules: which are well formed, and what they say is over. Pure. Rules are as the API has them.

Source: "Managing the lifecycle of objects", S3 user guide; API reference of PutBucketLifecycleConfiguration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from dryport.aws.errors import ServiceError
from dryport.s3.model import Object

Rule = Mapping[str, Any]
_DAY = 86_400  # seconds
_MOST = 1000
_LONGEST_ID = 255
_ACTIONS = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")


def check(rules: Sequence[Rule]) -> None:
    """Raise ServiceError for rules that S3 refuses."""
    if not 1 <= len(rules) <= _MOST:
        raise _malformed()
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) < len(ids):
        raise _invalid("Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Rule) -> None:
    if ("Prefix" in rule) == ("Filter" in rule) or len(rule.get("Filter") or ()) > 1:
        raise _malformed()
    if len(rule.get("ID", "")) > _LONGEST_ID:
        raise _invalid("ID length should not exceed allowed limit of 255")
    if not any(name in rule for name in _ACTIONS):
        raise ServiceError("InvalidRequest", "At least one action needs to be specified in a rule.", 400)
    expiration = rule.get("Expiration")
    if expiration is not None:
        if len(expiration) != 1:
            raise _malformed()
        _positive(expiration.get("Days", 1), "'Days' for Expiration action must be a positive integer")
        if expiration.get("Date", 0) % _DAY:
            raise _invalid("'Date' must be at midnight GMT")
    older = rule.get("NoncurrentVersionExpiration")
    if older is not None:
        if "NoncurrentDays" not in older:
            raise _malformed()
        message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer"
        _positive(older["NoncurrentDays"], message)
        _positive(older.get("NewerNoncurrentVersions", 1), "'NewerNoncurrentVersions' must be a positive integer")
    upload = rule.get("AbortIncompleteMultipartUpload")
    if upload is not None:
        if "DaysAfterInitiation" not in upload:
            raise _malformed()
        message = "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"
        _positive(upload["DaysAfterInitiation"], message)
        if _tags(rule):
            raise ServiceError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags.", 400)


def _positive(number: int, message: str) -> None:
    if number <= 0:
        raise _invalid(message)


def _malformed() -> ServiceError:
    message = "The XML you provided was not well-formed or did not validate against our published schema"
    return ServiceError("MalformedXML", message, 400)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidArgument", message, 400)


def expires(rules: Sequence[Rule], item: Object) -> tuple[float, str] | None:
    """When the current version of a key expires (seconds since the epoch), and by which rule; ``None`` for never."""
    found: list[tuple[float, str]] = []
    for rule in _speaking(rules, item, "Expiration"):
        expiration = rule["Expiration"]
        if "Date" in expiration:
            found.append((expiration["Date"], rule["ID"]))
        elif "Days" in expiration:
            found.append((_after(item.modified_at, expiration["Days"]), rule["ID"]))
    return min(found, default=None)


def header(rules: Sequence[Rule], item: Object) -> dict[str, str]:
    """What answers tell of an object's end."""
    found = expires(rules, item)
    if found is None:
        return {}
    return {"Expiration": f'expiry-date="{formatdate(found[0], usegmt=True)}", rule-id="{quote(found[1], safe="")}"'}


def over(rules: Sequence[Rule], versions: Sequence[Object], now: float) -> list[Object]:
    """Of all versions of a key, the newest first, those that are over: they are to be deleted.

    A current object that is among them is to be deleted as a user would, all others for good.
    """
    if not versions:
        return []
    ended: list[Object] = []
    newest = versions[0]
    if newest.marker:
        alone = len(versions) == 1
        cleans = any(rule["Expiration"].get("ExpiredObjectDeleteMarker") for rule in _of_marker(rules, newest))
        end = expires(rules, newest)
        if alone and (cleans or (end is not None and end[0] <= now)):
            ended.append(newest)
    else:
        end = expires(rules, newest)
        if end is not None and end[0] <= now:
            ended.append(newest)
    for place, item in enumerate(versions[1:]):
        if any(_is_over(rule, versions[place], place, now) for rule in _noncurrent(rules, item)):
            ended.append(item)
    return ended


def _is_over(rule: Rule, successor: Object, newer: int, now: float) -> bool:
    older = rule["NoncurrentVersionExpiration"]
    kept = older.get("NewerNoncurrentVersions", 0)
    return newer >= kept and _after(successor.modified_at, older["NoncurrentDays"]) <= now


def aborted(rules: Sequence[Rule], key: str, initiated_at: float, now: float) -> bool:
    """Whether an upload has gone on for too long."""
    return any(
        key.startswith(_prefix(rule)) and _after(initiated_at, rule[name]["DaysAfterInitiation"]) <= now
        for rule in rules
        for name in ("AbortIncompleteMultipartUpload",)
        if rule["Status"] == "Enabled" and name in rule
    )


def _after(start: float, days: int) -> float:
    """The first midnight (UTC) that is so many days later, as S3 counts."""
    return math.ceil((start + days * _DAY) / _DAY) * _DAY


def _of_marker(rules: Sequence[Rule], item: Object) -> Iterator[Rule]:
    return _speaking(rules, item, "Expiration")


def _noncurrent(rules: Sequence[Rule], item: Object) -> Iterator[Rule]:
    return _speaking(rules, item, "NoncurrentVersionExpiration")


def _speaking(rules: Sequence[Rule], item: Object, action: str) -> Iterator[Rule]:
    """The rules in force that have an action, and whose filter matches an object."""
    return (rule for rule in rules if rule["Status"] == "Enabled" and action in rule and _matches(rule, item))


def _matches(rule: Rule, item: Object) -> bool:
    every = _predicates(rule)
    return (
        item.key.startswith(_prefix(rule))
        and item.size > every.get("ObjectSizeGreaterThan", -1)
        and item.size < every.get("ObjectSizeLessThan", math.inf)
        and all(item.tags.get(tag["Key"]) == tag["Value"] for tag in _tags(rule))
    )


def _predicates(rule: Rule) -> Mapping[str, Any]:
    filtered: Mapping[str, Any] = rule.get("Filter") or {}
    found: Mapping[str, Any] = filtered.get("And") or filtered
    return found


def _prefix(rule: Rule) -> str:
    prefix: str = rule.get("Prefix") or _predicates(rule).get("Prefix") or ""
    return prefix


def _tags(rule: Rule) -> list[Mapping[str, str]]:
    every = _predicates(rule)
    return [*every.get("Tags", ()), *([every["Tag"]] if "Tag" in every else [])]
