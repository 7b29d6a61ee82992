"""Addresses and names as EC2 gives them. Pure; randomness is passed in."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from random import Random

_TRIES = 32

_AREAS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
}


def zones(region: str) -> list[str]:
    """The availability zones of a region: three, ``a`` to ``c``."""
    return [f"{region}{letter}" for letter in "abc"]


def zone_id(zone: str) -> str:
    """The id of a zone, the same in every account: ``us-east-1a`` is ``use1-az1``, ``ap-southeast-2c`` ``apse2-az3``.

    Source: "Availability Zone IDs", AWS RAM user guide; names follow from the region's.
    """
    *places, number = zone[:-1].split("-")
    prefix = places[0] + "".join(_AREAS.get(place, place[:1]) for place in places[1:])
    return f"{prefix}{number}-az{ord(zone[-1]) - ord('a') + 1}"


def usable_addresses(cidr: str) -> int:
    """How many addresses of a subnet can be given: all but the first four and the last.

    Source: "Subnet sizing for IPv4", VPC user guide.
    """
    return max(0, IPv4Network(cidr).num_addresses - 5)


def is_assignable(cidr: str, address: str) -> bool:
    """Whether an interface in the subnet can be given this address."""
    try:
        offset = int(IPv4Address(address)) - int(IPv4Network(cidr).network_address)
    except ValueError:
        return False
    return 4 <= offset < IPv4Network(cidr).num_addresses - 1


def gateway(cidr: str) -> str:
    """The subnet's router: its network's address plus one."""
    return str(IPv4Network(cidr)[1])


def resolver(vpc_cidr: str) -> str:
    """The VPC's name server: its network's address plus two."""
    return str(IPv4Network(vpc_cidr)[2])


def free_address(cidr: str, random: Random, taken: Callable[[str], bool]) -> str | None:
    """An address of a subnet that is not taken, ``None`` where there is none.

    Chosen at random, so that an address that was just let go is seldom given again at once.
    """
    network = IPv4Network(cidr)
    count = usable_addresses(cidr)
    if count <= 0:
        return None
    first = int(network.network_address) + 4
    for _ in range(_TRIES):
        candidate = str(IPv4Address(first + random.randrange(count)))
        if not taken(candidate):
            return candidate
    start = random.randrange(count)  # nearly full: look at each
    for step in range(count):
        candidate = str(IPv4Address(first + (start + step) % count))
        if not taken(candidate):
            return candidate
    return None


def mac_address(random: Random) -> str:
    """A locally administered unicast MAC address (IEEE 802) that begins as EC2's do."""
    return "02:" + random.getrandbits(40).to_bytes(5).hex(":")


def internal_domain(region: str) -> str:
    """The domain of private names. Source: "DNS attributes for your VPC", VPC user guide."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def private_dns_name(address: str, region: str) -> str:
    """An interface's private name: ``ip-172-31-0-9.ec2.internal``."""
    return f"ip-{address.replace('.', '-')}.{internal_domain(region)}"


def public_dns_name(address: str, region: str) -> str:
    """The name of a public address: ``ec2-198-18-1-9.compute-1.amazonaws.com``."""
    middle = "compute-1" if region == "us-east-1" else f"{region}.compute"
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"ec2-{address.replace('.', '-')}.{middle}.{suffix}"
