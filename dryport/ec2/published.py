"""What other services may ask of EC2: plain functions inside their own transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace

from dryport.aws.arn import Arn
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import (
    addressing,
    defaults,
    identity,
    instance_types,
    launch_templates,
    lifecycle,
    model,
    private_addresses,
    reachability,
    volumes,
)
from dryport.ec2.model import (
    ElasticAddress,
    Instance,
    NetworkInterface,
    SecurityGroup,
    Subnet,
    Volume,
    VolumeAttachment,
    VolumeFigures,
    Vpc,
)
from dryport.ec2.private_addresses import Wanted
from dryport.store import Reader, Transaction

MAX_GROUPS_PER_INTERFACE = 5  # "Amazon VPC quotas"


def ensure_region(tx: Transaction, random: Random, account: str, region: str) -> None:
    """On the first use of a region by an account, make its default VPC with all that belongs to it."""
    key = model.scope(account, region)
    if tx.get(model.REGIONS, key) is None:
        tx.put(model.REGIONS, model.RegionState(account=account, region=region))
        defaults.create_default_vpc(tx, random, account, region)


def launch_parameters(reader: Reader, account: str, region: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """RunInstances' input with what its launch template adds; as it is where it names none that there is."""
    if not request.get("LaunchTemplate"):
        return request
    try:
        found = launch_templates.specified(reader, account, region, request["LaunchTemplate"])
    except ServiceError:
        return request
    return launch_templates.launch_parameters(found.data, request)


def vpc(reader: Reader, account: str, region: str, vpc_id: str) -> Vpc | None:
    """A VPC of this account and region."""
    found = reader.get(model.VPCS, vpc_id)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def subnet(reader: Reader, account: str, region: str, subnet_id: str) -> Subnet | None:
    """A subnet of this account and region."""
    found = reader.get(model.SUBNETS, subnet_id)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def security_group(reader: Reader, account: str, region: str, group_id: str) -> SecurityGroup | None:
    """A security group of this account and region."""
    found = reader.get(model.SECURITY_GROUPS, group_id)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def default_vpc(reader: Reader, account: str, region: str) -> Vpc | None:
    """The region's default VPC; ``None`` where it was deleted (or the region was never used: ``ensure_region``)."""
    found = reader.find(model.VPCS, "scope", model.scope(account, region))
    return next((each for each in found if each.is_default), None)


def default_subnets(reader: Reader, account: str, region: str) -> list[Subnet]:
    """The default subnets, by zone."""
    default = default_vpc(reader, account, region)
    if default is None:
        return []
    found = [each for each in reader.find(model.SUBNETS, "vpc", default.id) if each.default_for_az]
    return sorted(found, key=lambda each: each.availability_zone)


def default_security_group(reader: Reader, vpc_id: str) -> SecurityGroup | None:
    """The group named ``default`` of a VPC."""
    return next(iter(reader.find(model.SECURITY_GROUPS, "name", f"{vpc_id}/default")), None)


def free_addresses(reader: Reader, subnet: Subnet) -> int:
    """How many addresses of a subnet are free."""
    secondary = sum(len(each.secondary_ips) for each in reader.find(model.NETWORK_INTERFACES, "several", subnet.id))
    primary = reader.count(model.NETWORK_INTERFACES, "subnet", subnet.id)
    return addressing.usable_addresses(subnet.cidr_block) - primary - secondary


def interface(reader: Reader, account: str, region: str, interface_id: str) -> NetworkInterface | None:
    """A network interface of this account and region that has not been deleted."""
    found = reader.get(model.NETWORK_INTERFACES, interface_id)
    if found is None or (found.account, found.region) != (account, region) or found.device == "unplugging":
        return None
    return found


def interfaces_of(reader: Reader, owner: str) -> list[NetworkInterface]:
    """The interfaces that were made for something (``owner``), those that are being deleted aside."""
    found = reader.find(model.NETWORK_INTERFACES, "owner", owner)
    return [each for each in found if each.device != "unplugging"]


