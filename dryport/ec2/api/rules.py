"""Rules of security groups: authorize, revoke, modify, describe."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model, permissions
from dryport.ec2.api import filters, groups
from dryport.ec2.api.service import DONE, Request, arn, get, new_tags, operation, select, tag_list
from dryport.ec2.model import SecurityGroup, SecurityGroupRule
from dryport.ec2.permissions import Permission
from dryport.gateway.service import Call, Output
from dryport.store import Reader

MAX_RULES = 60  # a direction and address family ("Amazon VPC quotas")
_UNSUPPORTED = ("IpPermissions.UserIdGroupPairs.PeeringStatus",)
Wanted = list[tuple[Permission, str | None]]  # with its description


def _permissions(call: Call, request: Request, group: SecurityGroup) -> Wanted:
    """What the rules of a request are, one by one. Raises ServiceError."""
    flat = [name for name in ("CidrIp", "IpProtocol", "SourceSecurityGroupName") if name in request]
    if "IpPermissions" in request and flat:
        raise ServiceError(
            "InvalidParameterCombination", "The parameter 'ipPermissions' may not be used in combination with others"
        )
    wanted: Wanted = []
    for entry in request.get("IpPermissions") or ([_flat(call, request)] if flat else []):
        traffic = permissions.traffic(entry.get("IpProtocol"), entry.get("FromPort"), entry.get("ToPort"))
        before = len(wanted)
        for each in entry.get("IpRanges", []):
            block = permissions.ipv4_block(each.get("CidrIp", ""))
            wanted.append((Permission(*traffic, cidr_ipv4=block), _note(each)))
        for each in entry.get("Ipv6Ranges", []):
            block = permissions.ipv6_block(each.get("CidrIpv6", ""))
            wanted.append((Permission(*traffic, cidr_ipv6=block), _note(each)))
        for each in entry.get("PrefixListIds", []):
            prefixes = get(call, "pl", each.get("PrefixListId", "")).id
            wanted.append((Permission(*traffic, prefix_list_id=prefixes), _note(each)))
        for each in entry.get("UserIdGroupPairs", []):
            peer = _peer(call, each, group)
            wanted.append((Permission(*traffic, referenced_group_id=peer), _note(each)))
        if len(wanted) == before:
            raise ServiceError("MissingParameter", "Source group ID missing.")
    if len({permission for permission, _ in wanted}) != len(wanted):
        raise ServiceError("InvalidParameterValue", "The same permission must not appear multiple times")
    return wanted


def _flat(call: Call, request: Request) -> Request:
    """The request's own parameters as one permission."""
    entry: Request = {name: request[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in request}
    if "CidrIp" in request:
        entry["IpRanges"] = [{"CidrIp": request["CidrIp"]}]
    if "SourceSecurityGroupName" in request:
        owner = request.get("SourceSecurityGroupOwnerId", call.account)
        entry["UserIdGroupPairs"] = [{"GroupName": request["SourceSecurityGroupName"], "UserId": owner}]
        if "IpProtocol" not in entry:
            entry["IpProtocol"] = "-1"
    return entry


def _note(entry: Request) -> str | None:
    text = entry.get("Description")
    if text is not None and len(text) > 255:
        raise ServiceError(
            "InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters"
        )
    return text or None


def _peer(call: Call, pair: Request, group: SecurityGroup) -> str:
    if pair.get("UserId", call.account) != call.account or "VpcPeeringConnectionId" in pair:
        raise ServiceError(
            "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
        )
    peer = get(call, "sg", pair["GroupId"]) if "GroupId" in pair else groups.named(call, pair.get("GroupName", ""))
    if {peer.vpc_id, pair.get("VpcId", peer.vpc_id)} != {group.vpc_id}:
        raise ServiceError(
            "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
        )
    return str(peer.id)


def _weight(call: Call, permission: Permission) -> int:
    """How many rules one counts for: a prefix list as many as it may have entries ("Amazon VPC quotas")."""
    if permission.prefix_list_id is None:
        return 1
    found = call.tx.get(model.PREFIX_LISTS, permission.prefix_list_id)
    return found.max_entries if found is not None else 1


def _describe(group: SecurityGroup, rule: SecurityGroupRule) -> dict[str, Any]:
    return permissions.describe(rule, group, arn(rule), tag_list(rule.tags))


def _authorize(call: Call, request: Request, *, egress: bool) -> Output:
    group = groups.find(call, request)
    tags = new_tags(request, "security-group-rule")
    wanted = _permissions(call, request, group)
    if not wanted:
        raise ServiceError("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
    known = groups.rules_of(call.tx, group.id, egress=egress)
    present = {permissions.of(rule) for rule in known}
    for permission, _ in wanted:
        if permission in present:
            raise ServiceError(
                "InvalidPermission.Duplicate",
                f'the specified rule "{permissions.describe_duplicate(permission)}" already exists',
            )
    weights = (_weight(call, each) for each in (*present, *(permission for permission, _ in wanted)))
    if sum(weights) > MAX_RULES:
        raise ServiceError(
            "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
        )
    made = []
    for permission, description in wanted:
        rule = SecurityGroupRule(
            id=resource_id(call.random, "sgr"),
            account=call.account,
            region=call.region,
            tags=tags,
            group_id=group.id,
            is_egress=egress,
            description=description,
            **permission._asdict(),
        )
        call.tx.put(model.SECURITY_GROUP_RULES, rule)
        made.append(_describe(group, rule))
        if not tags:
            del made[-1]["Tags"]  # only DescribeSecurityGroupRules answers an empty list
    return {"Return": True, "SecurityGroupRules": made}


@operation("AuthorizeSecurityGroupIngress", unsupported=_UNSUPPORTED)
def authorize_ingress(call: Call, request: Request) -> Output:
    return _authorize(call, request, egress=False)


@operation("AuthorizeSecurityGroupEgress", unsupported=_UNSUPPORTED)
def authorize_egress(call: Call, request: Request) -> Output:
    return _authorize(call, request, egress=True)


def _named_rules(call: Call, request: Request, group: SecurityGroup, *, egress: bool) -> list[SecurityGroupRule]:
    """The rules that ``SecurityGroupRuleIds`` names. Raises ServiceError where one is not in the group."""
    found = []
    for rule_id in request["SecurityGroupRuleIds"]:
        rule: SecurityGroupRule = get(call, "sgr", rule_id)
        if rule.group_id != group.id or rule.is_egress != egress:
            raise ServiceError(
                "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist"
            )
        found.append(rule)
    return found


def _revoke(call: Call, request: Request, *, egress: bool) -> Output:
    group = groups.find(call, request)
    if request.get("SecurityGroupRuleIds"):
        going = _named_rules(call, request, group, egress=egress)
    else:
        wanted = _permissions(call, request, group)
        if not wanted:
            raise ServiceError(
                "MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided."
            )
        known = {permissions.of(rule): rule for rule in groups.rules_of(call.tx, group.id, egress=egress)}
        if any(permission not in known for permission, _ in wanted):
            raise ServiceError(
                "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
            )
        going = [known[permission] for permission, _ in wanted]
    for rule in going:
        call.tx.delete(model.SECURITY_GROUP_RULES, rule.id)
    return {"Return": True, "RevokedSecurityGroupRules": [_revoked(rule) for rule in going]}


def _revoked(rule: SecurityGroupRule) -> dict[str, Any]:
    described: dict[str, Any] = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
    }
    optional = {
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "ReferencedGroupId": rule.referenced_group_id,
        "Description": rule.description,
    }
    return described | {key: value for key, value in optional.items() if value is not None}


@operation("RevokeSecurityGroupIngress", unsupported=_UNSUPPORTED)
def revoke_ingress(call: Call, request: Request) -> Output:
    return _revoke(call, request, egress=False)


@operation("RevokeSecurityGroupEgress", unsupported=_UNSUPPORTED)
def revoke_egress(call: Call, request: Request) -> Output:
    return _revoke(call, request, egress=True)


@operation("ModifySecurityGroupRules")
def modify_security_group_rules(call: Call, request: Request) -> Output:
    group = get(call, "sg", request["GroupId"])
    for update in request["SecurityGroupRules"]:
        rule = get(call, "sgr", update["SecurityGroupRuleId"])
        if rule.group_id != group.id:
            raise ServiceError(
                "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule.id}' does not exist"
            )
        given = update.get("SecurityGroupRule", {})
        changed = replace(rule, description=_note(given), **_modified(call, given, group)._asdict())
        others = [each for each in groups.rules_of(call.tx, group.id, egress=rule.is_egress) if each.id != rule.id]
        if permissions.of(changed) in {permissions.of(each) for each in others}:
            raise ServiceError(
                "InvalidPermission.Duplicate",
                f'the specified rule "{permissions.describe_duplicate(permissions.of(changed))}" already exists',
            )
        call.tx.put(model.SECURITY_GROUP_RULES, changed)
    return DONE


def _modified(call: Call, given: Request, group: SecurityGroup) -> Permission:
    traffic = permissions.traffic(given.get("IpProtocol"), given.get("FromPort"), given.get("ToPort"))
    peers = [name for name in ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId") if name in given]
    if len(peers) != 1:
        raise ServiceError(
            "InvalidParameterCombination",
            "Exactly one of CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupId must be specified for a security "
            "group rule.",
        )
    if "CidrIpv4" in given:
        return Permission(*traffic, cidr_ipv4=permissions.ipv4_block(given["CidrIpv4"]))
    if "CidrIpv6" in given:
        return Permission(*traffic, cidr_ipv6=permissions.ipv6_block(given["CidrIpv6"]))
    if "PrefixListId" in given:
        return Permission(*traffic, prefix_list_id=get(call, "pl", given["PrefixListId"]).id)
    return Permission(*traffic, referenced_group_id=_peer(call, {"GroupId": given["ReferencedGroupId"]}, group))


def _update_descriptions(call: Call, request: Request, *, egress: bool) -> Output:
    group = groups.find(call, request)
    texts: dict[str, str | None] = {}
    if request.get("SecurityGroupRuleDescriptions"):
        given = request["SecurityGroupRuleDescriptions"]
        ids = [each.get("SecurityGroupRuleId", "") for each in given]
        _named_rules(call, {"SecurityGroupRuleIds": ids}, group, egress=egress)
        texts = {rule_id: _note(each) for rule_id, each in zip(ids, given, strict=True)}
    else:
        known = {permissions.of(rule): rule.id for rule in groups.rules_of(call.tx, group.id, egress=egress)}
        for permission, description in _permissions(call, request, group):
            if permission not in known:
                raise ServiceError(
                    "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
                )
            texts[known[permission]] = description
    for rule_id, text in texts.items():
        call.tx.put(model.SECURITY_GROUP_RULES, replace(get(call, "sgr", rule_id), description=text))
    return DONE


@operation("UpdateSecurityGroupRuleDescriptionsIngress", unsupported=_UNSUPPORTED)
def update_descriptions_ingress(call: Call, request: Request) -> Output:
    return _update_descriptions(call, request, egress=False)


@operation("UpdateSecurityGroupRuleDescriptionsEgress", unsupported=_UNSUPPORTED)
def update_descriptions_egress(call: Call, request: Request) -> Output:
    return _update_descriptions(call, request, egress=True)


_FILTERS: filters.Fields[SecurityGroupRule] = {
    "group-id": lambda r: [r.group_id],
    "security-group-rule-id": lambda r: [r.id],
    "tag-key": filters.tags,
}


@operation("DescribeSecurityGroupRules")
def describe_security_group_rules(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "sgr", request.get("SecurityGroupRuleIds")), _FILTERS)

    def describe(rule: SecurityGroupRule) -> dict[str, Any]:
        return _describe(_group(call.tx, rule), rule)

    return filters.page(request, "SecurityGroupRules", found, describe, "SecurityGroupRuleIds")


def _group(reader: Reader, rule: SecurityGroupRule) -> SecurityGroup:
    group = reader.get(model.SECURITY_GROUPS, rule.group_id)
    if group is None:
        raise LookupError(f"{rule.id} outlived its group {rule.group_id}")
    return group
