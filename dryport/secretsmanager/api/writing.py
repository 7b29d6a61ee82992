"""CreateSecret, PutSecretValue, UpdateSecret, GetRandomPassword."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.secretsmanager import model, passwords, stages, values
from dryport.secretsmanager.api.common import invalid_request, usable
from dryport.secretsmanager.api.tags import checked_tags
from dryport.secretsmanager.model import SECRETS, Secret
from dryport.store.sealing import Sealer

if TYPE_CHECKING:
    from types_boto3_secretsmanager import type_defs as shapes

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!\-]+")
_DEFAULT_KEY = "alias/aws/secretsmanager"
_REPLICATION = ("AddReplicaRegions", "ForceOverwriteReplicaSecret", "CrossAccountPrimaryARN")


def register(service: Service, sealer: Sealer) -> None:
    """Add the operations of this module."""
    handlers = _Writing(sealer)
    service.operation("CreateSecret", unsupported=(*_REPLICATION, "Type"))(handlers.create)
    service.operation("PutSecretValue", unsupported=("RotationToken",))(handlers.put)
    service.operation("UpdateSecret", unsupported=("Type",))(handlers.update)
    service.operation("GetRandomPassword")(random_password)


class _Writing:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def create(self, call: Call, request: shapes.CreateSecretRequestTypeDef) -> Output:
        name, value = request["Name"], values.given(request)
        if not _NAME.fullmatch(name):
            raise ServiceError(
                "ValidationException",
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: "
                "-/_+=.@!",
            )
        token = request.get("ClientRequestToken")
        secret = model.named(call.tx, call.account, call.region, name)
        if secret is not None:
            self._check_repeated(secret, value, token)
        else:
            secret = Secret(
                arn=model.new_arn(call.random, call.account, call.region, name),
                account=call.account,
                region=call.region,
                name=name,
                created_at=call.now,
                changed_at=call.now,
                description=request.get("Description"),
                kms_key_id=_key(call, request.get("KmsKeyId")),
                tags=checked_tags({}, request.get("Tags", [])),
            )
            call.tx.put(SECRETS, secret)
        answer = {"ARN": secret.arn, "Name": secret.name}
        if value is not None:
            token = _token(token)
            values.add_version(call.tx, self._sealer, secret, token, value, None, call.now)
            answer["VersionId"] = token
        return answer

    def _check_repeated(self, secret: Secret, value: str | bytes | None, token: str | None) -> None:
        """Raise ServiceError unless this may be the request that made the secret, sent again."""
        if secret.deletion_at is not None:
            raise invalid_request(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
            )
        if value is None or token is None or token not in secret.stages.values():
            raise ServiceError(
                "ResourceExistsException", f"The operation failed because the secret {secret.name} already exists."
            )

    def put(self, call: Call, request: shapes.PutSecretValueRequestTypeDef) -> Output:
        secret, value = usable(call, request["SecretId"]), values.given(request)
        if value is None:
            raise invalid_request("You must provide either SecretString or SecretBinary.")
        token = _token(request.get("ClientRequestToken"))
        labels = list(request["VersionStages"]) if "VersionStages" in request else None
        secret = values.add_version(call.tx, self._sealer, secret, token, value, labels, call.now)
        return {
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": token,
            "VersionStages": stages.of_version(secret.stages, token),
        }

    def update(self, call: Call, request: shapes.UpdateSecretRequestTypeDef) -> Output:
        secret, value = usable(call, request["SecretId"]), values.given(request)
        secret = msgspec.structs.replace(
            secret,
            description=request.get("Description", secret.description),
            kms_key_id=_key(call, request["KmsKeyId"]) if "KmsKeyId" in request else secret.kms_key_id,
            changed_at=call.now,
        )
        call.tx.put(SECRETS, secret)
        answer = {"ARN": secret.arn, "Name": secret.name}
        if value is not None:
            answer["VersionId"] = token = _token(request.get("ClientRequestToken"))
            values.add_version(call.tx, self._sealer, secret, token, value, None, call.now)
        return answer


def _token(token: str | None) -> str:
    if token is None:
        raise invalid_request("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    return token


def _key(call: Call, key_id: str | None) -> str | None:
    """The key as it is kept. Raises ServiceError where it is another than the service's own: there is no KMS."""
    if not key_id:
        return None
    if key_id != _DEFAULT_KEY:
        raise unsupported_parameter("secretsmanager", call.operation, f"KmsKeyId {key_id}")
    return key_id


def random_password(call: Call, request: shapes.GetRandomPasswordRequestTypeDef) -> Output:
    alphabets = passwords.classes(
        lowercase=not request.get("ExcludeLowercase", False),
        uppercase=not request.get("ExcludeUppercase", False),
        numbers=not request.get("ExcludeNumbers", False),
        punctuation=not request.get("ExcludePunctuation", False),
        space=request.get("IncludeSpace", False),
        excluded=request.get("ExcludeCharacters", ""),
    )
    length, each = request.get("PasswordLength", 32), request.get("RequireEachIncludedType", True)
    return {"RandomPassword": passwords.password(call.random, length, alphabets, each)}
