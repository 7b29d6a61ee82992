"""Single attributes of instances, read, changed and reset."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ec2 import attachments, instance_types, lifecycle, model, published
from dryport.ec2.api import instance_shapes
from dryport.ec2.api.interfaces import groups_of
from dryport.ec2.api.service import Request, get_instance, operation
from dryport.ec2.launch import options
from dryport.ec2.model import Instance
from dryport.gateway.service import Call, Output
from dryport.store import Reader

Shape = dict[str, Any]


def _value(value: Any) -> Shape:
    return {"Value": value}


def _groups(reader: Reader, instance: Instance) -> Shape:
    interfaces = attachments.of_instance(reader, instance.id)
    return {"Groups": groups_of(reader, interfaces[0]) if interfaces else []}


def _source_dest_check(reader: Reader, instance: Instance) -> Shape:
    interfaces = attachments.of_instance(reader, instance.id)
    return {"SourceDestCheck": _value(not interfaces or interfaces[0].source_dest_check)}


def _user_data(reader: Reader, instance: Instance) -> Shape:
    encoded = base64.b64encode(instance.user_data).decode()
    return {"UserData": _value(encoded) if encoded else {}}


_READ: dict[str, Callable[[Reader, Instance], Shape]] = {
    "instanceType": lambda r, i: {"InstanceType": _value(i.instance_type)},
    "kernel": lambda r, i: {"KernelId": {}},
    "ramdisk": lambda r, i: {"RamdiskId": {}},
    "userData": _user_data,
    "disableApiTermination": lambda r, i: {"DisableApiTermination": _value(i.disable_api_termination)},
    "instanceInitiatedShutdownBehavior": lambda r, i: {
        "InstanceInitiatedShutdownBehavior": _value("terminate" if i.shutdown_terminates else "stop")
    },
    "rootDeviceName": lambda r, i: {"RootDeviceName": _value(i.root_device_name)},
    "blockDeviceMapping": lambda r, i: {"BlockDeviceMappings": instance_shapes.block_devices(r, i)},
    "productCodes": lambda r, i: {"ProductCodes": []},
    "sourceDestCheck": _source_dest_check,
    "groupSet": _groups,
    "ebsOptimized": lambda r, i: {"EbsOptimized": _value(i.ebs_optimized)},
    "sriovNetSupport": lambda r, i: {"SriovNetSupport": {}},
    "enaSupport": lambda r, i: {"EnaSupport": _value(True)},
    "enclaveOptions": lambda r, i: {"EnclaveOptions": {"Enabled": False}},
    "disableApiStop": lambda r, i: {"DisableApiStop": _value(i.disable_api_stop)},
}


@operation("DescribeInstanceAttribute")
def describe_instance_attribute(call: Call, request: Request) -> Output:
    instance = get_instance(call, request["InstanceId"])
    return {"InstanceId": instance.id, **_READ[request["Attribute"]](call.tx, instance)}


@operation("ResetInstanceAttribute")
def reset_instance_attribute(call: Call, request: Request) -> Output:
    """Only the source and destination check can be reset; an interface here always checks."""
    get_instance(call, request["InstanceId"])
    if request["Attribute"] != "sourceDestCheck":
        raise unsupported_parameter("ec2", "ResetInstanceAttribute", f"Attribute={request['Attribute']}")
    return None


# The members of ModifyInstanceAttribute by the name of their attribute.
_MEMBERS = {
    "instanceType": "InstanceType",
    "userData": "UserData",
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "sourceDestCheck": "SourceDestCheck",
    "ebsOptimized": "EbsOptimized",
    "enaSupport": "EnaSupport",
    "blockDeviceMapping": "BlockDeviceMappings",
    "groupSet": "Groups",
}
_SWITCHES = ("disableApiTermination", "disableApiStop", "sourceDestCheck", "ebsOptimized", "enaSupport")


def _asked(request: Request) -> tuple[str, Any]:
    """The one attribute to change, and its value. Raises ServiceError."""
    given = [(attribute, request[member]) for attribute, member in _MEMBERS.items() if member in request]
    if "Attribute" in request and not any(name == request["Attribute"] for name, _ in given):
        attribute = request["Attribute"]
        if attribute not in _MEMBERS or attribute in ("blockDeviceMapping", "groupSet"):
            raise unsupported_parameter("ec2", "ModifyInstanceAttribute", f"Attribute={attribute}")
        given.append((attribute, {"Value": _parsed(attribute, request.get("Value"))}))
    if len(given) != 1:
        raise ServiceError(
            "InvalidParameterCombination",
            "Fields for multiple attribute types specified" if given else "No attributes specified.",
        )
    attribute, value = given[0]
    if isinstance(value, dict):
        if "Value" not in value and attribute != "userData":
            raise ServiceError("MissingParameter", f"The request must contain the parameter {attribute}.value")
        value = value.get("Value", b"")
    return attribute, value


def _parsed(attribute: str, text: str | None) -> Any:
    if text is None:
        raise ServiceError("MissingParameter", "The request must contain the parameter value")
    if attribute in _SWITCHES:
        if text.lower() not in ("true", "false"):
            raise ServiceError(
                "InvalidParameterValue", f"Value ({text}) for parameter value is invalid. Expecting true or false."
            )
        return text.lower() == "true"
    return options.decode_user_data(text) if attribute == "userData" else text


@operation(
    "ModifyInstanceAttribute",
    unsupported=(
        "BlockDeviceMappings.NoDevice",
        "BlockDeviceMappings.VirtualName",
        "EnclaveOptions.Enabled",
        "Kernel",
        "Ramdisk",
        "SriovNetSupport",
    ),
)
def modify_instance_attribute(call: Call, request: Request) -> Output:
    instance = get_instance(call, request["InstanceId"])
    if instance.state == lifecycle.TERMINATED:
        raise ServiceError("IncorrectInstanceState", f"The instance '{instance.id}' is terminated.")
    attribute, value = _asked(request)
    changed = instance
    match attribute:
        case "disableApiTermination":
            changed = replace(instance, disable_api_termination=value)
        case "disableApiStop":
            changed = replace(instance, disable_api_stop=value)
        case "instanceInitiatedShutdownBehavior":
            changed = replace(instance, shutdown_terminates=options.shutdown_terminates(value))
        case "instanceType":
            changed = _with_type(call.tx, _stopped(instance, "instanceType"), value)
        case "userData":
            changed = replace(_stopped(instance, "userData"), user_data=options.check_user_data(value))
        case "ebsOptimized":
            changed = replace(_stopped(instance, "ebsOptimized"), ebs_optimized=value)
        case "groupSet":
            _change_groups(call, instance, value)
        case "blockDeviceMapping":
            _change_devices(call, instance, value)
        case "sourceDestCheck" | "enaSupport":
            if not value:
                raise unsupported_parameter("ec2", "ModifyInstanceAttribute", f"{_MEMBERS[attribute]}=false")
    if changed is not instance:
        call.tx.put(model.INSTANCES, changed)
    return None


def _stopped(instance: Instance, attribute: str) -> Instance:
    if instance.state != lifecycle.STOPPED:
        raise ServiceError(
            "IncorrectInstanceState",
            f"The instance '{instance.id}' is not in the 'stopped' state: its {attribute} cannot be changed.",
        )
    return instance


def _with_type(reader: Reader, instance: Instance, name: str) -> Instance:
    kind = instance_types.get(name)
    if kind is None:
        raise ServiceError("InvalidInstanceAttributeValue", f"Invalid value '{name}' for InstanceType.")
    if instance.architecture not in kind.architectures or not kind.runs_here:
        raise ServiceError(
            "InvalidParameterCombination",
            f"The architecture '{instance.architecture}' of the instance does not match that of '{name}'.",
        )
    interfaces = len(attachments.of_instance(reader, instance.id))
    if interfaces > kind.max_interfaces:
        raise ServiceError("AttachmentLimitExceeded", f"Interface count {interfaces} exceeds the limit for {name}")
    credits = options.credits({}, kind) if instance.cpu_credits == "" or not kind.burstable else instance.cpu_credits
    return replace(
        instance,
        instance_type=name,
        core_count=kind.cores,
        threads_per_core=kind.threads_per_core,
        cpu_credits=credits,
    )


def _change_groups(call: Call, instance: Instance, group_ids: list[str]) -> None:
    interfaces = attachments.of_instance(call.tx, instance.id)
    if not interfaces:
        raise ServiceError("IncorrectInstanceState", f"The instance '{instance.id}' has no network interface.")
    primary = interfaces[0]
    place = (call.account, call.region, primary.vpc_id, primary.subnet_id)
    groups = published.check_groups(call.tx, *place, group_ids)
    call.tx.put(model.NETWORK_INTERFACES, replace(primary, group_ids=groups))


def _change_devices(call: Call, instance: Instance, mappings: list[Shape]) -> None:
    """Change which of its volumes go with the instance."""
    volumes = call.tx.find(model.VOLUMES, "instance", instance.id)
    by_device = {each.attachment.device: each for each in volumes if each.attachment is not None}
    for mapping in mappings:
        volume = by_device.get(mapping.get("DeviceName", ""))
        if volume is None or volume.attachment is None:
            raise ServiceError(
                "InvalidInstanceAttributeValue", f"No device is currently mapped at {mapping.get('DeviceName', '')}"
            )
        ebs = mapping.get("Ebs", {})
        if ebs.get("VolumeId", volume.id) != volume.id:
            raise ServiceError("InvalidInstanceAttributeValue", f"Volume {ebs['VolumeId']} is not mapped there")
        goes = ebs.get("DeleteOnTermination", volume.attachment.delete_on_termination)
        changed = replace(volume.attachment, delete_on_termination=goes)
        call.tx.put(model.VOLUMES, replace(volume, attachment=changed))
