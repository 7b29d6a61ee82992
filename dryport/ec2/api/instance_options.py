"""Metadata options, credit options and maintenance options of instances, and the account's defaults."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ec2 import instance_types, lifecycle, model
from dryport.ec2.api import filters, instance_shapes
from dryport.ec2.api.service import DONE, Request, get_instance, get_instances, operation
from dryport.ec2.launch import options
from dryport.ec2.model import Instance, MetadataDefaults
from dryport.gateway.service import Call, Output


@operation("ModifyInstanceMetadataOptions")
def modify_instance_metadata_options(call: Call, request: Request) -> Output:
    instance = get_instance(call, request["InstanceId"])
    options.check_values({"MetadataOptions": request}, "ModifyInstanceMetadataOptions")
    if lifecycle.is_gone(instance):
        raise ServiceError("IncorrectInstanceState", f"The instance '{instance.id}' is not in a modifiable state.")
    changed = replace(instance, metadata=options.changed_metadata(instance.metadata, request))
    call.tx.put(model.INSTANCES, changed)
    told = instance_shapes.metadata_options(changed.metadata, "pending")
    return {"InstanceId": instance.id, "InstanceMetadataOptions": told}


def _choice(request: Request, member: str, wanted: str, before: bool | None) -> bool | None:
    value = request.get(member)
    if value is None:
        return before
    return None if value == "no-preference" else value == wanted


@operation("ModifyInstanceMetadataDefaults", unsupported=("HttpTokensEnforced",))
def modify_instance_metadata_defaults(call: Call, request: Request) -> Output:
    place = model.scope(call.account, call.region)
    before = call.tx.get(model.METADATA_DEFAULTS, place) or MetadataDefaults(account=call.account, region=call.region)
    hops = request.get("HttpPutResponseHopLimit")
    if hops is not None and hops != -1 and not 1 <= hops <= 64:
        raise ServiceError("InvalidParameterValue", f"Value ({hops}) for parameter HttpPutResponseHopLimit is invalid.")
    made = replace(
        before,
        enabled=_choice(request, "HttpEndpoint", "enabled", before.enabled),
        tokens_required=_choice(request, "HttpTokens", "required", before.tokens_required),
        tags=_choice(request, "InstanceMetadataTags", "enabled", before.tags),
        hop_limit=before.hop_limit if hops is None else None if hops == -1 else hops,
    )
    call.tx.put(model.METADATA_DEFAULTS, made)
    return DONE


@operation("GetInstanceMetadataDefaults")
def get_instance_metadata_defaults(call: Call, request: Request) -> Output:
    found = call.tx.get(model.METADATA_DEFAULTS, model.scope(call.account, call.region))
    level: dict[str, Any] = {"ManagedBy": "account"}
    if found is not None:
        if found.tokens_required is not None:
            level["HttpTokens"] = "required" if found.tokens_required else "optional"
        if found.hop_limit is not None:
            level["HttpPutResponseHopLimit"] = found.hop_limit
        if found.enabled is not None:
            level["HttpEndpoint"] = instance_shapes.switched(found.enabled)
        if found.tags is not None:
            level["InstanceMetadataTags"] = instance_shapes.switched(found.tags)
    return {"AccountLevel": level}


_CREDIT_FILTERS: filters.Fields[Instance] = {"instance-id": lambda i: [i.id]}


@operation("DescribeInstanceCreditSpecifications")
def describe_instance_credit_specifications(call: Call, request: Request) -> Output:
    """Without ids only those with unlimited credits, as EC2 has it."""
    ids = request.get("InstanceIds")
    found = get_instances(call, ids)
    for each in found:
        if ids and not each.cpu_credits:
            raise ServiceError(
                "InvalidParameterCombination",
                f"The instance {each.id} of type {each.instance_type} is not a burstable performance instance.",
            )
    if not ids:
        found = [each for each in found if each.cpu_credits == "unlimited" and not lifecycle.is_gone(each)]
    found = filters.apply(request, found, _CREDIT_FILTERS)
    return filters.page(
        request,
        "InstanceCreditSpecifications",
        found,
        lambda each: {"InstanceId": each.id, "CpuCredits": each.cpu_credits},
        "InstanceIds",
    )


@operation("ModifyInstanceCreditSpecification")
def modify_instance_credit_specification(call: Call, request: Request) -> Output:
    done, refused = [], []
    for each in request["InstanceCreditSpecifications"]:
        instance_id = each["InstanceId"]
        try:
            instance = get_instance(call, instance_id)
            kind = instance_types.get(instance.instance_type)
            if kind is None or not kind.burstable:
                raise ServiceError(
                    "InstanceCreditSpecification.NotSupported",
                    f"The instance {instance_id} is not a burstable performance instance.",
                )
            if lifecycle.is_gone(instance):
                raise ServiceError("IncorrectInstanceState", f"The instance {instance_id} is terminated.")
            credits = options.check_credits(each.get("CpuCredits", ""))
        except ServiceError as error:
            if error.code == "InvalidParameterValue":
                raise
            refused.append({"InstanceId": instance_id, "Error": {"Code": error.code, "Message": error.message}})
        else:
            call.tx.put(model.INSTANCES, replace(instance, cpu_credits=credits))
            done.append({"InstanceId": instance_id})
    return {
        "SuccessfulInstanceCreditSpecifications": done,
        "UnsuccessfulInstanceCreditSpecifications": refused,
    }


@operation("ModifyInstanceMaintenanceOptions")
def modify_instance_maintenance_options(call: Call, request: Request) -> Output:
    instance = get_instance(call, request["InstanceId"])
    if request.get("RebootMigration", "default") != "default":
        raise unsupported_parameter("ec2", "ModifyInstanceMaintenanceOptions", "RebootMigration=disabled")
    if "AutoRecovery" in request:
        instance = replace(instance, auto_recovery=request["AutoRecovery"] == "default")
        call.tx.put(model.INSTANCES, instance)
    return {
        "InstanceId": instance.id,
        "AutoRecovery": "default" if instance.auto_recovery else "disabled",
        "RebootMigration": "default",
    }
