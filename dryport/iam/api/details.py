"""GetAccountAuthorizationDetails: everybody with everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dryport.gateway.service import Call, Output
from dryport.iam import last_use, managed
from dryport.iam.api import SERVICE, groups, instance_profiles, roles, users
from dryport.iam.api.boundaries import boundary
from dryport.iam.api.common import Request, listed, page, tag_list
from dryport.iam.api.policies import described, encoded, policy
from dryport.iam.model import IDENTITIES, POLICIES, PROFILES, CustomerPolicy, Identity

_LISTS = {
    "user": "UserDetailList",
    "group": "GroupDetailList",
    "role": "RoleDetailList",
    "policy": "Policies",
}
_Shown = tuple[str, Identity | str]


@SERVICE.operation("GetAccountAuthorizationDetails")
def get_account_authorization_details(call: Call, request: Request) -> Output:
    """Users, groups, roles, and the policies that are the account's or attached, as one list of pages."""
    shown, more = page(list(_everything(call, request.get("Filter") or ())), request)
    answer: dict[str, list[Mapping[str, Any]]] = {name: [] for name in _LISTS.values()}
    for kind, one in shown:
        answer[_LISTS[kind]].append(_policy(call, one) if isinstance(one, str) else _identity(call, one))
    return {**answer, **more}


def _everything(call: Call, wanted: Iterable[str]) -> Iterable[_Shown]:
    chosen = frozenset(wanted) or frozenset(("User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"))
    for name in ("User", "Group", "Role"):
        if name in chosen:
            yield from ((name.lower(), one) for one in listed(call, name.lower(), {}))
    if "LocalManagedPolicy" in chosen:
        own = call.tx.find(POLICIES, "account", call.account)
        yield from (("policy", one.arn) for one in sorted(own, key=lambda one: one.arn))
    if "AWSManagedPolicy" in chosen:
        every = (one for kind in ("user", "group", "role") for one in listed(call, kind, {}))
        used = {arn for one in every for arn in (*one.attached, one.boundary) if arn and ":iam::aws:" in arn}
        yield from (("policy", arn) for arn in sorted(used))


def _identity(call: Call, one: Identity) -> dict[str, Any]:
    name = one.kind.capitalize()
    attached = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in one.attached]
    own = [{"PolicyName": key, "PolicyDocument": encoded(text)} for key, text in sorted(one.inline.items())]
    found: dict[str, Any] = {f"{name}PolicyList": own, "AttachedManagedPolicies": attached}
    if one.kind == "group":
        return groups.described(one) | found
    found |= boundary(one) | {"Tags": tag_list(one.tags)}
    if one.kind == "user":
        held = [group.name for id in one.groups for group in call.tx.find(IDENTITIES, "id", id)]
        return users.described(one) | found | {"GroupList": sorted(held)}
    used = last_use.of(call.tx, one.id)
    about = roles.described(one)
    about.pop("Description", None)
    profiles = [instance_profiles.described(call, each) for each in call.tx.find(PROFILES, "role", one.id)]
    last = {} if used is None else {"LastUsedDate": int(used.time), "Region": used.region}
    return about | found | {"InstanceProfileList": profiles, "RoleLastUsed": last}


def _policy(call: Call, arn: str) -> dict[str, Any]:
    found = policy(call, arn)
    about = described(call, found)
    if isinstance(found, CustomerPolicy):
        versions = [
            {
                "Document": encoded(one.document),
                "VersionId": one.id,
                "IsDefaultVersion": one.number == found.default,
                "CreateDate": int(one.created),
            }
            for one in reversed(found.versions)
        ]
    else:  # of AWS's only the default version is known
        text = managed.document(arn) or ""
        about_it = {"VersionId": found.version, "IsDefaultVersion": True, "CreateDate": about["UpdateDate"]}
        versions = [{"Document": encoded(text)} | about_it]
    return about | {"PolicyVersionList": versions}
