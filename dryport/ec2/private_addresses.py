"""Private addresses of interfaces: which are asked for, given, taken back, moved. Plain functions on a transaction.

Source: "Secondary IP addresses for your EC2 instances", EC2 user guide; AssignPrivateIpAddresses, API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, instance_types, model
from dryport.ec2.model import NetworkInterface, Subnet
from dryport.store import Reader, Transaction


class Wanted(NamedTuple):
    """Addresses of a new interface: the primary one and secondary ones by name, and how many more, whichever."""

    primary: str | None = None
    secondary: tuple[str, ...] = ()
    more: int = 0

    @property
    def named(self) -> bool:
        """Whether any is asked for by name, which only one interface can have."""
        return self.primary is not None or bool(self.secondary)


def wanted(request: dict[str, Any]) -> Wanted:
    """What ``PrivateIpAddress``, ``PrivateIpAddresses`` and ``SecondaryPrivateIpAddressCount`` ask for.

    Raises ServiceError.
    """
    listed = [each for each in request.get("PrivateIpAddresses", []) if "PrivateIpAddress" in each]
    primary = [each["PrivateIpAddress"] for each in listed if each.get("Primary")]
    secondary = [each["PrivateIpAddress"] for each in listed if not each.get("Primary")]
    if "PrivateIpAddress" in request:
        primary.append(request["PrivateIpAddress"])
    if not primary and len(listed) == 1:
        primary, secondary = secondary, []
    if len(primary) > 1:
        raise ServiceError("InvalidParameterCombination", "Only one primary private IP address can be specified.")
    count = int(request.get("SecondaryPrivateIpAddressCount", 0))
    if count < 0:
        raise ServiceError(
            "InvalidParameterValue", f"Value ({count}) for parameter secondaryPrivateIpAddressCount is invalid."
        )
    if count and secondary:
        raise ServiceError(
            "InvalidParameterCombination",
            "The parameter secondaryPrivateIpAddressCount may not be specified together with more than one private "
            "IP address.",
        )
    return Wanted(primary[0] if primary else None, tuple(secondary), count)


def claim(tx: Transaction, random: Random, net: Subnet, asked: Wanted) -> list[str]:
    """Free addresses of a subnet, the primary one first. Not stored. Raises ServiceError."""
    claimed: list[str] = []
    for each in (asked.primary, *asked.secondary, *([None] * asked.more)):
        claimed.append(_one(tx, random, net, each, claimed))
    return claimed


def _one(tx: Transaction, random: Random, net: Subnet, address: str | None, claimed: Sequence[str]) -> str:
    def taken(candidate: str) -> bool:
        return candidate in claimed or bool(_holders(tx, net.id, candidate))

    if address is not None:
        check_free(tx, net, address)
        if address in claimed:
            raise _in_use(address)
        return address
    found = addressing.free_address(net.cidr_block, random, taken)
    if found is None:
        raise ServiceError(
            "InsufficientFreeAddressesInSubnet",
            "The specified subnet does not have enough free addresses to satisfy the request.",
        )
    return found


def check_free(reader: Reader, net: Subnet, address: str) -> None:
    """Refuse an address that an interface in a subnet cannot be given. Raises ServiceError."""
    _check_inside(net, address)
    if _holders(reader, net.id, address):
        raise _in_use(address)


def _in_use(address: str) -> ServiceError:
    return ServiceError("InvalidIPAddress.InUse", f"The specified address {address} is already in use.")


def _check_inside(net: Subnet, address: str) -> None:
    if not addressing.is_assignable(net.cidr_block, address):
        raise ServiceError(
            "InvalidParameterValue", f"Address {address} does not fall within the subnet's address range"
        )


def _holders(reader: Reader, subnet_id: str, address: str) -> list[NetworkInterface]:
    return list(reader.find(model.NETWORK_INTERFACES, "address", f"{subnet_id}/{address}"))


def check_limit(reader: Reader, instance_id: str, count: int) -> None:
    """Refuse more addresses than an interface of an instance's type has. Raises ServiceError."""
    instance = reader.get(model.INSTANCES, instance_id) if instance_id else None
    kind = instance_types.get(instance.instance_type) if instance is not None else None
    if kind is not None and count > kind.addresses_per_interface:
        raise ServiceError("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")


def assign(tx: Transaction, random: Random, interface: NetworkInterface, asked: Wanted, *, move: bool) -> list[str]:
    """Give an interface more addresses, with ``move`` also such that are others' secondary ones; those it has new.

    Raises ServiceError.
    """
    net = tx.get(model.SUBNETS, interface.subnet_id)
    assert net is not None  # it is not deleted before its interfaces
    others = [each for each in asked.secondary if each not in interface.private_ips]
    check_limit(tx, interface.instance_id, len(interface.private_ips) + len(others) + asked.more)
    holders = [(each, holder) for each in others for holder in _holders(tx, net.id, each)]
    if any(not move or holder.private_ip == each for each, holder in holders):
        raise ServiceError(
            "InvalidParameterValue",
            f"Some of [{', '.join(each for each, _ in holders)}] are assigned, but move is not allowed.",
        )
    for each, holder in holders:
        current = tx.get(model.NETWORK_INTERFACES, holder.id)
        assert current is not None
        left = [ip for ip in current.secondary_ips if ip != each]
        tx.put(model.NETWORK_INTERFACES, replace(current, secondary_ips=left))
    claimed: list[str] = []
    for address in (*others, *([None] * asked.more)):
        claimed.append(_one(tx, random, net, address, claimed))
    tx.put(model.NETWORK_INTERFACES, replace(interface, secondary_ips=[*interface.secondary_ips, *claimed]))
    return claimed


def unassign(tx: Transaction, interface: NetworkInterface, addresses: Sequence[str]) -> None:
    """Take secondary addresses from an interface. Raises ServiceError."""
    missing = [each for each in addresses if each not in interface.secondary_ips]
    if missing:
        raise ServiceError(
            "InvalidParameterValue",
            f"Some of [{', '.join(missing)}] are not secondary private IP addresses of interface {interface.id}.",
        )
    left = [each for each in interface.secondary_ips if each not in addresses]
    tx.put(model.NETWORK_INTERFACES, replace(interface, secondary_ips=left))
