"""The versions of managed policies. Of AWS's, only the default one is known."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import managed
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, no_such_entity, page
from dryport.iam.api.policies import accepted, encoded, own, policy
from dryport.iam.model import POLICIES, CustomerPolicy, PolicyVersion

LIMIT = 5  # Source: "IAM and AWS STS quotas", IAM user guide


@SERVICE.operation("CreatePolicyVersion")
def create_policy_version(call: Call, request: Request) -> Output:
    """A further version, which acts once it is the default one."""
    found = own(call, request["PolicyArn"])
    document = accepted(request["PolicyDocument"])
    if len(found.versions) >= LIMIT:
        message = (
            f"A managed policy can have up to {LIMIT} versions. Before you create a new version, "
            "you must delete an existing version."
        )
        raise ServiceError("LimitExceeded", message, 409)
    made = PolicyVersion(found.last + 1, document, call.now)
    changed = msgspec.structs.replace(
        found,
        versions=(*found.versions, made),
        last=made.number,
        default=made.number if request.get("SetAsDefault") else found.default,
        updated=call.now,
    )
    call.tx.put(POLICIES, changed)
    return {"PolicyVersion": _described(changed, made)}


@SERVICE.operation("SetDefaultPolicyVersion")
def set_default_policy_version(call: Call, request: Request) -> Output:
    """Have another version act, from the next request on."""
    found = own(call, request["PolicyArn"], _no_version(request))
    version = _version(found, request["VersionId"])
    call.tx.put(POLICIES, msgspec.structs.replace(found, default=version.number, updated=call.now))
    return None


@SERVICE.operation("DeletePolicyVersion")
def delete_policy_version(call: Call, request: Request) -> Output:
    """Delete a version that is not the default one."""
    found = own(call, request["PolicyArn"], _no_version(request))
    version = _version(found, request["VersionId"])
    if version.number == found.default:
        raise ServiceError("DeleteConflict", "Cannot delete the default version of a policy.", 409)
    left = tuple(one for one in found.versions if one.number != version.number)
    call.tx.put(POLICIES, msgspec.structs.replace(found, versions=left, updated=call.now))
    return None


@SERVICE.operation("ListPolicyVersions")
def list_policy_versions(call: Call, request: Request) -> Output:
    """The versions that there are, the newest first, without their documents."""
    found = policy(call, request["PolicyArn"])
    if isinstance(found, CustomerPolicy):
        described = [_described(found, version) for version in reversed(found.versions)]
    else:
        described = [_of_aws(found)]
    shown, more = page(described, request)
    return {"Versions": shown, **more}


@SERVICE.operation("GetPolicyVersion")
def get_policy_version(call: Call, request: Request) -> Output:
    """A version with its document, percent-encoded as AWS gives it."""
    found, wanted = policy(call, request["PolicyArn"], _no_version(request)), request["VersionId"]
    if isinstance(found, CustomerPolicy):
        version = _version(found, wanted)
        return {"PolicyVersion": _described(found, version) | {"Document": encoded(version.document)}}
    if wanted != found.version:
        earlier = wanted[1:].isdecimal() and int(wanted[1:]) < int(found.version[1:])
        if earlier:
            message = f"Dryport has only the default version of AWS's managed policies, {found.version} of this one."
            raise ServiceError("NotImplemented", message, 501)
        raise _missing(request["PolicyArn"], wanted)
    document = managed.document(found.arn())
    return {"PolicyVersion": _of_aws(found) | {"Document": encoded(document or "")}}


def _version(found: CustomerPolicy, wanted: str) -> PolicyVersion:
    for version in found.versions:
        if version.id == wanted:
            return version
    raise _missing(found.arn, wanted)


def _no_version(request: Request) -> str:
    return f"version {request['VersionId']} does not exist or is not attachable"


def _missing(arn: str, wanted: str) -> ServiceError:
    return no_such_entity(f"Policy {arn} {_no_version({'VersionId': wanted})}.")


def _described(found: CustomerPolicy, version: PolicyVersion) -> dict[str, Any]:
    return {
        "VersionId": version.id,
        "IsDefaultVersion": version.number == found.default,
        "CreateDate": int(version.created),
    }


def _of_aws(found: managed.Managed) -> dict[str, Any]:
    return {"VersionId": found.version, "IsDefaultVersion": True, "CreateDate": int(found.updated.timestamp())}
