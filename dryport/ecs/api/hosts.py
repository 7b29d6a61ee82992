"""What a registering machine is: an EC2 instance, a managed instance of Systems Manager, or any other.

Source: "RegisterContainerInstance", Amazon ECS API reference; "Instance identity documents", EC2 user guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from dryport.aws.errors import ServiceError
from dryport.ecs import attributes
from dryport.ecs.model import Json
from dryport.gateway.service import Call
from dryport.ssm import published as ssm


class Host(NamedTuple):
    """A machine. ``attributes`` are what ECS itself says of it."""

    capacity: str  # EC2, EXTERNAL, FARGATE
    instance_id: str | None = None
    attributes: Sequence[Json] = ()


def of_request(call: Call, request: Mapping[str, Any], *, hidden: bool) -> Host:
    """The machine that a registration is for; ``hidden``: it is the platform's own. Raises ServiceError."""
    document = request.get("instanceIdentityDocument")
    if hidden:
        return Host("FARGATE")
    if not document:
        return Host("EXTERNAL", _managed_instance(call))
    return _ec2_instance(document)


def _managed_instance(call: Call) -> str | None:
    """The machine that calls with the credentials that its activation gave it: their session is named after it."""
    name = call.principal.arn.rpartition("/")[2]
    found = ssm.managed_instance(call.tx, call.account, call.region, name) if name.startswith("mi-") else None
    return found.id if found is not None else None


def _ec2_instance(document: str) -> Host:
    try:
        identity = msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise not_valid() from None
    built_in = {
        "ecs.ami-id": identity.get("imageId"),
        attributes.ZONE: identity.get("availabilityZone"),
        attributes.INSTANCE_TYPE: identity.get("instanceType"),
    }
    known = [{"name": name, "value": value} for name, value in built_in.items() if value]
    return Host("EC2", identity.get("instanceId"), known)


def not_valid() -> ServiceError:
    """What a document that EC2 has not signed, or not for this caller, answers."""
    return ServiceError("ClientException", "The identity document and identity document signature were not valid.")