def instance(reader: Reader, account: str, region: str, instance_id: str) -> Instance | None:
    """An instance of this account and region, for as long as EC2 shows it."""
    found = reader.get(model.INSTANCES, instance_id)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def subnet_of_address(reader: Reader, vpc_id: str, address: str) -> Subnet | None:
    """The subnet of a VPC in whose block an IPv4 address lies."""
    found = reader.find(model.SUBNETS, "vpc", vpc_id)
    return next((each for each in found if IPv4Address(address) in IPv4Network(each.cidr_block)), None)


def check_free_address(reader: Reader, subnet: Subnet, address: str) -> None:
    """Refuse an address that an interface in a subnet cannot be given. Raises ServiceError."""
    private_addresses.check_free(reader, subnet, address)


def has_internet_gateway(reader: Reader, vpc_id: str) -> bool:
    """Whether an internet gateway is attached to a VPC."""
    return bool(reader.keys(model.INTERNET_GATEWAYS, "vpc", vpc_id))


def address(reader: Reader, account: str, region: str, allocation_id: str) -> ElasticAddress | None:
    """An elastic address of this account and region."""
    found = reader.get(model.ADDRESSES, allocation_id)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def gateway_address(subnet: Subnet) -> str:
    """The address of a subnet's router."""
    return addressing.gateway(subnet.cidr_block)


def resolver_address(reader: Reader, vpc_id: str) -> str:
    """The address of a VPC's name server. Raises LookupError where there is no such VPC."""
    found = reader.get(model.VPCS, vpc_id)
    if found is None:
        raise LookupError(vpc_id)
    return addressing.resolver(found.cidr_block)


def create_network_interface(
    tx: Transaction,
    random: Random,
    *,
    now: float,
    account: str,
    region: str,
    subnet_id: str,
    group_ids: list[str],
    description: str = "",
    assign_public_ip: bool = False,
    owner: str = "",
    private_ip: str | None = None,
    secondary_ips: Sequence[str] = (),
    secondary_count: int = 0,
    namespace: str = "",
    requester_id: str = "",
    tags: dict[str, str] | None = None,
    routed: bool = False,
    task_of: str = "",
    interface_type: str = "interface",
    names: list[str] | None = None,
    device_index: int = 1,
    open_to_all: bool = False,
) -> NetworkInterface:
    """Make an interface; with an ``owner`` (a task's ARN) it is in use by that from the start.

    ``task_of`` is the instance that it is seen at, where its owner runs on one.
    One that is ``routed`` has an address and groups and no link: for what the platform itself does at that address.

    No ``group_ids`` means the VPC's default group, or none where it is ``open_to_all``. Watch NETWORK_INTERFACES for
    its ``device`` to become ``plugged`` or ``failed``. Raises ServiceError: InvalidSubnetID.NotFound,
    InvalidGroup.NotFound, InvalidParameter,
    SecurityGroupsPerInterfaceLimitExceeded, InsufficientFreeAddressesInSubnet, InvalidIPAddress.InUse.
    """
    net = subnet(tx, account, region, subnet_id)
    if net is None:
        raise ServiceError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    groups = [] if open_to_all else check_groups(tx, account, region, net.vpc_id, subnet_id, group_ids)
    asked = Wanted(private_ip, tuple(secondary_ips), secondary_count)
    address, *secondary = private_addresses.claim(tx, random, net, asked)
    mac = addressing.mac_address(random)
    while tx.keys(model.NETWORK_INTERFACES, "mac", mac):
        mac = addressing.mac_address(random)
    made = NetworkInterface(
        id=resource_id(random, "eni"),
        account=account,
        region=region,
        tags=tags or {},
        mac_address=mac,
        private_ip=address,
        secondary_ips=secondary,
        private_dns_name=addressing.private_dns_name(address, region),
        subnet_id=net.id,
        vpc_id=net.vpc_id,
        availability_zone=net.availability_zone,
        group_ids=groups,
        description=description,
        wants_public_ip=assign_public_ip,
        owner=owner,
        requester_id=requester_id,
        interface_type=interface_type,
        names=names or [],
        attachment_id=resource_id(random, "eni-attach") if owner else None,
        task_of=task_of,
        device_index=_free_index(tx, task_of) if task_of else device_index,
        namespace=namespace,
        device="routed" if routed else "wanted" if owner else "detached",
        created_at=now,
        attached_at=now if owner else None,
    )
    tx.put(model.NETWORK_INTERFACES, made)
    return made


