"""Managed policies: AWS's to be listed and read, customers' to be made and deleted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import managed
from dryport.iam.api import SERVICE
from dryport.iam.api.common import (
    Request,
    exists,
    length,
    limit,
    no_such_entity,
    page,
    tag_list,
    tags_of,
)
from dryport.iam.credentials import unique_id
from dryport.iam.model import IDENTITIES, POLICIES, CustomerPolicy, Identity, PolicyVersion
from dryport.iam.policy import check

LIMIT, SIZE = 1500, 6144  # Source: "IAM and AWS STS quotas", IAM user guide
KINDS = {"User": "user", "Group": "group", "Role": "role"}
Policy = managed.Managed | CustomerPolicy


@SERVICE.operation("CreatePolicy")
def create_policy(call: Call, request: Request) -> Output:
    """A customer's managed policy, with its first version."""
    name, path = request["PolicyName"], request.get("Path", "/")
    document = accepted(request["PolicyDocument"])
    own = call.tx.find(POLICIES, "account", call.account)
    if any(policy.name.lower() == name.lower() for policy in own):
        raise exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    if len(own) >= LIMIT:
        raise limit("PoliciesPerAccount", LIMIT)
    made = CustomerPolicy(
        arn=f"arn:{arns.partition_of(call.region)}:iam::{call.account}:policy{path}{name}",
        account=call.account,
        name=name,
        path=path,
        id=unique_id(call.random, "ANPA"),
        created=call.now,
        updated=call.now,
        versions=(PolicyVersion(1, document, call.now),),
        description=request.get("Description"),
        tags=tags_of(request, exact=True),
    )
    call.tx.put(POLICIES, made)
    shown = described(call, made)
    shown.pop("Description", None)  # which the answer to this does not tell
    return {"Policy": shown | ({"Tags": request["Tags"]} if made.tags else {})}


@SERVICE.operation("ListPolicies")
def list_policies(call: Call, request: Request) -> Output:
    """Customers' policies and AWS's, each in the order of their ARNs."""
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    found: list[Policy] = []
    if scope in ("All", "Local"):
        customers = call.tx.find(POLICIES, "account", call.account)
        customers.sort(key=lambda one: one.arn)
        found += customers
    if scope in ("All", "AWS"):
        found += managed.listed()
    partition = arns.partition_of(call.region)
    found = [policy for policy in found if policy.path.startswith(prefix)]
    if request.get("OnlyAttached", False):
        found = [policy for policy in found if _attached(call, _arn(policy, partition))]
    if (usage := request.get("PolicyUsageFilter")) is not None:
        uses = _attached if usage == "PermissionsPolicy" else _bounds
        found = [policy for policy in found if uses(call, _arn(policy, partition))]
    shown, more = page(found, request)
    listed = [described(call, policy) for policy in shown]
    for one in listed:
        one.pop("Description", None)
    return {"Policies": listed, **more}


@SERVICE.operation("GetPolicy")
def get_policy(call: Call, request: Request) -> Output:
    """A managed policy."""
    found = policy(call, request["PolicyArn"])
    tags = tag_list(found.tags) if isinstance(found, CustomerPolicy) else []
    return {"Policy": described(call, found) | {"Tags": tags}}


