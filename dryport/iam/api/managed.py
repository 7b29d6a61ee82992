"""AWS's managed policies, to be listed and read. There are no others: customers' cannot be made yet."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import managed
from dryport.iam.api import SERVICE
from dryport.iam.api.common import invalid_input, no_such_entity, page

if TYPE_CHECKING:
    from types_boto3_iam.type_defs import (
        GetPolicyRequestTypeDef,
        GetPolicyVersionRequestTypeDef,
        ListPoliciesRequestTypeDef,
    )


@SERVICE.operation("ListPolicies", unsupported=("PolicyUsageFilter",))
def list_policies(call: Call, request: ListPoliciesRequestTypeDef) -> Output:
    """The managed policies, in the order of their ARNs. Nobody has one attached, so ``OnlyAttached`` finds none."""
    prefix = request.get("PathPrefix", "/")
    none = request.get("OnlyAttached", False) or request.get("Scope") == "Local"
    found = [] if none else [policy for policy in managed.listed() if policy.path.startswith(prefix)]
    shown, more = page(found, request)
    partition = arns.partition_of(call.region)
    return {"Policies": [_described(policy, partition) for policy in shown], **more}


@SERVICE.operation("GetPolicy")
def get_policy(call: Call, request: GetPolicyRequestTypeDef) -> Output:
    """A managed policy."""
    return {"Policy": _described(_policy(call, request["PolicyArn"]), arns.partition_of(call.region)) | {"Tags": []}}


@SERVICE.operation("GetPolicyVersion")
def get_policy_version(call: Call, request: GetPolicyVersionRequestTypeDef) -> Output:
    """The document of a policy's default version, percent-encoded as AWS gives it. Its earlier ones are not known."""
    policy = _policy(call, request["PolicyArn"])
    wanted = request["VersionId"]
    if wanted != policy.version:
        earlier = wanted[1:].isdecimal() and int(wanted[1:]) < int(policy.version[1:])
        if earlier:
            message = f"Dryport has only the default version of AWS's managed policies, {policy.version} of this one."
            raise ServiceError("NotImplemented", message, 501)
        raise no_such_entity(f"Policy {request['PolicyArn']} version {wanted} does not exist or is not attachable.")
    document = managed.document(policy.arn())
    return {
        "PolicyVersion": {
            "Document": quote(document or "", safe=""),
            "VersionId": policy.version,
            "IsDefaultVersion": True,
            "CreateDate": policy.updated.timestamp(),
        }
    }


def _policy(call: Call, arn: str) -> managed.Managed:
    partition = arns.partition_of(call.region)
    parts = arns.parse(arn)
    if parts is None or parts.service != "iam" or not parts.resource.startswith("policy/"):
        raise invalid_input(f"ARN {arn} is not valid.")
    for policy in managed.listed():
        if policy.arn(partition) == arn:
            return policy
    raise no_such_entity(f"Policy {arn} was not found.")


def _described(policy: managed.Managed, partition: str) -> dict[str, Any]:
    """A policy as it is listed. Its id is Dryport's: what AWS's is, no source says."""
    digest = hashlib.sha256(policy.path_and_name.encode()).digest()
    return {
        "PolicyName": policy.name,
        "PolicyId": "ANPA" + base64.b32encode(digest)[:17].decode(),
        "Arn": policy.arn(partition),
        "Path": policy.path,
        "DefaultVersionId": policy.version,
        "AttachmentCount": 0,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": policy.created.timestamp(),
        "UpdateDate": policy.updated.timestamp(),
    }