def _free_index(reader: Reader, instance_id: str) -> int:
    taken = {each.device_index for each in seen_at(reader, instance_id)}
    return next(each for each in count(1) if each not in taken)


def seen_at(reader: Reader, instance_id: str) -> list[NetworkInterface]:
    """The interfaces of an instance as its owner sees them, the primary one first: those of its tasks too."""
    own = reader.find(model.NETWORK_INTERFACES, "instance", instance_id)
    found = [*own, *reader.find(model.NETWORK_INTERFACES, "task_of", instance_id)]
    return sorted((each for each in found if each.device != "unplugging"), key=lambda each: each.device_index)


def network_interface(reader: Reader, interface_id: str) -> NetworkInterface | None:
    """An interface, unless it was deleted."""
    found = reader.get(model.NETWORK_INTERFACES, interface_id)
    return found if found is not None and found.device != "unplugging" else None


def namespace(platform_id: str, instance_id: str) -> str:
    """The name of an instance's network namespace; ``platform_id`` is ``Config.id``."""
    return f"dp{platform_id}-{instance_id}"


def primary_interface(reader: Reader, instance_id: str) -> NetworkInterface | None:
    """The primary interface of an instance that is there."""
    found = reader.find(model.NETWORK_INTERFACES, "instance", instance_id)
    return next((each for each in found if each.device_index == 0 and each.device != "unplugging"), None)


def give_elastic_address(tx: Transaction, random: Random, interface_id: str, allocation_id: str) -> None:
    """Have an interface that was just made be known by an elastic address that nothing else has.

    Raises ServiceError: InvalidAllocationID.NotFound, InvalidIPAddress.InUse.
    """
    found, address = tx.get(model.NETWORK_INTERFACES, interface_id), tx.get(model.ADDRESSES, allocation_id)
    if found is None or address is None or (address.account, address.region) != (found.account, found.region):
        raise ServiceError("InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist")
    if address.association_id is not None:
        raise ServiceError("InvalidIPAddress.InUse", f"The address {address.public_ip} is in use")
    association = resource_id(random, "eipassoc")
    tx.put(model.ADDRESSES, replace(address, interface_id=interface_id, association_id=association))
    tx.put(
        model.NETWORK_INTERFACES,
        replace(found, public_ip=address.public_ip, association_id=association, wants_public_ip=True),
    )


def set_groups(tx: Transaction, interface_id: str, group_ids: list[str]) -> None:
    """Give an interface other groups. Raises LookupError where there is none, and what ``check_groups`` raises."""
    found = network_interface(tx, interface_id)
    if found is None:
        raise LookupError(interface_id)
    groups = check_groups(tx, found.account, found.region, found.vpc_id, found.subnet_id, group_ids)
    tx.put(model.NETWORK_INTERFACES, msgspec.structs.replace(found, group_ids=groups))