@SERVICE.operation("DeletePolicy")
def delete_policy(call: Call, request: Request) -> Output:
    """Delete a customer's policy that nobody has, and of which only the default version is left."""
    found = own(call, request["PolicyArn"])
    if _attached(call, found.arn) or _bounds(call, found.arn):
        raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    if len(found.versions) > 1:
        message = (
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
        raise ServiceError("DeleteConflict", message, 409)
    call.tx.delete(POLICIES, found.arn)
    return None


@SERVICE.operation("ListEntitiesForPolicy")
def list_entities_for_policy(call: Call, request: Request) -> Output:
    """Who has a managed policy attached, or is bounded by it."""
    arn, prefix = policy_arn(call, request["PolicyArn"]), request.get("PathPrefix", "/")
    wanted = request.get("EntityFilter")
    kinds = [kind for member, kind in KINDS.items() if wanted in (None, member)]
    usage = request.get("PolicyUsageFilter")
    having: dict[str, Identity] = {}
    for name, index in (("PermissionsPolicy", "policy"), ("PermissionsBoundary", "boundary")):
        if usage in (None, name):
            having |= {one.id: one for one in call.tx.find(IDENTITIES, index, f"{call.account}/{arn}")}
    found = [one for one in having.values() if one.kind in kinds and one.path.startswith(prefix)]
    shown, more = page(sorted(found, key=lambda one: (one.kind, one.name.lower())), request)
    return {
        "PolicyUsers": list(_names(shown, "user", "User")),
        "PolicyGroups": list(_names(shown, "group", "Group")),
        "PolicyRoles": list(_names(shown, "role", "Role")),
        **more,
    }


def accepted(document: str) -> str:
    """A document that is a policy and not too long. Raises ServiceError."""
    check(document)
    if length(document) > SIZE:
        raise limit("PolicySize", SIZE)
    return document


def policy_arn(call: Call, arn: str) -> str:
    """The ARN of a policy that there is. Raises ServiceError."""
    policy(call, arn)
    return arn


def attachable(call: Call, arn: str) -> str:
    """The ARN of a policy that can be attached. Raises ServiceError."""
    policy(call, arn, missing="does not exist or is not attachable")
    return arn


def policy(call: Call, arn: str, missing: str = "was not found") -> Policy:
    """A managed policy, AWS's or the account's. Raises ServiceError, which says that it is ``missing``."""
    parts = arns.parse(arn)
    if parts is None or parts.service != "iam" or not parts.resource.startswith("policy/"):
        raise ServiceError("ValidationError", f"ARN {arn} is not valid.", 400)
    customers = call.tx.get(POLICIES, arn) if parts.account == call.account else None
    if customers is not None:
        return customers
    partition = arns.partition_of(call.region)
    for one in managed.listed() if parts.account == "aws" else ():
        if one.arn(partition) == arn:
            return one
    raise no_such_entity(f"Policy {arn} {missing}.")


def own(call: Call, arn: str, missing: str = "was not found") -> CustomerPolicy:
    """A policy of the account's, to be changed. Raises ServiceError, for AWS's too."""
    found = policy(call, arn, missing)
    if isinstance(found, CustomerPolicy):
        return found
    raise ServiceError("AccessDenied", "Policy is outside your own account.", 403)


def described(call: Call, policy: Policy) -> dict[str, Any]:
    """A policy as it is answered. The id of AWS's is Dryport's: what AWS's is, no source says."""
    arn = _arn(policy, arns.partition_of(call.region))
    counts = {
        "AttachmentCount": _attached(call, arn),
        "PermissionsBoundaryUsageCount": _bounds(call, arn),
        "IsAttachable": True,
    }
    if isinstance(policy, CustomerPolicy):
        about = {"PolicyId": policy.id, "DefaultVersionId": f"v{policy.default}"}
        about |= {"Description": policy.description} if policy.description is not None else {}
        times = {"CreateDate": int(policy.created), "UpdateDate": int(policy.updated)}
    else:
        digest = base64.b32encode(hashlib.sha256(policy.path_and_name.encode()).digest()).decode()
        about = {"PolicyId": f"ANPA{digest[:17]}", "DefaultVersionId": policy.version}
        times = {"CreateDate": int(policy.created.timestamp()), "UpdateDate": int(policy.updated.timestamp())}
    return {"PolicyName": policy.name, "Arn": arn, "Path": policy.path, **about, **counts, **times}


def encoded(document: str) -> str:
    """A document as IAM answers it: percent-encoded."""
    return quote(document, safe="")


def _arn(policy: Policy, partition: str) -> str:
    return policy.arn if isinstance(policy, CustomerPolicy) else policy.arn(partition)


def _attached(call: Call, arn: str) -> int:
    return call.tx.count(IDENTITIES, "policy", f"{call.account}/{arn}")


def _bounds(call: Call, arn: str) -> int:
    return call.tx.count(IDENTITIES, "boundary", f"{call.account}/{arn}")


def _names(found: Iterable[Identity], kind: str, member: str) -> Iterable[dict[str, str]]:
    return ({f"{member}Name": one.name, f"{member}Id": one.id} for one in found if one.kind == kind)
