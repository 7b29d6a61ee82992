"""Security groups."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import defaults, model, permissions, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import DONE, Request, arn, get, new_tags, operation, select, tag_list, visible, with_tags
from dryport.ec2.model import SecurityGroup, SecurityGroupRule
from dryport.gateway.service import Call, Output
from dryport.store import Reader

_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")


def rules_of(reader: Reader, group_id: str, *, egress: bool) -> list[SecurityGroupRule]:
    """A group's rules of one direction."""
    found = reader.find(model.SECURITY_GROUP_RULES, "group", group_id)
    return [rule for rule in found if rule.is_egress == egress]


def describe(reader: Reader, group: SecurityGroup) -> dict[str, Any]:
    """A security group as EC2 answers it."""
    described = {
        "GroupId": group.id,
        "IpPermissionsEgress": permissions.grouped(rules_of(reader, group.id, egress=True), group.account),
        "VpcId": group.vpc_id,
        "SecurityGroupArn": arn(group),
        "OwnerId": group.account,
        "GroupName": group.name,
        "Description": group.description,
        "IpPermissions": permissions.grouped(rules_of(reader, group.id, egress=False), group.account),
    }
    return with_tags(described, group)


def find(call: Call, request: Request) -> SecurityGroup:
    """The group that a request names by ``GroupId``, or by ``GroupName`` in the default VPC. Raises ServiceError."""
    if "GroupId" in request:
        group: SecurityGroup = get(call, "sg", request["GroupId"])
        return group
    if "GroupName" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter groupName or groupId")
    return named(call, request["GroupName"])


def named(call: Call, name: str) -> SecurityGroup:
    """The group of this name in the default VPC. Raises ServiceError."""
    default = published.default_vpc(call.tx, call.account, call.region)
    if default is not None:
        found = call.tx.find(model.SECURITY_GROUPS, "name", f"{default.id}/{name}")
        if found:
            return found[0]
        raise ServiceError(
            "InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC '{default.id}'"
        )
    raise ServiceError("InvalidGroup.NotFound", f"The security group '{name}' does not exist")


@operation("CreateSecurityGroup")
def create_security_group(call: Call, request: Request) -> Output:
    name, description = request["GroupName"], request["Description"]
    _check_texts(name, description)
    tags = new_tags(request, "security-group")
    if "VpcId" in request:
        vpc = get(call, "vpc", request["VpcId"])
    else:
        vpc = published.default_vpc(call.tx, call.account, call.region)
        if vpc is None:
            raise ServiceError("VPCIdNotSpecified", "No default VPC for this user")
    if call.tx.keys(model.SECURITY_GROUPS, "name", f"{vpc.id}/{name}"):
        raise ServiceError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc.id}'")
    group = SecurityGroup(
        id=resource_id(call.random, "sg"),
        account=call.account,
        region=call.region,
        tags=tags,
        name=name,
        description=description,
        vpc_id=vpc.id,
    )
    call.tx.put(model.SECURITY_GROUPS, group)
    defaults.allow_all_egress(call.tx, call.random, group)
    answer: dict[str, Any] = {"GroupId": group.id, "SecurityGroupArn": arn(group)}
    return {**answer, "Tags": tag_list(tags)} if tags else answer


def _check_texts(name: str, description: str) -> None:
    allowed = "strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
    if name.startswith("sg-"):
        raise ServiceError("InvalidParameterValue", "Invalid group name. Group names may not be in the format sg-*.")
    if name.lower() == "default":
        raise ServiceError("InvalidParameterValue", "Cannot use reserved security group name: default")
    if not name or not _TEXT.fullmatch(name):
        raise ServiceError("InvalidParameterValue", f"Invalid security group name. Valid names are {allowed}")
    if not description or not _TEXT.fullmatch(description):
        raise ServiceError(
            "InvalidParameterValue", f"Invalid security group description. Valid descriptions are {allowed}"
        )


@operation("DeleteSecurityGroup")
def delete_security_group(call: Call, request: Request) -> Output:
    group = find(call, request)
    if group.name == "default":
        raise ServiceError(
            "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        )
    users = call.tx.find(model.NETWORK_INTERFACES, "group", group.id)
    naming = call.tx.find(model.SECURITY_GROUP_RULES, "referenced", group.id)
    if any(visible(each) for each in users) or any(rule.group_id != group.id for rule in naming):
        raise ServiceError("DependencyViolation", f"resource {group.id} has a dependent object")
    for rule in call.tx.find(model.SECURITY_GROUP_RULES, "group", group.id):
        call.tx.delete(model.SECURITY_GROUP_RULES, rule.id)
    call.tx.delete(model.SECURITY_GROUPS, group.id)
    return {**(DONE or {}), "GroupId": group.id}


def _fields(reader: Reader) -> filters.Fields[SecurityGroup]:
    def rules(egress: bool, value: Callable[[SecurityGroupRule], Any]) -> Callable[[SecurityGroup], filters.Values]:
        return lambda group: [value(rule) for rule in rules_of(reader, group.id, egress=egress)]

    def referenced_name(rule: SecurityGroupRule) -> str | None:
        group = reader.get(model.SECURITY_GROUPS, rule.referenced_group_id) if rule.referenced_group_id else None
        return group.name if group is not None else None

    fields: dict[str, Callable[[SecurityGroup], filters.Values]] = {
        "description": lambda g: [g.description],
        "group-id": lambda g: [g.id],
        "group-name": lambda g: [g.name],
        "owner-id": lambda g: [g.account],
        "vpc-id": lambda g: [g.vpc_id],
        "tag-key": filters.tags,
    }
    for prefix, egress in (("ip-permission", False), ("egress.ip-permission", True)):
        fields |= {
            f"{prefix}.cidr": rules(egress, lambda r: r.cidr_ipv4),
            f"{prefix}.ipv6-cidr": rules(egress, lambda r: r.cidr_ipv6),
            f"{prefix}.from-port": rules(egress, lambda r: r.from_port),
            f"{prefix}.to-port": rules(egress, lambda r: r.to_port),
            f"{prefix}.group-id": rules(egress, lambda r: r.referenced_group_id),
            f"{prefix}.group-name": rules(egress, referenced_name),
            f"{prefix}.prefix-list-id": rules(egress, lambda r: r.prefix_list_id),
            f"{prefix}.protocol": rules(egress, lambda r: r.protocol),
            f"{prefix}.user-id": rules(egress, lambda r: r.account if r.referenced_group_id else None),
        }
    return fields


@operation("DescribeSecurityGroups")
def describe_security_groups(call: Call, request: Request) -> Output:
    found = select(call, "sg", request.get("GroupIds"))
    if "GroupNames" in request:
        by_name = [named(call, name) for name in request["GroupNames"]]
        found = [*found, *by_name] if request.get("GroupIds") else by_name
    found = filters.apply(request, found, _fields(call.tx))
    return filters.page(request, "SecurityGroups", found, lambda each: describe(call.tx, each), "GroupIds")