def reaches(reader: Reader, source_id: str, target_id: str, protocol: str, port: int) -> bool:
    """Whether the groups of two interfaces, by their ids, let the one open connections to a port of the other."""
    source, target = network_interface(reader, source_id), network_interface(reader, target_id)
    if source is None or target is None or source.vpc_id != target.vpc_id:
        return False
    groups = {*source.group_ids, *target.group_ids}
    rules = {each: reader.find(model.SECURITY_GROUP_RULES, "group", each) for each in groups}
    lists = {rule.prefix_list_id for each in rules.values() for rule in each if rule.prefix_list_id is not None}
    found = (reader.get(model.PREFIX_LISTS, each) for each in lists)
    blocks = {each.id: [entry.cidr for entry in each.entries] for each in found if each is not None}
    ends = [reachability.End(each.private_ip, frozenset(each.group_ids)) for each in (source, target)]
    return reachability.reaches(rules, ends[0], ends[1], protocol, port, blocks)


def zones(region: str) -> list[str]:
    """The availability zones of a region."""
    return addressing.zones(region)


def zone_id(zone: str) -> str:
    """The id of an availability zone (``use1-az1``)."""
    return addressing.zone_id(zone)


def check_groups(
    reader: Reader, account: str, region: str, vpc_id: str, subnet_id: str, group_ids: list[str]
) -> list[str]:
    """The groups that an interface gets, each once; the VPC's default one where none is named. Raises ServiceError."""
    if not group_ids:
        default = default_security_group(reader, vpc_id)
        return [default.id] if default is not None else []
    for group_id in group_ids:
        group = security_group(reader, account, region, group_id)
        if group is None:
            raise ServiceError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            raise ServiceError(
                "InvalidParameter",
                f"Security group {group_id} and subnet {subnet_id} belong to different networks.",
            )
    unique = list(dict.fromkeys(group_ids))
    if len(unique) > MAX_GROUPS_PER_INTERFACE:
        raise ServiceError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    return unique


def delete_network_interface(tx: Transaction, interface_id: str) -> None:
    """Let an interface go, if it is there: clients no longer see it, its address is free once it is unplugged."""
    interface = tx.get(model.NETWORK_INTERFACES, interface_id)
    if interface is None:
        return
    address = elastic_address(tx, interface_id)
    if address is not None:
        tx.put(
            model.ADDRESSES,
            msgspec.structs.replace(address, interface_id=None, association_id=None, nat_gateway_id=None),
        )
    if interface.device in ("detached", "routed"):
        tx.delete(model.NETWORK_INTERFACES, interface_id)
    elif interface.device != "unplugging":
        tx.put(model.NETWORK_INTERFACES, msgspec.structs.replace(interface, device="unplugging"))


def free_public_address(reader: Reader, random: Random) -> str | None:
    """A public address that nobody has; ``None`` where there is none left, or no network yet."""
    network = reader.get(model.PUBLIC_NETWORKS, "public")
    if network is None:
        return None
    block = IPv4Network(network.block)
    first, total = int(block[256]), block.num_addresses - 257
    start = random.randrange(total)
    for step in range(total):
        address = str(IPv4Address(first + (start + step) % total))
        if not reader.keys(model.NETWORK_INTERFACES, "public_ip", address) and not reader.keys(
            model.ADDRESSES, "public_ip", address
        ):
            return address
    return None


def elastic_address(reader: Reader, interface_id: str) -> ElasticAddress | None:
    """The elastic address that is associated with an interface."""
    return next(iter(reader.find(model.ADDRESSES, "interface", interface_id)), None)


def release_public_address(tx: Transaction, interface: NetworkInterface) -> NetworkInterface:
    """The interface without the public address that it was given by itself; an elastic address stays. Not stored."""
    if interface.public_ip is None or elastic_address(tx, interface.id) is not None:
        return interface
    return msgspec.structs.replace(interface, public_ip=None, association_id=None)


def users_of_prefix_list(reader: Reader, prefix_list_id: str) -> set[str]:
    """The VPCs with a rule or a route that names a prefix list."""
    groups = {rule.group_id for rule in reader.find(model.SECURITY_GROUP_RULES, "prefix_list", prefix_list_id)}
    found = (reader.get(model.SECURITY_GROUPS, each) for each in groups)
    tables = reader.find(model.ROUTE_TABLES, "prefix_list", prefix_list_id)
    return {each.vpc_id for each in found if each is not None} | {table.vpc_id for table in tables}


