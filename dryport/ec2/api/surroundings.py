"""What every VPC has and nobody here changes: its default network ACL and the region's default DHCP options."""

from __future__ import annotations

from typing import Any

from dryport.ec2 import addressing
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, operation, select, tag_list
from dryport.ec2.model import DhcpOptions, NetworkAcl
from dryport.gateway.service import Call, Output

# Source: "Default network ACL", VPC user guide.
_ALLOW_ALL, _DENY_REST = 100, 32767


def _entries() -> list[dict[str, Any]]:
    return [
        {
            "CidrBlock": "0.0.0.0/0",
            "Egress": egress,
            "Protocol": "-1",
            "RuleAction": action,
            "RuleNumber": number,
        }
        for egress in (True, False)
        for action, number in (("allow", _ALLOW_ALL), ("deny", _DENY_REST))
    ]


def describe_acl(acl: NetworkAcl) -> dict[str, Any]:
    """A network ACL as EC2 answers it."""
    return {
        "Associations": [
            {"NetworkAclAssociationId": association_id, "NetworkAclId": acl.id, "SubnetId": subnet_id}
            for subnet_id, association_id in acl.association_ids.items()
        ],
        "Entries": _entries(),
        "IsDefault": True,
        "NetworkAclId": acl.id,
        "Tags": tag_list(acl.tags),
        "VpcId": acl.vpc_id,
        "OwnerId": acl.account,
    }


_ACL_FILTERS: filters.Fields[NetworkAcl] = {
    "association.association-id": lambda a: list(a.association_ids.values()),
    "association.network-acl-id": lambda a: [a.id] if a.association_ids else [],
    "association.subnet-id": lambda a: list(a.association_ids),
    "default": lambda a: [True],
    "entry.cidr": lambda a: ["0.0.0.0/0"],
    "entry.egress": lambda a: [True, False],
    "entry.icmp.code": lambda a: [],
    "entry.icmp.type": lambda a: [],
    "entry.ipv6-cidr": lambda a: [],
    "entry.port-range.from": lambda a: [],
    "entry.port-range.to": lambda a: [],
    "entry.protocol": lambda a: ["-1"],
    "entry.rule-action": lambda a: ["allow", "deny"],
    "entry.rule-number": lambda a: [_ALLOW_ALL, _DENY_REST],
    "network-acl-id": lambda a: [a.id],
    "owner-id": lambda a: [a.account],
    "vpc-id": lambda a: [a.vpc_id],
    "tag-key": filters.tags,
}


@operation("DescribeNetworkAcls")
def describe_network_acls(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "acl", request.get("NetworkAclIds")), _ACL_FILTERS)
    return filters.page(request, "NetworkAcls", found, describe_acl, "NetworkAclIds")


def _configurations(options: DhcpOptions) -> dict[str, str]:
    return {
        "domain-name": addressing.internal_domain(options.region),
        "domain-name-servers": "AmazonProvidedDNS",
    }


def describe_options(options: DhcpOptions) -> dict[str, Any]:
    """A set of DHCP options as EC2 answers it."""
    return {
        "OwnerId": options.account,
        "Tags": tag_list(options.tags),
        "DhcpOptionsId": options.id,
        "DhcpConfigurations": [
            {"Key": key, "Values": [{"Value": value}]} for key, value in _configurations(options).items()
        ],
    }


_OPTIONS_FILTERS: filters.Fields[DhcpOptions] = {
    "dhcp-options-id": lambda o: [o.id],
    "key": lambda o: list(_configurations(o)),
    "value": lambda o: list(_configurations(o).values()),
    "owner-id": lambda o: [o.account],
    "tag-key": filters.tags,
}


@operation("DescribeDhcpOptions")
def describe_dhcp_options(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "dopt", request.get("DhcpOptionsIds")), _OPTIONS_FILTERS)
    return filters.page(request, "DhcpOptions", found, describe_options, "DhcpOptionsIds")
