"""Where launched instances are put, and the interfaces that they get."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ec2 import addressing, attachments, model, private_addresses, published
from dryport.ec2.instance_types import InstanceType
from dryport.ec2.launch.caller import Caller
from dryport.ec2.model import NetworkInterface, Subnet
from dryport.ec2.private_addresses import Wanted
from dryport.store import Reader, Transaction

Request = dict[str, Any]


class Card(NamedTuple):
    """An interface to be: a new one in a subnet, or one that exists."""

    device_index: int
    subnet: Subnet
    existing: NetworkInterface | None = None
    group_ids: tuple[str, ...] = ()
    addresses: Wanted = Wanted()
    public: bool = False
    description: str = ""
    delete_on_termination: bool = True


def plan(reader: Reader, random: Random, caller: Caller, request: Request, kind: InstanceType) -> list[Card]:
    """The interfaces of each instance, the primary one first. Raises ServiceError as RunInstances does."""
    listed = request.get("NetworkInterfaces")
    cards = _several(reader, random, caller, request, listed) if listed else [_one(reader, random, caller, request)]
    zone = cards[0].subnet.availability_zone
    if any(card.subnet.availability_zone != zone or card.subnet.vpc_id != cards[0].subnet.vpc_id for card in cards):
        raise ServiceError(
            "InvalidParameterCombination", "Network interfaces of an instance must be in one availability zone and VPC."
        )
    if len(cards) > kind.max_interfaces:
        raise ServiceError("AttachmentLimitExceeded", f"Interface count {len(cards)} exceeds the limit for {kind.name}")
    for card in cards:
        asked = card.addresses
        addresses = len(card.existing.private_ips) if card.existing else 1 + len(asked.secondary) + asked.more
        if addresses > kind.addresses_per_interface:
            raise ServiceError("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
        if card.existing is None:
            place = (caller.account, caller.region, card.subnet.vpc_id, card.subnet.id)
            published.check_groups(reader, *place, list(card.group_ids))
    return cards


def _one(reader: Reader, random: Random, caller: Caller, request: Request) -> Card:
    subnet = _subnet(reader, random, caller, request.get("SubnetId"), request)
    return Card(
        device_index=0,
        subnet=subnet,
        group_ids=_groups(reader, caller, request, subnet),
        addresses=Wanted(request.get("PrivateIpAddress")),
        public=subnet.map_public_ip_on_launch,
    )


def _subnet(reader: Reader, random: Random, caller: Caller, subnet_id: str | None, request: Request) -> Subnet:
    """The subnet that is named, or a default one in the zone that is asked for."""
    zone = _zone(caller, request.get("Placement", {}))
    if subnet_id is not None:
        found = published.subnet(reader, caller.account, caller.region, subnet_id)
        if found is None:
            raise ServiceError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
        if zone not in (None, found.availability_zone):
            raise ServiceError(
                "InvalidParameterValue",
                f"The availability zone '{zone}' is not that of the subnet '{subnet_id}', which is in "
                f"'{found.availability_zone}'.",
            )
        return found
    vpc = published.default_vpc(reader, caller.account, caller.region)
    if vpc is None:
        raise ServiceError(
            "VPCIdNotSpecified",
            "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
        )
    subnets = published.default_subnets(reader, caller.account, caller.region)
    candidates = [each for each in subnets if zone in (None, each.availability_zone)]
    if not candidates:
        where = f" in the availability zone '{zone}'" if zone else ""
        raise ServiceError(
            "MissingInput", f"No subnets found for the default VPC '{vpc.id}'{where}. Please specify a subnet."
        )
    roomy = [each for each in candidates if published.free_addresses(reader, each)]
    return random.choice(roomy or candidates)


def _zone(caller: Caller, placement: Request) -> str | None:
    zones = addressing.zones(caller.region)
    if "AvailabilityZone" in placement and "AvailabilityZoneId" in placement:
        raise ServiceError(
            "InvalidParameterCombination",
            "You may specify an availability zone or the ID of one, but not both in the same call",
        )
    if "AvailabilityZoneId" in placement:
        wanted = placement["AvailabilityZoneId"]
        zone = next((each for each in zones if addressing.zone_id(each) == wanted), None)
    elif "AvailabilityZone" in placement:
        wanted = zone = placement["AvailabilityZone"]
    else:
        return None
    if zone not in zones:
        raise ServiceError("InvalidParameterValue", f"Invalid availability zone: [{wanted}]")
    return str(zone)


def _groups(reader: Reader, caller: Caller, request: Request, subnet: Subnet) -> tuple[str, ...]:
    """The groups by id, and those by name, which are the default VPC's."""
    names = request.get("SecurityGroups", [])
    vpc = published.default_vpc(reader, caller.account, caller.region)
    if names and (vpc is None or vpc.id != subnet.vpc_id):
        raise ServiceError(
            "InvalidParameterCombination", "The parameter groupName cannot be used with the parameter subnet"
        )
    found = list(request.get("SecurityGroupIds", []))
    for name in names:
        assert vpc is not None
        groups = reader.find(model.SECURITY_GROUPS, "name", f"{vpc.id}/{name}")
        if not groups:
            raise ServiceError(
                "InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC '{vpc.id}'"
            )
        found.append(groups[0].id)
    return tuple(found)


