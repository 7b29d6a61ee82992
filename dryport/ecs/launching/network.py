"""``networkConfiguration`` of a launch: what awsvpc tasks need and others must not have."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.ec2.model import Subnet
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json
from dryport.gateway.service import Call

_MAX_SUBNETS = 16
_MAX_GROUPS = 5


def check(call: Call, request: Any, mode: str, launch_type: str) -> Json:
    """The awsvpc configuration of a launch; empty for other network modes. Raises ServiceError."""
    configuration: Json | None = request.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if mode != "awsvpc":
        if configuration is not None:
            raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
        return {}
    if configuration is None:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if launch_type == "EC2" and configuration.get("assignPublicIp") == "ENABLED":
        raise invalid("Assign public IP is not supported for this launch type.")
    names, groups = configuration["subnets"], configuration.get("securityGroups", [])
    if not names:
        raise invalid("subnets can not be empty.")
    if len(names) > _MAX_SUBNETS:
        raise invalid(f"subnets can have at most {_MAX_SUBNETS} items.")
    if len(groups) > _MAX_GROUPS:
        raise invalid(f"securityGroups can have at most {_MAX_GROUPS} items.")
    vpcs = {subnet.vpc_id for subnet in subnets(call, configuration)}
    if len(vpcs) > 1:
        raise invalid("subnets must belong to the same VPC.")
    for group_id in groups:
        _check_group(call, group_id, vpcs)
    return {"assignPublicIp": "DISABLED", **configuration, "securityGroups": groups}


def subnets(call: Call, configuration: Json) -> list[Subnet]:
    """The subnets of a configuration, none for an empty one. Raises ServiceError where one is not there."""
    found = []
    for subnet_id in configuration.get("subnets", ()):
        subnet = ec2.subnet(call.tx, call.account, call.region, subnet_id)
        if subnet is None:
            raise _not_found("subnet", subnet_id, "subnet ID", "InvalidSubnetID.NotFound")
        found.append(subnet)
    return found


def _check_group(call: Call, group_id: str, vpcs: set[str]) -> None:
    group = ec2.security_group(call.tx, call.account, call.region, group_id)
    if group is None:
        raise _not_found("security group", group_id, "security group", "InvalidGroup.NotFound")
    if group.vpc_id not in vpcs:
        raise invalid(f"Security group {group_id} does not appear to belong to the same VPC as the input subnets.")


def _not_found(what: str, identifier: str, called: str, code: str) -> ServiceError:
    return invalid(
        f"Error retrieving {what} information for [{identifier}]: The {called} '{identifier}' does not exist "
        f"(ErrorCode: {code})"
    )
