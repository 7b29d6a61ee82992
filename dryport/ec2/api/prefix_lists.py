"""Managed prefix lists. What a rule or route of a VPC names acts on packets by its current version."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, arn, earlier, get, new_tags, operation, select, tag_list
from dryport.ec2.model import PrefixList, PrefixListEntry
from dryport.gateway.service import Call, Output

_MOST_ENTRIES = 1000  # "Work with customer-managed prefix lists", VPC user guide
_MOST_CHANGED = 100


def describe(found: PrefixList) -> dict[str, Any]:
    """A prefix list as EC2 answers it."""
    return {
        "PrefixListId": found.id,
        "AddressFamily": found.address_family,
        "State": found.state,
        "PrefixListArn": arn(found),
        "PrefixListName": found.name,
        "MaxEntries": found.max_entries,
        "Version": len(found.versions),
        "Tags": tag_list(found.tags),
        "OwnerId": found.account,
    }


def _block(text: str, family: str) -> str:
    try:
        return str(IPv4Network(text) if family == "IPv4" else IPv6Network(text))
    except ValueError:
        raise ServiceError("InvalidParameterValue", f"The CIDR '{text}' is not a valid {family} CIDR block.") from None


def _check_name(name: str) -> None:
    if not name or len(name) > 255:
        raise ServiceError("InvalidParameterValue", "The prefix list name must be 1 to 255 characters long.")
    if name.startswith("com.amazonaws"):
        raise ServiceError("InvalidParameterValue", "The prefix list name must not start with com.amazonaws.")


def _check_size(entries: list[PrefixListEntry], max_entries: int) -> None:
    if not 1 <= max_entries <= _MOST_ENTRIES:
        raise ServiceError(
            "InvalidParameterValue", f"The maximum number of entries must be between 1 and {_MOST_ENTRIES}."
        )
    if len(entries) > max_entries:
        raise ServiceError(
            "PrefixListMaxEntriesExceeded",
            f"The number of entries ({len(entries)}) exceeds the maximum number of entries of the prefix list "
            f"({max_entries}).",
        )


def _changed(current: list[PrefixListEntry], request: Request, add: str, family: str) -> list[PrefixListEntry]:
    """The entries of the next version. Raises ServiceError."""
    added, removed = request.get(add, []), request.get("RemoveEntries", [])
    if len(added) > _MOST_CHANGED or len(removed) > _MOST_CHANGED:
        raise ServiceError("InvalidParameterValue", f"At most {_MOST_CHANGED} entries can be changed in one request.")
    entries = {entry.cidr: entry for entry in current}
    for each in removed:
        if entries.pop(_block(each["Cidr"], family), None) is None:
            raise ServiceError(
                "InvalidParameterValue", f"The entry '{each['Cidr']}' does not exist in the prefix list."
            )
    given: set[str] = set()
    for each in added:
        block = _block(each["Cidr"], family)
        if block in given:
            raise ServiceError("InvalidParameterValue", f"The entry '{block}' appears more than once.")
        given.add(block)
        entries[block] = PrefixListEntry(cidr=block, description=each.get("Description", ""))
    return list(entries.values())


@operation("CreateManagedPrefixList")
def create_managed_prefix_list(call: Call, request: Request) -> Output:
    known = earlier(call, model.PREFIX_LISTS, request)
    if known is not None:
        return {"PrefixList": describe(known)}
    family = request["AddressFamily"]
    if family not in ("IPv4", "IPv6"):
        raise ServiceError("InvalidParameterValue", f"The address family '{family}' is not valid. Use IPv4 or IPv6.")
    _check_name(request["PrefixListName"])
    entries = _changed([], request, "Entries", family)
    _check_size(entries, request["MaxEntries"])
    made = PrefixList(
        id=resource_id(call.random, "pl"),
        account=call.account,
        region=call.region,
        tags=new_tags(request, "prefix-list"),
        name=request["PrefixListName"],
        address_family=family,
        max_entries=request["MaxEntries"],
        versions=[entries],
        client_token=request.get("ClientToken", ""),
    )
    call.tx.put(model.PREFIX_LISTS, made)
    return {"PrefixList": {**describe(made), "State": "create-in-progress"}}


def _check_version(found: PrefixList, version: int | None) -> None:
    if version is None:
        raise ServiceError("MissingParameter", "The request must contain the parameter currentVersion")
    if version != len(found.versions):
        raise ServiceError(
            "PrefixListVersionMismatch", f"The prefix list '{found.id}' has the version {len(found.versions)}."
        )


@operation("ModifyManagedPrefixList", unsupported=("IpamPrefixListResolverSyncEnabled",))
def modify_managed_prefix_list(call: Call, request: Request) -> Output:
    found = get(call, "pl", request["PrefixListId"])
    changed = found
    if "PrefixListName" in request:
        _check_name(request["PrefixListName"])
        changed = replace(changed, name=request["PrefixListName"])
    touches_entries = bool(request.get("AddEntries") or request.get("RemoveEntries"))
    if "MaxEntries" in request:
        if touches_entries:
            raise ServiceError(
                "InvalidParameterCombination", "You cannot modify the entries and the size of a prefix list at once."
            )
        changed = replace(changed, max_entries=request["MaxEntries"])
    if touches_entries:
        _check_version(found, request.get("CurrentVersion"))
        entries = _changed(found.entries, request, "AddEntries", found.address_family)
        changed = replace(changed, versions=[*found.versions, entries])
    _check_size(changed.entries, changed.max_entries)
    changed = replace(changed, state="modify-complete")
    call.tx.put(model.PREFIX_LISTS, changed)
    return {"PrefixList": {**describe(changed), "State": "modify-in-progress"}}


@operation("RestoreManagedPrefixListVersion")
def restore_managed_prefix_list_version(call: Call, request: Request) -> Output:
    found = get(call, "pl", request["PrefixListId"])
    _check_version(found, request["CurrentVersion"])
    entries = _version(found, request["PreviousVersion"])
    _check_size(entries, found.max_entries)
    changed = replace(found, versions=[*found.versions, entries], state="restore-complete")
    call.tx.put(model.PREFIX_LISTS, changed)
    return {"PrefixList": {**describe(changed), "State": "restore-in-progress"}}


def _version(found: PrefixList, number: int) -> list[PrefixListEntry]:
    if not 1 <= number <= len(found.versions):
        raise ServiceError("InvalidParameterValue", f"The prefix list '{found.id}' has no version {number}.")
    return found.versions[number - 1]


@operation("DeleteManagedPrefixList")
def delete_managed_prefix_list(call: Call, request: Request) -> Output:
    found = get(call, "pl", request["PrefixListId"])
    if _users(call, found):
        raise ServiceError("DependencyViolation", f"The prefix list '{found.id}' is in use and cannot be deleted.")
    call.tx.delete(model.PREFIX_LISTS, found.id)
    return {"PrefixList": {**describe(found), "State": "delete-in-progress"}}


def _users(call: Call, found: PrefixList) -> list[str]:
    """The ids of the security groups and route tables that name a list."""
    rules = call.tx.find(model.SECURITY_GROUP_RULES, "prefix_list", found.id)
    tables = call.tx.find(model.ROUTE_TABLES, "prefix_list", found.id)
    return [*dict.fromkeys(rule.group_id for rule in rules), *(table.id for table in tables)]


_FILTERS: filters.Fields[PrefixList] = {
    "owner-id": lambda p: [p.account],
    "prefix-list-id": lambda p: [p.id],
    "prefix-list-name": lambda p: [p.name],
    "tag-key": filters.tags,
}


@operation("DescribeManagedPrefixLists")
def describe_managed_prefix_lists(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "pl", request.get("PrefixListIds")), _FILTERS)
    return filters.page(request, "PrefixLists", found, describe, "PrefixListIds")


@operation("GetManagedPrefixListEntries")
def get_managed_prefix_list_entries(call: Call, request: Request) -> Output:
    found = get(call, "pl", request["PrefixListId"])
    entries = _version(found, request.get("TargetVersion", len(found.versions)))

    def entry(each: PrefixListEntry) -> dict[str, Any]:
        return {"Cidr": each.cidr} | ({"Description": each.description} if each.description else {})

    return filters.page(request, "Entries", entries, entry)


@operation("GetManagedPrefixListAssociations")
def get_managed_prefix_list_associations(call: Call, request: Request) -> Output:
    found = get(call, "pl", request["PrefixListId"])

    def association(user: str) -> dict[str, Any]:
        return {"ResourceId": user, "ResourceOwner": found.account}

    return filters.page(request, "PrefixListAssociations", _users(call, found), association)
