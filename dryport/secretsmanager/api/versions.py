"""ListSecretVersionIds and UpdateSecretVersionStage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dryport.gateway.service import Call, Output, Service
from dryport.secretsmanager import stages
from dryport.secretsmanager.api.common import identified, invalid_parameter, page, usable
from dryport.secretsmanager.model import SECRETS, VERSIONS, Secret, SecretVersion, version_key

if TYPE_CHECKING:
    from types_boto3_secretsmanager import type_defs as shapes

_PAGE = 100


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("ListSecretVersionIds")(list_versions)
    service.operation("UpdateSecretVersionStage")(update_stage)


def list_versions(call: Call, request: shapes.ListSecretVersionIdsRequestTypeDef) -> Output:
    secret = identified(call, request["SecretId"])
    every = request.get("IncludeDeprecated", False)
    labelled = set(secret.stages.values())
    found = [one for one in call.tx.find(VERSIONS, "secret", secret.arn) if every or one.id in labelled]
    found.sort(key=lambda one: one.created_at)
    kept, more = page(found, request.get("NextToken"), request.get("MaxResults", _PAGE))
    return {
        "Versions": [_shape(secret, version) for version in kept],
        **more,
        "ARN": secret.arn,
        "Name": secret.name,
    }


def _shape(secret: Secret, version: SecretVersion) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "VersionId": version.id,
        "CreatedDate": version.created_at,
        "KmsKeyIds": ["DefaultEncryptionKey"],
    }
    labels = stages.of_version(secret.stages, version.id)
    if labels:
        shape["VersionStages"] = labels
    if version.accessed_at is not None:
        shape["LastAccessedDate"] = version.accessed_at
    return shape


def update_stage(call: Call, request: shapes.UpdateSecretVersionStageRequestTypeDef) -> Output:
    secret = usable(call, request["SecretId"])
    source, target = request.get("RemoveFromVersionId"), request.get("MoveToVersionId")
    for version_id in (source, target):
        if version_id is not None and call.tx.get(VERSIONS, version_key(secret.arn, version_id)) is None:
            raise invalid_parameter(f"Not a valid version: {version_id}")
    moved = stages.move(secret.stages, request["VersionStage"], source, target)
    call.tx.put(SECRETS, msgspec.structs.replace(secret, stages=moved, changed_at=call.now))
    return {"ARN": secret.arn, "Name": secret.name}
