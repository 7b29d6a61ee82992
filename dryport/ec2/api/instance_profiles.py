"""Which instance profile an instance has."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import lifecycle, model, profiles
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, get_instance, operation
from dryport.ec2.launch import associate
from dryport.ec2.model import ProfileAssociation
from dryport.gateway.service import Call, Output


def _describe(call: Call, association: ProfileAssociation, state: str) -> dict[str, Any]:
    profile = profiles.of_arn(call.tx, association.profile_arn)
    return {
        "AssociationId": association.id,
        "InstanceId": association.instance_id,
        "IamInstanceProfile": {"Arn": profile.arn, "Id": profile.id},
        "State": state,
    }


def _get(call: Call, association_id: str) -> ProfileAssociation:
    found = call.tx.get(model.PROFILE_ASSOCIATIONS, association_id)
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise ServiceError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")
    return found


def _associate(call: Call, instance_id: str, named: dict[str, str]) -> Output:
    instance = get_instance(call, instance_id)
    profile = profiles.find(call.tx, call.account, call.region, named)
    made = associate(call.tx, call.random, instance, profile, call.now)
    profiles.ensure_key(call.tx, call.random, instance, call.now)
    return {"IamInstanceProfileAssociation": _describe(call, made, "associating")}


@operation("AssociateIamInstanceProfile")
def associate_iam_instance_profile(call: Call, request: Request) -> Output:
    instance = get_instance(call, request["InstanceId"])
    if lifecycle.is_gone(instance):
        raise ServiceError(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'running' or 'stopped' states."
        )
    if call.tx.find(model.PROFILE_ASSOCIATIONS, "instance", instance.id):
        raise ServiceError("IncorrectState", f"There is an existing association for instance {instance.id}")
    return _associate(call, instance.id, request["IamInstanceProfile"])


@operation("ReplaceIamInstanceProfileAssociation")
def replace_iam_instance_profile_association(call: Call, request: Request) -> Output:
    before = _get(call, request["AssociationId"])
    call.tx.delete(model.PROFILE_ASSOCIATIONS, before.id)
    return _associate(call, before.instance_id, request["IamInstanceProfile"])


@operation("DisassociateIamInstanceProfile")
def disassociate_iam_instance_profile(call: Call, request: Request) -> Output:
    """The keys that the instance has of the role live on until their end, but no others are given."""
    before = _get(call, request["AssociationId"])
    call.tx.delete(model.PROFILE_ASSOCIATIONS, before.id)
    call.tx.delete(model.ROLE_KEYS, before.instance_id)
    return {"IamInstanceProfileAssociation": _describe(call, before, "disassociating")}


_FILTERS: filters.Fields[ProfileAssociation] = {
    "instance-id": lambda a: [a.instance_id],
    "state": lambda a: ["associated"],
}


@operation("DescribeIamInstanceProfileAssociations")
def describe_iam_instance_profile_associations(call: Call, request: Request) -> Output:
    ids = request.get("AssociationIds")
    place = model.scope(call.account, call.region)
    found = [_get(call, each) for each in ids] if ids else call.tx.find(model.PROFILE_ASSOCIATIONS, "scope", place)
    found = filters.apply(request, found, _FILTERS)
    return filters.page(
        request,
        "IamInstanceProfileAssociations",
        found,
        lambda each: _describe(call, each, "associated"),
        "AssociationIds",
    )
