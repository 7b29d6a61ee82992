"""Elastic addresses: public addresses that an account keeps and gives to its interfaces."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import addressing, attachments, model, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, get, get_instance, new_tags, operation, select, tag_list
from dryport.ec2.model import ElasticAddress, NetworkInterface
from dryport.gateway.service import Call, Output
from dryport.store import Reader

_QUOTA = 5  # a region ("Amazon EC2 quotas": EC2-VPC Elastic IPs)


def describe(reader: Reader, address: ElasticAddress) -> dict[str, Any]:
    """An address as DescribeAddresses has it."""
    described: dict[str, Any] = {
        "AllocationId": address.id,
        "Domain": "vpc",
        "NetworkBorderGroup": address.region,
        "PublicIp": address.public_ip,
        "PublicIpv4Pool": "amazon",
    }
    if address.tags:
        described["Tags"] = tag_list(address.tags)
    interface = reader.get(model.NETWORK_INTERFACES, address.interface_id) if address.interface_id else None
    if interface is None:
        return described
    if interface.instance_id:
        described["InstanceId"] = interface.instance_id
    described |= {
        "AssociationId": address.association_id,
        "NetworkInterfaceId": interface.id,
        "NetworkInterfaceOwnerId": interface.account,
        "PrivateIpAddress": interface.private_ip,
    }
    return described | ({"InstanceId": interface.instance_id} if interface.instance_id else {})


@operation(
    "AllocateAddress",
    unsupported=("Address", "CustomerOwnedIpv4Pool", "IpamPoolId"),
)
def allocate_address(call: Call, request: Request) -> Output:
    if request.get("Domain", "vpc") != "vpc":
        raise ServiceError("InvalidParameterValue", "The domain 'standard' is no longer supported. Use 'vpc'.")
    if request.get("PublicIpv4Pool", "amazon") != "amazon":
        raise ServiceError(
            "InvalidPublicIpv4PoolID.NotFound", f"The pool ID '{request['PublicIpv4Pool']}' does not exist"
        )
    if request.get("NetworkBorderGroup", call.region) != call.region:
        raise ServiceError(
            "InvalidParameterValue", f"The network border group '{request['NetworkBorderGroup']}' is not valid."
        )
    if call.tx.count(model.ADDRESSES, "scope", model.scope(call.account, call.region)) >= _QUOTA:
        raise ServiceError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    tags = new_tags(request, "elastic-ip")
    public_ip = published.free_public_address(call.tx, call.random)
    if public_ip is None:
        raise ServiceError("InsufficientAddressCapacity", "Insufficient Address Capacity.", status=500)
    made = ElasticAddress(
        id=resource_id(call.random, "eipalloc"),
        account=call.account,
        region=call.region,
        tags=tags,
        public_ip=public_ip,
    )
    call.tx.put(model.ADDRESSES, made)
    return {
        "AllocationId": made.id,
        "Domain": "vpc",
        "NetworkBorderGroup": made.region,
        "PublicIp": made.public_ip,
        "PublicIpv4Pool": "amazon",
    }


def _find(call: Call, request: Request) -> ElasticAddress:
    """The address that ``AllocationId`` or ``PublicIp`` names. Raises ServiceError."""
    if ("AllocationId" in request) == ("PublicIp" in request):
        raise ServiceError(
            "MissingParameter" if "PublicIp" not in request else "InvalidParameterCombination",
            "You must specify an allocation id or a public IP"
            if "PublicIp" not in request
            else "You may specify public IP or allocation id, but not both in the same call",
        )
    if "AllocationId" in request:
        found: ElasticAddress = get(call, "eipalloc", request["AllocationId"])
        return found
    return _by_public_ip(call, request["PublicIp"])


def _by_public_ip(call: Call, public_ip: str) -> ElasticAddress:
    for found in call.tx.find(model.ADDRESSES, "public_ip", public_ip):
        if (found.account, found.region) == (call.account, call.region):
            return found
    raise ServiceError("InvalidAddress.NotFound", f"Address '{public_ip}' not found.")


@operation("ReleaseAddress")
def release_address(call: Call, request: Request) -> Output:
    address = _find(call, request)
    if request.get("NetworkBorderGroup", address.region) != address.region:
        raise ServiceError(
            "InvalidAddress.NotFound", f"Address '{address.public_ip}' is not in the named network border group."
        )
    if address.interface_id is not None:
        raise ServiceError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
    call.tx.delete(model.ADDRESSES, address.id)
    return None


@operation("AssociateAddress")
def associate_address(call: Call, request: Request) -> Output:
    address = _find(call, request)
    interface = _target(call, request)
    if request.get("PrivateIpAddress", interface.private_ip) != interface.private_ip:
        raise ServiceError(
            "InvalidParameterValue",
            f"The specified private IP address {request['PrivateIpAddress']} is not assigned to the network interface "
            f"{interface.id}",
        )
    if not call.tx.count(model.INTERNET_GATEWAYS, "vpc", interface.vpc_id):
        raise ServiceError("Gateway.NotAttached", f"Network {interface.vpc_id} is not attached to any internet gateway")
    if address.interface_id == interface.id:
        return {"AssociationId": address.association_id}
    if address.nat_gateway_id is not None:
        raise ServiceError("AuthFailure", "You do not have permission to access the specified resource.", status=403)
    reassociate = request.get("AllowReassociation", "PublicIp" in request)
    other = published.elastic_address(call.tx, interface.id)
    if not reassociate and address.interface_id is not None:
        raise ServiceError(
            "Resource.AlreadyAssociated",
            f"resource {address.id} is already associated with associate-id {address.association_id}",
        )
    if not reassociate and other is not None:
        raise ServiceError(
            "Resource.AlreadyAssociated",
            f"resource {interface.id} is already associated with associate-id {other.association_id}",
        )
    for earlier in (address, other):
        if earlier is not None and earlier.interface_id is not None:
            _disassociate(call, earlier)
    return {"AssociationId": _associate(call, get(call, "eipalloc", address.id), interface.id)}


def _target(call: Call, request: Request) -> NetworkInterface:
    """The interface that is meant: by its id, or an instance's only one. Raises ServiceError."""
    if "NetworkInterfaceId" in request:
        interface: NetworkInterface = get(call, "eni", request["NetworkInterfaceId"])
        if request.get("InstanceId", interface.instance_id) != interface.instance_id:
            raise ServiceError(
                "InvalidParameterCombination",
                "You may specify either the instance ID or the network interface ID, but not both in the same call",
            )
        return interface
    if "InstanceId" not in request:
        raise ServiceError("MissingParameter", "Either instance ID or network interface id must be specified")
    instance = get_instance(call, request["InstanceId"])
    found = attachments.of_instance(call.tx, instance.id)
    if not found:
        raise ServiceError(
            "InvalidInstanceID", f"The instance '{instance.id}' is not in a valid state for this operation."
        )
    if len(found) > 1:
        raise ServiceError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. Please specify an interface ID for "
            "the operation instead.",
        )
    return found[0]


