"""Network interfaces."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ec2 import addressing, attachments, model, private_addresses, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, earlier, get, new_tags, operation, select, tag_list
from dryport.ec2.model import NetworkInterface
from dryport.gateway.service import Call, Output
from dryport.store import Reader


def groups_of(reader: Reader, interface: NetworkInterface) -> list[dict[str, Any]]:
    """An interface's security groups."""
    groups = (reader.get(model.SECURITY_GROUPS, group_id) for group_id in interface.group_ids)
    return [{"GroupId": group.id, "GroupName": group.name} for group in groups if group is not None]


def _association(reader: Reader, interface: NetworkInterface) -> dict[str, Any]:
    """The public address, where there is one: an elastic address of the account's, or one that EC2 gave."""
    if interface.public_ip is None:
        return {}
    elastic = published.elastic_address(reader, interface.id)
    association = {
        "IpOwnerId": "amazon" if elastic is None else elastic.account,
        "PublicDnsName": addressing.public_dns_name(interface.public_ip, interface.region),
        "PublicIp": interface.public_ip,
    }
    if elastic is not None:
        association |= {"AllocationId": elastic.id, "AssociationId": str(elastic.association_id)}
    return {"Association": association}


def _attachment(reader: Reader, interface: NetworkInterface) -> dict[str, Any]:
    """What it is attached to, where it is in use: the machine that runs a task belongs to no user."""
    if interface.attachment_id is None:
        return {}
    instance_id = interface.instance_id or interface.task_of
    instance = reader.get(model.INSTANCES, instance_id) if instance_id else None
    attachment = {
        "AttachTime": interface.attached_at,
        "AttachmentId": interface.attachment_id,
        "DeleteOnTermination": interface.delete_on_termination,
        "DeviceIndex": 1 if interface.requester_id == model.BALANCERS else interface.device_index,
        "NetworkCardIndex": 0,
        "InstanceOwnerId": _user(interface, instance_id),
        "Status": attachments.status(interface, instance),
    }
    return {"Attachment": attachment | ({"InstanceId": instance_id} if instance_id else {})}


def _user(interface: NetworkInterface, instance_id: str) -> str:
    """Whose machine it is attached to."""
    if instance_id:
        return interface.account
    return model.BALANCERS if interface.requester_id == model.BALANCERS else "amazon"


def private_addresses_of(interface: NetworkInterface, association: dict[str, Any]) -> list[dict[str, Any]]:
    """Its private addresses; the primary one has the public one's ``association``."""
    return [
        {
            **(association if address == interface.private_ip else {}),
            "Primary": address == interface.private_ip,
            "PrivateDnsName": addressing.private_dns_name(address, interface.region),
            "PrivateIpAddress": address,
        }
        for address in interface.private_ips
    ]


def describe(reader: Reader, interface: NetworkInterface) -> dict[str, Any]:
    """An interface as DescribeNetworkInterfaces has it."""
    described: dict[str, Any] = {
        **_association(reader, interface),
        **_attachment(reader, interface),
        "AvailabilityZone": interface.availability_zone,
        "Description": interface.description,
        "Groups": groups_of(reader, interface),
        "InterfaceType": interface.interface_type,
        "Ipv6Addresses": [],
        "MacAddress": interface.mac_address,
        "NetworkInterfaceId": interface.id,
        "OwnerId": interface.account,
        "PrivateDnsName": interface.private_dns_name,
        "PrivateIpAddress": interface.private_ip,
        "PrivateIpAddresses": private_addresses_of(interface, _association(reader, interface)),
        "RequesterManaged": bool(interface.owner),
        "SourceDestCheck": interface.source_dest_check,
        "Status": _status(interface),
        "SubnetId": interface.subnet_id,
        "TagSet": tag_list(interface.tags),
        "VpcId": interface.vpc_id,
        "AvailabilityZoneId": addressing.zone_id(interface.availability_zone),
        "Operator": {"Managed": False},
    }
    return described | ({"RequesterId": interface.requester_id} if interface.requester_id else {})