def _several(reader: Reader, random: Random, caller: Caller, request: Request, listed: list[Request]) -> list[Card]:
    for member, called in (
        ("SubnetId", "subnet ID"),
        ("SecurityGroupIds", "security groups"),
        ("SecurityGroups", "security groups"),
        ("PrivateIpAddress", "private address"),
    ):
        if request.get(member):
            raise ServiceError(
                "InvalidParameterCombination",
                f"Network interfaces and an instance-level {called} may not be specified on the same request",
            )
    indexes = [each.get("DeviceIndex") for each in listed]
    if None in indexes:
        raise ServiceError("InvalidParameterValue", "Each network interface requires a device index.")
    if 0 not in indexes:
        raise ServiceError("InvalidParameterCombination", "You must specify a network interface with device index 0.")
    if len(set(indexes)) < len(indexes):
        raise ServiceError("InvalidParameterCombination", "Each network interface requires a unique device index.")
    if any(each.get("AssociatePublicIpAddress") for each in listed) and len(listed) > 1:
        raise ServiceError(
            "InvalidParameterCombination",
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network "
            "interfaces.",
        )
    alone = len(listed) == 1
    # One subnet for all that name none, so that they are in one zone.
    nameless = any(not each.get("SubnetId") and "NetworkInterfaceId" not in each for each in listed)
    usual = _subnet(reader, random, caller, None, request).id if nameless else None
    cards = [_card(reader, random, caller, request, {"SubnetId": usual, **each}, alone=alone) for each in listed]
    return sorted(cards, key=lambda card: card.device_index)


def _card(reader: Reader, random: Random, caller: Caller, request: Request, given: Request, *, alone: bool) -> Card:
    if given.get("NetworkCardIndex", 0) != 0:
        raise ServiceError(
            "InvalidParameterValue", f"Network card index {given['NetworkCardIndex']} exceeds the limit."
        )
    if given.get("InterfaceType", "interface") != "interface":
        raise unsupported_parameter("ec2", "RunInstances", f"NetworkInterfaces.InterfaceType={given['InterfaceType']}")
    if "NetworkInterfaceId" in given:
        return _existing(reader, caller, given)
    subnet = _subnet(reader, random, caller, given.get("SubnetId"), request)
    index = given["DeviceIndex"]
    public = given.get("AssociatePublicIpAddress", subnet.map_public_ip_on_launch and alone)
    return Card(
        device_index=index,
        subnet=subnet,
        group_ids=tuple(given.get("Groups", [])),
        addresses=private_addresses.wanted(given),
        public=bool(public) and index == 0,
        description=given.get("Description", ""),
        delete_on_termination=given.get("DeleteOnTermination", True),
    )


def _existing(reader: Reader, caller: Caller, given: Request) -> Card:
    interface_id = given["NetworkInterfaceId"]
    for member in (
        "SubnetId",
        "Groups",
        "PrivateIpAddress",
        "PrivateIpAddresses",
        "SecondaryPrivateIpAddressCount",
        "AssociatePublicIpAddress",
    ):
        if given.get(member):
            name = member[0].lower() + member[1:]
            raise ServiceError(
                "InvalidParameterCombination",
                f"The parameter {name} may not be specified together with a network interface ID",
            )
    if given.get("DeleteOnTermination"):
        raise ServiceError(
            "InvalidParameterCombination",
            "The parameter deleteOnTermination may only be true for a network interface that is created at launch",
        )
    interface = published.interface(reader, caller.account, caller.region, interface_id)
    subnet = reader.get(model.SUBNETS, interface.subnet_id) if interface is not None else None
    if interface is None or subnet is None:
        raise ServiceError(
            "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{interface_id}' does not exist"
        )
    if interface.attachment_id is not None or interface.device != "detached":
        raise ServiceError("InvalidNetworkInterface.InUse", f"Interface: [{interface_id}] in use.")
    return Card(
        device_index=given["DeviceIndex"],
        subnet=subnet,
        existing=interface,
        description=interface.description,
        delete_on_termination=False,
    )


def most(reader: Reader, cards: list[Card]) -> int:
    """How many instances can have such interfaces."""
    if any(card.existing is not None or card.addresses.named for card in cards):
        return 1
    needed: dict[str, int] = {}
    for card in cards:
        needed[card.subnet.id] = needed.get(card.subnet.id, 0) + 1 + card.addresses.more
    return min(published.free_addresses(reader, card.subnet) // needed[card.subnet.id] for card in cards)


def make(
    tx: Transaction,
    random: Random,
    caller: Caller,
    cards: list[Card],
    instance_id: str,
    tags: dict[str, str],
    now: float,
) -> NetworkInterface:
    """Make and attach an instance's interfaces; the primary one. Raises ServiceError where an address is taken."""
    made = [_interface(tx, random, caller, card, instance_id, tags, now) for card in cards]
    return made[0]


def _interface(
    tx: Transaction, random: Random, caller: Caller, card: Card, instance_id: str, tags: dict[str, str], now: float
) -> NetworkInterface:
    interface = card.existing or published.create_network_interface(
        tx,
        random,
        now=now,
        account=caller.account,
        region=caller.region,
        subnet_id=card.subnet.id,
        group_ids=list(card.group_ids),
        description=card.description,
        assign_public_ip=card.public,
        private_ip=card.addresses.primary,
        secondary_ips=card.addresses.secondary,
        secondary_count=card.addresses.more,
        requester_id=caller.user_id,
        tags=tags,
    )
    return attachments.attach(
        tx,
        random,
        replace(interface, wants_public_ip=card.public),
        instance_id,
        index=card.device_index,
        delete_on_termination=card.delete_on_termination,
        now=now,
    )
