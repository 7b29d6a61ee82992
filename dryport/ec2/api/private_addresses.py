"""Secondary private addresses of network interfaces, given and taken back."""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.ec2 import private_addresses
from dryport.ec2.api.interfaces import get_own
from dryport.ec2.api.service import Request, operation
from dryport.ec2.private_addresses import Wanted
from dryport.gateway.service import Call, Output


@operation("AssignPrivateIpAddresses", unsupported=("Ipv4Prefixes", "Ipv4PrefixCount"))
def assign_private_ip_addresses(call: Call, request: Request) -> Output:
    """They answer within a moment; with ``AllowReassignment`` those of others are moved."""
    interface = get_own(call, request["NetworkInterfaceId"])
    named = tuple(dict.fromkeys(request.get("PrivateIpAddresses", [])))
    count = int(request.get("SecondaryPrivateIpAddressCount", 0))
    if named and count:
        raise ServiceError(
            "InvalidParameterCombination",
            "The parameters privateIpAddresses and secondaryPrivateIpAddressCount may not be specified together.",
        )
    if not named and count < 1:
        raise ServiceError(
            "MissingParameter",
            "Either privateIpAddresses or a secondaryPrivateIpAddressCount of at least 1 must be specified.",
        )
    asked = Wanted(secondary=named, more=count)
    given = private_addresses.assign(
        call.tx, call.random, interface, asked, move=bool(request.get("AllowReassignment"))
    )
    return {
        "NetworkInterfaceId": interface.id,
        "AssignedPrivateIpAddresses": [{"PrivateIpAddress": each} for each in given],
        "AssignedIpv4Prefixes": [],
    }


@operation("UnassignPrivateIpAddresses", unsupported=("Ipv4Prefixes",))
def unassign_private_ip_addresses(call: Call, request: Request) -> Output:
    """They answer no more within a moment, and others may have them."""
    interface = get_own(call, request["NetworkInterfaceId"])
    if not request.get("PrivateIpAddresses"):
        raise ServiceError("MissingParameter", "The request must contain the parameter privateIpAddresses")
    private_addresses.unassign(call.tx, interface, request["PrivateIpAddresses"])
    return None