def _status(interface: NetworkInterface) -> str:
    if interface.device == "detached" and interface.attachment_id is None:
        return "available"
    return "pending" if interface.device in ("wanted", "failed") and not interface.instance_id else "in-use"


@operation(
    "CreateNetworkInterface",
    unsupported=(
        "Ipv4Prefixes",
        "Ipv4PrefixCount",
        "Ipv6Prefixes",
        "Ipv6PrefixCount",
        "Ipv6Addresses",
        "Ipv6AddressCount",
        "EnablePrimaryIpv6",
        "ConnectionTrackingSpecification",
        "Operator",
    ),
)
def create_network_interface(call: Call, request: Request) -> Output:
    if request.get("InterfaceType", "interface") != "interface":
        raise unsupported_parameter("ec2", "CreateNetworkInterface", f"InterfaceType={request['InterfaceType']}")
    asked = private_addresses.wanted(request)
    made = earlier(call, model.NETWORK_INTERFACES, request) or published.create_network_interface(
        call.tx,
        call.random,
        now=call.now,
        account=call.account,
        region=call.region,
        subnet_id=request["SubnetId"],
        group_ids=request.get("Groups", []),
        description=request.get("Description", ""),
        private_ip=asked.primary,
        secondary_ips=asked.secondary,
        secondary_count=asked.more,
        requester_id=call.principal.user_id,
        tags=new_tags(request, "network-interface"),
    )
    token = request.get("ClientToken", "")
    call.tx.put(model.NETWORK_INTERFACES, replace(made, client_token=token))
    answer = {"NetworkInterface": {**describe(call.tx, made), "Status": "pending"}}
    return {**answer, "ClientToken": token} if token else answer


@operation("DeleteNetworkInterface")
def delete_network_interface(call: Call, request: Request) -> Output:
    interface = get(call, "eni", request["NetworkInterfaceId"])
    if interface.device != "detached" or interface.attachment_id is not None:
        raise ServiceError(
            "InvalidParameterValue", f"Network interface '{interface.id}' is currently in use.", status=400
        )
    published.delete_network_interface(call.tx, interface.id)
    return None


def get_own(call: Call, interface_id: str) -> NetworkInterface:
    """An interface that its account may change: not one that a service made for itself. Raises ServiceError."""
    interface: NetworkInterface = get(call, "eni", interface_id)
    if interface.owner:
        raise ServiceError("AuthFailure", "You do not have permission to access the specified resource.")
    return interface


@operation(
    "ModifyNetworkInterfaceAttribute",
    unsupported=(
        "EnaSrdSpecification",
        "EnablePrimaryIpv6",
        "ConnectionTrackingSpecification",
        "AssociatePublicIpAddress",
        "AssociatedSubnetIds",
        "Attachment.DefaultEnaQueueCount",
        "Attachment.EnaQueueCount",
    ),
)
def modify_network_interface_attribute(call: Call, request: Request) -> Output:
    interface = get_own(call, request["NetworkInterfaceId"])
    given = [name for name in ("Description", "Groups", "SourceDestCheck", "Attachment") if name in request]
    if len(given) != 1:
        raise ServiceError(
            "InvalidParameterCombination",
            "Fields for multiple attribute types specified" if given else "No attributes specified.",
        )
    match given[0]:
        case "Groups":
            place = (call.account, call.region, interface.vpc_id, interface.subnet_id)
            interface = replace(interface, group_ids=published.check_groups(call.tx, *place, request["Groups"]))
        case "Description":
            interface = replace(interface, description=request["Description"].get("Value", ""))
        case "Attachment":
            interface = _with_attachment(interface, request["Attachment"])
        case "SourceDestCheck":
            if not request["SourceDestCheck"].get("Value", True):
                raise unsupported_parameter("ec2", "ModifyNetworkInterfaceAttribute", "SourceDestCheck=false")
    call.tx.put(model.NETWORK_INTERFACES, interface)
    return None


