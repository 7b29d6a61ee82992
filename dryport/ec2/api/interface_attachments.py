"""Network interfaces, attached to instances and detached."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import attachments, instance_types, lifecycle, model, private_addresses, published
from dryport.ec2.api.service import Request, get, get_instance, operation
from dryport.ec2.model import Instance, NetworkInterface
from dryport.gateway.service import Call, Output


@operation("AttachNetworkInterface", unsupported=("EnaSrdSpecification", "EnaQueueCount"))
def attach_network_interface(call: Call, request: Request) -> Output:
    """It appears in the instance within a moment, as ``eth<index>``, and answers there at its addresses."""
    interface: NetworkInterface = get(call, "eni", request["NetworkInterfaceId"])
    instance = get_instance(call, request["InstanceId"])
    _check(call, request, interface, instance)
    made = attachments.attach(
        call.tx,
        call.random,
        interface,
        instance.id,
        index=request["DeviceIndex"],
        delete_on_termination=False,
        now=call.now,
    )
    return {"AttachmentId": made.attachment_id, "NetworkCardIndex": 0}


def _check(call: Call, request: Request, interface: NetworkInterface, instance: Instance) -> None:
    if request.get("NetworkCardIndex", 0) != 0:
        raise ServiceError(
            "InvalidParameterValue", f"Network card index {request['NetworkCardIndex']} exceeds the limit."
        )
    if interface.attachment_id is not None or interface.device != "detached":
        raise ServiceError("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
    if instance.state not in (lifecycle.RUNNING, lifecycle.STOPPED):
        raise ServiceError("IncorrectState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")
    if interface.availability_zone != instance.availability_zone or interface.vpc_id != instance.vpc_id:
        raise ServiceError(
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        )
    others = published.seen_at(call.tx, instance.id)
    index = request["DeviceIndex"]
    if index < 0 or any(each.device_index == index for each in others):
        raise ServiceError(
            "InvalidParameterValue",
            f"Instance '{instance.id}' already has an interface attached at device index '{index}'.",
        )
    private_addresses.check_limit(call.tx, instance.id, len(interface.private_ips))
    kind = instance_types.get(instance.instance_type)
    if kind is not None and len(others) >= kind.max_interfaces:
        raise ServiceError(
            "AttachmentLimitExceeded", f"Interface count {len(others) + 1} exceeds the limit for {kind.name}"
        )


@operation("DetachNetworkInterface")
def detach_network_interface(call: Call, request: Request) -> Output:
    """``Force`` makes no difference: an interface is taken away whatever uses it."""
    interface = attached(call, request["AttachmentId"])
    if interface.device_index == 0:
        raise ServiceError(
            "OperationNotPermitted",
            "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        )
    if interface.device != "detaching":
        attachments.detach(call.tx, interface)
    return None


def attached(call: Call, attachment_id: str) -> Any:
    """The interface of an attachment to an instance. Raises ServiceError."""
    for found in call.tx.find(model.NETWORK_INTERFACES, "attachment", attachment_id):
        if (found.account, found.region) == (call.account, call.region) and found.device != "unplugging":
            if not found.instance_id:
                raise ServiceError("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
            return found
    raise ServiceError("InvalidAttachmentID.NotFound", f"The attachment ID '{attachment_id}' does not exist")
