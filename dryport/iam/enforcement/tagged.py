"""The tags of the resource that a request is about: ``aws:ResourceTag/…`` and the services' own names for it.

Source: "AWS global condition context keys", IAM user guide; the services' pages of the service authorization reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from dryport.aws import arn as arns
from dryport.aws.arn import Arn
from dryport.iam.authorization import Resource
from dryport.iam.policy import Policies
from dryport.store import Reader

_MARK = "resourcetag/"
# The rooms whose resources have tags, by what their ARNs call the service.
_ROOMS = {
    "acm": "acm",
    "ec2": "ec2",
    "ecr": "ecr",
    "ecs": "ecs",
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elb",
    "logs": "logs",
    "secretsmanager": "secretsmanager",
    "servicediscovery": "servicediscovery",
    "ssm": "ssm",
}
Look = Callable[[Reader, Arn], Mapping[str, str] | None]


def asked(policies: Policies) -> bool:
    """Whether a caller's own policies ask for the tags of resources."""
    every = [*policies.identity, *([policies.boundary] if policies.boundary else [])]
    return any(_MARK in one.document.lower() for one in every)


def keys(reader: Reader, resource: Resource) -> dict[str, str] | None:
    """The keys that a resource's tags give to requests about it; ``None`` where they are not known.

    What does not exist, or is only being made, has none.
    """
    if resource.arn == "*":
        return {}
    parts = arns.parse(resource.arn)
    room = _ROOMS.get(parts.service) if parts is not None else None
    if parts is None or room is None or not resource.exact:
        return None
    look: Look = import_module(f"dryport.{room}.published").resource_tags
    tags = look(reader, parts)
    if tags is None:
        return None
    names = ("aws", parts.service)
    return {f"{name}:{_MARK}{key.lower()}": value for key, value in tags.items() for name in names}


def without(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of unknown keys, less those of resources' tags."""
    return tuple(name for name in names if _MARK not in name)


def unknown(resource: Resource) -> tuple[str, ...]:
    """The names, in lower case, of the tags of a resource that nobody knows."""
    parts = arns.parse(resource.arn)
    return tuple(f"{name}:{_MARK}" for name in ("aws", *([parts.service] if parts is not None else [])))
