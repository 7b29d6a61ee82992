"""What a registering machine is: an EC2 instance, a managed instance of Systems Manager, or any other.

Source: "RegisterContainerInstance", Amazon ECS API reference; "Instance identity documents", EC2 user guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.ecs import attributes
from dryport.ecs.model import Json
from dryport.gateway.service import Call
from dryport.ssm import published as ssm

# What a document that EC2 has not signed, or not for this caller, answers.
NOT_VALID = "The identity document and identity document signature were not valid."


class Host(NamedTuple):
    """A machine. ``attributes`` are what ECS itself says of it."""

    capacity: str  # EC2, EXTERNAL, FARGATE
    instance_id: str | None = None
    attributes: Sequence[Json] = ()


def of_request(call: Call, request: Mapping[str, Any], *, hidden: bool) -> Host:
    """The machine that a registration is for; ``hidden``: it is the platform's own. Raises ServiceError."""
    if hidden:
        return Host("FARGATE")
    if not request.get("instanceIdentityDocument"):
        return Host("EXTERNAL", _managed_instance(call))
    return _ec2_instance(call, request)


def _managed_instance(call: Call) -> str | None:
    """The machine that calls with the credentials that its activation gave it: their session is named after it."""
    name = call.principal.arn.rpartition("/")[2]
    found = ssm.managed_instance(call.tx, call.account, call.region, name) if name.startswith("mi-") else None
    return found.id if found is not None else None


def _ec2_instance(call: Call, request: Mapping[str, Any]) -> Host:
    signature = request.get("instanceIdentityDocumentSignature") or ""
    instance = ec2.identified(call.tx, request["instanceIdentityDocument"], signature)
    if instance is None or (instance.account, instance.region) != (call.account, call.region):
        raise ServiceError("ClientException", NOT_VALID)
    built_in = {
        "ecs.ami-id": instance.image_id,
        attributes.ZONE: instance.availability_zone,
        attributes.INSTANCE_TYPE: instance.instance_type,
        attributes.VPC: instance.vpc_id,
        attributes.SUBNET: instance.subnet_id,
    }
    return Host("EC2", instance.id, [{"name": name, "value": value} for name, value in built_in.items()])
