"""DeleteSecret and RestoreSecret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dryport.aws import arn
from dryport.gateway.service import Call, Output, Service
from dryport.secretsmanager import model, values
from dryport.secretsmanager.api.common import identified, invalid_parameter, usable
from dryport.secretsmanager.model import SECRETS

if TYPE_CHECKING:
    from types_boto3_secretsmanager import type_defs as shapes

_DAY = 86_400.0
_DEFAULT_WINDOW = 30  # days


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DeleteSecret")(delete)
    service.operation("RestoreSecret")(restore)


def delete(call: Call, request: shapes.DeleteSecretRequestTypeDef) -> Output:
    window, force = request.get("RecoveryWindowInDays"), request.get("ForceDeleteWithoutRecovery", False)
    if window is not None and force:
        raise invalid_parameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
    if window is not None and not 7 <= window <= 30:
        raise invalid_parameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    if force:
        secret = model.find(call.tx, call.account, call.region, request["SecretId"])
        if secret is None:
            # AWS makes no difference between a secret that is gone and one that never was.
            name = request["SecretId"]
            gone = name if arn.parse(name) else model.new_arn(call.random, call.account, call.region, name)
            return {"ARN": gone, "Name": name, "DeletionDate": call.now}
        values.forget(call.tx, secret)
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": call.now}
    secret = usable(call, request["SecretId"])
    deletion = call.now + (window or _DEFAULT_WINDOW) * _DAY
    call.tx.put(SECRETS, msgspec.structs.replace(secret, deletion_at=deletion))
    return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": deletion}


def restore(call: Call, request: shapes.RestoreSecretRequestTypeDef) -> Output:
    secret = identified(call, request["SecretId"])
    call.tx.put(SECRETS, msgspec.structs.replace(secret, deletion_at=None))
    return {"ARN": secret.arn, "Name": secret.name}