def _with_attachment(interface: NetworkInterface, given: Request) -> NetworkInterface:
    attachment_id = given.get("AttachmentId", "")
    if not interface.instance_id or interface.attachment_id != attachment_id:
        raise ServiceError("InvalidAttachmentID.NotFound", f"The attachment ID '{attachment_id}' does not exist")
    return replace(interface, delete_on_termination=given.get("DeleteOnTermination", interface.delete_on_termination))


@operation("DescribeNetworkInterfaceAttribute")
def describe_network_interface_attribute(call: Call, request: Request) -> Output:
    interface = get(call, "eni", request["NetworkInterfaceId"])
    values: dict[str, dict[str, Any]] = {
        "description": {"Description": {"Value": interface.description}},
        "groupSet": {"Groups": groups_of(call.tx, interface)},
        "sourceDestCheck": {"SourceDestCheck": {"Value": interface.source_dest_check}},
        "attachment": _attachment(call.tx, interface),
        "associatePublicIpAddress": {"AssociatePublicIpAddress": interface.public_ip is not None},
    }
    if "Attribute" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter attribute")
    return {"NetworkInterfaceId": interface.id, **values[request["Attribute"]]}


def _fields(reader: Reader) -> filters.Fields[NetworkInterface]:
    def attached(member: str) -> Any:
        return lambda i: [_attachment(reader, i).get("Attachment", {}).get(member)]

    def associated(member: str) -> Any:
        return lambda i: [_association(reader, i).get("Association", {}).get(member)]

    return {
        "association.allocation-id": associated("AllocationId"),
        "association.association-id": associated("AssociationId"),
        "association.ip-owner-id": associated("IpOwnerId"),
        "association.public-ip": lambda i: [i.public_ip],
        "association.public-dns-name": associated("PublicDnsName"),
        "addresses.association.public-ip": lambda i: [i.public_ip],
        "addresses.primary": lambda i: [True, *([False] if i.secondary_ips else [])],
        "addresses.private-ip-address": lambda i: i.private_ips,
        "attachment.attachment-id": lambda i: [i.attachment_id],
        "attachment.delete-on-termination": attached("DeleteOnTermination"),
        "attachment.device-index": attached("DeviceIndex"),
        "attachment.instance-id": attached("InstanceId"),
        "attachment.instance-owner-id": attached("InstanceOwnerId"),
        "attachment.status": attached("Status"),
        "availability-zone": lambda i: [i.availability_zone],
        "availability-zone-id": lambda i: [addressing.zone_id(i.availability_zone)],
        "description": lambda i: [i.description],
        "group-id": lambda i: i.group_ids,
        "group-name": lambda i: [group["GroupName"] for group in groups_of(reader, i)],
        "interface-type": lambda i: [i.interface_type],
        "mac-address": lambda i: [i.mac_address],
        "network-interface-id": lambda i: [i.id],
        "owner-id": lambda i: [i.account],
        "private-dns-name": lambda i: [i.private_dns_name],
        "private-ip-address": lambda i: [i.private_ip],
        "requester-id": lambda i: [i.requester_id or None],
        "requester-managed": lambda i: [bool(i.owner)],
        "source-dest-check": lambda i: [i.source_dest_check],
        "status": lambda i: [_status(i)],
        "subnet-id": lambda i: [i.subnet_id],
        "vpc-id": lambda i: [i.vpc_id],
        "tag-key": filters.tags,
    }


@operation("DescribeNetworkInterfaces", unsupported=("IncludeManagedResources",))
def describe_network_interfaces(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "eni", request.get("NetworkInterfaceIds")), _fields(call.tx))
    return filters.page(
        request, "NetworkInterfaces", found, lambda each: describe(call.tx, each), "NetworkInterfaceIds"
    )
