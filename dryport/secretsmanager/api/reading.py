"""GetSecretValue and BatchGetSecretValue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.secretsmanager import filters, model, stages, values
from dryport.secretsmanager.api.common import invalid_parameter, invalid_request, page, usable
from dryport.secretsmanager.model import SECRETS, VERSIONS, Secret, SecretVersion, version_key
from dryport.secretsmanager.stages import CURRENT
from dryport.store.sealing import Sealer

if TYPE_CHECKING:
    from types_boto3_secretsmanager import type_defs as shapes

_DAY = 86_400.0
_BATCH = 20


def register(service: Service, sealer: Sealer) -> None:
    """Add the operations of this module."""
    handlers = _Reading(sealer)
    service.operation("GetSecretValue")(handlers.get)
    service.operation("BatchGetSecretValue")(handlers.get_batch)


class _Reading:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def get(self, call: Call, request: shapes.GetSecretValueRequestTypeDef) -> Output:
        secret = usable(call, request["SecretId"])
        version = _chosen(call, secret, request.get("VersionId"), request.get("VersionStage"))
        return self._read(call, secret, version)

    def get_batch(self, call: Call, request: shapes.BatchGetSecretValueRequestTypeDef) -> Output:
        identifiers, wanted = request.get("SecretIdList"), request.get("Filters")
        if (identifiers is None) == (wanted is None):
            raise invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
        if "MaxResults" in request and wanted is None:
            raise invalid_parameter(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
            )
        filters.check(wanted or [])
        more: dict[str, str] = {}
        if identifiers is None:
            every = call.tx.find(SECRETS, "scope", model.scope(call.account, call.region))
            found = [
                one.arn
                for one in every
                if one.deletion_at is None and CURRENT in one.stages and filters.passes(one, wanted or [])
            ]
            kept, more = page(found, request.get("NextToken"), request.get("MaxResults", _BATCH))
            identifiers = list(kept)
        secrets: list[dict[str, Any]] = []
        errors: list[dict[str, str]] = []
        for identifier in identifiers:
            try:
                secret = usable(call, identifier)
                secrets.append(self._read(call, secret, _chosen(call, secret, None, None)))
            except ServiceError as error:
                errors.append({"SecretId": identifier, "ErrorCode": error.code, "Message": error.message})
        return {"SecretValues": secrets, "Errors": errors, **more}

    def _read(self, call: Call, secret: Secret, version: SecretVersion) -> dict[str, Any]:
        today = call.now - call.now % _DAY  # AWS shows the day, at midnight UTC
        if secret.accessed_at != today:
            call.tx.put(SECRETS, msgspec.structs.replace(secret, accessed_at=today))
        if version.accessed_at != today:
            call.tx.put(VERSIONS, msgspec.structs.replace(version, accessed_at=today))
        return {
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": version.id,
            **values.shape(self._sealer, version),
            "VersionStages": stages.of_version(secret.stages, version.id),
            "CreatedDate": version.created_at,
        }


def _chosen(call: Call, secret: Secret, version_id: str | None, stage: str | None) -> SecretVersion:
    if version_id is None:
        label = stage or CURRENT
        attached = secret.stages.get(label)
        version = None if attached is None else call.tx.get(VERSIONS, version_key(secret.arn, attached))
        if version is None:
            raise ServiceError(
                "ResourceNotFoundException",
                f"Secrets Manager can't find the specified secret value for staging label: {label}",
            )
        return version
    version = call.tx.get(VERSIONS, version_key(secret.arn, version_id))
    if version is None:
        raise ServiceError(
            "ResourceNotFoundException",
            f"Secrets Manager can't find the specified secret value for VersionId: {version_id}",
        )
    if stage is not None and secret.stages.get(stage) != version_id:
        raise invalid_request("You provided a VersionStage that is not associated to the provided VersionId.")
    return version
