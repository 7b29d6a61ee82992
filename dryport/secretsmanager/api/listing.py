"""DescribeSecret, ListSecrets, GetResourcePolicy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dryport.gateway.service import Call, Output, Service
from dryport.secretsmanager import filters, model, stages
from dryport.secretsmanager.api.common import identified, page
from dryport.secretsmanager.model import SECRETS, Secret

if TYPE_CHECKING:
    from types_boto3_secretsmanager import type_defs as shapes

_PAGE = 100
_ORDERS: dict[str, Callable[[Secret], tuple[Any, ...]]] = {
    "created-date": lambda secret: (secret.created_at,),
    "last-accessed-date": lambda secret: (secret.accessed_at or 0.0, secret.created_at),
    "last-changed-date": lambda secret: (secret.changed_at,),
    "name": lambda secret: (secret.name,),
}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeSecret")(describe)
    service.operation("ListSecrets")(list_secrets)
    service.operation("GetResourcePolicy", unsupported=("PolicyName",))(get_resource_policy)


def describe(call: Call, request: shapes.DescribeSecretRequestTypeDef) -> Output:
    secret = identified(call, request["SecretId"])
    shape = _shape(secret)
    if secret.stages:
        shape["VersionIdsToStages"] = stages.by_version(secret.stages)
    return shape


def list_secrets(call: Call, request: shapes.ListSecretsRequestTypeDef) -> Output:
    wanted = request.get("Filters", [])
    filters.check(wanted)
    planned = request.get("IncludePlannedDeletion", False)
    found = [
        secret
        for secret in call.tx.find(SECRETS, "scope", model.scope(call.account, call.region))
        if (planned or secret.deletion_at is None) and filters.passes(secret, wanted)
    ]
    order = _ORDERS[request.get("SortBy", "created-date")]
    found.sort(key=order, reverse=request.get("SortOrder", "asc") == "desc")
    kept, more = page(found, request.get("NextToken"), request.get("MaxResults", _PAGE))
    return {"SecretList": [_listed(secret) for secret in kept], **more}


def get_resource_policy(call: Call, request: shapes.GetResourcePolicyRequestTypeDef) -> Output:
    """Answers without a policy, as AWS does for a secret that has none: PutResourcePolicy is not there yet."""
    secret = identified(call, request["SecretId"])
    return {"ARN": secret.arn, "Name": secret.name}


def _listed(secret: Secret) -> dict[str, Any]:
    shape = _shape(secret)
    if secret.stages:
        shape["SecretVersionsToStages"] = stages.by_version(secret.stages)
    return shape


def _shape(secret: Secret) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "ARN": secret.arn,
        "Name": secret.name,
        "LastChangedDate": secret.changed_at,
        "CreatedDate": secret.created_at,
    }
    if secret.description:
        shape["Description"] = secret.description
    if secret.kms_key_id:
        shape["KmsKeyId"] = secret.kms_key_id
    if secret.accessed_at is not None:
        shape["LastAccessedDate"] = secret.accessed_at
    if secret.deletion_at is not None:
        shape["DeletedDate"] = secret.deletion_at
    if secret.tags:
        shape["Tags"] = [{"Key": key, "Value": value} for key, value in secret.tags.items()]
    return shape
