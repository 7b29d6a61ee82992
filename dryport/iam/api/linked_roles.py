"""Service-linked roles: made by hand, deleted once nothing needs them."""

from __future__ import annotations

from typing import Any

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.gateway.service import Call, Output
from dryport.iam import last_use, linked
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, get, invalid_input, no_such_entity
from dryport.iam.api.roles import described
from dryport.iam.model import DELETIONS, IDENTITIES, Deletion, Identity, identity_key


@SERVICE.operation("CreateServiceLinkedRole")
def create_service_linked_role(call: Call, request: Request) -> Output:
    """The role of a service of AWS's that has such."""
    service, suffix = request["AWSServiceName"], request.get("CustomSuffix", "")
    template = linked.TEMPLATES.get(service)
    if template is None:
        raise ServiceError("AccessDenied", f"Cannot find Service Linked Role template for {service}", 403)
    if suffix and not template.suffix:
        raise invalid_input(f"Custom suffix is not allowed for {service}")
    name = linked.role_name(service, suffix)
    if call.tx.get(IDENTITIES, identity_key(call.account, "role", name)) is not None:
        raise invalid_input(f"Service role name {name} has been taken in this account, please try a different suffix.")
    made = linked.make(
        call.tx,
        call.random,
        service=service,
        account=call.account,
        now=call.now,
        partition=arns.partition_of(call.region),
        suffix=suffix,
        description=request.get("Description"),
    )
    return {"Role": described(made)}


@SERVICE.operation("DeleteServiceLinkedRole")
def delete_service_linked_role(call: Call, request: Request) -> Output:
    """Delete a service's role; what needs it yet, the task's status says."""
    role = get(call, "role", request["RoleName"])
    if not linked.is_linked(role):
        message = f"Cannot perform the operation on the role '{role.name}' - it is not a service-linked role"
        raise ServiceError("InvalidInput", message, 400)
    usage = _usage(call, role)
    if not usage:
        last_use.forget(call.tx, role.id)
        call.tx.delete(IDENTITIES, identity_key(role.account, "role", role.name))
    task = f"task{role.path}{role.name}/{uuid4(call.random)}"
    call.tx.put(DELETIONS, Deletion(id=task, account=call.account, role_arn=role.arn, usage=usage))
    return {"DeletionTaskId": task}


@SERVICE.operation("GetServiceLinkedRoleDeletionStatus")
def get_service_linked_role_deletion_status(call: Call, request: Request) -> Output:
    """What became of a deletion."""
    found = call.tx.get(DELETIONS, request["DeletionTaskId"])
    if found is None or found.account != call.account:
        raise no_such_entity(f"The deletion task {request['DeletionTaskId']} cannot be found.")
    if not found.usage:
        return {"Status": "SUCCEEDED"}
    reason: dict[str, Any] = {
        "Reason": "The role is in use: its service has resources that need it.",
        "RoleUsageList": [{"Region": region, "Resources": list(arns)} for region, arns in found.usage.items()],
    }
    return {"Status": "FAILED", "Reason": reason}


def _usage(call: Call, role: Identity) -> dict[str, tuple[str, ...]]:
    """What needs a role, by region."""
    if role.name != linked.role_name("ecs.amazonaws.com"):
        return {}
    from dryport.ecs import published

    return published.clusters_by_region(call.tx, call.account)
