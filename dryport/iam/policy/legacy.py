"""What IAM's older parser refuses, without saying what it is: an effect's case, dates, ARNs that lack a part."""

from __future__ import annotations

from collections.abc import Iterable

from dryport.iam.policy import values
from dryport.iam.policy.conditions import texts
from dryport.iam.policy.errors import MalformedPolicy
from dryport.iam.policy.operators import read
from dryport.iam.policy.statements import PARTITIONS, Body

MESSAGE = "The policy failed legacy parsing"


def check(bodies: list[Body]) -> None:
    """Accept statements that are well formed. Raises MalformedPolicy."""
    for body in bodies:
        if body["Effect"] not in ("Allow", "Deny"):
            raise MalformedPolicy(MESSAGE)
        for text in texts(body.get("Resource", body.get("NotResource", []))):
            if not _parses(text):
                raise MalformedPolicy(MESSAGE)
        for name, keys in body.get("Condition", {}).items():
            operator = read(name)
            if operator is not None and operator.kind.startswith("date"):
                _dates(text for listed in keys.values() for text in texts(listed))


def _parses(resource: str) -> bool:
    parts = resource.split(":", 5)
    if len(parts) < 4 or parts[1] not in PARTITIONS:
        return True
    return parts[2] != "" and (len(parts) == 6 or parts[2] != "s3")


def _dates(given: Iterable[str]) -> None:
    if any(values.date(text) is None for text in given):
        raise MalformedPolicy(MESSAGE)