def max_interfaces(instance_type: str) -> int | None:
    """How many network interfaces an instance of a type can have, its primary one included; ``None``: no such type."""
    found = instance_types.get(instance_type)
    return found.max_interfaces if found is not None else None


def identified(reader: Reader, document: str, signature: str) -> Instance | None:
    """The instance whose identity document this is; ``None`` where this Dryport has not signed it, or it is gone."""
    key = reader.get(model.SIGNING_KEYS, "identity")
    if key is None or not identity.is_signed(document, signature, key):
        return None
    stated: dict[str, object] = msgspec.json.decode(document)
    found = reader.get(model.INSTANCES, str(stated["instanceId"]))
    return found if found is not None and found.state != "terminated" else None


def park_instances(tx: Transaction) -> None:
    """Shut every instance down for as long as the platform is: they boot again with it."""
    for instance in _up(tx):
        tx.put(model.INSTANCES, lifecycle.park(instance))


def unparked(reader: Reader) -> list[Instance]:
    """The instances that still run."""
    return [instance for instance in _up(reader) if not instance.parked]


def _up(reader: Reader) -> list[Instance]:
    states = (lifecycle.PENDING, lifecycle.RUNNING)
    return [instance for state in states for instance in reader.find(model.INSTANCES, "state", state)]


def create_task_volume(
    tx: Transaction,
    random: Random,
    *,
    now: float,
    account: str,
    region: str,
    zone: str,
    task_arn: str,
    figures: VolumeFigures,
    snapshot_id: str,
    file_system: str,
    delete_on_termination: bool,
    tags: dict[str, str],
    instance_id: str = "",
) -> Volume:
    """Want a volume for a task, attached to its instance, or where there is none mounted on this machine.

    Its ``figures`` are those of ``volume_figures``. Raises ServiceError.
    """
    attachment = VolumeAttachment(
        instance_id=instance_id,
        device=volumes.free_device(tx, instance_id) if instance_id else "",
        attached_at=now,
        delete_on_termination=delete_on_termination,
        resource=task_arn,
        file_system=file_system,
    )
    made = volumes.new(
        random, account, region, zone, figures, now, tags=tags, snapshot_id=snapshot_id, attachment=attachment
    )
    tx.put(model.VOLUMES, made)
    return made


def volume_figures(reader: Reader, account: str, region: str, wanted: dict[str, Any]) -> VolumeFigures:
    """The figures of a volume from what was asked for, by the names of ``volumes.figures``. Raises ServiceError."""
    return volumes.figures(reader, account, region, **wanted)


def task_volume(reader: Reader, task_arn: str) -> Volume | None:
    """The volume that a task has."""
    return next(iter(reader.find(model.VOLUMES, "resource", task_arn)), None)


def release_task_volume(tx: Transaction, task_arn: str) -> None:
    """Take a task's volume from it; it goes or stays, as was asked for."""
    volume = task_volume(tx, task_arn)
    if volume is None or volume.attachment is None:
        return
    if volume.state == "in-use":
        tx.put(model.VOLUMES, replace(volume, attachment=replace(volume.attachment, state="detaching")))
    elif volume.state in ("creating", "error"):  # it has never been the task's
        tx.put(model.VOLUMES, replace(volumes.released(volume), state="deleting"))


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    from dryport.ec2.api.service import KINDS

    kind, _, name = parts.resource.partition("/")
    table = next((one.table for one in KINDS.values() if one.resource_type == kind), None)
    if table is None:
        return None
    found = reader.get(table, name)
    if found is None and kind in ("key-pair", "launch-template"):
        found = next(iter(reader.find(table, "name", f"{model.scope(parts.account, parts.region)}/{name}")), None)
    return found.tags if found is not None else {}
