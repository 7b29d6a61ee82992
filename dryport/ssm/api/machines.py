"""Managed instances: DescribeInstanceInformation, DeregisterManagedInstance, UpdateManagedInstanceRole.

There is no Systems Manager agent on EC2 instances here: the managed machines are those that joined by an activation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.iam import credentials as iam
from dryport.ssm import machines
from dryport.ssm.api.activations import checked_role
from dryport.ssm.api.common import page
from dryport.ssm.machines import MANAGED_INSTANCES, ManagedInstance
from dryport.ssm.model import scope
from dryport.ssm.names import validation

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_DEFAULT_PAGE = 10
_KIND = "ManagedInstance"
Shape = dict[str, Any]
# What a filter looks at; the statuses of associations are not here, since nothing associates anything.
_FILTERS: dict[str, Callable[[Shape], str]] = {
    "InstanceIds": lambda shape: str(shape["InstanceId"]),
    "AgentVersion": lambda shape: str(shape.get("AgentVersion", "")),
    "PingStatus": lambda shape: str(shape["PingStatus"]),
    "PlatformTypes": lambda shape: str(shape["PlatformType"]),
    "ActivationIds": lambda shape: str(shape["ActivationId"]),
    "IamRole": lambda shape: str(shape["IamRole"]),
    "ResourceType": lambda shape: str(shape["ResourceType"]),
    "AssociationStatus": lambda shape: "",
    "SourceIds": lambda shape: str(shape["SourceId"]),
    "SourceTypes": lambda shape: str(shape["SourceType"]),
}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeInstanceInformation")(describe)
    service.operation("DeregisterManagedInstance")(deregister)
    service.operation("UpdateManagedInstanceRole")(update_role)


def describe(call: Call, request: shapes.DescribeInstanceInformationRequestTypeDef) -> Output:
    """The managed machines that pass every filter."""
    old, new = request.get("InstanceInformationFilterList", ()), request.get("Filters", ())
    if old and new:
        raise validation("Filters and InstanceInformationFilterList can't be used together.")
    wanted = [(each["key"], each["valueSet"]) for each in old] + [(each["Key"], each["Values"]) for each in new]
    for key, _ in wanted:
        if key not in _FILTERS and key != "tag-key" and not key.startswith("tag:"):
            raise ServiceError("InvalidFilterKey", "The specified key is not valid.")
    found = call.tx.find(MANAGED_INSTANCES, "scope", scope(call.account, call.region))
    kept = [shape for each in found if _passes(shape := _shape(each, call.now), each, wanted)]
    chosen, more = page(kept, request.get("NextToken"), request.get("MaxResults", _DEFAULT_PAGE))
    return {"InstanceInformationList": chosen, **more}


def deregister(call: Call, request: shapes.DeregisterManagedInstanceRequestTypeDef) -> Output:
    """The machine is managed no more; its credentials end at once."""
    machine = _machine(call, request["InstanceId"])
    machines.forget(call.tx, machine)
    iam.revoke_sessions(call.tx, machine.id)
    return {}


def update_role(call: Call, request: shapes.UpdateManagedInstanceRoleRequestTypeDef) -> Output:
    """Give the machine another role: it has the new one's credentials from their next renewal on."""
    machine = _machine(call, request["InstanceId"])
    call.tx.put(MANAGED_INSTANCES, replace(machine, iam_role=checked_role(call, request["IamRole"])))
    iam.revoke_sessions(call.tx, machine.id)
    return {}


def _machine(call: Call, instance_id: str) -> ManagedInstance:
    found = machines.of(call.tx, call.account, call.region, instance_id)
    if found is None:
        raise ServiceError(
            "InvalidInstanceId", f"Instance {instance_id} is not in valid state for account {call.account}"
        )
    return found


def _passes(shape: Shape, machine: ManagedInstance, filters: Iterable[tuple[str, Iterable[str]]]) -> bool:
    for key, values in filters:
        if key == "tag-key":
            passes = any(value in machine.tags for value in values)
        elif key.startswith("tag:"):
            passes = machine.tags.get(key.removeprefix("tag:"), "") in values
        else:
            passes = _FILTERS[key](shape) in values
        if not passes:
            return False
    return True


def _shape(machine: ManagedInstance, now: float) -> Shape:
    facts: Mapping[str, str] = {
        "Name": machine.name,
        "IPAddress": machine.facts.ip_address,
        "ComputerName": machine.facts.computer_name,
        "PlatformName": machine.facts.platform_name,
        "PlatformVersion": machine.facts.platform_version,
        "AgentVersion": machine.facts.agent_version,
    }
    return {
        "InstanceId": machine.id,
        "PingStatus": "Online" if machine.online(now) else "ConnectionLost",
        "LastPingDateTime": round(machine.heard_at, 3),
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "ActivationId": machine.activation_id,
        "IamRole": machine.iam_role,
        "RegistrationDate": round(machine.registered_at, 3),
        "ResourceType": _KIND,
        "SourceId": machine.id,
        "SourceType": "AWS::SSM::ManagedInstance",
        **{name: value for name, value in facts.items() if value},
    }