def _associate(call: Call, address: ElasticAddress, interface_id: str) -> str:
    interface = get(call, "eni", interface_id)
    association = resource_id(call.random, "eipassoc")
    call.tx.put(model.ADDRESSES, replace(address, interface_id=interface.id, association_id=association))
    call.tx.put(model.NETWORK_INTERFACES, replace(interface, public_ip=address.public_ip, association_id=association))
    return association


def _disassociate(call: Call, address: ElasticAddress) -> None:
    """Take an address back; an interface that wants a public one by itself gets another."""
    interface = call.tx.get(model.NETWORK_INTERFACES, address.interface_id or "")
    call.tx.put(model.ADDRESSES, replace(address, interface_id=None, association_id=None))
    if interface is None:
        return
    given = published.free_public_address(call.tx, call.random) if interface.wants_public_ip else None
    association = resource_id(call.random, "eipassoc") if given else None
    call.tx.put(model.NETWORK_INTERFACES, replace(interface, public_ip=given, association_id=association))


@operation("DisassociateAddress")
def disassociate_address(call: Call, request: Request) -> Output:
    if "AssociationId" in request:
        found = call.tx.find(model.ADDRESSES, "association", request["AssociationId"])
        address = next((each for each in found if (each.account, each.region) == (call.account, call.region)), None)
        if address is None:
            raise ServiceError(
                "InvalidAssociationID.NotFound", f"The association ID '{request['AssociationId']}' does not exist"
            )
    else:
        address = _find(call, request)
    if address.nat_gateway_id is not None:
        raise ServiceError("AuthFailure", "You do not have permission to access the specified resource.", status=403)
    if address.interface_id is not None:
        _disassociate(call, address)
    return None


def _fields(reader: Reader) -> filters.Fields[ElasticAddress]:
    def described(member: str) -> Any:
        return lambda address: [describe(reader, address).get(member)]

    return {
        "allocation-id": lambda a: [a.id],
        "association-id": lambda a: [a.association_id],
        "domain": lambda a: ["vpc"],
        "instance-id": described("InstanceId"),
        "network-border-group": lambda a: [a.region],
        "network-interface-id": lambda a: [a.interface_id],
        "network-interface-owner-id": described("NetworkInterfaceOwnerId"),
        "private-ip-address": described("PrivateIpAddress"),
        "public-ip": lambda a: [a.public_ip],
        "tag-key": filters.tags,
    }


@operation("DescribeAddresses")
def describe_addresses(call: Call, request: Request) -> Output:
    if request.get("PublicIps"):
        found = [_by_public_ip(call, each) for each in request["PublicIps"]]
    else:
        found = select(call, "eipalloc", request.get("AllocationIds"))
    found = filters.apply(request, found, _fields(call.tx))
    return {"Addresses": [describe(call.tx, each) for each in found]}


@operation("DescribeAddressesAttribute")
def describe_addresses_attribute(call: Call, request: Request) -> Output:
    """The reverse names of addresses; there are none but EC2's own."""
    if "Attribute" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter attribute")
    found = select(call, "eipalloc", request.get("AllocationIds"))

    def attribute(address: ElasticAddress) -> dict[str, Any]:
        name = addressing.public_dns_name(address.public_ip, address.region)
        return {"PublicIp": address.public_ip, "AllocationId": address.id, "PtrRecord": f"{name}."}

    return filters.page(request, "Addresses", found, attribute, "AllocationIds")
