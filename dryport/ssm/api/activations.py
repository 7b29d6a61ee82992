"""CreateActivation, DescribeActivations, DeleteActivation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dryport.aws.arn import partition_of
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.gateway.service import Call, Output, Service
from dryport.iam import published as iam
from dryport.ssm.api.common import page
from dryport.ssm.api.tags import checked_tags
from dryport.ssm.machines import ACTIVATIONS, DEFAULT_SECONDS, MAX_SECONDS, Activation, hash_of, new_code
from dryport.ssm.model import scope
from dryport.ssm.names import validation

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_ROLE = re.compile(r"(?:[!-~]+/)?[A-Za-z0-9+=,.@_-]{1,64}")
_MOST = 50
_FILTERS = {
    "ActivationIds": lambda activation: activation.id,
    "DefaultInstanceName": lambda activation: activation.instance_name,
    "IamRole": lambda activation: activation.iam_role,
}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateActivation", unsupported=("RegistrationMetadata",))(create)
    service.operation("DescribeActivations")(describe)
    service.operation("DeleteActivation")(delete)


def create(call: Call, request: shapes.CreateActivationRequestTypeDef) -> Output:
    """Make an activation; its code is in this answer and nowhere else."""
    expires = float(request.get("ExpirationDate", call.now + DEFAULT_SECONDS))  # type: ignore[arg-type]
    if not call.now < expires <= call.now + MAX_SECONDS:
        raise validation("The expiration date must be in the future and at most 30 days ahead.")
    code = new_code(call.random)
    activation = Activation(
        id=uuid4(call.random),
        account=call.account,
        region=call.region,
        code_hash=hash_of(code),
        iam_role=checked_role(call, request["IamRole"]),
        limit=request.get("RegistrationLimit", 1),
        expires=expires,
        created_at=call.now,
        description=request.get("Description", ""),
        instance_name=request.get("DefaultInstanceName", ""),
        tags=checked_tags({}, request.get("Tags", ())),
    )
    call.tx.put(ACTIVATIONS, activation)
    return {"ActivationId": activation.id, "ActivationCode": code}


def describe(call: Call, request: shapes.DescribeActivationsRequestTypeDef) -> Output:
    """The activations of the account in the region that pass every filter."""
    if any(each.get("FilterKey") not in _FILTERS for each in request.get("Filters", ())):
        raise ServiceError("InvalidFilter", "The filter name isn't valid.")
    found = call.tx.find(ACTIVATIONS, "scope", scope(call.account, call.region))
    kept = [_shape(each, call.now) for each in found if _passes(each, request.get("Filters", ()))]
    chosen, more = page(kept, request.get("NextToken"), request.get("MaxResults", _MOST))
    return {"ActivationList": chosen, **more}


def delete(call: Call, request: shapes.DeleteActivationRequestTypeDef) -> Output:
    """No machine can join by it any more; those that did stay."""
    found = call.tx.get(ACTIVATIONS, request["ActivationId"])
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise ServiceError(
            "InvalidActivation",
            f"Activation {request['ActivationId']} is not valid or does not exist for account {call.account}.",
        )
    call.tx.delete(ACTIVATIONS, found.id)
    return {}


def checked_role(call: Call, name: str) -> str:
    """A role's name. Raises ServiceError where there is no such role that Systems Manager may assume."""
    role = f"arn:{partition_of(call.region)}:iam::{call.account}:role/{name}"
    if not _ROLE.fullmatch(name) or iam.refuses(call.tx, role, "ssm.amazonaws.com"):
        raise validation(f"Nonexistent role or missing ssm service principal in trust policy: {name}")
    return name


def _passes(activation: Activation, filters: Iterable[Mapping[str, Any]]) -> bool:
    return all(_FILTERS[each["FilterKey"]](activation) in each.get("FilterValues", ()) for each in filters)


def _shape(activation: Activation, now: float) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "ActivationId": activation.id,
        "IamRole": activation.iam_role,
        "RegistrationLimit": activation.limit,
        "RegistrationsCount": activation.registrations,
        "ExpirationDate": round(activation.expires, 3),
        "Expired": now >= activation.expires,
        "CreatedDate": round(activation.created_at, 3),
        "Tags": [{"Key": key, "Value": value} for key, value in activation.tags.items()],
    }
    if activation.description:
        shape["Description"] = activation.description
    if activation.instance_name:
        shape["DefaultInstanceName"] = activation.instance_name
    return shape
